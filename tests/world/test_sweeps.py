"""cancel_all, close, close_all, freeze against what is on its way: nothing of it goes live unseen (contract.md)."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest

from tests.world.test_closing import opened, position, ready
from tests.world.world import World, in_world

D = Decimal
LIMIT = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010", "price": "61000"}
TRADE = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010"}


async def send(world: World, kind: str, request_id: str, door: str, **body: Any) -> None:
    text = json.dumps({"requestId": request_id, "subAccountId": "main"} | body)
    if door == "list":
        await world.redis.lpush(f"pms:cmd:{kind}", text)
    else:
        await world.redis.xadd("pms:commands", {"type": kind, "body": text})


async def warm(world: World) -> None:
    """Leverage set and a book at hand: the next order leaves by its first step."""
    await ready(world)
    reply = await world.command("limit", **LIMIT)
    await world.command("cancel", clientOrderId=reply["clientOrderId"])
    await world.until(lambda: not world.resting())


@pytest.mark.parametrize("warmed", [False, True])
@pytest.mark.parametrize("door", ["list", "stream"])
@in_world()
async def test_a_limit_and_a_cancel_all_in_the_same_millisecond_leave_nothing_live(
    world: World, door: str, warmed: bool
) -> None:
    await (warm(world) if warmed else ready(world))
    await asyncio.gather(send(world, "limit", "buy", door, **LIMIT), send(world, "cancel_all", "stop", door))
    assert (await world.reply("stop"))["success"]
    await world.run(5)
    assert world.resting() == []
    told = await world.reply("buy")
    assert told["success"] or told["errorCode"] == "SUPERSEDED", told


@pytest.mark.parametrize("delay_ms", [0, 1, 2, 5, 20, 100])
@in_world()
async def test_an_order_being_placed_is_gone_when_cancel_all_answers(world: World, delay_ms: int) -> None:
    await warm(world)
    world.fault("POST", delay_before_ms=300)
    await send(world, "limit", "buy", "list", **LIMIT)
    await world.run(delay_ms / 1000)
    reply = await world.command("cancel_all")
    assert reply["success"], reply
    assert world.resting() == []
    assert "details" not in reply, "nothing is left in flight"
    await world.run(5)
    assert world.resting() == []


@in_world()
async def test_a_placing_of_unknown_fate_is_cancelled_as_soon_as_it_is_known(world: World) -> None:
    await warm(world)
    world.mute("/private")
    world.fault("POST", lose="after")
    world.fault("GET", status=400, code=-2013, msg="Order does not exist.", count=3)
    await send(world, "limit", "buy", "list", **LIMIT)
    await world.run(0.02)
    reply = await world.command("cancel_all")
    assert reply["success"], reply
    await world.run(10)
    assert world.resting() == []
    assert [order.status for order in world.placed()][-1:] == ["CANCELED"]


@pytest.mark.parametrize("delay_ms", [0, 1, 3, 10, 100])
@pytest.mark.parametrize("warmed", [False, True])
@in_world()
async def test_a_buy_and_a_close_in_the_same_millisecond_end_flat(world: World, warmed: bool, delay_ms: int) -> None:
    await (warm(world) if warmed else ready(world))
    world.fault("POST", delay_before_ms=200)
    await send(world, "trade", "buy", "list", **TRADE)
    await world.run(delay_ms / 1000)
    reply = await world.command("close", symbol="BTCUSDT", side="SELL")
    assert reply["success"], reply
    await world.run(3)
    assert world.held() == 0
    bought = await world.reply("buy")
    if bought["success"]:
        assert (await position(world))["quantity"] == 0
        assert "clientOrderId" in reply, "it waited for the buy in flight, and closed it"


@in_world()
async def test_cancel_all_ends_entry_algos_and_leaves_protection(world: World) -> None:
    await ready(world)
    await opened(world)
    await opened(world, "other")
    entry = await world.chase(quantity="0.005")
    protecting = await world.chase(side="SELL", quantity="0.005", reduceOnly=True)
    foreign = await world.chase(subAccountId="other", quantity="0.005", stalkOffsetPct="1")
    limit = await world.command("limit", **LIMIT)
    reply = await world.command("cancel_all")
    assert (reply["cancelledCount"], reply["stoppedAlgos"]) == (2, [entry])
    assert (await world.record(f"order:{limit['clientOrderId']}"))["state"] == "cancelled"
    assert [(await world.state(one))["status"] for one in (entry, protecting, foreign)] == [
        "cancelled", "active", "active",
    ]  # fmt: skip
    reply = await world.command("cancel_all", includeProtection=True)
    assert reply["stoppedAlgos"] == [protecting]


@in_world()
async def test_a_freeze_blocks_entry_algos_until_it_is_taken_back(world: World) -> None:
    await ready(world)
    await opened(world)
    entry = await world.chase(quantity="0.005")
    protecting = await world.chase(side="SELL", quantity="0.005", reduceOnly=True)
    assert (await world.command("freeze"))["success"]
    assert [order.side for order in world.resting()] == ["SELL"]
    state = await world.state(entry)
    assert (state["status"], state["reason"]) == ("blocked", "frozen")
    assert (await world.state(protecting))["status"] == "active"
    refused = await world.command("chase", **TRADE)
    assert refused["errorCode"] == "SUBACCOUNT_FROZEN"
    assert (await world.command("close", symbol="BTCUSDT", side="SELL", quantity="0.001"))["success"]
    await world.kill()
    await world.start()
    await world.run(2)
    assert (await world.state(entry))["status"] == "blocked", "it survives a restart"
    assert (await world.command("unfreeze"))["success"]
    await world.until(lambda: sorted(order.side for order in world.resting()) == ["BUY", "SELL"])
    assert (await world.state(entry))["status"] == "active"


@in_world()
async def test_mode_reduce_blocks_entry_algos_and_lets_exits_go(world: World) -> None:
    await ready(world)
    await opened(world)
    entry = await world.chase(quantity="0.005")
    assert world.daemon is not None
    world.daemon.halts.reduce("a test says so")
    await world.until(lambda: not world.resting())
    state = await world.state(entry)
    assert (state["status"], state["reason"]) == ("blocked", "reduce only: a test says so")
    assert (await world.command("close", symbol="BTCUSDT", side="SELL"))["success"]
    assert world.held() == 0
    world.daemon.halts.lift("all", "")
    await world.until(lambda: len(world.resting()) == 1)
