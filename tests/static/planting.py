"""Plants an error in a view of the tree and runs the test that must find it.

The view is a folder of links to this tree, but for the one file with the error: nothing is copied, nothing
of ours changes.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
LOOKED_AT = ("schemas", "algos", "recovery", "pms", "tests", "pyproject.toml")
# How a test says that something is wrong. The second: what it asserts can't even be read; the last: what must happen
# never does.
FOUND = re.compile(r"AssertionError|^>\s+assert |Failed: DID NOT RAISE|LawBroken|TimeoutError", re.MULTILINE)


class Planted(NamedTuple):
    """An error, and the test that must find it."""

    law: int
    path: str
    right: str
    wrong: str
    test: str


def assert_found(error: Planted) -> None:
    """The error has its place, and with it the test is red by what it asserts."""
    source = (ROOT / error.path).read_text()
    assert source.count(error.right) == 1, f"the error has no place in {error.path} any more"
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        _view(ROOT, Path(folder), error.path, source.replace(error.right, error.wrong))
        result = run(Path(folder), [error.path], error.test)
    said = result.stdout + result.stderr
    assert result.returncode == 1, said
    assert FOUND.search(said), said


def _view(source: Path, view: Path, path: str, text: str) -> None:
    """Links to all that is in `source`; the file `path` is one of its own."""
    name, _, rest = path.partition("/")
    for entry in source.iterdir() if source != ROOT else (ROOT / looked_at for looked_at in LOOKED_AT):
        if entry.name != name:
            (view / entry.name).symlink_to(entry)
    if not rest:
        (view / name).write_text(text)
        return
    (view / name).mkdir()
    _view(source / name, view / name, rest, text)


def run(tree: Path, changed: list[str], *tests: str) -> subprocess.CompletedProcess[str]:
    """pytest on a tree that is this one but for the changed files, in a fork of the nursery."""
    without = ("cacheprovider", "xdist", "hypothesispytest")  # what takes time to load and is not needed here
    plugins = [part for name in without for part in ("-p", f"no:{name}")]
    arguments = ["-q", "--noconftest", *plugins, *tests]
    nursery = _nursery()
    assert nursery.stdin is not None
    assert nursery.stdout is not None
    nursery.stdin.write(json.dumps({"tree": str(tree), "changed": changed, "arguments": arguments}) + "\n")
    nursery.stdin.flush()
    answer = json.loads(nursery.stdout.readline())
    return subprocess.CompletedProcess(arguments, answer["code"], answer["said"], "")


@cache
def _nursery() -> subprocess.Popen[str]:
    """One for this process; it ends when its stdin does."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV"))}
    command = [sys.executable, str(ROOT / "tests" / "static" / "nursery.py")]
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
