"""Over the wire: hedge and multi-assets mode as a client sees them, GTD orders, and the venue's own orders."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.contract.sim_wire.client import START, Desk

BTC = {"symbol": "BTCUSDT"}
MARKET = {**BTC, "side": "BUY", "type": "MARKET", "quantity": "0.010"}
DAY_MS = 86_400_000


def hedged() -> Desk:
    desk = Desk()
    desk.ok("POST", "/fapi/v1/positionSide/dual", dualSidePosition="true")
    return desk


def test_an_account_in_hedge_mode_shows_it_wherever_it_is_asked() -> None:
    desk = hedged()
    assert desk.ok("GET", "/fapi/v1/positionSide/dual") == {"dualSidePosition": True}
    assert desk.ok("GET", "/fapi/v1/accountConfig")["dualSidePosition"] is True
    assert desk.ok("GET", "/fapi/v1/accountConfig", key="bob")["dualSidePosition"] is False
    for rows in (
        desk.ok("GET", "/fapi/v2/positionRisk", **BTC),
        [row for row in desk.ok("GET", "/fapi/v2/account")["positions"] if row["symbol"] == "BTCUSDT"],
    ):
        assert [row["positionSide"] for row in rows] == ["BOTH", "LONG", "SHORT"]
    assert desk.ok("GET", "/fapi/v3/positionRisk") == []
    assert desk.ok("GET", "/fapi/v1/adlQuantile", **BTC) == [
        {"symbol": "BTCUSDT", "adlQuantile": {"LONG": 0, "SHORT": 0, "HEDGE": 0}}
    ]


def test_a_batch_in_hedge_mode_is_refused_order_by_order() -> None:
    desk = hedged()
    batch = '[{"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":"0.010"}]'
    (answer,) = desk.ok("POST", "/fapi/v1/batchOrders", batchOrders=batch)
    assert answer == {"code": -4061, "msg": "Order's position side does not match user's setting."}


def test_multi_assets_mode_is_shown_and_told_to_the_private_stream() -> None:
    desk = Desk()
    wire = desk.private()
    desk.ok("POST", "/fapi/v1/multiAssetsMargin", multiAssetsMargin="true")
    assert desk.ok("GET", "/fapi/v1/multiAssetsMargin") == {"multiAssetsMargin": True}
    assert desk.ok("GET", "/fapi/v1/accountConfig")["multiAssetsMargin"] is True
    assert desk.ok("GET", "/fapi/v2/account")["multiAssetsMargin"] is True
    (told,) = wire.events("ACCOUNT_CONFIG_UPDATE")
    assert told == {"e": "ACCOUNT_CONFIG_UPDATE", "E": START, "T": START, "ai": {"j": True}}


def test_a_gtd_order_shows_its_second_and_expires_on_the_stream_and_in_every_row() -> None:
    desk = Desk()
    wire = desk.private()
    till = START + 601_000
    placed = desk.order(timeInForce="GTD", goodTillDate=str(till + 999), newClientOrderId="one")
    assert (placed["timeInForce"], placed["goodTillDate"]) == ("GTD", till)
    assert desk.ok("GET", "/fapi/v1/openOrders", **BTC)[0]["goodTillDate"] == till
    desk.wait(602_000)
    new, expired = wire.events("ORDER_TRADE_UPDATE")
    assert [event["o"]["gtd"] for event in (new, expired)] == [till, till]
    assert (expired["o"]["x"], expired["o"]["X"], expired["E"] - till) == ("EXPIRED", "EXPIRED", 0)
    row = desk.ok("GET", "/fapi/v1/order", **BTC, origClientOrderId="one")
    assert (row["status"], row["timeInForce"], row["goodTillDate"]) == ("EXPIRED", "GTD", till)
    assert desk.ok("GET", "/fapi/v1/openOrders", **BTC) == []


def forced() -> Desk:
    """Alice was deleveraged by a part and liquidated of the rest, a day later."""
    desk = Desk()
    desk.ok("POST", "/fapi/v1/order", **MARKET)
    desk.venue.exchange.adl("alice", "BTCUSDT", Decimal("0.004"))
    desk.now += DAY_MS
    desk.venue.exchange.liquidate("alice")
    return desk


def test_the_venues_own_orders_are_listed_apart_by_kind_and_by_time() -> None:
    desk = forced()
    adl, liquidation = desk.ok("GET", "/fapi/v1/forceOrders")
    assert adl["clientOrderId"] == "adl_autoclose"
    assert liquidation["clientOrderId"].startswith("autoclose-")
    assert [row["status"] for row in (adl, liquidation)] == ["FILLED", "FILLED"]
    assert [row["executedQty"] for row in (adl, liquidation)] == ["0.004", "0.006"]
    assert (liquidation["side"], liquidation["timeInForce"], liquidation["pair"]) == ("SELL", "IOC", "BTCUSDT")
    assert set(adl) == set(desk.ok("GET", "/fapi/v1/allOrders", **BTC)[0])
    for asked, found in (
        ({"autoCloseType": "ADL"}, [adl]),
        ({"autoCloseType": "LIQUIDATION"}, [liquidation]),
        ({"limit": "1"}, [liquidation]),
        ({"startTime": str(START + DAY_MS)}, [liquidation]),
        ({"endTime": str(START + 1)}, [adl]),
        ({"symbol": "ETHUSDT"}, []),
    ):
        assert desk.ok("GET", "/fapi/v1/forceOrders", **asked) == found, asked
    assert desk.ok("GET", "/fapi/v1/forceOrders", key="bob") == []


def test_forced_orders_are_told_for_a_week_unasked_and_for_ninety_days_at_most() -> None:
    desk = forced()
    desk.now += 7 * DAY_MS
    (liquidation,) = desk.ok("GET", "/fapi/v1/forceOrders")
    assert liquidation["clientOrderId"].startswith("autoclose-")
    assert len(desk.ok("GET", "/fapi/v1/forceOrders", startTime=str(START))) == 2
    desk.now += 82 * DAY_MS + 1
    assert desk.ok("GET", "/fapi/v1/forceOrders", startTime=str(START), endTime=str(START + 90 * DAY_MS)) == [
        liquidation
    ]


@pytest.mark.parametrize("side, rank", [("BUY", 2), ("SELL", 2), ("", 0)])
def test_the_quantile_of_a_one_way_position_stands_under_both(side: str, rank: int) -> None:
    desk = Desk()
    if side:
        desk.ok("POST", "/fapi/v1/order", **{**MARKET, "side": side})
    row = {"symbol": "BTCUSDT", "adlQuantile": {"LONG": 0, "SHORT": 0, "BOTH": rank}}
    assert desk.ok("GET", "/fapi/v1/adlQuantile", **BTC) == [row]
    assert desk.ok("GET", "/fapi/v1/adlQuantile") == ([row] if side else [])
