"""An exchange with one symbol on a hand-driven clock, and an observer that writes down what it hears.

Prices are around 1000 with a tick of 0.1 and a step of 0.001, so that numbers in tests can be read.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, get_args

import msgspec

from pms.sim.exchange import Exchange, Settings
from pms.sim.journal import Journal
from pms.sim.model import DepthDiff, DepthSnapshot, Mark, NewOrder, Order, Print, Rules, Side, Touch
from pms.sim.views import AggTrade

D = Decimal
SYMBOL = "XUSDT"
RULES = Rules(
    symbol=SYMBOL,
    base="X",
    quote="USDT",
    tick=D("0.10"),
    min_price=D("10"),
    max_price=D("100000"),
    step=D("0.001"),
    min_qty=D("0.001"),
    max_qty=D("1000"),
    market_min_qty=D("0.001"),
    market_max_qty=D("120"),
    market_step=D("0.001"),
    min_notional=D("50"),
    multiplier_up=D("1.05"),
    multiplier_down=D("0.95"),
    market_take_bound=D("0.05"),
    max_orders=5,
    price_precision=2,
    quantity_precision=3,
)
START = 1_790_000_000_000
Level = tuple[object, object]
_names = itertools.count(1)


def levels(rows: Iterable[Level]) -> tuple[tuple[Decimal, Decimal], ...]:
    return tuple((D(str(price)), D(str(quantity))) for price, quantity in rows)


class Rig:
    """Exchange and observer in one."""

    def __init__(self, journal: Journal | None = None, settings: Settings | None = None, **rules: Any) -> None:
        self.time = START
        self.users: list[tuple[str, dict[str, Any]]] = []
        self.changes: list[DepthDiff] = []
        self.touches: list[Touch] = []
        self.prints: list[Print] = []
        self.aggregates: list[AggTrade] = []
        self.marks: list[Mark] = []
        self.rules = msgspec.structs.replace(RULES, **rules)
        self.exchange = Exchange({SYMBOL: self.rules}, self.now, self, journal, settings or Settings())

    def now(self) -> int:
        return self.time

    # --- observer ---

    def user_event(self, account: str, event: dict[str, object]) -> None:
        self.users.append((account, event))

    def depth_changed(self, change: DepthDiff) -> None:
        self.changes.append(change)

    def touch_changed(self, touch: Touch) -> None:
        self.touches.append(touch)

    def printed(self, trade: Print) -> None:
        self.prints.append(trade)

    def aggregated(self, trade: AggTrade) -> None:
        self.aggregates.append(trade)

    def marked(self, mark: Mark) -> None:
        self.marks.append(mark)

    # --- feed ---

    def book(self, bids: Iterable[Level], asks: Iterable[Level], last_id: int = 0) -> None:
        self.exchange.apply(DepthSnapshot(SYMBOL, self.time, levels(bids), levels(asks), last_id))

    def diff(self, bids: Iterable[Level] = (), asks: Iterable[Level] = (), first: int = 0, last: int = 0) -> None:
        self.exchange.apply(DepthDiff(SYMBOL, self.time, levels(bids), levels(asks), first, last))

    def touch(self, bid: Level, ask: Level, update_id: int = 0) -> None:
        (bid_price, bid_qty), (ask_price, ask_qty) = levels([bid, ask])
        self.exchange.apply(Touch(SYMBOL, self.time, bid_price, bid_qty, ask_price, ask_qty, update_id))

    def print(self, price: object, quantity: object, buyer_is_maker: bool, trade_id: int = 0) -> None:
        self.exchange.apply(Print(SYMBOL, self.time, D(str(price)), D(str(quantity)), buyer_is_maker, trade_id))

    def mark(self, price: object) -> None:
        self.exchange.apply(Mark(SYMBOL, self.time, D(str(price)), D(str(price))))

    # --- orders ---

    def new(self, side: Side, quantity: object, price: object = 0, **more: Any) -> NewOrder:
        kind = "LIMIT" if price else "MARKET"
        fields = {"symbol": SYMBOL, "type": kind, "client_id": f"c{next(_names)}", **more}
        return NewOrder(side=side, quantity=D(str(quantity)), price=D(str(price)), **fields)

    def buy(self, quantity: object, price: object = 0, account: str = "a", **more: Any) -> Order:
        return self.exchange.place(account, self.new("BUY", quantity, price, **more))

    def sell(self, quantity: object, price: object = 0, account: str = "a", **more: Any) -> Order:
        return self.exchange.place(account, self.new("SELL", quantity, price, **more))

    def amend(self, order: Order, quantity: object, price: object, **more: Any) -> Order:
        return self.exchange.amend(
            order.account, SYMBOL, order_id=order.order_id, quantity=D(str(quantity)), price=D(str(price)), **more
        )

    def cancel(self, order: Order) -> Order:
        return self.exchange.cancel(order.account, SYMBOL, order_id=order.order_id)

    # --- what happened ---

    def told(self, account: str = "a") -> list[str]:
        """The account's user events in short: TRADE_LITE, ACCOUNT_UPDATE, or execution/status of an order event."""
        return [short(event) for name, event in self.users if name == account]

    def amount(self, account: str = "a") -> Decimal:
        return self.exchange.positions(account, SYMBOL)[0].amount

    def asks(self) -> list[tuple[Decimal, Decimal]]:
        return list(self.exchange.depth(SYMBOL).asks)

    def bids(self) -> list[tuple[Decimal, Decimal]]:
        return list(self.exchange.depth(SYMBOL).bids)


def short(event: dict[str, Any]) -> str:
    if event["e"] != "ORDER_TRADE_UPDATE":
        return str(event["e"])
    return f"{event['o']['x']}/{event['o']['X']}"


def usual(**rules: Any) -> Rig:
    """10 lots at each of three levels around 1000, mark 1000."""
    rig = Rig(**rules)
    rig.book([(999.9, 10), (999.8, 10), (999.7, 10)], [(1000.1, 10), (1000.2, 10), (1000.3, 10)])
    rig.mark(1000)
    rig.changes.clear()
    rig.touches.clear()
    return rig


SIDES: tuple[Side, ...] = get_args(Side)
