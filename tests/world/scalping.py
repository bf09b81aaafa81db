"""Scalpers in a world: starting one, its legs at the venue, its record."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pms.sim.model import Order
from tests.world.world import World

D = Decimal
TOUCH = ("61800.0", "61800.1")


async def begin(world: World, **environment: str) -> None:
    """A market, and a daemon at it."""
    world.market.quote(*TOUCH)
    await world.start(**environment)


async def scalper(world: World, **body: Any) -> str:
    """Start one that has to be accepted: 620 USDT a side, one layer, unless said otherwise. Returns its id."""
    reply = await world.command("scalper", **{"symbol": "BTCUSDT", "longSizeUsd": 620} | body)
    assert reply["success"], reply
    return str(reply["scalperId"])


async def record(world: World, scalper_id: str) -> dict[str, Any]:
    return await world.record(f"scalper:{scalper_id}")


def legs(world: World, side: str) -> list[Order]:
    """The resting orders of a side, inner layers first."""
    found = [order for order in world.resting() if order.side == side]
    return sorted(found, key=lambda order: order.price, reverse=side == "BUY")


async def stand(world: World, buys: int, sells: int, within_s: float = 5) -> None:
    """Wait until so many legs rest on each side."""
    await world.until(lambda: (len(legs(world, "BUY")), len(legs(world, "SELL"))) == (buys, sells), within_s)


async def fill(world: World, side: str, quantity: str = "", number: int = 0) -> None:
    """Others trade into a leg, all of it unless said otherwise; what follows from that has happened."""
    order = legs(world, side)[number]
    world.market.hit(order, quantity or order.remaining)
    await world.run(0.5)


async def reasons(world: World, scalper_id: str, side: str) -> list[str]:
    """What holds back each slot of a side that has no child."""
    state = await record(world, scalper_id)
    slots = state["long" if side == "BUY" else "short"]["slots"]
    return [slot["reason"] for slot in slots if slot["child"] is None]


async def true_to_the_venue(world: World, scalper_id: str) -> None:
    """What it holds is what its own fills came to, and no more rests than the cap and the inventory allow."""
    state = await record(world, scalper_id)
    assert abs(state["bought"] - state["sold"] - state["inventory"]) <= state["closedElsewhere"]
    assert state["inventory"] == world.held()
    sign = {"BUY": 1, "SELL": -1}
    for side in ("BUY", "SELL"):
        opening = sum((order.remaining for order in legs(world, side) if not order.reduce_only), D(0))
        closing = sum((order.remaining for order in legs(world, side) if order.reduce_only), D(0))
        assert state["inventory"] * sign[side] + opening <= state["capQuantity"]
        assert closing <= max(-world.held() * sign[side], D(0))
