"""The step of every plug-in's algo: what is common to all, and in the middle of it the plug-in's own `decide`.

Owns when a plug-in is asked at all, what leaves the market without asking it, and how an algo ends. Pure. Invariants:
no plug-in's code is asked while something is held, paused, blocked, ending or backing off; a terminal record only books
late fills (law 4).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from algos import step
from algos.plugin import NOTHING, Decided, Plugin, cancel, end
from algos.plugin_orders import book_fill, covered, on_order
from algos.step import Action, Identity, Input, OrderUpdate
from schemas.chase import AlgoStatus
from schemas.errors import ErrorCode, Invalid
from schemas.market import Instrument, Quote
from schemas.orders import OrderState
from schemas.plugin import ParkedState, PluginLeg, PluginParams, PluginState

LOOK_MIN_MS = 100  # what asks for a look at once is looked at then: else it would go round without end
MISSING = "plugin_missing"  # why an algo is paused whose plug-in is not there

Decide = Callable[[PluginState, int, Quote], Decided]
_replace = msgspec.structs.replace


def start(
    plugin: Plugin,
    record: type[PluginState],
    made_by: str,
    who: Identity,
    params: PluginParams,
    instrument: Instrument,
    quote: Quote,
    now: int,
) -> Decided:
    """The first record of an algo and its first orders. Raises Invalid where the parameters can't be."""
    plans = plugin.plan(params, instrument, quote)
    sides = {plan.side for plan in plans}
    if not plans or len(sides) < len(plans) or (params.reduce_only and len(plans) > 1):
        message = f"{plugin.name} has to plan each side that it trades once, and one where it only reduces."
        raise Invalid(ErrorCode.INVALID_FIELD, message, path="algo")
    mid = quote.mid2 * instrument.tick / 2
    state = record(
        algo_id=who.algo_id,
        algo=plugin.name,
        made_by=made_by,
        sub_account_id=who.sub_account_id,
        tag=who.tag,
        symbol=params.symbol,
        instrument=instrument,
        id_epoch=who.epoch,
        started_at=now,
        updated_at=now,
        params=params,
        own=plugin.own(),
        legs=tuple(PluginLeg(side=plan.side, quantity=plan.quantity, price=plan.price) for plan in plans),
        leverage=params.leverage,
        reduce_only=params.reduce_only,
        request_id=who.request_id,
        root_id=who.root_id or who.algo_id,
        arrival_mid=mid,
    )
    return _settle(plugin.decide, state, state, now, quote)


def step_plugin(plugin: Plugin, state: PluginState, given: Input) -> Decided:
    """One input. The same object back means nothing happened."""
    if state.status.terminal:
        return _late(state, given)
    now = given.received if type(given) is Quote else given.now  # type: ignore[union-attr]
    quote = given if type(given) is Quote else getattr(given, "quote", None)
    absorbed = _absorb(state, given)
    if type(given) is step.Recovered and absorbed.paused == MISSING and state.reduce_only:
        absorbed = _replace(absorbed, paused="")  # protection always resumes (execution.md 25)
    return _settle(plugin.decide, state, absorbed, now, quote)


def step_parked(state: ParkedState, given: Input) -> Decided:
    """One input to an algo whose plug-in is missing: fills are booked, entries leave the market, what only reduces
    rests on, and a cancel ends it. Nothing new is asked for."""
    if state.status.terminal:
        return _late(state, given)
    absorbed: PluginState = state
    if not isinstance(given, Quote | step.ResumeRequest | step.ReplaceRequest):
        absorbed = _absorb(state, given)
    if isinstance(given, step.Recovered):
        absorbed = _replace(absorbed, paused=MISSING)
    now = given.received if isinstance(given, Quote) else given.now
    return _settle(None, state, absorbed, now, None)


def _late(state: PluginState, given: Input) -> Decided:
    return (book_fill(state, given) if isinstance(given, OrderUpdate) else state), NOTHING


def _absorb(state: PluginState, given: Input) -> PluginState:
    """What an input says, taken into the record."""
    match given:
        case Quote():
            return state
        case OrderUpdate():
            return on_order(state, given)
        case step.CancelRequest():
            return end(state, AlgoStatus.CANCELLED, given.reason)
        case step.PauseRequest():
            return _replace(state, paused=given.reason)
        case step.ResumeRequest():
            return _replace(state, paused="", retry_at=0, rejection="", rejections=0)
        case step.StreamHealth():
            return _health(state, given)
        case step.PositionReduced():
            return covered(state, given.held) if state.reduce_only else state
        case step.ReplaceRequest():
            return _replace(state, replacing=bool(state.orders))
        case step.Budget():
            return _replace(state, throttle=given.throttle)
        case step.InstrumentChanged():
            return _replace(state, instrument=given.instrument)
        case step.Recovered():
            return _recovered(state, given)
        case step.StopRequest():
            return _replace(state, stopped_at=given.now, withdraw=state.withdraw or given.bare)
        case _:  # a Timer says only that its time has come; there are no child algos
            return state


