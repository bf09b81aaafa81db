"""Routes of conditional orders (binance.md 1.4, 3.4): parameters in, rows out.

Owns their parameters and shapes; what they do is the exchange's. Refuses to know HTTP.
"""

from __future__ import annotations

from typing import cast, get_args

import msgspec

from pms.sim import order_params
from pms.sim import rules as refusals
from pms.sim.conditional_model import Conditional, ConditionalType, NewConditional, WorkingType
from pms.sim.model import Rules, VenueError
from pms.sim.numbers import padded
from pms.sim.params import Params, mandatory, not_required, not_valid
from pms.sim.rest import Call, Route, by_symbol
from pms.sim.rows import Row

WEEK_MS = 7 * 86_400_000
ROWS_MAX = 1_000
_PLAIN = ("STOP", "TAKE_PROFIT")  # what they become has a price


def _type(params: Params) -> ConditionalType:
    kind = params.text("type")
    if kind not in get_args(ConditionalType):
        raise VenueError(-1116, "Invalid orderType.")
    return cast(ConditionalType, kind)


def _working(params: Params) -> WorkingType:
    working = params.get("workingType") or "CONTRACT_PRICE"
    if working not in get_args(WorkingType):
        raise not_valid("workingType")
    return cast(WorkingType, working)


def _new(call: Call) -> NewConditional:
    params, symbol = call.params, call.symbol()
    if params.text("algoType") != "CONDITIONAL":
        raise not_valid("algoType")
    side, kind = order_params.side(params), _type(params)
    whole = params.flag("closePosition") or False
    _check_whole(params, kind, whole)
    plain = kind in _PLAIN
    match = order_params.price_match(params, "LIMIT" if plain else "MARKET")
    trailing = kind == "TRAILING_STOP_MARKET"
    time_in_force = order_params.conditional_time_in_force(params)
    new = NewConditional(
        symbol=symbol,
        side=side,
        type=kind,
        client_id=params.client_id("clientAlgoId") or call.new_id(),
        working=_working(params),
        time_in_force=time_in_force,
        reduce_only=params.flag("reduceOnly") or False,
        close_position=whole,
        price_protect=params.flag("priceProtect") or False,
        stp=order_params.stp(params),
        price_match=match,
        position_side=order_params.position_side(params),
        good_till=order_params.good_till(params, time_in_force),
    )
    numbers = {
        "quantity": None if whole else params.needed_decimal("quantity"),
        "trigger": None if trailing else params.needed_decimal("triggerPrice"),
        "price": params.needed_decimal("price") if plain and match == "NONE" else None,
        "activate": params.decimal("activatePrice") if trailing else None,
        "callback": params.needed_decimal("callbackRate") if trailing else None,
    }
    return msgspec.structs.replace(new, **{name: value for name, value in numbers.items() if value is not None})


def _check_whole(params: Params, kind: str, whole: bool) -> None:
    """closePosition: only with the two that close at the market, without a quantity and without reduceOnly."""
    if not whole:
        return
    if kind not in ("STOP_MARKET", "TAKE_PROFIT_MARKET"):
        raise VenueError(-4136, f"Target strategy invalid for orderType {kind},closePosition true")
    if "quantity" in params:
        raise VenueError(-4137, "Quantity must be zero with closePosition equals true.")
    if "reduceOnly" in params:
        raise not_required("reduceOnly")


