"""From an algo's action to an approved request with its record: the last stop before execution.

Owns the way intent -> risk -> record. Refuses to send: what was approved waits in `leaving` until the step that
names it is committed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal, InvalidOperation

import msgspec

from algos.step import AmendChild, PlaceChild
from pms.allowances import Allowances
from pms.core import exposure, limits, orders, own_orders, risk
from pms.core.exits import Form
from pms.core.limits import Intent, Weight
from pms.core.risk import Adding, Approved, Closing, Denied
from pms.exit_ledger import ExitLedger
from pms.ledger import Ledger
from pms.market import Market
from pms.runner import Runner
from pms.unit import Unit
from pms.venue import Amend, Cancel, placing
from schemas.events_orders import Decision, placed
from schemas.events_system import RefusedOrder, RiskRejected
from schemas.market import ZERO, Instrument
from schemas.orders import Order, OrderState

Judged = tuple[Approved | Denied, Order]  # the gate's verdict, and the order in the form in which it may leave now


class OrderEntry:
    """See the module."""

    def __init__(
        self,
        ledger: Ledger,
        exits: ExitLedger,
        allowances: Allowances,
        market: Market,
        instruments: dict[str, Instrument],
        now: Callable[[], int],
    ) -> None:
        self._ledger = ledger
        self._exits = exits
        self._allowances = allowances
        self._market = market
        self._instruments = instruments
        self._now = now
        self._leaving: list[Approved] = []

    def take_leaving(self) -> list[Approved]:
        """What was approved since the last call: to be sent once its step is durable."""
        leaving, self._leaving = self._leaving, []
        return leaving

    def check_orders(self, intents: Sequence[Order]) -> list[Denied | None]:
        """What the gate would say to each of several new orders, as `judge`."""
        return [verdict if isinstance(verdict, Denied) else None for verdict, _ in self.judge(intents)]

    def judge(self, intents: Sequence[Order]) -> list[Judged]:
        """The gate's verdict on each of several new orders, those before it taken for placed; nothing is recorded. It
        holds for the turn in which it is given."""
        judged: list[Judged] = []
        tried: list[Order] = []
        try:
            for number, order in enumerate(intents, 1):
                verdict, order = self._judge(order)
                judged.append((verdict, order))
                if isinstance(verdict, Approved) and number < len(intents):  # the next is judged beside it
                    self._ledger.remember(order)
                    self._count(order)
                    tried.append(order)
        finally:
            for order in reversed(tried):
                self._ledger.forget(order.client_order_id, tried=True)
                if not order.reduce_only:
                    self._allowances.withdrawn(order.sub_account_id)
        return judged

    def stopped(self, order: Order) -> Denied | None:
        """What stands against anything that adds, where the order does: a halt, a freeze, losses; whatever it is."""
        if order.reduce_only:
            return None
        return risk.stopped(self._allowances.account(order.sub_account_id, _intent_of(order), self._seen(order.symbol)))

    def weigh(self, intents: Sequence[Order]) -> Weight:
        """What several new orders come to in the gate's numbers, each beside those before it and all that its
        sub-account has at stake; nothing is recorded."""
        weights: list[Weight] = []
        try:
            for order in intents:
                weights.append(self._weight(order, _intent_of(order)))
                self._ledger.remember(order)
        finally:
            for order in reversed(intents[: len(weights)]):
                self._ledger.forget(order.client_order_id, tried=True)
        return limits.together(weights)

    def weigh_amend(self, action: AmendChild) -> Weight:
        """What an amend comes to, as the gate counts it."""
        order = self._ledger.orders[action.client_order_id]
        return self._weight(order, _growth(order, action))

    def _weight(self, order: Order, intent: Intent) -> Weight:
        account = self._allowances.account(order.sub_account_id, intent, self._seen(order.symbol))
        if order.reduce_only:
            return limits.weigh_exit((intent.beside + intent.quantity) * intent.price, account)
        return limits.weigh(intent, account)

    def place(self, unit: Unit, runner: Runner, action: PlaceChild) -> tuple[Order, Denied | None]:
        """Record the intent of an algo's new child, as `submit` does."""
        return self.submit(unit, self.intent(runner, action), Form.UNFLAGGED if action.bare else None)

    def submit(self, unit: Unit, order: Order, wanted: Form | None = None) -> tuple[Order, Denied | None]:
        """Record the intent of a new order, whoever wants it. Where it is denied, the order comes back failed and
        nothing of it is recorded. `wanted`: the form of an exit, where it is open to it."""
        verdict, order = self._judge(order, wanted)
        if isinstance(verdict, Denied):
            self.tell(unit, order, verdict)
            return orders.not_placed(order, verdict.message, unit.now).order, verdict
        self.take(unit, order, verdict)
        return order, None

    def take(self, unit: Unit, order: Order, approved: Approved) -> None:
        """Record the intent of a new order that the gate has approved in this turn."""
        self._count(order)
        unit.event(placed(order, unit.now, self._seen_now(order.symbol)))
        unit.order(order)
        self._leave(unit, order, approved)

    def _leave(self, unit: Unit, order: Order, approved: Approved) -> None:
        """An order's request is to leave: an exit at once, an entry when its record stands. The market is told of an
        entry only in the turn after it has left, which is before any frame can show it: else it would wait for that."""
        self._leaving.append(approved)
        if approved.exit:
            self.track(order)
        else:
            unit.afterwards(lambda _: self._track_newest(order.client_order_id))

    def _track_newest(self, client_id: str) -> None:
        order = self._ledger.orders.get(client_id)
        if order is not None:
            self.track(order)

    def _seen_now(self, symbol: str) -> Decision | None:
        """What a decision on a symbol goes by."""
        quote = self._market.quote(symbol)
        if quote is None:
            return None
        instrument = self._instruments[symbol]
        age_ms = self._market.now_ms() - quote.received
        return Decision(instrument.price(quote.bid), instrument.price(quote.ask), age_ms, quote.update_id)

    def check_amend(self, action: AmendChild) -> Approved | Denied:
        """What the gate would say to an order's new price and total; nothing is recorded."""
        request = Amend(action.symbol, action.client_order_id, action.side, action.quantity, action.price)
        seen = self._seen(action.symbol, apart_from=action.client_order_id)
        role = self._growing(action) if action.reduce_only else self._moving(action, seen)
        return risk.approve_amend(request, seen, role)

    def amend(self, unit: Unit, action: AmendChild, request_id: str = "") -> tuple[Order, Denied | None]:
        """Record that an order is about to move, at a command's request where one is named; denied, it rests as it
        was."""
        order = self._ledger.orders[action.client_order_id]
        verdict = self.check_amend(action)
        if isinstance(verdict, Denied):
            self.tell(unit, order, verdict)
            return order, verdict
        order = orders.amending(order, action.price, action.quantity, unit.now, request_id).order
        unit.order(order)
        self._leave(unit, order, verdict)
        return order, None

    def _judge(self, order: Order, wanted: Form | None = None) -> Judged:
        """The gate's verdict on a new order, and the order in the form in which it may leave now: with the venue's
        flag or without."""
        seen = self._seen(order.symbol)
        role: Closing | Adding
        if order.reduce_only:
            form = self._exits.form(order, wanted)
            role = Closing(self._exits.closable(order), form)
            order = msgspec.structs.replace(order, flagged=form is Form.FLAGGED)
        else:
            intent = _intent_of(order)
            role = Adding(intent, self._allowances.account(order.sub_account_id, intent, seen))
        return risk.approve_place(placing(order, order.flagged), seen, role), order

    def _count(self, order: Order) -> None:
        """A new order that adds counts against its sub-account's rate."""
        if not order.reduce_only:
            self._allowances.placed(order.sub_account_id)

    def _growing(self, action: AmendChild) -> Closing | None:
        """What bounds an exit that an amend makes larger; None where it asks for no more than it has."""
        order = self._ledger.orders[action.client_order_id]
        if action.quantity <= order.filled_qty + exposure.open_quantity(order):
            return None
        form = Form.FLAGGED if order.flagged else Form.UNFLAGGED
        return Closing(order.filled_qty + self._exits.closable(order), form)

    def _moving(self, action: AmendChild, seen: risk.Market) -> Adding:
        """What an amend adds to its sub-account's risk."""
        order = self._ledger.orders[action.client_order_id]
        intent = _growth(order, action)
        return Adding(intent, self._allowances.account(order.sub_account_id, intent, seen))

    def cancel(self, unit: Unit, order: Order) -> None:
        """Record that an order is about to be cancelled. Never denied."""
        unit.order(orders.cancelling(order, unit.now).order)
        self._leaving.append(risk.approve_cancel(Cancel(order.symbol, order.client_order_id, order.waiting)))

    def forget(self, client_ids: Iterable[str]) -> None:
        """Forget orders of a step that was never done: nothing of them stands in Redis, nothing of them left."""
        for client_id in client_ids:
            order = self._ledger.forget(client_id)
            if order is not None:
                self._market.own(order.symbol).gone(client_id, self._now())

    def track(self, order: Order) -> None:
        """Tell the market which resting quantity is ours (law 9)."""
        instrument = self._instruments.get(order.symbol)
        if instrument is None:  # a symbol that the venue has given up: no book to be wrong about
            return
        own_orders.track(self._market.own(order.symbol), order, instrument, self._now())
        self._market.own_changed(order.symbol)

    def intent(self, runner: Runner, action: PlaceChild) -> Order:
        """The order that an algo's child would be; nothing is recorded."""
        now = self._now()
        return Order(
            client_order_id=action.client_order_id,
            sub_account_id=runner.sub_account_id,
            symbol=action.symbol,
            side=action.side,
            order_type=action.order_type,
            time_in_force=action.time_in_force,
            quantity=action.quantity,
            price=action.price,
            reduce_only=action.reduce_only,
            state=OrderState.PLACING,
            origin=action.origin or runner.kind.origin,
            parent_id=runner.algo_id,
            root_id=runner.root_id,
            created_at=now,
            updated_at=now,
            leverage=action.leverage,
            trigger_price=action.trigger_price,
            working_type=action.working_type,
            alternatives=action.alternatives,
        )

    def _seen(self, symbol: str, apart_from: str = "") -> risk.Market:
        """What the gate judges by, the order that moves left out."""
        mark = self._market.mark(symbol)
        return risk.market(
            self._instruments[symbol],
            self._market.quote(symbol),
            ZERO if mark is None else mark.price,
            self._ledger.open_orders(symbol),
            apart_from,
        )

    def tell(self, unit: Unit, order: Order, denied: Denied) -> None:
        """Publish that the gate has denied an order or its change."""
        unit.event(
            RiskRejected(
                ts=unit.now,
                sub_account_id=order.sub_account_id,
                reason_code=denied.code,
                layer="gate",
                limit=_number(denied.limit),
                value=_number(denied.value),
                order=msgspec.convert(order, RefusedOrder, from_attributes=True),
            )
        )


def _number(text: str) -> Decimal:
    """A limit or a value as a number, 0 where it is none."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return ZERO


def _intent_of(order: Order) -> Intent:
    return Intent(order.symbol, order.side, order.price, order.quantity, order.leverage, by_algo=bool(order.parent_id))


def _growth(order: Order, action: AmendChild) -> Intent:
    """What an amend adds: the part by which the total grows."""
    grown = max(action.quantity - order.filled_qty - exposure.open_quantity(order), ZERO)
    before = action.quantity - grown
    return Intent(action.symbol, action.side, action.price, grown, order.leverage, new=False, beside=before)
