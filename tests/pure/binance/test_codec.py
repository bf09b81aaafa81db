"""REST answers in the shapes of binance.md section 3, with fields that are missing today and fields of tomorrow."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pms.binance import codec, modes
from schemas.market import Side
from schemas.orders import Cause
from schemas.reports import VenuePosition, VenueStatus

PLACED: dict[str, Any] = {
    "orderId": 33878894217,
    "symbol": "DOTUSDT",
    "status": "FILLED",
    "clientOrderId": "x-1",
    "price": "0.000000",
    "origQty": "4.9",
    "executedQty": "4.9",
    "cumQty": "4.9",
    "timeInForce": "GTC",
    "type": "MARKET",
    "reduceOnly": False,
    "closePosition": False,
    "side": "BUY",
    "positionSide": "BOTH",
    "stopPrice": "0.000000",
    "workingType": "CONTRACT_PRICE",
    "priceProtect": False,
    "origType": "MARKET",
    "priceMatch": "NONE",
    "selfTradePreventionMode": "EXPIRE_MAKER",
    "goodTillDate": 0,
    "updateTime": 1789837689736,
}
SYMBOL: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "status": "TRADING",
    "marginAsset": "USDT",
    "pricePrecision": 2,
    "quantityPrecision": 3,
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "556.80", "maxPrice": "4529764", "tickSize": "0.10"},
        {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0.001", "maxQty": "120", "stepSize": "0.001"},
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MIN_NOTIONAL", "notional": "50"},
        {"filterType": "PERCENT_PRICE", "multiplierUp": "1.0500", "multiplierDown": "0.9500", "multiplierDecimal": "4"},
        {"filterType": "POSITION_RISK_CONTROL", "positionControlSide": "NONE"},
    ],
}


def info(*symbols: dict[str, Any]) -> bytes:
    return json.dumps({"timezone": "UTC", "serverTime": 1, "symbols": symbols}).encode()


def without(name: str) -> dict[str, Any]:
    return {**SYMBOL, "filters": [rule for rule in SYMBOL["filters"] if rule["filterType"] != name]}


def test_an_answer_to_placing_has_no_average_and_that_is_no_error() -> None:
    report = codec.order(json.dumps(PLACED).encode())
    assert (report.status, report.filled, report.average, report.created_at) == (
        VenueStatus.FILLED,
        Decimal("4.9"),
        None,
        0,
    )
    assert (report.client_id, report.order_id, report.side, report.time) == (
        "x-1",
        33878894217,
        Side.BUY,
        1789837689736,
    )


def test_a_look_up_tells_average_and_creation() -> None:
    report = codec.order(json.dumps({**PLACED, "avgPrice": "1.1359000", "cumQuote": "5.5", "time": 5}).encode())
    assert (report.average, report.created_at) == (Decimal("1.1359"), 5)


def test_an_order_ended_by_self_trade_prevention_says_so() -> None:
    report = codec.order(json.dumps({**PLACED, "status": "EXPIRED_IN_MATCH"}).encode())
    assert (report.status, report.cause) == (VenueStatus.EXPIRED, Cause.SELF_TRADE)


@pytest.mark.parametrize("name", ["orderId", "status", "executedQty", "clientOrderId", "updateTime"])
def test_an_answer_without_what_matters_is_no_order(name: str) -> None:
    body = json.dumps({key: value for key, value in PLACED.items() if key != name}).encode()
    with pytest.raises(msgspec.MsgspecError):
        codec.order(body)


@pytest.mark.parametrize("name", ["timeInForce", "reduceOnly", "priceMatch", "cumQty"])
def test_an_answer_without_what_does_not_matter_is_one(name: str) -> None:
    body = json.dumps({key: value for key, value in PLACED.items() if key != name}).encode()
    assert codec.order(body).order_id == 33878894217


def test_trades_are_fills_with_their_fee_in_its_asset() -> None:
    row = {
        "symbol": "DOTUSDT",
        "id": 1190331610,
        "orderId": 33878894217,
        "pair": "DOTUSDT",
        "side": "BUY",
        "price": "1.1359",
        "qty": "4.9",
        "realizedPnl": "-1.5",
        "quoteQty": "5.56591",
        "commission": "0.00000325",
        "commissionAsset": "BNB",
        "time": 1789837689736,
        "buyer": True,
        "maker": False,
        "positionSide": "BOTH",
        "baseQty": "0",
        "marginAsset": "USDT",
    }
    (fill,) = codec.trades(json.dumps([row]).encode())
    assert (fill.trade_id, fill.exchange_order_id, fill.quantity) == (1190331610, 33878894217, Decimal("4.9"))
    assert (fill.commission, fill.commission_asset, fill.realized) == (Decimal("0.00000325"), "BNB", Decimal("-1.5"))


def test_positions_are_signed_and_hedge_legs_left_out() -> None:
    rows = [
        {"symbol": "A", "positionSide": "BOTH", "positionAmt": "-0.010", "entryPrice": "84000.00", "updateTime": 7},
        {"symbol": "A", "positionSide": "SHORT", "positionAmt": "-1", "entryPrice": "1", "updateTime": 7},
    ]
    assert codec.positions(json.dumps(rows).encode()) == [VenuePosition("A", Decimal("-0.01"), Decimal(84000), 7)]


def test_tick_and_step_come_from_the_filters_and_not_from_the_precisions() -> None:
    rules = codec.instruments(info(SYMBOL))["BTCUSDT"]
    assert (rules.tick, rules.step) == (Decimal("0.1"), Decimal("0.001"))
    assert (rules.min_notional, rules.max_orders, rules.market_max_qty) == (Decimal(50), 200, Decimal(120))
    assert (rules.multiplier_up, rules.multiplier_down) == (Decimal("1.05"), Decimal("0.95"))
    assert rules.trading


def test_a_symbol_that_is_not_trading_is_known_as_such() -> None:
    assert not codec.instruments(info({**SYMBOL, "status": "SETTLING"}))["BTCUSDT"].trading


@pytest.mark.parametrize("name", ["PRICE_FILTER", "LOT_SIZE", "PERCENT_PRICE"])
def test_a_symbol_without_a_needed_filter_is_left_out_and_the_others_stay(name: str) -> None:
    assert list(codec.instruments(info(without(name), {**SYMBOL, "symbol": "ETHUSDT"}))) == ["ETHUSDT"]


@pytest.mark.parametrize("name", ["MIN_NOTIONAL", "MAX_NUM_ORDERS", "MARKET_LOT_SIZE", "POSITION_RISK_CONTROL"])
def test_a_symbol_without_another_filter_has_its_default(name: str) -> None:
    assert codec.instruments(info(without(name)))["BTCUSDT"].tick == Decimal("0.1")


def test_symbols_of_other_margin_assets_are_left_out() -> None:
    assert codec.instruments(info({**SYMBOL, "marginAsset": "USDC"})) == {}


def test_the_accounts_mode_is_read_from_its_configuration() -> None:
    body = b'{"feeTier":0,"canTrade":true,"dualSidePosition":true,"updateTime":0,"multiAssetsMargin":false}'
    assert codec.unserved_modes(body) == (modes.HEDGE,)


def test_balances_are_told_by_asset() -> None:
    assert codec.wallet(b'[{"accountAlias":"X","asset":"USDT","balance":"28.05"}]') == {"USDT": Decimal("28.05")}


def test_maintenance_margin_and_margin_balance_are_the_accounts() -> None:
    body = b'{"totalInitialMargin":"9.1","totalMaintMargin":"0.92","totalMarginBalance":"23.7"}'
    assert codec.account_margin(body) == (Decimal("0.92"), Decimal("23.7"))


def test_recorded_exchange_info_can_be_read(shared: Path) -> None:
    recorded = json.loads((shared / "data/rest/fapi_http_recordings.json").read_bytes())
    (answer, *_) = recorded["routes"]["/fapi/v1/exchangeInfo"]["GET"]
    rules = codec.instruments(json.dumps(answer["data"]).encode())
    assert all(known.tick > 0 and known.step > 0 for known in rules.values())
    assert rules["BTCUSDT"].tick > 0
