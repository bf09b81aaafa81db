"""The venue's voice: turns what the exchange tells into frames for whoever listens (binance.md 6 and 7).

Owns the pushes by time (depth windows, mark prices, candles) and the observer's side of the exchange. Refuses to know
sockets and REST. Invariants: a frame is made only if someone listens; user events go only to active listen keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from pms.sim import candles, frames
from pms.sim.hub import Hub
from pms.sim.listenkeys import ListenKeys
from pms.sim.model import DepthDiff, Mark, Print, Rules, Touch
from pms.sim.names import ALL, KLINE_INTERVALS, Stream
from pms.sim.views import AggTrade, Depth, Kline
from pms.sim.windows import Windows

KLINE_PUSH_MS = 250  # a running candle is pushed at most this often
MARK_PUSH_MS = 1_000


class Reads(msgspec.Struct, frozen=True):
    """What the streams read from the exchange: the book, a symbol's mark, one-minute candles from a time on."""

    book: Callable[[str, int], Depth]
    mark: Callable[[str], Mark]
    candles: Callable[[str, int], list[Kline]]


class Streams:
    """Hears the exchange (`exchange.Observer`) and the clock."""

    def __init__(self, hub: Hub, keys: ListenKeys, rules: Mapping[str, Rules], now: Callable[[], int]) -> None:
        self._hub = hub
        self._keys = keys
        self._rules = rules
        self._now = now
        self._reads: Reads | None = None
        self._windows: Windows | None = None
        self._mark_at = now() // MARK_PUSH_MS
        self._candle_at = now() // KLINE_PUSH_MS
        self._stirred: set[str] = set()  # symbols with prints since the last candle push
        self._shown: dict[str, int] = {}  # stream name -> open time of the running candle last pushed

    def connect(self, reads: Reads) -> None:
        """Give the streams their exchange, which was made after them as it must be told its observer."""
        self._reads = reads
        self._windows = Windows(self._hub, self._rules, reads.book)

    # --- the exchange's observer ------------------------------------------------------------------

    def user_event(self, account: str, event: dict[str, object]) -> None:
        """Send an account's event to the listeners of its active key."""
        key = self._keys.key_of(account)
        if key is not None:
            self._hub.tell(key, str(event["e"]), msgspec.json.encode(event))

    def depth_changed(self, change: DepthDiff) -> None:
        """Gather a book change into its windows."""
        assert self._windows is not None  # an exchange says nothing while it is made
        self._windows.changed(change, self._now())

    def touch_changed(self, touch: Touch) -> None:
        """Push a new best price or size at once."""
        wanted = (*self._hub.wanted("bookTicker", touch.symbol), *self._hub.wanted("bookTicker", ALL))
        if wanted:
            self._publish(wanted, frames.book_ticker(self._rules[touch.symbol], touch, self._now()))

    def printed(self, trade: Print) -> None:
        """Push a trade at once; its candle follows in its time."""
        self._stirred.add(trade.symbol)
        if wanted := self._hub.wanted("trade", trade.symbol):
            self._publish(wanted, frames.trade(self._rules[trade.symbol], trade, self._now()))

    def aggregated(self, trade: AggTrade) -> None:
        """Push a closed aggregate trade."""
        if wanted := self._hub.wanted("aggTrade", trade.symbol):
            self._publish(wanted, frames.agg_trade(self._rules[trade.symbol], trade, self._now()))

    def marked(self, mark: Mark) -> None:
        """Nothing at once: marks are pushed by the clock, each second or third second, from the newest."""

    # --- the clock --------------------------------------------------------------------------------

    def flush(self, now: int) -> None:
        """Send the depth frames that are due; called after everything that may change a book."""
        assert self._windows is not None  # connected before anything is served
        self._windows.flush(now)

    def tick(self, now: int) -> None:
        """Do what the clock asks for: depth frames, marks, candles, ends of listen keys."""
        self.flush(now)
        if now // MARK_PUSH_MS != self._mark_at:
            self._mark_at = now // MARK_PUSH_MS
            self._push_marks(now)
        if now // KLINE_PUSH_MS != self._candle_at:
            self._candle_at = now // KLINE_PUSH_MS
            wanted = self._hub.all_wanted("kline")
            self._shown = {stream.name: self._shown[stream.name] for stream in wanted if stream.name in self._shown}
            for stream in wanted:
                self._push_candle(stream, now)
            self._stirred.clear()
        self.expire_keys(now, self._keys.expire(now))

    def expire_keys(self, now: int, ended: list[str]) -> list[str]:
        """Tell the listeners of keys that have just ended, and return them."""
        for key in ended:
            event = {"e": "listenKeyExpired", "E": now, "listenKey": key}
            self._hub.tell(key, "listenKeyExpired", msgspec.json.encode(event))
        return ended

    def next_due(self, now: int) -> int:
        """When `tick` has something to do, at the latest in a candle's push period."""
        assert self._windows is not None  # connected before anything is served
        dues = ((now // KLINE_PUSH_MS + 1) * KLINE_PUSH_MS, self._keys.next_due(), self._windows.next_due(now))
        return min(due for due in dues if due is not None)

    def _push_marks(self, now: int) -> None:
        assert self._reads is not None  # connected before the first tick
        second = self._mark_at * MARK_PUSH_MS
        for stream in self._hub.all_wanted("markPrice"):
            if second % stream.period_ms:
                continue
            if stream.symbol == ALL:
                marks = [frames.mark_price(self._reads.mark(symbol), now) for symbol in self._rules]
                self._hub.publish(stream.name, b"[%s]" % b",".join(marks))
            elif stream.symbol in self._rules:
                self._hub.publish(stream.name, frames.mark_price(self._reads.mark(stream.symbol), now))

    def _push_candle(self, stream: Stream, now: int) -> None:
        """Push the running candle if it moved, and before it the closed one that it follows."""
        if stream.symbol not in self._rules:
            return
        length = KLINE_INTERVALS[stream.interval]
        opened = now - now % length
        shown = self._shown.get(stream.name, opened)
        if shown != opened:
            self._show(stream, shown, True, now)
        if shown != opened or stream.symbol in self._stirred:
            self._show(stream, opened, False, now)
            self._shown[stream.name] = opened

    def _show(self, stream: Stream, opened: int, closed: bool, now: int) -> None:
        assert self._reads is not None  # connected before the first tick
        length = KLINE_INTERVALS[stream.interval]
        minutes = [c for c in self._reads.candles(stream.symbol, opened) if c.open_time < opened + length]
        candle = candles.merged(minutes, opened, length)
        if candle is not None:
            frame = frames.kline(self._rules[stream.symbol], stream.interval, candle, closed, now)
            self._hub.publish(stream.name, frame)

    def _publish(self, streams: tuple[Stream, ...], frame: bytes) -> None:
        for stream in streams:
            self._hub.publish(stream.name, frame)
