"""The margin ratio that a margin call tells of (binance.md 7.5)."""

from __future__ import annotations

from decimal import Decimal

from pms.account_watch import ratio
from pms.notices import CalledPosition, MarginCall

D = Decimal


def call(*positions: CalledPosition, wallet: str = "100") -> MarginCall:
    return MarginCall(1, D(wallet), positions)


def cross(maintenance: str, unrealized: str) -> CalledPosition:
    return CalledPosition("BTCUSDT", D(1), D(unrealized), D(maintenance))


def isolated(maintenance: str, unrealized: str, wallet: str) -> CalledPosition:
    return CalledPosition("ETHUSDT", D(1), D(unrealized), D(maintenance), D(wallet))


def test_cross_positions_are_reckoned_together_on_the_cross_wallet() -> None:
    assert ratio(call(cross("20", "-60"), cross("16", "5"))) == D("0.8")


def test_a_position_with_margin_of_its_own_is_reckoned_on_that_and_the_worst_counts() -> None:
    assert ratio(call(cross("1", "0"), isolated("9", "-2", "12"), isolated("1", "0", "10"))) == D("0.9")
    assert ratio(call(isolated("1", "0", "3"), wallet="0")) == D("0.3334"), "never shown lower than it is"


def test_where_nothing_is_left_it_is_one_and_a_call_of_nothing_is_nothing() -> None:
    assert ratio(call(cross("20", "-100"))) == 1
    assert ratio(call(isolated("1", "-11", "10"))) == 1
    assert ratio(call()) == 0
