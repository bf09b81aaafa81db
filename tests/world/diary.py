"""A day in the life of an account, as its event stream tells it: what the records are tried on."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from schemas.keys import STREAM_FIELD, Keys
from schemas.tape import FIELD
from tests.virtual import VirtualLoop
from tests.world.world import World

D = Decimal
BEGINS_MS = 1_790_006_385_000  # 2026-09-21 15:59:45 UTC: the funding of 16:00 finds the daemon dead
LIMIT = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010", "price": "61000.0"}


class Diary(NamedTuple):
    """The bodies of both streams, and the records that stood at the end: orders and positions, and every key that is a
    text or a hash."""

    events: list[bytes]
    market: list[bytes]
    orders: list[bytes]
    positions: list[bytes]
    state: dict[str, bytes | dict[bytes, bytes]]


async def live(world: World) -> None:
    """Chases with fills, an amended and a cancelled order, refusals, two sub-accounts, a close, a kill, a funding,
    a take-profit that is taken away and a stop that stays."""
    world.market.quote("61800.0", "61805.0")
    await world.start()
    await world.command("subaccount_put", id="desk-2", name="Second desk", initialBalance="5000.5")
    chase = await world.chase(quantity="0.010")
    (order,) = world.resting()
    world.market.hit(order, "0.004")
    await world.run(1)
    world.market.quote("61801.0", "61805.0")
    await world.run(2)
    world.market.hit(order, "0.006")
    await world.ends(chase)
    await world.command("trade", symbol="BTCUSDT", side="BUY", quantity="0.020", subAccountId="desk-2")
    reply = await world.command("limit", **LIMIT)
    await world.command("amend", clientOrderId=reply["clientOrderId"], price="61001.0")
    await world.run(1)
    await world.command("cancel", clientOrderId=reply["clientOrderId"])
    await world.command("limits_put", limits={"maxOrderNotional": "100"})
    await world.command("limit", **LIMIT)
    await world.command("chase", symbol="BTCUSDT", side="SELL", quantity="0.010")
    await world.unlimited()
    await world.command("close", symbol="BTCUSDT", side="SELL", quantity="0.003")
    last = await world.chase(quantity="0.005", stalkMode="none", stalkOffsetTicks=50)
    await world.run(2)
    await world.kill()
    await world.run(20)
    await world.start()
    await world.command("chase_cancel", chaseId=last)
    await world.command("close", symbol="BTCUSDT", side="SELL")
    held = {"symbol": "BTCUSDT", "positionSide": "LONG", "subAccountId": "desk-2"}
    await world.command("stop", triggerPrice="60000", **held)
    taken = await world.command("take_profit", triggerPrice="63000", **held)
    await world.command("algo_cancel", algoId=taken["algoId"], subAccountId="desk-2")
    await world.command("nonsense", "stream")
    await world.run(35)  # the next audit books it


async def read(world: World) -> Diary:
    """What Redis holds of it."""
    names = Keys()
    events = [row[STREAM_FIELD.encode()] for _, row in await world.redis.xrange(names.event_stream)]
    market = [row[FIELD.encode()] for _, row in await world.redis.xrange(names.market_stream)]
    orders = [await world.redis.get(key) for key in sorted(await world.redis.keys(names.order("*")))]
    held = [await world.redis.hvals(key) for key in sorted(await world.redis.keys(names.position("*")))]
    return Diary(events, market, orders, [body for bodies in held for body in bodies], await _state(world))


async def _state(world: World) -> dict[str, bytes | dict[bytes, bytes]]:
    state: dict[str, bytes | dict[bytes, bytes]] = {}
    for key in sorted(await world.redis.keys("*")):
        kind = await world.redis.type(key)
        if kind in (b"string", b"hash"):
            state[key.decode()] = await (world.redis.get(key) if kind == b"string" else world.redis.hgetall(key))
    return state


def write(folder: Path) -> Diary:
    """Live it on a virtual clock."""

    async def all_of_it() -> Diary:
        world = World(folder, start_ms=BEGINS_MS)
        try:
            await live(world)
            return await read(world)
        finally:
            await world.close()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(all_of_it())
