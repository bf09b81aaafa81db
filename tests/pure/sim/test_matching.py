"""Price-time priority, time in force and the walk of takers through external and own orders."""

from __future__ import annotations

import pytest

from pms.sim.model import VenueError
from tests.pure.sim.rig import SYMBOL, D, Rig, usual


def fills(rig: Rig, account: str = "a") -> list[tuple[str, str, bool]]:
    return [(str(trade.price), str(trade.quantity), trade.maker) for trade in rig.exchange.trades(account, SYMBOL)]


def test_a_taker_walks_the_levels_and_pays_the_resting_prices() -> None:
    rig = usual()
    order = rig.buy(25, 1000.3)
    assert fills(rig) == [("1000.1", "10", False), ("1000.2", "10", False), ("1000.3", "5", False)]
    assert order.status == "FILLED"
    assert order.average == D("1000.18")
    assert rig.asks() == [(D("1000.3"), D(5))]


def test_a_limit_order_takes_up_to_its_price_and_rests_with_the_remainder() -> None:
    rig = usual()
    order = rig.buy(15, 1000.1)
    assert (order.status, order.filled) == ("PARTIALLY_FILLED", D(10))
    assert rig.bids()[0] == (D("1000.1"), D(5))


def test_what_was_taken_stays_taken_until_the_feed_speaks_of_the_level_again() -> None:
    rig = usual()
    rig.buy(4)
    rig.diff(asks=[(1000.2, 11)])
    assert rig.asks()[:2] == [(D("1000.1"), D(6)), (D("1000.2"), D(11))]
    rig.diff(asks=[(1000.1, 9)])
    assert rig.asks()[0] == (D("1000.1"), D(9))


def test_own_orders_of_other_accounts_trade_in_price_time_order_with_the_external_ones() -> None:
    rig = usual()
    first = rig.sell(2, 1000.1, account="b")  # behind 10 external
    rig.diff(asks=[(1000.1, 13)])  # 3 more queue behind b
    second = rig.sell(1, 1000.1, account="c")
    better = rig.sell(1, 1000.0, account="c")
    rig.buy(12, 1000.1)
    assert fills(rig) == [("1000.0", "1", False), ("1000.1", "10", False), ("1000.1", "1", False)]
    assert (better.status, first.filled, second.filled) == ("FILLED", D(1), D(0))
    rig.buy(5, 1000.1)
    assert (first.status, second.status) == ("FILLED", "FILLED")


def test_both_sides_of_one_match_share_the_trade_id_and_pay_their_own_rate() -> None:
    rig = usual()
    rig.sell(1, 1000.0, account="b")
    rig.buy(1, 1000.0)
    (taken,), (made,) = rig.exchange.trades("a", SYMBOL), rig.exchange.trades("b", SYMBOL)
    assert taken.trade_id == made.trade_id == rig.prints[-1].trade_id
    assert (taken.commission, made.commission) == (D("0.5"), D("0.2"))
    assert (taken.maker, made.maker, rig.prints[-1].buyer_is_maker) == (False, True, False)


def test_ioc_expires_its_remainder() -> None:
    rig = usual()
    order = rig.buy(15, 1000.1, time_in_force="IOC")
    assert (order.status, order.filled) == ("EXPIRED", D(10))
    assert rig.users[-1][1]["o"]["er"] == "2"
    assert rig.told()[-1] == "EXPIRED/EXPIRED"
    assert rig.bids()[0][0] == D("999.9")


def test_ioc_that_meets_nobody_is_new_and_then_expired() -> None:
    rig = usual()
    order = rig.buy(1, 999, time_in_force="IOC")
    assert order.status == "EXPIRED"
    assert rig.told() == ["NEW/NEW", "EXPIRED/EXPIRED"]


def test_fok_fills_whole() -> None:
    rig = usual()
    assert rig.buy(20, 1000.2, time_in_force="FOK").status == "FILLED"


def test_fok_does_not_count_the_accounts_own_orders() -> None:
    rig = usual()
    rig.sell(5, 1000.1)
    with pytest.raises(VenueError) as refused:
        rig.buy(12, 1000.1, time_in_force="FOK")
    assert refused.value.code == -5021
    assert rig.buy(12, 1000.1, account="b", time_in_force="FOK").status == "FILLED"


def test_post_only_rests_at_the_best_price_and_is_refused_one_tick_further() -> None:
    rig = usual()
    assert rig.buy(1, 1000.0, time_in_force="GTX").status == "NEW"
    with pytest.raises(VenueError) as refused:
        rig.sell(1, 1000.0, time_in_force="GTX", account="b")
    assert refused.value.code == -5022


def test_a_market_order_stops_at_the_bound_around_the_mark() -> None:
    rig = Rig()
    rig.book([(949, 1), (951, 1)], [(1049, 1), (1051, 1)])
    rig.mark(1000)
    bought = rig.buy(2)
    sold = rig.sell(2, account="b")
    assert (bought.status, bought.filled, bought.average) == ("EXPIRED", D(1), D(1049))
    assert (sold.status, sold.filled, sold.average) == ("EXPIRED", D(1), D(951))
    assert rig.users[-1][1]["o"]["er"] == "9"


