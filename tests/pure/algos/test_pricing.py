"""Where a following order stands: passive, on the grid, never through its limit (algos.md, chase; law 6)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from algos import pricing
from schemas.market import Side
from tests.pure.algos.stage import RULES, quote, rules

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
PCT = pricing.scaled_pct


@pytest.mark.parametrize(
    "side, ticks, pct, aggressive, back, stands",
    [
        (BUY, 0, "0", False, 0, 1000),  # 0 joins the touch
        (SELL, 0, "0", False, 0, 1010),
        (BUY, 3, "0", False, 0, 997),
        (SELL, 3, "0", False, 0, 1013),
        (BUY, 0, "1", False, 0, 990),
        (SELL, 0, "1", False, 0, 1021),  # 1020.1 rounds away from the touch
        (BUY, 0, "0.05", False, 0, 999),  # 999.5 rounds away from the touch
        (BUY, 3, "1", False, 0, 997),  # ticks win
        (SELL, 3, "1", False, 0, 1013),
        (BUY, 0, "0", True, 0, 1001),
        (SELL, 0, "0", True, 0, 1009),
        (BUY, 3, "0", True, 0, 997),  # an offset has no touch to improve
        (BUY, 0, "0", False, 2, 998),
        (SELL, 0, "0", False, 2, 1012),
        (BUY, 0, "0", True, 1, 1000),
        (SELL, 0, "0", True, 1, 1010),
    ],
)
def test_an_order_stands_behind_at_or_before_its_own_touch(side, ticks, pct, aggressive, back, stands) -> None:
    assert pricing.follow_ticks(side, 1000, 1010, ticks, PCT(D(pct)), aggressive, back) == stands


@pytest.mark.parametrize("side, stands", [(BUY, 1000), (SELL, 1001)])
def test_the_touch_is_not_improved_where_the_spread_is_one_tick(side, stands) -> None:
    assert pricing.follow_ticks(side, 1000, 1001, 0, 0, True, 0) == stands


@given(
    st.sampled_from(Side),
    st.integers(2, 10**7),
    st.integers(1, 1000),
    st.integers(0, 50),
    st.decimals(0, 10, places=8),
    st.booleans(),
    st.integers(0, 30),
)
def test_a_following_order_never_crosses(side, bid, spread, ticks, pct, aggressive, back) -> None:
    ask = bid + spread
    stands = pricing.follow_ticks(side, bid, ask, ticks, PCT(pct), aggressive, back)
    front = pricing.follow_ticks(side, bid, ask, ticks, PCT(pct), aggressive, 0)
    assert stands == front - side.sign * back
    assert front < ask if side is BUY else front > bid
    if not ticks and pct:
        touch = bid if side is BUY else ask
        exact = touch - side.sign * touch * pct / 100
        assert 0 <= side.sign * (exact - front) < 1, "away from the touch, by less than a tick"


def test_a_percentage_is_kept_to_its_eighth_decimal() -> None:
    assert pricing.scaled_pct(D("0.123456789")) == 12_345_678
    assert pricing.scaled_pct(D(10)) == 10 * pricing.PCT_SCALE


@pytest.mark.parametrize("side, bps, ticks", [(BUY, 50, 1010), (SELL, 50, 1000), (BUY, 0, 1005), (SELL, 0, 1005)])
def test_an_order_that_takes_is_bound_by_mid_and_slippage(side, bps, ticks) -> None:
    """1005 ± 0.5 % is 1010.025 and 999.975: both round towards mid."""
    assert pricing.crossing_ticks(side, quote(1000, 1010), bps, RULES) == ticks


@given(st.sampled_from(Side), st.integers(2, 10**6), st.integers(1, 100), st.integers(0, 1000))
def test_an_order_that_takes_never_goes_beyond_its_bound(side, bid, spread, bps) -> None:
    touch = quote(bid, bid + spread)
    bound = D(touch.mid2) / 2 * (1 + side.sign * D(bps) / 10_000)
    assert 0 <= side.sign * (bound - pricing.crossing_ticks(side, touch, bps, RULES)) < 1


@pytest.mark.parametrize(
    "side, mid2, pct, last_inside, first_beyond",
    [
        (BUY, 2010, "1", 2030, 2031),  # 2030.1
        (SELL, 2010, "1", 1990, 1989),  # 1989.9
        (BUY, 2000, "1", 2020, 2021),
        (SELL, 2000, "1", 1980, 1979),
        (SELL, 199, "50", 100, 99),  # 99.5: half a tick counts
    ],
)
def test_the_market_has_run_away_once_it_is_past_the_distance(side, mid2, pct, last_inside, first_beyond) -> None:
    limit = pricing.adverse_limit2(side, mid2, D(pct))
    assert not pricing.beyond(side, last_inside, limit)
    assert pricing.beyond(side, first_beyond, limit)


def test_no_distance_is_no_limit() -> None:
    assert pricing.adverse_limit2(BUY, 2010, D(0)) == 0
    assert not pricing.beyond(BUY, 10**9, 0)
    assert not pricing.beyond(SELL, 1, 0)


@pytest.mark.parametrize(
    "rest, most, asks",
    [
        ("1", "100", "1"),
        ("1.0009", "100", "1"),  # dust stays with the parent
        ("100", "100", "100"),
        ("150", "100", "100"),
        ("100.01", "100", "50.005"),  # 0.01 at 100 is under minNotional: halves instead
        ("100.05", "100", "100"),  # 0.05 at 100 is exactly minNotional
        ("0.0009", "100", "0"),
    ],
)
def test_a_slice_leaves_nothing_behind_that_cannot_be_sent(rest, most, asks) -> None:
    assert pricing.slice_quantity(D(rest), D(100), rules(max_qty=most), False) == D(asks)


@given(st.decimals("0.001", 1000, places=4), st.decimals(1, 1000, places=1), st.booleans())
def test_every_slice_is_on_the_grid_and_within_the_maximum(rest, price, reduce_only) -> None:
    small = rules(max_qty="10")
    asks = pricing.slice_quantity(rest, price, small, reduce_only)
    assert asks % small.step == 0
    assert asks <= min(rest, small.max_qty)
    left = small.quantity_down(rest) - asks
    assume(small.min_notional / price < small.max_qty / 2)  # else nothing at all can be sent
    assert left == 0 or small.sendable(left, price, reduce_only)
