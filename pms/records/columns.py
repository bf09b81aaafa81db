"""What the tables have in common: one registry, exact money, times with a zone, JSON as it was published.

Owns the column types. Refuses to know the tables. Names are snake_case, and every constraint has one of its own.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NewType

from sqlalchemy import BigInteger, MetaData, Numeric, Text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# The bytes of a published event or a part of it: taken and given as text, so that no number passes through a float.
Json = NewType("Json", str)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CONSTRAINTS = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Row(DeclarativeBase):
    """A row of the records. NUMERIC has no bounds here: what the venue and we may tell (28 digits) is kept exactly."""

    metadata = MetaData(naming_convention=CONSTRAINTS)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own name
        Decimal: Numeric(),
        datetime: TIMESTAMP(timezone=True),
        str: Text(),
        int: BigInteger(),
        Json: JSONB(none_as_null=True),
    }


class Once:
    """What one event made, for ever: its number is the key. `epoch` is that of the daemon that told it."""

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, sort_order=-1)
    epoch: Mapped[int] = mapped_column(sort_order=-1)
    ts: Mapped[datetime] = mapped_column(sort_order=-1)
    sub_account_id: Mapped[str] = mapped_column(sort_order=-1)


def instant(unix_ms: int) -> datetime:
    """The time of Unix milliseconds, exactly."""
    return EPOCH + timedelta(milliseconds=unix_ms)


def some_instant(unix_ms: int) -> datetime | None:
    """The same where 0 means that there is none."""
    return instant(unix_ms) if unix_ms else None


def unix_ms(at: datetime) -> int:
    """The inverse of `instant`."""
    return (at - EPOCH) // timedelta(milliseconds=1)
