"""The account's guard: how near the venue is to liquidating the whole account, and what is reduced then. Pure.

The ratio is the venue's own, of its net positions. So what is reduced stands on the side of its symbol's net: closing
what stands opposite would make the venue's position larger.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from enum import IntEnum

import msgspec

from pms.core.ladder import climbed, sized
from schemas.market import ZERO, Instrument
from schemas.records import EXTERNAL

WARN, REDUCE_ONLY, REDUCE = Decimal("0.50"), Decimal("0.70"), Decimal("0.85")
PARTS = 4  # a quarter at a time: what is needed further shows in the venue's next answer


class Level(IntEnum):
    """How far up the account stands."""

    CALM = 0
    WARNED = 1
    REDUCE_ONLY = 2
    REDUCING = 3


_MARKS: dict[int, Decimal] = {Level.WARNED: WARN, Level.REDUCE_ONLY: REDUCE_ONLY, Level.REDUCING: REDUCE}


class Holding(msgspec.Struct, frozen=True):
    """One sub-account's position in a symbol, signed, at its mark (0: not known)."""

    sub_account_id: str
    symbol: str
    quantity: Decimal
    mark: Decimal

    @property
    def owner(self) -> tuple[str, str]:
        return self.sub_account_id, self.symbol


def judge(before: Level, ratio: Decimal) -> Level:
    """Where the account stands, having stood at `before`."""
    return Level(climbed(_MARKS, before, ratio))


def portion(
    holdings: Collection[Holding], rules: Mapping[str, Instrument], barred: Collection[tuple[str, str]]
) -> Holding | None:
    """What is closed next, with the quantity to be closed: a part of the largest position that the venue's net shows.
    None where there is none. `barred`: positions whose exits the venue does not take now."""
    nets: defaultdict[str, Decimal] = defaultdict(Decimal)
    foreign: defaultdict[str, Decimal] = defaultdict(Decimal)
    for one in holdings:
        nets[one.symbol] += one.quantity
        if one.sub_account_id == EXTERNAL:
            foreign[one.symbol] += one.quantity
    shown = [
        msgspec.structs.replace(one, quantity=_shown(one.quantity, nets[one.symbol]))
        for one in _ours(holdings, foreign)
        if one.symbol in rules and one.owner not in barred and one.quantity * nets[one.symbol] > 0
    ]
    if not shown:
        return None
    largest = max(shown, key=lambda one: (abs(one.quantity) * one.mark, one.owner))
    size = abs(largest.quantity)
    part = sized(size / PARTS, size, largest.mark, rules[largest.symbol])
    return msgspec.structs.replace(largest, quantity=part if largest.quantity > 0 else -part)


def _ours(holdings: Iterable[Holding], foreign: Mapping[str, Decimal]) -> Iterable[Holding]:
    """Those that may be closed: nobody's own and not opposite to it (execution.md 13)."""
    return (
        one for one in holdings if one.sub_account_id != EXTERNAL and one.quantity * foreign.get(one.symbol, ZERO) >= 0
    )


def _shown(quantity: Decimal, net: Decimal) -> Decimal:
    """What of a position the venue's net shows; both have the same sign."""
    return min(quantity, net, key=abs)
