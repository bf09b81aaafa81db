"""twap_basket on the whole stack: started together or not at all, told, ended and resumed as one."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.world.twaps import ENDED
from tests.world.world import World, in_world

D = Decimal
TWO = ("BTCUSDT", "ETHUSDT")
LEGS: list[dict[str, Any]] = [
    {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.040"},
    {"symbol": "ETHUSDT", "side": "SELL", "quantity": "0.400", "leverage": 2},
]
BODY: dict[str, Any] = {"basketName": "pair", "legs": LEGS, "lots": 4, "intervalSeconds": 10}


async def begun(world: World, **body: Any) -> dict[str, Any]:
    reply = await world.command("twap_basket", **BODY | body)
    assert reply["success"], reply
    return reply


async def state_of(world: World, reply: dict[str, Any]) -> dict[str, Any]:
    return await world.record(f"twap_basket:{reply['twapBasketId']}")


async def ended(world: World, reply: dict[str, Any], within_s: float = 100) -> dict[str, Any]:
    async def over() -> bool:
        return (await state_of(world, reply))["status"] in ENDED

    await world.until(over, within_s, 0.1)
    return await state_of(world, reply)


async def nothing_began(world: World) -> bool:
    keys = [*await world.redis.keys("pms:twap*"), *await world.redis.keys("pms:active_twap*")]
    placed = [order for symbol in TWO for order in world.placed(symbol)]
    return not keys and not placed


@pytest.mark.parametrize("style", ["market", "chase"])
@in_world(symbols=TWO)
async def test_legs_run_beside_each_other_and_it_is_completed_with_the_last(world: World, style: str) -> None:
    await world.start()
    reply = await begun(world, style=style)
    state = await ended(world, reply)
    assert (state["status"], state["reason"]) == ("completed", "")
    assert (world.held("BTCUSDT"), world.held("ETHUSDT")) == (D("0.040"), D("-0.400"))
    assert [leg["twapId"] for leg in state["legs"]] == reply["twapIds"]
    for name in reply["twapIds"]:
        leg = await world.record(f"twap:{name}")
        assert (leg["parentId"], leg["rootId"], leg["status"]) == (*2 * [reply["twapBasketId"]], "completed")
    assert {event["rootId"] for event in await world.events("order_filled")} == {reply["twapBasketId"]}
    assert await world.redis.hlen("pms:active_twap_basket:main") == 0


@in_world(symbols=TWO)
async def test_its_events_tell_progress_over_its_legs(world: World) -> None:
    await world.start()
    reply = await begun(world)
    await ended(world, reply)
    events = await world.events("twap_basket_started", "twap_basket_progress", "twap_basket_completed")
    assert (events[0]["type"], events[0]["basketName"], events[0]["requestId"]) == (
        "twap_basket_started",
        "pair",
        "r-1",
    )
    lots = [event["filledLots"] for event in events]
    assert lots == sorted(lots)
    assert (lots[0], lots[-1], events[-1]["totalLots"]) == (0, 8, 8)
    last = events[-1]
    assert [(leg["symbol"], leg["filledQuantity"], leg["status"]) for leg in last["legs"]] == [
        ("BTCUSDT", D("0.040"), "completed"),
        ("ETHUSDT", D("0.400"), "completed"),
    ]
    assert all(leg["arrivalMid"] > 0 and leg["avgPrice"] > 0 for leg in last["legs"])
    paid = sum(trade.commission for symbol in TWO for trade in world.exchange.trades(world.account, symbol))
    assert last["fees"] == {"USDT": paid}


REFUSED = [
    ("lots", {"lots": 41}, "VALIDATION_TWAP_LOTS_INVALID", "legs[0].lots"),
    ("grid", {"legs": [LEGS[0], LEGS[1] | {"quantity": "0.4005"}]}, "QUANTITY_OFF_GRID", "legs[1].quantity"),
    ("symbol", {"legs": [LEGS[0], LEGS[1] | {"symbol": "NOUSDT"}]}, "UNKNOWN_SYMBOL", "symbol"),
    ("gate", {"legs": [LEGS[0], LEGS[1] | {"quantity": "40"}]}, "MAX_ORDER_NOTIONAL", None),
    ("leverage", {"legs": [LEGS[0], LEGS[1] | {"leverage": 21}]}, "MAX_LEVERAGE", None),
    ("reduce", {"reduceOnly": True}, "REDUCE_ONLY_EXCEEDS", "legs[0].reduceOnly"),
    ("time", {"intervalSeconds": "0.01"}, "INVALID_FIELD", "legs[0].intervalSeconds"),
    ("none", {"legs": []}, "INVALID_FIELD", "legs"),
]


@pytest.mark.parametrize("what", [row[0] for row in REFUSED])
@in_world(symbols=TWO)
async def test_with_one_leg_refused_nothing_starts_and_validate_says_the_same(world: World, what: str) -> None:
    (changes, code, path) = next(row[1:] for row in REFUSED if row[0] == what)
    await world.start()
    await world.limited(maxOrderNotional=20_000, maxLeverage=20)
    refusal = await world.command("twap_basket", **BODY | changes)
    assert (refusal["success"], refusal.get("errorCode")) == (False, code), refusal
    assert refusal["details"].get("path") == path
    await world.run(12)
    assert await nothing_began(world)
    asked = await world.command("validate", command={"type": "twap_basket", **BODY | changes})
    errors = asked["errors"] if asked["success"] else [asked]
    assert {error["errorCode"] for error in errors} == {code}


@in_world(symbols=TWO)
async def test_legs_that_fit_one_by_one_but_not_together_do_not_start(world: World) -> None:
    await world.start()
    await world.limited(maxOpenOrders=1)
    refusal = await world.command("twap_basket", **BODY)
    assert (refusal["success"], refusal.get("errorCode")) == (False, "MAX_OPEN_ORDERS"), refusal
    assert await nothing_began(world)


@in_world(symbols=TWO)
async def test_validate_shows_the_first_order_of_each_leg_and_sends_nothing(world: World) -> None:
    await world.start()
    reply = await world.command("validate", command={"type": "twap_basket", **BODY})
    assert reply["valid"], reply
    placed = [row for row in reply["computedValues"]["actions"] if row["action"] == "place"]
    assert [(row["symbol"], row["quantity"]) for row in placed] == [("BTCUSDT", D("0.010")), ("ETHUSDT", D("0.100"))]
    assert await nothing_began(world)


@pytest.mark.parametrize("style", ["market", "chase"])
@in_world(symbols=TWO)
async def test_one_cancel_ends_all_legs_and_closes_where_asked(world: World, style: str) -> None:
    await world.start()
    reply = await begun(world, style=style)
    await world.run(9)
    answer = await world.command("twap_basket_cancel", twapBasketId=reply["twapBasketId"], closePositions=True)
    assert answer["success"], answer
    state = await state_of(world, reply)
    assert (state["status"], state["reason"]) == ("cancelled", "cancelled_by_command")
    assert {leg["status"] for leg in state["legs"]} == {"cancelled"}
    assert [world.held(symbol) for symbol in TWO] == [0, 0]
    assert [world.resting(symbol) for symbol in TWO] == [[], []]


@in_world(symbols=TWO)
async def test_a_legs_child_cancelled_by_hand_is_carried_and_the_basket_completes(world: World) -> None:
    await world.start()
    reply = await begun(world, style="chase", onChildFail="market")
    await world.run(1)
    (order,) = world.resting()
    world.exchange.cancel(world.account, "BTCUSDT", order_id=order.order_id)
    await world.run(2)
    assert world.resting() == []
    assert (await state_of(world, reply))["status"] == "active"
    state = await ended(world, reply)
    assert (state["status"], state["reason"]) == ("completed", "")
    assert [world.held(symbol) for symbol in TWO] == [D("0.040"), D("-0.400")]


@in_world(symbols=TWO)
async def test_a_leg_is_commanded_through_its_basket_only(world: World) -> None:
    await world.start()
    reply = await begun(world)
    for kind in ("twap_cancel", "twap_pause", "twap_resume"):
        assert (await world.command(kind, twapId=reply["twapIds"][0]))["errorCode"] == "OWNED_BY_ALGO"
    assert (await world.command("twap_cancel", twapId=reply["twapBasketId"]))["errorCode"] == "ALGO_NOT_FOUND"


@in_world(symbols=TWO)
async def test_a_pause_holds_all_legs_and_a_resume_lets_all_go_on(world: World) -> None:
    await world.start()
    reply = await begun(world, style="chase")
    await world.run(1)
    assert (await world.command("algo_pause", algoId=reply["twapBasketId"]))["success"]
    await world.until(lambda: not any(world.resting(symbol) for symbol in TWO), 2)
    assert (await state_of(world, reply))["status"] == "paused"
    await world.run(15)
    assert not any(world.resting(symbol) for symbol in TWO)
    assert (await world.command("algo_resume", algoId=reply["twapBasketId"]))["success"]
    await world.run(1)
    assert (await state_of(world, reply))["status"] == "active"
    assert all(world.resting(symbol) for symbol in TWO)
    assert (await ended(world, reply))["status"] == "completed"


@in_world(symbols=TWO)
async def test_a_leg_that_expires_makes_it_expire_and_the_other_fills(world: World) -> None:
    await world.start()
    world.fault("POST", status=400, code=-4131, msg="no", count=0, params={"symbol": "ETHUSDT"})
    reply = await begun(world, lots=2, legs=[LEGS[0], LEGS[1] | {"quantity": "0.100"}])
    state = await ended(world, reply)
    assert state["status"] == "expired"
    assert [leg["status"] for leg in state["legs"]] == ["completed", "expired"]
    assert [world.held(symbol) for symbol in TWO] == [D("0.040"), 0]


# --- deaths -----------------------------------------------------------------------------------------


@pytest.mark.crash
@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM"])
@pytest.mark.parametrize("style", ["market", "chase"])
@in_world(symbols=TWO)
async def test_it_resumes_with_all_its_legs(world: World, style: str, how: str) -> None:
    await world.start()
    reply = await begun(world, style=style)
    await world.run(13)
    await (world.kill() if how == "SIGKILL" else world.stop())
    await world.run(12)
    await world.start()
    await world.run(0.5)
    assert (await state_of(world, reply))["status"] == "active"
    state = await ended(world, reply)
    assert state["status"] == "completed"
    assert [world.held(symbol) for symbol in TWO] == [D("0.040"), D("-0.400")]


@pytest.mark.crash
@pytest.mark.parametrize("point", range(1, 7))
@in_world(symbols=TWO)
async def test_killed_while_it_starts_all_its_legs_are_there_or_none(world: World, point: int) -> None:
    await world.start()
    world.life.die_at = len(world.life.effects) + point
    asked = world.tasks.spawn(_sent(world), "ask")
    await world.until(lambda: world.daemon is None, 30)
    await asked
    await world.start()
    await world.run(1)
    baskets, twaps = await world.redis.keys("pms:twap_basket:*"), await world.redis.keys("pms:twap:*")
    assert (len(baskets), len(twaps)) in ((0, 0), (1, 2)), f"killed {world.life.effects}"
    await world.run(90)
    held = [world.held(symbol) for symbol in TWO]
    assert held == ([D("0.040"), D("-0.400")] if baskets else [0, 0])


async def _sent(world: World) -> None:
    body = BODY | {"subAccountId": "main", "requestId": "once"}
    await world.redis.xadd("pms:commands", {"type": "twap_basket", "body": json.dumps(body)})


@pytest.mark.crash
@in_world(symbols=TWO)
async def test_after_an_hour_one_resume_lets_all_legs_go_on(world: World) -> None:
    await world.start()
    reply = await begun(world, intervalSeconds=1000)
    await world.run(2)
    await world.kill()
    await world.nobody_looks(3600)
    await world.start()
    await world.run(2)
    state = await state_of(world, reply)
    assert (state["status"], {leg["status"] for leg in state["legs"]}) == ("paused", {"paused"})
    assert state["reason"] == "down_too_long"
    assert (await world.command("algo_resume", algoId=reply["twapBasketId"]))["success"]
    await world.run(2)
    assert [world.held(symbol) for symbol in TWO] == [D("0.040"), D("-0.400")]
    state = await state_of(world, reply)
    assert (state["status"], state["reason"]) == ("completed", "")
    assert await world.redis.hlen("pms:alarms") == 0
