"""Requests to the venue as data: method, path and unsigned query (binance.md 3.3, 3.5). Pure.

Decimals are written plainly, without exponent, as the port gave them; rounding to tick and step is done before (law 6).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from pms.binance import rates
from pms.binance.signing import encode
from pms.core.limiter import Charge, Lane
from pms.venue import Amend, Cancel, Place

ORDER = "/fapi/v1/order"
# How late a request may still act (execution.md 2). Short where acting late hurts: a stale price is worse than none.
PLACE_WINDOW_MS = 2000
AMEND_WINDOW_MS = 1000
CANCELS_MAX = 10  # of one DELETE batchOrders (binance.md 3.1)
WINDOW_MS = 5000  # the venue's default; cancels may be late, and reads lose nothing


class Request(msgspec.Struct, frozen=True):
    """One request before signing, with its cost and where it stands in line. `queued`: it waits its turn among reads;
    what orders wait for never does. `call` names the method of the WebSocket API that does the same with `params`,
    where there is one."""

    method: str
    path: str
    query: str = ""
    window_ms: int = WINDOW_MS
    signed: bool = True
    queued: bool = True
    charge: Charge = rates.LIGHT
    lane: Lane = Lane.READ
    call: str = ""
    params: Sequence[tuple[str, str]] = ()


def order(request: Place | Amend | Cancel) -> Request:
    """The request that changes an order."""
    match request:
        case Place():
            return place_conditional(request) if request.conditional else place(request)
        case Amend():
            return amend(request)
        case Cancel():
            return cancel(request)


def place_conditional(order: Place) -> Request:
    """An order that waits for its price (binance.md 3.4)."""
    params = [
        ("algoType", "CONDITIONAL"),
        ("symbol", order.symbol),
        ("side", order.side),
        ("type", order.order_type),
        ("quantity", f"{order.quantity:f}"),
        ("triggerPrice", f"{order.trigger_price:f}"),
        ("workingType", order.working_type),
    ]
    if order.order_type in ("STOP", "TAKE_PROFIT"):
        params += [("timeInForce", order.time_in_force), ("price", f"{order.price:f}")]
    if order.reduce_only:
        params.append(("reduceOnly", "true"))
    params.append(("clientAlgoId", order.client_id))
    return Request("POST", "/fapi/v1/algoOrder", encode(params), PLACE_WINDOW_MS, True, False, rates.ORDER, Lane.EXIT)


def place(order: Place) -> Request:
    """RESULT: the final state of what executes at once; a resting order answers NEW all the same."""
    params = [
        ("symbol", order.symbol),
        ("side", order.side),
        ("type", order.order_type),
        ("quantity", f"{order.quantity:f}"),
    ]
    if order.order_type == "LIMIT":
        params += [("timeInForce", order.time_in_force), ("price", f"{order.price:f}")]
    if order.reduce_only:
        params.append(("reduceOnly", "true"))
    params += [("newClientOrderId", order.client_id), ("newOrderRespType", "RESULT")]
    query = encode(params)
    return Request("POST", ORDER, query, PLACE_WINDOW_MS, True, False, rates.ORDER, Lane.NEAR, "order.place", params)


def amend(change: Amend) -> Request:
    params = [
        ("symbol", change.symbol),
        ("side", change.side),
        ("quantity", f"{change.quantity:f}"),
        ("price", f"{change.price:f}"),
        ("origClientOrderId", change.client_id),
    ]
    query = encode(params)
    return Request("PUT", ORDER, query, AMEND_WINDOW_MS, True, False, rates.ORDER, Lane.NEAR, "order.modify", params)


def cancel(order: Cancel) -> Request:
    if order.conditional:
        query = encode([("clientAlgoId", order.client_id)])
        return Request("DELETE", "/fapi/v1/algoOrder", query, queued=False, lane=Lane.EXIT)
    params = [("symbol", order.symbol), ("origClientOrderId", order.client_id)]
    return Request("DELETE", ORDER, encode(params), queued=False, lane=Lane.EXIT, call="order.cancel", params=params)


def cancel_many(symbol: str, client_ids: Sequence[str]) -> Request:
    """Up to `CANCELS_MAX` orders of a symbol by one request, which weighs as much as one cancel."""
    named = msgspec.json.encode(list(client_ids)).decode()
    query = encode([("symbol", symbol), ("origClientOrderIdList", named)])
    return Request("DELETE", "/fapi/v1/batchOrders", query, queued=False, lane=Lane.EXIT)


def cancel_all(symbol: str) -> Request:
    """Every ordinary order of a symbol, whoever placed it."""
    return Request("DELETE", "/fapi/v1/allOpenOrders", encode([("symbol", symbol)]), queued=False, lane=Lane.EXIT)


def look_up(symbol: str, client_id: str) -> Request:
    """Resolves unknown outcomes, so it does not wait behind a recovery's reads."""
    params = [("symbol", symbol), ("origClientOrderId", client_id)]
    return Request("GET", ORDER, encode(params), queued=False, lane=Lane.RECOVERY, call="order.status", params=params)


def countdown(symbol: str, countdown_ms: int) -> Request:
    """The dead-man timer: it must never wait behind reads."""
    params = [("symbol", symbol), ("countdownTime", str(countdown_ms))]
    path = "/fapi/v1/countdownCancelAll"
    charge = rates.charge(path, {})
    return Request("POST", path, encode(params), PLACE_WINDOW_MS, queued=False, charge=charge, lane=Lane.EXIT)


def leverage(symbol: str, times: int) -> Request:
    return Request("POST", "/fapi/v1/leverage", encode([("symbol", symbol), ("leverage", str(times))]))


def read(path: str, **params: str | int | None) -> Request:
    """A signed read; parameters that are None are left out."""
    return Request("GET", path, _query(params), charge=rates.charge(path, params), lane=rates.lane(path))


def public(path: str, **params: str | int | None) -> Request:
    """An unsigned read."""
    charge, lane = rates.charge(path, params), rates.lane(path)
    return Request("GET", path, _query(params), signed=False, charge=charge, lane=lane)


def _query(params: Mapping[str, str | int | None]) -> str:
    return encode([(name, str(value)) for name, value in params.items() if value is not None])


def listen_key(method: str, urgent: bool = True) -> Request:
    """POST makes or returns the key, PUT prolongs it and tells which it is. Only the API key is sent, no signature
    (binance.md 2). What is not `urgent` leaves the last of the weight to others."""
    return Request(method, "/fapi/v1/listenKey", signed=False, lane=Lane.EXIT if urgent else Lane.READ)
