"""A small exchange account and the records of it, as a recovery sees them (recovery.reconcile's Account and Hands).

Every act of a plan is carried out by the functions that keep the daemon's records, so that a second plan is made on
what the first one left.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from algos.view import View
from pms.core import orders
from recovery.plan import Drift, Recorded
from schemas.chase import AlgoStatus
from schemas.ids import OrderId, make, parse
from schemas.market import Side
from schemas.orders import Fill, Order, OrderState, Origin
from schemas.reports import Report, VenuePosition, VenueStatus

D = Decimal
T = TypeVar("T")
SYMBOL = "BTCUSDT"
NOW = 1_000_000
ALGO = "c000000001"
GONE = "c000000002"
_replace = msgspec.structs.replace


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")


async def no_pause(seconds: float) -> None:
    assert seconds > 0


def order_id(owner: str = ALGO, attempt: int = 1, epoch: int = 5) -> str:
    return make(OrderId("main", owner, epoch, 0, attempt))


def view(algo_id: str = ALGO, *children: str) -> View:
    return View(algo_id, algo_id, "main", SYMBOL, AlgoStatus.ACTIVE, 0, False, children, 0, ())


class Account:
    """Orders, trades and positions at the venue (`truth`), and the records (`records`, `algos`, `book_of`)."""

    def __init__(self) -> None:
        self.truth: dict[str, Report] = {}
        self.fills: list[Fill] = []
        self.position = D(0)
        self.records: dict[str, Order] = {}
        self.algos: dict[str, View] = {}
        self.book_of: dict[str, Decimal] = {}
        self.asked: list[str] = []
        self.acts: list[str] = []

    # --- what there is --------------------------------------------------------------------------------

    def at_venue(self, client_id: str, status: VenueStatus = VenueStatus.OPEN, filled: int = 0, **more: Any) -> Report:
        """An order of ten at the venue, with a trade for what it filled."""
        number = len(self.truth) + 1
        said = Report(
            client_id, number, SYMBOL, Side.BUY, status, "LIMIT", "GTX", D(100), D(10), D(filled), False, NOW, **more
        )
        self.truth[client_id] = said
        if filled:
            self.fills.append(Fill(SYMBOL, number, number, Side.BUY, D(100), D(filled), D(0), "USDT", True, NOW))
            self.position += filled
        return said

    def record(self, client_id: str, state: OrderState = OrderState.ACTIVE, parent: str = ALGO, **more: Any) -> Order:
        """Our own record of an order of ten."""
        order = Order(
            client_order_id=client_id,
            sub_account_id="main",
            symbol=SYMBOL,
            side=Side.BUY,
            order_type="LIMIT",
            time_in_force="GTX",
            quantity=D(10),
            price=D(100),
            reduce_only=False,
            state=state,
            origin=Origin.CHASE,
            parent_id=parent,
            root_id=parent,
            created_at=NOW - 60_000,
            updated_at=NOW - 60_000,
        )
        self.records[client_id] = _replace(order, **more)
        return self.records[client_id]

    def settled(self) -> bool:
        """Whether books and venue agree and no record waits."""
        return sum(self.book_of.values(), D(0)) == self.position and all(
            order.state.terminal or self.truth[name].status is VenueStatus.OPEN for name, order in self.records.items()
        )

    # --- recovery.reconcile.Account -------------------------------------------------------------------

    def time_ms(self) -> int:
        return NOW

    async def open_orders(self, symbol: str | None = None) -> list[Report]:
        self.asked.append("open_orders")
        return [report for report in self.truth.values() if report.status is VenueStatus.OPEN]

    async def look_up(self, symbol: str, client_id: str, conditional: bool = False) -> Report | None:
        self.asked.append(f"look_up {client_id}")
        return self.truth.get(client_id)

    async def trades(self, symbol: str, since_ms: int, order_id: int | None = None) -> list[Fill]:
        self.asked.append("trades")
        return list(self.fills)

    async def orders(self, symbol: str, since_ms: int) -> list[Report]:
        self.asked.append("orders")
        return list(self.truth.values())

    async def positions(self) -> list[VenuePosition]:
        self.asked.append("positions")
        return [VenuePosition(SYMBOL, self.position, D(100), NOW)]


class Hands:
    """recovery.reconcile.Hands on an `Account`'s records."""

    def __init__(self, account: Account) -> None:
        self.account = account

    def recorded(self) -> Recorded:
        self.account.asked.append("recorded")
        return Recorded(
            dict(self.account.records), dict(self.account.algos), {SYMBOL: sum(self.account.book_of.values())}
        )

    def trades_since(self, held: Iterable[str]) -> dict[str, int]:
        return {SYMBOL: NOW - 60_000}

    def settle(self, report: Report) -> None:
        self._act(f"settle {report.client_id}")
        order = self.account.records[report.client_id]
        self._keep(orders.reported(order, report, NOW, answers=True))

    def book(self, client_id: str, fill: Fill, stranger: Report | None) -> None:
        self._act(f"book {client_id or 'external'}")
        name = client_id or f"order-{fill.exchange_order_id}"
        if name not in self.account.records:
            owner = getattr(parse(client_id), "owner", "")
            self.account.record(name, OrderState.PLACING, owner, exchange_order_id=fill.exchange_order_id)
            if stranger is not None:
                self._keep(orders.reported(self.account.records[name], stranger, NOW, answers=True))
            else:
                self.account.records[name] = _replace(self.account.records[name], quantity=fill.quantity)
        self._keep(orders.booked(self.account.records[name], fill, NOW))

    def adopt(self, report: Report, algo_id: str) -> None:
        self._act(f"adopt {report.client_id}")
        if report.client_id not in self.account.records:
            self.account.record(report.client_id, OrderState.PLACING, algo_id)
        self._keep(orders.reported(self.account.records[report.client_id], report, NOW, answers=True))
        self.account.algos[algo_id] = view(algo_id, report.client_id)

    def resolve(self, client_id: str) -> None:
        """The settle window passes, and nobody has seen the order."""
        self._act(f"resolve {client_id}")
        order = self.account.records[client_id]
        self._keep(orders.not_placed(order, "never arrived", NOW))

    async def cancel(self, report: Report) -> str:
        self._act(f"cancel {report.client_id}")
        ended = _replace(self.account.truth[report.client_id], status=VenueStatus.CANCELLED)
        self.account.truth[report.client_id] = ended
        if report.client_id in self.account.records:
            self._keep(orders.reported(self.account.records[report.client_id], ended, NOW))
        return "cancelled"

    def drift(self, drift: Drift) -> None:
        self._act(f"drift {drift.symbol}")

    def _act(self, what: str) -> None:
        self.account.acts.append(what)

    def _keep(self, change: orders.Change) -> None:
        order, fill = change.order, change.fill
        self.account.records[order.client_order_id] = order
        if fill is not None:
            held = self.account.book_of.get(order.sub_account_id, D(0))
            self.account.book_of[order.sub_account_id] = held + fill.side.sign * fill.quantity
        algo = self.account.algos.get(order.parent_id)
        if algo is not None and order.state.terminal:
            left = tuple(child for child in algo.live_children if child != order.client_order_id)
            self.account.algos[algo.algo_id] = _replace(algo, live_children=left)
