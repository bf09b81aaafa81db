"""Venue, Redis and events say the same, exactly: compared after every scenario."""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from schemas.ids import OrderId, parse
from tests.world.twap_books import check_twaps

if TYPE_CHECKING:
    from tests.world.world import World

ZERO = Decimal(0)
ENDS = frozenset(("order_filled", "order_cancelled", "order_expired", "order_failed"))
UNANNOUNCED = frozenset(("RECOVERED", "EXTERNAL", "LIQUIDATION"))  # orders that need no order_placed
ENTRY_DIGITS = Decimal("0.00000001")


async def check_books(world: World, lied: bool = False) -> None:
    """Fills, positions, algos, open orders and events of the whole run. The daemon need not live. A venue that `lied`
    may have had two orders of ours for a moment."""
    events = await world.events()
    orders = await _records(world, "pms:order:*")
    check_numbering(events)
    _check_order_events(events, orders)
    for symbol in world.options.symbols:
        _check_fills(world, symbol, orders)
        if not lied:
            _check_one_at_a_time(world, symbol)
    await _check_positions(world, events)
    await _check_balances(world)
    await _check_chases(world, events, orders)
    await check_twaps(world, events, orders)
    await _check_plugins(world, orders)
    await _check_open_orders(world, orders)


def check_numbering(events: list[dict[str, Any]]) -> None:
    """seq has no hole, and each event names the one before it of its sub-account."""
    assert [event["seq"] for event in events] == list(range(events[0]["seq"], events[-1]["seq"] + 1))
    last: dict[str, int] = {}
    for event in events:
        assert event["prevSeq"] == last.get(event["subAccountId"], 0), event
        last[event["subAccountId"]] = event["seq"]


def _check_order_events(events: list[dict[str, Any]], orders: dict[str, dict[str, Any]]) -> None:
    told: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        if event["type"].startswith("order_"):
            told[event["clientOrderId"]].append(event)
    for name, life in told.items():
        assert life[0]["type"] == "order_placed" or life[0]["origin"] in UNANNOUNCED, life[0]
        types = [event["type"] for event in life]
        assert not ENDS.intersection(types[:-1]), f"{name}: {types}"
        assert life[-1]["filledQty"] <= orders[name]["filledQty"]
        if orders[name]["state"] in ("filled", "cancelled", "expired", "failed"):
            assert types[-1] == f"order_{orders[name]['state']}", f"{name}: {types}"
        fills = {event["tradeId"]: event["lastFillQty"] for event in life if event["tradeId"]}
        assert sum(fills.values(), ZERO) == life[-1]["filledQty"], f"{name}: the events tell other fills: {fills}"


def _check_fills(world: World, symbol: str, orders: dict[str, dict[str, Any]]) -> None:
    """Every execution at the venue is booked in one order record, once, with its price and fee."""
    trades = defaultdict(list)
    for trade in world.exchange.trades(world.account, symbol, limit=1000):
        trades[trade.order_id].append(trade)
    known = {order["exchangeOrderId"]: order for order in orders.values() if order["symbol"] == symbol}
    for order_id, fills in trades.items():
        order = known[order_id]
        assert sorted(order["tradeIds"]) == sorted(fill.trade_id for fill in fills), order
        filled = sum(fill.quantity for fill in fills)
        assert order["filledQty"] == filled, order
        assert order["avgFillPrice"] == sum(fill.quantity * fill.price for fill in fills) / filled, order
        assert order["commission"] == sum(fill.commission for fill in fills), order
    for order in known.values():
        assert order["filledQty"] == ZERO or order["exchangeOrderId"] in trades, f"fills out of nothing: {order}"


def _check_one_at_a_time(world: World, symbol: str) -> None:
    """Law 1, at the venue: no two orders of one owner's slot ever rested at the same time."""
    lives: defaultdict[tuple[str, int], list[Any]] = defaultdict(list)
    for order in world.placed(symbol):
        if isinstance(whose := parse(order.client_id), OrderId):
            lives[whose.owner, whose.slot].append(order)
    for placed in lives.values():
        placed.sort(key=lambda order: order.order_id)
        for earlier, later in itertools.pairwise(placed):
            assert not earlier.is_open, f"{later.client_id} was placed beside {earlier.client_id}"
            assert earlier.updated_at <= later.created_at, f"{later.client_id} was placed beside {earlier.client_id}"


async def _check_positions(world: World, events: list[dict[str, Any]]) -> None:
    books: dict[tuple[str, str], dict[str, Any]] = {}
    async for key in world.redis.scan_iter("pms:position:*"):
        for row in (await world.redis.hgetall(key)).values():
            position = _decode(row)
            books[position["subAccountId"], position["symbol"]] = position
    told = {
        (event["subAccountId"], event["symbol"]): event["quantity"] * (-1 if event["side"] == "SHORT" else 1)
        for event in events
        if event["type"] in ("position_updated", "position_reduced", "position_closed")
    }
    assert told == {owner: position["signedQuantity"] for owner, position in books.items()}
    for symbol in world.options.symbols:
        ours = [position for (_, name), position in books.items() if name == symbol]
        assert sum((position["signedQuantity"] for position in ours), ZERO) == world.held(symbol)
        if len(ours) == 1:  # with several, the venue averages what each of them keeps apart
            (view,) = world.exchange.positions(world.account, symbol)
            assert ours[0]["entryPrice"].quantize(ENTRY_DIGITS) == view.entry_price.quantize(ENTRY_DIGITS)


