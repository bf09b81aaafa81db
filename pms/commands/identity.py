"""Whose a command's doing is: the ids allocated for it, and that it was accepted before (contract.md, idempotency)."""

from __future__ import annotations

from pms.bus.executor import Context
from schemas.errors import ErrorCode, Failure
from schemas.ids import base36


class OwnerIds:
    """Ids of algos and manual orders: kind letter, 8 base-36 digits of Unix ms, one to tell those of a millisecond
    apart. They only rise."""

    def __init__(self) -> None:
        self._last = 0

    def next(self, letter: str, now: int) -> str:
        self._last = max(self._last + 1, now * 36)
        return letter + base36(self._last, 9)


class Taken(Exception):
    """The request was accepted before: nothing was done now."""


def taken(context: Context) -> Failure:
    """The answer that nobody sees: the inbox finds the first one's outcome by its own claim."""
    context.claimed = None
    return Failure.of(ErrorCode.REQUEST_ID_REUSED, "the request was accepted before.")
