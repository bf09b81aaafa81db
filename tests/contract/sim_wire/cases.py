"""The simulator's endpoint table as data: what is asked, after what, and which HTTP status and code answer.

The tests run every case; docs/simulator.md is written from the same cases. A base is a request that succeeds; a case
names the one thing that differs from it.
"""

from __future__ import annotations

import json

from tests.contract.sim_wire.cases_conditional import CONDITIONAL_CASES
from tests.contract.sim_wire.client import START
from tests.contract.sim_wire.rows import BTC, V1, V2, V3, Base, Case, Step, limit_cases, symbol_cases, window_cases

LIMIT = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.010",
    "price": "84000.00",
}
MARKET = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.010"}

RESTING: Step = ("POST", f"{V1}/order", {**LIMIT, "newClientOrderId": "one"})
LONG: Step = ("POST", f"{V1}/order", MARKET)
GONE: Step = ("DELETE", f"{V1}/order", {**BTC, "origClientOrderId": "one"})
HEDGE: Step = ("POST", f"{V1}/positionSide/dual", {"dualSidePosition": "true"})
MULTI: Step = ("POST", f"{V1}/multiAssetsMargin", {"multiAssetsMargin": "true"})
ISOLATED: Step = ("POST", f"{V1}/marginType", {**BTC, "marginType": "ISOLATED"})
CLOSER: Step = ("POST", f"{V1}/order", {**LIMIT, "side": "SELL", "price": "86000", "reduceOnly": "true",
                                         "newClientOrderId": "one"})  # fmt: skip


def _public() -> list[Case]:
    cases = [Base("GET", f"{V1}/{name}", {}).fine() for name in ("ping", "time", "exchangeInfo")]
    depth = Base("GET", f"{V1}/depth", BTC)
    cases += [depth.fine(), *symbol_cases(depth), depth.fine("limit", "1000", limit="1000")]
    cases += [depth.but("limit", "not of the list", "7", -4021), depth.but("limit", "not a number", "x", -1100)]
    klines = Base("GET", f"{V1}/klines", {**BTC, "interval": "5m"})
    cases += [klines.fine(), *symbol_cases(klines), *limit_cases(klines, 1500)]
    cases += [klines.but("interval", "missing", None, -1102), klines.but("interval", "unknown", "7m", -1120)]
    cases += [klines.but("startTime", "after endTime", "2", -1023, endTime="1")]
    marks = Base("GET", f"{V1}/markPriceKlines", {**BTC, "interval": "1m"})
    cases += [marks.fine(), *symbol_cases(marks), *limit_cases(marks, 1500)]
    agg = Base("GET", f"{V1}/aggTrades", BTC)
    cases += [agg.fine(), *symbol_cases(agg), *limit_cases(agg, 1000), *window_cases(agg, 3_600_000)]
    cases += [agg.fine("fromId", "alone", fromId="1"), agg.but("fromId", "with a time", "1", -1128, startTime="1")]
    trades = Base("GET", f"{V1}/trades", BTC)
    cases += [trades.fine(), *symbol_cases(trades), *limit_cases(trades, 1000)]
    past = Base("GET", f"{V1}/fundingRate", BTC)
    cases += [past.fine(), past.fine("symbol", "missing: all", symbol=None), *symbol_cases(past, compulsory=False)]
    cases += limit_cases(past, 1000)
    for path in (f"{V1}/premiumIndex", f"{V1}/ticker/bookTicker", f"{V1}/ticker/price", f"{V2}/ticker/price"):
        one = Base("GET", path, BTC)
        cases += [one.fine(), one.fine("symbol", "missing: all", symbol=None), *symbol_cases(one, compulsory=False)]
    return cases


