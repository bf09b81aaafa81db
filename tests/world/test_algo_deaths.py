"""Each kind of algo half done when its daemon is killed, stopped, or gone for an hour: it trades what was asked, at the
prices there were, and ends in a word of its scenario (algos.md, law 8; execution.md 25).

One line is told of each kind: what it traded of what was asked, its word at the end of each life, and its average price
within the prices that were allowed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.plugin_site import Site, site
from tests.world.world import World, in_world

D = Decimal
HOUR_S = 3600
WAYS = ("undisturbed", "SIGKILL", "SIGTERM", "an hour down")
BUY: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY"}
TOUCH = (D("61800.0"), D("61800.1"))
RISEN = (D("61802.0"), D("61802.1"))  # while it was away
FALLEN = (D("61650.0"), D("61650.1"))


@dataclasses.dataclass(frozen=True)
class Scenario:
    """What is asked, and what may come of it. `words`: what the record may say at the end. `low` to `high`: the average
    price that the market allowed. `entry`: after an hour it is paused, and goes on by command. `before` and `after` are
    the touches when it has begun and when its daemon has gone."""

    command: str
    body: dict[str, Any]
    quantity: Decimal
    low: Decimal
    high: Decimal
    words: tuple[str, ...] = ("completed",)
    entry: bool = True
    before: tuple[Decimal, Decimal] = TOUCH
    after: tuple[Decimal, Decimal] = RISEN

    @property
    def kind(self) -> str:
        return {"trail_stop": "trailstop", "algo_start": "algo:iceberg"}.get(self.command, self.command)


LOTS = {"quantity": "0.020", "lots": 2}
LEGS = {"basketName": "one", "legs": [BUY | {"quantity": "0.020"}], "lots": 2}
INTERVAL_S = dict.fromkeys(WAYS, 20) | {"an hour down": HOUR_S + 60}
STOP = {"symbol": "BTCUSDT", "positionSide": "LONG", "callbackTicks": 1000}
ICEBERG = BUY | {"quantity": "0.010", "displayQuantity": "0.004", "price": "61790.0"}
MADE, TAKEN = (TOUCH[0], RISEN[0]), (TOUCH[1], RISEN[1])  # what a buyer pays who waits, and who does not
EITHER = (TOUCH[0], RISEN[1])  # a child chase whose time was over hands its rest to the market
TRIGGER = D("61700.05")
SCENARIOS = {
    "chase": Scenario("chase", BUY | {"quantity": "0.010"}, D("0.010"), *MADE, words=("filled",)),
    "twap, market": Scenario("twap", BUY | LOTS, D("0.020"), *TAKEN),
    "twap, chase": Scenario("twap", BUY | LOTS | {"style": "chase"}, D("0.020"), *EITHER),
    "twap basket": Scenario("twap_basket", LEGS, D("0.020"), *TAKEN),
    "twap basket, chase": Scenario("twap_basket", LEGS | {"style": "chase"}, D("0.020"), *EITHER),
    "trailing stop, market": Scenario(
        "trail_stop", STOP, D("0.010"), FALLEN[0], TRIGGER, entry=False, after=FALLEN
    ),
    "trailing stop, chase": Scenario(
        "trail_stop", STOP | {"exit": "chase", "exitDeadlineSeconds": 60}, D("0.010"), FALLEN[0], TRIGGER,
        entry=False, before=FALLEN, after=FALLEN,
    ),
    "scalper": Scenario(
        "scalper", {"symbol": "BTCUSDT", "longSizeUsd": 620}, D("0.010"), D("61738.0"), RISEN[0], words=("cancelled",)
    ),
    "plug-in (iceberg)": Scenario(
        "algo_start", {"algo": "iceberg", "params": ICEBERG}, D("0.010"), D("61790.0"), D("61790.0")
    ),
}  # fmt: skip
ENDED = ("filled", "completed", "cancelled", "expired", "failed")


class Life:
    """One run of a scenario, with one death or none."""

    def __init__(self, world: World, scenario: Scenario, plugs: Site) -> None:
        self.world = world
        self.scenario = scenario
        self.plugs = plugs
        self.id = ""

    async def state(self) -> dict[str, Any]:
        return await self.world.record(f"{self.scenario.kind}:{self.id}")

    async def begin(self, way: str) -> None:
        """The algo runs, and has traded a part where others come to its order."""
        world, scenario = self.world, self.scenario
        world.market.quote(*TOUCH)
        await world.start(PMS_PLUGINS=str(self.plugs.approved))
        if scenario.command == "trail_stop":
            assert (await world.command("trade", **BUY | {"quantity": "0.010"}))["success"]
            await world.run(1)
        lots = {"intervalSeconds": INTERVAL_S[way]} if "lots" in scenario.body else {}
        reply = await world.command(scenario.command, **scenario.body | lots)
        assert reply["success"], reply
        (self.id,) = [value for name, value in reply.items() if name.endswith("Id") and name not in _ENVELOPE]
        await world.run(1)
        world.market.quote(*scenario.before)
        await world.run(1)
        self.others_trade("0.004")
        await world.run(1)

    def others_trade(self, quantity: str) -> None:
        """Others trade into whatever of ours rests; of a scalper's legs only while it has not bought or sold all."""
        for order in self.world.resting():
            if self.scenario.command == "scalper" and self.done(order.side) >= self.scenario.quantity:
                continue
            room = self.scenario.quantity - self.done(order.side)
            self.world.market.hit(order, min(D(quantity), order.remaining, room))

    def done(self, side: str) -> Decimal:
        """What its orders have filled on a side, by the venue's word."""
        return sum((order.filled for order in self.world.placed() if order.side == side), D(0))

    async def dies(self, way: str) -> None:
        """The daemon is gone for a while, in which the market moves and trades."""
        world = self.world
        if way == "undisturbed":
            world.market.quote(*self.scenario.after)
            return
        await (world.stop() if way == "SIGTERM" else world.kill())
        self.others_trade("0.001")
        world.market.quote(*self.scenario.after)
        await world.nobody_looks(HOUR_S if way == "an hour down" else 15)
        await world.start(PMS_PLUGINS=str(self.plugs.approved))
        await world.run(3)
        if self.scenario.entry and way == "an hour down":
            state = await self.state()
            assert (state["status"], state.get("paused") or state["reason"]) == ("paused", "down_too_long")
            assert (await world.command("algo_resume", algoId=self.id))["success"]

    async def ends(self) -> dict[str, Any]:
        """Others trade with it until it has ended."""
        for _ in range(120):
            await self.world.run(1)
            self.others_trade("0.003")
            if self.scenario.command == "scalper" and self.done("SELL") >= self.scenario.quantity:
                await self.world.run(1)
                cancelled = await self.world.command("scalper_cancel", scalperId=self.id, closePositions=True)
                assert cancelled["success"], cancelled
            if (await self.state())["status"] in ENDED:
                return await self.state()
        raise AssertionError(f"it does not end: {await self.state()}")


