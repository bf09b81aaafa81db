"""What stands when the doors open is not looked at again, and garbage that comes later is still collected."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import gc, weakref
from pms import collector

class Node:
    pass

def cycle():
    node = Node()
    node.itself = node
    return weakref.ref(node)

kept = [Node() for _ in range(1000)]
before = cycle()
collector.settle()
assert before() is None, "what was garbage then would never go"
assert not any(type(one) is Node for one in gc.get_objects()), "what stands is looked at again"
after = cycle()
gc.collect()
assert after() is None, "later garbage stays"
assert gc.isenabled()
assert gc.get_threshold() == (700, 10, 100)
"""


def test_what_stands_is_left_alone_and_later_garbage_goes() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
