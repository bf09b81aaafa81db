"""chase, the deciding half: what a record wants of the market now.

`settle` is the one entry: limits first, then leave, enter or follow, then status and wake-up. Pure; laws 1, 2, 5, 6 and
8 of algos.md live here.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from algos import pricing, step
from algos.step import Action, AmendChild, CancelChild, PlaceChild
from schemas.chase import AlgoStatus, ChaseState, Child
from schemas.ids import ATTEMPT_MAX, OrderId, make
from schemas.market import ZERO, Quote
from schemas.orders import OrderState, TimeInForce

Result = tuple[ChaseState, tuple[Action, ...]]
NOTHING: tuple[Action, ...] = ()
_replace = msgspec.structs.replace


def settle(before: ChaseState, absorbed: ChaseState, now: int, quote: Quote | None, ticks: int | None = None) -> Result:
    """Decide on what an input left behind: what the record wants of the market now. `before` is returned itself where
    nothing changed. `ticks` is the `aim` where it is known already."""
    state = _replace(absorbed, wake_at=0) if absorbed.wake_at else absorbed
    if state.limit_mid2 or state.deadline_at:
        state = _limits(state, now, quote)
    child, actions = state.child, NOTHING
    if _unwanted(state, child, now):
        state, actions = _leave(state, child, now)
    elif child is None:
        state, actions = _enter(state, now, quote)
    elif child.state is OrderState.ACTIVE and not state.hold and quote is not None:
        state, actions = _follow(state, child, now, aim(state, child, quote) if ticks is None else ticks)
    return _finish_step(before, state, actions, now, quote)


def end(state: ChaseState, status: AlgoStatus, reason: str) -> ChaseState:
    """Decide the ending. It is reached when no child is left; the first decision stands."""
    if state.ending is not None:
        return state
    return _replace(state, ending=status, ending_reason=reason, deadline_at=0, retry_at=0, cancel_at=0)


def _limits(state: ChaseState, now: int, quote: Quote | None) -> ChaseState:
    """Deadline and distance: cancel, rest or take (algos.md)."""
    if state.ending is not None or state.taking:
        return state
    if state.deadline_at and now >= state.deadline_at:
        return _limit_reached(_replace(state, deadline_at=0), state.params.on_deadline, "deadline")
    if quote is not None and not state.hold and pricing.beyond(state.side, quote.mid2, state.limit_mid2):
        return _limit_reached(_replace(state, limit_mid2=0), state.params.on_limit, "max_distance")
    return state


def _limit_reached(state: ChaseState, action: str, reason: str) -> ChaseState:
    if action == "cancel":
        return end(state, AlgoStatus.CANCELLED, reason)
    if action == "take":
        return _replace(state, taking=reason, deadline_at=0, resting=False)
    return _replace(state, resting=True, reason=reason)


def _unwanted(state: ChaseState, child: Child | None, now: int) -> bool:
    """Whether no child should rest now. A child that takes ends by itself."""
    if state.ending is not None or state.paused or state.withdraw or state.blocked:
        return True
    if state.stopped_at and (child is None or state.params.on_stop == "cancel"):
        return True
    if child is None:
        return False
    if child.quantity > child.filled and state.quantity - state.filled_quantity < state.instrument.step:
        return True  # amended down to what is filled
    if state.taking:
        return child.time_in_force != "IOC"
    paced = state.rejections >= step.REJECTION_LIMIT  # then the child rests until the back-off is over (law 7)
    return state.replacing and not (paced and now < state.retry_at)


def _leave(state: ChaseState, child: Child | None, now: int) -> Result:
    """Cancel the child; what waits on that happens when it is proven gone (laws 1 and 3)."""
    if child is None:
        return (_finish(state) if state.ending is not None else state), NOTHING
    if child.state is not OrderState.ACTIVE:
        return state, NOTHING
    if now < state.cancel_at:
        return _replace(state, wake_at=state.cancel_at), NOTHING
    cancelling = _replace(child, state=OrderState.CANCELLING, request="cancel")
    return _replace(state, child=cancelling), (CancelChild(child.client_order_id, state.symbol),)


def _finish(state: ChaseState) -> ChaseState:
    """The end. Everything filled is `filled`, whatever asked for the ending; what is missing is named."""
    status = AlgoStatus.FILLED if not state.rest else state.ending
    assert status is not None, "a chase ends by a decision or by being filled"
    return _replace(state, status=status, reason=state.ending_reason, residual=state.rest, child=None, wake_at=0)


def _enter(state: ChaseState, now: int, quote: Quote | None) -> Result:
    """No child: place one for what is left, or end."""
    rest = state.rest
    if not rest:
        return _finish(state), NOTHING
    if state.hold or quote is None or state.throttle == "queued":
        return state, NOTHING
    if now < state.retry_at:
        return _replace(state, wake_at=state.retry_at), NOTHING
    if state.take_count >= step.TAKE_LIMIT or (state.take_count and now - state.take_since > step.TAKE_WINDOW_MS):
        return _finish(end(state, AlgoStatus.CANCELLED, state.taking)), NOTHING
    ticks = _entry_ticks(state, quote)
    price = state.instrument.price(ticks)
    quantity = pricing.slice_quantity(rest, price, state.instrument, state.params.reduce_only)
    if price <= 0 or not state.instrument.sendable(quantity, price, state.params.reduce_only):
        ending = AlgoStatus.FILLED if state.filled_quantity and price > 0 else AlgoStatus.FAILED
        return _finish(end(state, ending, "below_minimum")), NOTHING
    if state.attempt >= ATTEMPT_MAX:
        return _finish(end(state, AlgoStatus.FAILED, "attempts_exhausted")), NOTHING
    return _place(state, now, ticks, price, quantity)


def _entry_ticks(state: ChaseState, quote: Quote) -> int:
    params = state.params
    if state.taking:
        return pricing.crossing_ticks(state.side, quote, params.max_slippage_bps, state.instrument)
    ticks = pricing.follow_ticks(
        state.side,
        quote.bid,
        quote.ask,
        params.stalk_offset_ticks,
        state.offset_e8,
        params.aggressive,
        state.back_ticks,
    )
    return _bounded(state, ticks)


def _place(state: ChaseState, now: int, ticks: int, price: Decimal, quantity: Decimal) -> Result:
    attempt = state.attempt + 1
    client_id = make(OrderId(state.tag, state.chase_id, state.id_epoch, 0, attempt))
    force: TimeInForce = "IOC" if state.taking else "GTX" if state.params.post_only else "GTC"
    child = Child(
        client_order_id=client_id,
        attempt=attempt,
        state=OrderState.PLACING,
        price=price,
        ticks=ticks,
        quantity=quantity,
        time_in_force=force,
        request="place",
    )
    if state.taking:
        since = state.take_since if state.take_count else now
        state = _replace(state, take_count=state.take_count + 1, take_since=since)
    state = _replace(
        state,
        attempt=attempt,
        child=child,
        current_order_price=price,
        initial_price=state.initial_price or price,
        repriced_at=now,
        anchor_ticks=ticks,
    )
    params = state.params
    action = PlaceChild(
        client_id, state.symbol, state.side, force, price, quantity, params.reduce_only, params.leverage
    )
    return state, (action,)


def _bounded(state: ChaseState, ticks: int) -> int:
    """Mode `trail`: a buy only moves down, a sell only up. Beyond its parent's limit price it never stands."""
    if state.params.stalk_mode == "trail" and state.anchor_ticks:
        ticks = min(ticks, state.anchor_ticks) if state.side.sign > 0 else max(ticks, state.anchor_ticks)
    if state.limit_ticks:
        ticks = min(ticks, state.limit_ticks) if state.side.sign > 0 else max(ticks, state.limit_ticks)
    return ticks


