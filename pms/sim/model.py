"""Values that the simulator's parts hand each other: instruments, orders, trades, refusals and feed events.

Owns the shapes only. Refuses to know HTTP, sockets, files and time sources.
Prices, quantities and money are `Decimal`; times are integer Unix milliseconds of the venue's own clock.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

Side = Literal["BUY", "SELL"]
PositionSide = Literal["BOTH", "LONG", "SHORT"]
TimeInForce = Literal["GTC", "IOC", "FOK", "GTX", "GTD"]


class VenueError(Exception):
    """A refusal in the venue's own words (binance.md section 5): HTTP status, code and message."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message
        self.status = status


class Rules(msgspec.Struct, frozen=True):
    """One symbol's filters, read once from its `exchangeInfo` row (binance.md 3.2)."""

    symbol: str
    base: str
    quote: str
    tick: Decimal
    min_price: Decimal
    max_price: Decimal
    step: Decimal
    min_qty: Decimal
    max_qty: Decimal
    market_min_qty: Decimal
    market_max_qty: Decimal
    market_step: Decimal
    min_notional: Decimal
    multiplier_up: Decimal
    multiplier_down: Decimal
    market_take_bound: Decimal
    max_orders: int
    price_precision: int
    quantity_precision: int
    status: str = "TRADING"


class NewOrder(msgspec.Struct, frozen=True):
    """A decoded `POST /fapi/v1/order` (binance.md 3.3). Parameters were checked for form, not for filters."""

    symbol: str
    side: Side
    type: Literal["LIMIT", "MARKET"]
    quantity: Decimal
    client_id: str
    price: Decimal = Decimal(0)
    time_in_force: TimeInForce = "GTC"
    reduce_only: bool = False
    stp: Literal["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"] = "EXPIRE_MAKER"
    price_match: str = "NONE"
    position_side: PositionSide = "BOTH"
    good_till: int = 0  # Unix ms, whole seconds; only with GTD


class Order(msgspec.Struct):
    """One order of one account. Mutated by the exchange core only; a terminal status never changes."""

    order_id: int
    account: str
    symbol: str
    side: Side
    type: Literal["LIMIT", "MARKET"]
    time_in_force: TimeInForce
    client_id: str
    price: Decimal
    quantity: Decimal
    reduce_only: bool
    stp: str
    price_match: str
    created_at: int
    updated_at: int
    status: Literal["NEW", "PARTIALLY_FILLED", "FILLED", "CANCELED", "EXPIRED", "EXPIRED_IN_MATCH"] = "NEW"
    filled: Decimal = Decimal(0)
    quote_filled: Decimal = Decimal(0)
    amendments: int = 0
    good_till: int = 0

    @property
    def is_open(self) -> bool:
        return self.status in ("NEW", "PARTIALLY_FILLED")

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.filled

    @property
    def average(self) -> Decimal:
        return self.quote_filled / self.filled if self.filled else Decimal(0)


class Trade(msgspec.Struct, frozen=True):
    """One execution of one account's order (a `userTrades` row, binance.md 3.3). `trade_id` is unique per symbol."""

    trade_id: int
    order_id: int
    account: str
    symbol: str
    side: Side
    price: Decimal
    quantity: Decimal
    commission: Decimal
    commission_asset: str
    realized: Decimal
    maker: bool
    time: int


# --- what a feed tells the exchange -------------------------------------------------------------


class DepthDiff(msgspec.Struct, frozen=True, tag="depth"):
    """Absolute quantities of the *external* liquidity at price levels; a quantity of 0 removes the level.

    A replay carries the recorded ids; a synthetic feed leaves them 0 and the exchange numbers the change itself.
    """

    symbol: str
    time: int
    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]
    first_id: int = 0
    last_id: int = 0
    prev_id: int = 0


class DepthSnapshot(msgspec.Struct, frozen=True, tag="snapshot"):
    """The whole external book at one update id; replaces what was there."""

    symbol: str
    time: int
    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]
    last_id: int = 0


class Touch(msgspec.Struct, frozen=True, tag="touch"):
    """A recorded best bid/ask between depth frames (bookTicker), with its update id."""

    symbol: str
    time: int
    bid: Decimal
    bid_qty: Decimal
    ask: Decimal
    ask_qty: Decimal
    update_id: int = 0


class Print(msgspec.Struct, frozen=True, tag="trade"):
    """A trade between others on the tape. It fills our resting orders by price-time priority and queue position."""

    symbol: str
    time: int
    price: Decimal
    quantity: Decimal
    buyer_is_maker: bool
    trade_id: int = 0


class Mark(msgspec.Struct, frozen=True, tag="mark"):
    """Mark and index price, with the funding rate and the time of the next funding."""

    symbol: str
    time: int
    mark: Decimal
    index: Decimal
    funding_rate: Decimal = Decimal("0.0001")
    next_funding: int = 0


FeedEvent = DepthDiff | DepthSnapshot | Touch | Print | Mark
