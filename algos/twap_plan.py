"""The plan of a TWAP: how large each lot is and when it is due. A pure function of parameters and seed.

Used alike where a TWAP is checked, shown, answered and run, so that what was shown is what is done. Refuses to know
what became of a lot.
"""

from __future__ import annotations

import hashlib
import struct
from bisect import bisect_right
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from algos import pricing
from schemas.market import ZERO, Instrument, Quote, Side
from schemas.twap import TwapParams

_WEIGHT_LEAST, _WEIGHT_MOST = 500, 1_500  # of an irregular lot: what it has above the minimum varies threefold
_PLANS_KEPT = 256  # the plans of the TWAPs that run, made once each


class Plan(NamedTuple):
    """`lots` sum to the quantity exactly, `sums` are their running totals; `due` are ms after the start, of each lot
    and then of the extension's slots, which repeat the lots (algos.md)."""

    lots: tuple[Decimal, ...]
    sums: tuple[Decimal, ...]
    due: tuple[int, ...]

    def own(self, slot: int) -> Decimal:
        """The planned size of a slot; one of the extension has that of the lot it repeats."""
        return self.lots[slot % len(self.lots)]

    def owed(self, slot: int) -> Decimal:
        """What should be filled once a slot is over."""
        return self.sums[min(slot, len(self.sums) - 1)]

    def slot_at(self, elapsed_ms: int) -> int:
        """The newest slot that is due so long after the start, -1 before the first."""
        return bisect_right(self.due, elapsed_ms) - 1

    def lots_in(self, filled: Decimal) -> int:
        """How many lots a filled quantity comes to, in the plan's order."""
        return bisect_right(self.sums, filled)


def seed_of(algo_id: str) -> str:
    """The seed of an algo's plan: a digest of its id, so that any process makes the same plan (law 10)."""
    return hashlib.sha256(f"twap:{algo_id}".encode()).hexdigest()[:16]


def numbers(seed: str, word: str, count: int) -> tuple[int, ...]:
    """The first numbers of a seed for a purpose, 64 bits each."""
    return struct.unpack(f">{count}Q", hashlib.shake_256(f"{seed}:{word}".encode()).digest(8 * count))


def planning_price(side: Side, quote: Quote, slippage_bps: int, instrument: Instrument) -> Decimal:
    """The lowest price at which a lot may have to leave, passive at own touch or crossing: at this one its notional is
    measured."""
    touch = quote.bid if side is Side.BUY else quote.ask
    return instrument.price(min(touch, pricing.bound_ticks(side, quote, slippage_bps, instrument)))


def least_lot(instrument: Instrument, price: Decimal, reduce_only: bool) -> Decimal:
    """The smallest quantity that can be sent alone at a price (law 6)."""
    needed = instrument.min_qty if reduce_only else max(instrument.min_qty, instrument.min_notional / price)
    steps = (needed / instrument.step).to_integral_value(ROUND_CEILING)
    return max(steps, Decimal(1)) * instrument.step


def most_lots(quantity: Decimal, least: Decimal) -> int:
    """Into how many lots a quantity can be cut at most."""
    return int(quantity // least)


@lru_cache(_PLANS_KEPT)
def plan(params: TwapParams, seed: str) -> Plan:
    """Lots and times. The number of lots was checked (`most_lots`)."""
    units = _units(params, seed)
    lots = tuple(unit * params.lot_step for unit in units)
    sums, total = [], ZERO
    for lot in lots:
        total += lot
        sums.append(total)
    assert total == params.quantity, "a plan sums to its quantity"
    return Plan(lots, tuple(sums), _due(params, seed))


def base_ms(params: TwapParams, slot: int) -> int:
    """When a slot's interval begins, ms after the start: absolute, so that nothing drifts."""
    return slot * params.duration_ms // params.lots


def _due(params: TwapParams, seed: str) -> tuple[int, ...]:
    """Each slot's time inside its own interval; the first one's is the start."""
    count = 2 * params.lots
    begins = [base_ms(params, slot) for slot in range(count + 1)]
    if not params.jitter_pct:
        return tuple(begins[:-1])
    share = pricing.scaled_pct(params.jitter_pct)
    reach = [(after - begin) * share // (100 * pricing.PCT_SCALE) for begin, after in pairwise(begins)]
    moved = [number % (most + 1) for number, most in zip(numbers(seed, "jitter", count), reach, strict=True)]
    return (0, *(begin + late for begin, late in zip(begins[1:-1], moved[1:], strict=True)))


def _units(params: TwapParams, seed: str) -> list[int]:
    """Sizes in whole steps: equal, or the minimum and a seeded share of what is above it."""
    total = int(params.quantity / params.lot_step)
    if not params.irregular:
        return apportioned(total, [1] * params.lots)
    least = int(params.lot_least / params.lot_step)
    spread = _WEIGHT_MOST - _WEIGHT_LEAST + 1
    weights = [_WEIGHT_LEAST + number % spread for number in numbers(seed, "size", params.lots)]
    return [least + more for more in apportioned(total - least * params.lots, weights)]


def apportioned(total: int, weights: list[int]) -> list[int]:
    """`total` shared out by weight in whole units, by largest remainder, the earlier first among equals."""
    whole = sum(weights)
    shares = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda index: (-(total * weights[index] % whole), index))
    for index in by_remainder[: total - sum(shares)]:
        shares[index] += 1
    return shares
