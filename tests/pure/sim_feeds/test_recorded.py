"""On the recordings themselves: the offline rebuild, the replay against it, and the figures kept in `stats`."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pms.sim import captures, stats
from pms.sim import replay as replays
from pms.sim.captures import Agreement, DepthFrame, TouchFrame, apply_levels
from pms.sim.model import DepthDiff, DepthSnapshot, Print, Touch
from pms.sim.replay import replay
from pms.sim.wire import Venue, VenueSettings

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
    depth = [frame.u for frame in frames if isinstance(frame, DepthFrame) and frame.u > snapshot.last_update_id]
    touches = [frame.u for frame in frames if isinstance(frame, TouchFrame) and frame.u > snapshot.last_update_id]
    trades = [frame.t for frame in frames if isinstance(frame, captures.TradeFrame) and frame.E > snapshot.T]
    events = list(replay([capture(shared, name)]))
    assert [event.last_id for event in events if isinstance(event, DepthDiff)] == depth
    assert [event.update_id for event in events if isinstance(event, Touch)] == touches
    assert [event.trade_id for event in events if isinstance(event, Print)] == trades


def listen(shared: Path, name: str) -> dict[str, list[dict[str, Any]]]:
    """What three subscribers of a venue hear of a replayed capture, with the venue's clock at the recorded times."""
    path = capture(shared, name)
    now = replays.head(path).start - 1000
    venue = Venue(VenueSettings(api_keys={}), lambda: now)
    heard: dict[str, list[dict[str, Any]]] = {}
    for stream in ("depth@0ms", "depth@100ms", "bookTicker"):
        frames: list[dict[str, Any]] = heard.setdefault(stream, [])

        def hear(frame: bytes, frames: list[dict[str, Any]] = frames) -> None:
            frames.append(msgspec.json.decode(frame))

        venue.open_stream(f"/public/ws/{name[:7]}@{stream}", hear, lambda code, reason: None)
    due = venue.next_due(now)
    for event in replay([path]):
        while due <= event.time:
            now = due
            venue.tick(now)
            due = venue.next_due(now)
        now = event.time
        venue.apply(event)
    venue.tick(now + captures.WINDOW_MS)
    return heard


def agreement(depth: list[dict[str, Any]], touches: list[dict[str, Any]]) -> Agreement:
    """A subscriber's book, from the first frame (which holds the snapshot) on, against bookTickers of the same id."""
    by_id = {touch["u"]: touch for touch in touches}
    bids: dict[Decimal, Decimal] = {}
    asks: dict[Decimal, Decimal] = {}
    compared = equal = 0
    for frame in depth:
        for book, side in ((bids, frame["b"]), (asks, frame["a"])):
            apply_levels(book, [(Decimal(price), Decimal(quantity)) for price, quantity in side])
        if touch := by_id.get(frame["u"]):
            compared += 1
            bid, ask = max(bids), min(asks)
            equal += [bid, bids[bid], ask, asks[ask]] == [Decimal(touch[key]) for key in "bBaA"]
    return Agreement(compared, equal)


@pytest.mark.parametrize(("name", "least", "found"), AGREEMENTS)
def test_the_venues_depth_streams_of_a_replay_are_the_recorded_frames_and_their_merge(
    shared: Path, name: str, least: tuple[int, int], found: tuple[int, int]
) -> None:
    heard = listen(shared, name)
    recorded = [frame for frame in captures.frames(capture(shared, name)) if isinstance(frame, DepthFrame)]
    for stream, expected, count in (
        ("depth@100ms", captures.merge_windows(recorded), found[0]),
        ("depth@0ms", iter(recorded), found[1]),
    ):
        frames = heard[stream]
        agreed = agreement(frames, heard["bookTicker"])
        print(f"{name} {stream}: {agreed} from the venue")
        assert agreed.equal == agreed.compared
        assert agreed.compared >= count
        assert all(later["pu"] == earlier["u"] for earlier, later in pairwise(frames))
        # The first frame holds the snapshot, the rest is what was recorded.
        wanted = [frame for frame in expected if frame.u > frames[0]["u"]]
        assert [frame["u"] for frame in frames[1:]] == [frame.u for frame in wanted]
        for frame, like in zip(frames[1:], wanted, strict=True):
            for side, levels in (("b", like.b), ("a", like.a)):
                assert tuple((Decimal(price), Decimal(quantity)) for price, quantity in frame[side]) == levels


@pytest.mark.parametrize("fit", stats.FITS, ids=lambda fit: fit.capture)
def test_the_kept_figures_are_those_of_the_capture(shared: Path, fit: stats.Fit) -> None:
    measured = stats.measure(replay([capture(shared, fit.capture)]), fit.listing.tick)
    print(f"{fit.capture}: {measured}")
    assert measured == fit.figures