def _health(state: PluginState, given: step.StreamHealth) -> PluginState:
    """What only reduces is never withdrawn or blocked."""
    if state.reduce_only:
        return _replace(state, hold=given.hold)
    reason = given.blocked if given.blocked != state.blocked else state.reason
    return _replace(state, hold=given.hold, withdraw=given.withdraw, blocked=given.blocked, reason=reason)


def _recovered(state: PluginState, given: step.Recovered) -> PluginState:
    pause = "" if state.reduce_only else given.pause
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


def _settle(
    decide: Decide | None, before: PluginState, absorbed: PluginState, now: int, quote: Quote | None
) -> Decided:
    """What leaves, what waits, and else what the plug-in decides."""
    state = _replace(absorbed, wake_at=0) if absorbed.wake_at else absorbed
    if all(leg.filled >= leg.quantity for leg in state.legs):
        state = end(state, AlgoStatus.COMPLETED)
    actions = NOTHING
    if _leaves(state):
        state, actions = _leave(state, now)
    elif decide is not None and quote is not None and not _waits(state):
        if now < state.retry_at:
            state = _replace(state, wake_at=state.retry_at)
        else:
            state, actions = decide(state, now, quote)
            if 0 < state.wake_at <= now:
                state = _replace(state, wake_at=now + LOOK_MIN_MS)
            if state.ending is not None and not actions:
                state, actions = _leave(state, now)
    return _finish_step(before, state, actions, now, quote)


def _leaves(state: PluginState) -> bool:
    """Whether its orders are to leave the market, whatever the plug-in thinks. What only reduces rests through pauses
    and stops (algos.md, law 8), but never asks for more than there is to close."""
    if state.ending is not None or state.withdraw or state.replacing:
        return True
    if state.reduce_only:
        (leg,) = state.legs
        return sum(order.open_quantity for order in state.orders) > leg.rest
    return bool(state.paused or state.blocked or state.stopped_at)


def _waits(state: PluginState) -> bool:
    return bool(state.hold or state.paused or state.stopped_at or state.throttle == "queued")


def _leave(state: PluginState, now: int) -> Decided:
    """Cancel what rests; what waits on that happens when it is proven gone (laws 1 and 3)."""
    if not state.orders:
        return (_finish(state) if state.ending is not None else state), NOTHING
    if now < state.cancel_at:
        return _replace(state, wake_at=state.cancel_at), NOTHING
    actions: tuple[Action, ...] = ()
    for order in state.orders:
        if order.state is OrderState.ACTIVE:
            state, cancels = cancel(state, order.slot)
            actions += cancels
    return state, actions


def _finish(state: PluginState) -> PluginState:
    """The end. Everything filled is `completed`, whatever asked for the ending."""
    full = all(leg.filled >= leg.quantity for leg in state.legs)
    status = AlgoStatus.COMPLETED if full else state.ending
    assert status is not None, "an algo ends by a decision or by being filled"
    return _replace(state, status=status, reason=state.ending_reason, wake_at=0)


def _status(state: PluginState) -> AlgoStatus:
    if state.ending is not None:
        return AlgoStatus.STOPPING
    if state.paused:
        return AlgoStatus.PAUSED
    if state.blocked or state.rejections >= step.REJECTION_LIMIT:
        return AlgoStatus.BLOCKED
    return AlgoStatus.THROTTLED if state.hold or state.throttle else AlgoStatus.ACTIVE


def _finish_step(
    before: PluginState, after: PluginState, actions: tuple[Action, ...], now: int, quote: Quote | None
) -> Decided:
    """Status and mid of a record that changed; the very same object where nothing did. A request that is made once more
    leaves the record as it was, and is something all the same."""
    if not after.status.terminal and (status := _status(after)) is not after.status:
        after = _replace(after, status=status)
    if not actions and (after is before or after == before):
        return before, actions
    mid = after.mid if quote is None else quote.mid2 * after.instrument.tick / 2
    return _replace(after, updated_at=now, mid=mid), actions
