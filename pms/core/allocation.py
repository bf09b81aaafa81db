"""Who bears a fill that nobody here ordered: liquidation, ADL, settlement, a stranger's order (execution.md 13). Pure.

What reduces the account's net falls to the books on the closed side, pro rata; what increases it is `external`'s.
Invariants: the parts are the whole; no book is turned over by its part of what reduces; who comes first in a listing
does not matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from schemas.market import ZERO
from schemas.records import EXTERNAL


def allocated(delta: Decimal, held: Mapping[str, Decimal], step: Decimal) -> dict[str, Decimal]:
    """The signed part of a foreign fill `delta` that each book takes; `held` are all signed positions of the symbol,
    `external`'s too. A fill that closes the net and opens beyond it is split."""
    net = sum(held.values(), ZERO)
    reducing = min(abs(delta), abs(net)) if net * delta < 0 else ZERO
    sign = 1 if delta > 0 else -1
    closed = {name: abs(quantity) for name, quantity in held.items() if quantity * net > 0}
    parts = {name: sign * part for name, part in pro_rata(reducing, closed, step).items() if part}
    beyond = delta - sign * reducing
    if beyond:
        parts[EXTERNAL] = parts.get(EXTERNAL, ZERO) + beyond
    return parts


def pro_rata(total: Decimal, shares: Mapping[str, Decimal], step: Decimal) -> dict[str, Decimal]:
    """`total` over shares that together are at least as large: whole steps each, the steps left over to the largest
    remainders. Nobody gets more than its share."""
    whole = sum(shares.values(), ZERO)
    assert ZERO <= total <= whole, f"{total} can't be taken from {whole}"
    if not total:
        return dict.fromkeys(shares, ZERO)
    # total * share is divided at the end, so that equal shares have equal remainders whatever they divide by
    parts = {name: min(share, total * share // (whole * step) * step) for name, share in shares.items()}
    left = total - sum(parts.values(), ZERO)
    order = sorted(shares, key=lambda name: (parts[name] * whole - total * shares[name], name))
    while left:  # one round, but where shares or total are no whole steps
        for name in order:
            more = min(step, left, shares[name] - parts[name])
            parts[name] += more
            left -= more
    return parts


def apportioned(amount: Decimal, parts: Mapping[str, Decimal], quantum: Decimal) -> dict[str, Decimal]:
    """A fee of either sign over signed parts of one fill, exact to the last digit: what rounding leaves goes to the
    largest part."""
    whole = sum(map(abs, parts.values()), ZERO)
    fees = {name: (amount * abs(part) / whole).quantize(quantum) for name, part in parts.items()}
    largest = max(parts, key=lambda name: (abs(parts[name]), name))
    fees[largest] += amount - sum(fees.values(), ZERO)
    return fees
