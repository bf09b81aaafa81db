"""trail_stop: protects a position by following its best price (algos.md).

`start` makes the record, `step_trail_stop` moves it. Refuses to know Redis, the venue and the clock. Invariants: the
extreme only gets better and the quantity only smaller; it never asks for more than is left of both (law 2); a stop that
has been triggered goes on until the position is proven closed or gone; a terminal record only books late fills (law 4).
"""

from __future__ import annotations

import msgspec

from algos import step, trail_backstop, trail_exit, trail_price
from algos.children import ChildChanged, ChildDone, ExitDone
from algos.cover import Cover
from algos.step import Input, OrderUpdate
from algos.trail_exit import NOTHING, RECOVERING, Result
from schemas.chase import AlgoStatus
from schemas.market import Instrument, Quote
from schemas.trail_stop import TrailStopParams, TrailStopState

MINUTE_MS = 60_000  # of a candle

_replace = msgspec.structs.replace


def start(
    who: step.Identity, params: TrailStopParams, instrument: Instrument | None, quote: Quote | None, now: int
) -> Result:
    """The first record of a stop. It begins on the first price there is, whenever that comes."""
    assert instrument is not None, "a stop has a symbol"
    state = TrailStopState(
        trail_stop_id=who.algo_id,
        sub_account_id=who.sub_account_id,
        tag=who.tag,
        symbol=params.symbol,
        side=params.side,
        position_id=params.position_id,
        quantity=params.quantity,
        params=params,
        instrument=instrument,
        id_epoch=who.epoch,
        started_at=now,
        updated_at=now,
        written_at=now,
        request_id=who.request_id,
        root_id=who.root_id or who.algo_id,
        parent_id=who.parent_id,
        parent_slot=who.slot,
    )
    if quote is not None and params.trigger != "mark":
        last = trail_price.of_quote(state, quote).last
        state = trail_price.followed(state, last, now)
    return _settle(state, state, now, quote)


def step_trail_stop(state: TrailStopState, given: Input) -> Result:
    """One input. The same object back means nothing happened."""
    if type(given) is Quote:
        if state.calm_low2 < given.low2 and given.high2 < state.calm_high2:
            return state, NOTHING  # the hot path: most quotes change nothing, and then nothing is allocated
        if state.activated and trail_price.calm_touch(state, given):
            return state, NOTHING
        seen = trail_price.of_quote(state, given)
        return _settle(state, _priced(state, seen, given.received, given), given.received, given)
    if state.status.terminal:
        if isinstance(given, OrderUpdate | ChildChanged | ChildDone):
            return trail_exit.book(state, given), NOTHING
        return state, NOTHING
    quote = getattr(given, "quote", None)
    now: int = given.now  # type: ignore[union-attr]
    return _settle(state, _absorb(state, given), now, quote)


def _absorb(state: TrailStopState, given: Input) -> TrailStopState:
    """What an input says, taken into the record; what to do about it is `trail_exit.pursue`'s."""
    match given:
        case step.MarkUpdate():
            return _priced(state, trail_price.of_price(state, given.price), given.now, given.quote)
        case step.Missed():
            return _missed(state, given)
        case step.Sight():
            return _sight(state, given)
        case step.PositionReduced():
            return trail_exit.covered(state, given)
        case Cover():
            return _replace(state, cover=given.most, net=given.net)
        case OrderUpdate() | ChildChanged() | ChildDone():
            return trail_exit.book(state, given)
        case ExitDone():
            return trail_exit.exit_over(state, given)
        case step.CancelRequest():
            going = _replace(state, hold="") if state.hold == RECOVERING else state  # a recovery's own last word
            return trail_exit.end(going, AlgoStatus.CANCELLED, given.reason)
        case step.PauseRequest():
            return _replace(state, paused=given.reason)
        case step.ResumeRequest():
            return _replace(state, paused="", retry_at=0, exit_failures=0)
        case step.StreamHealth():
            return _health(state, given)
        case step.InstrumentChanged():
            return trail_price.regridded(state, given.instrument)
        case step.StopRequest():
            return _replace(state, stopped_at=given.now)
        case step.Recovered():
            return _recovered(state, given)
        case _:  # a Timer says only that its time has come; the rest is about orders that rest
            return state


