"""The recovery's rules have tests that bite: one error planted turns its test red (design.md, "Recovery policy";
execution.md 22-24)."""

from __future__ import annotations

import pytest

from tests.static.planting import Planted, assert_found

TRUTH, CODES = "tests/pure/recovery/test_truth.py::", "tests/pure/cli/test_recover.py::"
ALONE = "tests/world/test_recovery_run.py::"
PLAN = "recovery/plan.py"

ERRORS = {
    "a conditional order becomes an algo's child": Planted(
        23,
        PLAN,
        "report.waits and not (view.backstop or report.client_id in view.live_children)",
        "False",
        TRUTH + "test_each_row_is_judged_as_the_policy_says",
    ),
    "a child whose record is lost is not taken up by who names it": Planted(
        23,
        PLAN,
        "[child for child in view.live_children if child != report.client_id]",
        "view.live_children",
        TRUTH + "test_each_row_is_judged_as_the_policy_says",
    ),
    "a foreign order that only reduces is cancelled": Planted(
        24,
        PLAN,
        "protects = report.reduce_only or report.waits",
        "protects = report.waits",
        TRUTH + "test_each_row_is_judged_as_the_policy_says",
    ),
    "what the table says is not what the plan does": Planted(
        24,
        PLAN,
        'if policy == "cancel" and not protects:',
        'if policy != "report" and not protects:',
        TRUTH + "test_the_table_that_people_read_is_what_the_plan_says",
    ),
    "an order of unknown fate blocks nothing": Planted(
        19,
        "pms/hands.py",
        "        self.unresolved.add(client_id, order.sub_account_id, order.symbol, why)\n",
        "",
        ALONE + "test_an_order_of_unknown_fate_blocks_its_symbol_and_sub_account_only_until_it_is_known",
    ),
    "it blocks everybody": Planted(
        19,
        "pms/unresolved.py",
        "one.symbol == symbol and one.sub_account_id in (EVERYBODY, sub_account_id)",
        "one.symbol == symbol",
        ALONE + "test_an_order_of_unknown_fate_blocks_its_symbol_and_sub_account_only_until_it_is_known",
    ),
    "what could not be cancelled is forgotten": Planted(
        24,
        "pms/audit.py",
        "if self._hands.unresolved.leaving:",
        "if not self._hands.unresolved.subjects:",
        ALONE + "test_an_orphan_that_can_not_be_cancelled_is_told_and_taken_away_by_the_audit",
    ),
    "an order of unknown fate is not asked for": Planted(
        2,
        "pms/hands.py",
        "        execution.resolve(request, partial(self.unresolved.over, client_id))\n",
        "",
        ALONE + "test_an_order_of_unknown_fate_blocks_its_symbol_and_sub_account_only_until_it_is_known",
    ),
    "an account that nobody agreed to looks ready": Planted(
        24,
        "pms/cli/recover.py",
        'if run.get("gated"):\n        return',
        'if run.get("gated") and run.get("unresolved"):\n        return',
        CODES + "test_the_code_tells_the_worst_that_is_left",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.slow  # test_planting.py holds that each still has its place
def test_a_planted_error_turns_its_test_red(name: str) -> None:
    assert_found(ERRORS[name])
