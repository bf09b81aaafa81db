"""Each guard of a scalper holds a leg back with its reason and a time, and lets it return by itself (algos.md)."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from algos import step
from algos.scalper import cap_quantity
from algos.scalper_guards import fill_spread, fills_per_minute
from schemas.chase import AlgoStatus
from schemas.reports import VenueStatus
from tests.pure.algos.ladder import BUY, SELL, SHORT, Ladder, params
from tests.pure.algos.stage import RULES, T0, rules

D = Decimal
_replace = msgspec.structs.replace
ROOMY = {"max_position_usd": "100000"}


def until(ladder: Ladder, side, number: int = 0) -> int:
    """How long a slot rests, by its record."""
    slot = ladder.slot(side, number)
    assert slot.child is None
    return slot.retry_at - ladder.now


# --- refill delay -------------------------------------------------------------------------------------


def test_the_refill_delay_doubles_with_each_fill_of_a_side_up_to_16_times() -> None:
    ladder = Ladder(min_refill_delay_ms=1_000, **ROOMY)
    delays = []
    for _ in range(7):
        ladder.fill(ladder.resting(BUY)[0])
        assert ladder.reasons(BUY) == ["refill_delay"]
        delays.append(until(ladder, BUY))
        ladder.run(delays[-1] - 1)
        assert ladder.resting(BUY) == []
        ladder.run(1)
        assert len(ladder.resting(BUY)) == 1
    assert delays == [1_000, 2_000, 4_000, 8_000, 16_000, 16_000, 16_000]


def test_a_fill_on_the_other_side_resets_the_refill_delay() -> None:
    ladder = Ladder(min_refill_delay_ms=1_000, **ROOMY)
    for _ in range(3):
        ladder.fill(ladder.resting(BUY)[0])
        ladder.run(8_000)
    ladder.fill(ladder.resting(SELL)[0])
    assert until(ladder, SELL) == 1_000
    ladder.fill(ladder.resting(BUY)[0])
    assert until(ladder, BUY) == 1_000


def test_the_refill_delay_holds_the_filled_slot_only() -> None:
    ladder = Ladder(min_refill_delay_ms=1_000, child_count=2, **ROOMY)
    ladder.fill(ladder.resting(BUY)[0])
    assert ladder.reasons(BUY) == ["refill_delay", ""]


def test_partial_fills_of_one_child_count_as_one_fill() -> None:
    ladder = Ladder(min_refill_delay_ms=1_000, **ROOMY)
    for _ in range(4):
        ladder.fill(ladder.resting(BUY)[0], "0.25")
    assert (until(ladder, BUY), ladder.state.total_fill_count) == (1_000, 1)


# --- fills per minute ---------------------------------------------------------------------------------


def test_no_more_fills_a_minute_on_a_side_than_asked_for() -> None:
    ladder = Ladder(max_fills_per_minute=3, **ROOMY)
    for _ in range(3):
        ladder.run(1_000)
        ladder.fill(ladder.resting(BUY)[0])
    assert ladder.reasons(BUY) == ["max_fills_per_minute"]
    assert until(ladder, BUY) == 58_000, "until the first of the three is a minute old"
    assert len(ladder.resting(SELL)) == 1, "the other side has its own count"
    ladder.run(58_000)
    assert len(ladder.resting(BUY)) == 1
    ladder.fill(ladder.resting(BUY)[0])
    assert until(ladder, BUY) == 1_000


def test_layers_that_filled_beyond_the_limit_wait_until_enough_of_them_are_old() -> None:
    ladder = Ladder(max_fills_per_minute=1, child_count=3, **ROOMY)
    for order in ladder.resting(BUY):
        ladder.run(1_000)
        ladder.fill(order)
    assert ladder.reasons(BUY) == ["max_fills_per_minute"] * 3
    assert until(ladder, BUY) == 60_000


def test_the_minute_of_fills_is_kept_in_bounded_memory() -> None:
    ladder = Ladder(max_fills_per_minute=10_000, long_size_usd="10", **ROOMY)
    for _ in range(600):
        ladder.run(250)
        ladder.fill(ladder.resting(BUY)[0])
    seconds = ladder.state.long.fill_seconds
    assert len(seconds) <= 61
    assert 236 <= sum(one.count for one in seconds if one.second > ladder.now // 1000 - 60) <= 240
    assert ladder.state.short.fill_seconds == ()


def test_without_a_limit_no_fill_is_remembered() -> None:
    ladder = Ladder(**ROOMY)
    ladder.fill(ladder.resting(BUY)[0])
    assert ladder.state.long.fill_seconds == ()
    assert fills_per_minute(ladder.state, ladder.state.long, ladder.now) is None


# --- fill spread --------------------------------------------------------------------------------------


def spread(ladder: Ladder, ticks: int, after_ms: int):
    return fill_spread(ladder.state, ladder.state.long, ticks, T0 + after_ms)


def filled_at_99_8(**asked: object) -> Ladder:
    """One buy at 99.8, the next of which needs 1 %, ten ticks, with a half-life of 10 s."""
    asked = {"min_fill_spread_pct": "1", "fill_decay_half_life_ms": 10_000} | asked
    ladder = Ladder(**asked, **ROOMY)
    ladder.fill(ladder.resting(BUY)[0])
    return ladder


@pytest.mark.parametrize(
    "after_ms, ticks, held",
    [
        (0, 998, True),
        (0, 990, True),
        (0, 989, False),  # 9.98 ticks are asked for: nine whole ones
        (0, 1007, False),  # above is as far away as below
        (0, 1006, True),
        (10_000, 994, False),  # 4.99
        (10_000, 995, True),
        (33_199, 997, True),  # the last moment at which a whole tick is asked for
        (33_200, 998, False),
    ],
)
def test_after_a_fill_the_next_needs_a_distance_that_decays_by_half_life(after_ms, ticks, held) -> None:
    ladder = filled_at_99_8()
    assert (spread(ladder, ticks, after_ms) is not None) is held or (ticks, after_ms) == (997, 33_199)


@pytest.mark.parametrize("ticks", range(989, 1000))
def test_the_time_that_is_named_is_the_first_at_which_the_distance_is_enough(ticks: int) -> None:
    ladder = filled_at_99_8()
    held = spread(ladder, ticks, 0)
    if held is None:
        assert ticks == 989
        return
    wait = held.retry_at - T0
    assert spread(ladder, ticks, wait - 1) is not None
    assert spread(ladder, ticks, wait) is None


def test_a_leg_too_near_the_last_fill_returns_when_that_has_decayed() -> None:
    ladder = filled_at_99_8()
    assert ladder.reasons(BUY) == ["min_fill_spread"]
    wait = until(ladder, BUY)
    assert 33_000 < wait < 34_000
    ladder.run(wait - 1)
    assert ladder.resting(BUY) == []
    ladder.run(1)
    assert ladder.prices(BUY) == [D("99.8")]


def test_a_leg_too_near_the_last_fill_returns_when_the_price_has_moved() -> None:
    ladder = filled_at_99_8()
    ladder.move(991, 993)
    assert ladder.resting(BUY) == [], "8 ticks of 9"
    before = ladder.state
    ladder.move(991, 993, after_ms=1)
    assert ladder.state is before, "a quote that changes nothing writes nothing"
    ladder.move(990, 992, after_ms=1)
    assert ladder.prices(BUY) == [D("98.9")]


def test_a_price_that_came_nearer_is_looked_at_anew_when_the_time_has_come() -> None:
    ladder = filled_at_99_8()
    ladder.move(994, 996, after_ms=0)
    early = _replace(ladder.slot(BUY), retry_at=T0 + 10_000)
    ladder.state = _replace(ladder.state, long=_replace(ladder.state.long, slots=(early,)), wake_at=T0 + 10_000)
    ladder.move(999, 1001)
    ladder.run(9_000)
    assert ladder.resting(BUY) == []
    assert until(ladder, BUY) > 20_000


@pytest.mark.parametrize("half_life", [0, 1])
def test_a_distance_that_decays_at_once_holds_nobody_back(half_life: int) -> None:
    ladder = filled_at_99_8(fill_decay_half_life_ms=half_life)
    ladder.run(1_000)
    assert len(ladder.resting(BUY)) == 1


# --- price guards -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "side, asked, away, back",
    [
        (BUY, {"long_max_price": "99.85"}, 1, -1),
        (SELL, {"short_min_price": "100.15", "start_side": SHORT}, -1, 1),
    ],
)
def test_a_leg_beyond_its_price_pauses_and_returns_by_itself(side, asked, away, back) -> None:
    ladder = Ladder(**asked)
    assert len(ladder.resting(side)) == 1
    ladder.move(999 + away, 1001 + away)
    assert ladder.resting() == []
    reason = "long_max_price" if side is BUY else "short_min_price"
    assert ladder.reasons(side) == [reason]
    assert until(ladder, side) == 1_000, "no sooner than a second, whatever the price does"
    ladder.move(999 + back, 1001 + back, after_ms=500)
    assert ladder.resting() == []
    ladder.run(500)
    assert len(ladder.resting(side)) == 1


def test_a_leg_beyond_its_price_is_never_started() -> None:
    ladder = Ladder(long_max_price="99")
    assert (ladder.started, ladder.reasons(BUY), ladder.slot(BUY).retry_at) == ([], ["long_max_price"], 0)
    before = ladder.state
    ladder.move(998, 1000)
    assert ladder.state is before
    ladder.move(991, 993)
    assert ladder.prices(BUY) == [D("99.0")]


@pytest.mark.parametrize("side, asked", [(BUY, "pin_long_to_entry"), (SELL, "pin_short_to_entry")])
def test_a_pinned_leg_stands_no_worse_than_the_entry(side, asked: str) -> None:
    ladder = Ladder(neutral_mode=True, allow_loss=True, child_count=2, **{asked: True}, **ROOMY)
    ladder.fill(ladder.resting(side)[0])
    ladder.run(2_000)
    sign = side.sign
    assert len(ladder.resting(side)) == 2, "at the entry and behind it"
    ladder.move(999 + sign, 1001 + sign)
    assert ladder.reasons(side)[0] == ("pin_long_to_entry" if side is BUY else "pin_short_to_entry")
    ladder.move(999 + 5 * sign, 1001 + 5 * sign)
    assert ladder.resting(side) == []
    ladder.move(999, 1001)
    assert len(ladder.resting(side)) == 2


def test_a_leg_that_closes_at_a_loss_pauses_where_none_is_allowed() -> None:
    ladder = Ladder(allow_loss=False)
    ladder.fill(ladder.resting(BUY)[0])
    assert ladder.prices(SELL) == [D("100.2")]
    ladder.move(995, 997)
    assert ladder.prices(SELL) == [D("99.8")]
    ladder.move(990, 992)
    assert (ladder.resting(SELL), ladder.reasons(SELL)) == ([], ["would_lose"])
    ladder.move(996, 998)
    assert ladder.prices(SELL) == [D("99.9")]


def test_no_child_ever_stands_at_a_loss_though_it_hears_of_the_price_first() -> None:
    """The child follows the market before its parent pauses it: it knows its worst price itself."""
    ladder = Ladder(allow_loss=False)
    ladder.fill(ladder.resting(BUY)[0])
    ladder.slow = True
    ladder.move(980, 982)
    flying = [action.price for action in ladder.flying if hasattr(action, "price")]
    assert flying == [D("99.8")]
    ladder.answer_all()
    assert ladder.resting(SELL) == []


def test_a_neutral_scalper_closes_no_part_at_a_loss() -> None:
    ladder = Ladder(neutral_mode=True)
    ladder.fill(ladder.resting(BUY)[0])
    ladder.run(1_000)
    ladder.move(980, 982)
    assert (ladder.resting(SELL), ladder.reasons(SELL)) == ([], ["would_lose"])
    ladder = Ladder(neutral_mode=True)
    ladder.fill(ladder.resting(SELL)[0])
    ladder.run(1_000)
    ladder.move(1020, 1022)
    assert (ladder.resting(BUY), ladder.reasons(BUY)) == ([], ["would_lose"])


def test_what_rests_learns_its_new_worst_price_when_the_entry_moves() -> None:
    ladder = Ladder(allow_loss=False, child_count=2, **ROOMY)
    ladder.fill(ladder.resting(BUY)[0])
    assert ladder.slot(SELL).child.limit_price == D("99.8")
    ladder.move(979, 981)
    ladder.run(2_000)
    ladder.fill(ladder.resting(BUY)[1], "0.5")
    assert ladder.state.entry_price == D("98.75")
    ladder.move(985, 987)
    assert ladder.reasons(SELL) == ["", ""]
    assert {slot.child.limit_price for slot in ladder.state.short.slots} == {D("98.8")}, "no part of a tick worse"
    assert all(ladder.chases[slot.child.child_id].limit_ticks == 988 for slot in ladder.state.short.slots)


@pytest.mark.parametrize("bps, lowest", [(0, None), (50, "99.4"), (200, "97.9")])
def test_a_closing_fill_realises_no_worse_loss_than_asked_for(bps: int, lowest: str | None) -> None:
    """99.8 less 50 bps is 99.301, less 200 97.804: no part of a tick worse."""
    ladder = Ladder(max_loss_per_close_bps=bps)
    ladder.fill(ladder.resting(BUY)[0])
    seen = set(ladder.prices(SELL))
    for bid in range(999, 960, -1):
        ladder.move(bid, bid + 2)
        seen |= set(ladder.prices(SELL))
    assert min(seen) == D(lowest or "96.4")
    assert ladder.reasons(SELL) == (["max_loss_per_close"] if bps else [""])


def test_the_tightest_of_several_guards_is_named() -> None:
    ladder = Ladder(allow_loss=False, short_min_price="105", max_loss_per_close_bps=10)
    ladder.fill(ladder.resting(BUY)[0])
    assert ladder.reasons(SELL) == ["short_min_price"]


def test_without_a_price_no_guard_of_the_price_is_judged() -> None:
    ladder = Ladder(long_max_price="99.85")
    ladder.touch = None
    ladder.give(step.Timer(ladder.now, None))
    assert len(ladder.resting(BUY)) == 1
    ladder.end(ladder.resting(BUY)[0], VenueStatus.CANCELLED)
    ladder.run(10_000)
    assert ladder.reasons(BUY) == ["no_price"]
    ladder.move(998, 1000)
    assert len(ladder.resting(BUY)) == 1


# --- missing parts, freezes, pauses -------------------------------------------------------------------


def test_nothing_is_started_while_it_holds_and_all_of_it_afterwards() -> None:
    """Law 5."""
    ladder = Ladder(child_count=2, **ROOMY)
    ladder.health("user_stream")
    assert ladder.state.status is AlgoStatus.THROTTLED
    spawned = len(ladder.started)
    ladder.fill(ladder.resting(BUY)[0])
    ladder.move(1003, 1005)
    assert len(ladder.started) == spawned
    assert ladder.reasons(BUY) == ["holding", ""]
    ladder.health()
    assert (len(ladder.resting(BUY)), len(ladder.resting(SELL))) == (2, 1)
    assert ladder.state.status is AlgoStatus.ACTIVE


def test_a_closing_leg_does_not_grow_while_it_holds() -> None:
    ladder = Ladder()
    order = ladder.resting(BUY)[0]
    ladder.fill(order, "0.2")
    ladder.health("redis")
    ladder.fill(order, "0.2")
    assert ladder.slot(SELL).child.asked == D("0.2")
    ladder.health()
    assert ladder.slot(SELL).child.asked == D("0.4")


def test_a_freeze_takes_the_opening_legs_away_and_leaves_the_closing_ones() -> None:
    ladder = Ladder(child_count=2)
    ladder.fill(ladder.resting(BUY)[0], "0.2")
    ladder.health(blocked="subaccount_frozen")
    assert [order.side for order in ladder.resting()] == [SELL]
    assert (ladder.state.status, ladder.state.reason) == (AlgoStatus.BLOCKED, "subaccount_frozen")
    ladder.fill(ladder.resting(SELL)[0], "0.2")
    ladder.run(60_000)
    assert ladder.resting() == []
    ladder.health()
    assert len(ladder.resting(BUY)) == 2
    assert ladder.state.status is AlgoStatus.ACTIVE


def test_while_it_is_frozen_free_opening_slots_say_so() -> None:
    ladder = Ladder()
    ladder.end(ladder.resting(BUY)[0], VenueStatus.CANCELLED)
    ladder.health(blocked="halted")
    ladder.run(10_000)
    assert ladder.reasons(BUY) == ["halted"]
    ladder.health()
    assert len(ladder.resting(BUY)) == 1


def test_a_pause_takes_the_opening_legs_away_until_it_is_resumed() -> None:
    ladder = Ladder(child_count=2, **ROOMY)
    ladder.fill(ladder.resting(BUY)[0], "0.2")
    ladder.give(step.PauseRequest(ladder.now, "paused_by_command"))
    assert [order.side for order in ladder.resting()] == [SELL]
    assert (ladder.state.status, ladder.state.reason) == (AlgoStatus.PAUSED, "paused_by_command")
    assert ladder.reasons(BUY) == ["paused_by_command"] * 2
    ladder.move(1010, 1012)
    assert [order.side for order in ladder.resting()] == [SELL]
    ladder.give(step.ResumeRequest(ladder.now, ladder.touch))
    assert len(ladder.resting(BUY)) == 2
    assert ladder.state.status is AlgoStatus.ACTIVE


def test_a_spent_rate_budget_throttles_the_scalper_until_its_turn() -> None:
    ladder = Ladder(child_count=2)
    ladder.chase_hears(ladder.started[0].child_id, step.Budget(ladder.now, "queued", ladder.touch))
    assert ladder.state.status is AlgoStatus.THROTTLED
    ladder.chase_hears(ladder.started[0].child_id, step.Budget(ladder.now, "", ladder.touch))
    assert ladder.state.status is AlgoStatus.ACTIVE
    ladder.give(step.Budget(ladder.now, "queued", ladder.touch))
    assert ladder.state.status is AlgoStatus.THROTTLED
    spawned = len(ladder.started)
    ladder.end(ladder.resting(BUY)[0], VenueStatus.CANCELLED)
    ladder.run(10_000)
    assert len(ladder.started) == spawned
    ladder.give(step.Budget(ladder.now, "", ladder.touch))
    assert len(ladder.started) == spawned + 1


# --- stops and restarts -------------------------------------------------------------------------------


@pytest.mark.parametrize("on_stop, left", [(None, [SELL]), ("leave", [BUY, SELL]), ("cancel", [])])
def test_a_stop_is_a_checkpoint_and_a_start_goes_on(on_stop: str | None, left) -> None:
    """Law 8."""
    ladder = Ladder(on_stop=on_stop)
    ladder.fill(ladder.resting(BUY)[0], "0.2")
    ladder.everybody(step.StopRequest(ladder.now))
    assert sorted(order.side for order in ladder.resting()) == sorted(left)
    before = ladder.state.inventory
    ladder.run(60_000)
    assert not ladder.state.wake_at
    ladder.restart()
    assert sorted(order.side for order in ladder.resting()) == [BUY, SELL]
    assert ladder.state.inventory == before
    assert sum(order.remaining for order in ladder.resting(BUY)) == D("0.8"), "the same child for what is left"


def test_nothing_is_started_between_a_stop_and_a_start() -> None:
    ladder = Ladder()
    ladder.end(ladder.resting(BUY)[0], VenueStatus.CANCELLED)
    ladder.everybody(step.StopRequest(ladder.now))
    spawned = len(ladder.started)
    ladder.run(10_000)
    ladder.give(step.ResumeRequest(ladder.now, ladder.touch))
    ladder.move(1010, 1012)
    assert (len(ladder.started), ladder.resting()) == (spawned, [])


def test_after_a_long_absence_it_comes_back_paused_with_its_closing_legs() -> None:
    ladder = Ladder(child_count=2)
    ladder.fill(ladder.resting(BUY)[0], "0.2")
    ladder.restart(pause="down_too_long")
    assert (ladder.state.status, ladder.state.paused) == (AlgoStatus.PAUSED, "down_too_long")
    assert [order.side for order in ladder.resting()] == [SELL]
    ladder.fill(ladder.resting(SELL)[0])
    ladder.give(step.ResumeRequest(ladder.now, ladder.touch))
    assert len(ladder.resting(BUY)) == 2


def test_a_child_that_came_back_paused_while_its_parent_did_not_is_replaced() -> None:
    ladder = Ladder()
    ladder.chase_hears(ladder.started[0].child_id, step.Recovered(ladder.now, 2, ladder.touch, "price_moved_too_far"))
    ladder.answer_all()
    ladder.run(1_000)
    assert len(ladder.resting(BUY)) == 1
    assert ladder.state.status is AlgoStatus.ACTIVE


def test_an_opening_child_cancelled_while_nobody_watched_pauses_the_scalper() -> None:
    ladder = Ladder(child_count=2)
    ladder.end(ladder.resting(BUY)[0], VenueStatus.CANCELLED, while_down=True)
    ladder.answer_all()
    assert (ladder.state.status, ladder.state.paused) == (AlgoStatus.PAUSED, "child_cancelled_while_down")
    assert ladder.resting() == []
    ladder.give(step.ResumeRequest(ladder.now, ladder.touch))
    assert len(ladder.resting(BUY)) == 2


# --- new filters --------------------------------------------------------------------------------------


def test_new_filters_are_taken_over_in_ticks_and_steps() -> None:
    ladder = Ladder(child_count=2)
    coarse = rules(tick="0.2", step="0.01")
    ladder.give(step.InstrumentChanged(ladder.now, coarse))
    assert [slot.layer.offset_ticks for slot in ladder.state.long.slots] == [1, 2]
    assert {slot.layer.quantity for slot in ladder.state.long.slots} == {D("0.50")}
    assert ladder.state.instrument is coarse


@pytest.mark.parametrize(
    "asked, cap", [({}, "1"), ({"max_position_usd": "40"}, "0.4"), ({"short_size_usd": "300"}, "3")]
)
def test_the_cap_is_a_quantity_at_the_price_of_the_start(asked, cap: str) -> None:
    assert cap_quantity(params(**asked), RULES, D(100)) == D(cap)
