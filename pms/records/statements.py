"""Rows read and written by their keys, on whatever connection and in whatever schema it looks.

Owns these two statements. Refuses to know events, locks and when to commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Insert, select, tuple_
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from pms.records.columns import Row
from pms.records.draft import Draft, Key, Keys, Values, key_columns


async def standing(connection: AsyncConnection, needed: Keys) -> Draft:
    """The rows of these keys, as the ground of a draft."""
    found: dict[type[Row], list[Values]] = {}
    for table, keys in needed.items():
        found[table] = [dict(row) for row in await _rows(connection, table, sorted(keys))]
    return Draft(found)


async def _rows(connection: AsyncConnection, table: type[Row], keys: Sequence[Key]) -> Iterable[Mapping[str, Any]]:
    columns = [table.__table__.c[name] for name in key_columns(table)]
    query = select(table.__table__).where(tuple_(*columns).in_(keys))
    return [dict(row) for row in (await connection.execute(query)).mappings()]


async def put(connection: AsyncConnection, draft: Draft) -> None:
    """Write what a draft adds and changes."""
    for table, added in draft.added.items():
        await connection.execute(_upsert(table, replace=False), list(added.values()))
    for table, changed in draft.changed.items():
        await connection.execute(_upsert(table, replace=True), list(changed.values()))


def _upsert(table: type[Row], replace: bool) -> Insert:
    statement = postgresql.insert(table)
    if not replace:
        return statement.on_conflict_do_nothing()
    keys = key_columns(table)
    names = (column.name for column in table.__table__.columns)
    told = {name: statement.excluded[name] for name in names if name not in keys}
    return statement.on_conflict_do_update(index_elements=list(keys), set_=told)
