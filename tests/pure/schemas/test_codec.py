"""What we write is exact and plain, and what we wrote reads back."""

from __future__ import annotations

import json
import re
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import codec
from schemas.errors import ErrorCode, Invalid

DECIMALS = st.decimals(allow_nan=False, allow_infinity=False).filter(lambda number: abs(number.adjusted()) < 60)


class Level(msgspec.Struct, frozen=True, rename="camel"):
    limit_price: Decimal
    note: str = ""


class Ladder(msgspec.Struct, frozen=True, rename="camel"):
    levels: tuple[Level, ...]
    by_name: dict[str, Decimal] = {}
    best: Level | None = None


@given(st.lists(st.builds(Level, DECIMALS, st.text(max_size=8))), st.dictionaries(st.text(max_size=4), DECIMALS))
def test_a_struct_reads_back_equal_and_its_numbers_are_plain_digits(levels, by_name) -> None:
    ladder = Ladder(tuple(levels), by_name, levels[0] if levels else None)
    body = codec.encode(ladder)
    assert codec.decode(Ladder, body) == ladder
    written = []
    json.loads(body, parse_float=written.append, parse_int=written.append)
    assert all(re.fullmatch(r"-?\d+(\.\d+)?", text) for text in written)


@pytest.mark.parametrize(
    "number, text",
    [
        ("1E-7", b"0.0000001"),
        ("1E+3", b"1000"),
        ("0.001", b"0.001"),
        ("1.50", b"1.50"),
        ("1E-18", b"0.000000000000000001"),
        ("1234567890123456789.123456789", b"1234567890123456789.123456789"),
    ],
)
def test_a_decimal_is_written_in_plain_digits(number, text) -> None:
    assert codec.encode(Level(Decimal(number))) == b'{"limitPrice":' + text + b',"note":""}'


def test_a_text_that_looks_like_an_exponent_is_left_alone() -> None:
    assert codec.encode(Level(Decimal(1), "E-mini NaN")) == b'{"limitPrice":1,"note":"E-mini NaN"}'


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "sNaN"])
def test_what_is_no_number_is_never_written(number) -> None:
    with pytest.raises(ValueError, match="not a number"):
        codec.encode(Level(Decimal(number)))


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[]", b"{}", b'{"limitPrice":"x"}', b'{"limitPrice":true}'])
def test_a_damaged_record_is_malformed(body) -> None:
    with pytest.raises(Invalid) as caught:
        codec.decode(Level, body)
    assert caught.value.code is ErrorCode.MALFORMED


def test_a_stored_record_is_read_with_its_head() -> None:
    text = '{"v":1,"epoch":7,"rev":3,"seq":99,"limitPrice":0.1,"note":"x","added":1}'
    assert codec.decode_record(Level, text) == (Level(Decimal("0.1"), "x"), codec.Meta(1, 7, 3, 99))


def test_a_newer_record_stops_and_is_not_called_damaged() -> None:
    with pytest.raises(codec.Newer, match="format 2"):
        codec.decode_record(Level, b'{"v":2,"shape":"unheard of"}')


def test_a_record_without_a_version_is_damaged() -> None:
    with pytest.raises(Invalid):
        codec.decode_record(Level, b'{"limitPrice":1}')


def test_a_text_that_looks_like_an_exponent_does_not_harm_what_was_encoded_before() -> None:
    """A reply stands as it was encoded within its request's record, whatever its sentence says."""
    reply = msgspec.Raw(b'{"error":"TRADE-1 is not \\"NaN\\"","limit":0.10000000000000000001}')
    assert codec.encode({"outcome": reply, "low": Decimal("1E-7")}) == b'{"outcome":%s,"low":0.0000001}' % reply
