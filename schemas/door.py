"""The strict reader of what people send: a tree (tree.py) to a struct of fields.py, or `Invalid` with code and path.

Owns the number rules of contract.md: a price or quantity is a JSON number or a plain decimal text of at most 28
digits and an exponent within ±18. Unknown fields are refused (stream door) or reported (list door); known ones are
strict at both. Refuses to know commands: a struct's types, `adapt` (aliases) and `__post_init__` (rules across
fields) say all.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from schemas.errors import ErrorCode, Invalid
from schemas.fields import Part
from schemas.market import PositionSide, Side, normalise_symbol
from schemas.tree import BODY_MAX_BYTES, NUMBER_MAX_CHARS, Tree, path_to, shown

DIGITS_MAX = 28  # a Decimal's own precision: sums and products stay exact where it matters
EXPONENT_MAX = 18
IGNORED_MAX = 100  # paths named in an answer

_PLAIN = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", re.ASCII)
_SIDE_SIGNS = {"BUY": 1, "LONG": 1, "SELL": -1, "SHORT": -1}

T = TypeVar("T", bound=msgspec.Struct)


class Visit(msgspec.Struct):
    """One reading: whether unknown fields are refused, and the paths of those that were ignored."""

    strict: bool
    ignored: list[str] = []

    def unknown(self, path: str) -> None:
        if self.strict:
            raise Invalid(ErrorCode.UNKNOWN_FIELD, f"there is no field {path} here.", path=path)
        if len(self.ignored) < IGNORED_MAX:
            self.ignored.append(path)


Reader = Callable[[Any, str, Visit], Any]


def _wrong(path: str, wanted: str, value: Any) -> Invalid:
    return Invalid(ErrorCode.INVALID_FIELD, f"{path} must be {wanted}, not {shown(value)}.", path=path)


def _decimal(bounds: Tree) -> Reader:
    limits = {word: Decimal(str(limit)) for word, limit in bounds.items()}
    above, least = limits.get("exclusiveMinimum"), limits.get("minimum")
    most = limits.get("maximum")

    def read(value: Any, path: str, _: Visit) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
            raise _wrong(path, "a number", value)
        if isinstance(value, str) and (len(value) > NUMBER_MAX_CHARS or not _PLAIN.fullmatch(value)):
            raise _wrong(path, 'a number, or a text of plain digits like "0.001"', value)
        number = Decimal(value)
        if len(text := str(value)) > EXPONENT_MAX or "E" in text:  # else it has neither digits nor places enough
            number = plain(number, path, value)
        if above is not None and number <= above:
            raise _wrong(path, f"above {above}", value)
        if least is not None and number < least:
            raise _wrong(path, f"at least {least}", value)
        if most is not None and number > most:
            raise _wrong(path, f"at most {most}", value)
        return number

    def plain(number: Decimal, path: str, value: Any) -> Decimal:
        sign, digits, exponent = number.as_tuple()
        assert isinstance(exponent, int), "JSON has no NaN and the text rule lets none through"
        if len(digits) > DIGITS_MAX or abs(exponent) > EXPONENT_MAX:
            raise _wrong(
                path, f"of at most {DIGITS_MAX} digits and an exponent from -{EXPONENT_MAX} to {EXPONENT_MAX}", value
            )
        return number if exponent <= 0 else Decimal((sign, digits + (0,) * exponent, 0))

    return read


def _int(info: inspect.IntType) -> Reader:
    least, most = info.ge, info.le

    def read(value: Any, path: str, _: Visit) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong(path, "a whole number", value)
        if least is not None and value < least:
            raise _wrong(path, f"at least {least}", value)
        if most is not None and value > most:
            raise _wrong(path, f"at most {most}", value)
        return value

    return read


def _bool(value: Any, path: str, _: Visit) -> bool:
    if not isinstance(value, bool):
        raise _wrong(path, "true or false", value)
    return value


def _str(info: inspect.StrType) -> Reader:
    pattern = re.compile(info.pattern or "", re.ASCII)
    least, most = info.min_length or 0, info.max_length or BODY_MAX_BYTES

    def read(value: Any, path: str, _: Visit) -> str:
        if not isinstance(value, str):
            raise _wrong(path, "a text", value)
        if not least <= len(value) <= most or not value.isprintable():
            raise _wrong(path, f"a text of {least} to {most} printable characters", value)
        if not pattern.match(value):
            raise _wrong(path, f"of the form {pattern.pattern}", value)
        return value

    return read


def _symbol(value: Any, path: str, _: Visit) -> str:
    if not isinstance(value, str):
        raise _wrong(path, "a symbol like BTCUSDT", value)
    try:
        return normalise_symbol(value)
    except ValueError as error:
        raise _wrong(path, "a symbol like BTCUSDT", value) from error


def _side(buy: Any, sell: Any) -> Reader:
    def read(value: Any, path: str, _: Visit) -> Any:
        sign = _SIDE_SIGNS.get(value.upper()) if isinstance(value, str) else None
        if sign is None:
            raise _wrong(path, f"{buy} or {sell}", value)
        return buy if sign > 0 else sell

    return read


def _literal(info: inspect.LiteralType) -> Reader:
    wanted = " or ".join(map(str, info.values))

    def read(value: Any, path: str, _: Visit) -> Any:
        if value not in info.values:
            raise _wrong(path, wanted, value)
        return value

    return read


def _object(value: Any, path: str, _: Visit) -> Tree:
    """An object that somebody else checks (the parameters of a plug-in)."""
    if not isinstance(value, dict):
        raise _wrong(path, "an object", value)
    return value


def _list(info: inspect.VarTupleType) -> Reader:
    item = _reader(info.item_type)
    least, most = info.min_length or 0, info.max_length or BODY_MAX_BYTES

    def read(value: Any, path: str, visit: Visit) -> tuple[Any, ...]:
        if not isinstance(value, list) or not least <= len(value) <= most:
            raise _wrong(path, f"a list of {least} to {most}", value)
        return tuple(item(each, f"{path}[{index}]", visit) for index, each in enumerate(value))

    return read


def _union(info: inspect.UnionType) -> Reader:
    inner, nullable = _one_of(info)

    def read(value: Any, path: str, visit: Visit) -> Any:
        return None if nullable and value is None else inner(value, path, visit)

    return read


def _one_of(info: inspect.UnionType) -> tuple[Reader, bool]:
    """The reader of what is not null, and whether null may stand for it."""
    parts = [part for part in info.types if not isinstance(part, inspect.NoneType)]
    return _tagged(parts) if len(parts) > 1 else _reader(parts[0]), len(parts) < len(info.types)


def _field(info: inspect.Field) -> tuple[str, str, Reader, bool]:
    """A field's name inside and as a path shows it, its reader, and whether null may stand for it: all that can be
    known before anything is read, so that reading costs one call."""
    reader, nullable = _one_of(info.type) if isinstance(info.type, inspect.UnionType) else (_reader(info.type), False)
    return info.name, path_to("", info.encode_name), reader, nullable


def _tagged(parts: list[inspect.Type]) -> Reader:
    """A union of structs that are told apart by `type`."""
    readers = {part.tag: _reader(part) for part in parts if isinstance(part, inspect.StructType)}

    def read(value: Any, path: str, visit: Visit) -> Any:
        if not isinstance(value, dict):
            raise _wrong(path, "an object", value)
        word = value.get("type")
        reader = readers.get(word) if isinstance(word, str) else None
        if reader is None:
            raise _wrong(path_to(path, "type"), f"one of {', '.join(map(str, readers))}", word)
        return reader({name: item for name, item in value.items() if name != "type"}, path, visit)

    return read


def _struct(info: inspect.StructType) -> Reader:
    kind = info.cls
    assert issubclass(kind, Part), "what people send is made of parts"
    fields = {field.encode_name: _field(field) for field in info.fields}
    required = [field.encode_name for field in info.fields if field.required]
    adapts = bool(kind.ALIASES) or kind.adapt.__func__ is not Part.adapt.__func__  # type: ignore[attr-defined]

    def read(value: Any, path: str, visit: Visit) -> Any:
        if not isinstance(value, dict):
            raise _wrong(path, "an object", value)
        if adapts:
            try:
                value = kind.adapt(dict(value))
            except Invalid as error:
                raise _within(path, error) from error
        given: dict[str, Any] = {}
        for name, item in value.items():
            if (field := fields.get(name)) is None:
                visit.unknown(path_to(path, name))
                continue
            inner, told, reader, nullable = field
            if nullable and item is None:
                given[inner] = None
            else:
                given[inner] = reader(item, f"{path}.{told}" if path else told, visit)
        for name in required:
            if name not in value:
                missing = path_to(path, name)
                raise Invalid(ErrorCode.MISSING_FIELD, f"{missing} is needed.", path=missing)
        try:
            return kind(**given)
        except Invalid as error:
            raise _within(path, error) from error

    return read


def _within(path: str, error: Invalid) -> Invalid:
    """A struct's own complaint, from where the struct stands."""
    details = error.details | {"path": path_to(path, error.details["path"])}
    return Invalid(error.code, f"{path}: {error.message}" if path else error.message, **details)


