"""The event stream kept bounded (contract.md, "Events out"): behind what the records hold in SQL, and at a hard cap
behind what lies in the archive.

Owns the trimming and the archive, gzipped JSON lines in the data directory. Refuses to know what an event says: it
moves bytes. Invariant: an event leaves the stream only once it is in SQL or, durably, in the archive. What is done at
once is a whole step from the oldest event on, so that after a crash between the two the next run writes the same file
again; duplicates, where its bounds have changed meanwhile, are told by their seq.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import re
from pathlib import Path
from typing import Protocol

import msgspec
import structlog

from pms.bus.batch import Gone
from pms.bus.caller import Caller
from pms.bus.link import Refusal, Reply
from pms.clock import Clock
from schemas import codec
from schemas.errors import Invalid
from schemas.keys import Keys
from schemas.records import Commit, Severity

PACE_S = 60.0  # a busy daemon writes 60 000 events in it, 6 % of the cap
PAGE = 1_000  # reading 100 000 events at once holds Redis up for 229 ms, reading 1 000 for half a millisecond
ROOM = 10  # at the cap a tenth of it is cleared: a run in ten minutes, not in every one
SAMPLES = 100  # nodes of about 100 events by which Redis estimates the stream's memory; 0.1 ms
COMPRESSION = 1  # of gzip, its fastest: the default takes three times as long to save another 3 % of order events
FOLDER = "events"
HALF_FULL = "event_stream_half_full"
NOT_ARCHIVED = "event_archive_failed"

_log = structlog.get_logger("pms.bus.trim")


class Limits(msgspec.Struct, frozen=True):
    """How many events the stream may hold (contract.md)."""

    keep: int = 100_000  # a client that missed no more than these goes on without reading all state again
    cap: int = 1_000_000  # about 700 MB
    memory_share: int = 4  # or this part of Redis' maxmemory, if that is less: the rest is for state, and for forks
    step: int = 5_000  # trimmed at once, and one file: 3 MB in memory, 1 ms of Redis (2 of a 6.2)


class Alarms(Protocol):
    """Raises and clears alarms (pms/alarms.py)."""

    def sound(self, code: str, severity: Severity, subject: str, message: str, now: int) -> None: ...

    def clear(self, code: str, subject: str, now: int) -> None: ...


class _Found(msgspec.Struct, frozen=True):
    """The stream as it is. `room` is what is cleared at the cap, `committed` the last seq in SQL, 0 where none is."""

    length: int
    cap: int
    room: int
    committed: int


class Trim:
    """See the module. `folder` is the data directory; without one nothing can be archived, and only SQL makes room."""

    def __init__(
        self,
        caller: Caller,
        keys: Keys,
        clock: Clock,
        folder: Path | None,
        alarms: Alarms,
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> None:
        self._caller, self._clock, self._alarms, self._limits = caller, clock, alarms, limits
        self._stream, self._records = keys.event_stream, keys.records
        self._folder = None if folder is None else folder / FOLDER

    async def run(self) -> None:
        """Trim every `PACE_S`. What Redis refuses or does not answer is tried again the next time."""
        while True:
            await self._clock.sleep(PACE_S)
            try:
                await self.trim()
            except (Gone, Refusal) as error:
                _log.warning("event_stream_not_trimmed", reason=repr(error))

    async def trim(self) -> None:
        """Once, now. Raises Gone, Refusal; nothing is lost by either."""
        found = await self._look()
        left = await self._shorten(found)
        now = self._clock.now_ms()
        if found.length < found.cap:  # nothing had to be archived
            self._alarms.clear(NOT_ARCHIVED, self._stream, now)
        if 2 * left >= found.cap:
            self._alarms.sound(HALF_FULL, "warning", self._stream, self._message(left, found), now)
        elif 2 * left < found.cap - found.room:  # not at once below: an estimated cap moves a little
            self._alarms.clear(HALF_FULL, self._stream, now)

    async def _shorten(self, found: _Found) -> int:
        """Trim whole steps from the oldest on. Returns how many events are left."""
        left = found.length
        low = found.cap - found.room if found.length >= found.cap else found.length
        keep = min(self._limits.keep, found.cap - found.room)
        step = min(self._limits.step, found.room)
        while left - step >= keep:
            over = left - step >= low
            if not over and not found.committed:
                break
            events = await self._oldest(step)
            if len(events) < step:  # somebody else trims, or Redis was emptied: look again the next time
                break
            last = events[-1][0]
            if last > found.committed and not (over and await self._archive(events)):
                break
            removed = await self._caller.call("XTRIM", self._stream, "MINID", "=", last + 1)
            assert isinstance(removed, int), "XTRIM answers a number"
            left -= removed
        return left

    async def _look(self) -> _Found:
        length, records, info, used = await self._caller.calls(
            [
                ("XLEN", self._stream),
                ("GET", self._records),
                ("INFO", "memory"),
                ("MEMORY", "USAGE", self._stream, "SAMPLES", SAMPLES),
            ]
        )
        for reply in (length, records):
            if isinstance(reply, Refusal):
                raise reply
        assert isinstance(length, int), "XLEN answers a number"
        cap = self._cap(length, info, used)
        return _Found(length, cap, max(1, cap // ROOM), _committed(records))

    def _cap(self, length: int, info: Reply, used: Reply) -> int:
        """In events, two at least: the last one's id shows that numbering goes on. A Redis that does not tell its
        memory (none that is real) has the fixed cap."""
        if not isinstance(info, bytes) or not isinstance(used, int) or not length:
            return self._limits.cap
        limit = re.search(rb"^maxmemory:(\d+)", info, re.MULTILINE)
        share = int(limit[1]) // self._limits.memory_share if limit else 0
        return max(2, min(self._limits.cap, share * length // used)) if share else self._limits.cap

    async def _oldest(self, count: int) -> list[tuple[int, bytes]]:
        """The first `count` events with their seq, fewer where there are fewer."""
        found: list[tuple[int, bytes]] = []
        start = "-"
        while len(found) < count:
            wanted = min(PAGE, count - len(found))
            page = await self._caller.call("XRANGE", self._stream, start, "+", "COUNT", wanted)
            assert isinstance(page, list), "XRANGE answers entries"
            found += [(int(entry_id.split(b"-")[0]), fields[1]) for entry_id, fields in page]
            if len(page) < wanted:
                break
            start = f"({page[-1][0].decode()}"
        return found

    async def _archive(self, events: list[tuple[int, bytes]]) -> bool:
        """Whether they are on disk."""
        if self._folder is None:
            return False
        path = self._folder / f"{events[0][0]:020d}-{events[-1][0]:020d}.jsonl.gz"  # in the order of seq when listed
        try:
            # In a thread: packing takes 10 ms, and fsync what the disk likes, which the feed can't wait for.
            await asyncio.to_thread(_write, path, [body for _, body in events])
        except OSError as error:
            message = (
                f"{len(events)} events could not be archived ({error}). They stay in Redis, which fills up. "
                f"Make room on the disk of {self._folder}, or start the records writer."
            )
            self._alarms.sound(NOT_ARCHIVED, "critical", self._stream, message, self._clock.now_ms())
            return False
        _log.info("events_archived", path=str(path), count=len(events))
        return True

    def _message(self, left: int, found: _Found) -> str:
        writer = f"has committed up to {found.committed}" if found.committed else "has never run"
        then = f"go to {self._folder}" if self._folder else "stay, since there is no data directory to archive them in"
        return (
            f"The event stream holds {left} of at most {found.cap} events, and the records writer {writer}. Nothing is "
            f"lost; at the limit the oldest {then}. Start the records writer, or give Redis more maxmemory."
        )


def _committed(records: Reply) -> int:
    """The last seq in SQL. What can't be read proves nothing to be there."""
    if not isinstance(records, bytes):
        return 0
    try:
        return codec.decode(Commit, records).seq
    except Invalid as error:
        _log.warning("records_unreadable", reason=str(error))
        return 0


def _write(path: Path, lines: list[bytes]) -> None:
    """Replace the file as a whole, on disk when this returns. The same lines make the same bytes."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(gzip.compress(b"\n".join(lines) + b"\n", COMPRESSION, mtime=0))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    for folder in (path.parent, path.parent.parent):  # the new names, too
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
