"""The books of several sub-accounts on one exchange account: who bears what, and what people put right (execution.md
9, 11, 13)."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.world.world import World, in_world

D = Decimal
QUOTE = ("61800.0", "61805.0")


async def position(world: World, account: str) -> dict[str, Any]:
    row = await world.redis.hget(f"pms:position:{account}", "BTCUSDT")
    return json.loads(row, parse_float=Decimal, parse_int=Decimal)  # type: ignore[no-any-return]


async def signed(world: World, account: str) -> Decimal:
    return D((await position(world, account))["signedQuantity"])


async def balance(world: World, account: str) -> Decimal:
    return D((await world.record(f"subaccount:{account}"))["balance"])


async def fill(world: World, account: str, side: str, quantity: str, **more: Any) -> None:
    """Let a chase of a sub-account open or close so much at the touch."""
    chase = await world.chase(subAccountId=account, side=side, quantity=quantity, **more)
    (order,) = [order for order in world.resting() if order.client_id.startswith("pms-") and order.side == side]
    world.market.hit(order, quantity)
    await world.ends(chase)


def by_hand(world: World, side: str, quantity: str, name: str = "") -> None:
    """Somebody trades in the venue's own app."""
    price = world.market.ask if side == "BUY" else world.market.bid
    world.market.rest(world.account, side, price, quantity, name, time_in_force="IOC")


@in_world()
async def test_each_sub_account_begins_with_its_balance_and_all_of_them_are_the_wallet(world: World) -> None:
    world.market.quote(*QUOTE)
    await world.start()
    assert await balance(world, "main") == 10_000
    assert await balance(world, "external") == world.wallet() - 10_000
    reply = await world.command("subaccount_put", id="desk-1", name="Desk one", initialBalance=2500)
    assert (reply["subAccount"]["balance"], reply["subAccount"]["initialBalance"]) == (2500, 2500)
    assert reply["subAccount"]["name"] == "Desk one"
    await fill(world, "second", "BUY", "0.010")
    assert await balance(world, "external") == world.wallet() - 22_500 + D("0.1236")
    assert await balance(world, "second") == 10_000 - D("0.1236")


@in_world()
async def test_a_sub_account_is_named_but_not_endowed_twice_and_reserved_names_are_refused(world: World) -> None:
    await world.start()
    for _ in range(2):
        reply = await world.command("subaccount_put", id="desk-1", initialBalance=2500)
        assert reply["success"]
    reply = await world.command("subaccount_put", id="desk-1", name="Other")
    assert reply["subAccount"]["name"] == "Other"
    assert reply["subAccount"]["balance"] == 2500
    for body, code in (
        ({"id": "desk-1", "initialBalance": 3000}, "INVALID_FIELD"),
        ({"id": "external"}, "NOT_ALLOWED"),
    ):
        reply = await world.command("subaccount_put", **body)
        assert reply["errorCode"] == code
    reply = await world.command("limits_put", subAccountId="desk-1", limits={"maxOrderNotional": 5000})
    shipped = reply["subAccount"]["limits"]
    assert shipped["maxOrderNotional"] == 5000
    assert {"maxDailyLoss", "maxLeverage", "priceCollarPct"} <= shipped.keys(), "what is left out stays"
    reply = await world.command("limits_put", subAccountId="desk-1", limits={"maxLeverage": None})
    assert reply["subAccount"]["limits"] == {name: value for name, value in shipped.items() if name != "maxLeverage"}
    assert (await world.record("subaccount:desk-1"))["limits"] == reply["subAccount"]["limits"]
    reply = await world.command("limits_put", subAccountId="nobody", limits={})
    assert reply["errorCode"] == "SUBACCOUNT_UNKNOWN"


