"""twap, the deciding half: what a record wants of the market now.

`settle` is the one entry: limits first, then stop, execute or follow the schedule, then status and wake-up. Pure. At
most one order or child chase lives at a time, so that two slots never work at once: one that is due meanwhile waits.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from algos import pricing, step, twap_plan
from algos.children import Spawn, StopChild
from algos.step import Action, PlaceChild
from schemas.chase import AlgoStatus, ChaseParams, Child
from schemas.ids import ATTEMPT_MAX, OrderId, child_id, make
from schemas.market import ZERO, Quote
from schemas.orders import OrderState
from schemas.twap import TwapState, Worker

Result = tuple[TwapState, tuple[Action, ...]]
NOTHING: tuple[Action, ...] = ()
_replace = msgspec.structs.replace


def settle(before: TwapState, absorbed: TwapState, now: int, quote: Quote | None) -> Result:
    """Decide on what an input left behind. `before` is returned itself where nothing changed."""
    after, actions = _pursue(absorbed, now, quote)
    return _finish_step(before, after, actions, now, quote)


def end(state: TwapState, status: AlgoStatus, reason: str) -> TwapState:
    """Decide the ending. It is reached when no child is left; the first decision stands."""
    return state if state.ending is not None else _replace(state, ending=status, ending_reason=reason)


def beyond(state: TwapState, quote: Quote) -> bool:
    """Whether mid is past the price limit."""
    return pricing.beyond(state.side, quote.mid2, state.limit_mid2)


def ends_at(state: TwapState) -> int:
    """When the schedule is over, the extension included."""
    return state.started_at + 2 * state.params.duration_ms


def due_at(state: TwapState, slot: int) -> int:
    """When a slot is due, 0 where there is none such."""
    due = twap_plan.plan(state.params, state.seed).due
    return state.started_at + due[slot] if slot < len(due) else 0


def _pursue(state: TwapState, now: int, quote: Quote | None) -> Result:
    """What the record wants of the market now."""
    if state.wake_at or state.waiting:
        state = _replace(state, wake_at=0, waiting=False)
    if state.worker is not None:
        return _supervise(state, state.worker, quote)
    if state.child is not None:
        return state, NOTHING  # an IOC ends by itself
    if not state.rest or state.ending is not None:
        return _finish(state), NOTHING
    if state.paused or state.stopped_at:
        return _replace(state, slot_left=ZERO, falling_back=False) if state.paused else state, NOTHING
    if state.executing:
        return _execute(state, now, quote)
    return _on_schedule(state, now, quote)


def _supervise(state: TwapState, worker: Worker, quote: Quote | None) -> Result:
    """A child chase works: stop it where its lot is no longer wanted. What follows waits for its end (laws 1 and 3)."""
    reason = state.ending_reason or state.paused or state.executing
    if not reason and quote is not None and not state.hold and beyond(state, quote):
        state = _limit_reached(state)
        reason = "price_limit"
    if not reason or worker.stopping:
        return state, NOTHING
    stopping = _replace(state, worker=_replace(worker, stopping=True))
    return stopping, (StopChild(worker.child_id, reason),)


def _limit_reached(state: TwapState) -> TwapState:
    """Mid is beyond the limit while a lot is worked or due (algos.md): `skip` carries the lot to later slots."""
    match state.params.on_limit:
        case "pause":
            return _replace(state, paused="price_limit", reason="price_limit")
        case "end":
            return end(state, AlgoStatus.EXPIRED, "price_limit")
        case "execute":
            return _replace(state, executing="price_limit", reason="price_limit")
        case _:  # skip
            return _replace(state, reason="price_limit")


def _on_schedule(state: TwapState, now: int, quote: Quote | None) -> Result:
    """Open the slot that is due, go on with the open one, or wait for the next."""
    if now >= ends_at(state):
        return _finish(end(state, AlgoStatus.EXPIRED, state.reason or "schedule_over")), NOTHING
    plan = twap_plan.plan(state.params, state.seed)
    slot = plan.slot_at(now - state.started_at)
    if slot <= state.slot and not state.slot_left:
        return _between(state, plan, quote)
    if state.blocked or state.throttle == "queued":
        return _replace(state, wake_at=ends_at(state)), NOTHING
    if now < state.retry_at:
        return _replace(state, wake_at=min(state.retry_at, ends_at(state))), NOTHING
    if state.hold or quote is None:
        return _replace(state, waiting=True, wake_at=ends_at(state)), NOTHING
    if beyond(state, quote):
        closed = _replace(state, slot=slot, slot_left=ZERO, falling_back=False)
        return _at_limit(_limit_reached(closed), plan, now, quote)
    return _open(state, plan, slot, now, quote) if slot > state.slot else _send(state, now, quote)


def _between(state: TwapState, plan: twap_plan.Plan, quote: Quote | None) -> Result:
    """No lot is due. After the last slot, or with nothing left that could be sent, this is the end."""
    if state.slot + 1 >= state.params.lots and quote is not None and not _sendable(state, state.rest, quote):
        ending = AlgoStatus.COMPLETED if state.filled_quantity else AlgoStatus.EXPIRED
        return _finish(end(state, ending, "below_minimum")), NOTHING
    if state.slot + 1 >= len(plan.due):
        return _finish(end(state, AlgoStatus.EXPIRED, state.reason or "schedule_over")), NOTHING
    return _replace(state, wake_at=due_at(state, state.slot + 1)), NOTHING


def _open(state: TwapState, plan: twap_plan.Plan, slot: int, now: int, quote: Quote) -> Result:
    """A slot's turn: what is owed by now, carried lots included, within catchUpMax (algos.md)."""
    state = _replace(state, slot=slot, falling_back=False, slot_left=ZERO)
    cap = state.instrument.quantity_down(plan.own(slot) * state.params.catch_up_max)
    owed = min(plan.owed(slot), state.quantity) - state.filled_quantity
    quantity = _leaving_no_dust(state, max(min(owed, cap), ZERO), quote)
    if not _sendable(state, quantity, quote):
        return _between(state, plan, quote)
    reason = "" if state.reason == "price_limit" else state.reason
    return _send(_replace(state, slot_left=quantity, reason=reason), now, quote)


