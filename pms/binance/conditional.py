"""Conditional orders in the venue's words (binance.md 1.4, 3.4, 7.5): REST rows, answers and ALGO_UPDATE as reports.

Pure. A report from here is about the waiting order; what it became when its price was reached is an ordinary order with
the same client id, told by ordinary words.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from schemas.market import ZERO, Side
from schemas.orders import Cause
from schemas.reports import Report, VenueStatus

_field = msgspec.field
# NEW waits; of TRIGGERING, TRIGGERED and FINISHED the ordinary order tells. An end is never invented.
_ENDED = {
    "CANCELED": VenueStatus.CANCELLED,
    "EXPIRED": VenueStatus.EXPIRED,
    "REJECTED": VenueStatus.EXPIRED,
}
_BECAME = ("TRIGGERING", "TRIGGERED", "FINISHED")
_NOTHING_TO_REDUCE = "reduce only"  # of `rm`, whatever its case


class Row(msgspec.Struct, rename="camel"):
    """A conditional order in a REST answer; `quantity` is 0 for those that close a whole position."""

    algo_id: int
    client_algo_id: str
    order_type: str
    symbol: str
    side: Side
    algo_status: str
    trigger_price: Decimal = ZERO
    price: Decimal = ZERO
    quantity: Decimal = ZERO
    time_in_force: str = "GTC"
    reduce_only: bool = False
    create_time: int = 0
    update_time: int = 0

    @property
    def became(self) -> bool:
        """Its price was reached: an ordinary order tells the rest."""
        return self.algo_status in _BECAME


class _Update(msgspec.Struct):
    client_id: str = _field(name="caid")
    algo_id: int = _field(name="aid")
    type: str = _field(name="o")
    symbol: str = _field(name="s")
    side: Side = _field(name="S")
    status: str = _field(name="X")
    quantity: Decimal = _field(name="q", default=ZERO)
    trigger: Decimal = _field(name="tp", default=ZERO)
    price: Decimal = _field(name="p", default=ZERO)
    time_in_force: str = _field(name="f", default="GTC")
    reduce_only: bool = _field(name="R", default=False)
    reason: str = _field(name="rm", default="")


class _Event(msgspec.Struct):
    time: int = _field(name="T")
    order: _Update = _field(name="o")


class _Cancelled(msgspec.Struct, rename="camel"):
    algo_id: int
    client_algo_id: str


_row = msgspec.json.Decoder(Row).decode
rows = msgspec.json.Decoder(list[Row]).decode
_event = msgspec.json.Decoder(_Event).decode
_cancelled = msgspec.json.Decoder(_Cancelled).decode


def placed(body: bytes) -> Report:
    """The answer to placing one."""
    return report(_row(body))


def cancelled(symbol: str, now_ms: int, body: bytes) -> Report:
    """The answer to cancelling one tells no more than that it is done; its side and numbers are nobody's."""
    told = _cancelled(body)
    return Report(
        client_id=told.client_algo_id,
        order_id=0,
        symbol=symbol,
        side=Side.SELL,
        status=VenueStatus.CANCELLED,
        order_type="STOP_MARKET",
        time_in_force="GTC",
        price=ZERO,
        quantity=ZERO,
        filled=ZERO,
        reduce_only=True,
        time=now_ms,
        algo_id=told.algo_id,
    )


def report(row: Row) -> Report:
    """A REST row."""
    return Report(
        client_id=row.client_algo_id,
        order_id=0,
        symbol=row.symbol,
        side=row.side,
        status=_ENDED.get(row.algo_status, VenueStatus.OPEN),
        order_type=row.order_type,
        time_in_force=row.time_in_force,
        price=row.price,
        quantity=row.quantity,
        filled=ZERO,
        reduce_only=row.reduce_only,
        time=row.update_time,
        created_at=row.create_time,
        trigger_price=row.trigger_price,
        algo_id=row.algo_id,
    )


def told(body: bytes | msgspec.Raw) -> Report:
    """ALGO_UPDATE."""
    event = _event(body)
    order = event.order
    return Report(
        client_id=order.client_id,
        order_id=0,
        symbol=order.symbol,
        side=order.side,
        status=_ENDED.get(order.status, VenueStatus.OPEN),
        order_type=order.type,
        time_in_force=order.time_in_force,
        price=order.price,
        quantity=order.quantity,
        filled=ZERO,
        reduce_only=order.reduce_only,
        time=event.time,
        cause=Cause.REDUCE_ONLY if _NOTHING_TO_REDUCE in order.reason.lower() else Cause.NONE,
        trigger_price=order.trigger,
        algo_id=order.algo_id,
    )