@in_world()
async def test_opposite_sub_accounts_stay_right_through_closes_a_cut_and_a_restart(world: World) -> None:
    """The venue nets what the books keep apart; the sum of all balances is the wallet at every moment."""
    world.market.quote(*QUOTE)
    await world.start()
    await fill(world, "long", "BUY", "0.010")
    world.market.move(100)
    await fill(world, "short", "SELL", "0.006")
    world.cut("/private")
    await world.run(3)
    world.market.move(100)
    await world.kill()
    await world.start()
    assert [await signed(world, name) for name in ("long", "short")] == [D("0.010"), D("-0.006")]
    await fill(world, "long", "SELL", "0.010")
    await fill(world, "short", "BUY", "0.006")
    assert world.held() == 0
    closed = await world.events("position_closed")
    assert {event["subAccountId"] for event in closed} == {"long", "short"}
    for event in closed:
        position_of = await position(world, event["subAccountId"])
        made = await balance(world, event["subAccountId"]) - 10_000
        assert made == position_of["realizedPnl"] - position_of["fees"]


@in_world()
async def test_a_manual_opening_goes_to_external_and_is_assigned_by_command(world: World) -> None:
    world.market.quote(*QUOTE)
    await world.start()
    await fill(world, "main", "BUY", "0.010")
    by_hand(world, "BUY", "0.004")
    await world.run(0.5)
    assert await signed(world, "external") == D("0.004")
    before = await balance(world, "external")
    reply = await world.command(
        "position_assign", symbol="BTCUSDT", quantity="0.003", price="61810.0", **{"from": "external", "to": "main"}
    )
    assert reply["positionIds"] == ["external:BTCUSDT:1", "main:BTCUSDT:1"]
    assert [await signed(world, name) for name in ("main", "external")] == [D("0.013"), D("0.001")]
    assert (await position(world, "main"))["entryPrice"] == (D("0.010") * 61800 + D("0.003") * 61810) / D("0.013")
    assert await balance(world, "external") == before, "nothing happened at the venue, so the wallet is as it was"
    told = [(event["type"], event["subAccountId"]) for event in (await world.events())[-4:]]
    assert ("position_reduced", "external") in told
    assert ("position_updated", "main") in told


@in_world()
async def test_an_assignment_realises_the_givers_profit_at_its_price_and_happens_once(world: World) -> None:
    world.market.quote(*QUOTE)
    await world.start()
    await fill(world, "main", "BUY", "0.010")
    before = await balance(world, "main")
    body = {"symbol": "BTCUSDT", "quantity": "0.010", "price": "61900", "from": "main", "to": "second"}
    await world.command("subaccount_put", id="second")
    for _ in range(2):
        reply = await world.command("position_assign", requestId="once", **body)
        assert reply["positionIds"] == ["main:BTCUSDT:1", "second:BTCUSDT:1"]
    assert await balance(world, "main") == before + D("1.0")
    assert [await signed(world, name) for name in ("main", "second")] == [0, D("0.010")]
    assert (await position(world, "second"))["entryPrice"] == 61900


@pytest.mark.parametrize(
    "changes, code",
    [
        ({"from": "nobody"}, "SUBACCOUNT_UNKNOWN"),
        ({"to": "main"}, "INVALID_FIELD"),
        ({"from": "external", "to": "main"}, "POSITION_NOT_FOUND"),
        ({"quantity": "0.011"}, "ABOVE_MAXIMUM"),
        ({"quantity": "0.0015"}, "QUANTITY_OFF_GRID"),
    ],
)
@in_world()
async def test_an_assignment_of_what_is_not_there_is_refused(world: World, changes: dict[str, str], code: str) -> None:
    world.market.quote(*QUOTE)
    await world.start()
    await fill(world, "main", "BUY", "0.010")
    body = {"symbol": "BTCUSDT", "quantity": "0.010", "price": "61900", "from": "main", "to": "external"} | changes
    reply = await world.command("position_assign", **body)
    assert reply["errorCode"] == code
    assert await signed(world, "main") == D("0.010")


@in_world()
async def test_a_manual_close_ends_a_reduce_only_algo_with_no_order_sent(world: World) -> None:
    world.market.quote(*QUOTE)
    await world.start()
    await fill(world, "main", "BUY", "0.010")
    chase = await world.chase(side="SELL", quantity="0.010", reduceOnly=True, stalkOffsetTicks=50, stalkMode="none")
    sent = [method for method in world.order_requests() if method != "DELETE"]
    by_hand(world, "SELL", "0.010")
    ended = await world.ends(chase)
    assert (ended["status"], ended["reason"]) == ("cancelled", "position_gone")
    assert [method for method in world.order_requests() if method != "DELETE"] == sent
    assert [await signed(world, "main"), world.held()] == [0, 0]
    assert world.resting() == []


