"""Leverage brackets: highest leverage and maintenance margin by position notional (binance.md 8).

Owns two tables. The first is BTCUSDT's and ETHUSDT's of late 2024; other symbols get one with a tenth of the caps and
at most 75x, which has the shape of a large alt's and is an assumption.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

from pms.sim.views import Bracket

DEFAULT_LEVERAGE = 20
_MAJORS = ("BTCUSDT", "ETHUSDT")
_ALT_MAX_LEVERAGE = 75
_ALT_CAP_SHARE = Decimal("0.1")
_ROWS = (  # notional cap, highest leverage, maintenance ratio
    (50_000, 125, "0.004"),
    (600_000, 100, "0.005"),
    (3_000_000, 75, "0.0065"),
    (12_000_000, 50, "0.01"),
    (70_000_000, 25, "0.02"),
    (100_000_000, 20, "0.025"),
    (230_000_000, 10, "0.05"),
    (480_000_000, 5, "0.1"),
    (600_000_000, 4, "0.125"),
    (800_000_000, 3, "0.15"),
    (1_200_000_000, 2, "0.25"),
    (1_800_000_000, 1, "0.5"),
)


@lru_cache(maxsize=4096)  # one entry per symbol
def brackets(symbol: str) -> tuple[Bracket, ...]:
    """The symbol's brackets, smallest notional first; `cum` continues the maintenance margin across their borders."""
    major = symbol in _MAJORS
    rows = [row for row in _ROWS if major or row[1] <= _ALT_MAX_LEVERAGE]
    share = Decimal(1) if major else _ALT_CAP_SHARE
    table: list[Bracket] = []
    floor, cum, ratio_before = Decimal(0), Decimal(0), Decimal(0)
    for number, (cap, leverage, ratio_text) in enumerate(rows, 1):
        ratio = Decimal(ratio_text)
        cum += floor * (ratio - ratio_before) if table else Decimal(0)
        table.append(Bracket(number, leverage, floor, cap * share, ratio, cum))
        floor, ratio_before = cap * share, ratio
    return tuple(table)


def bracket_of(symbol: str, notional: Decimal) -> Bracket:
    """The bracket in which a position of this absolute notional stands; above all caps the last."""
    table = brackets(symbol)
    return next((row for row in table if notional <= row.notional_cap), table[-1])


def max_notional(symbol: str, leverage: int) -> Decimal:
    """The largest position that `leverage` allows: the cap of the last bracket that still offers it."""
    return max(row.notional_cap for row in brackets(symbol) if row.initial_leverage >= leverage)


def max_leverage(symbol: str) -> int:
    return brackets(symbol)[0].initial_leverage
