"""chase on the whole stack in one process: where its order stands, and what a fill does."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pms.sim.faults import Latency
from tests.world.world import World, in_world

D = Decimal


async def follows(world: World, price: object) -> None:
    """The one resting order comes to stand at a price."""
    wanted = D(str(price))
    await world.until(lambda: [order.price for order in world.resting()] == [wanted], 2)


@in_world()
async def test_a_chase_places_one_order_at_the_touch_and_answers_with_it(world: World) -> None:
    await world.start()
    reply = await world.command("chase", symbol="BTCUSDT", side="BUY", quantity="0.010")
    assert reply["success"], reply
    (order,) = world.resting()
    assert order.price == reply["currentOrderPrice"] == D("61800.0")
    assert order.remaining == D("0.010")
    assert order.time_in_force == "GTX"


@in_world()
async def test_on_a_still_market_a_lone_aggressive_chase_amends_nothing(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    reply = await world.command("chase", symbol="BTCUSDT", side="BUY", quantity="0.010", aggressive=True)
    assert reply["success"], reply
    await world.run(60)
    (order,) = world.resting()
    assert order.amendments == 0
    assert order.price == reply["currentOrderPrice"] == D("61800.1")


@pytest.mark.parametrize("side", ["BUY", "SELL"])
@in_world()
async def test_maintain_follows_the_touch_both_ways_by_amending_one_order(world: World, side: str) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    await world.chase(side=side)
    for bid in ("61801.0", "61802.5", "61798.0", "61797.0", "61800.0"):
        ask = D(bid) + 5
        world.market.quote(bid, ask) if side == "BUY" else world.market.quote(D(bid) - 2, ask)
        await follows(world, bid if side == "BUY" else ask)
    assert len(world.placed()) == 1
    assert set(world.order_requests()[1:]) == {"PUT"}
    amended = await world.events("order_amended")
    assert [event["price"] for event in amended][-1] == world.resting()[0].price


@pytest.mark.parametrize("side", ["BUY", "SELL"])
@in_world()
async def test_trail_only_moves_away_from_the_market(world: World, side: str) -> None:
    """A buy only down, a sell only up."""
    sign = 1 if side == "BUY" else -1
    world.market.quote("61800.0", "61830.0")
    start = D("61800.0") if side == "BUY" else D("61830.0")
    await world.start()
    await world.chase(side=side, stalkMode="trail")
    for step, stands in ((3, 0), (-4, -4), (2, -4), (-5, -5), (0, -5)):
        bid = D("61800.0") + sign * step
        world.market.quote(bid, bid + 30)
        await world.run(1)
        await follows(world, start + sign * stands)
    prices = [sign * event["price"] for event in await world.events("order_amended")]
    assert prices == sorted(prices, reverse=True)
    assert len(world.placed()) == 1


@in_world()
async def test_none_places_once_and_stays(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    await world.chase(stalkMode="none")
    world.market.quote("61803.0", "61805.0")
    await world.run(2)
    world.market.quote("61790.0", "61805.0")
    await world.run(2)
    await follows(world, "61800.0")
    assert world.order_requests() == ["POST"]


@pytest.mark.parametrize(
    "side, offset, price",
    [
        ("BUY", {"stalkOffsetTicks": 7}, "61799.3"),
        ("SELL", {"stalkOffsetTicks": 7}, "61805.7"),
        ("BUY", {"stalkOffsetPct": "0.01"}, "61793.8"),  # 61800 x 0.9999 = 61793.82: a buy rounds down
        ("SELL", {"stalkOffsetPct": "0.01"}, "61811.2"),  # 61805 x 1.0001 = 61811.1805: a sell rounds up
        ("BUY", {"stalkOffsetPct": 1, "stalkOffsetTicks": 3}, "61799.7"),  # ticks win
    ],
)
@in_world()
async def test_an_offset_stands_behind_the_touch_and_follows_it(
    world: World, side: str, offset: dict[str, object], price: str
) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    await world.chase(side=side, **offset)
    await follows(world, price)
    world.market.move(20)
    await world.run(1)
    await follows(world, D(price) + 2)


@pytest.mark.parametrize("side, price, moved", [("BUY", "61800.1", "61803.1"), ("SELL", "61804.9", "61807.9")])
@in_world()
async def test_aggressive_improves_the_touch_by_one_tick_and_follows_the_others(
    world: World, side: str, price: str, moved: str
) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    await world.chase(side=side, aggressive=True)
    await follows(world, price)
    world.market.quote("61803.0", "61808.0")
    await follows(world, moved)


@in_world()
async def test_aggressive_joins_where_the_spread_is_one_tick(world: World) -> None:
    await world.start()
    await world.chase(aggressive=True)
    await follows(world, "61800.0")


@in_world()
async def test_partial_fills_complete_one_order_at_the_exact_average(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase(quantity="0.010")
    (order,) = world.resting()
    world.market.hit(order, "0.003")
    await world.run(0.5)
    world.market.quote("61801.3", "61805.0")
    await follows(world, "61801.3")
    assert order.quantity == D("0.010"), "an amend carries the child's own total"
    world.market.hit(order, "0.004")
    await world.run(0.5)
    state = await world.state(chase)
    assert state["filledQuantity"] == D("0.007")
    assert state["status"] == "active"
    world.market.quote("61799.0", "61805.0")
    await follows(world, "61799.0")
    world.market.hit(order, "0.003")
    state = await world.ends(chase)
    assert state["status"] == "filled"
    assert state["fillPrice"] == (D("61800.0") * 3 + D("61801.3") * 4 + D("61799.0") * 3) / 10
    assert state["residual"] == 0
    assert len(world.placed()) == 1
    assert [event["filledQuantity"] for event in await world.events("chase_filled")] == [D("0.010")]
    partial = await world.events("order_partial")
    assert [event["lastFillQty"] for event in partial] == [D("0.003"), D("0.004")]


@pytest.mark.parametrize("side, sign", [("BUY", 1), ("SELL", -1)])
@in_world()
async def test_its_events_tell_price_fees_arrival_and_slippage(world: World, side: str, sign: int) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase(side=side)
    await world.run(1)
    world.market.hit(world.resting()[0], "0.004")
    await world.run(1)
    told = (await world.events("chase_progress"))[-1]
    assert (told["filledQuantity"], told["arrivalMid"], told["slippageBps"]) == (D("0.004"), D("61802.5"), D("-0.40"))
    world.market.hit(world.resting()[0], "0.006")
    state = await world.ends(chase)
    (told,) = await world.events("chase_filled")
    assert (told["fillPrice"], told["fees"]) == (D("61802.5") - sign * D("2.5"), state["fees"])
    assert set(told["fees"]) == {"USDT"}
    assert told["slippageBps"] == D("-0.40"), "half the spread was earned"


@in_world()
async def test_a_market_that_falls_through_the_order_fills_it_at_its_own_price(world: World) -> None:
    await world.start()
    chase = await world.chase()
    world.market.quote("61790.0")
    state = await world.ends(chase)
    assert state["fillPrice"] == D("61800.0")
    (filled,) = await world.events("order_filled")
    assert filled["maker"] is True


@in_world()
async def test_a_move_seen_during_the_throttle_is_acted_on_when_it_ends_without_a_further_quote(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    await world.chase(repriceMinMs=2000)
    world.market.quote("61801.0", "61805.0")
    await follows(world, "61801.0")
    amended = world.clock.monotonic()
    await world.run(0.5)
    world.market.quote("61802.0", "61805.0")
    await world.run(0.3)
    world.market.frozen = True  # nothing comes any more
    await follows(world, "61802.0")
    assert 1.9 <= world.clock.monotonic() - amended <= 2.1


@in_world()
async def test_moves_below_the_minimum_of_ticks_are_left_alone(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    await world.chase(repriceMinTicks=5)
    world.market.quote("61800.4", "61805.0")
    await world.run(2)
    await follows(world, "61800.0")
    world.market.quote("61800.5", "61805.0")
    await follows(world, "61800.5")


@in_world()
async def test_two_chases_of_one_side_do_not_follow_each_other(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    await world.chase(aggressive=True)
    await world.chase(aggressive=True, subAccountId="second")
    await world.run(20)
    assert sorted(order.price for order in world.resting()) == [D("61800.1"), D("61800.1")]
    assert world.order_requests() == ["POST", "POST"]


@in_world()
async def test_opposite_chases_of_two_sub_accounts_never_trade_with_each_other(world: World) -> None:
    """The venue would end the resting one (self-trade prevention), so neither may cross the other."""
    world.market.quote("61700.0", "61900.0")
    await world.start()
    chases = [
        await world.chase(aggressive=True),
        await world.chase(side="SELL", aggressive=True, subAccountId="second"),
    ]
    for bid, ask in (("61800.0", "61800.2"), ("61750.0", "61850.0"), ("61800.0", "61800.2"), ("61700.0", "61900.0")):
        world.market.quote(bid, ask)
        await world.run(5)
    for chase in chases:
        assert (await world.state(chase))["status"] == "active"
    assert sorted(order.price for order in world.resting()) == [D("61700.1"), D("61899.9")]
    assert all(order.status == "NEW" for order in world.placed())


@in_world()
async def test_a_first_order_that_would_meet_our_own_stands_one_tick_back(world: World) -> None:
    world.market.quote("61800.0", "61800.2")
    await world.start()
    await world.chase(aggressive=True)
    await world.chase(side="SELL", aggressive=True, subAccountId="second")
    await world.run(2)
    assert [(order.side, order.price) for order in world.placed()] == [("BUY", D("61800.1")), ("SELL", D("61800.2"))]


@in_world(latency=Latency(answer_ms=400))
async def test_an_order_in_flight_is_no_touch_to_follow_though_frames_show_it_already(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    assert world.daemon is not None
    world.mute("/private")
    task = world.daemon.tasks.spawn(world.chase(aggressive=True), "chase")
    await world.until(world.placed)
    await world.run(0.3)
    quote = world.daemon.market.quote("BTCUSDT")
    assert world.resting()[0].price == D("61800.1")
    assert quote is not None
    assert quote.bid == 618000
    await task
