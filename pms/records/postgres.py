"""The private Postgres as our child, for whoever names no database: started without waiting, ended with us.

Owns its life and where it says that it is reached. Refuses to know how it comes about (`cluster`) and what is kept in
it; with PMS_DATABASE_URL set nobody calls it. Call from the main thread: the kernel ties the child's life to it.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from pms import child
from pms.bootstrap import ROOT
from pms.log_files import ChildLog
from pms.records import cluster

FOLDER = "records"  # in the data directory
NOT_FOUND = (
    "no PostgreSQL was found on this host, and PMS_DATABASE_URL is not set. The events stay in Redis, and later in the "
    "data directory, until a writer reads them. Install PostgreSQL, or name a database"
)


def url_of(data: Path) -> str:
    """Where the private Postgres of a data directory is reached by its socket; "" where none was ever started."""
    note = data / FOLDER / cluster.URL_FILE
    return note.read_text().strip() if note.exists() else ""


def available() -> bool:
    """Whether this host has a Postgres to start."""
    return any(True for _ in cluster.programs())


class EmbeddedPostgres:
    """A private Postgres in a data directory; `port` 0: reached by its socket only."""

    def __init__(self, data: Path, port: int = 0) -> None:
        self._data = data
        self._port = port
        self._child: subprocess.Popen[bytes] | None = None
        self.log = ChildLog(data / "postgres.log")

    @property
    def pid(self) -> int:
        return self._child.pid if self._child is not None else 0

    def launch(self) -> None:
        """Start it, and return at once; it answers within a second, the first time within two."""
        program = [sys.executable, "-m", "pms.records.cluster", str(self._data / FOLDER), str(self._port)]
        # SIGINT is its fast stop: with SIGTERM it would wait until its clients have left.
        self._child = child.start(program, self.log, cwd=ROOT, ends_by=signal.SIGINT)

    def ended(self) -> bool:
        """Whether it has ended by itself."""
        return self._child is not None and self._child.poll() is not None

    @property
    def exit_code(self) -> int | None:
        """Of one that has ended; None while it runs."""
        return None if self._child is None else self._child.poll()

    def stop(self) -> None:
        """End it; what it holds is on disk when this returns."""
        if self._child is not None:
            child.stop(self._child, by=signal.SIGINT)
            self._child = None
            self.log.close()
