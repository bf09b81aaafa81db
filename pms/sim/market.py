"""One symbol of the exchange: its book, tape, mark and update ids, and what of them changed since it was last told.

Owns the numbering of changes: recorded ids are kept while they rise, our own changes take the next free ones, and
after a restart or a loop of the recording all ids are shifted so that none goes backwards (binance.md 6.3).
Refuses to know accounts.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal

import msgspec

from pms.sim.book import Book, Levels
from pms.sim.journal import SymbolRecord
from pms.sim.model import DepthDiff, DepthSnapshot, Mark, Print, Rules, Touch
from pms.sim.outbox import Outbox
from pms.sim.tape import MINUTE_MS, RECENT_KLINES, Tape
from pms.sim.views import Kline

TRADE_ID_BLOCK = 100_000  # ids reserved per journal line: an hour of a quiet tape, a minute of the wildest
UPDATE_ID_BLOCK = 50_000_000  # recorded ids rise by about 60 000 a second: one line in a quarter of an hour
CHECKPOINT_MS = 5_000  # a last price after SIGKILL is at most this old, unless a fill wrote a newer one
_ZERO = Decimal(0)


class Market:
    """State of one symbol. Everything it changes is told through the outbox by `tell`, once per operation."""

    def __init__(self, rules: Rules, outbox: Outbox) -> None:
        self.rules = rules
        self.symbol = rules.symbol
        self.book = Book()
        self.tape = Tape(rules.symbol)
        self.mark: Mark | None = None
        self.mark_candles: deque[Kline] = deque(maxlen=RECENT_KLINES)
        self.depth_id = 0  # last id of a told depth change
        self.newest_id = 0  # highest id of any change, touches included
        self._fed_id = 0  # the feed's own newest id (shifted): ours may have run ahead of it
        self.engine_time = 0  # of the newest depth change: the feed's time, or ours for what we caused
        self._touch_time = 0
        self.told_touch = Touch(rules.symbol, 0, _ZERO, _ZERO, _ZERO, _ZERO)
        self._outbox = outbox
        self._loaded = False
        self._shift = 0
        self._feed_change: tuple[Levels, Levels, int, int] | None = None
        self._reserved = (0, 0)
        self._checked_at = 0

    def mark_price(self) -> Decimal:
        """The mark; before the feed gave one, the last price, then the mid; 0 when nothing is known."""
        if self.mark is not None:
            return self.mark.mark
        if self.tape.last_price:
            return self.tape.last_price
        bid, _, ask, _ = self.book.top()
        return (bid + ask) / 2 if bid and ask else _ZERO

    # --- the feed -----------------------------------------------------------------------------------

    def take_mark(self, mark: Mark) -> None:
        """Another mark price; its one-minute candles have no volume."""
        self.mark = mark
        price, opened = mark.mark, mark.time - mark.time % MINUTE_MS
        if self.mark_candles and self.mark_candles[-1].open_time >= opened:
            last = self.mark_candles.pop()
            high, low = max(last.high, price), min(last.low, price)
            self.mark_candles.append(msgspec.structs.replace(last, high=high, low=low, close=price))
        else:
            closes, nil = opened + MINUTE_MS - 1, _ZERO
            self.mark_candles.append(Kline(opened, price, price, price, price, nil, closes, nil, 0, nil, nil, 0, 0))

    def take_snapshot(self, snapshot: DepthSnapshot) -> None:
        """Replace the external book."""
        self._rebase(snapshot.last_id, self.depth_id > snapshot.last_id > 0)
        first, last = self._number(snapshot.last_id, snapshot.last_id, 1)
        book = self.book
        gone = [
            [(price, _ZERO) for price in ladder.external if price not in new]
            for ladder, new in ((book.bids, dict(snapshot.bids)), (book.asks, dict(snapshot.asks)))
        ]
        book.bids.replace(snapshot.bids, not self._loaded)
        book.asks.replace(snapshot.asks, not self._loaded)
        book.touch = None
        self._fed_id = snapshot.last_id + self._shift if snapshot.last_id else last
        self._loaded = True
        self.engine_time = snapshot.time
        self._feed_change = ((*gone[0], *snapshot.bids), (*gone[1], *snapshot.asks), first, last)

    def take_diff(self, diff: DepthDiff) -> None:
        """Set external levels."""
        self._rebase(diff.first_id, not self._loaded and self.depth_id >= diff.first_id > 0)
        first, last = self._number(diff.first_id, diff.last_id, len(diff.bids) + len(diff.asks))
        fed = diff.last_id + self._shift if diff.last_id else last
        touch = self.book.touch
        bids, asks = self.book.apply(diff.bids, diff.asks, touch is None or fed >= touch.update_id)
        self._fed_id = max(self._fed_id, fed)
        self._loaded = True
        self.engine_time = diff.time
        self._feed_change = (bids, asks, first, last)

    def take_touch(self, touch: Touch) -> None:
        """A best bid and ask between depth changes; one that is older than the levels says nothing new."""
        fed = touch.update_id + self._shift if touch.update_id else self.newest_id + 1
        known = self.book.touch
        if not self._loaded or fed <= self._fed_id or (known is not None and fed <= known.update_id):
            return
        self.newest_id = max(self.newest_id + 1, fed)
        self._touch_time = touch.time
        self.book.set_touch(Touch(self.symbol, touch.time, touch.bid, touch.bid_qty, touch.ask, touch.ask_qty, fed))

    def print(self, price: Decimal, quantity: Decimal, buyer_is_maker: bool, time: int, recorded_id: int = 0) -> Print:
        """Put one trade on the tape."""
        trade, closed = self.tape.add(price, quantity, buyer_is_maker, time, recorded_id)
        if closed is not None:
            self._outbox.aggregated(closed)
        self._outbox.printed(trade)
        return trade

    # --- telling ------------------------------------------------------------------------------------

    def tell(self, now: int) -> None:
        """Hand the changed levels and the changed touch of this operation to the outbox."""
        book, fed = self.book, self._feed_change
        own = bool(book.bids.changed or book.asks.changed)
        if fed is None and not own:
            self._tell_touch(self._touch_time, self.newest_id)
            return
        self._feed_change = None
        bids, asks, first, last = fed if fed is not None else ((), (), self.newest_id + 1, self.newest_id + 1)
        if own or book.has_own:
            bids = tuple((price, book.bids.total(price)) for price in sorted({*dict(bids), *book.bids.changed}))
            asks = tuple((price, book.asks.total(price)) for price in sorted({*dict(asks), *book.asks.changed}))
            book.bids.changed.clear()
            book.asks.changed.clear()
        if fed is None:
            self.engine_time = now
        previous, self.depth_id = self.depth_id, last
        self.newest_id = max(self.newest_id, last)
        self._outbox.depth_changed(DepthDiff(self.symbol, self.engine_time, bids, asks, first, last, previous))
        self._tell_touch(self.engine_time, last)

    def _tell_touch(self, time: int, update_id: int) -> None:
        top = self.book.top()
        told = self.told_touch
        if top == (told.bid, told.bid_qty, told.ask, told.ask_qty):
            return
        self.told_touch = Touch(self.symbol, time, *top, max(update_id, told.update_id))
        self._outbox.touch_changed(self.told_touch)

    # --- ids ----------------------------------------------------------------------------------------

    def _rebase(self, first: int, backwards: bool) -> None:
        if first and backwards:
            self._shift = self.newest_id + 2 - first

    def _number(self, first: int, last: int, size: int) -> tuple[int, int]:
        if not last:  # a synthetic feed: a gap of one, as the venue's counter is shared by all symbols
            first = self.newest_id + 2
            return first, first + max(size, 1) - 1
        return max(first + self._shift, self.depth_id + 1), max(last + self._shift, self.depth_id + 1)

    # --- durability ---------------------------------------------------------------------------------

    def checkpoint(self, now: int, force: bool) -> SymbolRecord | None:
        """What to journal: when a fill asks for it, when reserved ids run out, and now and then for the last price."""
        trade_id, update_id = self._reserved
        short = self.tape.trade_id >= trade_id or self.newest_id >= update_id
        if not (force or short or now - self._checked_at >= CHECKPOINT_MS):
            return None
        if short:
            self._reserved = (self.tape.trade_id + TRADE_ID_BLOCK, self.newest_id + UPDATE_ID_BLOCK)
        self._checked_at = now
        return SymbolRecord(self.symbol, self.tape.last_price, *self._reserved)

    def restore(self, record: SymbolRecord) -> None:
        """Go on above every id that may have been shown."""
        self.tape.last_price = record.last_price
        self.tape.trade_id = record.trade_id
        self.tape.agg_id = record.trade_id  # at most as many aggregates as trades were shown
        self.depth_id = self.newest_id = record.update_id
        self._reserved = (record.trade_id, record.update_id)
