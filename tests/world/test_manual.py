"""Manual orders through both doors: trade and limit (contract.md, "Commands in"; execution.md 1, 10)."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from pms.core.limits import TAKER_FEE
from tests.world.world import World, in_world

D = Decimal
LIMIT: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010", "price": "61000.0"}
TRADE: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010"}


async def types_of(world: World, client_id: str) -> list[str]:
    told = await world.events()
    ours = [event["type"] for event in told if event.get("clientOrderId") == client_id]
    return [kind for kind in ours if kind.startswith("order_")]


async def send(world: World, kind: str, **body: Any) -> None:
    """A command whose reply is not waited for."""
    await world.redis.lpush(f"pms:cmd:{kind}", json.dumps({"subAccountId": "main", **body}))


@pytest.mark.parametrize("door", ["list", "stream"])
@in_world()
async def test_a_limit_rests_and_is_told_with_all_its_fields(world: World, door: str) -> None:
    await world.start()
    reply = await world.command("limit", door, requestId="l-1", leverage=5, **LIMIT)
    assert (reply["success"], reply["state"]) == (True, "active"), reply
    (order,) = world.resting()
    assert order.client_id == reply["clientOrderId"]
    assert (order.side, order.price, order.quantity) == ("BUY", D("61000.0"), D("0.010"))
    placed, active = await world.events("order_placed", "order_active")
    assert (placed["type"], active["type"], placed["clientOrderId"]) == (
        "order_placed",
        "order_active",
        order.client_id,
    )
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


@in_world()
async def test_a_trade_whose_bound_is_short_of_the_market_ends_expired_with_nothing_booked(world: World) -> None:
    world.market.quote("61800.0", "61810.0")
    await world.start()
    reply = await world.command("trade", maxSlippageBps=0, **TRADE)
    assert (reply["success"], reply["state"]) == (True, "expired"), reply
    assert await types_of(world, reply["clientOrderId"]) == ["order_placed", "order_expired"]
    (ended,) = await world.events("order_expired")
    assert (ended["reason"], ended["filledQty"]) == ("time_in_force", 0)
    assert world.held() == 0


@in_world()
async def test_a_trade_that_fills_in_part_ends_expired_with_its_fills_booked(world: World) -> None:
    world.market.quote("61800.0", "61812.0")  # the bound is one tick above the touch
    await world.start()
    await world.unlimited()
    reply = await world.command("trade", **TRADE | {"quantity": "5", "maxSlippageBps": 1, "leverage": 50})
    assert reply["success"], reply
    order = await world.record(f"order:{reply['clientOrderId']}")
    assert (reply["success"], reply["state"], order["state"]) == (True, "expired", "expired"), (reply, order)
    assert 0 < order["filledQty"] == world.held() < 5


@in_world()
async def test_a_size_in_usdt_is_taken_at_mid_for_a_trade_and_at_its_price_for_a_limit(world: World) -> None:
    world.market.quote("61800.0", "61810.0")
    await world.start()
    await world.command("trade", symbol="btcusdt", side="long", sizeUsdt=1000)
    await world.command("limit", symbol="BTC/USDT:USDT", side="BUY", sizeUsdt=1000, price=50000)
    assert [order.quantity for order in world.placed()] == [D("0.016"), D("0.020")]


@in_world()
async def test_more_than_the_largest_size_is_split_evenly_and_all_of_it_told(world: World) -> None:
    await world.start()
    assert world.daemon is not None
    rules = world.daemon.desk.instruments
    rules["BTCUSDT"] = msgspec.structs.replace(rules["BTCUSDT"], max_qty=D("0.004"))
    reply = await world.command("trade", **TRADE)
    assert [order.quantity for order in world.placed()] == [D("0.004"), D("0.003"), D("0.003")]
    parts = reply["details"]["orders"]
    assert (parts[0]["clientOrderId"], len(parts), reply["state"]) == (reply["clientOrderId"], 3, "filled")
    assert world.held() == D("0.010")
    refused = await world.command("limit", **LIMIT | {"timeInForce": "FOK"})
    assert refused["errorCode"] == "ABOVE_MAXIMUM", "in parts it could fill in part"
    refused = await world.command("trade", **TRADE | {"quantity": "1"})
    assert refused["errorCode"] == "ABOVE_MAXIMUM"
    assert len(world.placed()) == 3


@pytest.mark.parametrize(
    "changes, code",
    [
        ({"timeInForce": "GTX", "price": "62000.0"}, "POST_ONLY_REJECTED"),
        ({"timeInForce": "FOK", "price": "61810.0", "quantity": "5", "leverage": 50}, "EXCHANGE_REJECTED"),
    ],
)
@in_world()
async def test_what_the_venue_refuses_is_a_failure_with_its_code(world: World, changes: Any, code: str) -> None:
    world.market.quote("61800.0", "61810.0")
    await world.start()
    await world.unlimited()
    reply = await world.command("limit", **LIMIT | changes)
    assert (reply["success"], reply["errorCode"], reply["retryable"]) == (False, code, False), reply
    assert reply["details"]["code"] < 0
    (order,) = await world.events("order_failed")
    assert order["clientOrderId"] == reply["details"]["clientOrderId"]
    assert world.resting() == []


@pytest.mark.parametrize(
    "kind, changes, code",
    [
        ("limit", {"price": "61000.05"}, "PRICE_OFF_GRID"),
        ("limit", {"quantity": "0.0105"}, "QUANTITY_OFF_GRID"),
        ("limit", {"quantity": "0.001", "price": "100.0"}, "BELOW_MINIMUM"),
        ("limit", {"price": "70000.0"}, "PERCENT_PRICE"),
        ("limit", {"symbol": "NOSUCHUSDT"}, "UNKNOWN_SYMBOL"),
        ("limit", {"reduceOnly": True, "side": "SELL", "price": "62000.0"}, "REDUCE_ONLY_EXCEEDS"),
        ("trade", {"sizeUsdt": 10, "quantity": None}, "BELOW_MINIMUM"),
        ("trade", {"stopLoss": 70000}, "INVALID_FIELD"),
    ],
)
@in_world()
async def test_what_a_check_of_ours_refuses_is_never_sent(world: World, kind: str, changes: Any, code: str) -> None:
    await world.start()
    await world.command("validate", symbol="BTCUSDT", side="BUY", quantity="0.010")
    await world.run(2)  # so that the mark price is known
    await world.unlimited()
    body = (LIMIT if kind == "limit" else TRADE) | changes
    body = {name: value for name, value in body.items() if value is not None}
    reply = await world.command(kind, **body)
    assert (reply["success"], reply["errorCode"]) == (False, code), reply
    assert world.order_requests() == []
    preview = await world.command("validate", command={"type": kind, **body})
    assert (preview["valid"], preview["errors"][0]["errorCode"]) == (False, code), "the very same checks"
    assert await world.events("order_placed") == []


@in_world()
async def test_an_order_against_another_of_ours_is_not_sent(world: World) -> None:
    await world.start()
    await world.command("limit", **LIMIT | {"side": "SELL", "price": "61900.0"})
    reply = await world.command("trade", **TRADE, maxSlippageBps=100)
    assert (reply["errorCode"], reply["error"]) == ("EXCHANGE_REJECTED", "would trade with an order of our own")
    (told,) = await world.events("risk_rejected")
    assert (told["reasonCode"], told["requestId"]) == ("EXCHANGE_REJECTED", "r-2")
    assert len(world.placed()) == 1


@in_world()
async def test_self_trade_prevention_ends_a_manual_order_expired_with_the_reason(world: World) -> None:
    world.market.quote("61800.0", "61810.0")
    await world.start()
    reply = await world.command("limit", **LIMIT | {"side": "SELL", "price": "61805.0"})
    world.market.rest(world.account, "BUY", D("61805.0"), "0.010", "web_1")
    await world.until(lambda: not [order for order in world.resting() if order.client_id == reply["clientOrderId"]])
    await world.run(1)
    (ended,) = [e for e in await world.events("order_expired") if e["clientOrderId"] == reply["clientOrderId"]]
    assert (ended["state"], ended["reason"]) == ("expired", "self_trade")
    for order in world.resting():
        world.exchange.cancel(world.account, "BTCUSDT", order_id=order.order_id)
    await world.run(1)


# --- in doubt -----------------------------------------------------------------------------------------


@in_world()
async def test_what_is_not_known_within_the_replys_time_is_told_as_unknown_and_then_by_events(world: World) -> None:
    await world.start()
    world.fault("POST", lose="after")
    world.fault("GET", status=400, code=-2013, msg="Order does not exist.", count=0)
    world.mute("/private")
    began = world.clock.monotonic()
    reply = await world.command("limit", **LIMIT)
    assert world.clock.monotonic() - began < 3
    assert (reply["success"], reply["state"]) == (True, "unknown"), reply
    world.heal()
    await world.run(8)
    assert await types_of(world, reply["clientOrderId"]) == ["order_placed", "order_unknown", "order_active"]
    assert len(world.placed()) == 1


@in_world()
async def test_a_trade_of_unknown_fate_is_never_sent_again(world: World) -> None:
    await world.start()
    world.fault("POST", lose="before")
    reply = await world.command("trade", **TRADE)
    assert (reply["success"], reply["state"]) == (True, "unknown"), reply
    await world.run(30)
    assert world.placed() == []
    assert world.order_requests() == ["POST"]
    assert (await types_of(world, reply["clientOrderId"]))[-1] == "order_failed"


@pytest.mark.parametrize(
    "fault, code",
    [
        ({"status": 503, "msg": "Service Unavailable."}, "EXCHANGE_UNAVAILABLE"),
        ({"status": 429, "code": -1015, "msg": "Too many new orders."}, "RATE_LIMITED"),
    ],
)
@in_world()
async def test_what_was_certainly_not_done_may_be_sent_again_under_its_id(world: World, fault: Any, code: str) -> None:
    await world.start()
    world.fault("POST", **fault, count=3)
    reply = await world.command("limit", requestId="again", **LIMIT)
    if reply["success"]:  # tried again within the time of its reply
        assert len(world.placed()) == 1
        return
    assert (reply["errorCode"], reply["retryable"]) == (code, True), reply
    world.heal()
    await world.run(20)
    second = await world.command("limit", requestId="again", **LIMIT)
    assert second["success"], second
    assert len(world.placed()) == 1


@pytest.mark.parametrize("kind", ["limit", "trade"])
@in_world()
async def test_the_same_request_twice_makes_one_order_and_gets_the_same_reply(world: World, kind: str) -> None:
    await world.start()
    body = LIMIT if kind == "limit" else TRADE
    first = await world.command(kind, requestId="same", **body)
    second = await world.command(kind, requestId="same", **body)
    third = await world.command(kind, "stream", requestId="same", **body)
    assert first == second == third
    other = await world.command(kind, requestId="same", **body | {"quantity": "0.020"})
    assert other["errorCode"] == "REQUEST_ID_REUSED"
    assert len(world.placed()) == 1
    told = await world.events("command_result")
    assert [event["success"] for event in told] == [True, False], "no event for a repeat"


@pytest.mark.parametrize("warm", [False, True])
@in_world()
async def test_a_repeat_after_a_restart_gets_the_stored_reply_and_places_nothing(world: World, warm: bool) -> None:
    """`warm`: the order would act by its own step alone, so that the repeat is found by its claim there."""
    await world.start()
    first = await world.command("limit", requestId="same", **LIMIT)
    await world.stop()
    await world.start()
    if warm:
        await world.command("limit", **LIMIT | {"price": "60900.0"})
        await world.command("cancel", clientOrderId=world.placed()[-1].client_id)
    assert await world.command("limit", requestId="same", **LIMIT) == first
    assert [order.client_id for order in world.resting()] == [first["clientOrderId"]]
    assert world.daemon is not None
    assert world.daemon.ledger.open_by_symbol["BTCUSDT"] == {first["clientOrderId"]}, "nothing of it is kept in memory"


@in_world()
async def test_the_same_request_id_of_another_sub_account_is_refused(world: World) -> None:
    await world.start()
    await world.command("limit", requestId="same", **LIMIT)
    raw = await world.redis.get("pms:result:same")
    body = json.dumps({"subAccountId": "second", "requestId": "same", **LIMIT})
    await world.redis.lpush("pms:cmd:limit", body)
    await world.run(3)
    assert await world.redis.get("pms:result:same") == raw
    assert (await world.events("command_result"))[-1]["errorCode"] == "REQUEST_ID_REUSED"
    assert len(world.placed()) == 1


@pytest.mark.parametrize("door", ["list", "stream"])
@in_world()
async def test_what_is_stale_at_either_door_is_never_sent(world: World, door: str) -> None:
    await world.start()
    for age_ms in (31_000, -6_000):
        reply = await world.command("trade", door, issuedAt=world.clock.now_ms() - age_ms, **TRADE)
        assert (reply["success"], reply["errorCode"]) == (False, "STALE_COMMAND"), reply
    assert world.order_requests() == []


@in_world()
async def test_validate_tells_the_numbers_and_sends_nothing(world: World) -> None:
    world.market.quote("61800.0", "61810.0")
    await world.start()
    reply = await world.command("validate", command={"type": "limit", "leverage": 5, **LIMIT})
    assert (reply["valid"], reply["errors"]) == (True, [])
    values = reply["computedValues"]
    told = {name: values[name] for name in ("price", "quantity", "notional", "requiredMargin", "exposure")}
    assert told == {
        "price": D("61000.0"),
        "quantity": D("0.010"),
        "notional": D("610"),
        "requiredMargin": D("618.05") / 5 + 610 * TAKER_FEE,
        "exposure": D("618.05"),
    }
    assert values["equity"] == values["availableMargin"] > 0
    assert world.order_requests() == []
    short = await world.command("validate", symbol="BTCUSDT", side="BUY", quantity="0.010")
    assert short["computedValues"]["price"] == D("62114.0"), "a bare order is a trade"


@pytest.mark.parametrize("kind, more", [("trade", {}), ("limit", {"price": "61000.0"}), ("chase", {})])
@in_world()
async def test_every_preview_tells_how_the_sub_account_stands(world: World, kind: str, more: dict[str, Any]) -> None:
    await world.start()
    command = {"type": kind, "leverage": 5, **TRADE, **more}
    before = (await world.command("validate", command=command))["computedValues"]
    assert before["requiredMargin"] == before["exposure"] / 5 + before["notional"] * TAKER_FEE
    assert before["availableMargin"] == before["equity"]
    await world.command("trade", **TRADE)
    after = (await world.command("validate", command=command))["computedValues"]
    assert after["exposure"] > before["exposure"]
    assert after["availableMargin"] < before["availableMargin"]
