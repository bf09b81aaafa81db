"""The book on recorded production frames: at each bookTicker of the same update id the touch is the venue's own."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from pms.binance import frames
from pms.core.book import Book
from pms.core.own import OwnOrders
from pms.market_data import DepthFrame, Snapshot
from schemas.market import Quote

WINDOW_MS = 100
STEP = Decimal("0.001")


class Capture(NamedTuple):
    """A file, its tick, and how many comparisons its raw and its merged frames give at least."""

    name: str
    tick: str
    raw: int
    merged: int


CAPTURES = (
    Capture("btcusdt_20240808", "0.10", 600, 300),
    Capture("btcusdt_20240718", "0.10", 190, 90),
    Capture("ethusdt_20240718", "0.01", 280, 150),
)


class Told(NamedTuple):
    """One bookTicker, in decimals straight from its text."""

    bid: Decimal
    bid_qty: Decimal
    ask: Decimal
    ask_qty: Decimal


class _Texts(msgspec.Struct, rename={"bid": "b", "bid_qty": "B", "ask": "a", "ask_qty": "A"}):
    bid: Decimal
    bid_qty: Decimal
    ask: Decimal
    ask_qty: Decimal


def recorded(path: Path) -> Iterator[tuple[str, bytes]]:
    """(stream or "snapshot", data) of each line."""
    decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
    with gzip.open(path, "rb") as lines:
        for line in lines:
            body = line.partition(b" ")[2]
            row = decode(body)
            if "data" in row:
                yield str(msgspec.json.decode(row["stream"])), bytes(row["data"])
            elif "lastUpdateId" in row:
                yield "snapshot", body


def merged(changes: list[DepthFrame]) -> DepthFrame:
    """The frames of one window as one (binance.md 10): U and pu of the first, the rest of the last."""
    bids = {price: quantity for frame in changes for price, quantity in frame.bids}
    asks = {price: quantity for frame in changes for price, quantity in frame.asks}
    first, last = changes[0], changes[-1]
    return DepthFrame(
        last.symbol,
        first.first_id,
        last.last_id,
        first.prev_id,
        last.time,
        sorted(bids.items()),
        sorted(asks.items()),
    )


def windows(changes: list[DepthFrame]) -> Iterator[DepthFrame]:
    window: list[DepthFrame] = []
    for frame in changes:
        if window and window[0].time // WINDOW_MS != frame.time // WINDOW_MS:
            yield merged(window)
            window = []
        window.append(frame)
    yield merged(window)


def load(path: Path) -> tuple[list[DepthFrame], dict[int, Told], Snapshot]:
    changes, tickers, snapshots = [], {}, []
    texts = msgspec.json.Decoder(_Texts).decode
    for stream, data in recorded(path):
        if "@depth" in stream:
            changes.append(frames.depth(data))
        elif stream.endswith("@bookTicker"):
            tickers[frames.touch(data).update_id] = Told(*msgspec.structs.astuple(texts(data)))
        elif stream == "snapshot":
            snapshots.append(frames.snapshot(data))
    return changes, tickers, snapshots[0]


def shown(quote: Quote | None, tick: Decimal) -> Told | None:
    return None if quote is None else Told(quote.bid * tick, quote.bid_qty, quote.ask * tick, quote.ask_qty)


@pytest.mark.replay
@pytest.mark.parametrize("capture", CAPTURES, ids=lambda capture: capture.name)
@pytest.mark.parametrize("form", ["raw", "merged"])
def test_the_touch_equals_every_recorded_ticker_of_the_same_update(
    capture: Capture, form: str, shared: Path, cases: Callable[[int], None]
) -> None:
    changes, tickers, snapshot = load(shared / f"data/captures/{capture.name}.gz")
    tick = Decimal(capture.tick)
    book, own = Book(tick, STEP), OwnOrders()
    assert book.anchor(snapshot)
    compared = 0
    for frame in changes if form == "raw" else windows(changes):
        book.offer(frame)
        if book.live and frame.last_id in tickers:
            compared += 1
            assert shown(book.quote(own, lambda: 0), tick) == tickers[frame.last_id]
    assert book.live
    assert book.last_id == changes[-1].last_id
    assert compared >= (capture.raw if form == "raw" else capture.merged)
    cases(compared)


@pytest.mark.replay
@pytest.mark.parametrize("capture", CAPTURES, ids=lambda capture: capture.name)
def test_tickers_between_frames_never_cross_the_book_and_are_what_it_tells(
    capture: Capture, shared: Path, cases: Callable[[int], None]
) -> None:
    """All channels in the order in which they were received: a ticker that is taken is the touch at once."""
    tick = Decimal(capture.tick)
    book, own = Book(tick, STEP), OwnOrders()
    texts = msgspec.json.Decoder(_Texts).decode
    taken = 0
    for stream, data in recorded(shared / f"data/captures/{capture.name}.gz"):
        if "@depth" in stream:
            book.offer(frames.depth(data))
        elif stream == "snapshot":
            assert book.anchor(frames.snapshot(data))
        elif stream.endswith("@bookTicker") and book.ticker(frames.touch(data)):
            taken += 1
            assert shown(book.quote(own, lambda: 0), tick) == Told(*msgspec.structs.astuple(texts(data)))
        assert book.quote(own, lambda: 0) is not None or not book.live
        assert not book.crossed
    assert taken > 1000
    cases(taken)


def test_a_merged_window_leads_to_the_same_book() -> None:
    one = DepthFrame("X", 5, 10, 1, 100, [(1.0, 1.0), (2.0, 2.0)], [])
    two = DepthFrame("X", 15, 20, 10, 150, [(2.0, 0.0)], [(3.0, 1.0)])
    three = DepthFrame("X", 25, 30, 20, 200, [], [(4.0, 1.0)])
    first, second = windows([one, two, three])
    assert (first.first_id, first.last_id, first.prev_id, first.time) == (5, 20, 1, 150)
    assert (first.bids, first.asks) == ([(1.0, 1.0), (2.0, 0.0)], [(3.0, 1.0)])
    assert second.last_id == 30
