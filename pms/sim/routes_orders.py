"""Order routes: place, amend, cancel, look up, in ones and in batches (binance.md 3.3, 4).

Owns which parameters each route takes; the exchange checks filters, margin and state. Refuses to know HTTP.
A batch answers 200 with one answer or refusal for each element, in request order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from pms.sim import order_params, rows
from pms.sim.liquidation import ADL, FORCED, LIQUIDATION
from pms.sim.model import VenueError
from pms.sim.params import Params, combination, mandatory, not_valid
from pms.sim.rest import Call, Route, by_symbol

BATCH_PLACE_MAX = 5
BATCH_CANCEL_MAX = 10
WEEK_MS = 7 * 86_400_000
ROWS_MAX = 1_000
FORCED_MAX = 100
FORCED_KEPT_MS = 90 * 86_400_000
_AUTO_CLOSE = {"LIQUIDATION": (LIQUIDATION,), "ADL": (ADL,)}


def _acknowledges(params: Params) -> bool:
    kind = params.get("newOrderRespType") or "ACK"
    if kind not in ("ACK", "RESULT"):
        raise VenueError(-1136, "Invalid newOrderRespType.")
    return kind == "ACK"


def _place(call: Call, params: Params) -> rows.Row:
    acknowledges = _acknowledges(params)
    order = call.exchange.place(
        call.account, order_params.new_order(call.known(params.text("symbol")), params, call.new_id)
    )
    return rows.answer(order, call.rules[order.symbol], acknowledges)


def _amend(call: Call, params: Params) -> rows.Row:
    symbol = call.known(params.text("symbol"))
    which, side = order_params.which(params), order_params.side(params)
    quantity = params.needed_decimal("quantity")
    match = order_params.price_match(params, "LIMIT")
    price = params.needed_decimal("price") if match == "NONE" else None
    modify_id = params.integer("modifyId")
    order = call.exchange.amend(
        call.account,
        symbol,
        quantity=quantity,
        price=price,
        side=side,
        price_match=match,
        reduce_only=params.flag("reduceOnly"),
        modify_id=None if modify_id is None else str(modify_id),
        **which,
    )
    row = {**rows.answer(order, call.rules[symbol]), "pair": symbol}
    return row if modify_id is None else {**row, "modifyId": modify_id}


def _cancel(call: Call, params: Params) -> rows.Row:
    symbol = call.known(params.text("symbol"))
    order = call.exchange.cancel(call.account, symbol, **order_params.which(params))
    return rows.answer(order, call.rules[symbol])


def place(call: Call) -> object:
    """POST order."""
    return _place(call, call.params)


def amend(call: Call) -> object:
    """PUT order."""
    return _amend(call, call.params)


def cancel(call: Call) -> object:
    """DELETE order."""
    return _cancel(call, call.params)


def look_up(call: Call) -> object:
    """GET order, open or closed."""
    symbol = call.symbol()
    return rows.found(call.exchange.order(call.account, symbol, **order_params.which(call.params)), call.rules[symbol])


def look_up_open(call: Call) -> object:
    """GET openOrder; -2013 once it is closed."""
    symbol = call.symbol()
    order = call.exchange.order(call.account, symbol, **order_params.which(call.params))
    if not order.is_open:
        raise VenueError(-2013, "Order does not exist.")
    return rows.found(order, call.rules[symbol])


def _json(params: Params, name: str, of: type[Any]) -> Any:
    try:
        return msgspec.json.decode(params.text(name), type=of)
    except (msgspec.DecodeError, RecursionError):  # no JSON, not of this form, or nested without end
        raise not_valid(name) from None


def _each(call: Call, act: Callable[[Call, Params], rows.Row], asked: list[dict[str, str]]) -> list[rows.Row]:
    answers: list[rows.Row] = []
    for values in asked:
        try:
            answers.append(act(call, Params(values)))
        except VenueError as error:
            answers.append({"code": error.code, "msg": error.message})
    return answers


def _batch(call: Call, act: Callable[[Call, Params], rows.Row]) -> list[rows.Row]:
    asked = _json(call.params, "batchOrders", list[dict[str, str]])
    if not 1 <= len(asked) <= BATCH_PLACE_MAX:
        raise VenueError(-4082, "Invalid number of batch place orders.")
    return _each(call, act, asked)


def place_batch(call: Call) -> object:
    """POST batchOrders: every number inside is a text."""
    return _batch(call, _place)


def amend_batch(call: Call) -> object:
    """PUT batchOrders."""
    return _batch(call, _amend)


def cancel_batch(call: Call) -> object:
    """DELETE batchOrders by a list of order ids or of client order ids."""
    symbol = call.symbol()
    if "orderIdList" in call.params and "origClientOrderIdList" in call.params:
        raise combination()
    if "origClientOrderIdList" in call.params:
        named = _json(call.params, "origClientOrderIdList", list[str])
        asked = [{"symbol": symbol, "origClientOrderId": client_id} for client_id in named]
    elif "orderIdList" in call.params:
        numbers = _json(call.params, "orderIdList", list[int])
        asked = [{"symbol": symbol, "orderId": str(order_id)} for order_id in numbers]
    else:
        raise mandatory("orderIdList")
    if not 1 <= len(asked) <= BATCH_CANCEL_MAX:
        raise VenueError(-4032, "Exceed maximum cancel order size.")
    return _each(call, _cancel, asked)


def cancel_all(call: Call) -> object:
    """DELETE allOpenOrders of one symbol."""
    call.exchange.cancel_all(call.account, call.symbol())
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def countdown(call: Call) -> object:
    """POST countdownCancelAll; 0 stops it."""
    symbol = call.symbol()
    length = call.params.needed_integer("countdownTime")
    if length < 0:
        raise not_valid("countdownTime")
    call.exchange.countdown(call.account, symbol, length)
    return {"symbol": symbol, "countdownTime": str(length)}


def open_orders(call: Call) -> object:
    """GET openOrders of one symbol or of all."""
    found = call.exchange.open_orders(call.account, call.optional_symbol())
    return [rows.found(order, call.rules[order.symbol]) for order in found]


def _week(call: Call, bounded: bool) -> tuple[int | None, int | None]:
    """The time window of a listing: at most 7 days, the last 7 when nothing else bounds it (binance.md 3.3)."""
    start, end = call.params.window(WEEK_MS)
    if start is None and end is None:
        return (None if bounded else call.now - WEEK_MS), None
    if start is None:
        assert end is not None  # one of both was sent
        return end - WEEK_MS, end
    return start, start + WEEK_MS if end is None else end


def all_orders(call: Call) -> object:
    """GET allOrders: the newest rows when more match than `limit`."""
    symbol, order_id = call.optional_symbol(), call.params.integer("orderId")
    start, end = _week(call, order_id is not None)
    limit = call.params.limit(500, ROWS_MAX)
    found = call.exchange.all_orders(
        call.account, symbol, order_id=order_id, start=start, end=end, limit=limit
    )  # fmt: skip
    return [rows.historic(order, call.rules[order.symbol]) for order in found]


def force_orders(call: Call) -> object:
    """GET forceOrders: the venue's own orders on the account, of 7 days unless a time is given, of 90 at most."""
    symbol, kind = call.optional_symbol(), call.params.get("autoCloseType")
    if kind is not None and kind not in _AUTO_CLOSE:
        raise not_valid("autoCloseType")
    start, end = call.params.window(FORCED_KEPT_MS)
    if start is None:
        start = (call.now if end is None else end) - WEEK_MS
    found = call.exchange.forced_orders(
        call.account,
        symbol,
        kinds=FORCED if kind is None else _AUTO_CLOSE[kind],
        start=max(start, call.now - FORCED_KEPT_MS),
        end=end,
        limit=call.params.limit(50, FORCED_MAX),
    )
    return [rows.historic(order, call.rules[order.symbol]) for order in found]


