"""What records, logs and reports promise has a test that bites: with one error planted it turns red."""

from __future__ import annotations

import pytest

from tests.static.planting import Planted, assert_found

MEASURES, STATE = "tests/pure/report/test_measures.py::", "tests/pure/records/test_state_check.py::"
WORLD = "tests/world/"
LOGS, JOURNAL = "tests/pure/test_logs.py::", "tests/pure/records/test_journal.py::"

ERRORS = {
    "a stop without a run of its own is a difference": Planted(
        0,
        "pms/records/state_check.py",
        'if record is not None and "protectionId" in record:',
        "if False:",
        STATE + "test_a_stop_is_no_run_of_its_own_and_its_orders_are_judged",
    ),
    "slippage is judged without its side": Planted(
        0,
        "pms/report/measures.py",
        "cost += fill.side.sign * (fill.price - price) * fill.quantity",
        "cost += (fill.price - price) * fill.quantity",
        MEASURES + "test_a_sell_is_judged_the_other_way_round",
    ),
    "the interval leaves out the second of the last fill": Planted(
        0,
        "pms/report/measures.py",
        "return -(-ts // SECOND_MS) * SECOND_MS",
        "return ts // SECOND_MS * SECOND_MS",
        MEASURES + "test_the_interval_is_that_from_the_start_to_the_second_of_the_last_fill",
    ),
    "a fill is held against a mid that came after it": Planted(
        0,
        "pms/report/facts.py",
        "reversed(self.within(ts - patience_ms, ts))",
        "reversed(self.within(ts - patience_ms, ts + patience_ms))",
        MEASURES + "test_the_spread_is_earned_against_the_last_mid_before_each_fill",
    ),
    "a markout takes what was known before its time": Planted(
        0,
        "pms/report/facts.py",
        "self.within(ts - 1, ts + patience_ms)",
        "self.within(ts - 1000, ts + patience_ms)",
        MEASURES + "test_markouts_are_the_first_mids_that_much_later_and_unknown_beyond_the_tape",
    ),
    "the whole quantity at the best price": Planted(
        0,
        "pms/report/measures.py",
        "taken = min(left, resting)",
        "taken = left",
        MEASURES + "test_the_same_at_once_at_market_takes_the_book_level_by_level_with_its_fee",
    ),
    "what the algo paid in fees is not counted": Planted(
        0,
        "pms/report/measures.py",
        "saved = side.sign * (notional - done) + fee - paid",
        "saved = side.sign * (notional - done) + fee",
        MEASURES + "test_the_same_at_once_at_market_takes_the_book_level_by_level_with_its_fee",
    ),
    "a book that was too thin is not owned up to": Planted(
        0,
        "pms/report/measures.py",
        "return notional + left * levels[-1][0], left",
        "return notional + left * levels[-1][0], ZERO",
        MEASURES + "test_what_lies_beyond_the_recorded_book_is_said_and_counted_at_its_last_level",
    ),
    "every parent weighs the same": Planted(
        0,
        "pms/report/totals.py",
        "known = [(found, one.notional)",
        "known = [(found, Decimal(1))",
        MEASURES + "test_totals_are_weighted_by_what_was_traded_and_go_by_day_and_week",
    ),
    "an order listed though it has ended": Planted(
        0,
        "pms/records/state_check.py",
        "and live != (name in state.open_orders):",
        "and live and name not in state.open_orders:",
        STATE + "test_a_live_order_must_stand_and_be_listed_and_an_ended_one_must_not_be",
    ),
    "a request in flight is called wrong": Planted(
        0,
        "pms/records/state_check.py",
        "if ended is not None and ended(record[word]) != ended(row[word]):",
        "if ended is not None and record[word] != row[word]:",
        STATE + "test_a_request_in_flight_is_no_difference_and_an_end_that_nobody_told_is",
    ),
    "what moved meanwhile is judged": Planted(
        0,
        "pms/records/state_check.py",
        "(set(state.orders) | set(replayed.orders) | state.open_orders) - state.moved",
        "(set(state.orders) | set(replayed.orders) | state.open_orders)",
        STATE + "test_what_moved_while_it_was_read_is_not_judged",
    ),
    "an event is logged again after a kill": Planted(
        0,
        "pms/records/journal.py",
        "if name and seq > self._last[name]:",
        "if name:",
        JOURNAL + "test_after_a_kill_nothing_is_logged_twice_and_nothing_is_missing",
    ),
    "what remains of a funding is told to nobody": Planted(
        16,
        "pms/books.py",
        "if amount or held.get(name):",
        "if amount and held.get(name) and name == EXTERNAL:",
        WORLD + "test_funding.py::test_each_book_is_paid_on_its_own_position_though_the_venue_pays_on_the_net",
    ),
    "a funding is told as of today's position": Planted(
        16,
        "pms/core/funding.py",
        "return next((hour.position_id for hour in hours if hour.time >= time), now_id)",
        "return now_id",
        "tests/pure/core/test_funding.py::test_the_position_that_was_held_is_known_though_another_one_stands_now",
    ),
    "fundings do not come into SQL": Planted(
        16,
        "pms/records/rows.py",
        "    FundingPaid: _funding,\n",
        "",
        WORLD + "test_records.py::test_a_funding_has_a_row_for_each_that_held_something_as_the_position_of_that_time",
    ),
    "the book that a close met is not kept": Planted(
        0,
        "pms/exit_orders.py",
        "if len(one.orders) == 1 and not one.goal.parent_id:",
        "if len(one.orders) == 1 and one.goal.parent_id:",
        WORLD + "test_market_tape.py::test_a_close_keeps_the_book_that_its_first_order_met",
    ),
    "what was refused by hand is not counted": Planted(
        0,
        "pms/report/totals.py",
        "        found[one.code] += one.count\n",
        "        found[one.code] += 0\n",
        MEASURES + "test_what_was_refused_before_there_was_a_parent_counts_in_its_day_by_code",
    ),
    "a torn line stays in the log": Planted(
        0,
        "pms/log_files.py",
        "file.truncate(size - len(ending) + ending.rfind(b",
        "file.seek(size - len(ending) + ending.rfind(b",
        LOGS + "test_a_torn_line_is_cut_off_and_the_last_whole_one_is_known",
    ),
    "logs grow for ever": Planted(
        0,
        "pms/log_files.py",
        "for old in self.packed()[: -self._kept]:",
        "for old in self.packed()[:0]:",
        LOGS + "test_a_full_file_is_packed_and_only_the_oldest_are_dropped",
    ),
    "a program's log grows for as long as it runs": Planted(
        0,
        "pms/log_files.py",
        "        os.truncate(self.path, 0)\n",
        "",
        LOGS + "test_the_log_of_a_program_is_bounded_while_it_goes_on_writing",
    ),
    "nobody looks at the venue's log": Planted(
        0,
        "pms/up.py",
        "            child.log.look()\n",
        "",
        "tests/process/test_child_logs.py::test_the_supervisor_looks_at_the_log_of_each_program_it_started",
    ),
    "the file is written before it is screened": Planted(
        0,
        "pms/log.py",
        "            hide_secrets,\n            _keep,",
        "            _keep,\n            hide_secrets,",
        LOGS + "test_a_terminal_gets_words_and_the_file_json_both_without_secrets",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.slow  # test_planting.py holds that each still has its place
def test_a_planted_error_turns_its_test_red(name: str) -> None:
    assert_found(ERRORS[name])
