"""scalper on the whole stack in one process: its legs at the venue, its guards, its end (algos.md, scalper)."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.world.scalping import begin, fill, legs, reasons, record, scalper, stand, true_to_the_venue
from tests.world.world import World, in_world

D = Decimal


# --- the door -----------------------------------------------------------------------------------------


@in_world()
async def test_a_scalper_places_its_opening_legs_and_answers_with_its_layers(world: World) -> None:
    await begin(world)
    reply = await world.command("scalper", symbol="BTCUSDT", longSizeUsd=3000, childCount=3, skew=30)
    assert reply["success"], reply
    assert (reply["symbol"], reply["startSide"], reply["side"]) == ("BTCUSDT", "LONG", "BUY")
    await world.run(0.5)
    found = legs(world, "BUY")
    assert [order.quantity for order in found] == [layer["quantity"] for layer in reply["longLayers"]]
    assert reply["quantity"] == sum(order.quantity for order in found)
    prices = [D("61800.0") - layer["offsetTicks"] * D("0.1") for layer in reply["longLayers"]]
    assert [order.price for order in found] == prices
    assert {order.time_in_force for order in found} == {"GTX"}
    assert legs(world, "SELL") == []
    (event,) = await world.events("scalper_started")
    assert [slot["offsetTicks"] for slot in event["longSlots"]] == [x["offsetTicks"] for x in reply["longLayers"]]


@in_world()
async def test_validate_shows_the_layers_that_the_command_would_begin_with(world: World) -> None:
    await begin(world)
    body = {"symbol": "BTCUSDT", "longSizeUsd": 400, "childCount": 10}
    shown = await world.command("validate", command={"type": "scalper", **body})
    assert (shown["valid"], world.placed()) == (True, [])
    reply = await world.command("scalper", **body)
    assert json.dumps(reply["longLayers"], default=str) == json.dumps(
        shown["computedValues"]["longLayers"], default=str
    )
    assert any(layer["merged"] for layer in reply["longLayers"]), "what was too small alone is named"
    placed = [action for action in shown["computedValues"]["actions"] if action["action"] == "place"]
    await world.run(0.5)
    assert len(placed) == len(legs(world, "BUY"))


@pytest.mark.parametrize(
    "body, code, path",
    [
        ({"longSizeUsd": 20}, "BELOW_MINIMUM", "longSizeUsd"),
        ({"shortSizeUsd": 20}, "BELOW_MINIMUM", "shortSizeUsd"),
        ({"maxPositionUsd": 70}, "INVALID_FIELD", "maxPositionUsd"),
        ({"childCount": 11}, "INVALID_FIELD", "childCount"),
        ({"childCount": 0}, "INVALID_FIELD", "childCount"),
        ({"longOffsetPct": 11}, "INVALID_FIELD", "longOffsetPct"),
        ({"skew": 101}, "INVALID_FIELD", "skew"),
        ({"longSizeUsd": 0}, "INVALID_FIELD", "longSizeUsd"),
        ({"maxLossPerCloseBps": -1}, "INVALID_FIELD", "maxLossPerCloseBps"),
        ({"neutralMode": "false"}, "INVALID_FIELD", "neutralMode"),
        ({"startSide": "UP"}, "INVALID_FIELD", "startSide"),
        ({"onStop": "stay"}, "INVALID_FIELD", "onStop"),
        ({"symbol": "NOSUCH"}, "UNKNOWN_SYMBOL", "symbol"),
        ({"leverage": 126}, "INVALID_FIELD", "leverage"),
    ],
)
@in_world()
async def test_each_parameter_is_checked_at_the_door_and_by_validate_alike(
    world: World, body: dict[str, Any], code: str, path: str
) -> None:
    await begin(world)
    asked = {"symbol": "BTCUSDT", "longSizeUsd": 620, "neutralMode": "shortSizeUsd" in body} | body
    reply = await world.command("scalper", **asked)
    assert (reply["success"], reply["errorCode"], reply["details"]["path"]) == (False, code, path)
    shown = await world.command("validate", command={"type": "scalper", **asked})
    if shown["success"]:
        assert shown["valid"] is False
        assert shown["errors"][0]["errorCode"] == code
    else:
        assert (shown["errorCode"], shown["details"]["path"]) == (code, f"command.{path}")
    assert await world.events("scalper_started") == []
    assert world.placed() == []


@in_world()
async def test_without_a_price_the_caller_is_told_so(world: World) -> None:
    await begin(world)
    world.market.frozen = True
    await world.run(10)
    world.mute("/public")
    reply = await world.command("scalper", symbol="BTCUSDT", longSizeUsd=620)
    assert (reply["success"], reply["errorCode"]) == (False, "NO_PRICE")
    assert await world.redis.keys("pms:scalper:*") == []


@in_world()
async def test_what_the_gate_refuses_is_an_error_to_the_caller(world: World) -> None:
    await begin(world)
    reply = await world.command("scalper", symbol="BTCUSDT", longSizeUsd=3_000_000)
    assert (reply["success"], reply["errorCategory"]) == (False, "RISK")
    assert world.placed() == []


@in_world()
async def test_a_repeated_request_gets_the_same_scalper(world: World) -> None:
    await begin(world)
    body = {"symbol": "BTCUSDT", "longSizeUsd": 620, "requestId": "again"}
    first = await world.command("scalper", **body)
    assert await world.command("scalper", **body) == first
    await world.run(1)
    assert len(world.placed()) == 1


# --- both sides ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("start, opens, closes", [("LONG", "BUY", "SELL"), ("SHORT", "SELL", "BUY")])
@in_world()
async def test_both_sides_fill_and_fill_again(world: World, start: str, opens: str, closes: str) -> None:
    await begin(world)
    scalper_id = await scalper(world, startSide=start, childCount=2, longSizeUsd=1300)
    for turn in range(1, 4):
        await fill(world, opens)
        await true_to_the_venue(world, scalper_id)
        await fill(world, opens)
        assert len(legs(world, closes)) == 2
        await fill(world, closes)
        await fill(world, closes)
        await true_to_the_venue(world, scalper_id)
        state = await record(world, scalper_id)
        assert (state["inventory"], state["totalFillCount"]) == (0, 4 * turn)
        assert len([order for order in world.resting() if order.side == opens]) == 2
    told = await world.events("scalper_filled")
    assert len(told) == 12
    assert {event["side"] for event in told} == {"BUY", "SELL"}
    assert all(event["fillQty"] > 0 for event in told)
    assert told[-1]["realizedPnl"] > 0, "each turn earns the distance"


@in_world()
async def test_partial_fills_are_closed_as_they_come(world: World) -> None:
    await begin(world)
    scalper_id = await scalper(world)
    for part in range(1, 5):
        await fill(world, "BUY", "0.002")
        await world.until(lambda part=part: [leg.remaining for leg in legs(world, "SELL")] == [part * D("0.002")], 3)
        await true_to_the_venue(world, scalper_id)
    (closing,) = legs(world, "SELL")
    assert closing.reduce_only


@in_world()
async def test_the_legs_follow_the_market(world: World) -> None:
    await begin(world)
    await scalper(world, neutralMode=True)
    await stand(world, 1, 1)
    before = legs(world, "BUY")[0].price, legs(world, "SELL")[0].price
    world.market.move(50)
    await world.until(lambda: legs(world, "BUY")[0].price == before[0] + 5, 3)
    await world.until(lambda: legs(world, "SELL")[0].price == before[1] + 5, 3)
    assert len(world.placed()) == 2, "amended in place"


@in_world()
async def test_a_neutral_scalper_stands_on_both_sides_within_its_cap(world: World) -> None:
    await begin(world)
    scalper_id = await scalper(world, neutralMode=True, childCount=2, longSizeUsd=1300, maxPositionUsd=700)
    await stand(world, 1, 1)
    assert await reasons(world, scalper_id, "BUY") == ["position_cap"]
    assert {order.reduce_only for order in world.resting()} == {False}
    await fill(world, "BUY")
    await stand(world, 0, 2)
    assert await reasons(world, scalper_id, "BUY") == ["position_cap"] * 2
    await true_to_the_venue(world, scalper_id)
    await fill(world, "SELL")
    await fill(world, "SELL")
    await true_to_the_venue(world, scalper_id)
    assert world.held() < 0
    await stand(world, 2, 0)


# --- guards -------------------------------------------------------------------------------------------


@in_world()
async def test_the_refill_delay_doubles_and_is_reset_by_the_other_side(world: World) -> None:
    await begin(world)
    scalper_id = await scalper(world, minRefillDelayMs=2000, maxPositionUsd=9000)
    for delay in (2, 4, 8):
        began = world.clock.monotonic()
        await fill(world, "BUY")
        assert await reasons(world, scalper_id, "BUY") == ["refill_delay"]
        await world.until(lambda: len(legs(world, "BUY")) == 1, 20)
        assert delay <= world.clock.monotonic() - began < delay + 0.5
    await fill(world, "SELL")
    began = world.clock.monotonic()
    await fill(world, "BUY")
    await world.until(lambda: len(legs(world, "BUY")) == 1, 20)
    assert world.clock.monotonic() - began < 2.5


@in_world()
async def test_no_side_fills_more_often_in_a_minute_than_asked_for(world: World) -> None:
    await begin(world)
    scalper_id = await scalper(world, maxFillsPerMinute=2, maxPositionUsd=9000)
    began = world.clock.monotonic()
    await fill(world, "BUY")
    await fill(world, "BUY")
    assert await reasons(world, scalper_id, "BUY") == ["max_fills_per_minute"]
    state = await record(world, scalper_id)
    assert state["long"]["slots"][0]["retryAt"] > world.clock.now_ms() + 55_000
    await world.until(lambda: len(legs(world, "BUY")) == 1, 70)
    assert 59 <= world.clock.monotonic() - began <= 61


@in_world()
async def test_after_a_fill_the_next_needs_distance_until_that_has_decayed(world: World) -> None:
    await begin(world)
    scalper_id = await scalper(world, minFillSpreadPct="0.5", fillDecayHalfLifeMs=5000, maxPositionUsd=9000)
    await fill(world, "BUY")
    assert await reasons(world, scalper_id, "BUY") == ["min_fill_spread"]
    world.market.move(-3500)
    await world.until(lambda: len(legs(world, "BUY")) == 1, 2)
    await fill(world, "BUY")
    assert await reasons(world, scalper_id, "BUY") == ["min_fill_spread"]
    began = world.clock.monotonic()
    await world.until(lambda: len(legs(world, "BUY")) == 1, 60)
    assert 30 < world.clock.monotonic() - began < 60, "308 ticks, halved each 5 s until less than one is left"


@pytest.mark.parametrize(
    "body, side, reason, away",
    [
        ({"longMaxPrice": 61760}, "BUY", "long_max_price", 300),
        ({"startSide": "SHORT", "shortMinPrice": 61840}, "SELL", "short_min_price", -300),
    ],
)
@in_world()
async def test_a_leg_beyond_its_price_leaves_and_returns_by_itself(
    world: World, body: dict[str, Any], side: str, reason: str, away: int
) -> None:
    await begin(world)
    scalper_id = await scalper(world, **body)
    await world.until(lambda: len(world.resting()) == 1, 2)
    world.market.move(away)
    await world.until(lambda: not world.resting(), 3)
    await world.run(5)
    assert await reasons(world, scalper_id, side) == [reason]
    world.market.move(-away)
    await world.until(lambda: len(legs(world, side)) == 1, 3)


@pytest.mark.parametrize(
    "body, reason", [({"allowLoss": False}, "would_lose"), ({"pinShortToEntry": True}, "pin_short_to_entry")]
)
@in_world()
async def test_a_closing_leg_never_stands_at_a_loss_that_is_not_allowed(
    world: World, body: dict[str, Any], reason: str
) -> None:
    await begin(world)
    scalper_id = await scalper(world, **body)
    await fill(world, "BUY")
    entry = (await record(world, scalper_id))["entryPrice"]
    for _ in range(20):
        world.market.move(-120)
        await world.run(0.3)
        assert all(order.price >= entry for order in legs(world, "SELL"))
    assert await reasons(world, scalper_id, "SELL") == [reason]
    world.market.move(20 * 120)
    await stand(world, 0, 1)
    prices = [
        event["price"] for event in await world.events("order_amended", "order_placed") if event["side"] == "SELL"
    ]
    assert min(prices) >= entry


@in_world()
async def test_a_closing_fill_realises_no_worse_loss_than_asked_for(world: World) -> None:
    await begin(world)
    scalper_id = await scalper(world, maxLossPerCloseBps=10)
    await fill(world, "BUY")
    entry = (await record(world, scalper_id))["entryPrice"]
    for _ in range(30):
        world.market.move(-100)
        await world.run(0.3)
        assert all(order.price >= entry * D("0.999") for order in legs(world, "SELL"))
    assert await reasons(world, scalper_id, "SELL") == ["max_loss_per_close"]


@in_world()
async def test_a_leg_that_would_exceed_the_cap_waits_for_room(world: World) -> None:
    await begin(world)
    scalper_id = await scalper(world)
    await fill(world, "BUY")
    assert await reasons(world, scalper_id, "BUY") == ["position_cap"]
    await fill(world, "SELL", "0.004")
    assert await reasons(world, scalper_id, "BUY") == ["position_cap"]
    await fill(world, "SELL")
    await stand(world, 1, 0)


# --- what others do -----------------------------------------------------------------------------------


@in_world()
async def test_a_child_cancelled_by_hand_at_the_venue_returns_after_the_back_off(world: World) -> None:
    await begin(world)
    scalper_id = await scalper(world, childCount=2, longSizeUsd=1300)
    for wait in (2, 4):
        order = legs(world, "BUY")[0]
        world.exchange.cancel(world.account, "BTCUSDT", order_id=order.order_id)
        world.sim.venue.streams.flush(world.clock.now_ms())
        await world.run(0.2)
        assert await reasons(world, scalper_id, "BUY") == ["child_cancelled_externally"]
        await world.run(wait - 0.4)
        assert len(legs(world, "BUY")) == 1
        await world.until(lambda: len(legs(world, "BUY")) == 2, 1)
    assert (await record(world, scalper_id))["status"] == "active"


@in_world()
async def test_one_of_several_orders_can_not_be_cancelled_by_command(world: World) -> None:
    await begin(world)
    scalper_id = await scalper(world, childCount=2, longSizeUsd=1300)
    await stand(world, 2, 0)
    reply = await world.command("cancel", clientOrderId=legs(world, "BUY")[0].client_id)
    assert (reply["success"], reply["errorCode"]) == (False, "OWNED_BY_ALGO")
    (child,) = [slot["child"]["childId"] for slot in (await record(world, scalper_id))["long"]["slots"][:1]]
    reply = await world.command("chase_cancel", chaseId=child)
    assert (reply["success"], reply["errorCode"]) == (False, "OWNED_BY_ALGO")
    assert len(world.resting()) == 2


@in_world()
async def test_a_position_closed_by_hand_takes_the_closing_leg_along(world: World) -> None:
    await begin(world)
    scalper_id = await scalper(world)
    await fill(world, "BUY")
    await stand(world, 0, 1)
    reply = await world.command("close", symbol="BTCUSDT", side="SELL")
    assert reply["success"], reply
    await stand(world, 1, 0)
    state = await record(world, scalper_id)
    assert (state["inventory"], state["closedElsewhere"]) == (0, D("0.010"))
    assert world.held() == 0


@pytest.mark.parametrize("neutral", [True, False])
@in_world()
async def test_a_position_that_stood_opposite_before_is_not_taken_for_its_own(world: World, neutral: bool) -> None:
    """Its own fills make that smaller, and nobody has closed anything of what it holds."""
    await begin(world)
    await world.command("trade", symbol="BTCUSDT", side="SELL", quantity="0.030")
    scalper_id = await scalper(world, neutralMode=neutral, allowLoss=True)
    await fill(world, "BUY")
    state = await record(world, scalper_id)
    assert (state["inventory"], state["closedElsewhere"], world.held()) == (D("0.010"), 0, D("-0.020"))
    assert await reasons(world, scalper_id, "BUY") == ["position_cap"]
    assert await reasons(world, scalper_id, "SELL") == ([] if neutral else ["nothing_to_reduce"])
    await world.command("close", symbol="BTCUSDT", side="BUY", quantity="0.005")
    await world.run(1)
    assert (await record(world, scalper_id))["inventory"] == D("0.010")


@in_world()
async def test_two_own_algos_that_cross_do_not_trade_with_each_other(world: World) -> None:
    """A chase of another sub-account comes to the scalper's own price: one of them gives way and stands again."""
    world.market.quote("61800.0", "61830.0")
    await world.start()
    scalper_id = await scalper(world, longOffsetPct="0", neutralMode=True)
    await stand(world, 1, 1)
    other = await world.chase(subAccountId="second", side="SELL", aggressive=True)
    for bid in ("61829.8", "61700.0", "61829.9", "61800.0", "61860.0"):
        world.market.quote(bid, D(bid) + D("0.2"))
        await world.run(3)
    trades = world.exchange.trades(world.account, "BTCUSDT")
    pairs = {trade.trade_id: trade for trade in trades}
    assert len(pairs) == len(trades), "no trade had us on both sides"
    await world.run(5)
    status = (await record(world, scalper_id))["status"]
    assert status == "active"
    assert (await world.state(other))["status"] in ("active", "filled")


