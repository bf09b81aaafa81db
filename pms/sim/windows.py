"""Depth windows: the book's changes of each push period merged into one frame (binance.md 6.2, section 10).

Owns the open windows and the chain of ids. Refuses to know the book behind the changes.
Invariants: windows are aligned to the clock; U and pu come from a window's first change, u and T from its last, and a
level's last quantity wins; every frame's pu is the u of the stream's frame before; both sides ascend by price.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from pms.sim import frames
from pms.sim.hub import Hub
from pms.sim.model import DepthDiff, Rules
from pms.sim.names import Stream
from pms.sim.views import Depth

PARTIAL_KINDS_LIMIT = 20  # the deepest partial book


class _Window:
    """What one stream has gathered since its last frame."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.sent = 0  # u of the frame before; 0 before the first
        self.due = -1  # when the gathered changes leave; -1 with nothing gathered
        self.first = self.last = self.previous = self.time = 0
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}

    def add(self, change: DepthDiff) -> None:
        if self.due < 0:
            period = self.stream.period_ms
            self.due = (change.time // period + 1) * period if period else change.time
            self.first, self.previous = change.first_id, self.sent or change.prev_id
        self.last, self.time = change.last_id, change.time
        if self.stream.kind == "depth":  # a partial book is read whole when it leaves
            self.bids.update(change.bids)
            self.asks.update(change.asks)

    def take(self) -> frames.Ids:
        """The gathered ids; the window starts again."""
        ids = frames.Ids(self.first, self.last, self.previous, self.time)
        self.sent, self.due = self.last, -1
        return ids


class Windows:
    """All depth streams that someone listens to."""

    def __init__(self, hub: Hub, rules: Mapping[str, Rules], book: Callable[[str, int], Depth]) -> None:
        self._hub = hub
        self._rules = rules
        self._book = book
        self._windows: dict[str, dict[str, _Window]] = {}

    def changed(self, change: DepthDiff, now: int) -> None:
        """Gather one change. A window that this change lies beyond leaves first, however late the clock's tick is."""
        symbol = change.symbol
        wanted = (*self._hub.wanted("depth", symbol), *self._hub.wanted("partial", symbol))
        windows = self._windows.setdefault(symbol, {})
        for stream in wanted:
            if stream.name not in windows:
                windows[stream.name] = _Window(stream)
        for window in windows.values():
            if 0 <= window.due <= change.time and window.stream.period_ms:
                self._push(window, now)
            window.add(change)

    def flush(self, now: int) -> None:
        """Send what is due; a stream that nobody listens to any more is forgotten."""
        for symbol, windows in self._windows.items():
            for window in [window for window in windows.values() if 0 <= window.due <= now]:
                if self._hub.heard(window.stream.name):
                    self._push(window, now)
                else:
                    del self._windows[symbol][window.stream.name]

    def next_due(self, now: int) -> int | None:
        """The next aligned push time of any open window, whether something is gathered yet or not."""
        periods = {window.stream.period_ms for windows in self._windows.values() for window in windows.values()}
        return min(((now // period + 1) * period for period in periods if period), default=None)

    def _push(self, window: _Window, now: int) -> None:
        stream = window.stream
        rules = self._rules[stream.symbol]
        ids = window.take()
        if stream.kind == "depth":
            frame = frames.depth(rules, ids, now, sorted(window.bids.items()), sorted(window.asks.items()))
            window.bids.clear()
            window.asks.clear()
        else:
            book = self._book(stream.symbol, stream.levels)
            frame = frames.depth(rules, ids, now, reversed(book.bids), book.asks)
        self._hub.publish(stream.name, frame)
