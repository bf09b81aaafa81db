"""Funding at the simulator: when, how much, what is told, and that every change of a wallet is an income row
(binance.md 8)."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from pms.sim.feed import FUNDING_EVERY_MS
from pms.sim.journal import MemoryJournal
from pms.sim.model import Mark
from tests.pure.sim.rig import SYMBOL, D, Rig

RATE = D("0.0001")


def marked(rig: Rig, price: str = "1000") -> None:
    rig.exchange.apply(Mark(SYMBOL, rig.time, D(price), D(price), RATE))


def with_position(journal: MemoryJournal | None = None) -> Rig:
    """`a` is long 10 against the market."""
    rig = Rig(journal)
    rig.book([(999.9, 10)], [(1000.1, 10)])
    marked(rig)
    rig.buy(10, 1000.1)
    return rig


def until(rig: Rig, time: int) -> None:
    rig.time = time
    rig.exchange.tick(time)


def next_funding(rig: Rig) -> int:
    return rig.time // FUNDING_EVERY_MS * FUNDING_EVERY_MS + FUNDING_EVERY_MS


def test_a_long_pays_at_the_hour_and_not_before() -> None:
    rig = with_position()
    wallet, due = rig.exchange.account("a").wallet, next_funding(rig)
    until(rig, due - 1)
    assert rig.exchange.next_due() == due
    assert rig.exchange.account("a").wallet == wallet
    until(rig, due)
    assert rig.exchange.account("a").wallet == wallet - D("1.0000")
    until(rig, due + 1)
    assert rig.exchange.account("a").wallet == wallet - D("1.0000"), "once"
    (row,) = rig.exchange.funding.history(SYMBOL)
    assert (row.time, row.rate, row.mark) == (due, RATE, D(1000))


def test_it_is_an_income_row_and_an_event_with_the_balance_alone() -> None:
    rig = with_position()
    rig.users.clear()
    rig.exchange.fund(SYMBOL, RATE)
    row = rig.exchange.income("a")[-1]
    assert (row.income_type, row.income, row.trade_id, row.time) == ("FUNDING_FEE", D(-1), 0, rig.time)
    ((name, event),) = [(name, event) for name, event in rig.users if event["e"] == "ACCOUNT_UPDATE"]
    assert name == "a"
    told = event["a"]
    assert (told["m"], told["S"], told["P"]) == ("FUNDING_FEE", SYMBOL, [])
    assert told["B"][0]["bc"] == "-1"
    assert D(told["B"][0]["wb"]) == rig.exchange.account("a").wallet


def test_nobody_without_a_position_is_asked_to_pay() -> None:
    rig = Rig()
    rig.book([(999.9, 10)], [(1000.1, 10)])
    marked(rig)
    rig.exchange.open_account("a")
    until(rig, next_funding(rig))
    assert rig.exchange.income("a") == ()
    assert len(rig.exchange.funding.history(None)) == 1


def test_a_symbol_without_a_mark_waits_for_one() -> None:
    rig = Rig()
    due = next_funding(rig)
    until(rig, due)
    assert rig.exchange.funding.history(None) == []
    assert rig.exchange.next_due() > rig.time
    marked(rig)
    until(rig, due + 1000)
    assert [row.time for row in rig.exchange.funding.history(None)] == [due]


def test_rows_and_history_outlive_the_process_and_what_fell_due_meanwhile_is_settled() -> None:
    journal = MemoryJournal()
    rig = with_position(journal)
    due = next_funding(rig)
    until(rig, due)
    before = rig.exchange.income("a")
    again = Rig(journal)
    again.time = due + FUNDING_EVERY_MS + 5
    assert again.exchange.income("a") == before
    marked(again)
    again.exchange.tick(again.time)
    assert [row.time for row in again.exchange.funding.history(SYMBOL)] == [due, due + FUNDING_EVERY_MS]
    numbers = [row.tran_id for row in again.exchange.income("a")]
    assert numbers == sorted(set(numbers)), "no number is given twice"


moves = st.lists(
    st.tuples(st.sampled_from(("BUY", "SELL")), st.integers(1, 9), st.sampled_from((D("0.0001"), D("-0.0003")))),
    max_size=12,
)


@given(moves=moves)
@settings(max_examples=60, deadline=None)
def test_income_is_all_that_ever_changed_a_wallet(moves: list[tuple[str, int, Decimal]]) -> None:
    rig = Rig()
    rig.book([(999.9, 1000)], [(1000.1, 1000)])
    marked(rig)
    for side, quantity, rate in moves:
        (rig.buy if side == "BUY" else rig.sell)(quantity, 1000.1 if side == "BUY" else 999.9)
        rig.exchange.fund(SYMBOL, rate)
    began = rig.exchange.account("b").wallet  # somebody who did nothing
    changed = sum((row.income for row in rig.exchange.income("a")), D(0))
    assert changed == rig.exchange.account("a").wallet - began
