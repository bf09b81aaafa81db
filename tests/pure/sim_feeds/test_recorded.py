"""On the recordings themselves: the offline rebuild, the replay against it, and the figures kept in `stats`."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from pms.sim import captures, stats
from pms.sim.captures import DepthFrame, TouchFrame, apply_levels
from pms.sim.model import DepthDiff, DepthSnapshot, Print, Touch
from pms.sim.replay import replay

pytestmark = pytest.mark.replay

# Capture, least comparisons on merged and on raw frames, and how many there are.
AGREEMENTS = [
    ("btcusdt_20240808", (300, 600), (357, 629)),
    ("btcusdt_20240718", (90, 190), (97, 195)),
    ("ethusdt_20240718", (150, 280), (172, 281)),
]


def capture(shared: Path, name: str) -> Path:
    return shared / "data" / "captures" / f"{name}.gz"


@pytest.mark.parametrize(("name", "least", "found"), AGREEMENTS)
def test_the_rebuilt_book_equals_every_book_ticker_of_the_same_id(
    shared: Path, name: str, least: tuple[int, int], found: tuple[int, int]
) -> None:
    rebuilt = captures.rebuild(capture(shared, name))
    print(f"{name}: {rebuilt.merged} on merged frames, {rebuilt.raw} on raw frames")
    assert (rebuilt.merged.equal, rebuilt.raw.equal) == (rebuilt.merged.compared, rebuilt.raw.compared) == found
    assert rebuilt.merged.compared >= least[0]
    assert rebuilt.raw.compared >= least[1]


@pytest.mark.parametrize(("name", "least", "found"), AGREEMENTS)
def test_the_replayed_book_equals_the_touch_of_the_same_id(
    shared: Path, name: str, least: tuple[int, int], found: tuple[int, int]
) -> None:
    bids: dict[Decimal, Decimal] = {}
    asks: dict[Decimal, Decimal] = {}
    touch: Touch | None = None
    compared = last_time = 0
    last_id: int | None = None
    for event in replay([capture(shared, name)]):
        assert event.time >= last_time
        last_time = event.time
        if isinstance(event, Touch):
            touch = event
        elif isinstance(event, DepthDiff | DepthSnapshot):
            apply_levels(bids, event.bids)
            apply_levels(asks, event.asks)
            if isinstance(event, DepthDiff):
                assert last_id is None or event.prev_id == last_id
                last_id = event.last_id
            if touch is not None and touch.update_id == event.last_id:
                compared += 1
                bid, ask = max(bids), min(asks)
                assert (bid, bids[bid], ask, asks[ask]) == (touch.bid, touch.bid_qty, touch.ask, touch.ask_qty)
    assert compared == found[1] >= least[1]


@pytest.mark.parametrize("name", [name for name, _, _ in AGREEMENTS])
def test_a_replay_leaves_out_nothing_that_was_recorded_after_the_snapshot(shared: Path, name: str) -> None:
    frames = list(captures.frames(capture(shared, name)))
    snapshot = next(frame for frame in frames if isinstance(frame, captures.SnapshotFrame))
    depth = [frame.u for frame in frames if isinstance(frame, DepthFrame) and frame.u >= snapshot.last_update_id]
    touches = [frame.u for frame in frames if isinstance(frame, TouchFrame) and frame.u > snapshot.last_update_id]
    trades = [frame.t for frame in frames if isinstance(frame, captures.TradeFrame) and frame.E > snapshot.T]
    events = list(replay([capture(shared, name)]))
    assert [event.last_id for event in events if isinstance(event, DepthDiff)] == depth
    assert [event.update_id for event in events if isinstance(event, Touch)] == touches
    assert [event.trade_id for event in events if isinstance(event, Print)] == trades


@pytest.mark.parametrize("fit", stats.FITS, ids=lambda fit: fit.capture)
def test_the_kept_figures_are_those_of_the_capture(shared: Path, fit: stats.Fit) -> None:
    measured = stats.measure(replay([capture(shared, fit.capture)]), fit.listing.tick)
    print(f"{fit.capture}: {measured}")
    assert measured == fit.figures
