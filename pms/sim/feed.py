"""What every feed shares: the driver that paces events on a clock, and the mark price derived from the touch.

A feed is an iterable of `FeedEvent` in order of time, on a time axis of its own: a replay's is the recording's, a
synthetic market's starts at 0. Owns the move of that axis to the running clock. Refuses to know files, order flow and
the exchange, which is a plain function of one event. Nothing is dropped: a late driver catches up in order, and one
that is lost goes on from where it is.
"""

from __future__ import annotations

import heapq
from collections.abc import Awaitable, Callable, Iterable, Iterator
from decimal import Decimal

import msgspec

from pms.clock import Clock
from pms.sim.model import DepthSnapshot, FeedEvent, Mark, Touch

GRID_MS = 100
"""The time axis moves by whole push windows, so that the frames of one recorded window stay in one window."""

BATCH = 500
"""Events applied before the loop gets a turn: some 20 ms of work, the longest a waiting request should see."""

LOST_MS = 5000
"""Clock and feed are this far apart only after a suspended host, a clock that was set, or a speed that the consumer
can't take: the rest of the feed then moves, instead of hours of it being applied in a rush or not at all."""

MARK_EVERY_MS = 1000
"""The fastest mark price stream pushes once a second (binance.md 6.2)."""

MARK_SMOOTHING = 30
"""Seconds of the moving average. The venue's mark is a median around an index that no recording holds; the average of
the mid keeps its property that one print can't move it."""

MARK_DIGITS = Decimal("0.00000001")

FUNDING_EVERY_MS = 8 * 3600 * 1000
"""Funding is at 00:00, 08:00 and 16:00 UTC (binance.md section 8)."""


def funding_after(time: int) -> int:
    """The next funding time after `time`, both in ms."""
    return (time // FUNDING_EVERY_MS + 1) * FUNDING_EVERY_MS


def restamped(event: FeedEvent, time: int) -> FeedEvent:
    """The same event at another time; a mark names the funding that follows the new time."""
    if isinstance(event, Mark):
        return msgspec.structs.replace(event, time=time, next_funding=funding_after(time))
    return msgspec.structs.replace(event, time=time)


def with_marks(events: Iterable[FeedEvent]) -> Iterator[FeedEvent]:
    """One symbol's events and, once a second, its mark price: the mid's moving average over about half a minute.

    The first mark follows the snapshot at once. The index is given as equal to the mark, for want of another source.
    """
    mark = mid = Decimal(0)
    due = 0
    for event in events:
        yield event
        if isinstance(event, Touch):
            mid = (event.bid + event.ask) / 2
        elif isinstance(event, DepthSnapshot) and event.bids and event.asks:
            mid = (max(event.bids)[0] + min(event.asks)[0]) / 2
        if not mid or event.time < due:
            continue
        mark = (mark + (mid - mark) / MARK_SMOOTHING if mark else mid).quantize(MARK_DIGITS)
        due = (event.time // MARK_EVERY_MS + 1) * MARK_EVERY_MS
        yield Mark(symbol=event.symbol, time=event.time, mark=mark, index=mark, next_funding=funding_after(event.time))


def side_by_side(feeds: Iterable[Iterable[FeedEvent]]) -> Iterator[FeedEvent]:
    """Several symbols' feeds as one, in order of time."""
    return heapq.merge(*feeds, key=lambda event: event.time)


class FeedDriver:
    """Applies a feed's events when they are due.

    `speed` 1 is the feed's own pace, 10 is ten times as fast, None is as fast as the consumer takes it. Events are
    stamped with the time at which they are due on the clock, or keep the feed's with `keep_times`.
    """

    def __init__(self, events: Iterable[FeedEvent], speed: float | None = 1, keep_times: bool = False) -> None:
        if speed is not None and speed <= 0:
            raise ValueError(f"A feed can't run at speed {speed}. Give a factor above 0, or none for no pacing.")
        self._events = events
        self._speed = speed
        self._keep_times = keep_times
        self._stopped = False
        self.applied = 0
        self.behind_ms = 0

    def stop(self) -> None:
        """Let `run` return before its next event; safe at any time, from anywhere on the loop."""
        self._stopped = True

    async def run(
        self,
        clock: Clock,
        apply: Callable[[FeedEvent], None],
        drain: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Apply every event until the feed ends or `stop` is called.

        `drain` is awaited after each batch: a consumer that is behind holds the feed back by not returning from it.
        """
        first: int | None = None
        start = due = unbroken = 0
        for event in self._events:
            now = clock.now_ms()
            if first is None:
                first, start = event.time, _aligned(now, event.time)
            elif abs(now - due) > LOST_MS:
                start = _aligned(now + start - due, start)
            due = now if self._speed is None else start + int((event.time - first) / self._speed)
            unbroken += 1
            if due > now or unbroken >= BATCH:
                unbroken = 0
                if drain is not None:
                    await drain()
                await clock.sleep(max(due - clock.now_ms(), 0) / 1000)
            if self._stopped:
                return
            self.behind_ms = max(clock.now_ms() - due, 0)
            self.applied += 1
            apply(event if self._keep_times else restamped(event, due))


def _aligned(now: int, first: int) -> int:
    """The first time not before `now` that lies in its window where `first` lies in its own."""
    return now + (first - now) % GRID_MS
