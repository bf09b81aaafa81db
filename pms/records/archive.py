"""Events that have left the stream for the data directory (pms/bus/trim.py), for a writer that was away that long.

Owns finding and reading them. Refuses to write there.
"""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import NamedTuple

import structlog

from pms.bus.trim import FOLDER

_NAME = re.compile(r"(\d{20})-(\d{20})\.jsonl\.gz")
_log = structlog.get_logger("pms.records.archive")


class File(NamedTuple):
    """One file of the archive and the numbers of its first and last event."""

    first: int
    last: int
    path: Path


def files(data: Path) -> list[File]:
    """What the archive holds, in the order of the events."""
    found = [(match, path) for path in (data / FOLDER).glob("*.gz") if (match := _NAME.fullmatch(path.name))]
    return sorted(File(int(match[1]), int(match[2]), path) for match, path in found)


def after(data: Path, seq: int, before: int) -> list[bytes]:
    """The events of the first file that has any after `seq`, where it begins before `before`; none where no file
    does. They may begin with known ones."""
    for file in files(data):
        if file.last > seq and file.first < before:
            try:
                return gzip.decompress(file.path.read_bytes()).splitlines()
            except (OSError, EOFError) as error:
                _log.error("archive_unreadable", path=str(file.path), reason=str(error))
    return []
