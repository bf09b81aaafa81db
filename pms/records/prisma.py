"""The tables as a Prisma schema, for programs in JavaScript that read them.

Owns the translation from the models, which is the only way it comes about: `python -m pms.records.prisma` writes it
anew, and a test fails when it is stale. Refuses to know a database. Readers only read: nothing here migrates anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import BigInteger, Boolean, Column, Numeric, Table, Text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from pms.records.columns import Row
from pms.records.tables import TABLES

FILE = Path(__file__).with_name("schema.prisma")
HEAD = """\
// What pms keeps in SQL, for readers: made from pms/records/tables, not written. Only `pms records` writes there.

generator client {
  provider = "prisma-client-js"
  output   = "./generated"
}

datasource db {
  provider = "postgresql"
}
"""
_TYPES: dict[type, tuple[str, str]] = {
    Text: ("String", ""),
    BigInteger: ("BigInt", ""),
    Boolean: ("Boolean", ""),
    Numeric: ("Decimal", "@db.Decimal"),
    TIMESTAMP: ("DateTime", "@db.Timestamptz(6)"),
    JSONB: ("Json", ""),
}


class Field(NamedTuple):
    """A column as Prisma has it. `native` is the attribute that says how Postgres keeps it, "" for Prisma's default."""

    name: str
    column: str
    type: str
    native: str
    optional: bool


def camel(name: str) -> str:
    """A column's name as a field."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def fields(table: Table) -> list[Field]:
    """A table's columns, in their order."""
    return [_field(column) for column in table.columns]


def _field(column: Column[object]) -> Field:
    kind, native = _TYPES[type(column.type)]
    return Field(camel(column.name), column.name, kind, native, bool(column.nullable))


def table_of(model: type[Row]) -> Table:
    """The model's table."""
    found = model.__table__
    assert isinstance(found, Table), "every model has a table of its own"
    return found


def schema() -> str:
    """The whole file."""
    return "\n".join([HEAD, *("\n".join(_model(model)) + "\n" for model in TABLES)])


def _model(model: type[Row]) -> Iterator[str]:
    table = table_of(model)
    keys = [camel(column.name) for column in table.primary_key]
    rows = [_line(field, keys, f"pk_{table.name}") for field in fields(table)]
    widths = [max(len(row[place]) for row in rows) for place in (0, 1)]
    yield f"/// {(model.__doc__ or '').split('. ')[0].rstrip('.').replace(chr(10), ' ').replace('    ', '')}."
    yield f"model {model.__name__} {{"
    for name, kind, attributes in rows:
        yield f"  {name:{widths[0]}} {kind:{widths[1]}} {attributes}".rstrip()
    yield ""
    if len(keys) > 1:
        yield f'  @@id([{", ".join(keys)}], map: "pk_{table.name}")'
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        named = ", ".join(camel(column.name) for column in index.columns)
        yield f'  @@index([{named}], map: "{index.name}")'
    yield f'  @@map("{table.name}")'
    yield "}"


def _line(field: Field, keys: list[str], key_name: str) -> tuple[str, str, str]:
    attributes = [f'@id(map: "{key_name}")'] if [field.name] == keys else []
    attributes += [f'@map("{field.column}")'] if field.name != field.column else []
    attributes += [field.native] if field.native else []
    return field.name, field.type + "?" * field.optional, " ".join(attributes)


if __name__ == "__main__":
    FILE.write_text(schema())
