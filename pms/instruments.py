"""The venue's trading rules, kept fresh: hourly, and after an order was refused by a filter (algos.md law 6).

Owns when they are read again, and tells market and algos what changed. A symbol that is halted or no longer listed does
not trade: what adds risk there stops with that reason (`Watch.block_of`), people are told, and the rules are read until
it trades again. Refuses to judge orders.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import msgspec
import structlog

from algos import step
from pms.clock import Clock
from pms.desk import Desk
from pms.venue import Reads, Unavailable
from schemas.market import Instrument

FRESH_S = 3600.0
HALTED_S = 30.0  # while a symbol that somebody is on does not trade
SPACING_S = 10.0  # a filter refusal on every order must not become a request for every symbol's rules each time

_log = structlog.get_logger("pms.instruments")


class Instruments:
    """See the module. `ask` may be called from anywhere, at any rate."""

    def __init__(self, venue: Reads, desk: Desk, clock: Clock, blocks: Callable[[str], None]) -> None:
        self._venue = venue
        self._desk = desk
        self._clock = clock
        self._blocks = blocks  # told of a symbol that has stopped or begun to trade
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Read the rules again soon."""
        self._asked.set()

    async def run(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(HALTED_S if self._halted() else FRESH_S):
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
        for symbol in known.keys() - fresh.keys():  # no longer listed
            fresh[symbol] = msgspec.structs.replace(known[symbol], trading=False)
        changed = [instrument for symbol, instrument in fresh.items() if known.get(symbol) != instrument]
        known.update(fresh)
        for instrument in changed:
            await self._tell(instrument)

    def _halted(self) -> bool:
        known = self._desk.instruments
        return any(symbol in known and not known[symbol].trading for symbol in self._desk.market.symbols())

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
        self._sound(instrument)
        self._blocks(instrument.symbol)

    def _sound(self, instrument: Instrument) -> None:
        alarms, symbol, now = self._desk.alarms, instrument.symbol, self._desk.now()
        if instrument.trading:
            alarms.clear("symbol_halted", symbol, now)
            return
        message = (
            f"{symbol} does not trade at the venue now. What adds risk there has stopped and its orders leave; what "
            "closes goes on trying. It goes on by itself once the symbol trades again."
        )
        alarms.sound("symbol_halted", "critical", symbol, message, now)
