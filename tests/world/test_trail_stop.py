"""trail_stop on the whole stack: what it follows, when it closes, and that it closes no more than there is."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.world.stops import ends, exits, opened, position, ready, stop, stopped
from tests.world.world import World, in_world

D = Decimal


@pytest.mark.parametrize("side, sign", [("BUY", 1), ("SELL", -1)])
@in_world()
async def test_it_follows_the_best_price_and_closes_at_its_distance(world: World, side: str, sign: int) -> None:
    await ready(world)
    held = await opened(world, side)
    reply = await world.command("trail_stop", positionId=held, callbackTicks=1000)
    closing = "SELL" if side == "BUY" else "BUY"
    assert (reply["symbol"], reply["side"], reply["quantity"], reply["activated"]) == (
        "BTCUSDT",
        closing,
        D("0.010"),
        True,
    )
    assert reply["extremePrice"] == D("61800.05")
    assert reply["triggerPrice"] == D("61800.05") - sign * 100
    name = reply["trailStopId"]
    world.market.move(sign * 5000)
    await world.run(1)
    state = await stop(world, name)
    assert state["extremePrice"] == D("61800.05") + sign * 500
    world.market.move(-sign * 999)
    await world.run(1)
    assert (await stop(world, name))["status"] == "active"
    world.market.move(-sign)
    state = await ends(world, name)
    assert (state["status"], state["reason"], state["filledQuantity"]) == ("completed", "", D("0.010"))
    assert state["triggeredPrice"] == D("61800.05") + sign * 400
    assert world.held() == 0
    (order,) = exits(world)
    assert order.side == closing
    told = [event["type"] for event in await world.events() if event["type"].startswith("trail_stop_")]
    assert told[0] == "trail_stop_started"
    assert told.count("trail_stop_triggered") == 1
    assert told[-1] == "trail_stop_completed"
    (done,) = await world.events("trail_stop_completed")
    assert done["fees"]["USDT"] > 0
    assert (done["arrivalMid"], done["residual"]) == (state["triggeredPrice"], 0)
    assert (done["avgPrice"], done["filledQuantity"]) == (done["arrivalMid"] - sign * D("0.05"), D("0.010"))
    assert done["slippageBps"] == D("0.01"), "half a tick of 62200"
    (sent,) = (
        await world.events("order_filled")
        if len(exits(world)) == 2
        else [event for event in await world.events("order_filled") if event["origin"] == "TRAIL_STOP"]
    )
    assert (sent["parentId"], sent["rootId"]) == (name, name)
    assert await world.redis.hgetall("pms:active_trail_stop:main") == {}


@pytest.mark.parametrize("side, sign", [("BUY", 1), ("SELL", -1)])
@in_world()
async def test_with_an_activation_price_it_begins_to_follow_there(world: World, side: str, sign: int) -> None:
    await ready(world)
    held = await opened(world, side)
    activation = str(D("61800.05") + sign * 100)
    name = await stopped(world, positionId=held, callbackTicks=500, activationPrice=activation)
    assert not (await stop(world, name))["activated"]
    world.market.move(-sign * 3000)
    await world.run(1)
    assert not exits(world), "it protects nothing yet"
    world.market.move(sign * 4500)
    await world.run(1)
    state = await stop(world, name)
    assert (state["activated"], state["extremePrice"]) == (True, D("61800.05") + sign * 150)
    world.market.move(-sign * 500)
    assert (await ends(world, name))["status"] == "completed"
    assert world.held() == 0


@in_world()
async def test_an_extreme_and_a_touch_that_only_conflated_quotes_saw_count(world: World) -> None:
    """All moves of one moment reach the stop as one quote."""
    await ready(world)
    held = await opened(world)
    name = await stopped(world, positionId=held, callbackTicks=1000)
    world.market.move(3000)
    world.market.move(-2500)
    await world.run(1)
    assert (await stop(world, name))["extremePrice"] == D("62100.05")
    world.market.move(-500)  # 100.0 below the extreme is 62000.05
    state = await ends(world, name)
    assert state["status"] == "completed"
    held = await opened(world)
    name = await stopped(world, positionId=held, callbackTicks=1000)
    world.market.move(-1000)
    world.market.move(2000)
    state = await ends(world, name)
    assert (state["status"], state["triggeredPrice"]) == ("completed", state["triggerPrice"])


@pytest.mark.parametrize("side, sign", [("BUY", 1), ("SELL", -1)])
@in_world()
async def test_on_the_touch_it_sees_each_side_between_two_quotes(world: World, side: str, sign: int) -> None:
    """The mid stays where it is; only one side moves, and comes back within the same moment."""
    await ready(world, "61800.0", "61900.0")
    held = await opened(world, side)
    name = await stopped(world, positionId=held, callbackTicks=1000, trigger="touch")
    start = D("61800.0") if side == "BUY" else D("61900.0")
    assert (await stop(world, name))["extremePrice"] == start
    world.market.quote("61700.0", "62000.0")
    world.market.quote("61800.0", "61900.0")
    state = await ends(world, name)
    assert (state["status"], state["triggeredPrice"]) == ("completed", start - sign * 100)


@in_world()
async def test_on_the_mark_it_looks_at_the_mark_alone(world: World) -> None:
    await ready(world)
    held = await opened(world)
    name = await stopped(world, positionId=held, callbackTicks=1000, trigger="mark")

    async def priced() -> bool:
        return bool((await stop(world, name))["activated"])

    await world.until(priced, 3)
    world.market.move(-1500)
    world.market.move(1500)
    await world.run(2)
    assert not exits(world), "no mark was there"
    world.market.move(-1000)
    state = await ends(world, name, 3)
    assert state["status"] == "completed"


@in_world()
async def test_two_stops_on_one_position_never_close_more_than_it_is(world: World) -> None:
    await ready(world)
    held = await opened(world)
    one = await stopped(world, positionId=held, callbackTicks=1000)
    other = await stopped(world, symbol="BTCUSDT", positionSide="LONG", quantity="0.006", callbackTicks=1000)
    world.market.move(-1100)
    first, second = await ends(world, one), await ends(world, other)
    assert {first["status"], second["status"]} == {"completed"}
    assert first["filledQuantity"] + second["filledQuantity"] == D("0.010")
    assert world.held() == 0
    assert sum((order.filled for order in exits(world)), D(0)) == D("0.010")


@in_world()
async def test_two_stops_that_exit_by_chase_close_it_once(world: World) -> None:
    """The second finds all of it taken, and takes it over at the market: out is out."""
    await ready(world)
    held = await opened(world)
    body = {"positionId": held, "callbackTicks": 1000, "exit": "chase"}
    one, other = await stopped(world, **body), await stopped(world, **body)
    world.market.move(-1000)
    first, second = await ends(world, one), await ends(world, other)
    assert {first["status"], second["status"]} == {"completed"}
    assert first["filledQuantity"] + second["filledQuantity"] == D("0.010")
    assert world.held() == 0
    assert world.resting() == []


@in_world()
async def test_a_stop_of_a_part_closes_its_part_and_shrinks_with_the_position(world: World) -> None:
    await ready(world)
    held = await opened(world)
    part = await stopped(world, positionId=held, quantity="0.004", callbackTicks=500)
    whole = await stopped(world, positionId=held, callbackTicks=5000)
    world.market.move(-600)
    assert (await ends(world, part))["filledQuantity"] == D("0.004")
    assert (await stop(world, whole))["quantity"] == D("0.006")
    assert (await position(world))["signedQuantity"] == D("0.006")
    world.market.move(-5000)
    assert (await ends(world, whole))["filledQuantity"] == D("0.006")
    assert world.held() == 0


@pytest.mark.parametrize("how", ["close", "app", "flip"])
@in_world()
async def test_a_position_closed_by_hand_ends_it_without_an_order(world: World, how: str) -> None:
    await ready(world)
    held = await opened(world)
    name = await stopped(world, positionId=held)
    if how == "close":
        await world.command("close", positionId=held)
    elif how == "flip":
        await world.command("trade", symbol="BTCUSDT", side="SELL", quantity="0.020")
    else:
        world.market.rest(world.account, "SELL", D("61700.0"), "0.010")
    state = await ends(world, name)
    assert (state["status"], state["reason"], state["filledQuantity"]) == ("completed", "position_closed", 0)
    sent = [event for event in await world.events("order_placed") if event["origin"] == "TRAIL_STOP"]
    assert [event["orderType"] for event in sent] == ["STOP_MARKET"], "its backstop, and no exit"
    assert not world.waiting(), "its backstop went with it"
    assert world.held() == (D("-0.010") if how == "flip" else 0)


@in_world()
async def test_an_exit_by_chase_rests_at_the_touch_until_its_deadline_then_the_market_takes_the_rest(
    world: World,
) -> None:
    await ready(world)
    held = await opened(world)
    name = await stopped(world, positionId=held, callbackTicks=1000, exit="chase", exitDeadlineSeconds=3)
    world.market.move(-1000)
    await world.until(lambda: len(world.resting()) == 1)
    (order,) = world.resting()
    assert (order.reduce_only, order.side, order.price) == (True, "SELL", world.market.ask)
    world.market.hit(order, "0.004")
    await world.run(2)
    assert world.held() == D("0.006"), "it rests"
    state = await ends(world, name, 5)
    assert (state["status"], state["filledQuantity"]) == ("completed", D("0.010"))
    assert world.held() == 0
    assert [order.time_in_force for order in exits(world)] == ["GTX", "IOC"]
    (child,) = await world.events("chase_cancelled")
    assert (child["reason"], child["filledQuantity"]) == ("deadline", D("0.004"))


@pytest.mark.parametrize("filled", ["", "0.004"])
@in_world()
async def test_an_exit_by_chase_that_somebody_takes_away_is_no_end_of_the_exit(world: World, filled: str) -> None:
    """It never gives up silently: the market takes the rest."""
    await ready(world)
    held = await opened(world)
    name = await stopped(world, positionId=held, callbackTicks=1000, exit="chase", exitDeadlineSeconds=60)
    world.market.move(-1500)
    await world.until(world.resting, 3)
    (order,) = world.resting()
    if filled:
        world.market.hit(order, filled)
    world.exchange.cancel(world.account, "BTCUSDT", order_id=order.order_id)
    state = await ends(world, name)
    assert (state["status"], state["filledQuantity"], world.held()) == ("completed", D("0.010"), 0)


@in_world()
async def test_cancelled_it_ends_and_closes_where_asked(world: World) -> None:
    await ready(world)
    held = await opened(world)
    name = await stopped(world, positionId=held)
    assert (await world.command("trail_stop_cancel", trailStopId=name))["success"]
    assert (await stop(world, name))["status"] == "cancelled"
    assert world.held() == D("0.010")
    name = await stopped(world, positionId=held)
    assert (await world.command("trail_stop_cancel", trailStopId=name, closePositions=True))["success"]
    assert world.held() == 0


@in_world()
async def test_protection_outlives_cancel_all_freeze_and_reduce_and_ends_with_close_all(world: World) -> None:
    await ready(world)
    held = await opened(world)
    await world.command("freeze")
    name = await stopped(world, positionId=held, callbackTicks=1000)
    await world.command("cancel_all")
    assert (await stop(world, name))["status"] == "active"
    assert (await world.command("cancel_all", includeProtection=True))["stoppedAlgos"] == [name]
    assert (await stop(world, name))["status"] == "cancelled"
    name = await stopped(world, positionId=held, callbackTicks=1000)
    await world.command("halt", scope="all")
    assert (await stop(world, name))["status"] == "active"
    world.market.move(-1000)
    assert (await ends(world, name))["status"] == "completed"
    assert world.held() == 0


@in_world()
async def test_close_all_ends_it_and_closes(world: World) -> None:
    await ready(world)
    held = await opened(world)
    name = await stopped(world, positionId=held)
    reply = await world.command("close_all")
    assert (reply["closedCount"], world.held()) == (1, 0)
    assert (await stop(world, name))["status"] == "cancelled"


@in_world()
async def test_what_can_not_be_meant_is_refused(world: World) -> None:
    await ready(world)
    held = await opened(world)
    await opened(world, account="other")
    sent = len(world.placed())
    for body, code in (
        ({"positionId": "main:BTCUSDT:9"}, "POSITION_NOT_FOUND"),
        ({"positionId": "nonsense"}, "POSITION_NOT_FOUND"),
        ({"positionId": held, "positionSide": "SHORT"}, "POSITION_SIDE_MISMATCH"),
        ({"positionId": held, "subAccountId": "other"}, "NOT_OWNER"),
        ({"symbol": "BTCUSDT", "positionSide": "SHORT"}, "POSITION_SIDE_MISMATCH"),
        ({"symbol": "BTCUSDT"}, "MISSING_FIELD"),
        ({}, "MISSING_FIELD"),
        ({"symbol": "NOPEUSDT", "positionSide": "LONG"}, "UNKNOWN_SYMBOL"),
        ({"positionId": held, "quantity": "0.0015"}, "QUANTITY_OFF_GRID"),
        ({"positionId": held, "callbackPct": "0.01"}, "INVALID_FIELD"),
        ({"positionId": held, "callbackPct": 51}, "INVALID_FIELD"),
        ({"positionId": held, "callbackPct": 1, "callbackTicks": 5}, "INVALID_FIELD"),
        ({"positionId": held, "callbackAbs": 70000}, "INVALID_FIELD"),
        ({"positionId": held, "callbackAbs": 70, "activationPrice": 60}, "INVALID_FIELD"),
        ({"positionId": held, "trigger": "last"}, "INVALID_FIELD"),
        ({"positionId": held, "backstopPct": 1}, "INVALID_FIELD"),
        ({"positionId": held, "backstopPct": "0.5", "callbackTicks": 5000}, "INVALID_FIELD"),
        ({"positionId": held, "backstopPct": 101}, "INVALID_FIELD"),
        ({"positionId": held, "backstopPct": -1}, "INVALID_FIELD"),
    ):
        reply = await world.command("trail_stop", **body)
        assert (reply["success"], reply.get("errorCode")) == (False, code), (body, reply)
        if code != "MISSING_FIELD" and "subAccountId" not in body:
            asked = await world.command("validate", command={"type": "trail_stop"} | body)
            assert [error["errorCode"] for error in asked.get("errors", [{"errorCode": asked.get("errorCode")}])] == [
                code
            ], body
    assert len(world.placed()) == sent
    assert await world.redis.hgetall("pms:active_trail_stop:main") == {}
    reply = await world.command("trail_stop_cancel", trailStopId="s000000000")
    assert reply["errorCode"] == "ALGO_NOT_FOUND"


@in_world()
async def test_it_needs_no_price_to_begin_and_works_from_the_first_one(world: World) -> None:
    await ready(world)
    held = await opened(world)
    world.mute("/public")
    world.mute("/market")
    world.market.frozen = True
    await world.until(lambda: world.daemon.market.quote("BTCUSDT") is None, 10)
    reply = await world.command("trail_stop", positionId=held, callbackTicks=1000)
    assert reply["success"], reply
    assert (reply["extremePrice"], reply["activated"]) == (0, False)


@in_world()
async def test_validate_tells_where_it_would_begin_and_sends_nothing(world: World) -> None:
    await ready(world)
    held = await opened(world)
    told = await world.command("validate", command={"type": "trail_stop", "positionId": held})
    assert told["valid"], told
    assert told["computedValues"]["extremePrice"] == D("61800.05")
    assert told["computedValues"]["backstopPrice"] == D("60564.0")
    (order,) = told["computedValues"]["actions"]
    assert (order["action"], order["orderType"], order["triggerPrice"]) == ("place", "STOP_MARKET", D("60564.0"))
    assert not world.waiting()
    told = await world.command("validate", command={"type": "trail_stop", "positionId": held, "backstopPct": 0})
    assert (told["computedValues"]["actions"], told["computedValues"]["backstopPrice"]) == ([], 0)
    assert await world.redis.hgetall("pms:active_trail_stop:main") == {}


@in_world()
async def test_a_repeated_command_starts_one_stop(world: World) -> None:
    await ready(world)
    held = await opened(world)
    first = await world.command("trail_stop", positionId=held, requestId="once")
    again = await world.command("trail_stop", positionId=held, requestId="once")
    assert first == again
    assert len(await world.redis.hgetall("pms:active_trail_stop:main")) == 1


@in_world()
async def test_a_rally_writes_its_extreme_four_times_a_second_and_tells_of_it_once(world: World) -> None:
    await ready(world)
    held = await opened(world)
    name = await stopped(world, positionId=held)
    before = (await stop(world, name))["rev"]
    for _ in range(100):
        world.market.move(1)
        await world.run(0.05)
    written = (await stop(world, name))["rev"] - before
    assert 15 <= written <= 20
    assert len(await world.events("trail_stop_progress")) <= 6
    await world.run(0.5)
    assert (await stop(world, name))["extremePrice"] == D("61810.05")
