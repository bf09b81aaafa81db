"""The local order book of one symbol: a pure state machine over depth frames, a snapshot and tickers (binance.md 6.3).

Owns the levels, the chain of update ids and the touch. Refuses to know sockets, clocks and who reads the touch.
Invariants: a touch is told only while the book is live, that is, joined to the stream at a snapshot with every
later frame's `prev_id` the `last_id` before it; bid < ask; memory is bounded whatever the stream sends.

Levels are keyed by the floats that the decoder made (equal texts give equal doubles, so they are exact keys) and
become ticks and decimals only at the touch, and only when it changed (`pms.core.grid`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from decimal import Decimal
from enum import Enum
from heapq import heapify, heappop, heappush, nsmallest

from pms.core.grid import Grid
from pms.core.own import OwnOrders
from pms.market_data import DepthFrame, Snapshot, TouchFrame
from schemas.market import ZERO, Quote, Side

BUFFER_MAX = 600  # frames held while a snapshot is fetched: a minute at 10/s; what falls out makes the snapshot too old
LEVELS_MAX = 20_000  # a side's levels; four times what a busy major gathers in an hour
LEVELS_KEPT = 10_000  # the nearest that stay when there are more
HEAP_SLACK = 1_024  # dead heap entries beyond the live ones before they are swept

Levels = tuple[tuple[Decimal, Decimal], ...]  # price and quantity, best first
Touch = tuple[float, float, float, float]  # bid, its quantity, ask, its quantity, as decoded


class Verdict(Enum):
    """What became of an offered frame."""

    APPLIED = "applied"  # the book is live and has it
    HELD = "held"  # kept or dropped by the joining rule; nothing to read yet
    GAP = "gap"  # something was missed: the book is thrown away, a new snapshot is needed


class Book:
    """`offer` every frame, `anchor` at a snapshot, read `quote`."""

    def __init__(self, tick: Decimal, step: Decimal) -> None:
        self._grid = Grid(tick, step)
        self._bids = _Ladder(-1.0)
        self._asks = _Ladder(1.0)
        self._held: deque[DepthFrame] = deque(maxlen=BUFFER_MAX)
        self._anchored = False
        self.told: TouchFrame | None = None  # the ticker that is newer than the last frame
        self._raw: Touch | None = None  # what `_quote` was made of; None where own orders took part
        self._seen: tuple[int, int, int] | None = None  # what `_quote` was made of where own orders took part
        self._quote: Quote | None = None
        self.live = False
        self.crossed = False
        self.last_id = self.newest_id = 0  # of frames, and of tickers as well
        self.time = 0

    @property
    def heard(self) -> bool:
        """Whether a frame came since the last `reset`: only then is a snapshot worth its weight (6.3, step 2)."""
        return self.live or bool(self._held)

    def reset(self) -> None:
        """Throw the book away; frames are held again from now on."""
        self.live = self._anchored = self.crossed = False
        self._held.clear()
        self.told = self._quote = self._raw = self._seen = None

    def offer(self, frame: DepthFrame) -> Verdict:
        """Take the next depth frame of the stream."""
        follows = frame.prev_id == self.last_id
        if self.live:
            if not follows:
                if frame.last_id <= self.last_id and frame.time <= self.time:
                    return Verdict.HELD  # told before: of what came since nothing is missing
                return self._gap(frame)
        elif not self._anchored:
            self._held.append(frame)
            return Verdict.HELD
        elif frame.last_id < self.last_id:
            return Verdict.HELD
        elif not follows and frame.first_id > self.last_id:
            # it joins where U <= L <= u; or as the one after the frame that ended at L, which on a still market is the
            # first to come
            return self._gap(frame)
        self.live = True
        self.last_id = frame.last_id
        self.time = frame.time
        if self.newest_id <= frame.last_id:
            self.newest_id, self.told = frame.last_id, None
        self._bids.apply(frame.bids)
        self._asks.apply(frame.asks)
        return Verdict.APPLIED

    def _gap(self, frame: DepthFrame) -> Verdict:
        self.reset()
        self._held.append(frame)
        return Verdict.GAP

    def anchor(self, snapshot: Snapshot) -> bool:
        """Take a snapshot and replay what was held. False: it is older than what was held, fetch another.

        A snapshot that shows the id the book already stands at proves that nothing was missed: the book is live.
        """
        if self.last_id == snapshot.last_id and (self.live or self._anchored):
            self.live = True
            return True
        if self.live and self.last_id > snapshot.last_id:
            return True  # frames have overtaken it
        held = tuple(self._held)
        self.reset()
        self._bids.load(snapshot.bids)
        self._asks.load(snapshot.asks)
        self.last_id = self.newest_id = snapshot.last_id
        self.time, self._anchored = snapshot.time, True
        joined = [self.offer(frame) for frame in held]
        return Verdict.GAP not in joined

    def ticker(self, frame: TouchFrame) -> bool:
        """Take a best bid and ask, which hide better levels until a frame has them. False: not newer than the book."""
        if frame.update_id <= self.newest_id or not self.live:
            return False
        self.newest_id = frame.update_id
        self.told = frame
        return True

    def mid2(self, sum_of_touch: float) -> int:
        """What `Quote.mid2` is for a bid and an ask as decoded that sum to this."""
        return self._grid.mid2(sum_of_touch)

    def quote(self, own: OwnOrders, now: Callable[[], int]) -> Quote | None:
        """The touch less our own orders (law 9); the same object as before where it has not changed.

        None: not live, one-sided, or crossed (then `crossed` is set). `now` gives this host's Unix ms; asked where the
        touch is another.
        """
        if not self.live:
            return None
        if own.places:
            seen = (self.last_id, self.newest_id, own.version)
            if seen != self._seen:  # asked several times a frame, and what is left of the touch takes a walk
                if own.ended:
                    own.forget(self.time)
                self._seen = (self.last_id, self.newest_id, own.version)
                self._quote = self._quote_less(own, now)
            return self._quote
        self._seen = None
        touch = self.touch()
        if touch is None:
            self._raw = self._quote = None
        elif touch != self._raw:
            self._raw = touch
            self._quote = self._made(*self._grid.touch(*touch), now)
        return self._quote

    def depth(self, least: int, quantity: Decimal) -> tuple[Levels, Levels]:
        """Bids and asks, best first, as exact (price, quantity): `least` levels, more until they cover `quantity`."""
        price, exact = self._grid.price, self._grid.quantity

        def side(ladder: _Ladder) -> Levels:
            found: list[tuple[Decimal, Decimal]] = []
            covered = ZERO
            for level in ladder.ordered():
                if len(found) >= least and covered >= quantity:
                    break
                size = exact(ladder.levels[level])
                found.append((price(level), size))
                covered += size
            return tuple(found)

        return side(self._bids), side(self._asks)

    def touch(self) -> Touch | None:
        """The touch as decoded, our own orders included: a cheap sign of change. None where a side is empty."""
        if (told := self.told) is not None:
            return (told.bid, told.bid_qty, told.ask, told.ask_qty) if told.bid_qty and told.ask_qty else None
        bid, ask = self._bids.best, self._asks.best
        if bid is None or ask is None:
            return None
        return bid, self._bids.levels[bid], ask, self._asks.levels[ask]

    def _quote_less(self, own: OwnOrders, now: Callable[[], int]) -> Quote | None:
        self._raw = None
        touch, told, old = self.touch(), self.told, self._quote
        if touch is None:
            return None
        bid, bid_qty, ask, ask_qty = self._grid.touch(*touch)
        time = self.time if told is None else told.time
        if (Side.BUY, bid) in own.places:
            bid_qty -= own.quantity_at(Side.BUY, bid, time)
        if (Side.SELL, ask) in own.places:
            ask_qty -= own.quantity_at(Side.SELL, ask, time)
        if bid_qty <= 0 or ask_qty <= 0:  # a level that is only ours
            if told is not None and old is not None:
                return old  # what stands behind ours is known with the next frame, which our own order's change brings
            free_bid = (bid, bid_qty) if bid_qty > 0 else self._behind(Side.BUY, touch[0], own)
            free_ask = (ask, ask_qty) if ask_qty > 0 else self._behind(Side.SELL, touch[2], own)
            if free_bid is None or free_ask is None:
                return None
            (bid, bid_qty), (ask, ask_qty) = free_bid, free_ask
        if old is not None and old.bid == bid and old.ask == ask and old.bid_qty == bid_qty and old.ask_qty == ask_qty:
            return old
        return self._made(bid, bid_qty, ask, ask_qty, now)

    def _behind(self, side: Side, best: float, own: OwnOrders) -> tuple[int, Decimal] | None:
        """The next level of a side behind its `best` that is not only ours, with what is not ours of it."""
        grid = self._grid
        ladder, ticks_of = (self._bids, grid.ticks_down) if side is Side.BUY else (self._asks, grid.ticks_up)

        def left(price: float, quantity: float) -> tuple[int, Decimal] | None:
            if not ladder.worse(price, best):
                return None
            ticks = ticks_of(price)
            others = grid.quantity(quantity) - own.quantity_at(side, ticks, self.time)
            return (ticks, others) if others > 0 else None

        return ladder.first(left)

    def _made(self, bid: int, bid_qty: Decimal, ask: int, ask_qty: Decimal, now: Callable[[], int]) -> Quote | None:
        self.crossed = bid >= ask
        if self.crossed:
            return None
        told = self.told
        time, update_id = (self.time, self.last_id) if told is None else (told.time, told.update_id)
        mid2 = bid + ask
        return Quote(bid, ask, bid_qty, ask_qty, mid2, mid2, time, now(), update_id)


class _Ladder:
    """One side: price -> quantity, with a heap of prices in which dead entries are left until they come to the top.

    `sign` is -1 for bids, so that the heap's smallest is the best. `best` is the best price; None where there is none.
    """

    __slots__ = ("_heap", "_heap_max", "_sign", "best", "levels")

    def __init__(self, sign: float) -> None:
        self._sign = sign
        self._heap: list[float] = []
        self._heap_max = HEAP_SLACK
        self.best: float | None = None
        self.levels: dict[float, float] = {}

    def load(self, levels: Iterable[tuple[float, float]]) -> None:
        self.levels = {price: quantity for price, quantity in levels if quantity}
        self._sweep()

    def apply(self, changes: list[tuple[float, float]]) -> None:
        """Absolute quantities; 0 deletes, and deleting an unknown level is normal (6.3, step 6)."""
        levels, heap, sign = self.levels, self._heap, self._sign
        for price, quantity in changes:
            if quantity:
                if price not in levels:
                    heappush(heap, sign * price)
                levels[price] = quantity
            else:
                levels.pop(price, None)
        if len(heap) > self._heap_max:
            self._sweep()
            return
        while heap and sign * heap[0] not in levels:
            heappop(heap)
        self.best = sign * heap[0] if heap else None

    def ordered(self) -> list[float]:
        """All prices, best first."""
        sign = self._sign
        return [sign * key for key in sorted([sign * price for price in self.levels])]

    def worse(self, price: float, than: float) -> bool:
        return self._sign * price > self._sign * than

    def first(self, accept: Callable[[float, float], tuple[int, Decimal] | None]) -> tuple[int, Decimal] | None:
        """What `accept(price, quantity)` says to the best level to which it says anything, asked best first."""
        heap, levels, sign, passed, answer = self._heap, self.levels, self._sign, [], None
        while heap and answer is None:
            key = heap[0]
            price = sign * key
            if price in levels:
                answer = accept(price, levels[price])
                passed.append(key)
            while heap and heap[0] == key:  # a level that came back after its end is in the heap twice
                heappop(heap)
        for key in passed:
            heappush(heap, key)
        return answer

    def _sweep(self) -> None:
        if len(self.levels) > LEVELS_MAX:
            near = nsmallest(LEVELS_KEPT, (self._sign * price for price in self.levels))
            self.levels = {self._sign * key: self.levels[self._sign * key] for key in near}
        self._heap = [self._sign * price for price in self.levels]
        heapify(self._heap)
        self.best = self._sign * self._heap[0] if self._heap else None
        self._heap_max = 2 * len(self._heap) + HEAP_SLACK
