"""A trailing stop in any weather: random markets, fills, failures and deaths. The laws hold, the position is never
oversold, and a plain model that remembers every price agrees on extreme and trigger."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algos import step, trail_price, trail_stop
from algos.children import Exit
from schemas.chase import AlgoStatus
from schemas.market import Side, Touches
from schemas.trail_stop import TrailStopState
from tests.pure.algos.stage import RULES, T0
from tests.pure.algos.trail_stage import LONG, WHO, TrailStage, closes, params, quote

D = Decimal
WHOLE = D(1)

ASKED = st.fixed_dictionaries(
    {},
    optional={
        "side": st.sampled_from(Side),
        "callback_pct": st.sampled_from(["0.05", "1", "3"]),
        "activation_price": st.sampled_from(["0", "100.5", "99.5", "101.03"]),
        "exit": st.sampled_from(["market", "chase"]),
        "quantity": st.sampled_from(["1", "0.4"]),
        "on_blind": st.sampled_from(["hold", "close"]),
    },
)
PART = st.integers(1, 10)
WEATHER = st.one_of(
    st.tuples(st.just("move"), st.integers(-12, 12), st.sampled_from([0, 20, 300])),
    st.tuples(st.just("move"), st.integers(-3, 3), st.sampled_from([0, 20, 300])),
    st.tuples(st.just("mark"), st.integers(-12, 12)),
    st.tuples(st.just("wait"), st.sampled_from([1, 250, 5000])),
    st.tuples(st.just("other"), PART),
    st.tuples(st.just("fill"), PART),
    st.tuples(st.just("done"), st.sampled_from(["", "no"])),
    st.tuples(st.just("chase"), PART, st.booleans()),
    st.tuples(st.just("health"), st.sampled_from(["", "book"])),
    st.tuples(st.just("sight"), st.booleans()),
    st.tuples(st.just("pause"), st.booleans()),
    st.tuples(st.just("restart"), st.integers(-12, 12)),
    st.tuples(st.just("stop")),
    st.tuples(st.just("cancel")),
)


class Weather(TrailStage):
    """A stage with a position of one coin that others reduce too."""

    def __init__(self, **asked: object) -> None:
        super().__init__(**asked)
        self.position = WHOLE  # in the stop's own direction
        self.sold = D(0)
        self.most = self.state.quantity

    @property
    def sign(self) -> int:
        return -self.state.side.sign

    def tell(self) -> None:
        self.hold(str(self.sign * self.position))

    def trade(self, part: int, open_: Decimal) -> Decimal:
        """Some tenths of what is asked for trade, as far as there is a position: reduce-only."""
        size = RULES.quantity_down(min(open_ * part / 10, self.position))
        self.position -= size
        self.sold += size
        return size

    def blow(self, word: str, *how: object) -> None:
        state = self.state
        match word:
            case "move":
                ticks, after_ms = how
                self.move(1000 + ticks, 1001 + ticks, after_ms)
            case "mark":
                self.mark(str(D(1000 + how[0]) / 10 + D("0.013")), 20)
            case "wait":
                self.run(how[0])
            case "other":
                self.position -= RULES.quantity_down(self.position * how[0] / 10)
                self.tell()
            case "fill" if state.exiting and (size := self.trade(how[0], state.rest)):
                self.fill(str(size))
            case "done" if state.exiting:
                undone = state.rest and self.position
                self.exit_done(how[0] or ("no" if undone else ""))
            case "chase" if state.chase is not None and state.chase.live:
                self.fill_chase(*how)
            case "health":
                self.give(step.StreamHealth(self.now, how[0], False, self.touch))
            case "sight":
                self.give(step.Sight(self.now, how[0], self.touch))
            case "pause":
                self.give(step.PauseRequest(self.now, "p") if how[0] else step.ResumeRequest(self.now, self.touch))
            case "restart":
                self.touch = quote(1000 + how[0], 1001 + how[0], self.now)
                self.restart(epoch=state.id_epoch + 1) if not state.status.terminal else None
            case "stop":
                self.give(step.StopRequest(self.now))
            case "cancel":
                self.give(step.CancelRequest(self.now, "asked"))

    def fill_chase(self, part: int, ends: bool) -> None:
        chase = self.state.chase
        assert chase is not None
        size = chase.filled_quantity + self.trade(part, self.state.rest)
        self.chase(str(size), AlgoStatus.CANCELLED if ends else AlgoStatus.ACTIVE)

    def check(self) -> None:
        """What must hold at any moment."""
        state = self.state
        assert state.filled_quantity == self.sold <= self.most
        assert all(0 < closes(action) <= self.most for action in self.sent if not isinstance(action, step.StopChild))
        assert self.position + self.sold <= WHOLE
        if state.status is AlgoStatus.COMPLETED:
            assert not self.position or self.sold == state.quantity
        if self.sent:
            assert state.triggered_at

    def calm(self) -> None:
        """Everything that is asked for is done and told."""
        for _ in range(20):
            self.check()
            state = self.state
            if state.status.terminal:
                return
            if state.chase is not None and state.chase.live:
                self.fill_chase(10, True)
            elif state.exiting:
                if size := self.trade(10, state.rest):
                    self.fill(str(size))
                self.exit_done()
            elif state.triggered_at:
                self.run(5000)
            else:
                self.give(step.ResumeRequest(self.now, self.touch))
                self.give(step.StreamHealth(self.now, "", False, self.touch))
                far = 2000 if state.side is LONG else 1
                self.move(far)
                self.move(2001 - far)


@settings(max_examples=400, deadline=None)
@given(ASKED, st.lists(WEATHER, max_size=60))
def test_the_laws_hold_in_any_weather_and_the_position_is_closed_once_it_is_calm(asked, weather) -> None:
    stage = Weather(**asked)
    ended: TrailStopState | None = None
    for happening in weather:
        stage.blow(*happening)
        stage.check()
        if ended is not None:
            assert stage.state is ended
        ended = stage.state if stage.state.status.terminal else None
    stage.calm()
    state = stage.state
    assert state.status in (AlgoStatus.COMPLETED, AlgoStatus.CANCELLED)
    if state.status is AlgoStatus.COMPLETED and not state.reason:
        assert state.residual == 0


@settings(max_examples=100, deadline=None)
@given(ASKED, st.lists(WEATHER, max_size=40))
def test_the_same_weather_gives_the_same_stop(asked, weather) -> None:
    """Law 10, through the record at each step."""
    one, other = Weather(**asked), Weather(**asked)
    for happening in weather:
        one.blow(*happening)
        other.state = msgspec.json.decode(msgspec.json.encode(other.state), type=TrailStopState)
        other.blow(*happening)
    assert one.sent == other.sent
    assert one.state == other.state


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(Side),
    st.sampled_from(["0.05", "0.5", "1", "7.3"]),
    st.lists(st.tuples(st.integers(900, 1100), st.integers(0, 4), st.integers(0, 300)), min_size=1, max_size=80),
)
def test_a_plain_model_that_remembers_every_mid_agrees(side, pct, path) -> None:
    """Exact arithmetic, throttled writing and the calm change nothing of what a stop is."""
    first, *rest = path
    stage = TrailStage(first[0], first[0] + 1 + first[1], side=side, callback_pct=pct)
    mids = [D(2 * first[0] + 1 + first[1]) / 20]
    for bid, spread, after_ms in rest:
        asked = stage.move(bid, bid + 1 + spread, after_ms)
        mids.append(D(2 * bid + 1 + spread) / 20)
        extreme = max(mids) if side is LONG else min(mids)
        exact = extreme * (1 + (D(pct) if side is not LONG else -D(pct)) / 100)
        rounding = ROUND_FLOOR if side is LONG else ROUND_CEILING
        trigger = (exact / D("0.05")).to_integral_value(rounding) * D("0.05")
        assert (stage.state.extreme_price, stage.state.trigger_price) == (extreme, trigger)
        fired = mids[-1] <= exact if side is LONG else mids[-1] >= exact
        assert bool(asked) is fired
        if fired:
            assert asked == (Exit("BTCUSDT", side, WHOLE),)
            return


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(Side),
    st.sampled_from(["mid", "touch"]),
    st.lists(st.tuples(st.integers(960, 1040), st.integers(1, 4), st.integers(0, 5), st.integers(0, 5)), max_size=40),
)
def test_a_quote_that_is_passed_over_would_have_changed_nothing(side, trigger, path) -> None:
    """The short ways of the hot path against the long one."""
    stage = TrailStage(1000, 1001, side=side, trigger=trigger)
    for bid, spread, below, above in path:
        ask = bid + spread
        told = quote(
            bid, ask, stage.now, (bid + ask - below, bid + ask + above), Touches(bid - below, bid, ask, ask + above)
        )
        before = stage.state
        after, actions = trail_stop.step_trail_stop(before, told)
        seen = trail_price.of_quote(before, told)
        moved, reached = trail_price.follow(before, seen, stage.now)
        assert (after is before) == (moved is before and reached is None)
        assert bool(actions) is (reached is not None)
        if actions:
            return
        stage.state, stage.now = after, stage.now + 1000


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("trigger", ["mid", "touch", "mark"])
def test_an_idle_stop_costs_nothing(trigger, side) -> None:
    """The same object comes back for a quote that changes nothing, whatever it follows."""
    state, _ = trail_stop.start(WHO, params(trigger=trigger, side=side), RULES, quote(1000, 1001, T0), T0)
    for at in range(5):
        assert trail_stop.step_trail_stop(state, quote(1000, 1001, T0 + at))[0] is state
