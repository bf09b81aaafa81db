"""Every law of the books has a test that bites: with one error planted it turns red (execution.md 9, 11, 13, 16)."""

from __future__ import annotations

import pytest

from tests.static.planting import Planted, assert_found

CORE, PLAN = "tests/pure/core/", "tests/pure/recovery/test_plan.py::"
ALLOCATION, FUNDING = CORE + "test_allocation.py::", CORE + "test_funding.py::"
BOOKS, POSITIONS = "tests/pure/test_books.py::", CORE + "test_positions.py::"
CHASE = "tests/pure/algos/test_chase_reduced.py::"
AGREE = BOOKS + "test_books_are_the_venues_position_and_wallet_at_every_moment"

ERRORS = [
    Planted(
        9,
        "pms/books.py",
        "if held.quantity and sub_account_id != EXTERNAL:",
        "if not held.quantity and sub_account_id != EXTERNAL:",
        BOOKS + "test_what_is_too_small_for_an_exit_goes_to_external_at_mark",
    ),
    Planted(
        11,
        "pms/core/positions.py",
        "number = position.number + 1",
        "number = position.number or 1",
        POSITIONS + "test_an_opening_has_a_new_number_and_id_after_flat_and_after_a_flip",
    ),
    Planted(
        11,
        "pms/core/positions.py",
        "_split(trade, -held)",
        "_split(trade, trade.quantity)",
        POSITIONS + "test_a_flip_closes_at_the_old_entry_and_opens_the_rest_at_the_fills_price",
    ),
    Planted(
        13,
        "pms/core/allocation.py",
        "reducing = min(abs(delta), abs(net)) if net * delta < 0 else ZERO",
        "reducing = min(abs(delta), abs(net)) if held else ZERO",
        ALLOCATION + "test_a_foreign_fill_is_allocated",
    ),
    Planted(
        13,
        "pms/core/allocation.py",
        "order = sorted(shares, key=lambda name: (parts[name] * whole - total * shares[name], name))",
        "order = list(shares)",
        ALLOCATION + "test_the_order_of_the_books_does_not_matter",
    ),
    Planted(
        13,
        "pms/core/allocation.py",
        "more = min(step, left, shares[name] - parts[name])",
        "more = min(step, left)",
        ALLOCATION + "test_shares_off_the_grid_are_dealt_exactly_too",
    ),
    Planted(
        13,
        "pms/books.py",
        "rest -= amount",
        "rest = ZERO",
        AGREE,
    ),
    Planted(
        13,
        "pms/core/funding.py",
        "return amount.quantize(CENT)",
        "return amount",
        POSITIONS + "test_a_book_is_the_sum_of_its_trades_and_loses_no_money",
    ),
    Planted(
        13,
        "recovery/plan.py",
        "for symbol in sorted({*found.venue_positions, *recorded.books} - flying):",
        "for symbol in sorted({*found.venue_positions, *recorded.books}):",
        PLAN + "test_a_difference_is_not_judged_while_an_order_is_in_flight",
    ),
    Planted(
        13,
        "recovery/reconcile.py",
        "return drift.symbol, drift.venue - drift.books",
        "return drift.symbol, drift.books",
        PLAN + "test_a_difference_that_trading_makes_anew_at_each_look_is_none",
    ),
    Planted(
        13,
        "recovery/plan.py",
        " or fill.time <= recorded.accepted.get(fill.symbol, -1):",
        ":",
        PLAN + "test_what_a_person_took_over_is_not_booked_again",
    ),
    Planted(
        13,
        "algos/chase.py",
        "    left = max(-state.side.sign * given.held, ZERO)\n",
        "    left = abs(given.held)\n",
        CHASE + "test_a_reduce_only_chase_ends_when_somebody_else_has_closed_its_position",
    ),
    Planted(
        14,
        "pms/core/margin.py",
        "return max(longs, shorts)",
        "return abs(longs - shorts)",
        CORE + "test_margin.py::test_the_worse_side_of_opposite_sub_accounts_needs_margin",
    ),
    Planted(
        16,
        "pms/core/funding.py",
        "return money(-quantity * mark * rate)",
        "return money(quantity * mark * rate)",
        FUNDING + "test_longs_pay_and_shorts_receive_a_positive_rate",
    ),
    Planted(
        16,
        "pms/books.py",
        "        unit.funded(rate.symbol, rate.time)\n",
        "",
        AGREE,
    ),
    Planted(
        16,
        "pms/income.py",
        " or row.name in watermark.income_ids",
        "",
        "tests/world/test_funding.py::test_a_transfer_goes_to_external_once",
    ),
    Planted(
        16,
        "pms/core/funding.py",
        "if hour.time >= time:",
        "if hour.time > time:",
        FUNDING + "test_a_fill_at_the_funding_time_comes_after_it",
    ),
    Planted(
        16,
        "pms/core/funding.py",
        "(delta if hour.time > start else ZERO)",
        "ZERO",
        FUNDING + "test_late_trades_are_counted_where_they_belong",
    ),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: f"rule {error.law}, {error.path}")
def test_a_planted_error_turns_its_rules_test_red(error: Planted) -> None:
    assert_found(error)
