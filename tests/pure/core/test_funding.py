"""Funding on each book's own position at the funding time, whatever comes late."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pms.core import funding
from pms.core.funding import HOUR_MS
from schemas.books import Held
from schemas.reports import FundingRate

D = Decimal
CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a planted error runs without conftest
Trade = tuple[int, Decimal]


def test_longs_pay_and_shorts_receive_a_positive_rate() -> None:
    rate = FundingRate("A", 0, D("0.0001"), D(60000))
    paid = funding.payments(rate, {"long": D("0.010"), "short": D("-0.010"), "flat": D(0)})
    assert paid == {"long": D("-0.06"), "short": D("0.06")}


def test_payments_are_rounded_as_the_venue_keeps_money() -> None:
    assert funding.payment(D("0.003"), D("61802.5"), D("0.00000801")) == D("-0.00148511")


def test_a_fill_at_the_funding_time_comes_after_it() -> None:
    hours = funding.crossed(HOUR_MS, D(2), D(0), (), 0)
    assert funding.held_at(HOUR_MS, D(2), hours) == 0
    hours = funding.crossed(HOUR_MS - 1, D(2), D(0), (), -1)
    assert funding.held_at(HOUR_MS, D(2), hours) == 2


def test_the_position_that_was_held_is_known_though_another_one_stands_now() -> None:
    hours = funding.crossed(HOUR_MS + 5, D(-2), D(2), (), 0, "main:A:1")  # closed after the hour
    hours = funding.crossed(HOUR_MS + 9, D(3), D(0), hours, 0, "main:A:1")  # and opened anew
    assert funding.position_at(HOUR_MS, "main:A:2", hours) == "main:A:1"
    assert funding.position_at(2 * HOUR_MS, "main:A:2", hours) == "main:A:2"


def test_what_is_funded_is_let_go_and_the_rest_is_bounded() -> None:
    hours: tuple[Held, ...] = ()
    for hour in range(funding.HOURS_KEPT + 5):
        hours = funding.crossed(hour * HOUR_MS, D(1), D(hour), hours, 2 * HOUR_MS)
    assert len(hours) == funding.HOURS_KEPT
    assert hours[0] == Held(5 * HOUR_MS, D(5))
    assert funding.crossed(9 * HOUR_MS, D(1), D(7), hours[:2], 8 * HOUR_MS) == (Held(9 * HOUR_MS, D(7)),)


TIMES = st.builds(lambda hour, ms: hour * HOUR_MS + ms, st.integers(0, 12), st.integers(0, 2))
TRADES = st.lists(st.tuples(TIMES, st.integers(-9, 9).map(Decimal)), max_size=25)


@CALM
@given(TRADES, st.integers(0, 13))
@example([(5 * HOUR_MS, D(1)), (HOUR_MS, D(1))], 5)
def test_late_trades_are_counted_where_they_belong(trades: list[Trade], hour: int) -> None:
    """Booked in any order, the position at a whole hour is the sum of all trades before it."""
    held, hours = D(0), ()
    for time, delta in trades:
        hours = funding.crossed(time, delta, held, hours, -1)
        held += delta
    at = hour * HOUR_MS
    assert funding.held_at(at, held, hours) == sum((delta for time, delta in trades if time < at), D(0))
