"""The still and the scripted market."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise, takewhile

import pytest

from pms.sim.captures import apply_levels
from pms.sim.model import DepthDiff, DepthSnapshot, FeedEvent, Mark, Print, Touch
from pms.sim.scripted import LEVELS, ScriptedMarket, Step
from pms.sim.synthetic import Listing

D = Decimal
BTC = Listing("BTCUSDT", D("0.10"), D("0.001"), D("61800.07"))


def play(market: ScriptedMarket, length_ms: int, steps: tuple[Step, ...] = ()) -> list[FeedEvent]:
    return list(takewhile(lambda event: event.time <= length_ms, market.feed(steps)))


def test_a_still_market_has_depth_frames_and_marks_but_no_trade_and_no_change_near_the_touch() -> None:
    events = play(ScriptedMarket(BTC), 10_000)
    book = events[0]
    assert isinstance(book, DepthSnapshot)
    assert len(book.bids) == len(book.asks) == LEVELS
    diffs = [event for event in events if isinstance(event, DepthDiff)]
    assert [diff.time for diff in diffs] == list(range(100, 10_001, 100))
    assert {price for diff in diffs for price, _ in diff.bids + diff.asks} == {book.bids[0][0]}
    assert all(later.bids != earlier.bids for earlier, later in pairwise(diffs))
    assert [event for event in events if isinstance(event, Touch)] == [events[1 + isinstance(events[1], Mark)]]
    assert not any(isinstance(event, Print) for event in events)
    assert sum(isinstance(event, Mark) for event in events) == 11


def test_the_opening_price_is_put_on_the_grid() -> None:
    market = ScriptedMarket(BTC)
    assert (market.bid, market.ask) == (D("61800.0"), D("61800.1"))


def test_a_quote_moves_the_whole_ladder() -> None:
    market = ScriptedMarket(BTC)
    bids: dict[Decimal, Decimal] = {}
    asks: dict[Decimal, Decimal] = {}
    for event in (*market.open(0), *market.beat(100), *market.quote(150, D("61805.0"), D("61806.0"))):
        if isinstance(event, DepthDiff | DepthSnapshot):
            apply_levels(bids, event.bids)
            apply_levels(asks, event.asks)
    fresh = ScriptedMarket(Listing("BTCUSDT", D("0.10"), D("0.001"), D("61805.0")))
    assert (max(bids), min(asks)) == (D("61805.0"), D("61806.0"))
    assert sorted(bids) == sorted(price for price, _ in fresh.open(0)[0].bids)  # type: ignore[union-attr]
    assert len(set(bids.values()) | set(asks.values())) == 1
    assert len(asks) == LEVELS


@pytest.mark.parametrize(("bid", "ask"), [("61800", "61800"), ("61800.05", "0"), ("0", "1"), ("61800", "61800.15")])
def test_a_touch_that_is_crossed_or_off_the_grid_is_refused_and_nothing_moves(bid: str, ask: str) -> None:
    market = ScriptedMarket(BTC)
    with pytest.raises(ValueError, match="nothing moved"):
        market.quote(0, D(bid), D(ask))
    assert market.bid == D("61800.0")


def test_steps_happen_at_their_times_between_the_beats() -> None:
    steps = (Step(250, D("61801.0")), Step(300, D("61799.0"), D("61799.5")))
    events = play(ScriptedMarket(BTC), 500, steps)
    touches = [(event.time, event.bid, event.ask) for event in events if isinstance(event, Touch)]
    assert touches == [
        (0, D("61800.0"), D("61800.1")),
        (250, D("61801.0"), D("61801.1")),
        (300, D("61799.0"), D("61799.5")),
    ]
    times = [event.time for event in events]
    assert times == sorted(times)
    assert [event.time for event in events if isinstance(event, DepthDiff)] == [100, 200, 250, 300, 300, 400, 500]


def test_a_trade_is_a_print_that_leaves_the_ladder_alone() -> None:
    assert ScriptedMarket(BTC).trade(5, D("61800.1"), D("0.2"), False) == (
        Print("BTCUSDT", 5, D("61800.1"), D("0.2"), False),
    )


def test_a_level_is_one_step_where_a_step_costs_more_than_a_level() -> None:
    market = ScriptedMarket(Listing("BIGUSDT", D(1), D(10), D(50_000)))
    book = market.open(0)[0]
    assert isinstance(book, DepthSnapshot)
    assert {quantity for _, quantity in book.bids} == {D(10)}
