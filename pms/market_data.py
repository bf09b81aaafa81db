"""The venue's public data as a port. No venue's own words in here: an adapter (`pms.binance`) maps them.

Frames carry floats exactly as decoded: opaque keys that are made exact at the touch (`pms.core.grid`), never money.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

import msgspec

from schemas.market import Side


class Snapshot(msgspec.Struct, frozen=True):
    """A depth snapshot: levels best first as (price, quantity) floats exactly as decoded, and the update id it stands
    for."""

    last_id: int
    bids: list[tuple[float, float]]
    asks: list[tuple[float, float]]
    time: int


class DepthFrame(msgspec.Struct, frozen=True, gc=False):
    """One depth change as the wire gives it. Levels are (price, quantity) floats: opaque keys that are converted
    exactly at the touch (`pms.core.book`), never used for money."""

    symbol: str
    first_id: int
    last_id: int
    prev_id: int
    time: int
    bids: list[tuple[float, float]]
    asks: list[tuple[float, float]]


class TouchFrame(msgspec.Struct, frozen=True, gc=False):
    """The best bid and ask at one update id, told between depth frames; floats as in `DepthFrame`."""

    symbol: str
    update_id: int
    bid: float
    bid_qty: float
    ask: float
    ask_qty: float
    time: int


class MarketSink(Protocol):
    """Where market data goes. Plain calls on the hot path."""

    def on_depth(self, frame: DepthFrame) -> None: ...

    def on_touch(self, frame: TouchFrame) -> None: ...

    def on_mark(self, symbol: str, price: Decimal, time: int) -> None: ...

    def on_trade(self, symbol: str, price: Decimal, quantity: Decimal, taker: Side, time: int) -> None:
        """A trade of whomsoever: a taker of that side, at one price. A slow feed (binance.md 6.2): nothing is decided
        by it."""
        ...

    def on_stream_lost(self, symbol: str, reason: str) -> None:
        """Nothing of this symbol may be trusted until the next snapshot."""
        ...


class MarketData(Protocol):
    """The venue's public streams."""

    async def watch(self, symbol: str) -> None:
        """Ask for depth, touch and mark price of a symbol, which goes on through every reconnect until `unwatch`."""
        ...

    async def unwatch(self, symbol: str) -> None: ...

    async def renew(self, symbol: str) -> None:
        """Subscribe a watched symbol anew: its streams are acknowledged and say nothing that joins."""
        ...

    async def snapshot(self, symbol: str) -> Snapshot:
        """Raises `Unavailable`."""
        ...

    def start(self, sink: MarketSink) -> None: ...

    async def close(self) -> None: ...
