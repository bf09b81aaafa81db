"""Market data inside the daemon: the newest quote of each watched symbol, less our own orders, to whoever follows it.

Owns which symbols are watched and their lines, and the beat that looks for silence and paces price snapshots.
Refuses to know the venue's wire, Redis and algos. Invariant: a frame is never awaited on: it changes a book, and at
most schedules a pump.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from pms.clock import Clock
from pms.core.book import Levels
from pms.core.own import OwnOrders
from pms.fanout import Callback, Listener, Receiver
from pms.line import Line
from pms.market_data import DepthFrame, MarketData, TouchFrame
from pms.quotes import Mark
from pms.tasks import Tasks
from schemas.market import ZERO, Instrument, Quote, Side

BEAT_S = 0.1  # at most 10 price snapshots a second per symbol (contract.md)
LINGER_S = 60.0  # an unfollowed symbol stays subscribed so long: joining a book again takes a snapshot
MARK_S = 3.0  # the stream of marks tells one each second
PRICE_AGAIN_S = 10.0  # an unchanged price is told again: its record lives 30 s

OnHealth = Callable[[str, bool, str], None]
OnTrade = Callable[[str, Decimal, Decimal, Side], None]
OnMark = Callable[[str, Decimal], None]
OnTicker = Callable[[Instrument, TouchFrame], None]
OnPrice = Callable[[Instrument, Quote, Mark | None], None]


class Market:
    """Implements `venue.MarketSink`; its owner calls `data.start(market)` and `start`, and closes `tasks`.

    `on_health(symbol, fresh, reason)` is told each change, and that a stale book which is let go is missed no more;
    `on_price(instrument, quote, mark)` the newest price of each fresh symbol, at most every `BEAT_S`, `on_trade` each
    trade of others, `on_mark` each mark price, `on_ticker` each touch that comes while the book is stale. All are plain
    calls that return at once. `chance` gives [0, 1).
    """

    def __init__(
        self,
        data: MarketData,
        clock: Clock,
        tasks: Tasks,
        chance: Callable[[], float],
        on_health: OnHealth = lambda symbol, fresh, reason: None,
        on_price: OnPrice = lambda instrument, quote, mark: None,
        on_trade: OnTrade = lambda symbol, price, quantity, taker: None,
        on_mark: OnMark = lambda symbol, price: None,
        on_ticker: OnTicker = lambda instrument, frame: None,
    ) -> None:
        self._data = data
        self._clock = clock
        self.now_ms = clock.now_ms  # the time that a quote's `received` is of
        self._tasks = tasks
        self._chance = chance
        self._on_health = on_health
        self._on_price = on_price
        self._on_trade = on_trade
        self._on_mark = on_mark
        self._on_ticker = on_ticker
        self._lines: dict[str, Line] = {}
        self._own: dict[str, OwnOrders] = {}
        self._priced: dict[str, tuple[Quote, Mark | None, float]] = {}

    def start(self) -> None:
        self._tasks.spawn(self._beat(), "market-beat")

    # --- watching ---------------------------------------------------------------------------------------

    async def expect(self, instrument: Instrument) -> None:
        """Join a symbol's book although nobody follows it yet. Without a `watch` within `LINGER_S` it is let go."""
        if instrument.symbol in self._lines:
            return
        line = self._lines[instrument.symbol] = self._line(instrument)
        line.idle_since = self._clock.monotonic()
        await self._data.watch(instrument.symbol)
        line.join()

    async def watch(self, instrument: Instrument) -> None:
        """Follow a symbol until as many `release`s. With another tick or step than before, its book is built anew."""
        await self.expect(instrument)
        line = self._lines[instrument.symbol]
        line.watchers += 1
        line.changed(instrument)

    def share(self, symbol: str) -> None:
        """One follower more of a symbol that somebody watches. Raises KeyError."""
        self._lines[symbol].watchers += 1

    async def release(self, symbol: str) -> None:
        """One follower less. After the last the book is kept for `LINGER_S`: the next order often is on the same
        symbol."""
        line = self._lines[symbol]
        line.watchers -= 1
        line.idle_since = self._clock.monotonic()

    def subscribe(self, symbol: str, receiver: Receiver, touches: bool = False) -> None:
        """Serve `receiver` from the symbol's pump, with how far each side of the touch reached where it asks for
        `touches`. Raises KeyError where the symbol is not watched."""
        line = self._lines[symbol]
        if touches:
            line.touched.add(id(receiver))
        line.fanout.add(receiver, line.quote)

    def unsubscribe(self, symbol: str, receiver: Receiver) -> None:
        line = self._lines.get(symbol)
        if line is not None:
            line.touched.discard(id(receiver))
            line.fanout.remove(receiver)

    def listen(self, symbol: str, callback: Callback) -> Listener:
        """Call a coroutine function with the newest quote, in its own task and at its own pace."""
        line = self._lines[symbol]
        return line.fanout.listen(callback, line.quote)

    # --- reading ----------------------------------------------------------------------------------------

    def quote(self, symbol: str) -> Quote | None:
        """The newest touch less our own; None while it is unknown or stale."""
        line = self._lines.get(symbol)
        return None if line is None else line.quote

    def mark(self, symbol: str) -> Mark | None:
        line = self._lines.get(symbol)
        return None if line is None else line.mark

    def fresh_mark(self, symbol: str) -> Decimal:
        """The mark price, 0 where none was told within `MARK_S`."""
        mark = self.mark(symbol)
        return ZERO if mark is None or self._clock.now_ms() - mark.received > MARK_S * 1000 else mark.price

    def instrument(self, symbol: str) -> Instrument:
        """The rules of a watched symbol. Raises KeyError."""
        return self._lines[symbol].instrument

    def depth(self, symbol: str, least: int, quantity: Decimal) -> tuple[int, Levels, Levels] | None:
        """(update id, bids, asks) of a fresh book, our own orders among them: `least` levels of each side, more until
        they cover `quantity`. None while it is unknown or stale."""
        line = self._lines.get(symbol)
        if line is None or not line.fresh:
            return None
        return line.book.last_id, *line.book.depth(least, quantity)

    def health(self, symbol: str) -> tuple[bool, str]:
        """(fresh, reason where not)."""
        line = self._lines.get(symbol)
        return (False, "not watched") if line is None else (line.fresh, line.reason)

    def age_ms(self, symbol: str) -> int | None:
        """How long ago the book was last heard or proven; None where it never was."""
        line = self._lines.get(symbol)
        return self._clock.now_ms() - line.received if line is not None and line.received else None

    def symbols(self) -> tuple[str, ...]:
        return tuple(self._lines)

    # --- our own orders (law 9) -------------------------------------------------------------------------

    def own(self, symbol: str) -> OwnOrders:
        """What of the symbol's book is ours, watched or not. After changing it call `own_changed`."""
        own = self._own.get(symbol)
        if own is None:
            own = self._own[symbol] = OwnOrders()
        return own

    def own_changed(self, symbol: str) -> None:
        line = self._lines.get(symbol)
        if line is not None:
            line.own_changed()

    # --- venue.MarketSink -------------------------------------------------------------------------------

    def on_depth(self, frame: DepthFrame) -> None:
        try:
            line = self._lines[frame.symbol]
        except KeyError:
            return  # released meanwhile
        line.on_depth(frame)

    def on_touch(self, frame: TouchFrame) -> None:
        try:
            line = self._lines[frame.symbol]
        except KeyError:
            return  # released meanwhile
        if line.fresh:
            line.on_touch(frame)
        else:
            self._on_ticker(line.instrument, frame)

    def on_mark(self, symbol: str, price: Decimal, time: int) -> None:
        line = self._lines.get(symbol)
        if line is not None:
            line.mark = Mark(price, time, self._clock.now_ms())
            self._on_mark(symbol, price)

    def on_trade(self, symbol: str, price: Decimal, quantity: Decimal, taker: Side, time: int) -> None:
        self._on_trade(symbol, price, quantity, taker)

    def on_stream_lost(self, symbol: str, reason: str) -> None:
        line = self._lines.get(symbol)
        if line is not None:
            line.lost(reason)

    # --- the beat ---------------------------------------------------------------------------------------

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(BEAT_S)
            now = self._clock.monotonic()
            for line in tuple(self._lines.values()):
                if not line.watchers and now - line.idle_since >= LINGER_S:
                    await self._let_go(line)
                    continue
                line.beat()
                self._tell_price(line, now)

    async def _let_go(self, line: Line) -> None:
        del self._lines[line.symbol]
        self._priced.pop(line.symbol, None)
        line.close()
        if not line.fresh:
            self._on_health(line.symbol, True, "")  # nobody misses it any more
        await self._data.unwatch(line.symbol)

    def _tell_price(self, line: Line, now: float) -> None:
        quote, mark = line.quote, line.mark
        if quote is None:
            return
        told = self._priced.get(line.symbol)
        if told is None or told[0] is not quote or told[1] is not mark or now - told[2] >= PRICE_AGAIN_S:
            self._priced[line.symbol] = (quote, mark, now)
            self._on_price(line.instrument, quote, mark)

    def _line(self, instrument: Instrument) -> Line:
        own = self.own(instrument.symbol)
        return Line(instrument, own, self._data, self._clock, self._tasks, self._chance, self._on_health)
