"""The dead-man switch: what an algo of a dead daemon had resting is gone within a minute, and nothing of others."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pms.sim.model import NewOrder
from tests.world.world import World, in_world

D = Decimal
LIMIT = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010", "price": "61000"}


def timer(world: World) -> int:
    """When the venue would cancel all, 0 for never."""
    account = world.exchange._account(world.account)
    return int(account.countdowns.get("BTCUSDT", 0))


@in_world()
async def test_what_an_algo_of_a_dead_daemon_had_resting_is_gone_within_a_minute(world: World) -> None:
    daemon = await world.start()
    await world.chase()
    await world.until(lambda: timer(world), 3)
    await world.run(50)
    assert timer(world) > daemon.desk.now() + 39_000, "it is refreshed each 20 s"
    assert daemon.read_health().dead_man["BTCUSDT"] > daemon.desk.now() - 21_000
    await world.kill()
    await world.run(61)
    assert world.resting() == []


@in_world()
async def test_it_is_stopped_when_no_algo_quotes_any_more(world: World) -> None:
    await world.start()
    chase_id = await world.chase()
    await world.until(lambda: timer(world), 3)
    await world.command("chase_cancel", chaseId=chase_id)
    await world.until(lambda: not timer(world), 3)


@pytest.mark.parametrize("whose", ["by hand", "foreign"])
@in_world()
async def test_it_never_runs_where_somebody_elses_order_rests(world: World, whose: str) -> None:
    await world.start()
    await world.chase()
    await world.until(lambda: timer(world), 3)
    if whose == "by hand":
        assert (await world.command("limit", **LIMIT))["success"]
    else:
        app = NewOrder("BTCUSDT", "BUY", "LIMIT", D("0.010"), "web_1", D(61000))
        world.exchange.place(world.account, app)
    await world.until(lambda: not timer(world), 3)
    await world.kill()
    await world.run(70)
    assert len(world.resting()) == 2, "nothing is taken from anybody"


@in_world()
async def test_a_closer_of_our_own_does_not_turn_it_off(world: World) -> None:
    daemon = await world.start()
    await world.command("trade", symbol="BTCUSDT", side="BUY", quantity="0.020")
    await world.chase(side="BUY")
    await world.until(lambda: timer(world), 3)
    await world.chase(side="SELL", reduceOnly=True)
    await world.until(lambda: len(world.resting()) == 2)
    before = timer(world)
    await world.run(25)
    assert timer(world) > before, "it is refreshed beside the closer"
    assert daemon.read_health().dead_man["BTCUSDT"] > daemon.desk.now() - 21_000


@pytest.mark.parametrize("leaves", [True, False])
@in_world()
async def test_a_stop_that_leaves_an_order_on_purpose_leaves_no_timer_over_it(world: World, leaves: bool) -> None:
    await world.start()
    await world.chase(onStop="leave" if leaves else "cancel")
    await world.until(lambda: timer(world), 3)
    await world.stop()
    await world.run(70)
    assert len(world.resting()) == leaves


@in_world()
async def test_a_timer_of_a_former_life_is_stopped_where_it_is_not_wanted_now(world: World) -> None:
    await world.start()
    await world.chase()
    await world.until(lambda: timer(world), 3)
    await world.kill()
    await world.start(PMS_DEAD_MAN="auto")
    await world.command("cancel_all")
    assert (await world.command("limit", **LIMIT))["success"]
    await world.run(70)
    assert len(world.resting()) == 1


@in_world()
async def test_off_arms_nothing_and_on_arms_beside_an_order_by_hand(world: World) -> None:
    await world.start(PMS_DEAD_MAN="off")
    await world.chase()
    await world.run(5)
    assert not timer(world)
    await world.stop()
    await world.start(PMS_DEAD_MAN="on")
    await world.command("limit", **LIMIT)
    await world.until(lambda: timer(world), 5)


@in_world()
async def test_a_timer_that_is_not_confirmed_is_told_to_people_until_it_is(world: World) -> None:
    daemon = await world.start()
    await world.chase()
    await world.until(lambda: timer(world), 3)
    world.fault("POST", "/fapi/v1/countdownCancelAll", status=503, code=-1000, msg="no", count=0)
    await world.run(30)
    assert not [alarm for alarm in daemon.alarms.open.values() if alarm.code == "dead_man"]
    await world.run(35)
    assert [alarm.subject for alarm in daemon.alarms.open.values() if alarm.code == "dead_man"] == ["BTCUSDT"]
    world.heal()
    await world.run(15)
    assert not [alarm for alarm in daemon.alarms.open.values() if alarm.code == "dead_man"]


@pytest.mark.parametrize("filled", ["", "0.004"])
@in_world()
async def test_what_the_timer_took_while_we_were_dead_was_nobodys_wish(world: World, filled: str) -> None:
    """Nor where its end waits for a trade that is looked up after it."""
    await world.start()
    chase = await world.chase()
    await world.until(lambda: timer(world), 3)
    await world.kill()
    if filled:
        world.market.hit(world.resting()[0], filled)
    await world.run(100)
    assert world.resting() == []
    await world.start()
    await world.until(world.resting, 5)
    assert (await world.state(chase))["status"] == "active"


@in_world()
async def test_what_a_person_took_while_we_were_dead_stays_away(world: World) -> None:
    await world.start()
    chase = await world.chase()
    await world.until(lambda: timer(world), 3)
    await world.kill()
    await world.run(10)
    world.exchange.cancel_all(world.account, "BTCUSDT")
    await world.run(90)
    await world.start()
    await world.run(5)
    state = await world.state(chase)
    assert (state["status"], state["paused"]) == ("paused", "child_cancelled_while_down")
    assert world.resting() == []


@in_world()
async def test_what_the_timer_took_from_a_blind_daemon_returns(world: World) -> None:
    await world.start()
    chase = await world.chase()
    await world.until(lambda: timer(world), 3)
    world.fault("POST", "/fapi/v1/countdownCancelAll", status=503, code=-1000, msg="no", count=0)
    await world.run(85)
    world.heal()
    assert (await world.state(chase))["status"] == "active"
    assert len(world.resting()) == 1
