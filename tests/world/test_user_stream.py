"""The user stream goes mute, is cut, or tells twice: fills are found and booked once (design.md, "When a part is
gone")."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.world.world import World, in_world

D = Decimal
pytestmark = pytest.mark.faults


async def live(world: World) -> None:
    assert world.daemon is not None
    daemon = world.daemon
    await world.until(lambda: not any(part.startswith("user stream") for part in daemon.watch.degraded), 60)


@in_world()
async def test_fills_that_a_mute_stream_keeps_back_are_found_by_the_gap_reading(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    (order,) = world.resting()
    world.mute("/private")
    world.market.hit(order, "0.003")
    await world.run(2)
    assert (await world.state(chase))["filledQuantity"] == 0
    world.market.quote("61801.0", "61805.0")  # the amend's answer tells how much is filled

    async def found() -> bool:
        return (await world.state(chase))["filledQuantity"] == D("0.003")

    await world.until(found, 2)
    world.market.hit(order, "0.007")  # and this only the reading, once the amend's event is 10 s late
    assert (await world.ends(chase, 20))["status"] == "filled"
    assert len(world.placed()) == 1
    causes = [event["cause"] for event in await world.events("recovery_completed")]
    assert causes == ["start", "user_stream_gap"]


@pytest.mark.parametrize("filled", ["0.003", "0.010"])
@in_world()
async def test_a_stream_that_goes_deaf_while_nothing_is_sent_is_found_out(world: World, filled: str) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase(stalkMode="none")
    (order,) = world.resting()
    world.mute("/private")
    world.market.hit(order, filled)

    async def booked() -> bool:
        return (await world.state(chase))["filledQuantity"] == D(filled)

    await world.until(booked, 45)
    await live(world)
    if D(filled) < order.quantity:
        world.market.hit(order, "0.007")
    assert (await world.ends(chase, 45))["status"] == "filled"


@in_world()
async def test_a_healthy_stream_is_never_suspected(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    await world.chase(stalkMode="none")
    (order,) = world.resting()
    for _ in range(5):
        world.market.hit(order, "0.001")
        await world.run(31)
    causes = [event["cause"] for event in await world.events("recovery_completed")]
    assert causes == ["start"]


@in_world()
async def test_a_cut_stream_comes_back_and_what_happened_between_is_booked_once(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    (order,) = world.resting()
    world.market.hit(order, "0.002")
    world.cut("/private")
    world.market.hit(order, "0.003")
    await world.run(0.05)
    await live(world)
    await world.run(1)
    assert (await world.state(chase))["filledQuantity"] == D("0.005")
    world.market.hit(order, "0.005")
    assert (await world.ends(chase))["status"] == "filled"


@in_world()
async def test_a_fill_told_by_the_gap_reading_and_by_the_kept_event_is_booked_once(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    (order,) = world.resting()
    world.cut("/private")
    world.fault("GET", path="/fapi/v1/openOrders", delay_before_ms=600)
    await world.until(lambda: any(line.path.startswith("/private") and not line.ended for line in world.sim.gate.lines))
    await world.run(0.1)
    world.market.hit(order, "0.004")  # the open stream keeps the event, the reading is still under way
    await live(world)
    await world.run(1)
    assert (await world.state(chase))["filledQuantity"] == D("0.004")
    assert len(await world.events("order_partial")) == 1


@in_world()
async def test_while_the_stream_is_away_nothing_that_adds_risk_is_sent(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    (order,) = world.resting()
    world.socket_fault("/private/*", refuse=503, count=4)
    world.cut("/private")
    await world.run(0.1)
    sent = world.order_requests()
    world.market.quote("61801.0", "61805.0")
    await world.run(1)
    state = await world.state(chase)
    assert (state["status"], state["hold"]) == ("throttled", "user_stream")
    assert world.order_requests() == sent
    assert (await world.command("algo_pause", algoId=chase))["success"]  # a cancel goes
    await world.until(lambda: not order.is_open, 2)
    await live(world)
    await world.command("algo_resume", algoId=chase)
    await world.until(lambda: [each.price for each in world.resting()] == [D("61801.0")], 5)


@in_world()
async def test_an_order_that_ended_while_the_stream_was_away_is_settled_by_the_reading(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    (order,) = world.resting()
    world.cut("/private")
    world.market.hit(order, "0.010")
    state = await world.ends(chase, 60)
    assert (state["status"], state["fillPrice"]) == ("filled", D("61800.0"))
    assert len(world.placed()) == 1


@in_world()
async def test_a_stream_that_is_cut_again_and_again_loses_nothing(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase(quantity="0.030")
    for step in range(30):
        for order in world.resting():
            world.market.hit(order, "0.001")
        if step % 3 == 0:
            world.cut("/private")
        await world.run(2)
    state = await world.ends(chase, 60)
    assert (state["status"], state["filledQuantity"]) == ("filled", D("0.030"))
    assert len(world.placed()) == 1


@in_world()
async def test_the_depth_stream_cut_holds_and_rejoins(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    await world.chase()
    world.cut("/public")
    world.market.quote("61801.0", "61805.0")
    await world.until(lambda: world.resting()[0].price == D("61801.0"), 10)


@in_world()
async def test_a_venue_that_can_not_be_reached_for_a_minute_leaves_one_order(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    (order,) = world.resting()
    world.http.down = world.sockets.down = True
    world.cut("/")
    await world.run(20)
    world.market.hit(order, "0.004")
    await world.run(40)
    world.http.down = world.sockets.down = False
    await live(world)
    world.market.quote("61801.0", "61805.0")
    await world.until(lambda: order.price == D("61801.0"), 30)
    assert (await world.state(chase))["filledQuantity"] == D("0.004")
    assert len(world.placed()) == 1
