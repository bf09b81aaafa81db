"""Every law of the rate governor has a test that bites: with one error planted it turns red (execution.md 18)."""

from __future__ import annotations

import pytest

from tests.static.planting import Planted, assert_found

LIMITER, TURNS = "tests/pure/core/test_limiter.py::", "tests/pure/core/test_turns.py::"
SHELL, WORLD = "tests/contract/test_governor.py::", "tests/world/test_rate.py::"
HOLDS = "tests/pure/algos/test_chase_holds.py::"

ERRORS = {
    "the reserve is eaten": Planted(
        18,
        "pms/core/limiter.py",
        "Lane.NEAR: 80,",
        "Lane.NEAR: 100,",
        LIMITER + "test_the_reserve_is_not_eaten_by_entries_whatever_came_before",
    ),
    "what is in flight is forgotten": Planted(
        18,
        "pms/core/limiter.py",
        "return self.told + self.silent + self.flying",
        "return self.told + self.silent",
        LIMITER + "test_what_is_in_flight_counts_as_used",
    ),
    "an older word counts for what was answered without one": Planted(
        18,
        "pms/core/limiter.py",
        "            self.told = counted\n        self.told_at",
        "            self.told, self.silent = counted, 0\n        self.told_at",
        LIMITER + "test_a_word_from_before_a_silent_answer_does_not_count_for_it",
    ),
    "an old window's count fills the new one": Planted(
        18,
        "pms/core/limiter.py",
        "if counted is None or sent_at < self.ends - self.length_ms:",
        "if counted is None:",
        LIMITER + "test_a_word_of_the_window_before_does_not_spoil_the_new_one",
    ),
    "conflation is dropped": Planted(
        18,
        "pms/throttle.py",
        "0 if at_once else PATIENCE_S",
        "PATIENCE_S",
        WORLD + "test_a_throttled_chase_can_be_cancelled_at_once",
    ),
    "an owner waits more than once": Planted(
        18,
        "pms/core/turns.py",
        "if one.key in self._called:",
        "if one.key == '':",
        TURNS + "test_an_owner_that_is_to_be_called_waits_once",
    ),
    "a cancel queues behind entries": Planted(
        18,
        "pms/throttle.py",
        "return Errand(Lane.EXIT, account)",
        "return Errand(Lane.FAR, account)",
        WORLD + "test_with_a_neighbour_at_95_percent_a_cancel_leaves_at_once",
    ),
    "far children go before exits": Planted(
        18,
        "pms/core/turns.py",
        "for lane in Lane for one in",
        "for lane in reversed(Lane) for one in",
        TURNS + "test_exits_go_before_children_near_the_touch_and_these_before_far_ones",
    ),
    "one account takes all": Planted(
        18,
        "pms/core/turns.py",
        "            accounts.move_to_end(account)\n",
        "",
        TURNS + "test_accounts_take_turns",
    ),
    "a kept slot goes to another": Planted(
        18,
        "pms/governor.py",
        "self._kept[owner] = (charge, alarm)",
        "self._limiter.release(charge)",
        SHELL + "test_the_slot_of_an_owner_that_was_called_is_nobody_elses",
    ),
    "the record does not widen": Planted(
        18,
        "algos/chase_decide.py",
        "least * step.SCARCE_TICKS",
        "least",
        HOLDS + "test_while_the_budget_is_scarce_only_large_moves_reprice_and_the_record_says_so",
    ),
    "permission is not asked before it leaves": Planted(
        18,
        "pms/binance/rest.py",
        "if passage is not None and (stopped := passage.refusal()):",
        "if passage is not None and not (stopped := 'never asked'):",
        WORLD + "test_an_entry_that_waited_is_asked_again_right_before_it_leaves",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.slow  # test_planting.py holds that each still has its place
def test_a_planted_error_turns_its_test_red(name: str) -> None:
    assert_found(ERRORS[name])
