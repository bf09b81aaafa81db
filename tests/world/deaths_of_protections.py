"""Scenarios of what protects a position, to be killed after each of their effects (algos.md, Protection)."""

from __future__ import annotations

from decimal import Decimal

from tests.world import stops
from tests.world.deaths import Facts, Scenario
from tests.world.deaths_of_orders import push
from tests.world.test_protection import over, protected, standing
from tests.world.world import World

D = Decimal
ENTRY = {"symbol": "BTCUSDT", "side": "BUY", "subAccountId": "main", "stopLoss": 61000, "takeProfit": 63000}


async def _closed(world: World, facts: Facts) -> str:
    """The market falls through the stop: what was held is sold, once, and nothing of it is left."""
    bought = world.held()
    assert [quantity for _, _, quantity in standing(world)] == [bought] * facts["legs"], standing(world)
    sold_before = sum((order.filled for order in world.placed() if order.side == "SELL"), D(0))
    world.market.move(-9000)
    await world.until(lambda: world.held() == 0, 40)
    await world.until(lambda: not world.waiting(), 40)
    await world.run(2)
    sold = sum((order.filled for order in world.placed() if order.side == "SELL"), D(0)) - sold_before
    assert (sold, world.held(), world.waiting()) == (bought, 0, [])
    assert await world.redis.hgetall("pms:active_algo:main") == {}
    return "closed once"


# --- an entry fills -----------------------------------------------------------------------------------


async def _resting(world: World, facts: Facts) -> None:
    await stops.ready(world)
    reply = await world.command("limit", quantity="0.010", price="61790.0", **ENTRY)
    assert reply["success"], reply
    facts["legs"] = 2


async def _fills(world: World, facts: Facts) -> None:
    (entry,) = world.resting()
    for quantity in ("0.004", "0.006"):
        world.market.hit(entry, quantity)
        await world.run(0.1)


async def _entered(world: World, facts: Facts) -> str:
    await world.until(lambda: [quantity for _, _, quantity in standing(world)] == [D("0.010")] * 2, 40)
    return await _closed(world, facts)


# --- a trigger is moved, and reached ------------------------------------------------------------------


async def _armed(world: World, facts: Facts) -> None:
    await stops.ready(world)
    held = await stops.opened(world)
    facts["stop"] = await protected(world, positionId=held, triggerPrice=61000)
    (waiting,) = world.waiting()
    facts["order"], facts["legs"] = waiting.client_id, 1


async def _moves(world: World, facts: Facts) -> None:
    await push(world, "amend", clientOrderId=facts["order"], price=61500, requestId="move", subAccountId="main")
    await world.run(1)


async def _moved(world: World, facts: Facts) -> str:
    await world.until(lambda: len(world.waiting()) == 1, 40)
    await world.run(1)
    ((_, trigger, _),) = standing(world)
    await _closed(world, facts)
    return f"stood at {trigger:.0f}"


async def _falls(world: World, facts: Facts) -> None:
    world.market.move(-9000)
    await world.run(1)


async def _fallen(world: World, facts: Facts) -> str:
    state = await over(world, facts["stop"], 40)
    assert (state["status"], state["filledQuantity"]) == ("completed", D("0.010")), state
    assert (world.held(), world.waiting()) == (0, [])
    return "closed once"


SCENARIOS: dict[str, Scenario] = {
    "stop loss of an entry": Scenario(_resting, _fills, _entered, ("closed once",), 8),
    "stop moved": Scenario(_armed, _moves, _moved, ("stood at 61500",), 4),
    "stop triggered": Scenario(_armed, _falls, _fallen, ("closed once",), 4),
}
