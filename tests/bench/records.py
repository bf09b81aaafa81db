"""The records' writer beside a plain COPY of the very rows that it made: events a second of a log that waits."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from pms.records.address import read
from pms.records.columns import Row as Table
from pms.records.journal import Journal
from pms.records.postgres import EmbeddedPostgres, url_of
from tests.bench.orders import private_redis
from tests.bench.rows import Row, row
from tests.contract.records import flood
from tests.contract.records.desk import RecordsDesk
from tests.waiting import until

EVENTS, TURNS = 8_000, 5
LEAST = 1_000  # events a second: twice what an account at its order limits can make
_KEPT = ("applied", "gaps", "market_seconds", "arrival_depths")  # not made from events


@contextmanager
def _postgres() -> Iterator[tuple[str, Path]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "data"
        folder.mkdir(mode=0o700)
        server = EmbeddedPostgres(folder)
        server.launch()
        try:
            until(lambda: url_of(folder) and server.exit_code is None, 30, "Postgres is there")
            yield url_of(folder), folder
        finally:
            server.stop()


async def rows() -> list[Row]:
    """One row: rates of the writer, of COPY, and how the one stands to the other."""
    with private_redis() as redis_url, _postgres() as (url, folder):
        await _answers(url)
        desk = RecordsDesk(read(url), redis_url, folder)
        events = flood.orders(EVENTS // 4)
        written, copied = [], []
        try:
            for turn in range(TURNS):
                await desk.emptied()
                last = await desk.publish(events)
                journal = Journal(folder / f"logs-{turn}")
                began = time.perf_counter()
                await desk.write_until(last, journal=journal)
                written.append(EVENTS / (time.perf_counter() - began))
                journal.close()
                copied.append(EVENTS / await _copied(url))
        finally:
            await desk.close()
    return [row("records written, beside COPY", "ev/s", written, copied, LEAST, "least")]


async def _answers(url: str) -> None:
    while True:
        try:
            connection = await asyncpg.connect(url)
        except (OSError, asyncpg.PostgresError):
            await asyncio.sleep(0.05)
        else:
            await connection.close()
            return


async def _copied(url: str) -> float:
    """Seconds that COPY takes for the same rows into the same tables, emptied."""
    connection = await asyncpg.connect(url)
    try:
        held = {}
        for name in Table.metadata.tables:
            if name not in _KEPT:
                held[name] = [tuple(found) for found in await connection.fetch(f"SELECT * FROM {name}")]
                await connection.execute(f"TRUNCATE {name}")
        began = time.perf_counter()
        async with connection.transaction():
            for name, found in held.items():
                await connection.copy_records_to_table(name, records=found)
        return time.perf_counter() - began
    finally:
        await connection.close()
