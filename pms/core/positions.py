"""The virtual book of one (sub-account, symbol): what a fill does to it. Pure.

One-way arithmetic (binance.md 8): adding averages the entry, reducing realises, a flip closes at the old entry and
opens the rest at the fill's price under a new positionId (execution.md 11).
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from schemas.books import Position
from schemas.ids import base36
from schemas.market import ZERO, PositionSide
from schemas.orders import Fill

_replace = msgspec.structs.replace


class Booked(msgspec.Struct, frozen=True):
    """A position after a fill: the record, the event's type, and what the fill closed."""

    position: Position
    event: str
    closed_qty: Decimal
    realized_pnl: Decimal


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


def book(position: Position, fill: Fill, leverage: int, now: int) -> Booked:
    """Move the book by one fill. `leverage` is the order's, kept by an opening."""
    held = position.signed_quantity
    delta = fill.side.sign * fill.quantity
    after = held + delta
    if held == 0:
        return _opened(position, fill, delta, leverage, now)
    if held * delta > 0:
        entry = (abs(held) * position.entry_price + fill.quantity * fill.price) / abs(after)
        moved = _sized(position, after, entry, fill, ZERO, now)
        return Booked(moved, "position_updated", ZERO, ZERO)
    closed = min(abs(held), fill.quantity)
    realized = (fill.price - position.entry_price) * closed * (1 if held > 0 else -1)
    if after == 0:
        gone = _sized(position, ZERO, ZERO, fill, realized, now)
        return Booked(gone, "position_closed", closed, realized)
    if held * after > 0:
        reduced = _sized(position, after, position.entry_price, fill, realized, now)
        return Booked(reduced, "position_reduced", closed, realized)
    return Booked(_opened(position, fill, after, leverage, now).position, "position_updated", closed, realized)


def _opened(position: Position, fill: Fill, signed: Decimal, leverage: int, now: int) -> Booked:
    number = position.number + 1
    fresh = _replace(
        position,
        position_id=position_id(position.sub_account_id, position.symbol, number),
        number=number,
        leverage=leverage,
        realized_pnl=ZERO,
        fees=ZERO,
        opened_at=fill.time,
    )
    return Booked(_sized(fresh, signed, fill.price, fill, ZERO, now), "position_updated", ZERO, ZERO)


def _sized(position: Position, signed: Decimal, entry: Decimal, fill: Fill, realized: Decimal, now: int) -> Position:
    notional = abs(signed) * entry
    return _replace(
        position,
        side=PositionSide.SHORT if signed < 0 else PositionSide.LONG,
        quantity=abs(signed),
        signed_quantity=signed,
        entry_price=entry,
        notional=notional,
        margin=notional / position.leverage,
        realized_pnl=position.realized_pnl + realized,
        fees=position.fees + fill.commission,
        mark_price=fill.price,
        updated_at=now,
    )
