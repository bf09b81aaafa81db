"""A scalper whose daemon dies, stops, stays away or is short of requests: it goes on with exactly what it holds."""

from __future__ import annotations

import asyncio
import json
import random
from decimal import Decimal
from typing import Any

import pytest

from pms.sim.limits import SLOT_MS, Limits
from pms.sim.model import Order
from tests.world.scalping import begin, fill, legs, record, scalper, stand, true_to_the_venue
from tests.world.test_rate import Refusals, into, neighbour_orders
from tests.world.world import World, in_world

D = Decimal
pytestmark = pytest.mark.crash
BODY = {"symbol": "BTCUSDT", "longSizeUsd": 1300, "childCount": 2, "subAccountId": "main", "requestId": "kill"}


async def only(world: World) -> str:
    """The id of the one scalper there is, empty where there is none."""
    keys = await world.redis.keys("pms:scalper:*")
    assert len(keys) <= 1, "the command was carried out twice"
    return keys[0].decode().split(":")[2] if keys else ""


def hit(world: World, order: Order, quantity: str) -> None:
    """Others trade into a leg, if it still stands."""
    if order.is_open:
        world.market.hit(order, min(D(quantity), order.remaining))


# --- SIGKILL ------------------------------------------------------------------------------------------


@in_world()
async def test_after_a_kill_the_same_legs_are_taken_up_with_what_they_filled_meanwhile(world: World) -> None:
    await begin(world)
    scalper_id = await scalper(world, childCount=2, longSizeUsd=1300)
    await fill(world, "BUY", "0.004")
    before = {order.client_id for order in world.resting()}
    await world.kill()
    hit(world, legs(world, "BUY")[0], "0.003")
    hit(world, legs(world, "SELL")[0], "0.002")
    await world.run(20)
    await world.start()
    await world.run(3)
    assert {order.client_id for order in world.resting()} == before
    state = await record(world, scalper_id)
    assert (state["status"], state["bought"], state["sold"]) == ("active", D("0.007"), D("0.002"))
    await true_to_the_venue(world, scalper_id)
    assert [order.remaining for order in legs(world, "SELL")] == [D("0.005")]


@in_world()
async def test_killed_while_it_ends_it_ends_after_the_restart(world: World) -> None:
    await begin(world)
    scalper_id = await scalper(world, childCount=3, longSizeUsd=2000)
    await fill(world, "BUY", "0.004")
    world.life.die_on = "after DELETE"
    body = {"subAccountId": "main", "requestId": "c", "scalperId": scalper_id}
    await world.redis.lpush("pms:cmd:scalper_cancel", json.dumps(body))
    await world.until(lambda: world.daemon is None, 3)
    await world.start()
    await world.until(lambda: not world.resting(), 20)
    await world.run(1)
    assert (await record(world, scalper_id))["status"] == "cancelled"
    assert not await world.redis.hlen("pms:active_chase:main")


@in_world(books=False)  # a chase without its record
async def test_a_child_whose_record_is_gone_is_replaced_and_its_order_leaves(world: World) -> None:
    await begin(world)
    scalper_id = await scalper(world)
    (order,) = world.resting()
    await world.kill()
    (key,) = await world.redis.keys("pms:chase:*")
    await world.redis.delete(key)
    await world.redis.delete("pms:active_chase:main")
    await world.start()
    await world.until(lambda: order not in world.resting(), 5)
    await world.run(4)
    await stand(world, 1, 0)
    assert (await record(world, scalper_id))["status"] == "active"


