"""Draining: no new entries, and what runs may finish first (law 8).

Owns when that is so and when it is over. Refuses to stop anything: protection and resting orders by hand stay as at any
stop, and states are kept.
"""

from __future__ import annotations

import asyncio

import structlog

from pms.clock import Clock
from pms.desk import Desk
from pms.family import view_of

LOOK_S = 0.2

_log = structlog.get_logger("pms.draining")


class Draining:
    """See the module."""

    def __init__(self, desk: Desk, clock: Clock) -> None:
        self._desk = desk
        self._clock = clock
        self._begun = asyncio.Event()
        self.reason = ""  # why nothing new is started; empty where that is not so

    def begin(self) -> None:
        """From now on; only a new start ends it."""
        _log.info("draining", algos=self.running)
        self.reason = "the daemon drains: what runs may finish, nothing new begins"
        self._begun.set()

    @property
    def running(self) -> tuple[str, ...]:
        """The algos that are waited for: all but protection, which outlives a stop."""
        views = [view_of(runner) for runner in self._desk.runners.values()]
        return tuple(view.algo_id for view in views if not view.reduce_only and not view.parent_id)

    async def finished(self) -> None:
        """Return once it was begun and nothing is left to wait for."""
        await self._begun.wait()
        while self.running:
            await self._clock.sleep(LOOK_S)
        _log.info("drained")
