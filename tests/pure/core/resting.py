"""An order by hand that rests, for tests to change."""

from __future__ import annotations

from decimal import Decimal

from schemas.market import Side
from schemas.orders import Order, OrderState, Origin

ORDER = Order(
    client_order_id="c",
    sub_account_id="main",
    symbol="BTCUSDT",
    side=Side.BUY,
    order_type="LIMIT",
    time_in_force="GTC",
    quantity=Decimal(1),
    price=Decimal(100),
    reduce_only=False,
    state=OrderState.ACTIVE,
    origin=Origin.MANUAL,
    parent_id="",
    root_id="",
    created_at=1,
    updated_at=1,
)