@pytest.mark.parametrize("filled", ["", "0.003"])
@in_world()
async def test_a_closing_order_of_an_unwritten_step_leaves_and_is_not_put_back(world: World, filled: str) -> None:
    """An exit does not wait for its record; here that is lost with the host's data directory."""
    await begin(world)
    scalper_id = await scalper(world)
    await stand(world, 1, 0)
    world.life.die_on = "after POST"
    world.life.spared = world.life.passed["after POST"]
    world.redis_goes()
    hit(world, legs(world, "BUY")[0], "0.010")
    await world.until(lambda: world.daemon is None, 5)
    world.redis_comes()
    (orphan,) = legs(world, "SELL")
    if filled:
        hit(world, orphan, filled)
    world.elsewhere = True
    await world.start()
    await world.run(5)
    assert orphan not in world.resting()
    owner = orphan.client_id.split("-")[2]
    assert [order for order in world.placed() if owner in order.client_id] == [orphan]
    if filled:
        assert (await world.record(f"order:{orphan.client_id}"))["flagged"], "as it stood at the venue"
    state = await record(world, scalper_id)
    assert (state["bought"], state["sold"], state["closedElsewhere"]) == (D("0.010"), 0, D(filled or 0))
    assert [order.remaining for order in legs(world, "SELL")] == [world.held()]
    await true_to_the_venue(world, scalper_id)


# --- SIGTERM and long absences ------------------------------------------------------------------------


@pytest.mark.parametrize("on_stop, buys, sells", [(None, 0, 1), ("leave", 1, 1), ("cancel", 0, 0)])
@in_world()
async def test_a_stop_is_a_checkpoint_and_the_restart_goes_on(
    world: World, on_stop: str | None, buys: int, sells: int
) -> None:
    await begin(world)
    scalper_id = await scalper(world, **({"onStop": on_stop} if on_stop else {}))
    await fill(world, "BUY", "0.004")
    await world.stop()
    assert (len(legs(world, "BUY")), len(legs(world, "SELL"))) == (buys, sells)
    await world.run(5)
    await world.start()
    await stand(world, 1, 1)
    await true_to_the_venue(world, scalper_id)
    state = await record(world, scalper_id)
    assert (state["status"], state["inventory"]) == ("active", D("0.004"))
    assert [order.remaining for order in legs(world, "BUY")] == [D("0.006")]
    await fill(world, "BUY")
    await fill(world, "SELL")
    await true_to_the_venue(world, scalper_id)


@pytest.mark.parametrize("way", ["kill", "stop"])
@in_world()
async def test_after_an_hour_away_it_comes_back_paused_with_its_closing_legs(world: World, way: str) -> None:
    await begin(world)
    scalper_id = await scalper(world, maxPositionUsd=2000)
    await fill(world, "BUY", "0.004")
    await (world.kill() if way == "kill" else world.stop())
    await world.nobody_looks(3600)
    await world.start()
    await world.until(lambda: not legs(world, "BUY"), 5)
    await world.run(2)
    state = await record(world, scalper_id)
    assert (state["status"], state["paused"], state["inventory"]) == ("paused", "down_too_long", D("0.004"))
    assert [order.remaining for order in legs(world, "SELL")] == [D("0.004")]
    alarms = [event["subject"] for event in await world.events("alarm") if event["code"] == "algo_paused"]
    assert alarms == [scalper_id], "told once, of the parent"
    await true_to_the_venue(world, scalper_id)
    assert (await world.command("algo_resume", algoId=scalper_id))["success"]
    await stand(world, 1, 1)


@in_world()
async def test_what_was_cancelled_while_nobody_watched_waits_for_a_person(world: World) -> None:
    await begin(world)
    scalper_id = await scalper(world, childCount=2, longSizeUsd=1300)
    await stand(world, 2, 0)
    await world.kill()
    world.exchange.cancel(world.account, "BTCUSDT", order_id=legs(world, "BUY")[0].order_id)
    await world.run(15)
    await world.start()
    await world.until(lambda: not world.resting(), 5)
    assert (await record(world, scalper_id))["paused"] == "child_cancelled_while_down"
    assert (await world.command("algo_resume", algoId=scalper_id))["success"]
    await stand(world, 2, 0)


# --- parts that are missing ---------------------------------------------------------------------------


