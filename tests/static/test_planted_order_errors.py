"""Every law of manual orders has a test that bites: with one error planted it turns red (execution.md 1 to 15)."""

from __future__ import annotations

import pytest

from tests.static.planting import Planted, assert_found

LIFE = "tests/pure/core/test_order_life.py"
ONE, SEVERAL = "tests/world/test_manual.py::", "tests/world/test_manual_several.py::"
CHANGES, KILLS = "tests/world/test_manual_changes.py::", "tests/world/test_manual_kills.py::"
LEVERAGE = "tests/world/test_leverage.py::"

ERRORS = {
    "a trade is booked twice": Planted(
        2,
        "pms/core/orders.py",
        "if fill is None or fill.trade_id in order.trade_ids:",
        "if fill is None:",
        LIFE,
    ),
    "an older word stands over a newer one": Planted(
        2,
        "pms/core/orders.py",
        "if report.time < order.venue_time:",
        "if report.time < 0:",
        "tests/pure/core/test_orders.py::test_an_older_word_does_not_bring_back_the_old_price_but_its_fill_counts",
    ),
    "an end absorbs nothing": Planted(
        2,
        "pms/core/orders.py",
        "        return Change(order, (), fill)\n    if before.triggered_at",
        "        return Change(order, ('order_partial',), fill)\n    if before.triggered_at",
        LIFE,
    ),
    "a wanted cancel is forgotten": Planted(
        3,
        "pms/core/orders.py",
        "_replace(order, cancel_wanted=True, changed_by=by, updated_at=now)",
        "_replace(order, changed_by=by, updated_at=now)",
        CHANGES + "test_a_cancel_on_the_way_of_a_placing_leaves_nothing",
    ),
    "a wanted cancel is not sent once it may be": Planted(
        3,
        "pms/desk.py",
        "(order.cancel_wanted or order.origin in ALGO_ORIGINS)",
        "(order.origin in ALGO_ORIGINS)",
        CHANGES + "test_a_cancel_on_the_way_of_an_amend_is_sent_after_it",
    ),
    "a failed cancel is given up": Planted(
        3,
        "pms/withdrawals.py",
        "if order is not None and order.state is OrderState.ACTIVE:",
        "if order is None:",
        CHANGES + "test_a_cancel_that_fails_is_sent_again_until_the_order_is_gone",
    ),
    "a bound is rounded outward": Planted(
        10,
        "pms/commands/asks.py",
        "instrument.limit_ticks(side, price)",
        "instrument.limit_ticks(side.opposite, price)",
        ONE + "test_a_trade_is_an_ioc_at_mid_and_slippage_rounded_inward",
    ),
    "what is too large is sent whole": Planted(
        10,
        "pms/commands/asks.py",
        "if parts <= 1:",
        "if parts <= 99:",
        ONE + "test_more_than_the_largest_size_is_split_evenly_and_all_of_it_told",
    ),
    "the first legs leave before the last is checked": Planted(
        10,
        "pms/commands/manual.py",
        "raises = short or not some or",
        "raises = short or",
        SEVERAL + "test_a_leg_that_the_gate_denies_keeps_all_of_them_here",
    ),
    "an amend carries what is left instead of the total": Planted(
        7,
        "pms/commands/amends.py",
        "command.price or order.price, command.quantity or order.quantity\n        filled",
        "command.price or order.price, command.quantity or order.remaining\n        filled",
        CHANGES + "test_an_amend_of_a_part_filled_order_carries_the_total",
    ),
    "an amend leaves beside another": Planted(
        3,
        "pms/commands/amends.py",
        "if order.state in _IN_FLIGHT:\n            message",
        "if not order.symbol:\n            message",
        CHANGES + "test_an_amend_of_what_is_unknown_is_refused_until_it_is_known",
    ),
    "leverage is lowered with a position": Planted(
        15,
        "pms/leverage.py",
        "standing == target or (standing > target and not self._is_flat(symbol))",
        "standing == target",
        LEVERAGE + "test_with_a_position_it_is_not_lowered_for_a_notional_beyond_its_cap",
    ),
    "an unknown leverage is guessed": Planted(
        15,
        "pms/leverage.py",
        "if await self._read(symbol) != target:",
        "if not target:",
        LEVERAGE + "test_an_unknown_outcome_is_read_again_and_never_guessed",
    ),
    "an accepted order is told as sent": Planted(
        1,
        "pms/commands/answers.py",
        'if failed.code == "never_arrived":',
        'if failed.code == "no such code":',
        KILLS + "test_accepted_and_not_left_is_answered_not_executed_and_never_sent",
    ),
}


@pytest.mark.parametrize("what", ERRORS)
def test_a_planted_error_turns_its_test_red(what: str) -> None:
    assert_found(ERRORS[what])
