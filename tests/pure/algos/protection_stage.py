"""One protection on a small stage: a hand-driven venue of waiting orders, a position that orders close, and every step
made twice (law 10) and judged by the laws' own check.

The orders' records are kept by the functions that keep them in the daemon, so that an update says what it would say
there.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from algos import protecting, protection, step
from algos.children import Exit, ExitDone
from algos.protection_laws import check_protection
from algos.step import Action, CancelChild, Failure, Input, OrderUpdate, PlaceChild
from pms.core import orders
from schemas.market import Instrument, Quote, Side
from schemas.orders import Cause, Fill, Order, OrderState, Origin
from schemas.protection import LegParams, ProtectionParams, ProtectionState
from schemas.reports import Report, VenueStatus
from tests.pure.algos.stage import EPOCH, RULES, T0

D = Decimal
WHO = step.Identity("g123456789", "main", "main", EPOCH, "request-1")
ENTRY = "c000000001"


def leg(trigger: str, limit: str = "0", **more: Any) -> LegParams:
    return LegParams(trigger_price=D(trigger), limit_price=D(limit), **more)


class ProtectionStage:
    """See the module. A long of one coin with a stop at 90, unless said otherwise; with `entry` nothing is held yet."""

    def __init__(self, instrument: Instrument = RULES, entry: bool = False, **asked: Any) -> None:
        self.now = T0
        self.sent: list[Action] = []
        self.book: dict[str, Order] = {}
        self.bare = False
        self.closed = D(0)
        self.position = D(0) if entry else D(asked.get("quantity", "1"))
        self.touch: Quote | None = self.quote("100")
        self._number = 0
        given = {"symbol": "BTCUSDT", "side": Side.SELL, "quantity": D("1"), "stop": leg("90")} | asked
        given["quantity"] = D(given["quantity"])
        given |= {"entry_id": ENTRY, "quantity": D(0)} if entry else {"position_id": "main:BTCUSDT:1"}
        self.state, actions = protection.start(WHO, ProtectionParams(**given), instrument, self.touch, T0)
        check_protection(None, None, self.state, actions)
        self._take(actions)

    @staticmethod
    def quote(low: str, high: str = "") -> Quote:
        bid, ask = int(D(low) * 10), int(D(high or low) * 10)
        return Quote(bid, ask, D(1), D(1), 2 * ask, 2 * bid, ts=T0, received=T0)

    def give(self, given: Input) -> tuple[Action, ...]:
        """One step: made twice, judged by the laws."""
        before = self.state
        after, actions = protection.step_protection(before, given)
        assert (after, actions) == protection.step_protection(before, given)
        if after is before:
            assert not actions
            return ()
        check_protection(before, given, after, actions)
        self.state = msgspec.json.decode(msgspec.json.encode(after), type=ProtectionState)
        assert self.state == after, "a record that does not come back as it was"
        self._take(actions)
        return actions

    def _take(self, actions: tuple[Action, ...]) -> None:
        for action in actions:
            self.sent.append(action)
            if isinstance(action, PlaceChild):
                assert action.client_order_id not in self.book, "an id twice"
                self.book[action.client_order_id] = self._intent(action)
            elif isinstance(action, CancelChild):
                order = self.book[action.client_order_id]
                assert order.state is OrderState.ACTIVE, "one request in flight per order"
                self.book[action.client_order_id] = orders.cancelling(order, self.now).order

    def _intent(self, action: PlaceChild) -> Order:
        return Order(
            client_order_id=action.client_order_id,
            sub_account_id="main",
            symbol=action.symbol,
            side=action.side,
            order_type=action.order_type,
            time_in_force=action.time_in_force,
            quantity=action.quantity,
            price=action.price,
            reduce_only=action.reduce_only,
            flagged=not self.bare,
            state=OrderState.PLACING,
            origin=action.origin or Origin.STOP,
            parent_id=WHO.algo_id,
            root_id=WHO.algo_id,
            created_at=self.now,
            updated_at=self.now,
            trigger_price=action.trigger_price,
            working_type=action.working_type,
            alternatives=action.alternatives,
        )

    # --- the venue ------------------------------------------------------------------------------------

    def tell(
        self, change: orders.Change, failure: Failure | None = None, cause: Cause = Cause.NONE, **more: Any
    ) -> Any:
        """An order's record changed: the protection hears, and of the position that a fill leaves."""
        order = self.book[change.order.client_order_id] = change.order
        if change.fill is not None:
            self.position -= change.fill.quantity
            self.closed += change.fill.quantity
        told = self.give(OrderUpdate(self.now, order, change.fill, failure, cause, self.touch, **more))
        if change.fill is not None and not self.position:
            told += self.hold("0")
        return told

    def report(self, name: str, status: VenueStatus = VenueStatus.OPEN, **changes: Any) -> Any:
        order = self.book[name]
        self._number += 1
        more = {key: changes.pop(key) for key in ("while_down",) if key in changes}
        answers = changes.pop("answers", False)
        cause = changes.get("cause", Cause.NONE)
        fields: dict[str, Any] = {
            "client_id": name,
            "order_id": 0,
            "symbol": order.symbol,
            "side": order.side,
            "status": status,
            "order_type": order.order_type,
            "time_in_force": order.time_in_force,
            "price": order.price,
            "quantity": order.quantity,
            "filled": order.filled_qty,
            "reduce_only": order.flagged,
            "time": self.now + self._number,
            "algo_id": 7,
            "trigger_price": order.trigger_price,
        }
        return self.tell(orders.reported(order, Report(**fields | changes), self.now, answers), cause=cause, **more)

    def accept(self, *names: str) -> None:
        """The venue has what was sent (all of it where none is named)."""
        for name in names or tuple(n for n, o in self.book.items() if o.state is OrderState.PLACING):
            self.report(name)

    def confirm(self) -> None:
        """The venue has cancelled what was asked."""
        for name, order in tuple(self.book.items()):
            if order.state is OrderState.CANCELLING:
                became = {"order_id": 99, "algo_id": 0} if order.triggered_at else {}
                self.report(name, VenueStatus.CANCELLED, **became)

    def settle(self) -> None:
        """Everything that is under way at the venue comes back, until nothing is."""
        for _ in range(20):
            self.accept()
            self.confirm()
            self.run(30)

    def refuse(self, name: str, cause: Cause = Cause.OTHER, **more: Any) -> Any:
        failure = Failure("place", cause, "-2021" if cause is Cause.TRIGGERED else "-1", "no", **more)
        return self.tell(orders.not_placed(self.book[name], "no", self.now), failure)

    def fire(self, name: str) -> Any:
        """The venue triggers an order: it is an ordinary one from now on."""
        return self.report(name, order_id=99, algo_id=0)

    def fill(self, name: str, quantity: str, price: str = "90") -> Any:
        order, size = self.book[name], D(quantity)
        self._number += 1
        fill = Fill("BTCUSDT", 99, self._number, order.side, D(price), size, D("0.01"), "USDT", False, self.now)
        whole = order.filled_qty + size
        status = VenueStatus.FILLED if whole == order.quantity else VenueStatus.OPEN
        return self.report(name, status, order_id=99, algo_id=0, fill=fill, filled=whole)

    def exit_fill(self, quantity: str, price: str = "90") -> Any:
        """An order of the exit trades."""
        self._number += 1
        name = f"exit-{self._number}"
        action = PlaceChild(name, "BTCUSDT", self.state.side, "IOC", D(price), D(quantity), True, 1)
        self.book[name] = self._intent(action)
        return self.fill(name, quantity, price)

    # --- its world ------------------------------------------------------------------------------------

    def run(self, ms: int) -> None:
        until = self.now + ms
        while 0 < self.state.wake_at <= until:
            self.now = max(self.now, self.state.wake_at)
            self.give(step.Timer(self.now, self.touch))
        self.now = until

    def hold(self, position: str) -> tuple[Action, ...]:
        self.position = D(position)
        return self.give(step.PositionReduced(self.now, D(0), self.touch, D(position)))

    def entered(self, filled: str, live: bool = True, position: str | None = None) -> tuple[Action, ...]:
        """The entry has filled so much altogether."""
        sign = -self.state.side.sign
        self.position += D(filled) - self.state.entry_filled
        held = sign * self.position if position is None else D(position)
        return self.give(protecting.EntryChanged(self.now, D(filled), live, held, "main:BTCUSDT:2", self.touch))

    def move(self, low: str, high: str = "") -> tuple[Action, ...]:
        self.touch = self.quote(low, high)
        return self.give(self.touch)

    def mark(self, price: str, quoted: bool = True) -> tuple[Action, ...]:
        return self.give(step.MarkUpdate(self.now, D(price), self.touch if quoted else None))

    def exit_done(self, reason: str = "") -> tuple[Action, ...]:
        return self.give(ExitDone(self.now, reason, self.touch))

    def opposed(self, bare: bool = True, most: str = "") -> tuple[Action, ...]:
        self.bare = bare
        return self.give(protecting.Bare(self.now, bare, D(most or ("100" if bare else "0")), self.touch))

    def die(self) -> None:
        """The record is read back by another process, and holds."""
        self.give(step.StreamHealth(self.now, "recovering"))

    def resume(self, epoch: int = EPOCH + 1) -> tuple[Action, ...]:
        return self.give(step.Recovered(self.now, epoch, self.touch))

    # --- looking --------------------------------------------------------------------------------------

    def asked(self, kind: type[Action]) -> list[Any]:
        return [action for action in self.sent if isinstance(action, kind)]

    def names(self, word: str = "stop") -> tuple[str, ...]:
        """The live orders of a leg."""
        found = self.state.leg(word)
        return tuple(order.client_order_id for order in found.orders) if found else ()

    def standing(self, word: str = "stop") -> list[tuple[str, Decimal]]:
        """(trigger, quantity) of what of a leg waits at the venue and nobody has asked to go."""
        found = self.state.leg(word)
        orders_ = () if found is None else found.standing
        return [(str(o.trigger_price), o.quantity) for o in orders_ if o.state is OrderState.ACTIVE]

    @property
    def exits(self) -> list[Decimal]:
        return [action.quantity for action in self.asked(Exit)]
