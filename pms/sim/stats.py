"""The traffic figures of a feed, and the comparison of the synthetic market with the recordings.

Owns the measures and the captures' figures. Refuses to know files: the figures are facts kept here, from

    PMS_SHARED=<folder of the recordings> python3 -m pms test tests/pure/sim_feeds/test_recorded.py -s

which measures them anew on the replayed captures and fails when they differ. Percentiles are nearest-rank.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from itertools import takewhile
from math import ceil

import msgspec

from pms.sim.captures import WINDOW_MS
from pms.sim.model import DepthDiff, FeedEvent, Print, Touch
from pms.sim.profiles import PROFILES
from pms.sim.synthetic import Chance, Listing, SyntheticMarket

TOLERANCE = Decimal("0.30")
"""How far a synthetic figure may be from the recorded one."""

SAMPLE_SECONDS = 600
"""Length of the synthetic sample: twelve plans, about twice the longest capture."""


class Figures(msgspec.Struct, frozen=True):
    """A feed's traffic. Frames are depth diffs merged into 100 ms windows; levels are distinct prices in one of them.

    Windows and seconds that the feed begins or ends in are left out; a second without a trade counts as 0.
    """

    spread_ticks: int
    frames_per_s: Decimal
    levels_p50: int
    levels_p95: int
    trades_p50: int
    trades_p99: int


class Fit(msgspec.Struct, frozen=True):
    """A recording's figures and the synthetic market that is to have them."""

    capture: str
    profile: str
    listing: Listing
    figures: Figures


class Row(msgspec.Struct, frozen=True):
    """One figure, recorded and synthetic. `ok`: within `TOLERANCE`."""

    capture: str
    profile: str
    figure: str
    recorded: Decimal
    synthetic: Decimal
    ratio: Decimal
    ok: bool


BTC = Listing("BTCUSDT", Decimal("0.10"), Decimal("0.001"), Decimal("61800.00"))
ETH = Listing("ETHUSDT", Decimal("0.01"), Decimal("0.001"), Decimal("3425.00"))

FITS = (
    Fit("btcusdt_20240808", "busy", BTC, Figures(1, Decimal("9.97"), 62, 425, 26, 1077)),
    Fit("btcusdt_20240718", "quiet", BTC, Figures(1, Decimal("9.98"), 29, 81, 3, 70)),
    Fit("ethusdt_20240718", "quiet-eth", ETH, Figures(1, Decimal("9.98"), 31, 81, 5, 112)),
)


def percentile(values: Iterable[int], percent: int) -> int:
    """Nearest rank: the smallest value that `percent` % of the values do not exceed. There must be a value."""
    ranked = sorted(values)
    return ranked[max(ceil(len(ranked) * percent / 100), 1) - 1]


def measure(events: Iterable[FeedEvent], tick: Decimal) -> Figures:
    """The figures of one symbol's feed. Raises `ValueError` when it is shorter than three seconds or has no touch."""
    spreads: Counter[int] = Counter()
    trades: Counter[int] = Counter()
    windows: dict[int, set[Decimal]] = {}
    first = last = -1
    for event in events:
        first, last = event.time if first < 0 else first, event.time
        match event:
            case Touch():
                spreads[round((event.ask - event.bid) / tick)] += 1
            case Print():
                trades[event.time // 1000] += 1
            case DepthDiff():
                prices = windows.setdefault(event.time // WINDOW_MS, set())
                prices.update(-price for price, _ in event.bids)  # a price may change on both sides
                prices.update(price for price, _ in event.asks)
    seconds = range(first // 1000 + 1, last // 1000)
    inner = range(first // WINDOW_MS + 1, last // WINDOW_MS)
    if not seconds or not spreads:
        raise ValueError("The feed is too short to measure: give three seconds or more, with bookTickers.")
    levels = [len(windows[window]) for window in inner if window in windows]
    per_second = [trades[second] for second in seconds]
    return Figures(
        spread_ticks=percentile(spreads.elements(), 50),
        frames_per_s=(Decimal(1000 * len(levels)) / (len(inner) * WINDOW_MS)).quantize(Decimal("0.01")),
        levels_p50=percentile(levels, 50),
        levels_p95=percentile(levels, 95),
        trades_p50=percentile(per_second, 50),
        trades_p99=percentile(per_second, 99),
    )


def sample(fit: Fit, chance: Chance, seconds: int = SAMPLE_SECONDS) -> Iterator[FeedEvent]:
    """The first `seconds` of the synthetic market that `fit` names."""
    market = SyntheticMarket(fit.listing, PROFILES[fit.profile], chance)
    return takewhile(lambda event: event.time <= 1000 * seconds, market.events())


def compare(chance: Callable[[], Chance], seconds: int = SAMPLE_SECONDS) -> list[Row]:
    """Every fit's figures beside those of a synthetic sample drawn from a fresh `chance()`."""
    return [row for fit in FITS for row in beside(fit, measure(sample(fit, chance(), seconds), fit.listing.tick))]


def beside(fit: Fit, measured: Figures) -> list[Row]:
    """The fit's recorded figures beside `measured` ones."""
    rows = []
    for figure in Figures.__struct_fields__:
        recorded, synthetic = Decimal(getattr(fit.figures, figure)), Decimal(getattr(measured, figure))
        ratio = (synthetic / recorded).quantize(Decimal("0.01"))
        rows.append(Row(fit.capture, fit.profile, figure, recorded, synthetic, ratio, abs(ratio - 1) <= TOLERANCE))
    return rows


def table(rows: Iterable[Row]) -> str:
    """The rows as aligned text, for `pms sim --stats`."""
    lines = [f"{'capture':18}{'profile':11}{'figure':14}{'recorded':>10}{'synthetic':>11}{'ratio':>7}  ok"]
    lines += [
        f"{row.capture:18}{row.profile:11}{row.figure:14}{row.recorded:>10}{row.synthetic:>11}{row.ratio:>7}"
        f"  {'yes' if row.ok else 'NO'}"
        for row in rows
    ]
    return "\n".join(lines)
