"""Bans, changed rules, a lost lease, an older Redis, a venue that forgot (design.md, "When a part is gone"; binance.md
5)."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from typing import Any

import pytest

from tests.world.world import World, in_world

D = Decimal
pytestmark = pytest.mark.faults

BANNED = {"status": 418, "code": -1003, "msg": "Way too many requests; IP banned.", "headers": {"retry-after": "20"}}
TOO_MANY = {"status": 429, "code": -1003, "msg": "Too many requests.", "headers": {"retry-after": "8"}}


@pytest.mark.parametrize("what, seconds", [(BANNED, 20), (TOO_MANY, 8)])
@in_world()
async def test_after_a_ban_nothing_is_sent_until_it_is_over(world: World, what: dict[str, Any], seconds: int) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    world.fault("PUT", **what)
    world.market.quote("61801.0", "61805.0")
    await world.run(0.5)
    sent = len(world.http.requests)
    for step in range(seconds - 1):
        world.market.quote(D("61801.0") + step % 3, "61805.0")
        await world.run(1)
    assert len(world.http.requests) == sent
    world.market.quote("61802.0", "61805.0")
    await world.until(lambda: world.resting()[0].price == D("61802.0"), 10)
    assert (await world.state(chase))["status"] == "active"


@in_world()
async def test_without_order_slots_cancels_still_leave(world: World) -> None:
    """-1015: no orders until the next slot, cancels and look-ups go."""
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    slots = {"status": 429, "code": -1015, "msg": "Too many new orders.", "headers": {"retry-after": "5"}}
    world.fault("PUT", **slots)
    world.market.quote("61801.0", "61805.0")
    await world.run(0.5)
    reply = await world.command("chase_cancel", chaseId=chase)
    assert reply["success"], reply
    assert world.resting() == []


@pytest.mark.parametrize(
    "code, msg",
    [(-4014, "Price not increased by tick size."), (-1111, "Precision is over the maximum defined for this asset.")],
)
@in_world()
async def test_a_filter_error_has_the_rules_read_again_and_the_chase_goes_on(world: World, code: int, msg: str) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    await world.chase()
    read = [path for _, path in world.http.requests].count("/fapi/v1/exchangeInfo")
    world.fault("PUT", status=400, code=code, msg=msg)
    world.market.quote("61801.0", "61805.0")
    await world.until(lambda: world.resting()[0].price == D("61801.0"), 20)
    assert [path for _, path in world.http.requests].count("/fapi/v1/exchangeInfo") > read
    assert world.resting()[0].quantity == D("0.010")


@in_world()
async def test_a_daemon_that_lost_its_lease_stops_acting_at_once(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    daemon = await world.start()
    await world.chase()
    await world.run(2)
    sent = len(world.order_requests())
    epoch = int(await world.redis.get("pms:epoch")) + 1
    other = {"epoch": epoch, "host": "elsewhere", "bootId": "b", "pidNamespace": "n", "pid": 7, "started": 7}
    await world.redis.set("pms:epoch", epoch)
    await world.redis.set("pms:lease", json.dumps(other))
    records = {key: await world.redis.get(key) for key in await world.redis.keys("pms:chase:*")}
    world.market.quote("61801.0", "61805.0")
    await world.until(daemon.ended.done, 4)
    assert "another daemon holds the account" in str(daemon.ended.result())
    world.market.quote("61803.0", "61805.0")
    await world.run(20)
    assert len(world.order_requests()) <= sent + 1, "one may have been on its way"
    assert {key: await world.redis.get(key) for key in await world.redis.keys("pms:chase:*")} == records
    await world.kill()
    await world.redis.delete("pms:lease")
    await world.start()
    await world.run(3)


@in_world(books=False)
async def test_redis_back_from_an_older_save_is_rewritten_from_memory_and_numbering_jumps(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    (order,) = world.resting()
    await world.run(1)
    old = copy.deepcopy(dict(world.server.dbs[0].items()))
    world.market.hit(order, "0.004")
    world.market.quote("61801.0", "61805.0")
    await world.run(2)
    last = (await world.events())[-1]["seq"]
    world.redis_goes()
    await world.run(1)
    database = world.server.dbs[0]
    with world.server.lock:
        database.clear()
        for key, item in old.items():
            database[key] = item
    world.redis_comes()
    await world.run(5)
    state = await world.state(chase)
    assert (state["filledQuantity"], state["child"]["filled"]) == (D("0.004"), D("0.004"))
    assert (await world.record(f"order:{order.client_id}"))["filledQty"] == D("0.004")
    jumps = await world.events("seq_jump")
    assert jumps[-1]["to"] > last
    numbers = [event["seq"] for event in await world.events()]
    assert numbers == sorted(set(numbers))
    world.market.hit(order, "0.006")
    assert (await world.ends(chase))["status"] == "filled"
    assert len(world.placed()) == 1


@in_world(books=False)
async def test_an_order_that_the_venue_forgot_is_never_given_an_invented_outcome(world: World) -> None:
    """The venue was reset, or answers for another account: look-ups find nothing that was once confirmed."""
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    (order,) = world.resting()
    await world.run(1)
    await world.kill()
    world.exchange.cancel(world.account, "BTCUSDT", order_id=order.order_id)
    world.fault("GET", status=400, code=-2013, msg="Order does not exist.", count=0)
    world.fault("GET", path="/fapi/v1/allOrders", status=200, body="[]", count=0)
    await world.start()
    await world.run(60)
    assert len(world.placed()) == 1, "nothing is placed in its stead"
    state = await world.state(chase)
    assert state["status"] not in ("filled", "cancelled", "failed")
    assert (await world.record(f"order:{order.client_id}"))["state"] == "unknown"
    assert "order_vanished" in [alarm["code"] for alarm in await world.events("alarm")]
    asked = len(look_ups(world))
    await world.run(120)
    assert 3 <= len(look_ups(world)) - asked <= 8, "it is asked for on and on, slowly"
    assert (await world.record(f"order:{order.client_id}"))["state"] == "unknown"
    other = await world.chase(subAccountId="second")  # everybody else trades on
    await world.until(lambda: len(world.resting()) == 1, 5)
    assert other
    world.heal()
    await world.run(40)
    assert (await world.record(f"order:{order.client_id}"))["state"] == "cancelled"
    assert not await world.redis.hexists("pms:alarms", f"order_vanished:{order.client_id}")
    assert [alarm["cleared"] for alarm in await world.events("alarm") if alarm["code"] == "order_vanished"] == [
        False,
        True,
    ]
    assert (await world.state(chase))["child"] is None


def look_ups(world: World) -> list[str]:
    """Questions for one order."""
    return [path for method, path in world.http.requests if (method, path) == ("GET", "/fapi/v1/order")]


@in_world()
async def test_a_deadline_that_passed_while_down_is_acted_on_at_the_start(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    cancelling = await world.chase(deadlineSeconds=20)
    taking = await world.chase(deadlineSeconds=20, onDeadline="take", subAccountId="second")
    await world.run(1)
    await world.kill()
    await world.run(60)
    await world.start()
    assert (await world.ends(cancelling))["reason"] == "deadline"
    assert (await world.ends(taking))["status"] == "filled"


@in_world()
async def test_a_slow_redis_does_not_let_an_entry_leave_before_its_record(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    await world.command("algo_pause", algoId=chase)
    world.redis_goes()
    await world.run(0.2)
    sent = len(world.order_requests())
    world.market.quote("61801.0", "61805.0")
    await world.run(5)
    assert len(world.order_requests()) == sent
    world.redis_comes()
    await world.run(2)
    await world.command("algo_resume", algoId=chase)
    await world.until(lambda: len(world.resting()) == 1, 3)


@in_world()
async def test_the_answer_of_a_chase_comes_within_3_s_whatever_the_venue_does(world: World) -> None:
    await world.start()
    world.fault("POST", delay_before_ms=8000)
    began = world.clock.monotonic()
    chase = await world.chase()
    assert world.clock.monotonic() - began < 3
    await world.until(lambda: len(world.resting()) == 1, 10)
    await world.run(1)
    assert (await world.state(chase))["child"]["state"] == "active"


@in_world()
async def test_a_quantity_amended_below_what_rests_shrinks_the_order_in_place(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase(quantity="0.020")
    (order,) = world.resting()
    world.market.hit(order, "0.004")
    await world.run(1)
    assert (await world.command("chase_amend", chaseId=chase, quantity="0.010"))["success"]
    await world.until(lambda: order.quantity == D("0.010"), 2)
    assert order.remaining == D("0.006")
    world.market.hit(order, "0.006")
    state = await world.ends(chase)
    assert (state["status"], state["quantity"], state["filledQuantity"]) == ("filled", D("0.010"), D("0.010"))
    assert len(world.placed()) == 1


@pytest.mark.parametrize("filled", ["0.012", "0.020"])
@in_world()
async def test_fills_that_overtake_an_amend_to_less_are_told_as_asked_for(world: World, filled: str) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase(quantity="0.020")
    (order,) = world.resting()
    world.fault("PUT", delay_before_ms=500)
    assert (await world.command("chase_amend", chaseId=chase, quantity="0.010"))["success"]
    world.market.hit(order, filled)
    state = await world.ends(chase)
    assert (state["status"], state["quantity"], state["filledQuantity"]) == ("filled", D(filled), D(filled))
    assert state["residual"] == 0
    for event in await world.events("chase_progress", "chase_filled"):
        assert event["filledQuantity"] <= event["quantity"]
    assert len(world.placed()) == 1


@in_world(books=False)
async def test_a_position_that_no_trade_explains_blocks_new_risk_on_its_symbol(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    opened = await world.chase()
    world.market.hit(world.resting()[0], "0.010")
    await world.ends(opened)
    await world.kill()
    world.market.rest(world.account, "BUY", D("61805.0"), "0.007", "web_1", time_in_force="IOC")
    world.fault("GET", path="/fapi/v1/userTrades", status=200, body="[]", count=0)
    await world.start()
    await world.run(3)
    (alarm,) = await world.events("alarm")
    assert (alarm["code"], alarm["subject"]) == ("position_drift", "BTCUSDT")
    assert (await world.record("health"))["blocked"] == ["BTCUSDT"]
    reply = await world.command("chase", symbol="BTCUSDT", side="BUY", quantity="0.010")
    assert (reply["success"], reply["errorCode"]) == (False, "POSITION_DRIFT")
    await world.chase(side="SELL", reduceOnly=True)
    assert [(order.side, order.reduce_only) for order in world.resting()] == [("SELL", True)]


@in_world()
async def test_health_says_what_is_missing_and_when_it_is_back(world: World) -> None:
    await world.start()
    await world.chase()
    await world.run(3)
    assert (await world.record("health"))["status"] == "open"
    world.mute("/public")
    world.market.quote("61801.0", "61805.0")
    await world.run(8)
    health = await world.record("health")
    assert health["status"] == "degraded"
    assert "BTCUSDT" in health["reason"]
    world.heal()
    await world.run(60)
    assert (await world.record("health"))["status"] == "open"
    price = await world.record("price:BTCUSDT")
    assert (price["bid"], price["ask"]) == (world.market.bid, world.market.ask)
