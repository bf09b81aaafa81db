"""The daemon dies amid manual orders: never two for one request, and what had not left never leaves (contract.md)."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.world.world import World, in_world

D = Decimal
pytestmark = pytest.mark.crash

LIMIT: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010", "price": "61000.0"}
LEVELS = [{"price": f"{price}.0", "quantity": "0.010"} for price in (61000, 60900, 60800)]
BODIES: dict[str, dict[str, Any]] = {
    "limit": LIMIT,
    "trade": {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010"},
    "scale": {"symbol": "BTCUSDT", "side": "BUY", "levels": LEVELS},
    "basket": {"legs": [{"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010"}]},
}
SETTLE_S = 16  # what was in flight is looked up for the settle window (execution.md 2)


async def begin(world: World, kind: str, door: str, **body: Any) -> None:
    text = json.dumps({"subAccountId": "main", "requestId": "k-1", **body})
    if door == "stream":
        await world.redis.xadd("pms:commands", {"type": kind, "body": text})
    else:
        await world.redis.lpush(f"pms:cmd:{kind}", text)


async def ready(world: World) -> None:
    """Up, with leverage set and the symbol watched: the command acts by its own step alone."""
    await world.start()
    await world.command("validate", symbol="BTCUSDT", side="BUY", quantity="0.010")
    reply = await world.command("limit", requestId="before", **LIMIT | {"price": "60000.0"})
    await world.command("cancel", clientOrderId=reply["clientOrderId"])
    await world.redis.delete("pms:result:k-1")


def ours(world: World) -> list[Any]:
    """What the venue took of the command."""
    return world.placed()[1:]


@pytest.mark.parametrize("kind", ["limit", "scale", "trade"])
@in_world()
async def test_accepted_and_not_left_is_answered_not_executed_and_never_sent(world: World, kind: str) -> None:
    await ready(world)
    world.life.die_on = "before POST"
    await begin(world, kind, "stream", **BODIES[kind])
    await world.until(lambda: world.daemon is None, 5)
    await world.start()
    meanwhile = await world.reply("k-1")
    assert meanwhile["success"], "not proven yet: the venue may still get it"
    await world.run(SETTLE_S)
    told = await world.reply("k-1")
    codes = [told["errorCode"]] if kind != "scale" else [error["errorCode"] for error in told["errors"]]
    assert set(codes) == {"NOT_EXECUTED"}, told
    assert ours(world) == []
    assert (await world.events("order_failed"))[-1]["reason"] == "never arrived"


@pytest.mark.parametrize("where, price", [("before PUT", 61000), ("after PUT", 61001)])
@in_world()
async def test_killed_amid_an_amend_it_is_told_by_how_the_order_stands(world: World, where: str, price: int) -> None:
    await world.start()
    name = (await world.command("limit", **LIMIT))["clientOrderId"]
    world.life.die_on = where
    await begin(world, "amend", "stream", clientOrderId=name, price="61001.0")
    await world.until(lambda: world.daemon is None, 5)
    await world.start()
    await world.run(SETTLE_S)
    told = await world.reply("k-1")
    order = await world.record(f"order:{name}")
    assert (order["state"], order["price"]) == ("active", price)
    assert told["success"] if where == "after PUT" else told["errorCode"] == "NOT_EXECUTED", told
    assert world.order_requests() == []
