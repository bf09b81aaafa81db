"""Halts stand in file and record, the stricter binds, and only a resume takes one away (execution.md 32)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from pms.bus.batch import Batch, Committed, Outcome
from pms.halts import FILE, HaltFile, Halts
from pms.ledger import Ledger
from schemas import codec
from schemas.events_system import SystemStatus
from schemas.keys import Keys
from schemas.records import Halt, Mode

NOW = 1_790_000_000_000
EVERYTHING = Halt(scope="all", since=NOW, cause="by hand")


class Commits:
    """Takes every batch and keeps it."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def commit(self, batch: Batch) -> asyncio.Future[Outcome]:
        self.batches.append(batch)
        done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        done.set_result(Committed((len(self.batches),)))
        return done


class Bed:
    """Halts over a folder, and what they told."""

    def __init__(self, folder: Path, mode: Mode | None = None) -> None:
        self.commits = Commits()
        self.ledger = Ledger(Keys(), self.commits)
        if mode is not None:
            self.ledger.restore_mode(mode, 1)
        self.put: list[Halt] = []
        self.changes = 0
        self.file = HaltFile(folder)
        self.halts = Halts(self.ledger, self.file, lambda: NOW, self.status, self.changed, self.put.append)
        self.halts.begin()

    def changed(self) -> None:
        self.changes += 1

    def status(self) -> SystemStatus:
        return SystemStatus(ts=NOW, mode=self.halts.mode, cause=self.halts.cause)


def halt(scope: str, subject: str = "", cause: str = "by hand") -> Halt:
    return Halt(scope=scope, subject=subject, since=NOW, cause=cause)  # type: ignore[arg-type]


def written(folder: Path) -> list[tuple[str, str]]:
    found = msgspec.json.decode((folder / FILE).read_bytes(), type=list[Halt])
    return [(halt.scope, halt.subject) for halt in found]


async def test_nothing_stands_in_a_new_directory(tmp_path: Path) -> None:
    bed = Bed(tmp_path)
    assert (bed.halts.mode, bed.halts.standing) == ("NORMAL", ())
    assert bed.halts.refusal("main", "BTCUSDT") == ""
    assert not bed.commits.batches


@pytest.mark.parametrize(
    ("scope", "subject", "main_btc", "main_eth", "other_btc"),
    [
        ("all", "", True, True, True),
        ("subAccountId", "main", True, True, False),
        ("symbol", "BTCUSDT", True, False, True),
    ],
)
async def test_a_halt_binds_its_scope_and_no_other(
    tmp_path: Path, scope: str, subject: str, main_btc: bool, main_eth: bool, other_btc: bool
) -> None:
    bed = Bed(tmp_path)
    bed.halts.put(halt(scope, subject))
    found = [bool(bed.halts.refusal(*where)) for where in (("main", "BTCUSDT"), ("main", "ETHUSDT"), ("x", "BTCUSDT"))]
    assert found == [main_btc, main_eth, other_btc]
    assert bed.halts.mode == ("HALTED" if scope == "all" else "NORMAL")


async def test_a_halt_is_on_the_disk_in_the_record_and_told_in_one_step(tmp_path: Path) -> None:
    bed = Bed(tmp_path)
    bed.halts.put(halt("symbol", "BTCUSDT"), "r-1")
    assert written(tmp_path) == [("symbol", "BTCUSDT")]
    assert [found.subject for found in bed.put] == ["BTCUSDT"]
    (batch,) = bed.commits.batches
    assert [record.key for record in batch.records] == [Keys().mode]
    assert [event.type for event in batch.events] == ["system_status"]
    assert b'"requestId":"r-1"' in batch.events[0].body
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0


async def test_the_same_halt_twice_is_put_once(tmp_path: Path) -> None:
    bed = Bed(tmp_path)
    bed.halts.put(halt("all", "", "first"))
    bed.halts.put(halt("all", "", "second"))
    assert bed.halts.cause == "first"
    assert len(bed.put) == len(bed.commits.batches) == 1


