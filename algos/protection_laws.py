"""The laws of algos.md for one step of a protection, checked at run time (`algos.laws`)."""

from __future__ import annotations

from algos.children import Exit, ExitDone, StopEntry
from algos.laws import require
from algos.step import Action, CancelChild, Input, OrderUpdate, PlaceChild
from schemas.market import ZERO
from schemas.protection import ProtectionState


def check_protection(
    before: ProtectionState | None, given: Input | None, after: ProtectionState, actions: tuple[Action, ...]
) -> None:
    """Raises LawBroken."""
    own = (PlaceChild, CancelChild, Exit, StopEntry)
    require(all(isinstance(action, own) for action in actions), 1, "a protection places, cancels and closes")
    if before is not None:
        _check_way(before, given, after)
    if before is not None and before.status.terminal:
        require(not actions and after.status is before.status, 4, "a protection that has ended acts")
    elif after.status.terminal:
        require(not after.orders and not after.exiting, 3, "an ending before its orders are proven gone")
    for action in actions:
        if isinstance(action, PlaceChild):
            _check_order(before, after, action)
        elif isinstance(action, Exit):
            require(after.triggered_at > 0, 5, "closes without having been triggered")
            require(0 < action.quantity <= after.rest, 2, f"asks {action.quantity} of a rest of {after.rest}")
            require(action.side is after.side and after.exiting, 2, "an exit that the record misses")


def _check_order(before: ProtectionState | None, after: ProtectionState, action: PlaceChild) -> None:
    name = action.client_order_id
    require(any(order.client_order_id == name for order in after.orders), 1, "an order that the record misses")
    known = () if before is None else before.orders
    require(all(order.client_order_id != name for order in known), 1, "an order placed twice")
    require(not after.triggered_at, 1, "a new order beside one that was triggered: one cancels the other")
    require(after.hold != "recovering", 5, "places before all that happened meanwhile is booked")
    require(action.reduce_only and action.side is after.side, 2, "an order that opens")
    require(action.alternatives == after.protection_id, 2, "an order outside its group")
    require(0 < action.quantity <= after.rest, 2, f"asks {action.quantity} of a rest of {after.rest}")
    if after.bounded:
        leg = next(leg for leg in after.legs if any(order.client_order_id == name for order in leg.orders))
        asked = sum((order.open_quantity for order in leg.orders), ZERO)
        require(asked <= after.allowed, 2, f"{asked} without the venue's flag for a rest of {after.rest}")
    rules = after.instrument
    require(action.trigger_price > 0 and rules.on_price_grid(action.trigger_price), 6, "a trigger off the grid")
    require(rules.on_price_grid(action.price), 6, f"price {action.price} off the grid")
    require(rules.on_quantity_grid(action.quantity), 6, f"quantity {action.quantity} off the grid")
    require(rules.min_qty <= action.quantity <= rules.max_qty, 6, f"{action.quantity} can't be sent")


def _check_way(before: ProtectionState, given: Input | None, after: ProtectionState) -> None:
    """What leaves a record only with evidence, and what only ever goes one way."""
    live = {order.client_order_id for order in after.orders}
    for order in before.orders:
        if order.client_order_id not in live:
            require(_proves_gone(given, order.client_order_id), 3, f"{order.client_order_id} left without evidence")
    if before.exiting and not after.exiting and given is not None:
        ends = isinstance(given, ExitDone) or getattr(given, "hold", "") == "recovering"
        require(ends, 3, "an exit left without evidence")
    require(after.filled_quantity >= before.filled_quantity, 2, "fills are taken back")
    require(not before.triggered_at or after.triggered_at == before.triggered_at, 4, "a trigger is taken back")


def _proves_gone(given: Input | None, name: str) -> bool:
    return isinstance(given, OrderUpdate) and given.order.client_order_id == name and given.order.state.terminal
