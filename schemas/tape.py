"""What `pms:stream:market` holds: one entry per second and symbol in use, and the book at each parent's arrival.

It is for looking back (reports, charts): no state hangs on it, and where Redis was away a stretch is missing. Each
entry's field `market` is one of these as JSON.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from schemas.codec import VERSION
from schemas.market import ZERO, Side

FIELD = "market"
Level = tuple[Decimal, Decimal]


class _Entry(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    v: int = VERSION
    symbol: str
    ts: int


class Second(_Entry, frozen=True, kw_only=True, tag_field="type", tag="second"):
    """The second that ends at `ts`: the touch at its end, less our own orders, and what was traded in it (counted as
    the venue aggregates it, by taker order and price). `buy_quantity` is what takers bought. Prices are 0 where there
    was no fresh touch or no trade."""

    bid: Decimal = ZERO
    ask: Decimal = ZERO
    bid_qty: Decimal = ZERO
    ask_qty: Decimal = ZERO
    trades: int = 0
    buy_quantity: Decimal = ZERO
    sell_quantity: Decimal = ZERO
    notional: Decimal = ZERO
    high: Decimal = ZERO
    low: Decimal = ZERO
    last: Decimal = ZERO


class Arrival(_Entry, frozen=True, kw_only=True, tag_field="type", tag="arrival"):
    """The book when a parent order arrived: 50 levels of each side, more where only more cover its quantity. Levels are
    (price, quantity), best first; `update_id` is the book's."""

    parent_id: str
    sub_account_id: str
    side: Side
    quantity: Decimal
    update_id: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


Entry = Second | Arrival
