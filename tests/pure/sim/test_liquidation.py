"""What the venue does to an account that can't hold its position, and to one it deleverages (binance.md 7.6, 8)."""

from __future__ import annotations

from typing import Any

import pytest

from pms.sim.exchange import Settings
from tests.pure.sim.rig import SYMBOL, D, Rig

SMALL = Settings(starting_wallet=D(1_000))


def long_ten(wallet: Settings | None = SMALL) -> Rig:
    """`a` holds 10 bought at 1000.1, on a wallet of 1000 at leverage 20."""
    rig = Rig(settings=wallet)
    rig.book([(999.9, 100)], [(1000.1, 100)])
    rig.mark(1000)
    rig.exchange.set_leverage("a", SYMBOL, 20)
    rig.buy(10, 1000.1)
    rig.users.clear()
    return rig


def orders(rig: Rig) -> list[dict[str, Any]]:
    return [event["o"] for _, event in rig.users if event["e"] == "ORDER_TRADE_UPDATE"]


def events(rig: Rig, kind: str) -> list[dict[str, Any]]:
    return [event for _, event in rig.users if event["e"] == kind]


def check_wallet(rig: Rig, began: object) -> None:
    """Income tells the whole history of the wallet."""
    changed = sum((row.income for row in rig.exchange.income("a")), D(0))
    assert rig.exchange.account("a").wallet == D(str(began)) + changed


def test_a_mark_that_the_margin_still_covers_does_nothing() -> None:
    rig = long_ten()
    rig.mark(950)
    assert rig.exchange.positions("a", SYMBOL)[0].amount == 10
    assert rig.users == []


def test_before_it_is_too_late_the_account_is_warned_once() -> None:
    rig = long_ten()
    price = rig.exchange.positions("a", SYMBOL)[0].liquidation_price
    rig.mark(price + 1)
    rig.mark(price + D("0.9"))
    (called,) = events(rig, "MARGIN_CALL")
    (row,) = called["p"]
    assert (row["s"], row["pa"], row["mt"]) == (SYMBOL, "10", "CROSSED")


def test_at_the_liquidation_price_everything_is_closed_through_the_book() -> None:
    rig = long_ten()
    resting = rig.buy(1, 900)
    price = rig.exchange.positions("a", SYMBOL)[0].liquidation_price
    rig.book([(price, 100)], [(price + 1, 100)])
    rig.mark(price + D("0.1"))
    assert resting.is_open
    rig.users.clear()
    rig.mark(price - D("0.1"))
    assert not resting.is_open
    expired, *own = orders(rig)
    assert (expired["X"], expired["er"]) == ("EXPIRED", "5")
    assert {order["c"] for order in own} == {f"autoclose-{rig.time}"}
    assert [(order["x"], order["X"]) for order in own] == [("NEW", "NEW"), ("TRADE", "FILLED")]
    assert rig.exchange.positions("a", SYMBOL)[0].amount == 0
    assert rig.exchange.income("a")[-1].income_type == "INSURANCE_CLEAR"
    check_wallet(rig, 1000)
    assert rig.exchange.account("a").wallet >= 0


def test_what_the_book_does_not_take_the_insurance_fund_does() -> None:
    rig = long_ten()
    price = rig.exchange.positions("a", SYMBOL)[0].liquidation_price
    rig.book([(price, 3)], [(price + 1, 100)])
    rig.users.clear()
    rig.mark(price - 1)
    last = orders(rig)[-1]
    assert (last["x"], last["X"], last["l"], last["z"]) == ("CALCULATED", "NEW_INSURANCE", "7", "10")
    assert rig.exchange.positions("a", SYMBOL)[0].amount == 0
    assert sum(trade.quantity for trade in rig.exchange.trades("a", SYMBOL)) == 20
    check_wallet(rig, 1000)


@pytest.mark.parametrize("quantity", ["4", "10", "99"])
def test_deleveraging_closes_at_the_mark_without_the_book(quantity: str) -> None:
    rig = long_ten()
    rig.mark(1010)
    book = rig.exchange.touch(SYMBOL)
    order = rig.exchange.adl("a", SYMBOL, D(quantity))
    closed = min(D(quantity), D(10))
    assert (order.status, order.filled) == ("FILLED", closed)
    told = orders(rig)[-1]
    assert (told["c"], told["x"], told["X"], told["L"]) == ("adl_autoclose", "CALCULATED", "NEW_ADL", "1010")
    assert rig.exchange.positions("a", SYMBOL)[0].amount == 10 - closed
    assert rig.exchange.touch(SYMBOL) == book
    check_wallet(rig, 1000)


def test_a_short_is_closed_by_a_buy() -> None:
    rig = Rig(settings=SMALL)
    rig.book([(999.9, 100)], [(1000.1, 100)])
    rig.mark(1000)
    rig.exchange.set_leverage("a", SYMBOL, 20)
    rig.sell(10, 999.9)
    rig.exchange.liquidate("a")
    assert rig.exchange.positions("a", SYMBOL)[0].amount == 0
    assert orders(rig)[-1]["S"] == "BUY"
    check_wallet(rig, 1000)
