"""scalper, the deciding half: which layers' children leave, grow, shrink and return now.

`settle` is the one entry: endings and guards first, then what closes is fitted to the inventory, then free slots are
armed, then status and wake-up. Pure; laws 1, 2, 5 and 8 of algos.md live here, for its children's orders in the chase.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from algos import scalper_guards as guards
from algos.children import AmendAlgo, Spawn, StopChild
from algos.scalper_book import with_slot
from algos.scalper_guards import Bound, Held
from algos.step import REJECTION_LIMIT, Action, AmendRequest
from schemas.chase import AlgoStatus, ChaseParams
from schemas.ids import child_id
from schemas.market import ZERO, Quote, Side
from schemas.scalper import LAYERS_MAX, LayerChild, LayerSlot, ScalperState

Result = tuple[ScalperState, tuple[Action, ...]]
NOTHING: tuple[Action, ...] = ()
CHILD_LETTER = "c"
NUMBERS_AN_EPOCH = 10**9  # more children than one life can have
SIDES = (Side.BUY, Side.SELL)
_replace = msgspec.structs.replace


def settle(before: ScalperState, absorbed: ScalperState, now: int, quote: Quote | None) -> Result:
    """Decide on what an input left behind. `before` is returned itself where nothing changed."""
    actions: list[Action] = []
    after = _pursue(absorbed, actions, now, quote)
    return _finish_step(before, after, tuple(actions), now, quote)


def slot_number(side: Side, number: int) -> int:
    """A layer's place among all children of a scalper."""
    return number if side is Side.BUY else LAYERS_MAX + number


def _pursue(state: ScalperState, actions: list[Action], now: int, quote: Quote | None) -> ScalperState:
    state = _replace(state, awaits_price=False) if state.awaits_price else state
    for side in SIDES:
        state = _withdraw(state, side, actions, quote)
    if state.ending is not None:
        return state if state.children else _finish(state)
    if state.stopped_at:
        return state
    for side in SIDES:
        state = _fit(state, side, actions, now, quote)
    for side in SIDES:
        state = _arm(state, side, actions, now, quote)
    return state


def _finish(state: ScalperState) -> ScalperState:
    assert state.ending is not None, "a scalper ends by a decision"
    return _replace(state, status=state.ending, reason=state.ending_reason, wake_at=0)


# --- leaving ------------------------------------------------------------------------------------------


def _withdraw(state: ScalperState, side: Side, actions: list[Action], quote: Quote | None) -> ScalperState:
    """Have the children of a side leave that should not stand now; what takes their place waits until they are proven
    gone (law 1)."""
    limit = guards.bound(state, side)
    for number, slot in enumerate(state.ladder(side).slots):
        child = slot.child
        if child is None or child.stopping:
            continue
        refused = _refused(child)
        reason = refused or _unwanted(state, side, number, limit, quote)
        if reason:
            stopping = _replace(child, stopping=reason, failing=bool(refused))
            state = with_slot(state, side, number, _replace(slot, child=stopping))
            actions.append(StopChild(child.child_id, reason))
    return state


def _refused(child: LayerChild) -> str:
    """Why the venue does not let a child come to rest; it would ask on by itself, once a minute at most, but the layer
    has its own back-off."""
    if child.order_id or child.refusals < REJECTION_LIMIT:
        return ""
    return child.reason or "placement_refused"


def _unwanted(state: ScalperState, side: Side, number: int, limit: Bound, quote: Quote | None) -> str:
    """Why a live child of a slot should leave, empty where it may stay."""
    if state.ending is not None:
        return state.ending_reason
    slot = state.ladder(side).slots[number]
    child = slot.child
    assert child is not None, "asked of a live one"
    if state.paused and not child.reduce_only:
        return state.paused
    if child.status is AlgoStatus.PAUSED:  # after a restart; it would wait for somebody to resume it
        return child.reason or "paused"
    if quote is not None and not state.hold and guards.outside(side, guards.target(side, slot, quote), limit):
        return limit.reason
    if not child.reduce_only and child.open_quantity > guards.room(state, side, number):
        inner = sum((one.child.open_quantity for one in state.ladder(side).slots[:number] if one.child), ZERO)
        fits = inner + child.open_quantity <= guards.room(state, side) + guards.open_total(state.ladder(side))
        return "" if fits else "position_cap"
    return ""


