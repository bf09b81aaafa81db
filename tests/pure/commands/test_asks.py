"""Bounds and parts of market orders (execution.md 10)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pms.commands.asks import PARTS_MAX, Ask, bound, split
from schemas.errors import ErrorCode, Invalid
from schemas.market import Instrument, Quote, Side

D = Decimal
RULES = Instrument(
    symbol="BTCUSDT",
    tick=D("0.10"),
    step=D("0.001"),
    min_qty=D("0.001"),
    max_qty=D("1.000"),
    min_notional=D(50),
    min_price=D("0.10"),
    max_price=D(0),
    multiplier_up=D("1.05"),
    multiplier_down=D("0.95"),
)


def quote(bid: int, ask: int) -> Quote:
    return Quote(bid, ask, D(1), D(1), bid + ask, bid + ask, 0, 0)


@given(st.integers(10_000, 10**7), st.integers(1, 100), st.integers(0, 1_000), st.sampled_from(Side))
def test_a_bound_is_on_the_tick_and_never_beyond_mid_and_slippage(bid: int, spread: int, bps: int, side: Side) -> None:
    price = bound(RULES, side, quote(bid, bid + spread), bps)
    mid = (2 * bid + spread) * RULES.tick / 2
    assert RULES.on_price_grid(price)
    beyond = (price - mid) * side.sign
    assert beyond <= mid * bps / 10_000 < beyond + RULES.tick


def whole(quantity: Decimal) -> Ask:
    return Ask(RULES, Side.BUY, quantity, D(60_000), "IOC", False, 1, "legs[1]")


@given(st.integers(1, int(PARTS_MAX * RULES.max_qty / RULES.step)))
def test_parts_add_up_fit_and_differ_by_a_step_at_most(steps: int) -> None:
    quantity = steps * RULES.step
    parts = [part.quantity for part in split(whole(quantity))]
    assert sum(parts) == quantity
    assert max(parts) <= RULES.max_qty
    assert max(parts) - min(parts) <= RULES.step
    assert all(RULES.on_quantity_grid(part) for part in parts)


def test_what_would_need_too_many_parts_is_refused() -> None:
    with pytest.raises(Invalid, match="more than 50 orders") as refused:
        split(whole(RULES.max_qty * PARTS_MAX + RULES.step))
    assert refused.value.code is ErrorCode.ABOVE_MAXIMUM
