"""chase, the booking half: what became of the child. Fills, endings at the venue, refused requests (laws 3, 4 and 7
of algos.md)."""

from __future__ import annotations

import msgspec

from algos import step, tally
from algos.chase_decide import end
from algos.step import Failure, OrderUpdate
from schemas.chase import AlgoStatus, ChaseState, Child
from schemas.market import ZERO
from schemas.orders import Cause, Order, OrderState

_replace = msgspec.structs.replace
_REPLACED_ON = frozenset((Cause.NOT_AMENDABLE, Cause.OTHER))  # refusals of an amend that a new order may escape
_STEPPED_ON = frozenset((Cause.POST_ONLY, Cause.SELF_TRADE))


def book_fill(state: ChaseState, update: OrderUpdate) -> ChaseState:
    """Add a fill to the sums, whatever the state: a cancelled chase still books late fills (law 4)."""
    fill = update.fill
    if fill is None:
        return state
    filled = state.filled_quantity + fill.quantity
    quote_filled = state.quote_filled + fill.quantity * fill.price
    child = state.child
    if child is not None and child.client_order_id == update.order.client_order_id:
        child = _replace(child, filled=child.filled + fill.quantity)
    return _replace(
        state,
        child=child,
        quantity=max(state.quantity, filled),  # fills overtook an amend to less: what is done was asked for
        filled_quantity=filled,
        quote_filled=quote_filled,
        fill_price=quote_filled / filled,
        fees=tally.with_fee(state.fees, fill),
        residual=max(state.quantity - filled, ZERO) if state.status.terminal else state.residual,
        updated_at=update.now,
    )


def synchronise(state: ChaseState, child: Child, order: Order, failed: bool) -> ChaseState:
    """Take over what the order's record says of the live child. A request that took effect ends its row of refusals."""
    moved = order.price != child.price
    ticks = state.instrument.limit_ticks(state.side, order.price) if moved else child.ticks
    settled = order.state is OrderState.ACTIVE
    known = _replace(
        child,
        state=order.state,
        price=order.price,
        ticks=ticks,
        quantity=order.quantity,
        request="" if settled else child.request,
    )
    if known == child:
        return state
    state = _replace(state, child=known, current_order_price=order.price)
    took_effect = child.request == "place" or (known.price, known.quantity) != (child.price, child.quantity)
    return _accepted(state, child.request) if settled and not failed and took_effect else state


def adopted(state: ChaseState, order: Order) -> ChaseState:
    """Take a resting order of ours as the child. Its fills were booked before; a total beyond the rest is mended by
    an amend."""
    ticks = state.instrument.limit_ticks(state.side, order.price)
    child = Child(
        client_order_id=order.client_order_id,
        attempt=state.attempt,
        state=order.state,
        price=order.price,
        ticks=ticks,
        quantity=order.quantity,
        time_in_force=order.time_in_force,
        filled=order.filled_qty,
    )
    return _replace(state, child=child, current_order_price=order.price, anchor_ticks=ticks)


def child_ended(state: ChaseState, child: Child, update: OrderUpdate) -> ChaseState:
    """The child is proven terminal: go on with the rest, step back, or end."""
    order = update.order
    state = _replace(state, child=None, replacing=False)
    if state.rejection.startswith("cancel:"):
        state = _accepted(state, "cancel")
    match order.state:
        case OrderState.FILLED:
            return _accepted(state, child.request)
        case OrderState.FAILED:
            assert update.failure is not None, "an order fails for a named reason"
            return request_failed(state, update.failure, update.now)
        case OrderState.EXPIRED:
            return _expired(state, child, update)
        case _:
            return state if child.request == "cancel" else _cancelled_by_venue(state, child, update)


def _accepted(state: ChaseState, request: str) -> ChaseState:
    """A request took effect: its row of refusals ends. That a replacement was placed does not excuse refused amends:
    refused, replaced, refused again is a loop as well (law 7)."""
    within = state.post_only_count if state.post_only_count <= step.POST_ONLY_BUDGET else 0
    state = _replace(state, back_ticks=0, post_only_count=within)
    if not state.rejection or (request == "place" and state.rejection.startswith("amend:")):
        return state
    return _replace(state, rejection="", rejections=0, reason="")


