"""The backstop on the whole stack: a dead daemon is not a naked position, and nobody sells what is another's (algos.md,
trail_stop; execution.md 13, 14, 24, 27, 29)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from pms.cli import protected
from pms.cli.feed import read
from pms.cli.protected import Protected
from tests.world.stops import ends, exits, opened, position, ready, stop, stopped
from tests.world.world import World, in_world

D = Decimal
BEHIND = {"callbackTicks": 1000}  # the trigger 100 behind the extreme, the backstop 200


async def backed(world: World, held: str, **body: Any) -> str:
    """A stop whose backstop stands at the venue; its id."""
    name = await stopped(world, positionId=held, **BEHIND | body)
    await world.until(lambda: [row for row in world.waiting() if name in row.client_id])
    await world.run(0.1)
    return name


def prices(world: World) -> list[Decimal]:
    """The trigger prices that wait at the venue."""
    return [row.new.trigger for row in world.waiting()]


async def away(world: World, how: str) -> None:
    await (world.kill() if how == "kill" else world.stop())


def falls(world: World, sign: int = 1, ticks: int = 3000) -> None:
    """The market falls through everything; others trade there."""
    world.market.move(-sign * ticks)
    world.market.trade(world.market.bid)


# --- nobody is there ----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["kill", "stop"])
@pytest.mark.parametrize("trigger, working", [("mid", "CONTRACT_PRICE"), ("mark", "MARK_PRICE")])
@pytest.mark.parametrize("side, sign", [("BUY", 1), ("SELL", -1)])
@in_world()
async def test_with_the_daemon_dead_it_closes_the_position_and_the_next_start_books_it(
    world: World, how: str, trigger: str, working: str, side: str, sign: int
) -> None:
    await ready(world)
    held = await opened(world, side)
    name = await stopped(world, positionId=held, **BEHIND | {"trigger": trigger})
    await world.run(1.5)
    (row,) = world.waiting()
    mark = D("61800.05")
    assert (row.new.working, row.new.quantity, row.new.reduce_only) == (working, D("0.010"), True)
    assert abs(row.new.trigger - (mark - sign * 200)) <= D("0.1")
    await away(world, how)
    assert world.waiting() == [row], "deploying never removes protection"
    falls(world, sign)
    await world.run(2)
    assert world.held() == 0
    await world.start()
    state = await ends(world, name)
    assert (state["status"], state["reason"], state["triggeredBy"]) == ("completed", "backstop", "backstop")
    assert (state["filledQuantity"], state["residual"]) == (D("0.010"), 0)
    assert [order.filled for order in exits(world)] == [D("0.010")]
    assert (await position(world))["quantity"] == 0
    (told,) = await world.events("trail_stop_completed")
    assert (told["triggeredBy"], told["filledQuantity"]) == ("backstop", D("0.010"))
    (filled,) = [event for event in await world.events("order_filled") if event["parentId"] == name]
    assert filled["clientOrderId"] == row.client_id, "the evidence: its own id on the fill"


@in_world()
async def test_two_stops_on_one_position_leave_one_position_to_sell_at_the_venue(world: World) -> None:
    await ready(world)
    held = await opened(world)
    one = await backed(world, held, quantity="0.007")
    other = await stopped(world, positionId=held, **BEHIND)
    await world.run(0.5)
    assert sum(row.new.quantity for row in world.waiting()) == D("0.010")
    await world.kill()
    falls(world)
    await world.run(2)
    assert world.held() == 0
    await world.start()
    states = [await ends(world, one), await ends(world, other)]
    assert [(state["status"], state["filledQuantity"]) for state in states] == [
        ("completed", D("0.007")),
        ("completed", D("0.003")),
    ]
    assert sum(order.filled for order in exits(world)) == D("0.010")


@in_world()
async def test_the_part_of_one_that_ends_goes_to_the_other(world: World) -> None:
    await ready(world)
    held = await opened(world)
    one = await backed(world, held)
    other = await stopped(world, positionId=held, callbackTicks=2000)
    await world.run(0.5)
    assert [row.new.quantity for row in world.waiting()] == [D("0.010")]
    assert (await stop(world, other))["backstops"] == []
    await world.command("trail_stop_cancel", trailStopId=one)
    await world.until(world.waiting)
    (row,) = world.waiting()
    assert (other in row.client_id, row.new.quantity) == (True, D("0.010"))


@pytest.mark.parametrize("theirs", ["BUY", "SELL"])
@in_world()
async def test_beside_another_sub_account_each_closes_its_own_from_the_venue(world: World, theirs: str) -> None:
    """Of opposite positions only the net can be closed under the venue's flag: the rest is the daemon's."""
    await ready(world)
    held = await opened(world)
    them = await opened(world, theirs, "0.006", "other")
    ours = await backed(world, held)
    await world.run(2.5)
    hers = await stopped(world, positionId=them, subAccountId="other", **BEHIND)
    await world.run(2.5)
    sizes = {owner: [row.new.quantity for row in world.waiting() if owner in row.client_id] for owner in (ours, hers)}
    assert sizes == {ours: [D("0.010")], hers: [D("0.006")]} if theirs == "BUY" else {ours: [D("0.004")], hers: []}
    assert all(row.new.reduce_only for row in world.waiting())
    await world.kill()
    falls(world)
    await world.run(2)
    left = D(0) if theirs == "BUY" else D("0.006")
    assert world.held() == 0
    await world.start()
    if theirs == "BUY":
        assert (await ends(world, hers))["filledQuantity"] == D("0.006")
    state = await ends(world, ours, 20)
    assert (state["status"], state["filledQuantity"]) == ("completed", D("0.010"))
    assert (await position(world))["quantity"] == 0
    assert (await position(world, "other"))["quantity"] == left


@in_world()
async def test_pms_protection_says_before_what_a_death_then_shows(world: World) -> None:
    await ready(world)
    held = await opened(world)
    await backed(world, held, quantity="0.007")
    (told,) = await protection(world)
    lives = [(guard.lives, guard.what, guard.quantity) for guard in told.guards]
    assert lives == [("venue", "backstop", D("0.007")), ("daemon", "trailing stop", D("0.007"))]
    assert (told.covered, told.uncovered) == (D("0.007"), D("0.003"))
    await world.kill()
    falls(world)
    await world.run(2)
    assert world.held() == told.uncovered
    await world.start()
    (told,) = await protection(world)
    assert (told.guards, told.uncovered) == ((), D("0.003"))


@in_world()
async def test_pms_protection_shows_stop_and_take_profit_where_they_live(world: World) -> None:
    await ready(world)
    held = await opened(world)
    assert (await world.command("stop", positionId=held, triggerPrice="61000"))["success"]
    assert (await world.command("take_profit", positionId=held, triggerPrice="63000"))["success"]
    await world.until(lambda: len(world.waiting()) == 2, 5)
    await world.run(0.5)
    (told,) = await protection(world)
    assert [(guard.lives, guard.what, guard.trigger_price) for guard in told.guards] == [
        ("venue", "take-profit", 63000),
        ("venue", "stop", 61000),
    ]
    assert (told.covered, told.uncovered) == (D("0.010"), 0)
    assert told.if_we_died == "If the daemon died now, the venue would close 0.01 at 61000 (mark): all of it."


async def protection(world: World) -> list[Protected]:
    """What `pms protection` reads and tells."""
    rows: dict[str, list[Any]] = {}
    for name in ("position", "open_orders", "active_trail_stop", "active_algo"):
        keys = await world.redis.keys(f"pms:{name}:*")
        rows[name] = [read(body) for key in keys for body in (await world.redis.hgetall(key)).values()]
    return protected.of(rows["position"], rows["open_orders"], [*rows["active_trail_stop"], *rows["active_algo"]])


# --- how it moves -------------------------------------------------------------------------------------


@in_world()
async def test_it_moves_behind_the_extreme_new_before_old_and_never_leaves_a_gap(world: World) -> None:
    await ready(world)
    held = await opened(world)
    name = await backed(world, held)
    seen = set()
    for _ in range(40):
        world.market.move(50)
        world.market.trade(world.market.bid)
        await world.run(0.25)
        assert 1 <= len(world.waiting()) <= 2, "never a moment without"
        seen |= {*prices(world)}
    await world.run(3)
    extreme = (await stop(world, name))["extremePrice"]
    (price,) = prices(world)
    assert 0 <= extreme - price - 200 < 25, "a quarter of the distance at most"
    assert 4 <= len(seen) <= 7, "at most one in two seconds"
    assert not exits(world)


@in_world()
async def test_it_follows_the_position(world: World) -> None:
    await ready(world)
    held = await opened(world)
    await backed(world, held)
    await world.run(2)
    await world.command("close", positionId=held, quantity="0.004")
    await world.until(lambda: [row.new.quantity for row in world.waiting()] == [D("0.006")], 5)
    await opened(world, quantity="0.003")
    await world.run(3)
    assert [row.new.quantity for row in world.waiting()] == [D("0.006")], "a stop never grows"
    await world.command("close", positionId=held)
    await world.until(lambda: not world.waiting(), 5)


@in_world()
async def test_with_one_more_sub_account_on_the_side_the_old_one_goes_first(world: World) -> None:
    await ready(world)
    held = await opened(world)
    name = await backed(world, held)
    await opened(world, account="other")
    for _ in range(20):
        world.market.move(50)
        world.market.trade(world.market.bid)
        await world.run(0.25)
    await world.run(3)
    assert len(world.waiting()) == 1
    told = await world.events("order_placed", "order_cancelled")
    words = [event["type"] for event in told if event["parentId"] == name]
    assert words == ["order_placed", *["order_cancelled", "order_placed"] * (len(words) // 2)]
    assert len(words) >= 5


@in_world()
async def test_paused_it_stays_and_cancelled_it_goes_before_the_stop_ends(world: World) -> None:
    await ready(world)
    held = await opened(world)
    name = await backed(world, held)
    await world.command("algo_pause", algoId=name)
    await world.command("cancel_all")
    await world.run(3)
    assert len(world.waiting()) == 1
    await world.command("trail_stop_cancel", trailStopId=name)
    assert (world.waiting(), (await stop(world, name))["status"]) == ([], "cancelled")


@in_world()
async def test_one_that_a_person_takes_away_comes_back(world: World) -> None:
    await ready(world)
    held = await opened(world)
    await backed(world, held)
    await world.run(3)
    (row,) = world.waiting()
    world.exchange.cancel_conditional(row)
    await world.until(lambda: world.waiting() and world.waiting() != [row], 5)


# --- refused ------------------------------------------------------------------------------------------


@in_world()
async def test_refused_again_and_again_it_is_told_and_the_stop_goes_on_by_itself(world: World) -> None:
    await ready(world)
    held = await opened(world)
    world.fault("POST", "/fapi/v1/algoOrder", status=400, code=-4045, msg="Reach max stop order limit.", count=4)
    name = await stopped(world, positionId=held, **BEHIND)
    await world.run(7)
    alarms = [event for event in await world.events("alarm") if event["code"] == "backstop_missing"]
    assert [(alarm["subject"], alarm["cleared"]) for alarm in alarms] == [(name, False)]
    await world.until(world.waiting, 20)
    await world.run(0.5)
    alarms = [event["cleared"] for event in await world.events("alarm") if event["code"] == "backstop_missing"]
    assert alarms == [False, True]
    world.market.move(-1000)
    assert (await ends(world, name))["status"] == "completed"


@pytest.mark.parametrize("trigger, closes", [("mark", True), ("mid", False)])
@in_world()
async def test_a_trigger_that_has_passed_closes_at_once_unless_our_own_price_says_no(
    world: World, trigger: str, closes: bool
) -> None:
    await ready(world)
    held = await opened(world)
    msg = "Order would immediately trigger."
    world.fault("POST", "/fapi/v1/algoOrder", status=400, code=-2021, msg=msg, count=1)
    name = await stopped(world, positionId=held, **BEHIND | {"trigger": trigger})
    if closes:
        state = await ends(world, name)
        assert (state["triggeredBy"], state["filledQuantity"], world.held()) == ("backstop", D("0.010"), 0)
    else:
        await world.until(world.waiting, 5)
        assert world.held() == D("0.010")


# --- beside the exit ----------------------------------------------------------------------------------


@pytest.mark.parametrize("others", [False, True])
@pytest.mark.parametrize("fate", ["delayed", "lost before", "lost after", "refused"])
@in_world()
async def test_triggered_while_our_exit_is_in_flight_it_is_never_sold_twice(
    world: World, fate: str, others: bool
) -> None:
    await ready(world)
    held = await opened(world)
    if others:
        await opened(world, account="other")
    name = await backed(world, held)
    faults: dict[str, dict[str, Any]] = {
        "delayed": {"delay_before_ms": 400},
        "lost before": {"lose": "before"},
        "lost after": {"lose": "after"},
        "refused": {"status": 400, "code": -2022, "msg": "ReduceOnly Order is rejected."},
    }
    world.fault("POST", **faults[fate])
    if others:
        world.fault("DELETE", "/fapi/v1/algoOrder", delay_before_ms=150)
    world.market.move(-1000)
    await world.run(0.05)
    falls(world)
    state = await ends(world, name, 20)
    await world.run(14)  # the settle window of what was lost
    assert (state["status"], state["filledQuantity"]) == ("completed", D("0.010"))
    assert sum(order.filled for order in exits(world)) == D("0.010")
    assert (await position(world))["quantity"] == 0
    assert world.held() == (D("0.010") if others else 0)
    assert world.waiting() == []


@in_world()
async def test_with_the_exit_done_it_is_gone_before_the_stop_is(world: World) -> None:
    await ready(world)
    held = await opened(world)
    name = await backed(world, held)
    world.fault("DELETE", "/fapi/v1/algoOrder", status=503, code=-1008, msg="throttled", count=2)
    world.market.move(-1000)
    await world.until(lambda: world.held() == 0)
    await world.run(0.2)
    assert (await stop(world, name))["status"] == "stopping"
    assert len(world.waiting()) == 1
    state = await ends(world, name, 20)
    assert (state["status"], state["reason"], world.waiting()) == ("completed", "", [])


# --- a life that ends ---------------------------------------------------------------------------------


@pytest.mark.parametrize("at", ["before POST conditional", "after POST conditional", "after DELETE conditional"])
@pytest.mark.parametrize("spared", [0, 1])
@pytest.mark.parametrize("how", ["kill", "elsewhere"])
@in_world()
async def test_killed_amid_a_move_the_next_life_has_one_backstop_again(
    world: World, at: str, spared: int, how: str
) -> None:
    """`elsewhere`: on another host, without what the dead one had put aside."""
    await ready(world)
    held = await opened(world)
    world.life.die_on, world.life.spared = at, spared
    await world.redis.lpush("pms:cmd:trail_stop", _command(held))
    for _ in range(14):
        await world.run(0.5)
        world.market.move(100)
        world.market.trade(world.market.bid)
    await world.until(lambda: world.daemon is None, 5)
    world.elsewhere = how == "elsewhere"
    await world.start()
    (key,) = await world.redis.keys("pms:trailstop:*")
    name = key.decode().split(":")[2]

    async def one_again() -> bool:
        known = [one["clientOrderId"] for one in (await stop(world, name))["backstops"]]
        return len(known) == 1 and known == [row.client_id for row in world.waiting()]

    await world.until(one_again, 20)  # what may never have left is known after the settle window
    falls(world, ticks=5000)
    state = await ends(world, name)
    assert (state["status"], world.held(), world.waiting()) == ("completed", 0, [])
    assert sum(order.filled for order in exits(world)) == D("0.010")


def _command(held: str) -> str:
    return f'{{"subAccountId":"main","requestId":"k-1","positionId":"{held}","callbackTicks":1000}}'
