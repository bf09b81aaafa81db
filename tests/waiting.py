"""Waiting for something outside this process, by looking again until it is so: the only place of a test that sleeps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

STEP_S = 0.01


def until(condition: Callable[[], object], limit_s: float, what: str) -> None:
    """Return once `condition` holds. Raises AssertionError naming `what` after `limit_s` seconds."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {limit_s} s"
        time.sleep(STEP_S)


async def eventually(condition: Callable[[], Awaitable[object]], limit_s: float, what: str) -> None:
    """The same for what is asked on the running loop."""
    deadline = time.monotonic() + limit_s
    while True:
        if await condition():
            return
        assert time.monotonic() < deadline, f"{what}: not within {limit_s} s"
        await asyncio.sleep(STEP_S)
