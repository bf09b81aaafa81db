"""Who trades with whom: our takers against the book, the tape and the moving market against our resting orders.

Owns price-time priority and self-trade prevention (binance.md 4, 8). Trade price is the resting order's. Refuses to
know money; `Settlement` books what is decided here.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from pms.sim import events, rules
from pms.sim.market import Market
from pms.sim.model import Order, Print
from pms.sim.settlement import Settlement

_ZERO = Decimal(0)


class Matching:
    """Executions on any market."""

    def __init__(self, settlement: Settlement, now: Callable[[], int]) -> None:
        self._settlement = settlement
        self._now = now

    def crosses(self, market: Market, order: Order) -> bool:
        """Would a limit order take at once?"""
        best = market.book.best("SELL" if order.side == "BUY" else "BUY")
        return best is not None and best > 0 and not self._is_beyond(order, best, order.price)

    def fillable(self, market: Market, order: Order) -> Decimal:
        """How much of `order` would fill at once, not counting its own account's orders (for FOK)."""
        ladder = market.book.opposite(order.side)
        found = _ZERO
        for price in ladder.prices():
            if found >= order.remaining or self._is_beyond(order, price, order.price):
                break
            own = (resting.order for resting in ladder.queues.get(price, ()) if resting.order.account == order.account)
            found += ladder.total(price) - sum((mine.remaining for mine in own), _ZERO)
        return min(found, order.remaining)

    def take(self, market: Market, order: Order) -> None:
        """Walk the opposite side as far as the order's limit allows. May end the order (self-trade prevention)."""
        ladder = market.book.opposite(order.side)
        bound = rules.market_bound(market.rules, order.side, market.mark_price())
        limit = order.price if order.type == "LIMIT" else bound
        while order.is_open and order.remaining:
            price = ladder.best
            if price is None or self._is_beyond(order, price, limit):
                return
            resting, available = ladder.front(price)
            if resting is not None and resting.account == order.account:
                self._prevent_self_trade(market, order, resting)
                continue
            quantity = min(order.remaining, available)
            if resting is None:
                ladder.take_external(price, quantity)
            trade_id = market.print(price, quantity, order.side == "SELL", self._now()).trade_id
            self._settlement.fill(market, order, price, quantity, trade_id, maker=False)
            if resting is not None:
                self._settlement.fill(market, resting, price, quantity, trade_id, maker=True)

    def _prevent_self_trade(self, market: Market, taker: Order, resting: Order) -> None:
        """The taker's mode decides who expires (binance.md 4)."""
        reason = events.IOC_AND_SELF_TRADE if taker.time_in_force == "IOC" else events.SELF_TRADE
        if taker.stp in ("EXPIRE_MAKER", "EXPIRE_BOTH"):
            self._settlement.end(market, resting, "EXPIRED_IN_MATCH", events.SELF_TRADE)
        if taker.stp in ("EXPIRE_TAKER", "EXPIRE_BOTH"):
            self._settlement.end(market, taker, "EXPIRED_IN_MATCH", reason)

    def print(self, market: Market, recorded: Print) -> None:
        """A trade between others. Own orders at better prices would have traded first, so they fill whole; what is
        left of the quantity eats the queue at the print's price, and the remainder goes onto the tape as recorded."""
        ladder = market.book.bids if recorded.buyer_is_maker else market.book.asks
        left = recorded.quantity
        if ladder.queues:
            for order in ladder.own_better_than(recorded.price):
                left = max(left - self._fill_resting(market, order, order.remaining), _ZERO)
            for order, quantity in ladder.print_at(recorded.price, left):
                left -= self._fill_resting(market, order, quantity)
        if left:
            market.print(recorded.price, left, recorded.buyer_is_maker, recorded.time, recorded.trade_id)

    def uncross(self, market: Market) -> None:
        """The feed's market moved through resting orders of ours: what crossed them takes them, at their price."""
        book = market.book
        for own, other in ((book.bids, book.asks), (book.asks, book.bids)):
            while (price := own.best_own) is not None and (external := other.best_external) is not None:
                if own.is_better(external, price):
                    break
                order = own.queues[price][0].order
                quantity = min(order.remaining, other.external[external])
                other.take_external(external, quantity)
                self._fill_resting(market, order, quantity)

    def _fill_resting(self, market: Market, order: Order, quantity: Decimal) -> Decimal:
        """Fill a resting order as maker against the market outside; an earlier fill may have shrunk or ended it."""
        quantity = min(quantity, order.remaining) if order.is_open else _ZERO
        if quantity:
            trade_id = market.print(order.price, quantity, order.side == "BUY", self._now()).trade_id
            self._settlement.fill(market, order, order.price, quantity, trade_id, maker=True)
        return quantity

    def _is_beyond(self, order: Order, price: Decimal, limit: Decimal | None) -> bool:
        if limit is None:
            return False
        return price > limit if order.side == "BUY" else price < limit