@in_world()
async def test_a_manual_reduction_leaves_a_reduce_only_algo_what_there_is_to_close(world: World) -> None:
    world.market.quote(*QUOTE)
    await world.start()
    await fill(world, "main", "BUY", "0.010")
    chase = await world.chase(side="SELL", quantity="0.010", reduceOnly=True)
    by_hand(world, "SELL", "0.006")
    await world.run(2)
    assert (await world.state(chase))["quantity"] == D("0.004")
    (order,) = world.resting()
    assert order.quantity == D("0.004")
    world.market.hit(order, "0.004")
    assert (await world.ends(chase))["status"] == "filled"
    assert world.held() == 0


@pytest.mark.parametrize("word, event", [("autoclose-9", "full_liquidation"), ("adl_autoclose", "adl_triggered")])
@in_world()
async def test_what_the_venue_closes_by_itself_is_borne_pro_rata(world: World, word: str, event: str) -> None:
    """Only the closed side bears it, largest remainder on the step."""
    world.market.quote(*QUOTE)
    await world.start()
    await fill(world, "a", "BUY", "0.010")
    await fill(world, "b", "BUY", "0.005")
    await fill(world, "c", "SELL", "0.004")
    by_hand(world, "SELL", "0.008", word)
    await world.run(0.5)
    assert [await signed(world, name) for name in "abc"] == [D("0.005"), D("0.002"), D("-0.004")]
    told = await world.events(event)
    assert [(one["subAccountId"], one["quantity"], one["side"]) for one in told] == [
        ("a", D("0.005"), "LONG"),
        ("b", D("0.003"), "LONG"),
    ]
    for one in told:
        shares = {share["subAccountId"]: share["quantity"] for share in one["allocation"]}
        assert shares == {"a": D("0.005"), "b": D("0.003")}
    orders = [order for order in await world.events("order_filled") if order["origin"] == "LIQUIDATION"]
    assert [order["clientOrderId"] for order in orders] == [f"{word}-{order['exchangeOrderId']}" for order in orders]
    assert len(orders) == 1


@in_world()
async def test_a_foreign_fill_that_closes_and_opens_is_split(world: World) -> None:
    world.market.quote(*QUOTE)
    await world.start()
    await fill(world, "main", "BUY", "0.010")
    by_hand(world, "SELL", "0.015")
    await world.run(0.5)
    assert [await signed(world, name) for name in ("main", "external")] == [0, D("-0.005")]


@pytest.mark.parametrize("while_down", [False, True])
@in_world()
async def test_a_manual_reduction_is_allocated_whether_watched_or_not(world: World, while_down: bool) -> None:
    world.market.quote(*QUOTE)
    await world.start()
    await fill(world, "a", "BUY", "0.010")
    await fill(world, "b", "BUY", "0.010")
    if while_down:
        await world.kill()
    by_hand(world, "SELL", "0.010")
    await world.run(0.5)
    if while_down:
        await world.start()
    await world.run(2)
    assert [await signed(world, name) for name in "ab"] == [D("0.005"), D("0.005")]
    if while_down:
        await world.stop()
        await world.start()
        assert [await signed(world, name) for name in "ab"] == [D("0.005"), D("0.005")], "once"


@pytest.mark.crash
@pytest.mark.parametrize("effect", range(1, 6))
@in_world()
async def test_an_assignment_is_done_once_wherever_the_daemon_dies(world: World, effect: int) -> None:
    world.market.quote(*QUOTE)
    await world.start()
    await fill(world, "main", "BUY", "0.010")
    await world.command("subaccount_put", id="second")
    body = {"symbol": "BTCUSDT", "quantity": "0.004", "price": "61900", "from": "main", "to": "second"}
    asked = {"requestId": "once", "subAccountId": "main"} | body
    world.life.die_at = len(world.life.effects) + effect
    await world.redis.xadd("pms:commands", {"type": "position_assign", "body": json.dumps(asked)})
    await world.run(1)
    world.life.die_at = 0
    if world.daemon is None:
        await world.start()
    await world.run(2)
    reply = await world.command("position_assign", door="stream", **asked)
    assert reply["positionIds"] == ["main:BTCUSDT:1", "second:BTCUSDT:1"]
    assert [await signed(world, name) for name in ("main", "second")] == [D("0.006"), D("0.004")]


