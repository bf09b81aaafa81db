"""Resting orders against the tape and the moving market: queue position, prints, crossings, and the recorded book."""

from __future__ import annotations

from tests.pure.sim.rig import SYMBOL, D, Rig, usual


def ahead(rig: Rig, quantity_printed: str) -> None:
    rig.print(999.9, quantity_printed, buyer_is_maker=True)


def test_a_print_reaches_an_order_only_after_what_stood_before_it() -> None:
    rig = usual()
    order = rig.buy(2, 999.9)  # behind 10
    ahead(rig, "9.5")
    assert order.filled == 0
    ahead(rig, "1.5")
    assert order.filled == D(1)
    ahead(rig, "5")
    assert (order.status, order.filled) == ("FILLED", D(2))
    (first, second) = rig.exchange.trades("a", SYMBOL)
    assert (first.price, first.maker, second.quantity) == (D("999.9"), True, D(1))


def test_growth_of_the_level_joins_behind() -> None:
    rig = usual()
    order = rig.buy(1, 999.9)
    rig.diff(bids=[(999.9, 50)])
    ahead(rig, "11")
    assert order.status == "FILLED"


def test_a_shrink_that_no_print_explains_is_taken_from_behind_first() -> None:
    rig = usual()
    order = rig.buy(1, 999.9)
    rig.diff(bids=[(999.9, 14)])  # 4 behind
    rig.diff(bids=[(999.9, 11)])  # 3 of them go
    ahead(rig, "10")
    assert order.filled == 0
    rig = usual()
    order = rig.buy(1, 999.9)
    rig.diff(bids=[(999.9, 4)])  # nobody behind: the order moves up, but not past what is there
    rig.diff(bids=[(999.9, 4)])
    ahead(rig, "4")
    assert order.filled == 0
    ahead(rig, "1")
    assert order.status == "FILLED"


def test_a_print_and_the_change_that_reflects_it_count_once_in_either_order() -> None:
    early, late = usual(), usual()
    orders = early.buy(1, 999.9), late.buy(1, 999.9)
    ahead(early, "6")
    early.diff(bids=[(999.9, 4)])
    late.diff(bids=[(999.9, 4)])
    ahead(late, "6")
    for rig, order in zip((early, late), orders, strict=True):
        ahead(rig, "4")
        assert order.filled == 0, "four were still in front"
        ahead(rig, "0.25")
        assert order.filled == D("0.25")


def test_a_late_print_of_a_level_that_vanished_does_not_reach_the_order() -> None:
    rig = usual()
    order = rig.buy(1, 999.9)
    rig.diff(bids=[(999.9, 0)])
    ahead(rig, "10")
    assert order.filled == 0
    ahead(rig, "1")
    assert order.status == "FILLED"


def test_prints_do_not_change_the_shown_book() -> None:
    rig = usual()
    ahead(rig, "6")
    assert rig.bids()[0] == (D("999.9"), D(10))
    assert rig.changes == []


def test_a_print_beyond_an_order_fills_it_whole_at_its_own_price() -> None:
    rig = usual()
    near, at = rig.buy(2, 1000.0), rig.buy(3, 999.9)
    rig.print(999.8, "0.001", buyer_is_maker=True)
    assert (near.status, at.status) == ("FILLED", "FILLED")
    assert [str(trade.price) for trade in rig.exchange.trades("a", SYMBOL)] == ["1000.0", "999.9"]
    assert sum(trade.quantity for trade in rig.prints) == D(5)


def test_better_orders_use_up_the_print_before_the_queue_at_its_price() -> None:
    rig = usual()
    near, at = rig.buy(2, 1000.0), rig.buy(3, 999.9)
    ahead(rig, "12")
    assert (near.filled, at.filled) == (D(2), D(0))
    ahead(rig, "1")
    assert at.filled == D(1)


