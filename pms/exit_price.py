"""The price bound of an immediate exit, from whatever price there is (execution.md 10, 27, 28).

Refuses to decide whether something is closed. Sources fall back: the book's mid, the mark price stream, the mark that
the venue tells when asked, and in the end the last one it told, however old.
"""

from __future__ import annotations

from decimal import Decimal

import structlog

from pms.desk import Desk
from pms.venue import Reads, Unavailable
from schemas.market import ZERO, Instrument, Side

SLIPPAGE_BPS = 50  # of mid: maxSlippageBps' own default (contract.md, trade)
WIDE_BPS = 500  # after refusals of both other forms: whatever the venue's own band leaves of it

_log = structlog.get_logger("pms.exit_price")


class ExitPrices:
    """See the module."""

    def __init__(self, desk: Desk, venue: Reads) -> None:
        self._desk = desk
        self._venue = venue

    async def bound(self, instrument: Instrument, side: Side, wide: bool) -> Decimal:
        """The limit price at which an IOC closes now, on the grid and within the venue's band; 0 where there is no
        price at all. The symbol is being watched."""
        symbol = instrument.symbol
        mark = self._desk.market.fresh_mark(symbol)
        reference = self._mid(instrument) or mark
        if not reference:
            reference = mark = await self._asked(symbol) or self._desk.mark(symbol)
        bps = WIDE_BPS if wide else SLIPPAGE_BPS
        bound = reference * (10_000 + side.sign * bps) / 10_000
        if mark:
            band = mark * (instrument.multiplier_up if side is Side.BUY else instrument.multiplier_down)
            bound = min(bound, band) if side is Side.BUY else max(bound, band)
        return instrument.price(instrument.limit_ticks(side, bound))

    def _mid(self, instrument: Instrument) -> Decimal:
        quote = self._desk.market.quote(instrument.symbol)
        return ZERO if quote is None else quote.mid2 * instrument.tick / 2

    async def _asked(self, symbol: str) -> Decimal:
        try:
            price = await self._venue.mark(symbol)
        except Unavailable as error:
            _log.warning("no_price_for_exit", symbol=symbol, reason=str(error))
            return ZERO
        self._desk.market.on_mark(symbol, price, self._desk.now())  # the gate judges by it, too
        return price
