"""Trailing stops on markets that move by themselves, made up and recorded, killed and stopped in the middle: each
closes its part of the position at its own trigger, once (algos.md, trail_stop)."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.world.stops import ENDED, stop, stopped
from tests.world.world import World, in_world

D = Decimal
SIDES = {"LONG": ("BUY", 1), "SHORT": ("SELL", -1)}
TRIGGERS, EXITS, CALLBACKS = ("mid", "mark", "touch"), ("market", "chase"), (20, 150)
QUANTITY = D("0.004")
OVER_S = 40


def kinds() -> Iterator[tuple[str, str, str, int]]:
    return product(SIDES, TRIGGERS, EXITS, CALLBACKS)


async def _began(world: World, symbol: str, quantity: Decimal) -> dict[tuple[str, str, str, int], str]:
    """A stop of each kind on a part of a position; the two sides are those of two sub-accounts."""
    for position, (side, _) in SIDES.items():
        whole = quantity * len(TRIGGERS) * len(EXITS) * len(CALLBACKS)
        asked = {"symbol": symbol, "side": side, "quantity": str(whole), "subAccountId": position.lower()}
        reply = await world.command("trade", **asked)
        assert reply["success"], reply
    await world.run(2)
    names = {}
    for kind in kinds():
        position, trigger, exit_, callback = kind
        body: dict[str, Any] = {"symbol": symbol, "positionSide": position, "quantity": str(quantity)}
        body |= {"trigger": trigger, "exit": exit_, "callbackTicks": callback, "exitDeadlineSeconds": 2}
        names[kind] = await stopped(world, subAccountId=position.lower(), **body)
    return names


async def _lived(world: World, symbol: str, quantity: Decimal) -> None:
    await world.start()
    names = await _began(world, symbol, quantity)
    await world.run(OVER_S)
    await world.kill()
    await world.run(3)
    await world.start()
    await world.run(OVER_S)
    await world.stop()
    await world.run(3)
    await world.start()
    await world.run(OVER_S)
    held = {"LONG": D(0), "SHORT": D(0)}
    fired = 0
    for kind, name in names.items():
        state = await stop(world, name)
        sign = SIDES[kind[0]][1]
        if state["status"] in ENDED:
            fired += 1
            assert (state["status"], state["filledQuantity"]) == ("completed", quantity), state
            assert state["reason"] in ("", "backstop"), "its own exit, or what stood behind it"
            assert sign * (state["triggerPrice"] - state["triggeredPrice"]) >= 0, state
        else:
            assert state["status"] == "active", state
            held[kind[0]] += quantity - state["filledQuantity"]
        assert sign * (state["extremePrice"] - state["triggerPrice"]) > 0
    assert fired >= len(names) / 3, "a market that moves too little shows nothing"
    assert world.held(symbol) == held["LONG"] - held["SHORT"]
    for account in ("long", "short"):
        assert (await world.command("close_all", subAccountId=account, wait_s=20))["success"]
    await world.run(5)
    assert (world.held(symbol), world.resting(symbol)) == (0, [])
    assert [(await stop(world, name))["status"] in ENDED for name in names.values()] == [True] * len(names)


@pytest.mark.replay
@pytest.mark.parametrize("name", ["btcusdt_20240808", "ethusdt_20240718"])
def test_each_kind_of_stop_on_a_recorded_market(tmp_path: Path, shared: Path, name: str) -> None:
    symbol = name.partition("_")[0].upper()
    quantity = QUANTITY if symbol == "BTCUSDT" else D("0.040")

    async def lived(world: World) -> None:
        await _lived(world, symbol, quantity)

    path = shared / "data" / "captures" / f"{name}.gz"
    in_world(profile="busy", symbols=(symbol,), replay=(path,))(lived)(tmp_path)


def test_each_kind_of_stop_on_a_synthetic_market(tmp_path: Path) -> None:
    async def lived(world: World) -> None:
        await _lived(world, "BTCUSDT", QUANTITY)

    in_world(profile="busy", seed=3)(lived)(tmp_path)
