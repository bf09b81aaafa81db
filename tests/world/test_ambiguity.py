"""Answers that are lost, late or contradictory: never two live orders, and the right books (execution.md 1 to 5)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.world.world import World, in_world

D = Decimal
pytestmark = pytest.mark.ambiguity

UNKNOWN_503 = {"status": 503, "msg": "Unknown error, please check your request or try again later."}
BUSY_503 = {"status": 503, "msg": "Service Unavailable."}
TIMEOUT = {"status": 408, "code": -1007, "msg": "Timeout waiting for response from backend server."}
GATEWAY = {"status": 502, "body": "<html>Bad Gateway</html>"}
GARBAGE = {"status": 200, "body": "<html>welcome</html>"}
NO_SUCH_ORDER = {"status": 400, "code": -2013, "msg": "Order does not exist."}
OVERLOADED = {"status": 503, "code": -1008, "msg": "Server is currently overloaded with other requests."}
RATE = {"status": 429, "code": -1015, "msg": "Too many new orders."}

# What is told, whether the venue carried it out, and whether it is certain to the caller that it did not.
DOUBTS = {
    "lost before": ({"lose": "before"}, False),
    "lost after": ({"lose": "after"}, True),
    "503 unknown, not done": (UNKNOWN_503, False),
    "503 unknown, done": (UNKNOWN_503 | {"execute": True}, True),
    "408 not done": (TIMEOUT, False),
    "408 done": (TIMEOUT | {"execute": True}, True),
    "502 not done": (GATEWAY, False),
    "502 done": (GATEWAY | {"execute": True}, True),
    "200 garbage, done": (GARBAGE | {"execute": True}, True),
    "200 garbage, not done": (GARBAGE, False),
}
CERTAINLY_NOT = {"503 busy": BUSY_503, "-1008": OVERLOADED, "-1015": RATE}


def doubts() -> list[Any]:
    return [pytest.param(what, done, id=name) for name, (what, done) in DOUBTS.items()]


async def fills_exactly(world: World, chase: str, quantity: str = "0.010") -> None:
    """The chase goes on to its end, and its sum is exact."""
    await world.until(lambda: len(world.resting()) == 1, 30)
    (order,) = world.resting()
    world.market.hit(order, order.remaining)
    state = await world.ends(chase, 30)
    assert (state["status"], state["filledQuantity"]) == ("filled", D(quantity))
    assert world.held() == D(quantity)


# --- placing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what, done", doubts())
@in_world()
async def test_a_placing_in_doubt_makes_one_order(world: World, what: dict[str, Any], done: bool) -> None:
    await world.start()
    world.fault("POST", **what)
    began = world.clock.monotonic()
    chase = await world.chase()
    await world.run(11 - (world.clock.monotonic() - began))
    assert len(world.placed()) == (1 if done else 0), "nothing is sent again within the settle window"
    await world.run(9)
    assert len(world.placed()) == 1
    attempts = {event["clientOrderId"] for event in await world.events("order_placed")}
    assert len(attempts) == (1 if done else 2), "a new attempt has a new id"
    await fills_exactly(world, chase)


@pytest.mark.parametrize("name", CERTAINLY_NOT)
@in_world()
async def test_a_placing_that_was_certainly_not_done_is_tried_again_soon(world: World, name: str) -> None:
    await world.start()
    world.fault("POST", **CERTAINLY_NOT[name])
    chase = await world.chase()
    await world.until(lambda: len(world.resting()) == 1, 12)
    await fills_exactly(world, chase)


@in_world()
async def test_one_not_found_right_after_placing_proves_nothing(world: World) -> None:
    """The venue's look-up may lag behind its engine."""
    await world.start()
    world.fault("POST", lose="after")
    world.fault("GET", **NO_SUCH_ORDER, count=4)
    world.mute("/private")
    chase = await world.chase()
    await world.run(30)
    assert len(world.placed()) == 1
    world.heal()
    await fills_exactly(world, chase)


@in_world()
async def test_a_placing_that_lands_late_is_found_and_not_doubled(world: World) -> None:
    await world.start()
    world.fault("POST", lose="before")
    chase = await world.chase()
    await world.run(1.5)
    (event,) = await world.events("order_placed")
    late = world.market.rest(
        world.account, "BUY", D(event["price"]), D(event["quantity"]), event["clientOrderId"], time_in_force="GTX"
    )
    await world.run(15)
    assert world.resting() == [late]
    assert len(world.placed()) == 1
    await fills_exactly(world, chase)


@in_world()
async def test_a_placing_in_doubt_that_filled_meanwhile_is_booked_and_not_repeated(world: World) -> None:
    await world.start()
    world.fault("POST", **UNKNOWN_503, execute=True, delay_after_ms=500)
    world.mute("/private")
    chase = await world.chase()
    world.market.hit(world.resting()[0], "0.010")
    state = await world.ends(chase, 30)
    assert (state["status"], state["filledQuantity"]) == ("filled", D("0.010"))
    assert len(world.placed()) == 1


