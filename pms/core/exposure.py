"""What each sub-account has at stake, kept up with every order and position: the risk gate reads it before each order.

Pure bookkeeping in constant time per change; nothing is summed over all orders when an order is judged. Owns sums,
refuses to judge. Invariant: equal to what a recount of orders and positions would give. Orders that only reduce count
for nothing but the number of live orders: what they may close is the exit ledger's (execution.md 14).
"""

from __future__ import annotations

from decimal import Decimal

from schemas.books import Position
from schemas.market import ZERO, Side
from schemas.orders import Order


class Stake:
    """One sub-account's in one symbol: the signed position with its entry price, and what its live orders that add
    could still buy and sell. `price` is the newest one seen in either, for where no mark is known."""

    __slots__ = ("asks", "bids", "entry", "held", "leverage", "live", "price")

    def __init__(self) -> None:
        self.held = self.entry = self.bids = self.asks = self.price = ZERO
        self.leverage = 1
        self.live = 0

    @property
    def worst(self) -> Decimal:
        """The largest quantity that the position can come to: all bids filled and no ask, or the other way round
        (execution.md 14, binance.md 8)."""
        return max(self.held + self.bids, self.asks - self.held)


class Exposure:
    """Of all sub-accounts."""

    def __init__(self) -> None:
        self._stakes: dict[str, dict[str, Stake]] = {}
        self._orders: dict[str, tuple[Stake, Side, Decimal, int, Decimal]] = {}

    def of(self, sub_account_id: str) -> dict[str, Stake]:
        """A sub-account's stakes by symbol; idle ones may be among them."""
        return self._stakes.get(sub_account_id, _NOTHING)

    def _stake(self, sub_account_id: str, symbol: str) -> Stake:
        stakes = self._stakes.setdefault(sub_account_id, {})
        stake = stakes.get(symbol)
        if stake is None:
            stake = stakes[symbol] = Stake()
        return stake

    def order(self, order: Order) -> None:
        """An order is what it is now."""
        self.forget(order.client_order_id)
        if order.state.terminal:
            return
        stake = self._stake(order.sub_account_id, order.symbol)
        open_ = ZERO if order.reduce_only else max(open_quantity(order), ZERO)
        leverage, price = stake.leverage, stake.price
        stake.live += 1
        if not order.reduce_only and not stake.held:  # a position keeps its own, whatever is ordered beside it
            stake.leverage, stake.price = order.leverage, order.price or stake.price
        if order.side is Side.BUY:
            stake.bids += open_
        else:
            stake.asks += open_
        self._orders[order.client_order_id] = (stake, order.side, open_, leverage, price)

    def forget(self, client_order_id: str, tried: bool = False) -> None:
        """An order counts no more. One that was only `tried`, the newest that is still there, leaves nothing behind."""
        counted = self._orders.pop(client_order_id, None)
        if counted is None:
            return
        stake, side, open_, leverage, price = counted
        stake.live -= 1
        if tried:
            stake.leverage, stake.price = leverage, price
        if side is Side.BUY:
            stake.bids -= open_
        else:
            stake.asks -= open_

    def opposes(self, sub_account_id: str, symbol: str, side: Side, apart_from: str) -> bool:
        """Whether another sub-account holds the other side of a symbol, or could come to hold it by what rests."""
        for name, stakes in self._stakes.items():
            stake = stakes.get(symbol)
            if stake is None or name in (sub_account_id, apart_from):
                continue
            if stake.held < stake.asks if side is Side.BUY else -stake.held < stake.bids:
                return True
        return False

    def position(self, position: Position) -> None:
        """A position is what it is now."""
        stake = self._stake(position.sub_account_id, position.symbol)
        stake.held, stake.entry = position.signed_quantity, position.entry_price
        stake.price = position.mark_price or position.entry_price or stake.price
        if position.signed_quantity:
            stake.leverage = position.leverage


_NOTHING: dict[str, Stake] = {}


def open_quantity(order: Order) -> Decimal:
    """What an order may still fill; an amend in flight counts at the larger of both totals."""
    total = order.quantity if order.next_quantity is None else max(order.quantity, order.next_quantity)
    return total - order.filled_qty
