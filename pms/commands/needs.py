"""What an algo is to trade and needs of the market before it can begin: books of its symbols, and their prices.

Owns that they are followed from the first check until the algo follows them itself (contract.md). Refuses to judge
anything but whether a symbol trades and has a price.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from pms.commands.terms import PRICE_WAIT_S, Terms
from pms.market import Market
from schemas.market import Quote, Side


class Needs(msgspec.Struct, frozen=True):
    """A symbol that an algo trades. `leverage` 0: as it stands. `priced`: it can't begin without a price."""

    symbol: str
    leverage: int = 1
    reduce_only: bool = False
    priced: bool = True


class Planned(msgspec.Struct, frozen=True):
    """What an algo is to trade of a symbol on one side, `price` being what it would ask first."""

    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    leverage: int = 1
    reduce_only: bool = False


class MarketNeeds:
    """See the module."""

    def __init__(self, market: Market, terms: Terms) -> None:
        self._market = market
        self._terms = terms

    async def watch(self, needs: Sequence[Needs]) -> None:
        """Have a book of each symbol, until `release`. Raises Invalid (UNKNOWN_SYMBOL, SYMBOL_NOT_TRADING)."""
        instruments = [self._terms.instrument(need.symbol, need.reduce_only) for need in needs]
        for instrument in instruments:
            await self._market.watch(instrument)

    async def release(self, needs: Sequence[Needs]) -> None:
        """What was watched."""
        for need in needs:
            await self._market.release(need.symbol)

    async def quotes(self, needs: Sequence[Needs], wait_s: float = PRICE_WAIT_S) -> dict[str, Quote]:
        """The newest quote of each symbol that has one; every one that is needed is there when this returns. Raises
        Invalid (NO_PRICE)."""
        while True:
            quotes: dict[str, Quote] = {}
            for need in needs:
                quote = self._market.quote(need.symbol)
                if quote is not None:
                    quotes[need.symbol] = quote
                elif need.priced:
                    await self._terms.quote(need.symbol, wait_s)
                    break  # another may have gone meanwhile
            else:
                return quotes
