"""One watched symbol: its book kept joined to the stream, its newest quote, and whether that may be trusted.

Owns the decision between fresh and stale, and the joining by snapshot. Refuses to know the venue's words and who
follows. Invariant: `quote` is there only while the book is live, has two sides and is not crossed, and was heard or
proven within the last seconds (law 5: stale data means hold).

Silence is not yet staleness: on a still market nothing is sent. After `QUIET_S` a snapshot is asked for; the id the
book stands at proves the book, another one proves that the stream is mute. Proofs in a row are asked for less and
less often.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from math import inf

import structlog

from pms.clock import Clock
from pms.core.backoff import full_jitter
from pms.core.book import Book, Touch, Verdict
from pms.core.own import OwnOrders
from pms.fanout import Fanout
from pms.market_data import DepthFrame, MarketData, TouchFrame
from pms.quotes import Mark, conflated, reaching, widened
from pms.tasks import Tasks
from pms.venue import Unavailable
from schemas.market import Instrument, Quote

QUIET_S = 2.0  # the venue itself pauses for 1.4 s at funding (binance.md 9)
PROOF_S = 1.0  # what a proof may take; so a mute stream is stale after 3 s
QUIET_MAX_S = 32.0  # a still market's proofs cost 40 weight a minute then
FIRST_FRAME_S = 1.0  # a snapshot taken before any frame may not join (binance.md 6.3, step 2); ten frame periods
RETRY_BASE_S = 0.25
RETRY_CAP_S = 30.0  # a snapshot of 1000 levels weighs 20 of 2400 a minute
TRIES_BEFORE_RESUBSCRIBING = 3

_APPLIED, _GAP = Verdict.APPLIED, Verdict.GAP
_log = structlog.get_logger("pms.market")


class Line:
    """`on_health(symbol, fresh, reason)` is told each change between fresh and stale."""

    __slots__ = tuple(  # 33 attributes: beyond 30 a dict has no shared keys, and each tick reads a dozen of them
        "_call_soon _chance _clock _closed _data _due _frames _frames_seen _high _low _newest _now_ms _on_health "
        "_passed _proven_at _quiet_s _served _syncing _tasks _touch _wake book fanout fresh idle_since instrument "
        "mark own reason received symbol touched watchers".split()
    )

    def __init__(
        self,
        instrument: Instrument,
        own: OwnOrders,
        data: MarketData,
        clock: Clock,
        tasks: Tasks,
        chance: Callable[[], float],
        on_health: Callable[[str, bool, str], None],
    ) -> None:
        self.instrument = instrument
        self.symbol = instrument.symbol
        self.own = own
        self.book = Book(instrument.tick, instrument.step)
        self.fanout = Fanout(self.symbol, clock, tasks)
        self.touched: set[int] = set()  # receivers that follow one side of the touch
        self.mark: Mark | None = None
        self.reason = "no data yet"
        self.received = 0  # Unix ms when the book was last heard or proven, to a beat
        self.watchers = 0
        self.idle_since = 0.0  # monotonic, while nobody watches
        self._data = data
        self._clock = clock
        self._now_ms = clock.now_ms
        self._tasks = tasks
        self._chance = chance
        self._on_health = on_health
        self._call_soon = asyncio.get_running_loop().call_soon
        self.fresh = False
        self._touch: Touch | None = None  # what the last frame left, as decoded
        self._due = False  # the pump is on its way
        self._high, self._low = -inf, inf  # of bid + ask since the last pump, as decoded
        self._served: Quote | None = None  # by the last pump
        self._newest: Quote | None = None  # where our own orders take part: the last frame's quote,
        self._passed: Quote | None = None  # and all since the last pump
        self._frames = self._frames_seen = 0
        self._proven_at = clock.monotonic()
        self._quiet_s = QUIET_S
        self._wake = asyncio.Event()
        self._syncing = self._closed = False

    # --- the hot path -----------------------------------------------------------------------------------

    def on_depth(self, frame: DepthFrame) -> None:
        self._frames += 1
        verdict = self.book.offer(frame)
        if verdict is _APPLIED:
            self._changed()
        else:
            if verdict is _GAP:
                self._stale("an update was missed")
                self.join()
            self._wake.set()

    def on_touch(self, frame: TouchFrame) -> None:
        """A touch between two frames of a fresh book."""
        if not self.book.ticker(frame):
            return
        bid, ask = frame.bid, frame.ask
        if self.own.places or self.touched or bid <= 0.0 or bid >= ask:
            self._changed()
            return
        self._touch = None
        middle = bid + ask  # a busy symbol has hundreds of these a second
        if middle > self._high:
            self._high = middle
        if middle < self._low:
            self._low = middle
        if not self._due:
            self._schedule()

    def _changed(self) -> None:
        """The book has moved: have the pump run if the touch is another. Numbers are made exact there, once a burst;
        here only where the touch as decoded tells too little: beside our own orders, and for who asks for touches."""
        if not self.own.places and not self.touched:
            touch = self.book.touch()
            if touch == self._touch and self.fresh:
                return
            self._touch = touch
            if touch is None or touch[0] >= touch[2] or not self.fresh:
                self._judge(self.book.quote(self.own, self._now_ms))
            if touch is not None and self.fresh:
                middle = touch[0] + touch[2]
                self._high, self._low = max(self._high, middle), min(self._low, middle)
                self._schedule()
            return
        self._touch = None
        quote = self.book.quote(self.own, self._now_ms)
        if quote is None or not self.fresh:
            self._judge(quote)
        if quote is not self._newest:
            self._newest = quote
            if quote is not None:
                reached = reaching(quote) if self.touched else quote
                self._passed = reached if self._passed is None else conflated(self._passed, reached)
                self._schedule()

    def _schedule(self) -> None:
        """Have the pump run at the end of this turn, once."""
        if not self._due:
            self._due = True
            self._call_soon(self._pump)

    def _pump(self) -> None:
        """The newest quote, with the high and low since the last, to all who follow."""
        high, low, passed = self._high, self._low, self._passed
        self._due = False
        self._high, self._low, self._passed = -inf, inf, None
        if not self.fresh:
            return
        quote = self.book.quote(self.own, self._now_ms)
        if quote is None:
            self._judge(None)
            return
        if high > low:
            quote = widened(quote, self.book.mid2(high), self.book.mid2(low))
        if passed is not quote:
            quote = conflated(passed, quote)
        if quote is not self._served:
            self._served = quote
            self.fanout.serve(quote)

    @property
    def quote(self) -> Quote | None:
        """The newest touch less our own; None while it may not be trusted."""
        return self.book.quote(self.own, self._now_ms) if self.fresh else None

    def _judge(self, quote: Quote | None) -> None:
        """Whether the book has a quote at all."""
        if quote is None:
            if self.book.crossed:
                self.lost("the book is crossed")
            else:
                self._stale("the book has one side only")
        elif not self.fresh:
            self.fresh, self.reason = True, ""
            self._wake.set()
            self._on_health(self.symbol, True, "")

    # --- staleness --------------------------------------------------------------------------------------

    def lost(self, reason: str) -> None:
        """Nothing held may be trusted until the next snapshot."""
        self.book.reset()
        self._stale(reason)
        self.join()

    def changed(self, instrument: Instrument) -> None:
        """The symbol's rules were read again; prices in ticks of another size are other prices."""
        old, self.instrument = self.instrument, instrument
        if (old.tick, old.step) != (instrument.tick, instrument.step):
            self.book = Book(instrument.tick, instrument.step)
            self.lost("the tick or step changed")

    def own_changed(self) -> None:
        """Our own orders changed: what is left of the touch may be another one, though no frame comes."""
        if self.fresh:
            self._touch = None
            self._schedule()

    def beat(self) -> None:
        """Look for silence; called several times a second. Also starts again a joining that has died."""
        now = self._clock.monotonic()
        self.own.forget(self.book.time)
        if self._frames != self._frames_seen:
            self._frames_seen, self._proven_at, self._quiet_s = self._frames, now, QUIET_S
            self.received = self._now_ms()
        silent_s = now - self._proven_at
        if silent_s >= self._quiet_s + PROOF_S and self.fresh:
            self._stale("the depth stream is silent")
        if silent_s >= self._quiet_s or not self.book.live:
            self.join()

    def _stale(self, reason: str) -> None:
        self._newest = self._served = None
        self._high, self._low, self._passed = -inf, inf, None
        if not self.fresh and self.reason == reason:
            return
        self.fresh, self.reason = False, reason
        self._on_health(self.symbol, False, reason)

    # --- joining ----------------------------------------------------------------------------------------

    def close(self) -> None:
        self._closed = True
        self._wake.set()

    def join(self) -> None:
        """See that the book is joined to the stream, or proven. Goes on by itself until it is."""
        if not self._syncing and not self._closed:
            self._syncing = True
            self._tasks.spawn(self._sync(), f"sync-{self.symbol}")

    async def _sync(self) -> None:
        """Fetch snapshots until one joins, or proves the book as it stands."""
        delays = full_jitter(RETRY_BASE_S, RETRY_CAP_S, self._chance)
        try:
            fetched = 0
            while True:
                await self._until(lambda: self.book.heard, FIRST_FRAME_S)
                refused_s = await self._try_once()
                if self.book.live or self._closed:
                    return
                fetched += refused_s is None
                if refused_s is None and fetched % TRIES_BEFORE_RESUBSCRIBING == 0:
                    _log.warning("depth_resubscribed", symbol=self.symbol, reason=self.reason)
                    if not self._closed:
                        await self._data.renew(self.symbol)
                retry_s = max(refused_s or 0.0, next(delays))
                if self.book.heard:
                    await self._clock.sleep(retry_s)
                else:
                    await self._until(lambda: self.book.heard, retry_s)
        finally:
            self._syncing = False

    async def _try_once(self) -> float | None:
        """One snapshot, and a moment for the frame that joins it. Returns the seconds to wait where there was none."""
        try:
            snapshot = await self._data.snapshot(self.symbol)
        except Unavailable as error:
            _log.info("snapshot_unavailable", symbol=self.symbol, reason=str(error))
            return error.retry_ms / 1000
        stood = self.book.live
        anchored = self.book.anchor(snapshot)
        if self.book.live:
            self._proven_at = self._clock.monotonic()
            self._quiet_s = min(self._quiet_s * 2, QUIET_MAX_S) if stood else QUIET_S
            self.received = self._now_ms()
            self._changed()
            return None
        if stood:
            self._stale("the venue moved on and the stream did not tell")
        if anchored:
            await self._until(lambda: self.book.live, FIRST_FRAME_S)
        return None

    async def _until(self, condition: Callable[[], bool], seconds: float) -> None:
        """Return when the condition holds, the time is over, or the line is closed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not condition() and not self._closed:
                    self._wake.clear()
                    await self._wake.wait()
