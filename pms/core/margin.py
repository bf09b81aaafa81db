"""Margin arithmetic of USDT-margined linear contracts, by the venue's leverage brackets (binance.md 8). Pure.

Owns the formulas; the tables come from the venue. Refuses to know sub-accounts, orders and what follows from a number.
Notionals are absolute USDT amounts at the mark price.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from schemas.market import ZERO


class Bracket(msgspec.Struct, frozen=True):
    """One row of a symbol's table: notionals above `floor` and up to `cap`, the highest leverage there, the
    maintenance ratio and the amount that continues it across the borders."""

    floor: Decimal
    cap: Decimal
    max_leverage: int
    maint_ratio: Decimal
    cum: Decimal


Brackets = tuple[Bracket, ...]  # smallest notional first; empty where the table is not known


class Stake(msgspec.Struct, frozen=True):
    """One position as its sub-account's margin sees it; `quantity` is signed."""

    symbol: str
    quantity: Decimal
    entry: Decimal
    mark: Decimal
    leverage: int
    brackets: Brackets = ()

    @property
    def notional(self) -> Decimal:
        return abs(self.quantity) * self.mark

    @property
    def unrealized(self) -> Decimal:
        return (self.mark - self.entry) * self.quantity

    @property
    def initial(self) -> Decimal:
        """The margin that the position holds."""
        return self.notional / self.leverage

    @property
    def maintenance(self) -> Decimal:
        return maintenance(self.brackets, self.notional)


def bracket_of(brackets: Brackets, notional: Decimal) -> Bracket | None:
    """The row in which a notional stands; beyond all caps the last; None where there is no table."""
    for row in brackets:
        if notional <= row.cap:
            return row
    return brackets[-1] if brackets else None


def maintenance(brackets: Brackets, notional: Decimal) -> Decimal:
    """The maintenance margin of a position; 0 where there is no table."""
    row = bracket_of(brackets, notional)
    return ZERO if row is None else notional * row.maint_ratio - row.cum


def notional_of(brackets: Brackets, maintained: Decimal) -> Decimal:
    """The notional whose maintenance margin is `maintained`; 0 where there is no table."""
    for row in brackets:
        if row is brackets[-1] or maintained <= row.cap * row.maint_ratio - row.cum:
            return (maintained + row.cum) / row.maint_ratio if row.maint_ratio else ZERO
    return ZERO


def max_leverage(brackets: Brackets, notional: Decimal) -> int:
    """The highest leverage whose cap covers a gross notional (execution.md 15); 1 beyond all caps."""
    return next((row.max_leverage for row in brackets if notional <= row.cap), 1)


def max_notional(brackets: Brackets, leverage: int) -> Decimal:
    """The largest notional that a leverage allows; 0 where none does."""
    return max((row.cap for row in brackets if row.max_leverage >= leverage), default=ZERO)


def netted(signed: Iterable[Decimal]) -> Decimal:
    """Of what several sub-accounts hold of a symbol, the worse side: max(sum of longs, sum of shorts). The venue nets
    them, but one side may close first, and the other must then stand on its own margin (execution.md 14)."""
    longs = shorts = ZERO
    for amount in signed:
        if amount > 0:
            longs += amount
        else:
            shorts -= amount
    return max(longs, shorts)


def liquidation_price(balance: Decimal, stake: Stake, others: Iterable[Stake]) -> Decimal:
    """The mark at which balance and profits meet the maintenance margins; 0 where there is none (binance.md 8).

    `others` are the sub-account's other positions, taken at their marks. The bracket is the one of today's notional.
    """
    quantity, row = stake.quantity, bracket_of(stake.brackets, stake.notional)
    if not quantity or row is None:
        return ZERO
    rest = balance + sum((other.unrealized - other.maintenance for other in others), ZERO)
    slope = abs(quantity) * row.maint_ratio - quantity
    if not slope:
        return ZERO
    return max((rest + row.cum - quantity * stake.entry) / slope, ZERO)


def ratio(equity: Decimal, maintained: Decimal) -> Decimal:
    """Maintenance margin as a share of equity: 1 is liquidation; beyond it where nothing is left."""
    if not maintained:
        return ZERO
    return maintained / equity if equity > 0 else Decimal(10)
