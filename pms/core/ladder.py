"""The margin ladder of a sub-account: warn, reduce the largest position, close all of it (before the venue would do so
to the whole account). Pure: numbers come in; where it stands, and what is to be closed, come out.

The ratio is maintenance margin over equity, by the venue's brackets; at 1 the venue liquidates. Invariant: while an
exit of the sub-account is under way nothing is reduced, and what is being closed is not closed twice: the books do not
show yet what it brings.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from enum import IntEnum
from typing import Literal

import msgspec

from pms.core.margin import Stake, notional_of, ratio
from schemas.market import ZERO, Instrument

WARN = Decimal("0.60")  # a fall of the price by a good third of the margin is left
REDUCE = Decimal("0.80")  # a reduction takes seconds, and a fast market a tenth of the margin in them
CLOSE = Decimal("0.92")  # the liquidation fee is 1.25 % of the notional: closing ourselves costs a fraction of it
SLACK = Decimal("0.05")  # more than marks flicker: a rung is left only so far below its mark
NOTHING_LEFT = Decimal(10)  # the ratio where there are positions and no equity
WORST = Decimal("0.95")  # of the mark: an exit's price bound, by which the venue reckons its least value

Action = Literal["reduce", "close", "notify"]


class Rung(IntEnum):
    """How far up a sub-account stands."""

    CALM = 0
    WARNED = 1
    REDUCING = 2
    CLOSING = 3


_MARKS: dict[int, Decimal] = {Rung.WARNED: WARN, Rung.REDUCING: REDUCE, Rung.CLOSING: CLOSE}


class Standing(msgspec.Struct, frozen=True):
    """Where a sub-account stands now."""

    rung: Rung
    ratio: Decimal


class Close(msgspec.Struct, frozen=True):
    """So much of a symbol's position is to be closed; None: all of it."""

    symbol: str
    quantity: Decimal | None


def climbed(marks: Mapping[int, Decimal], before: int, now: Decimal) -> int:
    """The highest rung whose mark is reached; one that is held already is left only `SLACK` below its mark."""
    return max((rung for rung, mark in marks.items() if now >= (mark - SLACK if rung <= before else mark)), default=0)


def judge(before: Rung, stakes: Collection[Stake], equity: Decimal, action: Action) -> Standing:
    """Where a sub-account with these positions stands, having stood at `before`."""
    now = ratio(equity, _maintained(stakes))
    if stakes and equity <= 0:
        now = NOTHING_LEFT  # also where no table is known
    rung = Rung(climbed(_MARKS, before, now))
    if action == "close" and rung is Rung.REDUCING:
        rung = Rung.CLOSING
    return Standing(rung, now)


def closes(
    rung: Rung,
    stakes: Sequence[Stake],
    equity: Decimal,
    rules: Mapping[str, Instrument],
    action: Action,
    locked: Collection[str],
) -> tuple[Close, ...]:
    """What is to be closed now. `rules`: of symbols that may be closed; `locked`: those with an exit under way."""
    if action == "notify" or rung < Rung.REDUCING:
        return ()
    tradable = [stake for stake in stakes if stake.symbol in rules]
    if rung is Rung.CLOSING:
        return tuple(Close(stake.symbol, None) for stake in tradable if stake.symbol not in locked)
    if locked or not tradable:
        return ()
    largest = max(tradable, key=lambda stake: (stake.maintenance, stake.symbol))
    quantity = _enough(largest, _maintained(stakes) - WARN * equity, rules[largest.symbol])
    return (Close(largest.symbol, quantity),) if quantity else ()


def _maintained(stakes: Iterable[Stake]) -> Decimal:
    return sum((stake.maintenance for stake in stakes), ZERO)


def _enough(stake: Stake, excess: Decimal, rules: Instrument) -> Decimal:
    """The least quantity that takes so much maintenance margin away, at most the position."""
    held = abs(stake.quantity)
    if excess <= 0 or not stake.mark:
        return ZERO
    kept = notional_of(stake.brackets, max(stake.maintenance - excess, ZERO)) / stake.mark
    return sized(held - kept, held, stake.mark, rules)


def sized(wanted: Decimal, held: Decimal, mark: Decimal, rules: Instrument) -> Decimal:
    """What of a position is closed where so much of it is wanted: on the grid, no less than the venue takes as one
    order, and all of it where the rest would be less than that."""
    least = max(rules.min_qty, rules.min_notional / (mark * WORST) if mark else ZERO)
    quantity = (max(wanted, least) / rules.step).to_integral_value(ROUND_CEILING) * rules.step
    return held if held - quantity < least else quantity