def _at_limit(state: TwapState, plan: twap_plan.Plan, now: int, quote: Quote) -> Result:
    """What the limit decided, when no child is at work."""
    if state.ending is not None:
        return _finish(state), NOTHING
    if state.executing:
        return _execute(state, now, quote)
    return (state, NOTHING) if state.paused else _between(state, plan, quote)


def _leaving_no_dust(state: TwapState, quantity: Decimal, quote: Quote) -> Decimal:
    """As much of a lot as leaves nothing behind that could never be sent alone (law 6)."""
    quantity = state.instrument.quantity_down(quantity)
    left = state.rest - quantity
    if not left or _sendable(state, left, quote):
        return quantity
    price = twap_plan.planning_price(state.side, quote, state.params.max_slippage_bps, state.instrument)
    less = state.rest - twap_plan.least_lot(state.instrument, price, state.params.reduce_only)
    less = state.instrument.quantity_down(max(less, ZERO))
    return less if _sendable(state, less, quote) else quantity


def _sendable(state: TwapState, quantity: Decimal, quote: Quote) -> bool:
    """Whether a quantity can be sent alone at the lowest price at which it may have to leave (law 6)."""
    price = twap_plan.planning_price(state.side, quote, state.params.max_slippage_bps, state.instrument)
    whole = state.instrument.quantity_down(quantity)
    return whole > 0 and price > 0 and state.instrument.sendable(whole, price, state.params.reduce_only)


def _send(state: TwapState, now: int, quote: Quote) -> Result:
    """Work on what the open slot has left."""
    quantity = min(state.slot_left, state.instrument.quantity_down(state.rest))
    if not _sendable(state, quantity, quote):
        return _between(_replace(state, slot_left=ZERO), twap_plan.plan(state.params, state.seed), quote)
    if state.params.style == "chase" and not state.falling_back:
        return _spawn(state, quantity)
    return _take(state, quantity, quote)


def _spawn(state: TwapState, quantity: Decimal) -> Result:
    number, params = state.spawned + 1, state.params
    worker = Worker(child_id=child_id(state.twap_id, "c", number), quantity=quantity)
    asked = ChaseParams(
        symbol=state.symbol,
        side=state.side,
        quantity=quantity,
        leverage=params.leverage,
        reduce_only=params.reduce_only,
        deadline_seconds=Decimal(params.child_timeout_ms) / 1000,
        on_stop="leave" if params.reduce_only else "cancel",
        max_slippage_bps=params.max_slippage_bps,
    )
    state = _replace(state, spawned=number, worker=worker, slot_left=ZERO)
    return state, (Spawn(worker.child_id, "chase", 0, asked),)


