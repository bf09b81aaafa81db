"""What the sweeping commands do to each kind of algo (contract.md): entry algos end or wait, protection stays unless it
is meant too, and what is to be flat is flat."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.world.test_closing import opened, ready
from tests.world.world import World, in_world

D = Decimal
LEG = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010"}
ENTRIES: dict[str, tuple[str, dict[str, Any]]] = {
    "chase": ("chase", LEG),
    "twap": ("twap", LEG | {"lots": 5, "intervalSeconds": 60}),
    "twap of chases": ("twap", LEG | {"lots": 5, "intervalSeconds": 60, "style": "chase"}),
    "twap basket": ("twap_basket", {"basketName": "one", "legs": [LEG], "lots": 5, "intervalSeconds": 60}),
    "scalper": ("scalper", {"symbol": "BTCUSDT", "longSizeUsd": 600, "childCount": 2}),
}
PROTECTION: dict[str, tuple[str, dict[str, Any]]] = {
    "trailing stop": ("trail_stop", {"symbol": "BTCUSDT", "positionSide": "LONG"}),
    "reduce-only chase": ("chase", {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.010", "reduceOnly": True}),
    "reduce-only twap": (
        "twap",
        {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.010", "reduceOnly": True, "lots": 5, "intervalSeconds": 60,
         "style": "chase", "childTimeoutSeconds": 50},
    ),
}  # fmt: skip
_IDS = {"chase": "chaseId", "twap": "twapId", "twap_basket": "twapBasketId", "scalper": "scalperId",
        "trail_stop": "trailStopId"}  # fmt: skip


class Started:
    """An algo that runs."""

    def __init__(self, world: World, kind: str, algo_id: str) -> None:
        self.world = world
        self.kind = kind
        self.id = algo_id

    async def state(self) -> dict[str, Any]:
        word = "trailstop" if self.kind == "trail_stop" else self.kind
        return await self.world.record(f"{word}:{self.id}")

    async def status(self) -> str:
        return str((await self.state())["status"])

    async def becomes(self, *words: str) -> None:
        async def holds() -> bool:
            return await self.status() in words

        await self.world.until(holds, 5)


async def start(world: World, what: tuple[str, dict[str, Any]]) -> Started:
    kind, body = what
    reply = await world.command(kind, **body)
    assert reply["success"], reply
    await world.run(1)
    return Started(world, kind, reply[_IDS[kind]])


async def stage(world: World, entry: str) -> tuple[Started, Started]:
    """A long position under a trailing stop, and one entry algo."""
    await ready(world)
    await opened(world)
    protecting = await start(world, PROTECTION["trailing stop"])
    return await start(world, ENTRIES[entry]), protecting


def entries(world: World) -> list[Any]:
    return [order for order in world.resting() if not order.reduce_only]


@pytest.mark.parametrize("entry", ENTRIES)
@in_world()
async def test_cancel_all_ends_an_entry_algo_and_all_below_it_and_leaves_the_stop(world: World, entry: str) -> None:
    algo, stop = await stage(world, entry)
    reply = await world.command("cancel_all")
    assert reply["stoppedAlgos"] == [algo.id]
    assert world.resting() == []
    assert (await algo.status(), await stop.status()) == ("cancelled", "active")
    held = world.held()
    await world.run(130)
    assert (world.resting(), world.held()) == ([], held), "nothing of it goes on"


@pytest.mark.parametrize("kind", PROTECTION)
@in_world()
async def test_cancel_all_leaves_protection_unless_it_is_meant_too(world: World, kind: str) -> None:
    await ready(world)
    await opened(world)
    algo = await start(world, PROTECTION[kind])
    assert (await world.command("cancel_all"))["stoppedAlgos"] == []
    assert await algo.status() == "active"
    reply = await world.command("cancel_all", includeProtection=True)
    assert reply["stoppedAlgos"] == [algo.id]
    assert await algo.status() == "cancelled"


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("command, body", [("close_all", {}), ("halt", {"scope": "all", "closePositions": True})])
@in_world()
async def test_what_is_to_be_flat_is_flat_and_every_algo_has_ended(
    world: World, command: str, body: dict[str, Any], entry: str
) -> None:
    algo, stop = await stage(world, entry)
    reply = await world.command(command, **body)
    assert reply["success"], reply
    await world.until(lambda: not world.held() and not world.resting(), 3)
    await algo.becomes("cancelled")
    await stop.becomes("cancelled", "completed")
    await world.run(130)
    assert (world.resting(), world.held()) == ([], D(0))


@pytest.mark.parametrize("entry", ENTRIES)
@in_world()
async def test_a_freeze_blocks_an_entry_algo_until_it_is_taken_back_and_the_stop_goes_on(
    world: World, entry: str
) -> None:
    algo, stop = await stage(world, entry)
    assert (await world.command("freeze"))["success"]
    await algo.becomes("blocked")
    assert entries(world) == []
    held = world.held()
    await world.run(65)
    assert (entries(world), world.held()) == ([], held), "nothing is added meanwhile"
    assert await stop.status() == "active"
    assert (await world.command("unfreeze"))["success"]
    await algo.becomes("active", "starting")
    await world.until(lambda: entries(world) or world.held() > held, 65)


@pytest.mark.parametrize("entry", ENTRIES)
@in_world()
async def test_mode_reduce_and_a_halt_block_an_entry_algo_alike(world: World, entry: str) -> None:
    algo, stop = await stage(world, entry)
    assert world.daemon is not None
    world.daemon.halts.reduce("a test says so")
    await algo.becomes("blocked")
    await world.until(lambda: not entries(world), 3)
    world.daemon.halts.lift("all", "")
    await algo.becomes("active", "starting")
    assert (await world.command("halt", scope="all"))["success"]
    await algo.becomes("blocked")
    assert entries(world) == []
    assert await stop.status() == "active"


STOPPABLE = ENTRIES | {"trailing stop": PROTECTION["trailing stop"]}


@pytest.mark.parametrize("what", STOPPABLE)
@in_world()
async def test_a_paused_algo_says_what_paused_it_in_its_event(world: World, what: str) -> None:
    await ready(world)
    await opened(world)
    algo = await start(world, STOPPABLE[what])
    assert (await world.command("algo_pause", algoId=algo.id))["success"]
    await algo.becomes("paused")
    await world.run(1.1)
    told = [event for event in await world.events() if event["type"] == f"{algo.kind}_progress"][-1]
    assert (told["status"], told["reason"]) == ("paused", "paused_by_command")
    assert (await world.command("algo_resume", algoId=algo.id))["success"]
    await algo.becomes("active")
    await world.run(1.1)
    told = [event for event in await world.events() if event["type"] == f"{algo.kind}_progress"][-1]
    assert (told["status"], told["reason"]) == ("active", "")
