"""The time port: what the daemon and the simulator know of time, so that both run on a virtual clock.

Owns the only calls to the operating system's clock and the only sleep. Everything else takes a `Clock`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Alarm(Protocol):
    """A call that waits for its time."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """Wall time in integer Unix milliseconds, elapsed time in seconds, and waiting."""

    def now_ms(self) -> int:
        """Unix milliseconds; may step when the host's clock is set. Venue time is this plus a measured offset."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never steps back. For ages, deadlines and back-off."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after at least `seconds`."""
        ...

    def call_later(self, seconds: float, call: Callable[[], None]) -> Alarm:
        """Make one plain call after `seconds`, from the running loop."""
        ...


class SystemClock:
    """The host's clock; the loop's own timer for waiting (which a virtual loop may drive)."""

    monotonic = staticmethod(time.monotonic)

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, call: Callable[[], None]) -> Alarm:
        return asyncio.get_running_loop().call_later(seconds, call)


class LoopClock:
    """A clock read from the running event loop: on a virtual loop all of time is virtual.

    `epoch_ms` is the Unix time that the loop's zero stands for.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, epoch_ms: int) -> None:
        self._loop = loop
        self._epoch_ms = epoch_ms
        self.monotonic = loop.time

    def now_ms(self) -> int:
        return self._epoch_ms + int(self._loop.time() * 1000)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, call: Callable[[], None]) -> Alarm:
        return self._loop.call_later(seconds, call)
