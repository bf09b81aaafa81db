"""The tables in a real Postgres: migrated up and down, partitioned by day, exact."""

from __future__ import annotations

from datetime import timedelta

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from pms.records import database, schema
from pms.records.columns import Row, instant
from pms.records.tables import ArrivalDepth, Event, MarketSecond, Order
from tests.contract.records.desk import KEYS, RecordsDesk
from tests.waiting import eventually
from tests.world.diary import Diary
from tests.world.world import START_MS


async def test_the_migrations_make_what_the_models_say(where) -> None:
    def differences(connection) -> list[object]:
        options = {"version_table": schema.VERSION_TABLE, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        return [found for found in compare_metadata(context, Row.metadata) if schema.VERSION_TABLE not in str(found)]

    engine = database.engine_of(where)
    async with engine.connect() as connection:
        await schema.migrate(connection)
        assert await connection.run_sync(differences) == []
        assert await schema.version(connection) == schema.versions()[-1]
        assert "PostgreSQL" in await connection.scalar(text("SELECT version()"))


async def test_a_filled_database_goes_down_to_nothing_and_up_again(desk: RecordsDesk, diary_of_a_day: Diary) -> None:
    last = await desk.publish(diary_of_a_day.events, diary_of_a_day.market)
    await desk.write_until(last)
    once = await desk.digest()
    async with desk.engine.begin() as connection:
        await schema.migrate(connection, schema.NOTHING)
        left = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    assert left == [schema.VERSION_TABLE]
    await desk.redis.delete(KEYS.records)
    await desk.write_until(last)
    assert await desk.digest() == once


async def test_each_version_goes_down_and_up_with_its_rows(desk: RecordsDesk, diary_of_a_day: Diary) -> None:
    await desk.write_until(await desk.publish(diary_of_a_day.events, diary_of_a_day.market))
    whole = await desk.digest()
    for former in schema.versions()[-2::-1]:
        async with desk.engine.begin() as connection:
            await schema.migrate(connection, former)
            assert await schema.version(connection) == former
    async with desk.engine.begin() as connection:
        await schema.migrate(connection)
    assert await desk.digest() == whole


async def test_each_leg_of_a_basket_keeps_the_book_that_it_met(desk: RecordsDesk, diary_of_a_day: Diary) -> None:
    book = next(body for body in diary_of_a_day.market if b'"arrival"' in body)
    other = book.replace(b'"BTCUSDT"', b'"ETHUSDT"')
    await desk.write_until(await desk.publish(diary_of_a_day.events, [book, other]))
    assert {key[1] for key in await desk.table(ArrivalDepth)} == {"BTCUSDT", "ETHUSDT"}
    async with desk.engine.begin() as connection:
        await schema.migrate(connection, schema.versions()[0])
    assert len(await desk.sql("SELECT 1 FROM arrival_depths")) == 1


async def test_tables_of_a_newer_version_are_left_alone(desk: RecordsDesk) -> None:
    async with desk.engine.begin() as connection:
        await schema.migrate(connection)
    await desk.sql(f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(schema.NewerTables, match="Start that version"):
        await desk.writer().run()


async def test_days_too_old_are_dropped_whole_and_the_others_stay(desk: RecordsDesk, diary_of_a_day: Diary) -> None:
    last = await desk.publish(diary_of_a_day.events, diary_of_a_day.market)
    await desk.write_until(last)
    day = instant(START_MS).date()
    now = instant(START_MS) + timedelta(days=40)
    async with desk.engine.begin() as connection:
        assert await schema.drop_older(connection, "events", now, 0) == []
        assert await schema.drop_older(connection, "events", now, 40) == []
        dropped = await schema.drop_older(connection, "market_seconds", now, 39)
    assert dropped == [schema.partition("market_seconds", day)]
    assert await desk.table(MarketSecond) == {}
    assert len(await desk.table(Event)) == len(diary_of_a_day.events)


async def test_the_writer_drops_what_its_settings_no_longer_keep(desk: RecordsDesk, diary_of_a_day: Diary) -> None:
    last = await desk.publish(diary_of_a_day.events, diary_of_a_day.market)
    await desk.write_until(last)
    orders = await desk.table(Order)
    await desk.redis.delete(KEYS.records)

    async def gone() -> bool:
        return not await desk.table(Event)

    async with desk.writing(keep_days={"events": 1, "market_seconds": 0}):
        await eventually(gone, 10, "the old day is dropped")
    assert await desk.table(MarketSecond) != {}
    assert await desk.table(Order) == orders != {}