def _place() -> list[Case]:
    limit, market = Base("POST", f"{V1}/order", LIMIT), Base("POST", f"{V1}/order", MARKET)
    cases = [limit.fine("type", "LIMIT"), market.fine("type", "MARKET"), *symbol_cases(limit)]
    for name in ("side", "type", "timeInForce", "quantity", "price"):
        cases += [limit.but(name, "missing", None, -1102), limit.but(name, "empty", "", -1102)]
    cases += [
        limit.but("side", "unknown", "HOLD", -1117),
        limit.but("type", "unknown", "ICEBERG", -1116),
        limit.but("type", "conditional", "STOP_MARKET", -4120, stopPrice="90000"),
        limit.but("timeInForce", "unknown", "DAY", -1115),
        *_good_till(limit),
        *[limit.fine("timeInForce", name, timeInForce=name) for name in ("IOC", "GTX")],
        limit.but("timeInForce", "FOK that cannot fill", "FOK", -5021),
        limit.but("timeInForce", "GTX that would take", "GTX", -5022, price="84600.00"),
        market.but("timeInForce", "with MARKET", "GTC", -1106),
        market.but("price", "with MARKET", "84000.00", -1106),
        limit.but("positionSide", "LONG in one-way mode", "LONG", -4061),
        limit.but("positionSide", "unknown", "UP", -4060),
        limit.fine("positionSide", "BOTH", positionSide="BOTH"),
        limit.but("closePosition", "true", "true", -4136),
        limit.but("newOrderRespType", "unknown", "FULL", -1136),
        limit.fine("newOrderRespType", "RESULT", newOrderRespType="RESULT"),
        limit.but("newClientOrderId", "37 characters", "a" * 37, -4015),
        limit.but("newClientOrderId", "illegal character", "a b", -1100),
        limit.but("newClientOrderId", "empty", "", -1105),
        limit.after("of an open order", RESTING, code=-4116, parameter="newClientOrderId", newClientOrderId="one"),
        limit.after("of a closed one", RESTING, GONE, code=None, parameter="newClientOrderId", newClientOrderId="one"),
        *[limit.fine("selfTradePreventionMode", mode, selfTradePreventionMode=mode) for mode in
          ("EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH")],
        limit.but("selfTradePreventionMode", "unknown", "EXPIRE_NONE", -5039),
        limit.fine("priceMatch", "QUEUE instead of a price", priceMatch="QUEUE", price=None),
        limit.but("priceMatch", "with a price", "QUEUE", -1106),
        limit.but("priceMatch", "unknown", "BEST", -5037, price=None),
        market.but("priceMatch", "with MARKET", "QUEUE", -5038),
        limit.but("reduceOnly", "neither true nor false", "yes", -1130),
        limit.but("reduceOnly", "true without a position", "true", -2022),
        limit.after("true against a position", LONG, code=None, parameter="reduceOnly", reduceOnly="true",
                    side="SELL", price="86000.00"),
    ]  # fmt: skip
    return [*cases, *_hedge(limit), *_filters(limit, market)]


def _good_till(limit: Base) -> list[Case]:
    least = START + 600_000
    return [
        limit.fine("timeInForce", "GTD", timeInForce="GTD", goodTillDate=str(least + 1_000)),
        limit.but("goodTillDate", "missing with GTD", None, -1102, timeInForce="GTD"),
        limit.but("goodTillDate", "not a number", "soon", -1100, timeInForce="GTD"),
        limit.but("goodTillDate", "600 s ahead", str(least), -5040, timeInForce="GTD"),
        limit.but("goodTillDate", "600 s ahead but for the milliseconds", str(least + 999), -5040, timeInForce="GTD"),
        limit.but("goodTillDate", "after the year 9999", "253402300799000", -5040, timeInForce="GTD"),
        limit.but("goodTillDate", "without GTD", str(least + 1_000), -1106),
    ]


def _hedge(limit: Base) -> list[Case]:
    """What hedge mode refuses; the simulator has the mode and not what is traded in it."""
    return [
        limit.after("missing in hedge mode", HEDGE, code=-4061, parameter="positionSide"),
        limit.after("BOTH in hedge mode", HEDGE, code=-4061, parameter="positionSide", positionSide="BOTH"),
        limit.after(
            "LONG in hedge mode, in which the simulator does not trade", HEDGE,
            code=-4084, parameter="positionSide", positionSide="LONG",
        ),
        limit.after("true in hedge mode", HEDGE, code=-1106, parameter="reduceOnly", positionSide="LONG",
                    reduceOnly="true"),
    ]  # fmt: skip


