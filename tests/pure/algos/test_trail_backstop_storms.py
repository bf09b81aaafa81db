"""A trailing stop and its backstop in any weather, at a venue of its own that serves requests late, refuses them, and
triggers what rests there at any moment: what is others' is never sold, and once it is calm nothing is left behind."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from decimal import Decimal

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from algos import step
from algos.children import Exit
from algos.step import CancelChild, Input, PlaceChild
from schemas.chase import AlgoStatus
from schemas.orders import Cause, OrderState
from schemas.trail_stop import TrailStopState
from tests.pure.algos.stage import RULES
from tests.pure.algos.trail_stage import LONG, SHORT, TrailStage, quote

D = Decimal
WHOLE = D(1)
ACTIVE = OrderState.ACTIVE

ASKED = st.fixed_dictionaries(
    {"others": st.sampled_from(["0", "1", "-0.4"])},
    optional={
        "side": st.sampled_from([LONG, SHORT]),
        "callback_pct": st.sampled_from(["0.05", "1"]),
        "backstop_pct": st.sampled_from([None, D(5), D(0)]),
        "activation_price": st.sampled_from(["0", "100.5"]),
        "quantity": st.sampled_from(["1", "0.4"]),
    },
)
WEATHER = st.one_of(
    st.tuples(st.just("move"), st.integers(-12, 12), st.sampled_from([0, 20, 3000])),
    st.tuples(st.just("move"), st.integers(-3, 3), st.sampled_from([0, 20, 300])),
    st.tuples(st.just("wait"), st.sampled_from([1, 250, 5000])),
    st.tuples(st.just("serve"), st.sampled_from(["ok", "ok", "ok", "no", "passed", "lost"])),
    st.tuples(st.just("fire")),
    st.tuples(st.just("hear")),
    st.tuples(st.just("other"), st.integers(1, 10)),
    st.tuples(st.just("fill"), st.integers(1, 10)),
    st.tuples(st.just("done")),
    st.tuples(st.just("taken")),
    st.tuples(st.just("pause"), st.booleans()),
    st.tuples(st.just("restart")),
    st.tuples(st.just("cancel")),
)


class Storm(TrailStage):
    """`position` is what the stop's sub-account has in truth, `known` what our books say; `others` stand on the same
    side, or below 0 opposite, and the venue's reduce-only flag sees the sum: an exit that it does not cover goes
    without."""

    def __init__(self, others: str, **asked: object) -> None:
        self.requests: deque[PlaceChild | CancelChild] = deque()
        self.resting: dict[str, Decimal] = {}
        self.words: deque[Callable[[], None]] = deque()
        self.position = self.known = WHOLE
        self.others = D(others)
        self.unproven = False
        super().__init__(**asked)
        self.most = self.state.quantity
        self.tell()

    def give(self, given: Input) -> tuple[step.Action, ...]:
        beside, before = bool(self.state.backstops), self.state
        actions = super().give(given)
        self.requests += [action for action in actions if isinstance(action, PlaceChild | CancelChild)]
        self.unproven |= beside and not before.bound and any(isinstance(action, Exit) for action in actions)
        return actions

    def tell(self) -> None:
        """Our books changed."""
        net = max(self.known + self.others, D(0))
        self.cover(str(min(self.state.rest, net)), str(net))
        sign = -self.state.side.sign
        if self.known < WHOLE:
            self.hold(str(sign * self.known))

    def sell(self, size: Decimal) -> Decimal:
        """The venue's flag lets so much of it trade."""
        traded = min(size, max(self.position + self.others, D(0)))
        self.position -= traded
        return traded

    def exit(self, size: Decimal) -> Decimal:
        if self.others >= 0:
            return self.sell(size)
        self.position -= size
        return size

    def booked(self, size: Decimal) -> None:
        self.known -= size
        self.tell()

    def names(self) -> list[str]:
        return [one.client_order_id for one in self.state.backstops]

    def blow(self, word: str, *how: object) -> None:
        state = self.state
        match word:
            case "move":
                ticks, after_ms = how
                self.move(1000 + ticks, 1001 + ticks, after_ms)
            case "wait":
                self.run(how[0])
            case "serve" if self.requests:
                self.serve(self.requests.popleft(), how[0])
            case "fire" if self.resting:
                self.fire(*self.resting.popitem())
            case "hear" if self.words:
                self.words.popleft()()
            case "other" if not self.others:
                size = min(RULES.quantity_down(self.position * how[0] / 10), self.known)
                self.position -= size
                self.booked(size)
            case "fill" if state.exiting and (size := RULES.quantity_down(state.rest * how[0] / 10)):
                if size := self.exit(min(size, self.known)):
                    self.fill(str(size))
                    self.booked(size)
            case "done" if state.exiting:
                self.exit_done("no" if state.rest and self.known > 0 else "")
            case "taken" if self.resting:
                name, _ = self.resting.popitem()
                self.words.append(lambda: self.word(name, OrderState.CANCELLED))
            case "pause":
                self.give(step.PauseRequest(self.now, "p") if how[0] else step.ResumeRequest(self.now, self.touch))
            case "restart" if not state.status.terminal:
                self.touch = quote(1000, 1001, self.now)
                self.restart(epoch=state.id_epoch + 1)
            case "cancel":
                self.give(step.CancelRequest(self.now, "asked"))

    def serve(self, request: PlaceChild | CancelChild, how: str) -> None:
        name = request.client_order_id
        if isinstance(request, CancelChild):
            if name in self.resting and how == "lost":
                self.word(name, ACTIVE, failure=step.Failure("cancel", Cause.OTHER, "-1", "no"))
            elif self.resting.pop(name, None) is not None:
                self.word(name, OrderState.CANCELLED)
            return
        if how in ("no", "passed"):
            cause = Cause.OTHER if how == "no" else Cause.TRIGGERED
            self.word(name, OrderState.FAILED, failure=step.Failure("place", cause, "-1", "no"))
            return
        self.resting[name] = request.quantity
        if how == "lost":
            self.word(name, OrderState.UNKNOWN)
        self.words.append(lambda: self.word(name, ACTIVE) if name in self.resting else None)

    def fire(self, name: str, quantity: Decimal) -> None:
        """It trades in the same moment; we hear of it later."""
        size = self.sell(quantity)

        def told() -> None:
            if not size:
                self.word(name, OrderState.EXPIRED, reason="reduce_only")
                return
            self.word(name, OrderState.FILLED, fill=str(size), triggered_at=self.now)
            self.booked(size)

        if size:
            self.words.append(lambda: self.word(name, ACTIVE, triggered_at=self.now))
        self.words.append(told)

    def word(self, name: str, word: OrderState, **how: object) -> None:
        """Of a backstop that the record knows; of others only their trades."""
        if name in self.names():
            self.backstop(word, self.names().index(name), **how)
        else:
            assert "fill" not in how, "a backstop that was forgotten has traded"

    def check(self) -> None:
        state = self.state
        assert len(state.backstops) <= 2
        assert not state.status.terminal or (not self.resting and not state.backstops), "it outlives its stop"
        assert set(self.resting) <= {*self.names()}, "something rests that the record does not know"
        if not self.unproven:
            assert self.position >= 0, "what is others' was sold"
            assert state.filled_quantity <= self.most, "sold twice"

    def calm(self) -> None:
        """Everything is served and told, and the price falls through."""
        for _ in range(60):
            self.check()
            state = self.state
            if state.status.terminal and not (self.words or self.requests):
                return
            if self.words:
                self.words.popleft()()
            elif self.requests:
                self.serve(self.requests.popleft(), "ok")
            elif state.exiting:
                self.blow("fill", 10)
                self.blow("done")
            elif state.triggered_at or state.ending:
                self.run(70_000)
            else:
                self.give(step.ResumeRequest(self.now, self.touch))
                far = 2000 if state.side is LONG else 1
                self.move(far)
                self.move(2001 - far)
        raise AssertionError(f"it does not end: {self.state}")


