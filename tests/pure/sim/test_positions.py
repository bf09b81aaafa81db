"""Position arithmetic, break-even, wallet and margin (binance.md 8)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pms.sim.accounts import Position
from pms.sim.brackets import brackets, max_notional
from pms.sim.exchange import Settings
from pms.sim.model import VenueError
from tests.pure.sim.rig import SYMBOL, D, Rig, usual

NO_FEE = D(0)
ARITHMETIC = [  # amount, entry, fill, price -> amount, entry, realized
    ("0", "0", "2", "100", "2", "100", "0"),
    ("0", "0", "-2", "100", "-2", "100", "0"),
    ("2", "100", "2", "110", "4", "105", "0"),
    ("-2", "100", "-6", "120", "-8", "115", "0"),
    ("4", "105", "-1", "109", "3", "105", "4"),
    ("-4", "105", "1", "109", "-3", "105", "-4"),
    ("4", "105", "-4", "100", "0", "0", "-20"),
    ("-4", "105", "4", "100", "0", "0", "20"),
    ("4", "105", "-10", "110", "-6", "110", "20"),
    ("-4", "105", "10", "110", "6", "110", "-20"),
    ("1", "100", "2", "100.1", "3", "100.06666666667", "0"),
]


@pytest.mark.parametrize("row", ARITHMETIC, ids=lambda row: " ".join(row[:4]))
def test_fills_move_amount_entry_and_realized_profit(row: tuple[str, ...]) -> None:
    amount, entry, fill, price, amount_after, entry_after, realized = map(D, row)
    position = Position(SYMBOL, amount, entry)
    assert position.fill(fill, price, NO_FEE) == realized
    assert (position.amount, position.entry, position.realized) == (amount_after, entry_after, realized)


def test_break_even_is_the_entry_shifted_by_the_taker_fee_as_captured() -> None:
    position = Position("DOTUSDT")
    price, quantity = D("1.1359"), D("4.9")
    position.fill(quantity, price, price * quantity * D("0.0005"))
    assert position.break_even == D("1.13646795")


@pytest.mark.parametrize("sign", [1, -1])
def test_closing_at_break_even_pays_exactly_for_fees_and_earlier_results(sign: int) -> None:
    position = Position(SYMBOL)
    paid = D(0)
    for quantity, price in (("4", "100"), ("-1", "103"), ("2", "101")):
        fee = D("0.5")
        paid += fee
        position.fill(sign * D(quantity), D(price), fee)
    earned = position.realized + (position.break_even - position.entry) * position.amount
    assert abs(earned - paid) < D("1e-8")


def test_a_flip_charges_the_new_position_its_share_of_the_fee_only() -> None:
    position = Position(SYMBOL)
    position.fill(D(4), D(100), D(4))
    position.fill(D(-10), D(100), D(10))
    assert (position.amount, position.break_even) == (D(-6), D(99))


def test_a_flip_in_the_market_is_one_fill_with_the_profit_of_the_closed_part() -> None:
    rig = usual()
    rig.buy(2)
    rig.sell(5)
    (_, flip) = rig.exchange.trades("a", SYMBOL)
    assert (flip.quantity, flip.realized) == (D(5), D("-0.4"))
    position = rig.exchange.positions("a", SYMBOL)[0]
    assert (position.amount, position.entry_price) == (D(-3), D("999.9"))


def test_the_wallet_is_the_start_plus_profit_less_commission() -> None:
    rig = usual()
    rig.buy(2)
    rig.sell(2)
    trades = rig.exchange.trades("a", SYMBOL)
    wallet = rig.exchange.account("a").wallet
    assert wallet == 1_000_000 + sum(row.realized - row.commission for row in trades)
    assert wallet == D(1_000_000) - D("0.4") - D("2.0002") * D("0.5") - D("1.9998") * D("0.5")
    assert sum(row.income for row in rig.exchange.income("a")) == wallet - 1_000_000
    assert [row.income_type for row in rig.exchange.income("a")] == ["COMMISSION", "REALIZED_PNL", "COMMISSION"]


def test_commission_rates_and_the_starting_wallet_are_settings() -> None:
    rig = Rig(settings=Settings(starting_wallet=D(500), maker_rate=D(0), taker_rate=D("0.001")))
    assert rig.exchange.account("a").wallet == D(500)
    assert rig.exchange.commission_rates("a", SYMBOL) == (D(0), D("0.001"))


def test_margin_of_position_and_orders_is_the_worse_side_by_leverage() -> None:
    rig = usual()
    rig.buy(4)  # 4 x mark 1000
    rig.buy(2, 900)
    view = rig.exchange.positions("a", SYMBOL)[0]
    assert (view.position_initial_margin, view.open_order_initial_margin) == (D(200), D(90))
    rig.sell(3, 1100)  # only lessens the position
    assert rig.exchange.positions("a", SYMBOL)[0].open_order_initial_margin == D(90)
    rig.sell(8, 1100)  # all asks filled would be -8.1 x 1000
    view = rig.exchange.positions("a", SYMBOL)[0]
    assert (view.bid_notional, view.ask_notional, view.initial_margin) == (D(1800), D(12100), D(405))
    account = rig.exchange.account("a")
    assert account.available == account.wallet + account.unrealized - D(405)
    assert account.margin_balance == account.wallet + account.unrealized


def test_unrealized_profit_follows_the_mark() -> None:
    rig = usual()
    rig.sell(4, 999.9)
    rig.mark("989.9")
    view = rig.exchange.positions("a", SYMBOL)[0]
    assert (view.unrealized, view.notional) == (D(40), D("-3959.6"))


def test_an_order_needs_no_margin_where_it_reduces() -> None:
    rig = Rig(settings=Settings(starting_wallet=D(1100)))
    rig.book([(999.9, 100)], [(1000.1, 100)])
    rig.mark(1000)
    rig.exchange.set_leverage("a", SYMBOL, 10)
    rig.buy(10)
    with pytest.raises(VenueError) as refused:
        rig.buy(1, 999)
    assert refused.value.code == -2019
    assert rig.sell(10, 1010).status == "NEW"


def test_an_order_far_from_the_mark_needs_its_opening_loss_too() -> None:
    rig = Rig(settings=Settings(starting_wallet=D(60)))
    rig.book([(900, 1)], [(1100, 1)])
    rig.mark(1000)
    with pytest.raises(VenueError) as refused:
        rig.buy(1, 1040)  # margin 52, loss 40
    assert refused.value.code == -2019
    assert rig.buy(1, 1000).status == "NEW"


def test_leverage_bounds_and_their_refusals() -> None:
    rig = usual()
    assert rig.exchange.set_leverage("a", SYMBOL, 10).leverage == 10
    assert rig.users[-1][1] == {
        "e": "ACCOUNT_CONFIG_UPDATE",
        "E": rig.time,
        "T": rig.time,
        "ac": {"s": SYMBOL, "l": 10},
    }
    rig.buy(30)
    poor = Rig(settings=Settings(starting_wallet=D(100)))
    poor.book([(999.9, 10)], [(1000.1, 10)])
    poor.mark(1000)
    poor.buy(1)
    with pytest.raises(VenueError) as margin:
        poor.exchange.set_leverage("a", SYMBOL, 5)
    poor.exchange.set_leverage("a", SYMBOL, 20)
    assert margin.value.code == -2028
    rich = usual(max_qty=D(10**6))
    rich.book([(999, 10000)], [(1000, 10000)])
    rich.exchange.set_leverage("a", SYMBOL, 5)
    rich.buy(700, 1000)
    with pytest.raises(VenueError) as bracket:
        rich.exchange.set_leverage("a", SYMBOL, 75)
    assert bracket.value.code == -2027


def test_an_isolated_position_sets_its_margin_aside_and_keeps_its_leverage() -> None:
    rig = usual()
    rig.exchange.set_margin_type("a", SYMBOL, "ISOLATED")
    rig.buy(2, 1000.1)
    view, account = rig.exchange.positions("a", SYMBOL)[0], rig.exchange.account("a")
    assert (view.margin_type, view.isolated_wallet) == ("isolated", D("100.01"))
    assert account.cross_wallet == account.wallet - D("100.01")
    with pytest.raises(VenueError) as refused:
        rig.exchange.set_leverage("a", SYMBOL, 10)
    assert refused.value.code == -4161


def test_brackets_continue_the_maintenance_margin_as_published() -> None:
    published = [0, 50, 950, 11450, 131450, 481450, 2981450]
    assert [row.cum for row in brackets("BTCUSDT")][:7] == [D(cum) for cum in published]
    assert max_notional("BTCUSDT", 20) == D(100_000_000)
    assert max_notional("BTCUSDT", 21) == D(70_000_000)


def test_the_liquidation_price_is_where_the_balance_meets_the_maintenance_margin() -> None:
    rig = Rig(settings=Settings(starting_wallet=D(1000)))
    rig.book([(999.9, 100)], [(1000.0, 100)])
    rig.mark(1000)
    rig.buy(10, 1000.0)
    price = rig.exchange.positions("a", SYMBOL)[0].liquidation_price
    rig.mark(price + Decimal("0.0001"))  # at the price itself the venue has taken the position already
    account = rig.exchange.account("a")
    assert Decimal(0) < account.margin_balance - account.maint_margin < Decimal("0.01")
    rig.mark(price)
    assert not rig.exchange.positions("a", SYMBOL)[0].amount
    assert price < 1000
