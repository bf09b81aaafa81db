"""twap: equal slices on an absolute schedule (algos.md).

`start` makes the record, `step_twap` moves it. Refuses to know Redis, the venue and the clock. Invariants: one live
child at most, an IOC order or a chase (law 1); a lot asks for what is owed by its slot and never for more than is left
(law 2) or than catchUpMax times its own size; a terminal record only books late fills (law 4).
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import msgspec

from algos import step, twap_plan
from algos.children import ChildChanged, ChildDone
from algos.step import Input, OrderUpdate
from algos.twap_child import book_fill, on_child, on_order
from algos.twap_decide import NOTHING, Result, beyond, end, settle, told
from schemas.chase import AlgoStatus
from schemas.market import ZERO, Instrument, Quote, Side
from schemas.twap import TwapParams, TwapState

SEEN_PART = (
    400  # a mid is written down when it moved a quarter percent: 1 % since the last life pauses (execution.md 25)
)

_replace = msgspec.structs.replace


def start(
    who: step.Identity, params: TwapParams, instrument: Instrument | None, quote: Quote | None, now: int
) -> Result:
    """The first record of a TWAP and its first lot. The plan was checked at the door. Without a price it waits for
    one."""
    assert instrument is not None, "a TWAP has a symbol"
    state = TwapState(
        twap_id=who.algo_id,
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
        seed=twap_plan.seed_of(who.algo_id),
        request_id=who.request_id,
        root_id=who.root_id or who.algo_id,
        parent_id=who.parent_id,
        parent_slot=who.slot,
        limit_mid2=_limit_mid2(params, instrument),
    )
    return settle(state, state, now, quote)


def _limit_mid2(params: TwapParams, instrument: Instrument) -> int:
    """Twice the price limit in whole ticks, 0 for none: no mid between two of them is judged wrongly."""
    towards = ROUND_FLOOR if params.side is Side.BUY else ROUND_CEILING
    return int((2 * params.price_limit / instrument.tick).to_integral_value(towards))


def step_twap(state: TwapState, given: Input) -> Result:
    """One input. The same object back means nothing happened."""
    if type(given) is Quote:
        return _on_quote(state, given)
    if state.status.terminal:
        return _late(state, given), NOTHING
    after = _absorb(state, given)
    now: int = given.now  # type: ignore[union-attr]
    return settle(state, after, now, getattr(given, "quote", None))


def _on_quote(state: TwapState, quote: Quote) -> Result:
    """The hot path: a quote matters to a lot that waits for one, and to a limit while a chase works. A mid that moved
    is written down now and then, so that the next life knows what it was (execution.md 25)."""
    if state.status.terminal or state.hold:
        return state, NOTHING
    worker = state.worker
    watching = worker is not None and not worker.stopping and state.limit_mid2
    if state.waiting or (watching and beyond(state, quote)):
        return settle(state, state, quote.received, quote)
    if abs(quote.mid2 - state.seen_mid2) * SEEN_PART > state.seen_mid2:
        return told(state, quote.received, quote), NOTHING
    return state, NOTHING


def _late(state: TwapState, given: Input) -> TwapState:
    if isinstance(given, OrderUpdate):
        return book_fill(state, given)
    return on_child(state, given) if isinstance(given, ChildChanged | ChildDone) else state


def _absorb(state: TwapState, given: Input) -> TwapState:
    """What an input says, taken into the record."""
    match given:
        case OrderUpdate():
            return on_order(state, given)
        case ChildChanged() | ChildDone():
            return on_child(state, given)
        case step.CancelRequest():
            return end(state, AlgoStatus.CANCELLED, given.reason)
        case step.PauseRequest():
            return _replace(state, paused=given.reason)
        case step.ResumeRequest():
            return _replace(state, paused="", retry_at=0, rejection="", rejections=0, reason="")
        case step.StreamHealth():
            return _health(state, given)
        case step.PositionReduced():
            return _covered(state, given)
        case step.Budget():
            return _replace(state, throttle=given.throttle)
        case step.InstrumentChanged():
            return _replace(state, instrument=given.instrument, limit_mid2=_limit_mid2(state.params, given.instrument))
        case step.Recovered():
            return _recovered(state, given)
        case step.StopRequest():
            return _replace(state, stopped_at=given.now)
        case _:  # a Timer says only that its time has come
            return state


def _health(state: TwapState, given: step.StreamHealth) -> TwapState:
    """What only reduces is never blocked."""
    if state.params.reduce_only:
        return _replace(state, hold=given.hold)
    reason = given.blocked if given.blocked != state.blocked else state.reason
    return _replace(state, hold=given.hold, blocked=given.blocked, reason=reason)


def _recovered(state: TwapState, given: step.Recovered) -> TwapState:
    """A new life: attempts restart under its epoch (execution.md 19), the schedule is the old one. A worker that was
    told to end is told again."""
    pause = "" if state.params.reduce_only else given.pause
    worker = state.worker
    return _replace(
        state,
        id_epoch=given.epoch,
        attempt=0,
        paused=state.paused or pause,
        hold="",
        stopped_at=0,
        throttle="",
        worker=None if worker is None else _replace(worker, stopping=False),
    )


def _covered(state: TwapState, given: step.PositionReduced) -> TwapState:
    """What only reduces never asks for more than there is to close; with nothing left it ends. What other closers hold
    reserved now may be free again when a lot is due, so that the position itself is the bound where it is told."""
    position: Decimal = given.held if given.position is None else given.position
    left = max(-state.side.sign * position, ZERO)
    if left >= state.rest:
        return state
    if not left:
        return end(state, AlgoStatus.CANCELLED, "position_gone")
    return _replace(state, quantity=state.filled_quantity + left)
