"""One symbol's quotes to whoever follows them: the newest only, and nobody waits for anybody.

Owns the receivers (the runners), served by plain call from one pump per symbol that the loop runs soon after a
quote, and the listeners (everything else), each served by a task of its own. Both get the newest quote with the
high and low since their last one (design.md rule 5), so a slow listener or a burst of frames costs the feed
nothing. Refuses to know books.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol

from pms.clock import Clock
from pms.quotes import conflated
from pms.tasks import Tasks
from schemas.market import Quote

FAILURE_PAUSE_S = 1.0  # a listener that fails on every quote must not fill the log at the pace of the feed


class Receiver(Protocol):
    """Takes a quote by plain call and returns at once."""

    def on_quote(self, quote: Quote) -> None: ...


Callback = Callable[[Quote], Awaitable[None]]


class Fanout:
    """The followers of one symbol. Made and used inside a running loop."""

    def __init__(self, symbol: str, clock: Clock, tasks: Tasks) -> None:
        self._symbol = symbol
        self._clock = clock
        self._tasks = tasks
        self._call_soon = asyncio.get_running_loop().call_soon
        self._receivers: dict[int, Receiver] = {}
        self._served: tuple[Receiver, ...] | None = ()
        self._listeners: list[Listener] = []

    def add(self, receiver: Receiver, quote: Quote | None) -> None:
        """Serve a receiver from now on; `quote` is the newest there is, since on a still market none may follow."""
        self._receivers[id(receiver)] = receiver
        self._served = None
        if quote is not None:
            self._call_soon(self._serve, iter((receiver,)), quote)

    def remove(self, receiver: Receiver) -> None:
        self._receivers.pop(id(receiver), None)
        self._served = None

    def listen(self, callback: Callback, quote: Quote | None) -> Listener:
        """Call `callback` in a task with the newest quote, one call at a time, until the listener is told to `stop`."""
        listener = Listener(f"listener-{self._symbol}", callback, self._clock, self._tasks)
        self._listeners.append(listener)
        if quote is not None:
            listener.offer(quote)
        return listener

    def serve(self, quote: Quote) -> None:
        """Hand a quote to all. Called by the symbol's pump, never from within a frame."""
        if self._served is None:
            self._served = tuple(self._receivers.values())
        if self._listeners:
            self._listeners = [listener for listener in self._listeners if not listener.stopped]
            for listener in self._listeners:
                listener.offer(quote)
        self._serve(iter(self._served), quote)

    def _serve(self, waiting: Iterator[Receiver], quote: Quote) -> None:
        """Serve all, in order; where one raises (the loop reports it), those behind it are served by the next call."""
        whole = False
        try:
            for receiver in waiting:
                receiver.on_quote(quote)
            whole = True
        finally:
            if not whole:
                self._call_soon(self._serve, waiting, quote)


class Listener:
    """One callback with its own pace. `failures` counts the calls that raised."""

    def __init__(self, name: str, callback: Callback, clock: Clock, tasks: Tasks) -> None:
        self._name = name
        self._callback = callback
        self._clock = clock
        self._tasks = tasks
        self._next: Quote | None = None
        self._busy = False
        self._not_before = 0.0
        self.stopped = False
        self.failures = 0

    def offer(self, quote: Quote) -> None:
        self._next = conflated(self._next, quote)
        if not self._busy and not self.stopped and self._clock.monotonic() >= self._not_before:
            self._busy = True
            self._tasks.spawn(self._drain(), self._name)

    def stop(self) -> None:
        """No further calls; one that runs is left to end."""
        self._next = None
        self.stopped = True

    async def _drain(self) -> None:
        failed = True
        try:
            while (quote := self._next) is not None:
                self._next = None
                await self._callback(quote)
            failed = False
        finally:
            self._busy = False
            if failed:
                self.failures += 1
                self._not_before = self._clock.monotonic() + FAILURE_PAUSE_S
