"""One lane per sub-account: its commands run one after the other, in arrival order, and hold up nobody else's.

Owns what waits. Refuses to know what running means. Invariant: at most one task per lane, none for an empty one; work
that raises ends its task (which is logged there) and not its lane.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from pms.tasks import Tasks

LANE_MAX = 1_000  # waiting commands of one sub-account; more would be stale (30 s) before their turn

T = TypeVar("T")


class Lanes(Generic[T]):
    """See the module. `work` carries one item out and returns when the next may begin."""

    def __init__(self, tasks: Tasks, work: Callable[[T], Coroutine[Any, Any, None]]) -> None:
        self._tasks = tasks
        self._work = work
        self._lanes: dict[str, deque[T]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    def put(self, lane: str, item: T) -> bool:
        """Queue; False where the lane is full (nothing is queued then)."""
        waiting = self._lanes.get(lane)
        if waiting is None:
            waiting = self._lanes[lane] = deque()
            waiting.append(item)
            self._start(lane, waiting)
            return True
        if len(waiting) >= LANE_MAX:
            return False
        waiting.append(item)
        return True

    def take(self, wanted: Callable[[T], bool]) -> list[T]:
        """Take out what waits and is wanted, in order; what already runs stays."""
        taken: list[T] = []
        for waiting in self._lanes.values():
            kept = [item for item in waiting if not wanted(item)]
            if len(kept) < len(waiting):
                taken += [item for item in waiting if wanted(item)]
                waiting.clear()
                waiting.extend(kept)
        return taken

    def _start(self, lane: str, waiting: deque[T]) -> None:
        task = self._tasks.spawn(self._run(waiting), f"bus.lane {lane}")
        task.add_done_callback(lambda task: self._ended(lane, waiting, task))

    async def _run(self, waiting: deque[T]) -> None:
        while waiting:
            await self._work(waiting.popleft())

    def _ended(self, lane: str, waiting: deque[T], task: asyncio.Task[None]) -> None:
        if waiting and not task.cancelled():
            self._start(lane, waiting)
        else:
            del self._lanes[lane]