# --- fitting ------------------------------------------------------------------------------------------


def _fit(state: ScalperState, side: Side, actions: list[Action], now: int, quote: Quote | None) -> ScalperState:
    """Closing children together ask for no more than the inventory, and every child knows its worst price."""
    price = state.instrument.price(guards.bound(state, side).ticks)
    free = guards.closable(state, side)
    totals = _shrunk(state, side, -free) if free < 0 else _grown(state, side, free)
    for number, slot in enumerate(state.ladder(side).slots):
        child = slot.child
        if child is None or child.stopping:
            continue
        asked = totals.get(number, child.asked)
        fitted = _replace(child, asked=asked, limit_price=price)
        if asked < child.asked and asked - child.filled < state.instrument.min_qty:
            fitted = _replace(fitted, stopping="no_inventory")
            actions.append(StopChild(child.child_id, "no_inventory"))
        elif fitted != child:
            changes = AmendRequest(now, quote, quantity=asked if asked != child.asked else None, limit_price=price)
            actions.append(AmendAlgo(child.child_id, changes))
        if fitted != child:
            state = with_slot(state, side, number, _replace(slot, child=fitted))
    return state


def _shrunk(state: ScalperState, side: Side, excess: Decimal) -> dict[int, Decimal]:
    """Totals of the closing children of a side that ask for more than there is, outer layers first."""
    totals: dict[int, Decimal] = {}
    for number, slot in reversed(tuple(enumerate(state.ladder(side).slots))):
        child = slot.child
        if child is not None and child.reduce_only and not child.stopping and excess > 0:
            less = min(excess, child.open_quantity)
            totals[number] = child.filled + state.instrument.quantity_down(child.open_quantity - less)
            excess -= less
    return totals


def _grown(state: ScalperState, side: Side, free: Decimal) -> dict[int, Decimal]:
    """Totals of the closing children of a side that are smaller than their layers, inner layers first."""
    totals: dict[int, Decimal] = {}
    for number, slot in enumerate(state.ladder(side).slots):
        child = slot.child
        if child is not None and child.reduce_only and not child.stopping and not state.hold:
            more = max(state.instrument.quantity_down(min(free, slot.layer.quantity - child.asked)), ZERO)
            totals[number] = child.asked + more
            free -= more
    return totals


# --- returning ----------------------------------------------------------------------------------------


def _arm(state: ScalperState, side: Side, actions: list[Action], now: int, quote: Quote | None) -> ScalperState:
    """Start a child for each free slot of a side that nothing holds back; the others say what does."""
    for number, slot in enumerate(state.ladder(side).slots):
        if slot.child is not None:
            continue
        quantity = _size(state, side, slot)
        held = _held(state, side, slot, quantity, now, quote)
        if held is None:
            if quote is None or state.hold or state.throttle == "queued":
                state, held = _replace(state, awaits_price=True), Held("no_price" if quote is None else "holding")
            else:
                state = _spawn(state, side, number, quantity, actions, now)
                continue
        same = held.reason == slot.reason == guards.SPREAD and slot.retry_at > now  # a quote alone rewrites nothing
        waiting = _replace(slot, reason=held.reason, retry_at=slot.retry_at if same else held.retry_at)
        if waiting != slot:
            state = with_slot(state, side, number, waiting)
    return state


def _size(state: ScalperState, side: Side, slot: LayerSlot) -> Decimal:
    """What a leg asks for: its own size, a closing one no more than nobody closes yet."""
    if not state.params.reduces(side):
        return slot.layer.quantity
    free = max(guards.closable(state, side), ZERO)
    return state.instrument.quantity_down(min(slot.layer.quantity, free))


def _held(
    state: ScalperState, side: Side, slot: LayerSlot, quantity: Decimal, now: int, quote: Quote | None
) -> Held | None:
    """The first guard that holds a free slot back."""
    reduces = state.params.reduces(side)
    if reduces and quantity < max(state.instrument.min_qty, state.instrument.step):
        return Held("no_inventory" if state.armed else "not_armed")
    if not reduces and (reason := state.blocked or state.paused):
        return Held(reason)
    if now < slot.rest_until:
        return Held(slot.rest_reason, slot.rest_until)
    ladder = state.ladder(side)
    if (busy := guards.fills_per_minute(state, ladder, now)) is not None:
        return busy
    if quote is not None and not state.hold and (near := price_held(state, side, slot, now, quote)) is not None:
        return near
    if not reduces and quantity > guards.room(state, side):
        return Held("position_cap")
    return None


