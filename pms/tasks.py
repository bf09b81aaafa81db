"""Tasks: the only `create_task` of the project, and how one is woken without a turn of the loop.

Every task is referenced until it ends, and a failure is logged and counted, never lost (design.md rule 5).
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import structlog

T = TypeVar("T")
_log = structlog.get_logger("pms.tasks")


class Tasks:
    """The set of a component's running tasks. Its owner closes it; nothing outlives the close."""

    def __init__(self, on_failure: Callable[[str, BaseException], None] | None = None) -> None:
        self._running: set[asyncio.Task[Any]] = set()
        self._on_failure = on_failure
        self.failures = 0

    def __len__(self) -> int:
        return len(self._running)

    def spawn(self, coroutine: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Start `coroutine` as a task called `name`, keep a reference, and report its failure when it ends with one."""
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            return
        self.failures += 1
        _log.error("task_failed", task=task.get_name(), error=repr(error), exc_info=error)
        if self._on_failure is not None:
            self._on_failure(task.get_name(), error)

    async def close(self) -> None:
        """Cancel what still runs and wait until all of it has ended. Called from within one of the tasks, it leaves
        that one."""
        me = asyncio.current_task()
        while waiting := [task for task in self._running if task is not me]:
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting)


class Prompt(asyncio.Future[T]):
    """A future whose `tell` carries on the task that awaits it there and then, by plain call, as far as its next wait.

    For what must not wait for its turn. Ended in any other way it is an ordinary future. One task awaits it.
    """

    _waker: tuple[Callable[..., object], contextvars.Context | None] | None = None

    def add_done_callback(self, fn: Callable[..., object], /, *, context: contextvars.Context | None = None) -> None:
        if self._waker is None and not self.done():
            self._waker = (fn, context)
        else:
            super().add_done_callback(fn, context=context)

    def tell(self, result: T) -> None:
        """End it with a result. Told from within another task it is an ordinary future: two can't run at once."""
        if self._waker is None or asyncio.current_task() is not None:
            self.set_result(result)
            return
        (wake, context), self._waker = self._waker, None
        super().set_result(result)
        if context is None:
            wake(self)
        else:
            context.run(wake, self)

    def set_result(self, result: T) -> None:
        self._hand_over()
        super().set_result(result)

    def set_exception(self, exception: type | BaseException) -> None:
        self._hand_over()
        super().set_exception(exception)

    def cancel(self, msg: object = None) -> bool:
        self._hand_over()
        return super().cancel(msg)

    def _hand_over(self) -> None:
        """Have the loop wake who awaits it."""
        if self._waker is not None:
            (wake, context), self._waker = self._waker, None
            super().add_done_callback(wake, context=context)
