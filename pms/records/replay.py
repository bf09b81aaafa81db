"""The event log of SQL replayed into empty tables, and what stands in the real ones held against them, row by row.

Owns the replay, the comparison and putting right what differs. Refuses to know Redis and how it is told. Invariant: all
of it happens in one transaction of one snapshot, on temporary tables: a look leaves nothing behind, whatever ends it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pms.records import rows, statements
from pms.records.columns import Row
from pms.records.draft import key_columns
from pms.records.tables import (
    AlgoRun,
    Balance,
    Command,
    Event,
    Fill,
    Funding,
    Order,
    Position,
    PositionChange,
    RecoveryAction,
    RiskRejection,
    SubAccount,
)

PAGE = 2_000
# What an event makes, with the column that says when a row began: rows from before the log can't be made anew from it.
REPLAYED: dict[type[Row], str] = {
    SubAccount: "first_seen_at",
    Balance: "ts",
    Funding: "ts",
    Order: "placed_at",
    Fill: "ts",
    Position: "opened_at",
    PositionChange: "ts",
    AlgoRun: "started_at",
    Command: "ts",
    RiskRejection: "ts",
    RecoveryAction: "ts",
}


class Difference(msgspec.Struct, frozen=True, rename="camel"):
    """One row that is not as the log says: `key` of `where`, the column, what is there and what the log makes; a
    column of "" is a whole row, and null on the side that has none."""

    where: str
    key: str
    column: str
    stands: Any
    replayed: Any


class Log(msgspec.Struct, frozen=True):
    """What there was to replay: how many events, the first and last number, the time of the first."""

    events: int
    first: int
    last: int
    begins: datetime | None


class Replay:
    """See the module. `schema_name` is where the real tables are; the connection is in one snapshot's transaction."""

    def __init__(self, connection: AsyncConnection, schema_name: str) -> None:
        self._connection = connection
        self._real = f'"{schema_name}"'

    async def applied(self) -> int:
        """The number up to which the tables claim to be."""
        return int(await self._connection.scalar(text(f"SELECT coalesce(max(seq), 0) FROM {self._real}.applied")) or 0)

    async def run(self) -> Log:
        """Make the empty tables and fill them from the log."""
        for table in REPLAYED:
            name = table.__tablename__
            like = f"CREATE TEMP TABLE {name} (LIKE {self._real}.{name} INCLUDING DEFAULTS INCLUDING INDEXES)"
            await self._connection.execute(text(f"{like} ON COMMIT DROP"))
        query = text(f"SELECT seq, payload::text FROM {self._real}.events WHERE seq > :after ORDER BY seq LIMIT :page")
        count, first, last = 0, 0, 0
        while page := (await self._connection.execute(query, {"after": last, "page": PAGE})).all():
            await self.take([rows.read(body.encode()) for _, body in page])
            count, first, last = count + len(page), first or page[0][0], page[-1][0]
        begins = await self._connection.scalar(text(f"SELECT min(ts) FROM {self._real}.events"))
        return Log(count, first, last, begins)

    async def take(self, told: Sequence[rows.Told]) -> None:
        """Put more events into the replayed tables."""
        draft = await statements.standing(self._connection, rows.needs(told))
        for one in told:
            rows.apply(draft, one)
        draft.added.pop(Event, None)  # the log itself is not replayed
        await statements.put(self._connection, draft)

    async def replayed(self, table: type[Row], end: str, ids: Iterable[str] = ()) -> dict[str, dict[str, Any]]:
        """The rows that the log makes and has not ended (the column `end` is null), and those of these ids, by id."""
        (key,) = key_columns(table)
        where = f"{end} IS NULL OR {key} = ANY(CAST(:ids AS text[]))"
        query = text(f"SELECT * FROM pg_temp.{table.__tablename__} WHERE {where}")
        found = await self._connection.execute(query, {"ids": list(ids)})
        return {row[key]: dict(row) for row in found.mappings()}

    # --- the comparison ---------------------------------------------------------------------------------

    async def differences(self, log: Log) -> list[Difference]:
        """Every row that is not as the log says, in the order of the tables and their keys."""
        return [found for table in REPLAYED for found in await self._of(table, log)]

    async def _of(self, table: type[Row], log: Log) -> list[Difference]:
        keys = key_columns(table)
        query = (
            f"SELECT to_jsonb(a)::text, to_jsonb(b)::text FROM {self._pair(table)} "
            f"ORDER BY {', '.join(f'coalesce(a.{key}, b.{key})' for key in keys)}"
        )
        found = (await self._connection.execute(text(query), _begins(log))).all()
        return [one for stands, made in found for one in _columns(table.__tablename__, keys, stands, made)]

    def _pair(self, table: type[Row]) -> str:
        """Rows of both sides that differ; those from before the log are left out."""
        name, born = table.__tablename__, REPLAYED[table]
        on = " AND ".join(f"a.{key} = b.{key}" for key in key_columns(table))
        columns = [column.name for column in table.__table__.columns]
        told = " OR ".join(f"a.{column} IS DISTINCT FROM b.{column}" for column in columns)
        known = f"coalesce(a.{born}, b.{born}) >= :begins"
        if table is Fill:  # its commission is told by what its order had paid before
            older = f"{self._real}.orders o WHERE o.client_order_id = a.client_order_id AND o.placed_at < :begins"
            known += f" AND NOT EXISTS (SELECT 1 FROM {older})"
        return f"{self._real}.{name} a FULL JOIN pg_temp.{name} b ON {on} WHERE {known} AND ({told})"

    async def holes(self) -> list[Difference]:
        """Numbers that are missing within the log and are not noted in `gaps`."""
        query = text(
            f"SELECT before + 1, seq - 1 FROM (SELECT seq, type, lag(seq) OVER (ORDER BY seq) AS before "
            f"FROM {self._real}.events) numbered WHERE seq > before + 1 AND type <> 'seq_jump' AND NOT EXISTS "
            f"(SELECT 1 FROM {self._real}.gaps WHERE from_seq <= before + 1 AND to_seq >= seq - 1) ORDER BY 1"
        )
        found = (await self._connection.execute(query)).all()
        return [Difference("events", f"{first}..{last}", "", None, "missing") for first, last in found]

    async def logged(self, first: int, last: int) -> dict[int, str]:
        """The log's events by number."""
        query = text(f"SELECT seq, payload::text FROM {self._real}.events WHERE seq BETWEEN :first AND :last")
        found = await self._connection.execute(query, {"first": first, "last": last})
        return {row.seq: row.payload for row in found}

    # --- putting right ----------------------------------------------------------------------------------

    async def put_right(self, log: Log) -> None:
        """Make the real tables what the log says, rows from before it left as they are."""
        for table in REPLAYED:
            name, keys = table.__tablename__, key_columns(table)
            columns = ", ".join(column.name for column in table.__table__.columns)
            wrong = f"SELECT {', '.join(f'a.{key}' for key in keys)} FROM {self._pair(table)}"
            await self._connection.execute(
                text(f"DELETE FROM {self._real}.{name} WHERE ({', '.join(keys)}) IN ({wrong})"), _begins(log)
            )
            every = f"SELECT {columns} FROM pg_temp.{name} ON CONFLICT DO NOTHING"
            await self._connection.execute(text(f"INSERT INTO {self._real}.{name} ({columns}) {every}"))


def _begins(log: Log) -> dict[str, Any]:
    return {"begins": log.begins}


def _columns(name: str, keys: Iterable[str], stands: str | None, made: str | None) -> list[Difference]:
    """The columns of one row in which both sides differ; one line where a side has no row."""
    ours, theirs = (None if side is None else _exact.decode(side) for side in (stands, made))
    some = ours if ours is not None else theirs
    assert some is not None, "a row of one side at least"
    key = "/".join(str(some[name]) for name in keys)
    if ours is None or theirs is None:
        return [Difference(name, key, "", ours, theirs)]
    return [Difference(name, key, at, ours[at], theirs[at]) for at in ours if ours[at] != theirs[at]]


_exact = msgspec.json.Decoder(dict[str, Any], float_hook=str)
