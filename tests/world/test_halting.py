"""halt and resume (contract.md; execution.md 32): what leaves, what stays, what a restart finds."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pms.halts import FILE
from tests.world.world import World, in_world

D = Decimal


async def limit(world: World, price: str, account: str = "main", **body: object) -> str:
    """Rest a limit order that buys 0.010; its client id."""
    terms = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010", "price": price, "subAccountId": account}
    reply = await world.command("limit", **terms | body)
    assert reply["success"], reply
    return str(reply["clientOrderId"])


async def bought(world: World, quantity: str = "0.010") -> None:
    """Hold a position in `main`."""
    reply = await world.command("trade", symbol="BTCUSDT", side="BUY", quantity=quantity)
    assert reply["success"], reply
    await world.until(lambda: world.held() == D(quantity), 3)


def ids(world: World) -> set[str]:
    return {order.client_id for order in world.resting()}


@in_world()
async def test_a_halt_takes_entries_away_keeps_exits_and_refuses_what_adds(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    await bought(world)
    chase = await world.chase(stalkMode="none")
    manual = await limit(world, "61000.0")
    leaves = await limit(world, "63000.0", side="SELL", reduceOnly=True)
    assert len(ids(world)) == 3
    reply = await world.command("halt")
    assert (reply["success"], reply["cancelledCount"]) == (True, 2), reply
    assert ids(world) == {leaves}
    assert manual not in ids(world)
    assert (await world.state(chase))["status"] == "blocked"
    for kind, body in (
        ("limit", {"price": "61000.0"}),
        ("trade", {}),
        ("chase", {}),
        ("scale", {"levels": [{"price": "61000.0", "quantity": "0.010"}], "quantity": None}),
    ):
        terms = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010"} | body
        refused = await world.command(kind, **{name: value for name, value in terms.items() if value is not None})
        codes = [refused.get("errorCode"), *(error["errorCode"] for error in refused.get("errors", []))]
        assert "HALTED" in codes, refused
    assert ids(world) == {leaves}
    closed = await world.command("close", symbol="BTCUSDT", side="SELL")
    assert closed["success"], closed
    await world.until(lambda: world.held() == 0, 3)


@in_world()
async def test_a_resume_lets_the_blocked_algo_go_on_with_its_rest(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase(stalkMode="none")
    world.market.hit(world.resting()[0], "0.004")
    await world.run(1)
    await world.command("halt")
    assert world.resting() == []
    refused = await world.command("resume", scope="symbol", symbol="BTCUSDT")
    assert "no halt of BTCUSDT stands" in refused["error"]
    assert world.resting() == []
    assert (await world.command("resume", scope="all"))["success"]
    await world.until(lambda: [order.remaining for order in world.resting()] == [D("0.006")], 5)
    assert (await world.state(chase))["status"] == "active"


@in_world()
async def test_a_scope_is_one_sub_account_or_one_symbol(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    ours, others = await limit(world, "61000.0"), await limit(world, "61000.1", "other")
    assert (await world.command("halt", scope="subAccountId", subAccountId="other"))["cancelledCount"] == 1
    assert ids(world) == {ours}
    assert others not in ids(world)
    assert await limit(world, "61000.2")
    refused = await world.command(
        "limit", subAccountId="other", symbol="BTCUSDT", side="BUY", quantity="0.010", price="61000.0"
    )
    assert refused["errorCode"] == "HALTED"
    assert (await world.command("halt", scope="symbol", symbol="BTCUSDT"))["cancelledCount"] == 2
    assert ids(world) == set()


@in_world()
async def test_orders_may_be_kept(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    kept = await limit(world, "61000.0")
    assert (await world.command("halt", cancelOrders=False))["cancelledCount"] == 0
    assert ids(world) == {kept}


@in_world()
async def test_positions_may_be_closed_and_their_algos_end(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    await bought(world)
    entering = await world.chase(stalkMode="none")
    leaving = await world.chase(side="SELL", reduceOnly=True, stalkMode="none", quantity="0.004")
    reply = await world.command("halt", closePositions=True)
    assert reply["closedCount"] == 1, reply
    assert set(reply["stoppedAlgos"]) == {entering, leaving}
    assert world.held() == 0
    assert world.resting() == []


@pytest.mark.crash
@in_world()
async def test_a_restart_is_still_halted_by_redis_and_by_file(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    daemon = await world.start()
    folder = daemon.parts.folder
    assert folder is not None
    await world.chase(stalkMode="none")
    await world.command("halt")
    await world.kill()
    assert (folder / FILE).exists()
    await world.start()
    await world.run(5)
    assert world.resting() == []
    refused = await world.command("limit", symbol="BTCUSDT", side="BUY", quantity="0.010", price="61000.0")
    assert refused["errorCode"] == "HALTED"
    await world.kill()
    await world.redis.flushall()  # Redis emptied: the file alone knows it
    await world.start()
    refused = await world.command("limit", symbol="BTCUSDT", side="BUY", quantity="0.010", price="61000.0")
    assert refused["errorCode"] == "HALTED"
    await world.kill()
    (folder / FILE).unlink()  # and now Redis alone
    daemon = await world.start()
    assert daemon.halts.mode == "HALTED"
    assert (folder / FILE).exists()


@in_world()
async def test_a_redis_that_forgot_starts_in_reduce_until_somebody_resumes(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    await world.chase(stalkMode="none")
    await world.stop()
    await world.redis.flushall()
    daemon = await world.start()
    assert daemon.halts.mode == "REDUCE"
    refused = await world.command("limit", symbol="BTCUSDT", side="BUY", quantity="0.010", price="61000.0")
    assert refused["errorCode"] == "REDUCE_ONLY_MODE"
    assert (await world.command("resume", scope="all"))["success"]
    assert await limit(world, "61000.0")


@in_world()
async def test_two_hundred_orders_thirty_in_flight_and_no_budget_are_gone_within_a_second(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    levels = [{"price": f"{61000 - step}.0", "quantity": "0.001"} for step in range(140)]
    reply = await world.command("scale", symbol="BTCUSDT", side="BUY", levels=levels, wait_s=60, leverage=50)
    assert reply["placed"] == 140, reply
    resting = len(world.resting())
    began = world.clock.monotonic()
    reply = await world.command("halt", wait_s=10)
    took = world.clock.monotonic() - began
    assert reply["cancelledCount"] == resting
    assert world.resting() == []
    assert took <= 1.0, took
