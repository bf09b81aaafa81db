"""The laws of algos.md that can be seen in one step, checked at run time on every step that acts.

A broken law is our own bug: the runner fails that algo instead of letting the action leave.
"""

from __future__ import annotations

from algos.step import Action, AmendChild, CancelChild, Input, OrderUpdate, PlaceChild
from schemas.chase import ChaseState, Child
from schemas.market import Instrument

OWN_ORDERS = (PlaceChild, AmendChild, CancelChild)


class LawBroken(AssertionError):
    """A decision that the laws forbid. Names the law and the numbers."""


def require(holds: bool, law: int, text: str) -> None:
    """Raises LawBroken."""
    if not holds:
        raise LawBroken(f"law {law}: {text}")


def check_chase(before: ChaseState | None, given: Input | None, after: ChaseState, actions: tuple[Action, ...]) -> None:
    """Laws 1 to 6 for one step of a chase: the record before (None at the start), the input that changed it, and what
    came of it."""
    risky = [action for action in actions if isinstance(action, PlaceChild | AmendChild)]
    if before is not None and before.status.terminal:
        require(not actions and after.status is before.status, 4, "a terminal chase acts")
    elif after.status.terminal:
        require(after.child is None, 3, "an ending before its child is proven gone")
    require(len(actions) <= 1, 1, f"{len(actions)} requests at once for one child")
    require(all(isinstance(action, OWN_ORDERS) for action in actions), 1, "a chase has no other children")
    if before is not None and before.child is not None and not _same(before.child, after.child):
        law = 1 if risky else 3
        require(_proves_gone(given, before.child), law, f"{before.child.client_order_id} left without evidence")
    if after.hold:
        require(not risky, 5, f"acts on stale data ({after.hold})")
    for action in risky:
        _check_order(before, after, action)


def _same(child: Child, other: Child | None) -> bool:
    return other is not None and other.client_order_id == child.client_order_id


def _proves_gone(given: Input | None, child: Child) -> bool:
    """Whether the input is the evidence of a child's end: its record says that the venue told of one, or of none."""
    return (
        isinstance(given, OrderUpdate)
        and given.order.client_order_id == child.client_order_id
        and given.order.state.terminal
    )


def _check_order(before: ChaseState | None, after: ChaseState, action: PlaceChild | AmendChild) -> None:
    child = after.child
    require(child is not None and child.client_order_id == action.client_order_id, 1, "an order that the record misses")
    assert child is not None
    if isinstance(action, PlaceChild):
        old = None if before is None else before.child
        require(old is None or old.client_order_id != child.client_order_id, 1, "a child placed twice")
        require(action.quantity <= after.rest, 2, f"asks {action.quantity} of a rest of {after.rest}")
    if isinstance(action, AmendChild):
        most = child.filled + after.rest
        require(action.quantity <= most, 2, f"amends to {action.quantity} where {most} is left")
        require(action.quantity > child.filled, 2, "an amend below the executed part cancels the order")
    check_grid(after.instrument, action)


def check_grid(instrument: Instrument, action: PlaceChild | AmendChild) -> None:
    """Law 6 for one order. Raises LawBroken."""
    require(instrument.on_price_grid(action.price) and action.price > 0, 6, f"price {action.price} off the grid")
    require(instrument.on_quantity_grid(action.quantity), 6, f"quantity {action.quantity} off the grid")
    sendable = instrument.sendable(action.quantity, action.price, action.reduce_only)
    require(sendable and action.quantity <= instrument.max_qty, 6, f"{action.quantity} at {action.price} can't be sent")
