"""trail_stop, its backstop: a conditional order at the venue behind the trigger, for when nobody is there to act
(algos.md, trail_stop; execution.md 14, 29).

Owns what stands at the venue, from intent to its proven end, and what its triggering means for the stop. Refuses to
close anything itself. Invariants: at most two orders, and two only while one is moved and the venue's own flag keeps
both together within the stop's part; one leaves the record only by proof of its end.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from algos import step, trail_price
from algos.step import Action, CancelChild, Failure, OrderUpdate, PlaceChild
from schemas.ids import ATTEMPT_MAX, OrderId, make
from schemas.market import ZERO, Quote
from schemas.orders import Cause, Order, OrderState
from schemas.trail_stop import Backstop, TrailStopState, TriggerReason

Result = tuple[TrailStopState, tuple[Action, ...]]
NOTHING: tuple[Action, ...] = ()
MOVE_MS = 2_000  # between two requests to place one: thirty a minute of the venue's 1 200, in the wildest market
QUARTER = 4  # it is moved when the trigger has moved so much of its distance from it
UNPROVEN_MS = 3_000  # execution.md 5: recvWindow + 1 s; an exit waits no longer for the proof that it is gone

_IN_FLIGHT = (OrderState.PLACING, OrderState.UNKNOWN)
_replace = msgspec.structs.replace


def triggered(state: TrailStopState, now: int, price2: int, by: TriggerReason, quote: Quote | None) -> TrailStopState:
    """The stop has been triggered, at that price in half ticks; the first word stands."""
    half = state.instrument.tick / 2
    mid2 = price2 if quote is None else quote.mid2
    return _replace(
        state, triggered_at=now, triggered_price=price2 * half, triggered_by=by, arrival_mid=mid2 * half, blind=False
    )


# --- what is wanted ---------------------------------------------------------------------------------


def wanted(state: TrailStopState) -> tuple[Decimal, Decimal] | None:
    """Trigger price and quantity of the one that should stand there; None where none should, or none can."""
    params, rules = state.params, state.instrument
    if params.backstop_pct == 0 or not state.activated or state.cover is None:
        return None
    most = min(state.rest, state.cover, rules.market_max_qty or rules.max_qty, rules.max_qty)
    quantity = rules.quantity_down(most)
    if quantity < rules.min_qty:
        return None
    price = trail_price.backstop_price(params, rules, state.extreme2)
    behind = trail_price.sign(state.side) * (state.trigger_price - price) > 0
    return (price, quantity) if behind else None


def asks(state: TrailStopState) -> Decimal:
    """How much of the position it would have closed from the venue, whatever of that it may; 0 where none is to
    stand."""
    return ZERO if state.params.backstop_pct == 0 or not state.activated or state.gone else state.rest


def firing(state: TrailStopState) -> bool:
    """Whether one has been triggered and closes now."""
    return any(one.fired for one in state.backstops)


def in_the_way(state: TrailStopState, now: int) -> bool:
    """Whether an exit has to wait for the end of what stands there: both together could close what is others'. Not for
    ever: an exit gets through."""
    return bool(state.backstops) and not state.bound and now < state.triggered_at + UNPROVEN_MS


def _stands(state: TrailStopState, one: Backstop, target: tuple[Decimal, Decimal]) -> bool:
    """Whether one may stay: of the size that is wanted, and not left behind."""
    price, quantity = target
    gap2 = abs(state.trigger2 - int(2 * price / state.instrument.tick))
    return one.quantity == quantity and QUARTER * abs(state.trigger2 - one.trigger2) < gap2


# --- what to do about it ----------------------------------------------------------------------------


def keep(state: TrailStopState, now: int) -> Result:
    """One request at a time towards what is wanted: a new one beside the old, or after it where the venue's flag does
    not bound both (execution.md 14)."""
    if state.stopped_at or any(one.leaving or one.state in _IN_FLIGHT for one in state.backstops):
        return state, NOTHING
    if len(state.backstops) > 1:
        return _withdraw(state, now, state.backstops[:-1])
    target = wanted(state)
    if target is None:
        return _withdraw(state, now, state.backstops)
    if any(_stands(state, one, target) for one in state.backstops) or now < state.backstop_at:
        return state, NOTHING
    if state.backstops and not state.alone:
        return _withdraw(state, now, state.backstops)
    return _place(state, now, *target)


def withdraw(state: TrailStopState, now: int) -> Result:
    """All of them are to leave; one in flight does as soon as it is known."""
    return _withdraw(state, now, state.backstops)


def _withdraw(state: TrailStopState, now: int, going: tuple[Backstop, ...]) -> Result:
    names = {
        one.client_order_id
        for one in going
        if one.state is OrderState.ACTIVE and not (one.leaving or one.fired) and now >= one.again_at
    }
    if not names:
        return state, NOTHING
    left = tuple(_replace(one, leaving=True) if one.client_order_id in names else one for one in state.backstops)
    actions = tuple(CancelChild(one.client_order_id, state.symbol) for one in left if one.client_order_id in names)
    return _replace(state, backstops=left), actions


def _place(state: TrailStopState, now: int, price: Decimal, quantity: Decimal) -> Result:
    slot, attempt = divmod(state.backstops_asked, ATTEMPT_MAX + 1)
    name = make(OrderId(state.tag, state.trail_stop_id, state.id_epoch, slot, attempt))
    one = Backstop(client_order_id=name, quantity=quantity, price=price, trigger2=state.trigger2)
    state = _replace(
        state,
        backstops=(*state.backstops, one),
        backstops_asked=state.backstops_asked + 1,
        backstop_at=now + MOVE_MS,
    )
    action = PlaceChild(
        client_order_id=name,
        symbol=state.symbol,
        side=state.side,
        time_in_force="GTC",
        price=ZERO,
        quantity=quantity,
        reduce_only=True,
        leverage=1,
        order_type="STOP_MARKET",
        trigger_price=price,
        working_type="MARK_PRICE" if state.params.trigger == "mark" else "CONTRACT_PRICE",
        alternatives=state.trail_stop_id,
    )
    return state, (action,)


def wakes_at(state: TrailStopState, now: int) -> int:
    """When there is something to do that has to wait until then; 0 for nothing."""
    times = [one.again_at for one in state.backstops if now < one.again_at]
    if not state.triggered_at and now < state.backstop_at and keep(state, state.backstop_at)[1]:
        times.append(state.backstop_at)
    if state.triggered_at and not state.exiting and in_the_way(state, now):
        times.append(state.triggered_at + UNPROVEN_MS)
    return min(times, default=0)


# --- what is heard of them --------------------------------------------------------------------------


def heard(state: TrailStopState, given: OrderUpdate) -> TrailStopState:
    """Take in what became of one; its fills are booked with the exit's."""
    order, names = given.order, [one.client_order_id for one in state.backstops]
    if order.client_order_id not in names:
        return _adopted(state, order) if given.adopt and order.waiting else state
    at = names.index(order.client_order_id)
    one = state.backstops[at]
    told = () if order.state.terminal else (_told(state, one, given),)
    state = _replace(state, backstops=(*state.backstops[:at], *told, *state.backstops[at + 1 :]))
    if _reached(state, given) and not state.triggered_at:
        return triggered(state, given.now, int(2 * one.price / state.instrument.tick), "backstop", given.quote)
    if given.failure is not None or (order.state.terminal and not (one.leaving or order.triggered_at)):
        return _failed(state, given)
    if order.state is OrderState.ACTIVE:
        return _replace(state, backstop_failures=0, backstop_reason="")
    return state


