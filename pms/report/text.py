"""A report in a terminal: one line a parent, then days and weeks. Owns the columns; refuses to compute."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from pms.report.measures import MARKOUTS_S, Figures, Measures
from pms.report.totals import Totals

NONE = "–"
_PARENT = ("began (UTC)", "kind", "id", "account", "symbol", "side", "filled", "average", "arrival")
_COMMON = ("slip", "twap", "vwap", "spread", "fees", "maker", "to fill", "repr", "rej")
_END = (*(f"mark {seconds}s" for seconds in MARKOUTS_S), "saved", "status")


def number(value: Decimal) -> str:
    """Plain digits, thousands apart, no trailing zeros."""
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def bps(value: Decimal | None) -> str:
    """Basis points with their sign."""
    return NONE if value is None else f"{value:+.2f}"


def money(value: Decimal | None) -> str:
    """Dollars to the cent, signed."""
    return NONE if value is None else f"{value:+,.2f}"


def price(value: Decimal | None) -> str:
    """A price as far as it says anything: seven digits."""
    return NONE if value is None else number(value.quantize(Decimal(10) ** min(0, value.adjusted() - 6)))


def percent(value: Decimal | None) -> str:
    return NONE if value is None else f"{value:.0f} %"


def lasted(ms: int | None) -> str:
    """A stretch of time."""
    if ms is None:
        return NONE
    if ms < 60_000:
        return f"{Decimal(ms) / 1000:.1f} s"
    return (
        f"{ms // 60_000} min {ms // 1000 % 60:02} s"
        if ms < 3_600_000
        else f"{ms // 3_600_000} h {ms // 60_000 % 60:02}"
    )


def when(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%m-%d %H:%M:%S")


def fees(paid: dict[str, Decimal]) -> str:
    """What was paid, by asset."""
    return (
        ", ".join(
            f"{amount:.2f} {asset}" if amount >= 10 else f"{amount:.4f} {asset}"
            for asset, amount in sorted(paid.items())
        )
        or "0"
    )


def refusals(counted: dict[str, int]) -> str:
    """What the gate refused, by code."""
    return ", ".join(f"{code} {count}" for code, count in counted.items())


def common(one: Figures) -> list[str]:
    """The cells that a parent and totals share."""
    figures: tuple[Callable[[], str], ...] = (
        lambda: bps(one.slippage_bps),
        lambda: bps(one.twap_bps),
        lambda: bps(one.vwap_bps),
        lambda: bps(one.spread_bps),
        lambda: fees(one.fees),
        lambda: percent(one.maker_pct),
        lambda: lasted(one.time_to_fill_ms),
        lambda: str(one.reprices),
        lambda: str(one.rejects),
    )
    return [figure() for figure in figures]


def _markouts(one: Figures) -> list[str]:
    return [bps(value) for value in one.markout_bps.values()]


def _parent(one: Measures) -> list[str]:
    filled = number(one.filled) + (f"/{number(one.quantity)}" if one.quantity != one.filled and one.quantity else "")
    head = [when(one.started_at), one.kind, one.id, one.sub_account_id, one.symbol, one.side or NONE, filled]
    saved = NONE if one.at_market is None else money(one.at_market.saved) + ("*" if one.at_market.beyond else "")
    return [*head, price(one.avg_price), price(one.arrival_mid), *common(one), *_markouts(one), saved, one.status]


def _total(one: Totals) -> list[str]:
    head = [one.name, "", str(one.parents), "", "", "", number(one.notional.quantize(Decimal("0.01"))), "", ""]
    return [*head, *common(one), *_markouts(one), money(one.saved), ""]


def report(measured: Sequence[Measures], days: Sequence[Totals], weeks: Sequence[Totals], every: Totals) -> str:
    """All of it."""
    refused = [f"Refused by the gate: {refusals(every.refusals)}."] * bool(every.refusals)
    if not measured:
        return "\n".join(["No orders in this time.", *refused])
    heads = [*_PARENT, *_COMMON, *_END]
    sums = ["", "", "parents", "", "", "", "notional", "", "", *_COMMON, *_END[:-1], ""]
    rows = [heads, *map(_parent, measured), [], sums, *map(_total, days), *map(_total, weeks), _total(every)]
    widths = [max(len(row[at]) for row in rows if row) for at in range(len(heads))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() if row else ""
             for row in rows]  # fmt: skip
    beyond = any(one.at_market is not None and one.at_market.beyond for one in measured)
    deeper = ["* more was traded than the recorded depth held: at market it would have cost more still."] * beyond
    return "\n".join([*lines, "", *refused, _LEGEND, *deeper])


_LEGEND = (
    "Slippage, TWAP, VWAP in basis points, positive where it cost; spread and markouts positive where they were "
    "earned; saved: against the same at once at market, fees included, in USDT."
)
