"""Leverage at the venue (execution.md 15): set outside the order path, serialised per symbol, never lowered under a
position.

Owns what the venue was last told. Refuses to decide what a sub-account may ask for: that is the risk gate's.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict

from pms.ledger import Ledger
from pms.venue import NotDone, Refused, Unknown, Venue
from schemas.errors import ErrorCode, Invalid


class Leverage:
    """See the module."""

    def __init__(self, ledger: Ledger, venue: Venue) -> None:
        self._ledger = ledger
        self._venue = venue
        self._standing: dict[str, int] = {}
        self._setting: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def is_set(self, symbol: str, wanted: int) -> bool:
        """Whether the venue is known to have it so: `ensure` would do nothing."""
        return self._standing.get(symbol) == wanted

    async def ensure(self, symbol: str, wanted: int) -> None:
        """Have it set while the account is flat on the symbol and nothing rests. A refusal belongs to who asked.

        Raises `Invalid` (EXCHANGE_REJECTED, EXCHANGE_UNAVAILABLE): nothing was done.
        """
        if self.is_set(symbol, wanted):
            return
        async with self._setting[symbol]:
            if self.is_set(symbol, wanted) or not self._is_flat(symbol):
                return
            outcome = await self._venue.set_leverage(symbol, wanted)
        match outcome:
            case Refused(message=message, code=code):
                raise Invalid(ErrorCode.EXCHANGE_REJECTED, f"leverage {wanted} was refused: {message}", venueCode=code)
            case NotDone(message=message) | Unknown(message=message):
                raise Invalid(ErrorCode.EXCHANGE_UNAVAILABLE, f"leverage could not be set: {message}")
        self._standing[symbol] = wanted

    def _is_flat(self, symbol: str) -> bool:
        if self._ledger.open_by_symbol[symbol]:
            return False
        return not any(held.quantity for (_, name), held in self._ledger.positions.items() if name == symbol)
