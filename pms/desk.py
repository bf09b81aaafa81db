"""All running algos and the orders between them and the venue: the place where inputs become atomic steps.

Every word from the venue (`Sink`, `Outcomes`) and every decision of an algo (`StepTaker`) passes here: order record, position, algo, events and the next requests'
intents go into one `Unit`, and the requests leave through `Execution` when it is durable. Refuses to decide (algos, core) and to do I/O (store, execution).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import structlog

from algos import step
from algos.registry import Kind
from algos.step import Action, AmendChild, CancelChild, Failure, OrderUpdate, PlaceChild
from pms.alarms import Alarms
from pms.bus.batch import Claim
from pms.clock import Clock
from pms.core import orders, own_orders, risk
from pms.core.orders import Change
from pms.core.risk import Approved, Denied
from pms.execution import Execution
from pms.ledger import Ledger, Unit
from pms.market import Market
from pms.runner import PROGRESS_MS, Decided, Runner
from pms.tasks import Tasks
from pms.venue import Amend, Cancel, Place
from schemas.events_system import RefusedOrder, RiskRejected
from schemas.market import ZERO, Instrument, Side
from schemas.orders import Cause, Order, OrderState

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
    ) -> None:
        self.ledger = ledger
        self.market = market
        self.alarms = alarms
        self.instruments = instruments
        self.now = now
        self.runners: dict[str, Runner] = {}
        self.execution: Execution | None = None
        self._clock = clock
        self._tasks = tasks
        self._following: set[str] = set()
        self._unit: Unit | None = None
        self._leaving: list[Approved] = []

    # --- runners --------------------------------------------------------------------------------------

    def begin(self, kind: Kind, state: Any) -> Runner:
        """A runner for a state; it gets quotes from `attach` on."""
        return Runner(kind, state, self._clock, self.now, self)

    def register(self, runner: Runner) -> None:
        """Words about its orders reach a runner from now on; quotes only once it follows."""
        self.runners[runner.kind.view(runner.state).algo_id] = runner

    def follow(self, runner: Runner) -> None:
        """Quotes and its alarm reach a runner from now on. The symbol is watched on its behalf (`Market.watch`)."""
        view = runner.kind.view(runner.state)
        self._following.add(view.algo_id)
        self.market.subscribe(view.symbol, runner)
        self._arm(runner, view.wake_at)

    def _detach(self, runner: Runner, algo_id: str, symbol: str) -> None:
        """A finished runner is unregistered (design.md rule 6)."""
        runner.close()
        self.runners.pop(algo_id, None)
        if algo_id in self._following:
            self._following.discard(algo_id)
            self.market.unsubscribe(symbol, runner)
            self._tasks.spawn(self.market.release(symbol), f"release {symbol}")

    def follows(self, algo_id: str) -> bool:
        """Whether an algo gets quotes; one that is being recovered does not yet."""
        return algo_id in self._following

    def offer(self, runner: Runner, given: step.Input, request_id: str = "") -> None:
        """Give an input to an algo as one atomic step."""
        with self.step(request_id):
            runner.offer(given)

    def _arm(self, runner: Runner, wake_at: int) -> None:
        runner.set_wake(wake_at, lambda: self._wake(runner))

    def _wake(self, runner: Runner) -> None:
        runner.woken()
        self.offer(runner, step.Timer(self.now(), self.quote_of(runner)))

    def quote_of(self, runner: Runner) -> Any:
        """The newest quote of the runner's symbol, None while it is stale."""
        return self.market.quote(runner.kind.view(runner.state).symbol)

    def launch(self, runner: Runner, actions: tuple[Action, ...], claim: Claim | None, request_id: str) -> Any:
        """Make a new algo known and act for it: record, event, first order and claim in one step. Returns the commit's future."""
        unit = self._unit = self.ledger.unit(self.now(), request_id)
        try:
            self.register(runner)
            self.record(unit, runner, started=True)
            for action in actions:
                self._request(unit, runner, action)
        finally:
            self._unit = None
        return self.finish(unit, claim=claim)

    def withdraw(self, runner: Runner) -> None:
        """Forget an algo whose claim was taken before: nothing of it stands in Redis, nothing of it left."""
        view = runner.kind.view(runner.state)
        for client_id in view.live_children:
            order = self.ledger.forget(client_id)
            if order is not None:
                self.market.own(order.symbol).gone(client_id, self.now())
        self._detach(runner, view.algo_id, view.symbol)

    def rewrite(self) -> None:
        """Write every record anew: Redis came back empty or older while we lived (execution.md 20)."""
        unit = self.ledger.rewriting(self.now())
        for runner in self.runners.values():
            unit.algo(runner.kind, runner.state, None)
        unit.commit()

    # --- one atomic step ------------------------------------------------------------------------------

    @contextmanager
    def step(self, request_id: str = "") -> Iterator[Unit]:
        """The unit under way, or a new one that is committed at the end; its requests leave then."""
        if self._unit is not None:
            yield self._unit
            return
        unit = self._unit = self.ledger.unit(self.now(), request_id)
        try:
            yield unit
        finally:
            self._unit = None
            self.finish(unit)

    def finish(self, unit: Unit, **commit: Any) -> Any:
        """Commit a unit and let its requests go. Returns the commit's future, None where nothing was to be written."""
        leaving, self._leaving = self._leaving, []
        if unit.empty and not commit:
            assert not leaving, "a request without a record"
            return None
        durable = unit.commit(**commit)
        assert self.execution is not None, "the desk trades only once it is wired"
        for approved in leaving:
            self.execution.submit(approved, durable)
        return durable

    def on_decided(self, runner: Runner, decided: Decided) -> None:
        """StepTaker: record, event and requests of one step of an algo."""
        with self.step() as unit:
            self.record(unit, runner)
            for action in decided.actions:
                self._request(unit, runner, action)

    def record(self, unit: Unit, runner: Runner, started: bool = False) -> None:
        """Put an algo's state into the unit, with its event where there is news; arm its alarm; let it go when it ended."""
        kind, state = runner.kind, runner.state
        view = kind.view(state)
        now = self.now()
        word = "started" if started else view.status.value if view.status.terminal else "progress"
        due = view.news != runner.told or now - runner.told_at >= PROGRESS_MS
        event = kind.event(f"{kind.name}_{word}", state, now) if word != "progress" or due else None
        if event is not None:
            runner.told, runner.told_at = view.news, now
        unit.algo(kind, state, event)
        if view.status.terminal:
            self._detach(runner, view.algo_id, view.symbol)
        else:
            self._arm(runner, view.wake_at)

    def on_broken(self, runner: Runner, error: Exception) -> None:
        """StepTaker: an algo's code failed; its children leave the market and it is told."""
        view = runner.kind.view(runner.state)
        message = f"{view.algo_id} stopped: {error!r}. Its orders are being cancelled; look at the log, then start it anew."
        with self.step() as unit:
            self.record(unit, runner)
            for client_id in view.live_children:
                order = self.ledger.orders.get(client_id)
                if order is not None and order.state is OrderState.ACTIVE:
                    self._cancel(unit, order)
        self.alarms.sound("algo_failed", "critical", view.algo_id, message, self.now())

    # --- requests -------------------------------------------------------------------------------------

    def _request(self, unit: Unit, runner: Runner, action: Action) -> None:
        match action:
            case PlaceChild():
                self._place(unit, runner, action)
            case AmendChild():
                self._amend(unit, runner, action)
            case CancelChild():
                self._cancel(unit, self.ledger.orders[action.client_order_id])

    def _place(self, unit: Unit, runner: Runner, action: PlaceChild) -> None:
        order = self._intent(runner, action)
        request = Place(
            action.symbol,
            action.client_order_id,
            action.side,
            "LIMIT",
            action.time_in_force,
            action.quantity,
            action.price,
            action.reduce_only,
        )
        verdict = risk.approve_place(request, self._risk_market(action.symbol))
        if isinstance(verdict, Denied):
            self._denied(unit, runner, order, "place", verdict)
            return
        unit.order(order, ("order_placed",))
        self._track(order)
        self._leaving.append(verdict)

    def _intent(self, runner: Runner, action: PlaceChild) -> Order:
        view = runner.kind.view(runner.state)
        now = self.now()
        return Order(
            client_order_id=action.client_order_id,
            sub_account_id=view.sub_account_id,
            symbol=action.symbol,
            side=action.side,
            order_type="LIMIT",
            time_in_force=action.time_in_force,
            quantity=action.quantity,
            price=action.price,
            reduce_only=action.reduce_only,
            state=OrderState.PLACING,
            origin=runner.kind.origin,
            parent_id=view.algo_id,
            root_id=view.root_id,
            created_at=now,
            updated_at=now,
            leverage=action.leverage,
        )

    def _amend(self, unit: Unit, runner: Runner, action: AmendChild) -> None:
        order = self.ledger.orders[action.client_order_id]
        request = Amend(action.symbol, action.client_order_id, action.side, action.quantity, action.price)
        market = self._risk_market(action.symbol, apart_from=order.client_order_id)
        verdict = risk.approve_amend(request, action.reduce_only, market)
        if isinstance(verdict, Denied):
            self._denied(unit, runner, order, "amend", verdict)
            return
        order = orders.amending(order, action.price, action.quantity, self.now()).order
        unit.order(order)
        self._track(order)
        self._leaving.append(verdict)

    def _cancel(self, unit: Unit, order: Order) -> None:
        unit.order(orders.cancelling(order, self.now()).order)
        self._leaving.append(risk.approve_cancel(Cancel(order.symbol, order.client_order_id)))

    def cancel(self, order: Order) -> None:
        """Cancel a resting order as a step of its own."""
        with self.step() as unit:
            self._cancel(unit, order)

    def _denied(self, unit: Unit, runner: Runner, order: Order, action: str, denied: Denied) -> None:
        """Tell the algo what the gate refused; nothing of it ever reaches the venue or the order records."""
        unit.event(
            RiskRejected(
                ts=self.now(),
                sub_account_id=order.sub_account_id,
                reason_code=denied.code,
                layer="gate",
                order=msgspec.convert(order, RefusedOrder, from_attributes=True),
            )
        )
        failure = Failure(action, denied.cause, denied.code.value, denied.message)
        if action == "place":
            order = orders.not_placed(order, denied.message, self.now()).order
        runner.offer(OrderUpdate(self.now(), order, failure=failure, quote=self.quote_of(runner)))

    def _risk_market(self, symbol: str, apart_from: str = "") -> risk.Market:
        resting = [order for order in self.ledger.open_orders(symbol) if order.client_order_id != apart_from]
        instrument = self.instruments[symbol]
        mark = self.market.mark(symbol)
        bids = [order.price for order in resting if order.side is Side.BUY]
        asks = [order.price for order in resting if order.side is Side.SELL]
        return risk.Market(
            instrument=instrument,
            quote=self.market.quote(symbol),
            mark=ZERO if mark is None else mark.price,
            open_orders=len(resting),
            own_bid=instrument.ticks_down(max(bids)) if bids else 0,
            own_ask=instrument.ticks_up(min(asks)) if asks else 0,
        )

    # --- what became of orders ------------------------------------------------------------------------

    def changed(self, change: Change, failure: Failure | None = None, cause: Cause = Cause.NONE, while_down: bool = False) -> None:
        """One order's record changed: book it, tell its owner, all in one step."""
        order, fill = change.order, change.fill
        if fill is None and failure is None and order is self.ledger.orders.get(order.client_order_id):
            return
        with self.step() as unit:
            unit.order(order, change.events)
            self._track(order)
            if fill is not None:
                unit.fill(order, fill, order.leverage)
            runner = self.runners.get(order.parent_id)
            if runner is not None:
                quote = self.quote_of(runner)
                runner.offer(OrderUpdate(self.now(), order, fill, failure, cause, quote, while_down))

    def _track(self, order: Order) -> None:
        """Tell the market which resting quantity is ours (law 9)."""
        instrument = self.instruments.get(order.symbol)
        if instrument is None:  # a symbol that the venue has given up: no book to be wrong about
            return
        own_orders.track(self.market.own(order.symbol), order, instrument, self.now())
        self.market.own_changed(order.symbol)
