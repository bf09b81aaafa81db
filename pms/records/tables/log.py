"""The event log itself, what it says of commands, refusals and recovery, and how far it has been applied."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from pms.records.columns import Json, Once, Row


class Event(Row):
    """One published event, whole, in a partition of its day."""

    __tablename__ = "events"
    __table_args__ = (
        Index(None, "seq"),
        Index(None, "type", "ts"),
        {"postgresql_partition_by": "RANGE (ts)"},
    )

    ts: Mapped[datetime] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    epoch: Mapped[int]
    type: Mapped[str]
    sub_account_id: Mapped[str]
    request_id: Mapped[str]
    payload: Mapped[Json]


class Command(Once, Row):
    """The outcome of a command. A `request_id` may have several: what was not done may be sent again."""

    __tablename__ = "commands"
    __table_args__ = (Index(None, "request_id"), Index(None, "sub_account_id", "ts"))

    request_id: Mapped[str]
    command_type: Mapped[str]
    success: Mapped[bool]
    error: Mapped[str | None]
    error_code: Mapped[str | None]
    error_category: Mapped[str | None]
    retryable: Mapped[bool | None]
    reply: Mapped[Json]


class RiskRejection(Once, Row):
    """An order that the gate refused. `limit_value` and `value` are 0 where neither is a number."""

    __tablename__ = "risk_rejections"
    __table_args__ = (Index(None, "sub_account_id", "ts"),)

    request_id: Mapped[str]
    reason_code: Mapped[str]
    layer: Mapped[str]
    limit_value: Mapped[Decimal]
    value: Mapped[Decimal]
    symbol: Mapped[str]
    side: Mapped[str]
    order_type: Mapped[str]
    time_in_force: Mapped[str]
    quantity: Mapped[Decimal]
    price: Mapped[Decimal]
    reduce_only: Mapped[bool]
    parent_id: Mapped[str]


class RecoveryAction(Once, Row):
    """One action of a recovery run, with its evidence."""

    __tablename__ = "recovery_actions"
    __table_args__ = (Index(None, "subject"),)

    action: Mapped[str]
    subject: Mapped[str]
    symbol: Mapped[str]
    evidence: Mapped[str]
    outcome: Mapped[str]


class Applied(Row):
    """How far the records go; one row. `market_id` is the last entry taken of the market stream."""

    __tablename__ = "applied"

    namespace: Mapped[str] = mapped_column(primary_key=True)
    epoch: Mapped[int]
    seq: Mapped[int]
    ts: Mapped[datetime]
    market_id: Mapped[str]


class Gap(Row):
    """Events that were in neither the stream nor the archive when their turn came."""

    __tablename__ = "gaps"

    from_seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    to_seq: Mapped[int]
    found_at: Mapped[datetime]
