"""The laws of a scalper in any weather: random markets, fills, refusals, silences, restarts (algos.md, laws)."""

from __future__ import annotations

from decimal import Decimal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from algos import step
from schemas.chase import AlgoStatus
from schemas.orders import Cause, OrderState
from schemas.reports import VenueStatus
from schemas.scalper import ScalperState
from tests.pure.algos.ladder import BUY, LONG, SELL, SHORT, Ladder

D = Decimal

ASKED = st.fixed_dictionaries(
    {
        "child_count": st.integers(1, 4),
        "start_side": st.sampled_from((LONG, SHORT)),
        "neutral_mode": st.booleans(),
        "allow_loss": st.booleans(),
        "long_size_usd": st.sampled_from(("40", "100")),
        "short_size_usd": st.sampled_from(("40", "100")),
        "skew": st.sampled_from(("-60", "0", "40")),
        "max_position_usd": st.sampled_from(("0", "60", "300")),
        "min_refill_delay_ms": st.sampled_from((0, 500)),
        "max_fills_per_minute": st.sampled_from((0, 2)),
        "min_fill_spread_pct": st.sampled_from(("0", "0.5")),
        "max_loss_per_close_bps": st.sampled_from((0, 30)),
        "pin_long_to_entry": st.booleans(),
        "long_max_price": st.sampled_from(("0", "100.5")),
        "on_stop": st.sampled_from((None, "leave", "cancel")),
    }
)
CAUSES = (Cause.OTHER, Cause.POST_ONLY, Cause.REDUCE_ONLY, Cause.FILTER, Cause.MARGIN)
WEATHER = st.one_of(
    st.tuples(st.just("move"), st.integers(-12, 12), st.integers(1, 4), st.sampled_from((0, 100, 1_000))),
    st.tuples(st.just("run"), st.sampled_from((1, 300, 5_000, 70_000, 400_000))),
    st.tuples(st.just("fill"), st.integers(0, 7), st.sampled_from(("all", "0.003", "0.1"))),
    st.tuples(st.just("fill"), st.integers(0, 7), st.just("all")),
    st.tuples(st.just("end"), st.integers(0, 7), st.sampled_from((VenueStatus.CANCELLED, VenueStatus.EXPIRED))),
    st.tuples(st.just("refuse"), st.sampled_from(CAUSES), st.booleans()),
    st.tuples(st.just("allow")),
    st.tuples(st.just("health"), st.sampled_from(("", "", "book", "user_stream")), st.sampled_from(("", "", "halted"))),
    st.tuples(st.just("pause")),
    st.tuples(st.just("resume")),
    st.tuples(st.just("slow"), st.booleans()),
    st.tuples(st.just("answer")),
    st.tuples(st.just("by_hand"), st.sampled_from(("0.05", "10"))),
    st.tuples(st.just("stop")),
    st.tuples(st.just("restart"), st.sampled_from(("", "", "down_too_long"))),
    st.tuples(st.just("budget"), st.sampled_from(("", "scarce", "queued"))),
)


def _trade(ladder: Ladder, number: int, quantity: str) -> None:
    if found := ladder.resting():
        ladder.fill(found[number % len(found)], quantity)


def _end(ladder: Ladder, number: int, status: VenueStatus) -> None:
    if found := [order for order in ladder.resting() if order.state is OrderState.ACTIVE]:
        ladder.end(found[number % len(found)], status, Cause.OTHER if status is VenueStatus.EXPIRED else Cause.NONE)


def _move(ladder: Ladder, by: int, spread: int, after_ms: int) -> None:
    assert ladder.touch is not None
    bid = min(max(ladder.touch.bid + by, 950), 1050)
    ladder.move(bid, bid + spread, after_ms)


def blow(ladder: Ladder, what: str, *how) -> None:
    """One happening."""
    now, touch = ladder.now, ladder.touch
    match what:
        case "move":
            _move(ladder, *how)
        case "run":
            ladder.run(how[0])
        case "fill":
            _trade(ladder, *how)
        case "end":
            _end(ladder, *how)
        case "refuse" | "allow":
            ladder.refusing = how or None
        case "health":
            ladder.health(*how)
        case "pause":
            ladder.give(step.PauseRequest(now, "p"))
        case "resume":
            ladder.give(step.ResumeRequest(now, touch))
        case "slow":
            ladder.slow = how[0]
        case "answer":
            if ladder.flying:
                ladder.answer()
        case "by_hand":
            ladder.capped = False  # what makes room for the other side may go
            ladder.reduce_by_hand(how[0])
        case "stop":
            ladder.everybody(step.StopRequest(now))
            ladder.restart()
        case "restart":
            ladder.restart(how[0])
        case "budget":
            ladder.everybody(step.Budget(now, how[0], touch))


