"""Many events at once: orders that are placed, rest and fill in two parts, numbered as the daemon numbers them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from schemas import codec, events
from schemas.events_orders import OrderEvent, OrderEventType
from schemas.market import Side
from schemas.orders import Order, OrderState, Origin

D = Decimal
START_MS = 1_790_000_000_000
QUANTITY, PART, PRICE, FEE = D("0.010"), D("0.005"), D("61800.10"), D("0.0618001")


def numbered(event: events.Event, seq: int, previous: int) -> bytes:
    """The bytes that the atomic function makes of an event."""
    return b'{"seq":%d,"prevSeq":%d,"epoch":3,' % (seq, previous) + codec.encode(event)[1:]


def _order(number: int) -> Order:
    return Order(
        client_order_id=f"pms-flood-{number}",
        sub_account_id=f"desk-{number % 7}",
        symbol="BTCUSDT",
        side=Side.BUY,
        order_type="LIMIT",
        time_in_force="GTX",
        quantity=QUANTITY,
        price=PRICE,
        reduce_only=False,
        state=OrderState.PLACING,
        origin=Origin.CHASE,
        parent_id=f"c{number}",
        root_id=f"c{number}",
        created_at=START_MS + number,
        updated_at=START_MS + number,
        commission_asset="USDT",
    )


def _life(number: int) -> Iterator[tuple[OrderEventType, Order]]:
    order = _order(number)
    yield "order_placed", order
    order = msgspec.structs.replace(order, state=OrderState.ACTIVE, exchange_order_id=10_000 + number)
    yield "order_active", order
    kinds: tuple[tuple[OrderEventType, OrderState], ...]
    kinds = (("order_partial", OrderState.ACTIVE), ("order_filled", OrderState.FILLED))
    for part, (kind, state) in enumerate(kinds, 1):
        order = msgspec.structs.replace(
            order,
            state=state,
            filled_qty=part * PART,
            avg_fill_price=PRICE,
            last_fill_qty=PART,
            last_fill_price=PRICE,
            trade_id=2 * number + part,
            commission=part * FEE,
        )
        yield kind, order


def orders(count: int) -> list[bytes]:
    """The events of that many orders, four of each."""
    told: list[bytes] = []
    for number in range(count):
        for kind, order in _life(number):
            event = OrderEvent.of(kind, order, START_MS + len(told))
            told.append(numbered(event, len(told) + 1, len(told)))
    return told
