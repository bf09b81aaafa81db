"""chase: one limit order that follows the top of the book (algos.md).

`start` makes the record, `step` moves it. Refuses to know Redis, the venue and the clock. Invariants: at most one
child; a place or an amend never asks for more than the rest (laws 1 and 2); a terminal record only books late fills
(law 4).
"""

from __future__ import annotations

import msgspec

from algos import pricing, step
from algos.chase_child import adopted, book_fill, child_ended, request_failed, synchronise
from algos.chase_decide import NOTHING, Result, aim, end, settle
from algos.step import Input, OrderUpdate
from schemas.chase import AlgoStatus, ChaseParams, ChaseState
from schemas.market import ZERO, Instrument, Quote
from schemas.orders import OrderState

_replace = msgspec.structs.replace
_ACTIVE = OrderState.ACTIVE  # looked up once: the enum's class takes its time, and every quote asks


def start(
    who: step.Identity, params: ChaseParams, instrument: Instrument | None, quote: Quote | None, now: int
) -> Result:
    """The first record of a chase and its first order. Parameters were checked at the door, or by its parent."""
    assert instrument is not None, "a chase has a symbol"
    assert quote is not None, "a chase begins on a price"
    mid2 = quote.mid2
    state = ChaseState(
        chase_id=who.algo_id,
        sub_account_id=who.sub_account_id,
        tag=who.tag,
        symbol=params.symbol,
        side=params.side,
        quantity=params.quantity,
        params=params,
        instrument=instrument,
        id_epoch=who.epoch,
        started_at=now,
        updated_at=now,
        request_id=who.request_id,
        root_id=who.root_id or who.algo_id,
        parent_id=who.parent_id,
        parent_slot=who.slot,
        arrival_mid=mid2 * instrument.tick / 2,
        arrival_mid2=mid2,
        offset_e8=pricing.scaled_pct(params.stalk_offset_pct),
        limit_mid2=pricing.adverse_limit2(params.side, mid2, params.max_distance_pct),
        limit_ticks=instrument.limit_ticks(params.side, params.limit_price) if params.limit_price else 0,
        deadline_at=now + int(params.deadline_seconds * 1000) if params.deadline_seconds else 0,
    )
    return settle(state, state, now, quote)


def step_chase(state: ChaseState, given: Input) -> Result:
    """One input. The same object back means nothing happened: most quotes change nothing, and then nothing is
    allocated."""
    if type(given) is Quote:
        child, ticks = state.child, None
        if child is None:
            idle = state.status.terminal
        elif child.state is not _ACTIVE or state.hold:
            idle = True
        elif state.limit_mid2 or state.deadline_at:
            idle = False
        else:
            ticks = aim(state, child, given)
            idle = ticks == child.ticks
        return (state, NOTHING) if idle else settle(state, state, given.received, given, ticks)
    if state.status.terminal:
        late = book_fill(state, given) if isinstance(given, OrderUpdate) else state
        return late, NOTHING
    after = _absorb(state, given)
    quote = getattr(given, "quote", None)
    now: int = given.now  # type: ignore[union-attr]
    return settle(state, after, now, quote)


def _absorb(state: ChaseState, given: Input) -> ChaseState:
    """What an input says, taken into the record; what to do about it is `settle`'s."""
    match given:
        case OrderUpdate():
            return _on_order(state, given)
        case step.CancelRequest():
            return end(state, AlgoStatus.CANCELLED, given.reason)
        case step.PauseRequest():
            return _replace(state, paused=given.reason)
        case step.ResumeRequest():
            return _replace(state, paused="", retry_at=0, rejection="", rejections=0)
        case step.AmendRequest():
            return _amended(state, given)
        case step.StreamHealth():
            return _health(state, given)
        case step.PositionReduced():
            return _covered(state, given)
        case step.ReplaceRequest():
            return _replace(state, replacing=state.child is not None)
        case step.Budget():
            return _replace(state, throttle=given.throttle)
        case step.InstrumentChanged():
            return _new_grid(state, given.instrument)
        case step.Recovered():
            pause = "" if state.params.reduce_only else given.pause
            return _replace(
                state,
                id_epoch=given.epoch,
                attempt=0,
                paused=state.paused or pause,
                hold="",
                withdraw=False,
                stopped_at=0,
                throttle="",
            )
        case step.StopRequest():
            return _replace(state, stopped_at=given.now, withdraw=state.withdraw or given.bare)
        case _:  # a Timer says only that its time has come
            return state


def _health(state: ChaseState, given: step.StreamHealth) -> ChaseState:
    """What only reduces is never withdrawn or blocked."""
    if state.params.reduce_only:
        return _replace(state, hold=given.hold)
    reason = given.blocked if given.blocked != state.blocked else state.reason
    return _replace(state, hold=given.hold, withdraw=given.withdraw, blocked=given.blocked, reason=reason)


def _on_order(state: ChaseState, update: OrderUpdate) -> ChaseState:
    state = book_fill(state, update)
    child = state.child
    if update.adopt and child is None and not update.order.state.terminal:
        return adopted(state, update.order)
    if child is None or child.client_order_id != update.order.client_order_id:
        return state
    if update.order.state.terminal:
        return child_ended(state, child, update)
    state = synchronise(state, child, update.order, failed=update.failure is not None)
    return request_failed(state, update.failure, update.now) if update.failure else state


def _amended(state: ChaseState, given: step.AmendRequest) -> ChaseState:
    changes = {
        "stalk_mode": given.stalk_mode,
        "stalk_offset_pct": given.stalk_offset_pct,
        "stalk_offset_ticks": given.stalk_offset_ticks,
        "max_distance_pct": given.max_distance_pct,
        "limit_price": given.limit_price,
    }
    params = _replace(state.params, **{name: value for name, value in changes.items() if value is not None})
    return _replace(
        state,
        params=params,
        quantity=state.quantity if given.quantity is None else max(given.quantity, state.filled_quantity),
        offset_e8=pricing.scaled_pct(params.stalk_offset_pct),
        limit_mid2=pricing.adverse_limit2(state.side, state.arrival_mid2, params.max_distance_pct),
        limit_ticks=state.instrument.limit_ticks(state.side, params.limit_price),
        anchor_ticks=0 if given.stalk_mode is not None else state.anchor_ticks,
    )


def _covered(state: ChaseState, given: step.PositionReduced) -> ChaseState:
    """What only reduces never asks for more than there is to close; with nothing left it ends."""
    left = max(-state.side.sign * given.held, ZERO)
    if left >= state.rest:
        return state
    if not left:
        return end(state, AlgoStatus.CANCELLED, "position_gone")
    return _replace(state, quantity=state.filled_quantity + left)


def _new_grid(state: ChaseState, instrument: Instrument) -> ChaseState:
    """Filters changed while the chase lives (law 6): everything kept in ticks is counted anew."""
    child = state.child
    if child is not None:
        child = _replace(child, ticks=instrument.limit_ticks(state.side, child.price))
    anchor = state.instrument.price(state.anchor_ticks)
    mid2 = int(state.arrival_mid * 2 / instrument.tick)
    return _replace(
        state,
        instrument=instrument,
        child=child,
        arrival_mid2=mid2,
        anchor_ticks=instrument.limit_ticks(state.side, anchor),
        limit_mid2=pricing.adverse_limit2(state.side, mid2, state.params.max_distance_pct),
        limit_ticks=instrument.limit_ticks(state.side, state.params.limit_price),
    )
