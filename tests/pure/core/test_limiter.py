"""The rate windows: whatever is asked and whenever answers come, no limit is passed and the reserve is kept
(execution.md 18)."""

from __future__ import annotations

import heapq
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pms.core.limiter import (
    MARGIN_MS,
    MINUTE_MS,
    SLOT_MS,
    Charge,
    Lane,
    Limiter,
    Limits,
    Usage,
    Window,
)

T0 = 1_790_000_040_000  # the beginning of a minute
ORDER = Charge(0, 1, 1)
CANCEL = Charge(1)
SMALL = Limits(weight_1m=40, orders_10s=10, orders_1m=30)


def at(seconds: float) -> int:
    return T0 + round(seconds * 1000)


def spend(limiter: Limiter, charge: Charge, lane: Lane, now: int, usage: Usage | None = None) -> None:
    """Send and be answered at once."""
    limiter.sent(charge, lane, now)
    limiter.answered(charge, usage, now, now)


def most(limiter: Limiter, charge: Charge, lane: Lane, now: int) -> int:
    """How many of a kind leave now."""
    count = 0
    while limiter.fits(charge, lane, now):
        spend(limiter, charge, lane, now)
        count += 1
    return count


# --- how much of it whom is left ------------------------------------------------------------------------


@pytest.mark.parametrize("lane, share", [(Lane.EXIT, 10), (Lane.NEAR, 8), (Lane.FAR, 8)])
def test_entries_get_four_fifths_of_the_order_slots_and_exits_all(lane: Lane, share: int) -> None:
    assert most(Limiter(SMALL), ORDER, lane, at(1)) == share


def test_the_reserve_is_not_eaten_by_entries_whatever_came_before() -> None:
    limiter = Limiter(SMALL)
    most(limiter, ORDER, Lane.NEAR, at(1))
    assert not limiter.fits(ORDER, Lane.FAR, at(2))
    assert most(limiter, ORDER, Lane.EXIT, at(2)) == 2


def test_entries_wait_while_the_weight_is_short_though_they_weigh_nothing() -> None:
    limiter = Limiter(SMALL)
    spend(limiter, CANCEL, Lane.EXIT, at(1), Usage(weight_1m=33))
    assert not limiter.fits(ORDER, Lane.NEAR, at(2))
    assert limiter.fits(ORDER, Lane.EXIT, at(2))
    assert limiter.fits(ORDER, Lane.NEAR, at(61))


def test_cancels_and_reads_do_not_count_as_orders() -> None:
    limiter = Limiter(SMALL)
    spend(limiter, ORDER, Lane.EXIT, at(1), Usage(orders_10s=12, orders_1m=30))
    assert not limiter.fits(ORDER, Lane.EXIT, at(2))
    assert limiter.fits(CANCEL, Lane.EXIT, at(2))
    assert limiter.fits(CANCEL, Lane.READ, at(2))


def test_a_recoverys_reads_leave_the_last_tenth_to_cancels() -> None:
    limiter = Limiter(SMALL)
    spend(limiter, CANCEL, Lane.EXIT, at(1), Usage(weight_1m=36))
    assert not limiter.fits(CANCEL, Lane.RECOVERY, at(2))
    assert most(limiter, CANCEL, Lane.EXIT, at(2)) == 4


def test_a_recoverys_reads_together_take_two_fifths_of_the_weight() -> None:
    limiter = Limiter(SMALL)
    assert most(limiter, CANCEL, Lane.RECOVERY, at(1)) == 16
    assert limiter.fits(CANCEL, Lane.READ, at(1))
    assert limiter.fits(CANCEL, Lane.RECOVERY, at(61))


# --- what is counted ------------------------------------------------------------------------------------


def test_what_is_in_flight_counts_as_used() -> None:
    limiter = Limiter(SMALL)
    for _ in range(8):
        limiter.sent(ORDER, Lane.NEAR, at(1))
    assert not limiter.fits(ORDER, Lane.NEAR, at(1))


def test_neighbours_count_by_the_venues_word() -> None:
    limiter = Limiter(SMALL)
    spend(limiter, CANCEL, Lane.EXIT, at(1), Usage(weight_1m=39))
    assert most(limiter, CANCEL, Lane.EXIT, at(2)) == 1


def test_a_lost_answer_counts_as_if_it_had_been_counted() -> None:
    window = Window(SLOT_MS, 10)
    window.used(at(1))
    window.flying += 1
    window.answered(1, None, at(1), at(2))
    assert window.used(at(2)) == 1


def test_a_word_from_before_a_silent_answer_does_not_count_for_it() -> None:
    """Two are on their way at once: the first's answer tells of itself and is late, the second's tells nothing."""
    window = Window(SLOT_MS, 10)
    window.used(at(1))
    window.flying += 3
    window.answered(1, 1, at(1), at(1.1))
    window.answered(1, None, at(1.2), at(1.3))
    window.answered(1, 2, at(1.2), at(1.4))
    assert window.used(at(1.4)) == 3
    window.flying += 1
    window.answered(1, 4, at(1.5), at(1.6))
    assert window.used(at(1.6)) == 4


def test_an_older_answer_that_comes_late_does_not_lower_the_count() -> None:
    window = Window(SLOT_MS, 10)
    window.used(at(1))
    window.flying += 2
    window.answered(1, 7, at(1), at(2))
    window.answered(1, 3, at(1), at(3))
    assert window.used(at(3)) == 7


def test_a_word_of_the_window_before_does_not_spoil_the_new_one() -> None:
    """Sent before the edge, answered after it: whose count it tells is not known."""
    limiter = Limiter(SMALL)
    limiter.sent(CANCEL, Lane.EXIT, at(59.9))
    limiter.answered(CANCEL, Usage(weight_1m=40), at(59.9), at(60.1))
    assert limiter.used(at(60.1))["weight1m"] == 1


