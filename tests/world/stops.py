"""Trailing stops in the world: positions to protect, and what became of them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from tests.world.world import World

D = Decimal
ENDED = ("completed", "cancelled", "failed")


async def ready(world: World, bid: str = "61800.0", ask: str = "61800.1") -> None:
    """A daemon on a market that stands there."""
    world.market.quote(bid, ask)
    await world.start()


async def opened(world: World, side: str = "BUY", quantity: str = "0.010", account: str = "main") -> str:
    """A position of a sub-account by a market order; its id."""
    body = {"symbol": "BTCUSDT", "side": side, "quantity": quantity, "subAccountId": account}
    reply = await world.command("trade", **body)
    assert reply["success"], reply

    async def held() -> bool:
        return (await position(world, account))["quantity"] >= D(quantity)

    await world.until(held)
    return str((await position(world, account))["positionId"])


async def position(world: World, account: str = "main") -> dict[str, Any]:
    row = await world.redis.hget(f"pms:position:{account}", "BTCUSDT")
    none: dict[str, Any] = {"quantity": D(0), "signedQuantity": D(0), "positionId": ""}
    return none if row is None else json.loads(row, parse_float=Decimal, parse_int=Decimal)


async def stopped(world: World, **body: Any) -> str:
    """Start a trailing stop on the whole of a position, 1 % behind unless said otherwise; its id."""
    reply = await world.command("trail_stop", **body)
    assert reply["success"], reply
    return str(reply["trailStopId"])


async def stop(world: World, stop_id: str) -> dict[str, Any]:
    return await world.record(f"trailstop:{stop_id}")


async def ends(world: World, stop_id: str, within_s: float = 10) -> dict[str, Any]:
    """Wait for its ending; its record."""
    return await ended(world, f"trailstop:{stop_id}", within_s)


async def ended(world: World, key: str, within_s: float = 10) -> dict[str, Any]:
    """Wait for the ending of what protects; its record."""

    async def over() -> bool:
        return (await world.record(key))["status"] in ENDED

    await world.until(over, within_s)
    return await world.record(key)


def exits(world: World) -> list[Any]:
    """The reduce-only orders that the venue ever took from us."""
    return [order for order in world.placed() if order.reduce_only]
