"""The virtual book of one (sub-account, symbol): adding averages, reducing realises, a flip does both."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pms.core import positions
from schemas.books import Position
from schemas.market import PositionSide, Side
from schemas.orders import Fill

D = Decimal
BUY, SELL = Side.BUY, Side.SELL


def fill(side: Side, quantity: str, price: str, fee: str = "0.1", time: int = 5) -> Fill:
    return Fill("BTCUSDT", 1, 1, side, D(price), D(quantity), D(fee), "USDT", True, time)


def held(quantity: str = "0", entry: str = "0") -> Position:
    """A book that holds a signed quantity, opened as the third."""
    flat = positions.flat("main", "BTCUSDT")
    if not D(quantity):
        return flat
    opened = positions.book(flat, fill(BUY if D(quantity) > 0 else SELL, quantity.lstrip("-"), entry), 5, 6)
    return opened.position


def test_an_untouched_book_is_flat() -> None:
    book = positions.flat("main", "BTCUSDT")
    assert (book.position_id, book.quantity, book.signed_quantity, book.number) == ("main:BTCUSDT:0", 0, 0, 0)


@pytest.mark.parametrize(
    "before, trade, after, entry, event, closed, realized",
    [
        # adding averages the entry
        (("0", "0"), (BUY, "2", "100"), "2", "100", "position_updated", "0", "0"),
        (("0", "0"), (SELL, "2", "100"), "-2", "100", "position_updated", "0", "0"),
        (("2", "100"), (BUY, "2", "110"), "4", "105", "position_updated", "0", "0"),
        (("-2", "100"), (SELL, "2", "90"), "-4", "95", "position_updated", "0", "0"),
        # reducing realises at the old entry
        (("2", "100"), (SELL, "0.5", "110"), "1.5", "100", "position_reduced", "0.5", "5"),
        (("2", "100"), (SELL, "0.5", "90"), "1.5", "100", "position_reduced", "0.5", "-5"),
        (("-2", "100"), (BUY, "0.5", "90"), "-1.5", "100", "position_reduced", "0.5", "5"),
        (("-2", "100"), (BUY, "0.5", "110"), "-1.5", "100", "position_reduced", "0.5", "-5"),
        # closing
        (("2", "100"), (SELL, "2", "110"), "0", "0", "position_closed", "2", "20"),
        (("-2", "100"), (BUY, "2", "110"), "0", "0", "position_closed", "2", "-20"),
        # a flip closes at the old entry and opens the rest at the fill's price
        (("2", "100"), (SELL, "3", "110"), "-1", "110", "position_updated", "2", "20"),
        (("-2", "100"), (BUY, "3", "110"), "1", "110", "position_updated", "2", "-20"),
    ],
)
def test_a_fill_moves_the_book(before, trade, after, entry, event, closed, realized) -> None:
    booked = positions.book(held(*before), fill(*trade), 5, 9)
    book = booked.position
    assert (book.signed_quantity, book.quantity, book.entry_price) == (D(after), abs(D(after)), D(entry))
    assert (booked.event, booked.closed_qty, booked.realized_pnl) == (event, D(closed), D(realized))
    assert book.side is (PositionSide.SHORT if D(after) < 0 else PositionSide.LONG)
    assert (book.notional, book.margin) == (abs(D(after)) * D(entry), abs(D(after)) * D(entry) / 5)
    assert (book.mark_price, book.updated_at) == (D(trade[2]), 9)


def test_an_opening_has_a_new_number_and_id_after_flat_and_after_a_flip() -> None:
    """execution.md 11."""
    book = held("2", "100")
    ids = [book.position_id]
    for trade in (fill(BUY, "1", "100"), fill(SELL, "1", "100"), fill(SELL, "3", "100"), fill(BUY, "1", "100")):
        book = positions.book(book, trade, 5, 9).position
        ids.append(book.position_id)
    assert ids == ["main:BTCUSDT:1", "main:BTCUSDT:1", "main:BTCUSDT:1", "main:BTCUSDT:2", "main:BTCUSDT:2"]
    assert book.quantity == 0
    reopened = positions.book(book, fill(BUY, "1", "100", time=77), 3, 9).position
    assert (reopened.position_id, reopened.number, reopened.opened_at) == ("main:BTCUSDT:3", 3, 77)
    assert (reopened.leverage, reopened.realized_pnl, reopened.fees) == (3, 0, D("0.1"))


def test_numbers_are_written_in_base_36() -> None:
    assert positions.position_id("main", "BTCUSDT", 36) == "main:BTCUSDT:10"


def test_the_sums_of_an_opening_outlive_its_closing() -> None:
    book = held("2", "100")
    book = positions.book(book, fill(SELL, "1", "110"), 5, 9).position
    book = positions.book(book, fill(SELL, "1", "120"), 5, 9).position
    assert (book.quantity, book.realized_pnl, book.fees) == (0, 30, D("0.3"))


def test_only_an_opening_sets_leverage() -> None:
    book = positions.book(held("2", "100"), fill(BUY, "1", "100"), 50, 9).position
    assert book.leverage == 5


FILLS = st.builds(
    fill,
    st.sampled_from(Side),
    st.decimals("0.001", "5", places=3).map(str),
    st.decimals("50", "150", places=1).map(str),
)


@given(st.lists(FILLS, max_size=30))
def test_a_book_is_the_sum_of_its_fills_and_loses_no_money(fills) -> None:
    book = positions.flat("main", "BTCUSDT")
    realized = D(0)
    for one in fills:
        booked = positions.book(book, one, 5, 9)
        realized += booked.realized_pnl
        assert booked.closed_qty <= min(book.quantity, one.quantity)
        book = booked.position
    assert book.signed_quantity == sum(one.side.sign * one.quantity for one in fills)
    paid = sum(one.side.sign * one.quantity * one.price for one in fills)
    assert abs(book.signed_quantity * book.entry_price - realized - paid) < D("1e-15")
    assert book.quantity == abs(book.signed_quantity)