def aim(state: ChaseState, child: Child, quote: Quote) -> int:
    """Where the order should stand: where it does, unless that is too far off. Asked of every algo at every quote."""
    params = state.params
    mode = params.stalk_mode
    own = child.ticks
    if state.resting or state.taking or mode == "none":
        return own
    ticks = pricing.follow_ticks(  # `_entry_ticks`, spelled out
        state.side,
        quote.bid,
        quote.ask,
        params.stalk_offset_ticks,
        state.offset_e8,
        params.aggressive,
        state.back_ticks,
    )
    if mode == "trail" or state.limit_ticks:
        ticks = _bounded(state, ticks)
    least = params.reprice_min_ticks
    if -least < ticks - own < least:
        return own
    far = not state.throttle or (state.throttle == "scarce" and abs(ticks - own) >= least * step.SCARCE_TICKS)
    return ticks if far else own


def _follow(state: ChaseState, child: Child, now: int, ticks: int) -> Result:
    """Amend in place where price or total must change: the child should stand at `ticks`. The total is its own unless
    the parent was amended (law 2)."""
    if state.throttle == "queued":
        return state, NOTHING
    rules, rest = state.instrument, max(state.quantity - state.filled_quantity, ZERO)
    total = min(child.filled + rest // rules.step * rules.step, rules.max_qty)
    resized = total != child.quantity and rest + child.filled < rules.max_qty
    if child.time_in_force == "IOC" or not (resized or ticks != child.ticks):
        return state, NOTHING
    excess = state.params.reduce_only and total < child.quantity  # closes more than there is: goes at once (14)
    due = state.retry_at if excess else max(state.repriced_at + state.params.reprice_min_ms, state.retry_at)
    if now < due:
        return _replace(state, wake_at=due), NOTHING
    price = ticks * rules.tick
    quantity = total if resized else child.quantity
    if price <= 0 or not rules.sendable(quantity, price, state.params.reduce_only):
        return _leave(state, child, now) if quantity < child.quantity else (state, NOTHING)
    amending = _replace(
        state,
        child=_replace(child, state=OrderState.AMENDING, request="amend"),
        repriced_at=now,
        reprice_count=state.reprice_count + 1,
        anchor_ticks=ticks,
    )
    action = AmendChild(child.client_order_id, state.symbol, state.side, price, quantity, state.params.reduce_only)
    return amending, (action,)


def _status(state: ChaseState) -> AlgoStatus:
    if state.ending is not None:
        return AlgoStatus.STOPPING
    if state.paused:
        return AlgoStatus.PAUSED
    if state.blocked or state.rejections >= step.REJECTION_LIMIT:
        return AlgoStatus.BLOCKED
    if state.hold or state.throttle or state.post_only_count > step.POST_ONLY_BUDGET:
        return AlgoStatus.THROTTLED
    return AlgoStatus.ACTIVE


def _finish_step(
    before: ChaseState, after: ChaseState, actions: tuple[Action, ...], now: int, quote: Quote | None
) -> Result:
    """Status, wake-up and touch of a record that changed; the very same object where nothing did. A request that is
    made once more leaves the record as it was, and is something all the same."""
    if after.status.terminal:
        return _replace(after, updated_at=now), actions
    wake_at, deadline_at, status = after.wake_at, after.deadline_at, _status(after)
    if deadline_at and not 0 < wake_at < deadline_at:
        wake_at = deadline_at
    if wake_at != after.wake_at or status is not after.status:
        after = _replace(after, wake_at=wake_at, status=status)
    if not actions and (after is before or after == before):
        return before, actions
    if quote is None:
        return _replace(after, updated_at=now), actions
    tick = after.instrument.tick
    return _replace(after, updated_at=now, bid=quote.bid * tick, ask=quote.ask * tick), actions
