"""A clock that a test turns by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from pms.clock import Alarm


class Owner(Protocol):
    """Whose time it is, Unix milliseconds."""

    now: int


class HandClock:
    """Time that passes when the test says so; implements pms.clock.Clock on somebody's `now`."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        return self._owner.now

    def monotonic(self) -> float:
        return self._owner.now / 1000

    async def sleep(self, seconds: float) -> None:
        until = asyncio.get_running_loop().create_future()
        self._waiting.append((self._owner.now + round(seconds * 1000), until))
        await until

    def call_later(self, seconds: float, call: Callable[[], None]) -> Alarm:
        until = asyncio.get_running_loop().create_future()
        until.add_done_callback(lambda done: done.cancelled() or call())
        self._waiting.append((self._owner.now + round(seconds * 1000), until))
        return until

    async def advance(self, milliseconds: int) -> None:
        """Wake sleepers in the order of their times, each at its own."""
        end = self._owner.now + milliseconds
        await settle()
        while due := sorted((at for at, until in self._waiting if at <= end and not until.done())):
            self._owner.now = max(self._owner.now, due[0])
            for at, until in self._waiting:
                if at <= self._owner.now and not until.done():
                    until.set_result(None)
            await settle()
        self._owner.now = end


async def settle() -> None:
    """Let everything that can run do so."""
    for _ in range(20):
        await asyncio.sleep(0)