def test_the_tape_shows_the_recorded_quantity_split_at_our_fills() -> None:
    rig = usual()
    rig.buy(2, 999.9)
    rig.print(999.9, 15, buyer_is_maker=True, trade_id=700)
    assert [(str(row.quantity), row.trade_id) for row in rig.prints] == [("2", 1), ("13", 700)]
    assert rig.exchange.last_price(SYMBOL) == D("999.9")


def test_prints_of_the_other_side_leave_an_order_alone() -> None:
    rig = usual()
    order = rig.buy(1, 999.9)
    rig.print(999.9, 100, buyer_is_maker=False)
    assert order.filled == 0


def test_a_market_that_moves_through_an_order_takes_it_at_its_price() -> None:
    rig = usual()
    order = rig.sell(3, 1000.1)
    rig.diff(bids=[(1000.2, 2)], asks=[(1000.1, 0), (1000.2, 0)])
    assert (order.filled, rig.exchange.trades("a", SYMBOL)[0].price) == (D(2), D("1000.1"))
    assert rig.bids()[0] == (D("999.9"), D(10)), "what crossed was used up"
    rig.diff(bids=[(1000.2, 5)])
    assert order.status == "FILLED"
    assert rig.bids()[0] == (D("1000.2"), D(4))


def test_a_touch_that_crosses_an_order_takes_it() -> None:
    rig = usual()
    order = rig.buy(1, 999.9)
    rig.touch((999.5, 3), (999.8, 4))
    assert order.status == "FILLED"
    assert rig.asks()[0] == (D("999.8"), D(3))


def test_a_touch_alone_changes_best_prices_but_no_level() -> None:
    rig = usual()
    rig.touch((999.9, 7), (1000.2, 8))
    assert rig.changes == []
    assert rig.touches[-1].ask == D("1000.2")
    assert rig.asks()[0][0] == D("1000.1")


def test_a_newer_touch_is_settled_into_the_levels_when_an_order_takes() -> None:
    rig = usual()
    rig.touch((999.9, 7), (1000.2, 8))
    assert rig.buy(1).average == D("1000.2")
    assert (rig.bids()[0], rig.asks()[0]) == ((D("999.9"), D(7)), (D("1000.2"), D(7)))


def test_post_only_looks_at_the_newer_touch() -> None:
    rig = usual()
    rig.touch((999.9, 10), (1000.2, 8))
    assert rig.buy(1, 1000.1, time_in_force="GTX").status == "NEW"
    assert D("999.9") not in dict(rig.changes[0].bids), "nothing new was said of it"
    assert rig.bids()[0][0] < rig.asks()[0][0]


def test_a_change_older_than_the_touch_does_not_bring_back_what_the_touch_says_is_gone() -> None:
    rig = Rig()
    rig.book([(999.9, 10)], [(1000.1, 10), (1000.2, 10)], last_id=100)
    rig.touch((999.9, 7), (1000.2, 8), update_id=120)
    order = rig.buy(1, 1000.1, time_in_force="GTX")
    rig.diff(asks=[(1000.1, 6), (1000.2, 9), (1000.3, 1)], first=101, last=110)
    assert order.filled == 0
    assert rig.asks() == [(D("1000.2"), D(8)), (D("1000.3"), D(1))]
    rig.diff(asks=[(1000.1, 6)], first=111, last=130)
    assert order.status == "FILLED", "now it is true"


def test_a_touch_older_than_the_levels_says_nothing() -> None:
    rig = Rig()
    rig.book([(999.9, 10)], [(1000.1, 10)], last_id=100)
    rig.touch((999.9, 7), (1000.2, 8), update_id=99)
    assert len(rig.touches) == 1
    assert rig.exchange.touch(SYMBOL).ask == D("1000.1")


