"""One test's records: a stream to write to, a writer to run for a while, and the tables to read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import redis.asyncio
from sqlalchemy import select, text

from pms.bus.caller import Caller
from pms.bus.link import WireLink
from pms.clock import SystemClock
from pms.records import database, rows, rows_market
from pms.records.address import Address
from pms.records.columns import Row
from pms.records.draft import Draft, Values, key_columns
from pms.records.journal import Journal
from pms.records.source import Source
from pms.records.writer import Writer
from schemas import codec
from schemas.events import Numbered
from schemas.keys import STREAM_FIELD, Keys
from schemas.records import Commit
from schemas.tape import FIELD
from tests.waiting import eventually

KEYS = Keys()
LIMIT_S = 20  # a batch takes tens of milliseconds
KEEP_ALL = {"events": 0, "market_seconds": 0}


class RecordsDesk:
    """See the module."""

    def __init__(self, where: Address, redis_url: str, data: Path) -> None:
        self.where, self.redis_url, self.data = where, redis_url, data
        self.redis = redis.asyncio.Redis.from_url(redis_url)
        self.engine = database.engine_of(where)

    async def close(self) -> None:
        await self.redis.aclose()
        await self.engine.dispose()

    # --- the streams ----------------------------------------------------------------------------------

    async def publish(self, events: Sequence[bytes], market: Sequence[bytes] = ()) -> int:
        """Append to the streams as the daemon does; the last seq."""
        pipe = self.redis.pipeline(transaction=False)
        last = 0
        for body in events:
            last = codec.decode(Numbered, body).seq
            pipe.xadd(KEYS.event_stream, {STREAM_FIELD: body}, id=f"{last}-0")
        for body in market:
            pipe.xadd(KEYS.market_stream, {FIELD: body})
        await pipe.execute()
        return last

    async def restore(self, state: Mapping[str, bytes | dict[bytes, bytes]]) -> None:
        """Lay state keys down as they stood."""
        for key, value in state.items():
            if isinstance(value, bytes):
                await self.redis.set(key, value)
            else:
                await self.redis.hset(key, mapping=value)

    # --- the writer -----------------------------------------------------------------------------------

    def writer(
        self,
        keep_days: dict[str, int] | None = None,
        namespace: str = KEYS.namespace,
        journal: Journal | None = None,
    ) -> Writer:
        async def find() -> Address:
            return self.where

        source = Source(Caller(WireLink(self.redis_url)), KEYS, self.data)
        return Writer(source, find, SystemClock(), namespace, keep_days or KEEP_ALL, journal)

    @asynccontextmanager
    async def writing(self, **options: Any) -> AsyncIterator[Writer]:
        """A writer that runs meanwhile."""
        writer = self.writer(**options)
        task = asyncio.create_task(writer.run())
        try:
            yield writer
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def write_until(self, seq: int, **options: Any) -> Writer:
        """Run a writer until it has told that it is there."""
        async with self.writing(**options) as writer:
            await self.until_told(seq)
        return writer

    async def until_told(self, seq: int = 0) -> None:
        """Wait until a writer that runs has told that it is there, and that far."""

        async def there() -> bool:
            told = await self.told()
            return bool(told.ts) and told.seq >= seq

        await eventually(there, LIMIT_S, f"the records go up to {seq}")

    async def emptied(self) -> None:
        """Forget all: streams and tables."""
        await self.redis.flushall()
        await self.sql("DROP SCHEMA public CASCADE")
        await self.sql("CREATE SCHEMA public")

    async def told(self) -> Commit:
        """`pms:records`."""
        raw = await self.redis.get(KEYS.records)
        return Commit(epoch=0, seq=0, ts=0) if raw is None else codec.decode(Commit, raw)

    # --- the tables -----------------------------------------------------------------------------------

    async def table(self, table: type[Row]) -> dict[tuple[Any, ...], Values]:
        """Every row of a table by its key."""
        async with self.engine.connect() as connection:
            found = [dict(row) for row in (await connection.execute(select(table.__table__))).mappings()]
        return {tuple(row[name] for name in key_columns(table)): row for row in found}

    async def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """A statement's rows."""
        async with self.engine.begin() as connection:
            result = await connection.execute(text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []

    async def digest(self) -> dict[str, str]:
        """Of each table's content, but for when it was written."""
        tables = [name for name in Row.metadata.tables if name not in ("applied", "gaps")]
        digests = {}
        for name in tables:
            query = (
                f"SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, '' ORDER BY t::text)), '') FROM {name} t"
            )
            digests[name] = (await self.sql(query))[0][0]
        return digests


def expected(events: Sequence[bytes], market: Sequence[bytes] = ()) -> Draft:
    """The rows that these make, without a database."""
    draft = Draft()
    for body in events:
        rows.apply(draft, rows.read(body))
    for body in market:
        rows_market.apply(draft, body)
    return draft
