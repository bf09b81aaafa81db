"""How well orders were executed: facts from the records, measures of them, and two ways to show those.

`facts` and `measures` are pure; `read` asks SQL; `text`, `charts` and `page` draw. Nothing that trades knows of it.
"""
