"""The market as it was: a row a second, and the book each parent order met."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy.orm import Mapped, mapped_column

from pms.records.columns import Json, Row


class MarketSecond(Row):
    """The second that ends at `ts`: the touch at its end and what was traded in it, in a partition of its day."""

    __tablename__ = "market_seconds"
    __table_args__ = ({"postgresql_partition_by": "RANGE (ts)"},)

    symbol: Mapped[str] = mapped_column(primary_key=True)
    ts: Mapped[datetime] = mapped_column(primary_key=True)
    bid: Mapped[Decimal]
    ask: Mapped[Decimal]
    bid_qty: Mapped[Decimal]
    ask_qty: Mapped[Decimal]
    trades: Mapped[int]
    buy_quantity: Mapped[Decimal]
    sell_quantity: Mapped[Decimal]
    notional: Mapped[Decimal]
    high: Mapped[Decimal]
    low: Mapped[Decimal]
    last: Mapped[Decimal]


class ArrivalDepth(Row):
    """The book when a parent order arrived, for each leg of a basket its own; levels are [price, quantity], best
    first."""

    __tablename__ = "arrival_depths"

    parent_id: Mapped[str] = mapped_column(primary_key=True)
    ts: Mapped[datetime]
    sub_account_id: Mapped[str]
    symbol: Mapped[str] = mapped_column(primary_key=True)
    side: Mapped[str] = mapped_column(primary_key=True)
    quantity: Mapped[Decimal]
    update_id: Mapped[int]
    bids: Mapped[Json]
    asks: Mapped[Json]