def _told(state: TrailStopState, one: Backstop, given: OrderUpdate) -> Backstop:
    """One that lives on. A cancel that failed is sent again after a pause."""
    order, failure = given.order, given.failure
    one = _replace(one, state=order.state, fired=bool(order.triggered_at))
    if failure is None:
        return one
    return _replace(one, leaving=False, again_at=_again_at(state, given.now, failure))


def _adopted(state: TrailStopState, order: Order) -> TrailStopState:
    """One of ours that a former life sent and could not write down."""
    one = Backstop(
        client_order_id=order.client_order_id,
        quantity=order.quantity,
        price=order.trigger_price,
        trigger2=state.trigger2,
        state=order.state,
    )
    return _replace(state, backstops=(*state.backstops, one))


def _reached(state: TrailStopState, given: OrderUpdate) -> bool:
    """Whether its price was reached: it was triggered, or there was nothing to reduce when it was, or it was refused
    for that. The last trade may be older than the book, and then a refusal says nothing: a quote above the trigger does
    (a mark price is never old)."""
    order, failure, quote = given.order, given.failure, given.quote
    if failure is not None and failure.cause is Cause.TRIGGERED:
        if quote is None or state.params.trigger == "mark":
            return True
        return trail_price.of_quote(state, quote).last <= trail_price.sign(state.side) * state.trigger2
    rejected = order.state is OrderState.EXPIRED and order.reason == Cause.REDUCE_ONLY.value
    return bool(order.triggered_at) or rejected


def _failed(state: TrailStopState, given: OrderUpdate) -> TrailStopState:
    """It could not be placed or taken away, or somebody else took it: the next is tried after a pause."""
    failure = given.failure
    return _replace(
        state,
        backstop_failures=state.backstop_failures + (failure is None or failure.refused),
        backstop_reason=f"it was {given.order.state.value} at the venue" if failure is None else failure.message,
        backstop_at=_again_at(state, given.now, failure),
    )


def _again_at(state: TrailStopState, now: int, failure: Failure | None) -> int:
    """When to try again: the pauses grow from the third failure in a row on (law 7)."""
    pause_ms = max(step.back_off_ms(state.backstop_failures + 1), MOVE_MS)
    return max(now + pause_ms, 0 if failure is None else failure.retry_at)
