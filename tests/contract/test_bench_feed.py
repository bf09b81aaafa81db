"""The feed's bench compares like with like: reference and product find the same touches on the same frames."""

from __future__ import annotations

from decimal import Decimal

from pms.binance import frames
from pms.core.book import Book
from tests.bench.feed import STEP, _snapshot
from tests.bench.recorded_frames import load
from tests.bench.reference_feed import DepthLoop, TickerLoop


def test_the_reference_loop_and_the_book_find_the_same_touch_after_every_made_up_frame() -> None:
    prepared = load(None)
    snapshot = _snapshot(prepared, prepared.first_id)
    loop = DepthLoop(snapshot.bids, snapshot.asks, prepared.first_id, lambda: None)
    book = Book(Decimal("0.1"), STEP)
    book.anchor(snapshot)
    touches = set()
    for frame in prepared.depth:
        loop.on_payload(frame)
        book.offer(frames.depth(frame))
        assert book.touch() == loop.touch[:4]
        touches.add(loop.touch[:4])
    assert len(touches) > len(prepared.depth) / 2


def test_the_made_up_frames_have_the_recorded_size() -> None:
    sizes = sorted(len(frame) for frame in load(None).depth)
    assert 1_200 <= sizes[len(sizes) // 2] <= 1_800
    assert 6_000 <= sizes[len(sizes) * 95 // 100] <= 12_000


def test_the_reference_ticker_loop_takes_newer_tickers_only() -> None:
    prepared = load(None)
    loop = TickerLoop(lambda: None)
    for frame in prepared.tickers[:3]:
        loop.on_payload(frame)
    newest = loop.touch
    loop.on_payload(prepared.tickers[0])
    assert loop.touch == newest
