"""The daemon dies, or is stopped, amid a trailing stop: what it followed is known again, and the position is closed
once (execution.md 5, 14, 22, 27)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.world.stops import ends, exits, opened, ready, stop, stopped
from tests.world.world import World, in_world

D = Decimal
pytestmark = pytest.mark.crash
MINUTE_S = 60


async def away(world: World, how: str) -> None:
    """The daemon goes."""
    await (world.kill() if how == "kill" else world.stop())


# --- what prices did meanwhile ------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["kill", "stop"])
@in_world()
async def test_a_gap_through_the_trigger_fires_on_the_first_good_price(world: World, how: str) -> None:
    await ready(world)
    held = await opened(world)
    name = await stopped(world, positionId=held, callbackTicks=1000)
    await world.run(1)
    await away(world, how)
    world.market.move(-5000)
    await world.run(20)
    await world.start()
    state = await ends(world, name)
    assert (state["status"], state["reason"], state["triggeredPrice"]) == ("completed", "", D("61300.05"))
    assert state["triggeredPrice"] < state["triggerPrice"]
    assert (world.held(), len(exits(world))) == (0, 1)


@pytest.mark.parametrize("source", ["mid", "mark"])
@pytest.mark.parametrize("side, sign", [("BUY", 1), ("SELL", -1)])
@in_world()
async def test_an_hour_down_counts_the_extreme_that_was_reached_meanwhile(
    world: World, side: str, sign: int, source: str
) -> None:
    """It never pauses (execution.md 25), and its first decision knows of the high."""
    await ready(world)
    held = await opened(world, side)
    name = await stopped(world, positionId=held, callbackTicks=1000, trigger=source)
    await world.run(2)
    await world.kill()
    await world.run(600)
    world.market.move(sign * 9000)
    world.market.trade(world.market.ask if side == "BUY" else world.market.bid)
    await world.run(2)
    world.market.move(-sign * 8500)
    await world.run(3000)
    await world.start()
    await world.run(0.2)
    state = await stop(world, name)
    reached = D("61800.05") + sign * 900
    assert abs(state["extremePrice"] - reached) <= D("0.05"), "a trade is within the spread"
    assert (await ends(world, name, 3))["status"] == "completed", "the price is far beyond the trigger of that extreme"
    assert world.held() == 0


@in_world()
async def test_the_high_of_the_minute_in_which_it_began_does_not_count(world: World) -> None:
    await ready(world)
    await world.until(lambda: world.clock.now_ms() % 60_000 < 1000, 61, 0.2)
    world.market.trade("63000.0")
    held = await opened(world)
    await world.run(5)
    name = await stopped(world, positionId=held, callbackTicks=1000)
    await world.kill()
    await world.run(MINUTE_S)
    world.market.trade("61850.0")
    await world.run(2)
    await world.start()
    await world.run(1)
    assert (await stop(world, name))["extremePrice"] == D("61850.0")
    assert not exits(world)


@in_world()
async def test_an_activation_price_reached_while_down_counts(world: World) -> None:
    await ready(world)
    held = await opened(world)
    name = await stopped(world, positionId=held, callbackTicks=1000, activationPrice=62000)
    await world.kill()
    await world.run(MINUTE_S)
    world.market.trade("62100.0")
    await world.run(MINUTE_S)
    await world.start()
    state = await ends(world, name)
    assert (state["status"], state["extremePrice"]) == ("completed", D("62100.0"))


@in_world()
async def test_where_the_candles_can_not_be_read_it_goes_on_and_says_so(world: World) -> None:
    await ready(world)
    held = await opened(world)
    name = await stopped(world, positionId=held, callbackTicks=1000)
    await world.kill()
    for _ in range(40):
        world.fault("GET", "/fapi/v1/klines", status=503)
    await world.start()
    (alarm,) = await world.events("alarm")
    assert (alarm["code"], alarm["subject"]) == ("extreme_not_read", name)
    world.market.move(-1000)
    assert (await ends(world, name))["status"] == "completed"
    world.heal()


@in_world()
async def test_a_rise_within_the_last_quarter_of_a_second_survives_a_stop(world: World) -> None:
    await ready(world)
    held = await opened(world)
    name = await stopped(world, positionId=held, callbackTicks=1000)
    for _ in range(5):
        world.market.move(10)
        await world.run(0.02)
    await world.stop()
    await world.start()
    await world.run(0.1)
    assert (await stop(world, name))["extremePrice"] == D("61805.05")


# --- what became of the position meanwhile ------------------------------------------------------------


@pytest.mark.parametrize("fires", [False, True])
@in_world()
async def test_a_position_closed_by_hand_meanwhile_ends_it_with_no_order_sent(world: World, fires: bool) -> None:
    await ready(world)
    held = await opened(world)
    name = await stopped(world, positionId=held, callbackTicks=1000)
    await world.kill()
    world.market.rest(world.account, "SELL", D("61700.0"), "0.010")
    if fires:
        world.market.move(-2000)
    await world.run(20)
    await world.start()
    state = await ends(world, name)
    assert (state["status"], state["reason"], state["filledQuantity"]) == ("completed", "position_closed", 0)
    assert world.order_requests() == []
    assert world.held() == 0


@in_world()
async def test_a_position_reduced_by_hand_meanwhile_shrinks_it(world: World) -> None:
    await ready(world)
    held = await opened(world)
    name = await stopped(world, positionId=held, callbackTicks=1000)
    await world.kill()
    world.market.rest(world.account, "SELL", D("61700.0"), "0.006")
    world.market.move(-2000)
    await world.run(20)
    await world.start()
    state = await ends(world, name)
    assert (state["status"], state["quantity"], state["filledQuantity"]) == ("completed", D("0.004"), D("0.004"))
    assert world.held() == 0


@in_world()
async def test_a_fill_of_an_exit_that_was_never_recorded_is_the_stops(world: World) -> None:
    """An exit does not wait for Redis, so its id alone tells whose it was."""
    await ready(world)
    held = await opened(world)
    name = await stopped(world, positionId=held, callbackTicks=1000)
    await world.run(1)
    world.redis_goes()
    world.market.move(-1000)
    await world.until(lambda: world.held() == 0, 1)
    await world.kill()
    world.redis_comes()
    world.elsewhere = True  # without the spill file
    await world.run(15)
    await world.start()
    state = await ends(world, name)
    assert (state["status"], state["filledQuantity"]) == ("completed", D("0.010"))
    assert len(exits(world)) == 1


@pytest.mark.parametrize("moment", ["following", "triggered", "resting", "partly"])
@in_world()
async def test_stopped_in_the_middle_it_goes_on_in_the_next_life(world: World, moment: str) -> None:
    await ready(world)
    held = await opened(world)
    body = {"positionId": held, "callbackTicks": 1000, "exit": "chase", "exitDeadlineSeconds": 30}
    name = await stopped(world, **body)
    if moment != "following":
        world.market.move(-1000)
        await world.run(0.0 if moment == "triggered" else 0.5)
    if moment == "partly":
        world.market.hit(world.resting()[0], "0.004")
    await world.stop()
    if moment == "resting":
        assert [order.reduce_only for order in world.resting()] == [True], "what reduces stays (law 8)"
    await world.run(5)
    await world.start()
    if moment == "following":
        world.market.move(-1000)
    await world.run(1)
    for order in world.resting():
        world.market.hit(order, order.remaining)
    state = await ends(world, name, 40)
    assert (state["status"], state["filledQuantity"], world.held()) == ("completed", D("0.010"), 0)
    assert sum((order.filled for order in exits(world)), D(0)) == D("0.010")
