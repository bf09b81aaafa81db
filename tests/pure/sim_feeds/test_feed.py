"""The driver: pace, restamping, batches and stopping, on a clock that only a sleep moves."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from pms.sim.feed import BATCH, FUNDING_EVERY_MS, FeedDriver, with_marks
from pms.sim.model import FeedEvent, Mark, Print, Touch

D = Decimal
NOW = 1_790_526_539_087


class SteppedClock:
    """Time stands still but for sleeps, which it counts."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.sleeps: list[float] = []

    def now_ms(self) -> int:
        return self.now

    def monotonic(self) -> float:
        return self.now / 1000

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += round(seconds * 1000)


def print_at(time: int) -> Print:
    return Print("BTCUSDT", time, D(100), D(1), False)


async def applied(driver: FeedDriver, clock: SteppedClock) -> list[tuple[int, int]]:
    """When each event was applied, and the time it was stamped with."""
    seen: list[tuple[int, int]] = []
    await driver.run(clock, lambda event: seen.append((clock.now, event.time)))
    return seen


async def test_at_speed_one_events_keep_their_distances_and_their_place_in_the_push_window() -> None:
    clock = SteppedClock(NOW)
    seen = await applied(FeedDriver([print_at(30), print_at(30), print_at(155), print_at(1030)]), clock)
    assert [stamped - seen[0][1] for _, stamped in seen] == [0, 0, 125, 1000]
    assert all(at == stamped for at, stamped in seen)
    assert seen[0][1] % 100 == 30
    assert 0 <= seen[0][1] - NOW < 100


@pytest.mark.parametrize(("speed", "distances"), [(10, [0, 10, 100]), (0.5, [0, 200, 2000])])
async def test_another_speed_divides_the_distances(speed: float, distances: list[int]) -> None:
    seen = await applied(FeedDriver([print_at(0), print_at(100), print_at(1000)], speed), SteppedClock(NOW))
    assert [stamped - seen[0][1] for _, stamped in seen] == distances
    assert [at - seen[0][0] for at, _ in seen] == distances


async def test_without_a_speed_nothing_waits_and_events_carry_the_running_time() -> None:
    clock = SteppedClock(NOW)
    seen = await applied(FeedDriver([print_at(0), print_at(10_000)], speed=None), clock)
    assert seen == [(NOW, NOW), (NOW, NOW)]
    assert clock.sleeps == []


async def test_recorded_times_are_kept_on_demand_at_any_speed() -> None:
    for speed in (1, 50, None):
        seen = await applied(FeedDriver([print_at(7), print_at(307)], speed, keep_times=True), SteppedClock(NOW))
        assert [stamped for _, stamped in seen] == [7, 307]


async def test_the_loop_gets_a_turn_after_every_batch_and_the_consumer_may_hold_the_feed_back() -> None:
    clock = SteppedClock(NOW)
    counts: list[int] = []
    driver = FeedDriver([print_at(0)] * (3 * BATCH), speed=None)

    async def drain() -> None:
        counts.append(driver.applied)

    await driver.run(clock, lambda event: None, drain)
    assert counts == [BATCH - 1, 2 * BATCH - 1, 3 * BATCH - 1]
    assert clock.sleeps == [0, 0, 0]
    assert driver.applied == 3 * BATCH


async def test_a_late_driver_drops_nothing_and_says_how_far_it_is_behind() -> None:
    clock = SteppedClock(NOW)
    driver = FeedDriver([print_at(0), print_at(10), print_at(20)])
    seen: list[int] = []

    def slow(event: FeedEvent) -> None:
        seen.append(event.time)
        clock.now += 50

    await driver.run(clock, slow)
    assert [stamped - seen[0] for stamped in seen] == [0, 10, 20]
    assert driver.behind_ms == 80


@pytest.mark.parametrize("step", [3_600_000, -3_600_000])
async def test_after_a_jump_of_the_clock_the_rest_of_the_feed_goes_on_from_there(step: int) -> None:
    clock = SteppedClock(NOW)
    seen: list[tuple[int, int]] = []

    def apply(event: FeedEvent) -> None:
        seen.append((clock.now, event.time))
        if len(seen) == 2:
            clock.now += step

    await FeedDriver([print_at(time) for time in (0, 100, 200, 350)]).run(clock, apply)
    start = seen[0][1]
    assert [stamped - start for _, stamped in seen] == [0, 100, 200 + step, 350 + step]
    assert all(at == stamped for at, stamped in seen)


async def test_a_consumer_too_slow_for_the_speed_slows_the_feed_down_and_misses_nothing() -> None:
    clock = SteppedClock(NOW)
    driver = FeedDriver([print_at(100 * n) for n in range(100)], speed=1000)
    seen: list[int] = []

    def slow(event: FeedEvent) -> None:
        seen.append(event.time)
        clock.now += 1000

    await driver.run(clock, slow)
    assert len(seen) == 100
    assert seen == sorted(seen)
    assert driver.behind_ms <= 7000


async def test_stop_ends_an_endless_feed_before_the_next_event() -> None:
    def endless() -> Iterator[FeedEvent]:
        time = 0
        while True:
            yield print_at(time)
            time += 10

    driver = FeedDriver(endless())
    seen: list[int] = []

    def apply(event: FeedEvent) -> None:
        seen.append(event.time)
        if len(seen) == 5:
            driver.stop()

    await driver.run(SteppedClock(NOW), apply)
    assert len(seen) == driver.applied == 5


@pytest.mark.parametrize("speed", [0, -1])
def test_a_speed_that_is_none_is_refused_with_a_hint(speed: float) -> None:
    with pytest.raises(ValueError, match="Give a factor above 0"):
        FeedDriver([], speed)


async def test_a_restamped_mark_names_the_funding_after_its_new_time() -> None:
    touch = Touch("BTCUSDT", 0, D(100), D(1), D(101), D(1))
    seen: list[FeedEvent] = []
    await FeedDriver(with_marks([touch])).run(SteppedClock(NOW), seen.append)
    mark = seen[1]
    assert isinstance(mark, Mark)
    assert mark.time >= NOW
    assert 0 < mark.next_funding - mark.time <= FUNDING_EVERY_MS
    assert mark.next_funding % FUNDING_EVERY_MS == 0
    assert mark.mark == mark.index == D("100.5")
