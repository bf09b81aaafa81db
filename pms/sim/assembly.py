"""The simulator put together: venue, fault gate and feeds from one set of options.

Composes and drives; decides nothing. Used by the program over TCP and by an in-memory world without it: `gate` is where
requests and sockets enter. All chance comes from the one seed, all time from the clock that is handed in.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from pms.clock import Clock
from pms.sim import replay
from pms.sim.exchange import Settings
from pms.sim.fault_kinds import AnyFault
from pms.sim.fault_schedule import Faults
from pms.sim.fault_venue import Maintenance
from pms.sim.faults import Gate, Latency
from pms.sim.feed import FeedDriver
from pms.sim.follow import Follower
from pms.sim.journal import Journal
from pms.sim.limits import Limits
from pms.sim.model import DepthSnapshot, FeedEvent
from pms.sim.profiles import DEFAULT_PROFILE, PROFILES
from pms.sim.script import Script
from pms.sim.scripted import ScriptedMarket
from pms.sim.synthetic import Listing, SyntheticMarket
from pms.sim.wire import Venue, VenueSettings
from pms.tasks import Tasks

FEED_TASK, TIMER_TASK = "sim.feed", "sim.timers"
UNSEEN_MS = 24 * 3600 * 1000  # the longest that a followed market is waited for at a stretch
STILL = "still"  # a market that does not move
# Opening prices of the synthetic market where the venue has no last price to go on from.
OPENING: Mapping[str, Decimal] = {
    "BTCUSDT": Decimal("61800.00"),
    "ETHUSDT": Decimal("3425.00"),
    "SOLUSDT": Decimal("150.0000"),
    "DOGEUSDT": Decimal("0.120000"),
    "1000PEPEUSDT": Decimal("0.0085000"),
}


class Options(msgspec.Struct, frozen=True):
    """What a simulator is made of.

    With `replay` the market is recorded and its symbols are the recordings'; else it is synthetic by `profile` (one of
    PROFILES or `still`). `speed` None is as fast as the venue takes it; `loop` starts recordings over at their end.
    `listings` are the `exchangeInfo` rows of a market that is followed (`Simulator`).
    """

    api_keys: dict[str, str]
    symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT")
    profile: str = DEFAULT_PROFILE
    replay: tuple[Path, ...] = ()
    loop: bool = True
    speed: float | None = 1
    seed: int = 0
    limits: Limits = Limits()
    exchange: Settings = Settings()
    latency: Latency = Latency()
    faults: tuple[AnyFault, ...] = ()
    listings: tuple[dict[str, Any], ...] = ()


class Simulator:
    """A venue with its market, or with one that is somewhere else and that `source` follows. Raises `KeyError` for an
    unknown symbol or profile, `CaptureError` for a bad file."""

    def __init__(
        self,
        options: Options,
        clock: Clock,
        tasks: Tasks,
        journal: Journal | None = None,
        source: Follower | None = None,
    ) -> None:
        names = options.symbols
        if options.replay:
            names = tuple(dict.fromkeys(replay.head(path).symbol for path in options.replay))
        if options.profile not in (*PROFILES, STILL):
            raise KeyError(f"no market profile {options.profile}; there are {', '.join((*PROFILES, STILL))}")
        seed, listings = str(options.seed), options.listings
        settings = VenueSettings(options.api_keys, names, options.limits, options.exchange, seed, listings)
        self.venue = Venue(settings, clock.now_ms, journal)
        chance = random.Random(f"{options.seed}:faults")
        self.gate = Gate(self.venue, clock, Script((), chance), chance, options.latency, tasks)
        self.faults = Faults(self.venue, self.gate, clock, chance)
        self._planned = options.faults
        self.feed = FeedDriver(self._events(options) if source is None else (), options.speed)
        self._source = source
        self._closed = set(self.venue.rules)  # symbols that have no book yet
        self._on_open: Callable[[], None] | None = None
        self._clock = clock
        self._tasks = tasks

    def start(self, on_open: Callable[[], None] | None = None) -> None:
        """Let the market move, the timers run and the faults come, as tasks of the owner. `on_open`: once every symbol
        has its book. Raises `ValueError` where a fault names what there is not."""
        self._on_open = on_open
        self.faults.inject(*self._planned)
        moves = (
            self.feed.run(self._clock, self._apply)
            if self._source is None
            else self._source.run(self._apply, self._sees)
        )
        self._tasks.spawn(moves, FEED_TASK)
        self._tasks.spawn(self._drive(), TIMER_TASK)

    def _sees(self, market: bool) -> None:
        """A venue whose market can't be seen must not trade on what it was."""
        if market:
            self.faults.heal()
        else:
            self.faults.inject(Maintenance(for_ms=UNSEEN_MS))

    def _apply(self, event: FeedEvent) -> None:
        self.venue.apply(event)
        if self._closed and isinstance(event, DepthSnapshot):
            self._closed.discard(event.symbol)
            if not self._closed and self._on_open is not None:
                self._on_open()

    async def _drive(self) -> None:
        while True:
            now = self._clock.now_ms()
            self.venue.tick(now)
            await self._clock.sleep(max(0, self.venue.next_due(now) - self._clock.now_ms()) / 1000)

    def _events(self, options: Options) -> Iterator[FeedEvent]:
        if options.replay:
            return replay.replay(options.replay, options.loop)
        markets = [self._market(symbol, options) for symbol in self.venue.rules]
        return heapq.merge(*markets, key=lambda event: event.time)

    def _market(self, symbol: str, options: Options) -> Iterator[FeedEvent]:
        rules = self.venue.rules[symbol]
        price = self.venue.exchange.last_price(symbol) or OPENING[symbol]
        listing = Listing(symbol, rules.tick, rules.step, price)
        if options.profile == STILL:
            return ScriptedMarket(listing).feed()
        chance = random.Random(f"{options.seed}:{symbol}")
        return SyntheticMarket(listing, PROFILES[options.profile], chance).events()
