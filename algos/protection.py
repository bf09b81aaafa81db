"""protection: a stop and a take-profit that live at the venue, one cancelling the other (algos.md, Protection).

`start` makes the record, `step_protection` moves it. Refuses to know Redis, the venue and the clock. Invariants: it
never asks for more than is left of what it protects (law 2); what has been triggered goes on until that is proven
closed or gone; nothing but a command or a closed position takes the protection away; a terminal record only books late
fills (law 4).
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from algos import protecting, step, tally
from algos import protection_legs as legs
from algos.children import ExitDone
from algos.protection_close import NOTHING, RECOVERING, Result, end, exit_over, pursue, triggered
from algos.step import Input, OrderUpdate
from schemas.chase import AlgoStatus
from schemas.market import ZERO, Instrument, Quote
from schemas.protection import Leg, LegOrder, LegParams, LegWord, ProtectionParams, ProtectionState

_replace = msgspec.structs.replace


def start(
    who: step.Identity, params: ProtectionParams, instrument: Instrument | None, quote: Quote | None, now: int
) -> Result:
    """The first record. For a position its orders leave at once, for an entry with that one's first fill."""
    assert instrument is not None, "what is protected has a symbol"
    asked: list[tuple[LegWord, LegParams | None]] = [("stop", params.stop), ("take_profit", params.take_profit)]
    state = ProtectionState(
        protection_id=who.algo_id,
        sub_account_id=who.sub_account_id,
        tag=who.tag,
        symbol=params.symbol,
        side=params.side,
        params=params,
        instrument=instrument,
        id_epoch=who.epoch,
        started_at=now,
        updated_at=now,
        quantity=ZERO if params.entry_id else params.quantity,
        legs=tuple(_leg(word, leg) for word, leg in asked if leg is not None),
        position_id=params.position_id,
        request_id=who.request_id,
        root_id=who.root_id or who.algo_id,
        parent_id=who.parent_id,
        parent_slot=who.slot,
        entry_id=params.entry_id,
        entry_live=bool(params.entry_id),
        bare=params.bare,
        most=params.most,
    )
    return _settle(None, state, now, quote)


def _leg(word: LegWord, asked: LegParams) -> Leg:
    return Leg(
        word=word,
        trigger_price=asked.trigger_price,
        limit_price=asked.limit_price,
        working_type=asked.working_type,
    )


def step_protection(state: ProtectionState, given: Input) -> Result:
    """One input. The same object back means nothing happened."""
    if type(given) is Quote:
        if not state.watch:
            return state, NOTHING  # the hot path: what stands at the venue is the venue's to watch
        half = state.instrument.tick / 2
        return _settle(state, _priced(state, given, given.low2 * half, given.high2 * half), given.received, given)
    if state.status.terminal:
        return (_booked(state, given) if isinstance(given, OrderUpdate) else state), NOTHING
    quote = getattr(given, "quote", None)
    now: int = given.now  # type: ignore[union-attr]
    return _settle(state, _absorb(state, given), now, quote)


def _absorb(state: ProtectionState, given: Input) -> ProtectionState:
    """What an input says, taken into the record; what to do about it is `pursue`'s."""
    match given:
        case OrderUpdate():
            return _on_order(_booked(state, given), given)
        case protecting.EntryChanged():
            return _entry(state, given)
        case step.PositionReduced():
            return _covered(state, given.held if given.position is None else given.position)
        case protecting.Bare():
            return _replace(state, bare=given.bare, most=given.most)
        case step.MarkUpdate():
            return _priced(state, given, given.price, given.price)
        case protecting.ProtectRequest():
            return _amended(state, given)
        case ExitDone():
            return exit_over(state, given)
        case step.CancelRequest():
            going = _replace(state, hold="") if state.hold == RECOVERING else state  # a recovery's own last word
            return end(going, AlgoStatus.CANCELLED, given.reason)
        case step.StreamHealth():
            recovering = given.hold == RECOVERING
            return _replace(state, hold=given.hold, exiting=state.exiting and not recovering)
        case step.Recovered():
            again = tuple(_replace(leg, attempt=0, retry_at=0) for leg in state.legs)
            told = _replace(state, id_epoch=given.epoch, legs=again, hold="", stopped_at=0)
            return _replace(told, exit_failures=0, retry_at=0)
        case step.Sight():
            return _replace(state, blind=given.blind)
        case step.InstrumentChanged():
            return _regridded(state, given.instrument)
        case step.StopRequest():
            return _replace(state, stopped_at=given.now)
        case step.ResumeRequest():
            again = tuple(_replace(leg, retry_at=0) for leg in state.legs)
            return _replace(state, legs=again, retry_at=0, exit_failures=0)
        case _:  # a Timer says only that its time has come; nothing pauses what protects
            return state


# --- what there is to protect -------------------------------------------------------------------------


