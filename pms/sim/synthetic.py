"""A seeded synthetic market: one symbol's endless feed with the recorded markets' traffic, from one source of chance.

The model: every 50 seconds a plan is drawn, one stratum of the fitted distribution for each second (trades) and each
window of 100 ms (changed levels), so that runs of a few minutes already have the profile's quantiles; busy windows fall
into busy seconds. Within a window trades come in sweeps of one millisecond, the touch changes size, sometimes it moves
(with the largest sweep's direction, which then pays its way through the levels), and random levels further away make up
the planned number. Each half window ends with one depth diff of all that changed in it.

Owns the book in integer ticks and steps, in the grammar of a recording: touches and prints first, the diff after. It
refuses to know time, the exchange, its ids and own orders. Invariants: the book is never crossed and never empty,
prices stay within `BAND` of the opening price and on the tick grid, quantities are at least one step.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from math import ceil, exp, log1p
from typing import Protocol

import msgspec

from pms.sim.feed import with_marks
from pms.sim.model import DepthDiff, DepthSnapshot, FeedEvent, Print, Touch
from pms.sim.profiles import DISTANCES, Profile, Size, Table, quantile

WINDOW_MS = 100
HALF_MS = 50
"""The raw depth stream has some 19 frames a second (binance.md section 9)."""
JITTER_MS = 20
"""A diff comes this much before the end of its half window at most: symbols differ, windows keep both of theirs."""

PLAN_SECONDS = 50
"""One stratum is 2 % of the seconds, so every plan has one second of the highest."""
WINDOWS_PER_S = 1000 // WINDOW_MS

BAND = 50
"""Prices stay within 1/50 (2 %) of the opening price: the further away, the more moves lead back."""
DEPTH_LEVELS = 1000
"""Levels a side at the start, as in a REST snapshot."""
OCCUPANCY = 0.5
"""Share of ticks that hold a level; the captures have 0.4 to 0.8 in the first thousand ticks."""
TRIES_PER_LEVEL = 4
"""Random levels tried for each one wanted; bounds the search where a coarse tick leaves few levels."""

MOVES_WITH_TRADES = 4
"""Bounds how much likelier a move is in a window of many trades; keeps the average near the profile's."""

SWEEP_TAIL = 1.1
"""Pareto exponent of trades per sweep; the captures' sweeps are 1 at the median, 12 at p95, 348 at most."""
SWEEP_MAX = 350
BURST_TRADES = 8
"""A second with this many times the median trades has them around one moment, not spread."""
BURST_SPREAD_MS = 120


class Chance(Protocol):
    """What the market asks of a seeded source; `random.Random` is one."""

    def random(self) -> float: ...

    def gauss(self, mu: float, sigma: float) -> float: ...

    def shuffle(self, x: list[int]) -> None: ...


class Listing(msgspec.Struct, frozen=True):
    """What is traded: price grid, quantity grid and the opening price."""

    symbol: str
    tick: Decimal
    step: Decimal
    price: Decimal


class Sweep(msgspec.Struct, frozen=True):
    """The trades of one taker in one millisecond of a window; `direction` 1 buys, -1 sells. No trades: a mere quote."""

    ms: int
    direction: int
    trades: int


class Ladder:
    """One side of the book. Levels are kept by key, ticks times `sign`, so that on both sides the lowest is best."""

    def __init__(self, sign: int, best_tick: int) -> None:
        self.sign = sign
        self.best = sign * best_tick
        self.levels: dict[int, int] = {}
        self.changed: set[int] = set()

    def put(self, key: int, steps: int) -> None:
        if steps:
            self.levels[key] = steps
        else:
            del self.levels[key]
        self.changed.add(key)

    def withdraw(self, ticks: int, steps: int) -> None:
        """The best price goes `ticks` away; a new best level that isn't there gets `steps`."""
        for key in range(self.best, self.best + ticks):
            if key in self.levels:
                self.put(key, 0)
        self.best += ticks
        if self.best not in self.levels:
            self.put(self.best, steps)

    @property
    def tick(self) -> int:
        return self.sign * self.best


