"""Reduce-only: shrunk to the position, knocked out when the position no longer covers it (binance.md 4, 8)."""

from __future__ import annotations

import pytest

from pms.sim.model import Side, VenueError
from tests.pure.sim.rig import SYMBOL, D, Rig, usual


def holding(amount: int) -> Rig:
    rig = usual()
    rig.exchange.place("a", rig.new("BUY" if amount > 0 else "SELL", abs(amount)))
    rig.users.clear()
    return rig


def reasons(rig: Rig) -> list[tuple[str, str, str]]:
    rows = [event["o"] for _, event in rig.users if event["e"] == "ORDER_TRADE_UPDATE"]
    return [(row["x"], row["q"], row["er"]) for row in rows]


@pytest.mark.parametrize("amount, side", [(5, "SELL"), (-5, "BUY")])
def test_an_order_larger_than_the_position_is_shrunk(amount: int, side: Side) -> None:
    rig = holding(amount)
    order = rig.exchange.place("a", rig.new(side, 8, 1000.0, reduce_only=True))
    assert order.quantity == D(5)
    assert reasons(rig) == [("NEW", "5", "0")]


@pytest.mark.parametrize("amount, side", [(5, "BUY"), (-5, "SELL")])
def test_an_order_that_would_increase_is_refused(amount: int, side: Side) -> None:
    rig = holding(amount)
    with pytest.raises(VenueError) as refused:
        rig.exchange.place("a", rig.new(side, 1, 1000.0, reduce_only=True))
    assert refused.value.code == -2022


def test_a_market_order_closes_and_never_flips() -> None:
    rig = holding(5)
    order = rig.sell(8, reduce_only=True)
    assert (order.status, order.filled, rig.amount()) == ("FILLED", D(5), D(0))


def test_it_needs_no_least_notional_and_no_margin() -> None:
    rig = holding(5)
    view = rig.exchange.account("a")
    assert rig.sell("0.001", 1010, reduce_only=True).status == "NEW"
    assert rig.exchange.account("a").open_order_initial_margin == view.open_order_initial_margin == 0


def test_a_nearer_order_knocks_out_a_farther_one() -> None:
    rig = holding(5)
    far = rig.sell(5, 1020, reduce_only=True)
    near = rig.sell(2, 1010, reduce_only=True)
    assert (far.quantity, near.quantity) == (D(3), D(2))
    whole = rig.sell(5, 1005, reduce_only=True)
    assert (far.status, near.status, whole.status) == ("EXPIRED", "EXPIRED", "NEW")
    assert [row for row in reasons(rig) if row[2] == "4"] == [("EXPIRED", "3", "4"), ("EXPIRED", "2", "4")]


def test_a_farther_order_gets_what_nearer_ones_leave_and_is_refused_when_that_is_nothing() -> None:
    rig = holding(5)
    rig.sell(3, 1010, reduce_only=True)
    assert rig.sell(5, 1020, reduce_only=True).quantity == D(2)
    with pytest.raises(VenueError) as refused:
        rig.sell(5, 1030, reduce_only=True)
    assert refused.value.code == -2022


def test_a_position_that_shrinks_shrinks_the_orders() -> None:
    rig = holding(5)
    order = rig.sell(5, 1010, reduce_only=True)
    rig.users.clear()
    rig.sell(2)
    assert (order.quantity, order.status) == (D(3), "NEW")
    assert reasons(rig)[-1] == ("AMENDMENT", "3", "0")
    assert (D(1010), D(3)) in rig.asks()


def test_a_position_that_closes_or_reverses_expires_the_orders() -> None:
    for quantity in (5, 9):
        rig = holding(5)
        order = rig.sell(5, 1010, reduce_only=True)
        rig.sell(quantity)
        assert order.status == "EXPIRED"
        assert reasons(rig)[-1] == ("EXPIRED", "5", "4")
        assert (D(1010), D(5)) not in rig.asks()


def test_its_own_fills_do_not_shrink_it() -> None:
    rig = holding(5)
    order = rig.sell(5, 1000.0, reduce_only=True)
    rig.buy(2, 1000.0, account="b")
    assert (order.quantity, order.remaining, rig.amount()) == (D(5), D(3), D(3))
    rig.buy(3, 1000.0, account="b")
    assert (order.status, rig.amount()) == ("FILLED", D(0))


def test_a_sweep_through_a_plain_and_a_reduce_only_order_never_flips_the_position() -> None:
    rig = holding(5)
    rig.sell(3, 1000.0)
    flagged = rig.sell(5, 1000.1, reduce_only=True)
    rig.diff(asks=[(1000.1, 0)])
    rig.buy(20, 1000.1, account="b")
    assert rig.amount() == 0
    assert (flagged.filled, flagged.quantity) == (D(2), D(2))


def test_it_is_matched_like_any_other_order_of_the_account() -> None:
    rig = holding(5)
    assert rig.sell(5, 999.9, reduce_only=True, time_in_force="IOC").status == "FILLED"
    assert rig.exchange.positions("a", SYMBOL)[0].entry_price == 0


def test_at_one_price_the_older_order_comes_first() -> None:
    rig = holding(5)
    older = rig.sell(5, 1010, reduce_only=True)
    with pytest.raises(VenueError) as refused:
        rig.sell(5, 1010, reduce_only=True)
    assert refused.value.code == -2022
    assert older.quantity == D(5)


def test_an_amendment_takes_what_nearer_orders_leave_and_knocks_out_farther_ones() -> None:
    rig = holding(5)
    near, far = rig.sell(3, 1005, reduce_only=True), rig.sell(2, 1010, reduce_only=True)
    assert rig.amend(far, 9, 1011).quantity == D(2)
    assert rig.amend(near, 9, 1006).quantity == D(5)
    assert far.status == "EXPIRED"


def test_a_print_through_a_plain_order_ends_the_reduce_only_one_behind_it() -> None:
    rig = holding(3)
    rig.sell(3, 1000.0)
    flagged = rig.sell(3, 1000.1, reduce_only=True)
    rig.print(1000.2, 50, buyer_is_maker=False)
    assert (flagged.status, flagged.filled, rig.amount()) == ("EXPIRED", D(0), D(0))
