"""`python3 -m pms`: the bootstrap first, then the command line."""

from __future__ import annotations

import os
import sys
from types import TracebackType

from pms import bootstrap, exits


def main() -> int:
    """Run the command of `sys.argv` inside the project's environment; returns its exit code."""
    bootstrap.enter()
    from pms.cli import main as run

    sys.excepthook = _broken
    return run(sys.argv[1:])


def _broken(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """An error of ours has a code of its own: nobody is to take it for an answer. What was started has ended by now."""
    sys.__excepthook__(kind, error, trace)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exits.BROKEN)


if __name__ == "__main__":
    sys.exit(main())
