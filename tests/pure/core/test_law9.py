"""Law 9 of algos.md on a toy venue: a lone aggressive order never follows itself, however the channels are delayed."""

from __future__ import annotations

import random
from collections import deque
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from pms.core.book import Book
from pms.core.own import OwnOrders
from pms.market_data import DepthFrame, Snapshot, TouchFrame
from schemas.market import Side

SIZE = Decimal(5)
ID = "ours"


class Venue:
    """An exact book of the others with one order of ours in it; tells changes on three channels, each in order."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.bids = {ticks: chance.randint(1, 9) for ticks in range(90, 96)}
        self.asks = {ticks: chance.randint(1, 9) for ticks in range(100, 106)}
        self.mine = 0
        self.time = self.update_id = self.told_id = 1000
        self.dirty: set[int] = set()
        self.depth: deque[DepthFrame] = deque()
        self.tickers: deque[TouchFrame] = deque()
        self.user: deque[tuple[int, int]] = deque()  # our price from an engine time on
        self.requests: deque[int] = deque()

    def level(self, ticks: int) -> float:
        ours = int(SIZE) if ticks == self.mine else 0
        return float(self.bids.get(ticks, 0) + ours)

    def touch(self) -> tuple[float, float, float, float]:
        bid, ask = max(*self.bids, self.mine), min(self.asks)
        return float(bid), self.level(bid), float(ask), float(self.asks[ask])

    def _changed(self, *places: int) -> None:
        self.time += self.chance.randint(1, 40)
        self.update_id += self.chance.randint(1, 9)
        self.dirty.update(places)
        self.tickers.append(TouchFrame("X", self.update_id, *self.touch(), self.time))

    def move(self) -> None:
        """Others come or go on the bid side, so that the order has something to follow."""
        ticks = self.chance.randint(90, 97)
        if ticks in self.bids and len(self.bids) > 1:
            del self.bids[ticks]
        else:
            self.bids[ticks] = self.chance.randint(1, 9)
        self._changed(ticks)

    def serve(self) -> None:
        old, self.mine = self.mine, self.requests.popleft()
        self._changed(*(ticks for ticks in (old, self.mine) if ticks))
        self.user.append((self.mine, self.time))

    def flush(self) -> None:
        if self.dirty:
            changes = [(float(ticks), self.level(ticks)) for ticks in sorted(self.dirty)]
            first = self.told_id + 1
            self.depth.append(DepthFrame("X", first, self.update_id, self.told_id, self.time, changes, []))
            self.told_id = self.update_id
            self.dirty.clear()


class Chase:
    """Improves the touch by one tick, acts on every quote without a request in flight: more eager than the real one."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.book, self.own = Book(Decimal(1), Decimal(1)), OwnOrders()
        levels = [(float(ticks), float(quantity)) for ticks, quantity in venue.bids.items()]
        asks = [(float(ticks), float(quantity)) for ticks, quantity in venue.asks.items()]
        for _ in range(2):
            assert self.book.anchor(Snapshot(venue.told_id, levels, asks, venue.time))
        self.price = 0
        self.asked = 0
        self.amends = 0

    def hear(self, channel: str) -> None:
        if channel == "depth":
            self.book.offer(self.venue.depth.popleft())
        elif channel == "tickers":
            self.book.ticker(self.venue.tickers.popleft())
        else:
            self.price, since = self.venue.user.popleft()
            self.own.resting(ID, Side.BUY, self.price, SIZE, since)
            self.own.settled(ID)
            self.asked = 0
        self.act()

    def act(self) -> None:
        quote = self.book.quote(self.own, lambda: 0)
        if self.asked or quote is None:
            return
        target = min(quote.bid + 1, quote.ask - 1)
        if target == self.price:
            return
        self.amends += self.price > 0
        self.asked = target
        self.own.in_flight(ID, Side.BUY, target, SIZE)
        self.venue.requests.append(target)


def run(venue: Venue, chase: Chase, steps: int, moves: bool) -> None:
    """Let anything that can happen happen in random order; channels keep their own order only."""
    for _ in range(steps):
        able = [channel for channel in ("depth", "tickers", "user") if getattr(venue, channel)]
        able += ["flush"] if venue.dirty else []
        able += ["serve"] if venue.requests else []
        able += ["move"] if moves else []
        if not able:
            return
        step = venue.chance.choice(able)
        if step in ("flush", "serve", "move"):
            getattr(venue, step)()
        else:
            chase.hear(step)


@settings(max_examples=300)
@given(st.integers(0, 2**32))
def test_on_a_still_market_a_lone_aggressive_order_is_never_amended(seed: int) -> None:
    venue = Venue(random.Random(seed))
    chase = Chase(venue)
    chase.act()
    run(venue, chase, 10_000, moves=False)
    assert chase.price == venue.mine == max(venue.bids) + 1
    assert chase.amends == 0


@settings(max_examples=300)
@given(st.integers(0, 2**32))
def test_after_any_moves_it_comes_to_rest_one_tick_before_the_others(seed: int) -> None:
    venue = Venue(random.Random(seed))
    chase = Chase(venue)
    chase.act()
    run(venue, chase, 60, moves=True)
    run(venue, chase, 10_000, moves=False)
    assert not venue.requests
    assert chase.price == venue.mine == min(max(venue.bids) + 1, min(venue.asks) - 1)
