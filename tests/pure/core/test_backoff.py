"""Back-off: jitter stays in its bounds, and the connect budget holds whatever the peer does."""

from __future__ import annotations

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from pms.core.backoff import CONNECT_CAP_S, CONNECTS_MAX, CONNECTS_WINDOW_S, LASTING_S, Connects, full_jitter


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_bound_of_the_delay_doubles_up_to_its_cap() -> None:
    assert list(islice(full_jitter(1.0, 5.0, lambda: 1.0), 5)) == [1.0, 2.0, 4.0, 5.0, 5.0]
    assert list(islice(full_jitter(1.0, 5.0, lambda: 0.0), 3)) == [0.0, 0.0, 0.0]


def test_the_first_connect_is_at_once_and_a_second_in_a_row_waits() -> None:
    connects = Connects(lambda: 0.5, Time())
    assert connects.delay() == 0.0
    assert connects.delay() == 0.25
    assert connects.delay() == 0.5


def test_a_socket_that_gave_data_for_long_is_replaced_at_once() -> None:
    time = Time()
    connects = Connects(lambda: 0.5, time)
    waits = [connects.delay() for _ in range(9)]
    assert max(waits) == CONNECT_CAP_S / 2
    connects.proven()
    time.now += sum(waits) + LASTING_S
    assert connects.delay() == 0.0


def test_a_socket_that_gave_data_and_was_closed_soon_is_not() -> None:
    connects = Connects(lambda: 0.5, Time())
    assert connects.delay() == 0.0
    connects.proven()
    assert connects.delay() == 0.25


@given(st.lists(st.tuples(st.floats(0, 0.999), st.booleans(), st.floats(0, 20)), min_size=100, max_size=300))
def test_no_window_sees_more_connects_than_the_budget(course: list[tuple[float, bool, float]]) -> None:
    time = Time()
    chances = iter([chance for chance, _, _ in course])
    connects = Connects(lambda: next(chances, 0.0), time)
    at = []
    for _, proven, lived in course:
        time.now += connects.delay()
        at.append(time.now)
        if proven:
            connects.proven()
        time.now += lived
    for first, beyond in zip(at, at[CONNECTS_MAX:], strict=False):
        assert beyond - first >= CONNECTS_WINDOW_S - 1e-6
