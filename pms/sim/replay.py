"""Recorded markets as feeds: captures turned into feed events, several symbols merged, several passes joined.

Owns the order of the events (by the venue's `E`, then by update id), the start at the recorded snapshot, and the joint
between two passes. Refuses to know pacing: times are recorded times, moved only to join passes or to start the symbols
together. A snapshot counts as of its `T`: its `E` is when the answer left, later than frames that continue it.
Update ids are the recorded ones; they are shifted, by one constant a pass, only where they would not rise.
Memory is bounded: a file is streamed, and events wait `HORIZON_MS` at most to be put in order.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import cycle
from pathlib import Path

import msgspec

from pms.sim.captures import (
    CaptureError,
    DepthFrame,
    Frame,
    Level,
    SnapshotFrame,
    TouchFrame,
    TradeFrame,
    apply_levels,
    follow,
    frames,
)
from pms.sim.feed import GRID_MS, side_by_side, with_marks
from pms.sim.model import DepthDiff, DepthSnapshot, FeedEvent, Print, Touch

HORIZON_MS = 250
"""How far file order may be behind `E`; the captures' greatest disorder is 31 ms."""

SNAPSHOT_WITHIN = 5000
"""Lines to look for the REST snapshot in; the captures have it within the first 54. It bounds what waits for it."""

START_GRID_MS = 1000
"""Passes and symbols are moved by whole seconds, so that seconds and push windows hold what they held."""

ID_GAP = 1000
"""Distance of a shifted pass from the one before: room for the venue's own changes, whose ids lie between frames."""


Recorded = DepthSnapshot | DepthDiff | Touch | Print


class Head(msgspec.Struct, frozen=True):
    """What a recording is of and when its snapshot was taken (venue time, ms)."""

    path: Path
    symbol: str
    start: int


def head(path: Path) -> Head:
    """Read as far as the snapshot. Raises `CaptureError` when there is none near the start."""
    symbol, start = "", -1
    for number, frame in enumerate(frames(path)):
        if not isinstance(frame, SnapshotFrame):
            symbol = frame.s
        elif start < 0:
            start = frame.T
        if symbol and start >= 0:
            return Head(path=path, symbol=symbol, start=start)
        if number >= SNAPSHOT_WITHIN:
            break
    raise CaptureError(
        f"{path}: no REST depth snapshot beside stream frames in the first {SNAPSHOT_WITHIN} lines. Nothing was "
        "replayed, since a book can't be built without it. Record one, or give another file."
    )


def replay(paths: Sequence[Path], loop: bool = False) -> Iterator[FeedEvent]:
    """The recordings' events in order of time: different symbols side by side, files of one symbol one after another.

    `loop` starts each symbol's files over without end. Raises `CaptureError` at once for a file that can't be replayed.
    """
    tapes: dict[str, list[Head]] = {}
    for path in paths:
        found = head(path)
        tapes.setdefault(found.symbol, []).append(found)
    together = min((heads[0].start for heads in tapes.values()), default=0)
    return side_by_side(with_marks(_tape(heads, loop, together)) for heads in tapes.values())


class _Joint:
    """Where the passes of one tape meet: the book, the highest ids and the last time so far."""

    def __init__(self, keep_book: bool) -> None:
        self.update_id = 0
        self.trade_id = 0
        self.time: int | None = None
        self.keep_book = keep_book
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}

    def note(self, event: Recorded) -> None:
        self.time = event.time
        if isinstance(event, Print):
            self.trade_id = event.trade_id
        elif isinstance(event, Touch):
            self.update_id = max(self.update_id, event.update_id)
        else:
            self.update_id = event.last_id
            if self.keep_book:
                apply_levels(self.bids, event.bids)
                apply_levels(self.asks, event.asks)