def _health(state: TrailStopState, given: step.StreamHealth) -> TrailStopState:
    """Nothing holds a stop up; what is missing is shown. A new life begins with `recovering`: from the record's last
    word on, prices are not known until `Missed` tells of them, and whatever exit was under way is so no more."""
    if given.hold != RECOVERING:
        return _replace(state, hold=given.hold)
    since = state.missed_since or state.updated_at
    return _replace(state, hold=RECOVERING, missed_since=since, exiting=False)


def _recovered(state: TrailStopState, given: step.Recovered) -> TrailStopState:
    """A new life goes on."""
    state = _replace(state, id_epoch=given.epoch, hold="", missed_since=0, stopped_at=0, exit_failures=0, retry_at=0)
    return _replace(state, backstops_asked=0, backstop_at=0, backstop_failures=0)


def _waits(state: TrailStopState) -> bool:
    """Whether prices mean nothing now."""
    ends = state.ending is not None or state.gone or state.status.terminal
    return bool(state.triggered_at) or ends or state.hold == RECOVERING


def _priced(state: TrailStopState, seen: trail_price.Seen, now: int, quote: Quote | None) -> TrailStopState:
    """What a step's prices do. A paused stop follows, and does not fire."""
    if _waits(state):
        return state
    state = _replace(state, blind=False) if state.blind else state
    state, reached = trail_price.follow(state, seen, now)
    if reached is None or state.paused:
        return state
    return trail_backstop.triggered(state, now, abs(reached), "price", quote)


def _sight(state: TrailStopState, given: step.Sight) -> TrailStopState:
    """Without any price it holds, or closes where that was asked for; one that is not active yet protects nothing."""
    if given.blind and state.params.on_blind == "close" and state.activated and not (_waits(state) or state.paused):
        return trail_backstop.triggered(state, given.now, state.trigger2, "blind", given.quote)
    return _replace(state, blind=given.blind)


def _missed(state: TrailStopState, given: step.Missed) -> TrailStopState:
    """The extreme that was reached meanwhile. A minute counts where the stop lived, and was active, for the whole of
    it: of any other it is not known when its extreme was. Its other end never triggers: the next good price does."""
    if state.triggered_at or state.ending is not None:
        return state
    since = max(state.started_at, state.activated_at)
    for candle in given.candles:
        if candle.time >= since and candle.time + MINUTE_MS > state.missed_since:
            best = trail_price.best_of_range(state, candle.high, candle.low)
            state = trail_price.followed(state, best, candle.time)
    return state


def _settle(before: TrailStopState, absorbed: TrailStopState, now: int, quote: Quote | None) -> Result:
    """Decide on what an input left behind. `before` is returned itself where nothing changed."""
    after, actions = trail_exit.pursue(absorbed, now, quote)
    if after.status.terminal:
        return _replace(after, updated_at=now), actions
    after = _paced(before, after, now)
    if not actions and after == before:
        return before, actions
    return _replace(after, updated_at=now), actions


def _paced(before: TrailStopState, after: TrailStopState, now: int) -> TrailStopState:
    """Status, alarm and calm of a stop that goes on. Where nothing but the extreme has moved, which was written a
    moment ago, the record waits in memory (`TrailStopState.unwritten`)."""
    low2, high2 = (-trail_price.FAR2, trail_price.FAR2) if _waits(after) else trail_price.calm(after)
    status = trail_exit.status_of(after)
    reason = after.reason if status is AlgoStatus.BLOCKED else ""
    after = _replace(after, status=status, reason=reason, calm_low2=low2, calm_high2=high2, unwritten=False, wake_at=0)
    due = after.written_at + trail_price.WRITE_MS
    if now < due and _moved_only(before, after):
        return _replace(after, unwritten=True, wake_at=due)
    written_at = now if after.extreme2 != before.extreme2 or before.unwritten else after.written_at
    times = [at for at in (after.retry_at, trail_backstop.wakes_at(after, now)) if now < at]
    return _replace(after, written_at=written_at, wake_at=min(times, default=0))


_MOVING = ("extreme2", "trigger2", "extreme_price", "trigger_price", "calm_low2", "calm_high2", "unwritten", "wake_at")


def _moved_only(before: TrailStopState, after: TrailStopState) -> bool:
    """Whether all that differs is how far the extreme has come."""
    if after.extreme2 == before.extreme2 and not before.unwritten:
        return False
    return after == _replace(before, **{name: getattr(after, name) for name in _MOVING})
