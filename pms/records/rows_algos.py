"""From the events of algos to their rows: one run, one row, whatever the kind.

Owns how each kind names its quantities. Refuses to know what an algo decides.
"""

from __future__ import annotations

from typing import Any

from pms.records.columns import instant
from pms.records.draft import Draft, Values
from pms.records.tables import AlgoRun
from schemas.chase import AlgoStatus
from schemas.events import Numbered
from schemas.events_algos import (
    AlgoEvent,
    ChaseEvent,
    ScalperEvent,
    ScalperFilled,
    TrailStopEvent,
    TwapBasketEvent,
    TwapEvent,
)
from schemas.events_orders import Event

# The field that names an algo, by the event that tells of it, and the word for its kind.
_NAMES: dict[type[Event], tuple[str, str]] = {
    ChaseEvent: ("chase_id", "chase"),
    TwapEvent: ("twap_id", "twap"),
    TwapBasketEvent: ("twap_basket_id", "twap_basket"),
    TrailStopEvent: ("trail_stop_id", "trail_stop"),
    ScalperEvent: ("scalper_id", "scalper"),
    ScalperFilled: ("scalper_id", "scalper"),
    AlgoEvent: ("algo_id", "algo"),
}
# Columns by the fields that hold them; the first that an event has counts.
_FIELDS = {
    "symbol": ("symbol",),
    "side": ("side", "start_side"),
    "quantity": ("quantity", "total_quantity"),
    "filled_quantity": ("filled_quantity",),
    "avg_price": ("avg_price", "fill_price"),
}


def algo_id_of(event: Any) -> str:
    """The algo that an event tells of; "" where it tells of none."""
    named = _NAMES.get(type(event))
    return "" if named is None else getattr(event, named[0])


def apply(rows: Draft, numbered: Numbered, event: Any, body: bytes) -> None:
    """Put an algo's event into its row; other events change nothing."""
    algo_id = algo_id_of(event)
    if not algo_id:
        return
    at = instant(numbered.ts)
    before = rows.get(AlgoRun, algo_id)
    values: Values = {
        "algo_id": algo_id,
        "kind": event.algo if isinstance(event, AlgoEvent) else _NAMES[type(event)][1],
        "sub_account_id": numbered.sub_account_id,
        "status": str(event.status),
        "reason": event.reason,
        "updated_at": at,
        "state": body.decode(),
        "seq": numbered.seq,
        "epoch": numbered.epoch,
    }
    values |= {column: _first(event, names) for column, names in _FIELDS.items()}
    if isinstance(event, ScalperFilled):  # its side, price and quantity are the layer's
        values |= {"side": str(event.start_side), "avg_price": None}
    if before is None:
        values |= {"request_id": numbered.request_id, "started_at": at}
    if AlgoStatus(event.status).terminal and (before is None or before["ended_at"] is None):
        values["ended_at"] = at
    rows.put(AlgoRun, values)


def _first(event: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        value = getattr(event, name, None)
        if value is not None:
            return str(value) if isinstance(value, str) else value
    return None