def calm(ladder: Ladder) -> None:
    """All parts are there, nobody refuses, and the scalper is let go on."""
    ladder.slow, ladder.refusing = False, None
    ladder.answer_all()
    ladder.everybody(step.Budget(ladder.now, "", ladder.touch))
    ladder.health()
    ladder.give(step.ResumeRequest(ladder.now, ladder.touch))
    for _ in range(4):
        ladder.run(400_000)
        ladder.move(1000, 1002)


@settings(max_examples=300, deadline=None)
@given(ASKED, st.lists(WEATHER, max_size=50))
def test_the_laws_hold_in_any_weather_and_every_leg_stands_or_says_why(asked, weather) -> None:
    ladder = Ladder(**asked)
    for happening in weather:
        blow(ladder, *happening)
        ladder.check()
    calm(ladder)
    for side in (BUY, SELL):
        for slot in ladder.state.ladder(side).slots:
            assert slot.child is not None or slot.reason
            assert slot.child is None or slot.child.order_id
    ladder.give(step.CancelRequest(ladder.now, "asked"))
    assert ladder.state.status is AlgoStatus.CANCELLED
    assert all(order.state.terminal for order in ladder.orders.values())


@settings(max_examples=75, deadline=None)
@given(ASKED, st.lists(WEATHER, max_size=40))
def test_the_same_weather_gives_the_same_scalper_whatever_is_read_back(asked, weather) -> None:
    """Law 10."""
    one, other = Ladder(**asked), Ladder(**asked)
    for happening in weather:
        blow(one, *happening)
        other.state = msgspec.json.decode(msgspec.json.encode(other.state), type=ScalperState)
        blow(other, *happening)
    assert one.started == other.started
    assert one.stopped == other.stopped
    assert one.amended == other.amended
    assert one.state == other.state


@settings(max_examples=60, deadline=None)
@given(ASKED, st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 7), st.booleans()), max_size=80))
def test_what_was_realised_is_what_the_fills_say(asked, moves) -> None:
    """Money in and out, and what is still held at its entry: together the realised profit."""
    ladder = Ladder(**asked)
    for by, number, fills in moves:
        _move(ladder, by, 2, 1_000)
        if fills:
            _trade(ladder, number, "all")
    state = ladder.state
    cash = state.sold_quote - state.bought_quote
    assert abs(state.realized_pnl - (cash + state.inventory * state.entry_price)) < D("1e-6")
    assert state.inventory == state.bought - state.sold == ladder.position


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-6, 6), st.booleans(), st.integers(0, 3)), max_size=80))
def test_where_no_loss_is_allowed_none_is_ever_realised(moves) -> None:
    ladder = Ladder(allow_loss=False, child_count=2, max_position_usd="300")
    for by, fills, number in moves:
        before = ladder.state.realized_pnl
        _move(ladder, by, 2, 1_000)
        if fills:
            _trade(ladder, number, "0.2")
        assert ladder.state.realized_pnl >= before


def test_a_venue_that_refuses_for_ever_gets_few_requests() -> None:
    """Law 7 against a nervous market: the quote moves ten times a second for an hour's quarter."""
    ladder = Ladder(child_count=3)
    ladder.give(step.PauseRequest(ladder.now, "p"))
    ladder.refusing = (Cause.MARGIN, True)
    ladder.give(step.ResumeRequest(ladder.now, ladder.touch))
    for turn in range(9_000):
        ladder.move(999 + turn % 7, 1001 + turn % 7, after_ms=100)
    last = [order for order in ladder.orders.values() if order.created_at > ladder.now - 300_000]
    assert len(last) <= 3 * 3 * 2, "three tries of each layer, twice at most in five minutes"
    assert ladder.state.status is AlgoStatus.BLOCKED
