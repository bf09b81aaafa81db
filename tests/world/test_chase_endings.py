"""What ends a chase's order at the venue, and what ends the chase (algos.md: chase, laws 3 to 8)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.world.world import World, in_world

D = Decimal


async def follows(world: World, price: object) -> None:
    wanted = D(str(price))
    await world.until(lambda: [order.price for order in world.resting()] == [wanted], 2)


# --- ended by the venue -------------------------------------------------------------------------------


@in_world()
async def test_a_post_only_refusal_is_priced_anew_from_the_fresh_book(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    world.fault("POST", delay_before_ms=100)
    chase = await world.chase()
    await world.run(0.02)
    world.market.quote("61798.0", "61799.0")
    await follows(world, "61798.0")
    (refused, resting) = await world.events("order_placed")
    assert (refused["price"], resting["price"]) == (D("61800.0"), D("61797.9")), "one tick further back"
    (failed,) = await world.events("order_failed")
    assert failed["clientOrderId"] == refused["clientOrderId"]
    assert (await world.state(chase))["status"] == "active"


@in_world()
async def test_a_gtx_amend_that_would_cross_ends_the_order_and_a_new_one_takes_the_rest(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    (first,) = world.resting()
    world.market.hit(first, "0.004")
    await world.run(1)
    world.fault("PUT", delay_before_ms=100)
    world.market.quote("61803.0", "61805.0")
    await world.run(0.05)
    world.market.quote("61800.5", "61801.0")
    await world.until(lambda: len(world.placed()) == 2, 3)
    second = world.placed()[1]
    assert first.status == "CANCELED"
    assert second.quantity == D("0.006")
    assert second.created_at - first.updated_at >= 250, "the throttle"
    await follows(world, "61800.5")
    assert (await world.state(chase))["status"] == "active"


@in_world()
async def test_self_trade_prevention_ends_the_order_and_a_new_one_follows(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase(aggressive=True)
    (first,) = world.resting()
    world.market.rest(world.account, "SELL", first.price, "0.005", time_in_force="IOC")
    assert first.status == "EXPIRED_IN_MATCH"
    await world.until(lambda: len(world.resting()) == 1, 2)
    (second,) = world.resting()
    assert second.quantity == D("0.010")
    await follows(world, "61800.1")
    assert (await world.state(chase))["status"] == "active"
    expired = [event for event in await world.events("order_expired") if event["origin"] == "CHASE"]
    assert [event["reason"] for event in expired] == ["self_trade"]


@pytest.mark.parametrize("reduce_only", [False, True])
@in_world()
async def test_an_order_cancelled_at_the_venue_by_somebody_ends_its_chase(world: World, reduce_only: bool) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    if reduce_only:
        first = await world.chase(side="SELL")
        world.market.hit(world.resting()[0], "0.010")
        await world.ends(first)
    chase = await world.chase(reduceOnly=reduce_only)
    (order,) = world.resting()
    world.exchange.cancel(world.account, "BTCUSDT", order_id=order.order_id)
    state = await world.ends(chase)
    assert (state["status"], state["reason"]) == ("cancelled", "child_cancelled_externally")
    assert state["residual"] == D("0.010")


@in_world()
async def test_a_reduce_only_chase_on_no_position_ends_and_says_why(world: World) -> None:
    await world.start()
    reply = await world.command("chase", symbol="BTCUSDT", side="SELL", quantity="0.010", reduceOnly=True)
    state = await world.ends(reply["chaseId"])
    assert (state["status"], state["reason"]) == ("cancelled", "nothing_to_reduce")
    assert world.order_requests() == [], "the exit ledger knows it, the venue need not be asked"


@in_world()
async def test_the_same_refusal_again_and_again_blocks_the_chase_and_sounds_an_alarm(world: World) -> None:
    await world.start()
    world.fault("POST", status=400, code=-2019, msg="Margin is insufficient.", count=0)
    chase = await world.chase()
    await world.run(10)
    state = await world.state(chase)
    assert state["status"] == "blocked"
    assert "Margin is insufficient" in state["reason"]
    sent = len(world.order_requests())
    assert sent <= 6, "three, then after 1 s, 2 s, 4 s"
    await world.run(600)
    assert len(world.order_requests()) - sent <= 14, "at most once a minute in the end"
    alarms = [alarm["code"] for alarm in await world.events("alarm")]
    assert "algo_blocked" in alarms
    world.heal()
    await world.until(lambda: len(world.resting()) == 1, 70)
    assert (await world.state(chase))["status"] == "active"


# --- its own limits -----------------------------------------------------------------------------------


async def reach_distance(world: World) -> None:
    world.market.quote("61900.0", "61905.0")


async def reach_deadline(world: World) -> None:
    await world.run(5.5)


LIMITS = [
    ({"maxDistancePct": "0.1"}, "onLimit", reach_distance, "max_distance"),
    ({"deadlineSeconds": 5}, "onDeadline", reach_deadline, "deadline"),
]


@pytest.mark.parametrize("asked, word, reach, reason", LIMITS)
@in_world()
async def test_a_limit_with_cancel_ends_the_chase(world: World, asked, word, reach, reason) -> None:  # type: ignore[no-untyped-def]
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase(**asked, **{word: "cancel"})
    world.market.hit(world.resting()[0], "0.004")
    await reach(world)
    state = await world.ends(chase)
    assert (state["status"], state["reason"]) == ("cancelled", reason)
    assert (state["filledQuantity"], state["residual"]) == (D("0.004"), D("0.006"))
    assert world.resting() == []


@pytest.mark.parametrize("asked, word, reach, reason", LIMITS)
@in_world()
async def test_a_limit_with_rest_leaves_the_order_where_it_is(world: World, asked, word, reach, reason) -> None:  # type: ignore[no-untyped-def]
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase(**asked, **{word: "rest"})
    await reach(world)
    await world.run(2)
    stands = world.resting()[0].price
    world.market.quote("61950.0", "61955.0")
    await world.run(5)
    assert world.resting()[0].price == stands
    world.market.quote("61700.0", "61705.0")
    state = await world.ends(chase)
    assert (state["status"], state["fillPrice"]) == ("filled", stands)


@pytest.mark.parametrize("asked, word, reach, reason", LIMITS)
@in_world()
async def test_a_limit_with_take_crosses_with_what_is_left(world: World, asked, word, reach, reason) -> None:  # type: ignore[no-untyped-def]
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase(**asked, **{word: "take"})
    world.market.hit(world.resting()[0], "0.004")
    await reach(world)
    state = await world.ends(chase)
    assert state["status"] == "filled"
    first, taker = world.placed()
    assert (first.status, taker.time_in_force, taker.quantity) == ("CANCELED", "IOC", D("0.006"))
    assert state["fillPrice"] == (D("61800.0") * 4 + world.market.ask * 6) / 10


@in_world()
async def test_take_gives_up_after_three_crossings_and_names_the_rest(world: World) -> None:
    await world.start()
    chase = await world.chase(quantity="3", leverage=20, deadlineSeconds=2, onDeadline="take", maxSlippageBps=0)
    state = await world.ends(chase)
    assert (state["status"], state["reason"]) == ("cancelled", "deadline")
    takers = [order for order in world.placed() if order.time_in_force == "IOC"]
    assert len(takers) <= 3
    assert state["residual"] == D(3) - state["filledQuantity"] > 0


@in_world()
async def test_the_distance_is_measured_from_the_mid_at_acceptance_and_only_against_us(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase(maxDistancePct="0.1")
    world.market.quote("61850.0", "61855.0")  # +0.08 %
    await world.run(2)
    world.market.quote("61600.0", "61900.0")  # far down: good for a buyer
    await world.run(2)
    assert (await world.state(chase))["status"] == "active"


# --- commands -----------------------------------------------------------------------------------------


@in_world()
async def test_chase_amend_changes_quantity_offset_and_mode_of_the_one_order(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    world.market.hit(world.resting()[0], "0.004")
    await world.run(1)
    assert (await world.command("chase_amend", chaseId=chase, quantity="0.020"))["success"]
    await world.until(lambda: world.resting()[0].quantity == D("0.020"), 2)
    assert (await world.command("chase_amend", chaseId=chase, stalkOffsetTicks=5))["success"]
    await follows(world, "61799.5")
    assert (await world.command("chase_amend", chaseId=chase, stalkMode="none"))["success"]
    world.market.quote("61801.0", "61805.0")
    await world.run(2)
    await follows(world, "61799.5")
    below = await world.command("chase_amend", chaseId=chase, quantity="0.003")
    assert (below["success"], below["errorCode"], below["details"]["filled"]) == (False, "INVALID_FIELD", D("0.004"))
    assert len(world.placed()) == 1
    assert (await world.command("chase_amend", chaseId=chase, quantity="0.004"))["success"]
    state = await world.ends(chase)
    assert (state["status"], state["quantity"], state["residual"]) == ("filled", D("0.004"), 0)
    assert world.resting() == []


@in_world()
async def test_a_paused_chase_has_no_order_and_resumes_with_the_rest(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    world.market.hit(world.resting()[0], "0.004")
    await world.run(1)
    assert (await world.command("algo_pause", algoId=chase))["success"]
    await world.until(lambda: not world.resting(), 2)
    await world.run(5)
    state = await world.state(chase)
    assert (state["status"], state["paused"]) == ("paused", "paused_by_command")
    assert (await world.command("algo_resume", algoId=chase))["success"]
    await world.until(lambda: [order.quantity for order in world.resting()] == [D("0.006")], 2)
    assert (await world.state(chase))["status"] == "active"


@in_world()
async def test_chase_cancel_answers_when_the_order_is_gone(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    world.market.hit(world.resting()[0], "0.004")
    reply = await world.command("chase_cancel", chaseId=chase)
    assert reply["success"], reply
    assert world.resting() == []
    state = await world.state(chase)
    assert (state["status"], state["reason"]) == ("cancelled", "cancelled_by_command")
    assert (state["filledQuantity"], state["residual"]) == (D("0.004"), D("0.006"))
    assert (await world.command("chase_cancel", chaseId=chase))["errorCode"] == "ALGO_NOT_FOUND"


@in_world()
async def test_a_fill_on_the_way_of_the_cancel_is_booked_in_the_ending(world: World) -> None:
    """The venue fills while our cancel travels: law 3, no ending before the order's own."""
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    (order,) = world.resting()
    world.fault("DELETE", delay_before_ms=200)
    await world.redis.lpush("pms:cmd:chase_cancel", f'{{"chaseId":"{chase}","requestId":"c-1","subAccountId":"main"}}')
    await world.run(0.1)
    world.market.hit(order, "0.010")
    state = await world.ends(chase)
    assert (state["status"], state["filledQuantity"]) == ("filled", D("0.010"))
    assert (await world.reply("c-1"))["success"]