def _filters(limit: Base, market: Base) -> list[Case]:
    return [
        limit.but("quantity", "not a number", "1e3", -1100),
        limit.but("quantity", "0", "0", -4003),
        limit.but("quantity", "negative", "-1", -4003),
        limit.but("quantity", "over the most", "1001", -4005),
        limit.but("quantity", "too many decimals", "0.0101", -1111),
        market.but("quantity", "over the most at market", "121", -4005),
        limit.but("price", "not a number", "NaN", -1100),
        limit.but("price", "0", "0", -4001),
        limit.but("price", "negative", "-1", -4001),
        limit.but("price", "under the lowest", "556.70", -4013),
        limit.but("price", "over the highest", "4529764.10", -4002),
        limit.but("price", "off the tick", "84000.05", -4014),
        limit.but("price", "too many decimals", "84000.001", -1111),
        limit.but("price", "buy over the price bound", "90000.00", -4016),
        limit.but("price", "sell under the price bound", "80000.00", -4024, side="SELL"),
        limit.but("quantity", "notional under the least", "0.001", -4164, price="40000.00"),
        limit.but("quantity", "margin insufficient at leverage 20", "240", -2019),
    ]


def _amend() -> list[Case]:
    params = {**BTC, "side": "BUY", "quantity": "0.010", "price": "84001.00", "origClientOrderId": "one"}
    amend = Base("PUT", f"{V1}/order", params, (RESTING,))
    cases = [amend.fine(), *symbol_cases(amend)]
    cases += [amend.but(name, "missing", None, -1102) for name in ("side", "quantity", "price")]
    return [
        *cases,
        amend.but("side", "unknown", "HOLD", -1117),
        amend.but("side", "not the order's", "SELL", -1117),
        amend.but("origClientOrderId", "neither it nor orderId", None, -1102),
        amend.but("origClientOrderId", "unknown", "two", -2013),
        amend.but("orderId", "wins over origClientOrderId", "1", -2013),
        amend.but("orderId", "not a number", "x", -1100),
        amend.but("price", "and quantity unchanged", "84000.00", -5027),
        amend.but("price", "off the tick", "84000.05", -4014),
        amend.but("price", "over the price bound", "90000.00", -4016),
        amend.but("quantity", "notional under the least", "0.001", -5029, price="40000.00"),
        amend.but("reduceOnly", "true on an ordinary order", "true", -5047),
        amend.but("modifyId", "not a number", "x", -1100),
        amend.fine("modifyId", "a number", modifyId="7"),
        amend.fine("priceMatch", "QUEUE instead of a price", priceMatch="QUEUE", price=None),
        amend.but("priceMatch", "unknown", "BEST", -5037, price=None),
        amend.after("of a closed order", RESTING, GONE, code=-2013, parameter="origClientOrderId"),
    ]


def _one_order(method: str, path: str, closed: int | None, unknown: int) -> list[Case]:
    base = Base(method, path, {**BTC, "origClientOrderId": "one"}, (RESTING,))
    return [
        base.fine(),
        *symbol_cases(base),
        base.but("origClientOrderId", "neither it nor orderId", None, -1102),
        base.but("origClientOrderId", "unknown", "two", unknown),
        base.but("origClientOrderId", "illegal character", "a b", -1100),
        base.but("orderId", "unknown", "1", unknown),
        base.but("orderId", "not a number", "x", -1100),
        base.after("of a closed order", RESTING, GONE, code=closed, parameter="origClientOrderId"),
    ]


