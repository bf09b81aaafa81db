"""One scalper on a small stage: its children are real chases, and a hand-driven venue answers these.

Every step of parent and children is made twice (law 10) and passes the laws' own check, and after each one the whole
is compared with what is true at the venue. What a child says reaches its parent in the same step, as at the desk.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Any

import msgspec

from algos import chase, laws, scalper, scalper_laws, step
from algos.children import AmendAlgo, ChildChanged, ChildDone, ChildReport, Spawn, StopChild
from algos.registry import CHASE, SCALPER
from algos.step import Action, AmendChild, CancelChild, Failure, Input, OrderUpdate, PlaceChild
from pms.core import orders
from schemas.chase import AlgoStatus, ChaseState
from schemas.market import ZERO, Instrument, PositionSide, Quote, Side
from schemas.orders import Cause, Fill, Order, OrderState, Origin
from schemas.reports import Report, VenueStatus
from schemas.scalper import LayerSlot, ScalperParams, ScalperState
from tests.pure.algos.stage import EPOCH, RULES, T0, quote

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
WHO = step.Identity("l123456789", "main", "main", EPOCH, "request-1")
REFUSED = Cause.OTHER


def params(**changes: Any) -> ScalperParams:
    """What is asked for: 100 USD a side at a mid of 100, one layer, unless said otherwise."""
    asked = {"symbol": "BTCUSDT", "long_size_usd": D(100), "long_offset_pct": D("0.1")} | changes
    asked.setdefault("short_size_usd", asked["long_size_usd"])
    asked.setdefault("short_offset_pct", asked["long_offset_pct"])
    asked.setdefault("allow_loss", not asked.get("neutral_mode", False))
    exact = {
        name: D(value) if isinstance(value, str) and ScalperParams.__annotations__[name] == "Decimal" else value
        for name, value in asked.items()
    }
    return ScalperParams(**exact)


class Ladder:
    """A scalper with its children and their venue. `started`, `stopped` and `amended` list what it ever asked of its
    children. The venue answers at once, unless `slow`."""

    def __init__(self, bid: int = 999, ask: int = 1001, instrument: Instrument = RULES, **asked: Any) -> None:
        self.now = T0
        self.epoch = EPOCH
        self.touch: Quote | None = quote(bid, ask)
        self.instrument = instrument
        self.chases: dict[str, ChaseState] = {}
        self.orders: dict[str, Order] = {}
        self.flying: deque[Action] = deque()
        self.started: list[Spawn] = []
        self.stopped: list[StopChild] = []
        self.amended: list[AmendAlgo] = []
        self.told: dict[str, ChildReport] = {}
        self.position = ZERO
        self.by_hand = ZERO  # what others closed of our position
        self.slow = False
        self.capped = True
        self.refusing: tuple[Cause, bool] | None = None
        self._trade = 0
        self._inbox: deque[Input] = deque()
        self._busy = True
        assert self.touch is not None
        self.state, actions = scalper.start(WHO, params(**asked), instrument, self.touch, self.now)
        scalper_laws.check_scalper(None, None, self.state, actions)
        self._carry_out(actions)
        self._busy = False
        self._drain()
        self.answer_all()

    # --- steps ----------------------------------------------------------------------------------------

    def give(self, given: Input) -> tuple[Action, ...]:
        """One input of the scalper, and all that follows from it; what the scalper asked for in that very step."""
        self._inbox.append(given)
        if self._busy:
            return ()
        first = self._drain()
        if not self.slow:
            self.answer_all()
        return first

    def _drain(self) -> tuple[Action, ...]:
        first: tuple[Action, ...] | None = None
        self._busy = True
        while self._inbox:
            actions = self._step(self._inbox.popleft())
            first = actions if first is None else first
            self._carry_out(actions)
        self._busy = False
        self.check()
        return first or ()

    def _step(self, given: Input) -> tuple[Action, ...]:
        before = self.state
        after, actions = scalper.step_scalper(before, given)
        assert (after, actions) == scalper.step_scalper(before, given)
        if after is before:
            assert not actions
        else:
            scalper_laws.check_scalper(before, given, after, actions)
        self.state = after
        return actions

    def _carry_out(self, actions: tuple[Action, ...]) -> None:
        for action in actions:
            match action:
                case Spawn():
                    self.started.append(action)
                    self._spawn(action)
                case StopChild():
                    self.stopped.append(action)
                    self.chase_hears(action.child_id, step.CancelRequest(self.now, action.reason))
                case AmendAlgo():
                    self.amended.append(action)
                    self.chase_hears(action.child_id, action.changes)

    def _spawn(self, action: Spawn) -> None:
        assert action.child_id not in self.chases, "a number twice"
        who = step.Identity(action.child_id, "main", "main", self.epoch, "", WHO.algo_id, WHO.algo_id, action.slot)
        assert self.touch is not None, "no child without a price"
        state, actions = chase.start(who, action.params, self.instrument, self.touch, self.now)
        laws.check_chase(None, None, state, actions)
        self.chases[action.child_id] = state
        self._send(actions)
        self._tell(action.child_id)

    def chase_hears(self, child_id: str, given: Input) -> None:
        """One step of a child; its parent hears what is new."""
        before = self.chases[child_id]
        after, actions = chase.step_chase(before, given)
        if after is before:
            return
        laws.check_chase(before, given, after, actions)
        self.chases[child_id] = after
        self._send(actions)
        self._tell(child_id)

    def _tell(self, child_id: str) -> None:
        assert CHASE.report is not None
        report = CHASE.report(self.chases[child_id])
        if self.told.get(child_id) == report:
            return
        self.told[child_id] = report
        kind = ChildDone if report.status.terminal else ChildChanged
        self.give(kind(self.now, report, self.touch))

    def everybody(self, given: Input) -> None:
        """An input that the desk gives to parent and children alike, the parent first."""
        self.give(given)
        for child_id, state in tuple(self.chases.items()):
            if not state.status.terminal:
                self.chase_hears(child_id, given)
        if not self.slow:
            self.answer_all()

    def move(self, bid: int, ask: int, after_ms: int = 1000) -> None:
        """The market moves after some time; alarms in between ring first. Children hear of it before the parent."""
        self.run(after_ms)
        self.touch = quote(bid, ask, self.now)
        for child_id, state in tuple(self.chases.items()):
            if not state.status.terminal:
                self.chase_hears(child_id, self.touch)
        self.give(self.touch)
        if not self.slow:
            self.answer_all()

    def run(self, ms: int) -> None:
        """Time passes: alarms of parent and children ring as often as they are asked for."""
        until = self.now + ms
        while True:
            waits = [(state.wake_at, name) for name, state in self.chases.items() if state.wake_at]
            if self.state.wake_at:
                waits.append((self.state.wake_at, ""))
            due = min(waits, default=(until + 1, ""))
            if due[0] > until:
                break
            assert due[0] >= self.now - 1, "an alarm in the past"
            self.now = max(due[0], self.now)
            if due[1]:
                self.chase_hears(due[1], step.Timer(self.now, self.touch))
            else:
                self.give(step.Timer(self.now, self.touch))
                assert self.state.wake_at > self.now or not self.state.wake_at, "an alarm that was not answered"
            if not self.slow:
                self.answer_all()
        self.now = until

    def health(self, hold: str = "", blocked: str = "") -> None:
        self.everybody(step.StreamHealth(self.now, hold, False, self.touch, blocked))

    def restart(self, pause: str = "", lost: str = "") -> None:
        """The records are written, read back by another process, and resumed, children before their parent; that of
        one child may be `lost`."""
        self.chases.pop(lost, None)
        self.epoch += 1
        self.state = msgspec.json.decode(msgspec.json.encode(self.state), type=ScalperState)
        self.chases = {
            name: msgspec.json.decode(msgspec.json.encode(state), type=ChaseState)
            for name, state in self.chases.items()
        }
        self.everybody(step.StreamHealth(self.now, "recovering"))
        live = [name for name, state in self.chases.items() if not state.status.terminal]
        for name in live:
            self.chase_hears(name, step.Recovered(self.now, self.epoch, self.touch, pause))
        for name in SCALPER.view(self.state).child_algos:
            self.told.pop(name, None)
            if name == lost:
                self.give(ChildDone(self.now, ChildReport(name, -1, AlgoStatus.FAILED, "record_lost"), self.touch))
            else:
                self._tell(name)
        self.give(step.Recovered(self.now, self.epoch, self.touch, pause))

    def reduce_by_hand(self, quantity: str) -> None:
        """Somebody else closes so much of the sub-account's position."""
        sign = 1 if self.position > 0 else -1
        gone = min(D(quantity), abs(self.position))
        self.position -= sign * gone
        self.by_hand += gone
        free = abs(self.position)
        for child_id, state in tuple(self.chases.items()):
            if state.status.terminal or not state.params.reduce_only:
                continue
            share = min(free, state.rest)
            free -= share
            given = step.PositionReduced(self.now, sign * share, self.touch, self.position)
            self.chase_hears(child_id, given)
        self.give(step.PositionReduced(self.now, ZERO, self.touch, self.position))
        if not self.slow:
            self.answer_all()

    # --- the venue ------------------------------------------------------------------------------------

    def _send(self, actions: tuple[Action, ...]) -> None:
        for action in actions:
            assert isinstance(action, PlaceChild | AmendChild | CancelChild)
            self.flying.append(action)
            if isinstance(action, PlaceChild):
                assert action.client_order_id not in self.orders, "an id twice"
                self.orders[action.client_order_id] = self._intent(action)
                continue
            order = self.orders[action.client_order_id]
            if isinstance(action, AmendChild):
                changed = orders.amending(order, action.price, action.quantity, self.now)
            else:
                changed = orders.cancelling(order, self.now)
            self.orders[action.client_order_id] = changed.order

    def _intent(self, action: PlaceChild) -> Order:
        owner = next(name for name in (*self.chases, self.started[-1].child_id) if name in action.client_order_id)
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
            parent_id=owner,
            root_id=WHO.algo_id,
            created_at=self.now,
            updated_at=self.now,
        )

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

    def _hears(self, change: orders.Change, **more: Any) -> None:
        order = change.order
        self.orders[order.client_order_id] = order
        self.chase_hears(order.parent_id, OrderUpdate(self.now, order, change.fill, quote=self.touch, **more))

    def answer_all(self) -> None:
        """Every request that is under way, and those that follow from the answers, is carried out."""
        while self.flying:
            self.answer()

    def answer(self) -> None:
        """The oldest request under way is carried out, or refused while the venue refuses."""
        action = self.flying.popleft()
        order = self.orders[action.client_order_id]  # type: ignore[union-attr]
        if order.state.terminal:
            return
        if isinstance(action, CancelChild):
            self.end(order, VenueStatus.CANCELLED)
            return
        if self.refusing is not None:
            self._refuse(action, order, *self.refusing)
            return
        if isinstance(action, PlaceChild) and order.reduce_only and self._exceeds(order):
            self._refuse(action, order, Cause.REDUCE_ONLY, True)
            return
        price = order.price if order.next_price is None else order.next_price
        quantity = order.quantity if order.next_quantity is None else order.next_quantity
        if quantity <= order.filled_qty:
            self.end(order, VenueStatus.CANCELLED)
            return
        self._hears(orders.reported(order, self.report(order, price=price, quantity=quantity), self.now, answers=True))

    def _exceeds(self, order: Order) -> bool:
        others = sum((one.remaining for one in self.resting(order.side) if one.reduce_only), ZERO)
        return order.quantity + others > max(-self.position * order.side.sign, ZERO)

    def _refuse(self, action: Action, order: Order, cause: Cause, refused: bool) -> None:
        word = "place" if isinstance(action, PlaceChild) else "amend"
        failure = Failure(word, cause, "-1111", "refused -1111", refused=refused)
        if word == "place":
            change = orders.not_placed(order, failure.message, self.now)
        else:
            change = orders.request_failed(order, failure.message, self.now)
        self._hears(change, failure=failure)

    def end(self, order: Order, status: VenueStatus, cause: Cause = Cause.NONE, **more: Any) -> None:
        """The venue ends an order."""
        change = orders.reported(order, self.report(order, status, cause=cause), self.now)
        self._hears(change, cause=cause, **more)

    def fill(self, order: Order, quantity: str | Decimal = "all", price: str | None = None) -> None:
        """Some of a resting order trades, all of it unless said otherwise."""
        order = self.orders[order.client_order_id]
        size = order.remaining if quantity == "all" else min(D(quantity), order.remaining)
        if order.reduce_only:
            size = min(size, max(-self.position * order.side.sign, ZERO))
            if not size:
                self.end(order, VenueStatus.EXPIRED, Cause.REDUCE_ONLY)
                return
        self._trade += 1
        at = order.price if price is None else D(price)
        identity = order.exchange_order_id or len(self.orders)
        fee = D("0.001")
        fill = Fill(order.symbol, identity, self._trade, order.side, at, size, fee, "USDT", True, self.now)
        filled = order.filled_qty + size
        status = VenueStatus.FILLED if filled >= order.quantity else VenueStatus.OPEN
        self.position += order.side.sign * size
        self._hears(orders.reported(order, self.report(order, status, filled=filled, fill=fill), self.now))
        if not self.slow:
            self.answer_all()

    # --- what there is --------------------------------------------------------------------------------

    def resting(self, side: Side | None = None) -> list[Order]:
        """The orders at the venue, inner layers first; what is under way counts where it stood."""
        found = [
            order
            for order in self.orders.values()
            if not order.state.terminal and order.exchange_order_id and side in (None, order.side)
        ]
        return sorted(found, key=lambda order: -order.price * order.side.sign)

    def prices(self, side: Side) -> list[Decimal]:
        return [order.price for order in self.resting(side)]

    def slot(self, side: Side, number: int = 0) -> LayerSlot:
        return self.state.ladder(side).slots[number]

    def reasons(self, side: Side) -> list[str]:
        return [slot.reason for slot in self.state.ladder(side).slots]

    def check(self) -> None:
        """What the scalper keeps, against what is true."""
        state = self.state
        if not self.by_hand:
            assert state.inventory == self.position
        running = [name for name, one in self.chases.items() if not one.status.terminal]
        if not self._inbox and state.hold != "recovering":
            assert sorted(running) == sorted(SCALPER.view(state).child_algos), "one live child per slot, all known"
        most = max(state.cap_quantity, abs(state.inventory)) + state.instrument.min_qty
        for side in (BUY, SELL):
            live = [order for order in self.orders.values() if order.side is side and not order.state.terminal]
            may_open = sum((order.remaining for order in live if not order.reduce_only), ZERO)
            may_close = sum((order.remaining for order in live if order.reduce_only), ZERO)
            if self.capped:
                assert state.inventory * side.sign + may_open <= most, "beyond the cap"
            assert self.by_hand or may_close <= max(-self.position * side.sign, ZERO), "closes more than there is"