async def _check_balances(world: World) -> None:
    """What all sub-accounts own, `external` too, is the wallet, to the last digit (execution.md 13)."""
    accounts = await _records(world, "pms:subaccount:*")
    assert sum((account["balance"] for account in accounts.values()), ZERO) == world.wallet()


async def _check_chases(world: World, events: list[dict[str, Any]], orders: dict[str, dict[str, Any]]) -> None:
    told = [event for event in events if "chaseId" in event and event["type"] != "command_result"]
    newest = {event["chaseId"]: event for event in told}
    asked: defaultdict[str, Decimal] = defaultdict(Decimal)  # the most that was ever wanted, of what was not filled yet
    for event in told:
        if event["filledQuantity"] < event["quantity"]:
            asked[event["chaseId"]] = max(asked[event["chaseId"]], event["quantity"])
    chases = await _records(world, "pms:chase:*")
    listed: set[str] = set()
    async for key in world.redis.scan_iter("pms:active_chase:*"):
        listed |= {name.decode() for name in await world.redis.hkeys(key)}
    assert listed == {
        name for name, chase in chases.items() if chase["status"] not in ("filled", "cancelled", "failed")
    }
    for name, chase in chases.items():
        children = [order for order in orders.values() if order["parentId"] == name]
        filled = sum((order["filledQty"] for order in children), ZERO)
        assert chase["filledQuantity"] == filled <= chase["quantity"], chase
        assert filled <= asked[name], f"more than anybody asked for: {chase}"
        if filled:
            paid = sum(order["filledQty"] * order["avgFillPrice"] for order in children)
            assert chase["fillPrice"].quantize(ENTRY_DIGITS) == (paid / filled).quantize(ENTRY_DIGITS)
        assert newest[name]["filledQuantity"] == filled, newest[name]
        assert newest[name]["status"] == chase["status"], newest[name]
        assert chase["child"] is None or chase["status"] not in ("filled", "cancelled", "failed"), chase
    starts = Counter(event["chaseId"] for event in events if event["type"] == "chase_started")
    assert starts == Counter(list(chases)), "each chase starts once"


async def _check_plugins(world: World, orders: dict[str, dict[str, Any]]) -> None:
    """An algo of a plug-in knows what its orders filled, and is listed while it lives."""
    listed: set[str] = set()
    async for key in world.redis.scan_iter("pms:active_algo:*"):
        listed |= {name.decode() for name in await world.redis.hkeys(key)}
    algos = {name.split(":")[1]: algo for name, algo in (await _records(world, "pms:algo:*")).items()}
    assert listed == {
        name for name, algo in algos.items() if algo["status"] not in ("completed", "cancelled", "failed")
    }
    for name, algo in algos.items():
        children = [order for order in orders.values() if order["parentId"] == name]
        if "protectionId" in algo:
            filled = sum((order["filledQty"] for order in children), ZERO)
            assert algo["filledQuantity"] == filled, algo
            held = {order["clientOrderId"] for leg in algo["legs"] for order in leg["orders"]}
            live = {order["clientOrderId"] for order in children if order["state"] not in _GONE}
            assert held <= live, algo
            assert not held or name in listed, algo
            continue
        for leg in algo["legs"]:
            filled = sum((order["filledQty"] for order in children if order["side"] == leg["side"]), ZERO)
            assert leg["filled"] == filled <= leg["quantity"], algo
        assert not algo["orders"] or name in listed or algo["status"] == "failed", algo


_GONE = ("filled", "cancelled", "expired", "failed")


async def _check_open_orders(world: World, orders: dict[str, dict[str, Any]]) -> None:
    rows: dict[str, dict[str, Any]] = {}
    async for key in world.redis.scan_iter("pms:open_orders:*"):
        rows |= {name.decode(): _decode(row) for name, row in (await world.redis.hgetall(key)).items()}
    live = {
        name: order
        for name, order in orders.items()
        if order["state"] not in ("filled", "cancelled", "expired", "failed")
    }
    assert rows == live
    if world.daemon is not None:
        resting = {order.client_id for symbol in world.options.symbols for order in world.resting(symbol)}
        resting |= {order.client_id for order in world.waiting()}
        assert resting == set(live), "the venue and the records show other open orders"


async def _records(world: World, pattern: str) -> dict[str, dict[str, Any]]:
    found = {}
    async for key in world.redis.scan_iter(pattern):
        found[key.decode().split(":", 2)[2]] = _decode(await world.redis.get(key))
    return found


def _decode(body: bytes) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(body, parse_float=Decimal, parse_int=_exact)
    return decoded


def _exact(text: str) -> Any:
    """Whole quantities are decimals too; ids and times stay equal to integers either way."""
    return Decimal(text)
