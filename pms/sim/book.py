"""One symbol's order book: the feed's external liquidity and our accounts' orders in one price-time order.

Owns levels and queues. Refuses to know accounts, fees, identifiers and streams.

The external quantity of a level is the feed's word (less what our takers took since); an own order knows how much
external quantity stands `ahead` of it. External growth joins behind us. A shrink that no print explains is taken from
behind us first, so the queue position is pessimistic; a print eats from the front. Prints never change the shown
quantity: the feed's next word on the level does, so no trade is counted twice, whichever of the two comes first.

Invariants: 0 <= ahead <= external quantity of the level; a level without quantity and orders does not exist.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from decimal import Decimal
from heapq import merge
from itertools import groupby, islice

from pms.sim.model import Order, Side, Touch
from pms.sim.views import PriceLevel

_ZERO = Decimal(0)
Levels = tuple[PriceLevel, ...]


class Resting:
    """An own order in its level's queue. `clipped` is what the feed's last word on the level took from `ahead` without
    a print to explain it: a print that arrives late explains it, and it is given back before the print eats."""

    __slots__ = ("ahead", "clipped", "order")

    def __init__(self, order: Order, ahead: Decimal) -> None:
        self.order = order
        self.ahead = ahead
        self.clipped = _ZERO


class Ladder:
    """One side of the book. `changed` collects the prices whose total our own doings altered; the market empties it."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self.external: dict[Decimal, Decimal] = {}
        self.queues: dict[Decimal, list[Resting]] = {}
        self.changed: set[Decimal] = set()
        self.resting: dict[int, Decimal] = {}  # order id -> the price at which it rests
        self._external_prices: list[Decimal] = []
        self._own_prices: list[Decimal] = []
        self._best = -1 if side == "BUY" else 0

    def is_better(self, price: Decimal, other: Decimal) -> bool:
        """Does `price` trade before `other` on this side?"""
        return price > other if self.side == "BUY" else price < other

    @property
    def best_external(self) -> Decimal | None:
        return self._external_prices[self._best] if self._external_prices else None

    @property
    def best_own(self) -> Decimal | None:
        return self._own_prices[self._best] if self._own_prices else None

    @property
    def best(self) -> Decimal | None:
        """The best price of both kinds; None on an empty side."""
        external, own = self.best_external, self.best_own
        if external is None or own is None:
            return own if external is None else external
        return own if self.is_better(own, external) else external

    def total(self, price: Decimal) -> Decimal:
        """External and own quantity at `price`."""
        quantity = self.external.get(price, _ZERO)
        for resting in self.queues.get(price, ()):
            quantity += resting.order.remaining
        return quantity

    def prices(self) -> Iterator[Decimal]:
        """Every price with quantity, best first."""
        external, own, buys = self._external_prices, self._own_prices, self.side == "BUY"
        if not own:
            return reversed(external) if buys else iter(external)
        merged = merge(reversed(external), reversed(own), reverse=True) if buys else merge(external, own)
        return (price for price, _ in groupby(merged))

    def levels(self, limit: int) -> Levels:
        """The best `limit` levels with their totals, best first."""
        return tuple((price, self.total(price)) for price in islice(self.prices(), limit))

    # --- the feed -----------------------------------------------------------------------------------

    def set_external(self, price: Decimal, quantity: Decimal) -> None:
        """The feed's word on a level: from now on its external quantity is `quantity`."""
        if quantity:
            if price not in self.external:
                insort(self._external_prices, price)
            self.external[price] = quantity
        elif price in self.external:
            self._drop_external(price)
        if price in self.queues:
            for resting in self.queues[price]:
                resting.clipped = max(resting.ahead - quantity, _ZERO)
                resting.ahead -= resting.clipped

    def replace(self, levels: Iterable[PriceLevel], to_back: bool) -> None:
        """Take the whole side from a snapshot. `to_back`: own orders (reloaded ones) queue behind all of it."""
        self.external = {price: quantity for price, quantity in levels if quantity}
        self._external_prices = sorted(self.external)
        for price, queue in self.queues.items():
            quantity = self.external.get(price, _ZERO)
            for resting in queue:
                resting.ahead = quantity if to_back else min(resting.ahead, quantity)
                resting.clipped = _ZERO

    def cut(self, best: Decimal, quantity: Decimal) -> None:
        """The feed's best price is `best` with `quantity`: better external levels are gone. Counts as our own doing."""
        while (price := self.best_external) is not None and self.is_better(price, best):
            self.set_external(price, _ZERO)
            self.changed.add(price)
        if self.external.get(best, _ZERO) != quantity:
            self.set_external(best, quantity)
            self.changed.add(best)

    def print_at(self, price: Decimal, quantity: Decimal) -> list[tuple[Order, Decimal]]:
        """A print of `quantity` at `price` eats the queue from the front; returns what reaches own orders."""
        reached: list[tuple[Order, Decimal]] = []
        queue = self.queues.get(price, ())
        for resting in queue:
            explained = min(resting.clipped, quantity)
            resting.clipped -= explained
            resting.ahead += explained
        eaten = _ZERO
        for resting in queue:
            external = min(max(resting.ahead - eaten, _ZERO), quantity)
            eaten += external
            quantity -= external
            own = min(resting.order.remaining, quantity)
            if own:
                reached.append((resting.order, own))
                quantity -= own
        limit = self.external.get(price, _ZERO)
        for resting in queue:
            resting.ahead = min(max(resting.ahead - eaten, _ZERO), limit)
        return reached

    # --- our orders ---------------------------------------------------------------------------------

    def rest(self, order: Order) -> None:
        """Queue `order` at the back of its level."""
        price = order.price
        queue = self.queues.get(price)
        if queue is None:
            queue = self.queues[price] = []
            insort(self._own_prices, price)
        queue.append(Resting(order, self.external.get(price, _ZERO)))
        self.resting[order.order_id] = price
        self.changed.add(price)

    def remove(self, order: Order) -> None:
        """Take a resting order out of its queue."""
        price = self.resting.pop(order.order_id)
        queue = self.queues[price]
        kept = [resting for resting in queue if resting.order is not order]
        assert len(kept) == len(queue) - 1, "an order rests in exactly one queue"
        self.changed.add(price)
        if kept:
            self.queues[price] = kept
            return
        del self.queues[price]
        del self._own_prices[bisect_left(self._own_prices, price)]

    def own_better_than(self, price: Decimal) -> list[Order]:
        """Own orders that trade before anything at `price`, in price-time order."""
        own = self._own_prices
        prices = own[bisect_right(own, price) :][::-1] if self.side == "BUY" else own[: bisect_left(own, price)]
        return [resting.order for better in prices for resting in self.queues[better]]

    # --- takers -------------------------------------------------------------------------------------

    def front(self, price: Decimal) -> tuple[Order | None, Decimal]:
        """What a taker at `price` meets next: an own order and its rest, or external quantity (None and how much)."""
        queue = self.queues.get(price)
        if not queue:
            return None, self.external[price]
        first = queue[0]
        if first.ahead:
            return None, first.ahead
        return first.order, first.order.remaining

    def take_external(self, price: Decimal, quantity: Decimal) -> None:
        """One of our orders traded with `quantity` of the external front."""
        left = self.external[price] - quantity
        assert left >= 0, "no more is taken than there is"
        if left:
            self.external[price] = left
        else:
            self._drop_external(price)
        for resting in self.queues.get(price, ()):
            resting.ahead = max(resting.ahead - quantity, _ZERO)
        self.changed.add(price)

    def _drop_external(self, price: Decimal) -> None:
        del self.external[price]
        del self._external_prices[bisect_left(self._external_prices, price)]


