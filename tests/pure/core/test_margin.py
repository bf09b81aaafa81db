"""Margin numbers by the venue's own table (binance.md 8)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pms.core import margin
from pms.core.margin import Bracket, Stake

D = Decimal
ROWS = (("0", "50000", 125, "0.004", "0"), ("50000", "600000", 100, "0.005", "50"))
ROWS += (("600000", "3000000", 75, "0.0065", "950"), ("3000000", "12000000", 50, "0.01", "11450"))
TABLE = tuple(Bracket(D(low), D(high), most, D(share), D(cum)) for low, high, most, share, cum in ROWS)


def stake(quantity: str, entry: str, mark: str, leverage: int = 10, symbol: str = "BTCUSDT") -> Stake:
    return Stake(symbol, D(quantity), D(entry), D(mark), leverage, TABLE)


@pytest.mark.parametrize(
    "notional, maintained, leverage",
    [
        ("0", "0", 125),
        ("50000", "200", 125),
        ("50001", "200.005", 100),
        ("600000", "2950", 100),
        ("3000000", "18550", 75),
        ("12000001", "108550.01", 1),
    ],
)
def test_maintenance_margin_and_leverage_follow_the_bracket(notional: str, maintained: str, leverage: int) -> None:
    assert margin.maintenance(TABLE, D(notional)) == D(maintained)
    assert margin.max_leverage(TABLE, D(notional)) == leverage


@pytest.mark.parametrize(
    "leverage, most", [(125, "50000"), (101, "50000"), (100, "600000"), (1, "12000000"), (126, "0")]
)
def test_a_leverage_allows_up_to_the_cap_of_its_last_bracket(leverage: int, most: str) -> None:
    assert margin.max_notional(TABLE, leverage) == D(most)


@given(st.decimals("0", "12000000", places=2), st.decimals("0", "1000", places=2))
def test_maintenance_margin_never_jumps_and_never_falls(notional: Decimal, more: Decimal) -> None:
    before, after = margin.maintenance(TABLE, notional), margin.maintenance(TABLE, notional + more)
    assert 0 <= after - before <= more * TABLE[-1].maint_ratio


@pytest.mark.parametrize(
    "held, needed", [(["2", "-3"], "3"), (["2", "3", "-4"], "5"), ([], "0"), (["-1", "-2"], "3"), (["1", "-1"], "1")]
)
def test_the_worse_side_of_opposite_sub_accounts_needs_margin(held: list[str], needed: str) -> None:
    assert margin.netted(map(D, held)) == D(needed)


@pytest.mark.parametrize("quantity", ["1", "-1", "10", "-10"])
@pytest.mark.parametrize("balance", ["5000", "20000"])
def test_at_the_liquidation_price_equity_meets_the_maintenance_margin(quantity: str, balance: str) -> None:
    """Within one bracket the price is exact: put the mark there and nothing is to spare."""
    one_row = (Bracket(D(0), D("1e9"), 50, D("0.01"), D(0)),)
    other = Stake("ETHUSDT", D(2), D(3000), D(3100), 10, one_row)
    held = Stake("BTCUSDT", D(quantity), D(60000), D(60500), 10, one_row)
    price = margin.liquidation_price(D(balance), held, [other])
    there = Stake("BTCUSDT", D(quantity), D(60000), price, 10, one_row)
    if price:
        equity = D(balance) + other.unrealized + there.unrealized
        assert abs(equity - other.maintenance - there.maintenance) < D("1e-15")
    else:
        assert (quantity == "1" and D(balance) == 20000) or D(quantity) > 0


def test_a_position_with_more_equity_than_it_can_lose_has_no_liquidation_price() -> None:
    assert margin.liquidation_price(D(100_000), stake("1", "60000", "60000"), []) == 0


def test_without_a_table_or_a_position_there_is_no_liquidation_price() -> None:
    assert margin.liquidation_price(D(10), stake("0", "0", "60000"), []) == 0
    assert margin.liquidation_price(D(10), Stake("X", D(1), D(5), D(5), 1), []) == 0
    assert margin.maintenance((), D(5)) == 0


def test_a_stake_is_worth_what_the_mark_says() -> None:
    long, short = stake("2", "100", "110"), stake("-2", "100", "110")
    assert (long.notional, long.unrealized, long.initial) == (220, 20, 22)
    assert (short.notional, short.unrealized, short.initial) == (220, -20, 22)


@pytest.mark.parametrize(
    "equity, kept, share", [("100", "50", "0.5"), ("0", "50", "10"), ("-5", "1", "10"), ("9", "0", "0")]
)
def test_the_ratio_is_the_share_of_equity_that_must_be_kept(equity: str, kept: str, share: str) -> None:
    assert margin.ratio(D(equity), D(kept)) == D(share)