def _tape(heads: list[Head], loop: bool, together: int) -> Iterator[FeedEvent]:
    joint = _Joint(keep_book=loop or len(heads) > 1)
    for recording in cycle(heads) if loop else heads:
        # One pass follows the other at the next push window; the first starts with the other symbols' first.
        begin = together if joint.time is None else joint.time + GRID_MS
        shift = -((recording.start - begin) // START_GRID_MS) * START_GRID_MS
        for event in _pass(recording, joint, shift):
            joint.note(event)
            yield event


def _pass(recording: Head, joint: _Joint, time_shift: int) -> Iterator[Recorded]:
    symbol = recording.symbol
    id_shift = trade_shift = last_id = 0
    chained: int | None = None
    for frame in _from_snapshot(_ordered(frames(recording.path))):
        time = frame.E + time_shift
        match frame:
            case SnapshotFrame():
                id_shift = max(joint.update_id + ID_GAP - frame.last_update_id, 0) if joint.update_id else 0
                last_id = frame.last_update_id
                opening, chained = _opening(symbol, frame, joint, id_shift, frame.T + time_shift)
                yield opening
            case TouchFrame():
                yield Touch(symbol, time, frame.b, frame.B, frame.a, frame.A, frame.u + id_shift)
            case TradeFrame():
                trade_shift = trade_shift or max(joint.trade_id + 1 - frame.t, 0)
                yield Print(symbol, time, frame.p, frame.q, frame.m, frame.t + trade_shift)
            case DepthFrame() if frame.u > last_id:  # the one that ends with the snapshot's id is inside it
                first, previous = frame.U + id_shift, frame.pu + id_shift
                if chained is not None:
                    # The frame that holds the snapshot's id reaches back before the joint: it continues from there.
                    first, previous, chained = chained + 1, chained, None
                yield DepthDiff(symbol, time, frame.b, frame.a, first, frame.u + id_shift, previous)


def _opening(
    symbol: str, snapshot: SnapshotFrame, joint: _Joint, id_shift: int, time: int
) -> tuple[DepthSnapshot | DepthDiff, int | None]:
    """The snapshot itself at the start of a tape; later the change that leads from the book so far to it, so that a
    subscriber's chain is not broken. With it, the id from which that pass's first frame has to continue."""
    last_id = snapshot.last_update_id + id_shift
    if joint.time is None:
        return DepthSnapshot(symbol, time, snapshot.bids, snapshot.asks, last_id), None
    bids, asks = _difference(joint.bids, snapshot.bids), _difference(joint.asks, snapshot.asks)
    return DepthDiff(symbol, time, bids, asks, joint.update_id + 1, last_id, joint.update_id), last_id


def _difference(book: dict[Decimal, Decimal], wanted: tuple[Level, ...]) -> tuple[Level, ...]:
    target = dict(wanted)
    gone = ((price, Decimal(0)) for price in book if price not in target)
    changed = ((price, quantity) for price, quantity in target.items() if book.get(price) != quantity)
    return tuple(sorted((*gone, *changed)))


def _ordered(source: Iterable[Frame]) -> Iterator[Frame]:
    """By `E`, at equal `E` by update id, at equal ids the bookTicker before the depth frame that it is a part of; a
    trade, which has no id, stays behind the bookTicker that it was read after.

    Until the snapshot has come nothing is given away, since it decides what is used; it comes first.
    """
    waiting: list[tuple[int, int, bool, int, Frame]] = []
    newest = touch_id = 0
    opened = False
    for number, frame in enumerate(source):
        if isinstance(frame, SnapshotFrame):
            if not opened:
                yield frame
            opened = True
            continue
        if isinstance(frame, TouchFrame):
            touch_id = frame.u
        place = touch_id if isinstance(frame, TradeFrame) else frame.u
        heapq.heappush(waiting, (frame.E, place, isinstance(frame, DepthFrame), number, frame))
        newest = max(newest, frame.E)
        while opened and waiting and waiting[0][0] < newest - HORIZON_MS:
            yield heapq.heappop(waiting)[4]
    while waiting:
        yield heapq.heappop(waiting)[4]


def _from_snapshot(source: Iterable[Frame]) -> Iterator[Frame]:
    """The snapshot, then what is newer: depth by the strict rule of binance.md 6.3, touches by id, trades by time."""
    stream = iter(source)
    snapshot = next(stream)
    assert isinstance(snapshot, SnapshotFrame), "the ordering gives the snapshot first, and `head` made sure of one"
    yield snapshot
    kept: list[Frame] = []

    def depth() -> Iterator[DepthFrame]:
        for frame in stream:
            if isinstance(frame, DepthFrame):
                yield frame
            elif _is_newer(frame, snapshot):
                kept.append(frame)

    for frame in follow(snapshot, depth()):
        yield from kept
        kept.clear()
        yield frame
    yield from kept


def _is_newer(frame: Frame, snapshot: SnapshotFrame) -> bool:
    return frame.u > snapshot.last_update_id if isinstance(frame, TouchFrame) else frame.E > snapshot.T
