"""A market that does what it is told: an even ladder whose touch moves by explicit steps only, and a feed of it.

Without steps it is the *still* market: prices and sizes near the touch never change and nothing trades. One level at
the far end changes back and forth, since a stream without frames would look dead to a client. Owns the ladder; refuses
to know time, chance and the exchange.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

import msgspec

from pms.sim.captures import WINDOW_MS, Level
from pms.sim.feed import with_marks
from pms.sim.model import DepthDiff, DepthSnapshot, FeedEvent, Print, Touch
from pms.sim.synthetic import Listing

LEVELS = 100
"""Levels a side: more than the 20 of the deepest partial stream, few enough to read a failed test's book."""

MONEY_PER_LEVEL = 100_000
"""Quote money at each level: an ordinary test order fills at the touch and does not eat it up."""


class Step(msgspec.Struct, frozen=True):
    """At `time` (ms from the feed's start) the best bid becomes `bid`, the best ask `ask` (0: one tick above)."""

    time: int
    bid: Decimal
    ask: Decimal = Decimal(0)


class ScriptedMarket:
    """One symbol's ladder. Each call returns the events that make it so, to be applied in order."""

    def __init__(self, listing: Listing) -> None:
        self._listing = listing
        self._quantity = max((MONEY_PER_LEVEL / listing.price) // listing.step, Decimal(1)) * listing.step
        self._flicker = self._quantity
        self.bid = listing.price // listing.tick * listing.tick
        self.ask = self.bid + listing.tick
        self._bids, self._asks = self._side(self.bid, -1), self._side(self.ask, 1)

    def open(self, time: int) -> tuple[FeedEvent, ...]:
        """The whole book, with the listing's price as best bid."""
        return DepthSnapshot(self._listing.symbol, time, self._bids, self._asks), self._touch(time)

    def quote(self, time: int, bid: Decimal, ask: Decimal = Decimal(0)) -> tuple[FeedEvent, ...]:
        """Move the touch and the ladder with it; every level is whole again, whatever was taken from it.

        Raises `ValueError` for a touch that is crossed or off the tick grid.
        """
        tick = self._listing.tick
        ask = ask or bid + tick
        if not 0 < bid < ask or bid % tick or ask % tick:
            raise ValueError(
                f"{bid}/{ask} is no touch of {self._listing.symbol}: nothing moved. Keep to ticks of {tick}."
            )
        before, self._bids, self._asks = (self._bids, self._asks), self._side(bid, -1), self._side(ask, 1)
        self.bid, self.ask = bid, ask
        changes = self._change(before[0], self._bids), self._change(before[1], self._asks)
        return DepthDiff(self._listing.symbol, time, *changes), self._touch(time)

    def trade(self, time: int, price: Decimal, quantity: Decimal, buyer_is_maker: bool) -> tuple[FeedEvent, ...]:
        """A trade between others; the ladder's quantities stay as they are."""
        return (Print(self._listing.symbol, time, price, quantity, buyer_is_maker),)

    def beat(self, time: int) -> tuple[FeedEvent, ...]:
        """A change far from the touch: the last bid level's quantity goes up by a step, and back the next time."""
        step = self._listing.step
        self._flicker = self._quantity + step if self._flicker == self._quantity else self._quantity
        last, _ = self._bids[0]
        return (DepthDiff(self._listing.symbol, time, ((last, self._flicker),), ()),)

    def feed(self, steps: Iterable[Step] = ()) -> Iterator[FeedEvent]:
        """An endless feed from time 0: the opening, a beat in every push window, and each step when it is due."""
        return with_marks(self._events(steps))

    def _events(self, steps: Iterable[Step]) -> Iterator[FeedEvent]:
        yield from self.open(0)
        time = 0
        for step in steps:
            while time + WINDOW_MS < step.time:
                time += WINDOW_MS
                yield from self.beat(time)
            yield from self.quote(step.time, step.bid, step.ask)
        while True:
            time += WINDOW_MS
            yield from self.beat(time)

    def _side(self, best: Decimal, direction: int) -> tuple[Level, ...]:
        """The ladder from `best` away, ascending, as far as prices are above zero."""
        prices = (best + direction * rank * self._listing.tick for rank in range(LEVELS))
        return tuple(sorted((price, self._quantity) for price in prices if price > 0))

    def _change(self, before: tuple[Level, ...], after: tuple[Level, ...]) -> tuple[Level, ...]:
        gone = {price: Decimal(0) for price, _ in before}
        return tuple(sorted((gone | dict(after)).items()))

    def _touch(self, time: int) -> Touch:
        return Touch(self._listing.symbol, time, self.bid, self._quantity, self.ask, self._quantity)