def test_without_orders_of_ours_the_recorded_book_and_its_ids_are_passed_on_exactly() -> None:
    rig = Rig()
    rig.book([(999.9, 10), (999.8, 1)], [(1000.1, 10)], last_id=100)
    rig.touch((999.9, 7), (1000.1, 10), update_id=105)
    rig.print(999.9, 3, buyer_is_maker=True, trade_id=9)
    rig.diff(bids=[(999.8, 0), (999.9, 7)], asks=[(1000.4, 2)], first=103, last=110)
    change = rig.changes[-1]
    assert (change.first_id, change.last_id, change.prev_id) == (103, 110, 100)
    assert change.bids == ((D("999.8"), D(0)), (D("999.9"), D(7)))
    assert rig.bids() == [(D("999.9"), D(7))]
    assert [touch.update_id for touch in rig.touches] == [100, 105]
    assert rig.prints[-1].trade_id == 9


def test_our_changes_take_ids_between_the_recorded_ones_and_none_goes_backwards() -> None:
    rig = Rig()
    rig.book([(999.9, 10)], [(1000.1, 10)], last_id=100)
    rig.buy(1, 999.9)
    rig.buy(1, 999.8)
    assert [change.last_id for change in rig.changes] == [100, 101, 102]
    rig.diff(bids=[(999.9, 9)], first=101, last=101)  # recorded before ours took its id
    rig.diff(bids=[(999.9, 8)], first=150, last=160)
    assert [(row.first_id, row.last_id, row.prev_id) for row in rig.changes[-2:]] == [(103, 103, 102), (150, 160, 103)]
    assert rig.changes[-1].bids == ((D("999.9"), D(9)),), "the total holds our order"


def test_a_recording_that_starts_again_is_shifted_above_all_ids_told() -> None:
    rig = Rig()
    for _ in range(2):
        rig.book([(999.9, 10)], [(1000.1, 10)], last_id=100)
        rig.diff(bids=[(999.9, 9)], first=103, last=110)
        rig.touch((999.9, 8), (1000.1, 10), update_id=115)
    ids = [change.last_id for change in rig.changes]
    assert ids == sorted(set(ids))
    assert [touch.update_id for touch in rig.touches] == sorted({touch.update_id for touch in rig.touches})
    assert rig.touches[-1].bid_qty == D(8)
    assert all(row.prev_id < row.first_id <= row.last_id for row in rig.changes)


def test_a_new_snapshot_tells_the_levels_that_are_gone() -> None:
    rig = usual()
    rig.book([(999.9, 1)], [(1000.1, 1)])
    assert dict(rig.changes[-1].bids) == {D("999.9"): D(1), D("999.8"): D(0), D("999.7"): D(0)}
    assert rig.bids() == [(D("999.9"), D(1))]


def test_a_reloaded_book_without_snapshot_still_numbers_upwards() -> None:
    rig = Rig()
    rig.diff(bids=[(999.9, 1)], asks=[(1000.1, 1)], first=5, last=9)
    rig.diff(bids=[(999.9, 2)], first=0, last=0)
    assert rig.changes[-1].first_id > rig.changes[-1].prev_id + 1, "as the venue's counter is shared by all symbols"


def test_a_recorded_touch_is_heard_even_when_our_ids_ran_ahead_of_its_own() -> None:
    rig = Rig()
    rig.book([(999.9, 10)], [(1000.1, 10)], last_id=100)
    for price in (998, 997, 996):
        rig.buy(1, price)
    rig.touch((999.9, 7), (1000.2, 8), update_id=102)
    assert rig.touches[-1].ask == D("1000.2")
    assert rig.touches[-1].update_id > rig.changes[-2].last_id == 103


def test_a_late_print_puts_no_order_behind_more_than_the_level_shows() -> None:
    rig = usual()
    first = rig.buy(2, 999.9, account="b")
    rig.diff(bids=[(999.9, 14)])
    second = rig.buy(1, 999.9)  # 10 external, b, 4 external
    rig.print(999.9, 10, buyer_is_maker=True)
    rig.diff(bids=[(999.9, 1)])  # b is in front, one external between
    rig.print(999.9, 3, buyer_is_maker=True)
    assert (first.filled, second.filled) == (D(2), D(0))
    rig.print(999.9, 1, buyer_is_maker=True)
    rig.print(999.9, 1, buyer_is_maker=True)
    assert second.status == "FILLED"
