"""The margin ladder of a sub-account: warned of, reduced, closed, before the venue would do it (contract.md,
margin_warning)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from pms.core import equity, ladder, margin
from pms.core.ladder import WARN
from pms.sim.exchange import Settings
from schemas.ids import OrderId, parse
from tests.world.test_sub_accounts import by_hand, fill
from tests.world.world import World, in_world

D = Decimal
QUOTE = ("61800.0", "61800.1")
SIZE = "0.750"  # at leverage 50 nearly all that 1 000 USDT carry
FAR = {"quantity": "0.002", "leverage": 50, "stalkOffsetPct": 4}  # a chase that no move here reaches
BUSY: dict[str, Any] = {"status": 503, "code": -1008, "msg": "Server is overloaded."}
FEW = {"exchange": Settings(starting_wallet=D(1000))}  # the account is `main` alone


async def endowed(world: World, name: str = "main", balance: int = 1000) -> None:
    """A sub-account without limits of its own."""
    if name != "main":
        await world.command("subaccount_put", id=name, initialBalance=balance)
    await world.limited(name)


async def opened(world: World, name: str = "main", side: str = "BUY", quantity: str = SIZE, **more: Any) -> None:
    body = {"symbol": "BTCUSDT", "side": side, "quantity": quantity, "leverage": 50, "subAccountId": name} | more
    reply = await world.command("trade", **body)
    assert reply["success"], reply


async def begun(world: World, **environment: str) -> None:
    world.market.quote(*QUOTE)
    await world.start(PMS_SUBACCOUNT_BALANCE="1000", **environment)
    await endowed(world)


async def ready(world: World, **environment: str) -> None:
    """`main` is long so much that a fall of 2 % is the end of it."""
    await begun(world, **environment)
    await opened(world)


def held(world: World, name: str = "main", symbol: str = "BTCUSDT") -> Decimal:
    assert world.daemon is not None
    return D(world.daemon.ledger.position(name, symbol).signed_quantity)


def ratio(world: World, name: str = "main", mark: Decimal | None = None) -> Decimal:
    """As the books and the venue's newest marks have it; `mark`: were BTCUSDT's there."""
    assert world.daemon is not None
    desk = world.daemon.desk
    marks = {symbol: (market.bid + market.ask) / 2 for symbol, market in world.markets.items()}
    marks |= {} if mark is None else {"BTCUSDT": mark}
    stakes = equity.stakes(desk.books.of(name), lambda symbol: marks[symbol], desk.books.brackets)
    worth = equity.equity(desk.ledger.sub_accounts[name].balance, stakes.values())
    return margin.ratio(worth, sum((one.maintenance for one in stakes.values()), D(0)))


def move(world: World, wanted: str, name: str = "main") -> None:
    """Move the price to where a sub-account's ratio has reached that value, by its position in BTCUSDT."""
    safe, lost = (world.market.bid, D(50000)) if held(world, name) > 0 else (world.market.bid, D(75000))
    while abs(safe - lost) > world.market.tick:
        middle = (safe + lost) / 2 // world.market.tick * world.market.tick
        if ratio(world, name, middle + world.market.tick / 2) < D(wanted):
            safe = middle
        else:
            lost = middle
    world.market.quote(lost)


async def tiers(world: World, name: str = "main") -> list[tuple[str, str]]:
    told = await world.events("margin_warning")
    return [(one["tier"], one["action"]) for one in told if one["subAccountId"] == name]


def exits(world: World, symbol: str = "BTCUSDT") -> list[Any]:
    return [order for order in world.placed(symbol) if order.time_in_force == "IOC"][1:]


def begun_exits(world: World) -> set[str]:
    """Who owns the exits' orders, those too that the venue did not take."""
    assert world.daemon is not None
    parsed = [parse(one.client_order_id) for one in world.daemon.ledger.orders.values() if one.reduce_only]
    return {one.owner for one in parsed if isinstance(one, OrderId)}


async def alarm(world: World, code: str = "margin", subject: str = "main") -> dict[str, Any] | None:
    assert world.daemon is not None
    found = world.daemon.alarms.open.get(f"{code}:{subject}")
    return None if found is None else {"severity": found.severity, "message": found.message}


@in_world()
async def test_as_the_price_falls_a_sub_account_is_warned_then_reduced_then_closed(world: World) -> None:
    await ready(world)
    move(world, "0.65")
    await world.run(3)
    assert await tiers(world) == [("warned", "none")]
    assert (await alarm(world) or {})["severity"] == "warning"
    assert held(world) == D(SIZE)
    assert (await world.record("subaccount:main"))["status"] == "active"

    move(world, "0.82")
    before = D(SIZE)
    await world.run(4)
    assert await tiers(world) == [("warned", "none"), ("reducing", "reduce"), ("warned", "none")]
    assert 0 < held(world) < before
    assert WARN - D("0.01") < ratio(world) < WARN + D("0.03"), "what is needed, and what the exit cost"
    assert len(exits(world)) == 1
    account = await world.record("subaccount:main")
    assert (account["status"], account["cause"]) == ("reduce", "INSUFFICIENT_MARGIN")
    refused = await world.command("limit", symbol="BTCUSDT", side="BUY", quantity="0.010", price=60000)
    assert (refused["errorCode"], refused["errorCategory"]) == ("INSUFFICIENT_MARGIN", "RISK")

    move(world, "0.95")
    await world.run(4)
    assert (await tiers(world))[-2:] == [("closing", "close"), ("none", "none")]
    assert held(world) == world.held() == 0
    assert await alarm(world) is None
    assert (await world.command("unfreeze"))["success"]
    await world.run(3)
    assert (await world.record("subaccount:main"))["status"] == "active"


