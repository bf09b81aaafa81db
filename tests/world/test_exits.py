"""Exits of several sub-accounts on one net: the venue's flag, what rests, what is unknown (execution.md 5, 14, 20)."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.world.test_closing import position, ready
from tests.world.world import World, in_world

D = Decimal
NO_SUCH_ORDER = {"status": 400, "code": -2013, "msg": "Order does not exist."}
REDUCE_ONLY = {"status": 400, "code": -2022, "msg": "ReduceOnly Order is rejected."}
BUSY = {"status": 503, "msg": "Service Unavailable."}


async def opened(world: World, account: str = "main", side: str = "BUY", quantity: str = "0.010") -> None:
    """A position of a sub-account, at the market."""
    reply = await world.command("trade", subAccountId=account, symbol="BTCUSDT", side=side, quantity=quantity)
    assert reply["state"] == "filled", reply


async def opposite(world: World, long: str = "0.010", short: str = "0.004") -> None:
    await ready(world)
    await opened(world, "a", "BUY", long)
    await opened(world, "b", "SELL", short)


async def close(world: World, account: str, side: str, **more: Any) -> dict[str, Any]:
    return await world.command("close", subAccountId=account, symbol="BTCUSDT", side=side, **more)


def last(world: World) -> Any:
    return world.placed()[-1]


# --- the flag -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "long, short, quantity, flagged",
    [
        ("0.010", "0.004", "0.006", True),
        ("0.010", "0.004", "0.007", False),
        ("0.010", "0.010", "0.001", False),
        ("0.004", "0.010", "0.004", False),
    ],
)
@in_world()
async def test_an_exit_is_flagged_where_the_net_covers_it(
    world: World, long: str, short: str, quantity: str, flagged: bool
) -> None:
    await opposite(world, long, short)
    reply = await close(world, "a", "SELL", quantity=quantity)
    assert reply["success"], reply
    assert last(world).reduce_only is flagged
    assert (await position(world, "a"))["signedQuantity"] == D(long) - D(quantity)
    assert (await position(world, "b"))["signedQuantity"] == -D(short)


@in_world()
async def test_both_close_all_of_theirs_and_the_account_is_flat(world: World) -> None:
    await opposite(world, "0.010", "0.010")
    for account, side in (("a", "SELL"), ("b", "BUY")):
        assert (await close(world, account, side))["success"]
    assert [(await position(world, name))["quantity"] for name in ("a", "b")] == [0, 0]
    assert world.held() == 0
    assert [order.reduce_only for order in world.placed()[-2:]] == [False, True], "the second stands alone again"


@in_world()
async def test_resting_closers_change_their_form_as_another_sub_account_comes_and_goes(world: World) -> None:
    await ready(world)
    await opened(world, "a")
    chase = await world.chase(subAccountId="a", side="SELL", quantity="0.006", reduceOnly=True, stalkOffsetPct="1")
    limit = {"subAccountId": "a", "symbol": "BTCUSDT", "side": "SELL", "price": "62500", "reduceOnly": True}
    assert (await world.command("limit", **limit, quantity="0.004"))["success"]

    def forms() -> list[bool]:
        return [order.reduce_only for order in world.resting()]

    assert forms() == [True, True]
    await opened(world, "b", "SELL", "0.002")
    await world.until(lambda: forms() == [False, False])
    prices = sorted(order.price for order in world.resting())
    assert prices[1] == D("62500")
    await close(world, "b", "BUY")
    await world.until(lambda: forms() == [True, True])
    assert sum(order.remaining for order in world.resting()) == D("0.010")
    assert (await world.state(chase))["status"] == "active"


@pytest.mark.parametrize("answer_ms", [0, 100])
@in_world()
async def test_a_closer_that_was_on_its_way_when_another_became_opposite_is_replaced(
    world: World, answer_ms: int
) -> None:
    await ready(world)
    await opened(world, "a")
    await opened(world, "b", "BUY", "0.002")
    world.fault("POST", delay_before_ms=200, delay_after_ms=answer_ms)
    limit = {"subAccountId": "a", "symbol": "BTCUSDT", "side": "SELL", "price": "62500", "reduceOnly": True}
    body = {"requestId": "rests", "quantity": "0.004"} | limit
    await world.redis.lpush("pms:cmd:limit", json.dumps(body))
    await world.run(0.05)
    await opened(world, "b", "SELL", "0.004")
    await world.reply("rests")
    await world.run(2)
    (order,) = world.resting()
    assert (order.reduce_only, order.remaining, order.price) == (False, D("0.004"), D("62500"))


@in_world()
async def test_unflagged_closers_are_cancelled_at_a_stop_and_a_chase_goes_on_in_the_next_life(world: World) -> None:
    await opposite(world)
    chase = await world.chase(subAccountId="a", side="SELL", quantity="0.004", reduceOnly=True, stalkOffsetPct="1")
    limit = {"subAccountId": "a", "symbol": "BTCUSDT", "side": "SELL", "price": "62500", "reduceOnly": True}
    assert (await world.command("limit", **limit, quantity="0.004"))["success"]
    await world.chase(subAccountId="b", side="BUY", quantity="0.004", reduceOnly=True, stalkOffsetPct="1")
    assert [order.reduce_only for order in world.resting()] == [False] * 3
    await world.stop()
    assert world.resting() == []
    await world.start()
    await world.until(lambda: len(world.resting()) == 2)
    assert (await world.state(chase))["status"] == "active"


@in_world()
async def test_flagged_closers_stay_at_a_stop(world: World) -> None:
    await ready(world)
    await opened(world, "a")
    await world.chase(subAccountId="a", side="SELL", quantity="0.004", reduceOnly=True, stalkOffsetPct="1")
    await world.stop()
    assert [order.reduce_only for order in world.resting()] == [True]


@in_world()
async def test_no_exit_leaves_while_external_stands_opposite(world: World) -> None:
    await opposite(world, "0.010", "0.004")
    world.market.rest(world.account, "SELL", D("61800.0"), "0.020", "web_1", time_in_force="IOC")
    await world.run(3)
    foreign = (await position(world, "external"))["signedQuantity"]
    assert foreign < 0
    sent = len(world.order_requests())
    reply = await close(world, "a", "SELL")
    assert reply.get("errorCode") == "POSITION_DRIFT", reply
    assert len(world.order_requests()) == sent
    assert "exit_refused" in [alarm["code"] for alarm in await world.events("alarm")]
    moved = {"symbol": "BTCUSDT", "quantity": str(-foreign), "from": "external", "to": "b", "price": "61800"}
    assert (await world.command("position_assign", **moved))["success"]
    if (await position(world, "a"))["quantity"]:
        assert (await close(world, "a", "SELL"))["success"]
    assert (await position(world, "a"))["quantity"] == 0


# --- refused ----------------------------------------------------------------------------------------------


@in_world()
async def test_a_refused_exit_is_alarmed_at_once_and_tried_until_it_is_closed(world: World) -> None:
    await ready(world)
    await opened(world)
    world.fault("POST", **REDUCE_ONLY, count=7)
    began = world.clock.monotonic()
    await close(world, "main", "SELL")
    alarm = next(one for one in await world.events("alarm") if one["code"] == "exit_refused")
    assert alarm["severity"] == "critical"
    await world.until(lambda: world.held() == 0, 15)
    took = world.clock.monotonic() - began
    assert took >= 0.25 + 0.5 + 1 + 2 * 4, "0.25 s -> 2 s"
    assert await world.redis.hlen("pms:alarms") == 0


@in_world()
async def test_the_form_changes_on_each_third_refusal_once_the_books_are_proven(world: World) -> None:
    await ready(world)
    await opened(world)
    world.fault("POST", **REDUCE_ONLY, params={"reduceOnly": "true"}, count=0)
    await close(world, "main", "SELL")
    await world.until(lambda: world.held() == 0, 15)
    events = [one for one in await world.events("order_placed") if one["side"] == "SELL"]
    orders = [await world.record(f"order:{event['clientOrderId']}") for event in events]
    assert [order["flagged"] for order in orders] == [True, True, True, False]


@in_world()
async def test_the_flag_stays_while_position_and_trades_can_not_be_read_after_the_refusal(world: World) -> None:
    await ready(world)
    await opened(world)
    world.fault("POST", **REDUCE_ONLY, params={"reduceOnly": "true"}, count=0)
    world.fault("GET", "/fapi/v1/userTrades", **BUSY, count=0)
    await close(world, "main", "SELL")
    await world.run(20)
    assert world.held() == D("0.010")
    events = [one for one in await world.events("order_placed") if one["side"] == "SELL"]
    orders = [await world.record(f"order:{event['clientOrderId']}") for event in events]
    assert len(orders) >= 8
    assert all(order["flagged"] for order in orders)
    world.heal()
    await world.until(lambda: world.held() == 0, 5)


@in_world()
async def test_a_position_too_small_to_leave_without_the_flag_goes_to_external(world: World) -> None:
    await opposite(world, "0.001", "0.010")
    for price in ("58000", "54000", "50500", "47500", "45000"):
        world.market.quote(price)
        await world.run(2)
    reply = await close(world, "a", "SELL")
    assert reply["success"], reply
    assert (await position(world, "a"))["quantity"] == 0
    assert (await position(world, "external"))["signedQuantity"] == D("0.001")
    closed = (await world.events("position_closed"))[-1]
    assert (closed["subAccountId"], closed["closedQty"]) == ("a", D("0.001"))


# --- unknown ----------------------------------------------------------------------------------------------


async def unknown_exit(world: World, **what: Any) -> None:
    """The exit's answer is lost; the stream says nothing."""
    world.mute("/private")
    world.fault("POST", **what)
    await close(world, "main", "SELL")


