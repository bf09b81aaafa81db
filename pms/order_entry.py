"""From an algo's action to an approved request with its record: the last stop before execution.

Owns the way intent -> risk -> record. Refuses to send: what was approved waits in `leaving` until the step that
names it is committed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

import msgspec

from algos.step import AmendChild, PlaceChild
from pms.core import orders, own_orders, risk
from pms.core.exits import Form
from pms.core.risk import Approved, Closing, Denied
from pms.exit_ledger import ExitLedger
from pms.ledger import Ledger
from pms.market import Market
from pms.runner import Runner
from pms.unit import Unit
from pms.venue import Amend, Cancel, Place
from schemas.events_system import RefusedOrder, RiskRejected
from schemas.market import ZERO, Instrument, Side
from schemas.orders import Order, OrderState


class OrderEntry:
    """See the module."""

    def __init__(
        self,
        ledger: Ledger,
        exits: ExitLedger,
        market: Market,
        instruments: dict[str, Instrument],
        now: Callable[[], int],
    ) -> None:
        self._ledger = ledger
        self._exits = exits
        self._market = market
        self._instruments = instruments
        self._now = now
        self._leaving: list[Approved] = []

    def take_leaving(self) -> list[Approved]:
        """What was approved since the last call: to be sent once its step is durable."""
        leaving, self._leaving = self._leaving, []
        return leaving

    def check(self, action: PlaceChild) -> Denied | None:
        """What the gate would say now; nothing is recorded."""
        verdict = risk.approve_place(_request(action), self._seen(action.symbol))
        return verdict if isinstance(verdict, Denied) else None

    def check_orders(self, intents: Sequence[Order]) -> list[Denied | None]:
        """What the gate would say to each of several new orders, those before it taken for placed; nothing is
        recorded."""
        verdicts: list[Denied | None] = []
        try:
            for order in intents:
                order, closing = self._closing(order)
                verdict = risk.approve_place(_request(order), self._seen(order.symbol), closing)
                verdicts.append(verdict if isinstance(verdict, Denied) else None)
                if verdicts[-1] is None:
                    self._ledger.remember(order)
        finally:
            for order in intents:
                self._ledger.forget(order.client_order_id)
        return verdicts

    def place(self, unit: Unit, runner: Runner, action: PlaceChild) -> tuple[Order, Denied | None]:
        """Record the intent of an algo's new child, as `submit` does."""
        return self.submit(unit, self._intent(runner, action))

    def submit(self, unit: Unit, order: Order, wanted: Form | None = None) -> tuple[Order, Denied | None]:
        """Record the intent of a new order, whoever wants it. Where it is denied, the order comes back failed and
        nothing of it is recorded. `wanted`: the form of an exit, where it is open to it."""
        order, closing = self._closing(order, wanted)
        verdict = risk.approve_place(_request(order), self._seen(order.symbol), closing)
        if isinstance(verdict, Denied):
            self.tell(unit, order, verdict)
            return orders.not_placed(order, verdict.message, self._now()).order, verdict
        unit.order(order, ("order_placed",))
        self.track(order)
        self._leaving.append(verdict)
        return order, None

    def check_amend(self, action: AmendChild) -> Approved | Denied:
        """What the gate would say to an order's new price and total; nothing is recorded."""
        request = Amend(action.symbol, action.client_order_id, action.side, action.quantity, action.price)
        seen = self._seen(action.symbol, apart_from=action.client_order_id)
        return risk.approve_amend(request, action.reduce_only, seen)

    def amend(self, unit: Unit, action: AmendChild, request_id: str = "") -> tuple[Order, Denied | None]:
        """Record that an order is about to move, at a command's request where one is named; denied, it rests as it
        was."""
        order = self._ledger.orders[action.client_order_id]
        verdict = self.check_amend(action)
        if isinstance(verdict, Denied):
            self.tell(unit, order, verdict)
            return order, verdict
        order = orders.amending(order, action.price, action.quantity, self._now(), request_id).order
        unit.order(order)
        self.track(order)
        self._leaving.append(verdict)
        return order, None

    def _closing(self, order: Order, wanted: Form | None = None) -> tuple[Order, Closing | None]:
        """An order that only reduces, in the form in which it may leave now, with what the gate must know of it."""
        if not order.reduce_only:
            return order, None
        form = self._exits.form(order, wanted)
        closable = self._exits.closable(order)
        return msgspec.structs.replace(order, flagged=form is Form.FLAGGED), Closing(closable, form)

    def cancel(self, unit: Unit, order: Order) -> None:
        """Record that an order is about to be cancelled. Never denied."""
        unit.order(orders.cancelling(order, self._now()).order)
        self._leaving.append(risk.approve_cancel(Cancel(order.symbol, order.client_order_id)))

    def track(self, order: Order) -> None:
        """Tell the market which resting quantity is ours (law 9)."""
        instrument = self._instruments.get(order.symbol)
        if instrument is None:  # a symbol that the venue has given up: no book to be wrong about
            return
        own_orders.track(self._market.own(order.symbol), order, instrument, self._now())
        self._market.own_changed(order.symbol)

    def _intent(self, runner: Runner, action: PlaceChild) -> Order:
        view = runner.kind.view(runner.state)
        now = self._now()
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

    def _seen(self, symbol: str, apart_from: str = "") -> risk.Market:
        """What the gate judges by: rules, quote, mark, and our own orders but the one that moves, each where it
        rests and where it may be moving to."""
        resting = [order for order in self._ledger.open_orders(symbol) if order.client_order_id != apart_from]
        instrument = self._instruments[symbol]
        mark = self._market.mark(symbol)
        bids = [price for order in resting if order.side is Side.BUY for price in _places(order)]
        asks = [price for order in resting if order.side is Side.SELL for price in _places(order)]
        return risk.Market(
            instrument=instrument,
            quote=self._market.quote(symbol),
            mark=ZERO if mark is None else mark.price,
            open_orders=len(resting),
            own_bid=instrument.ticks_down(max(bids)) if bids else 0,
            own_ask=instrument.ticks_up(min(asks)) if asks else 0,
        )

    def tell(self, unit: Unit, order: Order, denied: Denied) -> None:
        """Publish that the gate has denied an order or its change."""
        unit.event(
            RiskRejected(
                ts=self._now(),
                sub_account_id=order.sub_account_id,
                reason_code=denied.code,
                layer="gate",
                order=msgspec.convert(order, RefusedOrder, from_attributes=True),
            )
        )


def _request(asked: PlaceChild | Order) -> Place:
    flagged = asked.flagged if isinstance(asked, Order) else asked.reduce_only
    return Place(
        asked.symbol,
        asked.client_order_id,
        asked.side,
        "LIMIT",
        asked.time_in_force,
        asked.quantity,
        asked.price,
        flagged,
    )


def _places(order: Order) -> tuple[Decimal, ...]:
    """Where an order may rest now: an amend in flight has it at both prices."""
    return (order.price,) if order.next_price is None else (order.price, order.next_price)
