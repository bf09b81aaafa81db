"""What a trigger at the venue has to be: on the grid, ahead of the price, within the venue's number of such orders.

Refuses to know what it triggers. Every refusal is an `Invalid`, and then nothing was done.
"""

from __future__ import annotations

from decimal import Decimal

from pms.desk import Desk
from schemas.errors import ErrorCode, Invalid
from schemas.market import ZERO, Instrument, Side
from schemas.protection import LegWord

WAITING_MAX = 200  # of the whole account (execution.md 10)
WAITING_RESERVE = 20  # kept for moves, which are new before old


def reached(side: Side, word: LegWord, trigger: Decimal, price: Decimal) -> bool:
    """Whether a price triggers a leg that closes by `side`."""
    falls = (side is Side.SELL) == (word == "stop")
    return price <= trigger if falls else price >= trigger


def check_price(instrument: Instrument, price: Decimal | None, path: str) -> None:
    """Raises Invalid (PRICE_OFF_GRID)."""
    if price is not None and not instrument.on_price_grid(price):
        message = f"{price} is no multiple of {instrument.symbol}'s tick {instrument.tick}."
        raise Invalid(ErrorCode.PRICE_OFF_GRID, message, path=path, tick=instrument.tick)


def check_ahead(side: Side, word: LegWord, trigger: Decimal, price: Decimal, path: str) -> None:
    """A trigger that is behind the price closes at once, which nobody asks for by a stop or a take-profit. A price of 0
    is not known. Raises Invalid (INVALID_FIELD)."""
    if price and reached(side, word, trigger, price):
        way = "below" if (side is Side.SELL) == (word == "stop") else "above"
        message = f"{path} {trigger} would trigger at once: it has to be {way} {price}. To close now, send close."
        raise Invalid(ErrorCode.INVALID_FIELD, message, path=path, price=price)


def check_room(desk: Desk) -> None:
    """Whether the venue takes more orders that wait for a price. Raises Invalid (MAX_OPEN_ORDERS)."""
    ledger, most = desk.ledger, WAITING_MAX - WAITING_RESERVE
    waiting = sum(ledger.orders[name].waiting for names in ledger.open_by_symbol.values() for name in names)
    if waiting >= most:
        message = f"{waiting} orders wait for their price on the account; the venue takes {WAITING_MAX}."
        raise Invalid(ErrorCode.MAX_OPEN_ORDERS, message, limit=most, value=waiting)


def price_of(desk: Desk, symbol: str) -> Decimal:
    """The mark price, or where it is not known the mid; 0 where neither is."""
    quote = desk.market.quote(symbol)
    mid = ZERO if quote is None else quote.mid2 * desk.instruments[symbol].tick / 2
    return desk.mark(symbol) or mid
