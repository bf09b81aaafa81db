"""Every rule of the protection has a test that bites: one error planted turns it red (algos.md, Protection;
execution.md 14)."""

from __future__ import annotations

import pytest

from tests.static.planting import Planted, assert_found

RULES, LAWS = "tests/pure/algos/test_protection.py::", "tests/pure/algos/test_protection_laws.py::"
LIVES = "tests/pure/algos/test_protection_lives.py::"
WORLD, KILLS = "tests/world/test_protection.py::", "tests/world/test_protection_kills.py::"

ERRORS = {
    "more than the position is protected": Planted(
        2,
        "algos/protection.py",
        "return state if left >= state.rest else _replace(state, quantity=state.filled_quantity + left)",
        "return state",
        RULES + "test_a_reduced_position_is_followed_within_one_step",
    ),
    "a fill of the entry waits for the answer to the one before": Planted(
        14,
        "algos/protection_legs.py",
        "whole = [one for one in fits if one.open_quantity == want and one.state is not OrderState.UNKNOWN]",
        "whole = [one for one in fits if one.open_quantity == want or one.arriving]",
        RULES + "test_an_entry_is_protected_from_its_first_fill_on_and_for_what_is_filled",
    ),
    "a move takes the old order away first": Planted(
        14,
        "algos/protection_legs.py",
        "    if any(one.bare and not one.arriving for one in others):\n",
        "    if any(not one.arriving for one in others):\n",
        RULES + "test_a_move_is_new_before_old",
    ),
    "without the flag orders sum above the position": Planted(
        14,
        "algos/protection_legs.py",
        "        if kept + one.open_quantity <= want:\n",
        "        if one:\n",
        RULES + "test_without_the_flag_more_of_it_is_one_order_more",
    ),
    "the take-profit goes without the flag": Planted(
        14,
        "algos/protection_legs.py",
        'return not leg.dropped and not (state.bounded and leg.word == "take_profit")',
        "return not leg.dropped",
        RULES + "test_without_the_flag_only_the_stop_is_at_the_venue_and_the_other_price_is_held_here",
    ),
    "the flag is trusted where others stand on the same side": Planted(
        14,
        "pms/core/exits.py",
        "    return net > held or any(",
        "    return any(",
        "tests/world/test_protection_kills.py::test_what_others_hold_on_the_same_side_is_never_sold_while_we_are_dead",
    ),
    "a stop within the net leaves all of the position to the next": Planted(
        14,
        "pms/core/exits.py",
        " or any(claim.wants > net for claim in claims)",
        "",
        "tests/world/test_beside_others.py::"
        "test_beside_others_opposite_what_has_no_flag_opens_nothing_after_a_stop_that_has_it[a stop-0.004]",
    ),
    "the net covers each alone": Planted(
        14,
        "pms/covers.py",
        "most, False, books, before) is Form.UNFLAGGED",
        "most, False, books, ZERO) is Form.UNFLAGGED",
        "tests/world/test_beside_others.py::"
        "test_beside_others_opposite_what_has_no_flag_opens_nothing_after_a_stop_that_has_it[a stop-0.004]",
    ),
    "a part leaves in the form that would do for it alone": Planted(
        14,
        "algos/protection_legs.py",
        "        bare=state.bare,\n    )\n    return Tended",
        "    )\n    return Tended",
        "tests/world/test_beside_others.py::test_a_stop_that_grows_beyond_the_net_never_stands_beside_its_smaller_self",
    ),
    "a stop grows before its form is known": Planted(
        14,
        "pms/commands/moves.py",
        "            self._desk.covers.fit(runner, request.quantity)\n",
        "            pass\n",
        "tests/world/test_beside_others.py::test_a_stop_that_grows_beyond_the_net_never_stands_beside_its_smaller_self",
    ),
    "one that comes out with the flag is free": Planted(
        14,
        "algos/protection.py",
        "most=state.most if state.bounded else state.rest)",
        "most=state.rest if stands.bare else ZERO)",
        RULES + "test_one_that_comes_out_with_the_flag_after_all_is_bounded_as_before",
    ),
    "a trigger that has passed is a refusal like any": Planted(
        14,
        "algos/protection_legs.py",
        "if failure is not None and failure.cause is Cause.TRIGGERED:",
        "if failure is not None and failure.cause is Cause.POST_ONLY:",
        RULES + "test_a_trigger_that_has_passed_closes_at_once",
    ),
    "a refused trigger is nobody's": Planted(
        7,
        "algos/protection_legs.py",
        "return not leg.dropped and bool(state.rest) and (leg.held or not leg.standing)",
        "return False",
        RULES + "test_refused_three_times_the_daemon_holds_the_trigger_and_the_entry_goes",
    ),
    "the other leg stays": Planted(
        1,
        "algos/protection_close.py",
        "    state, actions, due = _withdraw(state, now, all_of_them=False)\n",
        "    actions, due = NOTHING, 0\n",
        RULES + "test_one_cancels_the_other",
    ),
    "what a triggered order leaves stays open": Planted(
        28,
        "algos/protection_close.py",
        "if state.exiting or not state.rest or any(one.triggered for one in state.orders):",
        "if state.exiting or not state.rest or state.filled_quantity:",
        RULES + "test_what_a_triggered_order_leaves_is_closed_by_an_exit",
    ),
    "an ending before its orders are gone is not seen": Planted(
        3,
        "algos/protection_laws.py",
        'require(not after.orders and not after.exiting, 3, "an ending before its orders are proven gone")',
        "pass",
        LAWS + "test_a_step_that_breaks_a_law_is_seen",
    ),
    "a pause takes it away": Planted(
        25,
        "algos/protection.py",
        "        case step.StopRequest():\n",
        '        case step.PauseRequest():\n            return end(state, AlgoStatus.CANCELLED, "paused")\n'
        "        case step.StopRequest():\n",
        LIVES + "test_it_survives_everything_but_its_own_end",
    ),
    "it acts before all is booked": Planted(
        22,
        "algos/protection_close.py",
        "    if state.hold == RECOVERING:\n        return _replace(state, wake_at=0, watch=False), NOTHING\n",
        "",
        LIVES + "test_what_happened_while_down_is_taken_in_before_anything_is_asked",
    ),
    "an entry's fill is told to nobody": Planted(
        14,
        "pms/desk.py",
        "            self.guards.changed(order, fill if runner is None else None)\n",
        "",
        WORLD + "test_an_entry_s_stop_loss_is_armed_by_its_first_fill",
    ),
    "a guarded entry stays at SIGTERM": Planted(
        8,
        "pms/daemon.py",
        "        self.desk.guards.withdraw()\n",
        "",
        KILLS + "test_a_stop_of_the_process_keeps_protection_and_takes_a_guarded_entry_away",
    ),
    "a guarded entry outlives us": Planted(
        29,
        "pms/dead_man.py",
        "ours = order.parent_id in self._desk.runners or self._desk.guards.guarded(order)",
        "ours = order.parent_id in self._desk.runners",
        KILLS + "test_what_an_entry_fills_while_we_are_dead_is_protected_by_the_next_life",
    ),
    "orders keep a form that does not fit the account any more": Planted(
        14,
        "pms/closers.py",
        "        self._desk.covers.tell(symbol)\n",
        "",
        KILLS + "test_alone_on_its_side_both_orders_of_a_position_stand_at_the_venue",
    ),
    "without the flag stops sum above the position": Planted(
        14,
        "pms/core/exits.py",
        "        left = max(left - max(min(claim.wants, left), claim.stands), ZERO)\n",
        "",
        WORLD + "test_without_the_flag_stops_never_sum_above_the_position",
    ),
    "a triggered order without the flag outlives us": Planted(
        14,
        "algos/protection_close.py",
        "    if state.stopped_at:\n",
        "    if False:\n",
        LIVES + "test_a_triggered_order_that_rests_without_the_flag_does_not_outlive_us",
    ),
    "a trigger behind the price is taken": Planted(
        14,
        "pms/commands/triggers.py",
        "    return price <= trigger if falls else price >= trigger\n",
        "    return False\n",
        WORLD + "test_what_can_not_be_asked_for_is_refused_with_its_code",
    ),
    "a protection's record is read as a plug-in's": Planted(
        22,
        "pms/restore.py",
        "keys = [key for key in page if not key.startswith(apart_from)]",
        "keys = page",
        KILLS + "test_a_death_in_the_middle_of_a_request_leaves_one_order_a_leg",
    ),
    "a trigger that the venue does not hold is told to nobody": Planted(
        7,
        "pms/algo_news.py",
        "    _alarm_unserved(alarms, view, now)\n",
        "",
        WORLD + "test_refused_three_times_the_daemon_holds_the_trigger_and_the_entry_s_rest_goes",
    ),
    "too much without the flag is not seen": Planted(
        2,
        "algos/protection_laws.py",
        "require(asked <= after.allowed, 2,",
        "require(True, 2,",
        LAWS + "test_an_order_that_breaks_a_law_is_seen",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_a_planted_error_turns_its_test_red(name: str) -> None:
    assert_found(ERRORS[name])
