"""The daemon's rim has tests that bite: what a dry run, a vanished order, a mode and a service manager are owed. One
error planted turns a test red (execution.md 2, 19, 22; design.md, modes)."""

from __future__ import annotations

import pytest

from tests.static.planting import Planted, assert_found

LOSSES, CHASE = "tests/world/test_limits_and_losses.py::", "tests/pure/algos/test_chase.py::"
RECOVERY, MANAGER = "tests/world/test_recovery_run.py::", "tests/contract/test_service_manager.py::"
MODES, RUNNER = "tests/pure/test_config.py::", "tests/pure/test_runner.py::"

# what is wrong: path, right, wrong, the test that finds it
ERRORS = {
    "a dry run puts damaged records away": (
        "pms/restore.py",
        "        if self._dry:\n            return\n",
        "",
        RECOVERY + "test_a_planned_recovery_names_damaged_records_and_leaves_them_where_they_are",
    ),
    "a dry run does not tell of damaged records": (
        "pms/planned.py",
        "map(_quarantine, restored.quarantined)",
        "()",
        RECOVERY + "test_a_planned_recovery_names_damaged_records_and_leaves_them_where_they_are",
    ),
    "a vanished order is given up": (
        "pms/outcomes.py",
        "message, self._desk.now())\n            return False",
        "message, self._desk.now())\n            return True",
        LOSSES + "test_an_order_that_the_venue_forgot_is_never_given_an_invented_outcome",
    ),
    "a vanished order is asked for without a pause": (
        "pms/execution.py",
        "pauses = (VANISHED_S,)",
        "pauses = (1.0,)",
        LOSSES + "test_an_order_that_the_venue_forgot_is_never_given_an_invented_outcome",
    ),
    "a found order stays an alarm": (
        "pms/outcomes.py",
        "        if self._desk.alarms.open:",
        "        if False:",
        LOSSES + "test_an_order_that_the_venue_forgot_is_never_given_an_invented_outcome",
    ),
    "more is filled than asked for": (
        "algos/chase_child.py",
        "quantity=max(state.quantity, filled),",
        "quantity=state.quantity,",
        CHASE + "test_fills_that_overtake_an_amend_to_less_count_as_asked_for",
    ),
    "less is asked for than is filled": (
        "algos/chase.py",
        "max(given.quantity, state.filled_quantity)",
        "given.quantity",
        CHASE + "test_an_amend_to_less_than_is_filled_by_now_asks_for_what_is_filled",
    ),
    "leverage is set without leave": (
        "pms/binance/gateway.py",
        "queries.leverage(symbol, leverage), refusal)",
        "queries.leverage(symbol, leverage))",
        "tests/world/test_leverage.py::test_it_is_not_set_while_nothing_that_adds_risk_may_leave",
    ),
    "any mode may trade": (
        "pms/config_modes.py",
        'if mode in ("paper", "testnet") and _is_production(address):',
        'if mode == "testnet" and _is_production(address):',
        "tests/pure/test_config.py::test_without_live_an_address_of_production_is_refused_whatever_keys_there_are",
    ),
    "shadow trades where it looks": (
        "pms/config.py",
        'rest_url="" if mode == "shadow" else rest_url,',
        "rest_url=rest_url,",
        MODES + "test_shadow_follows_production_and_has_no_key_and_no_address_to_trade_at",
    ),
    "a sign of life comes too late": (
        "pms/service_manager.py",
        "self._notify.watchdog_s / 2",
        "self._notify.watchdog_s",
        MANAGER + "test_it_hears_of_the_start_the_stop_and_of_life_twice_in_its_time",
    ),
    "another's watchdog is ours": (
        "pms/config.py",
        'ours = env.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())',
        "ours = True",
        MANAGER + "test_without_a_watchdog_of_ours_there_is_no_sign_of_life",
    ),
    "an input is taken in the midst of another's decision": (
        "pms/runner.py",
        "busy, self._busy = self._busy, True",
        "busy, self._busy = self._busy, False",
        RUNNER + "test_what_comes_in_while_a_decision_is_carried_out_is_taken_after_it",
    ),
    "an algo that feeds itself is fed for ever": (
        "pms/runner.py",
        "elif len(self._waiting) < MAILBOX_LIMIT:",
        "elif len(self._waiting) < 100 * MAILBOX_LIMIT:",
        RUNNER + "test_inputs_that_cause_ever_more_of_themselves_fail_the_algo",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.slow  # test_planting.py holds that each still has its place
def test_a_planted_error_turns_its_test_red(name: str) -> None:
    assert_found(Planted(0, *ERRORS[name]))
