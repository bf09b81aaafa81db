"""close, close_all, admin_close: positions of sub-accounts are closed at the market, whatever stands in the way."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.world.world import World, in_world

D = Decimal
TOUCH = ("61800.0", "61805.0")


async def opened(world: World, account: str = "main", side: str = "BUY", quantity: str = "0.010") -> None:
    """A position of a sub-account, by a chase that others hit."""
    chase = await world.chase(subAccountId=account, side=side, quantity=quantity)
    (order,) = [one for one in world.resting() if one.side == side]
    world.market.hit(order, quantity)
    await world.ends(chase)


async def position(world: World, account: str = "main") -> dict[str, Any]:
    row = await world.redis.hget(f"pms:position:{account}", "BTCUSDT")
    return json.loads(row, parse_float=Decimal, parse_int=Decimal)  # type: ignore[no-any-return]


async def ready(world: World) -> None:
    world.market.quote(*TOUCH)
    await world.start()


@pytest.mark.parametrize("side", ["BUY", "SELL"])
@in_world()
async def test_a_position_is_closed_at_once_within_the_price_bound(world: World, side: str) -> None:
    await ready(world)
    await opened(world, side=side)
    closing = "SELL" if side == "BUY" else "BUY"
    reply = await world.command("close", symbol="BTCUSDT", side=closing)
    assert reply["success"], reply
    order = await world.record(f"order:{reply['clientOrderId']}")
    assert (order["state"], order["reduceOnly"], order["flagged"]) == ("filled", True, True)
    assert (order["timeInForce"], order["filledQty"]) == ("IOC", D("0.010"))
    assert abs(order["price"] / D("61802.5") - 1) <= D("0.005")
    assert (await position(world))["quantity"] == 0
    assert world.held() == 0


@in_world()
async def test_a_close_by_position_id_with_a_quantity_closes_only_that(world: World) -> None:
    await ready(world)
    await opened(world)
    held = await position(world)
    reply = await world.command("close", positionId=held["positionId"], quantity="0.004")
    assert reply["success"], reply
    assert (await position(world))["signedQuantity"] == D("0.006")


@in_world()
async def test_nothing_left_to_close_is_cleaned_up_and_said(world: World) -> None:
    await ready(world)
    assert (await world.command("close", symbol="BTCUSDT", side="SELL"))["staleCleanup"] is True
    await opened(world)
    held = await position(world)
    await world.command("close", positionId=held["positionId"])
    reply = await world.command("close", positionId=held["positionId"])
    assert reply["staleCleanup"] is True
    assert "clientOrderId" not in reply


@in_world()
async def test_what_can_not_be_meant_is_refused(world: World) -> None:
    await ready(world)
    await opened(world)
    held = await position(world)
    sent = len(world.order_requests())
    for body, code in (
        ({"symbol": "BTCUSDT", "side": "BUY"}, "POSITION_SIDE_MISMATCH"),
        ({"positionId": "main:BTCUSDT:9"}, "POSITION_NOT_FOUND"),
        ({"positionId": "main:ETHUSDT:1"}, "POSITION_NOT_FOUND"),
        ({"positionId": held["positionId"], "subAccountId": "other"}, "NOT_OWNER"),
        ({"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.0001"}, "QUANTITY_OFF_GRID"),
    ):
        reply = await world.command("close", **body)
        assert reply["errorCode"] == code, reply
    assert len(world.order_requests()) == sent


@in_world()
async def test_a_close_takes_over_what_resting_closers_had(world: World) -> None:
    """A reduce-only chase and a reduce-only limit order stand for the whole position."""
    await ready(world)
    await opened(world)
    chase = await world.chase(side="SELL", quantity="0.006", reduceOnly=True)
    limit = await world.command(
        "limit", symbol="BTCUSDT", side="SELL", quantity="0.004", price="62000", reduceOnly=True
    )
    assert limit["success"], limit
    reply = await world.command("close", symbol="BTCUSDT", side="SELL")
    assert reply["success"], reply
    assert world.held() == 0
    assert world.resting() == []
    assert (await world.ends(chase))["reason"] == "position_gone"
    assert (await world.record(f"order:{limit['clientOrderId']}"))["state"] == "cancelled"


@in_world()
async def test_a_part_closed_leaves_to_resting_closers_what_is_left(world: World) -> None:
    await ready(world)
    await opened(world)
    limit = await world.command(
        "limit", symbol="BTCUSDT", side="SELL", quantity="0.010", price="62000", reduceOnly=True
    )
    await world.command("close", symbol="BTCUSDT", side="SELL", quantity="0.004")
    await world.run(1)
    (order,) = world.resting()
    assert (order.client_id, order.remaining) == (limit["clientOrderId"], D("0.006"))
    assert (await position(world))["signedQuantity"] == D("0.006")


@in_world()
async def test_admin_close_closes_anybodys_position(world: World) -> None:
    await ready(world)
    await opened(world, "other")
    held = await position(world, "other")
    reply = await world.command("admin_close", positionId=held["positionId"])
    assert reply["success"], reply
    assert (await position(world, "other"))["quantity"] == 0


@in_world()
async def test_close_all_ends_the_algos_and_closes_every_position_of_its_sub_account(world: World) -> None:
    await ready(world)
    await opened(world)
    await opened(world, "other", quantity="0.003")
    entry = await world.chase(quantity="0.005")
    exit_ = await world.chase(side="SELL", reduceOnly=True, stalkOffsetPct="1")
    reply = await world.command("close_all")
    assert (reply["closedCount"], reply["cancelledCount"], reply["errors"]) == (1, 2, [])
    assert [(await world.state(one))["status"] for one in (entry, exit_)] == ["cancelled", "cancelled"]
    assert (await position(world))["quantity"] == 0
    assert (await position(world, "other"))["quantity"] == D("0.003")
    assert world.held() == D("0.003")


@in_world()
async def test_a_chase_is_cancelled_and_what_it_has_filled_is_closed_where_that_is_asked(world: World) -> None:
    await ready(world)
    chase = await world.chase()
    world.market.hit(world.resting()[0], "0.004")
    await world.until(lambda: world.held() == D("0.004"))
    reply = await world.command("chase_cancel", chaseId=chase, closePositions=True)
    assert (reply["success"], "details" in reply) == (True, False)
    assert (world.held(), world.resting()) == (0, [])
    state = await world.state(chase)
    assert (state["status"], state["filledQuantity"]) == ("cancelled", D("0.004"))


@pytest.mark.crash
@pytest.mark.parametrize("door", ["list", "stream"])
@pytest.mark.parametrize("after_ms", [0, 5, 20, 100, 400])
@in_world()
async def test_a_part_is_closed_once_wherever_the_daemon_dies(world: World, door: str, after_ms: int) -> None:
    """The same request again, by the same door, gets its outcome and closes nothing more."""
    await ready(world)
    await opened(world)
    world.fault("POST", delay_before_ms=50, delay_after_ms=200)
    body = {"requestId": "once", "subAccountId": "main", "symbol": "BTCUSDT", "side": "SELL", "quantity": "0.004"}

    async def send() -> None:
        text = json.dumps(body)
        if door == "list":
            await world.redis.lpush("pms:cmd:close", text)
        else:
            await world.redis.xadd("pms:commands", {"type": "close", "body": text})

    await send()
    await world.run(after_ms / 1000)
    await world.kill()
    await world.start()
    await world.redis.delete("pms:result:once")
    await send()
    reply = await world.reply("once")
    assert reply["success"] or reply["errorCode"] == "NOT_EXECUTED", reply
    await world.run(15)
    closed = D("0.010") - world.held()
    assert closed in (D("0.004"), D(0))
    assert closed or not reply["success"]
