"""The rate governor on the whole daemon: neighbours, bans, a small limit and many chases (execution.md 18; design.md,
"When a part is gone")."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from pms.recover import QUOTE_WAIT_S
from pms.sim.limits import MINUTE_MS, SLOT_MS, Limits
from schemas.records import Halt
from tests.world.world import World, in_world

D = Decimal
pytestmark = pytest.mark.faults

EDGE_S = 0.1  # execution.md 18: cancels leave within 100 ms
SMALL = Limits(orders_10s=20)


class Refusals:
    """Counts what the venue has refused for its limits, by watching every answer."""

    def __init__(self, world: World) -> None:
        self.count = 0
        self._handle = world.sim.venue.handle
        world.sim.venue.handle = self._watched  # type: ignore[method-assign]

    def _watched(self, request: Any) -> Any:
        answer = self._handle(request)
        self.count += answer.status in (418, 429)
        return answer


def neighbour_weighs(world: World, percent: int, less: int = 0) -> None:
    """Another program on our address brings the minute's weight to so much."""
    meter, now = world.sim.venue.meter, world.clock.now_ms()
    left = meter.limits.weight_1m * percent // 100 - less - meter.used("127.0.0.1", now)
    meter.charge("127.0.0.1", left, now)


def neighbour_orders(world: World, percent: int) -> None:
    """Another program on our account brings the short order counter to so much."""
    meter, now = world.sim.venue.meter, world.clock.now_ms()
    used, _ = meter.count_orders(world.account, 0, 0, now)
    meter.count_orders(world.account, meter.limits.orders_10s * percent // 100 - used, 0, now)


async def into(world: World, window_ms: int, second: float) -> None:
    """Let time pass until so far into the next window."""
    await world.run((window_ms - world.clock.now_ms() % window_ms) / 1000 + second)


def budget(world: World) -> dict[str, int]:
    assert world.daemon is not None
    return world.daemon.governor.used()


async def learn(world: World) -> None:
    """Some answer tells the daemon what the venue has counted."""
    assert world.daemon is not None
    await world.daemon.venue.rest.measure_clock()


async def cancelled(world: World, chase: str) -> float:
    """Cancel a chase; seconds until its order is gone at the venue."""
    began = world.clock.monotonic()
    await world.redis.lpush("pms:cmd:chase_cancel", f'{{"subAccountId":"main","requestId":"c","chaseId":"{chase}"}}')
    await world.until(lambda: not world.resting(), 70)
    return world.clock.monotonic() - began


# --- a neighbour ----------------------------------------------------------------------------------------


@in_world()
async def test_with_a_neighbour_at_95_percent_a_cancel_leaves_at_once(world: World) -> None:
    await world.start()
    await into(world, MINUTE_MS, 5)
    chase = await world.chase()
    refused = Refusals(world)
    neighbour_weighs(world, 95)
    neighbour_orders(world, 95)
    await learn(world)
    assert await cancelled(world, chase) <= EDGE_S
    assert refused.count == 0


@in_world()
async def test_with_a_neighbour_at_95_percent_no_entry_leaves_before_the_window_turns(world: World) -> None:
    await world.start()
    await into(world, SLOT_MS, 3)
    await world.chase()
    neighbour_orders(world, 95)
    world.market.move(5)
    await world.until(lambda: world.resting()[0].price == world.market.bid, 1)  # the answer tells of the neighbour
    (order,) = world.resting()
    sent = len(world.order_requests())
    for _ in range(5):
        world.market.move(5)
        await world.run(0.5)
    assert len(world.order_requests()) == sent
    await into(world, SLOT_MS, EDGE_S)
    assert order.price == world.market.bid
    assert len(world.order_requests()) == sent + 1, "all the moves in between became one amend"


@in_world()
async def test_with_a_neighbour_at_85_percent_a_start_waits_for_no_window(world: World) -> None:
    """It lives off what is kept for recovery: what it resumes may have an exit to make."""
    await world.start()
    await world.chase()
    await world.kill()
    await into(world, MINUTE_MS, 5)
    neighbour_weighs(world, 85)
    began = world.clock.monotonic()
    await world.start()
    assert world.clock.monotonic() - began < QUOTE_WAIT_S + 1


@in_world()
async def test_with_the_weight_used_up_a_cancel_leaves_in_the_first_100_ms_of_the_next_minute(world: World) -> None:
    await world.start()
    await into(world, MINUTE_MS, 50)
    chase = await world.chase()
    refused = Refusals(world)
    neighbour_weighs(world, 100, less=5)
    await learn(world)  # which weighs the last 5
    edge_s = (MINUTE_MS - world.clock.now_ms() % MINUTE_MS) / 1000
    waited = await cancelled(world, chase)
    assert edge_s <= waited <= edge_s + EDGE_S
    assert refused.count == 0


@in_world()
async def test_after_429_the_first_cancel_leaves_within_100_ms_after_the_time_that_was_told(world: World) -> None:
    await world.start()
    chase = await world.chase()
    world.fault("DELETE", status=429, code=-1003, msg="Too many requests.", headers={"retry-after": "8"})
    waited = await cancelled(world, chase)
    assert 8 <= waited <= 8 + EDGE_S


@in_world()
async def test_many_cancels_leave_at_once_though_entries_have_spent_their_part(world: World) -> None:
    await world.start()
    await into(world, MINUTE_MS, 5)
    for _ in range(30):
        await world.chase(quantity="0.001")
    refused = Refusals(world)
    neighbour_weighs(world, 80)
    neighbour_orders(world, 80)
    await learn(world)
    began = world.clock.monotonic()
    await world.command("cancel_all")
    await world.until(lambda: not world.resting(), 1)
    assert world.clock.monotonic() - began <= EDGE_S
    assert refused.count == 0


# --- our own storm --------------------------------------------------------------------------------------


@in_world(limits=SMALL)
async def test_fifty_chases_on_a_small_limit_never_provoke_the_venue_and_all_come_right(world: World) -> None:
    await world.start()
    refused = Refusals(world)
    chases = []
    for number in range(50):  # more than a window takes: the later ones wait for theirs
        account = "main" if number % 5 else "second"
        reply = await world.command("chase", symbol="BTCUSDT", side="BUY", quantity="0.001", subAccountId=account)
        assert reply["success"], reply
        chases.append(reply["chaseId"])
    await world.until(lambda: len(world.resting()) == 50, 60)
    throttled = 0
    for _ in range(40):
        world.market.move(5)
        await world.run(0.5)
        states = [await world.state(chase) for chase in chases]
        throttled = max(throttled, sum(state["status"] == "throttled" for state in states))
    assert throttled >= 10
    assert refused.count == 0
    assert budget(world)["conflated"] >= 20
    await world.until(lambda: {order.price for order in world.resting()} == {world.market.bid}, 60)
    await world.run(12)
    states = [await world.state(chase) for chase in chases]
    assert {state["status"] for state in states} == {"active"}
    assert refused.count == 0
    assert len(world.resting()) == len(chases)
    await world.command("cancel_all")
    await world.command("cancel_all", subAccountId="second")
    for chase in chases:
        assert (await world.ends(chase))["status"] == "cancelled"


@in_world(limits=SMALL)
async def test_a_throttled_chase_can_be_cancelled_at_once(world: World) -> None:
    await world.start()
    await into(world, SLOT_MS, 1)
    chase = await world.chase()
    neighbour_orders(world, 95)
    world.market.move(5)
    await world.run(0.5)
    world.market.move(5)
    await world.run(0.5)
    state = await world.state(chase)
    assert (state["status"], state["throttle"], state["child"]["state"]) == ("throttled", "queued", "active")
    assert await cancelled(world, chase) <= EDGE_S
    assert (await world.ends(chase))["status"] == "cancelled"


@in_world(limits=SMALL)
async def test_beyond_three_fifths_a_chase_reprices_for_large_moves_only_until_the_window_turns(world: World) -> None:
    await world.start()
    await into(world, SLOT_MS, 1)
    chase = await world.chase()
    neighbour_orders(world, 65)
    for _ in range(2):
        world.market.move(1)
        await world.run(0.5)
    assert (await world.state(chase))["throttle"] == "scarce"
    (order,) = world.resting()
    stands = order.price
    world.market.move(3)
    await world.run(0.5)
    assert order.price == stands
    world.market.move(1)
    await world.run(0.5)
    assert order.price == world.market.bid
    world.market.move(1)
    await into(world, SLOT_MS, EDGE_S)
    state = await world.state(chase)
    assert (state["status"], state["throttle"], order.price) == ("active", "", world.market.bid)


@in_world(limits=SMALL)
async def test_health_shows_the_budget_and_entries_that_starve_raise_an_alarm(world: World) -> None:
    await world.start()
    await into(world, MINUTE_MS, 1)
    await world.chase()
    meter, now = world.sim.venue.meter, world.clock.now_ms()
    meter.count_orders(world.account, 0, meter.limits.orders_1m * 9 // 10, now)
    for _ in range(8):
        world.market.move(5)
        await world.run(5)
    shown = (await world.record("health"))["rateBudget"]
    assert (shown["orders10sLimit"], shown["orders1mLimit"], shown["waiting"]) == (20, 1200, 1)
    assert shown["orders1m"] >= 1080
    assert [alarm["code"] for alarm in await world.events("alarm")] == ["rate_starved"]
    await into(world, MINUTE_MS, 1)
    assert [alarm["cleared"] for alarm in await world.events("alarm")] == [False, True]


@in_world(limits=SMALL)
async def test_without_order_slots_at_the_venue_cancels_go_and_orders_wait_for_the_slot(world: World) -> None:
    """-1015: a neighbour took the last slots, and no answer has told us."""
    await world.start()
    await into(world, SLOT_MS, 1)
    await world.chase()
    neighbour_orders(world, 100)
    world.market.move(5)
    await world.run(1)
    sent = len(world.order_requests())
    world.market.move(5)
    await world.run(2)
    assert len(world.order_requests()) == sent
    await into(world, SLOT_MS, 1.5)
    (order,) = world.resting()
    assert order.price == world.market.bid


@in_world(limits=SMALL)
async def test_an_entry_that_waited_is_asked_again_right_before_it_leaves(world: World) -> None:
    """A halt while it stood in line: it comes back as not done."""
    daemon = await world.start()
    await into(world, SLOT_MS, 1)
    await world.chase()
    neighbour_orders(world, 95)
    world.market.move(5)
    await world.run(0.5)
    await world.run((SLOT_MS - world.clock.now_ms() % SLOT_MS) / 1000 - 1.5)
    sent = len(world.order_requests())
    await world.redis.lpush(
        "pms:cmd:chase", '{"subAccountId":"second","requestId":"w","symbol":"BTCUSDT","side":"BUY","quantity":"0.001"}'
    )
    await world.run(0.5)
    assert budget(world)["waiting"] >= 1
    daemon.halts.put(Halt(scope="all", since=daemon.desk.now(), cause="by hand"))
    await into(world, SLOT_MS, 1)
    assert "POST" not in world.order_requests()[sent:]


# --- the kill switch ------------------------------------------------------------------------------------


async def two_hundred(world: World) -> int:
    """170 resting orders on two symbols and 30 more whose placing the venue has not answered; how many in all."""
    await world.start()
    for symbol, price in (("BTCUSDT", 61000), ("ETHUSDT", 3000)):
        levels = [{"price": f"{price - step}.0", "quantity": "0.010"} for step in range(85)]
        reply = await world.command("scale", symbol=symbol, side="BUY", levels=levels, wait_s=60, leverage=50)
        assert reply["placed"] == 85, reply
    world.fault("POST", delay_after_ms=1500, count=30)
    for step in range(30):
        body = {"subAccountId": "main", "requestId": f"slow-{step}", "symbol": "BTCUSDT", "side": "BUY"}
        body |= {"quantity": "0.010", "price": f"{60000 - step}.0", "leverage": 50}
        await world.redis.xadd("pms:commands", {"type": "limit", "body": json.dumps(body)})
    await world.until(lambda: len(world.resting()) == 115, 3)
    return 200


def alive(world: World) -> int:
    return len(world.resting()) + len(world.resting("ETHUSDT"))


@in_world(symbols=("BTCUSDT", "ETHUSDT"))
async def test_two_hundred_orders_with_thirty_in_flight_and_no_budget_left_are_gone_within_a_second(
    world: World,
) -> None:
    await two_hundred(world)
    neighbour_weighs(world, 80)
    neighbour_orders(world, 100)
    await learn(world)
    refused = Refusals(world)
    began = world.clock.monotonic()
    await world.redis.lpush("pms:cmd:halt", '{"requestId":"stop"}')
    await world.until(lambda: alive(world) == 0, 2)
    assert world.clock.monotonic() - began <= 1 + EDGE_S
    assert refused.count == 0
    await world.run(5)
    assert alive(world) == 0


@in_world(symbols=("BTCUSDT", "ETHUSDT"))
async def test_a_halt_under_429_leaves_in_the_first_100_ms_after_the_time_that_was_told(world: World) -> None:
    await two_hundred(world)
    world.fault("DELETE", status=429, code=-1003, msg="Too many requests.", headers={"retry-after": "8"})
    world.fault("DELETE", path="/fapi/v1/batchOrders", status=429, code=-1003, msg="x", headers={"retry-after": "8"})
    began = world.clock.monotonic()
    await world.redis.lpush("pms:cmd:halt", '{"requestId":"stop"}')
    await world.until(lambda: alive(world) == 0, 12)
    assert 8 <= world.clock.monotonic() - began <= 8 + 2 * EDGE_S


@in_world(symbols=("BTCUSDT", "ETHUSDT"))
async def test_two_hundred_orders_fit_what_a_neighbour_at_95_percent_leaves(world: World) -> None:
    await two_hundred(world)
    neighbour_weighs(world, 95)
    await learn(world)
    refused = Refusals(world)
    began = world.clock.monotonic()
    await world.redis.lpush("pms:cmd:halt", '{"requestId":"stop"}')
    await world.until(lambda: alive(world) == 0, 5)
    assert world.clock.monotonic() - began <= 2
    assert refused.count == 0
