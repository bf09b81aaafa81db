"""Log files that stay bounded: what is full is set aside and gzipped, the oldest dropped. `RotatedFile` writes our own
JSON lines, `ChildLog` is for what a program of ours appends to by itself.

Owns each file and its former ones. Refuses to know what a line says. Private to its owner; a line of ours is written
whole or not at all, and a torn one of a killed process is cut off at the next start.
"""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

FOLDER = "logs"  # in the data directory
FULL_BYTES = 16 << 20
KEPT = 8  # full ones of a stream, packed to about a tenth: 30 MB at most, with the one being written
ENDING_BYTES = 1 << 16  # of a file, in which its last line is looked for


class _Former:
    """`{stem}.{number}{suffix}.gz` beside a log: what it was before; the largest number is newest."""

    def __init__(self, path: Path, kept: int) -> None:
        self._path, self._kept = path, kept
        self._packer: ThreadPoolExecutor | None = None

    def packed(self) -> list[Path]:
        return sorted(self._path.parent.glob(f"{self._path.stem}.*{self._path.suffix}.gz"), key=_number)

    def left(self) -> list[Path]:
        """What is to be packed, or was when its process died."""
        return sorted(self._path.parent.glob(f"{self._path.stem}.*{self._path.suffix}"), key=_number)

    def next(self) -> Path:
        """Where the full one goes."""
        last = max([0, *map(_number, (*self.packed()[-1:], *self.left()))])
        return self._path.with_name(f"{self._path.stem}.{last + 1:06}{self._path.suffix}")

    def put_away(self, full: Path) -> None:
        """Pack it, and drop the oldest."""
        _pack(full)
        for old in self.packed()[: -self._kept]:
            old.unlink()

    def submit(self, work: Callable[[Path], None], path: Path) -> Future[None]:
        """Have it done beside us."""
        if self._packer is None:
            self._packer = ThreadPoolExecutor(1, "log")
        return self._packer.submit(work, path)

    def close(self) -> None:
        """Wait for what is being packed."""
        if self._packer is not None:
            self._packer.shutdown()
            self._packer = None


class RotatedFile:
    """`{folder}/{stream}.jsonl`, and `{stream}.{number}.jsonl.gz` of what was before; the largest number is newest."""

    def __init__(self, folder: Path, stream: str, full_bytes: int = FULL_BYTES, kept: int = KEPT) -> None:
        self._full_bytes = full_bytes
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = folder / f"{stream}.jsonl"
        self._former = _Former(self.path, kept)
        self._cut_torn()
        self._file = _open(self.path)
        for left in self._former.left():  # of a process that died while it packed
            _pack(left)

    def write(self, line: bytes) -> None:
        """Append a line. Raises OSError where the disk does not take it."""
        self._file.write(line + b"\n")
        if self._file.tell() >= self._full_bytes:
            self._rotate()

    def last_line(self) -> bytes:
        """The newest line there is, of this process or a former one; empty where there is none."""
        self._file.flush()
        if ending := _ending(self.path.read_bytes()[-ENDING_BYTES:]):
            return ending
        packed = self._former.packed()
        return _ending(gzip.decompress(packed[-1].read_bytes())[-ENDING_BYTES:]) if packed else b""

    def flush(self) -> None:
        """Hand all that was written to the system."""
        self._file.flush()

    def close(self) -> None:
        """Flush, and wait for what is being packed."""
        self._file.close()
        self._former.close()

    def _cut_torn(self) -> None:
        if self.path.exists() and (size := self.path.stat().st_size):
            with self.path.open("rb+") as file:
                file.seek(max(0, size - ENDING_BYTES))
                ending = file.read()
                file.truncate(size - len(ending) + ending.rfind(b"\n") + 1)

    def _rotate(self) -> None:
        """Set the full one aside under the next number; it is packed beside us."""
        self._file.close()
        aside = self.path.rename(self._former.next())
        self._file = _open(self.path)
        self._former.submit(self._former.put_away, aside)


class ChildLog:
    """A log that a program of ours appends to for as long as it runs: at `path`, former ones as of `RotatedFile`. It is
    bounded by whoever looks at it now and then. Not for lines that may not be lost: one that is written in the moment
    between copying and emptying is."""

    def __init__(self, path: Path, full_bytes: int = FULL_BYTES, kept: int = KEPT) -> None:
        self.path, self._full_bytes = path, full_bytes
        self._former = _Former(path, kept)
        self._copying: Future[None] | None = None

    def begin(self) -> BinaryIO:
        """An empty one for a program that starts; what was there before is set aside."""
        if self.path.exists() and self.path.stat().st_size:
            self.path.rename(self._former.next())
        for left in self._former.left():
            self._former.submit(self._former.put_away, left)
        return _open(self.path)

    def look(self) -> None:
        """Set aside what is full, beside us, while its program goes on writing: it appends to the emptied file."""
        if self._copying is not None and not self._copying.done():
            return
        if self.path.exists() and self.path.stat().st_size >= self._full_bytes:
            self._copying = self._former.submit(self._empty, self._former.next())

    def close(self) -> None:
        """Wait for what is being put away."""
        self._former.close()

    def _empty(self, aside: Path) -> None:
        with self.path.open("rb") as full, _open(aside) as copy:
            shutil.copyfileobj(full, copy)
        os.truncate(self.path, 0)
        self._former.put_away(aside)


def _open(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def _number(path: Path) -> int:
    return int(path.name.split(".")[1])


def _ending(text: bytes) -> bytes:
    return text.rstrip(b"\n").rpartition(b"\n")[2]


def _pack(path: Path) -> None:
    """Gzip a file, and only then let go of it."""
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with path.open("rb") as full, os.fdopen(descriptor, "wb") as raw, gzip.GzipFile("", "wb", 6, raw, 0) as packed:
        shutil.copyfileobj(full, packed)
    fresh.replace(path.with_name(f"{path.name}.gz"))
    path.unlink()
