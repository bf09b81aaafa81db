"""The virtual book of one (sub-account, symbol): what a trade does to it. Pure.

One-way arithmetic (binance.md 8): adding averages the entry, reducing realises, a flip closes at the old entry and
opens the rest at the trade's price under a new positionId (execution.md 11). Realised money is kept to the venue's
digits, so that sums of it are exact.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from pms.core import funding
from pms.core.funding import money
from schemas.books import Position
from schemas.ids import base36
from schemas.market import ZERO, PositionSide

_SHOWN = Decimal("0.01")
_replace = msgspec.structs.replace


class Trade(msgspec.Struct, frozen=True):
    """What moves a book: a signed quantity at a price, with its fee, at the venue's time."""

    quantity: Decimal
    price: Decimal
    fee: Decimal
    time: int


class Booked(msgspec.Struct, frozen=True):
    """A position after a trade, or after its closing part: the record, the event's type, and what was closed."""

    position: Position
    event: str
    closed_qty: Decimal
    realized_pnl: Decimal
    fee: Decimal
    price: Decimal


def position_id(sub_account_id: str, symbol: str, number: int) -> str:
    """sub-account, symbol and number of the opening: new after flat and after a flip (execution.md 11)."""
    return f"{sub_account_id}:{symbol}:{base36(number, 6).lstrip('0') or '0'}"


def flat(sub_account_id: str, symbol: str) -> Position:
    """A book that was never touched."""
    return Position(
        position_id=position_id(sub_account_id, symbol, 0),
        sub_account_id=sub_account_id,
        symbol=symbol,
        side=PositionSide.LONG,
        entry_price=ZERO,
        quantity=ZERO,
        signed_quantity=ZERO,
        number=0,
    )


def book(position: Position, trade: Trade, leverage: int, now: int, funded: int = 0) -> tuple[Booked, ...]:
    """Move the book by one trade: a flip gives two parts, its closing and its opening. `leverage` is the order's, kept
    by an opening; `funded` the time up to which the symbol's funding is booked."""
    held = position.signed_quantity
    hours = funding.crossed(trade.time, trade.quantity, held, position.hours, funded, position.position_id)
    if hours is not position.hours:
        position = _replace(position, hours=hours)
    if held * trade.quantity >= 0:
        return (_opened(position, trade, leverage, now) if not held else _grown(position, trade, now),)
    beyond = abs(trade.quantity) - abs(held)
    if beyond <= 0:
        return (_reduced(position, trade, now),)
    closing, opening = _split(trade, -held)
    closed = _reduced(position, closing, now)
    return closed, _opened(closed.position, opening, leverage, now)


def averaged(position: Position, entry: Decimal, now: int) -> Booked:
    """The position at another average entry. What was realised by the wrong one moves with it, so that profit realised
    and open stay together what they were."""
    correction = money((entry - position.entry_price) * position.signed_quantity)
    nothing = Trade(ZERO, position.mark_price, ZERO, now)
    moved = _sized(position, position.signed_quantity, entry, nothing, correction, now)
    return Booked(moved, "position_updated", ZERO, correction, ZERO, position.mark_price)


def _split(trade: Trade, quantity: Decimal) -> tuple[Trade, Trade]:
    """The part of that signed quantity, and the rest, each with its share of the fee."""
    fee = money(trade.fee * quantity / trade.quantity)
    first = _replace(trade, quantity=quantity, fee=fee)
    return first, _replace(trade, quantity=trade.quantity - quantity, fee=trade.fee - fee)


def _opened(position: Position, trade: Trade, leverage: int, now: int) -> Booked:
    number = position.number + 1
    fresh = _replace(
        position,
        position_id=position_id(position.sub_account_id, position.symbol, number),
        number=number,
        leverage=leverage,
        realized_pnl=ZERO,
        fees=ZERO,
        opened_at=trade.time,
    )
    after = _sized(fresh, trade.quantity, trade.price, trade, ZERO, now)
    return Booked(after, "position_updated", ZERO, ZERO, trade.fee, trade.price)


def _grown(position: Position, trade: Trade, now: int) -> Booked:
    held, after = position.signed_quantity, position.signed_quantity + trade.quantity
    entry = (held * position.entry_price + trade.quantity * trade.price) / after
    moved = _sized(position, after, entry, trade, ZERO, now)
    return Booked(moved, "position_updated", ZERO, ZERO, trade.fee, trade.price)


def _reduced(position: Position, trade: Trade, now: int) -> Booked:
    realized = money((position.entry_price - trade.price) * trade.quantity)
    after = position.signed_quantity + trade.quantity
    entry = position.entry_price if after else ZERO
    moved = _sized(position, after, entry, trade, realized, now)
    event = "position_reduced" if after else "position_closed"
    return Booked(moved, event, abs(trade.quantity), realized, trade.fee, trade.price)


def _sized(position: Position, signed: Decimal, entry: Decimal, trade: Trade, realized: Decimal, now: int) -> Position:
    notional = abs(signed) * entry
    margin = notional / position.leverage
    unrealized = money((trade.price - entry) * signed)
    return _replace(
        position,
        side=PositionSide.SHORT if signed < 0 else PositionSide.LONG if signed else position.side,
        quantity=abs(signed),
        signed_quantity=signed,
        entry_price=entry,
        notional=notional,
        margin=margin,
        unrealized_pnl=unrealized,
        pnl_percent=percent(unrealized, margin),
        liquidation_price=ZERO,
        mark_price=trade.price,
        realized_pnl=position.realized_pnl + realized,
        fees=position.fees + trade.fee,
        updated_at=now,
    )


def percent(profit: Decimal, margin: Decimal) -> Decimal:
    """Profit in percent of the margin held, to two digits."""
    return (profit * 100 / margin).quantize(_SHOWN) if margin else ZERO
