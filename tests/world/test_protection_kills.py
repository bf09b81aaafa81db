"""The daemon dies, or is stopped, while positions are protected: what lives at the venue closes exactly them, and the
next life books it (algos.md, Protection; execution.md 13, 14, 22, 29)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.world.stops import opened, position, ready, stopped
from tests.world.test_protection import over, protected, record, standing
from tests.world.test_sub_accounts import by_hand
from tests.world.world import World, in_world

D = Decimal
ENTRY = {"symbol": "BTCUSDT", "side": "BUY", "subAccountId": "main", "stopLoss": 61000, "takeProfit": 63000}
pytestmark = pytest.mark.crash


async def away(world: World, how: str) -> None:
    """The daemon goes."""
    await (world.kill() if how == "kill" else world.stop())


async def nothing_is_left(world: World) -> None:
    """No position, no order, no algo."""
    assert world.held() == 0
    assert not world.waiting()
    assert not world.resting()
    for kind in ("algo", "chase", "trail_stop", "twap"):
        assert await world.redis.hgetall(f"pms:active_{kind}:main") == {}, kind


def sold(world: World) -> Decimal:
    return sum((order.filled for order in world.placed() if order.side == "SELL"), D(0))


@pytest.mark.parametrize("how", ["kill", "stop"])
@in_world()
async def test_with_every_exit_armed_the_market_falls_through_while_we_are_dead(world: World, how: str) -> None:
    """Long, with a stop, a take-profit, a trailing stop with its backstop, and a chase that buys more. The venue closes
    exactly the position, the timer takes the chase away, and the next life ends every algo with nothing sold twice."""
    await ready(world)
    held = await opened(world)
    stop = await protected(world, positionId=held, triggerPrice=61000)
    take = await protected(world, "take_profit", positionId=held, triggerPrice=63000)
    trail = await stopped(world, positionId=held, callbackPct=1)
    chase = await world.chase(quantity="0.010", stalkOffsetTicks=30_000)
    await world.run(25)
    assert len(world.waiting()) == 3
    assert len(world.resting()) == 1
    await away(world, how)
    world.market.move(-15_000)
    await world.run(2)
    assert world.held() == 0, "the stop at the venue has closed it"
    await world.run(60)
    assert not world.resting(), "the timer, or the stop, took the chase away"
    assert sold(world) == D("0.010")
    await world.start()
    assert (await over(world, stop))["filledQuantity"] == D("0.010")
    assert (await over(world, take))["reason"] == "position_closed"
    await world.until(lambda: not world.waiting())
    if how == "kill":
        await world.until(lambda: not world.resting())
    await world.command("chase_cancel", chaseId=chase)
    await world.run(1)
    assert (await world.record(f"trailstop:{trail}"))["status"] == "completed"
    assert sold(world) == D("0.010"), "nothing is sold twice"
    await nothing_is_left(world)


@in_world()
async def test_a_stop_of_the_process_keeps_protection_and_takes_a_guarded_entry_away(world: World) -> None:
    await ready(world)
    reply = await world.command("limit", quantity="0.010", price="61790.0", **ENTRY)
    (resting,) = world.resting()
    world.market.hit(resting, "0.004")
    await world.until(lambda: len(world.waiting()) == 2)
    await world.stop()
    assert not world.resting(), "nothing could be armed for what it fills"
    assert [quantity for _, _, quantity in standing(world)] == [D("0.004"), D("0.004")]
    await world.run(600)
    await world.start()
    await world.run(1)
    assert [quantity for _, _, quantity in standing(world)] == [D("0.004"), D("0.004")], "never paused"
    assert (await world.record(f"order:{reply['clientOrderId']}"))["state"] == "cancelled"
    world.market.move(-9000)
    await world.until(lambda: world.held() == 0)
    await world.until(lambda: not world.waiting())
    await nothing_is_left(world)


@in_world()
async def test_what_an_entry_fills_while_we_are_dead_is_protected_by_the_next_life(world: World) -> None:
    await ready(world)
    await world.command("limit", quantity="0.010", price="61790.0", **ENTRY)
    await world.run(3)
    (resting,) = world.resting()
    world.market.hit(resting, "0.004")
    await world.until(lambda: len(world.waiting()) == 2)
    await world.kill()
    world.market.hit(resting, "0.003")
    await world.start()
    await world.until(lambda: [q for _, _, q in standing(world)] == [D("0.007"), D("0.007")])
    await world.kill()
    await world.run(90)
    assert not world.resting(), "a guarded entry stands under the timer"
    await world.start()
    await world.run(1)
    assert [quantity for _, _, quantity in standing(world)] == [D("0.007"), D("0.007")]
    assert (await position(world))["quantity"] == D("0.007")


@pytest.mark.parametrize("how", ["kill", "stop"])
@in_world()
async def test_a_chase_and_its_protection_go_on_together(world: World, how: str) -> None:
    await ready(world)
    reply = await world.command("chase", quantity="0.010", **ENTRY)
    await world.until(lambda: bool(world.resting()))
    world.market.hit(world.resting()[0], "0.004")
    await world.until(lambda: [q for _, _, q in standing(world)] == [D("0.004"), D("0.004")])
    await away(world, how)
    assert [quantity for _, _, quantity in standing(world)] == [D("0.004"), D("0.004")]
    await world.run(20)
    await world.start()
    await world.until(lambda: bool(world.resting()), 20)
    world.market.hit(world.resting()[0], "0.003")
    await world.until(lambda: [q for _, _, q in standing(world)] == [D("0.007"), D("0.007")])
    world.market.move(15_000)
    await world.until(lambda: world.held() == 0)
    assert (await world.ends(reply["chaseId"]))["reason"] == "protection_triggered"
    await world.until(lambda: not world.waiting())
    await nothing_is_left(world)


@pytest.mark.parametrize("moment", ["entered", "placed", "moved", "cancelled"])
@in_world()
async def test_a_death_in_the_middle_of_a_request_leaves_one_order_a_leg(world: World, moment: str) -> None:
    await ready(world)
    held = await opened(world)
    if moment == "entered":
        await world.command("trade", quantity="0.010", **ENTRY)
        await world.kill()
        await world.start()
        await world.until(lambda: len(world.waiting()) == 2)
        return
    name = await protected(world, positionId=held, triggerPrice=61000)
    (client_id,) = [one.client_id for one in world.waiting()]
    if moment == "moved":
        await world.command("amend", clientOrderId=client_id, price=61500)
    elif moment == "cancelled":
        await world.command("cancel", clientOrderId=client_id)
    await world.kill()
    await world.start()
    await world.run(15)
    if moment == "cancelled":
        assert not world.waiting()
        assert (await record(world, name))["status"] == "cancelled"
    else:
        trigger = D(61500) if moment == "moved" else D(61000)
        assert standing(world) == [("SELL", trigger, D("0.010"))]


@pytest.mark.parametrize("how", ["hand", "liquidated", "deleveraged", "flipped"])
@in_world()
async def test_a_position_that_others_close_with_every_exit_armed_opens_nothing(world: World, how: str) -> None:
    await ready(world)
    held = await opened(world)
    await protected(world, positionId=held, triggerPrice=61000)
    await protected(world, "take_profit", positionId=held, triggerPrice=63000)
    await stopped(world, positionId=held, callbackPct=1)
    await world.chase(side="SELL", quantity="0.010", reduceOnly=True, stalkOffsetTicks=3000)
    await world.run(1)
    assert len(world.waiting()) == 3
    if how == "hand":
        by_hand(world, "SELL", "0.010")
    elif how == "flipped":
        await world.command("trade", symbol="BTCUSDT", side="SELL", quantity="0.020")
    elif how == "liquidated":
        world.exchange.liquidate(world.account)
    else:
        world.exchange.adl(world.account, "BTCUSDT", D("0.010"))
    await world.until(lambda: not world.waiting())
    left = D("-0.010") if how == "flipped" else D(0)
    for ticks in (-15_000, 40_000):
        world.market.move(ticks)
        await world.run(2)
        assert world.held() == left, "nothing is opened"
    await world.run(60 if how == "liquidated" else 0)  # what the insurance paid is told by the minute
    assert await world.redis.hgetall("pms:active_algo:main") == {}
    assert await world.redis.hgetall("pms:active_trail_stop:main") == {}


@pytest.mark.parametrize("second", ["another stop", "a take-profit"])
@in_world()
async def test_what_others_hold_on_the_same_side_is_never_sold_while_we_are_dead(world: World, second: str) -> None:
    """The venue's flag bounds the account's net, and another sub-account's long is a part of it: of two orders that
    each close all of ours only one may stand there, since the second would sell theirs."""
    await ready(world)
    ours = await opened(world)
    theirs = await opened(world, "BUY", "0.010", "other")
    older = await protected(world, positionId=ours, triggerPrice=61000)
    if second == "another stop":
        await protected(world, positionId=ours, triggerPrice=60500)
    else:
        await protected(world, "take_profit", positionId=ours, triggerPrice=62500)
    await world.run(1)
    assert standing(world) == [("SELL", D(61000), D("0.010"))]
    await world.kill()
    world.market.move(15_000)
    await world.run(2)
    world.market.move(-30_000)
    await world.run(2)
    assert world.held() == D("0.010"), "ours is closed, theirs stands"
    await world.start()
    assert (await over(world, older))["filledQuantity"] == D("0.010")
    assert (await position(world))["quantity"] == 0
    assert ((await position(world, "other"))["positionId"], world.held()) == (theirs, D("0.010"))
    await world.until(lambda: not world.waiting())


@in_world()
async def test_alone_on_its_side_both_orders_of_a_position_stand_at_the_venue(world: World) -> None:
    await ready(world)
    ours = await opened(world)
    await protected(world, positionId=ours, triggerPrice=61000)
    await protected(world, "take_profit", positionId=ours, triggerPrice=62500)
    await world.run(1)
    assert [trigger for _, trigger, _ in standing(world)] == [D(61000), D(62500)]
    await opened(world, "BUY", "0.010", "other")
    await world.until(lambda: [trigger for _, trigger, _ in standing(world)] == [D(61000)], 3)
    assert (await world.command("close_all", subAccountId="other"))["success"]
    await world.until(lambda: len(standing(world)) == 2, 5)
