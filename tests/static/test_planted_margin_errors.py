"""Every rule of the margin ladder and the account's guard has a test that bites: one error planted turns it red
(contract.md, margin_warning)."""

from __future__ import annotations

import pytest

from tests.static.planting import Planted, assert_found

PURE, WORLD = "tests/pure/core/test_ladder.py::", "tests/world/test_margin_ladder.py::"
GUARD = "tests/world/test_account_guard.py::"

ERRORS = {
    "a rung has no slack": Planted(
        14,
        "pms/core/ladder.py",
        "if now >= (mark - SLACK if rung <= before else mark)",
        "if now >= mark",
        PURE + "test_a_rung_is_reached_at_its_mark_and_left_below_its_slack",
    ),
    "more is closed than is needed": Planted(
        14,
        "pms/core/ladder.py",
        "_maintained(stakes) - WARN * equity,",
        "_maintained(stakes),",
        PURE + "test_a_reduction_is_no_more_than_is_needed_and_brings_the_ratio_back",
    ),
    "the bracket of before is taken for that of afterwards": Planted(
        14,
        "pms/core/margin.py",
        "if row is brackets[-1] or maintained <= row.cap * row.maint_ratio - row.cum:",
        "if row is brackets[-1]:",
        PURE + "test_a_reduction_is_no_more_than_is_needed_and_brings_the_ratio_back",
    ),
    "a reduction goes on top of an exit": Planted(
        14,
        "pms/core/ladder.py",
        "    if locked or not tradable:\n",
        "    if not tradable:\n",
        PURE + "test_nothing_is_closed_twice_and_nothing_is_reduced_while_an_exit_is_under_way",
    ),
    "what closes is not known to be under way": Planted(
        14,
        "pms/margin_exits.py",
        "return self.running(sub_account_id) | immediate",
        "return set()",
        WORLD + "test_no_second_exit_leaves_before_the_first_ones_fills_are_in",
    ),
    "between two attempts an exit is not under way": Planted(
        14,
        "pms/exit_orders.py",
        "        self._running.add(under_way)\n",
        "",
        WORLD + "test_no_second_exit_leaves_before_the_first_ones_fills_are_in",
    ),
    "notify closes": Planted(
        14,
        "pms/core/ladder.py",
        'if action == "notify" or rung < Rung.REDUCING:',
        "if rung < Rung.REDUCING:",
        PURE + "test_with_notify_nothing_is_ever_closed",
    ),
    "notify takes entries away": Planted(
        14,
        "pms/margin_ladder.py",
        'if found.rung >= Rung.REDUCING and self._action != "notify":',
        "if found.rung >= Rung.REDUCING:",
        WORLD + "test_with_notify_pms_only_tells",
    ),
    "what is reduced may be put back": Planted(
        14,
        "pms/margin_ladder.py",
        "            self._only_reduces(name)\n",
        "",
        WORLD + "test_a_reduction_takes_entries_away_and_a_close_ends_every_algo_of_that_sub_account_alone",
    ),
    "algos outlive the close": Planted(
        14,
        "pms/margin_ladder.py",
        "            self._end_all(name)\n",
        "            name = str(name)\n",
        WORLD + "test_a_reduction_takes_entries_away_and_a_close_ends_every_algo_of_that_sub_account_alone",
    ),
    "an exit that was refused is never tried again": Planted(
        14,
        "pms/margin_exits.py",
        "self._desk.now() + AGAIN_MS",
        "1 << 62",
        WORLD + "test_an_exit_that_is_refused_for_good_is_tried_again_until_a_person_has_made_way",
    ),
    "an exit that was refused is tried each second": Planted(
        14,
        "pms/margin_exits.py",
        "AGAIN_MS = 5_000",
        "AGAIN_MS = 1",
        WORLD + "test_an_exit_that_is_refused_for_good_is_tried_again_until_a_person_has_made_way",
    ),
    "one exit that does not get on locks all": Planted(
        14,
        "pms/exit_goals.py",
        "STUCK_AT = 6 ",
        "STUCK_AT = 1_000_000 ",
        WORLD + "test_an_exit_that_does_not_get_on_keeps_no_other_position_from_being_reduced",
    ),
    "a price of yesterday ends a warning": Planted(
        14,
        "pms/margin_ladder.py",
        "if found.rung < before and not all(map(self._desk.mark, held)):",
        "if False:",
        WORLD + "test_a_warning_of_a_former_life_is_over_when_its_cause_is",
    ),
    "margin forgives losses": Planted(
        16,
        "pms/commands/freezes.py",
        'account.status == "reduce" and account.cause in LOSSES and not frozen:',
        'account.status == "reduce" and not frozen:',
        WORLD + "test_losses_are_not_forgiven_with_margin",
    ),
    "the guard closes what stands opposite": Planted(
        14,
        "pms/core/guard.py",
        "one.owner not in barred and one.quantity * nets[one.symbol] > 0",
        "one.owner not in barred",
        PURE + "test_a_quarter_of_the_largest_position_on_the_nets_side_is_reduced",
    ),
    "the guard takes a position for the account's": Planted(
        14,
        "pms/core/guard.py",
        "return min(quantity, net, key=abs)",
        "return quantity",
        PURE + "test_a_quarter_of_the_largest_position_on_the_nets_side_is_reduced",
    ),
    "the guard does not see the ladder's exit": Planted(
        14,
        "pms/account_guard.py",
        "if found is None or found.symbol in self._closing.locked(found.sub_account_id):",
        "if found is None:",
        GUARD + "test_guard_and_ladder_do_not_close_the_same_position_at_once",
    ),
    "an old answer decides": Planted(
        14,
        "pms/account_guard.py",
        "                self._unanswered(error)\n                return\n",
        "                self._unanswered(error)\n                self._judge()\n                return\n",
        GUARD + "test_while_the_venue_does_not_answer_nothing_is_decided_and_people_are_told",
    ),
    "the account trades on at 70 percent": Planted(
        14,
        "pms/core/guard.py",
        "Level.REDUCE_ONLY: REDUCE_ONLY, ",
        "",
        GUARD + "test_at_half_of_it_the_account_is_warned_and_at_70_percent_it_may_only_reduce_until_resume",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.slow  # test_planting.py holds that each still has its place
def test_a_planted_error_turns_its_test_red(name: str) -> None:
    assert_found(ERRORS[name])
