"""Structs as JSON Schema (draft 2020-12), as they are on the wire.

What people send: prices and quantities are numbers or plain texts, only fields without a default are required, unknown
ones are refused. What we write: every field is there, decimals are numbers. Refuses to know which structs matter.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import inspect

from schemas import codec
from schemas.catalogue import published_name
from schemas.commands import Envelope
from schemas.errors import Category
from schemas.events_orders import Event
from schemas.fields import Command, Part
from schemas.market import PositionSide, Side
from schemas.records import Record

Schema = dict[str, Any]
_WHOLE: Schema = {"type": "integer"}
_PLAIN_TEXT = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$"
_OTHER_WORDS: dict[type, list[str]] = {Side: ["LONG", "SHORT"], PositionSide: ["BUY", "SELL"]}
_ENUM_NAMES: dict[type, str] = {Category: "ErrorCategory"}


class Definitions:
    """Schemas by published name, each struct once; `ref` adds what is not there yet."""

    def __init__(self, prefix: str = "#/$defs/") -> None:
        self.prefix = prefix
        self.schemas: dict[str, Schema] = {}

    def ref(self, kind: type[msgspec.Struct]) -> Schema:
        """A reference to a struct's schema."""
        name = published_name(kind)
        if name not in self.schemas:
            self.schemas[name] = {}  # taken, so that a struct may hold itself
            self.schemas[name] = self._struct(kind)
        return {"$ref": self.prefix + name}

    def _struct(self, kind: type[msgspec.Struct]) -> Schema:
        info = inspect.type_info(kind)
        assert isinstance(info, inspect.StructType), kind
        sent = issubclass(kind, Part)
        properties: dict[str, Schema] = _head(kind)
        required = list(properties)
        if info.tag is not None:
            properties["type"] = {"const": info.tag}
        for field in (*info.fields, *_envelope(kind)):
            properties[field.encode_name] = self._field(field, sent)
            if field.required or (not sent and _always_written(field) and not kind.__struct_config__.omit_defaults):
                required.append(field.encode_name)
        schema: Schema = {
            "description": (kind.__doc__ or "").strip(),
            "type": "object",
            "properties": properties,
            "required": list(dict.fromkeys(required)),
        }
        if issubclass(kind, Part):
            schema["additionalProperties"] = False
            schema |= {"x-pms-aliases": kind.ALIASES} if kind.ALIASES else {}
        return schema

    def _field(self, field: inspect.Field, sent: bool) -> Schema:
        schema = self.of(field.type, sent)
        if sent and field.default is not msgspec.NODEFAULT and field.default is not None:
            schema = schema | {"default": field.default}
        return schema

    def of(self, info: inspect.Type, sent: bool = False) -> Schema:
        """The schema of any type that the vocabulary uses."""
        match info:
            case inspect.Metadata():
                return self.of(info.type, sent) | (info.extra_json_schema or {})
            case inspect.DecimalType():
                return {"type": ["number", "string"], "pattern": _PLAIN_TEXT} if sent else {"type": "number"}
            case inspect.IntType():
                return _present({"type": "integer", "minimum": info.ge, "maximum": info.le})
            case inspect.BoolType():
                return {"type": "boolean"}
            case inspect.StrType():
                lengths = {"minLength": info.min_length, "maxLength": info.max_length}
                return _present({"type": "string", "pattern": info.pattern, **lengths})
            case inspect.EnumType():
                return self._enum(info.cls, sent)
            case inspect.LiteralType():
                return {"const": info.values[0]} if len(info.values) == 1 else {"enum": list(info.values)}
            case inspect.StructType():
                return self.ref(info.cls)
            case inspect.AnyType() | inspect.RawType():
                return {}
        return self._container(info, sent)

    def _enum(self, kind: type, sent: bool) -> Schema:
        words = [str(word) for word in kind]  # type: ignore[attr-defined]
        if sent and kind in (Side, PositionSide):  # any case, too, which a schema can't say
            return {"enum": [*words, *_OTHER_WORDS[kind]]}
        name = _ENUM_NAMES.get(kind, kind.__name__)
        self.schemas.setdefault(name, {"description": (kind.__doc__ or "").strip(), "enum": words})
        return {"$ref": self.prefix + name}

    def _container(self, info: inspect.Type, sent: bool) -> Schema:
        match info:
            case inspect.UnionType():
                return either([self.of(part, sent) for part in info.types])
            case inspect.NoneType():
                return {"type": "null"}
            case inspect.VarTupleType():
                lengths = {"minItems": info.min_length, "maxItems": info.max_length}
                return _present({"type": "array", "items": self.of(info.item_type, sent), **lengths})
            case inspect.DictType():
                return {"type": "object", "additionalProperties": self.of(info.value_type, sent)}
        raise TypeError(f"nothing on the wire is {info}")


def _head(kind: type[msgspec.Struct]) -> dict[str, Schema]:
    """What the atomic function puts in front of an event or a stepwise record."""
    if issubclass(kind, Event):
        return {"seq": _WHOLE, "prevSeq": _WHOLE, "epoch": _WHOLE}
    if issubclass(kind, Record) or published_name(kind) in ("OrderRecord", "ChaseRecord", "PluginRecord"):
        return dict.fromkeys(codec.Meta.__struct_fields__, _WHOLE)
    return {}


def _envelope(kind: type[msgspec.Struct]) -> tuple[inspect.Field, ...]:
    """What stands in a command's object besides its own fields."""
    if not issubclass(kind, Command):
        return ()
    info = inspect.type_info(Envelope)
    assert isinstance(info, inspect.StructType), Envelope
    return info.fields


def _always_written(field: inspect.Field) -> bool:
    return field.default is not msgspec.NODEFAULT or field.default_factory is not msgspec.NODEFAULT


def _present(schema: Schema) -> Schema:
    return {word: value for word, value in schema.items() if value is not None}


def either(options: list[Schema]) -> Schema:
    """A schema of several possible ones."""
    return options[0] if len(options) == 1 else {"anyOf": options}
