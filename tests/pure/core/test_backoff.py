"""Back-off: jitter stays in its bounds, and the one connect budget holds whatever the peer does."""

from __future__ import annotations

import random
from itertools import islice

import pytest

from pms.core.backoff import (
    ATTEMPTS_MAX,
    CONNECT_CAP_S,
    CONNECTS_MAX,
    CONNECTS_WINDOW_S,
    LASTING_S,
    USER_STREAMS,
    ConnectBudget,
    Connects,
    full_jitter,
)


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def pace(time: Time) -> Connects:
    return ConnectBudget(lambda: 0.5, time).pace()


def most_within_a_window(moments: list[float]) -> int:
    """Of moments in any order."""
    at = sorted(moments)
    return max(sum(first <= moment < first + CONNECTS_WINDOW_S - 1e-6 for moment in at) for first in at)


def test_the_bound_of_the_delay_doubles_up_to_its_cap() -> None:
    assert list(islice(full_jitter(1.0, 5.0, lambda: 1.0), 5)) == [1.0, 2.0, 4.0, 5.0, 5.0]
    assert list(islice(full_jitter(1.0, 5.0, lambda: 0.0), 3)) == [0.0, 0.0, 0.0]


def test_the_first_connect_is_at_once_and_a_second_in_a_row_waits() -> None:
    connects = pace(Time())
    assert connects.delay() == 0.0
    assert connects.delay() == 0.25
    assert connects.delay() == 0.5


def test_a_socket_that_gave_data_for_long_is_replaced_at_once() -> None:
    time = Time()
    connects = pace(time)
    waits = [connects.delay() for _ in range(9)]
    assert max(waits) == CONNECT_CAP_S / 2
    connects.proven()
    time.now += sum(waits) + LASTING_S
    assert connects.delay() == 0.0


def test_a_socket_that_gave_data_and_was_closed_soon_is_not() -> None:
    connects = pace(Time())
    assert connects.delay() == 0.0
    connects.proven()
    assert connects.delay() == 0.25


SOCKETS = 5  # the first is the user stream


@pytest.mark.parametrize("seed", range(10))
def test_no_window_sees_more_connects_of_all_sockets_than_the_budget(seed: int) -> None:
    chance, time = random.Random(seed), Time()
    budget = ConnectBudget(chance.random, time)
    sockets = [budget.pace(user_stream=number == 0) for number in range(SOCKETS)]
    due = [time.now] * SOCKETS  # a socket asks for its next turn only when it has had the last
    every, others = [], []
    for _ in range(300):
        number = chance.choice(range(SOCKETS))
        time.now = max(time.now, due[number]) + chance.uniform(0, 3)
        if chance.random() < 0.3:
            sockets[number].proven()
        wait = sockets[number].delay()
        assert wait >= 0
        due[number] = time.now + wait
        every.append(due[number])
        if number:
            others.append(due[number])
    assert most_within_a_window(every) <= CONNECTS_MAX
    assert most_within_a_window(others) == CONNECTS_MAX - USER_STREAMS


def test_the_user_stream_is_not_kept_waiting_by_what_others_have_used() -> None:
    time = Time()
    budget = ConnectBudget(lambda: 0.0, time)
    others = [budget.pace() for _ in range(CONNECTS_MAX)]
    waits = sorted(other.delay() for other in others)
    assert waits[CONNECTS_MAX - USER_STREAMS - 1] == 0.0
    assert waits[CONNECTS_MAX - USER_STREAMS] == CONNECTS_WINDOW_S
    user = budget.pace(user_stream=True)
    assert [user.delay() for _ in range(USER_STREAMS)] == [0.0] * USER_STREAMS
    assert user.delay() == CONNECTS_WINDOW_S


def test_what_opened_no_socket_is_an_attempt_and_no_connect() -> None:
    time = Time()
    budget = ConnectBudget(lambda: 0.0, time)
    other = budget.pace()
    for _ in range(ATTEMPTS_MAX - CONNECTS_MAX):
        assert other.delay() == 0.0
        other.not_opened()
    others = [budget.pace().delay() for _ in range(CONNECTS_MAX - USER_STREAMS)]
    assert others == [0.0] * len(others)
    user = budget.pace(user_stream=True)
    for _ in range(USER_STREAMS):
        assert user.delay() == 0.0
        user.not_opened()
    assert user.delay() == CONNECTS_WINDOW_S, "attempts are bounded too"
