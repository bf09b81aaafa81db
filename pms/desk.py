"""All running algos and the orders between them and the venue: the place where inputs become atomic steps.

Every word from the venue (`Sink`, `Outcomes`) and every decision of an algo (`StepTaker`) passes here: order record,
position, algo, events and the next requests' intents go into one `Unit`, and the requests leave through `Execution`
when it is durable. Refuses to decide (algos, core) and to do I/O (store, execution).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import structlog

from algos import step
from algos.registry import KINDS, PROTECTION, Kind
from algos.step import Action, AmendChild, CancelChild, Failure, OrderUpdate, PlaceChild
from pms import algo_news
from pms.alarms import Alarms
from pms.allowances import Allowances
from pms.books import Books
from pms.bus.batch import Claim
from pms.clock import Clock
from pms.closers import Closers
from pms.core.orders import Change
from pms.core.risk import Approved
from pms.covers import Covers
from pms.execution import Execution
from pms.exit_ledger import ExitLedger
from pms.family import Family
from pms.fates import Fates
from pms.guards import Guards
from pms.ledger import Ledger
from pms.market import Market
from pms.order_entry import OrderEntry
from pms.protections import Protections
from pms.runner import Decided, Runner
from pms.tasks import Tasks
from pms.unit import Unit, rewriting
from pms.withdrawals import Withdrawals
from schemas.market import ZERO, Instrument
from schemas.orders import Order, OrderState, Origin
from schemas.records import EXTERNAL

if TYPE_CHECKING:
    from pms.exit_orders import ExitOrders

ALGO_ORIGINS = frozenset((Origin.ALGO, *(kind.origin for kind in KINDS.values() if kind is not PROTECTION)))

_log = structlog.get_logger("pms.desk")


class Desk:
    """See the module. `now` is venue-corrected ms."""

    def __init__(
        self,
        ledger: Ledger,
        market: Market,
        clock: Clock,
        now: Callable[[], int],
        alarms: Alarms,
        instruments: dict[str, Instrument],
        tasks: Tasks,
        allowances: Allowances,
    ) -> None:
        self.ledger = ledger
        self.market = market
        self.alarms = alarms
        self.allowances = allowances
        self.instruments = instruments
        self.now = now
        self.runners: dict[str, Runner] = {}
        self.execution: Execution | None = None
        self.closing: ExitOrders | None = None
        self._clock = clock
        self.tasks = tasks
        self._following: set[str] = set()
        self._unit: Unit | None = None
        self.books = Books(ledger, instruments, self.mark, now)
        self.exits = ExitLedger(ledger, self.books)
        self.entry = OrderEntry(ledger, self.exits, allowances, market, instruments, now)
        self.withdrawals = Withdrawals(self.step, self.entry, ledger, clock, now, tasks)
        self.fates = Fates()
        self.closers = Closers(self)
        self.family = Family(self)
        self.protections = Protections()
        self.covers = Covers(self)
        self.guards = Guards(self)

    # --- runners --------------------------------------------------------------------------------------

    def begin(self, kind: Kind, state: Any) -> Runner:
        """A runner for a state; it gets quotes from `attach` on."""
        return Runner(kind, state, self._clock, self.now, self)

    def register(self, runner: Runner) -> None:
        """Words about its orders reach a runner from now on; quotes only once it follows."""
        self.runners[runner.algo_id] = runner
        self.covers.add(runner)
        self.guards.add(runner)

    def follow(self, runner: Runner) -> None:
        """Quotes and its alarm reach a runner and its children from now on. Its symbol is watched (`Market.watch`)."""
        view = runner.kind.view(runner.state)
        self._following.add(view.algo_id)
        if view.symbol:
            self.market.subscribe(view.symbol, runner, touches=view.follows == "touch")
            self.protections.add(view, runner)
        runner.arm(view.wake_at)
        for child in view.child_algos:
            if child in self.runners:
                self.family.follow(self.runners[child])
        self.covers.tell(view.symbol)

    def _detach(self, runner: Runner) -> None:
        """A finished runner is unregistered (design.md rule 6)."""
        algo_id, symbol = runner.algo_id, runner.symbol
        runner.close()
        self.runners.pop(algo_id, None)
        self.covers.discard(symbol, algo_id)
        self.guards.discard(algo_id, runner.state)
        if algo_id in self._following:
            self._following.discard(algo_id)
            if symbol:
                self.market.unsubscribe(symbol, runner)
                self.protections.discard(symbol, algo_id)
                self.tasks.spawn(self.market.release(symbol), f"release {symbol}")

    def follows(self, algo_id: str) -> bool:
        """Whether an algo gets quotes; one that is being recovered does not yet."""
        return algo_id in self._following

    def offer(self, runner: Runner, given: step.Input, request_id: str = "") -> None:
        """Give an input to an algo as one atomic step."""
        with self.step(request_id):
            runner.offer(given)

    def on_wake(self, runner: Runner) -> None:
        """StepTaker: what a record waited for has come."""
        runner.woken()
        due = runner.kind.view(runner.state).wake_at  # milliseconds are cut: an alarm may ring within the one before
        self.offer(runner, step.Timer(max(self.now(), due), self.quote_of(runner)))

    def quote_of(self, runner: Runner) -> Any:
        """The newest quote of the runner's symbol, None while it is stale."""
        return self.market.quote(runner.symbol)

    def launch(
        self, runner: Runner, actions: tuple[Action, ...], request_id: str, approved: tuple[Order, Approved] | None
    ) -> None:
        """Make a new algo known and act for it: record, event and first order in one step. `approved`: all that it asks
        for is this order, which the gate has approved in this turn."""
        runner.kind.check(None, None, runner.state, actions)
        with self.step(request_id) as unit:
            self.register(runner)
            self.record(unit, runner, started=True)
            if approved is None:
                self.act(unit, runner, actions)
            else:
                self.entry.take(unit, *approved)

    def withdraw(self, runner: Runner) -> None:
        """Forget an algo whose claim was taken before: nothing of it stands in Redis, nothing of it left."""
        for member in tuple(self.family.members(runner.algo_id)):
            self.entry.forget(member.kind.view(member.state).live_children)
            self._detach(member)

    def rewrite(self) -> None:
        """Write every record anew: Redis came back empty or older while we lived (execution.md 20)."""
        unit = rewriting(self.ledger, self.now())
        for runner in self.runners.values():
            unit.algo(runner.kind, runner.state, runner.kind.view(runner.state), None)
        unit.commit()

    # --- one atomic step ------------------------------------------------------------------------------

    def step(self, request_id: str = "", claim: Claim | None = None) -> Unit:
        """The unit under way, or a new one, with the claim of the command that it begins. When its `with` ends, it is
        committed and its requests leave."""
        if self._unit is None:
            self._unit = Unit(self.ledger, self.now(), request_id, claim, self._finish)
        else:
            assert claim is None, "a command begins with a step of its own"
        return self._unit

    def _finish(self, unit: Unit) -> None:
        """Commit a unit, unless there is nothing to be written, and let its requests go."""
        self._unit = None
        leaving = self.entry.take_leaving()
        if unit.empty:
            assert not leaving, "a request without a record"
            return
        durable = unit.commit()
        assert self.execution is not None, "the desk trades only once it is wired"
        for approved in leaving:
            self.execution.submit(approved, durable, claimed=unit.claim is not None)

    def on_decided(self, runner: Runner, decided: Decided) -> None:
        """StepTaker: record, event and requests of one step of an algo."""
        with self.step() as unit:
            self.record(unit, runner)
            self.act(unit, runner, decided.actions)
            self.family.tell(runner)

    def act(self, unit: Unit, runner: Runner, actions: tuple[Action, ...]) -> None:
        """Carry out what an algo asks for, within its step."""
        for action in actions:
            if isinstance(action, PlaceChild | AmendChild | CancelChild):
                self._request(unit, runner, action)
            else:
                self.family.carry_out(runner, action)

    def record(self, unit: Unit, runner: Runner, started: bool = False) -> None:
        """Put an algo's state into the unit, with its event where there is news; arm its alarm; let it go when it
        ended."""
        kind, state = runner.kind, runner.state
        view = kind.view(state)
        unit.algo(kind, state, view, algo_news.event_of(runner, view, started, unit.now))
        algo_news.alarm(self.alarms, view, state.reason, unit.now)
        if view.status.terminal:
            self._detach(runner)
        else:
            runner.arm(view.wake_at)
            self.covers.changed(runner)

    def on_broken(self, runner: Runner, error: Exception) -> None:
        """StepTaker: an algo's code failed; its children leave the market and it is told."""
        view = runner.kind.view(runner.state)
        message = (
            f"{view.algo_id} stopped: {error!r}. Its orders are being cancelled; look at the log, then start it anew."
        )
        with self.step() as unit:
            self.record(unit, runner)
            self.family.broken(runner)
            self.family.tell(runner)
        self.alarms.sound("algo_failed", "critical", view.algo_id, message, self.now())

    # --- requests -------------------------------------------------------------------------------------

    def _request(self, unit: Unit, runner: Runner, action: PlaceChild | AmendChild | CancelChild) -> None:
        """Record what an algo asks for; a denial is its next input, and nothing of it ever reaches the venue."""
        match action:
            case CancelChild():
                self.entry.cancel(unit, self.ledger.orders[action.client_order_id])
                return
            case PlaceChild():
                order, denied = self.entry.place(unit, runner, action)
                word = "place"
            case AmendChild():
                order, denied = self.entry.amend(unit, action)
                word = "amend"
        if denied is not None:
            failure = Failure(word, denied.cause, denied.code.value, denied.message)
            runner.offer(OrderUpdate(unit.now, order, failure=failure, quote=self.quote_of(runner)))

    def cancel(self, order: Order, request_id: str = "") -> None:
        """Have an order leave the market as soon as its state allows."""
        self.withdrawals.want(order, request_id)

    # --- what became of orders ------------------------------------------------------------------------

    def changed(self, change: Change, failure: Failure | None = None, while_down: bool = False) -> None:
        """One order's record changed: book it, tell its owner, all in one step."""
        order, fill = change.order, change.fill
        before = self.ledger.orders.get(order.client_order_id)
        if fill is None and failure is None and order is before:
            return
        with self.step() as unit:
            unit.order(order, change.events)
            self.entry.track(order)
            reduced = () if fill is None else self.books.fill(unit, order, fill)
            runner = self.runners.get(order.parent_id)
            if runner is not None:
                quote = self.quote_of(runner)
                runner.offer(OrderUpdate(unit.now, order, fill, failure, change.cause, quote, while_down))
            elif order.state is OrderState.ACTIVE and (order.cancel_wanted or order.origin in ALGO_ORIGINS):
                self.withdrawals.go_on(order, failure)  # of an algo that ended: nobody else would ever take it away
            self.guards.changed(order, fill if runner is None else None)
            if fill is not None:
                self.positions_reduced(order.symbol, reduced, (order.parent_id, order.root_id))
                if order.reduce_only and order.sub_account_id != EXTERNAL:
                    self.closers.overshot(order, fill.quantity)
            if order.reduce_only and before is not None:
                self.closers.changed(before, order, change.cause)
        self.fates.tell(order, failure)

    def positions_reduced(self, symbol: str, sub_accounts: Iterable[str], apart_from: tuple[str, ...] = ()) -> None:
        """Books of a symbol changed; what closes is re-sized in the same step (`Closers.moved`)."""
        self.closers.moved(symbol, sub_accounts, apart_from)

    def mark(self, symbol: str) -> Decimal:
        """The mark price of a watched symbol, 0 where it is not known."""
        mark = self.market.mark(symbol)
        return ZERO if mark is None else mark.price
