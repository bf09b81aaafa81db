"""The recovery's hands on a running desk: what the records say, and what is done to them (recovery.reconcile.Hands)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from functools import partial

from algos.step import OrderUpdate
from algos.view import View
from pms.desk import Desk
from pms.outcomes import Outcomes
from pms.unresolved import EVERYBODY, Unresolved
from pms.venue import Amend, Cancel, Done, Place, Refused, Venue, placing
from recovery.plan import CancelOrder, Drift, Plan, Recorded
from schemas.books import Position
from schemas.events_system import PositionDrift
from schemas.ids import OrderId, VenueOrder, parse
from schemas.market import ZERO
from schemas.orders import Cause, Fill, Order, OrderState, Origin
from schemas.records import EXTERNAL
from schemas.reports import Report


class DeskHands:
    """See the module. `blocked` collects the symbols whose position nothing explains, `unresolved` the orders of which
    something is open, `suspected` the symbols whose trades the wallet tells of and no book knows."""

    def __init__(
        self, desk: Desk, outcomes: Outcomes, venue: Venue, blocked: dict[str, str], unresolved: Unresolved
    ) -> None:
        self._desk = desk
        self._outcomes = outcomes
        self._venue = venue
        self.blocked = blocked
        self.unresolved = unresolved
        self.suspected: set[str] = set()

    def recorded(self) -> Recorded:
        ledger = self._desk.ledger
        books: dict[str, Decimal] = {}
        for (_, symbol), position in ledger.positions.items():
            books[symbol] = books.get(symbol, ZERO) + position.signed_quantity
        views: dict[str, View] = {
            algo_id: runner.kind.view(runner.state) for algo_id, runner in self._desk.runners.items()
        }
        newest = {symbol: (booked.trade_time, booked.trade_id) for symbol, booked in ledger.watermark.symbols.items()}
        accepted = {symbol: booked.accepted_at for symbol, booked in ledger.watermark.symbols.items()}
        return Recorded(orders=dict(ledger.orders), algos=views, books=books, newest=newest, accepted=accepted)

    def trades_since(self, held: Iterable[str]) -> dict[str, int]:
        ledger = self._desk.ledger
        watermark = ledger.watermark
        contact = watermark.since or self._desk.now()
        since = dict.fromkeys((*held, *self.suspected), contact)
        for order in ledger.orders.values():
            if not order.state.terminal:
                since[order.symbol] = min(order.created_at, since.get(order.symbol, order.created_at))
        known = {symbol: max(seen.trade_time, seen.accepted_at) for symbol, seen in watermark.symbols.items()}
        return since | {symbol: time or contact for symbol, time in known.items()}

    def settle(self, report: Report) -> None:
        self._outcomes.found(self._desk.ledger.orders[report.client_id], report)

    def book(self, client_id: str, fill: Fill, stranger: Report | None) -> None:
        name = self._stranger_name(client_id, fill)
        if name not in self._desk.ledger.orders:
            self._remember_stranger(client_id, fill, stranger)
        self._outcomes.book(name, fill)

    def _stranger_name(self, client_id: str, fill: Fill) -> str:
        return client_id or f"order-{fill.exchange_order_id}"

    def _remember_stranger(self, client_id: str, fill: Fill, stranger: Report | None) -> None:
        """A record for an order that we have none of, so that its trades move a book: its owner's, or `external`."""
        whose = parse(client_id)
        origin = Origin.EXTERNAL
        account = EXTERNAL
        if isinstance(whose, OrderId):
            account, origin = self._outcomes.account_of(whose), Origin.RECOVERED
        elif isinstance(whose, VenueOrder):
            origin = Origin.LIQUIDATION
        name = self._stranger_name(client_id, fill)
        order = Order(
            client_order_id=name,
            sub_account_id=account,
            symbol=fill.symbol,
            side=fill.side,
            order_type="LIMIT",
            time_in_force="GTC",
            quantity=fill.quantity if stranger is None else stranger.quantity,
            price=fill.price if stranger is None else stranger.price,
            reduce_only=stranger is not None and stranger.reduce_only,
            flagged=stranger is not None and stranger.reduce_only,
            state=OrderState.PLACING,
            origin=origin,
            parent_id=whose.owner if isinstance(whose, OrderId) else "",
            root_id="",
            created_at=fill.time,
            updated_at=fill.time,
            exchange_order_id=fill.exchange_order_id,
        )
        with self._desk.step() as unit:
            unit.order(order)
        if stranger is not None:
            self._outcomes.found(order, stranger)

    def adopt(self, report: Report, algo_id: str) -> None:
        runner = self._desk.runners[algo_id]
        view = runner.kind.view(runner.state)
        booked = self._desk.ledger.orders.get(report.client_id)  # its trades came first, and made the record
        order = booked or self._outcomes.adopt(report, view.sub_account_id, Origin.RECOVERED)
        self._outcomes.found(order, report)
        known = self._desk.ledger.orders[report.client_id]
        self._desk.offer(runner, OrderUpdate(self._desk.now(), known, while_down=True, adopt=True))

    def resolve(self, client_id: str) -> None:
        """Ask on in the background; the order's owner waits, since its child's fate is unknown."""
        order = self._desk.ledger.orders[client_id]
        execution = self._desk.execution
        assert execution is not None, "recovery runs on a wired desk"
        if execution.busy(client_id):
            return
        request: Place | Amend | Cancel
        if order.next_price is not None and order.next_quantity is not None:
            request = Amend(order.symbol, client_id, order.side, order.next_quantity, order.next_price)
        elif order.state is OrderState.CANCELLING:
            request = Cancel(order.symbol, client_id, order.waiting)
        else:
            request = placing(order, order.reduce_only)
        self._outcomes.on_unknown(client_id, "recovery", "not found at start")
        self._outcomes.unwatched(client_id)
        why = "placed or changed before the start, and the venue does not show what became of it"
        self.unresolved.add(client_id, order.sub_account_id, order.symbol, why)
        execution.resolve(request, partial(self.unresolved.over, client_id))

    async def cancel(self, report: Report) -> str:
        if stopped := self._outcomes.may_send(report.client_id, exiting=True):
            return self._stays(report, stopped)
        outcome = await self._venue.cancel(Cancel(report.symbol, report.client_id, report.conditional))
        match outcome:
            case Done(report=after):
                order = self._desk.ledger.orders.get(report.client_id)
                if order is not None:
                    self._outcomes.found(order, after)
                self.unresolved.over(report.client_id)
                return f"cancelled, filled {after.filled}"
            case Refused(cause=Cause.NOT_FOUND):
                self.unresolved.over(report.client_id)
                return "already gone"
            case _:
                return self._stays(report, str(outcome))

    def _stays(self, report: Report, why: str) -> str:
        """An order that should be gone may still fill, for whom its id tells."""
        whose = parse(report.client_id)
        account = self._outcomes.account_of(whose) if isinstance(whose, OrderId) else EXTERNAL
        owner = EVERYBODY if account == EXTERNAL else account
        message = f"it should leave the market and was not cancelled ({why})"
        self.unresolved.add(report.client_id, owner, report.symbol, message, leaves=True)
        return f"not cancelled: {why}"

    def begin(self, made: Plan) -> None:
        """A new run judges anew: what still is wrong is found again; what stays so keeps its alarm."""
        for symbol in set(self.blocked) - {found.symbol for found in made.verdicts if isinstance(found, Drift)}:
            self.lift(symbol)
        leaving = {found.report.client_id for found in made.verdicts if isinstance(found, CancelOrder)}
        self.unresolved.begin(leaving.union(made.unresolved))
        self.suspected.clear()

    def lift(self, symbol: str) -> None:
        """Nothing is wrong with a symbol any more."""
        self.blocked.pop(symbol, None)
        self._desk.alarms.clear("position_drift", symbol, self._desk.now())

    def average(self, position: Position, entry: Decimal) -> None:
        """Take the venue's average entry for that of a position that nobody else has a part in."""
        with self._desk.step() as unit:
            self._desk.books.average(unit, position, entry)

    def drift(self, drift: Drift) -> None:
        if self.blocked.get(drift.symbol) == drift.evidence:
            return
        self.blocked[drift.symbol] = drift.evidence
        message = (
            f"{drift.evidence}. No new risk is taken on {drift.symbol}. Book the difference on `external` with "
            "drift_accept, then give it to its owner with position_assign."
        )
        now = self._desk.now()
        self._desk.alarms.sound("position_drift", "critical", drift.symbol, message, now)
        with self._desk.step() as unit:
            event = PositionDrift(
                ts=now,
                symbol=drift.symbol,
                venue_quantity=drift.venue,
                books_quantity=drift.books,
                action="new_risk_blocked",
            )
            unit.event(event)
