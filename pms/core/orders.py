"""The order record's life: what each word of ours or the venue's does to it. Pure; transitions are
`schemas.orders.TRANSITIONS`.

Cumulative quantities only grow, trades are booked once by id, reports may come in any order, twice or late. No terminal
state without evidence (law 3 of algos.md), and none before all the fills that the venue has told are booked.
"""

from __future__ import annotations

import msgspec

from schemas.market import ZERO
from schemas.orders import TRANSITIONS, Cause, Fill, Order, OrderState
from schemas.reports import Report, VenueStatus

_replace = msgspec.structs.replace

_END_OF = {
    VenueStatus.FILLED: OrderState.FILLED,
    VenueStatus.CANCELLED: OrderState.CANCELLED,
    VenueStatus.EXPIRED: OrderState.EXPIRED,
}
_CAUSES = frozenset(cause.value for cause in Cause if cause is not Cause.NONE)
_EVENT_OF_END = {
    OrderState.FILLED: "order_filled",
    OrderState.CANCELLED: "order_cancelled",
    OrderState.EXPIRED: "order_expired",
    OrderState.FAILED: "order_failed",
}


class IllegalTransition(AssertionError):
    """A state change that the table does not have: our own bug, nothing was changed."""


class Change(msgspec.Struct, frozen=True):
    """An order after something was said of it: the record, the events to publish, the newly booked fill, and why the
    venue has ended it."""

    order: Order
    events: tuple[str, ...] = ()
    fill: Fill | None = None
    cause: Cause = Cause.NONE


def _moved(order: Order, state: OrderState) -> Order:
    if state is order.state:
        return order
    if state not in TRANSITIONS[order.state]:
        raise IllegalTransition(f"{order.client_order_id}: {order.state} -> {state}")
    return _replace(order, state=state)


# --- our own words ------------------------------------------------------------------------------------


def amending(order: Order, price: object, quantity: object, now: int, request_id: str = "") -> Change:
    """An amend is about to leave; the old price and total stand until the venue confirms the new. One request in
    flight per order (execution.md 3)."""
    if order.state is not OrderState.ACTIVE:
        raise IllegalTransition(f"{order.client_order_id}: an amend while {order.state}")
    by, state = request_id or order.changed_by, OrderState.AMENDING
    return Change(_replace(order, state=state, next_price=price, next_quantity=quantity, updated_at=now, changed_by=by))


def cancelling(order: Order, now: int) -> Change:
    return Change(_replace(_moved(order, OrderState.CANCELLING), updated_at=now))


def cancel_wanted(order: Order, now: int, request_id: str = "") -> Change:
    """Somebody wants the order gone. It is remembered until the order ends, whatever is in flight now."""
    if order.state.terminal or order.cancel_wanted:
        return Change(order)
    by = request_id or order.changed_by
    return Change(_replace(order, cancel_wanted=True, changed_by=by, updated_at=now))


def unknown(order: Order, reason: str, now: int) -> Change:
    """The outcome of a request is not known. Terminal orders know enough."""
    if order.state.terminal or order.state is OrderState.UNKNOWN:
        return Change(order)
    order = _replace(_moved(order, OrderState.UNKNOWN), reason=reason, updated_at=now)
    return Change(order, ("order_unknown",))


def not_placed(order: Order, reason: str, now: int) -> Change:
    """The order certainly never was at the venue: refused, not done, or proven absent over the settle window."""
    if order.state.terminal:
        return Change(order)
    if order.exchange_order_id or order.algo_id or order.filled_qty:
        raise IllegalTransition(f"{order.client_order_id} was seen at the venue and can't have failed")
    order = _replace(_moved(order, OrderState.FAILED), reason=reason, updated_at=now)
    return Change(order, ("order_failed",))


def request_failed(order: Order, reason: str, now: int) -> Change:
    """An amend or a cancel was refused or not done: the order rests as it was."""
    if order.state not in (OrderState.AMENDING, OrderState.CANCELLING):
        return Change(order)
    order = _replace(
        _moved(order, OrderState.ACTIVE), next_price=None, next_quantity=None, reason=reason, updated_at=now
    )
    return Change(order)


# --- the venue's words --------------------------------------------------------------------------------


def reported(order: Order, report: Report, now: int, answers: bool = False) -> Change:
    """Take in what the venue says of the order. `answers`: the report settles the request in flight (its own answer,
    or a look-up after the window in which the request could still land)."""
    before = order
    order, fill = _book(order, report.fill)
    if before.state.terminal:
        return Change(order, (), fill)
    if before.triggered_at and report.conditional:  # of its waiting, which is over
        return _concluded(before, order, fill, [], now, report.cause)
    order = _newest(order, report)
    events: list[str] = []
    if report.status is VenueStatus.OPEN:
        order, events = _open(order, report, answers, first_seen=not (before.exchange_order_id or before.algo_id))
    elif order.venue_end is None:
        order = _replace(order, venue_end=_END_OF[report.status], reason=_end_reason(order, report))
    return _concluded(before, order, fill, events, now, report.cause)


