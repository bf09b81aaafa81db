"""`pms rebuild`: the log replayed into empty tables, and tables and state keys held against it, row by row."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest

from pms import config, exits
from pms.bus.caller import Caller
from pms.bus.link import WireLink
from pms.records import rebuild
from pms.records.database import Held
from pms.records.rebuild import Verdict
from pms.records.source import Source
from tests.conftest import ROOT
from tests.contract.records.desk import KEYS, RecordsDesk
from tests.world.diary import Diary


async def compared(desk: RecordsDesk, repair: bool = False) -> Verdict:
    source = Source(Caller(WireLink(desk.redis_url)), KEYS, desk.data)
    caller = Caller(WireLink(desk.redis_url))
    try:
        return await rebuild.rebuild(desk.where, caller, source, KEYS, repair)
    finally:
        source.close()
        caller.close()


def told(verdict: Verdict) -> set[tuple[str, str, str]]:
    return {(one.where, one.key, one.column) for one in verdict.differences}


async def typed(desk: RecordsDesk, *words: str) -> tuple[int, list[str]]:
    """`pms rebuild` as one types it: its exit code and the lines it printed."""
    told = config.clean_environment(
        PMS_DATABASE_URL=desk.where.dsn, PMS_REDIS_URL=desk.redis_url, PMS_DATA_DIR=str(desk.data)
    )
    command = [sys.executable, "-m", "pms", "rebuild", *words]
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, env=told, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout.splitlines()


@pytest.fixture
async def kept(desk: RecordsDesk, diary_of_a_day: Diary) -> RecordsDesk:
    """A day in SQL, and the state keys as they stood at its end."""
    last = await desk.publish(diary_of_a_day.events, diary_of_a_day.market)
    await desk.write_until(last)
    await desk.restore({key: value for key, value in diary_of_a_day.state.items() if key != KEYS.records})
    return desk


async def test_a_day_replayed_is_what_tables_and_state_keys_hold(kept: RecordsDesk, diary_of_a_day: Diary) -> None:
    verdict = await compared(kept)
    assert verdict.differences == []
    assert verdict.events == len(diary_of_a_day.events)
    assert verdict.records >= len(diary_of_a_day.orders)


async def test_every_damaged_row_is_told_with_its_columns_and_both_values(kept: RecordsDesk) -> None:
    await kept.sql("UPDATE fills SET price = price + 1 WHERE seq = (SELECT min(seq) FROM fills)")
    await kept.sql("DELETE FROM position_changes WHERE seq = (SELECT max(seq) FROM position_changes)")
    await kept.sql("UPDATE funding SET amount = amount * 2 WHERE sub_account_id = 'desk-2'")
    await kept.sql("INSERT INTO orders SELECT (jsonb_populate_record(o, '{\"client_order_id\": \"nobody\"}')).* "
                   "FROM orders o LIMIT 1")  # fmt: skip
    verdict = await compared(kept)
    assert sorted((one.where, one.column) for one in verdict.differences) == [
        ("fills", "price"),
        ("funding", "amount"),
        ("orders", ""),
        ("position_changes", ""),
    ]
    by_table = {one.where: one for one in verdict.differences}
    assert float(by_table["fills"].stands) == float(by_table["fills"].replayed) + 1
    assert (by_table["orders"].key, by_table["orders"].replayed) == ("nobody", None)
    assert by_table["position_changes"].stands is None


async def test_the_tables_are_put_right_from_the_log_and_only_without_a_writer(kept: RecordsDesk) -> None:
    whole = await kept.digest()
    for table in ("orders", "fills", "funding", "positions", "algo_runs"):
        await kept.sql(f"DELETE FROM {table}")
    await kept.sql("UPDATE balances SET equity = 0")
    await kept.redis.delete(KEYS.records)
    async with kept.writing():
        await kept.until_told()
        with pytest.raises(Held):
            await compared(kept, repair=True)
    assert await kept.digest() != whole
    verdict = await compared(kept, repair=True)
    assert verdict.put_right
    assert len(verdict.differences) > 20
    assert await kept.digest() == whole
    assert (await compared(kept)).differences == []


async def test_an_event_lost_or_changed_in_sql_is_told(kept: RecordsDesk) -> None:
    ((lost,),) = await kept.sql("DELETE FROM events WHERE seq = (SELECT min(seq) + 3 FROM events) RETURNING seq")
    ((changed,),) = await kept.sql(
        "UPDATE events SET payload = payload || '{\"equity\": 1}' WHERE seq = (SELECT max(seq) FROM events "
        "WHERE type = 'margin_update') RETURNING seq"
    )
    found = told(await compared(kept))
    assert {
        ("events", f"{lost}..{lost}", ""),
        ("events", str(lost), "payload"),
        ("events", str(changed), "payload"),
    } <= (found)


async def test_a_state_key_that_is_not_what_was_told_is_named(kept: RecordsDesk, diary_of_a_day: Diary) -> None:
    orders = [json.loads(body) for body in diary_of_a_day.orders]
    filled = next(order for order in orders if order["state"] == "filled")
    name = KEYS.order(filled["clientOrderId"])
    await kept.redis.set(name, json.dumps(filled | {"filledQty": 7}))
    other = KEYS.order(orders[0]["clientOrderId"] + "x")
    await kept.redis.set(other, json.dumps(orders[0]))
    await kept.redis.hset(KEYS.open_orders("main"), "ghost", b'{"clientOrderId":"ghost"}')
    where, body = next((key, value) for key, value in diary_of_a_day.state.items() if key.startswith("pms:chase:"))
    assert isinstance(body, bytes)
    await kept.redis.set(where, json.dumps(json.loads(body) | {"status": "active"}))
    assert told(await compared(kept)) == {
        (name, "", "filledQty"),
        (other, "", ""),
        (KEYS.open_orders("*"), "ghost", ""),
        (where, "", "status"),
    }


async def test_rows_from_before_the_log_are_left_alone(kept: RecordsDesk) -> None:
    """Retention drops old events; what they made stays."""
    ((cut,),) = await kept.sql("""
        SELECT min(seq) FROM events
        WHERE ts > (SELECT ts FROM events ORDER BY seq OFFSET (SELECT count(*) / 2 FROM events) LIMIT 1)
    """)  # as retention cuts, between two times
    await kept.sql(f"DELETE FROM events WHERE seq < {cut}")
    await kept.redis.xtrim(KEYS.event_stream, minid=f"{cut}-0", approximate=False)
    before = await kept.digest()
    assert (await compared(kept, repair=True)).differences == []
    assert await kept.digest() == before


async def test_events_that_sql_does_not_hold_yet_are_replayed_for_the_state_keys(
    desk: RecordsDesk, diary_of_a_day: Diary
) -> None:
    half = len(diary_of_a_day.events) // 2
    await desk.write_until(await desk.publish(diary_of_a_day.events[:half]))
    await desk.publish(diary_of_a_day.events[half:])
    await desk.restore({key: value for key, value in diary_of_a_day.state.items() if key != KEYS.records})
    verdict = await compared(desk)
    assert verdict.differences == []
    assert verdict.events == half


async def test_typed_it_prints_each_difference_and_ends_with_its_code(kept: RecordsDesk) -> None:
    await kept.sql("UPDATE algo_runs SET status = 'active' WHERE seq = (SELECT max(seq) FROM algo_runs)")
    code, lines = await typed(kept, "--check")
    assert (code, len(lines)) == (exits.NO, 2)
    assert lines[0].endswith("status: is active, by the log cancelled")
    code, lines = await typed(kept, "--json")
    verdict = json.loads(lines[0])
    assert (verdict["putRight"], [one["where"] for one in verdict["differences"]]) == (True, ["algo_runs"])
    assert (await compared(kept)).differences == []
