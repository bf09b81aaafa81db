"""The layers of a scalper: distances, weights, ticks, merging (algos.md, scalper)."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algos.scalper_layers import distinct_ticks, factors, plan, weights
from schemas.market import Side
from tests.pure.algos.ladder import params
from tests.pure.algos.stage import RULES, rules

D = Decimal
MID = D(100)


def test_one_layer_has_factor_and_weight_1() -> None:
    assert factors(1) == (1,)
    assert weights(1, D(70)) == (1,)


@pytest.mark.parametrize("count", range(2, 11))
def test_factors_go_from_0_71_to_1_41_in_equal_ratios(count: int) -> None:
    found = factors(count)
    for number, factor in enumerate(found):
        wanted = math.exp(-math.log(2) / 2 + number * math.log(2) / (count - 1))
        assert abs(float(factor) - wanted) < 1e-11
    assert (found[0], found[-1]) == (D("0.707106781187"), D("1.414213562373"))


@pytest.mark.parametrize("skew", [-100, -33, 0, 50, 100])
@pytest.mark.parametrize("count", [2, 3, 10])
def test_weights_lean_outward_with_the_skew_and_sum_to_one(count: int, skew: int) -> None:
    found = weights(count, D(skew))
    raw = [8 ** (skew / 100 * (2 * number / (count - 1) - 1)) for number in range(count)]
    for weight, wanted in zip(found, raw, strict=True):
        assert abs(float(weight) - wanted / sum(raw)) < 1e-10
    assert abs(sum(found) - 1) < D("1e-20")


def test_factors_do_not_depend_on_the_precision_around_them() -> None:
    """Law 10: somebody else's decimal context changes nothing."""
    there = (factors(7), weights(7, D("33.3")), plan(params(child_count=7, skew="33.3"), RULES, MID))
    with localcontext() as context:
        context.prec = 20
        here = (factors(7), weights(7, D("33.3")), plan(params(child_count=7, skew="33.3"), RULES, MID))
    assert here == there


def test_distances_are_whole_ticks_away_from_the_touch_and_distinct() -> None:
    assert distinct_ticks([D("0.2"), D("0.3"), D("7.1"), D("7.2")]) == (1, 2, 8, 9)
    assert distinct_ticks([D(0), D(0), D(0)]) == (0, 1, 2)


def test_a_side_is_floored_to_the_step_at_the_mid() -> None:
    layers = plan(params(child_count=3, long_size_usd="100", short_size_usd="50"), RULES, D("99.95"))
    assert [layer.quantity for layer in layers.long] == [D("0.333")] * 3
    assert [layer.quantity for layer in layers.short] == [D("0.166")] * 3
    assert [layer.offset_ticks for layer in layers.long] == [1, 2, 3]


def test_layers_under_the_minimum_are_merged_outward_and_named() -> None:
    """Ten layers of 20 USD at a minimum of 5: the inner ones lend their size to the next that can stand."""
    layers = plan(params(child_count=10, long_size_usd="20", skew="50"), RULES, MID).long
    assert [(layer.layer_idx, layer.merged) for layer in layers] == [(5, (0, 1, 2, 3, 4)), (7, (6,)), (9, (8,))]
    assert sum(layer.quantity for layer in layers) == D("0.199")
    assert all(RULES.sendable(layer.quantity, D("99.8"), False) for layer in layers)


def test_what_is_left_outermost_goes_to_the_last_that_stands() -> None:
    layers = plan(params(child_count=3, long_size_usd="20", skew="-100"), RULES, MID).long
    assert [(layer.layer_idx, layer.merged, layer.quantity) for layer in layers] == [(0, (1, 2), D("0.200"))]


def test_a_side_under_the_minimum_has_no_layers() -> None:
    assert plan(params(long_size_usd="4"), RULES, MID).long == ()


def test_layers_that_only_reduce_need_no_notional() -> None:
    layers = plan(params(long_size_usd="4"), RULES, MID)
    assert (layers.long, [layer.quantity for layer in layers.short]) == ((), [D("0.040")])
    neutral = plan(params(long_size_usd="4", neutral_mode=True), RULES, MID)
    assert (neutral.long, neutral.short) == ((), ())


def test_a_layer_never_stands_below_zero() -> None:
    """A coarse tick: what has no price has no layer."""
    cheap = rules(tick="1", min_notional="0")
    layers = plan(params(child_count=3, long_offset_pct="10"), cheap, D(2))
    assert [layer.offset_ticks for layer in layers.long] == [1]
    assert layers.long[0].merged == (1, 2)


@given(
    st.integers(1, 10),
    st.integers(0, 1000),
    st.integers(-100, 100),
    st.integers(1, 100_000),
    st.integers(10, 10_000_000),
    st.booleans(),
)
def test_every_plan_obeys_the_rules(count, offset, skew, size, mid, neutral) -> None:
    asked = params(
        child_count=count,
        long_offset_pct=D(offset) / 100,
        skew=D(skew),
        long_size_usd=D(size),
        neutral_mode=neutral,
    )
    price = D(mid) / 10
    layers = plan(asked, RULES, price)
    for side, found in ((Side.BUY, layers.long), (Side.SELL, layers.short)):
        ticks = [layer.offset_ticks for layer in found]
        assert ticks == sorted(set(ticks)), "distinct, outward"
        assert sum(layer.quantity for layer in found) * price <= size
        told = [number for layer in found for number in (*layer.merged, layer.layer_idx)]
        assert not found or sorted(told) == list(range(count)), "every layer stands or is named"
        for layer in found:
            at = price - side.sign * layer.offset_ticks * RULES.tick
            assert RULES.on_quantity_grid(layer.quantity)
            assert RULES.sendable(layer.quantity, at, asked.reduces(side))
        if found:
            assert sum(layer.quantity for layer in found) >= D(size) / price - RULES.step * count