def _batches() -> list[Case]:
    place = Base("POST", f"{V1}/batchOrders", {"batchOrders": json.dumps([LIMIT, {**LIMIT, "side": "HOLD"}])})
    change = {**BTC, "side": "BUY", "quantity": "0.010", "price": "84001.00", "origClientOrderId": "one"}
    amend = Base("PUT", f"{V1}/batchOrders", {"batchOrders": json.dumps([change])}, (RESTING,))
    cases = [place.fine("batchOrders", "one right and one wrong: 200 with both answers"), amend.fine()]
    for base in (place, amend):
        cases += [
            base.but("batchOrders", "missing", None, -1102),
            base.but("batchOrders", "not JSON", "[", -1130),
            base.but("batchOrders", "numbers that are no texts", '[{"quantity":1}]', -1130),
            base.but("batchOrders", "empty list", "[]", -4082),
            base.but("batchOrders", "six orders", json.dumps([LIMIT] * 6), -4082),
        ]
    cancel = Base("DELETE", f"{V1}/batchOrders", {**BTC, "origClientOrderIdList": '["one","two"]'}, (RESTING,))
    return [
        *cases,
        cancel.fine("origClientOrderIdList", "one known and one not: 200 with both answers"),
        cancel.fine("orderIdList", "alone", orderIdList="[1]", origClientOrderIdList=None),
        *symbol_cases(cancel),
        cancel.but("orderIdList", "with origClientOrderIdList", "[1]", -1128),
        cancel.but("orderIdList", "neither list", None, -1102, origClientOrderIdList=None),
        cancel.but("orderIdList", "not a list of numbers", '["x"]', -1130, origClientOrderIdList=None),
        cancel.but("orderIdList", "eleven", json.dumps([*range(11)]), -4032, origClientOrderIdList=None),
    ]


def _many_orders() -> list[Case]:
    every = Base("DELETE", f"{V1}/allOpenOrders", BTC)
    countdown = Base("POST", f"{V1}/countdownCancelAll", {**BTC, "countdownTime": "120000"})
    open_orders = Base("GET", f"{V1}/openOrders", BTC)
    history = Base("GET", f"{V1}/allOrders", BTC)
    trades = Base("GET", f"{V1}/userTrades", BTC)
    week = 7 * 86_400_000
    return [
        every.fine(),
        *symbol_cases(every),
        countdown.fine(),
        *symbol_cases(countdown),
        countdown.fine("countdownTime", "0 stops it", countdownTime="0"),
        countdown.but("countdownTime", "missing", None, -1102),
        countdown.but("countdownTime", "negative", "-1", -1130),
        countdown.but("countdownTime", "not a number", "soon", -1100),
        open_orders.fine(),
        open_orders.fine("symbol", "missing: all", symbol=None),
        *symbol_cases(open_orders, compulsory=False),
        history.fine(),
        history.fine("symbol", "missing: all", symbol=None),
        *symbol_cases(history, compulsory=False),
        *limit_cases(history, 1000),
        *window_cases(history, week),
        history.but("orderId", "not a number", "x", -1100),
        trades.fine(),
        *symbol_cases(trades),
        *limit_cases(trades, 1000),
        *window_cases(trades, week),
        trades.fine("fromId", "alone", fromId="1"),
        trades.but("fromId", "with a time", "1", -1128, startTime="1"),
        trades.but("orderId", "not a number", "x", -1100),
    ]


