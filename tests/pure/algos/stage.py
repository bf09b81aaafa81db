"""One chase on a small stage: a hand-driven venue answers its requests, and every step is checked as it happens.

The orders' records are kept by the functions that keep them in the daemon, so that an update says what it would say
there. Each step is made twice (law 10) and passes the laws' own check.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from algos import chase, laws, step
from algos.step import Action, AmendChild, CancelChild, Failure, Input, OrderUpdate, PlaceChild
from pms.core import orders
from schemas.chase import ChaseParams, ChaseState, Child
from schemas.market import Instrument, Quote, Side
from schemas.orders import Cause, Fill, Order, OrderState, Origin
from schemas.reports import Report, VenueStatus

D = Decimal
T0 = 1_700_000_000_000
EPOCH = 1_700_000_000
WHO = step.Identity("c123456789", "main", "main", EPOCH, "request-1")
BUY, SELL = Side.BUY, Side.SELL

RULES = Instrument(
    symbol="BTCUSDT",
    tick=D("0.1"),
    step=D("0.001"),
    min_qty=D("0.001"),
    max_qty=D("100"),
    min_notional=D("5"),
    min_price=D("0.1"),
    max_price=D("100000"),
    multiplier_up=D("1.05"),
    multiplier_down=D("0.95"),
)


def rules(**changes: Any) -> Instrument:
    """The stage's instrument with some rules changed; numbers may be given as text."""
    exact = {name: D(value) if isinstance(value, str) else value for name, value in changes.items()}
    return msgspec.structs.replace(RULES, **exact)


def params(**changes: Any) -> ChaseParams:
    """What is asked for: one whole coin to buy, unless said otherwise."""
    asked = {"symbol": "BTCUSDT", "side": BUY, "quantity": D(1)} | changes
    exact = {
        name: D(value) if isinstance(value, str) and ChaseParams.__annotations__[name] == "Decimal" else value
        for name, value in asked.items()
    }
    return ChaseParams(**exact)


def quote(bid: int, ask: int, now: int = T0) -> Quote:
    """A touch in ticks of 0.1."""
    return Quote(bid, ask, D(1), D(1), bid + ask, bid + ask, ts=now, received=now)


