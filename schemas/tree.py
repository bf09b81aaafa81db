"""JSON text that people send, as a tree of exact values: dict, list, str, int, Decimal, bool, None.

Owns the bounds of size, depth and numbers that hold before anybody knows what is meant. An object that names a field
twice is refused: whichever wins, somebody meant the other. Refuses to know fields. Raises `Invalid` (MALFORMED).
"""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Any

from schemas.errors import ErrorCode, Invalid

BODY_MAX_BYTES = 64 * 1024  # a basket of 50 legs has 6 KiB
DEPTH_MAX = 16  # a validated basket has 5
NUMBER_MAX_CHARS = 64  # longer ones can't be within the bounds of any field, and are not converted first
_SHOWN_MAX = 40  # of a wrong value in a message

Tree = dict[str, Any]


def shown(value: Any) -> str:
    """A value as a message shows it: ASCII and short."""
    text = str(value) if isinstance(value, Decimal) else json.dumps(value, default=str)
    return text if len(text) <= _SHOWN_MAX else text[:_SHOWN_MAX] + "..."


def path_to(path: str, name: str) -> str:
    """The path of a field in an object at `path`: ASCII and short, whatever the name."""
    name = name if name.isascii() and name.isprintable() else ascii(name)
    return f"{path}.{name[:_SHOWN_MAX]}" if path else name[:_SHOWN_MAX]


def _number(text: str) -> Decimal:
    if len(text) > NUMBER_MAX_CHARS:
        raise Invalid(ErrorCode.MALFORMED, f"a number has {len(text)} characters; {NUMBER_MAX_CHARS} are taken.")
    try:
        return Decimal(text)
    except InvalidOperation as error:  # an exponent beyond what Decimal holds
        raise Invalid(ErrorCode.MALFORMED, f"{text} is not a number to reckon with.") from error


def _whole(text: str) -> int | Decimal:
    return int(text) if len(text) < NUMBER_MAX_CHARS else _number(text)


def _no_constant(text: str) -> None:
    raise Invalid(ErrorCode.MALFORMED, f"{text} is not JSON.")


def _object(pairs: list[tuple[str, Any]]) -> Tree:
    tree = dict(pairs)
    if len(tree) < len(pairs):
        names = [name for name, _ in pairs]
        twice = path_to("", next(name for name in names if names.count(name) > 1))
        raise Invalid(ErrorCode.MALFORMED, f"the field {twice} stands twice in one object.", path=twice)
    return tree


_decoder = json.JSONDecoder(
    parse_float=_number, parse_int=_whole, parse_constant=_no_constant, object_pairs_hook=_object
)


def _fits(tree: Any, levels: int) -> bool:
    """Whether a value is nested no deeper than so many levels."""
    if not isinstance(tree, dict | list):
        return True
    if levels <= 0:
        return False
    for item in tree.values() if isinstance(tree, dict) else tree:
        if isinstance(item, dict | list) and not _fits(item, levels - 1):  # most are flat: no call for what is plain
            return False
    return True


def parse(body: bytes) -> Tree:
    """The JSON object of a body, numbers exact. Raises `Invalid` (MALFORMED)."""
    if len(body) > BODY_MAX_BYTES:
        raise Invalid(ErrorCode.MALFORMED, f"the body has {len(body)} bytes; {BODY_MAX_BYTES} are taken.")
    try:
        tree = _decoder.decode(body.decode())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise Invalid(ErrorCode.MALFORMED, f"the body is not JSON in UTF-8: {error}.") from error
    except RecursionError as error:
        raise Invalid(ErrorCode.MALFORMED, f"the body is nested deeper than {DEPTH_MAX} levels.") from error
    if not _fits(tree, DEPTH_MAX):
        raise Invalid(ErrorCode.MALFORMED, f"the body is nested deeper than {DEPTH_MAX} levels.")
    if not isinstance(tree, dict):
        raise Invalid(ErrorCode.MALFORMED, f"the body is {shown(tree)}, not a JSON object.")
    return tree
