"""twap on the whole stack in one process: the plan that is answered is the one that runs, in both styles."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from tests.world.twaps import begun, ended, iocs, lots, record
from tests.world.world import World, in_world

D = Decimal
TWO = ("BTCUSDT", "ETHUSDT")


# --- the plan ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["BUY", "SELL"])
@in_world()
async def test_lots_leave_at_once_and_on_time_and_fill_at_the_touch(world: World, side: str) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    reply = await begun(world, side=side, leverage=5)
    state = await ended(world, reply)
    assert lots(world, reply) == [(0, D("0.010")), (10, D("0.010")), (20, D("0.010")), (30, D("0.010"))]
    assert (state["status"], state["filledLots"], state["residual"]) == ("completed", 4, 0)
    assert state["avgPrice"] == (D("61805.0") if side == "BUY" else D("61800.0"))
    assert world.held() == D("0.040") * (1 if side == "BUY" else -1)
    bound = D("62109.0") if side == "BUY" else D("61496.0")
    assert {order.price for order in iocs(world)} == {bound}, "50 bps from own touch"


@in_world()
async def test_the_plan_that_is_answered_is_the_one_that_runs(world: World) -> None:
    await world.start()
    reply = await begun(world, quantity="0.100", lots=6, jitterPct=40, irregular=True)
    plan = [(lot["dueAt"], lot["quantity"]) for lot in reply["plan"]]
    assert sum(quantity for _, quantity in plan) == D("0.100")
    assert len({quantity for _, quantity in plan}) > 3
    gaps = {later - earlier for (earlier, _), (later, _) in pairwise(plan)}
    assert len(gaps) > 3
    await ended(world, reply)
    done = [(order.created_at, order.quantity) for order in iocs(world)]
    assert [quantity for _, quantity in done] == [quantity for _, quantity in plan]
    assert all(-1 <= at - due <= 20 for (at, _), (due, _) in zip(done, plan, strict=True))


@in_world()
async def test_its_events_tell_price_fees_arrival_slippage_and_the_next_lot(world: World) -> None:
    world.market.quote("61800.0", "61810.0")
    await world.start()
    reply = await begun(world, lots=2, quantity="0.020")
    await ended(world, reply)
    started, *progress, completed = await world.events("twap_started", "twap_progress", "twap_completed")
    assert (started["filledLots"], started["totalLots"], started["requestId"]) == (0, 2, "r-1")
    assert [event["filledLots"] for event in progress] == [1, 1]
    assert progress[0]["nextLotAt"] == reply["plan"][1]["dueAt"]
    assert (completed["avgPrice"], completed["arrivalMid"]) == (61810, 61805)
    assert completed["slippageBps"] == D("0.81")
    assert completed["fees"] == {
        "USDT": sum(trade.commission for trade in world.exchange.trades(world.account, "BTCUSDT"))
    }
    assert completed["nextLotAt"] == 0
    assert await world.redis.hlen("pms:active_twap:main") == 0


@in_world()
async def test_size_is_converted_at_the_mid_of_a_symbol_that_nobody_watched(world: World) -> None:
    world.market.quote("61800.0", "61810.0")
    await world.start()
    reply = await world.command(
        "twap", symbol="btcusdt", side="buy", totalSize=2500, numLots=2, durationMinutes=1, jitter=True
    )
    assert reply["success"], reply
    assert reply["quantity"] == D("0.040")
    assert 30_000 <= reply["plan"][1]["dueAt"] - reply["plan"][0]["dueAt"] <= 39_000


# --- at the door ------------------------------------------------------------------------------------

ASKED: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010", "lots": 4}
REFUSED = [
    ({"lots": 11}, "VALIDATION_TWAP_LOTS_INVALID", {"maxLots": 10, "minNotional": 50, "minQty": D("0.001")}),
    ({"lots": 11, "irregular": True}, "VALIDATION_TWAP_LOTS_INVALID", {"maxLots": 10}),
    ({"quantity": "0.0105"}, "QUANTITY_OFF_GRID", {"path": "quantity"}),
    ({"quantity": None, "sizeUsdt": 50}, "BELOW_MINIMUM", {"path": "quantity"}),
    ({"intervalSeconds": "0.05"}, "INVALID_FIELD", {"path": "intervalSeconds", "limit": 100}),
    ({"durationMinutes": "0.001"}, "INVALID_FIELD", {"path": "durationMinutes"}),
    ({"intervalSeconds": 2_000_000}, "INVALID_FIELD", {"path": "intervalSeconds"}),
    ({"durationMinutes": 5, "intervalSeconds": 5}, "INVALID_FIELD", {"path": "intervalSeconds"}),
    ({"reduceOnly": True}, "REDUCE_ONLY_EXCEEDS", {"path": "reduceOnly"}),
    ({"symbol": "NOUSDT"}, "UNKNOWN_SYMBOL", {"path": "symbol"}),
    ({"lots": 0}, "INVALID_FIELD", {"path": "lots"}),
    ({"jitterPct": 51}, "INVALID_FIELD", {"path": "jitterPct"}),
    ({"catchUpMax": "0.5"}, "INVALID_FIELD", {"path": "catchUpMax"}),
    ({"childTimeoutSeconds": 0}, "INVALID_FIELD", {"path": "childTimeoutSeconds"}),
    ({"style": "fast"}, "INVALID_FIELD", {"path": "style"}),
    ({"onLimit": "wait"}, "INVALID_FIELD", {"path": "onLimit"}),
    ({"onChildFail": "stop"}, "INVALID_FIELD", {"path": "onChildFail"}),
    ({"priceLimit": 0}, "INVALID_FIELD", {"path": "priceLimit"}),
    ({"quantity": None}, "MISSING_FIELD", {"path": "quantity"}),
    ({"stopLoss": 70000}, "INVALID_FIELD", {"path": "stopLoss"}),
    ({"quantity": "10", "leverage": 20}, "MAX_POSITION", {}),
    ({"leverage": 51}, "MAX_LEVERAGE", {}),
]


@in_world()
async def test_what_cannot_be_done_is_refused_with_its_own_code_and_validate_says_the_same(world: World) -> None:
    await world.start()
    await world.limited(maxLeverage=50, maxPosition=100_000)
    for changes, code, details in REFUSED:
        body = {name: value for name, value in (ASKED | changes).items() if value is not None}
        refusal = await world.command("twap", **body)
        assert (refusal["success"], refusal.get("errorCode")) == (False, code), (changes, refusal)
        found = refusal.get("details", {})
        assert details == {name: found.get(name) for name in details}, refusal
        asked = await world.command("validate", command={"type": "twap", **body})
        errors = asked["errors"] if asked["success"] else [asked]
        assert {error["errorCode"] for error in errors} == {code}, (changes, asked)
    assert (world.placed(), await world.redis.keys("pms:twap:*")) == ([], [])


@in_world()
async def test_the_most_lots_that_a_refusal_names_are_accepted(world: World) -> None:
    await world.start()
    refusal = await world.command("twap", **ASKED | {"lots": 50, "quantity": "0.0170"})
    most = refusal["details"]["maxLots"]
    assert most == 17
    assert (await world.command("twap", **ASKED | {"lots": most, "quantity": "0.0170"}))["success"]


@in_world()
async def test_validate_shows_the_plan_and_the_first_order_and_sends_nothing(world: World) -> None:
    await world.start()
    reply = await world.command("validate", command={"type": "twap", **ASKED})
    assert reply["valid"], reply
    values = reply["computedValues"]
    assert [lot["quantity"] for lot in values["plan"]] == [D("0.003"), D("0.003"), D("0.002"), D("0.002")]
    (first,) = values["actions"]
    assert (first["action"], first["timeInForce"], first["quantity"]) == ("place", "IOC", D("0.003"))
    assert (world.placed(), await world.redis.keys("pms:twap:*")) == ([], [])


@in_world()
async def test_a_repeat_gets_the_same_plan_and_starts_nothing(world: World) -> None:
    await world.start()
    first = await world.command("twap", requestId="once", **ASKED)
    again = await world.command("twap", requestId="once", **ASKED)
    assert again == first
    assert len(await world.redis.keys("pms:twap:*")) == 1


# --- running ----------------------------------------------------------------------------------------


@in_world()
async def test_pause_and_resume_by_both_commands_and_cancel(world: World) -> None:
    await world.start()
    reply = await begun(world)
    name = reply["twapId"]
    for pause, resume, field in (("twap_pause", "twap_resume", "twapId"), ("algo_pause", "algo_resume", "algoId")):
        assert (await world.command(pause, **{field: name}))["success"]
        assert (await record(world, name))["status"] == "paused"
        assert (await world.command(resume, **{field: name}))["success"]
        assert (await record(world, name))["status"] == "active"
    await world.command("twap_pause", twapId=name)
    await world.run(25)
    assert len(world.placed()) == 1
    await world.command("twap_resume", twapId=name)
    await world.run(0.1)
    assert lots(world, reply)[1:] == [(25, D("0.020"))]
    assert (await world.command("twap_cancel", twapId=name, closePositions=True))["success"]
    state = await record(world, name)
    assert (state["status"], state["reason"], state["residual"]) == ("cancelled", "cancelled_by_command", D("0.010"))
    assert world.held() == 0
    gone = await world.command("twap_pause", twapId=name)
    assert gone["errorCode"] == "ALGO_NOT_FOUND"


@in_world()
async def test_commands_for_a_twap_know_no_other_kind(world: World) -> None:
    await world.start()
    chase, twap = await world.chase(), (await begun(world))["twapId"]
    for kind in ("twap_cancel", "twap_pause", "twap_resume"):
        assert (await world.command(kind, twapId=chase))["errorCode"] == "ALGO_NOT_FOUND"
    assert (await world.command("chase_cancel", chaseId=twap))["errorCode"] == "ALGO_NOT_FOUND"
    assert (await world.command("twap_pause", twapId=twap, subAccountId="other"))["errorCode"] == "NOT_OWNER"


@in_world()
async def test_a_lot_that_is_due_while_the_book_is_stale_leaves_when_it_is_fresh(world: World) -> None:
    await world.start()
    reply = await begun(world)
    await world.run(5)
    world.socket_fault("/public/*", mute_after_ms=0, count=0)
    world.mute("/public")
    world.market.quote("61790.0", "61795.0")  # the book is another now, and nobody tells
    await world.run(28)
    assert len(world.placed()) == 1
    world.heal()
    state = await ended(world, reply)
    assert [quantity for _, quantity in lots(world, reply)] == [D("0.010"), D("0.030")]
    assert state["status"] == "completed"


@in_world()
async def test_a_refused_lot_is_carried_and_three_in_a_row_are_told_to_people(world: World) -> None:
    await world.start()
    world.fault("POST", status=400, code=-4131, msg="no", count=3)
    reply = await begun(world, quantity="0.100", lots=10, intervalSeconds=2)
    await world.run(4.5)
    state = await record(world, reply)
    assert (state["status"], state["rejections"]) == ("blocked", 3)
    assert [row["code"] for row in await world.events("alarm")] == ["algo_blocked"]
    state = await ended(world, reply)
    assert (state["status"], world.held()) == ("completed", D("0.100"))
    assert max(order.quantity for order in world.placed()) <= D("0.030"), "within catchUpMax"
    assert [row["cleared"] for row in await world.events("alarm")] == [False, True]


@pytest.mark.parametrize("what", [{"lose": "before"}, {"lose": "after"}], ids=["never arrived", "arrived"])
@in_world()
async def test_a_lot_of_unknown_fate_is_known_before_the_next_leaves(world: World, what: dict[str, Any]) -> None:
    await world.start()
    world.fault("POST", count=1, **what)
    reply = await begun(world, intervalSeconds=5)
    state = await ended(world, reply)
    assert (state["status"], world.held()) == ("completed", D("0.040"))


@in_world()
async def test_a_halt_holds_lots_back_and_a_resume_lets_them_go_on(world: World) -> None:
    await world.start()
    await begun(world)
    reply = await world.command("freeze")
    assert reply["success"], reply
    await world.run(12)
    assert len(world.placed()) == 1
    assert (await world.command("unfreeze"))["success"]
    await world.run(1)
    assert [order.quantity for order in iocs(world)] == [D("0.010"), D("0.010")]


@in_world()
async def test_a_reduce_only_one_closes_and_ends_when_the_position_is_gone(world: World) -> None:
    await world.start()
    assert (await world.command("trade", symbol="BTCUSDT", side="BUY", quantity="0.040"))["success"]
    wrong = await world.command("twap", **ASKED | {"reduceOnly": True})
    assert wrong["errorCode"] == "REDUCE_ONLY_EXCEEDS"
    reply = await begun(world, side="SELL", reduceOnly=True)
    await world.run(11)
    assert world.held() == D("0.020")
    assert (await world.command("close", symbol="BTCUSDT", side="SELL"))["success"]
    state = await ended(world, reply, 2)
    assert (state["status"], state["reason"], world.held()) == ("cancelled", "position_gone", 0)


@in_world()
async def test_a_reduce_only_one_shrinks_with_its_position(world: World) -> None:
    await world.start()
    await world.command("trade", symbol="BTCUSDT", side="BUY", quantity="0.040")
    reply = await begun(world, side="SELL", reduceOnly=True)
    await world.run(1)
    await world.command("close", symbol="BTCUSDT", side="SELL", quantity="0.015")
    state = await ended(world, reply)
    assert (state["status"], state["quantity"], world.held()) == ("completed", D("0.025"), 0)