OPPOSITE: list[tuple[object, ...]] = [("serve", "ok"), ("hear",), ("move", -12, 3000), ("fire",), ("fill", 10)]


@example({"others": "-0.4"}, OPPOSITE)
@settings(max_examples=400, deadline=None)
@given(ASKED, st.lists(WEATHER, max_size=60))
def test_in_any_weather_what_is_others_is_never_sold_and_nothing_is_left_behind(asked, weather) -> None:
    stage = Storm(**asked)
    for happening in weather:
        stage.blow(*happening)
        stage.check()
    stage.calm()
    state = stage.state
    assert state.status in (AlgoStatus.COMPLETED, AlgoStatus.CANCELLED)
    if state.status is AlgoStatus.COMPLETED and not stage.unproven:
        assert not state.rest or stage.known <= 0
    assert state.params.backstop_pct != 0 or not stage.asked(PlaceChild)


@settings(max_examples=100, deadline=None)
@given(ASKED, st.lists(WEATHER, max_size=40))
def test_the_same_weather_gives_the_same_backstops(asked, weather) -> None:
    """Law 10, through the record at each step."""
    one, other = Storm(**asked), Storm(**asked)
    for happening in weather:
        one.blow(*happening)
        other.state = msgspec.json.decode(msgspec.json.encode(other.state), type=TrailStopState)
        other.blow(*happening)
    assert one.sent == other.sent
    assert one.state == other.state
