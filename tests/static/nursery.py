"""Runs pytest in forks of one process that has the libraries loaded already: a planted error costs its test, not the
start of Python.

A job is one line of JSON on stdin, `{"tree", "arguments"}`; the answer is one line, `{"code", "said"}`. Nothing of the
project is loaded before the fork, so that each job reads the sources of its own tree.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback

import fakeredis  # noqa: F401 - loaded for the forks
import hypothesis
import pytest
import redis.asyncio  # noqa: F401
import structlog  # noqa: F401


def main() -> None:
    # A planted error is to be found, not made small.
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile("planted", phases=phases, database=None, deadline=None)
    hypothesis.settings.load_profile("planted")
    for line in sys.stdin:
        job = json.loads(line)
        with tempfile.TemporaryFile("w+") as said:
            child = os.fork()
            if not child:
                _run(job["tree"], job["arguments"], said.fileno())
            _, status = os.waitpid(child, 0)
            said.seek(0)
            answer = {"code": os.waitstatus_to_exitcode(status), "said": said.read()}
        print(json.dumps(answer), flush=True)


def _run(tree: str, arguments: list[str], said: int) -> None:
    """In the fork; never returns."""
    code = 3
    try:
        os.dup2(said, 1)
        os.dup2(said, 2)
        os.chdir(tree)
        sys.path.insert(0, tree)
        code = int(pytest.main([*arguments, "-W", "ignore::pytest.PytestAssertRewriteWarning"]))  # loaded before
    finally:  # the fork must not go on as its parent
        if sys.exception() is not None:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
