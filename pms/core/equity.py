"""What a sub-account is worth and how much of it is bound: the numbers of `pms:risk:{acct}` (contract.md). Pure.

Refuses to know where marks and tables come from. A position without a mark is taken at the price it last moved at, an
open order binds margin as the venue reckons it: the worse of all bids filled and all asks filled (binance.md 8).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from pms.core import margin
from pms.core.funding import money
from pms.core.margin import Brackets, Stake
from pms.core.positions import percent
from schemas.books import Position, Risk, RiskPosition
from schemas.market import ZERO, Side
from schemas.orders import Order
from schemas.records import SubAccount

Mark = Callable[[str], Decimal]  # the mark price of a symbol, 0 where it is not known


def stakes(positions: Iterable[Position], mark: Mark, brackets: Mapping[str, Brackets]) -> dict[str, Stake]:
    """The open positions of one sub-account by symbol, as margin sees them."""
    return {
        held.symbol: Stake(
            held.symbol,
            held.signed_quantity,
            held.entry_price,
            mark(held.symbol) or held.mark_price,
            held.leverage,
            brackets.get(held.symbol, ()),
        )
        for held in positions
        if held.signed_quantity
    }


def liquidation_price(balance: Decimal, symbol: str, held: Mapping[str, Stake]) -> Decimal:
    """Of one position of a sub-account, its others as they stand; 0 where there is none."""
    if symbol not in held:
        return ZERO
    others = [stake for name, stake in held.items() if name != symbol]
    return money(margin.liquidation_price(balance, held[symbol], others))


def equity(balance: Decimal, held: Iterable[Stake]) -> Decimal:
    return balance + sum((money(stake.unrealized) for stake in held), ZERO)


def snapshot(
    account: SubAccount, positions: Iterable[Position], orders: tuple[Order, ...], held: Mapping[str, Stake], now: int
) -> Risk:
    """The risk record. `orders` are the sub-account's live ones, `held` its `stakes`."""
    worth = equity(account.balance, held.values())
    used = _used(held, orders)
    rows = tuple(_row(position, account.balance, held) for position in positions if position.signed_quantity)
    return Risk(
        balance=account.balance,
        equity=worth,
        margin_used=used,
        available_margin=worth - used,
        positions=rows,
        open_orders=orders,
        timestamp=now,
    )


def _used(held: Mapping[str, Stake], orders: Iterable[Order]) -> Decimal:
    bids: defaultdict[str, Decimal] = defaultdict(Decimal)
    asks: defaultdict[str, Decimal] = defaultdict(Decimal)
    leverage = {order.symbol: order.leverage for order in orders}
    for order in orders:
        if not order.reduce_only:
            side = bids if order.side is Side.BUY else asks
            side[order.symbol] += order.remaining * order.price
    total = ZERO
    for symbol in sorted({*held, *leverage}):
        stake = held.get(symbol)
        notional = stake.quantity * stake.mark if stake else ZERO
        worse = max(abs(notional + bids[symbol]), abs(notional - asks[symbol]))
        total += worse / (stake.leverage if stake else leverage[symbol])
    return money(total)


def _row(position: Position, balance: Decimal, held: Mapping[str, Stake]) -> RiskPosition:
    stake = held[position.symbol]
    profit, bound = money(stake.unrealized), money(stake.initial)
    return RiskPosition(
        id=position.position_id,
        symbol=position.symbol,
        side=position.side,
        entry_price=position.entry_price,
        quantity=position.quantity,
        notional=money(stake.notional),
        margin=bound,
        leverage=position.leverage,
        liquidation_price=liquidation_price(balance, position.symbol, held),
        unrealized_pnl=profit,
        pnl_percent=percent(profit, bound),
        mark_price=stake.mark,
        opened_at=position.opened_at,
    )
