"""The parameters of an order and their error codes: from text to a `NewOrder` (binance.md 3.3, 4).

Owns what is legal in form and in combination. Refuses to know filters, margin and state, which the exchange checks, and
HTTP. Conditional orders have routes of their own (pms.sim.routes_conditional) and are refused here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, cast, get_args

import msgspec

from pms.sim.model import NewOrder, PositionSide, Side, TimeInForce, VenueError
from pms.sim.params import Params, not_required

SECOND_MS = 1000
_STP = ("EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH")
_CONDITIONAL = ("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET")
_PRICE_MATCH = tuple(f"{side}{depth}" for side in ("OPPONENT", "QUEUE") for depth in ("", "_5", "_10", "_20"))


def side(params: Params) -> Side:
    """BUY or SELL; -1117 for anything else."""
    value = params.text("side")
    if value not in get_args(Side):
        raise VenueError(-1117, "Invalid side.")
    return cast(Side, value)


def _type(params: Params) -> Literal["LIMIT", "MARKET"]:
    kind = params.text("type")
    if kind in _CONDITIONAL:
        raise VenueError(
            -4120, "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead."
        )
    if kind not in ("LIMIT", "MARKET"):
        raise VenueError(-1116, "Invalid orderType.")
    return cast(Literal["LIMIT", "MARKET"], kind)


def position_side(params: Params) -> PositionSide:
    """BOTH where none was sent; -4060 for anything unknown."""
    side = params.get("positionSide") or "BOTH"
    if side not in get_args(PositionSide):
        raise VenueError(-4060, "Invalid position side.")
    return cast(PositionSide, side)


def good_till(params: Params, time_in_force: TimeInForce) -> int:
    """Compulsory with GTD and refused without; what is finer than a second is cut (binance.md 4)."""
    if time_in_force == "GTD":
        return params.needed_integer("goodTillDate") // SECOND_MS * SECOND_MS
    if "goodTillDate" in params:
        raise not_required("goodTillDate")
    return 0


def price_match(params: Params, kind: str) -> str:
    """The `priceMatch` mode, NONE when not asked for; it excludes a price (-5037, -5038, -1106)."""
    match = params.get("priceMatch")
    if match in (None, "NONE"):
        return "NONE"
    if match not in _PRICE_MATCH:
        raise VenueError(-5037, "Invalid price match.")
    if kind != "LIMIT":
        raise VenueError(-5038, "Price match only supports order type: LIMIT, STOP AND TAKE_PROFIT.")
    if "price" in params:
        raise not_required("price")
    assert match is not None  # None was answered above
    return match


def stp(params: Params) -> Literal["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"]:
    """Self-trade prevention; -5039 for an unknown mode."""
    mode = params.get("selfTradePreventionMode") or "EXPIRE_MAKER"
    if mode not in _STP:
        raise VenueError(-5039, "Invalid self trade prevention mode.")
    return cast(Literal["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"], mode)


def _time_in_force(params: Params, kind: str) -> TimeInForce:
    if kind == "MARKET":
        if "timeInForce" in params:
            raise not_required("timeInForce")
        return "GTC"
    value = params.text("timeInForce")
    if value not in get_args(TimeInForce):
        raise VenueError(-1115, "Invalid timeInForce.")
    return cast(TimeInForce, value)


def conditional_time_in_force(params: Params) -> TimeInForce:
    """Of what a conditional order becomes: GTC where none was sent."""
    return _time_in_force(params, "LIMIT") if "timeInForce" in params else "GTC"


def new_order(symbol: str, params: Params, new_id: Callable[[], str]) -> NewOrder:
    """The order that the parameters ask for; `new_id` makes the client order id when none was sent."""
    buy_or_sell, kind = side(params), _type(params)
    of_side = position_side(params)
    if params.flag("closePosition"):
        raise VenueError(-4136, f"Target strategy invalid for orderType {kind},closePosition true")
    time_in_force = _time_in_force(params, kind)
    quantity = params.needed_decimal("quantity")
    match = price_match(params, kind)
    if kind == "MARKET" and "price" in params:
        raise not_required("price")
    price = params.needed_decimal("price") if kind == "LIMIT" and match == "NONE" else None
    order = NewOrder(
        symbol=symbol,
        side=buy_or_sell,
        type=kind,
        quantity=quantity,
        client_id=params.client_id("newClientOrderId") or new_id(),
        time_in_force=time_in_force,
        reduce_only=params.flag("reduceOnly") or False,
        stp=stp(params),
        price_match=match,
        position_side=of_side,
        good_till=good_till(params, time_in_force),
    )
    return order if price is None else msgspec.structs.replace(order, price=price)


def which(params: Params) -> dict[str, Any]:
    """The order that is meant; `orderId` wins over `origClientOrderId`."""
    order_id, client_id = params.integer("orderId"), params.client_id("origClientOrderId")
    if order_id is not None:
        return {"order_id": order_id}
    if client_id is None:
        raise VenueError(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")
    return {"client_id": client_id}
