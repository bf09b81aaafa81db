"""twap on the whole stack: a child chase for each lot, and the price limit in both styles."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.world.twaps import begun, ended, iocs, lots, record
from tests.world.world import World, in_world

D = Decimal


async def resting_alone(world: World) -> Any:
    """The one order that a child chase has in the market, once it is there."""
    await world.until(lambda: len(world.resting()) == 1, 15)
    return world.resting()[0]


# --- a chase for each lot ---------------------------------------------------------------------------


@in_world()
async def test_each_lot_has_a_chase_of_its_own_that_makes_at_the_touch(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    reply = await begun(world, style="chase")
    names = []
    for _ in range(4):
        order = await resting_alone(world)
        assert (order.price, order.quantity, order.time_in_force) == (D("61800.0"), D("0.010"), "GTX")
        names.append((await record(world, reply))["worker"]["childId"])
        world.market.hit(order, "0.010")
        await world.until(lambda: not world.resting(), 2)
    state = await ended(world, reply)
    assert (state["status"], state["avgPrice"], state["filledLots"]) == ("completed", 61800, 4)
    assert (len(set(names)), iocs(world)) == (4, [])
    children = [await world.record(f"chase:{name}") for name in names]
    assert {child["parentId"] for child in children} == {reply["twapId"]}
    assert {child["rootId"] for child in children} == {reply["twapId"]}
    assert {order["rootId"] for order in await world.events("order_filled")} == {reply["twapId"]}


@pytest.mark.parametrize("on_child_fail", ["market", "carry"])
@in_world()
async def test_a_chase_that_runs_out_of_time_hands_over_or_is_carried(world: World, on_child_fail: str) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    reply = await begun(world, style="chase", childTimeoutSeconds=4, onChildFail=on_child_fail)
    world.market.hit(await resting_alone(world), "0.003")
    await world.run(5)
    if on_child_fail == "market":
        assert lots(world, reply) == [(4, D("0.007"))]
        assert world.held() == D("0.010")
    else:
        assert (iocs(world), world.held()) == ([], D("0.003"))
    await world.run(6)
    (order,) = world.resting()
    assert order.quantity == (D("0.010") if on_child_fail == "market" else D("0.017"))


@in_world()
async def test_without_a_time_of_its_own_a_chase_has_four_fifths_of_its_interval(world: World) -> None:
    await world.start()
    reply = await begun(world, style="chase")
    await world.run(7.9)
    assert len(world.resting()) == 1
    await world.run(0.2)
    assert (world.resting(), lots(world, reply)) == ([], [(8, D("0.010"))])


@in_world()
async def test_a_child_taken_away_by_hand_at_the_venue_is_carried_and_no_market_order_follows(world: World) -> None:
    await world.start()
    reply = await begun(world, style="chase", onChildFail="market")
    order = await resting_alone(world)
    world.market.hit(order, "0.004")
    await world.run(1)
    world.exchange.cancel(world.account, "BTCUSDT", order_id=order.order_id)
    await world.run(2)
    (gone,) = await world.events("chase_cancelled")
    assert (gone["reason"], iocs(world)) == ("child_cancelled_externally", [])
    assert (await record(world, reply))["status"] == "active"
    order = await resting_alone(world)
    assert order.quantity == D("0.016")
    world.market.hit(order, "0.016")
    await world.until(lambda: not world.resting(), 2)
    state = await ended(world, reply)
    assert (state["status"], world.held()) == ("completed", D("0.040"))


@in_world()
async def test_a_childs_order_cancelled_by_command_ends_its_twap_and_the_child_itself_is_owned(world: World) -> None:
    await world.start()
    reply = await begun(world, style="chase")
    order = await resting_alone(world)
    child = (await record(world, reply))["worker"]["childId"]
    for kind, field in (("chase_cancel", "chaseId"), ("algo_pause", "algoId"), ("algo_resume", "algoId")):
        assert (await world.command(kind, **{field: child}))["errorCode"] == "OWNED_BY_ALGO"
    assert (await world.command("cancel", clientOrderId=order.client_id))["success"]
    state = await ended(world, reply, 3)
    assert (state["status"], state["reason"]) == ("cancelled", "child_cancelled_by_command")
    assert world.resting() == []


@in_world()
async def test_a_pause_takes_the_childs_order_away_and_a_resume_goes_on(world: World) -> None:
    await world.start()
    reply = await begun(world, style="chase")
    world.market.hit(await resting_alone(world), "0.004")
    await world.run(1)
    assert (await world.command("twap_pause", twapId=reply["twapId"]))["success"]
    await world.until(lambda: not world.resting(), 2)
    await world.run(20)
    assert (world.resting(), iocs(world)) == ([], [])
    assert (await world.command("twap_resume", twapId=reply["twapId"]))["success"]
    assert (await resting_alone(world)).quantity == D("0.026"), "two lots were missed"


@in_world()
async def test_a_cancel_takes_the_childs_order_away_and_closes_where_asked(world: World) -> None:
    await world.start()
    reply = await begun(world, style="chase")
    world.market.hit(await resting_alone(world), "0.004")
    await world.run(1)
    answer = await world.command("twap_cancel", twapId=reply["twapId"], closePositions=True)
    assert answer["success"], answer
    state = await record(world, reply)
    assert (state["status"], state["filledQuantity"], state["residual"]) == ("cancelled", D("0.004"), D("0.036"))
    assert (world.resting(), world.held()) == ([], 0)


@in_world()
async def test_a_reduce_only_one_closes_by_reduce_only_chases_to_the_last_step(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    await world.command("trade", symbol="BTCUSDT", side="BUY", quantity="0.040")
    reply = await begun(world, side="SELL", reduceOnly=True, style="chase")
    for _ in range(4):
        order = await resting_alone(world)
        assert (order.reduce_only, order.quantity, order.price) == (True, D("0.010"), D("61805.0"))
        world.market.hit(order, "0.010")
        await world.until(lambda: not world.resting(), 2)
    state = await ended(world, reply)
    assert (state["status"], state["quantity"], world.held()) == ("completed", D("0.040"), 0)


@in_world()
async def test_a_reduce_only_one_ends_with_its_position_also_while_a_chase_works(world: World) -> None:
    await world.start()
    await world.command("trade", symbol="BTCUSDT", side="BUY", quantity="0.040")
    reply = await begun(world, side="SELL", reduceOnly=True, style="chase")
    await resting_alone(world)
    await world.command("close", symbol="BTCUSDT", side="SELL")
    state = await ended(world, reply, 5)
    assert (state["reason"], world.held(), world.resting()) == ("position_gone", 0, [])


# --- the price limit --------------------------------------------------------------------------------


@pytest.mark.parametrize("on_limit", ["skip", "pause", "end", "execute"])
@pytest.mark.parametrize("style", ["market", "chase"])
@in_world()
async def test_beyond_the_limit_the_lot_is_skipped_or_it_pauses_ends_or_executes(
    world: World, style: str, on_limit: str
) -> None:
    """The market leaves while the second lot is due (market), or is being worked on (chase)."""
    world.market.quote("61800.0", "61805.0")
    await world.start()
    reply = await begun(world, style=style, priceLimit=61900, onLimit=on_limit, childTimeoutSeconds=9)
    if style == "chase":
        world.market.hit(await resting_alone(world), "0.010")
        await world.run(10)
        await resting_alone(world)
    else:
        await world.run(5)
    world.market.quote("61950.0", "61955.0")
    await world.run(12)
    state = await record(world, reply)
    assert world.resting() == []
    if on_limit == "skip":
        assert (state["status"], world.held()) == ("active", D("0.010"))
        world.market.quote("61800.0", "61805.0")
        await world.run(10)
        newest = (world.resting() or iocs(world))[-1]
        assert newest.quantity == (D("0.020") if style == "market" else D("0.030"))
        return
    status, held = {"pause": ("paused", "0.010"), "end": ("expired", "0.010"), "execute": ("completed", "0.040")}[
        on_limit
    ]
    assert (state["status"], world.held()) == (status, D(held))
    if on_limit == "pause":
        world.market.quote("61800.0", "61805.0")
        await world.command("twap_resume", twapId=reply["twapId"])
        await world.run(10)
        assert (await record(world, reply))["status"] == "active"
    else:
        assert (state["residual"], state["reason"]) == (D("0.030") if on_limit == "end" else 0, "price_limit")


@in_world()
async def test_a_limit_that_is_passed_at_the_start_is_judged_before_anything_is_sent(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    for on_limit, status in (("skip", "active"), ("pause", "paused"), ("end", "expired")):
        reply = await begun(world, priceLimit=61800, onLimit=on_limit)
        await world.run(0.2)
        assert (await record(world, reply))["status"] == status
        await world.command("twap_cancel", twapId=reply["twapId"])
    assert world.placed() == []
