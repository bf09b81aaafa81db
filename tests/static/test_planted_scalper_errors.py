"""Every law and rule of the scalper has a test that bites: one error planted turns it red (algos.md, scalper)."""

from __future__ import annotations

import pytest

from tests.static.planting import Planted, assert_found

LIFE, GUARDS = "tests/pure/algos/test_scalper.py::", "tests/pure/algos/test_scalper_guards.py::"
LAYERS, LAWS = "tests/pure/algos/test_scalper_layers.py::", "tests/pure/algos/test_scalper_laws.py::"
KILLS, CHASE = "tests/world/test_scalper_kills.py::", "tests/pure/algos/test_chase.py::"
DECIDE, BOOK, GUARD = "algos/scalper_decide.py", "algos/scalper_book.py", "algos/scalper_guards.py"

ERRORS = {
    "a slot is free before its child has ended": Planted(
        1,
        "algos/scalper.py",
        "if isinstance(given, ChildDone):\n        return book.ended",
        "if given.child.status.terminal or given.child.status is AlgoStatus.STOPPING:\n        return book.ended",
        LIFE + "test_a_cancel_ends_the_scalper_when_all_children_are_proven_gone",
    ),
    "a child may leave unseen": Planted(
        1,
        "algos/scalper_laws.py",
        "require(told, 1,",
        "require(True, 1,",
        LAWS + "test_law_1_a_child_that_left_without_evidence",
    ),
    "a number comes twice": Planted(
        1,
        DECIDE,
        "child_number=state.child_number + 1)",
        "child_number=state.child_number)",
        LIFE + "test_a_number_of_a_child_is_never_used_again",
    ),
    "a child after a crash passes for the owner of what was left": Planted(
        1,
        DECIDE,
        "state.id_epoch * NUMBERS_AN_EPOCH + state.child_number + 1",
        "state.child_number + 1",
        KILLS + "test_a_closing_order_of_an_unwritten_step_leaves_and_is_not_put_back",
    ),
    "opening legs know no cap": Planted(
        2,
        DECIDE,
        "if not reduces and quantity > guards.room(state, side):",
        "if False:",
        LIFE + "test_the_leg_that_would_exceed_the_cap_pauses_and_returns_when_there_is_room",
    ),
    "the whole size is closed whatever there is": Planted(
        2,
        DECIDE,
        "return state.instrument.quantity_down(min(slot.layer.quantity, free))",
        "return slot.layer.quantity if free else free",
        LIFE + "test_only_the_inventory_left_is_closed_by_the_last_leg",
    ),
    "what rests does not shrink with the inventory": Planted(
        2,
        DECIDE,
        "totals = _shrunk(state, side, -free) if free < 0 else",
        "totals = {} if free < 0 else",
        LIFE + "test_a_position_reduced_by_somebody_else_shrinks_the_closing_legs_outer_ones_first",
    ),
    "what others close stays in the inventory": Planted(
        2,
        "algos/scalper.py",
        "return state if given.position is None else book.covered(state, given.position)",
        "return state",
        LIFE + "test_a_position_closed_by_somebody_else_takes_the_closing_leg_and_the_inventory_along",
    ),
    "a report is added instead of taken over": Planted(
        2,
        BOOK,
        "report.filled_quantity - child.filled, report.quote_filled - child.quote_filled",
        "report.filled_quantity, report.quote_filled",
        LIFE + "test_closing_legs_grow_with_the_inventory_to_their_own_size_inner_layers_first",
    ),
    "it ends with children still there": Planted(
        3,
        DECIDE,
        "return state if state.children else _finish(state)",
        "return _finish(state)",
        LIFE + "test_a_cancel_ends_the_scalper_when_all_children_are_proven_gone",
    ),
    "late fills are lost": Planted(
        4,
        "algos/scalper.py",
        "late = book.booked(state, given.child)",
        "late = state",
        LIFE + "test_an_ended_scalper_only_books_late_fills",
    ),
    "children are started on stale data": Planted(
        5,
        DECIDE,
        'if quote is None or state.hold or state.throttle == "queued":',
        'if quote is None or state.throttle == "queued":',
        GUARDS + "test_nothing_is_started_while_it_holds_and_all_of_it_afterwards",
    ),
    "layers under the minimum are dropped": Planted(
        6,
        "algos/scalper_layers.py",
        "carried, merged = exact, (*merged, layer.layer_idx)",
        "carried, merged = ZERO, (*merged, layer.layer_idx)",
        LAYERS + "test_layers_under_the_minimum_are_merged_outward_and_named",
    ),
    "two layers share a price": Planted(
        6,
        "algos/scalper_layers.py",
        "max(wanted, ticks[-1] + 1) if ticks else wanted",
        "wanted",
        LAYERS + "test_distances_are_whole_ticks_away_from_the_touch_and_distinct",
    ),
    "a failing leg is tried every two seconds": Planted(
        7,
        BOOK,
        "min(FAILURE_FIRST_MS << failures, FAILURE_MAX_MS)",
        "FAILURE_FIRST_MS",
        LIFE + "test_a_refused_leg_waits_longer_each_time",
    ),
    "a refused child goes on asking": Planted(
        7,
        DECIDE,
        "if child.order_id or child.refusals < REJECTION_LIMIT:",
        "if True:",
        LIFE + "test_a_refused_leg_waits_longer_each_time",
    ),
    "a stop is no checkpoint": Planted(
        8,
        DECIDE,
        "if state.stopped_at:\n        return state",
        "if False:\n        return state",
        GUARDS + "test_nothing_is_started_between_a_stop_and_a_start",
    ),
    "layers depend on who reckons": Planted(
        10,
        "algos/scalper_layers.py",
        "    with localcontext(CONTEXT):\n        raw =",
        "    if count:\n        raw =",
        LAYERS + "test_factors_do_not_depend_on_the_precision_around_them",
    ),
    "the refill delay does not double": Planted(
        7,
        BOOK,
        "state.params.min_refill_delay_ms << min(",
        "state.params.min_refill_delay_ms << 0 * min(",
        GUARDS + "test_the_refill_delay_doubles_with_each_fill_of_a_side_up_to_16_times",
    ),
    "the other side does not reset the refill delay": Planted(
        7,
        BOOK,
        "_replace(other, streak=0)",
        "_replace(other, streak=other.streak)",
        GUARDS + "test_a_fill_on_the_other_side_resets_the_refill_delay",
    ),
    "the minute of fills grows without bound": Planted(
        7,
        BOOK,
        "kept = tuple(one for one in before if one.second >= second - WINDOW_S)",
        "kept = before",
        GUARDS + "test_the_minute_of_fills_is_kept_in_bounded_memory",
    ),
    "the distance after a fill does not decay": Planted(
        7,
        GUARD,
        "return int(ticks * (-_LN2 * max(elapsed, 0) / half_life).exp())",
        "return int(ticks)",
        GUARDS + "test_a_leg_too_near_the_last_fill_returns_when_that_has_decayed",
    ),
    "a loss is realised though none is allowed": Planted(
        2,
        GUARD,
        "if not params.allow_loss:",
        "if params.allow_loss and False:",
        GUARDS + "test_a_leg_that_closes_at_a_loss_pauses_where_none_is_allowed",
    ),
    "a child follows the market beyond its worst price": Planted(
        2,
        "algos/chase_decide.py",
        'if mode == "trail" or state.limit_ticks:',
        'if mode == "trail":',
        CHASE + "test_a_parents_limit_price_is_never_passed",
    ),
    "a paused leg flaps with the price": Planted(
        7,
        BOOK,
        "return _until(slot, now + REST_MS, child.stopping)",
        "return slot",
        GUARDS + "test_a_leg_beyond_its_price_pauses_and_returns_by_itself",
    ),
    "an orphaned closer stands in another form than its record says": Planted(
        14,
        "pms/hands.py",
        "            flagged=stranger is not None and stranger.reduce_only,\n",
        "",
        KILLS + "test_a_closing_order_of_an_unwritten_step_leaves_and_is_not_put_back",
    ),
    "its own fill is taken for somebody else's": Planted(
        13,
        "algos/scalper_book.py",
        "if not gone or left < 0:",
        "left = max(left, ZERO)\n    if not gone:",
        LIFE + "test_a_position_that_still_holds_the_inventory_or_is_others_own_changes_nothing",
    ),
    "a scalper does not hear of its position": Planted(
        14,
        "pms/closers.py",
        "if not (view.reduce_only or view.holds):",
        "if not view.reduce_only:",
        "tests/world/test_scalper.py::test_a_position_closed_by_hand_takes_the_closing_leg_along",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_a_planted_error_turns_its_test_red(name: str) -> None:
    assert_found(ERRORS[name])
