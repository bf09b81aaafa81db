"""Scalpers on markets that move by themselves, made up and recorded, killed in the middle (algos.md, scalper)."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.virtual import VirtualLoop
from tests.world.books import check_books
from tests.world.scalping import record
from tests.world.world import World

D = Decimal
BODIES = {
    "long": {"childCount": 3, "longOffsetPct": "0.002", "minRefillDelayMs": 100},
    "short": {"startSide": "SHORT", "childCount": 2, "longOffsetPct": 0, "maxFillsPerMinute": 20},
    "neutral": {"neutralMode": True, "childCount": 2, "longOffsetPct": 0, "allowLoss": True},
    "careful": {"neutralMode": True, "longOffsetPct": 0, "minFillSpreadPct": "0.01", "fillDecayHalfLifeMs": 2000},
}


async def _trades(world: World, symbol: str) -> dict[str, dict[str, Any]]:
    """A scalper of each kind in a sub-account of its own, a kill and a stop in between; their records at the end."""
    await world.start()
    ids = {}
    for name, body in BODIES.items():
        asked = {"symbol": symbol, "longSizeUsd": 1500, "leverage": 5, "subAccountId": name} | body
        reply = await world.command("scalper", **asked)
        assert reply["success"], reply
        ids[name] = reply["scalperId"]
    await world.run(20)
    await world.kill()
    await world.run(3)
    await world.start()
    await world.run(20)
    await world.stop()
    await world.run(3)
    await world.start()
    await world.run(20)
    for name, scalper_id in ids.items():
        if (await record(world, scalper_id))["status"] == "paused":  # the market has moved too far meanwhile
            assert (await world.command("algo_resume", subAccountId=name, algoId=scalper_id))["success"]
    await world.run(10)
    held = {}
    for name, scalper_id in ids.items():
        state = held[name] = await record(world, scalper_id)
        assert state["status"] in ("active", "throttled"), (name, state["status"], state["reason"])
        reply = await world.command("scalper_cancel", subAccountId=name, scalperId=scalper_id, closePositions=True)
        assert reply["success"], reply
    await world.run(5)
    assert world.resting(symbol) == []
    assert world.held(symbol) == 0
    return held


def _over(folder: Path, symbol: str, **options: Any) -> None:
    async def live() -> None:
        world = World(folder, **options)
        try:
            held = await _trades(world, symbol)
            await check_books(world)
        finally:
            await world.close()
        assert sum(state["totalFillCount"] for state in held.values()) >= 10
        for state in held.values():
            assert abs(state["inventory"]) <= state["capQuantity"]
            assert abs(state["bought"] - state["sold"] - state["inventory"]) <= state["closedElsewhere"]

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(live())


@pytest.mark.parametrize("profile", ["quiet", pytest.param("busy", marks=pytest.mark.slow)])
def test_on_a_made_up_market_every_scalper_stays_true_to_its_fills(tmp_path: Path, profile: str) -> None:
    _over(tmp_path, "BTCUSDT", profile=profile)


@pytest.mark.replay
@pytest.mark.parametrize("name", ["btcusdt_20240718", "ethusdt_20240718"])
def test_on_a_recorded_market_every_scalper_stays_true_to_its_fills(shared: Path, tmp_path: Path, name: str) -> None:
    path = shared / "data" / "captures" / f"{name}.gz"
    symbol = name.partition("_")[0].upper()
    _over(tmp_path, symbol, profile="busy", symbols=(symbol,), replay=(path,))
