"""Every law of algos.md has a test that bites: with one error planted it turns red, without it is green.

Each row plants its error and runs only the test that the row names (planting.py).
"""

from __future__ import annotations

import pytest

from tests.static.planting import ROOT, Planted, assert_found, run

CHASE, ENDINGS = "tests/pure/algos/test_chase.py::", "tests/pure/algos/test_chase_endings.py::"
HOLDS, LAWS = "tests/pure/algos/test_chase_holds.py::", "tests/pure/algos/test_laws.py::"
CORE = "tests/pure/core/"


ERRORS = [
    Planted(
        1,
        "algos/chase.py",
        "if update.order.state.terminal:",
        'if update.order.state.terminal or update.order.state == "unknown":',
        ENDINGS + "test_a_placing_of_unknown_fate_blocks_any_other_until_it_is_known",
    ),
    Planted(
        1,
        "algos/laws.py",
        "and not _proves_gone(given, old):",
        "and False:",
        LAWS + "test_law_1_a_replacement_before_the_old_child_is_proven_gone",
    ),
    Planted(
        2,
        "algos/chase_decide.py",
        "pricing.slice_quantity(rest, price,",
        "pricing.slice_quantity(state.quantity, price,",
        CHASE + "test_a_new_order_never_asks_for_the_original_size_again",
    ),
    Planted(
        2,
        "algos/chase_decide.py",
        "total = min(child.filled + rest // rules.step",
        "total = min(rest // rules.step",
        CHASE + "test_an_amend_carries_price_and_the_childs_unchanged_total",
    ),
    Planted(
        3,
        "pms/core/orders.py",
        "if end is not None and order.filled_qty >= order.venue_filled:",
        "if end is not None:",
        CORE + "test_orders.py::test_no_terminal_state_comes_before_its_fills",
    ),
    Planted(
        3,
        "algos/chase_decide.py",
        """    if child.state is not OrderState.ACTIVE:
        return state, NOTHING
    if now < state.cancel_at:""",
        """    if child.state is not OrderState.ACTIVE:
        return (_finish(state) if state.ending is not None else state), NOTHING
    if now < state.cancel_at:""",
        ENDINGS + "test_a_cancel_while_the_outcome_is_unknown_waits_for_evidence",
    ),
    Planted(
        4,
        "algos/chase.py",
        "late = book_fill(state, given) if isinstance(given, OrderUpdate) else state",
        "late = state",
        ENDINGS + "test_a_chase_that_ended_books_late_fills_and_absorbs_all_else",
    ),
    Planted(
        5,
        "algos/chase_decide.py",
        'if state.hold or quote is None or state.throttle == "queued":',
        'if quote is None or state.throttle == "queued":',
        HOLDS + "test_nothing_is_placed_while_it_holds",
    ),
    Planted(
        3,
        "algos/chase_decide.py",
        "if not actions and (after is before or after == before):",
        "if after is before or after == before:",
        ENDINGS + "test_a_child_that_is_found_resting_after_its_cancel_is_cancelled_again",
    ),
    Planted(
        6,
        "schemas/market.py",
        "return self.ticks_down(price) if side is Side.BUY else self.ticks_up(price)",
        "return self.ticks_up(price) if side is Side.BUY else self.ticks_down(price)",
        "tests/pure/schemas/test_market.py::test_a_limit_price_never_rounds_through_its_limit",
    ),
    Planted(
        6,
        "algos/pricing.py",
        "    if instrument.sendable(left, price, reduce_only):\n",
        "    if left:\n",
        "tests/pure/algos/test_pricing.py::test_a_slice_leaves_nothing_behind_that_cannot_be_sent",
    ),
    Planted(
        7,
        "algos/step.py",
        "return min(BACK_OFF_FIRST_MS << min(doublings, 16), BACK_OFF_MAX_MS)",
        "return BACK_OFF_FIRST_MS",
        ENDINGS + "test_the_same_refusal_three_times_backs_off_to_a_minute",
    ),
    Planted(
        8,
        "algos/chase.py",
        "return _replace(state, stopped_at=given.now, withdraw=state.withdraw or given.bare)",
        'return end(state, AlgoStatus.CANCELLED, "stopped")',
        HOLDS + "test_a_stop_cancels_the_child_and_the_next_life_goes_on_with_the_rest",
    ),
    Planted(
        9,
        "pms/core/own.py",
        "total = sum(most.values(), ZERO)",
        "total = ZERO",
        CORE + "test_law9.py::test_on_a_still_market_a_lone_aggressive_order_is_never_amended",
    ),
    Planted(
        9,
        "pms/core/own_orders.py",
        "or lost or order.next_price is not None:",
        "or lost:",
        CORE + "test_own_orders.py::test_an_amend_in_flight_counts_at_both_prices_also_when_its_fate_is_unknown",
    ),
    Planted(
        10,
        "algos/chase_decide.py",
        "return _replace(after, updated_at=now, bid=",
        'return _replace(after, updated_at=__import__("time").time_ns(), bid=',
        CHASE + "test_a_move_seen_in_the_throttle_is_acted_on_at_its_end_without_another_quote",
    ),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: f"law {error.law}, {error.path}")
def test_a_planted_error_turns_its_laws_test_red(error: Planted) -> None:
    assert_found(error)


def test_without_the_errors_the_same_tests_are_green() -> None:
    result = run(ROOT, [], *dict.fromkeys(error.test for error in ERRORS))
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_law_a_chase_can_break_has_an_error_planted() -> None:
    assert {error.law for error in ERRORS} == set(range(1, 11))
