"""The host's clock against the venue's (design.md, "clock off"): beyond a second it is measured anew and told, beyond
five entries stop until it is right again.

Owns the looking and the bounds. Refuses to set clocks, and to sign by the host's: requests carry the venue's time, so
what is wrong with this one shows in files, records of others and candles, and in nothing that leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import structlog

from pms.alarms import Alarms
from pms.clock import Clock
from pms.venue import Unavailable

LOOK_S = 1.0
OFF_MS = 1_000  # NTP keeps within milliseconds; a second is a clock that nobody minds
STOP_MS = 5_000  # beyond recvWindow: whatever set it so may set it again, under a request
RESYNC_S = 5.0  # one measurement is five requests
CODE, SUBJECT = "clock_off", "host"

_log = structlog.get_logger("pms.clock_watch")


class VenueTime(Protocol):
    """What is asked of the venue."""

    def time_ms(self) -> int: ...

    def host_clock_error_ms(self) -> int:
        """How far the host's clock is ahead of the venue's."""
        ...

    async def measure_clock(self) -> None:
        """Measure the venue's time anew. Raises `Unavailable`."""
        ...


class ClockWatch:
    """`on_clock` is told why entries stop, and with an empty text that they go on."""

    def __init__(self, venue: VenueTime, on_clock: Callable[[str], None], alarms: Alarms, clock: Clock) -> None:
        self._venue = venue
        self._on_clock = on_clock
        self._alarms = alarms
        self._clock = clock
        self._stopped = False
        self._measured_at = -RESYNC_S

    async def run(self) -> None:
        while True:
            await self.look()
            await self._clock.sleep(LOOK_S)

    async def look(self) -> None:
        """Compare, once. What looks wrong is measured anew before it is believed."""
        error = self._venue.host_clock_error_ms()
        since = self._clock.monotonic() - self._measured_at
        if abs(error) > OFF_MS and since >= RESYNC_S:
            self._measured_at = self._clock.monotonic()
            try:
                await self._venue.measure_clock()
            except Unavailable as unavailable:
                _log.warning("venue_clock_not_measured", error=str(unavailable))
            error = self._venue.host_clock_error_ms()
        self._tell(error)

    def _tell(self, error: int) -> None:
        if abs(error) > OFF_MS:
            message = (
                f"This host's clock goes {abs(error)} ms {'before' if error > 0 else 'behind'} the venue's. Requests "
                f"carry the venue's time all the same; beyond {STOP_MS} ms no entries leave. Set the clock (NTP)."
            )
            self._alarms.sound(CODE, "warning", SUBJECT, message, self._venue.time_ms())
        else:
            self._alarms.clear(CODE, SUBJECT, self._venue.time_ms())
        stop = abs(error) > STOP_MS
        if stop is not self._stopped:
            self._stopped = stop
            self._on_clock(f"{error} ms off the venue's" if stop else "")
