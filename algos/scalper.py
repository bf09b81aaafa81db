"""scalper: a two-sided ladder of child chases (algos.md).

`start` makes the record, `step_scalper` moves it. Refuses to know Redis, the venue and the clock. Invariants: at most
one live child per layer (law 1); closing children together never ask for more than the scalper's own fills have built
up, opening ones never for more than the cap (law 2); a terminal record only books late fills (law 4).
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from algos import scalper_book as book
from algos import scalper_guards as guards
from algos import step
from algos.children import ChildChanged, ChildDone, ChildReport
from algos.scalper_decide import NOTHING, SIDES, Result, price_held, settle
from algos.scalper_layers import distinct_ticks, plan
from algos.step import Input
from schemas.chase import AlgoStatus
from schemas.market import Instrument, Quote
from schemas.scalper import LayerSlot, ScalperLadder, ScalperLayer, ScalperParams, ScalperState

PRICE_PACE_MS = 1_000  # a child that only moved is written down so often: its own record is always true
CANCELLED_WHILE_DOWN = "child_cancelled_while_down"
_replace = msgspec.structs.replace


def start(
    who: step.Identity, params: ScalperParams, instrument: Instrument | None, quote: Quote | None, now: int
) -> Result:
    """The first record of a scalper and its first children. Parameters and layers were checked at the door."""
    assert instrument is not None, "a scalper has a symbol"
    assert quote is not None, "a scalper begins on a price"
    mid = quote.mid2 * instrument.tick / 2
    layers = plan(params, instrument, mid)
    assert layers.long, "the side is large enough"
    assert layers.short, "the side is large enough"
    state = ScalperState(
        scalper_id=who.algo_id,
        sub_account_id=who.sub_account_id,
        tag=who.tag,
        symbol=params.symbol,
        params=params,
        instrument=instrument,
        id_epoch=who.epoch,
        started_at=now,
        updated_at=now,
        request_id=who.request_id,
        root_id=who.root_id or who.algo_id,
        parent_id=who.parent_id,
        parent_slot=who.slot,
        long=_ladder(layers.long),
        short=_ladder(layers.short),
        cap_quantity=cap_quantity(params, instrument, mid),
        arrival_mid=mid,
        guarded=_guarded(params),
    )
    return settle(state, state, now, quote)


def _ladder(layers: tuple[ScalperLayer, ...]) -> ScalperLadder:
    return ScalperLadder(slots=tuple(LayerSlot(layer=layer) for layer in layers))


def cap_quantity(params: ScalperParams, instrument: Instrument, mid: Decimal) -> Decimal:
    """The largest inventory, long or short: maxPositionUsd, or the larger side's size, at a mid price."""
    usd = params.max_position_usd or max(params.long_size_usd, params.short_size_usd)
    return instrument.quantity_down(usd / mid)


def step_scalper(state: ScalperState, given: Input) -> Result:
    """One input. The same object back means nothing happened."""
    if type(given) is Quote:
        return _on_quote(state, given)
    if isinstance(given, ChildChanged | ChildDone):
        if _only_moved(state, given.child, given.now):
            return state, NOTHING
        if state.status.terminal:
            late = book.booked(state, given.child)
            return (late if late is state else _replace(late, updated_at=given.now)), NOTHING
    elif state.status.terminal:
        return state, NOTHING
    after = _absorb(state, given)
    quote = getattr(given, "quote", None)
    now: int = given.now  # type: ignore[union-attr]
    return settle(state, after, now, quote)


def _on_quote(state: ScalperState, quote: Quote) -> Result:
    """The hot path: a price changes what its guards say, and nothing else; the children follow it by themselves."""
    if not (state.awaits_price or state.guarded) or state.hold or state.status.terminal:
        return state, NOTHING
    if state.awaits_price or _price_matters(state, quote):
        return settle(state, state, quote.received, quote)
    return state, NOTHING


