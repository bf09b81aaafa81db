"""Every law and rule of the TWAP has a test that bites: with one error planted it turns red (algos.md)."""

from __future__ import annotations

import pytest

from tests.static.planting import Planted, assert_found

PLAN, MARKET = "tests/pure/algos/test_twap_plan.py::", "tests/pure/algos/test_twap.py::"
CHASES, BASKET = "tests/pure/algos/test_twap_chases.py::", "tests/pure/algos/test_twap_basket.py::"
LAWS, WORLD = "tests/pure/algos/test_twap_laws.py::", "tests/world/test_twap.py::"

ERRORS = {
    "law 1: the next slot does not wait for the one at work": Planted(
        1,
        "algos/twap_decide.py",
        "    if state.child is not None:\n        return state, NOTHING",
        "    if state.child is not None and state.child.state is OrderState.PLACING:\n        return state, NOTHING",
        MARKET + "test_a_placing_of_unknown_fate_blocks_any_other_until_it_is_known",
    ),
    "law 1: an order given up without evidence": Planted(
        1,
        "algos/twap_child.py",
        "    if order.state.terminal:\n        return _ended(",
        '    if order.state.terminal or order.state == "unknown":\n        return _ended(',
        MARKET + "test_a_placing_of_unknown_fate_blocks_any_other_until_it_is_known",
    ),
    "law 1: the law's own check of evidence": Planted(
        1,
        "algos/twap_laws.py",
        "require(told, law,",
        "require(True, law,",
        LAWS + "test_law_3_a_child_or_a_chase_left_without_evidence",
    ),
    "law 2: a filled part is asked for again": Planted(
        2,
        "algos/twap_decide.py",
        "owed = min(plan.owed(slot), state.quantity) - state.filled_quantity",
        "owed = min(plan.owed(slot), state.quantity)",
        MARKET + "test_what_is_left_of_a_lot_is_carried_to_the_next",
    ),
    "law 2: a report is added instead of taken": Planted(
        2,
        "algos/twap_child.py",
        "more = report.filled_quantity - worker.filled",
        "more = report.filled_quantity",
        CHASES + "test_the_same_report_twice_adds_nothing",
    ),
    "law 3: an ending before its chase is gone": Planted(
        3,
        "algos/twap_decide.py",
        "    if state.worker is not None:\n        return _supervise(",
        "    if state.worker is not None and state.ending is None:\n        return _supervise(",
        CHASES + "test_a_cancel_waits_for_the_chase_to_be_gone",
    ),
    "law 3: a basket that ends before its legs": Planted(
        3,
        "algos/twap_basket.py",
        "    if live:\n        status = ",
        "    if live and state.ending is None:\n        status = ",
        BASKET + "test_one_cancel_ends_all_legs_and_it_ends_with_them",
    ),
    "a basket that waits does not say why": Planted(
        25,
        "algos/twap_basket.py",
        "if leg.status is status)",
        "if leg.status.terminal)",
        BASKET + "test_it_waits_where_all_its_live_legs_do_and_says_why",
    ),
    "law 4: late fills are dropped": Planted(
        4,
        "algos/twap.py",
        "        return book_fill(state, given)\n    return on_child",
        "        return state\n    return on_child",
        MARKET + "test_an_ended_one_books_late_fills_and_absorbs_all_else",
    ),
    "law 4: late fills of a child are dropped": Planted(
        4,
        "algos/twap_child.py",
        "past = (*state.past, worker)[-PAST_KEPT:]",
        "past = state.past",
        CHASES + "test_a_late_fill_of_an_ended_chase_is_booked_also_after_the_end",
    ),
    "law 5: a lot on stale prices": Planted(
        5,
        "algos/twap_decide.py",
        "min(state.retry_at, ends_at(state))), NOTHING\n    if state.hold or quote is None:",
        "min(state.retry_at, ends_at(state))), NOTHING\n    if quote is None:",
        MARKET + "test_lots_missed_on_stale_prices_are_carried_within_catch_up_max",
    ),
    "law 6: dust is left behind": Planted(
        6,
        "algos/twap_decide.py",
        "    if not left or _sendable(state, left, quote):",
        "    if left >= 0 or _sendable(state, left, quote):",
        MARKET + "test_a_capped_lot_leaves_no_dust_behind",
    ),
    "law 6: a lot below the minimum is sent": Planted(
        6,
        "algos/twap_plan.py",
        "return max(steps, Decimal(1)) * instrument.step",
        "return instrument.step",
        PLAN + "test_the_most_lots_work_and_one_more_does_not",
    ),
    "law 7: refusals are not paced": Planted(
        7,
        "algos/twap_child.py",
        "retry_at = max(retry_at, now + step.back_off_ms(rejections))",
        "retry_at = max(retry_at, now)",
        MARKET + "test_the_same_refusal_three_times_blocks_and_backs_off_to_a_minute",
    ),
    "law 8: a stop still sends": Planted(
        8,
        "algos/twap_decide.py",
        "if state.paused or state.stopped_at:",
        "if state.paused:",
        MARKET + "test_a_stop_places_nothing_and_the_next_life_goes_on_with_the_old_schedule",
    ),
    "law 10: the plan depends on the process": Planted(
        10,
        "algos/twap_plan.py",
        'hashlib.sha256(f"twap:{algo_id}".encode()).hexdigest()[:16]',
        "str(object())",
        BASKET + "test_each_leg_has_a_plan_of_its_own_that_follows_from_its_id",
    ),
    "the schedule drifts": Planted(
        0,
        "algos/twap_plan.py",
        "return slot * params.duration_ms // params.lots",
        "return slot * (params.duration_ms // params.lots)",
        PLAN + "test_without_jitter_slots_are_absolute_so_that_an_uneven_interval_does_not_drift",
    ),
    "jitter leaves its interval": Planted(
        0,
        "algos/twap_plan.py",
        "* share // (100 * pricing.PCT_SCALE)",
        "* share // (10 * pricing.PCT_SCALE)",
        PLAN + "test_jitter_moves_slots_each_by_its_own_seeded_part",
    ),
    "remainders are lost": Planted(
        0,
        "algos/twap_plan.py",
        "for index in by_remainder[: total - sum(shares)]:",
        "for index in by_remainder[:0]:",
        PLAN + "test_a_quantity_that_does_not_divide_is_shared_by_largest_remainder",
    ),
    "an irregular lot below the minimum": Planted(
        0,
        "algos/twap_plan.py",
        "return [least + more for more in apportioned(total - least * params.lots, weights)]",
        "return apportioned(total, [weight**4 for weight in weights])",
        PLAN + "test_lots_are_whole_steps_above_the_minimum_and_sum_exactly",
    ),
    "catchUpMax is not held": Planted(
        0,
        "algos/twap_decide.py",
        "quantity = _leaving_no_dust(state, max(min(owed, cap), ZERO), quote)",
        "quantity = _leaving_no_dust(state, max(owed, ZERO), quote)",
        MARKET + "test_no_slot_sends_more_than_catch_up_max_times_its_own_size",
    ),
    "no extension": Planted(
        0,
        "algos/twap_decide.py",
        "    return state.started_at + 2 * state.params.duration_ms",
        "    return state.started_at + state.params.duration_ms",
        MARKET + "test_the_extension_is_at_most_as_long_as_the_schedule_and_names_what_is_missing",
    ),
    "an extension without end": Planted(
        0,
        "algos/twap_decide.py",
        "    if now >= ends_at(state):\n        return _finish(end(state, AlgoStatus.EXPIRED, state.reason",
        "    if now < 0:\n        return _finish(end(state, AlgoStatus.EXPIRED, state.reason",
        MARKET + "test_nothing_leaves_after_twice_the_schedule_whatever_is_open",
    ),
    "completed with something missing": Planted(
        0,
        "algos/twap_decide.py",
        'return _finish(end(state, AlgoStatus.EXPIRED, state.reason or "schedule_over")), NOTHING\n'
        "    return _replace(state, wake_at=due_at(",
        'return _finish(end(state, AlgoStatus.COMPLETED, state.reason or "schedule_over")), NOTHING\n'
        "    return _replace(state, wake_at=due_at(",
        MARKET + "test_the_extension_is_at_most_as_long_as_the_schedule_and_names_what_is_missing",
    ),
    "the limit is not looked at": Planted(
        0,
        "algos/twap_decide.py",
        "    if beyond(state, quote):\n        closed",
        "    if not state.params:\n        closed",
        CHASES + "test_a_mid_on_the_limit_is_not_beyond_it",
    ),
    "the limit is looked at when a slot opens only": Planted(
        0,
        "algos/twap_decide.py",
        "    if beyond(state, quote):\n        closed",
        "    if slot > state.slot and beyond(state, quote):\n        closed",
        CHASES + "test_a_lot_that_is_tried_again_in_its_slot_is_judged_anew",
    ),
    "the next life compares with a price of long ago": Planted(
        25,
        "algos/twap.py",
        "    if abs(quote.mid2 - state.seen_mid2) * SEEN_PART > state.seen_mid2:",
        "    if quote.mid2 < 0:",
        MARKET + "test_a_mid_that_moved_a_quarter_percent_is_written_down_for_the_next_life",
    ),
    "the plan that is answered is another": Planted(
        0,
        "pms/commands/twaps.py",
        "planned_lots(state.params, state.seed,",
        'planned_lots(state.params, "another",',
        WORLD + "test_the_plan_that_is_answered_is_the_one_that_runs",
    ),
    "too many lots are accepted": Planted(
        0,
        "pms/commands/twaps.py",
        "    if lots > most:",
        "    if lots > 2 * most:",
        WORLD + "test_what_cannot_be_done_is_refused_with_its_own_code_and_validate_says_the_same",
    ),
    "a position that is not there is reduced": Planted(
        14,
        "pms/commands/twaps.py",
        "if not held or exits.closing_side(held) is not leg.side:",
        "if held and exits.closing_side(held) is not leg.side:",
        WORLD + "test_what_cannot_be_done_is_refused_with_its_own_code_and_validate_says_the_same",
    ),
    "a leg is not checked": Planted(
        0,
        "pms/commands/twaps.py",
        "for number, leg in enumerate(command.legs):",
        "for number, leg in enumerate((command.legs[0],) * len(command.legs)):",
        "tests/world/test_twap_basket.py::test_with_one_leg_refused_nothing_starts_and_validate_says_the_same[grid]",
    ),
    "a chase beyond the limit goes on": Planted(
        0,
        "algos/twap.py",
        "watching = worker is not None and not worker.stopping and state.limit_mid2",
        "watching = None",
        CHASES + "test_a_chase_is_stopped_when_the_market_leaves_it_behind",
    ),
    "execute has no bound in tries": Planted(
        8,
        "algos/twap_decide.py",
        "over = state.take_count >= step.TAKE_LIMIT or",
        "over = state.take_count >= 99 or",
        CHASES + "test_execute_tries_three_times_and_names_the_rest",
    ),
    "a chase ended by hand is followed by a market order": Planted(
        0,
        "algos/twap_child.py",
        'failed = worker.status is AlgoStatus.FAILED or worker.reason == "deadline"',
        "failed = True",
        CHASES + "test_a_failed_chase_hands_over_and_one_that_somebody_ended_carries",
    ),
    "a position that is gone does not end it": Planted(
        13,
        "algos/twap.py",
        '        return end(state, AlgoStatus.CANCELLED, "position_gone")',
        "        return state",
        MARKET + "test_a_position_that_is_gone_or_flipped_ends_it",
    ),
    "a new life forgets that a chase was to end": Planted(
        0,
        "algos/twap.py",
        "worker=None if worker is None else _replace(worker, stopping=False),",
        "worker=worker,",
        CHASES + "test_after_a_crash_the_chase_goes_on_or_is_stopped_again",
    ),
    "lots are counted when they are sent": Planted(
        0,
        "algos/twap_plan.py",
        "return bisect_right(self.sums, filled)",
        "return bisect_right(self.sums, filled + self.lots[0])",
        MARKET + "test_a_lot_counts_when_it_fills",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_a_planted_error_turns_its_test_red(name: str) -> None:
    assert_found(ERRORS[name])


def test_every_law_that_a_twap_can_break_has_an_error_planted() -> None:
    assert {error.law for error in ERRORS.values()} >= {1, 2, 3, 4, 5, 6, 7, 8, 10}