@in_world()
async def test_an_exit_that_never_arrived_is_tried_again_after_a_second_under_the_flag(world: World) -> None:
    await ready(world)
    await opened(world)
    began = world.clock.now_ms()
    await unknown_exit(world, lose="before")
    await world.until(lambda: world.held() == 0, 5)
    assert 1_000 <= last(world).created_at - began <= 1_600
    assert last(world).reduce_only
    await world.run(20)
    assert (await position(world))["quantity"] == 0


@in_world()
async def test_where_the_flag_can_not_stop_both_the_next_attempt_waits_until_the_first_can_not_arrive(
    world: World,
) -> None:
    """Two sub-accounts on the same side: the flag would let both attempts through."""
    await ready(world)
    await opened(world)
    await opened(world, "other")
    began = world.clock.now_ms()
    await unknown_exit(world, lose="before")
    await world.until(lambda: world.held() == D("0.010"), 6)
    assert last(world).created_at - began >= 3_000
    await world.run(20)
    assert [(await position(world, name))["quantity"] for name in ("main", "other")] == [0, D("0.010")]


@in_world()
async def test_an_exit_that_landed_and_a_venue_that_denies_it_never_flip_the_position(world: World) -> None:
    """Order and position are told as if nothing had happened: the second attempt's flag is what holds."""
    await ready(world)
    await opened(world)
    before = await risk_rows(world)
    world.fault("GET", "/fapi/v1/order", **NO_SUCH_ORDER, count=8)
    world.fault("GET", "/fapi/v3/positionRisk", status=200, body=before, count=3)
    await unknown_exit(world, lose="after")
    lowest = D("0.010")
    for _ in range(300):
        await world.run(0.1)
        lowest = min(lowest, world.held())
    assert lowest == 0, "never short"
    sells = [order for order in world.placed() if order.side == "SELL"]
    assert sum(order.filled for order in sells) == D("0.010")
    await world.until(lambda: world.daemon is not None and not world.daemon.ledger.open_by_symbol["BTCUSDT"], 30)
    assert (await position(world))["quantity"] == 0


