"""Funding per sub-account, and the position that counts for it (execution.md 16). Pure.

The venue pays on the account's net at the funding time; each book here is owed on its own position at that time, so a
book keeps what it held at the whole hours that it crossed (every funding time is one).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from schemas.books import Held
from schemas.market import ZERO
from schemas.reports import FundingRate

HOUR_MS = 3_600_000  # funding times are whole hours, UTC (binance.md 8: 8 h, 4 h or 1 h apart)
HOURS_KEPT = 200  # a week with fills in every hour: longer without the venue's funding history is no reading at all
CENT = Decimal("0.00000001")  # the venue keeps money to 8 decimals (binance.md 8)


def money(amount: Decimal) -> Decimal:
    """An amount as the venue keeps it. Nothing is 0, not 0E-8, whose exponent the encoder would have to write out."""
    return amount.quantize(CENT) or ZERO


def payment(quantity: Decimal, mark: Decimal, rate: Decimal) -> Decimal:
    """What a signed position receives (negative: pays)."""
    return money(-quantity * mark * rate)


def held_at(time: int, now_held: Decimal, hours: tuple[Held, ...]) -> Decimal:
    """The signed position just before `time`, a whole hour: fills from then on don't count."""
    for hour in hours:
        if hour.time >= time:
            return hour.quantity
    return now_held


def position_at(time: int, now_id: str, hours: tuple[Held, ...]) -> str:
    """The position that `held_at` counts; `now_id` is today's."""
    return next((hour.position_id for hour in hours if hour.time >= time), now_id)


def crossed(
    time: int, delta: Decimal, held: Decimal, hours: tuple[Held, ...], funded: int, position_id: str = ""
) -> tuple[Held, ...]:
    """The hours kept after a trade at `time` moves a book that holds `held`, as that position, by `delta`. A late trade
    mends the hours after it. Hours whose funding is booked (up to `funded`) are let go."""
    start = time // HOUR_MS * HOUR_MS
    if (hours[-1].time == start and hours[0].time > funded) if hours else start <= funded:
        return hours  # what has to be kept of this hour is, as of most trades
    kept = {
        hour.time: Held(hour.time, hour.quantity + (delta if hour.time > start else ZERO), hour.position_id)
        for hour in hours
    }
    if start not in kept:
        kept[start] = Held(start, held_at(start, held, hours), position_at(start, position_id, hours))
    rows = [kept[at] for at in sorted(kept) if at > funded]
    return tuple(rows[-HOURS_KEPT:])


def payments(rate: FundingRate, held: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """What each book receives at one funding; books with nothing at that time are left out."""
    return {name: payment(quantity, rate.mark, rate.rate) for name, quantity in held.items() if quantity}
