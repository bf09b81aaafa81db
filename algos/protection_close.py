"""protection, the whole: what a record wants now, from its first order to what it leaves behind (algos.md, Protection).

Owns the order of things: what is over is taken away, what was triggered is closed, the rest stands at the venue.
Refuses to look at prices. Laws 2, 3 and 4 of algos.md live here.
"""

from __future__ import annotations

import msgspec

from algos import protection_legs as legs
from algos.children import Exit, ExitDone, StopEntry
from algos.step import Action
from schemas.chase import AlgoStatus
from schemas.market import ZERO, Quote
from schemas.protection import LegWord, ProtectionState

Result = tuple[ProtectionState, tuple[Action, ...]]
NOTHING: tuple[Action, ...] = ()
AGAIN_FIRST_MS = 250  # execution.md 28: protective exits back off so long …
AGAIN_MAX_MS = 2_000  # … up to this
RECOVERING = "recovering"  # what an algo holds for until all that happened meanwhile is booked

_replace = msgspec.structs.replace


def triggered(state: ProtectionState, leg: LegWord, now: int, quote: Quote | None) -> ProtectionState:
    """A leg has been triggered; the first word stands."""
    if state.triggered_at:
        return state
    found = state.leg(leg)
    assert found is not None, "one of its legs"
    mid = found.trigger_price if quote is None else quote.mid2 * state.instrument.tick / 2
    return _replace(
        state,
        triggered_at=now,
        triggered_by=leg,
        triggered_price=found.trigger_price,
        arrival_mid=mid,
        word="triggered",
        word_leg=leg,
        count=state.count + 1,
    )


def end(state: ProtectionState, status: AlgoStatus, reason: str) -> ProtectionState:
    """Decide the ending. It is reached when no order is left; the first decision stands."""
    return state if state.ending is not None else _replace(state, ending=status, ending_reason=reason)


def exit_over(state: ProtectionState, given: ExitDone) -> ProtectionState:
    """The exit has ended: nothing is left, or it is to be tried again, soon and for ever."""
    state = _replace(state, exiting=False)
    if not given.reason:
        return _replace(state, quantity=state.filled_quantity)
    failures = state.exit_failures + 1
    pause_ms = min(AGAIN_FIRST_MS << min(failures - 1, 8), AGAIN_MAX_MS)
    return _replace(state, exit_failures=failures, retry_at=given.now + pause_ms, reason=given.reason)


def pursue(state: ProtectionState, now: int) -> Result:
    """What the record wants now."""
    if state.hold == RECOVERING:
        return _replace(state, wake_at=0, watch=False), NOTHING
    state = _dropped(state)
    if state.ending is not None or not (state.rest or state.entry_live):
        return _wind_up(state, now)
    state, stops = _entry_stopped(state)
    state, actions = _close(state, now) if state.triggered_at else _stand(state, now)
    return state, (*stops, *actions)


def _dropped(state: ProtectionState) -> ProtectionState:
    """With its last leg taken away at the venue by somebody, the protection is over."""
    if all(leg.dropped for leg in state.legs) and not state.triggered_at:
        return end(state, AlgoStatus.CANCELLED, "child_cancelled_externally")
    return state


def _entry_stopped(state: ProtectionState) -> Result:
    """What was triggered, or can't be protected at the venue, is not entered any further."""
    blind = any(leg.held and leg.word == "stop" for leg in state.legs)
    if not state.entry_live or state.entry_stopped or not (state.triggered_at or blind):
        return state, NOTHING
    reason = f"protection_{'triggered' if state.triggered_at else 'blind'}"
    return _replace(state, entry_stopped=True), (StopEntry(state.entry_id, reason),)


def _withdraw(state: ProtectionState, now: int, all_of_them: bool) -> tuple[ProtectionState, tuple[Action, ...], int]:
    """Everything that waits leaves the venue, with what was triggered where all of it is to go."""
    actions: tuple[Action, ...] = ()
    due = 0
    for leg in state.legs:
        done = legs.withdrawn(leg, leg.orders, state.symbol, now, triggered=all_of_them)
        state = legs.with_leg(state, done.leg)
        actions, due = (*actions, *done.actions), legs.soonest(due, done.due)
    return state, actions, due


def _bare_withdrawn(state: ProtectionState, now: int) -> Result:
    """A triggered order that rests without the venue's flag must not outlive us (execution.md 14): the exit takes what
    it leaves, in this life or the next."""
    actions: tuple[Action, ...] = ()
    for leg in state.legs:
        resting = tuple(one for one in leg.orders if one.bare and one.triggered)
        done = legs.withdrawn(leg, resting, state.symbol, now, triggered=True)
        state, actions = legs.with_leg(state, done.leg), (*actions, *done.actions)
    return state, actions


def _wind_up(state: ProtectionState, now: int) -> Result:
    """Nothing is to be protected any more: what is at the venue goes, and with the last of it the record ends."""
    if state.exiting:
        return _replace(state, watch=False, wake_at=0), NOTHING
    state, actions, due = _withdraw(state, now, all_of_them=True)
    state = _replace(state, watch=False, wake_at=due)
    if state.orders:
        return state, actions
    if state.ending is not None:
        status, reason = state.ending, state.ending_reason
    elif state.triggered_at:
        status, reason = AlgoStatus.COMPLETED, state.triggered_by
    elif state.entry_id and not state.entry_filled:
        status, reason = AlgoStatus.CANCELLED, "entry_not_filled"
    else:
        status, reason = AlgoStatus.COMPLETED, "position_closed"
    return _replace(state, status=status, reason=reason, residual=state.rest), actions


def _close(state: ProtectionState, now: int) -> Result:
    """One cancels the other; what no triggered order at the venue closes, an exit does."""
    state, actions, due = _withdraw(state, now, all_of_them=False)
    if state.stopped_at:
        state, bare = _bare_withdrawn(state, now)
        actions = (*actions, *bare)
    state = _replace(state, watch=False, status=AlgoStatus.ACTIVE)
    if state.exiting or not state.rest or any(one.triggered for one in state.orders):
        return _replace(state, wake_at=due), actions
    if now < state.retry_at:
        return _replace(state, wake_at=legs.soonest(due, state.retry_at)), actions
    leg = state.triggered_by or "stop"
    asked = Exit(state.symbol, state.side, state.rest, legs.ORIGINS[leg])
    return _replace(state, exiting=True, retry_at=0, reason="", wake_at=due), (*actions, asked)


def _stand(state: ProtectionState, now: int) -> Result:
    """Each leg stands for all that is protected."""
    actions: tuple[Action, ...] = ()
    due = 0
    for leg in state.legs:
        done = legs.tend(state, leg, now)
        state = legs.with_leg(state, done.leg)
        actions, due = (*actions, *done.actions), legs.soonest(due, done.due)
    armed = state.rest > ZERO
    held = next((leg.refusal for leg in state.legs if leg.held), "")
    return _replace(
        state,
        watch=any(legs.watched(state, leg) for leg in state.legs),
        status=AlgoStatus.ACTIVE if armed else AlgoStatus.STARTING,
        reason=held,
        wake_at=due,
    ), actions
