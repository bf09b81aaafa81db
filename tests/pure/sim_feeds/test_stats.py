"""The traffic figures, and that the synthetic market has those of the recordings."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal

import pytest

from pms.sim import stats
from pms.sim.model import DepthDiff, FeedEvent, Print, Touch

D = Decimal


def test_the_figures_of_a_small_feed_are_those_counted_by_hand() -> None:
    feed: list[FeedEvent] = []
    for second in range(6):
        at = 1000 * second + 500
        feed.append(Touch("X", at, D(100), D(1), D(100) + D(second % 3 + 1), D(1)))
        feed += [Print("X", at, D(100), D(1), True)] * second
        feed.append(DepthDiff("X", at, ((D(100), D(1)), (D(99), D(1))), ((D(100), D(0)),)))
        feed.append(DepthDiff("X", at + 50, ((D(100), D(2)), (D(98), D(1))), ()))
    figures = stats.measure(feed, D(1))
    # Inside lie the whole seconds 1 to 4 and 49 windows, 4 of them with a frame: bids 98, 99, 100 and ask 100.
    assert figures == stats.Figures(2, D("0.82"), 4, 4, 2, 4)


def test_a_feed_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="three seconds"):
        stats.measure([Touch("X", 0, D(1), D(1), D(2), D(1))], D(1))


@pytest.mark.parametrize(("percent", "value"), [(0, 1), (50, 2), (51, 3), (75, 3), (99, 4), (100, 4)])
def test_percentiles_are_nearest_rank(percent: int, value: int) -> None:
    assert stats.percentile([4, 1, 3, 2], percent) == value


@pytest.mark.parametrize("seed", [1, 2])
def test_the_synthetic_market_has_the_captures_traffic_within_the_tolerance(
    seed: int, cases: Callable[[int], None]
) -> None:
    rows = stats.compare(lambda: random.Random(seed), seconds=200)
    cases(len(rows))
    assert len(rows) == 18
    assert [row for row in rows if not row.ok] == []


def test_a_figure_outside_the_tolerance_is_marked_in_the_table() -> None:
    rows = [
        stats.Row("btcusdt_20240808", "busy", "trades_p99", D(100), D(131), D("1.31"), False),
        stats.Row("btcusdt_20240808", "busy", "trades_p50", D(100), D(130), D("1.30"), True),
    ]
    lines = stats.table(rows).splitlines()
    assert [line.split()[-1] for line in lines] == ["ok", "NO", "yes"]
    assert "131" in lines[1]


def test_rows_are_ok_up_to_thirty_per_cent_both_ways() -> None:
    fit = stats.FITS[0]
    measured = stats.Figures(1, fit.figures.frames_per_s, 80, 425, 18, 1400)
    ok = {row.figure: row.ok for row in stats.beside(fit, measured)}
    assert ok == {
        "spread_ticks": True,
        "frames_per_s": True,
        "levels_p50": True,
        "levels_p95": True,
        "trades_p50": False,
        "trades_p99": True,
    }
