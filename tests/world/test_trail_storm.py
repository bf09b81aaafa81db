"""Positions of two sub-accounts with several trailing stops each, through falls and rises, lost answers, stale books,
Redis gone and deaths of the daemon: nobody's position ever flips, and each stop ends with the position gone or in
place."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest

from pms.sim.script import OnRequest
from tests.world.stops import ENDED, position, stop
from tests.world.test_closing import ready
from tests.world.world import World, in_world

D = Decimal
ACCOUNTS = {"a": 1, "b": -1}  # and the side they are on, while they are on one
ACTS = ("stop", "stop", "stop", "move", "move", "move", "jump", "part", "trade", "mute", "redis", "life", "cancel")
LOSSES = ((0.05, {"lose": "before"}), (0.02, {"lose": "after"}), (0.03, {"status": 503, "msg": "?"}))


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 8))])
@in_world()
async def test_a_storm_of_trailing_stops_never_flips_a_position_and_ends_in_order(world: World, seed: int) -> None:
    dice = random.Random(seed)
    await ready(world)
    for account in ACCOUNTS:
        await hold(world, account, "0.020")  # which makes the sub-account
        await world.unlimited(account)
    for chance, what in LOSSES:
        world.sim.faults.inject(OnRequest(path="/fapi/v1/order", method="POST", probability=chance, count=0, **what))
    for _ in range(40):
        await act(world, dice)
        await world.run(dice.choice((0, 0.05, 0.3, 2)))
        await never_flipped(world)
    world.heal()
    await world.run(20)
    for sign in (-1, 1):
        world.market.move(sign * 5000)
        await world.run(10)
        await never_flipped(world)
    for name in await names(world):
        state = await stop(world, name)
        assert state["status"] in ENDED or state["paused"], state
        assert state["filledQuantity"] <= state["params"]["quantity"]
    for account in ACCOUNTS:
        await world.command("close_all", subAccountId=account, wait_s=40)
    await world.run(20)
    assert (world.held(), world.resting()) == (0, [])


async def hold(world: World, account: str, quantity: str) -> None:
    side = "BUY" if ACCOUNTS[account] > 0 else "SELL"
    await world.command("trade", subAccountId=account, symbol="BTCUSDT", side=side, quantity=quantity)


async def names(world: World) -> list[str]:
    return [key.decode().split(":")[2] for key in await world.redis.keys("pms:trailstop:*")]


async def never_flipped(world: World) -> None:
    """The books stand on their side or at nothing. A race may book a flip for the moment until it is flattened
    (execution.md 14); nothing of it stays."""
    for account, sign in ACCOUNTS.items():
        for _ in range(60):
            if sign * (await position(world, account))["signedQuantity"] >= 0:
                break
            await world.run(0.25)
        assert sign * (await position(world, account))["signedQuantity"] >= 0


async def act(world: World, dice: random.Random) -> None:
    account = dice.choice(list(ACCOUNTS))
    closing = "SELL" if ACCOUNTS[account] > 0 else "BUY"
    match dice.choice(ACTS):
        case "stop":
            await start(world, dice, account)
        case "move":
            world.market.move(dice.randint(-200, 200))
        case "jump":
            world.market.move(dice.choice((-1, 1)) * 1500)
        case "part":
            quantity = f"0.{dice.randint(1, 12):03}"
            await world.command("close", subAccountId=account, symbol="BTCUSDT", side=closing, quantity=quantity)
        case "trade":
            await hold(world, account, f"0.{dice.randint(1, 12):03}")
        case "mute":
            world.mute(dice.choice(("/public", "/market", "/private")))
        case "redis":
            world.redis_goes()
            world.market.move(dice.randint(-800, 800))
            await world.run(dice.choice((0.2, 3)))
            world.redis_comes()
            await world.run(3)
        case "cancel" if await names(world):
            await world.command(
                "trail_stop_cancel", subAccountId="", trailStopId=dice.choice(sorted(await names(world)))
            )
        case "life":
            await (world.kill() if dice.random() < 0.5 else world.stop())
            world.market.move(dice.randint(-1500, 1500))
            await world.start()


async def start(world: World, dice: random.Random, account: str) -> None:
    body: dict[str, Any] = {"subAccountId": account, "symbol": "BTCUSDT"}
    body |= {"positionSide": "LONG" if ACCOUNTS[account] > 0 else "SHORT", "callbackTicks": dice.choice((50, 300, 900))}
    body |= {"trigger": dice.choice(("mid", "mark", "touch")), "exit": dice.choice(("market", "chase"))}
    body |= {"exitDeadlineSeconds": dice.choice((1, 5))}
    if dice.random() < 0.4:
        body["quantity"] = f"0.{dice.randint(1, 12):03}"
    reply = await world.command("trail_stop", **body)
    assert reply["success"] or reply["errorCode"] in ("POSITION_NOT_FOUND", "NOT_READY"), reply
