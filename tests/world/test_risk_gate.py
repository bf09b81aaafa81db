"""The gate in the world: what several orders of one command come to, and amends (contract.md, limits_put; execution.md
14)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.world.world import World, in_world

D = Decimal
LIMIT: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.018", "price": 50000}


@in_world()
async def test_of_several_orders_those_beyond_the_rate_are_not_sent(world: World) -> None:
    await world.start()
    await world.limited(maxOrdersPerMinute=3)
    levels = [{"price": 50000 + 100 * level, "quantity": "0.010"} for level in range(5)]
    scale = {"symbol": "BTCUSDT", "side": "BUY", "levels": levels}
    preview = await world.command("validate", command={"type": "scale", **scale})
    assert preview["errors"][0]["errorCode"] == "ORDER_RATE"
    reply = await world.command("scale", **scale)
    assert (reply.get("placed"), reply.get("failed")) == (3, 2), "what was only previewed does not count"
    assert {error["errorCode"] for error in reply["errors"]} == {"ORDER_RATE"}
    assert len(world.placed()) == 3
    legs = [{"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010"}] * 2
    await world.run(61)
    await world.command("limit", **LIMIT)
    await world.command("limit", **LIMIT)
    reply = await world.command("basket", legs=legs)
    assert (reply["errorCode"], len(world.placed())) == ("ORDER_RATE", 5), "a basket is refused before its first leg"
    rejected = await world.events("risk_rejected")
    assert {(event["reasonCode"], event["limit"], event["value"]) for event in rejected} == {("ORDER_RATE", 3, 3)}


@in_world()
async def test_an_amend_is_judged_by_the_whole_order(world: World) -> None:
    await world.start()
    await world.limited(maxOrderNotional=1000)
    reply = await world.command("limit", **LIMIT)
    amend = await world.command("amend", clientOrderId=reply["clientOrderId"], quantity="0.021")
    assert (amend["success"], amend.get("errorCode")) == (False, "MAX_ORDER_NOTIONAL")
    (order,) = world.resting()
    assert order.quantity == D("0.018")
    amend = await world.command("amend", clientOrderId=reply["clientOrderId"], quantity="0.020")
    assert amend["success"], amend
    assert order.quantity == D("0.020")


@in_world()
async def test_a_closer_can_not_be_amended_beyond_its_position(world: World) -> None:
    await world.start()
    await world.command("trade", symbol="BTCUSDT", side="BUY", quantity="0.010")
    closer = {"symbol": "BTCUSDT", "side": "SELL", "price": 64000, "reduceOnly": True}
    reply = await world.command("limit", quantity="0.006", **closer)
    await world.command("limit", quantity="0.002", **closer)
    amend = await world.command("amend", clientOrderId=reply["clientOrderId"], quantity="0.009")
    assert (amend["success"], amend.get("errorCode")) == (False, "REDUCE_ONLY_EXCEEDS")
    amend = await world.command("amend", clientOrderId=reply["clientOrderId"], quantity="0.008")
    assert amend["success"], amend
    assert sorted(order.quantity for order in world.resting()) == [D("0.002"), D("0.008")]


@in_world()
async def test_a_closer_binds_no_margin_whatever_leverage_it_names(world: World) -> None:
    await world.start()
    reply = await world.command("trade", symbol="BTCUSDT", side="BUY", quantity="1", leverage=20)
    assert reply["success"], reply
    closer = {"symbol": "BTCUSDT", "side": "SELL", "price": 64000, "reduceOnly": True}
    assert (await world.command("limit", quantity=str(world.held()), **closer))["success"]
    reply = await world.command("limit", leverage=20, **LIMIT)
    assert reply["success"], reply
