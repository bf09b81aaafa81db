"""twap on markets that move by themselves, recorded and synthetic: both styles, and every choice at the price limit."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from pms.sim.profiles import DEFAULT_PROFILE
from tests.world.twaps import ENDED, begun, record
from tests.world.world import World, in_world

D = Decimal
CAPTURE = "data/captures/btcusdt_20240808.gz"
STYLES, CHOICES = ("market", "chase"), ("skip", "pause", "end", "execute")
QUANTITY, LOTS, INTERVAL_S = D("0.060"), 6, 5
OVER_S = 2 * LOTS * INTERVAL_S + 10  # schedule, extension, and a moment for the last word


async def _lived(world: World, side: str) -> None:
    """One TWAP of each style and choice, each in a sub-account of its own, on one market; its limit is where the market
    stands, so that it is on both sides of it."""
    await world.start()
    await world.command("trade", symbol="BTCUSDT", side=side, quantity="0.001")  # someone watches the symbol
    price = (await world.record("price:BTCUSDT"))["mid"]
    asked: dict[str, Any] = {"side": side, "quantity": str(QUANTITY), "lots": LOTS, "intervalSeconds": INTERVAL_S}
    asked |= {"priceLimit": str(D(price)), "jitterPct": 20, "childTimeoutSeconds": 3}
    twaps = {
        (style, choice): await begun(world, subAccountId=f"{style}-{choice}", style=style, onLimit=choice, **asked)
        for style, choice in product(STYLES, CHOICES)
    }
    await world.run(OVER_S)
    for (_, choice), reply in twaps.items():
        state = await record(world, reply)
        assert state["status"] in (*ENDED, "paused"), state["status"]
        assert (state["status"] == "paused") <= (choice == "pause")
        assert state["status"] in ENDED or world.resting() == []
        if state["status"] == "completed":
            assert state["filledQuantity"] == QUANTITY
        elif state["status"] == "expired":
            assert state["filledQuantity"] + state["residual"] == QUANTITY
            assert state["reason"] in ("price_limit", "schedule_over")
    reasons = {(await record(world, reply))["reason"] for reply in twaps.values()}
    assert "price_limit" in reasons, "a market that never met the limit shows nothing"
    filled = [(await record(world, reply))["filledQuantity"] for reply in twaps.values()]
    assert sum(filled) > 0
    assert abs(world.held()) == sum(filled) + D("0.001")
    assert world.resting() == []


def _live(folder: Path, side: str, **options: Any) -> None:
    async def lived(world: World) -> None:
        async with asyncio.timeout(600):
            await _lived(world, side)

    in_world(profile=DEFAULT_PROFILE, **options)(lived)(folder)


@pytest.mark.replay
@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_every_style_and_choice_on_a_recorded_market(tmp_path: Path, shared: Path, side: str) -> None:
    _live(tmp_path, side, replay=(shared / CAPTURE,))


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_every_style_and_choice_on_a_synthetic_market(tmp_path: Path, side: str) -> None:
    _live(tmp_path, side, seed=7)
