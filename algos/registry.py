"""Which algos there are, and how the shell runs any of them. A new algo is one entry here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from algos.chase import step_chase
from algos.laws import check_chase
from algos.step import Action, Input, View
from schemas.chase import ChaseState
from schemas.events_algos import ChaseEvent
from schemas.events_orders import Event
from schemas.orders import Origin


class Kind(msgspec.Struct, frozen=True):
    """One kind of algo: its name in keys and events, its record, its step, and what the shell reads of a record."""

    name: str
    origin: Origin
    record: type[msgspec.Struct]
    version: int
    step: Callable[[Any, Input], tuple[Any, tuple[Action, ...]]]
    view: Callable[[Any], View]
    check: Callable[[Any, Input | None, Any, tuple[Action, ...]], None]
    event: Callable[[Any, Any, int], Event]


def _view_chase(state: ChaseState) -> View:
    child = state.child
    return View(
        algo_id=state.chase_id,
        root_id=state.root_id,
        sub_account_id=state.sub_account_id,
        symbol=state.symbol,
        status=state.status,
        wake_at=state.wake_at,
        reduce_only=state.params.reduce_only,
        live_children=() if child is None else (child.client_order_id,),
        updated_at=state.updated_at,
        news=(state.status, state.filled_quantity, child and (child.client_order_id, child.price, child.state)),
    )


CHASE = Kind(
    name="chase",
    origin=Origin.CHASE,
    record=ChaseState,
    version=1,
    step=step_chase,
    view=_view_chase,
    check=check_chase,
    event=ChaseEvent.of,
)

KINDS: dict[str, Kind] = {CHASE.name: CHASE}
