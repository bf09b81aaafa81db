"""Floats of decoded frames become exact numbers again."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pms.core.grid import EXACT_MAX, Grid

decode = msgspec.json.Decoder(float, strict=False).decode


def wire(units: int, places: int, padding: int = 0) -> tuple[Decimal, float]:
    """A decimal of `units` × 10^-places, and what the decoder makes of its text."""
    value = Decimal(units).scaleb(-places)
    return value, decode(f'"{value:f}{"0" * padding if places else ""}"')


@given(st.integers(0, EXACT_MAX), st.integers(0, 8), st.integers(0, 3))
@example(EXACT_MAX, 8, 0)
@example(3, 1, 2)
def test_every_price_on_the_grid_is_exact_up_to_the_bound(units: int, places: int, padding: int) -> None:
    value, x = wire(units, places, padding)
    grid = Grid(Decimal(1).scaleb(-places), Decimal(1).scaleb(-places))
    assert grid.ticks_down(x) == grid.ticks_up(x) == units
    assert grid.quantity(x) == value


@given(st.integers(0, 10**15 - 1), st.integers(0, 12), st.integers(0, 8))
def test_a_text_of_15_digits_is_exact_whatever_the_step(units: int, places: int, step_places: int) -> None:
    value, x = wire(units, places)
    assert Grid(Decimal(1), Decimal(1).scaleb(-step_places)).quantity(x) == value


@given(st.integers(1, 10**9), st.sampled_from(["0.05", "0.25", "2.5", "5", "10", "0.00002"]))
def test_a_tick_that_is_no_power_of_ten_divides_exactly(ticks: int, tick: str) -> None:
    size = Decimal(tick)
    x = decode(f'"{ticks * size:f}"')
    assert Grid(size, size).ticks_down(x) == Grid(size, size).ticks_up(x) == ticks


@given(st.lists(st.tuples(st.integers(0, 3 * EXACT_MAX), st.integers(0, 9)), min_size=4, max_size=4))
def test_a_touch_is_its_parts(parts: list[tuple[int, int]]) -> None:
    bid, bid_qty, ask, ask_qty = (wire(units, places)[1] for units, places in parts)
    grid = Grid(Decimal("0.05"), Decimal("0.001"))
    expected = (grid.ticks_down(bid), grid.quantity(bid_qty), grid.ticks_up(ask), grid.quantity(ask_qty))
    assert grid.touch(bid, bid_qty, ask, ask_qty) == expected


def test_a_price_off_the_grid_counts_as_the_worse_tick() -> None:
    grid = Grid(Decimal("0.05"), Decimal("0.001"))
    assert (grid.ticks_down(100.13), grid.ticks_up(100.13)) == (2002, 2003)
    coarse = Grid(Decimal("0.1"), Decimal("0.001"))
    assert (coarse.ticks_down(100.13), coarse.ticks_up(100.13)) == (1001, 1002)


def test_a_quantity_with_more_decimals_than_the_step_stays_exact() -> None:
    assert Grid(Decimal("0.1"), Decimal("0.001")).quantity(0.00015) == Decimal("0.00015")


def test_beyond_the_bound_the_shortest_text_of_the_float_is_taken() -> None:
    units = EXACT_MAX * 3
    assert Grid(Decimal("0.01"), Decimal("0.01")).quantity(units / 100) == Decimal(repr(units / 100))


@pytest.mark.parametrize("tick", ["0", "-0.1", "1e-23"])
def test_a_nonsensical_tick_is_refused(tick: str) -> None:
    with pytest.raises(ValueError, match="is no tick or step"):
        Grid(Decimal(tick), Decimal("0.001"))
