"""A TWAP in any weather: the laws hold at every step, and once it is calm it ends with the truth in its sums."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from algos import step, twap_plan
from algos.children import Spawn
from algos.step import PlaceChild
from schemas.chase import AlgoStatus
from schemas.market import Side
from schemas.orders import Cause, OrderState
from schemas.reports import VenueStatus
from schemas.twap import TwapState
from tests.pure.algos.stage import T0, quote, rules
from tests.pure.algos.twap_stage import TwapStage

D = Decimal
NONE = D(0)

ASKED = st.fixed_dictionaries(
    {"lots": st.integers(1, 6)},
    optional={
        "side": st.sampled_from(Side),
        "quantity": st.sampled_from(["1", "1.007", "0.6", "250", "0.301"]),
        "irregular": st.booleans(),
        "jitter_pct": st.sampled_from(["0", "30", "50"]),
        "catch_up_max": st.sampled_from(["1", "1.5", "3", "100"]),
        "style": st.sampled_from(["market", "chase"]),
        "on_child_fail": st.sampled_from(["market", "carry"]),
        "price_limit": st.sampled_from(["0", "100", "99", "102"]),
        "on_limit": st.sampled_from(["skip", "pause", "end", "execute"]),
        "reduce_only": st.booleans(),
    },
)
PERCENT = st.integers(0, 100)
WEATHER = st.one_of(
    st.tuples(st.just("move"), st.integers(-30, 30), st.sampled_from([0, 1000, 30_000])),
    st.tuples(st.just("wait"), st.sampled_from([1, 250, 20_000, 60_000, 200_000])),
    st.tuples(st.just("trade"), PERCENT),
    st.tuples(st.just("trade"), st.just(100)),
    st.tuples(st.just("deny"), st.sampled_from([Cause.OTHER, Cause.REDUCE_ONLY, Cause.SELF_TRADE]), st.booleans()),
    st.tuples(st.just("queue")),
    st.tuples(st.just("lose")),
    st.tuples(st.just("child"), PERCENT, st.sampled_from(["", "active", "blocked"])),
    st.tuples(st.just("child"), PERCENT, st.sampled_from(["filled", "deadline", "failed", "by_hand"])),
    st.tuples(st.just("late"), PERCENT),
    st.tuples(st.just("hold"), st.sampled_from(["", "book", "redis"]), st.sampled_from(["", "halted"])),
    st.tuples(st.just("blind"), st.booleans()),
    st.tuples(st.just("pause"), st.booleans()),
    st.tuples(st.just("reduced"), st.sampled_from(["0", "0.001", "0.5", "10"])),
    st.tuples(st.just("grid"), st.sampled_from(["0.001", "0.002", "0.05"])),
    st.tuples(st.just("restart"), st.booleans(), st.booleans()),
    st.tuples(st.just("cancel")),
)


class Weather(TwapStage):
    """A stage that knows how much of each child is true. `peak` is the most that was ever asked for."""

    def __init__(self, **asked: object) -> None:
        super().__init__(**asked)
        self.peak = self.state.quantity

    def share(self, whole: Decimal, percent: int) -> Decimal:
        return self.state.instrument.quantity_down(whole * percent / 100)

    def blow(self, word: str, *how: object) -> None:
        state, now = self.state, self.now
        match word:
            case "move":
                ticks, after_ms = how
                self.run(after_ms)
                self.touch = quote(1000 + ticks, 1003 + ticks, self.now)
                self.give(self.touch)
            case "wait":
                self.run(how[0])
            case "trade" if state.child is not None:
                self.trades(how[0])
            case "deny" if self.flying():
                self.refuse(how[0], refused=how[1])
            case "queue" if self.flying():
                self.refuse(refused=False, throttled=True)
            case "lose" if self.flying():
                self.lose()
            case "child" if state.worker is not None:
                self.child_moves(*how)
            case "late":
                self.late(how[0])
            case "hold":
                self.give(step.StreamHealth(now, how[0], False, self.touch, how[1]))
            case "blind":
                self.touch = None if how[0] else quote(1000, 1003, now)
            case "pause":
                self.give(step.PauseRequest(now, "p") if how[0] else step.ResumeRequest(now, self.touch))
            case "reduced" if state.params.reduce_only:
                held = -state.side.sign * D(how[0])
                self.give(step.PositionReduced(now, held, self.touch, held))
            case "grid":
                self.give(step.InstrumentChanged(now, rules(step=D(how[0])), self.touch))
            case "restart":
                stopped, paused = how
                if stopped:
                    self.give(step.StopRequest(now))
                self.restart("down_too_long" if paused else "", epoch=state.id_epoch + 1)
            case "cancel":
                self.give(step.CancelRequest(now, "asked"))

    def trades(self, percent: int) -> None:
        """The order in flight fills so far, and what is left of it expires."""
        order = self.order
        part = self.share(order.quantity, percent)
        if part:
            self.fill(str(part))
        if part < order.quantity:
            self.end(VenueStatus.EXPIRED)

    def child_moves(self, percent: int, word: str) -> None:
        worker = self.state.worker
        report = self.children[worker.child_id]
        more = self.share(worker.quantity - report.filled_quantity, 100 if word == "filled" else percent)
        filled = str(report.filled_quantity + more)
        if word in ("", "active", "blocked"):
            self.child_tells(filled, status=AlgoStatus(word or "active"))
        elif word == "failed":
            self.child_ends(filled, word, status=AlgoStatus.FAILED)
        else:
            self.child_ends(filled, "" if word == "filled" else word)

    def late(self, percent: int) -> None:
        """An ended chase tells of a fill that came before its end."""
        for worker in self.state.past[-1:]:
            report = self.children[worker.child_id]
            room = min(worker.quantity - report.filled_quantity, self.state.rest - self.state.open_quantity)
            filled = report.filled_quantity + self.share(max(room, NONE), percent)
            self.child_ends(str(filled), worker.reason, child=worker.child_id, status=worker.status)

    def check(self) -> None:
        """What must hold at any moment."""
        state = self.state
        live = [name for name, order in self.orders.items() if not order.state.terminal]
        assert len(live) + (state.worker is not None) <= 1, "two at once"
        owned = sum((order.filled_qty for order in self.orders.values()), NONE)
        by_children = sum((report.filled_quantity for report in self.children.values()), NONE)
        assert state.filled_quantity == owned + by_children, "sums that differ from the truth"
        assert state.filled_quantity + state.open_quantity <= self.peak, "more than was asked for"
        plan = twap_plan.plan(state.params, state.seed)
        assert state.filled_lots == sum(total <= state.filled_quantity for total in plan.sums)
        if state.status.terminal:
            assert not live
            assert state.residual == state.rest

    def calm(self) -> None:
        """Everything is there, and every order and child fills."""
        for _ in range(40):
            if self.state.child is not None:
                self.trades(100)
            if self.state.worker is not None:
                self.child_moves(100, "filled" if not self.state.worker.stopping else "by_hand")
            self.check()
            if self.state.status.terminal:
                return
            self.touch = quote(950, 953, self.now) if self.state.side is Side.BUY else quote(1100, 1103, self.now)
            self.give(step.Budget(self.now, "", self.touch))
            self.give(step.StreamHealth(self.now, "", False, self.touch))
            if self.state.stopped_at or self.state.paused:
                self.restart(epoch=self.state.id_epoch + 1)
                self.give(step.ResumeRequest(self.now, self.touch))
            self.run(61_000)


def _on_grid(state: TwapState, least: str) -> Decimal:
    """The smallest quantity that the venue takes where minNotional comes to this much, in whole steps."""
    steps = (D(least) / state.instrument.step).to_integral_value(ROUND_CEILING)
    return steps * state.instrument.step * (not state.params.reduce_only)


@settings(max_examples=400, deadline=None)
@given(ASKED, st.lists(WEATHER, max_size=40))
def test_the_laws_hold_in_any_weather_and_it_ends_once_it_is_calm(asked, weather) -> None:
    stage = Weather(**asked)
    stage.check()
    for happening in weather:
        ended = stage.state.status if stage.state.status.terminal else None
        stage.blow(*happening)
        stage.check()
        assert ended in (None, stage.state.status)
    stage.calm()
    state = stage.state
    assert state.status.terminal
    if state.status is AlgoStatus.COMPLETED:
        assert state.residual < max(state.instrument.min_qty, state.instrument.step, _on_grid(state, "0.06"))


@settings(max_examples=100, deadline=None)
@given(ASKED, st.lists(WEATHER, max_size=30))
def test_the_same_weather_gives_the_same_twap(asked, weather) -> None:
    """Law 10, over a record that is written and read back before each step."""
    one, other = Weather(**asked), Weather(**asked)
    for happening in weather:
        one.blow(*happening)
        other.state = msgspec.json.decode(msgspec.json.encode(other.state), type=TwapState)
        other.blow(*happening)
    assert one.sent == other.sent
    assert one.state == other.state


@settings(max_examples=200, deadline=None)
@given(ASKED, st.lists(st.tuples(PERCENT, st.booleans()), max_size=20))
def test_no_slot_sends_more_than_catch_up_max_times_its_own_size(asked, turns) -> None:
    stage = Weather(**asked | {"on_limit": "skip"})
    sent: dict[int, Decimal] = {}
    filled_before: dict[int, Decimal] = {}
    for percent, failed in turns:
        if stage.state.child is not None:
            stage.trades(percent)
        if stage.state.worker is not None:
            stage.child_moves(percent, "deadline" if failed else "by_hand")
        if stage.state.child is not None:  # a chase's rest at the market
            stage.trades(percent)
        stage.run(60_000)
    cap = stage.state.params.catch_up_max
    plan = twap_plan.plan(stage.state.params, stage.state.seed)
    last = -1
    for at, action in stage.sent:
        slot = plan.slot_at(at - T0)
        filled_before.setdefault(slot, NONE)
        if isinstance(action, Spawn):
            sent[slot] = sent.get(slot, NONE) + action.params.quantity
        elif isinstance(action, PlaceChild) and stage.state.params.style == "market":
            sent[slot] = sent.get(slot, NONE) + action.quantity
        assert slot >= last, "slots go forward"
        last = slot
    for slot, quantity in sent.items():
        assert quantity <= plan.own(slot) * cap


def test_an_order_of_unknown_fate_counts_as_open() -> None:
    stage = Weather(lots=2)
    stage.lose()
    assert stage.order.state is OrderState.UNKNOWN
    assert stage.state.open_quantity == D("0.5")