@in_world()
async def test_what_two_attempts_oversold_is_flattened_at_once(world: World) -> None:
    """Another sub-account holds the same side, so that no flag stops the second; and the venue denies the first."""
    await ready(world)
    await opened(world)
    await opened(world, "other")
    before = await risk_rows(world)
    world.fault("GET", "/fapi/v1/order", **NO_SUCH_ORDER, count=20)
    world.fault("GET", "/fapi/v3/positionRisk", status=200, body=before, count=20)
    await unknown_exit(world, lose="after")
    await world.until(lambda: world.held() == 0, 10)
    world.heal()
    await world.until(lambda: world.held() == D("0.010"), 30)
    await world.run(20)
    assert [(await position(world, name))["quantity"] for name in ("main", "other")] == [0, D("0.010")]
    told = [one["type"] for one in await world.events() if one["type"].startswith("position_")]
    assert told[-3:] == ["position_closed", "position_updated", "position_closed"], "booked as it is, then closed"


async def risk_rows(world: World) -> str:
    assert world.daemon is not None
    held = await world.daemon.venue.positions()
    (one,) = [row for row in held if row.symbol == "BTCUSDT"]
    return (
        f'[{{"symbol":"BTCUSDT","positionSide":"BOTH","positionAmt":"{one.quantity}","entryPrice":"{one.entry_price}",'
        f'"markPrice":"{one.mark}","updateTime":{one.time}}}]'
    )


