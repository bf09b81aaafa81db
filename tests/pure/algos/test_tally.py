"""What an execution cost: fees by asset, averages, and the distance from the price at its arrival."""

from __future__ import annotations

from decimal import Decimal

import pytest

from algos import tally
from schemas.market import Side

D = Decimal


def test_fees_are_summed_by_asset_and_never_converted() -> None:
    assert tally.added({"USDT": D("0.1"), "BNB": D(1)}, {"USDT": D("0.2")}, {}) == {"USDT": D("0.3"), "BNB": D(1)}


def test_the_fills_of_several_are_one_quantity_and_one_value() -> None:
    assert tally.total_filled([]) == (0, 0)
    filled, quote = tally.total_filled([(D("0.5"), D(50)), (D("1.5"), D(153))])
    assert (filled, quote, tally.average(quote, filled)) == (D(2), D(203), D("101.5"))
    assert tally.average(D(0), D(0)) == 0


@pytest.mark.parametrize(
    "side, price, arrival, bps",
    [(Side.BUY, "101", "100", "100"), (Side.SELL, "101", "100", "-100"), (Side.BUY, "0", "100", "0"),
     (Side.SELL, "100", "0", "0"), (Side.BUY, "100.001", "100", "0.10")],
)  # fmt: skip
def test_slippage_is_what_was_worse_than_the_mid_at_arrival(side: Side, price: str, arrival: str, bps: str) -> None:
    assert tally.slippage_bps(side, D(price), D(arrival)) == D(bps)