class Stage:
    """A chase with its venue. `sent` lists all it ever asked for, with the time."""

    def __init__(self, bid: int = 1000, ask: int = 1010, instrument: Instrument = RULES, **asked: Any) -> None:
        self.now = T0
        self.touch: Quote | None = quote(bid, ask)
        self.orders: dict[str, Order] = {}
        self.sent: list[tuple[int, Action]] = []
        self._trade = 0
        assert self.touch is not None
        self.state, actions = chase.start(WHO, params(**asked), instrument, self.touch, self.now)
        laws.check_chase(None, None, self.state, actions)
        self._send(actions)

    # --- inputs ---------------------------------------------------------------------------------------

    def give(self, given: Input) -> tuple[Action, ...]:
        """One step: made twice, judged by the laws, its requests recorded as leaving."""
        before = self.state
        after, actions = chase.step_chase(before, given)
        assert (after, actions) == chase.step_chase(before, given)
        assert actions or after is before or after != before, "an equal record is the same object"
        if after is not before:
            laws.check_chase(before, given, after, actions)
        else:
            assert not actions
        self.state = after
        self._send(actions)
        return actions

    def move(self, bid: int, ask: int, after_ms: int = 1000) -> tuple[Action, ...]:
        """The market moves after some time; alarms in between ring first."""
        self.run(after_ms)
        self.touch = quote(bid, ask, self.now)
        return self.give(self.touch)

    def run(self, ms: int) -> list[Action]:
        """Time passes: the record's alarm rings as often as it asks for."""
        asked: list[Action] = []
        until = self.now + ms
        while self.now < self.state.wake_at <= until:
            self.now = self.state.wake_at
            asked += self.give(step.Timer(self.now, self.touch))
        self.now = until
        return asked

    def health(self, hold: str, withdraw: bool = False) -> tuple[Action, ...]:
        return self.give(step.StreamHealth(self.now, hold, withdraw, self.touch))

    def restart(self, pause: str = "", epoch: int = EPOCH + 1) -> tuple[Action, ...]:
        """The record is written, read back by another process, and resumed."""
        self.state = msgspec.json.decode(msgspec.json.encode(self.state), type=ChaseState)
        self.health("recovering")
        return self.give(step.Recovered(self.now, epoch, self.touch, pause))

    # --- the venue's words about the child ------------------------------------------------------------

    @property
    def child(self) -> Child:
        assert self.state.child is not None, "no child"
        return self.state.child

    @property
    def order(self) -> Order:
        return self.orders[self.child.client_order_id]

    def report(self, order: Order, status: VenueStatus = VenueStatus.OPEN, **changes: Any) -> Report:
        """What the venue would say of an order now."""
        said = {
            "client_id": order.client_order_id,
            "order_id": order.exchange_order_id or len(self.orders),
            "symbol": order.symbol,
            "side": order.side,
            "status": status,
            "order_type": "LIMIT",
            "time_in_force": order.time_in_force,
            "price": order.price,
            "quantity": order.quantity,
            "filled": order.filled_qty,
            "reduce_only": order.reduce_only,
            "time": self.now,
        }
        return Report(**(said | changes))

    def tell(self, change: orders.Change, **more: Any) -> tuple[Action, ...]:
        """A changed record reaches the chase."""
        self.orders[change.order.client_order_id] = change.order
        return self.give(OrderUpdate(self.now, change.order, change.fill, quote=self.touch, **more))

    def accept(self) -> tuple[Action, ...]:
        """The request in flight took effect: a placing rests, an amend stands, a cancel is done."""
        order = self.order
        if self.child.request == "cancel":
            return self.end(VenueStatus.CANCELLED)
        price = order.price if order.next_price is None else order.next_price
        quantity = order.quantity if order.next_quantity is None else order.next_quantity
        report = self.report(order, price=price, quantity=quantity)
        return self.tell(orders.reported(order, report, self.now, answers=True))

    def end(self, status: VenueStatus, cause: Cause = Cause.NONE, **more: Any) -> tuple[Action, ...]:
        """The venue ends the child."""
        change = orders.reported(self.order, self.report(self.order, status, cause=cause), self.now)
        return self.tell(change, cause=cause, **more)

    def fill(self, quantity: str, price: str | None = None, order: Order | None = None) -> tuple[Action, ...]:
        """Some of an order trades, the child's unless another is named."""
        order = order or self.order
        self._trade += 1
        at = order.price if price is None else D(price)
        identity = order.exchange_order_id or len(self.orders)
        fill = Fill(order.symbol, identity, self._trade, order.side, at, D(quantity), D(0), "USDT", True, self.now)
        filled = order.filled_qty + fill.quantity
        status = VenueStatus.FILLED if filled >= order.quantity else VenueStatus.OPEN
        return self.tell(orders.reported(order, self.report(order, status, filled=filled, fill=fill), self.now))

    def refuse(self, cause: Cause = Cause.OTHER, code: int = -1111, **more: Any) -> tuple[Action, ...]:
        """The request in flight is refused, or with refused=False certainly not done."""
        request = self.child.request
        failure = Failure(request, cause, str(code), f"refused {code}", **more)
        if request == "place":
            change = orders.not_placed(self.order, failure.message, self.now)
        else:
            change = orders.request_failed(self.order, failure.message, self.now)
        return self.tell(change, failure=failure)

    def lose(self) -> tuple[Action, ...]:
        """The outcome of the request in flight is not known."""
        return self.tell(orders.unknown(self.order, "timeout", self.now))

    def look_up(self) -> tuple[Action, ...]:
        """A look-up settles the request in flight: the order rests as it was."""
        return self.tell(orders.reported(self.order, self.report(self.order), self.now, answers=True))

    # --- what the chase asks --------------------------------------------------------------------------

    def _send(self, actions: tuple[Action, ...]) -> None:
        for action in actions:
            self.sent.append((self.now, action))
            match action:
                case PlaceChild():
                    assert action.client_order_id not in self.orders, "an id twice"
                    self.orders[action.client_order_id] = self._intent(action)
                case AmendChild():
                    order = self.orders[action.client_order_id]
                    changed = orders.amending(order, action.price, action.quantity, self.now).order
                    self.orders[action.client_order_id] = changed
                case CancelChild():
                    order = self.orders[action.client_order_id]
                    assert order.state is OrderState.ACTIVE, "one request in flight per order"
                    self.orders[action.client_order_id] = orders.cancelling(order, self.now).order

    def _intent(self, action: PlaceChild) -> Order:
        return Order(
            client_order_id=action.client_order_id,
            sub_account_id="main",
            symbol=action.symbol,
            side=action.side,
            order_type="LIMIT",
            time_in_force=action.time_in_force,
            quantity=action.quantity,
            price=action.price,
            reduce_only=action.reduce_only,
            state=OrderState.PLACING,
            origin=Origin.CHASE,
            parent_id=WHO.algo_id,
            root_id=WHO.algo_id,
            created_at=self.now,
            updated_at=self.now,
        )

    def asked(self, kind: type[Action]) -> list[Any]:
        """All requests of a kind, in order."""
        return [action for _, action in self.sent if isinstance(action, kind)]
