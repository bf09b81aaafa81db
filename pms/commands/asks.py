"""From a command's words to orders in the venue's terms: size, price bound, splitting (execution.md 10).

Reads prices, changes nothing. Every refusal is an `Invalid` with a code of the closed list, and then nothing was done.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

import msgspec

from pms.commands.terms import Terms
from pms.desk import Desk
from schemas.commands_orders import Leg, Level, Limit, Scale, Trade
from schemas.errors import ErrorCode, Invalid
from schemas.market import Instrument, Quote, Side
from schemas.orders import TimeInForce

PARTS_MAX = 50  # of one order: more is a mistake of units, and would fill a minute's order count
BASKET_BPS = 50  # a leg's slippage bound: that of a trade that does not name one
_BPS = Decimal(10_000)


class Ask(msgspec.Struct, frozen=True):
    """One order as it was asked for, in the venue's terms. `path` is where in the command."""

    instrument: Instrument
    side: Side
    quantity: Decimal
    price: Decimal
    time_in_force: TimeInForce
    reduce_only: bool
    leverage: int
    path: str = ""


class Asks:
    """See the module. The symbols are being watched (`Market.watch`)."""

    def __init__(self, desk: Desk, terms: Terms) -> None:
        self._desk = desk
        self._terms = terms

    def trade(self, command: Trade) -> list[Ask]:
        """At the market. Raises Invalid."""
        return self._at_market(command, command.max_slippage_bps, command.reduce_only)

    def leg(self, leg: Leg, path: str) -> list[Ask]:
        """One leg of a basket, at the market. Raises Invalid."""
        try:
            return self._at_market(leg, BASKET_BPS, False, path)
        except Invalid as error:
            where = f"{path}.{error.details['path']}" if "path" in error.details else path
            raise Invalid(error.code, f"{path}: {error.message}", **error.details | {"path": where}) from error

    def limit(self, command: Limit) -> list[Ask]:
        """At its price. Raises Invalid."""
        instrument = self._desk.instruments[command.symbol]
        quantity = self._terms.quantity(instrument, command.quantity, command.size_usdt, command.price)
        self._terms.sendable(instrument, quantity, command.price, command.reduce_only)
        whole = Ask(
            instrument,
            command.side,
            quantity,
            command.price,
            command.time_in_force,
            command.reduce_only,
            command.leverage,
        )
        return [whole] if command.time_in_force == "FOK" else split(whole)  # in parts it could fill in part

    def level(self, command: Scale, level: Level, path: str) -> Ask:
        """One order of a scale, as it was given: the gate judges it alone."""
        instrument = self._desk.instruments[command.symbol]
        return Ask(
            instrument, command.side, level.quantity, level.price, "GTC", command.reduce_only, command.leverage, path
        )

    def _at_market(self, wanted: Trade | Leg, slippage_bps: int, reduce_only: bool, path: str = "") -> list[Ask]:
        instrument = self._desk.instruments[wanted.symbol]
        quote = self._desk.market.quote(wanted.symbol)
        if quote is None:
            raise Invalid(ErrorCode.NO_PRICE, f"the price of {wanted.symbol} went stale; nothing was done.")
        mid = quote.mid2 * instrument.tick / 2
        quantity = self._terms.quantity(instrument, wanted.quantity, wanted.size_usdt, mid)
        price = bound(instrument, wanted.side, quote, slippage_bps)
        self._terms.sendable(instrument, quantity, price, reduce_only)
        return split(Ask(instrument, wanted.side, quantity, price, "IOC", reduce_only, wanted.leverage, path))


def bound(instrument: Instrument, side: Side, quote: Quote, slippage_bps: int) -> Decimal:
    """The worst price a market order takes: mid and so much beyond it, rounded inward on the tick (execution.md 10)."""
    mid = quote.mid2 * instrument.tick / 2
    price = mid * (_BPS + side.sign * slippage_bps) / _BPS
    return instrument.price(instrument.limit_ticks(side, price))


def split(whole: Ask) -> list[Ask]:
    """Parts of at most the venue's largest size, as even as the step allows, so that none is below the minimum. Raises
    Invalid (ABOVE_MAXIMUM)."""
    rules = whole.instrument
    parts = int((whole.quantity / rules.max_qty).to_integral_value(ROUND_CEILING))
    if parts <= 1:
        return [whole]
    if parts > PARTS_MAX:
        most = rules.max_qty * PARTS_MAX
        message = f"{whole.quantity} is more than {PARTS_MAX} orders of {rules.symbol} hold ({most})."
        raise Invalid(ErrorCode.ABOVE_MAXIMUM, message, path="quantity", limit=most)
    steps, rest = divmod(int(whole.quantity / rules.step), parts)
    return [msgspec.structs.replace(whole, quantity=(steps + (number < rest)) * rules.step) for number in range(parts)]
