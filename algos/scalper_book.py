"""scalper, the booking half: what became of the children, and what the scalper's own fills have built up.

A child's report is cumulative, so only what it adds to the one before is booked (laws 2 and 4). Refuses to decide.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from algos import tally
from algos.children import ChildReport
from schemas.chase import AlgoStatus
from schemas.market import ZERO, Side
from schemas.scalper import FillSecond, LayerChild, LayerFill, LayerSlot, ScalperLadder, ScalperState

ENDED_KEPT = 2  # children of a slot that are remembered for late fills: a chase ends with its fills booked
STREAK_DOUBLINGS = 4  # minRefillDelayMs doubles up to × 16
FAILURE_FIRST_MS = 2_000  # placement failures back off 2 s × 2^n …
FAILURE_MAX_MS = 300_000  # … to 300 s
FAILURES_MAX = 16  # counted no further: the back-off has long been at its longest
REST_MS = 1_000  # a leg that a guard has paused returns no sooner, so that a price on the edge does not flap
WINDOW_S = 60  # of maxFillsPerMinute

_EIGHT = Decimal("1e-8")  # realised money has eight decimals
_replace = msgspec.structs.replace


def with_slot(state: ScalperState, side: Side, number: int, slot: LayerSlot) -> ScalperState:
    """The record with one slot replaced."""
    ladder = state.ladder(side)
    slots = (*ladder.slots[:number], slot, *ladder.slots[number + 1 :])
    return with_ladder(state, side, _replace(ladder, slots=slots))


def with_ladder(state: ScalperState, side: Side, ladder: ScalperLadder) -> ScalperState:
    """The record with one side replaced."""
    return _replace(state, long=ladder) if side is Side.BUY else _replace(state, short=ladder)


def find(state: ScalperState, child_id: str) -> tuple[Side, int, LayerChild] | None:
    """The slot of a child, live or ended, and the child as it was known."""
    for side in (Side.BUY, Side.SELL):
        for number, slot in enumerate(state.ladder(side).slots):
            for child in (slot.child, *slot.ended):
                if child is not None and child.child_id == child_id:
                    return side, number, child
    return None


def booked(state: ScalperState, report: ChildReport) -> ScalperState:
    """Take a child's sums over, live or ended: partial fills count as inventory at once. A child that is no longer
    remembered says nothing new."""
    found = find(state, report.child_id)
    if found is None:
        return state
    side, number, child = found
    told = {name: getattr(report, name) for name in ("status", "reason", "order_id", "price", "refusals")}
    known = _replace(child, **told)
    if report.filled_quantity > child.filled:
        state = _traded(state, side, report.filled_quantity - child.filled, report.quote_filled - child.quote_filled)
        known = _replace(known, filled=report.filled_quantity, quote_filled=report.quote_filled)
    if report.fees != child.fees:
        added = {asset: amount - child.fees.get(asset, ZERO) for asset, amount in report.fees.items()}
        state = _replace(state, fees=tally.added(state.fees, added))
        known = _replace(known, fees=report.fees)
    slot = state.ladder(side).slots[number]
    if slot.child is child:
        return state if known == child else with_slot(state, side, number, _replace(slot, child=known))
    ended = tuple(known if one is child else one for one in slot.ended)
    return state if ended == slot.ended else with_slot(state, side, number, _replace(slot, ended=ended))


def _traded(state: ScalperState, side: Side, quantity: Decimal, quote: Decimal) -> ScalperState:
    """One more fill of our own: inventory, its average entry, and what was realised against it."""
    if side is Side.BUY:
        state = _replace(state, bought=state.bought + quantity, bought_quote=state.bought_quote + quote)
    else:
        state = _replace(state, sold=state.sold + quantity, sold_quote=state.sold_quote + quote)
    price, held = quote / quantity, state.inventory
    after = held + side.sign * quantity
    if held * side.sign >= 0:
        entry = (abs(held) * state.entry_price + quote) / abs(after)
        return _replace(state, inventory=after, entry_price=entry, armed=True)
    closed = min(abs(held), quantity)
    gained = ((state.entry_price - price) * side.sign * closed).quantize(_EIGHT)
    if not after:
        entry = ZERO
    else:
        entry = state.entry_price if after * held > 0 else price
    return _replace(state, inventory=after, entry_price=entry, realized_pnl=state.realized_pnl + gained)


def covered(state: ScalperState, position: Decimal) -> ScalperState:
    """Somebody else has reduced the sub-account's position: what is gone can't be closed any more (execution.md 13). A
    position that stands opposite is others' own, and its reduction closes nothing of ours."""
    sign = 1 if state.inventory > 0 else -1
    left = min(abs(state.inventory), position * sign)
    gone = abs(state.inventory) - left
    if not gone or left < 0:
        return state
    return _replace(
        state,
        inventory=sign * left if left else ZERO,
        entry_price=state.entry_price if left else ZERO,
        closed_elsewhere=state.closed_elsewhere + gone,
    )


