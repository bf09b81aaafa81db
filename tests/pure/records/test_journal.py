"""The logs of orders and audit over a SIGKILL, and on a disk that is full."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pms.records.journal import ORDERS, Journal
from pms.records.rows import read
from tests.contract.records import flood

TOLD = [read(body) for body in flood.orders(12)]


def numbers(folder: Path) -> list[int]:
    return [json.loads(line)["seq"] for line in (folder / f"{ORDERS}.jsonl").read_text().splitlines()]


@pytest.mark.crash
def test_after_a_kill_nothing_is_logged_twice_and_nothing_is_missing(tmp_path: Path) -> None:
    killed = Journal(tmp_path)
    killed.note(TOLD[:30])  # logged, and killed before the batch was committed: it comes again
    again = Journal(tmp_path)
    again.note(TOLD[20:])
    assert numbers(tmp_path) == list(range(1, 49))
    killed.close()
    again.close()


@pytest.mark.faults
def test_a_full_disk_costs_lines_and_not_the_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path)
    full = OSError(28, "No space left on device")

    def refuses(_line: bytes) -> None:
        raise full

    with monkeypatch.context() as while_full:
        while_full.setattr(journal._files[ORDERS], "write", refuses)
        journal.note(TOLD[:4])
    journal.note(TOLD[4:8])
    assert numbers(tmp_path) == [5, 6, 7, 8]
    journal.close()
