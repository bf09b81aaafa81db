"""Prices on their way to Redis: at once, of many symbols in one write, and none while Redis is away."""

from __future__ import annotations

import asyncio
import json
from typing import NoReturn

import msgspec

from pms.bus.batch import Batch, Durable
from pms.clock import LoopClock
from pms.health import TOGETHER_S, HealthWriter
from schemas.keys import PRICE_TTL_S, Keys
from tests.pure.algos.stage import RULES, quote
from tests.virtual import virtual

FRAME_S = TOGETHER_S / 4


class Commits:
    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def commit(self, batch: Batch) -> Durable:
        self.batches.append(batch)
        return Durable()


def prices(commits: Commits) -> list[dict[str, float]]:
    """The bids of each write, by symbol."""
    return [
        {put.key.rpartition(":")[2]: json.loads(put.value)["bid"] for put in batch.puts} for batch in commits.batches
    ]


def unread() -> NoReturn:
    raise AssertionError("a price is not health")


@virtual
async def test_a_price_is_written_at_once_and_those_of_the_next_moment_together_the_newest_of_each() -> None:
    commits = Commits()
    writer = HealthWriter(commits, Keys(), LoopClock(asyncio.get_running_loop(), 0), None, unread, lambda: False)
    for bid in (1000, 1001):
        for symbol in ("BTCUSDT", "ETHUSDT"):
            writer.on_price(msgspec.structs.replace(RULES, symbol=symbol), quote(bid, bid + 1), None)
        await asyncio.sleep(FRAME_S)
    assert prices(commits) == [{"BTCUSDT": 100.0}]
    await asyncio.sleep(TOGETHER_S)
    assert prices(commits) == [{"BTCUSDT": 100.0}, {"ETHUSDT": 100.1, "BTCUSDT": 100.1}]
    assert {put.ttl_ms for batch in commits.batches for put in batch.puts} == {PRICE_TTL_S * 1000}
    await asyncio.sleep(2 * TOGETHER_S)
    writer.on_price(RULES, quote(1002, 1003), None)
    assert prices(commits)[2:] == [{"BTCUSDT": 100.2}], "it gathers only where there is something"


@virtual
async def test_a_price_that_redis_could_not_take_is_dropped_and_the_next_is_written() -> None:
    commits, away = Commits(), [False]
    writer = HealthWriter(commits, Keys(), LoopClock(asyncio.get_running_loop(), 0), None, unread, lambda: away[0])
    writer.on_price(RULES, quote(1000, 1001), None)
    writer.on_price(RULES, quote(1001, 1002), None)
    away[0] = True
    await asyncio.sleep(2 * TOGETHER_S)
    writer.on_price(RULES, quote(1002, 1003), None)
    away[0] = False
    await asyncio.sleep(2 * TOGETHER_S)
    writer.on_price(RULES, quote(1003, 1004), None)
    assert prices(commits) == [{"BTCUSDT": 100.0}, {"BTCUSDT": 100.3}]