@in_world()
async def test_a_short_is_reduced_as_the_price_rises_and_one_who_holds_little_is_left_alone(world: World) -> None:
    await begun(world)
    await endowed(world, "short")
    await opened(world, "short", side="SELL")
    await opened(world, quantity="0.010")
    move(world, "0.82", "short")
    await world.run(4)
    assert D("-0.750") < held(world, "short") < 0
    assert held(world) == D("0.010")
    assert await tiers(world) == []


@pytest.mark.parametrize(
    "late",
    [{"delay_before_ms": 1800}, {"delay_after_ms": 1800}, BUSY | {"count": 4}],
    ids=["late", "untold", "refused"],
)
@in_world()
async def test_no_second_exit_leaves_before_the_first_ones_fills_are_in(world: World, late: dict[str, Any]) -> None:
    """Neither while its order is under way, nor between two of its attempts."""
    await ready(world)
    world.fault("POST", **late)
    if "delay_after_ms" in late:
        world.cut("/private")
    move(world, "0.82")
    await world.run(8)
    assert len(begun_exits(world)) == 1
    assert WARN - D("0.01") < ratio(world) < WARN + D("0.03")


@in_world()
async def test_while_somebody_else_closes_the_ladder_waits_and_then_may_have_nothing_to_do(world: World) -> None:
    await ready(world)
    world.fault("POST", delay_before_ms=1800)
    request = {"requestId": "by-hand", "subAccountId": "main", "symbol": "BTCUSDT", "side": "SELL", "quantity": 0.4}
    await world.redis.lpush("pms:cmd:close", str(request).replace("'", '"'))
    await world.run(0.1)
    move(world, "0.82")
    await world.run(8)
    assert [order.filled for order in exits(world) if order.filled] == [D("0.400")]
    assert ("reducing", "reduce") in await tiers(world)
    assert held(world) == D("0.350")


@in_world()
async def test_with_notify_pms_only_tells(world: World) -> None:
    await ready(world, PMS_MARGIN_ACTION="notify")
    chase = await world.chase(**FAR)
    sent = [method for method in world.order_requests() if method != "PUT"]
    for wanted in ("0.82", "0.95"):
        move(world, wanted)
        await world.run(4)
    assert await tiers(world) == [("reducing", "notify"), ("closing", "notify")]
    assert "pms only tells" in (await alarm(world) or {})["message"]
    assert held(world) == D(SIZE)
    assert (await world.record("subaccount:main"))["status"] == "active"
    assert [method for method in world.order_requests() if method != "PUT"] == sent
    assert (await world.state(chase))["status"] != "blocked"


@in_world(symbols=("BTCUSDT", "ETHUSDT"))
async def test_with_close_everything_goes_at_the_second_rung(world: World) -> None:
    await ready(world, PMS_MARGIN_ACTION="close")
    await opened(world, symbol="ETHUSDT", quantity="0.010")
    move(world, "0.82")
    await world.run(4)
    assert await tiers(world) == [("closing", "close"), ("none", "none")]
    assert [held(world), held(world, symbol="ETHUSDT")] == [0, 0]
    assert [world.held(), world.held("ETHUSDT")] == [0, 0]


@in_world()
async def test_a_reduction_takes_entries_away_and_a_close_ends_every_algo_of_that_sub_account_alone(
    world: World,
) -> None:
    await ready(world)
    entry = await world.chase(**FAR)
    exit_ = await world.chase(**FAR | {"side": "SELL", "reduceOnly": True})
    other = await world.chase(**FAR, subAccountId="other")
    limit = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.002", "price": 55000, "leverage": 50}
    loose = await world.command("limit", **limit)
    assert loose["success"], loose
    move(world, "0.82")
    await world.run(4)
    assert [(await world.state(one))["status"] for one in (entry, exit_, other)] == ["blocked", "active", "active"]
    assert (await world.record(f"order:{loose['clientOrderId']}"))["state"] == "cancelled"
    move(world, "0.95")
    await world.run(4)
    ended = [await world.state(one) for one in (entry, exit_)]
    assert [(one["status"], one["reason"]) for one in ended] == [("cancelled", "margin")] * 2
    assert (await world.state(other))["status"] == "active"
    assert held(world) == 0
    assert len(world.resting()) == 1


