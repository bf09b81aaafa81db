"""The plan of a TWAP: whole lots, on time, from a seed."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from algos import pricing, twap_plan
from schemas.market import Side
from tests.pure.algos.stage import RULES, quote, rules
from tests.pure.algos.twap_stage import MINUTE, twap_params

D = Decimal
SEED = twap_plan.seed_of("t123456789")


def planned(**asked: object) -> twap_plan.Plan:
    return twap_plan.plan(twap_params(**asked), SEED)


@given(
    steps=st.integers(50, 100_000), lots=st.integers(1, 60), irregular=st.booleans(), seed=st.text("abc", max_size=4)
)
def test_lots_are_whole_steps_above_the_minimum_and_sum_exactly(steps, lots, irregular, seed) -> None:
    quantity = steps * RULES.step
    asked = twap_params(quantity=quantity, lots=lots, irregular=irregular)
    assume(lots <= twap_plan.most_lots(quantity, asked.lot_least))
    plan = twap_plan.plan(asked, seed)
    assert len(plan.lots) == lots
    assert sum(plan.lots) == quantity == plan.sums[-1]
    assert all(RULES.on_quantity_grid(lot) and lot >= asked.lot_least for lot in plan.lots)
    if not irregular:
        assert max(plan.lots) - min(plan.lots) <= RULES.step


def test_a_quantity_that_does_not_divide_is_shared_by_largest_remainder() -> None:
    assert planned(quantity="1", lots=3).lots == (D("0.334"), D("0.333"), D("0.333"))
    assert twap_plan.apportioned(10, [1, 3, 3]) == [2, 4, 4]
    assert twap_plan.apportioned(7, [10, 5, 1]) == [4, 2, 1]


def test_irregular_lots_differ_and_follow_from_the_seed_alone() -> None:
    asked = twap_params(quantity="5", irregular=True)
    one, other = twap_plan.plan(asked, "one"), twap_plan.plan(asked, "other")
    assert len(set(one.lots)) > 5
    assert one.lots != other.lots
    assert one == twap_plan.plan.__wrapped__(asked, "one")


@given(lots=st.integers(1, 20), duration_ms=st.integers(1, 10**8), jitter=st.integers(0, 50), seed=st.text("ab"))
def test_each_slot_stays_inside_its_own_interval_and_the_first_is_at_once(lots, duration_ms, jitter, seed) -> None:
    asked = twap_params(lots=lots, duration_ms=duration_ms, jitter_pct=D(jitter))
    due = twap_plan.plan(asked, seed).due
    assert len(due) == 2 * lots
    assert due[0] == 0
    for slot, at in enumerate(due):
        begins, ends = (index * duration_ms // lots for index in (slot, slot + 1))
        assert begins <= at <= begins + (ends - begins) * jitter / 100
        assert begins <= at <= max(begins, ends - 1)


def test_without_jitter_slots_are_absolute_so_that_an_uneven_interval_does_not_drift() -> None:
    due = planned(lots=7, duration_ms=100_000).due
    assert due[7] == 100_000
    assert {later - earlier for earlier, later in pairwise(due)} == {14_285, 14_286}


def test_jitter_moves_slots_each_by_its_own_seeded_part() -> None:
    due = planned(lots=10, jitter_pct="30").due
    moved = [at - slot * MINUTE for slot, at in enumerate(due)]
    assert moved[0] == 0
    assert len(set(moved)) > 10
    assert all(0 <= late <= MINUTE * 3 // 10 for late in moved)
    assert max(moved) > MINUTE // 5


@pytest.mark.parametrize(
    ("side", "reduce_only", "least"),
    [(Side.BUY, False, "0.050"), (Side.SELL, False, "0.050"), (Side.BUY, True, "0.001")],
)
def test_the_least_lot_is_measured_at_the_lowest_price_it_may_leave_at(side, reduce_only, least) -> None:
    price = twap_plan.planning_price(side, quote(1000, 1010), 50, RULES)
    assert price == (D("100.0") if side is Side.BUY else D("100.5"))  # own bid; 50 bps under own ask
    assert twap_plan.least_lot(RULES, price, reduce_only) == D(least)


def test_the_most_lots_work_and_one_more_does_not() -> None:
    asked = twap_params(quantity="1.049")
    most = twap_plan.most_lots(asked.quantity, asked.lot_least)
    assert most == 20
    assert min(planned(quantity="1.049", lots=most).lots) >= asked.lot_least
    assert min(planned(quantity="1.049", lots=most + 1).lots) < asked.lot_least


def test_a_minimum_off_the_grid_is_rounded_up_to_whole_steps() -> None:
    assert twap_plan.least_lot(rules(min_qty="0.0025"), D(1_000_000), True) == D("0.003")
    assert twap_plan.least_lot(rules(min_qty="0"), D(1_000_000), True) == D("0.001")


@pytest.mark.parametrize(("side", "price"), [(Side.BUY, "100.5"), (Side.SELL, "100.5")])
def test_a_bound_is_fifty_basis_points_from_own_touch_rounded_towards_it(side, price) -> None:
    ticks = pricing.bound_ticks(side, quote(1000, 1010), 50, RULES)
    assert RULES.price(ticks) == D(price)


def test_lots_are_counted_by_the_running_totals() -> None:
    plan = planned(quantity="1", lots=3)
    assert [plan.lots_in(D(filled)) for filled in ("0", "0.333", "0.334", "0.999", "1")] == [0, 0, 1, 2, 3]
    assert (plan.own(0), plan.own(4), plan.owed(1), plan.owed(5)) == (D("0.334"), D("0.333"), D("0.667"), D(1))
    assert [plan.slot_at(ms) for ms in (0, MINUTE - 1, MINUTE, 10 * MINUTE)] == [0, 0, 1, 5]