class Book:
    """Both sides, and the feed's best bid and ask where that is newer than its levels (`touch`).

    Levels follow depth changes only, so a recorded book stays exact. As soon as an order of ours rests or takes, the
    newer touch is settled into the levels; older depth changes then leave the levels alone that the touch speaks of.
    """

    def __init__(self) -> None:
        self.bids = Ladder("BUY")
        self.asks = Ladder("SELL")
        self.touch: Touch | None = None
        self._settled = False

    def side(self, side: Side) -> Ladder:
        return self.bids if side == "BUY" else self.asks

    def opposite(self, side: Side) -> Ladder:
        return self.asks if side == "BUY" else self.bids

    @property
    def has_own(self) -> bool:
        return bool(self.bids.queues or self.asks.queues)

    def best(self, side: Side) -> Decimal | None:
        """The best price of a side, a newer touch considered."""
        if self.touch is not None and not self._settled:
            return self.touch.bid if side == "BUY" else self.touch.ask
        return self.side(side).best

    def top(self) -> tuple[Decimal, Decimal, Decimal, Decimal]:
        """Best bid, its total, best ask, its total; 0 and 0 for an empty side."""
        if self.touch is not None and not self._settled:
            return self.touch.bid, self.touch.bid_qty, self.touch.ask, self.touch.ask_qty
        bid, ask = self.bids.best, self.asks.best
        return (
            _ZERO if bid is None else bid,
            _ZERO if bid is None else self.bids.total(bid),
            _ZERO if ask is None else ask,
            _ZERO if ask is None else self.asks.total(ask),
        )

    def apply(self, bids: Levels, asks: Levels, covers_touch: bool) -> tuple[Levels, Levels]:
        """Absolute external quantities; answers those taken over. `covers_touch`: they are as new as the touch."""
        if covers_touch:
            self.touch = None
        elif self._settled:
            assert self.touch is not None, "only a touch can be newer than a change"
            bids = tuple(level for level in bids if level[0] < self.touch.bid)
            asks = tuple(level for level in asks if level[0] > self.touch.ask)
        for price, quantity in bids:
            self.bids.set_external(price, quantity)
        for price, quantity in asks:
            self.asks.set_external(price, quantity)
        return bids, asks

    def set_touch(self, touch: Touch) -> None:
        """A best bid and ask newer than the levels; settled at once when orders of ours rest."""
        self.touch = touch
        self._settled = False
        if self.has_own:
            self.settle()

    def settle(self) -> None:
        """Write a newer touch into the levels: an order of ours is about to meet them."""
        if self.touch is None or self._settled:
            return
        self._settled = True
        self.bids.cut(self.touch.bid, self.touch.bid_qty)
        self.asks.cut(self.touch.ask, self.touch.ask_qty)
