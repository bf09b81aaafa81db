"""Sub-accounts and their money. Amounts are in USDT unless the name says otherwise."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from pms.records.columns import Json, Once, Row


class SubAccount(Row):
    """A sub-account as last told. What no event has told yet is null."""

    __tablename__ = "sub_accounts"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str | None]
    tag: Mapped[str | None]
    status: Mapped[str | None]
    initial_balance: Mapped[Decimal | None]
    balance: Mapped[Decimal | None]
    equity: Mapped[Decimal | None]
    margin_used: Mapped[Decimal | None]
    available_margin: Mapped[Decimal | None]
    limits: Mapped[Json | None]
    first_seen_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    epoch: Mapped[int]
    seq: Mapped[int]


class Balance(Once, Row):
    """What a sub-account was worth, each time it was told: its equity curve."""

    __tablename__ = "balances"
    __table_args__ = (Index(None, "sub_account_id", "ts"),)

    balance: Mapped[Decimal]
    equity: Mapped[Decimal]
    margin_used: Mapped[Decimal]
    available_margin: Mapped[Decimal]


class Funding(Once, Row):
    """What a sub-account was paid (or paid, if negative) at one funding, on the signed quantity that it held then. The
    amounts of one funding sum to the venue's own row: `external` has what remains."""

    __tablename__ = "funding"
    __table_args__ = (Index(None, "sub_account_id", "due_at"),)

    position_id: Mapped[str]
    symbol: Mapped[str]
    due_at: Mapped[datetime]
    rate: Mapped[Decimal]
    mark_price: Mapped[Decimal]
    quantity: Mapped[Decimal]
    amount: Mapped[Decimal]