# --- with parts gone --------------------------------------------------------------------------------------


@in_world()
async def test_an_exit_goes_out_while_redis_and_the_user_stream_are_gone(world: World) -> None:
    await ready(world)
    await opened(world)
    world.fault("POST", **BUSY, count=2)
    await close_begun(world)
    world.redis_goes()
    world.mute("/private")
    await world.until(lambda: world.held() == 0, 6)
    world.redis_comes()
    world.heal()
    await world.run(30)
    assert (await position(world))["quantity"] == 0


async def close_begun(world: World) -> None:
    """A close on its way, its first order recorded."""
    await world.redis.lpush("pms:cmd:close", '{"requestId":"x","subAccountId":"main","symbol":"BTCUSDT","side":"SELL"}')
    await world.until(lambda: len(world.order_requests()) >= 2)


@in_world()
async def test_past_the_leases_deadline_a_flagged_exit_leaves_after_a_look_up_of_its_id(world: World) -> None:
    await ready(world)
    await opened(world)
    world.fault("POST", **BUSY, count=0)
    await close_begun(world)
    world.redis_goes()
    await world.run(8)
    assert world.daemon is not None
    assert world.daemon.watch.past_deadline()
    begun = len(world.http.requests)
    world.heal()
    await world.until(lambda: world.held() == 0, 10)
    sent = [(method, path) for method, path in world.http.requests[begun:] if path == "/fapi/v1/order"]
    assert sent[-2:] == [("GET", "/fapi/v1/order"), ("POST", "/fapi/v1/order")]
    world.redis_comes()
    await world.run(10)


@in_world()
async def test_past_the_leases_deadline_an_unflagged_exit_waits(world: World) -> None:
    await opposite(world, "0.010", "0.010")
    world.fault("POST", **BUSY, count=0)
    await world.redis.lpush("pms:cmd:close", '{"requestId":"x","subAccountId":"a","symbol":"BTCUSDT","side":"SELL"}')
    await world.run(1)
    world.redis_goes()
    await world.run(8)
    world.heal()
    await world.run(20)
    assert world.held() == 0, "a is not closed: net 0 with b"
    assert world.daemon is not None
    assert world.daemon.ledger.position("a", "BTCUSDT").quantity == D("0.010")
    world.redis_comes()
    await world.until(lambda: world.held() == D("-0.010"), 10)


# --- over a restart and a reconnect -----------------------------------------------------------------------


@pytest.mark.parametrize("interrupted", ["killed", "cut", "stopped"])
@in_world()
async def test_opposite_books_and_their_closers_come_back_exactly(world: World, interrupted: str) -> None:
    await opposite(world, "0.010", "0.010")
    chase = await world.chase(subAccountId="a", side="SELL", quantity="0.004", reduceOnly=True, stalkOffsetPct="1")
    await close(world, "b", "BUY", quantity="0.003")
    if interrupted == "cut":
        world.cut("/private")
    else:
        await (world.kill() if interrupted == "killed" else world.stop())
        await world.run(5)
        await world.start()
    await world.until(lambda: len(world.resting()) == 1)
    assert (await world.state(chase))["status"] == "active"
    held = [(await position(world, name))["signedQuantity"] for name in ("a", "b")]
    assert held == [D("0.010"), D("-0.007")]
    for account, side in (("a", "SELL"), ("b", "BUY")):
        assert (await close(world, account, side))["success"]
    await world.run(1)
    assert (world.held(), world.resting()) == (0, [])


@in_world()
async def test_a_child_cancelled_while_we_were_down_pauses_its_chase_however_late_that_is_found(world: World) -> None:
    await ready(world)
    chase = await world.chase()
    await world.kill()
    (order,) = world.resting()
    world.exchange.cancel(world.account, "BTCUSDT", order_id=order.order_id)
    world.fault("GET", "/fapi/v1/order", **NO_SUCH_ORDER, count=5)
    await world.start()
    assert (await world.state(chase))["status"] != "paused", "its fate is still being looked up"
    await world.run(15)
    state = await world.state(chase)
    assert (state["status"], state["paused"]) == ("paused", "child_cancelled_while_down")
