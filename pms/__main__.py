"""`python3 -m pms`: the bootstrap first, then the command line."""

from __future__ import annotations

import sys

from pms import bootstrap


def main() -> int:
    """Run the command of `sys.argv` inside the project's environment; returns its exit code."""
    bootstrap.enter()
    from pms.cli import main as run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
