"""protection, one leg: which of its orders stand at the venue, and which are to (algos.md, Protection; execution.md
14).

Owns the way from what a leg should be to what is asked of the venue. Under the venue's flag a move is new before old:
there is never a moment without. Without it orders never sum above what is protected: old before new, and more of it is
one order more. Refuses to know what is protected.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from algos.step import BACK_OFF_MAX_MS, REJECTION_LIMIT, RETRY_MIN_MS, Action, CancelChild, OrderUpdate, PlaceChild
from schemas.ids import OrderId, make
from schemas.market import ZERO
from schemas.orders import Cause, OrderState, OrderType, Origin
from schemas.protection import Leg, LegOrder, LegWord, ProtectionState

SPACING_MS = 25  # between two orders of a leg: a burst of fills comes to few orders, and none waits longer
LIVE_MAX = 8  # orders of a leg at once; the venue takes 200 waiting ones of the whole account
SLOTS: dict[LegWord, int] = {"stop": 0, "take_profit": 1}
ORIGINS: dict[LegWord, Origin] = {"stop": Origin.STOP, "take_profit": Origin.TAKE_PROFIT}

News = Literal["", "placed", "moved", "triggered", "blind"]

_replace = msgspec.structs.replace


class Tended(msgspec.Struct, frozen=True):
    """A leg after it was looked at: what it asks for, and when it wants to be looked at again (0: when something
    happens)."""

    leg: Leg
    actions: tuple[Action, ...] = ()
    due: int = 0


def with_leg(state: ProtectionState, changed: Leg) -> ProtectionState:
    """The record with one leg as it is now."""
    return _replace(state, legs=tuple(changed if leg.word == changed.word else leg for leg in state.legs))


def _with_order(leg: Leg, changed: LegOrder) -> Leg:
    return _replace(
        leg,
        orders=tuple(changed if one.client_order_id == changed.client_order_id else one for one in leg.orders),
    )


# --- prices -------------------------------------------------------------------------------------------


def at_venue(state: ProtectionState, leg: Leg) -> bool:
    """Whether a leg belongs at the venue now: where no flag bounds them, of two only the stop does."""
    return not leg.dropped and not (state.bounded and leg.word == "take_profit")


def watched(state: ProtectionState, leg: Leg) -> bool:
    """Whether nobody but us looks for a leg's price."""
    return not leg.dropped and bool(state.rest) and (leg.held or not leg.standing)


def reached(state: ProtectionState, leg: Leg, low: Decimal, high: Decimal) -> bool:
    """Whether prices between `low` and `high` trigger a leg."""
    falls = (state.side.sign < 0) == (leg.word == "stop")
    return low <= leg.trigger_price if falls else high >= leg.trigger_price


# --- what became of an order --------------------------------------------------------------------------


def updated(leg: Leg, known: LegOrder, given: OrderUpdate) -> tuple[Leg, News]:
    """A leg after one of its orders has changed, and what is to be told of that."""
    order = given.order
    triggered = bool(order.triggered_at or order.filled_qty)
    if order.state.terminal:
        leg = _replace(leg, orders=tuple(one for one in leg.orders if one is not known))
        if triggered or known.triggered:
            return leg, "" if known.triggered else "triggered"
        return _ended(leg, known, given)
    stands = order.state is OrderState.ACTIVE
    changed = _replace(
        known,
        state=order.state,
        filled=order.filled_qty,
        bare=not order.flagged,
        triggered=triggered,
        cancelling=known.cancelling and not stands,
        again_at=given.now + RETRY_MIN_MS if known.cancelling and stands else known.again_at,
    )
    leg = _with_order(leg, changed)
    if triggered:
        return leg, "" if known.triggered else "triggered"
    if not (stands and known.arriving):
        return leg, ""
    word: News = "moved" if leg.stood else "placed"
    return _replace(leg, stood=True, held=False, refusals=0, refusal="", retry_at=0), word


def _ended(leg: Leg, known: LegOrder, given: OrderUpdate) -> tuple[Leg, News]:
    """An order is gone that was never triggered: refused, taken away by us, by the venue or by somebody."""
    failure = given.failure
    if failure is not None and failure.cause is Cause.TRIGGERED:
        return leg, "triggered"
    if failure is not None and not failure.refused:  # certainly not done, for a passing reason
        return _replace(leg, retry_at=max(failure.retry_at, given.now + RETRY_MIN_MS)), ""
    if failure is not None:
        return _refused(leg, failure.code, failure.message, given.now)
    if known.cancelling or given.while_down:
        return leg, ""
    if given.order.state is OrderState.CANCELLED and given.cause is Cause.NONE:
        return _replace(leg, dropped=not leg.standing, refusal="child_cancelled_externally"), ""
    return _refused(leg, given.cause.value, given.order.reason or given.order.state.value, given.now)


def _refused(leg: Leg, code: str, message: str, now: int) -> tuple[Leg, News]:
    """The third time the daemon holds the price itself, and asks the venue again once a minute (law 7)."""
    refusals = leg.refusals + 1
    held = refusals >= REJECTION_LIMIT
    pause = BACK_OFF_MAX_MS if held else RETRY_MIN_MS
    told = _replace(leg, refusals=refusals, held=held, refusal=f"{code}: {message}", retry_at=now + pause)
    return told, "blind" if held and not leg.held else ""


