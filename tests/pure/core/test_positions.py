"""The virtual book of one (sub-account, symbol): adding averages, reducing realises, a flip does both."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pms.core import positions
from pms.core.positions import Trade
from schemas.books import Position
from schemas.market import PositionSide, Side

D = Decimal
CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a planted error runs without conftest
BUY, SELL = Side.BUY, Side.SELL


def fill(side: Side, quantity: str, price: str, fee: str = "0.1", time: int = 5) -> Trade:
    return Trade(side.sign * D(quantity), D(price), D(fee), time)


def booked(book: Position, trade: Trade, leverage: int = 5, now: int = 9) -> Position:
    """The position after a trade."""
    return positions.book(book, trade, leverage, now)[-1].position


def held(quantity: str = "0", entry: str = "0") -> Position:
    """A book that holds a signed quantity."""
    flat = positions.flat("main", "BTCUSDT")
    if not D(quantity):
        return flat
    return booked(flat, fill(BUY if D(quantity) > 0 else SELL, quantity.lstrip("-"), entry), 5, 6)


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
    ],
)
def test_a_fill_moves_the_book(before, trade, after, entry, event, closed, realized) -> None:
    (moved,) = positions.book(held(*before), fill(*trade), 5, 9)
    book = moved.position
    assert (book.signed_quantity, book.quantity, book.entry_price) == (D(after), abs(D(after)), D(entry))
    assert (moved.event, moved.closed_qty, moved.realized_pnl) == (event, D(closed), D(realized))
    assert (moved.fee, moved.price) == (D("0.1"), D(trade[2]))
    assert (book.notional, book.margin) == (abs(D(after)) * D(entry), abs(D(after)) * D(entry) / 5)
    assert (book.mark_price, book.updated_at) == (D(trade[2]), 9)


@pytest.mark.parametrize("side, sign", [(SELL, 1), (BUY, -1)])
def test_a_flip_closes_at_the_old_entry_and_opens_the_rest_at_the_fills_price(side: Side, sign: int) -> None:
    """Both are told, the closing first, and the opening has a positionId of its own (contract.md)."""
    before = held(str(2 * sign), "100")
    closed, opened = positions.book(before, fill(side, "3", "110", "0.3"), 7, 9)
    assert (closed.event, closed.position.position_id, closed.position.quantity) == (
        "position_closed",
        before.position_id,
        0,
    )
    assert (closed.closed_qty, closed.realized_pnl, closed.fee) == (2, 20 * sign, D("0.2"))
    assert closed.position.side is before.side
    after = opened.position
    assert (opened.event, opened.closed_qty, opened.fee) == ("position_updated", 0, D("0.1"))
    assert (after.position_id, after.signed_quantity, after.entry_price) == ("main:BTCUSDT:2", -sign, 110)
    assert (after.leverage, after.realized_pnl, after.fees, after.opened_at) == (7, 0, D("0.1"), 5)


def test_a_short_and_a_long_book_say_so() -> None:
    assert [held(quantity, "100").side for quantity in ("2", "-2")] == [PositionSide.LONG, PositionSide.SHORT]


def test_the_profit_of_what_is_open_is_told_at_the_fills_price() -> None:
    book = booked(held("2", "100"), fill(SELL, "1", "110"))
    assert (book.unrealized_pnl, book.pnl_percent) == (10, 50)


def test_an_opening_has_a_new_number_and_id_after_flat_and_after_a_flip() -> None:
    """execution.md 11."""
    book = held("2", "100")
    ids = [book.position_id]
    for trade in (fill(BUY, "1", "100"), fill(SELL, "1", "100"), fill(SELL, "3", "100"), fill(BUY, "1", "100")):
        book = booked(book, trade)
        ids.append(book.position_id)
    assert ids == ["main:BTCUSDT:1", "main:BTCUSDT:1", "main:BTCUSDT:1", "main:BTCUSDT:2", "main:BTCUSDT:2"]
    assert book.quantity == 0
    reopened = booked(book, fill(BUY, "1", "100", time=77), 3)
    assert (reopened.position_id, reopened.number, reopened.opened_at) == ("main:BTCUSDT:3", 3, 77)
    assert (reopened.leverage, reopened.realized_pnl, reopened.fees) == (3, 0, D("0.1"))


def test_numbers_are_written_in_base_36() -> None:
    assert positions.position_id("main", "BTCUSDT", 36) == "main:BTCUSDT:10"


def test_the_sums_of_an_opening_outlive_its_closing() -> None:
    book = held("2", "100")
    book = booked(book, fill(SELL, "1", "110"))
    book = booked(book, fill(SELL, "1", "120"))
    assert (book.quantity, book.realized_pnl, book.fees) == (0, 30, D("0.3"))


def test_only_an_opening_sets_leverage() -> None:
    book = booked(held("2", "100"), fill(BUY, "1", "100"), 50)
    assert book.leverage == 5


FILLS = st.builds(
    fill,
    st.sampled_from(Side),
    st.decimals("0.001", "5", places=3).map(str),
    st.decimals("50", "150", places=1).map(str),
)


@CALM
@given(st.lists(FILLS, max_size=30))
def test_a_book_is_the_sum_of_its_trades_and_loses_no_money(trades: list[Trade]) -> None:
    book = positions.flat("main", "BTCUSDT")
    realized = fees = D(0)
    for one in trades:
        for part in positions.book(book, one, 5, 9):
            realized += part.realized_pnl
            fees += part.fee
            assert part.closed_qty <= min(book.quantity, abs(one.quantity))
            assert part.realized_pnl == part.realized_pnl.quantize(D("1e-8")), "exact sums need the venue's digits"
            book = part.position
    assert book.signed_quantity == sum(one.quantity for one in trades)
    assert fees == sum(one.fee for one in trades)
    paid = sum(one.quantity * one.price for one in trades)
    assert abs(book.signed_quantity * book.entry_price - realized - paid) < D("1e-8") * (len(trades) + 1)
    assert book.quantity == abs(book.signed_quantity)


def test_a_book_remembers_what_it_held_at_the_hours_it_crossed() -> None:
    """Funding is owed on it (execution.md 16)."""
    book = held("2", "100")
    book = booked(book, fill(SELL, "5", "100", time=2 * 3_600_000 + 7))
    assert [(hour.time, hour.quantity) for hour in book.hours] == [(2 * 3_600_000, 2)]


@pytest.mark.parametrize("quantity, entry, realized", [("2", "103", "6"), ("-2", "103", "-6"), ("2", "100", "0")])
def test_another_average_entry_moves_what_was_realised_and_leaves_the_whole(
    quantity: str, entry: str, realized: str
) -> None:
    before = held(quantity, "100")
    moved = positions.averaged(before, D(entry), 12)
    after = moved.position
    assert (moved.event, moved.realized_pnl, moved.closed_qty, moved.fee) == ("position_updated", D(realized), 0, 0)
    assert (after.entry_price, after.notional, after.updated_at) == (D(entry), 2 * D(entry), 12)
    assert (after.signed_quantity, after.fees, after.position_id) == (D(quantity), before.fees, before.position_id)
    assert after.realized_pnl + after.unrealized_pnl == before.realized_pnl + before.unrealized_pnl
