"""twap, style `market`: lots on an absolute schedule, what is carried, and how it ends."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from algos import step, twap
from algos.step import Failure, OrderUpdate, PlaceChild
from algos.twap_told import event_twap, report_twap, view_twap
from pms.core import orders
from schemas.chase import AlgoStatus
from schemas.ids import ATTEMPT_MAX
from schemas.orders import Cause, Fill, OrderState
from schemas.reports import VenueStatus
from tests.pure.algos.stage import BUY, EPOCH, RULES, SELL, T0, quote, rules
from tests.pure.algos.twap_stage import MINUTE, WHO, TwapStage, twap_params

D = Decimal


def taking(stage: TwapStage, ms: int) -> None:
    """Time passes in which every order fills."""
    until = stage.now + ms
    while stage.now < until:
        if stage.state.child is not None:
            stage.take()
        stage.run(min(1000, until - stage.now))


# --- the schedule -----------------------------------------------------------------------------------


def test_the_first_lot_leaves_at_once_as_an_ioc_fifty_basis_points_from_own_touch() -> None:
    stage = TwapStage(leverage=3)
    (order,) = stage.asked(PlaceChild)
    assert (order.time_in_force, order.price, order.quantity, order.leverage) == ("IOC", D("100.5"), D("0.1"), 3)
    assert stage.state.slot == 0


@pytest.mark.parametrize(("side", "price"), [(BUY, "100.5"), (SELL, "100.5")])
def test_each_side_has_its_own_bound(side, price) -> None:
    assert TwapStage(side=side).asked(PlaceChild)[0].price == D(price)


def test_lots_leave_on_time_and_when_all_filled_it_is_completed() -> None:
    stage = TwapStage(lots=4, quantity="1")
    taking(stage, 4 * MINUTE)
    assert stage.at() == [(0, D("0.25")), (60, D("0.25")), (120, D("0.25")), (180, D("0.25"))]
    state = stage.state
    assert (state.status, state.filled_quantity, state.residual, state.filled_lots) == ("completed", 1, 0, 4)
    assert (state.next_lot_at, state.wake_at, state.reason) == (0, 0, "")


def test_a_late_step_delays_its_own_lot_and_no_later_one() -> None:
    stage = TwapStage(lots=4)
    stage.take()
    stage.now = T0 + MINUTE + 7_000  # the alarm rang late
    stage.give(step.Timer(stage.now, stage.touch))
    stage.take()
    stage.run(2 * MINUTE)
    assert [at for at, _ in stage.at()] == [0, 67, 120]


def test_a_lot_counts_when_it_fills() -> None:
    stage = TwapStage(quantity="1", lots=4)
    assert (stage.state.filled_lots, stage.state.next_lot_at) == (0, T0 + MINUTE)
    stage.take("0.249")
    assert stage.state.filled_lots == 0
    stage.run(MINUTE)
    stage.take()
    assert (stage.state.filled_quantity, stage.state.filled_lots) == (D("0.5"), 2)


def test_what_is_left_of_a_lot_is_carried_to_the_next() -> None:
    stage = TwapStage()
    stage.take("0.04")
    assert stage.placed == [D("0.1")], "not again in its own slot"
    stage.run(MINUTE)
    assert stage.placed == [D("0.1"), D("0.16")]


def test_no_slot_sends_more_than_catch_up_max_times_its_own_size() -> None:
    stage = TwapStage(catch_up_max="2")
    for _ in range(6):
        stage.miss()
        stage.run(MINUTE)
    assert stage.placed == [D("0.1")] + 6 * [D("0.2")]


def test_a_lot_above_max_qty_leaves_in_parts_one_after_the_other() -> None:
    stage = TwapStage(instrument=rules(max_qty="1"), quantity="5", lots=2)
    assert stage.placed == [D(1)]
    stage.take()
    assert stage.placed == [D(1), D(1)]
    stage.take("0.4")
    stage.run(1000)
    assert stage.placed == [D(1), D(1)], "nobody is there: the rest is carried"
    stage.run(MINUTE)
    assert stage.placed[2:] == [D(1)]
    assert stage.state.slot_left == D("2.6")


def test_a_lot_below_the_minimum_is_merged_into_the_next() -> None:
    stage = TwapStage(quantity="0.5", lots=10)
    stage.take()
    stage.run(MINUTE - 1000)
    stage.move(900, 910, 0)
    stage.run(1000)
    assert stage.placed == [D("0.05")], "0.05 at 90 is less than 5"
    assert stage.state.slot == 1
    stage.run(MINUTE)
    assert stage.placed == [D("0.05"), D("0.1")]


# --- refusals ---------------------------------------------------------------------------------------


def test_a_refused_lot_is_carried() -> None:
    stage = TwapStage()
    stage.refuse()
    assert (stage.state.status, stage.placed) == ("active", [D("0.1")])
    stage.run(MINUTE)
    assert stage.placed == [D("0.1"), D("0.2")]


def test_the_same_refusal_three_times_blocks_and_backs_off_to_a_minute() -> None:
    """Law 7, with slots that come faster than that."""
    stage = TwapStage(quantity="100", lots=1000, duration_ms=1_000_000, catch_up_max="100")
    for _ in range(400):
        if stage.flying():
            stage.refuse()
        stage.run(1000)
    times = [at for at, _ in stage.at()]
    assert times[:6] == [0, 1, 2, 3, 5, 9]
    assert {later - earlier for earlier, later in zip(times[-3:], times[-2:], strict=False)} == {60}
    assert (stage.state.status, stage.state.reason) == ("blocked", "refused -1111")
    stage.run(MINUTE)
    stage.take()
    assert (stage.state.status, stage.state.rejections, stage.state.reason) == ("active", 0, "")


def test_another_refusal_begins_a_row_of_its_own() -> None:
    stage = TwapStage(quantity="10")
    for code in (-1, -2, -1, -2, -1):
        stage.refuse(code=code)
        stage.run(MINUTE)
    assert (stage.state.status, stage.state.rejections) == ("active", 1)


def test_what_was_not_done_for_a_passing_reason_is_tried_again_in_its_slot() -> None:
    stage = TwapStage()
    stage.refuse(refused=False)
    stage.run(249)
    assert stage.placed == [D("0.1")]
    stage.run(1)
    assert stage.placed == [D("0.1"), D("0.1")]
    stage.refuse(refused=False, retry_at=stage.now + 5000)
    stage.run(5000)
    assert stage.at()[-1] == (5, D("0.1"))


def test_a_lot_that_the_rate_limit_took_back_waits_for_its_turn() -> None:
    stage = TwapStage()
    stage.refuse(refused=False, throttled=True)
    assert stage.state.status == "throttled"
    stage.run(5000)
    assert stage.placed == [D("0.1")]
    stage.give(step.Budget(stage.now, "", stage.touch))
    assert stage.placed == [D("0.1"), D("0.1")]
    assert stage.state.status == "active"


def test_a_placing_of_unknown_fate_blocks_any_other_until_it_is_known() -> None:
    """Laws 1 to 3."""
    stage = TwapStage()
    stage.lose()
    stage.run(3 * MINUTE)
    assert stage.placed == [D("0.1")]
    stage.give(step.CancelRequest(stage.now, "asked"))
    assert stage.state.status == "stopping"
    stage.take()
    assert (stage.state.status, stage.state.filled_quantity, stage.state.residual) == ("cancelled", D("0.1"), D("0.9"))


def test_a_lot_in_flight_when_the_next_is_due_is_waited_for_and_the_next_carried() -> None:
    stage = TwapStage()
    stage.run(3 * MINUTE + 1000)
    stage.miss()
    assert stage.at() == [(0, D("0.1")), (181, D("0.3"))], "never two at once, and within catchUpMax"


# --- the end of the schedule ------------------------------------------------------------------------


def test_what_is_missing_after_the_last_slot_is_sent_in_whole_intervals_more() -> None:
    stage = TwapStage(lots=3, quantity="0.9")
    for _ in range(3):
        stage.miss()
        stage.run(MINUTE)
    assert stage.at()[3] == (180, D("0.9"))
    stage.take()
    assert (stage.state.status, stage.state.filled_lots) == ("completed", 3)


def test_the_extension_is_at_most_as_long_as_the_schedule_and_names_what_is_missing() -> None:
    stage = TwapStage(lots=3, quantity="0.9", catch_up_max="1")
    stage.take()
    while not stage.state.status.terminal:
        if stage.state.child is not None:
            stage.miss()
        stage.run(MINUTE)
    assert [at for at, _ in stage.at()] == [0, 60, 120, 180, 240, 300]
    state = stage.state
    assert (state.status, state.reason, state.residual) == ("expired", "schedule_over", D("0.6"))


def test_nothing_leaves_after_twice_the_schedule_whatever_is_open() -> None:
    stage = TwapStage(lots=3, quantity="0.9")
    stage.miss()
    stage.health("book")
    stage.run(6 * MINUTE)
    assert (stage.state.status, stage.state.residual, len(stage.placed)) == ("expired", D("0.9"), 1)


def test_dust_after_the_last_lot_is_named_and_the_rest_is_completed() -> None:
    stage = TwapStage(lots=2)
    stage.take()
    stage.run(MINUTE)
    stage.take("0.46")
    state = stage.state
    assert (state.status, state.reason, state.residual) == ("completed", "below_minimum", D("0.04"))


def test_what_became_too_small_before_anything_filled_is_expired() -> None:
    stage = TwapStage(lots=1, quantity="0.05")
    stage.miss()
    stage.move(900, 910, 0)
    stage.run(MINUTE)
    assert (stage.state.status, stage.state.reason, stage.state.residual) == ("expired", "below_minimum", D("0.05"))


def test_a_capped_lot_leaves_no_dust_behind() -> None:
    """Law 6: what would be left is enough for an order of its own."""
    stage = TwapStage(lots=1, quantity="0.22")
    stage.take("0.05")  # a rest of 0.170
    assert stage.state.rest == D("0.17")
    stage = TwapStage(lots=2, quantity="0.26", catch_up_max="1")
    stage.miss()
    stage.run(MINUTE)
    assert stage.placed == [D("0.13"), D("0.13")]
    stage.take("0.1")  # 0.16 are left, a slot may send 0.13, and 0.03 alone could not follow
    stage.run(MINUTE)
    assert stage.placed[-1] == D("0.11")


def test_a_slot_that_may_only_send_dust_waits_for_one_that_may_send_more() -> None:
    stage = TwapStage(lots=2, quantity="0.1")
    stage.take()
    stage.run(MINUTE)
    stage.take("0.02")
    assert stage.state.status == "completed"
    assert stage.state.residual == D("0.03")


# --- holds, pauses, cancels -------------------------------------------------------------------------


def test_a_lot_that_is_due_on_stale_prices_waits_for_fresh_ones() -> None:
    """Law 5."""
    stage = TwapStage()
    stage.take()
    stage.touch = None
    stage.health("book")
    stage.run(MINUTE)
    assert (stage.placed, stage.state.status, stage.state.slot) == ([D("0.1")], "throttled", 0)
    stage.run(20_000)
    stage.give(quote(1000, 1010, stage.now))
    assert stage.placed == [D("0.1")], "the hold still stands"
    stage.health("")
    assert stage.placed == [D("0.1")]
    stage.give(quote(1000, 1010, stage.now))
    assert stage.at() == [(0, D("0.1")), (80, D("0.1"))]


def test_lots_missed_on_stale_prices_are_carried_within_catch_up_max() -> None:
    stage = TwapStage()
    stage.take()
    stage.health("redis")
    stage.run(5 * MINUTE)
    stage.health("")
    assert stage.at()[1:] == [(300, D("0.3"))]


def test_it_begins_without_a_price_and_sends_its_first_lot_at_the_first_one() -> None:
    state, actions = twap.start(WHO, twap_params(), RULES, None, T0)
    assert (actions, state.slot, state.waiting, state.arrival_mid) == ((), -1, True, 0)
    state, actions = twap.step_twap(state, quote(1000, 1010, T0 + 500))
    assert [type(action) for action in actions] == [PlaceChild]
    assert state.arrival_mid == D("100.5")


def test_quotes_that_no_lot_waits_for_change_nothing() -> None:
    stage = TwapStage()
    before = stage.state
    assert stage.move(1005, 1006) == ()
    assert stage.state is before
    stage.take()
    before = stage.state
    stage.move(1005, 1006)
    assert stage.state is before


@pytest.mark.parametrize("paused", [False, True])
def test_a_mid_that_moved_a_quarter_percent_is_written_down_for_the_next_life(paused) -> None:
    """Execution.md 25 compares with it, however long ago the last lot was."""
    stage = TwapStage()
    stage.take()
    if paused:
        stage.give(step.PauseRequest(stage.now, "asked"))
    assert view_twap(stage.state).mid == D("100.5")
    stage.move(1002, 1012)
    assert view_twap(stage.state).mid == D("100.5")
    stage.move(1003, 1013)
    assert view_twap(stage.state).mid == D("100.8")
    stage.move(1000, 1010)
    assert view_twap(stage.state).mid == D("100.5")


def test_a_freeze_or_halt_blocks_what_adds_and_not_what_reduces() -> None:
    stage = TwapStage()
    stage.take()
    stage.give(step.StreamHealth(stage.now, "", False, stage.touch, "halted"))
    assert (stage.state.status, stage.state.reason) == ("blocked", "halted")
    stage.run(2 * MINUTE)
    assert stage.placed == [D("0.1")]
    stage.give(step.StreamHealth(stage.now, "", False, stage.touch))
    assert stage.placed == [D("0.1"), D("0.2")]
    closing = TwapStage(reduce_only=True, side=SELL)
    closing.take()
    closing.give(step.StreamHealth(closing.now, "", False, closing.touch, "halted"))
    closing.run(MINUTE)
    assert closing.placed == [D("0.1"), D("0.1")]


def test_a_pause_sends_nothing_and_carries_until_it_is_over() -> None:
    stage = TwapStage()
    stage.give(step.PauseRequest(stage.now, "paused_by_command"))
    stage.take("0.05")
    stage.run(2 * MINUTE)
    state = stage.state
    assert (state.status, state.paused, state.next_lot_at, state.wake_at) == ("paused", "paused_by_command", 0, 0)
    stage.run(5_000)
    stage.give(step.ResumeRequest(stage.now, stage.touch))
    assert stage.at() == [(0, D("0.1")), (125, D("0.25"))]
    assert stage.state.next_lot_at == T0 + 3 * MINUTE


def test_a_pause_inside_a_slot_carries_the_rest_of_its_lot() -> None:
    stage = TwapStage()
    stage.refuse(refused=False)  # 0.1 would be tried again
    stage.give(step.PauseRequest(stage.now, "asked"))
    stage.give(step.ResumeRequest(stage.now + 1, stage.touch))
    stage.run(MINUTE - 1)
    assert stage.placed == [D("0.1")]
    stage.run(1)
    assert stage.placed == [D("0.1"), D("0.2")]


def test_a_cancel_ends_it_at_once_between_lots() -> None:
    stage = TwapStage()
    stage.take()
    stage.give(step.CancelRequest(stage.now, "cancelled_by_command"))
    state = stage.state
    assert (state.status, state.reason, state.residual) == ("cancelled", "cancelled_by_command", D("0.9"))
    assert stage.run(3 * MINUTE) == []


def test_an_ended_one_books_late_fills_and_absorbs_all_else() -> None:
    """Law 4."""
    stage = TwapStage()
    order = stage.order
    stage.fill("0.04")
    stage.end(VenueStatus.EXPIRED)
    stage.give(step.CancelRequest(stage.now, "asked"))
    ended = stage.state
    assert stage.give(step.ResumeRequest(stage.now, stage.touch)) == ()
    assert stage.give(quote(900, 901)) == ()
    assert stage.state is ended
    change = orders.booked(stage.orders[order.client_order_id], _trade(stage, order, "0.06"), stage.now)
    stage.tell(change)
    assert (stage.state.filled_quantity, stage.state.residual, stage.state.status) == (D("0.1"), D("0.9"), "cancelled")
    assert stage.state.filled_lots == 1


def _trade(stage, order, quantity):
    return Fill(order.symbol, 1, 99, order.side, order.price, D(quantity), D("0.01"), "USDT", False, stage.now)


def test_a_stop_places_nothing_and_the_next_life_goes_on_with_the_old_schedule() -> None:
    """Law 8."""
    stage = TwapStage()
    stage.take()
    stage.give(step.StopRequest(stage.now))
    stage.run(MINUTE)
    assert stage.placed == [D("0.1")]
    stage.restart()
    stage.run(10_000)
    assert stage.at() == [(0, D("0.1")), (60, D("0.1"))]
    assert (stage.state.id_epoch, stage.state.attempt) == (EPOCH + 1, 1)


# --- crashes ----------------------------------------------------------------------------------------


def test_after_a_crash_what_is_left_goes_on_the_old_schedule_with_missed_slots_carried() -> None:
    stage = TwapStage()
    stage.take()
    stage.now += 4 * MINUTE + 30_000
    stage.restart()
    assert stage.at()[1:] == [(270, D("0.3"))]
    stage.take()
    stage.run(MINUTE)
    assert stage.at()[2:] == [(300, D("0.2"))]


def test_an_order_whose_fate_a_crash_left_open_is_known_before_anything_is_sent() -> None:
    stage = TwapStage()
    stage.health("recovering")
    stage.take("0.03")
    assert stage.placed == [D("0.1")]
    stage.run(2 * MINUTE)
    stage.restart()
    assert stage.placed == [D("0.1"), D("0.27")]


def test_after_long_it_comes_back_paused_unless_it_only_reduces() -> None:
    stage = TwapStage()
    stage.take()
    stage.now += 6 * MINUTE
    stage.restart("down_too_long")
    assert (stage.state.status, stage.state.paused, len(stage.placed)) == ("paused", "down_too_long", 1)
    closing = TwapStage(reduce_only=True, side=SELL)
    closing.take()
    closing.now += 6 * MINUTE
    closing.restart("down_too_long")
    assert closing.placed == [D("0.1"), D("0.3")]


def test_a_life_that_begins_after_the_extension_only_names_what_is_missing() -> None:
    stage = TwapStage(lots=2)
    stage.take()
    stage.now += 4 * MINUTE
    stage.restart()
    assert (stage.state.status, stage.state.residual, len(stage.placed)) == ("expired", D("0.5"), 1)


def test_a_live_order_that_the_record_misses_is_taken_as_the_child() -> None:
    stage = TwapStage()
    order = stage.orders[stage.child.client_order_id]
    stage.take()
    placed = stage.placed
    lost = orders.reported(order, stage.report(order), stage.now).order
    stage.orders["x"] = lost
    stage.give(OrderUpdate(stage.now, lost, adopt=True))
    assert stage.state.child is not None
    stage.run(2 * MINUTE)
    assert stage.placed == placed, "nothing beside it"


def test_news_of_an_older_order_are_booked_and_nothing_else() -> None:
    stage = TwapStage()
    old = stage.order
    stage.take("0.05")
    stage.run(MINUTE)
    before = stage.child
    stage.tell(orders.booked(stage.orders[old.client_order_id], _trade(stage, old, "0.02"), stage.now))
    assert stage.state.filled_quantity == D("0.07")
    assert stage.child == before


def test_attempts_that_run_out_end_it() -> None:
    stage = TwapStage()
    stage.take()
    stage.state = msgspec.structs.replace(stage.state, attempt=ATTEMPT_MAX)
    stage.run(MINUTE)
    assert (stage.state.status, stage.state.reason) == ("failed", "attempts_exhausted")


# --- reduce-only ------------------------------------------------------------------------------------


def test_a_reduce_only_one_shrinks_with_its_position_and_never_grows_again() -> None:
    stage = TwapStage(reduce_only=True, side=SELL)
    stage.take()
    stage.give(step.PositionReduced(stage.now, D("0.1"), stage.touch, D("0.5")))
    assert stage.state.quantity == D("0.6"), "the position is the bound, not what other closers leave of it"
    stage.give(step.PositionReduced(stage.now, D("2"), stage.touch, D("2")))
    assert stage.state.quantity == D("0.6")
    taking(stage, 10 * MINUTE)
    assert (stage.state.status, stage.state.filled_quantity) == ("completed", D("0.6"))


@pytest.mark.parametrize("position", ["0", "-1"])
def test_a_position_that_is_gone_or_flipped_ends_it(position) -> None:
    stage = TwapStage(reduce_only=True, side=SELL)
    stage.give(step.PositionReduced(stage.now, D(position), stage.touch))
    assert stage.state.status == "stopping"
    stage.miss()
    assert (stage.state.status, stage.state.reason) == ("cancelled", "position_gone")


def test_a_refusal_for_want_of_a_position_is_carried_since_other_closers_may_go() -> None:
    stage = TwapStage(reduce_only=True, side=SELL)
    stage.refuse(Cause.REDUCE_ONLY)
    stage.run(MINUTE)
    assert stage.placed == [D("0.1"), D("0.2")]


# --- grid -------------------------------------------------------------------------------------------


def test_a_changed_grid_is_used_from_the_next_lot_on() -> None:
    stage = TwapStage(price_limit="101", quantity="1")
    stage.take()
    stage.give(step.InstrumentChanged(stage.now, rules(step=D("0.03"), tick=D("0.5")), stage.touch))
    assert stage.state.limit_mid2 == 404
    stage.touch = quote(200, 202, stage.now)
    stage.run(MINUTE)
    assert stage.asked(PlaceChild)[-1].quantity == D("0.09")


# --- told -------------------------------------------------------------------------------------------


def test_its_event_tells_price_fees_arrival_and_slippage() -> None:
    stage = TwapStage(lots=2)
    stage.take()
    event = event_twap("twap_progress", stage.state, stage.now)
    assert (event.filled_lots, event.total_lots, event.filled_quantity, event.total_quantity) == (1, 2, D("0.5"), 1)
    assert (event.avg_price, event.arrival_mid, event.slippage_bps) == (D("100.5"), D("100.5"), 0)
    assert event.next_lot_at == T0 + MINUTE
    stage.run(MINUTE)
    stage.fill("0.5", "101.505")
    event = event_twap("twap_completed", stage.state, stage.now)
    assert (event.avg_price, event.slippage_bps) == (D("101.0025"), D("50.00"))
    assert report_twap(stage.state).quote_filled == D("101.0025")


def test_its_view_names_what_lives() -> None:
    stage = TwapStage()
    view = view_twap(stage.state)
    assert view.live_children == (stage.child.client_order_id,)
    assert (view.child_algos, view.mid, view.status) == ((), D("100.5"), AlgoStatus.ACTIVE)
    assert report_twap(stage.state).order_id == stage.child.client_order_id


def test_inputs_that_concern_only_resting_orders_change_nothing() -> None:
    stage = TwapStage()
    before = stage.state
    for given in (step.ReplaceRequest(stage.now), step.AmendRequest(stage.now, stage.touch)):
        assert stage.give(given) == ()
    assert stage.state is before
    order = stage.order
    assert stage.give(OrderUpdate(stage.now, order)) == ()
    assert stage.give(OrderUpdate(stage.now, order, failure=Failure("cancel", Cause.NONE, "1", "x"))) == ()
    assert order.state is OrderState.PLACING
