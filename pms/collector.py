"""Python's collector of cycles in a process that trades: its long passes stay out of the way of orders.

Owns the settings. Refuses to switch it off: an error's traceback is a cycle, and a soak must not grow. What a pass
costs goes by what it has to look at. What stands once the doors are open lives as long as the process, a hundred
thousand objects for tens of milliseconds, so it is looked at one last time and never again.
"""

from __future__ import annotations

import gc

YOUNG = 700  # objects, as Python has it: such a pass takes 0.1 ms
MIDDLE = 10
WHOLE = 100  # passes over the middle-aged to one over all; Python has 10


def settle() -> None:
    """All that is there now stays. To be called once, when the doors are open."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, WHOLE)