_ENVELOPE = ("requestId", "subAccountId")


async def lived(world: World, name: str, way: str, plugs: Site) -> str:
    """Live a scenario with one death; says what came of it."""
    scenario = SCENARIOS[name]
    life = Life(world, scenario, plugs)
    await life.begin(way)
    await life.dies(way)
    state = await life.ends()
    side = "SELL" if scenario.command == "trail_stop" else "BUY"
    orders = [order for order in world.placed() if order.side == side]
    filled = sum((order.filled for order in orders), D(0))
    price = sum((order.quote_filled for order in orders), D(0)) / filled
    assert len(scenario.words) <= 4
    assert state["status"] in scenario.words, f"{way}: {state['status']}, {state['reason']}"
    assert filled == scenario.quantity, f"{way}: {filled}"
    assert scenario.low <= price <= scenario.high, f"{way}: at {price}"
    assert world.resting() == []
    return f"{way} {state['status']} at {price:.2f}"


@pytest.mark.crash
@pytest.mark.parametrize("name", SCENARIOS)
def test_whatever_became_of_its_daemon_it_trades_what_was_asked(
    name: str, tmp_path: Path, told: Callable[[str], None], cases: Callable[[int], None]
) -> None:
    words = []
    for number, way in enumerate(WAYS):
        folder = tmp_path / str(number)
        folder.mkdir()
        with site(folder) as plugs:
            plugs.iceberg()
            plugs.approve()

            async def life(world: World, way: str = way, plugs: Site = plugs) -> None:
                words.append(await lived(world, name, way, plugs))

            in_world()(life)(folder)
    scenario = SCENARIOS[name]
    told(
        f"{name}: {scenario.quantity} of {scenario.quantity}, {' or '.join(scenario.words)}, "
        f"allowed {scenario.low} to {scenario.high}: {', '.join(words)}"
    )
    cases(len(WAYS) - 1)