def _row(row: Conditional, rules: Rules) -> Row:
    new = row.new
    told: Row = {
        "algoId": row.algo_id,
        "clientAlgoId": new.client_id,
        "algoType": "CONDITIONAL",
        "orderType": new.type,
        "symbol": new.symbol,
        "side": new.side,
        "positionSide": "BOTH",
        "timeInForce": new.time_in_force,
        "quantity": padded(new.quantity, rules.quantity_precision),
        "algoStatus": row.status,
        "triggerPrice": padded(new.trigger, rules.price_precision),
        "price": padded(new.price, rules.price_precision),
        "icebergQuantity": None,
        "selfTradePreventionMode": new.stp,
        "workingType": new.working,
        "priceMatch": new.price_match,
        "closePosition": new.close_position,
        "priceProtect": new.price_protect,
        "reduceOnly": new.reduce_only,
        "createTime": row.created_at,
        "updateTime": row.updated_at,
        "triggerTime": row.triggered_at,
        "goodTillDate": new.good_till,
    }
    if new.is_trailing:
        told |= {"activatePrice": padded(new.activate, rules.price_precision), "callbackRate": str(new.callback)}
    return told


def _open_row(row: Conditional, rules: Rules) -> Row:
    order = row.order
    return _row(row, rules) | {
        "actualOrderId": "" if order is None else str(order.order_id),
        "actualQty": "0.0" if order is None else padded(order.filled, rules.quantity_precision),
        "isActivated": row.activated,
    }


def _ended_row(row: Conditional, rules: Rules) -> Row:
    order = row.order
    return _open_row(row, rules) | {
        "actualPrice": "0.0" if order is None else padded(order.average, rules.price_precision),
        "actualType": "" if order is None else order.type,
        "tpOrderType": "",
    }


def place(call: Call) -> object:
    """POST algoOrder."""
    row = call.exchange.place_conditional(call.account, _new(call))
    return _row(row, call.rules[row.symbol])


def _named(call: Call, missing: VenueError) -> Conditional:
    """By algoId or clientAlgoId; no symbol."""
    algo_id, client_id = call.params.integer("algoId"), call.params.client_id("clientAlgoId")
    if algo_id is None and client_id is None:
        raise mandatory("algoId")
    return call.exchange.conditionals.find(call.account, algo_id, client_id, missing)


def cancel(call: Call) -> object:
    """DELETE algoOrder; `code` is a text here, as at the venue."""
    row = _named(call, refusals.unknown_cancel())
    call.exchange.cancel_conditional(row)
    return {"algoId": row.algo_id, "clientAlgoId": row.client_id, "code": "200", "msg": "success"}


def look_up(call: Call) -> object:
    """GET algoOrder."""
    row = _named(call, refusals.unknown_order())
    return _ended_row(row, call.rules[row.symbol])


def open_rows(call: Call) -> object:
    """GET openAlgoOrders of one symbol or of all: those that wait."""
    found = call.exchange.conditionals.open(call.account, call.optional_symbol())
    return [_open_row(row, call.rules[row.symbol]) for row in found]


def all_rows(call: Call) -> object:
    """GET allAlgoOrders of one symbol: the newest when more match than `limit`."""
    symbol, limit = call.symbol(), call.params.limit(500, ROWS_MAX)
    start, end = call.params.window(WEEK_MS)
    rows = call.exchange.conditionals.all(call.account, symbol)
    since = call.now - WEEK_MS if start is None and end is None else start
    kept = [
        row for row in rows if (since is None or row.created_at >= since) and (end is None or row.created_at <= end)
    ]
    return [_ended_row(row, call.rules[symbol]) for row in kept[-limit:]]


def cancel_all(call: Call) -> object:
    """DELETE algoOpenOrders of one symbol."""
    call.exchange.cancel_conditionals(call.account, call.symbol())
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


ROUTES = (
    Route("POST", "/fapi/v1/algoOrder", "SIGNED", 0, place, orders=(1, 1)),
    Route("DELETE", "/fapi/v1/algoOrder", "SIGNED", 1, cancel),
    Route("GET", "/fapi/v1/algoOrder", "SIGNED", 1, look_up),
    Route("GET", "/fapi/v1/openAlgoOrders", "SIGNED", by_symbol(1, 40), open_rows),
    Route("GET", "/fapi/v1/allAlgoOrders", "SIGNED", 5, all_rows),
    Route("DELETE", "/fapi/v1/algoOpenOrders", "SIGNED", 1, cancel_all),
)
