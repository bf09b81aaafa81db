"""How events and tables read."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pms.cli import lines

HEAD = {"seq": 7, "prevSeq": 6, "epoch": 1, "v": 1, "ts": 1_790_000_000_123, "subAccountId": "main", "requestId": ""}
ORDER = {
    **HEAD,
    "type": "order_partial",
    "symbol": "BTCUSDT",
    "side": "BUY",
    "price": Decimal("61800.50"),
    "quantity": Decimal("0.200"),
    "filledQty": Decimal("0.150"),
    "avgFillPrice": Decimal("61800.5"),
    "clientOrderId": "pms-a",
    "reason": "",
}


@pytest.mark.parametrize(
    "given, shown",
    [
        ("0.010", "0.01"),
        ("100", "100"),
        ("1E-7", "0.0000001"),
        (0, "0"),
        ("-1.50", "-1.5"),
        ("61804.56666666666666666666667", "61804.56666667"),
        ("0.000000000004", "0.000000000004"),
    ],
)
def test_a_number_has_plain_digits_and_no_idle_zeros(given, shown) -> None:
    assert lines.number(given) == shown


def test_an_order_reads_as_one_line_with_its_number_and_its_fill() -> None:
    told = lines.event(ORDER)
    assert told.split()[:4] == ["14:13:20.123", "7", "order_partial", "main"]
    assert told.endswith("BTCUSDT BUY  @ 61800.5 filled 0.15/0.2 avg 61800.5 pms-a")
    assert lines.event({**ORDER, "reason": "refused"}).endswith("pms-a (refused)")


@pytest.mark.parametrize(
    "told, stands",
    [
        ({}, "61800.5"),
        ({"triggerPrice": Decimal("61000.0"), "price": 0, "triggeredAt": 0}, "trigger 61000"),
        ({"triggerPrice": Decimal(61000), "price": Decimal(60990), "triggeredAt": 0}, "trigger 61000, limit 60990"),
        ({"triggerPrice": Decimal(61000), "price": Decimal(60990), "triggeredAt": 5}, "60990"),
    ],
)
def test_what_waits_for_its_price_says_for_which(told: dict[str, object], stands: str) -> None:
    assert lines.price(ORDER | told) == stands
    assert f"@ {stands} filled 0.15/0.2" in lines.event(ORDER | told)


def test_a_stop_reads_as_what_it_closes_and_where() -> None:
    told = {**HEAD, "type": "protection_placed", "symbol": "BTCUSDT", "side": "SELL", "quantity": Decimal("0.010")}
    told |= {"triggerPrice": Decimal(61000), "triggeredPrice": 0, "filledQuantity": 0, "avgPrice": 0, "slippageBps": 0}
    told |= {"origin": "STOP", "status": "active", "protectionId": "g1", "trailStopId": "", "reason": ""}
    assert lines.event(told).endswith("BTCUSDT SELL 0.01 trigger 61000 STOP active g1")
    told |= {"triggeredPrice": Decimal(60999), "filledQuantity": Decimal("0.010"), "avgPrice": Decimal("60998.5")}
    told |= {"slippageBps": Decimal("0.1"), "status": "completed", "reason": "stop"}
    assert lines.event(told).endswith(
        "trigger 61000 triggered 60999 filled 0.01 avg 60998.5 (0.1 bps) STOP completed g1 (stop)"
    )


def test_a_trailing_stop_reads_as_what_it_waits_for_and_what_it_closed() -> None:
    told = {**HEAD, "type": "trail_stop_progress", "symbol": "BTCUSDT", "side": "SELL", "quantity": Decimal("0.010")}
    told |= {"activated": False, "extremePrice": 0, "triggerPrice": 0, "triggeredPrice": 0, "filledQuantity": 0}
    told |= {"avgPrice": 0, "status": "active", "trailStopId": "s1", "reason": ""}
    assert lines.event(told).endswith("BTCUSDT SELL 0.01 not active yet active s1")
    told |= {"activated": True, "extremePrice": Decimal("61850.05"), "triggerPrice": Decimal("61750.05")}
    assert lines.event(told).endswith("BTCUSDT SELL 0.01 extreme 61850.05 trigger 61750.05 active s1")
    told |= {"triggeredPrice": Decimal(61750), "filledQuantity": Decimal("0.004"), "avgPrice": Decimal("61749.9")}
    told |= {"slippageBps": Decimal("0.02"), "status": "completed", "reason": "position_closed"}
    assert lines.event(told).endswith(
        "trigger 61750.05 triggered 61750 filled 0.004 avg 61749.9 (0.02 bps) completed s1 (position_closed)"
    )


def test_an_event_of_another_family_shows_every_field_that_says_something() -> None:
    told = lines.event({**HEAD, "type": "alarm", "code": "x", "since": 5, "empty": "", "parts": {"a": Decimal("1.0")}})
    assert told.endswith("alarm              main     code=x since=5 parts=a:1")


def test_an_algo_of_a_plug_in_shows_its_sides_and_what_it_keeps() -> None:
    leg = {"side": "BUY", "quantity": Decimal("0.5"), "filledQuantity": Decimal("0.20"), "avgPrice": Decimal("100.50")}
    leg |= {"slippageBps": Decimal("-2.50")}
    other = {"side": "SELL", "quantity": Decimal(1), "filledQuantity": 0, "avgPrice": 0}
    told = {**HEAD, "type": "algo_progress", "algoId": "p1", "algo": "maker", "symbol": "BTCUSDT", "status": "active"}
    told |= {"reason": "", "state": {"legs": [leg, other], "own": {"moves": 3}}}
    assert lines.event(told).endswith(
        "BTCUSDT maker BUY  filled 0.2/0.5 avg 100.5 (-2.5 bps) SELL filled 0/1 active, moves:3 p1"
    )
    ended = told | {"type": "algo_failed", "status": "failed", "reason": "a bug"}
    assert lines.event(ended).endswith("failed, moves:3 p1 (a bug)")


def test_a_table_is_as_wide_as_its_cells_and_an_empty_one_says_so() -> None:
    assert lines.table(("a", "bb"), [("long", "x")]) == "a     bb\nlong  x"
    assert lines.table(("a", "bb"), []) == "None."


LEG = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "filledLots": 1,
    "totalLots": 4,
    "filledQuantity": Decimal("0.010"),
    "totalQuantity": Decimal("0.040"),
    "avgPrice": Decimal("61800.10"),
    "slippageBps": Decimal("0.10"),
    "status": "active",
    "reason": "",
    "twapId": "t1",
}


def test_a_twap_reads_as_one_line_with_its_lots_and_its_price() -> None:
    told = lines.event({**HEAD, **LEG, "type": "twap_progress", "nextLotAt": HEAD["ts"] + 5000})
    assert told.endswith("BTCUSDT BUY  filled 0.01/0.04 lots 1/4, next 14:13:25.123 avg 61800.1 (0.1 bps) active t1")
    ended = LEG | {"type": "twap_expired", "nextLotAt": 0, "avgPrice": 0, "status": "expired", "reason": "price_limit"}
    assert lines.event({**HEAD, **ended}).endswith("lots 1/4 expired t1 (price_limit)")


def test_a_basket_reads_as_one_line_over_its_legs() -> None:
    basket = {"basketName": "pair", "twapBasketId": "b1", "legs": [LEG, LEG | {"symbol": "ETHUSDT", "avgPrice": 0}]}
    told = lines.event({**HEAD, **LEG, **basket, "type": "twap_basket_progress", "totalLots": 8, "nextLotAt": 0})
    legs = "BTCUSDT BUY 0.01/0.04 avg 61800.1 (0.1 bps), ETHUSDT BUY 0.01/0.04"
    assert told.endswith(f"pair: {legs}; lots 1/8 active b1")


def test_a_scalper_shows_what_it_holds_and_each_layer_with_its_price_or_what_holds_it() -> None:
    told = {
        "type": "scalper_progress", "seq": 7, "ts": 1_790_000_000_000, "subAccountId": "main", "scalperId": "l1",
        "symbol": "BTCUSDT", "status": "active", "reason": "", "totalFillCount": 3, "inventory": Decimal("0.010"),
        "entryPrice": Decimal("99.80"), "realizedPnl": Decimal("-1.50"),
        "longSlots": [{"clientOrderId": "x", "price": Decimal("99.7"), "status": "active"}],
        "shortSlots": [
            {"status": "paused", "pausedReason": "refill_delay", "retryAt": 1_790_000_002_000},
            {"status": "paused", "pausedReason": "would_lose"},
            {"status": "stopping"},
        ],
    }  # fmt: skip
    line = lines.event(told)
    assert "BTCUSDT 0.01 @ 99.8 realized -1.5, 3 fills [99.7 | refill_delay<" in line
    assert "would_lose stopping] active l1" in line
    filled = told | {
        "type": "scalper_filled",
        "side": "SELL",
        "fillQty": Decimal("0.5"),
        "fillPrice": Decimal(100),
        "inventory": 0,
    }
    assert "SELL filled 0.5 @ 100, flat" in lines.event(filled)


def test_a_layer_of_a_reply_is_told_by_its_size_and_distance() -> None:
    layer = {
        "layerIdx": 0,
        "offsetPct": Decimal("0.07"),
        "offsetTicks": 437,
        "quantity": Decimal("0.0160"),
        "merged": [],
    }
    assert lines.value_of([layer, layer]) == "0.016 at 437 ticks,0.016 at 437 ticks"


@pytest.mark.parametrize("many, said", [(0, "0 orders"), (1, "1 order"), (2, "2 orders")])
def test_one_of_a_thing_is_one(many: int, said: str) -> None:
    assert lines.counted(many, "order") == said
