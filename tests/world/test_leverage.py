"""Leverage at the venue: min(highest asked, what the brackets allow), not lowered with a position (execution.md 15)."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.world.world import World, in_world

D = Decimal
PATH = "/fapi/v1/leverage"
LIMIT: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010", "price": "61000.0"}
TRADE: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010"}


def leverage(world: World) -> int:
    (view,) = world.exchange.positions(world.account, "BTCUSDT")
    return int(view.leverage)


def settings(world: World) -> int:
    """How often this life of the daemon has asked for a leverage."""
    return len([path for method, path in world.http.requests if path == PATH and method == "POST"])


@in_world()
async def test_the_highest_that_anybody_asks_for_stands_and_is_not_lowered_with_a_position(world: World) -> None:
    await world.start()
    await world.command("trade", leverage=5, **TRADE)
    assert leverage(world) == 5
    await world.command("trade", leverage=8, subAccountId="second", **TRADE)
    assert leverage(world) == 8, "raised with a position"
    await world.command("trade", leverage=2, subAccountId="third", **TRADE)
    assert leverage(world) == 8, "another sub-account stands on it"
    assert settings(world) == 2


@in_world()
async def test_flat_with_nothing_resting_it_is_lowered_to_what_is_asked(world: World) -> None:
    await world.start()
    first = await world.command("limit", leverage=10, **LIMIT)
    assert leverage(world) == 10
    await world.command("limit", leverage=3, **LIMIT | {"price": "60900.0"})
    assert leverage(world) == 10, "an order rests on it"
    for order in world.resting():
        await world.command("cancel", clientOrderId=order.client_id)
    await world.command("limit", leverage=3, **LIMIT)
    assert leverage(world) == 3
    assert first["success"]


@in_world()
async def test_a_notional_beyond_the_brackets_cap_gets_the_highest_whose_cap_covers_it(world: World) -> None:
    await world.start()
    assert world.daemon is not None
    await world.unlimited()
    table = world.daemon.desk.books.brackets["BTCUSDT"]
    cap, most = table[0].cap, table[1].max_leverage
    price = D("61000.0")
    quantity = (cap / price).quantize(D("0.001")) + D("0.001")
    reply = await world.command("limit", **LIMIT | {"quantity": str(quantity), "leverage": table[0].max_leverage})
    assert reply["success"], reply
    assert leverage(world) == most < table[0].max_leverage


@in_world()
async def test_with_a_position_it_is_not_lowered_for_a_notional_beyond_its_cap(world: World) -> None:
    await world.start()
    assert world.daemon is not None
    await world.unlimited()
    first = world.daemon.desk.books.brackets["BTCUSDT"][0]
    await world.command("trade", leverage=first.max_leverage, **TRADE)
    quantity = (first.cap / D("61000.0")).quantize(D("0.001")) + D("0.001")
    reply = await world.command("limit", **LIMIT | {"quantity": str(quantity), "leverage": first.max_leverage})
    assert (reply["success"], leverage(world)) == (False, first.max_leverage), reply
    assert settings(world) == 1


@in_world()
async def test_after_a_restart_it_is_read_before_it_is_set(world: World) -> None:
    await world.start()
    await world.command("trade", leverage=9, **TRADE)
    await world.stop()
    await world.start()
    await world.command("trade", leverage=4, **TRADE)
    assert (leverage(world), settings(world)) == (9, 0)
    await world.command("trade", leverage=12, **TRADE)
    assert (leverage(world), settings(world)) == (12, 1)


@pytest.mark.parametrize("done", [False, True])
@in_world()
async def test_an_unknown_outcome_is_read_again_and_never_guessed(world: World, done: bool) -> None:
    await world.start()
    unknown = {"status": 503, "msg": "Unknown error, please check your request or try again later."}
    world.fault("POST", path=PATH, execute=done, **unknown)
    reply = await world.command("limit", leverage=7, **LIMIT)
    if done:
        assert (reply["success"], leverage(world)) == (True, 7), reply
    else:
        assert (reply["errorCode"], reply["retryable"], world.placed()) == ("EXCHANGE_UNAVAILABLE", True, []), reply


@in_world()
async def test_a_refusal_belongs_to_who_asked(world: World) -> None:
    await world.start()
    world.fault("POST", path=PATH, status=400, code=-4028, msg="Leverage 7 is not valid.")
    reply = await world.command("limit", leverage=7, **LIMIT)
    assert (reply["errorCode"], reply["details"]["code"]) == ("EXCHANGE_REJECTED", -4028), reply
    assert world.placed() == []
    assert (await world.command("limit", subAccountId="second", leverage=6, **LIMIT))["success"]


@in_world()
async def test_what_only_asks_sets_nothing(world: World) -> None:
    await world.start()
    await world.command("validate", command={"type": "limit", "leverage": 7, **LIMIT})
    await world.command("limit", leverage=7, **LIMIT | {"price": "61000.05"})
    assert settings(world) == 0


@in_world()
async def test_it_is_not_set_while_nothing_that_adds_risk_may_leave(world: World) -> None:
    """execution.md 19 and 20: whether it may leave is read right before it does."""
    await world.start()
    body = {"subAccountId": "main", "requestId": "away", "leverage": 7, **LIMIT}
    await world.redis.lpush("pms:cmd:limit", json.dumps(body))
    await world.run(0.3)  # it was taken, and waits for the first price
    world.redis_goes()
    await world.run(4)
    assert (leverage(world), settings(world)) == (20, 0)
    world.redis_comes()
    reply = await world.reply("away")
    assert (reply["errorCode"], reply["retryable"], world.placed()) == ("NOT_READY", True, []), reply
    assert "redis_unavailable" in reply["error"]
