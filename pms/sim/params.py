"""One REST request and its parameters: raw text for the signature, decoded values for the routes.

Owns the form of a parameter (present, not empty, legal characters, one of a list) and its error code
(binance.md 5.2). Refuses to know what a parameter means, the venue's filters and the account.
Invariant: the bytes that were signed are the bytes as received; decoding happens beside them, never before them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Literal
from urllib.parse import unquote_plus

import msgspec

from pms.sim.model import VenueError

CLIENT_ID_MAX = 36  # binance.md 4
_CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]+")
_CLIENT_ID_RANGE = r"^[\.A-Z\:/a-z0-9_-]{1,36}$"
_INTEGER = re.compile(r"-?[0-9]{1,19}")
_INTEGER_RANGE = "^-?[0-9]{1,19}$"
# The sign is legal here: a negative price or quantity has its own code (-4001, -4003), raised by the filters.
_DECIMAL = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")
_DECIMAL_RANGE = r"^-?[0-9]{1,20}(\.[0-9]{1,20})?$"


Transport = Literal["rest", "ws"]


class Request(msgspec.Struct, frozen=True):
    """One request as received: `target` is the raw path with the raw query, header names are lower case. One of the
    WebSocket API is told by the request of REST that it stands for."""

    method: str
    target: str
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    body: bytes = b""
    ip: str = "127.0.0.1"
    transport: Transport = "rest"


def mandatory(name: str) -> VenueError:
    """-1102: a compulsory parameter is missing or empty."""
    return VenueError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def illegal(name: str, legal: str) -> VenueError:
    """-1100: a value has characters outside its legal range."""
    return VenueError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")


def not_valid(name: str) -> VenueError:
    """-1130: a value of legal form that this parameter cannot have."""
    return VenueError(-1130, f"Data sent for parameter '{name}' is not valid.")


def not_required(name: str) -> VenueError:
    """-1106: a parameter that this call must not carry."""
    return VenueError(-1106, f"Parameter '{name}' sent when not required.")


def combination() -> VenueError:
    """-1128: optional parameters that exclude each other."""
    return VenueError(-1128, "Combination of optional parameters invalid.")


def pairs_of(text: str) -> dict[str, str]:
    """Decode one query string or form body. A name sent twice is refused (-1101), bytes that are no text (-1100)."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise VenueError(-1100, "Illegal characters found in a parameter; the text is not UTF-8.") from None
    values: dict[str, str] = {}
    for part in text.split("&"):
        if not part:
            continue
        name, _, value = part.partition("=")
        if "%" in part or "+" in part:
            name, value = unquote_plus(name), unquote_plus(value)
        if name in values:
            raise VenueError(-1101, f"Duplicate values for parameter '{name}' detected.")
        values[name] = value
    return values


def asked_rows(values: Mapping[str, str], default: int) -> int:
    """The `limit` that a weight is reckoned by, before it is checked; what is no number counts as `default`."""
    limit = values.get("limit", "")
    return int(limit) if _INTEGER.fullmatch(limit) else default


class Params:
    """Decoded parameters with typed access. Each reader raises the venue's own error for a bad form."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def get(self, name: str) -> str | None:
        """The text, or None when it was not sent. Sent but empty: -1105."""
        value = self._values.get(name)
        if value == "":
            raise VenueError(-1105, f"Parameter '{name}' was empty.")
        return value

    def text(self, name: str) -> str:
        """The text of a compulsory parameter; -1102 when missing or empty."""
        value = self._values.get(name)
        if not value:
            raise mandatory(name)
        return value

    def integer(self, name: str) -> int | None:
        """An optional whole number; -1100 for anything else."""
        value = self.get(name)
        if value is None:
            return None
        if _INTEGER.fullmatch(value) is None:
            raise illegal(name, _INTEGER_RANGE)
        return int(value)

    def needed_integer(self, name: str) -> int:
        """A compulsory whole number; -1102 when missing."""
        self.text(name)
        value = self.integer(name)
        assert value is not None  # text() has seen it
        return value

    def decimal(self, name: str) -> Decimal | None:
        """An optional decimal number without exponent; -1100 for anything else."""
        value = self.get(name)
        if value is None:
            return None
        if _DECIMAL.fullmatch(value) is None:
            raise illegal(name, _DECIMAL_RANGE)
        return Decimal(value)

    def needed_decimal(self, name: str) -> Decimal:
        """A compulsory decimal number; -1102 when missing."""
        self.text(name)
        value = self.decimal(name)
        assert value is not None  # text() has seen it
        return value

    def flag(self, name: str) -> bool | None:
        """An optional boolean, sent as the text `true` or `false` in any case; -1130 for anything else."""
        value = self.get(name)
        if value is None:
            return None
        lowered = value.lower()
        if lowered not in ("true", "false"):
            raise not_valid(name)
        return lowered == "true"

    def client_id(self, name: str) -> str | None:
        """An optional client order id (binance.md 4): -4015 when too long, -1100 for an illegal character."""
        value = self.get(name)
        if value is None:
            return None
        if _CLIENT_ID.fullmatch(value) is None:
            raise illegal(name, _CLIENT_ID_RANGE)
        if len(value) > CLIENT_ID_MAX:
            raise VenueError(-4015, f"Client order id length should be not more than {CLIENT_ID_MAX} chars.")
        return value

    def limit(self, default: int, highest: int) -> int:
        """The row limit of a listing: 1 to `highest`, else -1130."""
        value = self.integer("limit")
        if value is None:
            return default
        if not 1 <= value <= highest:
            raise not_valid("limit")
        return value

    def window(self, longest_ms: int) -> tuple[int | None, int | None]:
        """`startTime` and `endTime`; -1023 when they are the wrong way round, -4166 when too far apart."""
        start, end = self.integer("startTime"), self.integer("endTime")
        if start is not None and end is not None:
            if start > end:
                raise VenueError(-1023, "Start time is greater than end time.")
            if end - start > longest_ms:
                raise VenueError(-4166, f"Search window is restricted to recent {longest_ms // 86_400_000} days only.")
        return start, end

    def without(self, names: Iterable[str]) -> bool:
        """True when none of `names` was sent."""
        return not any(name in self._values for name in names)
