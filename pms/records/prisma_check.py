"""Another program's schema.prisma held against the tables: what it would read wrongly, or not find.

Owns the reading of the file, as far as models go. Refuses to judge models of tables that are not ours.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from pms.records import prisma
from pms.records.prisma import Field
from pms.records.tables import TABLES

_MODEL = re.compile(r"^\s*model\s+(\w+)\s*\{(.*?)^\s*\}", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^\s*(\w+)\s+(\w+)(\?|\[\])?\s*(.*)$")
_MAP = re.compile(r'@map\(\s*(?:name:\s*)?"([^"]+)"')
_TABLE = re.compile(r'@@map\(\s*(?:name:\s*)?"([^"]+)"')
_NATIVE = re.compile(r"@db\.(\w+)(?:\((\d+)[^)]*\))?")
_SCALARS = frozenset("String BigInt Int Boolean Decimal Float DateTime Json Bytes".split())


class Found(NamedTuple):
    """A model in the file: its table and its columns."""

    model: str
    table: str
    fields: dict[str, Field]


def models(text: str) -> list[Found]:
    """The models of a schema.prisma. Relations are left out: they are no columns."""
    plain = re.sub(r"^\s*//.*$|(?<=\s)//.*$", "", text, flags=re.MULTILINE)
    scalars = _SCALARS | set(re.findall(r"^\s*enum\s+(\w+)", plain, re.MULTILINE))
    found = []
    for name, body in _MODEL.findall(plain):
        mapped = _TABLE.search(body)
        columns = {}
        for line in body.splitlines():
            match = _FIELD.match(line)
            if match is None or match[2] not in scalars or match[3] == "[]":
                continue
            column = mapped_to[1] if (mapped_to := _MAP.search(match[4])) else match[1]
            native = native_to[0] if (native_to := _NATIVE.search(match[4])) else ""
            columns[column] = Field(match[1], column, match[2], native, match[3] == "?")
        found.append(Found(name, mapped[1] if mapped else name, columns))
    return found


def differences(text: str) -> list[str]:
    """One line for each thing that does not fit; none where all does."""
    ours = {prisma.table_of(model).name: prisma.table_of(model) for model in TABLES}
    theirs = [found for found in models(text) if found.table in ours]
    if not theirs:
        return ["no model in it is of a table that pms keeps (by its name or @@map)"]
    lines: list[str] = []
    for found in theirs:
        wanted = {field.column: field for field in prisma.fields(ours[found.table])}
        for column, field in found.fields.items():
            if column not in wanted:
                lines.append(f"{found.table}.{column}: in model {found.model}, but there is no such column")
            elif why := _misfit(field, wanted[column]):
                lines.append(f"{found.table}.{column}: {why}")
        missing = [column for column in wanted if column not in found.fields]
        lines += [f"{found.table}.{column}: the column is not in model {found.model}" for column in missing]
    return lines


def _misfit(theirs: Field, ours: Field) -> str:
    """Why a field can't carry what the column holds; "" where it can."""
    if theirs.type != ours.type:
        return f"{theirs.type} there, {ours.type} here"
    if theirs.optional != ours.optional:
        return "may be null here, and not there" if ours.optional else "is never null here, but may be there"
    if ours.type == "DateTime" and "Timestamptz" not in theirs.native:
        return "without a time zone there (no @db.Timestamptz)"
    bounded = _NATIVE.search(theirs.native)
    if bounded and bounded[1] not in ("Text", "Timestamptz", "JsonB", "Decimal", "BigInt", "Boolean"):
        return f"{theirs.native} there, {ours.native or 'text without bounds'} here"
    if bounded and bounded[1] == "Decimal" and bounded[2]:
        return f"bounded there ({theirs.native}), without bounds here"
    return ""
