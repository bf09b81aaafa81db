"""Structs to JSON and back: camelCase, decimals as JSON numbers in plain digits (contract.md).

Owns the bytes of all we write and the reading of what we wrote ourselves; what people send is read by `schemas.door`.
Invariant: decode(type(x), encode(x)) == x, and no exponent and no binary noise ever leaves.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from schemas.errors import ErrorCode, Invalid

T = TypeVar("T")
VERSION = 1  # `v` of every record and event there is; the first change of a meaning gives that record its own number

_encoder = msgspec.json.Encoder(decimal_format="number")
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}
_raw_decoder = msgspec.json.Decoder(float_hook=Decimal)


class Newer(Exception):
    """The record was written by a newer version: the daemon refuses to start and leaves it as it is (contract.md)."""


class Meta(msgspec.Struct, frozen=True, rename="camel"):
    """The head the atomic function gives every record: format, writer's epoch, revision, seq of its event."""

    v: int
    epoch: int = 0
    rev: int = 0
    seq: int = 0


def encode(value: Any) -> bytes:
    """JSON of a struct, or of plain containers of them. Raises ValueError for a decimal that is not a finite number."""
    body = _encoder.encode(value)
    # msgspec writes str(Decimal): an exponent for 1E-7 and below, a word for what is no number. Only then look closer.
    if b"E-" in body or b"E+" in body or b"NaN" in body or b"Infinity" in body:
        return _encoder.encode(_plain(msgspec.to_builtins(value, builtin_types=(Decimal,), enc_hook=_of_raw)))
    return body


def _of_raw(value: Any) -> Any:
    """JSON that was encoded before (a reply within its request's record), as a tree."""
    if isinstance(value, msgspec.Raw):
        return _raw_decoder.decode(value)
    raise TypeError(f"{type(value).__name__} can't be written as JSON")


def _plain(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: _plain(item) for name, item in tree.items()}
    if isinstance(tree, list | tuple):
        return [_plain(item) for item in tree]
    return msgspec.Raw(plain_digits(tree).encode()) if isinstance(tree, Decimal) else tree


def plain_digits(number: Decimal) -> str:
    """A finite decimal without an exponent. Raises ValueError for NaN and the infinities."""
    if not number.is_finite():
        raise ValueError(f"{number} is not a number to be written")
    return format(number, "f")


def decode(kind: type[T], body: bytes | str) -> T:
    """A struct from JSON of our own making: unknown fields are ignored, numbers exact. Raises `Invalid` (MALFORMED)."""
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    try:
        value: T = decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(ErrorCode.MALFORMED, f"not a {kind.__name__}: {error}") from error
    return value


def decode_record(kind: type[T], body: bytes | str) -> tuple[T, Meta]:
    """A stored record with its head. Raises `Invalid` (damaged: quarantine it) or `Newer` (stop)."""
    meta = decode(Meta, body)
    if meta.v > VERSION:
        raise Newer(
            f"a {kind.__name__} has format {meta.v}; this version knows up to {VERSION}. Start the newer version."
        )
    return decode(kind, body), meta
