"""Whether the books still are what the venue says, and what a sub-account is worth (execution.md 13; contract.md)."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from pms.daemon import Refused
from tests.world.test_sub_accounts import QUOTE, balance, by_hand, fill, position, signed
from tests.world.world import World, in_world

D = Decimal


async def alarms(world: World) -> set[str]:
    return {name.decode() for name in await world.redis.hkeys("pms:alarms")}


@in_world()
async def test_a_position_that_nothing_explains_blocks_new_risk_until_it_is_accepted_and_assigned(world: World) -> None:
    world.market.quote(*QUOTE)
    await world.start()
    await fill(world, "main", "BUY", "0.010")
    world.exchange._account(world.account).position("BTCUSDT").amount += D("0.004")
    await world.run(40)
    (drift,) = await world.events("position_drift")
    assert (drift["venueQuantity"], drift["booksQuantity"], drift["action"]) == (
        D("0.014"),
        D("0.010"),
        "new_risk_blocked",
    )
    assert await alarms(world) == {"position_drift:BTCUSDT"}
    body = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010"}
    assert (await world.command("chase", **body))["errorCode"] == "POSITION_DRIFT"
    await world.run(60)
    assert len(await world.events("position_drift")) == 1, "told once"
    reply = await world.command("drift_accept", symbol="BTCUSDT")
    assert reply["positionIds"] == ["external:BTCUSDT:1"]
    assert (await position(world, "external"))["entryPrice"] == D("61802.5"), "at mark"
    assert await alarms(world) == set()
    await world.command(
        "position_assign", symbol="BTCUSDT", quantity="0.004", price="61802.5", **{"from": "external", "to": "main"}
    )
    chase = await world.chase(side="SELL", quantity="0.014", reduceOnly=True)
    world.market.hit(world.resting()[0], "0.014")
    await world.ends(chase)
    assert [world.held(), await signed(world, "main")] == [0, 0]


@in_world()
async def test_accepting_where_nothing_differs_changes_nothing(world: World) -> None:
    world.market.quote(*QUOTE)
    await world.start()
    await fill(world, "main", "BUY", "0.010")
    reply = await world.command("drift_accept", symbol="BTCUSDT")
    assert reply["positionIds"] == []
    assert (await world.command("drift_accept", symbol="NONEUSDT"))["errorCode"] == "UNKNOWN_SYMBOL"
    assert await world.redis.hget("pms:position:external", "BTCUSDT") is None


@in_world()
async def test_a_fill_that_no_event_told_of_is_found_by_the_audit_and_booked(world: World) -> None:
    world.market.quote(*QUOTE)
    await world.start()
    await fill(world, "main", "BUY", "0.010")
    world.mute("/private")
    by_hand(world, "BUY", "0.003")
    await world.run(45)
    assert await signed(world, "external") == D("0.003")
    assert await alarms(world) == set()


@in_world()
async def test_a_wallet_that_nothing_explains_is_told_after_two_audits(world: World) -> None:
    await world.start()
    world.exchange._account(world.account).wallet += 5
    await world.run(35)
    assert await alarms(world) == set()
    await world.run(35)
    assert await alarms(world) == {"balance_drift:USDT"}
    world.exchange._account(world.account).wallet -= 5
    await world.run(35)
    assert await alarms(world) == set()


@in_world()
async def test_the_risk_record_follows_fills_and_marks(world: World) -> None:
    world.market.quote(*QUOTE)
    await world.start()
    await fill(world, "main", "BUY", "0.010", leverage=5)
    await world.run(2)
    first = await world.record("risk:main")
    (held,) = first["positions"]
    assert (held["id"], held["quantity"], held["entryPrice"]) == ("main:BTCUSDT:1", D("0.010"), D("61800.0"))
    assert held["markPrice"] == D("61802.5")
    assert held["unrealizedPnl"] == D("0.025")
    assert held["margin"] == D("123.605")
    assert first["balance"] == await balance(world, "main")
    assert first["equity"] == first["balance"] + D("0.025")
    assert first["marginUsed"] == D("123.605")
    assert first["availableMargin"] == first["equity"] - D("123.605")
    world.market.quote("61900.0", "61905.0")
    await world.run(10)
    second = await world.record("risk:main")
    assert second["positions"][0]["unrealizedPnl"] == D("1.025")
    assert second["seq"] >= first["seq"]
    told = [
        event["type"] for event in await world.events("margin_update", "pnl_update") if event["subAccountId"] == "main"
    ]
    assert told == ["margin_update", "pnl_update"]
    assert (await position(world, "main"))["leverage"] == 5


@in_world()
async def test_a_risk_record_shows_open_orders_and_survives_a_restart(world: World) -> None:
    world.market.quote(*QUOTE)
    await world.start()
    await world.chase(quantity="0.010", leverage=5)
    await world.run(2)
    risk = await world.record("risk:main")
    assert [order["price"] for order in risk["openOrders"]] == [D("61800.0")]
    assert risk["marginUsed"] == D("123.6")
    await world.kill()
    await world.start()
    await world.run(2)
    again: dict[str, Any] = json.loads(await world.redis.get("pms:risk:main"))
    assert again["rev"] > risk["rev"]
    assert await alarms(world) == set()
    await world.command("cancel_all")


@in_world()
async def test_another_asset_that_comes_into_the_wallet_is_told(world: World) -> None:
    await world.start()
    rows = [{"asset": "BNB", "balance": "1"}, {"asset": "USDT", "balance": str(world.wallet())}]
    world.fault("GET", "/fapi/v3/balance", status=200, body=json.dumps(rows))
    await world.run(35)
    assert await alarms(world) == {"other_assets:wallet"}
    await world.run(35)
    assert await alarms(world) == set()


@in_world(books=False)
async def test_a_wallet_with_another_asset_is_refused_at_the_start(world: World) -> None:
    """execution.md 17."""
    body = '[{"asset":"BNB","balance":"1"},{"asset":"USDT","balance":"5"}]'
    world.fault("GET", "/fapi/v3/balance", status=200, body=body)
    with pytest.raises(Refused, match="BNB"):
        await world.start()