def test_a_wrong_word_is_put_right_by_the_next_one() -> None:
    limiter = Limiter(SMALL)
    spend(limiter, CANCEL, Lane.EXIT, at(1), Usage(weight_1m=40))
    limiter.sent(CANCEL, Lane.EXIT, at(2))
    limiter.answered(CANCEL, Usage(weight_1m=3), at(2), at(2.1))
    assert limiter.used(at(2.1))["weight1m"] == 3


def test_a_window_turns_a_margin_after_the_venues_clock() -> None:
    limiter = Limiter(SMALL)
    most(limiter, ORDER, Lane.EXIT, at(1))
    assert not limiter.fits(ORDER, Lane.EXIT, at(10) + MARGIN_MS - 1)
    assert limiter.fits(ORDER, Lane.EXIT, at(10) + MARGIN_MS)
    assert limiter.turns_in_ms(at(10) + MARGIN_MS) == SLOT_MS


def test_a_clock_that_is_set_back_forgets_nothing_and_is_not_waited_for() -> None:
    limiter = Limiter(SMALL)
    most(limiter, ORDER, Lane.EXIT, at(3605))
    assert not limiter.fits(ORDER, Lane.EXIT, at(1))
    assert limiter.fits(ORDER, Lane.EXIT, at(11))


def test_the_smaller_of_our_limit_and_the_venues_binds() -> None:
    assert Limits(2400, 300, 1200).within(Limits(0, 50, 9000)) == Limits(2400, 50, 1200)
    assert Limits(0, 20, 0).over(Limits()) == Limits(2400, 20, 1200)


def test_beyond_the_easy_part_somebody_is_asked() -> None:
    limiter = Limiter(SMALL)
    for _ in range(6):
        assert limiter.easy(ORDER, at(1))
        spend(limiter, ORDER, Lane.NEAR, at(1))
    assert not limiter.easy(ORDER, at(1))
    assert limiter.fits(ORDER, Lane.NEAR, at(1))


# --- any sequence ---------------------------------------------------------------------------------------


class Asked(NamedTuple):
    """One request: after how long, of which lane, how long it is on its way there and back, whether its answer tells
    the counts, or is lost (None)."""

    after_ms: int
    lane: Lane
    cancel: bool
    there_ms: int
    back_ms: int
    tells: bool | None


class Venue:
    """Counts as the venue does, by its own clock, and remembers each window."""

    def __init__(self, ahead_ms: int) -> None:
        self.ahead_ms = ahead_ms
        self.counts: dict[tuple[int, int, int], int] = {}
        self.entries: dict[tuple[int, int, int], int] = {}

    def take(self, charge: Charge, entry: bool, now: int) -> Usage:
        sums = []
        for index, (length, cost) in enumerate(zip((MINUTE_MS, SLOT_MS, MINUTE_MS), charge.parts, strict=True)):
            window = (index, length, (now + self.ahead_ms) // length)
            self.counts[window] = self.counts.get(window, 0) + cost
            self.entries[window] = self.entries.get(window, 0) + cost * entry
            sums.append(self.counts[window])
        return Usage(*sums)


requests = st.lists(
    st.builds(
        Asked,
        after_ms=st.sampled_from([0, 0, 0, 1, 7, 40, 300, 1500, 9_960]),
        lane=st.sampled_from([Lane.EXIT, Lane.NEAR, Lane.FAR]),
        cancel=st.booleans(),
        there_ms=st.sampled_from([0, 1, 15, 30, 250]),
        back_ms=st.sampled_from([0, 1, 15, 400]),
        tells=st.sampled_from([True, True, False, None]),
    ),
    max_size=120,
)


_AT_ONCE = Asked(0, Lane.EXIT, True, 0, 0, True)
_LATE_AND_SILENT = _AT_ONCE._replace(back_ms=1), _AT_ONCE._replace(tells=False)


@settings(max_examples=300, deadline=None)
@given(requests, st.integers(-MARGIN_MS, MARGIN_MS), st.integers(0, 9_999))
@example([*[_AT_ONCE] * 18, *_LATE_AND_SILENT, _AT_ONCE._replace(after_ms=1)], 0, 0)
def test_no_window_of_the_venue_ever_gets_more_than_its_limit_nor_entries_more_than_theirs(
    asked: list[Asked], ahead_ms: int, start_ms: int
) -> None:
    limits = Limits(weight_1m=20, orders_10s=10, orders_1m=25)
    limiter, venue = Limiter(limits), Venue(ahead_ms)
    now = T0 + start_ms
    due: list[tuple[int, int, str, Charge, Asked, int, Usage | None]] = []
    serial = 0

    def play(until: int) -> None:
        nonlocal serial
        while due and due[0][0] <= until:
            when, _, what, charge, one, sent_at, usage = heapq.heappop(due)
            if what == "arrives":
                counted = venue.take(charge, one.lane is not Lane.EXIT, when)
                serial += 1
                told = counted if one.tells else None
                heapq.heappush(due, (when + one.back_ms, serial, "answered", charge, one, sent_at, told))
            else:
                limiter.answered(charge, usage, sent_at, when)

    for one in asked:
        now += one.after_ms
        play(now)
        charge, lane = (CANCEL, Lane.EXIT) if one.cancel else (ORDER, one.lane)
        if limiter.fits(charge, lane, now):
            limiter.sent(charge, lane, now)
            serial += 1
            heapq.heappush(due, (now + one.there_ms, serial, "arrives", charge, one, now, None))
    play(now + 10_000)
    for (index, _, _), count in venue.counts.items():
        assert count <= (20, 10, 25)[index]
    for (index, _, _), count in venue.entries.items():
        assert count <= (16, 8, 20)[index]