@in_world()
async def test_a_freeze_takes_the_opening_legs_away_and_leaves_the_closing_ones(world: World) -> None:
    await begin(world)
    scalper_id = await scalper(world, childCount=2, longSizeUsd=1300)
    await fill(world, "BUY", "0.004")
    assert (await world.command("freeze"))["success"]
    await stand(world, 0, 1)
    state = await record(world, scalper_id)
    assert state["status"] == "blocked"
    await fill(world, "SELL")
    await world.run(5)
    assert world.resting() == []
    assert (await world.command("unfreeze"))["success"]
    await stand(world, 2, 0)
    assert (await record(world, scalper_id))["status"] == "active"


@in_world()
async def test_paused_its_opening_legs_leave_and_resumed_they_return(world: World) -> None:
    await begin(world)
    scalper_id = await scalper(world, childCount=2, longSizeUsd=1300, maxPositionUsd=3000)
    await fill(world, "BUY", "0.004")
    assert (await world.command("algo_pause", algoId=scalper_id))["success"]
    await stand(world, 0, 1)
    assert (await record(world, scalper_id))["status"] == "paused"
    assert (await world.command("algo_resume", algoId=scalper_id))["success"]
    await stand(world, 2, 1)


# --- the end ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("close", [False, True])
@in_world()
async def test_a_cancel_proves_every_child_gone_and_closes_where_asked(world: World, close: bool) -> None:
    await begin(world)
    scalper_id = await scalper(world, childCount=3, longSizeUsd=2000)
    await fill(world, "BUY", "0.005")
    assert len(world.resting()) == 4
    reply = await world.command("scalper_cancel", scalperId=scalper_id, closePositions=close)
    assert reply["success"], reply
    assert world.resting() == []
    assert world.held() == (0 if close else D("0.005"))
    state = await record(world, scalper_id)
    assert (state["status"], state["reason"]) == ("cancelled", "cancelled_by_command")
    (event,) = await world.events("scalper_cancelled")
    assert (event["inventory"], event["filledQuantity"]) == (D("0.005"), D("0.005"))
    assert event["slippageBps"] < 0, "bought below the mid at arrival"
    assert not await world.redis.hlen("pms:active_scalper:main")
    assert not await world.redis.hlen("pms:active_chase:main")
    await world.run(30)
    assert world.resting() == []


@in_world()
async def test_close_all_ends_the_scalper_and_leaves_nothing(world: World) -> None:
    await begin(world)
    scalper_id = await scalper(world, childCount=2, longSizeUsd=1300)
    await fill(world, "BUY", "0.005")
    reply = await world.command("close_all")
    assert reply["success"], reply
    await world.run(2)
    assert (world.resting(), world.held()) == ([], 0)
    assert (await record(world, scalper_id))["status"] == "cancelled"
    await world.run(30)
    assert world.resting() == []
