"""What sends orders, and what the venue tells of its account: one error planted in each rule turns its test red."""

from __future__ import annotations

import pytest

from tests.static.planting import Planted, assert_found

WATCH = "tests/world/test_account_watch.py::"
SENDERS = "tests/static/test_tidy.py::test_the_tree_obeys_the_rule[order_requests]"

ERRORS = {
    "an order leaves beside the gate": Planted(
        7,
        "pms/probe.py",
        "self._venue.suspect(f",
        "self._venue.cancel(f",
        SENDERS,
    ),
    "a second hand approves": Planted(
        7,
        "pms/execution.py",
        "request = approved.request\n        action",
        "request = Approved(approved.request, True, approved.seal).request\n        action",
        SENDERS,
    ),
    "anything seals an approval": Planted(
        7,
        "pms/core/risk.py",
        "if self.seal is not _SEAL:",
        "if self.seal is None:",
        "tests/pure/core/test_risk.py::test_only_the_gate_makes_an_approval",
    ),
    "hedge mode is served": Planted(
        17,
        "pms/binance/gateway.py",
        "for mode in await self.unserved_modes():",
        "for mode in ():",
        WATCH + "test_a_start_in_a_mode_that_is_not_served_is_refused_with_the_way_out",
    ),
    "a mode is looked for at the start only": Planted(
        17,
        "pms/audit.py",
        "(self._account.look, self._incomes.sync,",
        "(self._incomes.sync,",
        WATCH + "test_a_switch_that_no_event_told_of_is_found_by_the_audit",
    ),
    "a refusal for the mode is a refusal like others": Planted(
        17,
        "pms/outcomes.py",
        "if refusal.cause is Cause.ACCOUNT_MODE:",
        "if False:",
        WATCH + "test_an_order_that_meets_hedge_mode_has_it_found_at_once",
    ),
    "a mode is told and traded in": Planted(
        17,
        "pms/account_watch.py",
        "self._halts.reduce(mode.reason)",
        "self.ask()",
        WATCH + "test_multi_assets_mode_is_told_and_ends_all_entries_until_it_is_off_and_resumed",
    ),
    "whoever resumes is believed": Planted(
        17,
        "pms/assembly.py",
        "self.account_watch.insist()",
        "self.account_watch.ask",
        WATCH + "test_hedge_mode_that_is_switched_on_while_we_run_is_found_and_ends_all_entries",
    ),
    "leverage is what we have set": Planted(
        15,
        "pms/leverage.py",
        "self._standing[symbol] = leverage\n",
        "self._standing.setdefault(symbol, leverage)\n",
        WATCH + "test_leverage_that_another_hand_has_set_is_told_and_followed",
    ),
    "an old answer beats a newer event": Planted(
        15,
        "pms/leverage.py",
        "if target in sent or symbol not in self._standing:",
        "if True:",
        WATCH + "test_a_hand_that_is_faster_than_the_answer_to_our_own_setting_is_the_newer_one",
    ),
    "our own late event is another hand's": Planted(
        15,
        "pms/leverage.py",
        "ours = leverage in sent",
        "ours = False",
        WATCH + "test_our_own_settings_raise_no_alarm_however_late_the_venue_tells_of_them",
    ),
    "leverage is remembered over a gap": Planted(
        15,
        "pms/account_watch.py",
        "self._leverage.forget()",
        "self._modes = dict(self._modes)",
        WATCH + "test_what_was_set_while_nobody_watched_is_read_again",
    ),
    "a margin call is over at once": Planted(
        17,
        "pms/account_watch.py",
        "if maintained < balance * CALM:",
        "if maintained < balance:",
        WATCH + "test_the_venues_own_call_stands_for_as_long_as_margin_hardly_covers",
    ),
    "a GTD order is good for ever": Planted(
        4,
        "pms/sim/exchange.py",
        "for market in self._entry.expire(owner, self._markets, now):",
        "for market in ():",
        "tests/pure/sim/test_good_till.py::test_it_stands_until_its_time_and_then_expires_with_what_it_filled",
    ),
    "a script's hook does nothing": Planted(
        16,
        "pms/sim/exchange.py",
        "self.funding.pay(self._market(symbol).symbol, rate, self._now())",
        "self._market(symbol)",
        "tests/contract/sim_wire/test_hooks.py::test_a_hook_does_what_its_row_says[venue.exchange.fund]",
    ),
    "a script's hook stands in no table": Planted(
        16,
        "pms/sim/exchange.py",
        "    def margin_call(self, account: str) -> None:",
        '''    def widen(self, symbol: str) -> None:
        """Take the book away: a script's."""
        self._market(symbol)

    def margin_call(self, account: str) -> None:''',
        "tests/contract/sim_wire/test_hooks.py::test_no_hook_of_the_exchange_is_left_out_of_the_table",
    ),
    "the simulator takes any side in hedge mode": Planted(
        17,
        "pms/sim/order_entry.py",
        "rules.check_position_side(new, account.dual)",
        "rules.check_position_side(new, False)",
        "tests/pure/sim/test_switches.py::test_hedge_mode_is_told_by_no_event_and_takes_no_order_of_one_way_mode",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.slow  # test_planting.py holds that each still has its place
def test_a_planted_error_turns_its_test_red(name: str) -> None:
    assert_found(ERRORS[name])