@in_world(limits=Limits(orders_10s=20))
async def test_a_spent_rate_budget_throttles_it_and_it_goes_on_at_its_turn(world: World) -> None:
    await begin(world)
    refused = Refusals(world)
    await into(world, SLOT_MS, 1)
    scalper_id = await scalper(world, childCount=3, longSizeUsd=2000)
    await stand(world, 3, 0)
    neighbour_orders(world, 95)
    for _ in range(2):
        world.market.move(30)
        await world.run(0.5)
    assert (await record(world, scalper_id))["status"] == "throttled"
    await world.run(20)
    state = await record(world, scalper_id)
    assert (state["status"], refused.count) == ("active", 0)
    offsets = [slot["layer"]["offsetTicks"] for slot in state["long"]["slots"]]
    wanted = [world.market.bid - ticks * D("0.1") for ticks in offsets]
    assert [order.price for order in legs(world, "BUY")] == wanted


@in_world()
async def test_while_the_user_stream_is_away_nothing_is_started_and_afterwards_all_of_it(world: World) -> None:
    await begin(world)
    scalper_id = await scalper(world)
    await stand(world, 1, 0)
    placed = len(world.placed())
    world.sockets.down = True
    world.cut("/private")
    await world.run(0.5)
    assert (await record(world, scalper_id))["status"] == "throttled"
    hit(world, legs(world, "BUY")[0], "0.010")
    await world.run(1)
    assert len(world.placed()) == placed
    world.sockets.down = False
    await world.until(lambda: len(legs(world, "SELL")) == 1, 30)
    await true_to_the_venue(world, scalper_id)


# --- weather ------------------------------------------------------------------------------------------


FAULTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("POST", {"lose": "before"}),
    ("POST", {"lose": "after"}),
    ("DELETE", {"lose": "before"}),
    ("DELETE", {"lose": "after"}),
    ("PUT", {"lose": "after"}),
    ("POST", {"status": 400, "code": -4131, "msg": "no"}),
    ("PUT", {"status": 400, "code": -4131, "msg": "no"}),
    ("POST", {"status": 503, "msg": "Unknown error, please check your request or try again later.", "execute": True}),
    ("POST", {"status": 429, "code": -1015, "msg": "Too many new orders.", "headers": {"retry-after": "2"}}),
)


async def _stops(world: World) -> None:
    """SIGTERM; it may meet its death on the way."""
    await asyncio.wait({world.life.tasks.spawn(world.stop(), "stop")})  # ends with its life
    await world.until(lambda: world.daemon is None, 5)


@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 46))])
@in_world(seed=11)
async def test_a_storm_of_fills_moves_deaths_and_stops_leaves_it_true_to_the_venue(world: World, seed: int) -> None:
    chance = random.Random(seed)
    await begin(world)
    scalper_id = await scalper(
        world,
        childCount=3,
        longSizeUsd=2000,
        neutralMode=bool(seed % 2),
        startSide="SHORT" if seed % 3 == 2 else "LONG",
        allowLoss=chance.random() < 0.7,
        minRefillDelayMs=chance.choice((0, 400)),
        maxFillsPerMinute=chance.choice((0, 5)),
        skew=chance.choice((-40, 0, 40)),
    )
    for _ in range(120):
        if world.daemon is None:
            await world.start()
        world.market.move(chance.randint(-60, 60), chance.randint(1, 9))
        for order in world.resting():
            if chance.random() < 0.3:
                hit(world, order, chance.choice(("0.001", "0.004", "0.020")))
        match chance.randint(0, 40):
            case 0:
                world.life.die_at = len(world.life.effects) + chance.randint(1, 15)
            case 1:
                await _stops(world)
            case 2:
                world.cut("/private")
            case 3 | 4 | 5:
                method, what = chance.choice(FAULTS)
                world.fault(method, **what)
        await world.run(chance.choice((0.05, 0.4, 1.1)))
    world.heal()
    world.life.die_at = 0
    if world.daemon is None:
        await world.start()
    await world.run(60)
    state = await record(world, scalper_id)
    assert state["status"] in ("active", "paused"), state["reason"]
    assert state["totalFillCount"] >= 10
    await true_to_the_venue(world, scalper_id)
    reply = await world.command("scalper_cancel", scalperId=scalper_id, closePositions=True)
    assert reply["success"], reply
    await world.run(5)
    assert (world.resting(), world.held()) == ([], 0)
