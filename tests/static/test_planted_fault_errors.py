"""What keeps us right while the venue and the network misbehave has tests that bite: with one error planted each turns
red (issue D; design.md, "When a part is gone")."""

from __future__ import annotations

import pytest

from tests.static.planting import Planted, assert_found

STREAM, GONE = "tests/contract/binance/test_user_stream.py::", "tests/world/test_parts_gone.py::"
FAULTS = "tests/contract/sim_wire/test_faults.py::"
USER_STREAM, HAND_OVER = "pms/binance/user_stream.py", "pms/binance/hand_over.py"
HANDED = STREAM + "test_a_hand_over_loses_and_doubles_nothing_whichever_socket_is_ahead"
CLOCK = GONE + "test_a_clock_six_seconds_off_stops_entries_and_nothing_else[host-6000]"

ERRORS = {
    "a key that is another's passes for ours": Planted(
        2,
        USER_STREAM,
        'if key not in ("", self._key):',
        'if key == "?":',
        STREAM + "test_a_key_that_somebody_ended_is_noticed_and_replaced_within_3_s[renewed]",
    ),
    "a silent stream is asked for its key once a minute": Planted(
        2,
        USER_STREAM,
        "PROBE_S = 1.5",
        "PROBE_S = 60",
        STREAM + "test_a_key_that_somebody_ended_is_noticed_and_replaced_within_3_s[gone]",
    ),
    "who ended the key is not told": Planted(
        2,
        USER_STREAM,
        "taken=reason == TAKEN",
        "taken=False",
        GONE + "test_the_alarm_of_a_taken_key_ends_when_the_stream_was_left_alone",
    ),
    "what both sockets carry is told twice": Planted(
        2, HAND_OVER, "if self._ahead[frame] > 0:", "if self._ahead[frame] > 99:", HANDED
    ),
    "what only the next socket has brought is lost": Planted(
        2, HAND_OVER, "held, self._held = self._held, []", "held, self._held = [], []", HANDED
    ),
    "a deaf socket takes over": Planted(
        2,
        HAND_OVER,
        "return self._ahead.total() > 0 and not self._brought",
        "return False",
        STREAM + "test_a_next_socket_that_brings_nothing_is_given_up_and_another_tried",
    ),
    "the next socket is opened after the venue has ended this one": Planted(
        2,
        USER_STREAM,
        "HAND_OVER_S = 23.5 * 3600.0",
        "HAND_OVER_S = 24.5 * 3600.0",
        STREAM + "test_the_next_socket_is_open_before_the_venue_ends_this_one",
    ),
    "entries go on by a clock that is wrong": Planted(
        7, "pms/clock_watch.py", "stop = abs(error) > STOP_MS", "stop = abs(error) > 100 * STOP_MS", CLOCK
    ),
    "a clock that is two seconds off is not told": Planted(
        7, "pms/clock_watch.py", "        if abs(error) > OFF_MS:\n", "        if abs(error) > 3 * OFF_MS:\n", CLOCK
    ),
    "algos go on at a symbol that does not trade": Planted(
        8,
        "pms/watch.py",
        "gone = instrument is not None and not instrument.trading",
        "gone = instrument is None",
        GONE + "test_a_halted_symbol_stops_its_algos_with_the_reason_until_it_trades_again",
    ),
    "a halted symbol is asked for an hour later": Planted(
        8,
        "pms/instruments.py",
        "HALTED_S if self._halted() else FRESH_S",
        "FRESH_S",
        GONE + "test_a_halted_symbol_stops_its_algos_with_the_reason_until_it_trades_again",
    ),
    "every deleveraging has one record": Planted(
        1,
        "schemas/ids.py",
        'return f"{client_id}-{order_id}" if client_id.startswith(_VENUE_PREFIXES) else client_id',
        "return client_id",
        GONE + "test_deleveraging_and_liquidation_are_booked_as_they_come",
    ),
    "an algo begins without a price": Planted(
        3,
        "pms/commands/starting.py",
        "                quotes = await self._market.quotes(needs, PRICE_BACK_S)  # one may have gone meanwhile\n",
        "",
        GONE + "test_a_book_that_goes_while_leverage_is_set_costs_the_command_and_nothing_more",
    ),
    "a book that nobody follows is missed for ever": Planted(
        3,
        "pms/market.py",
        "        if not line.fresh:\n            self._on_health",
        "        if line.fresh:\n            self._on_health",
        "tests/contract/test_market.py::test_a_stale_symbol_that_is_let_go_is_missed_no_more",
    ),
    "a start that was told to wait is tried again at once": Planted(
        5,
        "pms/daemon.py",
        "if error.retry_ms > SOON_MS:",
        "if error.retry_ms > 10**9:",
        GONE + "test_a_start_into_a_full_counter_waits_before_it_gives_up",
    ),
    "a frame that comes twice throws the book away": Planted(
        3,
        "pms/core/book.py",
        "if frame.last_id <= self.last_id and frame.time <= self.time:",
        "if frame.last_id < 0:",
        "tests/pure/core/test_book.py::test_a_frame_that_comes_again_changes_nothing",
    ),
    "any older id passes for a frame that comes again": Planted(
        3,
        "pms/core/book.py",
        "if frame.last_id <= self.last_id and frame.time <= self.time:",
        "if frame.last_id <= self.last_id:",
        "tests/pure/core/test_book.py::test_an_older_id_at_a_later_time_is_a_gap",
    ),
    "a fault that is over strikes once more": Planted(
        1,
        "pms/sim/fault_schedule.py",
        "left != 1",
        "left != 0",
        FAULTS + "test_a_fault_strikes_at_its_time_again_and_again_and_no_more",
    ),
    "healing leaves what has changed": Planted(
        1,
        "pms/sim/fault_schedule.py",
        "undo, self._undo = self._undo, {}",
        "undo, self._undo = {}, {}",
        FAULTS + "test_healing_takes_back_what_stands_and_what_is_to_come",
    ),
    "a fault for a symbol that is not there is taken": Planted(
        1,
        "pms/sim/fault_schedule.py",
        "if value and value not in known:",
        "if value and value == '?':",
        FAULTS + "test_what_names_a_symbol_or_an_account_that_is_not_there_is_refused_whole",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.slow  # test_planting.py holds that each still has its place
def test_a_planted_error_turns_its_test_red(name: str) -> None:
    assert_found(ERRORS[name])
