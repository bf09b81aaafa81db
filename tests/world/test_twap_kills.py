"""A TWAP over the daemon's deaths: nothing is sold twice, and what is missing is carried or named (algos.md, twap)."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.world.twaps import ENDED, begun, ended, iocs, lots, record
from tests.world.world import World, in_world

D = Decimal
HOUR_S = 3600
pytestmark = pytest.mark.crash


async def fills(world: World, seconds: float) -> None:
    """Time passes in which others trade into whatever of ours rests."""
    give_up = world.clock.monotonic() + seconds
    while world.clock.monotonic() < give_up:
        await world.run(1)
        for order in world.resting():
            world.market.hit(order, min(order.remaining, D("0.004")))


async def over(world: World, twap: str, within_s: float = 200) -> dict[str, Any]:
    """It is resumed where it came back paused, and lived to its end while its orders are traded into."""
    if (await record(world, twap))["status"] == "paused":
        assert (await world.command("twap_resume", twapId=twap))["success"]
    give_up = world.clock.monotonic() + within_s
    while (await record(world, twap))["status"] not in ENDED:
        assert world.clock.monotonic() < give_up, "it does not end"
        await fills(world, 1)
    return await record(world, twap)


# --- killed anywhere --------------------------------------------------------------------------------

ASKED: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.020", "lots": 2, "intervalSeconds": 15}


def _json(body: dict[str, Any]) -> str:
    return json.dumps({"subAccountId": "main"} | body)


@in_world()
async def test_killed_between_the_claim_and_the_answer_a_repeat_gets_the_plan_that_was_started(world: World) -> None:
    await world.start()
    world.life.die_on = "after claim"
    body = ASKED | {"jitterPct": 30, "irregular": True, "requestId": "twice"}
    await world.redis.lpush("pms:cmd:twap", _json(body))
    await world.until(lambda: world.daemon is None, 5)
    await world.start()
    reply = await world.command("twap", **body)
    assert reply["success"], reply
    (key,) = await world.redis.keys("pms:twap:*")
    assert key.decode() == f"pms:twap:{reply['twapId']}"
    await over(world, reply["twapId"])
    assert world.held() == D("0.020")
    again = await world.command("twap", **body)
    assert again["plan"] == reply["plan"]


# --- killed or stopped between lots -----------------------------------------------------------------


async def leaves(world: World, how: str) -> None:
    await (world.kill() if how == "SIGKILL" else world.stop())


@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM"])
@in_world()
async def test_slots_missed_while_down_are_carried_within_catch_up_max(world: World, how: str) -> None:
    await world.start()
    reply = await begun(world, quantity="0.100", lots=10)
    await world.run(11)
    await leaves(world, how)
    await world.run(52)
    await world.start()
    await world.run(1)
    assert [quantity for _, quantity in lots(world, reply)] == [D("0.010"), D("0.010"), D("0.030")]
    state = await ended(world, reply)
    assert (state["status"], world.held()) == ("completed", D("0.100"))
    late = lots(world, reply)[3:]
    assert late == [(70, D("0.030")), (80, D("0.010")), (90, D("0.010"))], "on the old schedule"


@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM"])
@in_world()
async def test_a_chase_at_work_is_resumed_with_its_lot(world: World, how: str) -> None:
    """Law 8: a stop takes the order away, and the same child asks for its rest again; after a kill it still rests."""
    await world.start()
    reply = await begun(world, style="chase", intervalSeconds=60)
    await world.run(1)
    (order,) = world.resting()
    world.market.hit(order, "0.004")
    await world.run(1)
    child = (await record(world, reply))["worker"]["childId"]
    await leaves(world, how)
    assert len(world.resting()) == (how == "SIGKILL")
    await world.run(15)
    for order in world.resting():
        world.market.hit(order, "0.002")
    await world.start()
    await world.run(2)
    state = await record(world, reply)
    assert state["worker"]["childId"] == child
    assert [order.remaining for order in world.resting()] == [D("0.004" if how == "SIGKILL" else "0.006")]
    state = await over(world, reply["twapId"], 300)
    assert (state["status"], world.held()) == ("completed", D("0.040"))


# --- an hour down -----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM"])
@pytest.mark.parametrize("style", ["market", "chase"])
@in_world()
async def test_after_an_hour_it_is_paused_and_a_resume_catches_up_on_the_old_schedule(
    world: World, style: str, how: str
) -> None:
    """Five lots, one in sixteen minutes: one is done, three are missed, and a slot may send two."""
    await world.start()
    reply = await begun(world, quantity="0.050", lots=5, intervalSeconds=960, style=style, catchUpMax=2)
    await fills(world, 10)
    assert world.held() == D("0.010")
    await leaves(world, how)
    await world.nobody_looks(HOUR_S)
    await world.start()
    await world.run(2)
    state = await record(world, reply)
    assert (state["status"], state["paused"], world.held()) == ("paused", "down_too_long", D("0.010"))
    assert [row["code"] for row in await world.events("alarm")] == ["algo_paused"]
    assert world.resting() == []
    assert (await world.command("twap_resume", twapId=reply["twapId"]))["success"]
    state = await over(world, reply["twapId"], 300)
    assert (state["status"], state["filledLots"], world.held()) == ("completed", 5, D("0.050"))
    asked = [order.quantity for order in world.placed()]
    assert asked == [D("0.010"), D("0.020"), D("0.020")]
    last = (world.placed()[-1].created_at - reply["plan"][0]["dueAt"]) / 1000
    assert last == pytest.approx(3840, abs=1), "the slot that was the last anyway"


@in_world()
async def test_a_child_that_filled_while_down_is_booked_before_anything_is_carried(world: World) -> None:
    await world.start()
    reply = await begun(world, quantity="0.040", lots=4, intervalSeconds=1200, style="chase")
    await world.run(2)
    (order,) = world.resting()
    await world.kill()
    await world.run(30)  # the dead-man timer leaves it for a minute
    world.market.hit(order, "0.010")
    await world.run(3570)
    await world.start()
    await world.run(20)
    state = await record(world, reply)
    assert (state["status"], state["filledQuantity"], state["filledLots"]) == ("paused", D("0.010"), 1)
    assert (await world.command("twap_resume", twapId=reply["twapId"]))["success"]
    await world.run(2)
    assert world.resting()[0].quantity == D("0.030")


@in_world()
async def test_what_only_reduces_goes_on_by_itself_after_an_hour(world: World) -> None:
    await world.start()
    await world.command("trade", symbol="BTCUSDT", side="BUY", quantity="0.100")
    reply = await begun(
        world, side="SELL", quantity="0.100", lots=5, intervalSeconds=960, reduceOnly=True, catchUpMax=2
    )
    await world.run(5)
    await world.kill()
    await world.nobody_looks(HOUR_S)
    await world.start()
    await world.run(2)
    assert world.held() == D("0.040"), "one lot before, two carried"
    state = await ended(world, reply, 300)
    assert (state["status"], world.held()) == ("completed", 0)


@in_world()
async def test_a_life_that_begins_after_twice_the_schedule_only_names_what_is_missing(world: World) -> None:
    await world.start()
    reply = await begun(world, lots=4, intervalSeconds=60)
    await world.run(61)
    await world.kill()
    await world.nobody_looks(HOUR_S)
    await world.start()
    state = await ended(world, reply, 2)
    assert (state["status"], state["residual"], world.held()) == ("expired", D("0.020"), D("0.020"))
    assert len(iocs(world)) == 2


@in_world()
async def test_a_paused_one_stays_paused_over_a_restart(world: World) -> None:
    await world.start()
    reply = await begun(world)
    assert (await world.command("twap_pause", twapId=reply["twapId"]))["success"]
    await world.stop()
    await world.start()
    await world.run(20)
    state = await record(world, reply)
    assert (state["status"], state["paused"], len(world.placed())) == ("paused", "paused_by_command", 1)


@pytest.mark.parametrize("moved_while", ["alive", "down"])
@in_world()
async def test_only_a_price_that_moved_while_it_was_down_pauses_it(world: World, moved_while: str) -> None:
    """Execution.md 25, with lots far apart: what it saw while it lived is no surprise to the next life."""
    await world.start()
    reply = await begun(world, intervalSeconds=600)
    await world.run(5)
    if moved_while == "alive":
        world.market.quote("62500.0", "62505.0")
        await world.run(1)
    await world.stop()
    world.market.quote("62500.0", "62505.0")
    await world.run(5)
    await world.start()
    await world.run(1)
    state = await record(world, reply)
    assert state["paused"] == ("" if moved_while == "alive" else "price_moved_too_far")