def _entry(state: ProtectionState, given: protecting.EntryChanged) -> ProtectionState:
    """The entry has filled more, or has ended. What of it only reduced another position needs no protection."""
    more = max(given.filled - state.entry_filled, ZERO)
    state = _replace(
        state,
        entry_filled=state.entry_filled + more,
        entry_live=given.live,
        position_id=given.position_id or state.position_id,
        quantity=state.filled_quantity + state.rest + more,
    )
    return _covered(state, given.position)


def _covered(state: ProtectionState, position: Decimal) -> ProtectionState:
    """It never protects more than the position is."""
    left = max(-state.side.sign * position, ZERO)
    return state if left >= state.rest else _replace(state, quantity=state.filled_quantity + left)


def _booked(state: ProtectionState, given: OrderUpdate) -> ProtectionState:
    """Take a fill of one of its orders or of its exit's, whatever the state (law 4)."""
    fill = given.fill
    if fill is None:
        return state
    filled, quote = state.filled_quantity + fill.quantity, state.quote_filled + fill.quantity * fill.price
    state = _replace(
        state,
        filled_quantity=filled,
        quote_filled=quote,
        avg_price=tally.average(quote, filled),
        fees=tally.with_fee(state.fees, fill),
        exit_failures=0,
        updated_at=given.now,
    )
    return _replace(state, residual=state.rest) if state.status.terminal else state


# --- prices and orders --------------------------------------------------------------------------------


def _priced(state: ProtectionState, given: Quote | step.MarkUpdate, low: Decimal, high: Decimal) -> ProtectionState:
    """A price for the legs that are watched here. A mark stands in for the market's price while that is not known."""
    quote = given if isinstance(given, Quote) else given.quote
    if quote is not None:
        state = _replace(state, mid=quote.mid2 * state.instrument.tick / 2)
    if not state.watch:
        return state
    marks = isinstance(given, step.MarkUpdate)
    for leg in state.legs:
        follows = marks if leg.working_type == "MARK_PRICE" else not marks or quote is None
        if follows and legs.watched(state, leg) and legs.reached(state, leg, low, high):
            now = given.received if isinstance(given, Quote) else given.now
            return triggered(state, leg.word, now, quote)
    return state


def _on_order(state: ProtectionState, given: OrderUpdate) -> ProtectionState:
    """One of the legs' orders has changed."""
    for leg in state.legs:
        known = next((one for one in leg.orders if one.client_order_id == given.order.client_order_id), None)
        if known is not None:
            changed, word = legs.updated(leg, known, given)
            state = legs.with_leg(state, changed)
            if word == "triggered":
                return triggered(state, leg.word, given.now, given.quote)
            if not word:
                return state
            if word in ("placed", "moved"):
                state = _form(
                    state, known, next(one for one in changed.orders if one.client_order_id == known.client_order_id)
                )
            return _told(state, word, leg.word)
    return state


def _form(state: ProtectionState, asked: LegOrder, stands: LegOrder) -> ProtectionState:
    """An order that came out in another form than it was asked for in tells more than what was told of that."""
    if stands.bare is asked.bare or (state.bounded and not state.most):
        return state
    return _replace(state, bare=stands.bare, most=state.most if state.bounded else state.rest)


def _told(state: ProtectionState, word: str, leg: LegWord) -> ProtectionState:
    return _replace(state, word=word, word_leg=leg, count=state.count + 1)


def _amended(state: ProtectionState, given: protecting.ProtectRequest) -> ProtectionState:
    """A leg is to stand elsewhere, or for another quantity; checked at the door."""
    leg = state.leg(given.leg)
    if leg is None:
        return state
    moved = _replace(
        leg,
        trigger_price=given.trigger_price or leg.trigger_price,
        limit_price=leg.limit_price if given.limit_price is None else given.limit_price,
        held=False,
        refusals=0,
        refusal="",
        retry_at=0,
    )
    asked = state.rest if given.quantity is None else given.quantity
    return _replace(legs.with_leg(state, moved), quantity=state.filled_quantity + asked)


def _regridded(state: ProtectionState, instrument: Instrument) -> ProtectionState:
    """Filters changed (law 6): a trigger goes to the next price there is, so that it is reached no earlier."""
    changed = []
    for leg in state.legs:
        down = (state.side.sign < 0) == (leg.word == "stop")
        ticks = instrument.ticks_down(leg.trigger_price) if down else instrument.ticks_up(leg.trigger_price)
        limit = instrument.price(instrument.limit_ticks(state.side, leg.limit_price))
        changed.append(_replace(leg, trigger_price=instrument.price(ticks), limit_price=limit))
    return _replace(state, instrument=instrument, legs=tuple(changed))


def _settle(before: ProtectionState | None, absorbed: ProtectionState, now: int, quote: Quote | None) -> Result:
    """Decide on what an input left behind. `before` is returned itself where nothing changed."""
    after, actions = pursue(absorbed, now)
    if before is not None and not actions and after == before:
        return before, actions
    return _replace(after, updated_at=now), actions
