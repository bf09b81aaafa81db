"""Every rule of exits and sweeps has a test that bites: one error planted turns it red (execution.md 5, 14, 20)."""

from __future__ import annotations

import pytest

from tests.static.planting import Planted, assert_found

PURE, WORLD = "tests/pure/core/test_exits.py::", "tests/world/test_exits.py::"
CLOSING, SWEEPS = "tests/world/test_closing.py::", "tests/world/test_sweeps.py::"

PREVIEWS = "tests/world/test_previews.py::"

ERRORS = {
    "a preview of a part shows all of it": Planted(
        0,
        "pms/exit_orders.py",
        "return self._order(one, self.left(one), price)",
        "return self._order(one, self.held(goal), price)",
        PREVIEWS + "test_a_preview_of_a_close_shows_what_would_leave_whatever_rests_in_its_way[quantity1-0.004]",
    ),
    "a preview of a changed chase does not wait for its turn": Planted(
        0,
        "pms/commands/chases.py",
        "if not actions and after.wake_at:",
        "if False:",
        PREVIEWS + "test_a_preview_of_a_changed_chase_shows_where_it_would_stand_and_changes_nothing",
    ),
    "alternatives count twice": Planted(
        14,
        "pms/core/exits.py",
        "largest[closer.group] = max(largest.get(closer.group, ZERO), closer.quantity)",
        "largest[closer.group] = largest.get(closer.group, ZERO) + closer.quantity",
        PURE + "test_one_more_closer_may_ask_for_what_no_other_has",
    ),
    "a flag beyond the net": Planted(
        14,
        "pms/core/exits.py",
        "if not rests and quantity <= coverable(side, books, flagged):",
        "if not rests and coverable(side, books, flagged):",
        PURE + "test_a_closer_carries_the_flag_while_nothing_stands_opposite_or_the_net_covers_it",
    ),
    "other flagged orders are not counted": Planted(
        14,
        "pms/core/exits.py",
        "return max(-side.sign * net - flagged, ZERO)",
        "return max(-side.sign * net, ZERO)",
        PURE + "test_a_closer_carries_the_flag_while_nothing_stands_opposite_or_the_net_covers_it",
    ),
    "what rests keeps a flag that the venue would enforce": Planted(
        14,
        "pms/closers.py",
        "        for misfit in self._desk.exits.misfit(symbol):\n            self._change_form(misfit)\n",
        "",
        WORLD + "test_resting_closers_change_their_form_as_another_sub_account_comes_and_goes",
    ),
    "what the venue took is not put back": Planted(
        14,
        "pms/closers.py",
        "self._lost[name] = self._lost.get(name, ZERO) + taken",
        "self._lost[name] = ZERO",
        WORLD + "test_resting_closers_change_their_form_as_another_sub_account_comes_and_goes",
    ),
    "what arrives late is not looked at anew": Planted(
        14,
        "pms/closers.py",
        "and before.state in _ARRIVING and not self._desk.exits.fits(order):",
        "and False:",
        WORLD + "test_a_closer_that_was_on_its_way_when_another_became_opposite_is_replaced",
    ),
    "unflagged closers outlive us": Planted(
        14,
        "pms/closers.py",
        "for order in desk.exits.unflagged():",
        "for order in desk.exits.unflagged()[:0]:",
        WORLD + "test_unflagged_closers_are_cancelled_at_a_stop_and_a_chase_goes_on_in_the_next_life",
    ),
    "an exit against external": Planted(
        14,
        "pms/core/exits.py",
        "if books.get(owner, ZERO) * books.get(EXTERNAL, ZERO) < 0:",
        "if False:",
        WORLD + "test_no_exit_leaves_while_external_stands_opposite",
    ),
    "the flag goes without proof": Planted(
        14,
        "pms/exit_ledger.py",
        "if symbol in self._doubted:",
        "if symbol in ():",
        WORLD + "test_the_flag_stays_while_position_and_trades_can_not_be_read_after_the_refusal",
    ),
    "a flip stays": Planted(
        14,
        "pms/closers.py",
        "if held.signed_quantity * order.side.sign > 0:",
        "if held.signed_quantity * order.side.sign > 1000:",
        WORLD + "test_what_two_attempts_oversold_is_flattened_at_once",
    ),
    "a close does not take over": Planted(
        14,
        "pms/exit_orders.py",
        "desk.closers.fit(goal.sub_account_id, goal.symbol, left, apart_from=(goal.parent_id,))",
        "desk.closers.fit(goal.sub_account_id, goal.symbol, apart_from=(goal.parent_id,))",
        CLOSING + "test_a_close_takes_over_what_resting_closers_had",
    ),
    "the next attempt does not wait for the first": Planted(
        5,
        "pms/exit_evidence.py",
        "return Fate.FLAGGED_NEXT if ZERO < covered <= order.quantity else None",
        "return Fate.FLAGGED_NEXT",
        WORLD + "test_where_the_flag_can_not_stop_both_the_next_attempt_waits_until_the_first_can_not_arrive",
    ),
    "the next attempt after an unknown one leaves without the flag": Planted(
        5,
        "pms/exit_orders.py",
        "one.form = Form.FLAGGED if known is Fate.FLAGGED_NEXT else None",
        "one.form = Form.UNFLAGGED",
        WORLD + "test_an_exit_that_landed_and_a_venue_that_denies_it_never_flip_the_position",
    ),
    "the lease's deadline does not bind an unflagged exit": Planted(
        20,
        "pms/execution.py",
        "        if not place.reduce_only:\n",
        "        if False:\n",
        WORLD + "test_past_the_leases_deadline_an_unflagged_exit_waits",
    ),
    "no look-up past the deadline": Planted(
        20,
        "pms/execution.py",
        "report, answered = await self._ask(place)\n        if report is not None:\n"
        "            return Done(report)\n        stopped",
        "report, answered = None, True\n        stopped",
        WORLD + "test_past_the_leases_deadline_a_flagged_exit_leaves_after_a_look_up_of_its_id",
    ),
    "a pause of minutes": Planted(
        28,
        "pms/exit_orders.py",
        "PAUSES_S = (0.25, 0.5, 1.0, 2.0)",
        "PAUSES_S = (0.25, 0.5, 10.0, 20.0)",
        WORLD + "test_a_refused_exit_is_alarmed_at_once_and_tried_until_it_is_closed",
    ),
    "the form never changes": Planted(
        28,
        "pms/exit_orders.py",
        "return one.refusals // REFUSALS_PER_FORM % _FORMS",
        "return 0",
        WORLD + "test_the_form_changes_on_each_third_refusal_once_the_books_are_proven",
    ),
    "a command under way is not overtaken": Planted(
        0,
        "pms/bus/executor.py",
        "        if self._overtaken:\n",
        "        if False:\n",
        SWEEPS + "test_a_limit_and_a_cancel_all_in_the_same_millisecond_leave_nothing_live",
    ),
    "a close does not wait for the buy in flight": Planted(
        0,
        "pms/commands/closing.py",
        "return tuple(order.client_order_id for order in orders if in_flight(order) and not order.reduce_only)",
        "return ()",
        SWEEPS + "test_a_buy_and_a_close_in_the_same_millisecond_end_flat",
    ),
    "cancel_all takes protection": Planted(
        0,
        "pms/commands/scope.py",
        "and (protection or not view.reduce_only)",
        "and True",
        SWEEPS + "test_cancel_all_ends_entry_algos_and_leaves_protection",
    ),
    "a freeze is not heard": Planted(
        0,
        "algos/chase_decide.py",
        "or state.paused or state.withdraw or state.blocked:",
        "or state.paused or state.withdraw:",
        SWEEPS + "test_a_freeze_blocks_entry_algos_until_it_is_taken_back",
    ),
    "what happened unwatched is taken for watched": Planted(
        0,
        "pms/outcomes.py",
        "while_down=client_id in self._unwatched",
        "while_down=False",
        WORLD + "test_a_child_cancelled_while_we_were_down_pauses_its_chase_however_late_that_is_found",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_a_planted_error_turns_its_test_red(name: str) -> None:
    assert_found(ERRORS[name])
