"""What every command that trades says of an instrument, checked at the door: symbol, price, quantity (contract.md).

Refuses to judge risk. Every refusal is an `Invalid` with a code of the closed list, and then nothing was done.
"""

from __future__ import annotations

from decimal import Decimal

from pms.clock import Clock
from pms.desk import Desk
from schemas.errors import ErrorCode, Invalid
from schemas.market import Instrument, Quote

PRICE_WAIT_S = 2.5  # a reply is due within 3 s (contract.md)
PRICE_BACK_S = 1.0  # for one that has gone again meanwhile
PRICE_POLL_S = 0.01


class Terms:
    """See the module."""

    def __init__(self, desk: Desk, clock: Clock) -> None:
        self._desk = desk
        self._clock = clock
        self.instruments = desk.instruments

    def instrument(self, symbol: str, reduce_only: bool) -> Instrument:
        """Raises Invalid (UNKNOWN_SYMBOL, SYMBOL_NOT_TRADING)."""
        instrument = self.instruments.get(symbol)
        if instrument is None:
            raise Invalid(ErrorCode.UNKNOWN_SYMBOL, f"the venue has no symbol {symbol}.", path="symbol")
        if not instrument.trading and not reduce_only:
            raise Invalid(ErrorCode.SYMBOL_NOT_TRADING, f"{symbol} is not trading now.", path="symbol")
        return instrument

    async def quote(self, symbol: str, wait_s: float = PRICE_WAIT_S) -> Quote:
        """The newest quote; waits for the first one of a symbol that nobody watched before. Raises Invalid
        (NO_PRICE). The symbol is being watched (`Market.watch`)."""
        give_up = self._clock.monotonic() + wait_s
        while (quote := self._desk.market.quote(symbol)) is None:
            if self._clock.monotonic() >= give_up:
                _, reason = self._desk.market.health(symbol)
                raise Invalid(ErrorCode.NO_PRICE, f"no fresh price of {symbol} within {wait_s} s ({reason}).")
            await self._clock.sleep(PRICE_POLL_S)
        return quote

    @staticmethod
    def quantity(
        instrument: Instrument, quantity: Decimal | None, size_usdt: Decimal | None, price: Decimal
    ) -> Decimal:
        """A quantity as it was given, or the largest whose value at `price` is within `size_usdt`. Raises Invalid
        (QUANTITY_OFF_GRID)."""
        if quantity is None:
            assert size_usdt is not None, "the door lets exactly one of quantity and sizeUsdt through"
            return instrument.quantity_down(size_usdt / price)
        if not instrument.on_quantity_grid(quantity):
            message = f"{quantity} is no multiple of {instrument.symbol}'s step {instrument.step}."
            raise Invalid(ErrorCode.QUANTITY_OFF_GRID, message, path="quantity", step=instrument.step)
        return quantity

    @staticmethod
    def sendable(instrument: Instrument, quantity: Decimal, price: Decimal, reduce_only: bool) -> None:
        """Raises Invalid (BELOW_MINIMUM)."""
        if instrument.sendable(quantity, price, reduce_only):
            return
        message = (
            f"{quantity} at {price} is {quantity * price}; {instrument.symbol} takes at least {instrument.min_qty} "
            f"and {instrument.min_notional} USDT in one order."
        )
        raise Invalid(ErrorCode.BELOW_MINIMUM, message, path="quantity", minNotional=instrument.min_notional)
