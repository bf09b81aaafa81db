"""The logs `orders` and `audit`, written beside the tables: each event once, with what lines are joined by."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pms.records.journal import AUDIT, ORDERS, Journal, stream_of
from pms.records.rows import read
from tests.contract.records.desk import RecordsDesk
from tests.world.diary import Diary


def lines(folder: Path, stream: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{stream}.jsonl").read_text().splitlines()]


def test_every_event_but_passing_prices_is_in_one_log_with_its_command_algo_and_order(
    tmp_path: Path, diary_of_a_day: Diary
) -> None:
    journal = Journal(tmp_path)
    journal.note(map(read, diary_of_a_day.events))
    journal.close()
    events = [json.loads(body) for body in diary_of_a_day.events]
    for stream in (ORDERS, AUDIT):
        told = lines(tmp_path, stream)
        assert [one["told"] for one in told] == [event for event in events if stream_of(event["type"]) == stream]
        assert len(told) > 5
    assert {event["type"] for event in events if not stream_of(event["type"])} <= {"margin_update", "pnl_update"}
    orders = lines(tmp_path, ORDERS)
    filled = next(one for one in orders if one["event"] == "order_filled" and one["algoId"])
    assert filled["clientOrderId"] == filled["told"]["clientOrderId"]
    assert filled["algoId"] == filled["told"]["rootId"]
    assert next(one for one in orders if one["event"] == "chase_started")["requestId"] != ""
    chase = next(one for one in orders if one["event"] == "chase_filled")
    assert chase["algoId"] == chase["told"]["chaseId"]
    refused = next(one for one in lines(tmp_path, AUDIT) if one["event"] == "risk_rejected")
    assert (refused["level"], refused["seq"]) == ("warning", refused["told"]["seq"])


async def test_the_writer_logs_what_it_writes(desk: RecordsDesk, diary_of_a_day: Diary) -> None:
    journal = Journal(desk.data)
    await desk.write_until(await desk.publish(diary_of_a_day.events), journal=journal)
    journal.close()
    logged = sum(len(lines(desk.data, stream)) for stream in (ORDERS, AUDIT))
    assert logged == sum(bool(stream_of(json.loads(body)["type"])) for body in diary_of_a_day.events)
