"""The guard of the whole account by the venue's own margin ratio: warned at 50 %, REDUCE at 70 %, reduced at 85 %."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from pms.core.ladder import WARN
from tests.world.test_margin_ladder import (
    BUSY,
    FAR,
    FEW,
    QUOTE,
    SIZE,
    alarm,
    begun,
    begun_exits,
    endowed,
    held,
    move,
    opened,
    ratio,
)
from tests.world.test_sub_accounts import fill
from tests.world.world import World, in_world

D = Decimal
ACCOUNT = "/fapi/v3/account"


def answers(world: World, ratio: str) -> None:
    """The venue tells this ratio from now on."""
    world.heal()
    body = {"totalMaintMargin": ratio, "totalMarginBalance": "1.00000000"}
    world.fault("GET", ACCOUNT, status=200, body=json.dumps(body), count=0)


async def ready(world: World, *sizes: tuple[str, str, str], **environment: str) -> None:
    """Sub-accounts with so much of BTCUSDT, and money enough that their own ladder has nothing to do."""
    world.market.quote(*QUOTE)
    await world.start(**environment)
    for name, side, size in sizes:
        await endowed(world, name, 100_000)
        await opened(world, name, side, size)


async def mode(world: World) -> str:
    return str((await world.record("mode"))["mode"])


async def message(world: World) -> dict[str, Any]:
    return await alarm(world, "account_margin", "account") or {}


def asked(world: World) -> int:
    return [path for _, path in world.http.requests].count(ACCOUNT)


@in_world()
async def test_at_half_of_it_the_account_is_warned_and_at_70_percent_it_may_only_reduce_until_resume(
    world: World,
) -> None:
    await ready(world, ("a", "BUY", "0.100"))
    entry = await world.chase(**FAR, subAccountId="a")
    limit = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.002", "price": 55000, "subAccountId": "a"}
    loose = await world.command("limit", **limit)
    answers(world, "0.55")
    await world.run(11)
    assert (await message(world))["severity"] == "warning"
    assert world.daemon is not None
    assert world.daemon.halts.mode == "NORMAL"
    assert len(world.resting()) == 2

    answers(world, "0.72")
    await world.run(3)
    assert (await message(world))["severity"] == "critical"
    assert await mode(world) == "REDUCE"
    assert world.resting() == []
    assert (await world.state(entry))["status"] == "blocked"
    assert (await world.record(f"order:{loose['clientOrderId']}"))["state"] == "cancelled"
    assert (await world.command("limit", **limit))["errorCode"] == "REDUCE_ONLY_MODE"
    assert held(world, "a") == D("0.100"), "nothing is closed yet"

    answers(world, "0.30")
    await world.run(3)
    assert await message(world) == {}
    assert await mode(world) == "REDUCE", "only a person takes it away"
    assert (await world.command("resume", scope="all"))["success"]
    assert await mode(world) == "NORMAL"
    await world.until(lambda: len(world.resting()) == 1, 5)
    await world.run(30)
    assert await mode(world) == "NORMAL"


@in_world()
async def test_at_85_percent_the_largest_position_goes_by_quarters_until_the_venue_is_content(world: World) -> None:
    await ready(world, ("a", "BUY", "0.800"), ("b", "BUY", "0.500"), ("c", "SELL", "0.200"))
    answers(world, "0.90")
    seen = [(D("0.800"), D("0.500"))]
    for _ in range(120):
        await world.run(0.2)
        now = held(world, "a"), held(world, "b")
        if now != seen[-1]:
            seen.append(now)
        if len(seen) == 4:
            break
    answers(world, "0.60")
    await world.run(20)
    assert seen == [
        (D("0.800"), D("0.500")),
        (D("0.600"), D("0.500")),
        (D("0.450"), D("0.500")),
        (D("0.450"), D("0.375")),
    ]
    assert (held(world, "a"), held(world, "b"), held(world, "c")) == (D("0.450"), D("0.375"), D("-0.200"))
    assert await mode(world) == "REDUCE"


@in_world()
async def test_what_stands_opposite_to_the_venues_position_is_never_reduced_though_it_is_the_largest(
    world: World,
) -> None:
    """The venue holds a short of 0.1: closing any of the long would make it larger."""
    await ready(world, ("long", "BUY", "0.500"), ("one", "SELL", "0.300"), ("two", "SELL", "0.300"))
    answers(world, "0.90")
    net = abs(world.held())
    for _ in range(60):
        await world.run(0.2)
        assert abs(world.held()) <= net
        net = abs(world.held())
    assert held(world, "long") == D("0.500")
    assert net < D("0.100")


@in_world()
async def test_with_notify_the_account_may_only_reduce_and_nothing_is_closed(world: World) -> None:
    await ready(world, ("a", "BUY", "0.100"), PMS_MARGIN_ACTION="notify")
    answers(world, "0.95")
    await world.run(20)
    assert await mode(world) == "REDUCE"
    assert held(world, "a") == D("0.100")


@in_world()
async def test_no_second_reduction_leaves_before_the_first_ones_fills_are_in(world: World) -> None:
    await ready(world, ("a", "BUY", "0.800"))
    answers(world, "0.90")
    world.fault("POST", **BUSY, count=4)
    await world.until(lambda: begun_exits(world), 12)
    before = asked(world)
    await world.run(3.5)
    assert asked(world) > before
    assert len(begun_exits(world)) == 1
    answers(world, "0.10")
    await world.run(10)
    assert held(world, "a") == D("0.600")


@in_world(**FEW)
async def test_guard_and_ladder_do_not_close_the_same_position_at_once(world: World) -> None:
    """The account is `main` alone, and both marks are passed."""
    await begun(world)
    await fill(world, "main", "BUY", SIZE, leverage=50)
    move(world, "0.6")
    await world.run(12)
    world.fault("POST", **BUSY, count=4)
    move(world, "0.9")
    before = asked(world)
    await world.run(4)
    assert asked(world) > before
    assert len(begun_exits(world)) == 1
    await world.run(10)
    assert WARN - D("0.01") < ratio(world) < WARN + D("0.03")


@pytest.mark.parametrize("how", [{"lose": "before"}, {"status": 503, "body": "busy"}, {"status": 200, "body": "{}"}])
@in_world()
async def test_while_the_venue_does_not_answer_nothing_is_decided_and_people_are_told(
    world: World, how: dict[str, Any]
) -> None:
    await ready(world, ("a", "BUY", "0.800"))
    answers(world, "0.90")
    await world.until(lambda: held(world, "a") < D("0.800"), 12)
    world.heal()
    world.fault("GET", ACCOUNT, count=0, **how)
    await world.run(1)
    left = held(world, "a")
    await world.run(50)
    assert await alarm(world, "account_margin_unknown", "account") is None
    await world.run(20)
    assert held(world, "a") == left
    assert await alarm(world, "account_margin_unknown", "account") is not None
    world.heal()
    await world.run(11)
    assert await alarm(world, "account_margin_unknown", "account") is None
    assert await message(world) == {}, "the venue's own answer is far from it"


@in_world()
async def test_who_holds_nothing_is_not_asked_about_and_near_the_first_mark_it_is_asked_more_often(
    world: World,
) -> None:
    await ready(world)
    await world.run(60)
    assert asked(world) == 0
    await endowed(world, "a", 100_000)
    await opened(world, "a", "BUY", "0.100")
    await world.run(60)
    assert 5 <= asked(world) <= 7
    answers(world, "0.45")
    await world.run(12)
    before = asked(world)
    await world.run(20)
    assert 9 <= asked(world) - before <= 11


@in_world()
async def test_a_warning_of_a_former_life_is_over_when_its_cause_is(world: World) -> None:
    await ready(world, ("a", "BUY", "0.100"))
    answers(world, "0.55")
    await world.run(11)
    await world.kill()
    world.heal()
    await world.start()
    await world.run(11)
    assert await message(world) == {}
    told = [one for one in await world.events("alarm") if one["code"] == "account_margin"]
    assert [one.get("cleared", False) for one in told] == [False, True]
