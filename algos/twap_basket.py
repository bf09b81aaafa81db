"""twap_basket: TWAPs of several symbols as one (algos.md): progress over its legs, and one cancel for all.

Each leg is a child algo of its own, started in the same atomic step. Refuses to know prices and orders. Invariant: it
ends only when every leg has ended.
"""

from __future__ import annotations

import msgspec

from algos import step
from algos.children import ChildChanged, ChildDone, ChildReport, Spawn, StopChild
from algos.step import Action, Input
from schemas.chase import AlgoStatus
from schemas.ids import child_id
from schemas.market import Instrument, Quote
from schemas.twap import TwapBasketParams, TwapBasketState, TwapLeg

Result = tuple[TwapBasketState, tuple[Action, ...]]
_replace = msgspec.structs.replace


def start(
    who: step.Identity, params: TwapBasketParams, instrument: Instrument | None, quote: Quote | None, now: int
) -> Result:
    """The first record, and every leg at once. All of them were checked at the door."""
    legs = tuple(TwapLeg(twap_id=child_id(who.algo_id, "t", number)) for number in range(len(params.legs)))
    state = TwapBasketState(
        twap_basket_id=who.algo_id,
        sub_account_id=who.sub_account_id,
        tag=who.tag,
        params=params,
        id_epoch=who.epoch,
        started_at=now,
        updated_at=now,
        legs=legs,
        request_id=who.request_id,
        root_id=who.root_id or who.algo_id,
        status=AlgoStatus.ACTIVE,
    )
    asked = zip(legs, params.legs, strict=True)
    return state, tuple(Spawn(leg.twap_id, "twap", slot, twap) for slot, (leg, twap) in enumerate(asked))


def step_twap_basket(state: TwapBasketState, given: Input) -> Result:
    """One input. The same object back means nothing happened."""
    if type(given) is Quote:
        return state, ()
    after, actions = _absorb(state, given)
    if after == state and not actions:
        return state, ()
    if not state.status.terminal:
        after = _judged(after)
    now: int = given.now  # type: ignore[union-attr]
    return _replace(after, updated_at=now), actions


def _absorb(state: TwapBasketState, given: Input) -> Result:
    if isinstance(given, ChildChanged | ChildDone):
        return _heard(state, given.child), ()
    if state.status.terminal:
        return state, ()
    match given:
        case step.CancelRequest():
            return _ending(state, given.reason)
        case step.Recovered():
            legs = tuple(_replace(leg, stopping=False) for leg in state.legs)
            return _stopping(_replace(state, id_epoch=given.epoch, legs=legs))
        case _:  # health, pauses and positions concern its legs, which hear of them by themselves
            return state, ()


def _live(state: TwapBasketState) -> list[TwapLeg]:
    return [leg for leg in state.legs if not leg.status.terminal]


def _ending(state: TwapBasketState, reason: str) -> Result:
    """The first decision to end stands."""
    if state.ending is None:
        state = _replace(state, ending=AlgoStatus.CANCELLED, ending_reason=reason)
    return _stopping(state)


def _stopping(state: TwapBasketState) -> Result:
    """Where it is to end, every leg that was not told so yet is told."""
    if state.ending is None:
        return state, ()
    told = [leg for leg in _live(state) if not leg.stopping]
    legs = tuple(_replace(leg, stopping=True) if leg in told else leg for leg in state.legs)
    return _replace(state, legs=legs), tuple(StopChild(leg.twap_id, state.ending_reason) for leg in told)


def _heard(state: TwapBasketState, report: ChildReport) -> TwapBasketState:
    """The newest word of a leg. Sums never shrink: a report without a record says nothing of them."""
    return _replace(state, legs=tuple(_knowing(leg, report) for leg in state.legs))


def _knowing(leg: TwapLeg, report: ChildReport) -> TwapLeg:
    if leg.twap_id != report.child_id:
        return leg
    known = _replace(leg, status=report.status, reason=report.reason, arrival_mid=report.arrival_mid or leg.arrival_mid)
    if report.filled_quantity < leg.filled_quantity:
        return known
    return _replace(known, filled_quantity=report.filled_quantity, quote_filled=report.quote_filled, fees=report.fees)


def _judged(state: TwapBasketState) -> TwapBasketState:
    """Its status, from those of its legs."""
    statuses = {leg.status for leg in state.legs}
    live = {status for status in statuses if not status.terminal}
    if live:
        status = AlgoStatus.STOPPING if state.ending is not None else _going_on(live)
        waits = next((leg.reason for leg in state.legs if leg.status is status), "") if status in _WAITING else ""
        return _replace(state, status=status, reason=waits)
    if statuses == {AlgoStatus.COMPLETED}:
        return _replace(state, status=AlgoStatus.COMPLETED, reason="")
    if state.ending is not None:
        return _replace(state, status=state.ending, reason=state.ending_reason)
    worst = next(status for status in _WORST_FIRST if status in statuses)
    reason = next(leg.reason for leg in state.legs if leg.status is worst)
    return _replace(state, status=worst, reason=reason)


_WORST_FIRST = (AlgoStatus.EXPIRED, AlgoStatus.FAILED, AlgoStatus.CANCELLED)


def _going_on(live: set[AlgoStatus]) -> AlgoStatus:
    """Paused, blocked or throttled where all that live are; else it is active."""
    return next(iter(live)) if len(live) == 1 and live <= _WAITING else AlgoStatus.ACTIVE


_WAITING = frozenset((AlgoStatus.PAUSED, AlgoStatus.BLOCKED, AlgoStatus.THROTTLED))
