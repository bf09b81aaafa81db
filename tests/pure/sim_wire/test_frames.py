"""Market frames, candles and instruments: shape and key order as the venue writes them."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from pms.sim import candles, frames, symbols
from pms.sim.model import Mark, Print, Touch
from pms.sim.views import AggTrade, Kline

D = Decimal
BTC = symbols.rules(["BTCUSDT"])["BTCUSDT"]
MINUTE = 60_000

# Frames as the venue sent them on 2026-09-27 (binance.md 6.2), and the call that must give the same text.
REAL = [
    (
        (
            '{"e":"bookTicker","u":11671659686089,"s":"BTCUSDT","ps":"BTCUSDT","b":"84551.00","B":"2.645","a":"84551.10",'
            '"A":"5.302","T":1790526538941,"E":1790526538941,"st":1}'
        ),
        lambda: frames.book_ticker(
            BTC,
            Touch("BTCUSDT", 1790526538941, D("84551.0"), D("2.645"), D("84551.1"), D("5.302"), 11671659686089),
            1790526538941,
        ),
    ),
    (
        (
            '{"e":"aggTrade","E":1790526539033,"a":3466782974,"s":"BTCUSDT","p":"84551.10","q":"0.030","nq":"0.030",'
            '"f":8123344783,"l":8123344783,"T":1790526538883,"m":false,"st":1}'
        ),
        lambda: frames.agg_trade(
            BTC,
            AggTrade(3466782974, "BTCUSDT", D("84551.1"), D("0.03"), 8123344783, 8123344783, 1790526538883, False),
            1790526539033,
        ),
    ),
    (
        (
            '{"e":"markPriceUpdate","E":1790526539000,"s":"BTCUSDT","p":"84551.10762319","ap":"84551.10762319",'
            '"P":"84590.87304348","i":"84590.87304348","r":"0.00000801","T":1790553600000,"st":1}'
        ),
        lambda: frames.mark_price(
            Mark("BTCUSDT", 1, D("84551.10762319"), D("84590.87304348"), D("0.00000801"), 1790553600000), 1790526539000
        ),
    ),
    (
        (
            '{"e":"kline","E":1790526539304,"s":"BTCUSDT","k":{"t":1790526480000, "T":1790526539999, "s":"BTCUSDT", '
            '"i":"1m", "f":8123343290, "L":8123344784, "o":"84550.20", "c":"84551.10", "h":"84558.90", "l":"84536.70", '
            '"v":"104.194", "n":1483, "x":false, "q":"8809619.55440", "V":"56.811", "Q":"4803302.95620", "B":"0"}}'
        ),
        lambda: frames.kline(
            BTC,
            "1m",
            Kline(
                1790526480000,
                D("84550.2"),
                D("84558.9"),
                D("84536.7"),
                D("84551.1"),
                D("104.194"),
                1790526539999,
                D("8809619.5544"),
                1483,
                D("56.811"),
                D("4803302.9562"),
                8123343290,
                8123344784,
            ),
            False,
            1790526539304,
        ),
    ),
]


@pytest.mark.parametrize("real, made", REAL, ids=["bookTicker", "aggTrade", "markPrice", "kline"])
def test_a_frame_is_the_venues_text_byte_for_byte(real, made) -> None:
    assert made().decode() == real


def test_a_trade_frame_says_who_made_it() -> None:
    frame = json.loads(frames.trade(BTC, Print("BTCUSDT", 9, D("61800.2"), D("0.012"), True, 5266583936), 10))
    assert frame["m"] is True
    assert (frame["t"], frame["p"], frame["q"], frame["T"], frame["E"]) == (5266583936, "61800.20", "0.012", 9, 10)


def _minute(index: int, low: str, high: str, volume: str = "1") -> Kline:
    opened = index * MINUTE
    return Kline(
        opened,
        D(low),
        D(high),
        D(low),
        D(high),
        D(volume),
        opened + MINUTE - 1,
        D(volume) * 10,
        2,
        D(1),
        D(10),
        index * 10,
        index * 10 + 1,
    )


def test_minutes_are_merged_into_a_longer_candle() -> None:
    merged = candles.merged(
        [_minute(5, "9", "11"), _minute(6, "8", "10", "2"), _minute(8, "9", "12")], 300_000, 300_000
    )
    assert merged == Kline(300_000, D(9), D(12), D(8), D(12), D(4), 599_999, D(40), 6, D(3), D(30), 50, 81)


def test_a_candle_without_a_minute_does_not_exist() -> None:
    assert candles.merged([], 0, MINUTE) is None
    grouped = candles.grouped([_minute(index, "9", "11") for index in (4, 5, 6, 12)], 300_000)
    assert [(candle.open_time, candle.trades) for candle in grouped] == [(0, 2), (300_000, 4), (600_000, 2)]


def test_one_minute_candles_group_into_themselves() -> None:
    minutes = [_minute(index, "9", "11") for index in range(3)]
    assert candles.grouped(minutes, MINUTE) == minutes


def test_btcusdt_is_the_venues_row_and_its_filters_are_read_from_it() -> None:
    (row,) = symbols.rows(["BTCUSDT"])
    assert row["filters"][0] == {
        "filterType": "PRICE_FILTER",
        "minPrice": "556.80",
        "maxPrice": "4529764",
        "tickSize": "0.10",
    }
    assert (row["pricePrecision"], row["quantityPrecision"], row["marketTakeBound"]) == (2, 3, "0.05")
    assert (BTC.tick, BTC.step, BTC.min_notional, BTC.max_orders) == (D("0.1"), D("0.001"), D(50), 200)
    assert (BTC.max_qty, BTC.market_max_qty, BTC.multiplier_up) == (D(1000), D(120), D("1.05"))


def test_every_symbols_tick_and_step_can_be_written_with_its_precisions() -> None:
    for rules in symbols.rules().values():
        assert rules.tick.quantize(D(1).scaleb(-rules.price_precision)) == rules.tick
        assert rules.step.quantize(D(1).scaleb(-rules.quantity_precision)) == rules.step


def test_a_symbol_that_the_table_lacks_is_named() -> None:
    with pytest.raises(KeyError, match="XYZUSDT"):
        symbols.rows(["BTCUSDT", "XYZUSDT"])