def _guarded(params: ScalperParams) -> bool:
    """Whether any guard looks at the price: to most scalpers a quote is nothing."""
    pinned = params.pin_long_to_entry or params.pin_short_to_entry
    bounded = params.long_max_price or params.short_min_price or params.max_loss_per_close_bps
    return bool(pinned or bounded or not params.allow_loss or params.min_fill_spread_pct)


def _price_matters(state: ScalperState, quote: Quote) -> bool:
    """Whether a guard now says otherwise of any layer than what is written down."""
    now = quote.received
    for side in SIDES:
        limit = guards.bound(state, side)
        for slot in state.ladder(side).slots:
            if slot.child is None:
                waits = slot.reason == guards.SPREAD or (slot.reason in guards.PRICES and now >= slot.rest_until)
                if waits and price_held(state, side, slot, now, quote) is None:
                    return True
            elif not slot.child.stopping and guards.outside(side, guards.target(side, slot, quote), limit):
                return True
    return False


def _only_moved(state: ScalperState, report: ChildReport, now: int) -> bool:
    """Whether a child tells only that its order stands elsewhere, and the last such word is young."""
    found = book.find(state, report.child_id)
    if found is None or now - state.updated_at >= PRICE_PACE_MS:
        return False
    child = found[2]
    return (report.status, report.reason, report.order_id, report.refusals, report.filled_quantity, report.fees) == (
        child.status,
        child.reason,
        child.order_id,
        child.refusals,
        child.filled,
        child.fees,
    )


def _absorb(state: ScalperState, given: Input) -> ScalperState:
    """What an input says, taken into the record; what to do about it is `settle`'s."""
    match given:
        case ChildChanged() | ChildDone():
            return _on_child(state, given)
        case step.CancelRequest():
            if state.ending is not None:
                return state
            return _replace(state, ending=AlgoStatus.CANCELLED, ending_reason=given.reason)
        case step.PauseRequest():
            return _replace(state, paused=given.reason)
        case step.ResumeRequest():
            return _refreshed(_replace(state, paused=""))
        case step.StreamHealth():
            return _replace(state, hold=given.hold, blocked=given.blocked)
        case step.PositionReduced():
            return state if given.position is None else book.covered(state, given.position)
        case step.Budget():
            return _replace(state, throttle=given.throttle)
        case step.InstrumentChanged():
            return _new_grid(state, given.instrument)
        case step.Recovered():
            paused = state.paused or given.pause
            return _replace(state, id_epoch=given.epoch, paused=paused, hold="", stopped_at=0, throttle="")
        case step.StopRequest():
            return _replace(state, stopped_at=given.now)
        case _:  # a Timer says only that its time has come
            return state


def _on_child(state: ScalperState, given: ChildChanged | ChildDone) -> ScalperState:
    state = book.booked(state, given.child)
    if isinstance(given, ChildDone):
        return book.ended(state, given.child.child_id, given.now)
    if given.child.status is AlgoStatus.PAUSED and given.child.reason == CANCELLED_WHILE_DOWN:
        return _replace(state, paused=state.paused or CANCELLED_WHILE_DOWN)
    return state


def _refreshed(state: ScalperState) -> ScalperState:
    """Somebody lets it go on: nothing rests for former failures."""
    for side in SIDES:
        for number, slot in enumerate(state.ladder(side).slots):
            state = book.with_slot(state, side, number, _replace(slot, failures=0, rest_until=0, rest_reason=""))
    return state


def _new_grid(state: ScalperState, instrument: Instrument) -> ScalperState:
    """Filters changed while the scalper lives (law 6): distances and sizes are counted anew."""
    old, state = state.instrument, _replace(state, instrument=instrument)
    for side in SIDES:
        slots = state.ladder(side).slots
        ticks = distinct_ticks([slot.layer.offset_ticks * old.tick / instrument.tick for slot in slots])
        for number, slot in enumerate(slots):
            quantity = instrument.quantity_down(slot.layer.quantity)
            layer = _replace(slot.layer, offset_ticks=ticks[number], quantity=quantity)
            state = book.with_slot(state, side, number, _replace(slot, layer=layer))
    return _replace(state, cap_quantity=instrument.quantity_down(state.cap_quantity))
