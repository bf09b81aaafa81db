"""The writer on a real Redis and a real Postgres: all that was published is in the tables, exactly and once."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from sqlalchemy.dialects.postgresql import JSONB

from pms.bus import trim
from pms.records.columns import Row
from pms.records.database import Held
from pms.records.draft import Values
from pms.records.tables import TABLES, Applied, Gap
from schemas import codec
from schemas.events import Numbered
from tests.contract.records.desk import KEYS, RecordsDesk, expected
from tests.world.diary import Diary

EXACT = msgspec.json.Decoder(float_hook=Decimal)


def seq_of(body: bytes) -> int:
    return codec.decode(Numbered, body).seq


def read_json(table: type[Row], row: Values) -> Values:
    """The row with its JSON read, numbers exact: Postgres orders the names in it anew."""
    json = {column.name for column in table.__table__.columns if isinstance(column.type, JSONB)}
    return {name: EXACT.decode(value) if name in json and value else value for name, value in row.items()}


async def test_every_row_comes_back_from_sql_as_it_was_made_to_the_last_digit(
    desk: RecordsDesk, diary_of_a_day: Diary
) -> None:
    last = await desk.publish(diary_of_a_day.events, diary_of_a_day.market)
    await desk.write_until(last)
    made = expected(diary_of_a_day.events, diary_of_a_day.market)
    compared = 0
    for table in set(TABLES) - {Applied, Gap}:
        wanted = made.changed.get(table, {}) | made.added.get(table, {})
        found = await desk.table(table)
        assert set(found) == set(wanted), table.__tablename__
        for key, row in found.items():
            assert read_json(table, row) == read_json(table, wanted[key]), table.__tablename__
        compared += len(found)
    assert compared > 100
    assert "PostgreSQL" in (await desk.sql("SELECT version()"))[0][0]


MONEY = """
    SELECT a.id, a.initial_balance
        + coalesce((SELECT sum(realized_pnl) FROM position_changes c WHERE c.sub_account_id = a.id), 0)
        - coalesce((SELECT sum(commission) FROM fills f WHERE f.sub_account_id = a.id), 0)
        + coalesce((SELECT sum(amount) FROM funding p WHERE p.sub_account_id = a.id), 0)
    FROM sub_accounts a WHERE a.initial_balance IS NOT NULL
"""


async def test_fundings_are_the_events_and_with_them_profit_and_fees_come_to_each_balance(
    desk: RecordsDesk, diary_of_a_day: Diary
) -> None:
    await desk.write_until(await desk.publish(diary_of_a_day.events))
    told = [EXACT.decode(body) for body in diary_of_a_day.events]
    fundings = [event for event in told if event["type"] == "funding_paid"]
    names = ("subAccountId", "positionId", "symbol", "rate", "markPrice", "quantity", "amount")
    columns = "sub_account_id, position_id, symbol, rate, mark_price, quantity, amount"
    rows = await desk.sql(f"SELECT {columns} FROM funding ORDER BY seq")
    assert rows == [tuple(event[name] for name in names) for event in fundings]
    assert {row[0] for row in rows} == {"main", "desk-2"}
    balances = {}
    for name, worth in await desk.sql(MONEY):
        record = diary_of_a_day.state[KEYS.subaccount(name)]
        assert isinstance(record, bytes)
        balances[name] = EXACT.decode(record)["balance"]
        assert worth == balances[name], name
    assert set(balances) == {"main", "desk-2"}


async def test_position_in_sql_and_in_redis_are_the_last_event(desk: RecordsDesk, diary_of_a_day: Diary) -> None:
    last = await desk.publish(diary_of_a_day.events)
    await desk.write_until(last)
    ((namespace, epoch, seq),) = await desk.sql("SELECT namespace, epoch, seq FROM applied")
    told = await desk.told()
    assert (namespace, epoch, seq) == ("pms", told.epoch, told.seq)
    assert seq == last


@pytest.mark.crash
async def test_restarts_and_repeats_change_nothing(desk: RecordsDesk, diary_of_a_day: Diary) -> None:
    events = diary_of_a_day.events
    for end in range(30, len(events) + 30, 30):
        await desk.write_until(await desk.publish(events[end - 30 : end]))
    once = await desk.digest()
    async with desk.writing():
        await desk.until_told()
    assert await desk.digest() == once
    for table in TABLES:
        await desk.sql(f"TRUNCATE {table.__tablename__}")
    await desk.redis.delete(KEYS.records)
    await desk.write_until(seq_of(events[-1]))
    assert await desk.digest() == once


async def test_a_second_writer_is_refused_and_writes_nothing(desk: RecordsDesk, diary_of_a_day: Diary) -> None:
    async with desk.writing():
        await desk.until_told()
        with pytest.raises(Held, match="another writer"):
            await desk.writer().run()


async def test_records_of_another_namespace_are_left_alone(desk: RecordsDesk, diary_of_a_day: Diary) -> None:
    await desk.write_until(await desk.publish(diary_of_a_day.events[:3]))
    with pytest.raises(Held, match="namespace pms, not of other"):
        await desk.writer(namespace="other").run()


def _archived(data: Path, events: list[bytes]) -> None:
    first, last = seq_of(events[0]), seq_of(events[-1])
    path = data / trim.FOLDER / f"{first:020d}-{last:020d}.jsonl.gz"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(b"\n".join(events) + b"\n"))


async def test_what_left_the_stream_meanwhile_comes_from_the_archive(desk: RecordsDesk, diary_of_a_day: Diary) -> None:
    events = diary_of_a_day.events
    await desk.write_until(await desk.publish(events))
    whole = await desk.digest()
    await desk.emptied()
    await desk.write_until(await desk.publish(events[:10]))
    await desk.redis.delete(KEYS.event_stream)
    _archived(desk.data, events[5:20])  # archived again after a crash: the bounds overlap
    _archived(desk.data, events[15:30])
    await desk.write_until(await desk.publish(events[25:]))
    assert await desk.digest() == whole
    assert await desk.table(Gap) == {}


async def test_what_is_nowhere_is_named_and_the_rest_goes_on(desk: RecordsDesk, diary_of_a_day: Diary) -> None:
    events = diary_of_a_day.events
    await desk.write_until(await desk.publish(events[:10]))
    await desk.redis.delete(KEYS.event_stream)
    await desk.write_until(await desk.publish(events[12:]))
    ((first, last),) = [(row["from_seq"], row["to_seq"]) for row in (await desk.table(Gap)).values()]
    assert (first, last) == (seq_of(events[10]), seq_of(events[11]))


async def test_a_jump_of_the_numbers_is_no_gap(desk: RecordsDesk, diary_of_a_day: Diary) -> None:
    events = diary_of_a_day.events[:10]
    last = seq_of(events[-1])
    jump = (
        b'{"type":"seq_jump","seq":1900000000000,"prevSeq":%d,"epoch":9,"v":1,"ts":1900000000000,'
        b'"subAccountId":"system","from":%d,"to":1900000000000}'
    ) % (last, last)
    await desk.write_until(await desk.publish([*events, jump]))
    assert await desk.table(Gap) == {}
    ((epoch, seq),) = await desk.sql("SELECT epoch, seq FROM applied")
    assert (epoch, seq) == (9, 1900000000000)
