"""JSON text that people send, as a tree of exact values: dict, list, str, int, Decimal, bool, None.

Owns the bounds of size, depth and numbers that hold before anybody knows what is meant. An object that names a field
twice is refused: whichever wins, somebody meant the other. Refuses to know fields. Raises `Invalid` (MALFORMED).
"""

from __future__ import annotations

import json
import re
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


# Both leave an object as a tuple of its pairs. The first calls nothing of ours, where most time would go; it gets
# no number that might be too long, and what it can't take the second says.
_plain = json.JSONDecoder(parse_float=Decimal, parse_constant=_no_constant, object_pairs_hook=tuple)
_careful = json.JSONDecoder(parse_float=_number, parse_int=_whole, parse_constant=_no_constant, object_pairs_hook=tuple)
_LONG = re.compile(rf"[-+.0-9eE]{{{NUMBER_MAX_CHARS}}}")


def _decoded(text: str) -> Any:
    """The value of a JSON text, each object a tuple of its pairs."""
    if text.startswith("{") and not _LONG.search(text):
        try:
            value, end = _plain.raw_decode(text)
        except InvalidOperation:
            return _careful.decode(text)
        if end == len(text):
            return value
    return _careful.decode(text)


def _tree(value: Any, levels: int) -> Any:
    """A decoded object or list, with its objects as dicts. Raises `Invalid` where it is nested deeper than so many
    levels, or names a field twice."""
    if levels <= 0:
        raise Invalid(ErrorCode.MALFORMED, f"the body is nested deeper than {DEPTH_MAX} levels.")
    if isinstance(value, list):
        return [_tree(item, levels - 1) if isinstance(item, list | tuple) else item for item in value]
    tree = dict(value)
    if len(tree) < len(value):
        names = [name for name, _ in value]
        twice = path_to("", next(name for name in names if names.count(name) > 1))
        raise Invalid(ErrorCode.MALFORMED, f"the field {twice} stands twice in one object.", path=twice)
    for name, item in value:
        if isinstance(item, list | tuple):  # most are flat: no call for what is plain
            tree[name] = _tree(item, levels - 1)
    return tree


def parse(body: bytes) -> Tree:
    """The JSON object of a body, numbers exact. Raises `Invalid` (MALFORMED)."""
    if len(body) > BODY_MAX_BYTES:
        raise Invalid(ErrorCode.MALFORMED, f"the body has {len(body)} bytes; {BODY_MAX_BYTES} are taken.")
    try:
        value = _decoded(body.decode())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise Invalid(ErrorCode.MALFORMED, f"the body is not JSON in UTF-8: {error}.") from error
    except RecursionError as error:
        raise Invalid(ErrorCode.MALFORMED, f"the body is nested deeper than {DEPTH_MAX} levels.") from error
    tree = _tree(value, DEPTH_MAX) if isinstance(value, list | tuple) else value
    if not isinstance(tree, dict):
        raise Invalid(ErrorCode.MALFORMED, f"the body is {shown(tree)}, not a JSON object.")
    return tree
