"""Margin numbers of an account: initial and maintenance margin, available balance, liquidation price (binance.md 8).

Pure functions of an account and the marks. Single-asset mode; isolated positions set their initial margin aside.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from pms.sim.accounts import Account, Position
from pms.sim.brackets import bracket_of, max_leverage, max_notional
from pms.sim.model import NewOrder, VenueError
from pms.sim.numbers import money
from pms.sim.views import AccountView, PositionView

ASSET = "USDT"
MARKET_SLIPPAGE = Decimal("0.0005")  # a market buy is priced at best ask + 0.05 % (binance.md 8, "Margin")
_ZERO = Decimal(0)
Marks = Callable[[str], Decimal]


def initial_margin(position: Position, mark: Decimal, bids: Decimal, asks: Decimal) -> Decimal:
    """Of position and open orders together: the worse of all bids filled and all asks filled, by leverage."""
    return _worse(position, mark, bids, asks) / position.leverage


def _worse(position: Position, mark: Decimal, bids: Decimal, asks: Decimal) -> Decimal:
    notional = position.amount * mark
    return max(abs(notional + bids), abs(notional - asks))


def maintenance(position: Position, mark: Decimal) -> Decimal:
    """The maintenance margin of a position, by the bracket of its notional."""
    notional = abs(position.amount) * mark
    bracket = bracket_of(position.symbol, notional)
    return money(notional * bracket.maint_ratio - bracket.cum)


def position_view(account: Account, symbol: str, mark: Decimal, marks: Marks) -> PositionView:
    """Every number of one symbol."""
    position = account.position(symbol)
    bids, asks = account.notionals(symbol)
    notional = position.amount * mark
    bracket = bracket_of(symbol, abs(notional))
    maint = abs(notional) * bracket.maint_ratio - bracket.cum
    held = abs(notional) / position.leverage
    total = initial_margin(position, mark, bids, asks)
    return PositionView(
        symbol=symbol,
        amount=position.amount,
        entry_price=position.entry,
        break_even_price=position.break_even,
        mark_price=mark,
        unrealized=position.unrealized(mark),
        liquidation_price=_liquidation_price(account, position, mark, marks),
        isolated_wallet=position.isolated_wallet,
        notional=money(notional),
        initial_margin=money(total),
        maint_margin=money(maint),
        position_initial_margin=money(held),
        open_order_initial_margin=money(total - held),
        bid_notional=money(bids),
        ask_notional=money(asks),
        leverage=position.leverage,
        margin_type="isolated" if position.isolated else "cross",
        max_notional=max_notional(symbol, position.leverage),
        open_orders=len(account.open.get(symbol, ())),
        update_time=position.updated_at,
    )


def account_view(account: Account, marks: Marks) -> AccountView:
    """Totals over all symbols."""
    held = ordered = maint = unrealized = cross_unrealized = set_aside = isolated_held = _ZERO
    for symbol in account.positions.keys() | account.open.keys():
        position = account.position(symbol)
        mark = marks(symbol)
        bids, asks = account.notionals(symbol)
        notional = abs(position.amount * mark)
        profit = position.unrealized(mark)
        held += notional / position.leverage
        ordered += initial_margin(position, mark, bids, asks) - notional / position.leverage
        bracket = bracket_of(symbol, notional)
        maint += notional * bracket.maint_ratio - bracket.cum
        unrealized += profit
        if position.isolated:
            set_aside += position.isolated_wallet
            isolated_held += notional / position.leverage
        else:
            cross_unrealized += profit
    cross_wallet = account.wallet - set_aside
    available = max(cross_wallet + cross_unrealized - (held - isolated_held) - ordered, _ZERO)
    return AccountView(
        asset=ASSET,
        wallet=account.wallet,
        unrealized=unrealized,
        margin_balance=account.wallet + unrealized,
        maint_margin=money(maint),
        initial_margin=money(held + ordered),
        position_initial_margin=money(held),
        open_order_initial_margin=money(ordered),
        cross_wallet=cross_wallet,
        cross_unrealized=cross_unrealized,
        available=money(available),
        update_time=account.updated_at,
    )


def check_margin(account: Account, new: NewOrder, price: Decimal, marks: Marks, freed: Decimal = _ZERO) -> None:
    """Refuse an order that needs more than is available (-2019) or leads beyond the leverage's bracket (-2027).

    `price` is the limit price or the assumed one of a market order; `freed` the notional of the order that it replaces.
    """
    if new.reduce_only:
        return
    position = account.position(new.symbol)
    mark = marks(new.symbol) or price
    bids, asks = account.notionals(new.symbol)
    notional = price * new.quantity - freed
    after = (bids + notional, asks) if new.side == "BUY" else (bids, asks + notional)
    before = initial_margin(position, mark, bids, asks)
    more = initial_margin(position, mark, *after) - before
    if more <= 0:
        return
    if _worse(position, mark, *after) > max_notional(new.symbol, position.leverage):
        raise VenueError(-2027, "Exceeded the maximum allowable position at current leverage.")
    loss = max((price - mark) * (1 if new.side == "BUY" else -1), _ZERO) * new.quantity
    if more + loss > account_view(account, marks).available:
        raise VenueError(-2019, "Margin is insufficient.")


def check_leverage(account: Account, symbol: str, leverage: int, marks: Marks) -> None:
    """Refuse a leverage outside the brackets or one that position and margin do not allow (binance.md 3.5, 8)."""
    if not 1 <= leverage <= max_leverage(symbol):
        raise VenueError(-4028, f"Leverage {leverage} is not valid.")
    position = account.position(symbol)
    mark = marks(symbol)
    if position.isolated and position.amount and leverage < position.leverage:
        raise VenueError(-4161, "Leverage reduction is not supported in Isolated Margin Mode with open positions.")
    worst = _worse(position, mark, *account.notionals(symbol))
    if worst > max_notional(symbol, leverage):
        raise VenueError(-2027, "Exceeded the maximum allowable position at current leverage.")
    if worst / leverage - worst / position.leverage > account_view(account, marks).available:
        raise VenueError(-2028, "Leverage is smaller than permitted: insufficient margin balance.")


def _liquidation_price(account: Account, position: Position, mark: Decimal, marks: Marks) -> Decimal:
    """The mark at which the margin balance meets the maintenance margin; 0 when there is none (binance.md 8)."""
    amount = position.amount
    if not amount or not mark:
        return _ZERO
    balance = position.isolated_wallet
    if not position.isolated:
        view = account_view(account, marks)
        bracket = bracket_of(position.symbol, abs(amount) * mark)
        own_maint = abs(amount) * mark * bracket.maint_ratio - bracket.cum
        others = view.cross_unrealized - position.unrealized(mark)
        balance = view.cross_wallet - (view.maint_margin - own_maint) + others
    bracket = bracket_of(position.symbol, abs(amount) * mark)
    price = (balance + bracket.cum - amount * position.entry) / (abs(amount) * bracket.maint_ratio - amount)
    return max(money(price), _ZERO)
