"""An order and its position against a plain reference, whatever is said of them in whatever order, twice or late.

The reference is the venue's own truth: one order with its trades, and one signed position kept with fractions. Every
word that it ever said stays in a bag, from which any one may be delivered at any time, any number of times; our own
requests land, are refused or are lost. In the end the record is what the venue has, and the sums are exact.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pms.core import orders, positions
from pms.core.funding import money
from pms.core.orders import Change
from pms.core.positions import Trade
from schemas.market import ZERO, Side
from schemas.orders import TRANSITIONS, Cause, Fill, Order, OrderState, Origin
from schemas.reports import Report, VenueStatus

D = Decimal
S, V = OrderState, VenueStatus
_replace = msgspec.structs.replace

ENDS = {V.FILLED: S.FILLED, V.CANCELLED: S.CANCELLED, V.EXPIRED: S.EXPIRED}
ENDINGS = {"order_filled", "order_cancelled", "order_expired", "order_failed"}
EXCHANGE_ID = 7


class Venue:
    """The truth: an order that is not there yet, rests, or has ended; and all that was ever said of it."""

    def __init__(self, side: Side, quantity: int) -> None:
        self.side = side
        self.price, self.quantity = D(100), D(quantity)
        self.status: VenueStatus | None = None
        self.trades: list[Fill] = []
        self.said: list[Report] = []
        self.time = 0

    @property
    def filled(self) -> Decimal:
        return sum((trade.quantity for trade in self.trades), ZERO)

    @property
    def open(self) -> bool:
        return self.status is V.OPEN

    def say(self, fill: Fill | None = None, cause: Cause = Cause.NONE, amended: bool = False) -> Report:
        assert self.status is not None, "it says nothing of what it does not know"
        report = Report(
            client_id="o",
            order_id=EXCHANGE_ID,
            symbol="BTCUSDT",
            side=self.side,
            status=self.status,
            order_type="LIMIT",
            time_in_force="GTC",
            price=self.price,
            quantity=self.quantity,
            filled=self.filled,
            reduce_only=False,
            time=self.time,
            fill=fill,
            cause=cause,
            amended=amended,
        )
        self.said.append(report)
        return report

    def trade(self, quantity: Decimal, price: int) -> None:
        number = len(self.trades) + 1
        fill = Fill(
            "BTCUSDT", EXCHANGE_ID, number, self.side, D(price), quantity, D("0.01") * number, "USDT", True, self.time
        )
        self.trades.append(fill)
        if self.filled == self.quantity:
            self.status = V.FILLED
        self.say(fill)

    def amend(self, price: Decimal, quantity: Decimal) -> None:
        self.time += 1
        if quantity <= self.filled:  # the venue ends such an order (execution.md 7)
            self.end(V.CANCELLED)
            return
        self.price, self.quantity = price, quantity
        self.say(amended=True)

    def end(self, status: VenueStatus, cause: Cause = Cause.NONE) -> None:
        self.status = status
        self.say(cause=cause)


class Life(RuleBasedStateMachine):
    """The record under test, fed from the bag."""

    @initialize(
        side=st.sampled_from(Side),
        quantity=st.integers(3, 12),
        held=st.integers(-8, 8),
        entry=st.integers(90, 110),
    )
    def begin(self, side: Side, quantity: int, held: int, entry: int) -> None:
        self.venue = Venue(side, quantity)
        self.order = Order(
            client_order_id="o",
            sub_account_id="main",
            symbol="BTCUSDT",
            side=side,
            order_type="LIMIT",
            time_in_force="GTC",
            quantity=D(quantity),
            price=D(100),
            reduce_only=False,
            state=S.PLACING,
            origin=Origin.MANUAL,
            parent_id="",
            root_id="",
            created_at=0,
            updated_at=0,
        )
        self.events: list[str] = []
        self.booked: list[Fill] = []
        self.in_flight: str = "place"
        self.landed = False
        self.newest: Report | None = None
        self.position = positions.flat("main", "BTCUSDT")
        self.signed, self.entry, self.realized = Fraction(0), Fraction(0), D(0)
        if held:
            self._move(Trade(D(held), D(entry), ZERO, 0))

    # --- applying -------------------------------------------------------------------------------------

    def take(self, change: Change) -> None:
        """What the desk does with a change, and what must be true of any."""
        before, after = self.order, change.order
        assert before.state is after.state or after.state in TRANSITIONS[before.state]
        assert after.filled_qty >= before.filled_qty, "cumulative quantities only grow"
        assert after.venue_filled >= before.venue_filled
        assert not before.state.terminal or not change.events, "nothing follows the terminal event"
        self.order = after
        self.events += change.events
        if change.fill is not None:
            self.booked.append(change.fill)
            fill = change.fill
            self._move(Trade(fill.side.sign * fill.quantity, fill.price, fill.commission, fill.time))
        if after.state in (S.ACTIVE, *ENDS.values(), S.FAILED):
            self.in_flight = ""

    def hear(self, report: Report, answers: bool = False) -> None:
        """A word of the venue; the newest one heard before the end tells price and total."""
        if not self.order.state.terminal and (self.newest is None or report.time >= self.newest.time):
            self.newest = report
        self.take(orders.reported(self.order, report, 9, answers=answers))
        if self.newest is None:
            assert self.order.state is S.FILLED, "its trades alone have ended it, and no word after an end counts"
            return
        assert (self.order.price, self.order.quantity) == (self.newest.price, self.newest.quantity)

    def _move(self, trade: Trade) -> None:
        """Both books by one trade: ours, and the plain one."""
        parts = positions.book(self.position, trade, 5, 9)
        self.position = parts[-1].position
        signed, price = Fraction(trade.quantity), Fraction(trade.price)
        closing = min(abs(signed), abs(self.signed)) if self.signed * signed < 0 else Fraction(0)
        gain = closing * (price - self.entry) * (1 if self.signed > 0 else -1)
        self.realized += money(D(gain.numerator) / gain.denominator)
        assert sum((part.realized_pnl for part in parts), ZERO) - money(D(gain.numerator) / gain.denominator) == 0
        after = self.signed + signed
        if self.signed * after <= 0:
            self.entry = price if after else Fraction(0)
        elif closing == 0:
            self.entry = (self.signed * self.entry + signed * price) / after
        self.signed = after

    # --- the venue ------------------------------------------------------------------------------------

    @precondition(lambda self: self.venue.status is None and not self.order.state.terminal)
    @rule()
    def the_order_arrives(self) -> None:
        self.venue.status = V.OPEN
        self.venue.say()

    @precondition(lambda self: self.venue.open)
    @rule(lots=st.integers(1, 4), price=st.integers(98, 102), passes=st.integers(0, 1))
    def it_fills(self, lots: int, price: int, passes: int) -> None:
        self.venue.time += passes
        self.venue.trade(min(D(lots), self.venue.quantity - self.venue.filled), price)

    @precondition(lambda self: self.venue.open)
    @rule(cause=st.sampled_from([Cause.SELF_TRADE, Cause.TIME_IN_FORCE, Cause.LIQUIDATION]), passes=st.integers(0, 1))
    def it_expires(self, cause: Cause, passes: int) -> None:
        self.venue.time += passes
        self.venue.end(V.EXPIRED, cause)

    @precondition(lambda self: self.in_flight == "amend" and not self.landed and self.venue.open)
    @rule()
    def the_amend_lands(self) -> None:
        assert self.order.next_price is not None
        assert self.order.next_quantity is not None
        self.landed = True
        self.venue.amend(self.order.next_price, self.order.next_quantity)

    @precondition(lambda self: self.in_flight == "cancel" and not self.landed and self.venue.open)
    @rule()
    def the_cancel_lands(self) -> None:
        self.landed = True
        self.venue.time += 1
        self.venue.end(V.CANCELLED)

    # --- our words ------------------------------------------------------------------------------------

    @precondition(lambda self: self.order.state is S.ACTIVE)
    @rule(price=st.integers(98, 102), quantity=st.integers(1, 15))
    def we_amend(self, price: int, quantity: int) -> None:
        self.take(orders.amending(self.order, D(price), D(quantity), 9))
        self.in_flight, self.landed = "amend", False

    @precondition(lambda self: self.order.state is S.ACTIVE)
    @rule()
    def we_cancel(self) -> None:
        self.take(orders.cancelling(self.order, 9))
        self.in_flight, self.landed = "cancel", False

    @rule()
    def we_want_it_gone(self) -> None:
        self.take(orders.cancel_wanted(self.order, 9))

    @precondition(lambda self: self.in_flight)
    @rule()
    def its_fate_is_unknown(self) -> None:
        self.take(orders.unknown(self.order, "timeout", 9))

    @precondition(lambda self: self.in_flight in ("amend", "cancel") and not self.landed)
    @rule()
    def it_is_refused(self) -> None:
        if self.order.state is not S.UNKNOWN:  # then only a look-up settles it
            self.take(orders.request_failed(self.order, "no", 9))

    @precondition(lambda self: self.venue.status is None and self.order.state in (S.PLACING, S.UNKNOWN))
    @rule()
    def it_is_rejected(self) -> None:
        self.take(orders.not_placed(self.order, "rejected", 9))

    # --- what arrives ---------------------------------------------------------------------------------

    @precondition(lambda self: self.venue.said)
    @rule(data=st.data())
    def a_word_arrives(self, data: st.DataObject) -> None:
        report = data.draw(st.sampled_from(self.venue.said))
        self.hear(report)

    @precondition(lambda self: self.venue.said)
    @rule()
    def a_look_up_tells(self) -> None:
        self.hear(self.venue.say())

    @precondition(lambda self: self.venue.status is not None and (self.landed or self.in_flight == "place"))
    @rule()
    def the_request_is_answered(self) -> None:
        self.hear(self.venue.say(), answers=True)

    @precondition(lambda self: self.venue.trades)
    @rule(data=st.data())
    def a_trade_is_read(self, data: st.DataObject) -> None:
        self.take(orders.booked(self.order, data.draw(st.sampled_from(self.venue.trades)), 9))

    # --- what must hold -------------------------------------------------------------------------------

    @invariant()
    def the_sums_are_exact(self) -> None:
        if not hasattr(self, "order"):
            return
        order = self.order
        assert len({fill.trade_id for fill in self.booked}) == len(self.booked), "each trade is booked once"
        assert order.filled_qty == sum((fill.quantity for fill in self.booked), ZERO) <= self.venue.filled
        assert order.commission == sum((fill.commission for fill in self.booked), ZERO)
        assert order.quote_filled == sum((fill.quantity * fill.price for fill in self.booked), ZERO)
        assert Fraction(self.position.signed_quantity) == self.signed
        assert abs(Fraction(self.position.entry_price) - self.entry) < Fraction(1, 10**18)

    @invariant()
    def the_end_is_the_venues(self) -> None:
        if not hasattr(self, "order") or not self.order.state.terminal:
            return
        told = [event for event in self.events if event in ENDINGS]
        assert told == [f"order_{self.order.state}"], "one terminal event"
        if self.order.state is S.FAILED:
            assert self.venue.status is None, "it never was there"
        else:
            assert self.venue.status is not None
            assert self.order.state is ENDS[self.venue.status]
            assert self.order.filled_qty == self.venue.filled, "not before all its fills are booked"

    def teardown(self) -> None:
        """Everything arrives at last, and a look-up after the settle window tells how things are."""
        if not hasattr(self, "order"):
            return
        if self.venue.status is None:
            self.take(orders.not_placed(self.order, "never arrived", 9))
            assert self.order.state is S.FAILED
            return
        for report in self.venue.said:
            self.hear(report)
        self.venue.time += 1
        self.hear(self.venue.say(), answers=True)
        for trade in self.venue.trades:
            self.take(orders.booked(self.order, trade, 9))
        self.the_sums_are_exact()
        self.the_end_is_the_venues()
        assert self.order.filled_qty == self.venue.filled == self.order.venue_filled
        if self.venue.open:
            assert (self.order.state, self.order.price, self.order.quantity) == (
                S.ACTIVE,
                self.venue.price,
                self.venue.quantity,
            )
        else:
            assert self.order.state.terminal


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
