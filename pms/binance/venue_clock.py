"""The venue's time, told by our monotonic clock and a measured offset (binance.md 2).

Owns the offset. It is kept against monotonic time, so a host clock that is set meanwhile moves nothing; until the first
measurement the host's own time stands in. Refuses to know how the venue is asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pms.clock import Clock

SAMPLES = 5  # one slow round trip among five does not reach the median


class VenueClock:
    """Tells venue time in Unix ms."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._monotonic = clock.monotonic
        self._offset_ms = clock.now_ms() - clock.monotonic() * 1000

    def now_ms(self) -> int:
        return int(self._monotonic() * 1000 + self._offset_ms)

    def host_error_ms(self) -> int:
        """How far the host's clock is ahead of the venue's: shown to people, and no part of any decision here."""
        return self._clock.now_ms() - self.now_ms()

    async def measure(self, ask: Callable[[], Awaitable[int]]) -> None:
        """Take the offset of the median round trip of several asks. Where `ask` raises, the old offset stands."""
        samples = []
        for _ in range(SAMPLES):
            sent = self._clock.monotonic()
            told_ms = await ask()
            received = self._clock.monotonic()
            samples.append((received - sent, told_ms - (sent + received) * 500))
        self._offset_ms = sorted(samples)[SAMPLES // 2][1]
