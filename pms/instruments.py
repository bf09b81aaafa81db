"""The venue's trading rules, kept fresh: hourly, and after an order was refused by a filter (algos.md law 6).

Owns when they are read again, and tells market and algos what changed. Refuses to judge orders.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog

from algos import step
from pms.clock import Clock
from pms.desk import Desk
from pms.venue import Reads, Unavailable
from schemas.market import Instrument

FRESH_S = 3600.0
SPACING_S = 10.0  # a filter refusal on every order must not become a request for every symbol's rules each time

_log = structlog.get_logger("pms.instruments")


class Instruments:
    """See the module. `ask` may be called from anywhere, at any rate."""

    def __init__(self, venue: Reads, desk: Desk, clock: Clock) -> None:
        self._venue = venue
        self._desk = desk
        self._clock = clock
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Read the rules again soon."""
        self._asked.set()

    async def run(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(FRESH_S):
                    await self._asked.wait()
            self._asked.clear()
            await self.reload()
            await self._clock.sleep(SPACING_S)

    async def reload(self) -> None:
        """Read them now. Where the venue can't be read, the old ones stay and the next hour asks again."""
        try:
            fresh = await self._venue.instruments()
        except Unavailable as error:
            _log.warning("instruments_not_read", reason=str(error))
            return
        known = self._desk.instruments
        changed = [instrument for symbol, instrument in fresh.items() if known.get(symbol) != instrument]
        known.update(fresh)
        for instrument in changed:
            await self._tell(instrument)

    async def _tell(self, instrument: Instrument) -> None:
        market = self._desk.market
        if instrument.symbol not in market.symbols():
            return
        _log.info("instrument_changed", symbol=instrument.symbol)
        await market.watch(instrument)  # takes the new grid over
        await market.release(instrument.symbol)
        for runner in tuple(self._desk.runners.values()):
            if runner.kind.view(runner.state).symbol == instrument.symbol:
                quote = market.quote(instrument.symbol)
                self._desk.offer(runner, step.InstrumentChanged(self._desk.now(), instrument, quote))
