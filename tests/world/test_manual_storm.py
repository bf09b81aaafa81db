"""Manual orders placed, amended, cancelled and filled at random while answers are lost, late and contradictory."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from typing import Any

import pytest

from tests.world.world import World, in_world

D = Decimal
pytestmark = pytest.mark.ambiguity

STEPS = 80
FAULTS: tuple[dict[str, Any], ...] = (
    {"lose": "before"},
    {"lose": "after"},
    {"status": 503, "msg": "Unknown error, please check your request or try again later.", "execute": True},
    {"status": 503, "msg": "Service Unavailable."},
    {"delay_before_ms": 300, "delay_after_ms": 300},
)


async def send(world: World, kind: str, number: int, **body: Any) -> None:
    text = json.dumps({"subAccountId": "main", "requestId": f"s-{number}", **body})
    await world.redis.xadd("pms:commands", {"type": kind, "body": text})


async def live(world: World) -> list[str]:
    return [name.decode() for name in await world.redis.hkeys("pms:open_orders:main")]


async def act(world: World, chance: random.Random, number: int) -> None:
    names = await live(world)
    price = str(D("61790.0") - D(chance.randrange(100)) / 10)
    quantity = str(D(chance.randrange(10, 30)) / 1000)
    what = chance.random()
    if what < 0.35 or not names:
        await send(world, "limit", number, symbol="BTCUSDT", side="BUY", price=price, quantity=quantity)
    elif what < 0.45:
        await send(world, "trade", number, symbol="BTCUSDT", side="BUY", quantity=quantity)
    elif what < 0.7:
        await send(world, "amend", number, clientOrderId=chance.choice(names), price=price)
    elif what < 0.9:
        await send(world, "cancel", number, clientOrderId=chance.choice(names))
    elif resting := world.resting():
        order = chance.choice(resting)
        world.market.hit(order, min(D("0.005"), order.remaining))


@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 6))])
@in_world()
async def test_whatever_is_lost_the_records_end_as_the_venue_has_it(world: World, seed: int) -> None:
    """The books are compared with the venue to the last digit after every test."""
    chance = random.Random(seed)
    world.market.quote("61800.0", "61805.0")
    await world.start()
    await world.unlimited()
    for fault in FAULTS:
        world.fault("", path="/fapi/v1/order", probability=0.06, count=0, **fault)
    for number in range(STEPS):
        await act(world, chance, number)
        await world.run(chance.random() * 0.6)
        if number == STEPS // 2:
            await world.kill()
            await world.start()
    world.heal()
    await world.run(60)
    states = {(await world.record(f"order:{name}"))["state"] for name in await live(world)}
    assert states <= {"active"}, "nothing is left in doubt"
    for name in await live(world):
        assert (await world.command("cancel", clientOrderId=name))["success"]
    assert (await live(world), world.resting()) == ([], [])
