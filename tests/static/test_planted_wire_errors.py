"""What the wire may not break has tests that bite: one error planted turns a test red (binance.md 0.5, 6.1;
execution.md 13)."""

from __future__ import annotations

import pytest

from tests.static.planting import Planted, assert_found

CONNECTS, MANY = "tests/world/test_connects.py::", "tests/world/test_many_symbols.py::"
AVERAGES = "tests/world/test_average_entries.py::"
STREAMS = "tests/contract/binance/test_market_stream.py::"
PACE, ALL = "tests/pure/core/test_backoff.py::", "test_all_sockets_together_stay_within_the_budget_"

# what is wrong: path, right, wrong, the test that finds it
ERRORS = {
    "each socket has a budget of its own": (
        "pms/core/backoff.py",
        "return Connects(self, user_stream)",
        "return Connects(ConnectBudget(self.chance, self.monotonic), user_stream)",
        CONNECTS + ALL + "and_the_user_stream_has_its_share",
    ),
    "the order socket has a budget of its own": (
        "pms/binance/gateway.py",
        "pace = connects.pace()",
        "pace = ConnectBudget(connects.chance, connects.monotonic).pace()",
        CONNECTS + ALL + "and_the_user_stream_has_its_share",
    ),
    "market sockets use what is the user stream's": (
        "pms/core/backoff.py",
        "self._others = Window(CONNECTS_MAX - USER_STREAMS)",
        "self._others = Window(CONNECTS_MAX)",
        CONNECTS + ALL + "and_the_user_stream_has_its_share",
    ),
    "the user stream is one of the others": (
        "pms/binance/gateway.py",
        "pace = connects.pace(user_stream=True)",
        "pace = connects.pace()",
        CONNECTS + ALL + "and_the_user_stream_has_its_share",
    ),
    "a turn to come is not counted": (
        "pms/core/backoff.py",
        "insort(self._turns, at)",
        "insort(self._turns, now)",
        PACE + "test_no_window_sees_more_connects_of_all_sockets_than_the_budget",
    ),
    "what could not be reached uses up connects": (
        "pms/binance/route.py",
        "                self._connects.not_opened()\n",
        "",
        STREAMS + "test_a_venue_that_was_away_is_connected_to_as_soon_as_it_is_back",
    ),
    "a venue that refuses is asked without bounds": (
        "pms/core/backoff.py",
        "windows = (*self._counting(user_stream), self._attempts)",
        "windows = self._counting(user_stream)",
        PACE + "test_what_opened_no_socket_is_an_attempt_and_no_connect",
    ),
    "a socket that nobody needs is opened again and again": (
        "pms/binance/route.py",
        "while not self._wanted:",
        "while False:",
        STREAMS + "test_a_socket_that_ends_while_nobody_needs_it_is_opened_again_when_somebody_does",
    ),
    "one socket takes all symbols": (
        "pms/binance/spread.py",
        "if route.wanted + more <= self._most:",
        "if True:",
        STREAMS + "test_each_socket_has_no_more_streams_than_it_takes_and_each_symbol_one_socket",
    ),
    "a lost socket makes all symbols stale": (
        "pms/binance/spread.py",
        "return tuple(self._routes.get(route, ()))",
        "return tuple(self._of)",
        MANY + "test_a_socket_of_three_that_is_lost_makes_only_its_own_symbols_stale",
    ),
    "a socket of nobody stays open": (
        "pms/binance/spread.py",
        "if not self._routes[route] and len(self._routes) > 1:",
        "if False:",
        MANY + "test_what_nobody_follows_any_more_is_unsubscribed_and_its_socket_let_go",
    ),
    "a symbol that nobody follows stays subscribed": (
        "pms/binance/spread.py",
        "        route.unwant(self._streams(symbol))\n",
        "",
        STREAMS + "test_a_symbol_that_goes_leaves_room_and_the_last_one_closes_its_socket",
    ),
    "one socket's frames prove another's life": (
        "pms/binance/market_stream.py",
        "        route.frames += 1\n        try:",
        "        for each in self._market._routes:\n            each.frames += 1\n        try:",
        STREAMS + "test_a_mute_mark_price_socket_is_found_out_beside_others_that_speak",
    ),
    "an average entry stays that of the order of news": (
        "pms/audit.py",
        "> ENTRY_DIGIT",
        "> 1_000",
        AVERAGES + "test_a_fill_that_is_known_late_ends_in_the_venues_average_entry",
    ),
    "an average entry moves without its money": (
        "pms/books.py",
        "self.pay(unit, {position.sub_account_id: booked.realized_pnl}, ZERO)",
        "self.pay(unit, {position.sub_account_id: ZERO}, ZERO)",
        AVERAGES + "test_a_fill_that_is_known_late_ends_in_the_venues_average_entry",
    ),
    "the account's average entry is taken for one of two sub-accounts'": (
        "pms/books.py",
        "if all(book.updated_at < before for book in books if book is not held[0]) else None",
        "if True else None",
        AVERAGES + "test_the_venues_average_is_nobodys_where_two_have_a_part_in_it",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.slow  # test_planting.py holds that each still has its place
def test_a_planted_error_turns_its_test_red(name: str) -> None:
    assert_found(Planted(0, *ERRORS[name]))
