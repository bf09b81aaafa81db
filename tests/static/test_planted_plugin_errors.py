"""Every rule of plug-ins has a test that bites: with one error planted it turns red (algos.md, laws; the approval of
what is loaded; what becomes of an algo whose plug-in is missing)."""

from __future__ import annotations

import pytest

from tests.static.planting import Planted, assert_found

LAWS, ALGO = "tests/pure/algos/test_plugin_laws.py::", "tests/pure/algos/test_plugin.py::"
RESTARTS, FILES = "tests/pure/algos/test_plugin_restarts.py::", "tests/pure/test_plugin_files.py::"
LIST, WORLD = "tests/pure/test_plugins.py::", "tests/world/test_plugins.py::"
LIVES = "tests/world/test_plugin_lives.py::"

ERRORS = {
    "two orders in a slot": Planted(
        1,
        "algos/plugin_laws.py",
        "require(len(slots) == len(set(slots)), 1,",
        "require(True, 1,",
        LAWS + "test_law_1_two_orders_in_a_slot_or_too_many",
    ),
    "an id is anybody's": Planted(
        1,
        "algos/plugin_laws.py",
        "require(named == (after.tag, after.algo_id, after.id_epoch, order.slot), 1,",
        "require(True, 1,",
        LAWS + "test_law_1_an_id_is_its_own_and_of_its_slot",
    ),
    "an attempt is used again": Planted(
        1,
        "algos/plugin_laws.py",
        "require(used < whose.attempt <= after.attempt, 1,",
        "require(True, 1,",
        LAWS + "test_law_1_attempts_only_rise",
    ),
    "a slot is free before its order is proven gone": Planted(
        1,
        "algos/plugin_orders.py",
        "    if order.state.terminal:\n        return _ended",
        '    if order.state.terminal or order.state == "unknown":\n        return _ended',
        ALGO + "test_an_unknown_fate_blocks_its_slot_until_it_is_known",
    ),
    "another symbol": Planted(
        1,
        "algos/plugin_laws.py",
        "require(action.symbol == after.symbol, 1,",
        "require(True, 1,",
        LAWS + "test_law_1_only_orders_of_its_own_that_the_record_names",
    ),
    "siblings are not counted": Planted(
        2,
        "algos/plugin_laws.py",
        "most = leg.rest - others",
        "most = leg.rest",
        LAWS + "test_law_2_never_more_than_what_is_left_beside_its_other_orders",
    ),
    "fills may be made up": Planted(
        2,
        "algos/plugin_laws.py",
        "require(filled or now == booked, 2,",
        "require(True, 2,",
        LAWS + "test_law_2_fills_and_quantities_are_not_the_plug_ins",
    ),
    "the room does not know what rests": Planted(
        2,
        "schemas/plugin.py",
        "max(leg.quantity - leg.filled - asked, ZERO)",
        "max(leg.quantity - leg.filled, ZERO)",
        ALGO + "test_what_a_side_may_fill_is_bound_at_the_start",
    ),
    "what only reduces oversells": Planted(
        2,
        "algos/plugin_step.py",
        "return sum(order.open_quantity for order in state.orders) > leg.rest",
        "return False",
        ALGO + "test_a_smaller_position_is_never_oversold_and_none_ends_it",
    ),
    "an ending without evidence": Planted(
        3,
        "algos/plugin_laws.py",
        "require(_proves_gone(given, order), 3,",
        "require(True, 3,",
        LAWS + "test_law_3_an_order_leaves_the_record_by_evidence_only",
    ),
    "an ended algo forgets a late fill": Planted(
        4,
        "algos/plugin_step.py",
        "return (book_fill(state, given) if isinstance(given, OrderUpdate) else state), NOTHING",
        "return state, NOTHING",
        ALGO + "test_a_cancel_waits_for_the_proof_and_late_fills_are_booked",
    ),
    "it is asked on stale data": Planted(
        5,
        "algos/plugin_step.py",
        "bool(state.hold or state.paused or",
        "bool(state.paused or",
        ALGO + "test_stale_data_means_hold_and_the_resting_order_stays",
    ),
    "numbers off the grid": Planted(
        6,
        "algos/plugin_laws.py",
        "    check_grid(after.instrument, action)\n",
        "",
        LAWS + "test_law_6_numbers_off_the_grid",
    ),
    "a refusal never backs off": Planted(
        7,
        "algos/plugin_orders.py",
        "max(step.RETRY_MIN_MS, step.back_off_ms(rejections))",
        "step.RETRY_MIN_MS",
        ALGO + "test_the_same_refusal_three_times_backs_off_and_blocks_until_it_is_accepted",
    ),
    "a stop takes protection away": Planted(
        8,
        "algos/plugin_step.py",
        "    if state.reduce_only:\n        (leg,) = state.legs",
        "    if state.reduce_only and not state.stopped_at:\n        (leg,) = state.legs",
        ALGO + "test_what_only_reduces_rests_through_pauses_and_stops",
    ),
    "what is ours may be changed": Planted(
        10,
        "algos/plugin_laws.py",
        "require(getattr(after, name) == getattr(before, name), 10,",
        "require(True, 10,",
        LAWS + "test_law_10_what_is_ours_is_not_the_plug_ins_to_change",
    ),
    "a record need not be read back": Planted(
        10,
        "algos/plugin_laws.py",
        "    _check_record(after)\n\n",
        "\n",
        LIVES + "test_a_plug_in_that_misbehaves_fails_itself_and_nothing_else",
    ),
    "a line for another hash approves": Planted(
        0,
        "pms/plugins.py",
        "elif package.line not in approved.lines:",
        "elif package.line[:20] not in {line[:20] for line in approved.lines}:",
        WORLD + "test_a_line_for_anything_else_approves_nothing",
    ),
    "the digest leaves the bytes out": Planted(
        0,
        "pms/plugin_files.py",
        "        total.update(files[path])\n",
        "",
        WORLD + "test_a_line_for_anything_else_approves_nothing",
    ),
    "a list that others can write counts": Planted(
        0,
        "pms/plugins.py",
        "if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or",
        "if",
        WORLD + "test_a_list_that_others_may_write_approves_nothing",
    ),
    "it is imported before it is approved": Planted(
        0,
        "pms/plugins.py",
        "refusal = refused.get(package.name) or await self._load(package, tasks)",
        "refusal = await self._load(package, tasks) or refused.get(package.name)",
        WORLD + "test_an_unapproved_plug_in_is_never_imported_and_the_refusal_has_the_line",
    ),
    "what is loaded is what lies there": Planted(
        0,
        "pms/plugin_files.py",
        "        sys.meta_path[:] = [self, *others]\n",
        "        sys.meta_path[:] = others\n",
        FILES + "test_what_is_loaded_are_the_bytes_that_were_hashed",
    ),
    "a plug-in takes the place of a kind of ours": Planted(
        0,
        "pms/plugins.py",
        "if name in _BUILT_IN or not",
        "if not",
        LIST + "test_a_name_of_ours_or_one_that_no_key_can_have_is_refused",
    ),
    "of two with one name one is taken": Planted(
        0,
        "pms/plugins.py",
        "if owners[name] > 1]:",
        "if owners[name] > 2]:",
        LIST + "test_two_packages_with_one_algo_are_both_refused",
    ),
    "a parked entry stays in the market": Planted(
        0,
        "algos/plugin_step.py",
        "        absorbed = _replace(absorbed, paused=MISSING)\n",
        "        absorbed = _replace(absorbed, paused='')\n",
        LIVES + "test_without_its_plug_in_it_is_parked_and_loses_nothing",
    ),
    "a parked algo is lost at a restart": Planted(
        0,
        "pms/restore.py",
        "        found.append(revive(plugged))\n",
        "",
        LIVES + "test_without_its_plug_in_what_only_reduces_rests_on_and_is_booked",
    ),
    "what adds risk comes back by itself": Planted(
        0,
        "algos/plugin_step.py",
        "absorbed.paused == MISSING and state.reduce_only:",
        "absorbed.paused == MISSING:",
        RESTARTS + "test_parked_an_entry_leaves_and_what_is_the_plug_ins_own_comes_back_as_it_was",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.slow  # test_planting.py holds that each still has its place
def test_a_planted_error_turns_its_test_red(name: str) -> None:
    assert_found(ERRORS[name])