def _account() -> list[Case]:
    cases = []
    for path in (f"{V3}/positionRisk", f"{V2}/positionRisk", f"{V1}/symbolConfig", f"{V1}/leverageBracket"):
        base = Base("GET", path, BTC)
        cases += [base.fine(), base.fine("symbol", "missing: all", symbol=None), *symbol_cases(base, compulsory=False)]
    for path in (f"{V3}/account", f"{V2}/account", f"{V3}/balance", f"{V2}/balance", f"{V1}/accountConfig",
                 f"{V1}/positionSide/dual", f"{V1}/multiAssetsMargin", f"{V1}/rateLimit/order"):  # fmt: skip
        cases.append(Base("GET", path, {}).fine())
    rate = Base("GET", f"{V1}/commissionRate", BTC)
    income = Base("GET", f"{V1}/income", BTC)
    cases += [
        rate.fine(),
        *symbol_cases(rate),
        income.fine(),
        *symbol_cases(income, compulsory=False),
        *limit_cases(income, 1000),
    ]
    leverage = Base("POST", f"{V1}/leverage", {**BTC, "leverage": "10"})
    kind = Base("POST", f"{V1}/marginType", {**BTC, "marginType": "ISOLATED"})
    dual = Base("POST", f"{V1}/positionSide/dual", {"dualSidePosition": "false"})
    return [
        *cases,
        leverage.fine(),
        *symbol_cases(leverage),
        leverage.but("leverage", "missing", None, -1102),
        leverage.but("leverage", "0", "0", -4028),
        leverage.but("leverage", "126", "126", -4028),
        leverage.but("leverage", "not a number", "x", -1100),
        leverage.after("lowered with an isolated position", ISOLATED, LONG, code=-4161, parameter="leverage"),
        kind.fine(),
        *symbol_cases(kind),
        kind.but("marginType", "missing", None, -1102),
        kind.but("marginType", "unknown", "BOTH", -1130),
        kind.but("marginType", "as it is", "CROSSED", -4046),
        kind.after("with an open order", RESTING, code=-4047, parameter="marginType"),
        kind.after("with a position", LONG, code=-4048, parameter="marginType"),
        dual.but("dualSidePosition", "missing", None, -1102),
        dual.but("dualSidePosition", "neither true nor false", "yes", -1130),
        dual.but("dualSidePosition", "as it is", "false", -4059),
        dual.fine("dualSidePosition", "hedge mode", dualSidePosition="true"),
        dual.after("back to one-way mode", HEDGE, code=None, parameter="dualSidePosition"),
        dual.after("hedge mode, as it is", HEDGE, code=-4059, parameter="dualSidePosition", dualSidePosition="true"),
        dual.after(
            "true with an open order", RESTING, code=-4067, parameter="dualSidePosition", dualSidePosition="true"
        ),
        dual.after("true with a position", LONG, code=-4068, parameter="dualSidePosition", dualSidePosition="true"),
        *_multi_assets(kind),
    ]


def _multi_assets(kind: Base) -> list[Case]:
    multi = Base("POST", f"{V1}/multiAssetsMargin", {"multiAssetsMargin": "true"})
    return [
        multi.fine(),
        multi.but("multiAssetsMargin", "missing", None, -1102),
        multi.but("multiAssetsMargin", "neither true nor false", "yes", -1130),
        multi.but("multiAssetsMargin", "as it is", "false", -4171),
        multi.after("with an isolated symbol", ISOLATED, code=-4167, parameter="multiAssetsMargin"),
        multi.after("with an open order", RESTING, code=-4170, parameter="multiAssetsMargin"),
        kind.after("ISOLATED in multi-assets mode", MULTI, code=-4168, parameter="marginType"),
    ]


def _forced() -> list[Case]:
    forced, quantile = Base("GET", f"{V1}/forceOrders", BTC), Base("GET", f"{V1}/adlQuantile", BTC)
    return [
        forced.fine(),
        forced.fine("symbol", "missing: all", symbol=None),
        *symbol_cases(forced, compulsory=False),
        *limit_cases(forced, 100),
        *window_cases(forced, 90 * 86_400_000),
        *[forced.fine("autoCloseType", kind, autoCloseType=kind) for kind in ("LIQUIDATION", "ADL")],
        forced.but("autoCloseType", "unknown", "SETTLEMENT", -1130),
        quantile.fine(),
        quantile.fine("symbol", "missing: those in use", symbol=None),
        *symbol_cases(quantile, compulsory=False),
    ]


def _listen_key() -> list[Case]:
    started: Step = ("POST", f"{V1}/listenKey", {})
    post, put, delete = (Base(method, f"{V1}/listenKey", {}) for method in ("POST", "PUT", "DELETE"))
    return [
        post.fine(),
        put.after("while one is active", started, code=None),
        put.after("without an active one", code=-1125),
        delete.after("while one is active", started, code=None),
        delete.after("without an active one", code=-1125),
    ]


CASES: list[Case] = [
    *_public(),
    *_place(),
    *_amend(),
    *_one_order("DELETE", f"{V1}/order", closed=-2011, unknown=-2011),
    *_one_order("GET", f"{V1}/order", closed=None, unknown=-2013),
    *_one_order("GET", f"{V1}/openOrder", closed=-2013, unknown=-2013),
    *_batches(),
    *_many_orders(),
    *_account(),
    *_forced(),
    *_listen_key(),
    *CONDITIONAL_CASES,
]