@in_world()
async def test_of_opposite_sub_accounts_only_the_one_without_margin_is_reduced(world: World) -> None:
    """The venue's net is nothing before, and what was closed of the one is what is left of the other."""
    await ready(world)
    await endowed(world, "short", 100_000)
    await opened(world, "short", side="SELL")
    assert world.held() == 0
    move(world, "0.82")
    await world.run(4)
    assert 0 < held(world) < D(SIZE)
    assert held(world, "short") == -D(SIZE)
    assert world.held() == held(world) - D(SIZE)


@in_world()
async def test_an_exit_that_is_refused_for_good_is_tried_again_until_a_person_has_made_way(world: World) -> None:
    """A foreign position stands opposite: closing could open one (execution.md 13)."""
    await ready(world)
    await endowed(world, "short", 100_000)
    await opened(world, "short", side="SELL", quantity="0.900")
    by_hand(world, "SELL", "0.100")
    await world.run(2)
    assert held(world, "external") == D("-0.100")
    move(world, "0.95")
    await world.run(12)
    assert held(world) == D(SIZE), "not by an order that could open"
    assert 1 <= len(await world.events("risk_rejected")) <= 4, "tried now and then"
    assert await alarm(world, "exit_refused", "main:BTCUSDT") is not None
    body = {"symbol": "BTCUSDT", "quantity": "0.100", "price": "61000", "from": "external", "to": "short"}
    assert (await world.command("position_assign", **body))["success"]
    await world.run(8)
    assert held(world) == 0


@in_world(symbols=("BTCUSDT", "ETHUSDT"))
async def test_an_exit_that_does_not_get_on_keeps_no_other_position_from_being_reduced(world: World) -> None:
    await begun(world)
    await opened(world, quantity="0.600")
    await opened(world, symbol="ETHUSDT", quantity="1.000")
    world.fault("POST", params={"symbol": "BTCUSDT"}, **BUSY, count=0)
    move(world, "0.82")
    await world.run(5)
    assert held(world, symbol="ETHUSDT") == D("1.000"), "the first may still be filled"
    await world.run(10)
    assert held(world, symbol="ETHUSDT") < D("1.000")
    assert held(world) == D("0.600")
    move(world, "0.95")
    await world.run(4)
    assert held(world, symbol="ETHUSDT") == 0
    world.heal()
    await world.run(6)
    assert held(world) < D("0.600")


@pytest.mark.parametrize("action", ["reduce", "close", "notify"])
@in_world(**FEW)
async def test_the_venue_liquidates_only_who_wanted_to_be_told_alone(world: World, action: str) -> None:
    await begun(world, PMS_MARGIN_ACTION=action)
    await fill(world, "main", "BUY", SIZE, leverage=50)
    for wanted in ("0.5", "0.7", "0.81", "0.94", "1.01"):
        if held(world):
            move(world, wanted)
        await world.run(6)
    assert held(world) == world.held() == 0
    theirs = [order for order in world.placed() if order.client_id.startswith("autoclose-")]
    assert bool(theirs) is (action == "notify")
    assert bool(await world.events("full_liquidation")) is (action == "notify")


@in_world()
async def test_a_warning_of_a_former_life_is_over_when_its_cause_is(world: World) -> None:
    await ready(world)
    move(world, "0.65")
    await world.run(3)
    await world.kill()
    await world.start(PMS_SUBACCOUNT_BALANCE="1000")
    await world.run(3)
    assert await tiers(world) == [("warned", "none")], "told once"
    await world.kill()
    world.market.quote(*QUOTE)
    await world.start(PMS_SUBACCOUNT_BALANCE="1000")
    await world.run(3)
    assert await tiers(world) == [("warned", "none"), ("none", "none")]
    assert await alarm(world) is None


@in_world()
async def test_a_death_amid_an_exit_closes_nothing_twice(world: World) -> None:
    await ready(world)
    world.fault("POST", delay_before_ms=1000)
    move(world, "0.82")
    await world.until(lambda: "POST" in world.order_requests()[-1:], 5)
    await world.run(0.5)
    await world.kill()
    await world.start(PMS_SUBACCOUNT_BALANCE="1000")
    await world.run(8)
    assert WARN - D("0.01") < ratio(world) < WARN + D("0.03")
    assert held(world) == world.held()


@in_world()
async def test_who_is_unfrozen_too_early_may_only_reduce_again(world: World) -> None:
    await ready(world)
    world.fault("POST", **BUSY, count=0)
    move(world, "0.82")
    await world.run(3)
    assert (await world.command("unfreeze"))["success"]
    await world.run(2)
    assert (await world.record("subaccount:main"))["status"] == "reduce"
    world.heal()
    await world.run(5)
    assert WARN - D("0.01") < ratio(world) < WARN + D("0.03")


@in_world()
async def test_losses_are_not_forgiven_with_margin(world: World) -> None:
    await ready(world)
    move(world, "0.82")
    await world.run(4)
    began = (await world.record("risk:main"))["dayEquity"]
    await world.command("unfreeze")
    await world.run(3)
    assert (await world.record("risk:main"))["dayEquity"] == began
    assert ratio(world) < ladder.REDUCE
