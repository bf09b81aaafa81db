"""The one connection that writes: locked against a second writer, and a transaction for each batch of events.

Owns the lock, the position in the log and the SQL. Refuses to know Redis and what an event means. Invariants: rows and
position move together or not at all; nothing is written unless the position is still where it was read; a connection
that was lost is never used again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg
import msgspec
import structlog
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from pms.records import rows, schema, statements
from pms.records.address import DEFAULT_SCHEMA, Address
from pms.records.draft import Draft
from pms.records.tables import Applied, Event, Gap, MarketSecond

LOCK = "pms records"  # with the schema's name, the advisory lock of its one writer
# What a server that is gone, starting, full or stopped shows itself as.
UNUSABLE = (OSError, TimeoutError, DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError)
IMPATIENT_S = 60  # for one statement: a server this late is stopped


_log = structlog.get_logger("pms.records.database")


class Away(Exception):
    """The database can't be used now; nothing of the batch was written, or all of it. Try again later."""


class Held(Exception):
    """Another writer works on this database."""


class Moved(Exception):
    """The position is not where it was read: somebody else has written. Read it again."""


class Position(msgspec.Struct, frozen=True):
    """How far the records go: the last event, and the last entry of the market stream."""

    epoch: int = 0
    seq: int = 0
    market_id: str = "0-0"


def engine_of(address: Address) -> AsyncEngine:
    """An engine for a database; JSON goes in and out as text, times are UTC."""
    cached = {} if address.prepared else {"statement_cache_size": 0}
    settings = {"application_name": "pms records", "timezone": "UTC"}
    if address.schema != DEFAULT_SCHEMA:
        settings["search_path"] = address.schema

    async def connect() -> Any:
        return await asyncpg.connect(
            address.dsn,
            timeout=address.connect_s,
            command_timeout=IMPATIENT_S,
            server_settings=settings,
            **cached,
        )

    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        poolclass=NullPool,
        json_serializer=str,
        json_deserializer=str,
    )


async def open_connection(engine: AsyncEngine) -> AsyncConnection:
    """A connection. Raises `Away`."""
    try:
        return await engine.connect()
    except UNUSABLE as error:
        raise Away(_reason(error)) from error


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"


class Database:
    """See the module. `namespace` is whose events these are."""

    def __init__(self, connection: AsyncConnection, schema_name: str, namespace: str) -> None:
        self._connection = connection
        self._schema = schema_name
        self._namespace = namespace
        self._days: set[tuple[str, Any]] = set()

    async def open(self, now: datetime) -> Position:
        """Lock, migrate, and read the position. Raises `Held`, `Away`, `schema.NewerTables`."""
        try:
            await take_lock(self._connection, self._schema)
            await self._connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{self._schema}"'))
            await schema.migrate(self._connection)
            position = await self._read(now)
            await self._connection.commit()
        except UNUSABLE as error:
            raise Away(_reason(error)) from error
        return position

    async def _read(self, now: datetime) -> Position:
        found = (await self._connection.execute(select(Applied.__table__))).mappings().all()
        others = [row["namespace"] for row in found if row["namespace"] != self._namespace]
        if others:
            raise Held(f"this database holds the records of the namespace {others[0]}, not of {self._namespace}")
        if found:
            return Position(found[0]["epoch"], found[0]["seq"], found[0]["market_id"])
        begin = Position()
        values = {"namespace": self._namespace, "ts": now, **msgspec.structs.asdict(begin)}
        await self._connection.execute(insert(Applied).values(values))
        return begin

    async def write(
        self,
        before: Position,
        after: Position,
        now: datetime,
        told: Sequence[rows.Told],
        market: Draft,
        gaps: Sequence[tuple[int, int]] = (),
    ) -> None:
        """Apply a batch and move the position, or do nothing. Raises `Away` and `Moved`."""
        try:
            await self._write(before, after, now, told, market, gaps)
            await self._connection.commit()
        except UNUSABLE as error:
            if isinstance(error, DBAPIError) and not _lost(error):
                raise
            raise Away(_reason(error)) from error

    async def _write(
        self,
        before: Position,
        after: Position,
        now: datetime,
        told: Sequence[rows.Told],
        market: Draft,
        gaps: Sequence[tuple[int, int]],
    ) -> None:
        standing = await statements.standing(self._connection, rows.needs(told))
        for one in told:
            rows.apply(standing, one)
        for first, last in gaps:
            standing.add(Gap, {"from_seq": first, "to_seq": last, "found_at": now})
        moved = (
            update(Applied)
            .where(Applied.namespace == self._namespace, Applied.seq == before.seq, Applied.epoch == before.epoch)
            .values(epoch=after.epoch, seq=after.seq, market_id=after.market_id, ts=now)
        )
        if (await self._connection.execute(moved)).rowcount != 1:
            raise Moved("another writer has moved the position")
        for draft in (standing, market):
            await self._have_days(draft)
            await statements.put(self._connection, draft)

    async def _have_days(self, draft: Draft) -> None:
        for table in (Event, MarketSecond):
            name = table.__tablename__
            days = {row["ts"].date() for row in draft.added.get(table, {}).values()}
            if missing := sorted(day for day in days if (name, day) not in self._days):
                await schema.ensure_days(self._connection, name, missing)
                self._days.update((name, day) for day in missing)

    async def retain(self, now: datetime, keep_days: Mapping[str, int]) -> list[str]:
        """Drop the partitions that are too old, by table; their names. Raises `Away`."""
        try:
            dropped = [
                name
                for table, days in keep_days.items()
                for name in await schema.drop_older(self._connection, table, now, days)
            ]
            await self._connection.commit()
        except UNUSABLE as error:
            raise Away(_reason(error)) from error
        self._days.clear()
        return dropped


async def take_lock(connection: AsyncConnection, schema_name: str) -> None:
    """Be the one who writes here, for as long as the connection lives. Raises `Held`."""
    lock = text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))")
    if not await connection.scalar(lock, {"name": f"{LOCK} {schema_name}"}):
        raise Held("another writer keeps the records in this database")


def _lost(error: DBAPIError) -> bool:
    """Whether the server or the way to it is gone, rather than the statement wrong."""
    state = getattr(error.orig, "sqlstate", None) or ""
    return error.connection_invalidated or not state or state.startswith(("08", "53", "57", "25006", "40"))


async def discard(connection: AsyncConnection) -> None:
    """Close a connection that may be lost already; what it had not committed is undone."""
    try:
        await connection.close()
    except UNUSABLE as error:
        _log.info("connection_was_lost", reason=_reason(error))
        await connection.invalidate()