def booked(order: Order, fill: Fill, now: int) -> Change:
    """Book a trade found by look-up. Known ones change nothing."""
    after, new = _book(order, fill)
    if new is None:
        return Change(order)
    if order.state.terminal:
        return Change(after, (), new)
    return _concluded(order, after, new, [], now, _cause_told(order))


def _book(order: Order, fill: Fill | None) -> tuple[Order, Fill | None]:
    if fill is None or fill.trade_id in order.trade_ids:
        return order, None
    filled = order.filled_qty + fill.quantity
    quote = order.quote_filled + fill.quantity * fill.price
    return (
        _replace(
            order,
            filled_qty=filled,
            quote_filled=quote,
            avg_fill_price=quote / filled,
            venue_filled=max(order.venue_filled, filled),
            last_fill_qty=fill.quantity,
            last_fill_price=fill.price,
            trade_id=fill.trade_id,
            commission=order.commission + fill.commission,
            commission_asset=fill.commission_asset,
            maker=fill.maker,
            trade_ids=(*order.trade_ids, fill.trade_id),
            exchange_order_id=fill.exchange_order_id,
        ),
        fill,
    )


def _newest(order: Order, report: Report) -> Order:
    """Price and total of the newest word by venue time; the cumulative quantity only moves up."""
    order = _replace(
        order,
        exchange_order_id=report.order_id or order.exchange_order_id,
        algo_id=report.algo_id or order.algo_id,
        venue_filled=max(order.venue_filled, report.filled),
    )
    if order.trigger_price and report.order_id and order.waiting:
        order = _replace(order, triggered_at=report.time, order_type="LIMIT" if order.price else "MARKET")
    if report.time < order.venue_time:
        return order
    price = report.price if report.price > 0 else order.price
    quantity = report.quantity if report.quantity > 0 else order.quantity
    return _replace(order, venue_time=report.time, price=price, quantity=quantity)


def _open(order: Order, report: Report, answers: bool, first_seen: bool) -> tuple[Order, list[str]]:
    """The order rests at the venue. Presence settles a placing at once; an amend by its confirmation."""
    amends = order.next_price is not None
    # Price and total tell, not that some amend was confirmed: the event of the one before may come late.
    confirmed = amends and (order.price, order.quantity) == (order.next_price, order.next_quantity)
    match order.state:
        case OrderState.PLACING:
            return _moved(order, OrderState.ACTIVE), ["order_active"]
        case OrderState.UNKNOWN if not amends and first_seen:
            return _moved(order, OrderState.ACTIVE), ["order_active"]
        case OrderState.AMENDING | OrderState.UNKNOWN if confirmed:
            return _replace(_moved(order, OrderState.ACTIVE), next_price=None, next_quantity=None), ["order_amended"]
        case OrderState.AMENDING | OrderState.UNKNOWN | OrderState.CANCELLING if answers:
            return _replace(_moved(order, OrderState.ACTIVE), next_price=None, next_quantity=None), []
        case _:
            return order, []


def _end_reason(order: Order, report: Report) -> str:
    """Why it ended; an answer does not say it of what could only fill at once (binance.md 3.3)."""
    if report.cause is not Cause.NONE:
        return report.cause.value
    if report.status is VenueStatus.EXPIRED and order.time_in_force in ("IOC", "FOK"):
        return Cause.TIME_IN_FORCE.value
    return order.reason


def _cause_told(order: Order) -> Cause:
    """Why the venue has ended an order that still lacks trades: these bring its terminal state, and name no cause."""
    return Cause(order.reason) if order.venue_end is not None and order.reason in _CAUSES else Cause.NONE


def _concluded(before: Order, order: Order, fill: Fill | None, events: list[str], now: int, cause: Cause) -> Change:
    """End the order once every fill the venue told of is booked; name the events; the same record where nothing
    changed."""
    end = order.venue_end
    if end is None and order.quantity > ZERO and order.filled_qty >= order.quantity:
        end = OrderState.FILLED
    if end is not None and order.filled_qty >= order.venue_filled:
        order = _replace(_moved(order, end), venue_end=None, next_price=None, next_quantity=None)
        if fill is not None and end is not OrderState.FILLED:
            events.append("order_partial")
        events.append(_EVENT_OF_END[end])
    elif fill is not None:
        events.append("order_partial")
    if order == before:
        return Change(before)
    return Change(_replace(order, updated_at=now), tuple(events), fill, cause)


def lacks_trades(order: Order) -> bool:
    """The venue has told of more than is booked: the trades are to be fetched."""
    return order.venue_filled > order.filled_qty
