"""The booking half of every plug-in's algo: what became of its orders. Fills, endings at the venue, refused requests
(laws 3, 4 and 7 of algos.md). Pure; no plug-in's code runs here."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from algos import step, tally
from algos.plugin import end, with_order
from algos.step import Failure, OrderUpdate
from schemas.chase import AlgoStatus
from schemas.ids import OrderId, parse
from schemas.market import ZERO
from schemas.orders import Cause, Order, OrderState
from schemas.plugin import PluginOrder, PluginState

_replace = msgspec.structs.replace


def book_fill(state: PluginState, update: OrderUpdate) -> PluginState:
    """Add a fill to its side's sums, whatever the state: an ended algo still books late fills (law 4)."""
    fill = update.fill
    if fill is None:
        return state
    legs = tuple(
        _replace(leg, filled=leg.filled + fill.quantity, quote_filled=leg.quote_filled + fill.quantity * fill.price)
        if leg.side is fill.side
        else leg
        for leg in state.legs
    )
    orders = tuple(
        _replace(order, filled=order.filled + fill.quantity)
        if order.client_order_id == update.order.client_order_id
        else order
        for order in state.orders
    )
    return _replace(state, legs=legs, orders=orders, fees=tally.with_fee(state.fees, fill), updated_at=update.now)


def on_order(state: PluginState, update: OrderUpdate) -> PluginState:
    """One of its orders changed."""
    state, order = book_fill(state, update), update.order
    known = next((one for one in state.orders if one.client_order_id == order.client_order_id), None)
    if known is None:
        return _adopted(state, order) if update.adopt and not order.state.terminal else state
    if order.state.terminal:
        return _ended(state, known, update)
    state = _synchronised(state, known, order, failed=update.failure is not None)
    return _failed(state, known, update.failure, update.now) if update.failure else state


def _adopted(state: PluginState, order: Order) -> PluginState:
    """Take a resting order of ours into its slot where that is free. Its fills were booked before."""
    whose = parse(order.client_order_id)
    if not isinstance(whose, OrderId) or state.order(whose.slot) is not None:
        return state
    taken = PluginOrder(
        slot=whose.slot,
        client_order_id=order.client_order_id,
        side=order.side,
        price=order.price,
        quantity=order.quantity,
        time_in_force=order.time_in_force,
        state=order.state,
        filled=order.filled_qty,
    )
    return _replace(state, orders=(*state.orders, taken))


def _synchronised(state: PluginState, known: PluginOrder, order: Order, failed: bool) -> PluginState:
    """Take over what the order's record says of a live one. A request that took effect ends its row of refusals."""
    settled = order.state is OrderState.ACTIVE
    now = _replace(
        known,
        state=order.state,
        price=order.price,
        quantity=order.quantity,
        request="" if settled else known.request,
    )
    if now == known:
        return state
    took_effect = known.request == "place" or (now.price, now.quantity) != (known.price, known.quantity)
    state = with_order(state, now)
    return _accepted(state, known.request) if settled and took_effect and not failed else state


def _accepted(state: PluginState, request: str) -> PluginState:
    """That an order was placed does not excuse refused amends: refused, replaced, refused again is a loop as well (law
    7)."""
    if not state.rejection or (request == "place" and state.rejection.startswith("amend:")):
        return state
    return _replace(state, rejection="", rejections=0, reason="")


def _ended(state: PluginState, known: PluginOrder, update: OrderUpdate) -> PluginState:
    """An order is proven terminal: its slot is free."""
    left = tuple(order for order in state.orders if order.slot != known.slot)
    state = _replace(state, orders=left, replacing=state.replacing and bool(left))
    if state.rejection.startswith("cancel:"):
        state = _accepted(state, "cancel")
    match update.order.state:
        case OrderState.FILLED:
            return _accepted(state, known.request)
        case OrderState.FAILED:
            assert update.failure is not None, "an order fails for a named reason"
            return _failed(state, known, update.failure, update.now)
        case OrderState.EXPIRED:
            if known.time_in_force in ("IOC", "FOK") and update.cause in (Cause.NONE, Cause.TIME_IN_FORCE):
                return state
            return _refused(state, f"{known.request or 'rest'}:expired_{update.cause.value}", "", update.now)
        case _:
            return state if known.request == "cancel" else _cancelled_by_venue(state, known, update)


def _cancelled_by_venue(state: PluginState, known: PluginOrder, update: OrderUpdate) -> PluginState:
    """CANCELED without our request: a GTX amend that would have crossed ends so (execution.md 8), and what the dead-man
    timer took returns; else a person or program did it (contract.md)."""
    if known.request == "amend" and known.time_in_force == "GTX":
        return _refused(state, "amend:would_cross", "", update.now)
    if update.cause is Cause.DEAD_MAN:
        return state
    if not update.while_down:
        return end(state, AlgoStatus.CANCELLED, "child_cancelled_externally")
    return state if state.reduce_only else _replace(state, paused="child_cancelled_while_down")


def _failed(state: PluginState, known: PluginOrder, failure: Failure, now: int) -> PluginState:
    """A request did not take effect: wait and try again, and in the end back off (law 7)."""
    cancelling = failure.action == "cancel"
    if failure.throttled:
        return _replace(state, throttle="queued")
    retry_at = max(failure.retry_at, now + step.RETRY_MIN_MS)
    if not failure.refused:
        again = {"cancel_at" if cancelling else "retry_at": retry_at}
        return _replace(state, reason=failure.message, **again)
    if failure.cause is Cause.REDUCE_ONLY and not cancelling:
        return end(state, AlgoStatus.CANCELLED, "nothing_to_reduce")
    return _refused(state, f"{failure.action}:{failure.code}", failure.message, now, failure.retry_at)


def _refused(state: PluginState, rejection: str, message: str, now: int, retry_at: int = 0) -> PluginState:
    """One more refusal, told apart by request and code: the third of one kind begins the back-off (law 7)."""
    rejections = state.rejections + 1 if rejection == state.rejection else 1
    at = max(retry_at, now + max(step.RETRY_MIN_MS, step.back_off_ms(rejections)))
    again = {"cancel_at" if rejection.startswith("cancel:") else "retry_at": at}
    return _replace(state, rejection=rejection, rejections=rejections, reason=message or rejection, **again)


def covered(state: PluginState, held: Decimal) -> PluginState:
    """What only reduces never asks for more than there is to close; with nothing left it ends."""
    (leg,) = state.legs
    left = max(-leg.side.sign * held, ZERO)
    if left >= leg.rest:
        return state
    if not left:
        return end(state, AlgoStatus.CANCELLED, "position_gone")
    return _replace(state, legs=(_replace(leg, quantity=leg.filled + left),))
