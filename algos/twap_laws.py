"""The laws of algos.md for one step of a TWAP and of a basket, checked at run time on every step that acts."""

from __future__ import annotations

from algos import twap_plan
from algos.children import ChildDone, Spawn, StopChild
from algos.laws import check_grid, require
from algos.step import Action, Input, OrderUpdate, PlaceChild
from schemas.chase import AlgoStatus
from schemas.twap import TwapBasketState, TwapState


def check_twap(before: TwapState | None, given: Input | None, after: TwapState, actions: tuple[Action, ...]) -> None:
    """Laws 1 to 6 for one step: the record before (None at the start), the input that changed it, and what came of
    it."""
    allowed = (PlaceChild, Spawn, StopChild)
    require(all(isinstance(action, allowed) for action in actions), 1, "a TWAP has no other children")
    require(len(actions) <= 1, 1, f"{len(actions)} requests at once for one child")
    require(after.child is None or after.worker is None, 1, "two slots at once")
    if before is not None and before.status.terminal:
        require(not actions and after.status is before.status, 4, "a terminal TWAP acts")
    elif after.status.terminal:
        require(after.child is None and after.worker is None, 3, "an ending before its child is proven gone")
        _check_ending(after)
    if before is not None:
        _check_evidence(before, given, after, bool(actions))
    for action in actions:
        if isinstance(action, PlaceChild | Spawn):
            require(not after.hold, 5, f"acts on stale data ({after.hold})")
            _check_asked(before, after, action)


def _check_evidence(before: TwapState, given: Input | None, after: TwapState, acts: bool) -> None:
    """What lived before lives on, unless the input is the evidence of its end."""
    law = 1 if acts else 3
    old, worker = before.child, before.worker
    if old is not None and (after.child is None or after.child.client_order_id != old.client_order_id):
        gone = given.order if isinstance(given, OrderUpdate) and given.order.state.terminal else None
        told = gone is not None and gone.client_order_id == old.client_order_id
        require(told, law, f"{old.client_order_id} left without evidence")
    if worker is not None and (after.worker is None or after.worker.child_id != worker.child_id):
        ended = isinstance(given, ChildDone) and given.child.child_id == worker.child_id
        require(ended, law, f"{worker.child_id} left without evidence")


def _check_asked(before: TwapState | None, after: TwapState, action: PlaceChild | Spawn) -> None:
    """Law 2: what is asked is left, and within catchUpMax of its slot; law 6: it is on the grid."""
    if isinstance(action, PlaceChild):
        child = after.child
        require(child is not None and child.client_order_id == action.client_order_id, 1, "an order the record misses")
        require(before is None or before.attempt < after.attempt or before.id_epoch < after.id_epoch, 1, "an id twice")
        quantity = action.quantity
        check_grid(after.instrument, action)
    else:
        worker = after.worker
        require(worker is not None and worker.child_id == action.child_id, 1, "a child the record misses")
        require(before is None or before.spawned < after.spawned, 1, "a child twice")
        quantity = action.params.quantity
        require(after.instrument.on_quantity_grid(quantity) and quantity > 0, 6, f"quantity {quantity} off the grid")
    require(quantity <= after.rest, 2, f"asks {quantity} of a rest of {after.rest}")
    if not after.executing:
        cap = twap_plan.plan(after.params, after.seed).own(after.slot) * after.params.catch_up_max
        require(quantity + after.slot_left <= cap, 2, f"slot {after.slot} sends more than {cap}")


def _check_ending(after: TwapState) -> None:
    """Law 6: what a completed TWAP left could not have been sent alone, at the last price seen."""
    require(after.residual == after.rest, 2, f"names {after.residual} of a rest of {after.rest}")
    if after.status is AlgoStatus.COMPLETED and after.rest:
        lower = after.bid if after.side.sign > 0 else after.ask * (10_000 - after.params.max_slippage_bps) / 10_000
        least = twap_plan.least_lot(after.instrument, lower, after.params.reduce_only)
        require(after.rest < least, 6, f"completed with {after.rest} left, which could be sent")


def check_twap_basket(
    before: TwapBasketState | None, given: Input | None, after: TwapBasketState, actions: tuple[Action, ...]
) -> None:
    """Laws 1, 3 and 4 for one step of a basket."""
    if before is None:
        require(all(isinstance(action, Spawn) for action in actions), 1, "a basket begins with its legs")
        require(
            len({action.slot for action in actions if isinstance(action, Spawn)}) == len(after.legs), 1, "legs missing"
        )
        return
    require(all(isinstance(action, StopChild) for action in actions), 1, "a basket starts no leg again")
    if before.status.terminal:
        require(not actions and after.status is before.status, 4, "a terminal basket acts")
    elif after.status.terminal:
        require(all(leg.status.terminal for leg in after.legs), 3, "an ending before its legs have ended")
    for old, leg in zip(before.legs, after.legs, strict=True):
        if leg.status.terminal and not old.status.terminal:
            require(
                isinstance(given, ChildDone) and given.child.child_id == leg.twap_id, 3, f"{leg.twap_id} is not done"
            )