class SyntheticMarket:
    """One symbol's market. `events` may be iterated once; the same listing, profile and seed give the same events."""

    def __init__(self, listing: Listing, profile: Profile, chance: Chance) -> None:
        self._listing = listing
        self._profile = profile
        self._chance = chance
        self._open = round(listing.price / listing.tick)
        self._band = max(self._open // BAND, 1)
        self._money_per_step = listing.price * listing.step
        self._seen: set[int] = set()  # keys of both sides that the window has changed in earlier diffs
        self._bids = Ladder(-1, self._open)
        self._asks = Ladder(1, self._open + 1)
        # A coarse tick leaves no room for thousands of levels; the book then ends halfway to zero.
        reach = min(round(DEPTH_LEVELS / OCCUPANCY), self._open // 2)
        for side in (self._bids, self._asks):
            for distance in range(reach):
                if distance == 0 or chance.random() < OCCUPANCY:
                    size = profile.level_size if distance else profile.touch_size
                    side.levels[side.best + distance] = self._steps(size)

    def events(self) -> Iterator[FeedEvent]:
        """Snapshot, touch and mark at time 0, then the market without end; times are ms from the start."""
        return with_marks(self._market())

    def _market(self) -> Iterator[FeedEvent]:
        bids, asks = self._levels(self._bids, self._bids.levels), self._levels(self._asks, self._asks.levels)
        yield DepthSnapshot(self._listing.symbol, 0, bids, asks)
        yield self._touch(0)
        time = 0
        while True:
            trades, levels = self._plan()
            for second, count in enumerate(trades):
                sweeps = self._sweeps(count)
                for window in range(WINDOWS_PER_S):
                    wanted = levels[second * WINDOWS_PER_S + window]
                    yield from self._window(time, wanted, sweeps.get(window, []))
                    time += WINDOW_MS

    # --- the plan ---------------------------------------------------------------------------------

    def _plan(self) -> tuple[list[int], list[int]]:
        """Trades of each second and changed levels of each window; the larger windows tend to the busier seconds."""
        trades = self._strata(self._profile.trades_per_s, PLAN_SECONDS)
        self._chance.shuffle(trades)
        sizes = self._strata(self._profile.levels, PLAN_SECONDS * WINDOWS_PER_S)
        busy = [log1p(trades[window // WINDOWS_PER_S]) + self._chance.gauss(0, 1) for window in range(len(sizes))]
        levels = [0] * len(sizes)
        for size, window in zip(sizes, sorted(range(len(sizes)), key=busy.__getitem__), strict=True):
            levels[window] = size
        return trades, levels

    def _strata(self, table: Table, count: int) -> list[int]:
        return [round(quantile(table, (stratum + self._chance.random()) / count)) for stratum in range(count)]

    def _sweeps(self, trades: int) -> dict[int, list[Sweep]]:
        """The second's trades as sweeps, by window."""
        chance = self._chance
        burst = trades > BURST_TRADES * quantile(self._profile.trades_per_s, 0.5)
        peak = 200 + 600 * chance.random()
        sweeps: dict[int, list[Sweep]] = {}
        while trades > 0:
            count = min(int((1 - chance.random()) ** (-1 / SWEEP_TAIL)), SWEEP_MAX, trades)
            at = round(chance.gauss(peak, BURST_SPREAD_MS)) if burst else int(1000 * chance.random())
            window, ms = divmod(min(max(at, 0), 999), WINDOW_MS)
            sweeps.setdefault(window, []).append(Sweep(ms, 1 if chance.random() < 0.5 else -1, count))
            trades -= count
        return sweeps

    # --- one window -------------------------------------------------------------------------------

    def _window(self, time: int, wanted: int, sweeps: list[Sweep]) -> Iterator[FeedEvent]:
        chance = self._chance
        usual = max(quantile(self._profile.trades_per_s, 0.5) / WINDOWS_PER_S, 1)
        # Half of the moves come by themselves, half with trades: the more of them the likelier, up to a limit.
        trades = sum(sweep.trades for sweep in sweeps)
        moving = chance.random() < self._profile.move_share / 2 * (1 + min(trades / usual, MOVES_WITH_TRADES))
        quote = Sweep(int(WINDOW_MS * chance.random()), 0, 0)
        move = max(sweeps, key=lambda sweep: sweep.trades, default=quote) if moving else None
        moments: list[Sweep] = [sweep for sweep in sweeps if sweep is not move]
        flickers = ceil(self._profile.touches * wanted * 2 * chance.random())
        moments += [Sweep(int(WINDOW_MS * chance.random()), 0, 0) for _ in range(flickers)]
        moments += [] if move is None else [move]
        moments.sort(key=lambda moment: moment.ms)
        self._seen.clear()
        for begin in range(0, WINDOW_MS, HALF_MS):
            end = begin + HALF_MS - 1 - int(JITTER_MS * chance.random())
            for moment in moments:
                if begin <= moment.ms < begin + HALF_MS:
                    yield from self._moment(time + min(moment.ms, end), moment, moment is move)
            self._fill_up(wanted * (begin + HALF_MS) // WINDOW_MS)
            yield self._diff(time + end)

    def _moment(self, time: int, sweep: Sweep, moves: bool) -> Iterator[FeedEvent]:
        if moves:
            yield from self._move(time, sweep)
        elif sweep.trades:
            yield from self._sweep(time, sweep)
        else:
            side = self._bids if self._chance.random() < 0.5 else self._asks
            side.put(side.best, self._steps(self._profile.touch_size))
            yield self._touch(time)

    def _sweep(self, time: int, sweep: Sweep) -> Iterator[FeedEvent]:
        """Trades at the touch, which keeps its price: what was eaten up is offered anew."""
        side = self._asks if sweep.direction > 0 else self._bids
        left = side.levels[side.best]
        for _ in range(sweep.trades):
            traded = self._steps(self._profile.trade_size)
            left -= traded
            yield self._print(time, side.tick, traded, sweep.direction)
        side.put(side.best, left if left > 0 else self._steps(self._profile.touch_size))
        yield self._touch(time)

    def _move(self, time: int, sweep: Sweep) -> Iterator[FeedEvent]:
        """The touch moves: one side is traded through or withdrawn, the spread is wide for an instant, the other
        side follows. Far from the opening price moves lead back, and trades against them move nothing."""
        chance = self._chance
        away = (self._asks.tick - self._open) / self._band
        upwards = chance.random() >= 0.5 + 0.5 * away
        if sweep.trades and abs(away) < 0.5:
            upwards = sweep.direction > 0
        elif sweep.trades:
            yield from self._sweep(time, sweep)
            sweep = Sweep(sweep.ms, 0, 0)
        hit, follower = (self._asks, self._bids) if upwards else (self._bids, self._asks)
        room = round(self._band * (1 - away if upwards else 1 + away))
        ticks = min(max(round(quantile(self._profile.moves, chance.random())), 1), room)
        assert ticks >= 1, "at an edge of the band the move leads back with certainty"
        path = [key for key in range(hit.best, hit.best + ticks) if key in hit.levels]
        for trade in range(sweep.trades):
            key = path[trade * len(path) // sweep.trades]
            yield self._print(time, hit.sign * key, self._steps(self._profile.trade_size), sweep.direction)
        hit.withdraw(ticks, self._steps(self._profile.touch_size))
        yield self._touch(time)
        for key in range(follower.best - ticks, follower.best):
            if key == follower.best - ticks or chance.random() < OCCUPANCY:
                follower.put(key, self._steps(self._profile.level_size))
        follower.best -= ticks
        yield self._touch(time)

    def _fill_up(self, wanted: int) -> None:
        """Change levels behind the touch until the window has `wanted` changed ones."""
        chance, bids, asks = self._chance, self._bids, self._asks
        changed = self._seen.union(bids.changed, asks.changed)
        for _ in range(TRIES_PER_LEVEL * wanted):
            if len(changed) >= wanted:
                return
            side = bids if chance.random() < 0.5 else asks
            key = side.best + 1 + round(quantile(DISTANCES, chance.random()))
            if not 0 < side.sign * key < 2 * self._open:
                continue
            flips = chance.random() < OCCUPANCY / 2
            if key in side.levels or flips:
                side.put(key, 0 if key in side.levels and flips else self._steps(self._profile.level_size))
                changed.add(key)

    # --- events -----------------------------------------------------------------------------------

    def _steps(self, size: Size) -> int:
        """A random quantity of at least one step."""
        money = size.median * exp(self._chance.gauss(0, size.sigma))
        return max(int(Decimal(int(money)) / self._money_per_step), 1)

    def _print(self, time: int, tick: int, steps: int, direction: int) -> Print:
        listing = self._listing
        return Print(listing.symbol, time, tick * listing.tick, steps * listing.step, direction < 0)

    def _touch(self, time: int) -> Touch:
        bids, asks, tick, step = self._bids, self._asks, self._listing.tick, self._listing.step
        bid_qty, ask_qty = bids.levels[bids.best] * step, asks.levels[asks.best] * step
        return Touch(self._listing.symbol, time, bids.tick * tick, bid_qty, asks.tick * tick, ask_qty)

    def _diff(self, time: int) -> DepthDiff:
        bids, asks = self._levels(self._bids, self._bids.changed), self._levels(self._asks, self._asks.changed)
        self._seen.update(self._bids.changed, self._asks.changed)
        self._bids.changed.clear()
        self._asks.changed.clear()
        return DepthDiff(self._listing.symbol, time, bids, asks)

    def _levels(self, side: Ladder, keys: set[int] | dict[int, int]) -> tuple[tuple[Decimal, Decimal], ...]:
        """Absolute quantities at `keys`, by ascending price."""
        tick, step, sign, levels = self._listing.tick, self._listing.step, side.sign, side.levels
        return tuple((sign * key * tick, levels.get(key, 0) * step) for key in sorted(keys, reverse=sign < 0))
