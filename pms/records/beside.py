"""The records beside a daemon: their writer, and a Postgres where none is named, as children of the daemon's process.

Owns that both run. Refuses to be waited for: they start once the doors are open, and what is missing is said, not an
error. Nothing that trades knows of them.
"""

from __future__ import annotations

import subprocess
import sys

import structlog

from pms import child, config
from pms.bootstrap import ROOT
from pms.config import Config, Reach
from pms.log_files import ChildLog
from pms.records import address, cluster, postgres
from pms.records.postgres import EmbeddedPostgres

PATIENCE = 10  # looks between two starts of what ends at once: a database that is of a newer version stays so

_log = structlog.get_logger("pms.records")


class KeptRecords:
    """See the module."""

    def __init__(self, settings: Config, reach: Reach) -> None:
        self._settings, self._reach = settings, reach
        self._server: EmbeddedPostgres | None = None
        self._writer: subprocess.Popen[bytes] | None = None
        self._looks = 0
        self._log = ChildLog(settings.data_dir / "records.log")

    def launch(self) -> str:
        """Start what is missing, and return at once with where the records are kept."""
        settings = self._settings
        if url := self._reach.database_url.reveal():
            try:
                where = address.read(url).shown
            except config.ConfigError as error:
                _log.error("no_records", reason=str(error))
                return f"none: {error}"
        elif postgres.available():
            self._server = EmbeddedPostgres(settings.data_dir, self._reach.postgres_port)
            self._server.launch()
            where = f"private PostgreSQL; its address: {settings.data_dir / postgres.FOLDER / cluster.URL_FILE}"
        else:
            _log.error("no_records", reason=postgres.NOT_FOUND)
            return f"none: {postgres.NOT_FOUND}"
        self._start_writer()
        return where

    def _start_writer(self) -> None:
        settings = self._settings
        told = config.environment(
            PMS_REDIS_URL=settings.redis_url,
            PMS_DATA_DIR=str(settings.data_dir),
            PMS_NAMESPACE=settings.namespace,
        )
        program = [sys.executable, "-m", "pms", "records", "--no-postgres"]
        self._writer = child.start(program, self._log, cwd=ROOT, environment=told)

    def revive(self) -> None:
        """Bring back what has ended by itself, not more often than every few looks; keep their logs bounded."""
        self._looks += 1
        self._log.look()
        if self._server is not None:
            self._server.log.look()
        if self._server is not None and self._server.ended() and self._looks >= PATIENCE:
            self._looks = 0
            _log.error("child_ended", child="postgres", log=str(self._server.log.path), then="started again")
            self._server.launch()
        if self._writer is not None and (code := self._writer.poll()) is not None and self._looks >= PATIENCE:
            self._looks = 0
            _log.error("child_ended", child="records", code=code, log=str(self._log.path), then="started again")
            self._start_writer()

    def stop(self) -> None:
        """End both; what is committed is on disk when this returns."""
        if self._writer is not None:
            child.stop(self._writer)
            self._writer = None
            self._log.close()
        if self._server is not None:
            self._server.stop()
            self._server = None
