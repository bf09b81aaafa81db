"""trail_stop, the closing half: what a stop that has been triggered, or is to end, asks for (algos.md, trail_stop).

Owns the way from the trigger to a position that is proven closed or gone: one exit at a time, tried for as long as
there is something to close. Refuses to look at prices. Laws 2, 3 and 4 of algos.md live here.
"""

from __future__ import annotations

import msgspec

from algos import step, tally, trail_backstop
from algos.children import ChildChanged, ChildDone, Exit, ExitDone, Spawn, StopChild
from algos.step import OrderUpdate
from algos.trail_price import FAR2
from schemas.chase import AlgoStatus, ChaseParams
from schemas.ids import child_id
from schemas.market import ZERO, Quote
from schemas.trail_stop import ExitChase, TrailStopState

Result = trail_backstop.Result
NOTHING = trail_backstop.NOTHING
CHASE_LETTER = "c"
AGAIN_FIRST_MS = 250  # execution.md 28: protective exits back off so long …
AGAIN_MAX_MS = 2_000  # … up to this
RECOVERING = "recovering"  # what an algo holds for until all that happened meanwhile is booked

_replace = msgspec.structs.replace


def end(state: TrailStopState, status: AlgoStatus, reason: str) -> TrailStopState:
    """Decide the ending. It is reached when no exit is left; the first decision stands."""
    return state if state.ending is not None else _replace(state, ending=status, ending_reason=reason)


# --- booking ----------------------------------------------------------------------------------------


def book(state: TrailStopState, given: OrderUpdate | ChildChanged | ChildDone) -> TrailStopState:
    """Take a fill of the exit's own orders and of a backstop, or the sums of the chase, whatever the state (law 4)."""
    if isinstance(given, OrderUpdate):
        state, fill = trail_backstop.heard(state, given), given.fill
        if fill is None:
            return state
        state = _replace(
            state,
            exit_filled=state.exit_filled + fill.quantity,
            exit_quote=state.exit_quote + fill.quantity * fill.price,
            exit_fees=tally.with_fee(state.exit_fees, fill),
            exit_failures=0,
        )
    else:
        report, chase = given.child, state.chase
        if chase is None or chase.child_id != report.child_id:
            return state
        told = _replace(
            chase,
            live=isinstance(given, ChildChanged) and chase.live,
            filled_quantity=report.filled_quantity,
            quote_filled=report.quote_filled,
            fees=report.fees,
        )
        if told == chase:
            return state
        state = _replace(state, chase=told)
    return _summed(state, given.now)


def _summed(state: TrailStopState, now: int) -> TrailStopState:
    """The sums of exit and chase together."""
    chase = state.chase or ExitChase(child_id="")
    filled = state.exit_filled + chase.filled_quantity
    quote = state.exit_quote + chase.quote_filled
    state = _replace(
        state,
        filled_quantity=filled,
        quote_filled=quote,
        avg_price=tally.average(quote, filled),
        fees=tally.added(state.exit_fees, chase.fees),
        updated_at=now,
    )
    return _replace(state, residual=state.rest) if state.status.terminal else state


def exit_over(state: TrailStopState, given: ExitDone) -> TrailStopState:
    """The exit has ended: nothing is left, or it is to be tried again, soon and for ever."""
    state = _replace(state, exiting=False)
    if not given.reason:
        return _replace(state, gone=True)
    failures = state.exit_failures + 1
    pause_ms = min(AGAIN_FIRST_MS << min(failures - 1, 8), AGAIN_MAX_MS)
    return _replace(state, exit_failures=failures, retry_at=given.now + pause_ms, reason=given.reason)


# --- deciding ---------------------------------------------------------------------------------------


def pursue(state: TrailStopState, now: int, quote: Quote | None) -> Result:
    """What the record wants now."""
    chase = state.chase
    if chase is not None and chase.live:
        if state.ending is None or chase.stopping:
            return state, NOTHING
        state = _replace(state, chase=_replace(chase, stopping=True))
        return state, (StopChild(chase.child_id, state.ending_reason),)
    if state.exiting or state.hold == RECOVERING:
        return state, NOTHING
    if trail_backstop.firing(state):
        return trail_backstop.withdraw(state, now)  # what of it has not been reached; the rest is closing
    if state.gone or not state.rest or state.ending is not None:
        return trail_backstop.withdraw(state, now) if state.backstops else (_ended(state), NOTHING)
    if not state.triggered_at:
        return trail_backstop.keep(state, now)
    if now < state.retry_at:
        return state, NOTHING
    if trail_backstop.in_the_way(state, now):
        return trail_backstop.withdraw(state, now)
    return _close(state, quote)


def _ended(state: TrailStopState) -> TrailStopState:
    """Nothing of it is anywhere any more."""
    if state.gone or not state.rest:
        by_backstop = "backstop" if state.triggered_by == "backstop" else ""
        return _finish(state, AlgoStatus.COMPLETED, "position_closed" if state.rest else by_backstop)
    assert state.ending is not None, "asked for"
    return _finish(state, state.ending, state.ending_reason)


def _close(state: TrailStopState, quote: Quote | None) -> Result:
    """By a chase where that was asked for and can be, else at the market."""
    whole = state.instrument.quantity_down(state.rest)
    by_chase = state.params.exit == "chase" and state.chase is None and quote is not None and not state.stopped_at
    if by_chase and whole >= state.instrument.min_qty:
        return _by_chase(state)
    return _replace(state, exiting=True, retry_at=0), (Exit(state.symbol, state.side, state.rest),)


def _by_chase(state: TrailStopState) -> Result:
    """One chase within its deadline; what it leaves is closed at the market."""
    name = child_id(state.trail_stop_id, CHASE_LETTER, 1)
    params = ChaseParams(
        symbol=state.symbol,
        side=state.side,
        quantity=state.instrument.quantity_down(state.rest),
        reduce_only=True,
        deadline_seconds=state.params.exit_deadline_seconds,
        on_deadline="cancel",
        on_stop="leave",
    )
    return _replace(state, chase=ExitChase(child_id=name)), (Spawn(name, "chase", 0, params),)


def _finish(state: TrailStopState, status: AlgoStatus, reason: str) -> TrailStopState:
    """The end; what was not closed by this stop is named."""
    return _replace(
        state,
        status=status,
        reason=reason,
        residual=state.rest,
        calm_low2=-FAR2,
        calm_high2=FAR2,
        wake_at=0,
        unwritten=False,
    )


def status_of(state: TrailStopState) -> AlgoStatus:
    """The word for a stop that has not ended."""
    if state.ending is not None or (state.backstops and (state.gone or not state.rest)):
        return AlgoStatus.STOPPING
    if state.exit_failures >= step.REJECTION_LIMIT:
        return AlgoStatus.BLOCKED
    if state.paused and not state.triggered_at:
        return AlgoStatus.PAUSED
    if state.hold or state.blind:
        return AlgoStatus.THROTTLED
    return AlgoStatus.ACTIVE


def covered(state: TrailStopState, given: step.PositionReduced) -> TrailStopState:
    """The position got smaller by somebody else's hand: the stop shrinks with it and never grows. What others close of
    it at this moment is no reason to shrink: they may fail."""
    held = given.held if given.position is None else given.position
    left = max(-state.side.sign * held, ZERO)
    if not left:
        return _replace(state, gone=True)
    most = state.filled_quantity + left
    return _replace(state, quantity=most) if most < state.quantity else state
