"""From an order's record to what `pms.core.own` keeps of it: where the order rests, and where it may rest while a
request is in flight."""

from __future__ import annotations

from pms.core.own import OwnOrders
from schemas.market import Instrument
from schemas.orders import Order, OrderState


def track(own: OwnOrders, order: Order, instrument: Instrument, now: int) -> None:
    """Bring the own quantities up to an order's record. Orders that never rest don't count."""
    if order.order_type != "LIMIT" or order.time_in_force in ("IOC", "FOK"):
        return
    name, side = order.client_order_id, order.side
    if order.state.terminal:
        own.gone(name, order.venue_time or now)
        return
    if order.exchange_order_id:
        own.resting(name, side, instrument.limit_ticks(side, order.price), order.remaining, order.venue_time)
    lost = order.state is OrderState.UNKNOWN and not order.exchange_order_id  # a placing of unknown fate may rest
    if order.state is OrderState.PLACING or lost or order.next_price is not None:
        price = order.next_price if order.next_price is not None else order.price
        quantity = (order.next_quantity or order.quantity) - order.filled_qty
        own.in_flight(name, side, instrument.limit_ticks(side, price), quantity)
    else:
        own.settled(name)
