"""The average entry of a position whose fills came to be known out of their order: the venue's, and the money with it
(execution.md 13)."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from pms.audit import AUDIT_S, PAUSE_S
from tests.world.retold import check_retold
from tests.world.world import World, in_world

D = Decimal
pytestmark = pytest.mark.faults
LATER_S = AUDIT_S + PAUSE_S + 1
EXTERNALS = 990_000  # what the account has beyond its one sub-account


async def position(world: World, sub_account: str = "main") -> dict[str, Any]:
    raw = await world.redis.hget(f"pms:position:{sub_account}", "BTCUSDT")
    found: dict[str, Any] = json.loads(raw, parse_float=Decimal)
    return found


async def balance(world: World, sub_account: str) -> Decimal:
    return D((await world.record(f"subaccount:{sub_account}"))["balance"])


async def out_of_order(world: World) -> None:
    """0.010 at 61 805, then 0.010 more at 61 000 that come to be known after 0.010 were sold at 60 000: what is left
    has cost 61 402.50, and 61 000 by the order of news."""
    world.market.quote("61804.9", "61805.0")
    await world.start()
    await world.unlimited()
    assert (await world.command("trade", symbol="BTCUSDT", side="BUY", quantity="0.010"))["success"]
    limit = await world.command("limit", symbol="BTCUSDT", side="BUY", quantity="0.010", price="61000.0")
    assert limit["success"], limit
    await world.run(1)
    world.strike("user_event_late", ms=1_500, events=[], count=3)
    (order,) = world.resting()
    world.market.hit(order, order.remaining)
    world.market.quote("60000.0", "60000.1")
    assert (await world.command("trade", symbol="BTCUSDT", side="SELL", quantity="0.010", reduceOnly=True))["success"]
    await world.run(2)


@in_world()
async def test_a_fill_that_is_known_late_ends_in_the_venues_average_entry(world: World) -> None:
    await out_of_order(world)
    (theirs,) = world.exchange.positions(world.account, "BTCUSDT")
    before = await position(world)
    assert (before["quantity"], before["entryPrice"]) == (D("0.01"), 61000)
    assert theirs.entry_price == D("61402.5")
    balances = await balance(world, "main"), await balance(world, "external")
    told = len(await world.events("position_updated"))
    await world.run(LATER_S)
    after = await position(world)
    assert after["entryPrice"] == theirs.entry_price
    correction = (after["entryPrice"] - 61000) * D("0.01")
    assert after["realizedPnl"] - before["realizedPnl"] == correction == D("4.025")
    assert before["unrealizedPnl"] - after["unrealizedPnl"] == correction, "all together is what it was"
    assert await balance(world, "main") - balances[0] == correction
    assert await balance(world, "external") == balances[1] - correction == EXTERNALS
    (event,) = (await world.events("position_updated"))[told:]
    assert (event["entryPrice"], event["quantity"]) == (theirs.entry_price, D("0.01"))
    await world.run(LATER_S)
    assert len(await world.events("position_updated")) == told + 1, "once"
    await check_retold(world)


@in_world()
async def test_the_venues_average_is_nobodys_where_two_have_a_part_in_it(world: World) -> None:
    await out_of_order(world)
    await world.command("subaccount_put", id="second", name="second")
    await world.unlimited("second")
    for side in ("BUY", "SELL"):  # the venue averages over what was, too
        reply = await world.command("trade", symbol="BTCUSDT", side=side, quantity="0.010", subAccountId="second")
        assert reply["success"], reply
        await world.run(1)
    before = await position(world)
    await world.run(2 * LATER_S)
    assert await position(world) == before