def ended(state: ScalperState, child_id: str, now: int) -> ScalperState:
    """A child has ended, its sums being booked: its slot is free, and rests for as long as the ending asks for."""
    found = find(state, child_id)
    if found is None:
        return state
    side, number, child = found
    slot = state.ladder(side).slots[number]
    if slot.child is not child:
        return state
    slot = _replace(
        slot, child=None, ended=(child, *slot.ended)[:ENDED_KEPT], reason="", retry_at=0, rest_until=0, rest_reason=""
    )
    if child.filled:
        state = _counted(state, side, slot.layer.layer_idx, child, now)
        slot = _refilling(slot, state, side, now)
    return with_slot(state, side, number, _resting(slot, child, now))


def _counted(state: ScalperState, side: Side, layer_idx: int, child: LayerChild, now: int) -> ScalperState:
    """A layer's fill: the side's streak goes on, the other's ends."""
    price = child.quote_filled / child.filled
    ladder, other = state.ladder(side), state.ladder(side.opposite)
    ladder = _replace(
        ladder,
        streak=ladder.streak + 1,
        fill_price=price,
        filled_at=now,
        fill_seconds=_seconds(ladder.fill_seconds, now) if state.params.max_fills_per_minute else (),
    )
    state = with_ladder(state, side, ladder)
    if other.streak:
        state = with_ladder(state, side.opposite, _replace(other, streak=0))
    return _replace(
        state,
        total_fill_count=state.total_fill_count + 1,
        just_filled=LayerFill(side=side, layer_idx=layer_idx, fill_price=price, fill_qty=child.filled),
    )


def _seconds(before: tuple[FillSecond, ...], now: int) -> tuple[FillSecond, ...]:
    """One fill more, counted by the second it fell in: at most a minute's seconds are kept, whatever the pace."""
    second = now // 1000
    kept = tuple(one for one in before if one.second >= second - WINDOW_S)
    if kept and kept[-1].second == second:
        return (*kept[:-1], FillSecond(second, kept[-1].count + 1))
    return (*kept, FillSecond(second, 1))


def _refilling(slot: LayerSlot, state: ScalperState, side: Side, now: int) -> LayerSlot:
    slot = _replace(slot, fill_count=slot.fill_count + 1, failures=0)
    delay = state.params.min_refill_delay_ms << min(state.ladder(side).streak - 1, STREAK_DOUBLINGS)
    return _replace(slot, rest_until=now + delay, rest_reason="refill_delay") if delay else slot


def _resting(slot: LayerSlot, child: LayerChild, now: int) -> LayerSlot:
    """How long the slot of an ended child rests: not after a complete fill, shortly after a guard of ours, and longer
    each time after what nobody asked for."""
    if child.status is AlgoStatus.FILLED and child.filled:
        return slot
    if child.stopping and not child.failing:
        return _until(slot, now + REST_MS, child.stopping)
    lived_long = now - child.spawned_at >= FAILURE_MAX_MS
    failures = 0 if lived_long else slot.failures
    wait = min(FAILURE_FIRST_MS << failures, FAILURE_MAX_MS)
    slot = _replace(slot, failures=min(failures + 1, FAILURES_MAX))
    return _until(slot, now + wait, child.stopping or child.reason or child.status.value)


def _until(slot: LayerSlot, until: int, reason: str) -> LayerSlot:
    return _replace(slot, rest_until=until, rest_reason=reason) if until > slot.rest_until else slot
