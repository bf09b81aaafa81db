"""What waits for Redis, in order: a bounded queue in memory, mirrored to a file while Redis is away (execution.md 30).

Owns the order, the shedding of progress batches and the spill file. Refuses to know Redis. Invariants: nothing but
needless progress batches is ever left out; what is on file only comes after all that is in memory; the file holds every
batch that waits, so that a SIGKILL in an outage loses none (it is written, not fsynced: a power failure may).
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import BinaryIO

import msgspec
import structlog

from pms.bus.batch import Batch, Conflict, Durable, Outcome, Record, Shed

# A batch is about 2 kB with its future: 20 MB at most, and two minutes of a busy daemon.
MEMORY_BATCHES = 10_000

SPILL_FILE = "spill.jsonl"
SEQ_FILE = "seq"

_log = structlog.get_logger("pms.bus.outbox")


class Entry:
    """One batch on its way. `doubt`: it was sent and no answer came. `base`: the seq that must stand before it."""

    __slots__ = ("base", "batch", "doubt", "future", "sent_at")

    def __init__(self, batch: Batch, future: Durable, doubt: bool = False) -> None:
        self.batch = batch
        self.future = future
        self.doubt = doubt
        self.base = 0
        self.sent_at = 0.0

    def resolve(self, outcome: Outcome) -> None:
        self.future.end(outcome)

    def fail(self, error: Exception) -> None:
        self.future.end(error)


class Spilled(msgspec.Struct, frozen=True):
    """A spill file: the epoch and seq that stood when Redis went away, and what waited from there on."""

    epoch: int
    seq: int
    batches: tuple[Batch, ...] = ()

    def joins(self, epoch: int, seq: int) -> bool:
        """Whether a log that ends at `seq` under `epoch` ends where one of these batches begins, or after the last."""
        bounds = {self.seq}
        at = self.seq
        for batch in self.batches:
            at += len(batch.events)
            bounds.add(at)
        return epoch == self.epoch and seq in bounds


def read_spill(path: Path) -> Spilled | None:
    """The spill file a killed daemon left, or None.

    A torn last line is what was being written: it was never promised.
    """
    if not path.exists():
        return None
    lines = path.read_bytes().split(b"\n")
    complete = lines[:-1]
    if not complete:
        return None
    head = msgspec.json.decode(complete[0], type=Spilled)
    return Spilled(head.epoch, head.seq, tuple(msgspec.json.decode(line, type=Batch) for line in complete[1:]))


class Outbox:
    """The queue. `folder` None keeps all in memory."""

    def __init__(self, folder: Path | None, limit: int = MEMORY_BATCHES) -> None:
        self.path = None if folder is None else folder / SPILL_FILE
        self.shed = 0
        self.kept: Path | None = None  # a spill file that did not join: to be alarmed
        self._seq_path = None if folder is None else folder / SEQ_FILE
        self._limit = self._shed_at = limit
        self._memory: deque[Entry] = deque()
        self._on_file: deque[Durable] = deque()
        self._file: BinaryIO | None = None
        self._read_at = 0
        self._forced = False
        self._head = Spilled(0, 0)

    def __len__(self) -> int:
        return len(self._memory) + len(self._on_file)

    @property
    def used(self) -> bool:
        """Whether anything waits, or a file that has done its work is still there."""
        return bool(self._memory) or self._file is not None

    @property
    def events_in_doubt(self) -> int:
        """How many events of those that wait may stand in Redis already."""
        return sum(len(entry.batch.events) for entry in self._memory if entry.doubt)

    def push(self, entry: Entry) -> None:
        """Queue at the end. Beyond the bound: shed, then keep it on file only."""
        if not self._on_file and len(self._memory) >= self._shed_at:
            self._shed()
            self._shed_at = max(self._limit, len(self._memory) + self._limit // 10)  # looking is O(n)
        full = self._file is not None and (self._on_file or len(self._memory) >= self._limit)
        if full:
            self._on_file.append(entry.future)
        else:
            self._memory.append(entry)
        if self._file is not None and not self._append(entry.batch) and full:
            self._on_file.pop()
            self._memory.append(entry)

    def push_front(self, entries: list[Entry]) -> None:
        """Put back what was sent and is not answered, in its order, before everything else."""
        self._memory.extendleft(reversed(entries))

    def conflict(self, entry: Entry, detail: str) -> None:
        """A record stands at another version: the waiter is told, or what overwrites waits to do so."""
        if not entry.batch.overwrites:
            entry.fail(Conflict(detail))
            return
        _log.error("record_overwritten_by_a_client", detail=detail)
        self.push(Entry(_unconditional(entry.batch), entry.future))

    def pop(self) -> Entry:
        """The oldest. Raises IndexError when empty."""
        if not self._memory and self._on_file:
            self._refill()
        return self._memory.popleft()

    def force(self) -> None:
        """Redis lost what the waiting batches build on: write their records whatever stands there."""
        self._forced = True
        for entry in self._memory:
            entry.doubt = False
            entry.batch = _unconditional(entry.batch)

    # the file

    def recover(self, epoch: int, seq: int) -> Spilled | None:
        """What a killed daemon left, if it joins the log that ends at `seq` under the epoch before ours; else it is
        kept aside.
        """
        if self.path is None:
            return None
        spilled = read_spill(self.path)
        if spilled is None or spilled.joins(epoch, seq):
            return spilled
        self.kept = self.path.with_suffix(f".{spilled.epoch}.kept")
        self.path.replace(self.kept)
        _log.error("spill_file_does_not_join", kept=str(self.kept), epoch=epoch, seq=seq, batches=len(spilled.batches))
        return None

    def begin(self, epoch: int, seq: int) -> None:
        """Redis is away: mirror what waits to the file from now on."""
        if self.path is None or self._file is not None:
            return
        self._head = Spilled(epoch, seq)
        self._rewrite()

    def end(self) -> None:
        """All that waited is written: the file has done its work."""
        if self._file is not None and self.path is not None and not len(self):
            self._file.close()
            self._file = None
            self._forced = False
            self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Leave the file, if there is one, to the next start."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _rewrite(self) -> None:
        assert self.path is not None
        self.close()
        lines = [msgspec.json.encode(self._head), *(msgspec.json.encode(entry.batch) for entry in self._memory), b""]
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fresh = self.path.with_suffix(".new")
            self._file = fresh.open("w+b", buffering=0)
            self._file.write(b"\n".join(lines))
            fresh.replace(self.path)
        except OSError as error:
            self._disk_failed(error)

    def _append(self, batch: Batch) -> bool:
        assert self._file is not None
        try:
            start = self._file.seek(0, 2)
            self._file.write(msgspec.json.encode(batch) + b"\n")
        except OSError as error:
            self._disk_failed(error)
            return False
        if len(self._on_file) == 1:
            self._read_at = start  # where the first of those on file only begins
        return True

    def _disk_failed(self, error: OSError) -> None:
        """Without the file a SIGKILL now loses what waits; memory takes what the disk does not, beyond the bound."""
        _log.error("spill_file_failed", path=str(self.path), error=str(error), waiting=len(self))
        if self._file is not None and not self._on_file:
            self._file.close()
            self._file = None

    def _refill(self) -> None:
        assert self._file is not None
        self._file.seek(self._read_at)
        lines = [self._file.readline() for _ in range(min(len(self._on_file), self._limit))]
        self._read_at = self._file.tell()
        for line in lines:
            batch = msgspec.json.decode(line, type=Batch)
            batch = _unconditional(batch) if self._forced else batch
            self._memory.append(Entry(batch, self._on_file.popleft()))

    # the number of the last event, noted now and then: by it a restored older Redis is seen

    def note_seq(self, seq: int) -> None:
        """Write the number down, as it is worth it."""
        if self._seq_path is not None:
            fresh = self._seq_path.with_suffix(".new")
            fresh.write_text(f"{seq}\n")
            fresh.replace(self._seq_path)

    def noted_seq(self) -> int:
        """The number last written down, 0 where there is none."""
        if self._seq_path is None or not self._seq_path.exists():
            return 0
        text = self._seq_path.read_text().strip()
        return int(text) if text.isdigit() else 0

    # shedding

    def _shed(self) -> None:
        """Leave out progress batches whose records a later batch overwrites; that batch takes over the version they
        expected.
        """
        expected: dict[tuple[str, str], int | None] = {}
        overwritten: set[tuple[str, str]] = set()
        needless: set[int] = set()
        for entry in reversed(self._memory):
            rows = {(record.key, record.field) for record in entry.batch.records}
            if entry.batch.progress and not entry.doubt and entry.batch.claim is None and rows <= overwritten:
                needless.add(id(entry))
            overwritten |= rows
        kept: deque[Entry] = deque()
        for entry in self._memory:
            if id(entry) in needless:
                for record in entry.batch.records:
                    expected.setdefault((record.key, record.field), record.expected_rev)
                entry.resolve(Shed())
                self.shed += 1
                continue
            if expected:
                entry.batch = _taking_over(entry.batch, expected)
            kept.append(entry)
        if needless:
            self._memory = kept
            if self._file is not None:
                self._rewrite()


def _taking_over(batch: Batch, expected: dict[tuple[str, str], int | None]) -> Batch:
    """The batch with the versions that the shed ones before it expected; each is handed over once."""

    def take(record: Record) -> Record:
        row = (record.key, record.field)
        if row not in expected:
            return record
        return msgspec.structs.replace(record, expected_rev=expected.pop(row))

    return msgspec.structs.replace(batch, records=tuple(take(record) for record in batch.records))


def _unconditional(batch: Batch) -> Batch:
    records = tuple(msgspec.structs.replace(record, expected_rev=None) for record in batch.records)
    return msgspec.structs.replace(batch, records=records, overwrites=False)
