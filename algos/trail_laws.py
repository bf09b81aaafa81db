"""The laws of algos.md for one step of a trailing stop, checked at run time (`algos.laws`)."""

from __future__ import annotations

from algos.children import ChildDone, Exit, ExitDone, Spawn, StopChild
from algos.laws import require
from algos.step import Action, Input, InstrumentChanged
from schemas.chase import ChaseParams
from schemas.trail_stop import TrailStopState


def check_trail_stop(
    before: TrailStopState | None, given: Input | None, after: TrailStopState, actions: tuple[Action, ...]
) -> None:
    """Raises LawBroken."""
    require(all(isinstance(action, Exit | Spawn | StopChild) for action in actions), 1, "a stop has no orders")
    require(len(actions) <= 1, 1, f"{len(actions)} ways to close at once")
    chase = after.chase
    if before is not None and before.status.terminal:
        require(not actions and after.status is before.status, 4, "a stop that has ended acts")
    elif after.status.terminal:
        require(not after.exiting and not (chase and chase.live), 3, "an ending before its exit is proven over")
        require(before is None or _free(before, given), 3, "an exit left without evidence")
    for action in actions:
        if not isinstance(action, StopChild):
            require(before is None or _free(before, given), 1, "a second exit at once")
            _check_close(after, action)
    if before is not None:
        _check_progress(before, given, after)


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
