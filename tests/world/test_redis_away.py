"""Redis goes away under working chases and comes back: with everything, empty, or after the daemon (design.md, "When a
part is gone"; execution.md 20, 30)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.world.books import check_books, check_numbering
from tests.world.world import World, in_world

D = Decimal
pytestmark = pytest.mark.faults


@in_world()
async def test_an_outage_of_20_s_takes_the_child_off_at_10_s_and_brings_one_order_for_the_exact_rest(
    world: World,
) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    (order,) = world.resting()
    world.market.hit(order, "0.003")
    await world.run(1)
    sent = len(world.order_requests())
    world.redis_goes()
    gone = world.clock.now_ms()
    await world.run(5)
    world.market.quote("61802.0", "61805.0")  # nothing follows
    await world.run(3)
    assert len(world.order_requests()) == sent
    world.market.hit(order, "0.002")  # a fill nobody can write down
    await world.until(lambda: not order.is_open, 5)
    assert 10_000 <= order.updated_at - gone <= 11_000
    await world.run(20 - (world.clock.now_ms() - gone) / 1000)
    assert world.resting() == []
    assert world.order_requests()[sent:] == ["DELETE"]
    world.redis_comes()
    await world.until(lambda: len(world.resting()) == 1, 5)
    (fresh,) = world.resting()
    assert (fresh.price, fresh.quantity) == (D("61802.0"), D("0.005"))
    await world.run(3)
    state = await world.state(chase)
    assert (state["status"], state["filledQuantity"]) == ("active", D("0.005"))
    assert len(world.placed()) == 2
    world.market.hit(fresh, "0.005")
    assert (await world.ends(chase))["status"] == "filled"


@in_world()
async def test_a_short_outage_leaves_the_child_where_it_is(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    (order,) = world.resting()
    world.redis_goes()
    world.market.quote("61801.0", "61805.0")
    await world.run(8)
    assert (order.is_open, order.amendments) == (True, 0)
    world.redis_comes()
    await world.until(lambda: order.price == D("61801.0"), 3)
    await world.run(10)
    assert order.is_open
    assert (await world.state(chase))["status"] == "active"


@in_world()
async def test_a_reduce_only_child_stays_through_a_long_outage_and_its_fill_is_booked(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    opened = await world.chase()
    world.market.hit(world.resting()[0], "0.010")
    await world.ends(opened)
    chase = await world.chase(side="SELL", reduceOnly=True)
    (order,) = world.resting()
    world.redis_goes()
    await world.run(15)
    assert order.is_open
    world.market.hit(order, "0.010")
    await world.run(5)
    world.redis_comes()
    assert (await world.ends(chase))["status"] == "filled"
    assert world.held() == 0


@in_world()
async def test_the_time_of_an_outage_is_read_from_the_events_afterwards_without_a_hole(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    await world.chase()
    (order,) = world.resting()
    before = [event["seq"] for event in await world.events()]
    world.redis_goes()
    for _ in range(3):
        await world.run(1)
        world.market.hit(order, "0.001")
    await world.run(3)
    world.redis_comes()
    await world.run(3)
    events = await world.events()
    check_numbering(events)
    later = [event for event in events if event["seq"] > before[-1]]
    fills = [event["lastFillQty"] for event in later if event["type"] == "order_partial"]
    assert fills == [D("0.001")] * 3
    states = [event["degraded"] for event in later if event["type"] == "system_status"]
    assert any("redis" in part for degraded in states for part in degraded)
    assert states[-1] == []


@in_world()
async def test_commands_given_before_and_after_an_outage_are_carried_out_once(world: World) -> None:
    await world.start()
    body = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010", "requestId": "once"}
    first = await world.command("chase", **body)
    world.redis_goes()
    await world.run(5)
    world.redis_comes()
    await world.run(3)
    again = await world.command("chase", **body)
    assert again["chaseId"] == first["chaseId"]
    fresh = await world.command("chase", symbol="BTCUSDT", side="BUY", quantity="0.010", stalkOffsetTicks=9)
    assert fresh["success"], fresh
    assert len(world.placed()) == 2


@in_world(books=False)
async def test_redis_back_empty_gets_every_record_anew_and_numbering_jumps(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    (order,) = world.resting()
    world.market.hit(order, "0.003")
    await world.run(1)
    before = await world.state(chase)
    last = (await world.events())[-1]["seq"]
    epoch = await world.redis.get("pms:epoch")
    world.redis_goes()
    await world.run(2)
    world.redis_comes()
    await world.redis.flushall()  # what a restart without its file leaves
    await world.run(5)
    after = await world.state(chase)
    assert after["filledQuantity"] == before["filledQuantity"] == D("0.003")
    assert (await world.record(f"order:{order.client_id}"))["filledQty"] == D("0.003")
    assert await world.redis.hexists("pms:position:main", "BTCUSDT")
    assert await world.redis.hexists("pms:active_chase:main", chase)
    assert await world.redis.hexists("pms:open_orders:main", order.client_id)
    assert int(await world.redis.get("pms:epoch")) >= int(epoch)
    (jump,) = await world.events("seq_jump")
    assert jump["seq"] > last
    numbers = [event["seq"] for event in await world.events()]
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    world.market.quote("61801.0", "61805.0")
    await world.until(lambda: order.price == D("61801.0"), 5)
    world.market.hit(order, "0.007")
    assert (await world.ends(chase))["fillPrice"] == (D("61800.0") * 3 + D("61801.0") * 7) / 10


@in_world(books=False)
async def test_killed_during_an_outage_nothing_is_lost_and_nothing_done_twice(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    (order,) = world.resting()
    await world.run(1)
    world.redis_goes()
    world.market.hit(order, "0.003")
    await world.run(4)
    await world.kill()
    world.market.hit(order, "0.002")
    await world.run(2)
    world.redis_comes()
    await world.start()
    await world.run(3)
    state = await world.state(chase)
    assert state["filledQuantity"] == D("0.005")
    assert len(world.placed()) == 1
    await check_books(world)


@in_world()
async def test_a_cancel_is_sent_while_redis_is_away(world: World) -> None:
    """Exits do not wait for Redis; here the stop of the daemon asks for them."""
    await world.start()
    await world.chase()
    world.redis_goes()
    await world.run(1)
    began = world.clock.monotonic()
    await world.stop()
    assert world.clock.monotonic() - began <= 5
    assert world.resting() == []
    world.redis_comes()
    await world.start()
    await world.until(lambda: len(world.resting()) == 1, 5)


@in_world()
async def test_a_record_that_a_client_deleted_does_not_lose_the_chase(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    (order,) = world.resting()
    await world.redis.delete(f"pms:chase:{chase}", f"pms:order:{order.client_id}")
    world.market.hit(order, "0.010")
    await world.run(2)
    assert (await world.state(chase))["status"] == "filled"