def _reader(info: inspect.Type, bounds: Tree | None = None) -> Reader:
    match info:
        case inspect.Metadata():
            if info.extra and info.extra.get("read") == "symbol":
                return _symbol
            return _reader(info.type, info.extra_json_schema)
        case inspect.DecimalType():
            return _decimal(bounds or {})
        case inspect.IntType():
            return _int(info)
        case inspect.BoolType():
            return _bool
        case inspect.StrType():
            return _str(info)
        case inspect.EnumType() if info.cls in (Side, PositionSide):
            return _side(*info.cls)
        case inspect.LiteralType():
            return _literal(info)
        case inspect.UnionType():
            return _union(info)
        case inspect.VarTupleType():
            return _list(info)
        case inspect.StructType():
            return _struct(info)
        case inspect.DictType():
            return _object
    raise TypeError(f"no field of a command may be {info}")


@cache
def reader_of(kind: type[msgspec.Struct]) -> Reader:
    """What reads such a struct from a tree, its path ("" at the top) and a visit."""
    return _reader(inspect.type_info(kind))


def read(kind: type[T], tree: Tree, visit: Visit) -> T:
    """A struct of fields.py from a tree. Raises `Invalid`; what is ignored is noted in `visit`."""
    value: T = reader_of(kind)(tree, "", visit)
    return value
