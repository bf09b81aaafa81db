"""Manual orders through both doors: trade, limit, scale, basket (contract.md, "Commands in"; execution.md 10)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.world.world import World, in_world

D = Decimal
LIMIT: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010", "price": "61000.0"}
TRADE: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010"}


async def types_of(world: World, client_id: str) -> list[str]:
    told = await world.events()
    return [event["type"] for event in told if event.get("clientOrderId") == client_id]


@pytest.mark.parametrize("door", ["list", "stream"])
@in_world()
async def test_a_limit_rests_and_is_told_with_all_its_fields(world: World, door: str) -> None:
    await world.start()
    reply = await world.command("limit", door, requestId="l-1", leverage=5, **LIMIT)
    assert (reply["success"], reply["state"]) == (True, "active"), reply
    (order,) = world.resting()
    assert order.client_id == reply["clientOrderId"]
    assert (order.side, order.price, order.quantity) == ("BUY", D("61000.0"), D("0.010"))
    told = await world.events("order_placed", "order_active")
    placed, active = [event for event in told if event["clientOrderId"] == order.client_id]
    assert (placed["type"], active["type"]) == ("order_placed", "order_active")
    told = {name: active[name] for name in ("requestId", "origin", "parentId", "rootId", "orderType", "timeInForce")}
    assert told == {
        "requestId": "l-1",
        "origin": "MANUAL",
        "parentId": "",
        "rootId": "",
        "orderType": "LIMIT",
        "timeInForce": "GTC",
    }
    world.market.hit(order, "0.010")
    await world.run(1)
    assert (await types_of(world, order.client_id))[-1] == "order_filled"
    assert (await world.events("order_filled"))[0]["requestId"] == "l-1"
    assert world.held() == D("0.010")


@pytest.mark.parametrize("side, bound", [("BUY", "62114.0"), ("SELL", "61496.0")])
@in_world()
async def test_a_trade_is_an_ioc_at_mid_and_slippage_rounded_inward(world: World, side: str, bound: str) -> None:
    world.market.quote("61800.0", "61810.0")
    await world.start()
    reply = await world.command("trade", **TRADE | {"side": side})
    assert (reply["success"], reply["state"]) == (True, "filled"), reply
    (order,) = world.placed()
    assert (order.time_in_force, order.price) == ("IOC", D(bound))
    assert world.held() == (D("0.010") if side == "BUY" else D("-0.010"))
