"""The recordings through the exchange: exact while we only watch, sound while we trade."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pms.sim import symbols
from pms.sim.captures import apply_levels
from pms.sim.exchange import Exchange
from pms.sim.model import DepthDiff, DepthSnapshot, FeedEvent, NewOrder, Order, Print, Side, Touch, VenueError
from pms.sim.replay import replay
from tests.pure.sim.rig import SIDES, D, Rig

pytestmark = pytest.mark.replay
CAPTURES = ("btcusdt_20240808", "btcusdt_20240718", "ethusdt_20240718")
LOT = D("0.05")


class Hall(Rig):
    """An exchange with the real symbols, fed by one recording; the clock is the recording's."""

    def __init__(self, shared: Path, name: str) -> None:
        super().__init__()
        self.symbol = name[:7].upper()
        self.path = shared / "data" / "captures" / f"{name}.gz"
        self.exchange = Exchange(symbols.rules(symbols.SYMBOLS), self.now, self)
        self.recorded: tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]] = ({}, {})

    def play(self) -> Iterator[FeedEvent]:
        for event in replay([self.path]):
            self.time = event.time
            self.exchange.apply(event)
            if isinstance(event, DepthDiff | DepthSnapshot):
                apply_levels(self.recorded[0], event.bids)
                apply_levels(self.recorded[1], event.asks)
            yield event

    def shown(self) -> tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]:
        depth = self.exchange.depth(self.symbol, 10_000)
        return dict(depth.bids), dict(depth.asks)


@pytest.mark.parametrize("name", CAPTURES)
def test_watched_only_every_book_id_touch_and_print_is_as_recorded(shared: Path, name: str) -> None:
    hall = Hall(shared, name)
    touches: list[Touch] = []
    prints: list[tuple[Any, ...]] = []
    for number, event in enumerate(hall.play()):
        if isinstance(event, DepthDiff):
            before, told = hall.changes[-2:]
            assert told.prev_id == before.last_id
            assert told.last_id == event.last_id
            assert told.first_id == max(event.first_id, before.last_id + 1), "the first frame overlaps the snapshot"
            if number % 20 == 0:
                assert hall.shown() == hall.recorded
        elif isinstance(event, Touch):
            touches.append(event)
        elif isinstance(event, Print):
            prints.append((event.trade_id, event.price, event.quantity, event.time))
    assert hall.shown() == hall.recorded
    assert hall.touches[1:] == touches, "the first is the snapshot's"
    assert [(row.trade_id, row.price, row.quantity, row.time) for row in hall.prints] == prints


class Trader:
    """Joins the touch, moves with it, takes now and then: by a seed."""

    def __init__(self, hall: Hall) -> None:
        self.hall = hall
        self.chance = random.Random(7)
        self.orders: list[Order] = []
        self.count = 0

    def act(self) -> None:
        self.orders = [order for order in self.orders if order.is_open]
        side = self.chance.choice(SIDES)
        what = self.chance.random()
        if len(self.orders) < 4 and what < 0.5:
            self.place("a", side, join=True)
        elif what < 0.55:
            self.place("b", side, join=False)
        elif self.orders:
            order = self.chance.choice(self.orders)
            if what > 0.95:
                self.hall.exchange.cancel("a", self.hall.symbol, order_id=order.order_id)
                return
            self.hall.exchange.amend(
                "a", self.hall.symbol, order_id=order.order_id, quantity=LOT, price=self.price(order.side, join=True)
            )

    def price(self, side: Side, join: bool) -> Decimal:
        touch = self.hall.touches[-1]
        return touch.bid if (side == "BUY") == join else touch.ask

    def place(self, account: str, side: Side, join: bool) -> None:
        self.count += 1
        tif = "GTX" if join else "IOC"
        order = NewOrder(self.hall.symbol, side, "LIMIT", LOT, f"t{self.count}", self.price(side, join), tif)
        placed = self.hall.exchange.place(account, order)
        if account == "a":
            self.orders.append(placed)


@pytest.mark.parametrize("name", CAPTURES)
def test_with_orders_of_ours_the_book_never_crosses_and_comes_back_to_the_recording(shared: Path, name: str) -> None:
    hall = Hall(shared, name)
    trader = Trader(hall)
    for number, _ in enumerate(hall.play()):
        if number > 10 and number % 7 == 0:
            with suppress(VenueError):
                trader.act()
        touch = hall.touches[-1]
        assert touch.bid < touch.ask
        if number % 50 == 0:
            depth = hall.exchange.depth(hall.symbol, 1)
            assert depth.bids[0][0] < depth.asks[0][0]
    hall.exchange.cancel_all("a", hall.symbol)
    trades = [*hall.exchange.trades("a", limit=10**6), *hall.exchange.trades("b", limit=10**6)]
    assert sum(trade.maker for trade in trades) > 50, "orders fill from recorded trades"
    differing = [
        price
        for shown, recorded in zip(hall.shown(), hall.recorded, strict=True)
        for price in shown.keys() | recorded.keys()
        if shown.get(price) != recorded.get(price)
    ]
    assert len(differing) <= 4, "what we took or a newer touch said, until the feed speaks of the level again"
    changes = hall.changes
    assert all(row.prev_id < row.first_id <= row.last_id for row in changes)
