"""A venue that keeps the truth and tells it badly: late, twice, out of order, or not at all.

It carries out each request of a chase or not, and answers or not, as it is told to; what it tells of an order goes
through the daemon's own order records. `check` compares what is true with what the chase may have asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from algos.step import Action, AmendChild, CancelChild, Failure, PlaceChild
from pms.core import orders
from schemas.orders import Cause, Fill, Order
from schemas.reports import Report, VenueStatus
from tests.pure.algos.stage import T0, Stage

D = Decimal
NONE = D(0)


@dataclass
class Truth:
    """An order as it is at the venue."""

    price: Decimal
    quantity: Decimal
    status: VenueStatus | None = None  # None: never arrived, or not yet
    filled: Decimal = NONE
    time: int = T0
    cause: Cause = Cause.NONE

    @property
    def open(self) -> Decimal:
        return self.quantity - self.filled if self.status is VenueStatus.OPEN else NONE


@dataclass
class _Untold:
    client_id: str
    report: Report


@dataclass
class _Flying:
    action: Action
    lost: bool = False
    done: bool = False


@dataclass
class _Memory:
    truths: dict[str, Truth] = field(default_factory=dict)
    flying: dict[str, _Flying] = field(default_factory=dict)
    untold: list[_Untold] = field(default_factory=list)
    trades: list[Fill] = field(default_factory=list)


class RoughVenue(Stage):
    """A stage whose venue has a will of its own. `peak` is the most the parent ever asked for."""

    def __init__(self, **asked: object) -> None:
        self.venue = _Memory()
        super().__init__(**asked)
        self.peak = self.state.quantity

    # --- requests -------------------------------------------------------------------------------------

    def _send(self, actions: tuple[Action, ...]) -> None:
        super()._send(actions)
        for action in actions:
            client_id = action.client_order_id
            before = self.venue.flying.get(client_id)
            # A lost answer is old news once the stream has shown that its request was carried out.
            assert before is None or (before.lost and before.done), "one request in flight per order (execution.md 3)"
            self.venue.flying[client_id] = _Flying(action)
            if isinstance(action, PlaceChild):
                self.venue.truths[client_id] = Truth(action.price, action.quantity)

    @property
    def flying(self) -> _Flying | None:
        """The request whose fate is open."""
        return next(iter(self.venue.flying.values()), None)

    def execute(self, action: Action, crossing: bool) -> None:
        """The request reaches the venue and is carried out."""
        truth = self.venue.truths[action.client_order_id]
        truth.time = self.now
        match action:
            case PlaceChild() if truth.status is None:
                truth.status = VenueStatus.OPEN
                if action.time_in_force == "IOC":
                    self.trade(action.client_order_id, 50)
                    if truth.status is VenueStatus.OPEN:
                        truth.status = VenueStatus.EXPIRED
            case AmendChild() if truth.status is VenueStatus.OPEN:
                truth.price, truth.quantity = action.price, action.quantity
                if crossing or truth.filled >= truth.quantity:
                    truth.status = VenueStatus.CANCELLED
            case CancelChild() if truth.status is VenueStatus.OPEN:
                truth.status = VenueStatus.CANCELLED

    def answer(self, crossing: bool = False) -> None:
        """The request in flight is carried out and answered."""
        if (flying := self.flying) is None:
            return
        if not flying.lost:
            self.execute(flying.action, crossing)
        self.settle(flying.action.client_order_id)

    def settle(self, client_id: str) -> None:
        """The venue's last word on the request in flight, by answer or look-up: the whole truth, trades included."""
        del self.venue.flying[client_id]
        truth = self.venue.truths[client_id]
        order = self.orders[client_id]
        if truth.status is None:
            self.tell(
                orders.not_placed(order, "never arrived", self.now),
                failure=Failure("place", Cause.NONE, "never_arrived", "never arrived", refused=False),
            )
            return
        change = orders.reported(order, self.truth_of(order), self.now, answers=True)
        self.say(change, truth.cause)

    def say(self, change: orders.Change, cause: Cause) -> None:
        """Tell a change where there is one."""
        known = self.orders[change.order.client_order_id]
        if change.order is not known or change.fill is not None:
            self.tell(change, cause=cause)

    def lose(self, executed: bool = False, crossing: bool = False) -> None:
        """The answer is lost; the request may have been carried out."""
        flying = self.flying
        if flying is None or flying.lost:
            return
        flying.lost, flying.done = True, executed
        if executed:
            self.execute(flying.action, crossing)
        order = self.orders[flying.action.client_order_id]
        self.say(orders.unknown(order, "timeout", self.now), Cause.NONE)

    def deny(self, cause: Cause, refused: bool) -> None:
        """The request in flight was certainly not carried out."""
        flying = self.flying
        if flying is None or flying.lost:
            return
        client_id = flying.action.client_order_id
        order = self.orders[client_id]
        word = {PlaceChild: "place", AmendChild: "amend", CancelChild: "cancel"}[type(flying.action)]
        if word != "place" and self.venue.truths[client_id].status is not VenueStatus.OPEN:
            self.answer()  # an order that ended is refused as not found, and looked up
            return
        del self.venue.flying[client_id]
        failure = Failure(word, cause, f"-{len(cause)}", "denied", refused=refused)
        if word == "place":
            self.tell(orders.not_placed(order, "denied", self.now), failure=failure)
        else:
            self.tell(orders.request_failed(order, "denied", self.now), failure=failure)

    # --- what happens at the venue --------------------------------------------------------------------

    @property
    def resting(self) -> list[str]:
        return [name for name, truth in self.venue.truths.items() if truth.status is VenueStatus.OPEN]

    def trade(self, client_id: str, percent: int) -> None:
        """Some of an order's open quantity trades; its event is kept to be told."""
        truth = self.venue.truths[client_id]
        steps = truth.open / self.state.instrument.step
        quantity = max(1, int(steps * percent / 100)) * self.state.instrument.step
        self._trade += 1
        truth.filled += quantity
        truth.time = self.now
        if truth.filled >= truth.quantity:
            truth.status = VenueStatus.FILLED
        order = self.orders[client_id]
        identity = self.identity(client_id)
        fill = Fill(
            order.symbol, identity, self._trade, order.side, truth.price, quantity, NONE, "USDT", True, self.now
        )
        self.venue.trades.append(fill)
        self.venue.untold.append(_Untold(client_id, self.truth_of(order, fill)))

    def kill(self, status: VenueStatus, cause: Cause) -> None:
        """The venue, or somebody, ends the resting order."""
        for client_id in self.resting:
            truth = self.venue.truths[client_id]
            truth.status, truth.cause, truth.time = status, cause, self.now
            self.venue.untold.append(_Untold(client_id, self.truth_of(self.orders[client_id])))

    def identity(self, client_id: str) -> int:
        return 1 + list(self.venue.truths).index(client_id)

    def truth_of(self, order: Order, fill: Fill | None = None) -> Report:
        truth = self.venue.truths[order.client_order_id]
        assert truth.status is not None, "what never arrived has no report"
        return self.report(
            order,
            truth.status,
            order_id=self.identity(order.client_order_id),
            price=truth.price,
            quantity=truth.quantity,
            filled=truth.filled,
            fill=fill,
            time=truth.time,
            cause=truth.cause,
        )

    # --- the stream -----------------------------------------------------------------------------------

    def stream(self, which: int, twice: bool) -> None:
        """One kept event is told, not always the oldest, and sometimes twice."""
        if not self.venue.untold:
            return
        event = self.venue.untold.pop(which % len(self.venue.untold))
        for _ in range(2 if twice else 1):
            change = orders.reported(self.orders[event.client_id], event.report, self.now)
            self.say(change, event.report.cause)

    def audit(self) -> None:
        """What the records lack is fetched: every trade, each as often as it is there."""
        for fill in self.venue.trades:
            client_id = list(self.venue.truths)[fill.exchange_order_id - 1]
            self.say(orders.booked(self.orders[client_id], fill, self.now), Cause.NONE)

    # --- judged ---------------------------------------------------------------------------------------

    def check(self) -> None:
        """What must hold at any moment."""
        self.peak = max(self.peak, self.state.quantity)
        coming = [
            flying.action.quantity
            for flying in self.venue.flying.values()
            if isinstance(flying.action, PlaceChild) and self.venue.truths[flying.action.client_order_id].status is None
        ]
        resting = [self.venue.truths[client_id].open for client_id in self.resting]
        assert len(resting) + len(coming) <= 1, "two live orders"
        filled = sum((truth.filled for truth in self.venue.truths.values()), NONE)
        assert filled + sum(resting, NONE) + sum(coming, NONE) <= self.peak, "more than was asked for"
        assert self.state.filled_quantity == sum((order.filled_qty for order in self.orders.values()), NONE)
        if self.state.status.terminal:
            assert not resting, "an ended chase with an order in the market"
            assert not coming
            ended = self.state.residual
            assert ended == max(self.state.quantity - self.state.filled_quantity, NONE)

    def all_told(self) -> bool:
        """Whether every record has come to the truth."""
        return all(
            order.state.terminal and order.filled_qty == self.venue.truths[name].filled
            for name, order in self.orders.items()
        )
