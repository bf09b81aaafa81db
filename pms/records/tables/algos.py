"""Runs of algos: one row each, as its last event told it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from pms.records.columns import Json, Row


class AlgoRun(Row):
    """An algo from its start to its end. `kind` is the word of its events; quantities and prices are null where the
    kind has none; `state` is the last event whole."""

    __tablename__ = "algo_runs"
    __table_args__ = (Index(None, "sub_account_id", "started_at"), Index(None, "kind", "started_at"))

    algo_id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    sub_account_id: Mapped[str]
    symbol: Mapped[str | None]
    side: Mapped[str | None]
    quantity: Mapped[Decimal | None]
    filled_quantity: Mapped[Decimal | None]
    avg_price: Mapped[Decimal | None]
    status: Mapped[str]
    reason: Mapped[str]
    request_id: Mapped[str]
    started_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    state: Mapped[Json]
    epoch: Mapped[int]
    seq: Mapped[int]
