"""What protects a position sees a price for as long as there is one (execution.md 27).

Owns the falling back of price sources: while a symbol's book is gone the best bid and ask stand in for it, then the
mark price from the stream, and once that is silent too, asked for each second. Who sees nothing at all for 10 s is told
so, and people with it. Refuses to decide what a price causes.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import structlog

from algos import step
from pms.clock import Clock
from pms.desk import Desk
from pms.family import view_of
from pms.market import MARK_S
from pms.market_data import TouchFrame
from pms.runner import Runner
from pms.tasks import Tasks
from pms.venue import Reads, Unavailable
from schemas.market import Instrument, Quote

LOOK_S = 0.25
STALE_S = 1.0  # a book gone so long is gone: joining it again mostly takes less, and a mark is not quite a mid
ASK_S = 1.0
BLIND_S = 10.0

_log = structlog.get_logger("pms.sight")


class Sight:
    """See the module."""

    def __init__(self, desk: Desk, venue: Reads, clock: Clock, tasks: Tasks) -> None:
        self._desk = desk
        self._venue = venue
        self._clock = clock
        self._tasks = tasks
        self._book_at: dict[str, float] = {}  # when a symbol's touch was last known, or first looked for
        self._mark_at: dict[str, float] = {}  # when its mark was last told, or first looked for
        self._streamed_at: dict[str, float] = {}  # ... by the stream
        self._asked_at: dict[str, float] = {}
        self._blind: set[str] = set()

    async def run(self) -> None:
        """Look for what is missing, for ever."""
        while True:
            await self._clock.sleep(LOOK_S)
            self.look()

    def look(self) -> None:
        """Ask for marks where nothing else tells a price, and tell who is blind."""
        now, symbols = self._clock.monotonic(), self._desk.protections.symbols
        self._forget(symbols)
        for symbol in symbols:
            book_at = self._book_at.setdefault(symbol, now)
            mark_at = self._mark_at.setdefault(symbol, now)
            silent = now - self._streamed_at.setdefault(symbol, now) >= MARK_S
            if self._desk.market.health(symbol)[0]:
                self._book_at[symbol] = book_at = now
            runners = self._desk.protections.on(symbol)
            wanting = any(self._wants(runner, symbol) for runner in runners)
            if wanting and silent and now - self._asked_at.get(symbol, -ASK_S) >= ASK_S:
                self._asked_at[symbol] = now
                self._tasks.spawn(self._ask(symbol), f"mark {symbol}")
            for runner in runners:
                marks_only = view_of(runner).follows == "mark"
                self._tell(runner, now - (mark_at if marks_only else max(book_at, mark_at)) >= BLIND_S)

    def _forget(self, symbols: Iterable[str]) -> None:
        """What nobody follows any more is not known any more; who has ended is not blind."""
        for known in (self._book_at, self._mark_at, self._streamed_at, self._asked_at):
            for symbol in known.keys() - set(symbols):
                del known[symbol]
        for algo_id in self._blind - self._desk.runners.keys():
            self._blind.discard(algo_id)
            self._desk.alarms.clear("protection_blind", algo_id, self._desk.now())

    async def _ask(self, symbol: str) -> None:
        try:
            price = await self._venue.mark(symbol)
        except Unavailable as error:
            _log.warning("no_mark", symbol=symbol, reason=str(error))
            return
        streamed_at = self._streamed_at.get(symbol)
        self._desk.market.on_mark(symbol, price, self._desk.now())  # for whoever goes by it: gate, exits, books
        if streamed_at is not None:
            self._streamed_at[symbol] = streamed_at  # an answer is no sign of the stream: it is asked again in a second

    def on_mark(self, symbol: str, price: Decimal) -> None:
        """A mark price, from the stream or by asking: to who follows it, and to all while the book is gone."""
        runners = self._desk.protections.on(symbol)
        if not runners:
            return
        self._mark_at[symbol] = self._streamed_at[symbol] = self._clock.monotonic()
        for runner in runners:
            if self._wants(runner, symbol):
                self._desk.offer(runner, step.MarkUpdate(self._desk.now(), price, self._desk.quote_of(runner)))

    def on_ticker(self, instrument: Instrument, frame: TouchFrame) -> None:
        """A best bid and ask while the book is gone: the touch as anybody sees it, our own orders among it. A crossed
        or one-sided one tells nothing."""
        runners = self._desk.protections.on(instrument.symbol)
        if not runners or not (frame.bid_qty and frame.ask_qty and 0 < frame.bid < frame.ask):
            return
        self._book_at[instrument.symbol] = self._clock.monotonic()
        bid = instrument.ticks_down(Decimal(repr(frame.bid)))
        ask = instrument.ticks_up(Decimal(repr(frame.ask)))
        sizes = Decimal(repr(frame.bid_qty)), Decimal(repr(frame.ask_qty))
        now = self._clock.now_ms()
        quote = Quote(bid, ask, *sizes, bid + ask, bid + ask, frame.time, now, frame.update_id)
        for runner in runners:
            self._desk.offer(runner, quote)

    def _wants(self, runner: Runner, symbol: str) -> bool:
        """Whether a mark price is what an algo goes by now."""
        follows = view_of(runner).follows
        if follows in ("mark", None):
            return follows is not None
        now = self._clock.monotonic()
        gone = not self._desk.market.health(symbol)[0]
        return gone and now - self._book_at.get(symbol, now) >= STALE_S

    def _tell(self, runner: Runner, blind: bool) -> None:
        """An algo has become blind, or sees again: it and people hear of it."""
        desk, view = self._desk, view_of(runner)
        blind = blind and view.follows is not None
        if not blind:
            desk.alarms.clear("protection_blind", view.algo_id, desk.now())  # a former life's, too
        if blind is (view.algo_id in self._blind):
            return
        if not blind:
            self._blind.discard(view.algo_id)
            desk.offer(runner, step.Sight(desk.now(), False, desk.quote_of(runner)))
            return
        self._blind.add(view.algo_id)
        message = (
            f"{view.algo_id} has seen no price of {view.symbol} for {BLIND_S:.0f} s: neither book nor mark stream, nor "
            "an answer to a question. It goes on by itself with the first one; watch the position meanwhile."
        )
        desk.alarms.sound("protection_blind", "critical", view.algo_id, message, desk.now())
        with desk.step() as unit:
            if runner.kind.blind is not None:
                unit.event(runner.kind.blind(runner.state, desk.now()))
            desk.offer(runner, step.Sight(desk.now(), True))