def _take(state: TwapState, quantity: Decimal, quote: Quote) -> Result:
    """An IOC at the price bound, in parts where a lot is above maxQty (execution.md 10)."""
    if state.attempt >= ATTEMPT_MAX:
        return _finish(end(state, AlgoStatus.FAILED, "attempts_exhausted")), NOTHING
    params, attempt = state.params, state.attempt + 1
    ticks = pricing.bound_ticks(state.side, quote, params.max_slippage_bps, state.instrument)
    price = state.instrument.price(ticks)
    part = pricing.slice_quantity(quantity, price, state.instrument, params.reduce_only)
    client_id = make(OrderId(state.tag, state.twap_id, state.id_epoch, 0, attempt))
    child = Child(
        client_order_id=client_id,
        attempt=attempt,
        state=OrderState.PLACING,
        price=price,
        ticks=ticks,
        quantity=part,
        time_in_force="IOC",
        request="place",
    )
    state = _replace(state, attempt=attempt, child=child, slot_left=max(state.slot_left - part, ZERO))
    action = PlaceChild(client_id, state.symbol, state.side, "IOC", price, part, params.reduce_only, params.leverage)
    return state, (action,)


def _execute(state: TwapState, now: int, quote: Quote | None) -> Result:
    """The rest now: a few IOCs within two seconds, and what they leave is named in the ending (execution.md 8)."""
    over = state.take_count >= step.TAKE_LIMIT or (state.take_count and now - state.take_since > step.TAKE_WINDOW_MS)
    if over or now >= ends_at(state):
        return _finish(end(state, AlgoStatus.EXPIRED, state.executing)), NOTHING
    if state.blocked or state.throttle == "queued":
        return _replace(state, wake_at=ends_at(state)), NOTHING
    if now < state.retry_at:
        return _replace(state, wake_at=state.retry_at), NOTHING
    if state.hold or quote is None:
        return _replace(state, waiting=True, wake_at=ends_at(state)), NOTHING
    quantity = state.instrument.quantity_down(state.rest)
    if not _sendable(state, quantity, quote):
        ending = AlgoStatus.COMPLETED if state.filled_quantity else AlgoStatus.EXPIRED
        return _finish(end(state, ending, "below_minimum")), NOTHING
    since = state.take_since if state.take_count else now
    return _take(_replace(state, take_count=state.take_count + 1, take_since=since, slot_left=ZERO), quantity, quote)


def _finish(state: TwapState) -> TwapState:
    """The end. Everything filled is `completed`, whatever asked for the ending; what is missing is named."""
    status = AlgoStatus.COMPLETED if not state.rest else state.ending
    assert status is not None, "a TWAP ends by a decision or by being filled"
    reason = state.ending_reason or state.executing
    return _replace(state, status=status, reason=reason, residual=state.rest or ZERO, slot_left=ZERO, wake_at=0)


def _status(state: TwapState) -> AlgoStatus:
    if state.ending is not None:
        return AlgoStatus.STOPPING
    if state.paused:
        return AlgoStatus.PAUSED
    worker = state.worker
    if state.blocked or state.rejections >= step.REJECTION_LIMIT:
        return AlgoStatus.BLOCKED
    if worker is not None and worker.status is AlgoStatus.BLOCKED:
        return AlgoStatus.BLOCKED
    return AlgoStatus.THROTTLED if state.hold or state.throttle else AlgoStatus.ACTIVE


def _finish_step(
    before: TwapState, after: TwapState, actions: tuple[Action, ...], now: int, quote: Quote | None
) -> Result:
    """Status, progress and touch of a record that changed; the very same object where nothing did."""
    status = after.status if after.status.terminal else _status(after)
    if status is not after.status:
        after = _replace(after, status=status)
    if not actions and (after is before or after == before):
        return before, actions
    return told(after, now, quote), actions


def told(state: TwapState, now: int, quote: Quote | None) -> TwapState:
    """The record with what people read of it brought up to date."""
    touch: dict[str, Decimal | int] = {}
    if quote is not None:
        touch = {
            "bid": state.instrument.price(quote.bid),
            "ask": state.instrument.price(quote.ask),
            "seen_mid2": quote.mid2,
        }
        if not state.arrival_mid:
            touch["arrival_mid"] = quote.mid2 * state.instrument.tick / 2
    return _replace(state, updated_at=now, next_lot_at=_next_lot_at(state), **touch)


def _next_lot_at(state: TwapState) -> int:
    """When the next lot is due, 0 where none is to come; the extension counts while something is left for it."""
    if state.status.terminal or state.ending is not None or state.paused or state.executing:
        return 0
    extended = state.slot + 1 >= state.params.lots
    if extended and state.rest <= state.open_quantity + state.slot_left:
        return 0
    return due_at(state, state.slot + 1)