@in_world()
async def test_what_the_venue_closes_while_nobody_watches_is_borne_pro_rata_once(world: World) -> None:
    """Its order is found by the trade's order id (execution.md 11)."""
    world.market.quote(*QUOTE)
    await world.start()
    await fill(world, "a", "BUY", "0.010")
    await fill(world, "b", "BUY", "0.005")
    await world.kill()
    by_hand(world, "SELL", "0.006", "adl_autoclose")
    await world.run(1)
    for _ in range(2):
        await world.start()
        await world.run(2)
        assert [await signed(world, name) for name in "ab"] == [D("0.006"), D("0.003")]
        told = await world.events("adl_triggered")
        assert [(one["subAccountId"], one["quantity"]) for one in told] == [("a", D("0.004")), ("b", D("0.002"))]
        await world.kill()
    assert await world.redis.hget("pms:position:external", "BTCUSDT") is None


# --- the simulator's own doing ------------------------------------------------------------------------


@pytest.mark.parametrize("down", [False, True])
@in_world()
async def test_a_liquidation_of_the_account_closes_every_book_to_the_last_digit(world: World, down: bool) -> None:
    """Opposite books too: what the venue held is gone, and the sum of balances is its wallet."""
    world.market.quote(*QUOTE)
    await world.start()
    await fill(world, "a", "BUY", "0.010")
    await fill(world, "b", "BUY", "0.005")
    await fill(world, "c", "SELL", "0.004")
    if down:
        await world.kill()
    world.exchange.liquidate(world.account)
    world.sim.venue.streams.flush(world.clock.now_ms())
    assert world.held() == 0
    if down:
        await world.start()
    await world.run(60)
    held = [await signed(world, name) for name in "abc"]
    assert sum(held) == 0
    told = {one["subAccountId"] for one in await world.events("full_liquidation")}
    assert told == {"a", "b"}, "only the closed side bears it"


@in_world()
async def test_a_deleveraging_takes_from_each_book_its_share(world: World) -> None:
    world.market.quote(*QUOTE)
    await world.start()
    await fill(world, "a", "BUY", "0.010")
    await fill(world, "b", "BUY", "0.005")
    world.exchange.adl(world.account, "BTCUSDT", D("0.006"))
    world.sim.venue.streams.flush(world.clock.now_ms())
    await world.run(2)
    assert [await signed(world, name) for name in "ab"] == [D("0.006"), D("0.003")]
    told = await world.events("adl_triggered")
    assert [(one["subAccountId"], one["quantity"]) for one in told] == [("a", D("0.004")), ("b", D("0.002"))]


@in_world()
async def test_an_order_of_the_app_that_ends_at_its_time_is_booked_for_what_it_filled(world: World) -> None:
    """timeInForce GTD, which only others use."""
    world.market.quote(*QUOTE)
    await world.start()
    till = (world.clock.now_ms() + 602_000) // 1000 * 1000
    order = world.market.rest(world.account, "BUY", D("61799.0"), "0.010", "web_1", time_in_force="GTD", good_till=till)
    world.market.quote("61799.0", "61805.0")
    world.market.hit(order, "0.004")
    await world.run((till - world.clock.now_ms()) / 1000 + 1)
    assert world.resting() == []
    told = [event for event in await world.events() if event.get("clientOrderId") == "web_1"]
    assert [event["type"] for event in told] == ["order_active", "order_partial", "order_expired"]
    assert (told[-1]["ts"] // 1000, told[-1]["filledQty"]) == (till // 1000, D("0.004"))
    assert await signed(world, "external") == D("0.004")
