"""`pms test`: the project's whole test run, which is pytest with the linter, the type checker and the style as tests.

Owns how pytest is called. Refuses to know the tests. Without a choice of tests it runs on two processes, as the default
run is to fit two cores; any argument of the caller's own goes to pytest as it is, in one process.
"""

from __future__ import annotations

import os
import sys

from pms.bootstrap import ROOT

PROCESSES = 2
# Nothing here picks tests or needs the terminal, so the run may be shared out.
_SHARED_OUT = frozenset(("--slow", "-q", "-v", "-vv", "-x"))


def command(arguments: list[str]) -> list[str]:
    """The pytest command for what followed `pms test`."""
    shared_out = ["-n", str(PROCESSES), "--dist", "loadgroup"] if _SHARED_OUT.issuperset(arguments) else []
    return [sys.executable, "-m", "pytest", *shared_out, *arguments]


def main(arguments: list[str]) -> int:
    """Replace this process by pytest, in the checkout; its exit code is the command's."""
    os.chdir(ROOT)
    os.execv(sys.executable, command(arguments))
