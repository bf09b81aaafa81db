"""A fill that nobody ordered: the parts are the whole, nobody is turned over, the order of books does not matter."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pms.core import allocation
from schemas.records import EXTERNAL

D = Decimal
CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a planted error runs without conftest
STEP = D("0.001")


def parts(delta: str, **held: str) -> dict[str, Decimal]:
    return allocation.allocated(D(delta), {name: D(quantity) for name, quantity in held.items()}, STEP)


@pytest.mark.parametrize(
    "delta, held, taken",
    [
        # what reduces the net is borne pro rata by the books on the closed side
        ("-0.3", {"a": "0.2", "b": "0.1"}, {"a": "-0.2", "b": "-0.1"}),
        ("-0.03", {"a": "0.2", "b": "0.1"}, {"a": "-0.02", "b": "-0.01"}),
        ("0.03", {"a": "-0.2", "b": "-0.1"}, {"a": "0.02", "b": "0.01"}),
        ("-0.03", {"a": "0.2", "external": "0.1"}, {"a": "-0.02", "external": "-0.01"}),
        # opposite books keep theirs
        ("-0.1", {"a": "0.5", "b": "-0.2"}, {"a": "-0.1"}),
        # the step left over goes to the largest remainder; of equal ones to the first by name
        ("-0.001", {"a": "0.001", "b": "0.002"}, {"b": "-0.001"}),
        ("-0.001", {"b": "0.005", "a": "0.005"}, {"a": "-0.001"}),
        ("-0.010", {"a": "0.003", "b": "0.003", "c": "0.005"}, {"a": "-0.003", "b": "-0.003", "c": "-0.004"}),
        # only what increases the net goes to external
        ("0.1", {"a": "0.5"}, {EXTERNAL: "0.1"}),
        ("0.1", {}, {EXTERNAL: "0.1"}),
        ("0.4", {"a": "1", EXTERNAL: "-0.4"}, {EXTERNAL: "0.4"}),
        # a fill that does both is split
        ("-0.5", {"a": "0.2"}, {"a": "-0.2", EXTERNAL: "-0.3"}),
        ("-0.5", {"a": "0.2", EXTERNAL: "0.1"}, {"a": "-0.2", EXTERNAL: "-0.3"}),
        ("-0.5", {"a": "0.5", "b": "-0.2"}, {"a": "-0.3", EXTERNAL: "-0.2"}),
    ],
)
def test_a_foreign_fill_is_allocated(delta: str, held: dict[str, str], taken: dict[str, str]) -> None:
    assert parts(delta, **held) == {name: D(part) for name, part in taken.items()}


STEPS = st.integers(-5000, 5000).map(lambda steps: steps * STEP)
BOOKS = st.dictionaries(st.sampled_from(["a", "b", "c", "d", EXTERNAL]), STEPS, max_size=5)


@given(STEPS.filter(bool), BOOKS)
def test_the_parts_are_the_whole_and_nobody_is_turned_over(delta: Decimal, held: dict[str, Decimal]) -> None:
    taken = allocation.allocated(delta, held, STEP)
    net = sum(held.values(), D(0))
    assert sum(taken.values(), D(0)) == delta
    for name, part in taken.items():
        assert part % STEP == 0
        assert part
        if name != EXTERNAL:
            assert held[name] * part < 0
            assert held[name] * net > 0
            assert held[name] * (held[name] + part) >= 0, "turned over"


@CALM
@given(STEPS.filter(bool), BOOKS)
def test_the_order_of_the_books_does_not_matter(delta: Decimal, held: dict[str, Decimal]) -> None:
    taken = allocation.allocated(delta, held, STEP)
    for names in (sorted(held), sorted(held, reverse=True)):
        assert allocation.allocated(delta, {name: held[name] for name in names}, STEP) == taken


@given(st.integers(0, 100), st.lists(st.integers(1, 60), min_size=1, max_size=6))
def test_no_part_is_a_whole_step_away_from_its_exact_share(total: int, shares: list[int]) -> None:
    """Against the reference: the exact fraction."""
    total = min(total, sum(shares))
    named = {str(number): share * STEP for number, share in enumerate(shares)}
    dealt = allocation.pro_rata(total * STEP, named, STEP)
    for name, part in dealt.items():
        exact = total * STEP * named[name] / sum(named.values())
        assert abs(part - exact) < STEP


@CALM
@given(st.decimals("0.0001", "20", places=4), st.lists(st.decimals("0.0001", "7", places=4), min_size=1, max_size=5))
def test_shares_off_the_grid_are_dealt_exactly_too(total: Decimal, shares: list[Decimal]) -> None:
    named = {str(number): share for number, share in enumerate(shares)}
    total = min(total, sum(shares))
    dealt = allocation.pro_rata(total, named, STEP)
    assert sum(dealt.values()) == total
    assert all(0 <= dealt[name] <= named[name] for name in named)


@given(
    st.decimals("-5", "5", places=8),
    st.dictionaries(st.sampled_from("abcd"), STEPS.filter(bool), min_size=1, max_size=4),
)
def test_a_fee_is_apportioned_to_the_last_digit(fee: Decimal, taken: dict[str, Decimal]) -> None:
    quantum = D("0.00000001")
    fees = allocation.apportioned(fee, taken, quantum)
    whole = sum(map(abs, taken.values()))
    assert sum(fees.values()) == fee
    for name, part in taken.items():
        assert abs(fees[name] - fee * abs(part) / whole) <= 5 * quantum
