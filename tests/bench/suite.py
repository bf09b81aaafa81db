"""All rows of the bench in one run, group by group."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import uvloop

from tests.bench import feed, order_wire, orders, records, state
from tests.bench.orders import VenueProcess
from tests.bench.quiet import quiet
from tests.bench.rows import Row


@asynccontextmanager
async def _stage() -> AsyncIterator[tuple[str, VenueProcess]]:
    with orders.private_redis() as redis_url:
        async with orders.venue(redis_url) as measured:
            yield redis_url, measured


async def _state() -> list[Row]:
    async with _stage() as (redis_url, measured):
        return [*await state.held(redis_url, measured), await state.records(redis_url), state.decision()]


async def _orders() -> list[Row]:
    async with _stage() as (redis_url, measured):
        return await orders.rows(redis_url, measured)


async def _orders_over_ws() -> list[Row]:
    async with _stage() as (redis_url, measured):
        return await orders.rows_over_ws(redis_url, measured)


def rows(recording: Path | None, only: str) -> list[Row]:
    """The rows of every group with `only` in its name."""
    groups: dict[str, Callable[[], Awaitable[list[Row]]]] = {
        "feed": lambda: feed.rows(recording),
        "order wire": order_wire.rows,
        "orders": _orders,
        "orders over ws": _orders_over_ws,
        "state": _state,
        "sql records": records.rows,
    }
    found: list[Row] = []
    with quiet():
        for name, measure in groups.items():
            if only in name:
                found += uvloop.run(_limited(measure))
    return found


async def _limited(measure: Callable[[], Awaitable[list[Row]]]) -> list[Row]:
    async with asyncio.timeout(240):
        return await measure()
