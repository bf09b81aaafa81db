"""Values of any struct of the vocabulary, drawn from its own type information."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

NUMBERS = st.decimals(min_value=Decimal("0.000000001"), max_value=Decimal(10) ** 9, places=9)
WORDS = st.text("abcXYZ019_-", min_size=1, max_size=8)


def values(kind: inspect.Type) -> st.SearchStrategy[Any]:
    """A strategy for a type of msgspec's inspection."""
    match kind:
        case inspect.Metadata():
            return values(kind.type)
        case inspect.DecimalType():
            return NUMBERS
        case inspect.IntType():
            return st.integers(0, 2**53 - 1)
        case inspect.BoolType():
            return st.booleans()
        case inspect.StrType():
            return WORDS
        case inspect.NoneType():
            return st.none()
        case inspect.LiteralType():
            return st.sampled_from(kind.values)
        case inspect.EnumType():
            return st.sampled_from(list(kind.cls))
        case inspect.VarTupleType():
            return st.lists(values(kind.item_type), max_size=2).map(tuple)
        case inspect.DictType():
            return st.dictionaries(WORDS, values(kind.value_type), max_size=2)
        case inspect.UnionType():
            return st.one_of(*(values(part) for part in kind.types if not isinstance(part, inspect.RawType)))
        case inspect.StructType():
            return st.builds(kind.cls, **{field.name: values(field.type) for field in kind.fields})
        case inspect.AnyType():
            return WORDS
        case inspect.RawType():
            return st.dictionaries(WORDS, WORDS, max_size=2).map(msgspec.json.encode).map(msgspec.Raw)
    raise AssertionError(f"no values for {kind}")


def structs(cls: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """A strategy for a struct."""
    return values(inspect.type_info(cls))
