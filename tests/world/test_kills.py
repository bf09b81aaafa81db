"""The daemon dies and comes back: what rests, fills and ends meanwhile (design.md, recovery; execution.md 22 to 26)."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from pms.bus.lease import LeaseHeld
from schemas.ids import OrderId, make, tag_of
from tests.world.world import START_MS, World, in_world

D = Decimal
pytestmark = pytest.mark.crash


def owner_of(client_id: str) -> str:
    return client_id.split("-")[2]


def stranger(owner: str, epoch: int = 1_700_000_000, attempt: int = 1) -> str:
    return make(OrderId(tag_of("main"), owner, epoch, 0, attempt))


# --- SIGKILL ------------------------------------------------------------------------------------------


@in_world()
async def test_after_a_kill_the_one_order_is_taken_up_again_with_the_exact_rest(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    (order,) = world.resting()
    world.market.hit(order, "0.003")
    await world.run(1)
    await world.kill()
    await world.run(20)
    world.market.hit(order, "0.002")
    await world.run(10)
    await world.start()
    state = await world.state(chase)
    assert (state["status"], state["filledQuantity"]) == ("active", D("0.005"))
    assert state["child"]["clientOrderId"] == order.client_id
    assert world.order_requests() == []
    world.market.quote("61801.0", "61805.0")
    await world.until(lambda: order.price == D("61801.0"), 2)
    assert (order.quantity, order.remaining) == (D("0.010"), D("0.005"))
    world.market.hit(order, "0.005")
    assert (await world.ends(chase))["status"] == "filled"
    assert len(world.placed()) == 1


@in_world()
async def test_fills_made_while_down_are_booked_once_with_their_true_times(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    (order,) = world.resting()
    await world.kill()
    await world.run(30)
    world.market.hit(order, "0.010")
    (trade,) = world.exchange.trades(world.account, "BTCUSDT")
    await world.run(30)
    await world.start()
    state = await world.ends(chase)
    assert (state["status"], state["fillPrice"]) == ("filled", D("61800.0"))
    watermark = await world.record("watermark")
    assert watermark["symbols"]["BTCUSDT"]["tradeTime"] == trade.time
    row = await world.redis.hget("pms:position:main", "BTCUSDT")
    assert f'"openedAt":{trade.time}' in row.decode()


@in_world()
async def test_the_end_of_an_order_while_down_is_told_apart_from_one_we_watched(world: World) -> None:
    """`child_cancelled_while_down` pauses, and a resume goes on with the rest (contract.md)."""
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    (order,) = world.resting()
    world.market.hit(order, "0.003")
    await world.run(1)
    await world.kill()
    world.exchange.cancel(world.account, "BTCUSDT", order_id=order.order_id)
    await world.run(5)
    await world.start()
    await world.run(5)
    state = await world.state(chase)
    assert (state["status"], state["paused"]) == ("paused", "child_cancelled_while_down")
    assert world.resting() == []
    assert (await world.command("algo_resume", algoId=chase))["success"]
    await world.until(lambda: [each.quantity for each in world.resting()] == [D("0.007")], 2)


@in_world()
async def test_a_chase_that_was_down_for_long_stays_paused_with_reason_and_alarm_until_resumed(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    await world.run(3)
    await world.kill()
    await world.run(400)
    await world.start()
    await world.until(lambda: not world.resting(), 5)
    state = await world.state(chase)
    assert (state["status"], state["paused"]) == ("paused", "down_too_long")
    (alarm,) = await world.events("alarm")
    assert (alarm["code"], alarm["subject"]) == ("algo_paused", chase)
    await world.run(30)
    assert world.resting() == []
    assert (await world.command("algo_resume", algoId=chase))["success"]
    await world.until(lambda: len(world.resting()) == 1, 2)
    assert await world.redis.hlen("pms:alarms") == 0


@in_world()
async def test_a_chase_whose_market_moved_away_meanwhile_stays_paused(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    await world.run(3)
    await world.kill()
    world.market.quote("62800.0", "62805.0")
    await world.run(20)
    await world.start()
    await world.until(lambda: not world.resting(), 5)
    assert (await world.state(chase))["paused"] == "price_moved_too_far"


@in_world()
async def test_a_reduce_only_chase_goes_on_however_long_it_was_down(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    opened = await world.chase()
    world.market.hit(world.resting()[0], "0.010")
    await world.ends(opened)
    chase = await world.chase(side="SELL", reduceOnly=True)
    await world.kill()
    await world.run(4000)
    await world.start()
    await world.run(2)
    assert (await world.state(chase))["status"] == "active"
    assert [(order.side, order.reduce_only) for order in world.resting()] == [("SELL", True)]


@in_world()
async def test_killed_between_the_claim_and_the_answer_a_repeat_gets_the_chase_that_was_started(world: World) -> None:
    await world.start()
    world.life.die_on = "after claim"
    body = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010", "requestId": "twice"}
    await world.redis.lpush("pms:cmd:chase", _json(body))
    await world.run(2)
    assert world.daemon is None
    assert len(await world.redis.keys("pms:chase:*")) == 1
    await world.start()
    reply = await world.command("chase", **body)
    assert reply["success"], reply
    (key,) = await world.redis.keys("pms:chase:*")
    assert key.decode().endswith(reply["chaseId"])
    await world.run(15)
    assert len(world.resting()) == 1


def _json(body: dict[str, Any]) -> str:
    return json.dumps({"subAccountId": "main"} | body)


# --- SIGTERM ------------------------------------------------------------------------------------------


@in_world()
async def test_a_stop_cancels_what_adds_risk_leaves_what_reduces_and_the_restart_goes_on(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    opened = await world.chase(quantity="0.020")
    world.market.hit(world.resting()[0], "0.020")
    await world.ends(opened)
    entry = await world.chase()
    leaving = await world.chase(side="SELL", reduceOnly=True)
    staying = await world.chase(quantity="0.030", stalkOffsetTicks=20, onStop="leave")
    (order,) = [order for order in world.resting() if owner_of(order.client_id) == entry]
    world.market.hit(order, "0.004")
    await world.run(1)
    began = world.clock.monotonic()
    await world.stop()
    assert world.clock.monotonic() - began < 5
    assert sorted(owner_of(order.client_id) for order in world.resting()) == sorted([leaving, staying])
    assert (await world.record("lease"))["released"] is True
    await world.run(60)
    began = world.clock.monotonic()
    await world.start()
    assert world.clock.monotonic() - began < 2, "a released lease is not waited for"
    await world.run(1)
    rests = {owner_of(order.client_id): order.remaining for order in world.resting()}
    assert rests == {entry: D("0.006"), leaving: D("0.010"), staying: D("0.030")}
    for chase in (entry, leaving, staying):
        assert (await world.state(chase))["status"] == "active"


@in_world()
async def test_a_stop_that_is_asked_to_cancel_reduce_only_does_so(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    opened = await world.chase()
    world.market.hit(world.resting()[0], "0.010")
    await world.ends(opened)
    await world.chase(side="SELL", reduceOnly=True, onStop="cancel")
    await world.stop()
    assert world.resting() == []


# --- what recovery finds ------------------------------------------------------------------------------


@in_world()
async def test_orphans_are_judged_by_policy(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    opened = await world.chase(quantity="0.010")
    world.market.hit(world.resting()[0], "0.010")
    await world.ends(opened)
    await world.stop()
    low, high = D("61000.0"), D("63000.0")
    ours = world.market.rest(world.account, "BUY", low, "0.010", stranger("cnobodyxyz"))
    damaged = world.market.rest(world.account, "BUY", low, "0.011", "pms-damaged")
    foreign = world.market.rest(world.account, "BUY", low, "0.012", "web_1")
    exit_order = world.market.rest(world.account, "SELL", high, "0.010", "web_2", reduce_only=True)
    await world.start()
    assert [order.status for order in (ours, damaged, foreign)] == ["CANCELED"] * 3
    assert exit_order.status == "NEW"
    told = {event["subject"].split()[0]: event for event in await world.events("recovery_action")}
    assert set(told) >= {ours.client_id, damaged.client_id, "web_1", "web_2"}
    assert all(event["evidence"] for event in told.values())
    world.exchange.cancel(world.account, "BTCUSDT", order_id=exit_order.order_id)
    await world.run(1)


@pytest.mark.parametrize("policy, foreign_stays", [("cancel", False), ("ours", True), ("report", True)])
@in_world(books=False)
async def test_the_policy_for_foreign_orders_can_be_set(world: World, policy: str, foreign_stays: bool) -> None:
    order = world.market.rest(world.account, "BUY", D("61000.0"), "0.012", "web_1")
    await world.start(PMS_FOREIGN_ORDERS=policy)
    assert order.is_open is foreign_stays


@in_world()
async def test_recovery_run_twice_changes_nothing_the_second_time(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    await world.chase()
    await world.chase(subAccountId="second", stalkOffsetTicks=5)
    first, _ = world.resting()
    await world.kill()
    world.market.hit(first, "0.004")
    world.market.rest(world.account, "BUY", D("61000.0"), "0.010", stranger("cnobodyxyz"))
    await world.run(3)
    daemon = await world.start()
    run = await world.record("recovery:last")
    assert {step["action"] for step in run["steps"]} >= {"book", "cancelorder"}
    await world.run(20)
    seq, requests = daemon.store.seq, len(world.order_requests())
    plan = await daemon.recovery.run("again")
    assert plan.verdicts == ()
    await world.run(1)
    later = [event["type"] for event in await world.events() if event["seq"] > seq]
    assert later == ["recovery_started", "recovery_completed"]
    assert len(world.order_requests()) == requests


@in_world()
async def test_an_order_of_a_live_chase_that_redis_forgot_is_adopted_by_it(world: World) -> None:
    """The place left, and its record was lost with an older save of Redis."""
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    await world.command("algo_pause", algoId=chase)
    await world.until(lambda: not world.resting(), 3)
    await world.kill()
    mine = world.market.rest(world.account, "BUY", D("61799.0"), "0.010", stranger(chase, 1_789_999_999, 9))
    await world.start()
    await world.run(1)
    assert (await world.state(chase))["paused"] == "paused_by_command"
    await world.until(lambda: not mine.is_open, 3)  # adopted, and a paused chase has no order
    children = {event["clientOrderId"] for event in await world.events("order_cancelled")}
    assert mine.client_id in children


@in_world()
async def test_started_on_a_used_redis_only_prices_are_gone(world: World) -> None:
    kept = {"other:key": "1", "pms:result:old": "{}", "pms:later:old": '{"v":1}', "pmsx:price:BTCUSDT": "1"}
    for key, value in {**kept, "pms:price:BTCUSDT": "{}", "pms:price:OLDUSDT": "{}"}.items():
        await world.redis.set(key, value)
    await world.start()
    assert await world.redis.keys("pms:price:*") == []
    for key, value in kept.items():
        assert await world.redis.get(key) == value.encode(), key
    chase = await world.chase()
    await world.command("chase_cancel", chaseId=chase)
    await world.stop()
    assert not {"KEYS", "FLUSHDB", "FLUSHALL", "DEL"} & world.life.commands
    await world.redis.delete("pms:later:old")


@in_world()
async def test_chases_of_an_old_run_are_resumed_or_settled_on_a_used_redis(world: World) -> None:
    """An ended one stays as it is; a live one whose order is long gone does not place before it is judged."""
    world.market.quote("61800.0", "61805.0")
    await world.start()
    ended = await world.chase()
    world.market.hit(world.resting()[0], "0.010")
    before = await world.ends(ended)
    await world.stop()
    await world.run(400)
    await world.start()
    assert await world.state(ended) == before
    assert world.resting() == []


@in_world()
async def test_a_damaged_record_goes_to_quarantine_with_an_alarm(world: World) -> None:
    await world.start()
    await world.stop()
    await world.redis.set("pms:chase:cbroken000", b'{"v":1,"epoch":1,"rev":1,"seq":1,"chaseId":7}')
    await world.start()
    assert await world.redis.exists("pms:chase:cbroken000") == 0
    assert await world.redis.exists("pms:quarantine:pms:chase:cbroken000") == 1
    assert [alarm["code"] for alarm in await world.events("alarm")] == ["record_quarantined"]


# --- the lease ----------------------------------------------------------------------------------------


@in_world()
async def test_a_second_daemon_is_told_who_holds_the_account_and_touches_nothing(world: World) -> None:
    await world.start()
    await world.chase()
    sent = len(world.http.requests)
    with pytest.raises(LeaseHeld) as told:
        await world.second()
    assert "pid 1 on world" in str(told.value)
    await world.run(5)
    assert len(world.resting()) == 1
    assert sent
    assert world.clock.now_ms() > START_MS


@in_world()
async def test_a_killed_daemons_lease_is_waited_out_elsewhere(world: World) -> None:
    """Nobody can prove on another host that it is dead: its lease runs out, then its requests' time."""
    await world.start()
    await world.chase()
    await world.run(5)
    await world.kill()
    died = world.clock.monotonic()
    world.elsewhere = True
    await world.start()
    assert 10 <= world.clock.monotonic() - died <= 16
    assert len(world.resting()) == 1
