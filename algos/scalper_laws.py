"""The laws of algos.md that can be seen in one step of a scalper, checked at run time on every step that acts."""

from __future__ import annotations

from decimal import Decimal

from algos import scalper_book as book
from algos import scalper_guards as guards
from algos.children import AmendAlgo, ChildDone, Spawn, StopChild
from algos.laws import require
from algos.scalper_decide import slot_number
from algos.step import Action, Input
from schemas.chase import ChaseParams
from schemas.market import ZERO, Side
from schemas.scalper import LayerSlot, ScalperState

_SIDES = (Side.BUY, Side.SELL)


def check_scalper(
    before: ScalperState | None, given: Input | None, after: ScalperState, actions: tuple[Action, ...]
) -> None:
    """Laws 1 to 6 for one step: the record before (None at the start), the input that changed it, and what came of
    it. Raises LawBroken."""
    if before is not None and before.status.terminal:
        require(not actions and after.status is before.status, 4, "a terminal scalper acts")
    elif after.status.terminal:
        require(not after.children, 3, "an ending before its children are proven gone")
    if before is not None:
        for side in _SIDES:
            for old, new in zip(before.ladder(side).slots, after.ladder(side).slots, strict=True):
                _check_slot(old, new, given)
    for action in actions:
        require(isinstance(action, Spawn | StopChild | AmendAlgo), 1, "a scalper has no orders of its own")
    spawned = [action for action in actions if isinstance(action, Spawn)]
    if spawned and after.hold:
        require(False, 5, f"starts children on stale data ({after.hold})")
    for action in spawned:
        _check_spawn(before, after, action)
    for side in _SIDES:
        _check_side(before, after, side, actions)


def _check_slot(old: LayerSlot, new: LayerSlot, given: Input | None) -> None:
    """Law 1: a child leaves its slot only when it has ended, and then another may take its place."""
    if old.child is None or (new.child is not None and new.child.child_id == old.child.child_id):
        return
    told = isinstance(given, ChildDone) and given.child.child_id == old.child.child_id
    require(told, 1, f"{old.child.child_id} left its slot without evidence of its end")


def _check_spawn(before: ScalperState | None, after: ScalperState, action: Spawn) -> None:
    """A child that the record names, in a slot of its own, of a size that can be sent."""
    found = book.find(after, action.child_id)
    require(found is not None, 1, f"{action.child_id} is a child that the record misses")
    assert found is not None
    side, number, child = found
    slot = after.ladder(side).slots[number]
    require(slot.child is child and slot_number(side, number) == action.slot, 1, f"two children in slot {action.slot}")
    require(before is None or book.find(before, action.child_id) is None, 1, f"{action.child_id} started twice")
    require(action.kind == "chase" and isinstance(action.params, ChaseParams), 1, "a layer's child is a chase")
    asks: ChaseParams = action.params
    require(asks.quantity == child.asked, 2, f"asks {asks.quantity} where the record says {child.asked}")
    require(asks.reduce_only == child.reduce_only == after.params.reduces(side), 2, "a leg of the wrong kind")
    require(after.instrument.on_quantity_grid(asks.quantity) and asks.quantity > 0, 6, f"{asks.quantity} off the grid")
    limit = guards.bound(after, side)
    require(asks.limit_price == after.instrument.price(limit.ticks), 2, "a child that does not know its worst price")


def _check_side(before: ScalperState | None, after: ScalperState, side: Side, actions: tuple[Action, ...]) -> None:
    """Law 2: where a step asks for more on a side, opening children and the inventory stay within the cap, and closing
    children within the inventory."""
    names = {action.child_id for action in actions if isinstance(action, Spawn | AmendAlgo)}
    more = any(
        slot.child is not None and slot.child.child_id in names and slot.child.asked > _asked_before(before, slot)
        for slot in after.ladder(side).slots
    )
    if not more:
        return
    if after.params.reduces(side):
        free = guards.closable(after, side)
        require(free >= 0, 2, f"closing legs ask for {-free} more than the inventory of {after.inventory}")
    else:
        room = guards.room(after, side)
        require(room >= 0, 2, f"opening legs exceed the cap of {after.cap_quantity} by {-room}")


def _asked_before(before: ScalperState | None, slot: LayerSlot) -> Decimal:
    """What a slot's child asked for before the step, 0 where it is new."""
    assert slot.child is not None, "asked of a live one"
    found = None if before is None else book.find(before, slot.child.child_id)
    return ZERO if found is None else found[2].asked
