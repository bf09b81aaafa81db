"""An order counts as ours wherever it may rest, and nowhere else (law 9 of algos.md)."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from pms.core import orders
from pms.core.own import OwnOrders
from pms.core.own_orders import track
from schemas.market import Side
from schemas.orders import Order, OrderState
from schemas.reports import VenueStatus
from tests.pure.algos.stage import RULES
from tests.pure.core.test_orders import ORDER, report, resting, told, trade

D = Decimal


def places(*records: Order) -> dict[int, Decimal]:
    """What counts as ours per tick, after these records one after another, seen late."""
    own = OwnOrders()
    for order in records:
        track(own, order, RULES, 50)
    found = {ticks: own.quantity_at(Side.BUY, ticks, 60) for _, ticks in own.places}
    return {ticks: quantity for ticks, quantity in found.items() if quantity}


def test_a_placing_counts_before_anybody_has_seen_it() -> None:
    assert places(ORDER) == {1000: D(10)}


def test_a_placing_of_unknown_fate_goes_on_counting() -> None:
    assert places(ORDER, orders.unknown(ORDER, "timeout", 1).order) == {1000: D(10)}


@pytest.mark.parametrize("state", [OrderState.ACTIVE, OrderState.CANCELLING, OrderState.UNKNOWN])
def test_a_resting_order_counts_until_its_end_is_known(state) -> None:
    assert places(ORDER, resting(state)) == {1000: D(10)}


def test_an_amend_in_flight_counts_at_both_prices_also_when_its_fate_is_unknown() -> None:
    amending = resting(OrderState.AMENDING)
    assert places(amending) == {1000: D(10), 1010: D(12)}
    assert places(orders.unknown(amending, "timeout", 3).order) == {1000: D(10), 1010: D(12)}
    done = told(amending, report(time=3, price=D(101), quantity=D(12))).order
    assert places(amending, done) == {1010: D(12)}


def test_what_filled_no_longer_rests() -> None:
    order = told(resting(), report(filled=4, time=2, fill=trade(1, 4))).order
    assert places(order) == {1000: D(6)}
    assert places(orders.amending(order, D(101), D(12), 3).order) == {1000: D(6), 1010: D(8)}


@pytest.mark.parametrize("status", [VenueStatus.CANCELLED, VenueStatus.EXPIRED])
def test_an_ended_order_counts_no_more(status) -> None:
    assert places(resting(), told(resting(), report(status, time=3)).order) == {}


def test_an_order_that_was_refused_leaves_nothing() -> None:
    assert places(ORDER, orders.not_placed(ORDER, "refused", 2).order) == {}


@pytest.mark.parametrize("change", [{"order_type": "MARKET"}, {"time_in_force": "IOC"}, {"time_in_force": "FOK"}])
def test_what_never_rests_never_counts(change) -> None:
    assert places(msgspec.structs.replace(ORDER, **change)) == {}