def price_held(state: ScalperState, side: Side, slot: LayerSlot, now: int, quote: Quote) -> Held | None:
    """The guard that holds a free slot back at this price."""
    ticks = guards.target(side, slot, quote)
    if (near := guards.fill_spread(state, state.ladder(side), ticks, now)) is not None:
        return _replace(near, retry_at=max(near.retry_at, now + 1))
    limit = guards.bound(state, side)
    return Held(limit.reason) if guards.outside(side, ticks, limit) else None


def _spawn(
    state: ScalperState, side: Side, number: int, quantity: Decimal, actions: list[Action], now: int
) -> ScalperState:
    """A child for a free slot, under a number that was never used before. A closing child's order does not wait for the
    record, so a step that died unwritten may have left one: the epoch keeps the next child from passing for its owner.
    """
    params, slot = state.params, state.ladder(side).slots[number]
    reduces = params.reduces(side)
    name = child_id(state.scalper_id, CHILD_LETTER, state.id_epoch * NUMBERS_AN_EPOCH + state.child_number + 1)
    price = state.instrument.price(guards.bound(state, side).ticks)
    child = LayerChild(child_id=name, asked=quantity, reduce_only=reduces, spawned_at=now, limit_price=price)
    asks = ChaseParams(
        symbol=state.symbol,
        side=side,
        quantity=quantity,
        leverage=params.leverage,
        reduce_only=reduces,
        stalk_offset_ticks=slot.layer.offset_ticks,
        limit_price=price,
        on_stop=params.on_stop or ("leave" if reduces else "cancel"),
    )
    actions.append(Spawn(name, "chase", slot_number(side, number), asks))
    filled = _replace(slot, child=child, reason="", retry_at=0, rest_until=0, rest_reason="")
    return _replace(with_slot(state, side, number, filled), child_number=state.child_number + 1)


# --- the end of a step --------------------------------------------------------------------------------


def _status(state: ScalperState) -> AlgoStatus:
    if state.ending is not None:
        return AlgoStatus.STOPPING
    if state.paused:
        return AlgoStatus.PAUSED
    slots = (*state.long.slots, *state.short.slots)
    if state.blocked or (not state.children and any(slot.failures >= REJECTION_LIMIT for slot in slots)):
        return AlgoStatus.BLOCKED
    waits = any(child.status is AlgoStatus.THROTTLED for child in state.children)
    return AlgoStatus.THROTTLED if state.hold or state.throttle or waits else AlgoStatus.ACTIVE


def _reason(state: ScalperState, status: AlgoStatus) -> str:
    """Why a scalper does not go on, empty where it does."""
    if status is AlgoStatus.PAUSED:
        return state.paused
    if status is not AlgoStatus.BLOCKED:
        return ""
    failing = (slot.reason for slot in (*state.long.slots, *state.short.slots) if slot.failures >= REJECTION_LIMIT)
    return state.blocked or next(failing)


def _finish_step(
    before: ScalperState, after: ScalperState, actions: tuple[Action, ...], now: int, quote: Quote | None
) -> Result:
    """Status, wake-up and touch of a record that changed; the very same object where nothing did."""
    if not after.status.terminal:
        slots = (*after.long.slots, *after.short.slots)
        idle = after.ending is not None or after.stopped_at
        waits = () if idle else (slot.retry_at for slot in slots if slot.child is None and slot.retry_at > now)
        status = _status(after)
        after = _replace(after, wake_at=min(waits, default=0), status=status, reason=_reason(after, status))
    if after.just_filled is before.just_filled and not actions and after == before:
        return before, actions
    filled = None if after.just_filled is before.just_filled else after.just_filled
    touch = (
        {} if quote is None else {"bid": after.instrument.price(quote.bid), "ask": after.instrument.price(quote.ask)}
    )
    return _replace(after, updated_at=now, just_filled=filled, **touch), actions
