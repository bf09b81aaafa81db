"""Runs pytest in forks of one process that has the libraries and the project loaded already: a planted error costs its
test, not the start of Python.

A job is one line of JSON on stdin, `{"tree", "changed", "arguments"}`: a tree that is this one but for what changed.
The answer is one line, `{"code", "said"}`. A fork forgets the changed modules and all that import them, at whatever
remove, and reads them from the job's tree; the rest is what the tree holds too.
"""

from __future__ import annotations

import ast
import gc
import json
import os
import sys
import tempfile
import traceback
from collections import defaultdict
from pathlib import Path

import fakeredis  # noqa: F401 - loaded for the forks
import hypothesis
import pytest
import redis.asyncio  # noqa: F401
import structlog  # noqa: F401

ROOT = Path(__file__).resolve().parents[2]
OURS = ("algos", "pms", "recovery", "schemas", "tests")


def main() -> None:
    # A planted error is to be found, not made small.
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile("planted", phases=phases, database=None, deadline=None, derandomize=True)
    hypothesis.settings.load_profile("planted")
    sys.path[0] = str(ROOT)
    import tests.world.world  # noqa: F401 - with nearly everything that there is

    importers = _importers()
    gc.freeze()
    gc.set_threshold(10_000, 20, 10)
    for line in sys.stdin:
        job = json.loads(line)
        with tempfile.TemporaryFile("w+") as said:
            child = os.fork()
            if not child:
                _run(job, importers, said.fileno())
            _, status = os.waitpid(child, 0)
            said.seek(0)
            answer = {"code": os.waitstatus_to_exitcode(status), "said": said.read()}
        print(json.dumps(answer), flush=True)


def _ours() -> list[str]:
    """The names of the project's modules that are loaded."""
    return [name for name in sys.modules if name.partition(".")[0] in OURS]


def _importers() -> dict[str, set[str]]:
    """Who imports a module by name, of the project's that are loaded. A package stands for nothing but itself."""
    importers: dict[str, set[str]] = defaultdict(set)
    ours = set(_ours())
    for name in ours:
        source = getattr(sys.modules[name], "__file__", None)  # None: a folder
        for node in ast.walk(ast.parse(Path(source).read_text() if source else "")):
            if isinstance(node, ast.Import):
                named = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                named = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
            else:
                continue
            for module in ours.intersection(named):
                importers[module].add(name)
    return importers


def _forget(changed: list[str], importers: dict[str, set[str]]) -> None:
    """Unload what the changed files make, and everything that has seen it."""
    if any(not path.endswith(".py") or path.endswith("__init__.py") for path in changed):
        stale = set(_ours())  # who reads it can't be told
    else:
        stale, found = set(), {path.removesuffix(".py").replace("/", ".") for path in changed}
        while found:
            stale |= found
            found = set().union(*(importers.get(name, ()) for name in found)) - stale
    for name in stale:
        if sys.modules.pop(name, None) is not None:
            package, _, attribute = name.rpartition(".")
            vars(sys.modules.get(package, object)).get(attribute) and delattr(sys.modules[package], attribute)


def _move(tree: str) -> None:
    """Read what is loaded from now on from another tree."""
    os.chdir(tree)
    sys.path[0] = tree
    sys.dont_write_bytecode = True  # its folders of bytecode are ours
    for name in _ours():
        module = sys.modules[name]
        if hasattr(module, "__path__"):
            module.__path__ = [str(Path(tree) / Path(path).relative_to(ROOT)) for path in module.__path__]


def _run(job: dict[str, object], importers: dict[str, set[str]], said: int) -> None:
    """In the fork; never returns."""
    code = 3
    try:
        os.dup2(said, 1)
        os.dup2(said, 2)
        _forget(list(job["changed"]), importers)
        _move(str(job["tree"]))
        code = int(pytest.main([*job["arguments"], "-W", "ignore::pytest.PytestAssertRewriteWarning"]))  # loaded before
    finally:  # the fork must not go on as its parent
        if sys.exception() is not None:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
