"""The trailing stop: what it follows, when it fires, and what it keeps (algos.md, trail_stop; execution.md 27)."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest

from algos import step, trail_price, trail_told
from algos.children import Exit
from schemas.chase import AlgoStatus
from schemas.market import Touches
from tests.pure.algos.stage import EPOCH, RULES, T0, quote, rules
from tests.pure.algos.trail_stage import LONG, MINUTE, SHORT, TrailStage, params

D = Decimal


def prices(stage: TrailStage) -> tuple[Decimal, Decimal]:
    return stage.state.extreme_price, stage.state.trigger_price


@pytest.mark.parametrize(
    "asked, start, best, trigger, before, at",
    [
        ({"side": LONG}, 1000, 1100, "108.9", 1090, 1089),
        ({"side": SHORT}, 1000, 900, "90.9", 908, 909),
        ({"side": LONG, "callback_abs": "2.5"}, 1000, 1100, "107.5", 1076, 1075),
        ({"side": SHORT, "callback_abs": "2.5"}, 1000, 900, "92.5", 924, 925),
        ({"side": LONG, "callback_ticks": 7}, 1000, 1100, "109.3", 1094, 1093),
        ({"side": SHORT, "callback_ticks": 7}, 1000, 900, "90.7", 906, 907),
        ({"side": LONG, "callback_abs": "2.53"}, 1000, 1100, "107.45", 1075, 1074),
        ({"side": SHORT, "callback_abs": "2.53"}, 1000, 900, "92.55", 925, 926),
        ({"side": LONG, "callback_pct": "0.05"}, 1000, 1001, "100", 1001, 1000),
    ],
)
def test_a_stop_follows_its_best_price_and_fires_at_its_distance(asked, start, best, trigger, before, at) -> None:
    """A trigger that falls between half ticks is rounded away from the extreme: never nearer than asked."""
    stage = TrailStage(start, start, **asked)
    assert stage.move(best) == ()
    assert prices(stage) == (D(best) / 10, D(trigger))
    assert stage.move(before) == ()
    (exit_,) = stage.move(at)
    assert exit_ == Exit("BTCUSDT", asked["side"], D(1))
    state = stage.state
    assert (state.triggered_at, state.triggered_price, state.triggered_by) == (stage.now, D(at) / 10, "price")
    assert (state.arrival_mid, state.exiting, state.status) == (D(at) / 10, True, AlgoStatus.ACTIVE)


def test_mids_of_half_ticks_are_exact() -> None:
    stage = TrailStage(1000, 1001, callback_ticks=5)
    assert prices(stage) == (D("100.05"), D("99.55"))
    assert stage.move(995, 997) == ()
    assert len(stage.move(995, 996)) == 1


def test_the_extreme_and_the_trigger_never_go_back() -> None:
    stage = TrailStage()
    stage.move(1100)
    seen = prices(stage)
    for bid in (1095, 1090, 1099):
        stage.move(bid)
        stage.mark(str(D(bid) / 10))
        assert prices(stage) == seen


@pytest.mark.parametrize(
    "side, activation, not_yet, reached, extreme",
    [
        (LONG, "105", 1049, 1060, "106"),
        (SHORT, "95", 951, 940, "94"),
        (LONG, "105.03", 1050, 1051, "105.1"),
        (SHORT, "94.97", 950, 949, "94.9"),
    ],
)
def test_with_an_activation_price_it_follows_from_when_that_is_reached(side, activation, not_yet, reached, extreme):
    stage = TrailStage(side=side, activation_price=activation)
    assert not stage.state.activated
    assert stage.move(not_yet) == ()
    assert (stage.state.activated, *prices(stage)) == (False, 0, 0)
    assert stage.move(2000 - not_yet) == (), "nothing fires before"
    stage.move(reached)
    assert (stage.state.activated, stage.state.extreme_price, stage.state.activated_at) == (
        True,
        D(extreme),
        stage.now,
    )


@pytest.mark.parametrize("side", [LONG, SHORT])
def test_an_activation_price_that_is_reached_already_activates_at_once(side) -> None:
    stage = TrailStage(side=side, activation_price="100")
    assert stage.state.activated
    assert stage.state.extreme_price == 100


def test_the_highest_mid_of_a_step_counts_though_the_quote_is_lower() -> None:
    stage = TrailStage()
    stage.move(1095, span=(2190, 2200))
    assert prices(stage) == (D(110), D("108.9"))
    stage = TrailStage(activation_price="110")
    stage.move(1095, span=(2190, 2200))
    assert prices(stage) == (D(110), D("108.9"))


@pytest.mark.parametrize("side, span", [(LONG, (1980, 2000)), (SHORT, (2000, 2020))])
def test_a_touch_of_the_trigger_that_only_a_step_saw_fires(side, span) -> None:
    stage = TrailStage(side=side)
    assert [exit_.side for exit_ in stage.move(1000, span=span)] == [side]
    assert stage.state.triggered_price == D(span[0] if side is LONG else span[1]) / 20


@pytest.mark.parametrize("side, bid, span", [(LONG, 1000, (1981, 2200)), (SHORT, 1000, (1800, 2019))])
def test_what_may_have_come_before_the_extreme_of_the_same_step_does_not_fire(side, bid, span) -> None:
    """99.05 is below the new trigger of 108.9, and above the old one: it may have been before 110 was reached. But the
    last price came after both."""
    stage = TrailStage(side=side)
    last = 1090 if side is LONG else 909
    assert stage.move(last + (1 if side is LONG else -1), span=span) == ()
    stage = TrailStage(side=side)
    assert len(stage.move(bid, span=span)) == 1, "the last price is beyond the new trigger"


@pytest.mark.parametrize("side, other, at", [(LONG, 1, 990), (SHORT, -1, 1010)])
def test_a_stop_on_the_touch_follows_the_side_it_would_trade_with(side, other, at) -> None:
    stage = TrailStage(1000, 1000, side=side, trigger="touch")
    far = at + 10 * other
    bid, ask = (at + other, far + 100) if side is LONG else (far - 100, at + other)
    assert stage.move(bid, ask) == (), "the mid is anywhere"
    bid, ask = (at, far + 100) if side is LONG else (far - 100, at)
    assert len(stage.move(bid, ask)) == 1


def test_a_stop_on_the_touch_sees_what_its_side_reached_between_two_quotes() -> None:
    stage = TrailStage(trigger="touch")
    stage.move(1050, 1060, touches=Touches(1040, 1100, 1050, 1110))
    assert prices(stage) == (D(110), D("108.9"))
    stage = TrailStage(trigger="touch")
    assert len(stage.move(1000, 1001, touches=Touches(990, 1000, 1000, 1001))) == 1
    stage = TrailStage(trigger="touch", side=SHORT)
    stage.move(1000, 1000, touches=Touches(800, 1000, 900, 1000))
    assert prices(stage)[0] == D(90)
    stage = TrailStage(trigger="touch", side=SHORT)
    assert len(stage.move(1000, 1000, touches=Touches(1000, 1000, 1000, 1010))) == 1


def test_a_stop_on_the_mark_looks_at_nothing_else() -> None:
    stage = TrailStage(trigger="mark")
    assert (stage.state.activated, prices(stage)) == (False, (0, 0))
    stage.mark("100.123")
    assert prices(stage) == (D("100.1"), D("99.05")), "rounded back, never further than it was"
    assert stage.move(500) == ()
    assert stage.mark("99.0501") == ()
    assert len(stage.mark("99.05")) == 1


def test_a_short_on_the_mark_is_mirrored() -> None:
    stage = TrailStage(trigger="mark", side=SHORT)
    stage.mark("100.02")
    assert prices(stage) == (D("100.05"), D("101.1"))
    assert stage.mark("101.0999") == ()
    assert len(stage.mark("101.1")) == 1


def test_the_mark_stands_in_where_there_is_no_book() -> None:
    stage = TrailStage()
    stage.give(step.StreamHealth(stage.now, "book", False, None))
    assert stage.state.status is AlgoStatus.THROTTLED
    stage.touch = None
    stage.mark("110.02")
    assert prices(stage) == (D(110), D("108.9"))
    (exit_,) = stage.mark("108.9")
    assert isinstance(exit_, Exit)
    assert stage.state.arrival_mid == D("108.9")


def test_it_works_from_the_first_price_whenever_that_comes() -> None:
    stage = TrailStage(priced=False)
    assert (stage.state.activated, stage.state.status) == (False, AlgoStatus.ACTIVE)
    stage.move(1000, span=(1900, 2400))
    assert prices(stage) == (D(100), D(99)), "what was before the first price is older than the stop"


def test_a_quote_within_the_calm_is_nothing_at_all() -> None:
    for side, calm in ((LONG, (1981, 2000)), (SHORT, (2000, 2019))):
        stage = TrailStage(side=side)
        before = stage.state
        stage.move(1000, span=calm)
        assert stage.state is before
    waiting = TrailStage(activation_price="105")
    before = waiting.state
    waiting.move(1000, span=(1, 2099))
    assert waiting.state is before


# --- what is written, and when ----------------------------------------------------------------------


def test_an_extreme_that_moves_is_written_four_times_a_second_at_most() -> None:
    stage = TrailStage()
    stage.run(1000)
    for number in range(100):
        stage.move(1001 + number, after_ms=10)
        assert stage.state.extreme_price == D(1001 + number) / 10, "in memory it is known at once"
    stage.run(1000)
    times = [at for at, _ in stage.written]
    assert len(times) == 1 + 5
    assert all(later - sooner >= 250 for sooner, later in pairwise(times))
    assert stage.written[-1][1].extreme_price == D(110)
    assert not any(state.unwritten for _, state in stage.written)


def test_whatever_else_happens_writes_the_extreme_as_well() -> None:
    stage = TrailStage()
    stage.move(1001)
    stage.move(1002, after_ms=10)
    assert stage.state.unwritten
    assert trail_told.unwritten(stage.state)
    assert stage.state.wake_at == stage.now + 240
    before = stage.state
    stage.give(step.Budget(stage.now, "", stage.touch))
    assert stage.state is before, "nothing happened"
    stage.hold("0.5")
    assert (stage.state.unwritten, stage.state.wake_at) == (False, 0)
    assert stage.written[-1][1].extreme_price == D("100.2")


def test_the_trigger_does_not_wait_for_the_extreme_to_be_written() -> None:
    stage = TrailStage(callback_ticks=2)
    stage.move(1001)
    stage.move(1010, after_ms=1)
    assert len(stage.move(1008, after_ms=1)) == 1
    assert stage.written[-1][1].triggered_at == stage.now


# --- a new life -------------------------------------------------------------------------------------


def test_what_was_reached_while_nobody_looked_counts_before_the_first_decision() -> None:
    stage = TrailStage()
    stage.now += 10 * MINUTE
    stage.wake()
    assert trail_told.view_trail_stop(stage.state).missed_since == T0
    assert stage.move(900, after_ms=0) == (), "no price means anything yet"
    stage.missed((3, "110", "90"), (4, "105", "104"))
    assert prices(stage) == (D(110), D("108.9"))
    assert not stage.sent
    stage.give(step.Recovered(stage.now, EPOCH + 1, None))
    assert (stage.state.id_epoch, stage.state.hold, stage.state.missed_since) == (EPOCH + 1, "", 0)
    assert len(stage.move(1089)) == 1, "the gap fires on the first good price"


def test_a_candles_low_never_fires_by_itself() -> None:
    stage = TrailStage()
    stage.now += 10 * MINUTE
    stage.wake()
    stage.missed((3, "100", "50"))
    stage.touch = quote(1000, 1000, stage.now)
    stage.give(step.Recovered(stage.now, EPOCH + 1, stage.touch))
    assert stage.move(1000) == ()


@pytest.mark.parametrize("minute, counts", [(-1, False), (0, False), (1, True)])
def test_a_minute_in_which_the_stop_began_does_not_count(minute, counts) -> None:
    stage = TrailStage()
    assert T0 % MINUTE, "it began within a minute"
    stage.now += 10 * MINUTE
    stage.wake()
    stage.missed((minute, "110", "90"))
    assert (stage.state.extreme_price == D(110)) is counts


@pytest.mark.parametrize("minute, counts", [(2, False), (3, False), (4, True)])
def test_a_minute_in_which_it_was_activated_does_not_count(minute, counts) -> None:
    stage = TrailStage(activation_price="105")
    stage.move(1050, after_ms=3 * MINUTE)
    stage.now += 10 * MINUTE
    stage.wake()
    stage.missed((minute, "120", "90"))
    assert (stage.state.extreme_price == D(120)) is counts


@pytest.mark.parametrize("minute, counts", [(4, False), (5, True)])
def test_a_minute_that_was_over_when_the_record_was_written_does_not_count(minute, counts) -> None:
    stage = TrailStage()
    stage.move(1001, after_ms=5 * MINUTE)
    stage.wake()
    stage.missed((minute, "110", "100"))
    assert (stage.state.extreme_price == D(110)) is counts


def test_an_activation_price_reached_while_down_activates() -> None:
    stage = TrailStage(side=SHORT, activation_price="95")
    stage.now += 10 * MINUTE
    stage.wake()
    stage.missed((2, "100", "95.5"), (3, "99", "94"), (4, "99", "93"))
    assert (stage.state.activated, stage.state.extreme_price) == (True, D(93))


def test_a_second_death_while_recovering_still_knows_what_it_missed() -> None:
    stage = TrailStage()
    stage.now += 10 * MINUTE
    stage.wake()
    stage.now += MINUTE
    stage.wake()
    assert stage.state.missed_since == T0


def test_what_is_triggered_missed_nothing() -> None:
    stage = TrailStage()
    stage.move(900)
    stage.wake()
    before = stage.state
    assert trail_told.view_trail_stop(before).missed_since == 0
    stage.missed((3, "200", "100"))
    assert stage.state is before


# --- people and parts -------------------------------------------------------------------------------


def test_a_paused_stop_follows_and_does_not_fire_until_it_goes_on() -> None:
    stage = TrailStage()
    stage.give(step.PauseRequest(stage.now, "asked"))
    assert stage.state.status is AlgoStatus.PAUSED
    assert trail_told.event_trail_stop("trail_stop_progress", stage.state, stage.now).reason == "asked"
    stage.move(1100)
    assert prices(stage)[1] == D("108.9")
    assert stage.move(1080) == ()
    stage.give(step.ResumeRequest(stage.now, stage.touch))
    assert len(stage.move(1080)) == 1


def test_blindness_is_shown_and_a_price_ends_it() -> None:
    stage = TrailStage()
    assert stage.give(step.Sight(stage.now, True)) == ()
    assert (stage.state.blind, stage.state.status) == (True, AlgoStatus.THROTTLED)
    stage.give(step.Sight(stage.now, False, stage.touch))
    assert stage.state.status is AlgoStatus.ACTIVE
    stage.give(step.Sight(stage.now, True))
    stage.move(1001)
    assert not stage.state.blind


def test_a_stop_told_to_close_when_blind_closes() -> None:
    stage = TrailStage(on_blind="close")
    told = trail_told.event_blind(stage.state, stage.now)
    assert (told.type, told.trail_stop_id, told.reason) == ("protection_blind", "s123456789", "on_blind_close")
    assert (told.extreme_price, told.trigger_price, told.sub_account_id) == (D(100), D(99), "main")
    (exit_,) = stage.give(step.Sight(stage.now, True))
    assert isinstance(exit_, Exit)
    assert (stage.state.triggered_by, stage.state.triggered_price) == ("blind", D(99))


@pytest.mark.parametrize("how", ["waiting", "paused", "recovering"])
def test_a_blind_stop_that_protects_nothing_now_holds(how) -> None:
    stage = TrailStage(on_blind="close", **({"activation_price": "200"} if how == "waiting" else {}))
    if how == "paused":
        stage.give(step.PauseRequest(stage.now, "asked"))
    if how == "recovering":
        stage.wake()
    assert stage.give(step.Sight(stage.now, True)) == ()
    assert stage.state.blind


@pytest.mark.parametrize("side", [LONG, SHORT])
def test_another_tick_keeps_the_prices(side) -> None:
    stage = TrailStage(1000, 1001, side=side)
    waiting = TrailStage(side=side, activation_price="105" if side is LONG else "95")
    for grid in ("0.01", "0.5"):
        changed = rules(tick=grid)
        stage.give(step.InstrumentChanged(stage.now, changed, None))
        assert stage.state.instrument == changed
        assert abs(stage.state.extreme_price - D("100.05")) < D(grid)
        waiting.give(step.InstrumentChanged(waiting.now, changed, None))
        assert not waiting.state.activated


def test_what_a_view_and_an_event_tell() -> None:
    stage = TrailStage(callback_ticks=10)
    view = trail_told.view_trail_stop(stage.state)
    assert (view.algo_id, view.reduce_only, view.follows, view.milestone) == ("s123456789", True, "mid", "")
    stage.move(990)
    stage.fill("1", "98.901")
    stage.exit_done()
    view = trail_told.view_trail_stop(stage.state)
    assert (view.follows, view.milestone, view.status) == (None, "triggered", AlgoStatus.COMPLETED)
    told = trail_told.event_trail_stop("trail_stop_completed", stage.state, stage.now)
    assert (told.callback_ticks, told.callback_pct, told.triggered_price) == (10, 0, D(99))
    assert (told.avg_price, told.arrival_mid, told.slippage_bps, told.fees) == (
        D("98.901"),
        D(99),
        D("10.00"),
        {"USDT": D("0.01")},
    )


@pytest.mark.parametrize(
    "asked, price, protects",
    [
        ({"callback_abs": "100"}, "100", False),
        ({"callback_abs": "99.9"}, "100", True),
        ({"callback_ticks": 1000}, "100", False),
        ({"callback_pct": "50"}, "0.1", True),
        ({"callback_abs": "100", "side": SHORT}, "100", True),
    ],
)
def test_a_distance_as_large_as_the_price_protects_nothing(asked, price, protects) -> None:
    assert trail_price.protects(params(**asked), RULES, D(price)) is protects
