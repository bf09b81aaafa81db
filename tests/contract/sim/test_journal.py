"""The journal: the same cases in memory and in a file, and what only a file can suffer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pms.sim import journal as journals
from pms.sim.journal import FileJournal, Journal, JournalDamaged, MemoryJournal
from tests.pure.sim.rig import SYMBOL, D, Rig

ROOT = Path(__file__).resolve().parents[3]
Reopen = Callable[[], Journal]


@pytest.fixture(params=["memory", "file"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Reopen:
    if request.param == "file":
        return lambda: FileJournal(tmp_path)
    memory = MemoryJournal()
    return lambda: memory


def test_an_empty_journal_loads_nothing(reopen: Reopen) -> None:
    assert list(reopen().load()) == []


def test_the_newest_record_of_each_key_is_loaded(reopen: Reopen) -> None:
    rig = Rig(reopen())
    rig.book([(999.9, 10)], [(1000.1, 10)])
    order = rig.buy(15, 1000.1)
    rig.amend(order, 12, 999)
    records = list(reopen().load())
    kinds = sorted(type(record).__name__ for record in records)
    assert kinds == ["IncomeRecord", "OrderRecord", "PositionRecord", "SymbolRecord", "TradeRecord", "WalletRecord"]
    (kept,) = [record.order for record in records if isinstance(record, journals.OrderRecord)]
    assert kept == order


def test_a_venue_goes_on_through_several_lives(reopen: Reopen) -> None:
    for life in range(1, 4):
        rig = Rig(reopen())
        rig.book([(999.9, 10)], [(1000.1, 10)])
        rig.buy(1)
        assert rig.amount() == D(life)
        assert len(rig.exchange.trades("a", SYMBOL)) == life


def test_compaction_leaves_one_line_per_key(tmp_path: Path) -> None:
    rig = Rig(FileJournal(tmp_path))
    order = rig.buy(1, 990)
    for turn in range(50):
        rig.amend(order, 1, 991 + turn)
    path = tmp_path / journals.FILE_NAME
    before = path.read_bytes().count(b"\n")
    records = FileJournal(tmp_path).load()
    assert before > 50
    assert path.read_bytes().count(b"\n") == len(records) == 3
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("cut", [1, 40])
def test_a_torn_last_line_is_dropped_and_overwritten(tmp_path: Path, cut: int) -> None:
    rig = Rig(FileJournal(tmp_path))
    kept, torn = rig.buy(1, 990), rig.buy(1, 991)
    path = tmp_path / journals.FILE_NAME
    path.write_bytes(path.read_bytes()[:-cut])
    after = Rig(FileJournal(tmp_path))
    assert [order.order_id for order in after.exchange.open_orders("a")] == [kept.order_id]
    again = after.buy(1, 992)
    assert again.order_id == torn.order_id, "the torn order was never answered for"
    assert len(Rig(FileJournal(tmp_path)).exchange.open_orders("a")) == 2


def test_damage_in_the_middle_is_refused_by_name_and_changes_nothing(tmp_path: Path) -> None:
    rig = Rig(FileJournal(tmp_path))
    rig.buy(1, 990)
    rig.buy(1, 991)
    path = tmp_path / journals.FILE_NAME
    lines = path.read_bytes().split(b"\n")
    lines[0] = b"[{]"
    damaged = b"\n".join(lines)
    path.write_bytes(damaged)
    with pytest.raises(JournalDamaged, match=r"line 1 cannot be read.*--reset"):
        FileJournal(tmp_path)
    assert path.read_bytes() == damaged


def test_reset_forgets_everything(tmp_path: Path) -> None:
    rig = Rig(FileJournal(tmp_path))
    rig.buy(1, 990)
    journals.reset(tmp_path)
    journals.reset(tmp_path)
    assert Rig(FileJournal(tmp_path)).exchange.open_orders("a") == []


def test_old_closed_orders_and_fills_are_dropped_beyond_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "KEPT_CLOSED_ORDERS", 2)
    monkeypatch.setattr(journals, "KEPT_TRADES", 3)
    journal = MemoryJournal()
    rig = Rig(journal)
    rig.book([(999.9, 10)], [(1000.1, 10)])
    resting = rig.buy(1, 990)
    for _ in range(5):
        rig.time += 1
        last = rig.buy(1)
    after = Rig(journal).exchange
    assert [order.order_id for order in after.all_orders("a")] == [resting.order_id, last.order_id - 1, last.order_id]
    assert [trade.trade_id for trade in after.trades("a")] == [3, 4, 5]


def test_a_write_that_fails_leaves_the_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = FileJournal(tmp_path, fsync=True)
    rig = Rig(journal)
    rig.buy(1, 990)
    whole = os.write
    monkeypatch.setattr(os, "write", lambda file, data: whole(file, data[:5]))
    with pytest.raises(OSError, match="Free disk space"):
        rig.buy(1, 991)
    monkeypatch.undo()
    rig.buy(1, 992)
    journal.close()
    assert len(Rig(FileJournal(tmp_path)).exchange.open_orders("a")) == 3


CHILD = """
import sys
from pathlib import Path
from pms.sim.journal import FileJournal
from tests.pure.sim.rig import Rig

rig = Rig(FileJournal(Path(sys.argv[1])))
rig.book([(999.9, 10)], [(1000.1, 10)])
while True:
    order = rig.buy(1, 990)
    rig.cancel(order)
    print(order.order_id, flush=True)
"""


@pytest.mark.crash
def test_nothing_that_was_answered_is_lost_to_sigkill(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CHILD, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        answered = [int(child.stdout.readline()) for _ in range(300)]
        child.send_signal(signal.SIGKILL)
        answered += [int(line) for line in child.stdout if line.endswith("\n")]
    after = Rig(FileJournal(tmp_path)).exchange
    kept = {order.order_id: order.status for order in after.all_orders("a", limit=100_000)}
    assert {kept.get(order_id) for order_id in answered} == {"CANCELED"}
    assert len(kept) - len(answered) in (0, 1), "one more may have been written and not told"
