"""A trailing stop whose prices go away: it goes on with the next source, and says when there is none (execution.md 27);
and one whose Redis or user stream is gone (design.md, "When a part is gone")."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pms.market_data import TouchFrame
from pms.sight import BLIND_S
from tests.world.stops import ends, exits, opened, position, ready, stop, stopped
from tests.world.world import World, in_world

D = Decimal


async def book_gone(world: World) -> None:
    """The depth stream stays open and says nothing, and no other may be opened; the book is known to be stale."""
    world.mute("/public")
    world.socket_fault("/public*", refuse=503, count=0)
    await world.until(lambda: world.daemon.market.quote("BTCUSDT") is None, 10, 0.05)


def marks_gone(world: World) -> None:
    """The stream of mark prices likewise."""
    world.mute("/market")
    world.socket_fault("/market*", refuse=503, count=0)


def no_answers(world: World) -> None:
    """Questions about the price are not answered."""
    world.fault("GET", "/fapi/v1/premiumIndex", status=503, count=0)


@pytest.mark.parametrize("side, sign", [("BUY", 1), ("SELL", -1)])
@in_world()
async def test_with_the_book_stale_in_the_fall_it_fires_by_the_mark_stream(world: World, side: str, sign: int) -> None:
    await ready(world)
    held = await opened(world, side)
    name = await stopped(world, positionId=held, callbackTicks=1000)
    await book_gone(world)
    no_answers(world)
    world.market.move(sign * 500)
    await world.run(2.5)
    assert (await stop(world, name))["extremePrice"] == D("61800.05") + sign * 50, "it follows as well"
    assert (await stop(world, name))["status"] == "throttled"
    world.market.move(-sign * 1000)
    state = await ends(world, name, 3)
    assert (state["status"], state["triggeredPrice"]) == ("completed", D("61800.05") - sign * 50)
    assert world.held() == 0


@pytest.mark.parametrize("trigger", ["mid", "touch"])
@in_world()
async def test_with_the_depth_gone_it_goes_on_with_the_best_bid_and_ask(world: World, trigger: str) -> None:
    await ready(world)
    held = await opened(world)
    name = await stopped(world, positionId=held, callbackTicks=1000, trigger=trigger)
    await book_gone(world)
    no_answers(world)
    marks_gone(world)
    start = (await stop(world, name))["extremePrice"]

    def told(bid: float, ask: float, size: float = 1.0) -> None:
        now = world.clock.now_ms()
        world.daemon.market.on_touch(TouchFrame("BTCUSDT", 10_000_000 + now % 1_000_000, bid, size, ask, size, now))

    told(61_900.0, 61_900.1)
    for _ in range(5):
        await world.run(4)
        assert (await stop(world, name))["extremePrice"] == start + 100
        told(61_950.0, 61_700.0)  # crossed
        told(0.0, 61_700.0)
        told(61_700.0, 61_700.1, 0.0)  # one-sided
        told(61_899.0, 61_899.1)
    assert not (await stop(world, name))["triggeredAt"]
    assert not await world.events("protection_blind"), "it sees"
    told(61_799.9, 61_800.0)
    assert (await ends(world, name))["status"] == "completed"


@in_world()
async def test_with_the_mark_stream_silent_too_it_asks_each_second(world: World) -> None:
    await ready(world)
    held = await opened(world)
    name = await stopped(world, positionId=held, callbackTicks=1000)
    await book_gone(world)
    marks_gone(world)
    await world.run(5)
    asked = len([path for _, path in world.http.requests if path == "/fapi/v1/premiumIndex"])
    await world.run(10)
    more = len([path for _, path in world.http.requests if path == "/fapi/v1/premiumIndex"]) - asked
    assert 2 <= more <= 11, "no more than one a second"
    world.market.move(-30_000)
    state = await ends(world, name, 8)
    assert state["status"] == "completed", "the exit, too, goes by what was asked: the stream's mark is far away"
    assert world.held() == 0
    assert not await world.events("protection_blind")


@in_world()
async def test_a_book_that_is_joined_again_within_a_second_is_never_replaced_by_the_mark(world: World) -> None:
    await ready(world)
    held = await opened(world)
    name = await stopped(world, positionId=held, callbackTicks=1000)
    daemon = world.daemon
    line = daemon.market._lines["BTCUSDT"]
    world.market.frozen = True
    for _ in range(20):
        line.lost("a gap")
        daemon.market.on_mark("BTCUSDT", D("65000.0"), 0)
        world.market.frozen = False
        await world.until(lambda: daemon.market.quote("BTCUSDT") is not None, 5)
        await world.run(0.5)
    assert (await stop(world, name))["extremePrice"] == D("61800.05")
    daemon.market.on_mark("BTCUSDT", D("65000.0"), 0)
    assert (await stop(world, name))["extremePrice"] == D("61800.05"), "nor while the book is there"


@pytest.mark.parametrize("on_blind", ["hold", "close"])
@in_world()
async def test_blind_for_ten_seconds_it_is_told_and_holds_or_closes(world: World, on_blind: str) -> None:
    await ready(world)
    held = await opened(world)
    name = await stopped(world, positionId=held, callbackTicks=1000, onBlind=on_blind)
    await book_gone(world)
    marks_gone(world)
    no_answers(world)
    await world.run(BLIND_S - 4)
    assert not await world.events("protection_blind")
    await world.run(8)
    told, *more = await world.events("protection_blind") or [None]
    assert told
    assert not more
    assert (told["trailStopId"], told["positionId"], told["reason"]) == (name, held, f"on_blind_{on_blind}")
    assert (told["triggerPrice"], told["subAccountId"]) == (D("61700.05"), "main")
    alarms = [event for event in await world.events("alarm") if event["code"] == "protection_blind"]
    assert alarms[0]["subject"] == name
    if on_blind == "close":
        state = await ends(world, name)
        assert (state["status"], state["triggeredBy"], world.held()) == ("completed", "blind", 0)
    else:
        assert ((await stop(world, name))["blind"], exits(world)) == (True, [])
        world.heal()
        await world.until(lambda: world.daemon.market.quote("BTCUSDT") is not None, 60, 0.1)
        await world.run(1)
        assert not (await stop(world, name))["blind"]
        world.market.move(-1000)
        assert (await ends(world, name))["status"] == "completed"
    await world.run(1)
    alarms = [event["cleared"] for event in await world.events("alarm") if event["code"] == "protection_blind"]
    assert alarms == [False, True]


@in_world()
async def test_without_redis_the_exit_leaves_and_is_written_when_it_is_back(world: World) -> None:
    """Rule 28: nothing of an exit waits for Redis."""
    await ready(world)
    held = await opened(world)
    name = await stopped(world, positionId=held, callbackTicks=1000)
    world.redis_goes()
    await world.run(3)
    world.market.move(500)
    await world.run(1)
    world.market.move(-1000)
    await world.until(lambda: world.held() == 0, 1)
    world.redis_comes()
    state = await ends(world, name, 15)
    assert (state["status"], state["filledQuantity"], state["extremePrice"]) == (
        "completed",
        D("0.010"),
        D("61850.05"),
    )
    told = [event["type"] for event in await world.events() if event["type"].startswith("trail_stop_")]
    assert (told.count("trail_stop_triggered"), told[-1]) == (1, "trail_stop_completed")


@in_world()
async def test_without_the_user_stream_the_exit_leaves_and_its_fate_is_looked_up(world: World) -> None:
    await ready(world)
    held = await opened(world)
    name = await stopped(world, positionId=held, callbackTicks=1000)
    world.mute("/private")
    world.market.move(-1000)
    await world.until(lambda: world.held() == 0, 1)
    assert (await ends(world, name, 15))["filledQuantity"] == D("0.010")
    assert (await position(world))["quantity"] == 0


@pytest.mark.parametrize("trigger", ["mid", "touch"])
@in_world()
async def test_a_one_sided_or_crossed_book_never_triggers(world: World, trigger: str) -> None:
    await ready(world)
    held = await opened(world)
    name = await stopped(world, positionId=held, callbackTicks=1000, trigger=trigger)
    daemon = world.daemon
    newest = daemon.market._lines["BTCUSDT"].book.last_id
    for bid, ask, size in ((50_000.0, 49_000.0, 1.0), (50_000.0, 50_000.0, 1.0), (50_000.0, 50_000.1, 0.0)):
        newest += 1
        daemon.market.on_touch(TouchFrame("BTCUSDT", newest, bid, size, ask, size, world.clock.now_ms()))
    await world.run(0)
    assert not exits(world)
    assert (await stop(world, name))["triggeredAt"] == 0