async def test_a_restart_finds_it_in_the_file_where_redis_forgot_and_in_redis_where_the_file_is_gone(
    tmp_path: Path,
) -> None:
    Bed(tmp_path).halts.put(halt("symbol", "BTCUSDT"))
    emptied = Bed(tmp_path)
    assert emptied.halts.refusal("main", "BTCUSDT")
    assert emptied.ledger.mode.halts == emptied.halts.standing  # and Redis has it again
    (tmp_path / FILE).unlink()
    bare = Bed(tmp_path, mode=Mode(halts=(EVERYTHING,), mode="HALTED"))
    assert bare.halts.mode == "HALTED"
    assert written(tmp_path) == [("all", "")]


async def test_halts_of_both_bind_where_they_differ(tmp_path: Path) -> None:
    HaltFile(tmp_path).write([Halt(scope="symbol", subject="BTCUSDT", since=NOW, cause="file")])
    bed = Bed(tmp_path, mode=Mode(halts=(Halt(scope="subAccountId", subject="x", since=NOW, cause="record"),)))
    assert bed.halts.refusal("main", "BTCUSDT")
    assert bed.halts.refusal("x", "ETHUSDT")
    assert sorted(written(tmp_path)) == [("subAccountId", "x"), ("symbol", "BTCUSDT")]


async def test_a_file_that_another_hand_writes_binds_the_next_entry(tmp_path: Path) -> None:
    bed = Bed(tmp_path)
    assert bed.halts.refusal("main", "BTCUSDT") == ""
    HaltFile(tmp_path).write([EVERYTHING])
    assert "by hand" in bed.halts.refusal("main", "BTCUSDT")
    assert bed.put == [EVERYTHING]
    assert bed.halts.mode == "HALTED"


async def test_a_file_that_another_hand_removes_lifts_nothing(tmp_path: Path) -> None:
    bed = Bed(tmp_path)
    bed.halts.put(halt("all"))
    (tmp_path / FILE).unlink()
    assert bed.halts.refusal("main", "BTCUSDT")
    assert written(tmp_path) == [("all", "")]


@pytest.mark.parametrize("content", [b"", b"[{}]", b"{", b'[{"scope":"all"}]', b"\xff\xfe"])
async def test_a_damaged_file_halts_everything(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    bed = Bed(tmp_path)
    assert bed.halts.mode == "HALTED"
    assert FILE in bed.halts.cause


async def test_a_resume_lifts_exactly_its_scope(tmp_path: Path) -> None:
    bed = Bed(tmp_path)
    bed.halts.put(halt("all"))
    bed.halts.put(halt("symbol", "BTCUSDT"))
    assert bed.halts.lift("all", "")
    assert bed.halts.refusal("main", "BTCUSDT")
    assert not bed.halts.refusal("main", "ETHUSDT")
    assert not bed.halts.lift("symbol", "ETHUSDT")
    assert bed.halts.lift("symbol", "BTCUSDT")
    assert bed.changes == 4
    assert written(tmp_path) == []
    assert Bed(tmp_path, mode=bed.ledger.mode).halts.mode == "NORMAL"


async def test_reduce_stands_until_everything_is_resumed_and_outlives_a_restart(tmp_path: Path) -> None:
    bed = Bed(tmp_path)
    bed.halts.reduce("Redis without continuity")
    assert bed.halts.mode == "REDUCE"
    assert "continuity" in bed.halts.refusal("main", "BTCUSDT")
    again = Bed(tmp_path, mode=bed.ledger.mode)
    assert again.halts.mode == "REDUCE"
    assert not again.halts.lift("symbol", "BTCUSDT")
    assert again.halts.lift("all", "")
    assert again.ledger.mode.mode == "NORMAL"


async def test_without_a_data_directory_the_record_alone_keeps_them() -> None:
    ledger = Ledger(Keys(), Commits())
    ledger.restore_mode(Mode(halts=(EVERYTHING,), mode="HALTED"), 1)
    halts = Halts(
        ledger, HaltFile(None), lambda: NOW, lambda: SystemStatus(ts=NOW, mode="HALTED", cause=""), print, print
    )
    halts.begin()
    assert halts.refusal("main", "BTCUSDT")
    assert codec.encode(ledger.mode.halts)


async def test_a_halt_binds_though_it_can_not_be_written_down(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    bed = Bed(folder)
    folder.rmdir()
    with pytest.raises(OSError):
        bed.halts.put(EVERYTHING)
    assert bed.halts.mode == "HALTED"
    assert bed.ledger.mode.halts == (EVERYTHING,)
    assert bed.put == [EVERYTHING]
