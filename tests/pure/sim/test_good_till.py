"""Orders that end by themselves: timeInForce GTD (binance.md 4, 7.3)."""

from __future__ import annotations

from typing import Any

import pytest

from pms.sim.journal import MemoryJournal
from pms.sim.model import Order, VenueError
from tests.pure.sim.rig import START, SYMBOL, D, Rig, usual

TILL = START + 601_000


def timed(rig: Rig, quantity: object = 1, price: object = 999, till: int = TILL, **more: Any) -> Order:
    return rig.buy(quantity, price, time_in_force="GTD", good_till=till, **more)


def pass_to(rig: Rig, time: int) -> None:
    rig.time = time
    rig.exchange.tick(time)


def test_it_stands_until_its_time_and_then_expires_with_what_it_filled() -> None:
    rig = usual()
    order = timed(rig, price=1000.0)
    assert rig.exchange.next_due() == TILL
    rig.sell("0.4", 1000.0, account="b")
    pass_to(rig, TILL - 1)
    assert [row.order_id for row in rig.exchange.open_orders("a")] == [order.order_id]
    rig.users.clear()
    pass_to(rig, TILL)
    assert rig.told() == ["EXPIRED/EXPIRED"]
    ((account, event),) = rig.users
    told = event["o"]
    assert (account, told["x"], told["X"], told["f"], told["gtd"]) == ("a", "EXPIRED", "EXPIRED", "GTD", TILL)
    assert (told["z"], told["er"], told["T"]) == ("0.4", "0", TILL)
    assert rig.exchange.open_orders("a") == []
    assert (1000, D("0.6")) not in rig.bids(), "its level is gone"


@pytest.mark.parametrize("end", ["filled", "cancelled"])
def test_one_that_ended_before_its_time_says_nothing_at_it(end: str) -> None:
    rig = usual()
    order = timed(rig, price=1000.0)
    if end == "filled":
        rig.sell(1, 1000.0, account="b")
    else:
        rig.cancel(order)
    rig.users.clear()
    pass_to(rig, TILL)
    assert rig.users == []


def test_what_it_takes_at_once_fills_and_the_rest_stands() -> None:
    rig = usual()
    order = timed(rig, quantity=12, price=1000.1)
    assert (order.status, order.filled) == ("PARTIALLY_FILLED", 10)
    pass_to(rig, TILL)
    assert (order.status, order.filled) == ("EXPIRED", 10)


def test_an_amend_keeps_its_time() -> None:
    rig = usual()
    order = timed(rig)
    assert rig.amend(order, 2, 998).good_till == TILL
    pass_to(rig, TILL)
    assert (order.status, order.quantity) == ("EXPIRED", 2)


@pytest.mark.parametrize("till", [START + 600_000, START, 0, 253_402_300_799_000])
def test_a_time_too_near_or_too_far_is_refused_and_nothing_stands(till: int) -> None:
    rig = usual()
    with pytest.raises(VenueError) as refused:
        timed(rig, till=till)
    assert refused.value.code == -5040
    assert rig.exchange.all_orders("a", SYMBOL) == []


def test_what_fell_due_while_the_venue_did_not_run_expires_when_it_runs_again() -> None:
    journal = MemoryJournal()
    before = Rig(journal)
    before.book([(999.9, 10)], [(1000.1, 10)])
    before.mark(1000)
    order = timed(before)
    after = Rig(journal)
    assert after.exchange.next_due() == TILL
    pass_to(after, TILL + 5_000)
    assert after.told() == ["EXPIRED/EXPIRED"]
    assert after.exchange.order("a", SYMBOL, order_id=order.order_id).status == "EXPIRED"
