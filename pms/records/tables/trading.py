"""Orders, fills and positions, as the events told them.

`seq` is the number of the event that last changed the row, or that made it where a row never changes.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from pms.records.columns import Once, Row


class Order(Row):
    """An order from intent to its end. `request_id` placed it; `placed_at` is when we told of it first; `decision_*` is
    what was seen when it was decided on."""

    __tablename__ = "orders"
    __table_args__ = (
        Index(None, "sub_account_id", "placed_at"),
        Index(None, "root_id"),
        Index(None, "symbol", "placed_at"),
    )

    client_order_id: Mapped[str] = mapped_column(primary_key=True)
    exchange_order_id: Mapped[int]
    sub_account_id: Mapped[str]
    symbol: Mapped[str]
    side: Mapped[str]
    order_type: Mapped[str]
    time_in_force: Mapped[str]
    quantity: Mapped[Decimal]
    price: Mapped[Decimal]
    reduce_only: Mapped[bool]
    state: Mapped[str]
    filled_qty: Mapped[Decimal]
    avg_fill_price: Mapped[Decimal]
    commission: Mapped[Decimal]
    commission_asset: Mapped[str]
    origin: Mapped[str]
    parent_id: Mapped[str]
    root_id: Mapped[str]
    request_id: Mapped[str]
    reason: Mapped[str]
    amends: Mapped[int]
    first_price: Mapped[Decimal]
    decision_bid: Mapped[Decimal | None]
    decision_ask: Mapped[Decimal | None]
    decision_age_ms: Mapped[int | None]
    decision_book_seq: Mapped[int | None]
    created_at: Mapped[datetime]
    placed_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    epoch: Mapped[int]
    seq: Mapped[int]


class Fill(Row):
    """One execution, once. `commission` is its own; null where the events before it are not known."""

    __tablename__ = "fills"
    __table_args__ = (
        Index(None, "client_order_id"),
        Index(None, "root_id"),
        Index(None, "sub_account_id", "ts"),
    )

    symbol: Mapped[str] = mapped_column(primary_key=True)
    exchange_order_id: Mapped[int] = mapped_column(primary_key=True)
    trade_id: Mapped[int] = mapped_column(primary_key=True)
    client_order_id: Mapped[str]
    sub_account_id: Mapped[str]
    side: Mapped[str]
    price: Mapped[Decimal]
    quantity: Mapped[Decimal]
    commission: Mapped[Decimal | None]
    commission_asset: Mapped[str]
    maker: Mapped[bool]
    origin: Mapped[str]
    parent_id: Mapped[str]
    root_id: Mapped[str]
    ts: Mapped[datetime]
    epoch: Mapped[int]
    seq: Mapped[int]


class _Stands:
    """A position as an event told it."""

    symbol: Mapped[str]
    side: Mapped[str]
    entry_price: Mapped[Decimal]
    quantity: Mapped[Decimal]
    notional: Mapped[Decimal]
    margin: Mapped[Decimal]
    leverage: Mapped[int]
    liquidation_price: Mapped[Decimal]


class Position(_Stands, Row):
    """One opening of a symbol by a sub-account, until it is flat. `realized_pnl` and `closing_fees` are sums over its
    closings."""

    __tablename__ = "positions"
    __table_args__ = (Index(None, "sub_account_id", "symbol"),)

    position_id: Mapped[str] = mapped_column(primary_key=True)
    sub_account_id: Mapped[str]
    realized_pnl: Mapped[Decimal]
    closing_fees: Mapped[Decimal]
    opened_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    epoch: Mapped[int]
    seq: Mapped[int]


class PositionChange(_Stands, Once, Row):
    """The history of positions: how one stood after each event. What follows `request_id` is a closing's."""

    __tablename__ = "position_changes"
    __table_args__ = (Index(None, "position_id"), Index(None, "sub_account_id", "ts"))

    type: Mapped[str]
    position_id: Mapped[str]
    request_id: Mapped[str]
    closed_qty: Mapped[Decimal | None]
    realized_pnl: Mapped[Decimal | None]
    fee: Mapped[Decimal | None]
    close_price: Mapped[Decimal | None]
