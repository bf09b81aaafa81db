"""After SIGKILL: accounts, orders, trades, ids, leverage, countdowns and last prices go on where they were."""

from __future__ import annotations

import pytest

from pms.sim.journal import MemoryJournal, Record
from pms.sim.market import CHECKPOINT_MS
from tests.pure.sim.rig import SYMBOL, D, Rig


def lived(journal: MemoryJournal) -> Rig:
    rig = Rig(journal)
    rig.book([(999.9, 10)], [(1000.1, 10)], last_id=5_000)
    rig.mark(1000)
    rig.exchange.set_leverage("a", SYMBOL, 7)
    rig.buy(4)
    rig.sell(1, reduce_only=True)
    rig.buy(2, 999.9)
    rig.cancel(rig.buy(2, 999.0))
    rig.sell(3, 1000.1, account="b")
    rig.amend(rig.buy(1, 998, client_id="moved"), 1, 997)
    rig.exchange.countdown("a", SYMBOL, 60_000)
    return rig


def test_everything_that_was_answered_is_there_again() -> None:
    journal = MemoryJournal()
    before = lived(journal)
    after = Rig(journal)
    after.mark(1000)
    for account in ("a", "b"):
        assert after.exchange.all_orders(account) == before.exchange.all_orders(account)
        assert after.exchange.open_orders(account) == before.exchange.open_orders(account)
        assert after.exchange.trades(account) == before.exchange.trades(account)
        assert after.exchange.positions(account) == before.exchange.positions(account)
        assert after.exchange.account(account) == before.exchange.account(account)
    assert after.exchange.order("a", SYMBOL, client_id="moved").price == D(997)
    assert after.exchange.last_price(SYMBOL) == before.exchange.last_price(SYMBOL)
    assert after.exchange.positions("a")[0].leverage == 7
    assert after.exchange.next_due() == before.time + 60_000
    after.exchange.tick(before.time + 60_000)
    assert after.exchange.open_orders("a") == []
    assert len(after.exchange.open_orders("b")) == 1


def test_ids_go_on_above_all_that_were_told() -> None:
    journal = MemoryJournal()
    before = lived(journal)
    for _ in range(20):
        before.print(999.9, "0.001", buyer_is_maker=True)
    after = Rig(journal)
    after.book([(999.9, 10)], [(1000.1, 10)], last_id=5_000)
    after.mark(1000)
    order = after.buy(1)
    assert order.order_id > max(
        row.order_id for row in before.exchange.all_orders("a") + before.exchange.all_orders("b")
    )
    assert after.exchange.trades("a")[-1].trade_id > max(row.trade_id for row in before.prints)
    assert after.changes[0].first_id > before.changes[-1].last_id
    assert after.touches[0].update_id > before.touches[-1].update_id


def test_reloaded_orders_queue_behind_what_the_market_shows_then() -> None:
    journal = MemoryJournal()
    before = Rig(journal)
    name = before.buy(1, 999.9).order_id
    after = Rig(journal)
    after.book([(999.9, 10)], [(1000.1, 10)])
    order = after.exchange.order("a", SYMBOL, order_id=name)
    assert after.bids()[0] == (D("999.9"), D(11))
    after.print(999.9, 10, buyer_is_maker=True)
    assert order.filled == 0
    after.print(999.9, 1, buyer_is_maker=True)
    assert order.status == "FILLED"


def test_reloaded_orders_that_the_market_has_passed_are_filled() -> None:
    journal = MemoryJournal()
    name = Rig(journal).buy(1, 999.9).order_id
    after = Rig(journal)
    after.book([(990, 10)], [(995, 10)])
    assert after.exchange.order("a", SYMBOL, order_id=name).status == "FILLED"


def test_each_operation_is_one_line_and_reading_does_not_write() -> None:
    journal = MemoryJournal()
    rig = Rig(journal)
    rig.book([(999.9, 10)], [(1000.1, 10), (1000.2, 10)])
    rig.exchange.open_account("a")
    lines = len(journal.lines)
    rig.buy(15)
    assert len(journal.lines) == lines + 1
    rig.exchange.account("a")
    rig.exchange.depth(SYMBOL)
    rig.diff(bids=[(999.9, 3)])
    rig.print(999.9, 1, buyer_is_maker=True)
    assert len(journal.lines) == lines + 1


def test_the_last_price_is_kept_now_and_then() -> None:
    journal = MemoryJournal()
    rig = Rig(journal)
    rig.print(1000, 1, buyer_is_maker=True)
    rig.time += CHECKPOINT_MS
    rig.print(1001, 1, buyer_is_maker=True)
    assert Rig(journal).exchange.last_price(SYMBOL) == D(1001)


def test_symbols_that_are_no_longer_listed_are_left_out() -> None:
    journal = MemoryJournal()
    lived(journal)
    records = [line.replace(SYMBOL.encode(), b"GONEUSDT") for line in journal.lines]
    journal.lines[:] = records
    rig = Rig(journal)
    assert rig.exchange.all_orders("a") == []
    assert rig.exchange.account("a").wallet < 1_000_000


class FullDisk:
    """A journal whose disk is full until it is told otherwise."""

    def __init__(self) -> None:
        self.full = False
        self.kept: list[Record] = []

    def load(self) -> list[Record]:
        return []

    def write(self, records: list[Record]) -> None:
        if self.full:
            raise OSError("no space left")
        self.kept.extend(records)


def test_what_could_not_be_written_is_not_told_and_is_written_with_the_next() -> None:
    journal = FullDisk()
    rig = Rig(journal)
    rig.book([(999.9, 10)], [(1000.1, 10)])
    journal.full = True
    with pytest.raises(OSError, match="no space"):
        rig.buy(1, 990)
    assert rig.told() == []
    journal.full = False
    rig.buy(1, 991)
    assert rig.told() == ["NEW/NEW", "NEW/NEW"]
