"""Every rule of the backstop has a test that bites: one error planted turns it red (algos.md, trail_stop; execution.md
14, 29)."""

from __future__ import annotations

import pytest

from tests.static.planting import Planted, assert_found

PURE = "tests/pure/algos/test_trail_backstop.py::"
WORLD = "tests/world/test_trail_backstop.py::"
CROWDED = "tests/world/test_beside_others.py::"
BOOK = "tests/world/test_conditional_book.py::"
THROUGH = "tests/world/test_exits_through.py::"
BACKSTOP = "algos/trail_backstop.py"

ERRORS = {
    "nearer than asked": Planted(
        6,
        "algos/trail_price.py",
        "return 2 * int((exact / 2).to_integral_value(ROUND_FLOOR))",
        "return 2 * int((exact / 2).to_integral_value(ROUND_CEILING))",
        PURE + "test_it_stands_twice_the_callback_behind_the_extreme_or_as_asked",
    ),
    "the venue looks at another price": Planted(
        0,
        BACKSTOP,
        'working_type="MARK_PRICE" if state.params.trigger == "mark" else "CONTRACT_PRICE"',
        'working_type="MARK_PRICE"',
        PURE + "test_the_venue_looks_at_the_mark_where_the_stop_does",
    ),
    "larger than its part of the net": Planted(
        14,
        BACKSTOP,
        "most = min(state.rest, state.cover, ",
        "most = min(state.rest, ",
        PURE + "test_it_is_no_larger_than_the_stop_its_part_of_the_net_and_one_order",
    ),
    "old before new where nothing needs it": Planted(
        14,
        BACKSTOP,
        "    if state.backstops and not state.alone:\n",
        "    if state.backstops:\n",
        PURE + "test_it_moves_when_the_trigger_has_moved_a_quarter_of_the_distance_new_before_old",
    ),
    "two at once beside others": Planted(
        14,
        BACKSTOP,
        "    if state.backstops and not state.alone:\n",
        "    if False:\n",
        PURE + "test_beside_others_positions_the_old_one_goes_first",
    ),
    "an exit without the flag leaves beside it": Planted(
        14,
        "schemas/trail_stop.py",
        "return self.net == self.rest",
        "return self.net <= self.rest",
        PURE + "test_with_others_opposite_the_exit_waits_as_well",
    ),
    "every rise moves it": Planted(
        18,
        BACKSTOP,
        "MOVE_MS = 2_000",
        "MOVE_MS = 1",
        PURE + "test_it_moves_at_most_every_two_seconds_and_then_by_itself",
    ),
    "it never moves": Planted(
        0,
        BACKSTOP,
        "QUARTER * abs(state.trigger2 - one.trigger2) < gap2",
        "True",
        PURE + "test_it_moves_when_the_trigger_has_moved_a_quarter_of_the_distance_new_before_old",
    ),
    "another one while the fate of one is unknown": Planted(
        3,
        BACKSTOP,
        "any(one.leaving or one.state in _IN_FLIGHT for one in state.backstops)",
        "any(one.leaving for one in state.backstops)",
        PURE + "test_while_the_fate_of_one_is_not_known_no_other_leaves",
    ),
    "the exit waits for ever": Planted(
        28,
        BACKSTOP,
        " and now < state.triggered_at + UNPROVEN_MS",
        "",
        PURE + "test_beside_others_positions_the_exit_waits_for_its_end_but_not_for_ever",
    ),
    "a passed trigger is only refused": Planted(
        14,
        BACKSTOP,
        "    if failure is not None and failure.cause is Cause.TRIGGERED:\n",
        "    if False:\n",
        PURE + "test_a_trigger_that_has_passed_closes_at_once",
    ),
    "an old trade closes": Planted(
        27,
        BACKSTOP,
        '        if quote is None or state.params.trigger == "mark":\n',
        "        if True:\n",
        PURE + "test_a_last_trade_that_is_older_than_the_book_closes_nothing",
    ),
    "an exit beside one that closes": Planted(
        1,
        "algos/trail_exit.py",
        "    if trail_backstop.firing(state):\n",
        "    if False:\n",
        PURE + "test_what_it_leaves_is_closed_at_once",
    ),
    "it outlives its stop": Planted(
        3,
        "algos/trail_exit.py",
        "return trail_backstop.withdraw(state, now) if state.backstops else (_ended(state), NOTHING)",
        "return _ended(state), NOTHING",
        PURE + "test_it_goes_with_the_stop_and_before_it",
    ),
    "nobody hears that none stands": Planted(
        0,
        "pms/algo_news.py",
        "    if view.exposed and not view.status.terminal:\n",
        "    if False:\n",
        WORLD + "test_refused_again_and_again_it_is_told_and_the_stop_goes_on_by_itself",
    ),
    "each is given all of the net": Planted(
        14,
        "pms/covers.py",
        "        parts.free[side.sign] = left - most\n",
        "",
        WORLD + "test_two_stops_on_one_position_leave_one_position_to_sell_at_the_venue",
    ),
    "what one leaves goes to nobody": Planted(
        14,
        "pms/covers.py",
        "            self._claimed.pop(algo_id, None)\n            self.tell(symbol)\n",
        "            self._claimed.pop(algo_id, None)\n",
        WORLD + "test_the_part_of_one_that_ends_goes_to_the_other",
    ),
    "more than the account's net": Planted(
        14,
        "pms/covers.py",
        "net = exits.coverable(side, books, ZERO)\n        left",
        "net = abs(held)\n        left",
        WORLD + "test_beside_another_sub_account_each_closes_its_own_from_the_venue",
    ),
    "beside a stop on the same position": Planted(
        14,
        "pms/covers.py",
        "most = most if rooms is None else min(most, rooms[view.algo_id])\n",
        "pass\n",
        CROWDED
        + "test_what_waits_for_one_position_sells_no_more_than_it_while_we_are_dead[a stop-a trailing stop-after]",
    ),
    "a stop does not wait for it to go": Planted(
        14,
        "pms/core/exits.py",
        "        later -= claim.stands\n",
        "        later = ZERO\n",
        "tests/pure/core/test_exits.py::test_nothing_that_is_placed_within_its_room_brings_the_sum_above_the_position",
    ),
    "what it leaves is not told to who waits for it": Planted(
        14,
        "pms/covers.py",
        "            self._claimed[claim.name] = claim\n            self.tell(runner.state.symbol)\n",
        "            self._claimed[claim.name] = claim\n",
        CROWDED + "test_what_a_stop_leaves_of_the_position_is_the_backstops_and_back_again",
    ),
    "without the venue's flag": Planted(
        14,
        "pms/exit_ledger.py",
        "        if order.waiting:  # the account's net bounds those that wait among themselves (pms.covers)\n",
        "        if False:\n",
        WORLD + "test_beside_another_sub_account_each_closes_its_own_from_the_venue",
    ),
    "the net is not told again": Planted(
        14,
        "pms/closers.py",
        "        self._desk.covers.tell(symbol)\n",
        "",
        WORLD + "test_with_one_more_sub_account_on_the_side_the_old_one_goes_first",
    ),
    "an orphan that waits stays": Planted(
        24,
        "recovery/plan.py",
        "        case OrderId():\n            if why",
        "        case OrderId() if not report.waits:\n            if why",
        BOOK + "test_at_a_start_an_orphan_of_ours_leaves_and_anothers_stays",
    ),
    "a foreign one is taken away": Planted(
        24,
        "recovery/plan.py",
        "protects = report.reduce_only or report.waits",
        "protects = False",
        BOOK + "test_at_a_start_an_orphan_of_ours_leaves_and_anothers_stays",
    ),
    "nobody takes up what waits": Planted(
        23,
        "recovery/plan.py",
        "not (view.backstop or report.client_id in view.live_children)",
        "True",
        "tests/pure/recovery/test_plan.py::"
        "test_a_backstop_without_a_record_is_taken_up_by_its_stop_and_cancelled_where_another_stands",
    ),
    "it is taken up as an order that rests": Planted(
        23,
        "pms/outcomes.py",
        "trigger_price=report.trigger_price if report.conditional else ZERO,",
        "trigger_price=ZERO,",
        BOOK + "test_a_backstop_that_was_sent_without_redis_and_never_written_down_is_accounted_for",
    ),
    "an answer passes for a sign of the stream": Planted(
        27,
        "pms/sight.py",
        "            self._streamed_at[symbol] = streamed_at  # an",
        "            streamed_at = 0.0  # an",
        THROUGH + "test_with_the_book_gone_the_next_source_sees_the_trigger_in_time",
    ),
    "exits pause for seconds at once": Planted(
        28,
        "pms/exit_orders.py",
        "PAUSES_S = (0.25, 0.5, 1.0, 2.0)",
        "PAUSES_S = (2.0, 2.0, 2.0, 2.0)",
        THROUGH + "test_an_exit_gets_through_whatever_the_venue_says",
    ),
    "the audit does not look": Planted(
        24,
        "pms/audit.py",
        "for look in looks if self._rounds % WAITING_EVERY else (*looks, self._waiting):",
        "for look in looks:",
        BOOK + "test_the_running_audit_takes_an_orphan_away_and_touches_nothing_foreign",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_a_planted_error_turns_its_test_red(name: str) -> None:
    assert_found(ERRORS[name])
