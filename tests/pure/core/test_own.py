"""Our own resting quantity per price over time."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pms.core.own import KEEP_MS, OwnOrders
from schemas.market import Side

BUY, SELL = Side.BUY, Side.SELL
ONE, TWO, TEN = Decimal(1), Decimal(2), Decimal(10)


@pytest.fixture
def own() -> OwnOrders:
    return OwnOrders()


def test_an_order_counts_from_the_time_the_venue_says(own: OwnOrders) -> None:
    own.resting("a", BUY, 100, TEN, 1000)
    assert [own.quantity_at(BUY, 100, time) for time in (999, 1000, 5000)] == [0, TEN, TEN]
    assert own.quantity_at(SELL, 100, 1000) == own.quantity_at(BUY, 101, 1000) == 0


def test_a_late_frame_sees_what_rested_then(own: OwnOrders) -> None:
    own.resting("a", BUY, 100, TEN, 1000)
    own.resting("a", BUY, 100, ONE, 2000)
    own.resting("a", BUY, 101, ONE, 3000)
    own.gone("a", 4000)
    assert [own.quantity_at(BUY, 100, time) for time in (1500, 2000, 2999, 3000)] == [TEN, ONE, ONE, 0]
    assert [own.quantity_at(BUY, 101, time) for time in (2999, 3000, 3999, 4000)] == [0, ONE, ONE, 0]


def test_while_an_amend_is_in_flight_both_prices_count_at_full_rest(own: OwnOrders) -> None:
    own.resting("a", BUY, 100, TEN, 1000)
    own.in_flight("a", BUY, 101, TEN)
    assert own.quantity_at(BUY, 100, 2000) == own.quantity_at(BUY, 101, 2000) == TEN
    own.resting("a", BUY, 101, TEN, 2000)
    own.settled("a")
    assert own.quantity_at(BUY, 100, 1999) == own.quantity_at(BUY, 101, 2000) == TEN
    assert own.quantity_at(BUY, 100, 2000) == own.quantity_at(BUY, 101, 1999) == 0


def test_a_fill_at_the_old_price_does_not_end_an_amend_in_flight(own: OwnOrders) -> None:
    own.resting("a", BUY, 100, TEN, 1000)
    own.in_flight("a", BUY, 101, TEN)
    own.resting("a", BUY, 100, TWO, 1500)
    assert own.quantity_at(BUY, 101, 1600) == TEN
    assert own.quantity_at(BUY, 100, 1600) == TWO


def test_an_order_counts_once_at_a_price_it_is_amended_in_place(own: OwnOrders) -> None:
    own.resting("a", BUY, 100, TEN, 1000)
    own.in_flight("a", BUY, 100, TWO)
    assert own.quantity_at(BUY, 100, 2000) == TEN


def test_a_refused_placing_leaves_nothing(own: OwnOrders) -> None:
    own.in_flight("a", SELL, 100, TEN)
    assert own.places
    own.settled("a")
    assert not own.places
    assert own.quantity_at(SELL, 100, 1000) == 0


def test_a_newer_amend_in_flight_replaces_the_older(own: OwnOrders) -> None:
    own.in_flight("a", SELL, 100, TEN)
    own.in_flight("a", SELL, 101, TEN)
    assert own.quantity_at(SELL, 100, 1) == 0
    assert own.quantity_at(SELL, 101, 1) == TEN


def test_orders_of_several_sub_accounts_add_up(own: OwnOrders) -> None:
    own.resting("a", BUY, 100, TEN, 1000)
    own.resting("b", BUY, 100, TWO, 1000)
    assert own.quantity_at(BUY, 100, 1000) == TEN + TWO


def test_older_words_and_repeats_change_nothing(own: OwnOrders) -> None:
    own.resting("a", BUY, 100, TWO, 2000)
    own.resting("a", BUY, 99, TEN, 1000)
    own.resting("a", BUY, 100, TWO, 3000)
    assert own.quantity_at(BUY, 99, 2500) == 0
    assert own.quantity_at(BUY, 100, 2500) == TWO


def test_an_order_that_nobody_knew_may_be_gone(own: OwnOrders) -> None:
    own.gone("a", 1000)
    assert not own.places


def test_what_ended_is_forgotten(own: OwnOrders) -> None:
    for turn in range(1000):
        own.resting("a", BUY, turn, TEN, turn * 1000)
    assert len(own.places) <= KEEP_MS // 1000 + 2
    own.gone("a", 1_000_000)
    own.forget(999_999)
    assert own.places
    own.forget(1_000_000)
    assert not own.places


def test_forgetting_changes_no_answer_and_no_version(own: OwnOrders) -> None:
    own.resting("a", BUY, 100, TEN, 1000)
    own.resting("a", BUY, 100, TWO, 2000)
    assert own.quantity_at(BUY, 100, 3000) == TWO
    before = own.version
    own.forget(3000)
    assert not own.ended
    assert own.quantity_at(BUY, 100, 3000) == TWO
    assert own.version == before


def test_an_answer_stands_until_something_changes_at_its_time(own: OwnOrders) -> None:
    own.resting("a", BUY, 100, TEN, 1000)
    assert own.quantity_at(BUY, 100, 2000) == TEN
    own.resting("b", BUY, 100, ONE, 2500)
    assert own.quantity_at(BUY, 100, 2000) == TEN
    own.resting("c", BUY, 100, TWO, 1500)
    assert own.quantity_at(BUY, 100, 2000) == TEN + TWO
    own.in_flight("d", BUY, 100, ONE)
    assert own.quantity_at(BUY, 100, 2000) == TEN + TWO + ONE
    own.settled("d")
    own.gone("a", 1800)
    assert own.quantity_at(BUY, 100, 2000) == TWO
    assert own.quantity_at(BUY, 100, 2500) == TWO + ONE
