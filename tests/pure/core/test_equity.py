"""What a sub-account is worth and how much of it is bound (contract.md, `pms:risk:{acct}`)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pms.core import equity, positions
from pms.core.margin import Bracket
from pms.core.positions import Trade
from schemas.books import Position, Risk
from schemas.market import Side
from schemas.orders import Order, OrderState, Origin
from schemas.records import SubAccount

D = Decimal
TABLE = (Bracket(D(0), D(10**9), 50, D("0.01"), D(0)),)
MARKS = {"BTCUSDT": D(110), "ETHUSDT": D(0)}
OWNER = SubAccount(id="a", name="a", tag="a", initial_balance=D(100), balance=D(100), created_at=0)


def held(quantity: str, symbol: str = "BTCUSDT", leverage: int = 10) -> Position:
    flat = positions.flat("a", symbol)
    return positions.book(flat, Trade(D(quantity), D(100), D(0), 5), leverage, 5)[-1].position


def resting(side: Side, quantity: str, price: str, reduce_only: bool = False, leverage: int = 10) -> Order:
    return Order(
        client_order_id=f"{side}-{quantity}", sub_account_id="a", symbol="BTCUSDT", side=side, order_type="LIMIT",
        time_in_force="GTC", quantity=D(quantity), price=D(price), reduce_only=reduce_only, state=OrderState.ACTIVE,
        origin=Origin.MANUAL, parent_id="", root_id="", created_at=0, updated_at=0, leverage=leverage,
    )  # fmt: skip


def risk(*books: Position, orders: tuple[Order, ...] = ()) -> Risk:
    stakes = equity.stakes(books, lambda symbol: MARKS[symbol], {"BTCUSDT": TABLE})
    return equity.snapshot(OWNER, books, orders, stakes, 9)


def test_equity_is_the_balance_and_the_profit_at_mark() -> None:
    seen = risk(held("2"))
    assert (seen.balance, seen.equity, seen.margin_used, seen.available_margin) == (100, 120, 22, 98)
    (row,) = seen.positions
    assert (row.notional, row.margin, row.unrealized_pnl, row.pnl_percent) == (220, 22, 20, D("90.91"))


def test_a_symbol_without_a_mark_counts_at_the_price_of_its_last_trade() -> None:
    seen = risk(held("2", "ETHUSDT"))
    assert (seen.equity, seen.positions[0].mark_price) == (100, 100)


@pytest.mark.parametrize(
    "orders, used",
    [
        ((resting(Side.BUY, "1", "90"),), "31"),  # 220 held and 90 more
        ((resting(Side.SELL, "1", "120"),), "22"),  # takes away from it
        ((resting(Side.SELL, "5", "120"),), "38"),  # beyond it: 600 - 220
        ((resting(Side.BUY, "1", "90"), resting(Side.SELL, "1", "120")), "31"),  # the worse side
        ((resting(Side.SELL, "5", "120", reduce_only=True),), "22"),
    ],
)
def test_open_orders_bind_margin_on_the_worse_side(orders: tuple[Order, ...], used: str) -> None:
    seen = risk(held("2"), orders=orders)
    assert seen.margin_used == D(used)
    assert seen.open_orders == orders


def test_orders_without_a_position_bind_margin_by_their_own_leverage() -> None:
    assert risk(orders=(resting(Side.BUY, "1", "90", leverage=3),)).margin_used == 30


def test_flat_books_are_left_out() -> None:
    seen = risk(positions.flat("a", "BTCUSDT"))
    assert (seen.positions, seen.equity) == ((), 100)


def test_at_the_liquidation_price_the_sub_account_has_its_maintenance_margin_left() -> None:
    price = risk(held("20")).positions[0].liquidation_price
    worth = D(100) + 20 * (price - 100)
    assert abs(worth - 20 * price / 100) < D("1e-6")
