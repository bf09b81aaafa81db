"""Cancels that leave together: where many of a symbol are wanted at once, ten go in one request (execution.md 32).

A stop of two hundred orders must fit what a full minute still has for exits, and one request of ten weighs as much as
one cancel. Owns the waiting for each other, which is one turn of the loop. Refuses to decide what is cancelled. Each
order gets an outcome of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from pms.tasks import Tasks
from pms.venue import Cancel, NotDone, Outcome, Send

MANY = 6  # fewer leave one by one, side by side: each is answered for itself

CancelMany = Callable[[str, Sequence[str]], Awaitable[list[Outcome]]]


class _Wanted:
    __slots__ = ("client_id", "refusal", "told")

    def __init__(self, client_id: str, refusal: Callable[[], str]) -> None:
        self.client_id = client_id
        self.refusal = refusal
        self.told: asyncio.Future[Outcome | None] = asyncio.get_running_loop().create_future()


class Together:
    """See the module. `many` sends the cancels of one symbol in as few requests as may be."""

    def __init__(self, many: CancelMany, tasks: Tasks) -> None:
        self._many = many
        self._tasks = tasks
        self._wanted: dict[str, list[_Wanted]] = {}

    async def send(self, cancel: Cancel, alone: Send, refusal: Callable[[], str]) -> Outcome:
        """Send it, by itself (`alone`) or with others of its symbol that leave in the same turn of the loop."""
        group = self._wanted.get(cancel.symbol)
        if group is None:
            group = self._wanted[cancel.symbol] = []
            asyncio.get_running_loop().call_soon(self._leave, cancel.symbol)
        one = _Wanted(cancel.client_id, refusal)
        group.append(one)
        outcome = await one.told
        return await alone() if outcome is None else outcome

    def _leave(self, symbol: str) -> None:
        group = self._wanted.pop(symbol)
        if len(group) >= MANY:
            self._tasks.spawn(self._in_batches(symbol, group), f"cancel {len(group)} of {symbol}")
            return
        for one in group:
            _tell(one, None)

    async def _in_batches(self, symbol: str, group: list[_Wanted]) -> None:
        going = []
        for one in group:
            if refused := one.refusal():
                _tell(one, NotDone(refused))
            else:
                going.append(one)
        outcomes = await self._many(symbol, [one.client_id for one in going])
        for one, outcome in zip(going, outcomes, strict=True):
            _tell(one, outcome)


def _tell(one: _Wanted, outcome: Outcome | None) -> None:
    if not one.told.done():  # who waited may have left
        one.told.set_result(outcome)
