"""Log files that stay bounded: one stream of JSON lines, set aside and gzipped when it is full, the oldest dropped.

Owns one file and its former ones. Refuses to know what a line says. Private to its owner; a line is written whole or
not at all, and a torn one of a killed process is cut off at the next start.
"""

from __future__ import annotations

import gzip
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

FOLDER = "logs"  # in the data directory
FULL_BYTES = 16 << 20
KEPT = 8  # full ones of a stream, packed to about a tenth: 30 MB at most, with the one being written
ENDING_BYTES = 1 << 16  # of a file, in which its last line is looked for


class RotatedFile:
    """`{folder}/{stream}.jsonl`, and `{stream}.{number}.jsonl.gz` of what was before; the largest number is newest."""

    def __init__(self, folder: Path, stream: str, full_bytes: int = FULL_BYTES, kept: int = KEPT) -> None:
        self._folder, self._stream = folder, stream
        self._full_bytes, self._kept = full_bytes, kept
        self._packer: ThreadPoolExecutor | None = None
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = folder / f"{stream}.jsonl"
        self._cut_torn()
        self._file = self._open()
        for left in sorted(folder.glob(f"{stream}.*.jsonl")):  # of a process that died while it packed
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
        packed = self._packed()
        return _ending(gzip.decompress(packed[-1].read_bytes())[-ENDING_BYTES:]) if packed else b""

    def flush(self) -> None:
        """Hand all that was written to the system."""
        self._file.flush()

    def close(self) -> None:
        """Flush, and wait for what is being packed."""
        self._file.close()
        if self._packer is not None:
            self._packer.shutdown()

    def _open(self) -> BinaryIO:
        return os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")

    def _cut_torn(self) -> None:
        if self.path.exists() and (size := self.path.stat().st_size):
            with self.path.open("rb+") as file:
                file.seek(max(0, size - ENDING_BYTES))
                ending = file.read()
                file.truncate(size - len(ending) + ending.rfind(b"\n") + 1)

    def _rotate(self) -> None:
        """Set the full one aside under the next number; it is packed beside us."""
        self._file.close()
        packed = self._packed()
        number = _number(packed[-1]) + 1 if packed else 1
        pending = [_number(path) for path in self._folder.glob(f"{self._stream}.*.jsonl")]
        aside = self._folder / f"{self._stream}.{max([number - 1, *pending]) + 1:06}.jsonl"
        self.path.rename(aside)
        self._file = self._open()
        if self._packer is None:
            self._packer = ThreadPoolExecutor(1, "log")
        self._packer.submit(self._put_away, aside)

    def _put_away(self, full: Path) -> None:
        _pack(full)
        for old in self._packed()[: -self._kept]:
            old.unlink()

    def _packed(self) -> list[Path]:
        return sorted(self._folder.glob(f"{self._stream}.*.jsonl.gz"), key=_number)


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
    fresh.replace(path.with_suffix(".jsonl.gz"))
    path.unlink()
