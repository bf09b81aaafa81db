"""Parameter strings and their HMAC-SHA256 signature (binance.md 2). Pure: the time to sign comes from the caller.

Percent-encode first, then sign exactly the text that is sent; `signature` goes last.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from urllib.parse import quote

_SENT = re.compile(r"""((?:signature|listenKey)"?\s*[:=]\s*"?)[^&\s"']+""", re.IGNORECASE)
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch  # RFC 3986 unreserved: what quoting leaves as it is


def encode(params: Sequence[tuple[str, str]]) -> str:
    """`a=1&b=2` with percent-encoded UTF-8 values, in the given order. Names are ours and need no encoding."""
    if not _PLAIN("".join([value for _, value in params])):
        params = [(name, quote(value, safe="")) for name, value in params]
    return "&".join([f"{name}={value}" for name, value in params])


def unsaid(text: str, key: str) -> str:
    """What a peer said, without what it may repeat of ours: the API key, signatures, listen keys."""
    return _SENT.sub(r"\1…", text.replace(key, "…") if key else text)


class Signer:
    """An API secret ready to sign: keyed once and copied per request, which saves hashing the key each time."""

    def __init__(self, secret: str) -> None:
        self._keyed = hmac.new(secret.encode(), digestmod="sha256")

    def sign(self, query: str, timestamp_ms: int, window_ms: int) -> str:
        """`query` completed by recvWindow, timestamp and signature: to be sent as it is, now."""
        return self.begin(query, window_ms).at(timestamp_ms)

    def begin(self, query: str, window_ms: int) -> Signing:
        """All of a signed query but its timestamp, ahead of the moment of sending."""
        return Signing(self._keyed.copy(), query, window_ms)


class Signing:
    """One query, signed up to its timestamp."""

    __slots__ = ("_mac", "_text")

    def __init__(self, mac: hmac.HMAC, query: str, window_ms: int) -> None:
        self._text = f"{query}&recvWindow={window_ms}&timestamp=".removeprefix("&")
        self._mac = mac
        mac.update(self._text.encode("ascii"))

    def at(self, timestamp_ms: int) -> str:
        """The query completed by timestamp and signature: to be sent as it is, now. To be asked once."""
        stamp = str(timestamp_ms)
        self._mac.update(stamp.encode("ascii"))
        return f"{self._text}{stamp}&signature={self._mac.hexdigest()}"