def test_a_market_order_on_an_empty_book_expires() -> None:
    rig = Rig()
    rig.mark(1000)
    order = rig.buy(1)
    assert (order.status, order.filled) == ("EXPIRED", D(0))
    assert rig.told() == ["NEW/NEW", "EXPIRED/EXPIRED"]


@pytest.mark.parametrize(
    "mode, price",
    [("OPPONENT", "1000.1"), ("QUEUE", "999.9")],
)
def test_price_match_takes_the_price_from_the_book(mode: str, price: str) -> None:
    rig = usual()
    order = rig.buy(1, 1, price_match=mode)
    assert order.price == D(price)
    assert order.price_match == mode


def test_price_match_counts_levels() -> None:
    rig = Rig()
    rig.book([(1000 - i, 1) for i in range(1, 11)], [(1001, 1)])
    rig.mark(1000)
    assert rig.buy(1, 1, price_match="QUEUE_5").price == D(995)
    assert rig.sell(1, 1, price_match="OPPONENT_10").price == D(990)


def test_order_test_checks_everything_and_places_nothing() -> None:
    rig = usual()
    order = rig.exchange.place("a", rig.new("BUY", 1, 1000.1), validate_only=True)
    assert (order.order_id, order.status, rig.users) == (0, "NEW", [])
    assert rig.exchange.open_orders("a") == []
    with pytest.raises(VenueError) as refused:
        rig.exchange.place("a", rig.new("BUY", 1, 1000.1, time_in_force="GTX"), validate_only=True)
    assert refused.value.code == -5022


@pytest.mark.parametrize(
    "mode, tif, taker, maker, reason",
    [
        ("EXPIRE_MAKER", "GTC", "FILLED", "EXPIRED_IN_MATCH", "1"),
        ("EXPIRE_TAKER", "GTC", "EXPIRED_IN_MATCH", "NEW", "1"),
        ("EXPIRE_TAKER", "IOC", "EXPIRED_IN_MATCH", "NEW", "3"),
        ("EXPIRE_BOTH", "GTC", "EXPIRED_IN_MATCH", "EXPIRED_IN_MATCH", "1"),
    ],
)
def test_the_takers_mode_decides_a_self_trade(mode: str, tif: str, taker: str, maker: str, reason: str) -> None:
    rig = usual()
    resting = rig.sell(3, 1000.1, stp="EXPIRE_TAKER")  # the maker's mode says nothing
    order = rig.buy(12, 1000.2, stp=mode, time_in_force=tif)
    assert (order.status, resting.status) == (taker, maker)
    assert rig.exchange.trades("a", SYMBOL)[0].quantity == D(10)
    expired = [event["o"] for _, event in rig.users if event["e"] == "ORDER_TRADE_UPDATE" and event["o"]["er"] != "0"]
    assert {row["X"] for row in expired} == {"EXPIRED_IN_MATCH"}
    assert {row["x"] for row in expired} == {"EXPIRED"}
    assert expired[-1]["er"] == reason


def test_a_taker_that_meets_only_itself_is_new_before_it_expires() -> None:
    rig = usual()
    rig.sell(3, 1000.0)
    rig.users.clear()
    rig.buy(1, 1000.0, stp="EXPIRE_TAKER")
    assert rig.told() == ["NEW/NEW", "EXPIRED/EXPIRED_IN_MATCH"]


def test_cancel_all_and_the_countdown_end_every_order_of_the_symbol() -> None:
    rig = usual()
    orders = [rig.buy(1, 990), rig.sell(1, 1010)]
    other = rig.buy(1, 990, account="b")
    assert rig.exchange.cancel_all("a", SYMBOL) == orders
    assert [order.status for order in orders] == ["CANCELED", "CANCELED"]
    late = rig.buy(1, 990)
    rig.exchange.countdown("a", SYMBOL, 1000)
    rig.exchange.countdown("a", SYMBOL, 2000)
    assert rig.exchange.next_due() == rig.time + 2000
    rig.exchange.tick(rig.time + 1999)
    assert late.is_open
    rig.exchange.tick(rig.time + 2000)
    assert (late.status, other.status) == ("CANCELED", "NEW")
    assert rig.exchange.next_due() == rig.exchange.funding.next_due()


def test_a_countdown_of_zero_stops_it() -> None:
    rig = usual()
    order = rig.buy(1, 990)
    rig.exchange.countdown("a", SYMBOL, 1000)
    rig.exchange.countdown("a", SYMBOL, 0)
    rig.exchange.tick(rig.time + 5000)
    assert order.is_open


def test_without_any_mark_a_market_order_has_no_bound() -> None:
    rig = Rig()
    rig.book([], [(1000, 1), (2000, 1)])
    order = rig.buy(2)
    assert (order.status, order.average) == ("FILLED", D(1500))