@in_world()
async def test_a_chase_cancelled_while_its_placing_is_in_doubt_leaves_nothing(world: World) -> None:
    await world.start()
    world.fault("POST", lose="after")
    world.fault("GET", **NO_SUCH_ORDER, count=3)
    world.mute("/private")
    chase = await world.chase()
    reply = await world.command("chase_cancel", chaseId=chase)
    assert reply["success"], reply
    state = await world.ends(chase, 30)
    assert state["status"] == "cancelled"
    assert world.resting() == []
    assert len(world.placed()) == 1


# --- amending -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("what, done", doubts())
@in_world()
async def test_an_amend_in_doubt_is_looked_up_before_the_next_leaves(
    world: World, what: dict[str, Any], done: bool
) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    (order,) = world.resting()
    world.market.hit(order, "0.003")
    await world.run(1)
    world.fault("PUT", **what)
    world.market.quote("61801.0", "61805.0")
    await world.run(0.3)
    assert order.price == (D("61801.0") if done else D("61800.0"))
    world.market.quote("61802.0", "61805.0")
    await world.until(lambda: order.price == D("61802.0"), 8)
    assert len(world.placed()) == 1
    await fills_exactly(world, chase)


@pytest.mark.parametrize("name", CERTAINLY_NOT)
@in_world()
async def test_an_amend_that_was_certainly_not_done_is_tried_again_soon(world: World, name: str) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    world.fault("PUT", **CERTAINLY_NOT[name])
    world.market.quote("61801.0", "61805.0")
    await world.until(lambda: world.resting()[0].price == D("61801.0"), 12)
    await fills_exactly(world, chase)


@in_world()
async def test_an_amend_that_is_told_no_such_order_right_after_placing_goes_on(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    world.fault("PUT", **NO_SUCH_ORDER)
    world.market.quote("61801.0", "61805.0")
    await world.until(lambda: world.resting()[0].price == D("61801.0"), 15)
    assert len(world.placed()) == 1
    await fills_exactly(world, chase)


@in_world()
async def test_an_order_filled_on_the_way_of_its_amend_is_filled_and_nothing_else(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    (order,) = world.resting()
    world.fault("PUT", delay_before_ms=300)
    world.market.quote("61801.0", "61805.0")
    await world.run(0.2)
    world.market.hit(order, "0.010")
    state = await world.ends(chase, 20)
    assert (state["status"], state["filledQuantity"]) == ("filled", D("0.010"))
    assert len(world.placed()) == 1


@in_world()
async def test_answers_slower_than_the_stream_settle_their_own_request_only(world: World) -> None:
    """One amend in flight, though the stream has told the one before and its answer is still on the way."""
    world.market.quote("61800.0", "61805.0")
    await world.start()
    for method in ("POST", "PUT", "DELETE"):
        world.fault(method, count=0, delay_before_ms=100, delay_after_ms=400)
    chase = await world.chase(repriceMinMs=100)
    for step in range(1, 31):
        world.market.quote(D("61800.0") + D(step % 5), "61805.0")
        await world.run(0.15)
    await world.run(2)
    (order,) = world.resting()
    amended = await world.events("order_amended")
    assert len(amended) == order.amendments > 10, "each confirmed by its own event"
    assert amended[-1]["price"] == order.price == D("61800.0")
    world.heal()
    await fills_exactly(world, chase)


# --- cancelling ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("what, done", doubts())
@in_world()
async def test_a_cancel_in_doubt_ends_with_the_order_gone(world: World, what: dict[str, Any], done: bool) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    (order,) = world.resting()
    world.market.hit(order, "0.003")
    await world.run(1)
    world.fault("DELETE", **what)
    reply = await world.command("chase_cancel", chaseId=chase)
    assert reply["success"], reply
    assert order.is_open is not done
    state = await world.ends(chase, 20)
    assert (state["status"], state["filledQuantity"], state["residual"]) == ("cancelled", D("0.003"), D("0.007"))
    assert not order.is_open


@in_world()
async def test_a_cancel_of_an_order_that_filled_before_it_arrived_ends_filled(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    (order,) = world.resting()
    world.mute("/private")
    world.market.hit(order, "0.010")
    reply = await world.command("chase_cancel", chaseId=chase)
    assert reply["success"], reply
    state = await world.ends(chase, 20)
    assert (state["status"], state["filledQuantity"]) == ("filled", D("0.010"))


@in_world()
async def test_every_fifth_answer_lost_the_chase_still_ends_exactly(world: World) -> None:
    """Either before or after execution, by a seeded chance, over a long run with many amends."""
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase(quantity="0.100")
    for lose in ("before", "after"):
        world.fault("", path="/fapi/v1/order", lose=lose, probability=0.1, count=0)
    for step in range(60):
        world.market.quote(D("61800.0") + D(step * 7 % 5), "61805.0")
        await world.run(1)
        for order in world.resting():
            if step % 3 == 0 and order.remaining > D("0.004"):
                world.market.hit(order, "0.003")
    world.heal()
    await world.run(20)
    state = await world.state(chase)
    await world.until(lambda: len(world.resting()) == 1, 30)
    (order,) = world.resting()
    assert order.remaining == D("0.100") - state["filledQuantity"]
    world.market.hit(order, order.remaining)
    assert (await world.ends(chase, 30))["filledQuantity"] == D("0.100")
