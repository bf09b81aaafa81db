"""Whose fill is whose: several sub-accounts on one exchange account, strangers beside us, and a busy market."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from typing import Any

import pytest

from pms.sim.faults import Latency
from pms.sim.script import OnRequest
from tests.world.books import check_books
from tests.world.world import World, in_world

D = Decimal
LOSS = (0.1, 0.02, 0.04)  # of order requests, before and after execution each


async def position(world: World, account: str) -> dict[str, Any]:
    row = await world.redis.hget(f"pms:position:{account}", "BTCUSDT")
    return json.loads(row, parse_float=Decimal, parse_int=Decimal)  # type: ignore[no-any-return]


@in_world()
async def test_opposite_positions_of_two_sub_accounts_stand_side_by_side(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    for account, side, quantity in (("long", "BUY", "0.010"), ("short", "SELL", "0.004")):
        chase = await world.chase(subAccountId=account, side=side, quantity=quantity)
        world.market.hit(world.resting()[0], quantity)
        await world.ends(chase)
    assert world.held() == D("0.006")
    assert [(await position(world, name))["signedQuantity"] for name in ("long", "short")] == [D("0.010"), D("-0.004")]


@in_world()
async def test_a_position_opens_adds_reduces_flips_and_closes_exactly(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    seen = []
    for side, quantity in (("BUY", "0.010"), ("BUY", "0.020"), ("SELL", "0.015"), ("SELL", "0.030"), ("BUY", "0.015")):
        chase = await world.chase(side=side, quantity=quantity)
        world.market.hit(world.resting()[0], quantity)
        await world.ends(chase)
        held = await position(world, "main")
        seen.append((held["positionId"], held["signedQuantity"], held["entryPrice"]))
        world.market.move(10)
    first, third = "main:BTCUSDT:1", "main:BTCUSDT:2"
    average = (D("61800.0") + 2 * D("61801.0")) / 3
    assert seen[0] == (first, D("0.010"), D("61800.0"))
    assert seen[1] == (first, D("0.030"), average)
    assert seen[2] == (first, D("0.015"), average)
    assert seen[3] == (third, D("-0.015"), D("61808.0"))
    assert seen[4] == (third, 0, 0)
    types = [event["type"] for event in await world.events() if event["type"].startswith("position_")]
    assert types == [
        "position_updated", "position_updated", "position_reduced", "position_closed", "position_updated",
        "position_closed",
    ]  # fmt: skip


@pytest.mark.parametrize("while_down", [False, True])
@in_world()
async def test_what_somebody_else_trades_on_the_account_stands_on_external(world: World, while_down: bool) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    world.market.hit(world.resting()[0], "0.010")
    await world.ends(chase)
    if while_down:
        await world.kill()
    world.market.rest(world.account, "BUY", D("61805.0"), "0.007", "web_1", time_in_force="IOC")
    await world.run(1)
    if while_down:
        await world.start()
    await world.run(2)
    assert (await position(world, "main"))["signedQuantity"] == D("0.010")
    assert (await position(world, "external"))["signedQuantity"] == D("0.007")
    assert await world.redis.hlen("pms:alarms") == 0, "the sum of all books is the venue's position: no drift"


@in_world()
async def test_somebody_elses_resting_order_is_no_market_to_follow(world: World) -> None:
    """Law 9 is about the account, not about us."""
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    world.market.rest(world.account, "BUY", D("61801.0"), "0.100", "web_1")
    await world.run(5)
    (ours,) = [order for order in world.resting() if order.client_id.startswith("pms-")]
    assert ours.price == D("61800.0")
    assert (await world.state(chase))["repriceCount"] == 0
    world.exchange.cancel(world.account, "BTCUSDT", client_id="web_1")
    await world.run(1)


@in_world()
async def test_a_size_in_usdt_is_rounded_down_to_the_step_and_the_leverage_is_set_while_flat(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    reply = await world.command("chase", symbol="btcusdt", side="long", sizeUsdt=1000, leverage=7)
    assert (reply["quantity"], reply["symbol"], reply["side"]) == (D("0.016"), "BTCUSDT", "BUY")
    (view,) = world.exchange.positions(world.account, "BTCUSDT")
    assert view.leverage == 7
    world.market.hit(world.resting()[0], "0.016")
    await world.ends(reply["chaseId"])
    held = await position(world, "main")
    assert held["margin"] == held["notional"] / 7


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("seed", range(2, 14))
@in_world(books=False)
async def test_a_storm_of_chases_faults_and_deaths_ends_with_books_that_agree(world: World, seed: int) -> None:
    await storm(world, seed)


@pytest.mark.faults
@in_world(books=False)
async def test_chases_in_rough_weather_end_with_books_that_agree(world: World) -> None:
    await storm(world, 1)


async def storm(world: World, seed: int) -> None:
    """Every mode and side on a moving market with slow and lossy answers, cut streams, outages and deaths."""
    chance = random.Random(seed)
    world.market.quote("61800.0", "61800.5")
    world.sim.gate.latency = Latency(engine_ms=2, answer_ms=20, stream_ms=3, jitter_ms=30)
    for lose in ("before", "after"):
        world.sim.faults.inject(OnRequest(path="/fapi/v1/order", lose=lose, probability=LOSS[seed % 3], count=0))  # type: ignore[arg-type]
    await world.start()
    for step in range(240):
        if world.daemon is None:  # died at an effect
            await world.start()
        narrow, wide = chance.randint(1, 9), chance.randint(20, 40)
        world.market.move(chance.randint(-6, 6), narrow if seed % 2 else wide)
        if chance.random() < 0.3:
            for order in world.resting():
                if order.is_open and order.client_id.startswith("pms-") and chance.random() < 0.4:
                    world.market.hit(order, min(D(chance.randint(1, 4)) / 1000, order.remaining))
        if step % 16 == 0:
            await _begin(world, chance)
        if step % 5 == 0:
            await _meddle(world, chance)
        match chance.randint(0, 60):
            case 0:
                world.cut("/private")
            case 1:
                world.cut("/public")
            case 2:
                world.redis_goes()
                await world.run(chance.choice((0.3, 4.0, 14.0)))
                world.redis_comes()
            case 3 | 5:
                world.life.die_at = len(world.life.effects) + chance.randint(1, 12)
            case 4 if not world.life.die_at:
                await world.stop()
                await world.start()
        await world.run(chance.choice((0.05, 0.3, 0.7)))
    await _calm(world)


async def _begin(world: World, chance: random.Random) -> None:
    await world.redis.xadd(
        "pms:commands",
        {
            "type": "chase",
            "body": (
                f'{{"subAccountId":"{chance.choice(("main", "second"))}","symbol":"BTCUSDT",'
                f'"side":"{chance.choice(("BUY", "SELL"))}","quantity":"{chance.choice(("0.010", "0.025"))}",'
                f'"stalkMode":"{chance.choice(("maintain", "trail", "none"))}",'
                f'"stalkOffsetTicks":{chance.choice((0, 0, 3))},"repriceMinMs":{chance.choice((50, 250))},'
                f'"deadlineSeconds":{chance.choice((0, 20))},"onDeadline":"{chance.choice(("cancel", "take"))}"}}'
            ),
        },
    )


async def _meddle(world: World, chance: random.Random) -> None:
    """Somebody pauses, resumes, changes or cancels a running chase, or a stranger trades on the account."""
    listed = [name for key in await world.redis.keys("pms:active_chase:*") for name in await world.redis.hkeys(key)]
    if not listed:
        return
    name = chance.choice(sorted(listed)).decode()
    match chance.randint(0, 9):
        case 0 | 1:
            kind, body = "algo_pause", {"algoId": name}
        case 2 | 3 | 4:
            kind, body = "algo_resume", {"algoId": name}
        case 5:
            kind, body = "chase_amend", {"chaseId": name, "stalkOffsetTicks": chance.choice((0, 2))}
        case 6:
            kind, body = "chase_amend", {"chaseId": name, "quantity": 0.03}  # down would race with fills
        case 7:
            kind, body = "chase_cancel", {"chaseId": name}
        case 8:
            side, price = chance.choice((("BUY", world.market.ask), ("SELL", world.market.bid)))
            world.market.rest(world.account, side, price, "0.003", time_in_force="IOC")
            return
        case _:
            return
    await world.redis.xadd("pms:commands", {"type": kind, "body": json.dumps(body)})


async def _calm(world: World) -> None:
    """The weather clears; everything in flight comes to its end, then the books are compared."""
    world.heal()
    world.life.die_at = 0
    world.sim.gate.latency = Latency()
    if world.daemon is None:
        await world.start()
    await world.run(60)
    await check_books(world)
    chases = await world.redis.keys("pms:chase:*")
    assert len(chases) >= 6  # of 15: none begins beside an order of unknown fate, and deaths put off its proof
    for account in ("main", "second"):
        reply = await world.command("cancel_all", includeProtection=True, subAccountId=account)
        assert reply["success"], reply
    await world.run(5)
    assert world.resting() == []
    await check_books(world)
