"""Every rule of the risk gate has a test that bites: one error planted turns it red (contract.md, limits_put)."""

from __future__ import annotations

import pytest

from tests.static.planting import Planted, assert_found

LIMITS, RISK = "tests/pure/core/test_limits.py::", "tests/pure/core/test_risk.py::"
EXPOSURE, GATE = "tests/pure/core/test_exposure.py::", "tests/world/test_risk_gate.py::"
LOSSES = "tests/world/test_losses.py::"

ERRORS = {
    "what is halted may trade": Planted(
        7,
        "pms/core/risk.py",
        "(stopped(role.account) if isinstance(role, Adding) else None)\n        or _grid(place.quantity",
        "_grid(place.quantity",
        RISK + "test_what_the_account_may_not_do_is_refused_before_the_market_is_looked_at",
    ),
    "only one side counts": Planted(
        14,
        "pms/core/limits.py",
        "return max(account.held + account.bids + intent.quantity, account.asks - account.held)",
        "return account.held + intent.quantity",
        LIMITS + "test_nothing_is_approved_outside_its_limits",
    ),
    "an amend is judged by what it adds": Planted(
        14,
        "pms/core/limits.py",
        "(intent.beside + intent.quantity) * (intent.price or price)",
        "intent.quantity * (intent.price or price)",
        GATE + "test_an_amend_is_judged_by_the_whole_order",
    ),
    "an exit grows beyond its position": Planted(
        14,
        "pms/order_entry.py",
        "self._growing(action) if action.reduce_only else self._moving(action, seen)",
        "None if action.reduce_only else self._moving(action, seen)",
        GATE + "test_a_closer_can_not_be_amended_beyond_its_position",
    ),
    "what was only tried counts": Planted(
        7,
        "pms/order_entry.py",
        "self._allowances.withdrawn(order.sub_account_id)",
        "self._count(order)",
        GATE + "test_of_several_orders_those_beyond_the_rate_are_not_sent",
    ),
    "an exit's leverage binds margin": Planted(
        14,
        "pms/core/exposure.py",
        "if not order.reduce_only and not stake.held:",
        "if True:",
        GATE + "test_a_closer_binds_no_margin_whatever_leverage_it_names",
    ),
    "who lost too much trades on": Planted(
        16,
        "pms/losses.py",
        'unit.sub_account(_replace(account, status="reduce", cause=code))',
        "unit.sub_account(account)",
        LOSSES + "test_who_lost_what_its_limits_allow_may_only_reduce_and_a_restart_keeps_it",
    ),
    "what rests opposes nobody": Planted(
        14,
        "pms/core/exposure.py",
        "if stake.held < stake.asks if side is Side.BUY else -stake.held < stake.bids:",
        "if stake.held < 0 if side is Side.BUY else stake.held > 0:",
        EXPOSURE + "test_another_opposes_by_what_it_holds_and_by_what_may_fill",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.slow  # test_planting.py holds that each still has its place
def test_a_planted_error_turns_its_test_red(name: str) -> None:
    assert_found(ERRORS[name])