def _expired(state: ChaseState, child: Child, update: OrderUpdate) -> ChaseState:
    """The venue ended the child: an IOC's remainder, self-trade prevention, or what ends the chase as well."""
    if child.time_in_force == "IOC" and update.cause in (Cause.NONE, Cause.TIME_IN_FORCE, Cause.SELF_TRADE):
        return state
    if update.cause in _STEPPED_ON or (update.cause is Cause.NONE and child.time_in_force == "GTX"):
        return _stepped_back(state, update.now)
    if update.cause is Cause.REDUCE_ONLY and state.params.reduce_only:
        # The account's net no longer holds it, another sub-account stands opposite; our own position may well (14).
        return _replace(state, retry_at=update.now + max(state.params.reprice_min_ms, step.RETRY_MIN_MS))
    return end(state, AlgoStatus.CANCELLED, f"venue_expired_{update.cause.value}")


def _cancelled_by_venue(state: ChaseState, child: Child, update: OrderUpdate) -> ChaseState:
    """CANCELED without our request. A GTX amend that would have crossed ends so (execution.md 8), and what the dead-man
    timer took returns; else a person or program did it."""
    if child.request == "amend" and child.time_in_force == "GTX":
        return _stepped_back(state, update.now)
    if update.cause is Cause.DEAD_MAN:
        return state
    if update.while_down:
        if state.params.reduce_only:
            return state
        return _replace(state, paused="child_cancelled_while_down")
    return end(state, AlgoStatus.CANCELLED, "child_cancelled_externally")


def _stepped_back(state: ChaseState, now: int) -> ChaseState:
    """A post-only refusal: the next attempt stands one tick further back, after the throttle, within the budget (law
    7)."""
    fresh = now - state.post_only_since >= step.POST_ONLY_WINDOW_MS
    since = now if fresh else state.post_only_since
    count = 1 if fresh else state.post_only_count + 1
    retry_at = now + state.params.reprice_min_ms
    if count > step.POST_ONLY_BUDGET:
        retry_at = max(retry_at, since + step.POST_ONLY_WINDOW_MS)
    return _replace(
        state, back_ticks=state.back_ticks + 1, post_only_count=count, post_only_since=since, retry_at=retry_at
    )


def request_failed(state: ChaseState, failure: Failure, now: int) -> ChaseState:
    """A request did not take effect: wait and try again, step back, replace, and in the end back off (law 7)."""
    retry_at = max(failure.retry_at, now + max(state.params.reprice_min_ms, step.RETRY_MIN_MS))
    cancelling = failure.action == "cancel"
    if failure.throttled:
        amended = failure.action == "amend"
        return _replace(state, throttle="queued", reprice_count=state.reprice_count - amended)
    if not failure.refused:
        again = {"cancel_at" if cancelling else "retry_at": retry_at}
        return _replace(state, reason=failure.message, **again)
    if failure.cause in _STEPPED_ON and not cancelling:
        return _stepped_back(state, now)
    if failure.cause is Cause.REDUCE_ONLY and not cancelling:
        return end(state, AlgoStatus.CANCELLED, "nothing_to_reduce")
    rejection = f"{failure.action}:{failure.code}"
    rejections = state.rejections + 1 if rejection == state.rejection else 1
    retry_at = max(retry_at, now + step.back_off_ms(rejections))
    state = _replace(state, rejection=rejection, rejections=rejections, reason=failure.message)
    if cancelling:
        return _replace(state, cancel_at=retry_at)
    state = _replace(state, retry_at=retry_at)
    if failure.action == "amend" and failure.cause in _REPLACED_ON:
        return _replace(state, replacing=_worth_replacing(state))
    return state


def _worth_replacing(state: ChaseState) -> bool:
    """A rest under the minimum is never cancelled for a reprice: its replacement would be refused (execution.md 9)."""
    return state.instrument.sendable(state.rest, state.current_order_price, state.params.reduce_only)
