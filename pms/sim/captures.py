"""The recording format: gzip files of `<local receive time, ns> <raw JSON text>` lines (binance.md section 10).

Owns the decoding of a line, the window merge of depth frames and the offline rebuild that a replay is checked against.
Refuses to know pacing, the exchange and the 2026 fields: frames are returned as recorded. The receive time is ignored,
since the recording clock is skewed against the venue's `E`. A file is streamed; one line is in memory at a time.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path

import msgspec

Level = tuple[Decimal, Decimal]
"""Price and absolute quantity; a quantity of 0 removes the level."""

WINDOW_MS = 100
"""The `@100ms` push interval, and so the default window of the merge (binance.md section 10)."""


class CaptureError(Exception):
    """A recording can't be used; the text says which file, why, and what to do."""


class DepthFrame(msgspec.Struct, frozen=True, tag_field="e", tag="depthUpdate"):
    """A diff depth frame, in the venue's field names (binance.md 6.2). A merge keeps the type."""

    E: int
    T: int
    s: str
    U: int
    u: int
    pu: int
    b: tuple[Level, ...]
    a: tuple[Level, ...]


class TouchFrame(msgspec.Struct, frozen=True, tag_field="e", tag="bookTicker"):
    """A best bid/ask frame; `u` is comparable with a depth frame's `u`."""

    u: int
    s: str
    b: Decimal
    B: Decimal
    a: Decimal
    A: Decimal
    T: int
    E: int


class TradeFrame(msgspec.Struct, frozen=True, tag_field="e", tag="trade"):
    """A single trade; `m` says that the buyer was the maker. `X` other than MARKET is no trade of the order book."""

    E: int
    T: int
    s: str
    t: int
    p: Decimal
    q: Decimal
    m: bool
    X: str = "MARKET"


class SnapshotFrame(msgspec.Struct, frozen=True):
    """The REST depth answer that the recorder asked for once, at most 1000 levels a side."""

    last_update_id: int = msgspec.field(name="lastUpdateId")
    E: int
    T: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


Frame = DepthFrame | TouchFrame | TradeFrame | SnapshotFrame


class _Line(msgspec.Struct, frozen=True):
    stream: str = ""
    data: DepthFrame | TouchFrame | TradeFrame | None = None


_decode_line = msgspec.json.Decoder(_Line).decode
_decode_snapshot = msgspec.json.Decoder(SnapshotFrame).decode


def frames(path: Path) -> Iterator[Frame]:
    """Every frame of the recording in file order, which may differ from the order of `E` by some 30 ms.

    Raises `CaptureError` for a file that can't be read or a line that is not in the format.
    """
    number = 0
    try:
        with gzip.open(path, "rb") as file:
            for line in file:
                number += 1
                text = line.partition(b" ")[2]
                data = _decode_line(text).data
                yield data if data is not None else _decode_snapshot(text)
    except msgspec.DecodeError as error:
        raise CaptureError(
            f"{path}: line {number} is no recorded frame ({error}). Nothing after it was read."
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise CaptureError(f"{path}: can't be read after line {number} ({error}). Give a gzip recording.") from error


def _merged(window: list[DepthFrame]) -> DepthFrame:
    first, last = window[0], window[-1]
    if first is last:
        return first
    bids = dict(level for frame in window for level in frame.b)
    asks = dict(level for frame in window for level in frame.a)
    return DepthFrame(
        E=last.E,
        T=last.T,
        s=first.s,
        U=first.U,
        u=last.u,
        pu=first.pu,
        b=tuple(sorted(bids.items())),
        a=tuple(sorted(asks.items())),
    )


def merge_windows(source: Iterable[DepthFrame], width_ms: int = WINDOW_MS) -> Iterator[DepthFrame]:
    """One frame for each `width_ms` window of `E` that has any: `U` and `pu` of its first, `u`, `E`, `T` of its last.

    The last quantity of a level wins and each side ascends, so the book is the same at every window's end
    (binance.md section 10). `source` must be one symbol's frames in order of `E`.
    """
    window: list[DepthFrame] = []
    for frame in source:
        if window and frame.E // width_ms != window[0].E // width_ms:
            yield _merged(window)
            window = []
        window.append(frame)
    if window:
        yield _merged(window)


class Agreement(msgspec.Struct, frozen=True):
    """How often a book could be compared with a bookTicker of the same update id, and how often it was equal."""

    compared: int
    equal: int


class Rebuilt(msgspec.Struct, frozen=True):
    """The offline rebuild of one recording.

    A bookTicker is pushed at each change of the touch, a depth frame every 50 ms or so; they can be compared only where
    a frame's last change happened to be a change of the touch, which is so for about one frame in ten.
    """

    symbol: str
    raw: Agreement
    merged: Agreement


def rebuild(path: Path, width_ms: int = WINDOW_MS) -> Rebuilt:
    """The book from the snapshot and the frames by the strict rule of binance.md 6.3, compared on price and size of the
    touch with every bookTicker of the same update id, over the frames as recorded and over their merge."""
    snapshot: SnapshotFrame | None = None
    depth: list[DepthFrame] = []
    touches: dict[int, TouchFrame] = {}
    for frame in frames(path):
        if isinstance(frame, SnapshotFrame):
            snapshot = snapshot or frame
        elif isinstance(frame, DepthFrame):
            depth.append(frame)
        elif isinstance(frame, TouchFrame):
            touches[frame.u] = frame
    if snapshot is None or not depth:
        raise CaptureError(f"{path}: holds no REST snapshot or no depth frame, so there is no book to rebuild.")
    return Rebuilt(
        symbol=depth[0].s,
        raw=_compare(snapshot, depth, touches),
        merged=_compare(snapshot, merge_windows(depth, width_ms), touches),
    )


def follow(snapshot: SnapshotFrame, source: Iterable[DepthFrame]) -> Iterator[DepthFrame]:
    """The frames that continue `snapshot`, by the strict rule of binance.md 6.3 (steps 3 to 5).

    Raises `CaptureError` where the first one does not hold the snapshot's id or a later one breaks the chain.
    """
    wanted = snapshot.last_update_id
    previous: int | None = None
    for frame in source:
        if previous is None:
            if frame.u < wanted:
                continue
            if wanted < frame.U:
                raise CaptureError(f"{frame.s}: the snapshot {wanted} is older than the first frame {frame.U}.")
        elif frame.pu != previous:
            raise CaptureError(f"{frame.s}: the recording has a gap: {frame.u} follows {frame.pu}, not {previous}.")
        previous = frame.u
        yield frame


def apply_levels(book: dict[Decimal, Decimal], levels: Iterable[Level]) -> None:
    """Put absolute quantities into one side; 0 removes, and removing an unknown level is normal (binance.md 6.3)."""
    for price, quantity in levels:
        if quantity:
            book[price] = quantity
        else:
            book.pop(price, None)


def _compare(snapshot: SnapshotFrame, source: Iterable[DepthFrame], touches: dict[int, TouchFrame]) -> Agreement:
    bids, asks = dict(snapshot.bids), dict(snapshot.asks)
    compared = equal = 0
    for frame in follow(snapshot, source):
        apply_levels(bids, frame.b)
        apply_levels(asks, frame.a)
        touch = touches.get(frame.u)
        if touch is None:
            continue
        bid, ask = max(bids), min(asks)
        compared += 1
        equal += (bid, bids[bid], ask, asks[ask]) == (touch.b, touch.B, touch.a, touch.A)
    return Agreement(compared=compared, equal=equal)
