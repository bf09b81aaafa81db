"""One row of the bench: a path's figures, its reference's, and whether the budget holds."""

from __future__ import annotations

from math import inf

import msgspec


class Row(msgspec.Struct):
    """`ratio` is p50 ÷ reference, 0 where there is none. `budget_of` says what the budget bounds: "ratio", "p50" or
    "p99" from above, "least": p50 from below, or "told": nothing, the figure explains another row."""

    name: str
    unit: str
    p50: float
    p99: float
    reference: float
    ratio: float
    budget: float
    budget_of: str
    ok: bool


def row(name: str, unit: str, product: list[float], reference: list[float], budget: float, budget_of: str) -> Row:
    """From the times of product and reference; the latter may be empty."""
    p50, p99 = quantile(product, 0.5), quantile(product, 0.99)
    middle = quantile(reference, 0.5) if reference else 0.0
    ratio = p50 / middle if middle else 0.0
    bounded = {"ratio": ratio, "p50": p50, "p99": p99, "least": -p50, "told": -inf}[budget_of]
    ok = bounded <= (-budget if budget_of == "least" else budget)
    return Row(name, unit, round(p50, 3), round(p99, 3), round(middle, 3), round(ratio, 3), budget, budget_of, ok)


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
