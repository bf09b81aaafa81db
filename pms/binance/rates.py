"""What each request costs at the venue, and who waits for whom (binance.md 3.1). Pure.

Owns the table of weights and order counts. Refuses to count. What no row names weighs 1.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pms.core.limiter import MINUTE_MS, SLOT_MS, Charge, Lane, Limits

ORDER = Charge(weight=0, orders_10s=1, orders_1m=1)  # POST and PUT of one order
LIGHT = Charge(weight=1)

_WEIGHTS: dict[str, int] = {
    "/fapi/v1/allOrders": 5,
    "/fapi/v1/userTrades": 5,
    "/fapi/v3/positionRisk": 5,
    "/fapi/v3/balance": 5,
    "/fapi/v3/account": 5,
    "/fapi/v1/accountConfig": 5,
    "/fapi/v1/symbolConfig": 5,
    "/fapi/v1/commissionRate": 20,
    "/fapi/v1/income": 30,
    "/fapi/v1/fundingRate": 0,
    "/fapi/v1/allAlgoOrders": 5,
    "/fapi/v1/countdownCancelAll": 10,
}
_OF_ALL_SYMBOLS: dict[str, int] = {  # without `symbol`
    "/fapi/v1/openOrders": 40,
    "/fapi/v1/openAlgoOrders": 40,
    "/fapi/v1/premiumIndex": 10,
}
_DEPTH = "/fapi/v1/depth"
_DEPTH_WEIGHTS = ((50, 2), (100, 5), (500, 10), (1000, 20))  # by limit
_CANDLES = ("/fapi/v1/klines", "/fapi/v1/markPriceKlines")
_CANDLE_WEIGHTS = ((99, 1), (499, 2), (1000, 5), (1500, 10))  # by limit
# Without these nothing else works, and no start comes to its exits: the venue's time, the listen key, the rules and
# brackets, the dead-man timer.
_VITAL = frozenset(
    (
        *("/fapi/v1/time", "/fapi/v1/listenKey", "/fapi/v1/exchangeInfo", "/fapi/v1/accountConfig"),
        *("/fapi/v1/leverageBracket", "/fapi/v1/countdownCancelAll"),
    )
)
# The account's state and what a stop goes by when the book is gone (execution.md 27).
_RECOVERY = frozenset(
    (
        *("/fapi/v1/order", "/fapi/v1/openOrders", "/fapi/v1/allOrders", "/fapi/v1/userTrades"),
        *("/fapi/v3/positionRisk", "/fapi/v3/balance", "/fapi/v3/account", "/fapi/v1/income", "/fapi/v1/fundingRate"),
        *("/fapi/v1/openAlgoOrders", "/fapi/v1/allAlgoOrders", "/fapi/v1/algoOrder", "/fapi/v1/premiumIndex"),
        *_CANDLES,
    )
)


def charge(path: str, params: Mapping[str, object]) -> Charge:
    """The cost of a read."""
    if path == _DEPTH or path in _CANDLES:
        rows = int(str(params.get("limit") or 500))
        weights = _DEPTH_WEIGHTS if path == _DEPTH else _CANDLE_WEIGHTS
        return Charge(weight=next((weight for limit, weight in weights if rows <= limit), weights[-1][1]))
    if path in _OF_ALL_SYMBOLS and params.get("symbol") is None:
        return Charge(weight=_OF_ALL_SYMBOLS[path])
    return Charge(weight=_WEIGHTS.get(path, 1))


def lane(path: str) -> Lane:
    """Where a read stands in line."""
    return Lane.EXIT if path in _VITAL else Lane.RECOVERY if path in _RECOVERY else Lane.READ


class _RateLimit(msgspec.Struct, rename="camel"):
    rate_limit_type: str
    interval: str
    interval_num: int
    limit: int


class _ExchangeInfo(msgspec.Struct, rename="camel"):
    rate_limits: list[_RateLimit] = []


_decode = msgspec.json.Decoder(_ExchangeInfo).decode
_UNITS_MS = {"SECOND": 1000, "MINUTE": MINUTE_MS}


def limits(body: bytes) -> Limits:
    """The limits that exchangeInfo tells; 0 for what it does not. Raises `msgspec.MsgspecError`."""
    told = {
        (row.rate_limit_type, row.interval_num * _UNITS_MS.get(row.interval, 0)): row.limit
        for row in _decode(body).rate_limits
    }
    return Limits(
        weight_1m=told.get(("REQUEST_WEIGHT", MINUTE_MS), 0),
        orders_10s=told.get(("ORDERS", SLOT_MS), 0),
        orders_1m=told.get(("ORDERS", MINUTE_MS), 0),
    )
