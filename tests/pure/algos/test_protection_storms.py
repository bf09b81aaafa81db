"""A protection in any weather: fills of the entry, a position that others close, refusals, lost answers, moves, prices,
deaths. The laws hold at each step; what is closed is never more than what was ever protected; without the venue's flag
what could trigger never sums above the position; and once the weather is over, what stands at the venue is exactly what
there is to protect, or nothing is left of it."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from algos import protecting, step
from algos.children import Exit
from pms.core import orders
from schemas.chase import AlgoStatus
from schemas.orders import Cause, OrderState
from schemas.protection import LegWord
from schemas.reports import VenueStatus
from tests.pure.algos.protection_stage import ProtectionStage, leg

D = Decimal
ZERO = D(0)
PART = st.integers(1, 10)
PICK = st.integers(0, 7)
WEATHER = st.one_of(
    st.tuples(st.just("enter"), PART),
    st.tuples(st.just("enter"), PART),
    st.tuples(st.just("accept"), PICK),
    st.tuples(st.just("accept"), PICK),
    st.tuples(st.just("refuse"), PICK, st.sampled_from([Cause.OTHER, Cause.OTHER, Cause.TRIGGERED])),
    st.tuples(st.just("not_done"), PICK),
    st.tuples(st.just("unknown"), PICK),
    st.tuples(st.just("confirm")),
    st.tuples(st.just("other"), PART),
    st.tuples(st.just("fire"), PICK, PART),
    st.tuples(st.just("expire"), PICK),
    st.tuples(st.just("move"), st.sampled_from(["stop", "take_profit"]), st.integers(-3, 3)),
    st.tuples(st.just("mark"), st.integers(85, 115)),
    st.tuples(st.just("wait"), st.sampled_from([1, 30, 300, 61_000])),
    st.tuples(st.just("bare"), st.booleans()),
    st.tuples(st.just("exit"), PART, st.booleans()),
    st.tuples(st.just("restart"), PICK),
    st.tuples(st.just("pause")),
    st.tuples(st.just("cancel")),
)


class Weather(ProtectionStage):
    """A stage in which anything may happen that a venue and its users do."""

    def __init__(self, entry: bool) -> None:
        self.epoch = 1_700_000_000
        super().__init__(entry=entry, stop=leg("90"), take_profit=leg("110"))
        self.entry = entry
        self.ever = self.state.quantity

    def pick(self, number: int, *states: OrderState) -> str | None:
        names = [name for name, order in self.book.items() if order.state in states and order.trigger_price]
        return names[number % len(names)] if names else None

    def strike(self, what: tuple[object, ...]) -> None:
        word, *rest = what
        getattr(self, f"_{word}")(*rest)
        self.check()

    def _enter(self, tenths: int) -> None:
        if self.entry and self.state.entry_live:
            self.ever += D(tenths) / 10
            self.entered(str(self.state.entry_filled + D(tenths) / 10))

    def _accept(self, number: int) -> None:
        if name := self.pick(number, OrderState.PLACING, OrderState.UNKNOWN):
            self.report(name, answers=self.book[name].state is OrderState.UNKNOWN)

    def _refuse(self, number: int, cause: Cause) -> None:
        if name := self.pick(number, OrderState.PLACING):
            self.refuse(name, cause)

    def _not_done(self, number: int) -> None:
        if name := self.pick(number, OrderState.PLACING):
            self.refuse(name, refused=False)

    def _unknown(self, number: int) -> None:
        if name := self.pick(number, OrderState.PLACING, OrderState.CANCELLING):
            self.tell(orders.unknown(self.book[name], "no answer", self.now))

    def _confirm(self) -> None:
        self.confirm()

    def _other(self, tenths: int) -> None:
        self.hold(str(max(self.position - D(tenths) / 10, ZERO)))

    def _fire(self, number: int, tenths: int) -> None:
        name = self.pick(number, OrderState.ACTIVE)
        if name is None or not self.position or self.state.status.terminal:
            return
        self.fire(name)
        size = min(D(tenths) / 10, self.position, self.book[name].remaining)
        self.fill(name, str(size))

    def _expire(self, number: int) -> None:
        if name := self.pick(number, OrderState.ACTIVE):
            became = {"order_id": 99, "algo_id": 0} if self.book[name].triggered_at else {}
            self.report(name, VenueStatus.EXPIRED, cause=Cause.REDUCE_ONLY, **became)

    def _move(self, word: LegWord, ticks: int) -> None:
        self.give(protecting.ProtectRequest(self.now, word, D(90 if word == "stop" else 110) + ticks))

    def _mark(self, price: int) -> None:
        self.mark(str(price))

    def _wait(self, ms: int) -> None:
        self.run(ms)

    def _bare(self, bare: bool) -> None:
        if bare is not self.state.bare:
            self.opposed(bare)

    def _exit(self, tenths: int, whole: bool) -> None:
        if not self.state.exiting:
            return
        asked = self.asked(Exit)[-1].quantity
        size = min(self.position if whole else D(tenths) / 10, self.position, self.state.rest, asked)
        if size:
            self.exit_fill(str(size))
        self.exit_done("" if not self.position else "refused")

    def _restart(self, number: int) -> None:
        self.epoch += 1
        self.die()
        self._fire(number, 3)
        self.resume(self.epoch)

    def _pause(self) -> None:
        self.give(step.PauseRequest(self.now, "paused_by_command"))

    def _cancel(self) -> None:
        self.give(step.CancelRequest(self.now, "cancelled_by_command"))

    def check(self) -> None:
        """What must be true at any moment."""
        state = self.state
        assert self.closed <= self.ever, "more closed than there ever was to protect"
        assert state.rest <= self.ever - self.closed

    def calm(self) -> None:
        """Everything under way ends well; the entry is over."""
        if self.entry:
            self.give(protecting.EntryChanged(self.now, self.state.entry_filled, False, self.position, "", self.touch))
        for _ in range(30):
            for name, order in tuple(self.book.items()):
                if order.state is OrderState.UNKNOWN:
                    self.report(name, answers=True)
            self.accept()
            self.confirm()
            self._exit(10, True)
            for name, order in tuple(self.book.items()):
                if order.triggered_at and not order.state.terminal and self.position:
                    self.fill(name, str(min(order.remaining, self.position)))
                elif order.triggered_at and not order.state.terminal:
                    self.report(name, VenueStatus.EXPIRED, order_id=99, algo_id=0, cause=Cause.REDUCE_ONLY)
            self.run(61_000)


@settings(max_examples=150)
@given(entry=st.booleans(), weather=st.lists(WEATHER, max_size=40))
def test_the_laws_hold_in_any_weather(entry: bool, weather: list[tuple[object, ...]]) -> None:
    stage = Weather(entry)
    for what in weather:
        stage.strike(what)
    stage.calm()
    state = stage.state
    live = [order for order in stage.book.values() if not order.state.terminal and order.trigger_price]
    if state.status.terminal:
        assert not live
        assert not state.exiting
        assert state.status is not AlgoStatus.COMPLETED or not state.rest
        return
    assert state.rest > 0
    assert not state.triggered_at, "what was triggered is closed in the end"
    stop = state.leg("stop")
    assert stop is not None
    stands = sum((order.open_quantity for order in stop.standing), ZERO)
    assert stop.dropped or stands == state.rest, f"{stands} stands for {state.rest}"
    assert len(live) == len(state.orders)
