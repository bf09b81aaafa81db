"""Candles, aggregate trades, recent trades and the number formats."""

from __future__ import annotations

import pytest

from pms.sim.numbers import money, padded, trimmed
from tests.pure.sim.rig import START, SYMBOL, D, usual


@pytest.mark.parametrize(
    "number, stream, rest",
    [
        ("1.1359000", "1.1359", "1.135900"),
        ("0E-8", "0", "0.000000"),
        ("100", "100", "100.000000"),
        ("-0.0", "0", "0.000000"),
        ("1E+3", "1000", "1000.000000"),
        ("-0.50", "-0.5", "-0.500000"),
    ],
)
def test_streams_trim_and_rest_pads(number: str, stream: str, rest: str) -> None:
    assert trimmed(D(number)) == stream
    assert padded(D(number), 6) == rest


def test_money_has_eight_decimals() -> None:
    assert money(D(1) / D(3)) == D("0.33333333")


def test_prints_of_one_side_and_price_within_100_ms_make_one_aggregate() -> None:
    rig = usual()
    rig.print(1000.1, 1, buyer_is_maker=False)
    rig.time += 99
    rig.print(1000.1, 2, buyer_is_maker=False)
    rig.exchange.tick(START + 99)
    assert rig.aggregates == []
    assert rig.exchange.next_due() == START + 100
    rig.exchange.tick(START + 100)
    (first,) = rig.aggregates
    assert (first.quantity, first.first_id, first.last_id, first.time) == (D(3), 1, 2, START)
    for price, side in ((1000.1, False), (1000.2, False), (1000.2, True)):
        rig.print(price, 1, buyer_is_maker=side)
    assert [row.agg_id for row in rig.aggregates] == [1, 2, 3]
    assert [row.agg_id for row in rig.exchange.agg_trades(SYMBOL)] == [1, 2, 3, 4], "the open one is among them"
    assert [row.agg_id for row in rig.exchange.agg_trades(SYMBOL, from_id=2, limit=2)] == [2, 3]
    assert [row.agg_id for row in rig.exchange.agg_trades(SYMBOL, limit=2)] == [3, 4]
    assert rig.exchange.agg_trades(SYMBOL, start=START + 1, end=START + 98) == []


def test_candles_are_minutes_of_the_tape() -> None:
    rig = usual()
    rig.time = START - START % 60_000
    for price, quantity, maker in ((1000.1, 1, False), (1000.3, 2, False), (999.9, 3, True)):
        rig.print(price, quantity, buyer_is_maker=maker)
        rig.time += 10
    rig.time += 60_000
    rig.print(1000, 1, buyer_is_maker=False)
    done, running = rig.exchange.klines(SYMBOL)
    assert (done.open, done.high, done.low, done.close) == (D("1000.1"), D("1000.3"), D("999.9"), D("999.9"))
    assert (done.volume, done.taker_base, done.trades, done.first_id, done.last_id) == (D(6), D(3), 3, 1, 3)
    assert done.quote_volume == D("1000.1") + D("2000.6") + D("2999.7")
    assert done.close_time - done.open_time == 59_999
    assert running.open_time == done.open_time + 60_000
    assert rig.exchange.klines(SYMBOL, limit=1) == [running]
    assert rig.exchange.klines(SYMBOL, start=done.open_time, limit=1) == [done]


def test_our_fills_are_on_the_tape_and_set_the_last_price() -> None:
    rig = usual()
    assert rig.exchange.last_price(SYMBOL) == 0
    rig.buy(1)
    rig.print(999.9, 1, buyer_is_maker=True)
    assert [row.price for row in rig.exchange.recent_trades(SYMBOL)] == [D("1000.1"), D("999.9")]
    assert rig.exchange.recent_trades(SYMBOL, 1)[0].trade_id == 2


def test_before_the_feed_gives_a_mark_it_follows_the_last_price_or_the_mid() -> None:
    rig = usual()
    assert rig.exchange.mark(SYMBOL).mark == D(1000)
    assert rig.marks[-1].mark == D(1000)
    fresh = type(rig)()
    assert fresh.exchange.mark(SYMBOL).mark == 0
    fresh.book([(10, 1)], [(12, 1)])
    assert fresh.exchange.mark(SYMBOL).mark == D(11)
    fresh.print(12, 1, buyer_is_maker=False)
    assert fresh.exchange.mark(SYMBOL).mark == D(12)


def test_depth_answers_the_best_levels_first() -> None:
    rig = usual()
    rig.buy(1, 990)
    depth = rig.exchange.depth(SYMBOL, 2)
    assert depth.bids == ((D("999.9"), D(10)), (D("999.8"), D(10)))
    assert depth.asks == ((D("1000.1"), D(10)), (D("1000.2"), D(10)))
    assert depth.last_id == rig.changes[-1].last_id
    assert rig.exchange.depth(SYMBOL).bids[-1] == (D(990), D(1))
