"""The dead-man switch: one error planted in each of its rules turns its test red."""

from __future__ import annotations

import pytest

from tests.static.planting import Planted, assert_found

SWITCH = "tests/world/test_dead_man.py::"

ERRORS = {
    "it is armed once and never refreshed": Planted(
        29,
        "pms/dead_man.py",
        "if now - self.confirmed.get(symbol, 0) >= REFRESH_MS:",
        "if symbol not in self.confirmed:",
        SWITCH + "test_what_an_algo_of_a_dead_daemon_had_resting_is_gone_within_a_minute",
    ),
    "it takes what is not ours": Planted(
        29,
        "pms/dead_man.py",
        'return bool(ours) and (self._setting == "on" or len(ours) == len(resting))',
        "return bool(ours)",
        SWITCH + "test_it_never_runs_where_somebody_elses_order_rests",
    ),
    "it runs on when no algo quotes": Planted(
        29,
        "pms/dead_man.py",
        "for symbol in [symbol for symbol in self.confirmed if symbol not in wanted]:",
        "for symbol in ():",
        SWITCH + "test_it_is_stopped_when_no_algo_quotes_any_more",
    ),
    "a stop leaves it running over what it leaves": Planted(
        29,
        "pms/daemon.py",
        "        await self.dead_man.stop()\n",
        "",
        SWITCH + "test_a_stop_that_leaves_an_order_on_purpose_leaves_no_timer_over_it",
    ),
    "what it took was somebody's wish": Planted(
        29,
        "pms/outcomes.py",
        "cause=Cause.DEAD_MAN",
        "cause=Cause.NONE",
        SWITCH + "test_what_the_timer_took_while_we_were_dead_was_nobodys_wish",
    ),
    "what it took of a filled order was somebody's wish": Planted(
        29,
        "pms/core/orders.py",
        "_concluded(order, after, new, [], now, _cause_told(order))",
        "_concluded(order, after, new, [], now, Cause.NONE)",
        SWITCH + "test_what_the_timer_took_while_we_were_dead_was_nobodys_wish",
    ),
    "every cancel while down was the timer's": Planted(
        29,
        "pms/dead_man.py",
        "return bool(first) and first + TIMER_MS - SLACK_MS <= cancelled_at <= last + TIMER_MS + SLACK_MS",
        "return bool(first)",
        SWITCH + "test_what_a_person_took_while_we_were_dead_stays_away",
    ),
    "it is taken for confirmed when it was asked for": Planted(
        29,
        "pms/dead_man.py",
        "if refused is not None:",
        "if refused is not None and not countdown_ms:",
        SWITCH + "test_a_timer_that_is_not_confirmed_is_told_to_people_until_it_is",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_a_planted_error_turns_its_test_red(name: str) -> None:
    assert_found(ERRORS[name])
