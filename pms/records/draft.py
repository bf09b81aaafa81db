"""Rows in the making: what stands in SQL of the things that a batch of events tells of, and what it makes of them.

Owns the difference. Refuses to know SQL and events.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pms.records.columns import Row

Values = dict[str, Any]
Key = tuple[Any, ...]
Keys = dict[type[Row], set[Key]]


def key_columns(table: type[Row]) -> tuple[str, ...]:
    """The names of a table's key."""
    return tuple(column.name for column in table.__table__.primary_key)


class Draft:
    """See the module. `changed` are rows to be written over what stands, `added` those that stand for ever."""

    def __init__(self, standing: Mapping[type[Row], Iterable[Values]] | None = None) -> None:
        self.changed: dict[type[Row], dict[Key, Values]] = {}
        self.added: dict[type[Row], dict[Key, Values]] = {}
        self._standing = {
            table: {tuple(row[name] for name in key_columns(table)): row for row in rows}
            for table, rows in (standing or {}).items()
        }

    def get(self, table: type[Row], *key: Any) -> Values | None:
        """A row as it is by now; None where there is none."""
        changed = self.changed.get(table, {}).get(key)
        return changed if changed is not None else self._standing.get(table, {}).get(key)

    def put(self, table: type[Row], values: Values) -> None:
        """Write a row over what stands; columns that are left out stay, and are null in a new one."""
        key = tuple(values[name] for name in key_columns(table))
        before = self.get(table, *key)
        whole = dict.fromkeys(column.name for column in table.__table__.columns) if before is None else before
        self.changed.setdefault(table, {})[key] = {**whole, **values}

    def add(self, table: type[Row], values: Values) -> None:
        """A row that never changes; one that is there already stays as it was."""
        key = tuple(values[name] for name in key_columns(table))
        whole = dict.fromkeys(column.name for column in table.__table__.columns)
        self.added.setdefault(table, {}).setdefault(key, {**whole, **values})
