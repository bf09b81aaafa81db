"""Several parents together, and by day and week: pure. Owns how they are weighted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from pms.report.facts import Refusal
from pms.report.measures import MARKOUTS_S, Figures, Measures, rounded
from schemas.market import ZERO


class Totals(Figures, frozen=True, kw_only=True):
    """Parents together. Basis points are weighted by what each parent traded; one without a measure does not count in
    it. Times are the mean over parents that filled. `rejects` and `refusals` hold also what was refused before there
    was a parent."""

    name: str
    parents: int
    saved: Decimal | None
    saved_bps: Decimal | None


def together(name: str, measured: Sequence[Measures], refused: Sequence[Refusal] = ()) -> Totals:
    """The totals of some, and of what was refused meanwhile without one."""
    fees: dict[str, Decimal] = {}
    for one in measured:
        for asset, amount in one.fees.items():
            fees[asset] = fees.get(asset, ZERO) + amount
    times = [one.time_to_fill_ms for one in measured if one.time_to_fill_ms is not None]
    saved = [one.at_market.saved for one in measured if one.at_market is not None]
    return Totals(
        name=name,
        parents=len(measured),
        notional=sum((one.notional for one in measured), ZERO),
        slippage_bps=_weighted(measured, lambda one: one.slippage_bps),
        twap_bps=_weighted(measured, lambda one: one.twap_bps),
        vwap_bps=_weighted(measured, lambda one: one.vwap_bps),
        spread_bps=_weighted(measured, lambda one: one.spread_bps),
        fees=fees,
        fees_bps=_weighted(measured, lambda one: one.fees_bps),
        maker_pct=_weighted(measured, lambda one: one.maker_pct),
        time_to_fill_ms=sum(times) // len(times) if times else None,
        placed=sum(one.placed for one in measured),
        reprices=sum(one.reprices for one in measured),
        rejects=sum(one.rejects for one in measured) + sum(one.count for one in refused),
        refusals=_refusals(measured, refused),
        markout_bps={name: _markouts(measured, name) for name in (f"{seconds}s" for seconds in MARKOUTS_S)},
        saved=sum(saved, ZERO) if saved else None,
        saved_bps=_weighted(measured, lambda one: None if one.at_market is None else one.at_market.saved_bps),
    )


def _refusals(measured: Iterable[Measures], refused: Iterable[Refusal]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for one in refused:
        found[one.code] += one.count
    for parent in measured:
        found.update(parent.refusals)
    return dict(sorted(found.items()))


def _weighted(measured: Iterable[Measures], value: Callable[[Measures], Decimal | None]) -> Decimal | None:
    known = [(found, one.notional) for one in measured if (found := value(one)) is not None and one.notional]
    weight = sum((notional for _, notional in known), ZERO)
    return rounded(sum((found * notional for found, notional in known), ZERO) / weight) if weight else None


def _markouts(measured: Iterable[Measures], name: str) -> Decimal | None:
    return _weighted(measured, lambda one: one.markout_bps[name])


def by_day(measured: Iterable[Measures], refused: Iterable[Refusal] = ()) -> list[Totals]:
    """Totals of each day (UTC) on which a parent began, or something was refused."""
    return _by(measured, refused, "%Y-%m-%d")


def by_week(measured: Iterable[Measures], refused: Iterable[Refusal] = ()) -> list[Totals]:
    """The same by ISO week."""
    return _by(measured, refused, "%G-W%V")


def _by(measured: Iterable[Measures], refused: Iterable[Refusal], form: str) -> list[Totals]:
    groups: dict[str, tuple[list[Measures], list[Refusal]]] = {}
    for one in measured:
        groups.setdefault(_name(one.started_at, form), ([], []))[0].append(one)
    for other in refused:
        groups.setdefault(_name(other.ts, form), ([], []))[1].append(other)
    return [together(name, *groups[name]) for name in sorted(groups)]


def _name(ts: int, form: str) -> str:
    return datetime.fromtimestamp(ts / 1000, UTC).strftime(form)
