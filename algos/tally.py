"""What an execution cost, told alike by every algo: fees by asset, and the distance from the price at its arrival.

Pure arithmetic on exact decimals; refuses to convert one asset into another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from schemas.market import ZERO, Side
from schemas.orders import Fill

Fees = Mapping[str, Decimal]  # amount by asset
_BPS = Decimal(10_000)
_SHOWN = Decimal("0.01")


def with_fee(fees: Fees, fill: Fill) -> dict[str, Decimal]:
    """The fees with a fill's commission."""
    total = dict(fees)
    if fill.commission:
        total[fill.commission_asset] = total.get(fill.commission_asset, ZERO) + fill.commission
    return total


def added(*several: Fees) -> dict[str, Decimal]:
    """The sum of several."""
    total: dict[str, Decimal] = {}
    for fees in several:
        for asset, amount in fees.items():
            total[asset] = total.get(asset, ZERO) + amount
    return total


def average(quote_filled: Decimal, filled: Decimal) -> Decimal:
    """The average price, 0 before the first fill."""
    return quote_filled / filled if filled else ZERO


def slippage_bps(side: Side, price: Decimal, arrival: Decimal) -> Decimal:
    """How much worse than the mid at arrival a price is, in basis points to the hundredth; negative is better, 0 where
    either is not known."""
    if not price or not arrival:
        return ZERO
    return (side.sign * (price - arrival) / arrival * _BPS).quantize(_SHOWN)


def total_filled(rows: Iterable[tuple[Decimal, Decimal]]) -> tuple[Decimal, Decimal]:
    """(quantity, quote) over (quantity, quote) of several children."""
    filled, quote = ZERO, ZERO
    for quantity, paid in rows:
        filled, quote = filled + quantity, quote + paid
    return filled, quote
