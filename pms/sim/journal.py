"""What the exchange must not forget, and where it is written.

Each line is one whole operation: the new absolute state of everything it changed. Reading the lines in order and
keeping the newest record of each key gives the state back, so a line is atomic and replaying one twice is harmless.
This module holds the simulator's only file I/O; the exchange sees the `Journal` protocol.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Protocol

import msgspec

from pms.sim.model import Order, Trade


class OrderRecord(msgspec.Struct, frozen=True, tag="order"):
    """The newest state of one order, keyed by order id."""

    order: Order


class TradeRecord(msgspec.Struct, frozen=True, tag="trade"):
    """One fill, keyed by symbol, trade id and order id."""

    trade: Trade


class PositionRecord(msgspec.Struct, frozen=True, tag="position"):
    """An account's row of one symbol, its settings included. Keyed by account and symbol."""

    account: str
    symbol: str
    amount: Decimal
    entry: Decimal
    realized: Decimal
    open_result: Decimal
    leverage: int
    isolated: bool
    updated_at: int


class WalletRecord(msgspec.Struct, frozen=True, tag="wallet"):
    """An account's wallet. Keyed by account."""

    account: str
    start: Decimal
    wallet: Decimal
    updated_at: int


class SymbolRecord(msgspec.Struct, frozen=True, tag="symbol"):
    """A symbol's ids and last price. Ids up to the reserved ones may have been shown: a restart goes on above them."""

    symbol: str
    last_price: Decimal
    trade_id: int
    agg_id: int
    update_id: int


Record = OrderRecord | TradeRecord | PositionRecord | WalletRecord | SymbolRecord


class Journal(Protocol):
    """Durable storage of records."""

    def load(self) -> Iterable[Record]:
        """All records, oldest first. A torn last line is dropped."""
        ...

    def write(self, records: Sequence[Record]) -> None:
        """Make one operation durable against SIGKILL before returning."""
        ...
