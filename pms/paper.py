"""The simulated venue as our child, for paper trading: started with the daemon, on ports that are free, ended with it.

Owns its command line, its ports and where it says that it listens. Refuses to know what it simulates. What the venue
keeps (accounts, orders, trades) lies in the data directory and goes on after any end.
"""

from __future__ import annotations

import select
import subprocess
import sys
from pathlib import Path

import msgspec

from pms import child, exits
from pms.bootstrap import ROOT
from pms.config import PAPER_KEY, PAPER_SECRET
from pms.datadir import DataDir
from pms.log_files import ChildLog

REST_PORT, STREAM_PORT = 18_080, 18_081
ADDRESS_FILE = "venue.json"  # where it listened last, for commands that ask it themselves
START_LIMIT_S = 60  # until a market has its first book; a recording is opened in a second, the synthetic at once


class VenueFailed(Exception):
    """The simulator did not start; the text says why and what to do. `exit_code` is for the command line."""

    exit_code = exits.UNAVAILABLE


class Listening(msgspec.Struct, frozen=True):
    """Where the running simulator is, what its market is, and where it takes faults (empty: nowhere)."""

    rest: str
    streams: str
    market: str
    symbols: list[str]
    state: str
    control: str = ""

    @property
    def ports(self) -> tuple[int, int]:
        """Of REST and of the streams."""
        return int(self.rest.rpartition(":")[2]), int(self.streams.rpartition(":")[2])


def running(folder: Path) -> Listening | None:
    """The simulator that a daemon on this data directory runs, None where none answers at its address."""
    path = folder / ADDRESS_FILE
    if not path.exists():
        return None
    listening = msgspec.json.decode(path.read_bytes(), type=Listening)
    return None if child.is_free(listening.ports[0]) else listening


class PaperVenue:
    """See the module. `arguments` are those of `pms sim` that choose the market."""

    def __init__(self, data: DataDir, arguments: list[str]) -> None:
        self._data = data
        self._arguments = arguments
        self._child: subprocess.Popen[bytes] | None = None
        self.log = ChildLog(data.path / "venue.log")
        self._ports = (REST_PORT, STREAM_PORT) if child.is_free(REST_PORT) and child.is_free(STREAM_PORT) else (0, 0)

    @property
    def pid(self) -> int:
        return self._child.pid if self._child is not None else 0

    def launch(self) -> None:
        """Start it and return at once; what it needs to be ready, it does meanwhile."""
        rest, streams = self._ports
        program = [
            sys.executable,
            "-m",
            "pms",
            "sim",
            "--json",
            "--rest-port",
            str(rest),
            "--stream-port",
            str(streams),
        ]
        own = ["--data", str(self._data.path / "venue"), "--key", f"{PAPER_KEY}:{PAPER_SECRET}"]
        self._child = child.start(
            [*program, *own, *self._arguments], self.log, lock=self._data.lock, cwd=ROOT, talks=True
        )

    def ready(self) -> Listening:
        """Wait until it listens and its market is open. Raises `VenueFailed`."""
        line = self._first_word()
        if not line.startswith("{") and self._ports != (0, 0):  # somebody took a port between our look and its opening
            self.stop()
            self._ports = (0, 0)
            self.launch()
            line = self._first_word()
        if not line.startswith("{"):
            log = self.log.path
            last = (log.read_text(errors="replace").strip().splitlines() or [""])[-1]
            raise VenueFailed(f"The simulator did not start: {line or last or 'no word from it'} (its log: {log})")
        self._data.write_private(ADDRESS_FILE, line)
        listening = msgspec.json.decode(line, type=Listening)
        self._ports = listening.ports
        return listening

    def _first_word(self) -> str:
        assert self._child is not None, "launched before"
        assert self._child.stdout is not None, "it talks to us"
        readable, _, _ = select.select((self._child.stdout,), (), (), START_LIMIT_S)
        return self._child.stdout.readline().decode().strip() if readable else ""

    def revive(self) -> None:
        """Start it again at its address, without waiting until it listens."""
        if self._child is not None and self._child.stdout is not None:
            self._child.stdout.close()
        self.launch()

    def ended(self) -> bool:
        """Whether it has ended by itself."""
        return self._child is not None and self._child.poll() is not None

    def stop(self) -> None:
        """End it; what it keeps is on disk when this returns."""
        if self._child is not None:
            child.stop(self._child)
            self._child = None
            self.log.close()
