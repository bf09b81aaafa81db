"""Which orders and fills a question answers: the newest orders, the oldest fills (binance.md 3.3)."""

from __future__ import annotations

import msgspec
import pytest

from pms.sim import accounts
from pms.sim.model import VenueError
from tests.pure.sim.rig import START, SYMBOL, usual


def test_all_orders_answers_the_newest_and_trades_the_oldest() -> None:
    rig = usual()
    orders = []
    for _ in range(6):
        rig.time += 10
        orders.append(rig.buy(1))
    assert rig.exchange.all_orders("a", SYMBOL, limit=2) == orders[-2:]
    assert rig.exchange.all_orders("a", limit=3) == orders[-3:]
    trades = rig.exchange.trades("a", SYMBOL)
    assert [row.order_id for row in trades] == [row.order_id for row in orders]
    assert rig.exchange.trades("a", SYMBOL, limit=2) == trades[:2]
    assert rig.exchange.trades("a", limit=2) == trades[:2]


def test_questions_are_narrowed_by_id_and_time() -> None:
    rig = usual()
    orders = []
    for _ in range(4):
        rig.time += 10
        orders.append(rig.buy(1))
    trades = rig.exchange.trades("a", SYMBOL)
    assert rig.exchange.all_orders("a", SYMBOL, order_id=orders[2].order_id) == orders[2:]
    assert rig.exchange.all_orders("a", SYMBOL, start=START + 20, end=START + 30) == orders[1:3]
    assert rig.exchange.trades("a", SYMBOL, order_id=orders[1].order_id) == [trades[1]]
    assert rig.exchange.trades("a", SYMBOL, from_id=trades[2].trade_id) == trades[2:]
    assert rig.exchange.trades("a", SYMBOL, start=START + 20, end=START + 20) == [trades[1]]


def test_open_orders_are_the_accounts_own_oldest_first() -> None:
    rig = usual()
    mine = [rig.buy(1, 990), rig.buy(1, 991)]
    rig.buy(1, 990, account="b")
    rig.cancel(rig.buy(1, 990))
    assert rig.exchange.open_orders("a") == rig.exchange.open_orders("a", SYMBOL) == mine
    assert rig.exchange.open_orders("nobody") == []


def test_memory_of_closed_orders_is_bounded_and_open_ones_stay() -> None:
    rig = usual()
    resting = rig.buy(1, 990)
    account = accounts.Account("x", resting.price, 0)
    account.add_order(resting)
    closed = rig.cancel(rig.buy(1, 991))
    count = accounts.KEPT_ORDERS + accounts.KEPT_ORDERS // 10
    for number in range(count):
        order_id = closed.order_id + number
        account.add_order(msgspec.structs.replace(closed, order_id=order_id, client_id=str(max(number, 1))))
    assert len(account.orders[SYMBOL]) == accounts.KEPT_ORDERS + 1
    assert account.orders[SYMBOL][0] is resting
    missing = VenueError(-2013, "gone")
    assert account.find(SYMBOL, None, str(count - 1), missing).client_id == str(count - 1)
    for order_id, client_id in ((closed.order_id, None), (None, "1")):
        with pytest.raises(VenueError):
            account.find(SYMBOL, order_id, client_id, missing)


def test_memory_of_fills_is_bounded() -> None:
    rig = usual()
    rig.buy(1)
    (trade,) = rig.exchange.trades("a", SYMBOL)
    account = accounts.Account("x", trade.price, 0)
    for _ in range(accounts.KEPT_TRADES + accounts.KEPT_TRADES // 10 + 1):
        account.add_trade(trade)
    assert len(account.trades[SYMBOL]) == accounts.KEPT_TRADES


def test_the_account_begins_in_one_way_mode_and_the_brackets_are_the_symbols() -> None:
    rig = usual()
    assert rig.exchange.dual_side("a") is False
    assert rig.exchange.brackets(SYMBOL)[0].initial_leverage == 75
