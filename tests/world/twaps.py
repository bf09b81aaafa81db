"""TWAPs on the whole stack, as its tests speak of them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pms.sim.model import Order as VenueOrder
from tests.world.world import World

D = Decimal
ENDED = ("completed", "cancelled", "expired", "failed")


async def begun(world: World, **body: Any) -> dict[str, Any]:
    """A TWAP that has to be accepted: by default a BUY of 0.040 in four lots, one each ten seconds. Its reply."""
    asked = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.040", "lots": 4} | body
    if "durationMinutes" not in asked:
        asked.setdefault("intervalSeconds", 10)
    reply = await world.command("twap", **asked)
    assert reply["success"], reply
    return reply


async def record(world: World, twap: dict[str, Any] | str) -> dict[str, Any]:
    return await world.record(f"twap:{twap if isinstance(twap, str) else twap['twapId']}")


async def ended(world: World, twap: dict[str, Any] | str, within_s: float = 100) -> dict[str, Any]:
    """Wait for its ending; its record."""

    async def over() -> bool:
        return (await record(world, twap))["status"] in ENDED

    await world.until(over, within_s, 0.1)
    return await record(world, twap)


def lots(world: World, reply: dict[str, Any], symbol: str = "BTCUSDT") -> list[tuple[int, Decimal]]:
    """(whole seconds after the first was due, quantity) of each IOC that the venue took."""
    start = reply["plan"][0]["dueAt"]
    return [(round((order.created_at - start) / 1000), order.quantity) for order in iocs(world, symbol)]


def iocs(world: World, symbol: str = "BTCUSDT") -> list[VenueOrder]:
    return sorted((o for o in world.placed(symbol) if o.time_in_force == "IOC"), key=lambda order: order.order_id)
