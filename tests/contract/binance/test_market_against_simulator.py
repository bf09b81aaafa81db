"""The daemon's market data on the simulator's wire, in memory: touch and book are the simulated venue's own."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal

import msgspec

from pms.binance import frames
from pms.binance.gate import Gate
from pms.binance.market_stream import MarketStream
from pms.binance.rest import Rest
from pms.binance.signing import Credentials
from pms.binance.transport import Response
from pms.binance.venue_clock import VenueClock
from pms.clock import LoopClock
from pms.core.backoff import ConnectBudget
from pms.governor import Governor
from pms.market import Market
from pms.sim.feed import FeedDriver, with_marks
from pms.sim.params import Request
from pms.sim.profiles import PROFILES
from pms.sim.session import Session
from pms.sim.synthetic import Listing, SyntheticMarket
from pms.sim.wire import Venue, VenueSettings
from pms.tasks import Tasks
from schemas.market import Instrument
from tests.virtual import virtual

EPOCH = 1_790_526_600_000
TICK, STEP = Decimal("0.10"), Decimal("0.001")
INSTRUMENT = Instrument(
    "BTCUSDT", TICK, STEP, STEP, Decimal(1000), Decimal(50), TICK, Decimal(10**7), Decimal("1.05"), Decimal("0.95")
)


class Wire:
    """`transport.Http` and `transport.Sockets` in memory, onto one simulated venue."""

    def __init__(self, venue: Venue, clock: LoopClock) -> None:
        self.venue = venue
        self.clock = clock
        self.sockets: list[Wired] = []

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Response:
        await self.clock.sleep(0.005)
        return self.venue.handle(Request(method, target, headers, body))

    async def connect(self, url: str, on_frame: Callable[[bytes], None], on_close: Callable[[str], None]) -> Wired:
        await self.clock.sleep(0.005)
        target = url.removeprefix("wss://sim")
        session = self.venue.open_stream(target, on_frame, lambda code, reason: on_close(f"{code} {reason}"))
        self.sockets.append(Wired(session, self.clock))
        return self.sockets[-1]

    async def close(self) -> None:
        for socket in self.sockets:
            await socket.close()

    async def run(self) -> None:
        """The venue's timers."""
        while True:
            now = self.clock.now_ms()
            self.venue.tick(now)
            await self.clock.sleep((self.venue.next_due(now) - now) / 1000)


class Wired:
    def __init__(self, session: Session, clock: LoopClock) -> None:
        self.session = session
        self.clock = clock

    def send(self, text: str) -> None:
        self.session.on_text(text, self.clock.now_ms())

    async def close(self) -> None:
        self.session.on_close()


@virtual
async def test_the_quote_is_the_simulated_venues_touch_through_a_cut() -> None:
    clock, tasks = LoopClock(asyncio.get_running_loop(), EPOCH), Tasks()
    venue = Venue(VenueSettings({"k": "s"}, ("BTCUSDT",)), clock.now_ms)
    wire = Wire(venue, clock)
    venue_clock = VenueClock(clock)
    rest = Rest(
        Gate(wire, clock, venue_clock, Governor(clock, clock.now_ms)), venue_clock, tasks, Credentials("k", "s")
    )
    connects = ConnectBudget(lambda: 0.5, clock.monotonic)
    stream = MarketStream(rest, wire, "wss://sim", clock, tasks, connects)
    told: list[tuple[bool, str]] = []
    market = Market(stream, clock, tasks, lambda: 0.5, on_health=lambda symbol, *what: told.append(what))
    stream.start(market)
    market.start()
    feed = SyntheticMarket(Listing("BTCUSDT", TICK, STEP, Decimal("84551.00")), PROFILES["quiet"], random.Random(5))
    tasks.spawn(FeedDriver(with_marks(feed.events())).run(clock, venue.apply), "feed")
    tasks.spawn(wire.run(), "venue")
    tickers: list[bytes] = []
    venue.open_stream("/public/ws/btcusdt@bookTicker", tickers.append, lambda code, reason: None)
    compared = 0
    try:
        await market.watch(INSTRUMENT)
        await clock.sleep(2)
        for turn in range(200):
            await clock.sleep(0.0977)
            if turn == 100:
                wire.sockets[0].session.end(1008, "Too many requests")
                await clock.sleep(1.5)
            quote = market.quote("BTCUSDT")
            assert quote is not None
            shown = msgspec.json.decode(tickers[-1])
            assert (quote.bid * TICK, quote.bid_qty) == (Decimal(shown["b"]), Decimal(shown["B"]))
            assert (quote.ask * TICK, quote.ask_qty) == (Decimal(shown["a"]), Decimal(shown["A"]))
            book = market._lines["BTCUSDT"].book
            depth = frames.snapshot(venue.handle(Request("GET", "/fapi/v1/depth?symbol=BTCUSDT&limit=500")).body)
            if depth.last_id == book.last_id:
                compared += 1
                assert depth.bids == sorted(book._bids.levels.items(), reverse=True)[:500]
                assert depth.asks == sorted(book._asks.levels.items())[:500]
        assert compared > 20
        mark = market.mark("BTCUSDT")
        assert mark is not None
        assert abs(mark.price - quote.bid * TICK) < 500
        assert [fresh for fresh, _ in told] == [True, False, True]
        assert told[1][1] == "1008 Too many requests"
    finally:
        await stream.close()
        with suppress(asyncio.CancelledError):
            await tasks.close()
