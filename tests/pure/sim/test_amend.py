"""Amending by total quantity: priority, crossings and every refusal (binance.md 3.3)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pms.sim import order_entry
from pms.sim.model import Order, VenueError
from tests.pure.sim.rig import SYMBOL, D, Rig, usual


def test_an_amendment_changes_price_and_total_and_tells_it_with_the_modify_id() -> None:
    rig = usual()
    order = rig.buy(2, 999.9)
    rig.users.clear()
    assert rig.amend(order, 3, 999.8, modify_id="77") is order
    (event,) = [event for _, event in rig.users]
    assert (event["o"]["x"], event["o"]["X"], event["o"]["q"], event["o"]["p"]) == ("AMENDMENT", "NEW", "3", "999.8")
    assert event["o"]["M"] == "77"
    assert rig.bids() == [(D("999.9"), D(10)), (D("999.8"), D(13)), (D("999.7"), D(10))]


@pytest.mark.parametrize("quantity, price", [("0.9", "999.9"), (2, "999.9")])
def test_even_a_smaller_quantity_loses_the_place_in_the_queue(quantity: object, price: str) -> None:
    rig = usual()
    order = rig.buy(1, 999.9)
    rig.diff(bids=[(999.9, 20)])
    rig.amend(order, quantity, price)
    rig.print(999.9, 15, buyer_is_maker=True)
    assert order.filled == 0
    rig.print(999.9, 6, buyer_is_maker=True)
    assert order.filled > 0


def test_the_quantity_is_the_total_executed_part_included() -> None:
    rig = usual()
    order = rig.buy(15, 1000.1)
    rig.amend(order, 12, 1000.0)
    assert (order.filled, order.remaining, order.status) == (D(10), D(2), "PARTIALLY_FILLED")
    assert rig.told()[-1] == "AMENDMENT/PARTIALLY_FILLED"


@pytest.mark.parametrize("quantity", [10, 4])
def test_a_total_not_above_the_executed_part_cancels(quantity: int) -> None:
    rig = usual()
    order = rig.buy(15, 1000.1)
    assert rig.amend(order, quantity, 1000.1).status == "CANCELED"
    assert rig.told()[-1] == "CANCELED/CANCELED"
    assert (order.filled, order.quantity) == (D(10), D(15))


def test_a_post_only_amendment_that_would_take_cancels_the_order() -> None:
    rig = usual()
    order = rig.buy(1, 999.9, time_in_force="GTX")
    assert rig.amend(order, 1, 1000.1).status == "CANCELED"
    assert rig.exchange.trades("a", SYMBOL) == []
    assert rig.bids()[0] == (D("999.9"), D(10))
    assert "AMENDMENT/NEW" not in rig.told()


def test_a_plain_amendment_that_crosses_takes() -> None:
    rig = usual()
    order = rig.buy(1, 999.9)
    rig.users.clear()
    assert rig.amend(order, 11, 1000.1).status == "PARTIALLY_FILLED"
    assert rig.told() == ["AMENDMENT/NEW", "TRADE_LITE", "ACCOUNT_UPDATE", "TRADE/PARTIALLY_FILLED"]
    assert rig.bids()[0] == (D("1000.1"), D(1))


def test_the_price_may_come_from_price_match() -> None:
    rig = usual()
    order = rig.buy(1, 990)
    rig.exchange.amend("a", SYMBOL, client_id=order.client_id, quantity=D(1), price=None, price_match="QUEUE")
    assert order.price == D("999.9")


def low(rig: Rig, order: Order) -> None:
    rig.amend(order, "0.02", 999.9)


REFUSED: dict[str, tuple[int, Callable[[Rig, Order], object]]] = {
    "nothing changed": (-5027, lambda rig, order: rig.amend(order, 2, 999.9)),
    "a market order": (-5025, lambda rig, _: rig.amend(rig.buy(1), 2, 999.9)),
    "a closed order": (-2013, lambda rig, _: rig.amend(rig.cancel(rig.buy(1, 990)), 2, 991)),
    "another side": (-1117, lambda rig, order: rig.amend(order, 3, 999.9, side="SELL")),
    "a price between ticks": (-4014, lambda rig, order: rig.amend(order, 2, "999.95")),
    "a price beyond percent price": (-4016, lambda rig, order: rig.amend(order, 2, "1050.1")),
    "a quantity of zero": (-4003, lambda rig, order: rig.amend(order, 0, 999.9)),
    "too many decimals": (-1111, lambda rig, order: rig.amend(order, "2.0001", 999.9)),
    "too small a notional": (-5029, low),
    "reduceOnly on an order that is not": (-5047, lambda rig, order: rig.amend(order, 3, 999.9, reduce_only=True)),
    "more margin than there is": (-2019, lambda rig, order: rig.amend(order, 990, 999.9)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_amendment_leaves_the_order_as_it_was(name: str) -> None:
    code, call = REFUSED[name]
    rig = usual()
    if code == -2019:
        rig.exchange.set_leverage("a", SYMBOL, 1)
        rig.buy(100, 999)
    order = rig.buy(2, 999.9)
    with pytest.raises(VenueError) as refused:
        call(rig, order)
    assert refused.value.code == code
    assert (order.price, order.quantity, order.status, order.amendments) == (D("999.9"), D(2), "NEW", 0)
    assert rig.bids()[0] == (D("999.9"), D(12))


def test_an_order_can_be_amended_ten_thousand_times() -> None:
    rig = usual()
    order = rig.buy(2, 999.9)
    for turn in range(order_entry.MAX_AMENDMENTS):
        rig.amend(order, 2, 999.8 if turn % 2 == 0 else 999.9)
    with pytest.raises(VenueError) as refused:
        rig.amend(order, 2, 999.7)
    assert refused.value.code == -5026


def test_a_reduce_only_order_may_stay_under_the_least_notional() -> None:
    rig = usual()
    rig.buy(1)
    order = rig.sell(1, 1010, reduce_only=True)
    with pytest.raises(VenueError) as refused:
        rig.amend(order, "0.02", 1010)
    assert refused.value.code == -5029
    assert rig.amend(order, "0.02", 1010, reduce_only=True).quantity == D("0.02")


def test_a_reduce_only_order_is_not_amended_beyond_the_position() -> None:
    rig = usual()
    rig.buy(1)
    order = rig.sell(1, 1010, reduce_only=True)
    assert rig.amend(order, 5, 1009).quantity == D(1)
