"""The laws of algos.md that can be seen in one step, checked at run time on every step that acts.

A broken law is our own bug: the runner fails that algo instead of letting the action leave.
"""

from __future__ import annotations

from algos.step import Action, AmendChild, CancelChild, Input, OrderUpdate, PlaceChild
from schemas.chase import ChaseState, Child
from schemas.market import Instrument

OWN_ORDERS = (PlaceChild, AmendChild, CancelChild)
_ASKS = (PlaceChild, AmendChild)


class LawBroken(AssertionError):
    """A decision that the laws forbid. Names the law and the numbers."""

    def __init__(self, law: int, text: str) -> None:
        super().__init__(f"law {law}: {text}")


def require(holds: bool, law: int, text: str) -> None:
    """Raises LawBroken."""
    if not holds:
        raise LawBroken(law, text)


def check_chase(before: ChaseState | None, given: Input | None, after: ChaseState, actions: tuple[Action, ...]) -> None:
    """Laws 1 to 6 for one step of a chase: the record before (None at the start), the input that changed it, and what
    came of it. Raises LawBroken."""
    old, new = None if before is None else before.child, after.child
    if before is not None and before.status.terminal:
        if actions or after.status is not before.status:
            raise LawBroken(4, "a terminal chase acts")
    elif after.status.terminal and new is not None:
        raise LawBroken(3, "an ending before its child is proven gone")
    if len(actions) > 1:
        raise LawBroken(1, f"{len(actions)} requests at once for one child")
    action = actions[0] if actions else None
    if action is not None and not isinstance(action, OWN_ORDERS):
        raise LawBroken(1, "a chase has no other children")
    risky = isinstance(action, _ASKS)
    if old is not None and (new is None or new.client_order_id != old.client_order_id) and not _proves_gone(given, old):
        raise LawBroken(1 if risky else 3, f"{old.client_order_id} left without evidence")
    if risky and after.hold:
        raise LawBroken(5, f"acts on stale data ({after.hold})")
    if isinstance(action, _ASKS):
        _check_order(old, after, action)


def _proves_gone(given: Input | None, child: Child) -> bool:
    """Whether the input is the evidence of a child's end: its record says that the venue told of one, or of none."""
    return (
        isinstance(given, OrderUpdate)
        and given.order.client_order_id == child.client_order_id
        and given.order.state.terminal
    )


def _check_order(old: Child | None, after: ChaseState, action: PlaceChild | AmendChild) -> None:
    """What is asked for the child; `old` is the one before."""
    child, rest, asked = after.child, after.rest, action.quantity
    if child is None or child.client_order_id != action.client_order_id:
        raise LawBroken(1, "an order that the record misses")
    if isinstance(action, PlaceChild):
        if old is not None and old.client_order_id == child.client_order_id:
            raise LawBroken(1, "a child placed twice")
        if asked > rest:
            raise LawBroken(2, f"asks {asked} of a rest of {rest}")
    else:
        if asked > child.filled + rest:
            raise LawBroken(2, f"amends to {asked} where {child.filled + rest} is left")
        if asked <= child.filled:
            raise LawBroken(2, "an amend below the executed part cancels the order")
    check_grid(after.instrument, action)


def check_grid(instrument: Instrument, action: PlaceChild | AmendChild) -> None:
    """Law 6 for one order. Raises LawBroken."""
    price, quantity = action.price, action.quantity
    if price % instrument.tick or price <= 0:
        raise LawBroken(6, f"price {price} off the grid")
    if quantity % instrument.step:
        raise LawBroken(6, f"quantity {quantity} off the grid")
    if quantity > instrument.max_qty or not instrument.sendable(quantity, price, action.reduce_only):
        raise LawBroken(6, f"{quantity} at {price} can't be sent")
