"""Who waits for what becomes of orders: the commands that answer by it (contract.md, "Reply").

Owns the waiting. Refuses to know what an order or a command is about: the desk tells each change, the waiter judges.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from algos.step import Failure
from schemas.orders import Order


class Fate:
    """What was told of some orders since they are followed; `failures` by client id, the newest each."""

    def __init__(self) -> None:
        self.failures: dict[str, Failure] = {}
        self._told = asyncio.Event()

    def tell(self, order: Order, failure: Failure | None) -> None:
        if failure is not None:
            self.failures[order.client_order_id] = failure
        self._told.set()

    async def until(self, holds: Callable[[], bool], seconds: float) -> bool:
        """Return as soon as it holds, or after so many seconds; whether it does."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                while not holds():
                    self._told.clear()
                    await self._told.wait()
        return holds()


class Fates:
    """See the module."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Fate]] = {}

    @contextmanager
    def follow(self, client_ids: Iterable[str]) -> Iterator[Fate]:
        """Hear of these orders from now on, whether or not they exist yet."""
        fate, names = Fate(), tuple(client_ids)
        for name in names:
            self._waiting.setdefault(name, []).append(fate)
        try:
            yield fate
        finally:
            for name in names:
                self._waiting[name].remove(fate)
                if not self._waiting[name]:
                    del self._waiting[name]

    def tell(self, order: Order, failure: Failure | None) -> None:
        """An order's record changed, or a request for it failed."""
        for fate in self._waiting.get(order.client_order_id, ()):
            fate.tell(order, failure)
