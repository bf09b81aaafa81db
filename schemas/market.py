"""Symbols, sides, instruments and quotes.

Prices on the hot path are whole ticks and quantities in records are exact decimals; `Instrument` is the one place that
converts and rounds (algos.md law 6). Refuses to know venues and orders.
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum

import msgspec

ZERO = Decimal(0)
SYMBOL_MAX = 40  # the venue's longest symbols have 20 characters; room for delivery suffixes and non-ASCII names
_SETTLED = re.compile(r"^(?P<base>[^/:]+)/(?P<quote>[^/:]+)(?::(?P=quote))?$")


class Side(StrEnum):
    """The direction of an order."""

    sign: int  # +1 for BUY, -1 for SELL: the sign of a fill in a signed position

    BUY = "BUY"
    SELL = "SELL"

    def __init__(self, word: str) -> None:
        self.sign = 1 if word == "BUY" else -1

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


class PositionSide(StrEnum):
    """The direction of a position, as shown to people; inside, positions are signed."""

    LONG = "LONG"
    SHORT = "SHORT"


def normalise_symbol(text: str) -> str:
    """`BTC/USDT:USDT`, `BTC/USDT` and `btcusdt` become `BTCUSDT`, the venue's own form (contract.md). Raises
    ValueError."""
    match = _SETTLED.match(text)
    symbol = (match["base"] + match["quote"] if match else text).upper()
    if not 1 <= len(symbol) <= SYMBOL_MAX or not symbol.replace("_", "").isalnum():
        raise ValueError(f"'{text[:SYMBOL_MAX]}' is not a symbol")
    return symbol


class Instrument(msgspec.Struct, frozen=True, rename="camel"):
    """One symbol's trading rules (binance.md 3.2). tick and step come from the filters, never from the precisions."""

    symbol: str
    tick: Decimal
    step: Decimal
    min_qty: Decimal
    max_qty: Decimal
    min_notional: Decimal
    min_price: Decimal
    max_price: Decimal
    multiplier_up: Decimal
    multiplier_down: Decimal
    max_orders: int = 200
    market_max_qty: Decimal = ZERO
    trading: bool = True

    def price(self, ticks: int) -> Decimal:
        """The exact price of a whole number of ticks."""
        return ticks * self.tick

    def ticks_down(self, price: Decimal) -> int:
        return int((price / self.tick).to_integral_value(ROUND_FLOOR))

    def ticks_up(self, price: Decimal) -> int:
        return int((price / self.tick).to_integral_value(ROUND_CEILING))

    def limit_ticks(self, side: Side, price: Decimal) -> int:
        """Ticks of a limit price, side-aware: a buy never rounds up through its limit, a sell never down (law 6)."""
        return self.ticks_down(price) if side is Side.BUY else self.ticks_up(price)

    def on_price_grid(self, price: Decimal) -> bool:
        return price % self.tick == 0

    def on_quantity_grid(self, quantity: Decimal) -> bool:
        return quantity % self.step == 0

    def quantity_down(self, quantity: Decimal) -> Decimal:
        """The largest multiple of `step` not above `quantity`, with the step's digits: the venue refuses more."""
        return quantity // self.step * self.step

    def sendable(self, quantity: Decimal, price: Decimal, reduce_only: bool) -> bool:
        """Whether the venue takes `quantity` at `price` as one order: minQty, and minNotional unless reduce-only (law
        6)."""
        return quantity >= self.min_qty and (reduce_only or quantity * price >= self.min_notional)


class Candle(msgspec.Struct, frozen=True):
    """The highest and lowest trade of one minute; `time` is its beginning, Unix ms."""

    time: int
    high: Decimal
    low: Decimal


class Touches(msgspec.Struct, frozen=True, gc=False):
    """How far each side of the touch reached since the receiver's last step, in whole ticks."""

    bid_low: int
    bid_high: int
    ask_low: int
    ask_high: int


class Quote(msgspec.Struct, frozen=True, gc=False):
    """The touch of one symbol less our own resting quantity (law 9), in whole ticks.

    `high2` and `low2` bound twice the mid (bid + ask) since the receiver's last step, so that conflation hides no
    extreme. `ts` is the venue's engine time of the frame in ms, `received` this host's Unix ms; quantities are
    decimals. `touches` is there for who follows a side of the touch (`Market.subscribe`).
    """

    bid: int
    ask: int
    bid_qty: Decimal
    ask_qty: Decimal
    high2: int
    low2: int
    ts: int
    received: int
    update_id: int = 0
    touches: Touches | None = None

    @property
    def mid2(self) -> int:
        """Twice the mid, in ticks: exact where the mid is half a tick."""
        return self.bid + self.ask