@in_world()
async def test_cancel_of_the_only_child_ends_its_chase(world: World) -> None:
    await world.start()
    chase = await world.chase()
    (order,) = world.resting()
    foreign = await world.command("cancel", clientOrderId=order.client_id, subAccountId="other")
    assert foreign["errorCode"] == "NOT_OWNER"
    reply = await world.command("cancel", clientOrderId=order.client_id)
    assert reply["success"], reply
    assert world.resting() == []
    state = await world.state(chase)
    assert (state["status"], state["reason"]) == ("cancelled", "child_cancelled_by_command")


@in_world(symbols=("BTCUSDT", "ETHUSDT"))
async def test_cancel_all_ends_the_scope_and_nothing_else(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    opened = await world.chase(side="SELL")
    world.market.hit(world.resting()[0], "0.010")
    await world.ends(opened)
    entry, other_symbol = await world.chase(), await world.chase(symbol="ETHUSDT", quantity="0.1")
    leaving = await world.chase(reduceOnly=True)
    foreign = await world.chase(subAccountId="second")
    reply = await world.command("cancel_all", symbol="BTCUSDT")
    assert reply["success"], reply
    assert (reply["cancelledCount"], reply["stoppedAlgos"]) == (1, [entry])
    assert (await world.state(entry))["reason"] == "cancel_all"
    for chase in (other_symbol, leaving, foreign):
        assert (await world.state(chase))["status"] == "active"
    reply = await world.command("cancel_all", includeProtection=True)
    assert sorted(reply["stoppedAlgos"]) == sorted([other_symbol, leaving])
    assert (await world.state(foreign))["status"] == "active"
    assert len(world.resting()) == 1


# --- no price, stale price ----------------------------------------------------------------------------


@pytest.mark.faults
@in_world()
async def test_without_a_price_a_chase_is_refused_and_nothing_is_placed(world: World) -> None:
    await world.start()
    world.socket_fault("/public/*", mute_after_ms=0, count=0)
    reply = await world.command("chase", symbol="BTCUSDT", side="BUY", quantity="0.010")
    assert (reply["success"], reply["errorCode"]) == (False, "NO_PRICE")
    assert world.placed() == []
    assert await world.redis.keys("pms:chase:*") == []


@pytest.mark.faults
@in_world()
async def test_a_stale_book_holds_the_chase_and_a_fresh_one_lets_it_go_on(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    world.mute("/public")
    world.market.quote("61802.0", "61805.0")

    async def holds() -> bool:
        return (await world.state(chase))["hold"] == "book"

    await world.until(holds, 5)
    assert (await world.state(chase))["status"] == "throttled"
    sent = world.order_requests()
    world.market.quote("61803.0", "61805.0")
    await world.run(10)
    assert world.order_requests() == sent
    (order,) = world.resting()
    world.market.hit(order, "0.004")  # the user stream still tells
    await world.run(1)
    assert (await world.state(chase))["filledQuantity"] == D("0.004")
    world.heal()
    await world.until(lambda: world.resting()[0].price == D("61803.0"), 60)
    assert (await world.state(chase))["status"] == "active"


@pytest.mark.faults
@in_world()
async def test_a_held_chase_can_be_cancelled(world: World) -> None:
    await world.start()
    chase = await world.chase()
    world.mute("/public")
    world.market.quote("61801.0", "61805.0")
    await world.run(6)
    assert (await world.command("chase_cancel", chaseId=chase))["success"]
    assert world.resting() == []