# --- what is to stand ---------------------------------------------------------------------------------


def tend(state: ProtectionState, leg: Leg, now: int) -> Tended:
    """What a leg asks for, so that it stands where it should, for all that is protected."""
    want = state.target if at_venue(state, leg) else ZERO
    if not want:
        return withdrawn(leg, leg.orders, state.symbol, now)
    fits = tuple(one for one in leg.standing if _fits(state, leg, one))
    others = tuple(one for one in leg.orders if one not in fits)
    if state.bounded:
        return _bounded(state, leg, want, fits, now)
    if any(one.bare and not one.arriving for one in others):
        return withdrawn(leg, others, state.symbol, now)  # old before new, where one of them has no flag
    whole = [one for one in fits if one.open_quantity == want and one.state is not OrderState.UNKNOWN]
    if whole and whole[-1].state is OrderState.ACTIVE:
        return withdrawn(leg, tuple(one for one in leg.orders if one is not whole[-1]), state.symbol, now)
    if len(leg.orders) >= LIVE_MAX:
        return _thinned(state, leg, now)
    return Tended(leg) if whole else _place(state, leg, want, now)


def _thinned(state: ProtectionState, leg: Leg, now: int) -> Tended:
    """Of too many orders the newest that stands is kept, which is for the most; the others make room."""
    stand = [one for one in leg.standing if one.state is OrderState.ACTIVE]
    return withdrawn(leg, tuple(stand[:-1]), state.symbol, now)


def _fits(state: ProtectionState, leg: Leg, order: LegOrder) -> bool:
    """Whether an order stands where the leg should, in the form that it should; that is not known while it arrives."""
    same = (order.trigger_price, order.limit_price) == (leg.trigger_price, leg.limit_price)
    return same and (order.arriving or order.bare is state.bare)


def _bounded(state: ProtectionState, leg: Leg, want: Decimal, fits: tuple[LegOrder, ...], now: int) -> Tended:
    """Where no flag bounds it: what is wrong or too much goes, and only what is proven free is asked for."""
    kept, keep = ZERO, []
    for one in fits:
        if kept + one.open_quantity <= want:
            kept += one.open_quantity
            keep.append(one)
    leaving = tuple(one for one in leg.orders if one not in keep)
    gone = withdrawn(leg, leaving, state.symbol, now)
    free = want - sum((one.open_quantity for one in gone.leg.orders), ZERO)
    if free < state.instrument.min_qty or len(gone.leg.orders) >= LIVE_MAX:
        return gone
    placed = _place(state, gone.leg, free, now)
    return Tended(placed.leg, (*gone.actions, *placed.actions), soonest(gone.due, placed.due))


def withdrawn(leg: Leg, leaving: tuple[LegOrder, ...], symbol: str, now: int, triggered: bool = False) -> Tended:
    """Ask for the end of orders, as soon as the venue has told that it has them; what was `triggered` is on its way,
    and goes only where that is meant too."""
    actions: list[Action] = []
    due = 0
    for one in leaving:
        if one.cancelling or one.arriving or (one.triggered and not triggered):
            continue
        if now < one.again_at:
            due = soonest(due, one.again_at)
            continue
        leg = _with_order(leg, _replace(one, cancelling=True))
        actions.append(CancelChild(one.client_order_id, symbol))
    return Tended(leg, tuple(actions), due)


def _place(state: ProtectionState, leg: Leg, quantity: Decimal, now: int) -> Tended:
    newest = leg.orders[-1].sent_at if leg.orders else 0
    due = max(leg.retry_at, newest + SPACING_MS)
    if now < due:
        return Tended(leg, (), due)
    name = make(OrderId(state.tag, state.protection_id, state.id_epoch, SLOTS[leg.word], leg.attempt))
    fresh = LegOrder(
        client_order_id=name,
        quantity=quantity,
        trigger_price=leg.trigger_price,
        limit_price=leg.limit_price,
        sent_at=now,
        bare=state.bare,
    )
    action = PlaceChild(
        client_order_id=name,
        symbol=state.symbol,
        side=state.side,
        time_in_force="GTC",
        price=leg.limit_price,
        quantity=quantity,
        reduce_only=True,
        leverage=1,
        order_type=_type(leg),
        trigger_price=leg.trigger_price,
        working_type=leg.working_type,
        alternatives=state.protection_id,
        origin=ORIGINS[leg.word],
        bare=state.bare,
    )
    return Tended(_replace(leg, attempt=leg.attempt + 1, orders=(*leg.orders, fresh)), (action,))


def _type(leg: Leg) -> OrderType:
    if leg.word == "stop":
        return "STOP" if leg.limit_price else "STOP_MARKET"
    return "TAKE_PROFIT" if leg.limit_price else "TAKE_PROFIT_MARKET"


def soonest(*times: int) -> int:
    """The earliest of several times, 0 counting for none."""
    return min((time for time in times if time), default=0)
