"""Two algos of ours that meet on one symbol, of one sub-account or of two: they never trade with each other.

What could wait waits, and is named where it never could leave. A protective exit does not: the venue's self-trade
prevention ends what rests (EXPIRED_IN_MATCH), and that stands again (execution.md 8)."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.plugin_site import Site, site
from tests.world.world import World, in_world

D = Decimal
BUY = {"symbol": "BTCUSDT", "side": "BUY"}
SELL = {"symbol": "BTCUSDT", "side": "SELL"}
LOTS = {"quantity": "0.010", "lots": 2, "intervalSeconds": 5}
SLOW = {"quantity": "0.020", "lots": 2, "intervalSeconds": 60, "style": "chase"}
ICEBERG = {"quantity": "0.010", "displayQuantity": "0.004", "price": "61800.1"}

RESTING: dict[str, tuple[str, dict[str, Any]]] = {  # each comes to stand before all others on the side of the bid
    "chase": ("chase", BUY | {"quantity": "0.010", "aggressive": True}),
    "twap of chases": ("twap", BUY | SLOW),
    "scalper": ("scalper", {"symbol": "BTCUSDT", "longSizeUsd": 1300, "longOffsetPct": 0, "neutralMode": True}),
    "plug-in": ("algo_start", {"algo": "iceberg", "params": BUY | ICEBERG}),
}
WAITING: dict[str, tuple[str, dict[str, Any]]] = {  # each would sell the 0.010 that are held into what rests
    "twap": ("twap", SELL | LOTS),
    "twap basket": ("twap_basket", LOTS | {"basketName": "one", "legs": [SELL | {"quantity": "0.010"}]}),
    "chase with a deadline": ("chase", SELL | {"quantity": "0.010", "deadlineSeconds": 3, "onDeadline": "take"}),
}
STOP = ("trail_stop", {"symbol": "BTCUSDT", "positionSide": "LONG", "callbackTicks": 10})
ENDED = ("filled", "completed", "cancelled", "expired", "failed")


@pytest.fixture
def plugs(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as made:
        made.iceberg()
        made.approve()
        yield made


class Algo:
    """One that runs."""

    def __init__(self, world: World, kind: str, reply: dict[str, Any]) -> None:
        self.world = world
        self.word = {"trail_stop": "trailstop", "algo_start": "algo:iceberg"}.get(kind, kind)
        self.cancels = {"algo_start": "algo_cancel"}.get(kind, f"{kind}_cancel")
        names = [name for name in reply if name.endswith("Id") and name not in ("requestId", "subAccountId")]
        self.named = {names[0]: reply[names[0]]}
        self.id = reply[names[0]]

    async def status(self) -> str:
        return str((await self.world.record(f"{self.word}:{self.id}"))["status"])

    async def ended(self) -> bool:
        return await self.status() in ENDED


async def start(world: World, account: str, what: tuple[str, dict[str, Any]]) -> Algo:
    kind, body = what
    reply = await world.command(kind, subAccountId=account, **body)
    assert reply["success"], reply
    return Algo(world, kind, reply)


async def begun(world: World, plugs: Site, resting: str, account: str) -> tuple[Algo, list[Any]]:
    """A position of 0.010 in `account`, and an algo of `main` whose order rests first of all at the bid."""
    world.market.quote("61800.0", "61805.0")
    await world.start(PMS_PLUGINS=str(plugs.approved))
    assert (await world.command("trade", subAccountId=account, **BUY | {"quantity": "0.010"}))["success"]
    await world.run(1)
    maker = await start(world, "main", RESTING[resting])
    await world.run(1)
    return maker, [order for order in world.resting() if order.side == "BUY"]


def apart(world: World) -> None:
    """No trade had us on both sides: each has a number of its own."""
    trades = [trade.trade_id for trade in world.exchange.trades(world.account, "BTCUSDT")]
    assert len(set(trades)) == len(trades)


@pytest.mark.parametrize("account", ["main", "second"])
@pytest.mark.parametrize("resting", RESTING)
def test_an_exit_goes_through_and_what_rested_in_its_way_stands_again(
    resting: str, account: str, tmp_path: Path, plugs: Site
) -> None:
    @in_world()
    async def live(world: World) -> None:
        maker, (order,) = await begun(world, plugs, resting, account)
        stop = await start(world, account, STOP)
        world.market.quote("61790.0", "61805.0")
        await world.until(stop.ended, 5)
        assert (await stop.status(), world.held()) == ("completed", 0)
        assert (order.status, order.filled) == ("EXPIRED_IN_MATCH", 0)
        await world.until(lambda: [one.quantity for one in bids(world)] == [order.quantity], 5)
        assert bids(world) != [order]
        assert await maker.status() == "active"
        apart(world)

    live(tmp_path)


def bids(world: World) -> list[Any]:
    return [order for order in world.resting() if order.side == "BUY"]


@pytest.mark.parametrize("account", ["main", "second"])
@pytest.mark.parametrize("waiting", WAITING)
@pytest.mark.parametrize("resting", RESTING)
def test_what_adds_nothing_to_safety_waits_and_says_what_never_left(
    resting: str, waiting: str, account: str, tmp_path: Path, plugs: Site
) -> None:
    @in_world()
    async def live(world: World) -> None:
        maker, (order,) = await begun(world, plugs, resting, account)
        taker = await start(world, account, WAITING[waiting])
        await world.until(taker.ended, 40)
        assert await taker.status() in ("expired", "cancelled")
        assert (world.held(), order.status, order.filled) == (D("0.010"), "NEW", 0)
        assert await maker.status() == "active"
        apart(world)

    live(tmp_path)


@pytest.mark.parametrize("resting", RESTING)
def test_it_leaves_once_the_way_is_free(resting: str, tmp_path: Path, plugs: Site) -> None:
    @in_world()
    async def live(world: World) -> None:
        maker, (order,) = await begun(world, plugs, resting, "main")
        taker = await start(world, "main", WAITING["twap"])
        await world.run(2)
        assert world.held() == D("0.010")
        reply = await world.command(maker.cancels, **maker.named)
        assert reply["success"], reply
        assert not order.is_open
        await world.until(taker.ended, 20)
        assert (await taker.status(), world.held()) == ("completed", 0)
        apart(world)

    live(tmp_path)
