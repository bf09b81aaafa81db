"""What the wire may not break has tests that bite: one error planted turns a test red (binance.md 0.5, 6.1)."""

from __future__ import annotations

import pytest

from tests.static.planting import Planted, assert_found

CONNECTS = "tests/world/test_connects.py::"
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
}


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.slow  # test_planting.py holds that each still has its place
def test_a_planted_error_turns_its_test_red(name: str) -> None:
    assert_found(Planted(0, *ERRORS[name]))
