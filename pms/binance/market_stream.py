"""The venue's public data as the port `venue.MarketData`: depth and touch on some sockets, mark prices on others.

Owns the names of streams and their routes (binance.md 1.2: a stream on the wrong route is acknowledged and stays
silent) and the way of a frame from bytes to sink. Refuses to keep books. Hosts and stream speed are settings.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec
import structlog

from pms.binance import frames, queries
from pms.binance.rest import Rest
from pms.binance.route import Route
from pms.binance.spread import Spread
from pms.binance.transport import Sockets
from pms.clock import Clock
from pms.core.backoff import ConnectBudget
from pms.market_data import DepthFrame, MarketData, MarketSink, Snapshot, TouchFrame
from pms.tasks import Tasks
from pms.venue import Unavailable
from schemas.market import Side

SNAPSHOT_LEVELS = (
    1000  # the most there is, for weight 20; further levels become known when they change (binance.md 6.3)
)
UNCONFIRMED_MS = 250  # a subscription is acknowledged within a round trip

_DEPTH, _TOUCH = frames.DEPTH_HEAD, frames.TOUCH_HEAD
_depth, _touch = frames.depth, frames.touch
_log = structlog.get_logger("pms.binance.market_stream")


class Deaf(MarketSink):
    """The sink until there is one."""

    def on_depth(self, frame: DepthFrame) -> None:
        return

    def on_touch(self, frame: TouchFrame) -> None:
        return

    def on_mark(self, symbol: str, price: Decimal, time: int) -> None:
        return

    def on_trade(self, symbol: str, price: Decimal, quantity: Decimal, taker: Side, time: int) -> None:
        return

    def on_stream_lost(self, symbol: str, reason: str) -> None:
        return


class MarketStream(MarketData):
    """`stream_url` is the stream host without a route; `speed` the depth stream's suffix (`100ms`, `500ms`, `0ms`).
    Without `tickers` the touch is that of the depth frames alone. No more than `most` streams go to one
    socket: of the venue's 1024 so few that two requests subscribe them again, and its loss touches 200 symbols."""

    def __init__(
        self,
        rest: Rest,
        sockets: Sockets,
        stream_url: str,
        clock: Clock,
        tasks: Tasks,
        connects: ConnectBudget,
        speed: str = "100ms",
        tickers: bool = True,
        most: int = 400,
    ) -> None:
        host = stream_url.rstrip("/")
        self._rest = rest
        self._speed = speed
        self._tickers = tickers
        self._sink: MarketSink = Deaf()
        self._on_depth, self._on_touch = self._sink.on_depth, self._sink.on_touch  # bound once: the hot path
        self._unread = 0
        made = (sockets, clock, tasks)

        def public() -> Route:
            return Route(f"{host}/public/ws", False, *made, connects.pace(), self._on_public, self._on_public_lost)

        def market() -> Route:
            return Route(f"{host}/market/ws", True, *made, connects.pace(), self._on_market, lambda *ended: None)

        self._public = Spread(self._public_streams, public, most, tasks)
        self._market = Spread(_market_streams, market, most, tasks)

    def start(self, sink: MarketSink) -> None:
        self._sink, self._on_depth, self._on_touch = sink, sink.on_depth, sink.on_touch

    async def watch(self, symbol: str) -> None:
        """Ask for a symbol's streams. Subscribing goes on by itself, through every reconnect, until `unwatch`."""
        self._public.want(symbol)
        self._market.want(symbol)

    async def renew(self, symbol: str) -> None:
        """Subscribe a watched symbol's public streams anew."""
        self._public.renew(symbol)

    async def unwatch(self, symbol: str) -> None:
        self._public.unwant(symbol)
        self._market.unwant(symbol)

    async def snapshot(self, symbol: str) -> Snapshot:
        """Raises `Unavailable`, at once where the depth stream is not subscribed: nothing could join it."""
        if not self._public.confirmed(symbol):
            raise Unavailable(f"the depth stream of {symbol} is not subscribed now", UNCONFIRMED_MS)
        request = queries.public("/fapi/v1/depth", symbol=symbol, limit=SNAPSHOT_LEVELS)
        return await self._rest.read(request, frames.snapshot)

    async def close(self) -> None:
        await self._public.close()
        await self._market.close()

    def _public_streams(self, symbol: str) -> tuple[str, ...]:
        name = symbol.lower()
        depth = f"{name}@depth@{self._speed}"
        return (depth, f"{name}@bookTicker") if self._tickers else (depth,)

    # --- frames -----------------------------------------------------------------------------------------

    def _on_public(self, route: Route, frame: bytes) -> None:
        try:
            if frame.startswith(_TOUCH):
                self._on_touch(_touch(frame))
                return
            route.frames += 1  # tickers are no proof of life: every symbol has its depth, and they cost
            if frame.startswith(_DEPTH):
                self._on_depth(_depth(frame))
            else:
                self._on_other(route, frame)
        except msgspec.MsgspecError as error:
            self._not_read(frame, error)

    def _on_market(self, route: Route, frame: bytes) -> None:
        route.frames += 1
        try:
            self._on_other(route, frame)
        except msgspec.MsgspecError as error:
            self._not_read(frame, error)

    def _on_other(self, route: Route, frame: bytes) -> None:
        sink = self._sink
        match frames.read(frame):
            case frames.Mark(symbol, price, time):
                sink.on_mark(symbol, price, time)
            case frames.Trade(symbol, price, quantity, time, maker_buys):
                sink.on_trade(symbol, price, quantity, Side.SELL if maker_buys else Side.BUY, time)
            case frames.Reply() as reply:
                route.on_reply(reply)
            case DepthFrame() as depth:
                sink.on_depth(depth)
            case TouchFrame() as touch:
                sink.on_touch(touch)

    def _not_read(self, frame: bytes, error: msgspec.MsgspecError) -> None:
        """Garbage is a hole in the chain, which the book finds. Told at the 1st, 2nd, 4th, 8th … time."""
        self._unread += 1
        if self._unread & (self._unread - 1) == 0:
            _log.warning(
                "frame_not_read", times=self._unread, error=str(error), head=frame[:120].decode("utf-8", "replace")
            )

    def _on_public_lost(self, route: Route, reason: str) -> None:
        for symbol in self._public.symbols(route):
            self._sink.on_stream_lost(symbol, reason)


def _market_streams(symbol: str) -> tuple[str, str]:
    name = symbol.lower()
    return f"{name}@markPrice@1s", f"{name}@aggTrade"
