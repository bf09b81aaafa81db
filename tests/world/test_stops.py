"""A stop in every weather: within 5 s, a checkpoint and no ending (algos.md law 8; execution.md 21)."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.world.world import World, in_world

D = Decimal
pytestmark = pytest.mark.crash
STOP_S = 5.0


async def stops_in_time(world: World) -> None:
    began = world.clock.monotonic()
    await world.stop()
    assert world.clock.monotonic() - began <= STOP_S + 0.5  # the world itself waits half a second after a life


async def goes_on(world: World, chase: str, rest: str) -> None:
    """After the restart one order asks for exactly what is left."""
    await world.start()
    await world.until(lambda: [order.remaining for order in world.resting()] == [D(rest)], 30)
    await world.run(15)
    assert [order.remaining for order in world.resting()] == [D(rest)]
    assert (await world.state(chase))["status"] == "active"


@pytest.mark.parametrize(
    "what",
    [{"delay_before_ms": 3000}, {"delay_after_ms": 3000}, {"lose": "before"}, {"lose": "after"}],
    ids=["slow engine", "slow answer", "lost before", "lost after"],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@in_world()
async def test_a_stop_amid_a_request_leaves_one_order_for_the_rest_after_the_restart(
    world: World, method: str, what: dict[str, Any]
) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    if method == "POST":
        world.fault("POST", **what)
        chase, rest = await world.chase(), "0.010"
    else:
        chase, rest = await world.chase(), "0.006"
        world.market.hit(world.resting()[0], "0.004")
        await world.run(1)
        world.fault(method, **what)
    if method == "PUT":
        world.market.quote("61801.0", "61805.0")
        await world.run(0.1)
    await stops_in_time(world)
    await world.run(4)
    await goes_on(world, chase, rest)


@in_world()
async def test_a_stop_with_the_venue_away_leaves_the_order_and_the_restart_takes_it_up(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    (order,) = world.resting()
    world.http.down = world.sockets.down = True
    world.cut("/")
    await world.run(1)
    await stops_in_time(world)
    assert order.is_open
    world.market.hit(order, "0.004")
    await goes_on(world, chase, "0.006")
    assert (await world.state(chase))["filledQuantity"] == D("0.004")


@in_world()
async def test_a_fill_on_the_way_of_the_stops_cancel_is_booked(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    (order,) = world.resting()
    world.fault("DELETE", delay_before_ms=500)
    stopping = world.tasks.spawn(world.stop(), "stop")
    await world.run(0.2)
    world.market.hit(order, "0.004")
    await stopping
    assert not order.is_open
    assert (await world.state(chase))["filledQuantity"] == D("0.004")
    await goes_on(world, chase, "0.006")


@pytest.mark.parametrize("after_s", [0.1, 0.6])
@in_world()
async def test_a_command_that_comes_during_a_stop_is_told_no_or_done_by_the_next_daemon(
    world: World, after_s: float
) -> None:
    """Never both, and never neither. What was told no may be sent again under its id."""
    await world.start()
    await world.chase(stalkOffsetTicks=5)
    world.fault("DELETE", delay_before_ms=800)
    stopping = world.tasks.spawn(world.stop(), "stop")
    await world.run(after_s)
    late = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010", "requestId": "late"}
    text = json.dumps(late | {"subAccountId": "main", "issuedAt": world.clock.now_ms()})
    await world.redis.xadd("pms:commands", {"type": "chase", "body": text})
    await stopping
    told = await world.redis.get("pms:result:late")
    await world.start()
    if told is not None:
        assert json.loads(told)["errorCode"] in ("NOT_READY", "SHUTTING_DOWN")
        assert len(await world.redis.keys("pms:chase:*")) == 1
        assert (await world.command("chase", **late))["success"]
    assert (await world.reply("late"))["success"]
    await world.run(5)
    assert len(world.resting()) == 2


@in_world()
async def test_deploying_over_and_over_neither_loses_nor_doubles(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase(quantity="0.020")
    for step in range(8):
        await world.until(lambda: len(world.resting()) == 1, 5)
        world.market.hit(world.resting()[0], "0.002")
        world.market.quote(D("61800.0") + step, "61815.0")
        await world.run(0.1 * step)
        await stops_in_time(world)
        assert world.resting() == []
        await world.start()
    await world.until(lambda: [order.remaining for order in world.resting()] == [D("0.004")], 5)
    assert (await world.state(chase))["filledQuantity"] == D("0.016")