def user_trades(call: Call) -> object:
    """GET userTrades: the oldest rows when more match than `limit`."""
    symbol = call.symbol()
    order_id, from_id = call.params.integer("orderId"), call.params.integer("fromId")
    if from_id is not None and not call.params.without(("startTime", "endTime")):
        raise combination()
    start, end = _week(call, order_id is not None or from_id is not None)
    limit = call.params.limit(500, ROWS_MAX)
    found = call.exchange.trades(
        call.account, symbol, order_id=order_id, start=start, end=end, from_id=from_id, limit=limit
    )
    return [rows.trade(fill, call.rules[symbol]) for fill in found]


ROUTES = (
    Route("POST", "/fapi/v1/order", "SIGNED", 0, place, orders=(1, 1)),
    Route("PUT", "/fapi/v1/order", "SIGNED", 0, amend, orders=(1, 1)),
    Route("DELETE", "/fapi/v1/order", "SIGNED", 1, cancel),
    Route("GET", "/fapi/v1/order", "SIGNED", 1, look_up),
    Route("GET", "/fapi/v1/openOrder", "SIGNED", 1, look_up_open),
    Route("POST", "/fapi/v1/batchOrders", "SIGNED", 5, place_batch, orders=(5, 1)),
    Route("PUT", "/fapi/v1/batchOrders", "SIGNED", 5, amend_batch, orders=(5, 1)),
    Route("DELETE", "/fapi/v1/batchOrders", "SIGNED", 1, cancel_batch),
    Route("DELETE", "/fapi/v1/allOpenOrders", "SIGNED", 1, cancel_all),
    Route("POST", "/fapi/v1/countdownCancelAll", "SIGNED", 10, countdown),
    Route("GET", "/fapi/v1/openOrders", "SIGNED", by_symbol(1, 40), open_orders),
    Route("GET", "/fapi/v1/allOrders", "SIGNED", 5, all_orders),
    Route("GET", "/fapi/v1/forceOrders", "SIGNED", by_symbol(20, 50), force_orders),
    Route("GET", "/fapi/v1/userTrades", "SIGNED", 5, user_trades),
)
