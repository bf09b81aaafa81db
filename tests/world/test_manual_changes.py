"""Manual orders amended and cancelled, in every state they may be in (contract.md; execution.md 1, 3, 7, 8)."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from pms.core.limits import TAKER_FEE
from tests.world.world import World, in_world

D = Decimal
LIMIT: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010", "price": "61000.0"}
NOWHERE = {"status": 400, "code": -2013, "msg": "Order does not exist."}


async def limit(world: World, **changes: Any) -> str:
    """A resting limit order; its client id."""
    reply = await world.command("limit", **LIMIT | changes)
    assert (reply["success"], reply["state"]) == (True, "active"), reply
    return str(reply["clientOrderId"])


async def send(world: World, kind: str, request_id: str, **body: Any) -> None:
    """A command whose reply is not waited for."""
    await world.redis.lpush(f"pms:cmd:{kind}", json.dumps({"subAccountId": "main", "requestId": request_id, **body}))


async def state_of(world: World, client_id: str) -> str:
    return str((await world.record(f"order:{client_id}"))["state"])


# --- amend --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", ["list", "stream"])
@in_world()
async def test_an_amend_moves_price_and_total_and_is_told(world: World, door: str) -> None:
    await world.start()
    name = await limit(world)
    (order,) = world.resting()
    world.market.hit(order, "0.004")
    await world.run(1)
    body = {"clientOrderId": name, "price": 61001, "quantity": "0.015"}
    reply = await world.command("amend", door, requestId="a-1", **body)
    assert (reply["success"], reply["clientOrderId"], reply["state"]) == (True, name, "active"), reply
    assert (order.price, order.quantity, order.remaining) == (D("61001.0"), D("0.015"), D("0.011"))
    (told,) = await world.events("order_amended")
    assert (told["price"], told["quantity"], told["requestId"]) == (61001, D("0.015"), "a-1")
    assert (await world.command("amend", door, requestId="a-1", **body)) == reply
    assert order.amendments == 1


@in_world()
async def test_what_may_be_left_out_of_an_amend_stays_as_it_is(world: World) -> None:
    await world.start()
    name = await limit(world)
    (order,) = world.resting()
    await world.command("amend", clientOrderId=name, quantity="0.020")
    await world.command("amend", clientOrderId=name, price=60990)
    assert (order.price, order.quantity) == (D("60990.0"), D("0.020"))


@in_world()
async def test_an_amend_of_a_part_filled_order_carries_the_total(world: World) -> None:
    await world.start()
    name = await limit(world)
    (order,) = world.resting()
    world.market.hit(order, "0.004")
    await world.run(1)
    await world.command("amend", clientOrderId=name, price=61001)
    assert (order.quantity, order.remaining) == (D("0.010"), D("0.006"))


@in_world()
async def test_an_amend_of_what_is_unknown_is_refused_until_it_is_known(world: World) -> None:
    await world.start()
    world.fault("POST", lose="after")
    world.fault("GET", **NOWHERE, count=0)
    world.mute("/private")
    placed = await world.command("limit", **LIMIT)
    refused = await world.command("amend", requestId="a", clientOrderId=placed["clientOrderId"], price=61001)
    assert (refused["errorCode"], refused["retryable"]) == ("NOT_READY", True), refused
    world.heal()
    await world.run(10)
    reply = await world.command("amend", requestId="a", clientOrderId=placed["clientOrderId"], price=61001)
    assert reply["success"], reply
    assert [order.price for order in world.resting()] == [D("61001.0")]


@in_world()
async def test_an_amend_that_changes_nothing_is_done_without_a_request(world: World) -> None:
    await world.start()
    name = await limit(world)
    reply = await world.command("amend", clientOrderId=name, price="61000.00", quantity="0.010")
    assert (reply["success"], reply["state"]) == (True, "active")
    assert world.order_requests() == ["POST"]


@pytest.mark.parametrize(
    "changes, code",
    [
        ({"quantity": "0.004"}, "INVALID_FIELD"),
        ({"quantity": "0.003"}, "INVALID_FIELD"),
        ({"quantity": "0.0105"}, "QUANTITY_OFF_GRID"),
        ({"price": "61000.05"}, "PRICE_OFF_GRID"),
        ({"clientOrderId": "pms-nobody", "price": 61000}, "ORDER_NOT_FOUND"),
        ({"subAccountId": "second", "price": 61001}, "NOT_OWNER"),
    ],
)
@in_world()
async def test_an_amend_that_can_not_be_is_refused_and_the_order_rests_as_it_was(
    world: World, changes: Any, code: str
) -> None:
    await world.start()
    name = await limit(world)
    (order,) = world.resting()
    world.market.hit(order, "0.004")
    await world.run(1)
    reply = await world.command("amend", **{"clientOrderId": name} | changes)
    assert (reply["success"], reply["errorCode"]) == (False, code), reply
    assert (order.price, order.quantity) == (D("61000.0"), D("0.010"))
    assert world.order_requests() == ["POST"]
    assert await state_of(world, name) == "active"


@in_world()
async def test_an_algos_child_is_the_algos_alone(world: World) -> None:
    await world.start()
    await world.chase()
    (order,) = world.resting()
    reply = await world.command("amend", clientOrderId=order.client_id, price=61000)
    assert (reply["success"], reply["errorCode"]) == (False, "OWNED_BY_ALGO")


@in_world()
async def test_an_amend_that_the_venue_refuses_leaves_the_order_as_it_was(world: World) -> None:
    await world.start()
    name = await limit(world)
    world.fault("PUT", status=400, code=-2019, msg="Margin is insufficient.")
    reply = await world.command("amend", clientOrderId=name, price=61001)
    assert (reply["errorCode"], reply["details"]["code"]) == ("EXCHANGE_REJECTED", -2019), reply
    order = await world.record(f"order:{name}")
    assert (order["state"], order["price"]) == ("active", 61000)
    assert await world.events("order_amended") == []


@in_world()
async def test_a_post_only_amend_that_would_cross_ends_the_order(world: World) -> None:
    world.market.quote("61800.0", "61810.0")
    await world.start()
    name = await limit(world, timeInForce="GTX")
    reply = await world.command("amend", clientOrderId=name, price=61810)
    assert (reply["success"], reply["errorCode"]) == (False, "POST_ONLY_REJECTED"), reply
    await world.run(1)
    assert await state_of(world, name) in ("cancelled", "expired")
    assert world.resting() == []


@pytest.mark.parametrize("lose, price", [("before", 61000), ("after", 61001)])
@in_world()
async def test_an_amend_of_unknown_fate_is_told_as_unknown_and_looked_up(world: World, lose: str, price: int) -> None:
    await world.start()
    name = await limit(world)
    world.fault("PUT", lose=lose)
    world.mute("/private")
    reply = await world.command("amend", clientOrderId=name, price=61001)
    assert reply["success"], reply
    assert reply["state"] == ("unknown" if lose == "before" else "active")
    await world.run(5)
    order = await world.record(f"order:{name}")
    assert (order["state"], order["price"]) == ("active", price)
    world.heal()


@in_world()
async def test_one_amend_at_a_time_and_the_next_waits_for_its_outcome(world: World) -> None:
    await world.start()
    name = await limit(world)
    (order,) = world.resting()
    world.fault("PUT", delay_before_ms=400)
    await send(world, "amend", "a-1", clientOrderId=name, price="61001.0")
    entry = {"subAccountId": "main", "requestId": "a-2", "clientOrderId": name, "price": "61002.0"}
    await world.redis.xadd("pms:commands", {"type": "amend", "body": json.dumps(entry)})
    replies = [await world.reply("a-1"), await world.reply("a-2")]
    assert [reply["success"] for reply in replies] == [True, True]
    await world.run(1)
    assert order.price in (D("61001.0"), D("61002.0"))
    assert order.amendments == len(await world.events("order_amended")) == 2


@in_world()
async def test_an_order_whose_symbol_nobody_watches_any_more_can_be_amended(world: World) -> None:
    await world.start()
    name = await limit(world)
    await world.run(90)
    assert world.daemon is not None
    assert world.daemon.market.symbols() == ()
    good = await world.command("validate", command={"type": "amend", "clientOrderId": name, "price": 61001})
    assert good["valid"] is True, good
    await world.run(90)
    reply = await world.command("amend", clientOrderId=name, price=61001)
    assert reply["success"], reply
    assert world.resting()[0].price == 61001


@in_world()
async def test_validate_of_an_amend_makes_its_checks_and_sends_nothing(world: World) -> None:
    await world.start()
    name = await limit(world, leverage=5)
    amend = {"type": "amend", "clientOrderId": name}
    good = await world.command("validate", command=amend | {"price": 61010})
    values = good["computedValues"]
    assert (good["valid"], values["price"], values["quantity"]) == (True, 61010, D("0.010")), good
    assert (values["notional"], values["requiredMargin"]) == (D("610.1"), D("610.1") * TAKER_FEE), "it rests already"
    mark = D("618.0005")
    assert values["exposure"] == mark < values["availableMargin"] == values["equity"] - mark / 5
    off_grid = await world.command("validate", command=amend | {"price": "61010.05"})
    assert (off_grid["valid"], off_grid["errors"][0]["errorCode"]) == (False, "PRICE_OFF_GRID")
    gone = await world.command("validate", command=amend | {"clientOrderId": "pms-nobody", "price": 61010})
    assert (gone["valid"], gone["errors"][0]["errorCode"]) == (False, "ORDER_NOT_FOUND")
    assert world.order_requests() == ["POST"]


# --- cancel -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", ["list", "stream"])
@in_world()
async def test_a_cancel_answers_once_the_order_is_gone(world: World, door: str) -> None:
    await world.start()
    name = await limit(world)
    reply = await world.command("cancel", door, requestId="c-1", clientOrderId=name)
    assert (reply["success"], "details" in reply) == (True, False), reply
    assert (await state_of(world, name), world.resting()) == ("cancelled", [])
    (told,) = await world.events("order_cancelled")
    assert told["requestId"] == "c-1"
    again = await world.command("cancel", clientOrderId=name)
    assert again["errorCode"] == "ORDER_NOT_FOUND"


@in_world()
async def test_a_cancel_of_what_fills_meanwhile_tells_so(world: World) -> None:
    await world.start()
    name = await limit(world)
    (order,) = world.resting()
    world.mute("/private")
    world.market.hit(order, "0.010")
    reply = await world.command("cancel", clientOrderId=name)
    assert reply["success"], reply
    world.heal()
    await world.run(5)
    assert (await state_of(world, name), world.held()) == ("filled", D("0.010"))


@in_world()
async def test_a_cancel_on_the_way_of_a_placing_leaves_nothing(world: World) -> None:
    await world.start()
    await limit(world)
    world.fault("POST", delay_before_ms=500)
    await send(world, "limit", "l", **LIMIT | {"price": "60900.0"})
    await world.until(lambda: world.order_requests().count("POST") == 2, 2)
    placing = (await world.events("order_placed"))[-1]["clientOrderId"]
    reply = await world.command("cancel", clientOrderId=placing)
    assert reply["success"], reply
    assert (await world.reply("l"))["success"]
    assert await state_of(world, placing) == "cancelled"
    assert len(world.resting()) == 1


@in_world()
async def test_a_cancel_on_the_way_of_an_amend_is_sent_after_it(world: World) -> None:
    await world.start()
    name = await limit(world)
    world.fault("PUT", delay_before_ms=500)
    await send(world, "amend", "a", clientOrderId=name, price="61001.0")
    await world.until(lambda: "PUT" in world.order_requests(), 2)
    reply = await world.command("cancel", clientOrderId=name)
    assert reply["success"], reply
    assert world.order_requests() == ["POST", "PUT", "DELETE"]
    assert (await state_of(world, name), world.resting()) == ("cancelled", [])


@in_world()
async def test_a_cancel_of_what_is_unknown_is_remembered_and_answered_cancelling(world: World) -> None:
    await world.start()
    world.fault("POST", lose="after")
    world.fault("GET", **NOWHERE, count=12)
    world.mute("/private")
    placed = await world.command("limit", **LIMIT)
    assert placed["state"] == "unknown", placed
    reply = await world.command("cancel", clientOrderId=placed["clientOrderId"])
    assert (reply["success"], reply["details"]) == (True, {"state": "cancelling"}), reply
    world.heal()
    await world.run(20)
    assert (await state_of(world, placed["clientOrderId"]), world.resting()) == ("cancelled", [])


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 503, "msg": "Service Unavailable."},
        {"lose": "before"},
        {"lose": "after"},
        {"status": 400, "code": -4117, "msg": "Stop order is triggering."},
    ],
)
@in_world()
async def test_a_cancel_that_fails_is_sent_again_until_the_order_is_gone(world: World, fault: Any) -> None:
    await world.start()
    name = await limit(world)
    world.fault("DELETE", **fault)
    reply = await world.command("cancel", clientOrderId=name)
    assert reply["success"], reply
    await world.run(20)
    assert (await state_of(world, name), world.resting()) == ("cancelled", [])


@pytest.mark.parametrize("where", ["before", "after"])
@in_world()
async def test_a_cancel_that_was_wanted_before_a_kill_is_carried_out_after_it(world: World, where: str) -> None:
    await world.start()
    name = await limit(world)
    world.life.die_on = f"{where} DELETE"
    await send(world, "cancel", "c", clientOrderId=name)
    await world.until(lambda: world.daemon is None, 2)
    assert (await world.record(f"order:{name}"))["cancelWanted"] is True
    await world.start()
    await world.run(5)
    assert (await state_of(world, name), world.resting()) == ("cancelled", [])


@in_world()
async def test_a_limit_and_a_cancel_all_in_the_same_millisecond_leave_nothing_live(world: World) -> None:
    await world.start()
    await limit(world)  # leverage is set and the symbol watched: the order acts by its own step alone
    issued = world.clock.now_ms()
    await send(world, "limit", "l", **LIMIT | {"issuedAt": issued, "price": "60900.0"})
    await send(world, "cancel_all", "c", issuedAt=issued)
    assert (await world.reply("c"))["success"]
    await world.run(5)
    assert world.resting() == []
    reply = await world.reply("l")
    assert reply["success"] or reply["errorCode"] == "SUPERSEDED", reply


@pytest.mark.parametrize("gap_ms", [0, 1, 2, 5, 20])
@in_world()
async def test_a_cancel_all_right_behind_a_limit_leaves_nothing_live(world: World, gap_ms: int) -> None:
    await world.start()
    await limit(world)
    world.fault("POST", delay_before_ms=10, delay_after_ms=10)
    await send(world, "limit", "l", **LIMIT | {"price": "60900.0"})
    await world.run(gap_ms / 1000)
    await send(world, "cancel_all", "c")
    assert (await world.reply("c"))["success"]
    assert world.resting() == [], "complete only when what was in flight has a known fate"
    await world.run(5)
    assert world.resting() == []
