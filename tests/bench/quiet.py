"""What the daemon logs while it is measured stays away from the table; its end is shown where the bench fails."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from pms import log

SHOWN_LINES = 40


@contextmanager
def quiet() -> Iterator[None]:
    """Keep this process' log in a file of its own."""
    with tempfile.TemporaryFile("w+") as kept:
        log.configure("json", kept)
        try:
            yield
        except BaseException:
            kept.seek(0)
            sys.stderr.writelines(kept.readlines()[-SHOWN_LINES:])
            raise
