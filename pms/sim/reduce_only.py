"""Reduce-only bookkeeping: open reduce-only orders of a side never add up to more than the position (binance.md 8).

Pure: says how much a new order may have and which orders stand too long. Who comes first: the better price, then the
older order; an order of MARKET type is being executed, so it comes before all.
"""

from __future__ import annotations

from decimal import Decimal

from pms.sim.accounts import Account
from pms.sim.model import NewOrder, Order, Side

_ZERO = Decimal(0)


def allowed(account: Account, new: NewOrder) -> Decimal:
    """The quantity that a new reduce-only order may have; 0 when there is nothing (left) to reduce."""
    amount = account.position(new.symbol).amount
    if not amount or _closing_side(amount) != new.side:
        return _ZERO
    return _left_for(account, new.symbol, new.side, _rank(new.type, new.side, new.price), None, new.quantity)


def allowed_amended(account: Account, order: Order, quantity: Decimal, price: Decimal) -> Decimal:
    """The total that a resting reduce-only order may be amended to; more than `filled`, as the position covers it."""
    rank = _rank(order.type, order.side, price)
    left = _left_for(account, order.symbol, order.side, rank, order, quantity - order.filled)
    return order.filled + left


def excess(account: Account, symbol: str) -> list[tuple[Order, Decimal]]:
    """Orders that the position no longer covers, each with the open quantity that is left for it (0: none)."""
    orders = [order for order in account.open.get(symbol, {}).values() if order.reduce_only]
    if not orders:
        return []
    amount = account.position(symbol).amount
    side = _closing_side(amount)
    left = abs(amount)
    found: list[tuple[Order, Decimal]] = []
    for order in sorted(orders, key=lambda o: (*_rank(o.type, o.side, o.price), o.order_id)):
        covered = min(left, order.remaining) if amount and order.side == side else _ZERO
        left -= covered
        if covered < order.remaining:
            found.append((order, covered))
    return found


def _left_for(
    account: Account, symbol: str, side: Side, rank: tuple[bool, Decimal], itself: Order | None, wanted: Decimal
) -> Decimal:
    before = sum(
        (
            order.remaining
            for order in account.open.get(symbol, {}).values()
            if order.reduce_only
            and order is not itself
            and order.side == side
            and _rank(order.type, side, order.price) <= rank
        ),
        _ZERO,
    )
    return max(min(wanted, abs(account.position(symbol).amount) - before), _ZERO)


def _closing_side(amount: Decimal) -> Side:
    return "SELL" if amount > 0 else "BUY"


def _rank(order_type: str, side: Side, price: Decimal) -> tuple[bool, Decimal]:
    return order_type != "MARKET", price if side == "SELL" else -price
