"""The data directory: private, and held by one process at a time.

Owns the folder, its lock and its secrets. Refuses to know what else lies there. The lock is the kernel's (`flock`): it
ends with the last process that has it open, never by a stale file; the holder's process id is written in it to be read.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
import time
from pathlib import Path
from types import TracebackType

import msgspec

SECRET_BYTES = 24  # 192 bits, url-safe without padding
ENDING_LIMIT_S = 10  # for a dead daemon's Redis to put its state away; it takes a fraction of a second
POLL_S = 0.02


PROC = Path("/proc")


def _answers(pid: int) -> bool:
    """Whether there is such a process, asked by a signal that does nothing: all there is where /proc is not mounted."""
    try:
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, PermissionError)
    return True


def runs(pid: int) -> bool:
    """Whether that process still runs; a zombie, whose exit code nobody has asked for yet, does not."""
    try:
        state = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return not (PROC / "self").exists() and _answers(pid)
    return state != "Z"


class DataDirInUse(Exception):
    """Another process holds the data directory; nothing was started. `pid` names it, 0 where it can't be told."""

    def __init__(self, path: Path, pid: int) -> None:
        who = f"process {pid}" if pid else "another process"
        super().__init__(f"{path} is in use by {who}; stop that one, or set PMS_DATA_DIR to another directory")
        self.path = path
        self.pid = pid

    @property
    def holder_lives(self) -> bool:
        """Whether the holder still runs. If not, a child of it (its Redis) is still writing out and about to end."""
        return self.pid == 0 or runs(self.pid)


class DataDir:
    """A data directory held by this process, from construction to `close`. Raises `DataDirInUse` and OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        if not self.path.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.mkdir(mode=0o700, exist_ok=True)
        elif not any(self.path.iterdir()) and not self.path.stat().st_mode & stat.S_ISVTX:
            self.path.chmod(0o700)  # made for us; one with anything in it stays as it is: what we put there is private
        self.lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            written = os.pread(self.lock, 32, 0).strip()
            os.close(self.lock)
            raise DataDirInUse(self.path, int(written) if written.isdigit() else 0) from None
        os.ftruncate(self.lock, 0)
        os.pwrite(self.lock, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """Let go of the directory; a child that was given the lock keeps it until it ends."""
        os.close(self.lock)

    def __enter__(self) -> DataDir:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def write_private(self, name: str, content: str) -> Path:
        """Replace a file that only its owner may read, at once as a whole."""
        path = self.path / name
        fresh = self.path / f"{name}.new"
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(content)
        fresh.replace(path)
        return path

    def passwords(self, name: str, users: list[str]) -> dict[str, str]:
        """One random password for each user, made once and kept in the file `name`."""
        path = self.path / name
        kept = msgspec.json.decode(path.read_bytes(), type=dict[str, str]) if path.exists() else {}
        if missing := [user for user in users if user not in kept]:
            kept |= {user: secrets.token_urlsafe(SECRET_BYTES) for user in missing}
            self.write_private(name, msgspec.json.encode(kept).decode())
        return kept


def take(path: Path, patient: bool = False) -> DataDir:
    """Hold the directory, once a killed daemon's Redis has ended and let go. Raises `DataDirInUse` and OSError.

    `patient`: wait for a holder that lives, too: it may be about to end.
    """
    deadline = time.monotonic() + ENDING_LIMIT_S
    while True:
        try:
            return DataDir(path)
        except DataDirInUse as error:
            if (error.holder_lives and not patient) or time.monotonic() > deadline:
                raise
        time.sleep(POLL_S)
