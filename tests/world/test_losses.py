"""Losses and limits while algos run: what reaches its limit may only reduce, until somebody says otherwise
(contract.md, DAILY_LOSS and DRAWDOWN; execution.md 16)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.world.world import World, in_world

QUOTE = ("61800.0", "61805.0")
TRADE: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.100"}


@pytest.mark.parametrize(
    "limits, code", [({"maxDailyLoss": 1}, "DAILY_LOSS"), ({"maxDrawdownPct": "0.01"}, "DRAWDOWN")]
)
@in_world()
async def test_who_lost_what_its_limits_allow_may_only_reduce_and_a_restart_keeps_it(
    world: World, limits: dict[str, Any], code: str
) -> None:
    world.market.quote(*QUOTE)
    await world.start()
    await world.limited(**limits)
    await world.run(2)
    chase = await world.chase()
    assert (await world.command("trade", **TRADE))["success"], "its fee alone is more than may be lost"
    await world.until(lambda: not world.resting(), 5)
    state = await world.state(chase)
    assert (state["status"], state["reason"].split(":")[0]) == ("blocked", code.lower())
    account = await world.record("subaccount:main")
    assert (account["status"], account["cause"]) == ("reduce", code)
    assert code.lower() in {alarm["code"] for alarm in await world.events("alarm")}
    await world.kill()
    await world.start()
    refused = await world.command("limit", symbol="BTCUSDT", side="BUY", quantity="0.010", price=60000)
    assert (refused["errorCode"], refused["errorCategory"]) == (code, "RISK")
    closed = await world.command("close", symbol="BTCUSDT", side="SELL", quantity="0.050")
    assert closed["success"], closed
    assert (await world.command("unfreeze", subAccountId="main"))["success"]
    await world.run(3)
    assert (await world.record("subaccount:main"))["status"] == "active", "losses count anew"
    reply = await world.command("limit", symbol="BTCUSDT", side="BUY", quantity="0.010", price=60000)
    assert reply["success"], reply


@in_world()
async def test_a_limit_that_is_set_while_a_chase_rests_binds_what_is_added_next_and_lets_it_move(world: World) -> None:
    world.market.quote(*QUOTE)
    await world.start()
    await world.chase(quantity="0.020")
    (order,) = world.resting()
    await world.limited(maxOrderNotional=1000, maxTotalNotional=1500, maxOpenOrders=1)
    world.market.quote("61803.0", "61805.0")
    await world.until(lambda: str(order.price) in ("61803.0", "61803.00"), 5)
    reply = await world.command("limit", symbol="BTCUSDT", side="BUY", quantity="0.010", price=60000)
    assert reply["errorCode"] == "MAX_OPEN_ORDERS"
    await world.limited(maxOrderNotional=1000, maxTotalNotional=1500)
    reply = await world.command("limit", symbol="BTCUSDT", side="BUY", quantity="0.010", price=60000)
    assert reply["errorCode"] == "MAX_TOTAL_NOTIONAL"
    reply = await world.command("limit", symbol="BTCUSDT", side="BUY", quantity="0.020", price=60000)
    assert reply["errorCode"] == "MAX_ORDER_NOTIONAL"
    await world.limited()
    reply = await world.command("limit", symbol="BTCUSDT", side="BUY", quantity="0.020", price=60000)
    assert reply["success"], "without limits nothing is limited"


@in_world()
async def test_with_opposing_refused_no_two_sub_accounts_come_to_stand_against_each_other(world: World) -> None:
    world.market.quote(*QUOTE)
    await world.start(PMS_OPPOSING="refuse")
    rests = await world.command("limit", symbol="BTCUSDT", side="BUY", quantity="0.010", price=60000)
    assert rests["success"], rests
    sell = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.010", "price": 63000, "subAccountId": "other"}
    assert (await world.command("limit", **sell))["errorCode"] == "OPPOSING_REFUSED", "the other bid may still fill"
    assert (await world.command("cancel", clientOrderId=rests["clientOrderId"]))["success"]
    reply = await world.command("limit", **sell)
    assert reply["success"], reply
