"""`pms test`: the project's whole test run, which is pytest with the linter, the type checker and the style as tests.

Owns how pytest is called. Refuses to know the tests. Without a choice of tests it runs on three processes: the default
run is to fit two cores, and the tests of real processes mostly wait. Any argument of the caller's own goes to pytest as
it is, in one process.
"""

from __future__ import annotations

import os
import sys

from pms.bootstrap import ROOT

# Groups keep the tests of real processes apart from each other. A process that was ended for a hanging test is not
# replaced: it would run the same test again.
_SHARING = ("-n", "3", "--dist", "loadgroup", "--max-worker-restart", "0")
SLOW_TEST_S = 3600  # what the whole slow run may take; the others are ended after the time in pyproject.toml
# Nothing here picks tests or needs the terminal, so the run may be shared out.
_SHARED_OUT = frozenset(("--slow", "-q", "-v", "-vv", "-x"))


def command(arguments: list[str]) -> list[str]:
    """The pytest command for what followed `pms test`."""
    shared_out = list(_SHARING) if _SHARED_OUT.issuperset(arguments) else []
    patient = ["-o", f"faulthandler_timeout={SLOW_TEST_S}"] if "--slow" in arguments else []
    return [sys.executable, "-m", "pytest", *shared_out, *patient, *arguments]


def main(arguments: list[str]) -> int:
    """Replace this process by pytest, in the checkout; its exit code is the command's."""
    os.chdir(ROOT)
    os.execv(sys.executable, command(arguments))
