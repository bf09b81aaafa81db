"""Several manual orders at once: scale and basket (contract.md, "Commands in"; execution.md 10)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from pms.core.limits import TAKER_FEE
from tests.world.world import World, in_world

D = Decimal
TWO = ("BTCUSDT", "ETHUSDT")


def scale(*levels: tuple[str, str], **more: Any) -> dict[str, Any]:
    rows = [{"price": price, "quantity": quantity} for price, quantity in levels]
    return {"symbol": "BTCUSDT", "side": "BUY", "levels": rows} | more


def basket(*legs: tuple[str, str, str]) -> dict[str, Any]:
    return {"legs": [{"symbol": symbol, "side": side, "quantity": quantity} for symbol, side, quantity in legs]}


# --- scale --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", ["list", "stream"])
@in_world()
async def test_each_level_of_a_scale_rests_in_a_slot_of_its_own(world: World, door: str) -> None:
    await world.start()
    levels = [("61000.0", "0.010"), ("60900.0", "0.020"), ("60800.0", "0.030")]
    reply = await world.command("scale", door, requestId="s-1", **scale(*levels))
    assert (reply["success"], reply["placed"], reply["failed"], reply["total"]) == (True, 3, 0, 3), reply
    rows = [(row["price"], row["quantity"], row["state"]) for row in reply["orders"]]
    assert rows == [(D(price), D(quantity), "active") for price, quantity in levels]
    resting = sorted(world.resting(), key=lambda order: order.client_id)
    assert [order.client_id for order in resting] == [row["clientOrderId"] for row in reply["orders"]]
    owners = {order.client_id.split("-")[2] for order in resting}
    slots = [order.client_id.split("-")[4] for order in resting]
    assert (len(owners), slots) == (1, ["000", "001", "002"])
    assert {event["requestId"] for event in await world.events("order_placed", "order_active")} == {"s-1"}


@in_world()
async def test_a_level_that_is_refused_is_a_failure_and_the_others_stand(world: World) -> None:
    await world.start()
    world.fault("POST", status=400, code=-2010, msg="no", count=1)
    levels = [("61000.0", "0.010"), ("60900.05", "0.010"), ("60800.0", "0.010"), ("60700.0", "0.0001")]
    reply = await world.command("scale", **scale(*levels))
    assert (reply["success"], reply["placed"], reply["failed"], reply["total"]) == (True, 1, 3, 4), reply
    told = {(error["errorCode"], error["details"].get("path", "")) for error in reply["errors"]}
    assert told == {("PRICE_OFF_GRID", "levels[1]"), ("QUANTITY_OFF_GRID", "levels[3]"), ("EXCHANGE_REJECTED", "")}
    assert [order.client_id for order in world.resting()] == [row["clientOrderId"] for row in reply["orders"]]


@in_world()
async def test_a_scale_of_which_nothing_may_be_placed_is_refused_as_a_whole(world: World) -> None:
    await world.start()
    reply = await world.command("scale", **scale(("61000.05", "0.010"), ("60900.05", "0.010")))
    assert (reply["success"], reply["errorCode"], reply["details"]["path"]) == (False, "PRICE_OFF_GRID", "levels[0]")
    assert world.order_requests() == []


@in_world()
async def test_a_scale_that_needs_more_open_orders_than_there_is_room_for_sends_none(world: World) -> None:
    await world.start()
    assert world.daemon is not None
    rules = world.daemon.desk.instruments
    rules["BTCUSDT"] = msgspec.structs.replace(rules["BTCUSDT"], max_orders=22)
    reply = await world.command("scale", **scale(*[(f"{61000 - step}.0", "0.010") for step in range(3)]))
    assert (reply["success"], reply["errorCode"]) == (False, "MAX_OPEN_ORDERS"), reply
    assert world.order_requests() == []
    reply = await world.command("scale", **scale(*[(f"{61000 - step}.0", "0.010") for step in range(2)]))
    assert reply["placed"] == 2, "20 are kept for exits"


# --- basket -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", ["list", "stream"])
@in_world(symbols=TWO)
async def test_the_legs_of_a_basket_are_trades_of_one_owner(world: World, door: str) -> None:
    await world.start()
    reply = await world.command("basket", door, **basket(("BTCUSDT", "BUY", "0.010"), ("ETHUSDT", "SELL", "0.100")))
    assert reply["success"], reply
    rows = [(row["symbol"], row["side"], row["state"]) for row in reply["orders"]]
    assert rows == [("BTCUSDT", "BUY", "filled"), ("ETHUSDT", "SELL", "filled")]
    assert (world.held("BTCUSDT"), world.held("ETHUSDT")) == (D("0.010"), D("-0.100"))
    assert {event["origin"] for event in await world.events("order_filled")} == {"BASKET"}


@pytest.mark.parametrize(
    "leg, code, path",
    [
        (("ETHUSDT", "SELL", "0.0001"), "QUANTITY_OFF_GRID", "legs[1].quantity"),
        (("ETHUSDT", "SELL", "0.001"), "BELOW_MINIMUM", "legs[1].quantity"),
        (("NOSUCHUSDT", "SELL", "1"), "UNKNOWN_SYMBOL", "symbol"),
        (("BTCUSDT", "BUY", "1000000"), "ABOVE_MAXIMUM", "legs[1].quantity"),
    ],
)
@in_world(symbols=TWO)
async def test_all_legs_are_checked_before_the_first_is_sent(world: World, leg: Any, code: str, path: str) -> None:
    await world.start()
    reply = await world.command("basket", **basket(("BTCUSDT", "BUY", "0.010"), leg))
    assert (reply["success"], reply["errorCode"], reply["details"]["path"]) == (False, code, path), reply
    assert world.order_requests() == []
    preview = await world.command("validate", command={"type": "basket", **basket(("BTCUSDT", "BUY", "0.010"), leg)})
    assert (preview["valid"], preview["errors"][0]["errorCode"]) == (False, code)


@in_world(symbols=TWO)
async def test_a_leg_that_the_gate_denies_keeps_all_of_them_here(world: World) -> None:
    await world.start()
    price = str(world.markets["ETHUSDT"].ask)
    placed = await world.command("limit", symbol="ETHUSDT", side="SELL", quantity="0.100", price=price)
    assert placed["state"] == "active", placed
    reply = await world.command("basket", **basket(("BTCUSDT", "BUY", "0.010"), ("ETHUSDT", "BUY", "0.100")))
    assert (reply["success"], reply["details"]["path"]) == (False, "legs[1]"), reply
    assert world.order_requests() == ["POST"], "the resting order's own"
    (told,) = await world.events("risk_rejected")
    assert told["order"]["symbol"] == "ETHUSDT"


@in_world(symbols=TWO)
async def test_a_leg_that_the_venue_refuses_is_told_and_the_others_stand(world: World) -> None:
    await world.start()
    world.fault("POST", status=400, code=-2010, msg="no", count=1)
    reply = await world.command("basket", **basket(("BTCUSDT", "BUY", "0.010"), ("ETHUSDT", "BUY", "0.100")))
    assert reply["success"], reply
    assert sorted(row["state"] for row in reply["orders"]) == ["failed", "filled"]
    assert [error["errorCode"] for error in reply["details"]["errors"]] == ["EXCHANGE_REJECTED"]


@in_world(symbols=TWO)
async def test_the_numbers_of_a_basket_are_those_of_all_legs(world: World) -> None:
    await world.start()
    legs = basket(("BTCUSDT", "BUY", "0.010"), ("ETHUSDT", "SELL", "0.100"))
    reply = await world.command("validate", command={"type": "basket", **legs})
    assert reply["valid"] is True, reply
    values = reply["computedValues"]
    fees = values["requiredMargin"] - values["exposure"]
    assert 0 < fees < values["notional"] * TAKER_FEE, "the first leg's is counted no more when the second is judged"
    assert values["exposure"] > 900
    assert "price" not in values, "there is no price of two symbols"
