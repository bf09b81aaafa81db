"""The demonstration: the whole stack on its own for about a minute, and a verdict on whether all of it agrees.

`stage` starts the stack, `show` trades on it as any client would, `tally` compares what venue, Redis and events say.
"""
