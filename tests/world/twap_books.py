"""What TWAPs and baskets say of themselves, compared with their orders: part of `tests.world.books`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.world.world import World

ZERO = Decimal(0)
DIGITS = Decimal("0.00000001")
ENDED = frozenset(("completed", "cancelled", "expired", "failed"))


async def check_twaps(world: World, events: list[dict[str, Any]], orders: Mapping[str, dict[str, Any]]) -> None:
    """Sums are those of its own orders and of its child chases', never more than its quantity; the newest event says
    the same; what it did not fill is named."""
    twaps, baskets = await _records(world, "pms:twap:*"), await _records(world, "pms:twap_basket:*")
    parents = {name: chase["parentId"] for name, chase in (await _records(world, "pms:chase:*")).items()}
    for name, twap in twaps.items():
        mine = [each for each in orders.values() if name in (each["parentId"], parents.get(each["parentId"]))]
        filled = sum((order["filledQty"] for order in mine), ZERO)
        assert twap["filledQuantity"] == filled <= twap["params"]["quantity"], twap
        if filled:
            paid = sum(order["filledQty"] * order["avgFillPrice"] for order in mine)
            assert twap["avgPrice"].quantize(DIGITS) == (paid / filled).quantize(DIGITS)
        assert sum(twap["fees"].values(), ZERO) == sum((order["commission"] for order in mine), ZERO), twap
        newest = [event for event in events if event.get("twapId") == name and event["type"] != "command_result"][-1]
        assert (newest["filledQuantity"], newest["status"]) == (filled, twap["status"]), newest
        if twap["status"] in ENDED:
            assert (twap["child"], twap["worker"]) == (None, None), twap
            assert twap["residual"] == max(twap["quantity"] - filled, ZERO), twap
    for name, basket in baskets.items():
        for leg in basket["legs"]:
            assert leg["filledQuantity"] == twaps[leg["twapId"]]["filledQuantity"], basket
            assert leg["status"] == twaps[leg["twapId"]]["status"], basket
        live = [leg for leg in basket["legs"] if leg["status"] not in ENDED]
        assert bool(live) == (basket["status"] not in ENDED), f"{name} outlives its legs, or they it"
    await _check_lists(world, twaps | baskets)
    starts = Counter(event.get("twapId") for event in events if event["type"] == "twap_started")
    assert starts == Counter(list(twaps)), "each TWAP starts once"


async def _check_lists(world: World, algos: Mapping[str, dict[str, Any]]) -> None:
    listed: set[str] = set()
    for kind in ("twap", "twap_basket"):
        async for key in world.redis.scan_iter(f"pms:active_{kind}:*"):
            listed |= {name.decode() for name in await world.redis.hkeys(key)}
    assert listed == {name for name, algo in algos.items() if algo["status"] not in ENDED}


async def _records(world: World, pattern: str) -> dict[str, dict[str, Any]]:
    found = {}
    async for key in world.redis.scan_iter(pattern):
        body = await world.redis.get(key)
        found[key.decode().split(":", 2)[2]] = json.loads(body, parse_float=Decimal, parse_int=Decimal)
    return found
