"""The laws of algos.md for one step of a trailing stop, checked at run time (`algos.laws`)."""

from __future__ import annotations

from algos import trail_backstop
from algos.children import ChildDone, Exit, ExitDone, Spawn, StopChild
from algos.laws import require
from algos.step import Action, CancelChild, Input, InstrumentChanged, OrderUpdate, PlaceChild
from schemas.chase import ChaseParams
from schemas.trail_stop import TrailStopState


def check_trail_stop(
    before: TrailStopState | None, given: Input | None, after: TrailStopState, actions: tuple[Action, ...]
) -> None:
    """Raises LawBroken."""
    own = Exit | Spawn | StopChild | PlaceChild | CancelChild
    require(all(isinstance(action, own) for action in actions), 1, "a stop only exits, and keeps a backstop")
    asks = [action for action in actions if not isinstance(action, CancelChild)]
    require(len(asks) <= 1, 1, f"{len(asks)} ways to close at once")
    chase = after.chase
    if before is not None and before.status.terminal:
        require(not actions and after.status is before.status, 4, "a stop that has ended acts")
    elif after.status.terminal:
        require(not after.exiting and not (chase and chase.live), 3, "an ending before its exit is proven over")
        require(before is None or _free(before, given), 3, "an exit left without evidence")
        require(not after.backstops, 3, "an ending before its backstop is proven gone")
    for action in actions:
        if isinstance(action, Exit | Spawn):
            require(before is None or _free(before, given), 1, "a second exit at once")
            _check_close(after, action)
            _check_beside(after)
        elif isinstance(action, PlaceChild):
            _check_backstop(before, after, action)
        elif isinstance(action, CancelChild):
            leaving = {one.client_order_id for one in after.backstops if one.leaving}
            require(action.client_order_id in leaving, 1, "a cancel that the record misses")
    if before is not None:
        _check_progress(before, given, after)
        _check_left(before, given, after)


def _free(before: TrailStopState, given: Input | None) -> bool:
    """Whether nothing closes any more that did before: its end was told."""
    if before.exiting:
        return isinstance(given, ExitDone)
    return before.chase is None or not before.chase.live or isinstance(given, ChildDone)


def _check_close(after: TrailStopState, action: Action) -> None:
    require(after.triggered_at > 0, 5, "closes without having been triggered")
    if isinstance(action, Exit):
        require(0 < action.quantity <= after.rest, 2, f"asks {action.quantity} of a rest of {after.rest}")
        require(action.side is after.side and after.exiting, 2, "an exit that the record misses")
        return
    assert isinstance(action, Spawn), "the only other way to close"
    asked = action.params
    require(isinstance(asked, ChaseParams) and asked.reduce_only and asked.side is after.side, 2, "a chase that opens")
    require(0 < asked.quantity <= after.rest, 2, f"asks {asked.quantity} of a rest of {after.rest}")
    require(after.instrument.on_quantity_grid(asked.quantity), 6, f"quantity {asked.quantity} off the grid")
    require(after.chase is not None and after.chase.child_id == action.child_id, 1, "a child that the record misses")


def _check_beside(after: TrailStopState) -> None:
    """What closes beside a backstop."""
    require(not any(one.fired for one in after.backstops), 1, "an exit beside a backstop that closes")
    free = after.bound or not after.backstops or after.updated_at >= after.triggered_at + trail_backstop.UNPROVEN_MS
    require(free, 1, "an exit beside a backstop that the venue's flag does not bound")


def _check_backstop(before: TrailStopState | None, after: TrailStopState, order: PlaceChild) -> None:
    """A new order that waits at the venue."""
    names = [one.client_order_id for one in after.backstops]
    require(names[-1:] == [order.client_order_id], 1, "a backstop that the record misses")
    known = () if before is None else before.backstops
    require(all(one.client_order_id != order.client_order_id for one in known), 1, "a backstop placed twice")
    require(len(names) == 1 or (len(names) == 2 and after.alone), 1, f"{len(names)} backstops at once")
    require(not after.triggered_at, 4, "a backstop behind a stop that has been triggered")
    require(order.reduce_only and order.side is after.side, 2, "a backstop that opens")
    most = min(after.rest, after.cover or 0)
    require(0 < order.quantity <= most, 2, f"a backstop of {order.quantity} where {most} is left")
    require(after.instrument.on_quantity_grid(order.quantity), 6, f"quantity {order.quantity} off the grid")
    require(after.instrument.on_price_grid(order.trigger_price), 6, f"trigger {order.trigger_price} off the grid")
    behind = -after.side.sign * (after.trigger_price - order.trigger_price) > 0
    require(behind and order.trigger_price > 0, 2, "a backstop in front of the trigger")


def _check_left(before: TrailStopState, given: Input | None, after: TrailStopState) -> None:
    """A backstop leaves the record only by proof of its end."""
    names = {one.client_order_id for one in after.backstops}
    for one in before.backstops:
        if one.client_order_id not in names:
            order = given.order if isinstance(given, OrderUpdate) else None
            proven = order is not None and order.client_order_id == one.client_order_id and order.state.terminal
            require(proven, 3, f"{one.client_order_id} left without evidence")


def _check_progress(before: TrailStopState, given: Input | None, after: TrailStopState) -> None:
    """What only ever goes one way."""
    require(after.quantity <= before.quantity, 2, "the quantity grows")
    require(after.filled_quantity >= before.filled_quantity, 2, "fills are taken back")
    require(not before.triggered_at or after.triggered_at == before.triggered_at, 4, "a trigger is taken back")
    if before.activated and not isinstance(given, InstrumentChanged):
        towards = -after.side.sign
        require(after.activated, 4, "an activation is taken back")
        require(towards * after.extreme2 >= towards * before.extreme2, 4, "the extreme gets worse")
        require(towards * after.trigger2 >= towards * before.trigger2, 4, "the trigger moves away")
