"""The tables in the database as this version wants them: migrated up, with a partition for each day and none too old.

Owns migrations, partitions and retention. Refuses to know what the rows say. Runs in its caller's transaction: a
migration that fails leaves nothing behind.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

MIGRATIONS = Path(__file__).with_name("migrations")
VERSION_TABLE = "records_version"
PARTITIONED = ("events", "market_seconds")
HEAD = "head"
NOTHING = "base"


class NewerTables(Exception):
    """The tables are of a newer version than this program; nothing was changed."""


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's settings, without a file."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def versions() -> tuple[str, ...]:
    """Every migration, oldest first."""
    return tuple(script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions())[::-1]


async def migrate(connection: AsyncConnection, to: str = HEAD) -> None:
    """Bring the tables to a version: the newest, or a former one. Raises `NewerTables`."""
    await connection.run_sync(_migrate, to)


def _migrate(connection: Connection, to: str) -> None:
    config = alembic_config(connection)
    try:
        if to == HEAD:
            command.upgrade(config, HEAD)
        else:
            command.downgrade(config, to)
    except CommandError as error:
        raise NewerTables(
            f"the tables are of a newer version ({error}). Start that version, or name another database."
        ) from error


async def version(connection: AsyncConnection) -> str:
    """The version of the tables; "" where there are none."""
    if not await connection.run_sync(lambda sync: inspect(sync).has_table(VERSION_TABLE)):
        return ""
    return str(await connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}")) or "")


def partition(table: str, day: date) -> str:
    """The name of a table's partition of a day."""
    return f"{table}_{day:%Y%m%d}"


async def ensure_days(connection: AsyncConnection, table: str, days: Iterable[date]) -> None:
    """Have a partition for each of these days (UTC)."""
    for day in days:
        after = day + timedelta(days=1)
        statement = (
            f"CREATE TABLE IF NOT EXISTS {partition(table, day)} PARTITION OF {table} "
            f"FOR VALUES FROM ('{day} 00:00:00+00') TO ('{after} 00:00:00+00')"
        )
        await connection.execute(text(statement))


async def partitions(connection: AsyncConnection, table: str) -> dict[str, date]:
    """A table's partitions with their days."""
    query = text(
        "SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid "
        "WHERE inhparent = to_regclass(:name)"
    )
    found = (await connection.execute(query, {"name": table})).scalars()
    named = {name: re.fullmatch(rf"{table}_(\d{{4}})(\d\d)(\d\d)", name) for name in found}
    return {name: date(*map(int, match.groups())) for name, match in named.items() if match}


async def drop_older(connection: AsyncConnection, table: str, now: datetime, keep_days: int) -> list[str]:
    """Drop the partitions that hold nothing but what is older than `keep_days`; their names. 0 keeps all."""
    if not keep_days:
        return []
    oldest = now.astimezone(UTC).date() - timedelta(days=keep_days)
    old = sorted(name for name, day in (await partitions(connection, table)).items() if day < oldest)
    for name in old:
        await connection.execute(text(f"DROP TABLE {name}"))
    return old
