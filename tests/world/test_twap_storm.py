"""TWAPs of both styles while answers are lost, late and contradictory, markets move, and the daemon dies."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest

from tests.world.twaps import ENDED, begun, record
from tests.world.world import World, in_world

D = Decimal
pytestmark = pytest.mark.ambiguity

QUANTITY, LOTS, INTERVAL_S = D("0.080"), 8, 8
FAULTS: tuple[dict[str, Any], ...] = (
    {"lose": "before"},
    {"lose": "after"},
    {"status": 503, "msg": "Unknown error, please check your request or try again later.", "execute": True},
    {"status": 503, "msg": "Service Unavailable."},
    {"status": 429, "code": -1015, "msg": "Too many new orders.", "headers": {"retry-after": "2"}},
    {"status": 400, "code": -4131, "msg": "no"},
    {"delay_before_ms": 300, "delay_after_ms": 300},
)


async def _weather(world: World, chance: random.Random) -> None:
    """One second: the touch moves, others trade into what rests, and now and then somebody takes an order away."""
    world.market.move(chance.randrange(-30, 31))
    for order in world.resting():
        what = chance.random()
        if what < 0.3:
            world.market.hit(order, min(order.remaining, D("0.003")))
        elif what < 0.33:
            world.exchange.cancel(world.account, "BTCUSDT", order_id=order.order_id)
    await world.run(1)


@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 8))])
@in_world()
async def test_whatever_is_lost_they_end_with_all_or_with_what_is_missing_named(world: World, seed: int) -> None:
    """The books are compared with the venue to the last digit after every test."""
    chance = random.Random(seed)
    world.market.quote("61800.0", "61803.0")
    await world.start()
    await world.unlimited()
    asked: dict[str, Any] = {"quantity": str(QUANTITY), "lots": LOTS, "intervalSeconds": INTERVAL_S}
    asked |= {"jitterPct": 30, "irregular": seed % 2 == 0, "onChildFail": chance.choice(["market", "carry"])}
    twaps = [await begun(world, style=style, **asked) for style in ("market", "chase")]
    for fault in FAULTS:
        world.fault("", path="/fapi/v1/order", probability=0.05, count=0, **fault)
    for second in range(2 * LOTS * INTERVAL_S):
        await _weather(world, chance)
        if second == 25:
            await (world.kill() if seed % 2 else world.stop())
            await world.start()
        if second == LOTS * INTERVAL_S:
            world.heal()
    await world.run(40)
    for reply in twaps:
        state = await record(world, reply)
        assert state["status"] in ENDED, state
        assert state["filledQuantity"] + state["residual"] == QUANTITY
        assert state["status"] != "completed" or state["filledQuantity"] == QUANTITY
    assert world.held() == sum([(await record(world, reply))["filledQuantity"] for reply in twaps])
    assert world.resting() == []
