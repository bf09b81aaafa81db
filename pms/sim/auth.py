"""API keys, signatures and the time window of a signed request (binance.md 2).

Owns the known keys. Refuses to know routes and accounts' contents: a key is an account's name.
Invariant: the signature is checked over the raw query and the raw body as received, without their `signature` part.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from pms.sim.model import VenueError
from pms.sim.params import Params, not_valid

RECV_WINDOW_DEFAULT_MS = 5_000
RECV_WINDOW_MAX_MS = 60_000
AHEAD_MAX_MS = 1_000  # a timestamp this far in the future is refused
_KEY_LENGTH_MAX = 128  # a longer header value cannot be a key; it is refused before any look-up


def signed_text(query: str, body: str) -> str:
    """What the client signed: query then body, nothing between, each without its `signature` part (binance.md 2)."""
    return _unsigned(query) + _unsigned(body)


def _unsigned(text: str) -> str:
    head, found, tail = text.rpartition("&signature=")
    if found and "&" not in tail:
        return head
    if "signature=" not in text:
        return text
    return "&".join(part for part in text.split("&") if not part.startswith("signature="))


class Keys:
    """The venue's API keys with their secrets."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        # A keyed HMAC is prepared once per key: copying it is cheaper than keying it again for each request.
        self._keyed = {key: hmac.new(secret.encode(), digestmod=hashlib.sha256) for key, secret in secrets.items()}

    def identify(self, key: str | None) -> str:
        """The account of an API key: -2014 when missing or malformed, -2015 when unknown (both HTTP 401)."""
        if not key or len(key) > _KEY_LENGTH_MAX or not key.isascii() or not key.isprintable():
            raise VenueError(-2014, "API-key format invalid.", 401)
        if key not in self._keyed:
            raise VenueError(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        return key

    def verify(self, key: str, query: str, body: str, params: Params, now: int) -> None:
        """Check timestamp, signature and window, in this order: -1102, -1022, -1021 (binance.md 2)."""
        timestamp = params.needed_integer("timestamp")
        window = params.integer("recvWindow")
        if window is None:
            window = RECV_WINDOW_DEFAULT_MS
        if not 1 <= window <= RECV_WINDOW_MAX_MS:
            raise not_valid("recvWindow")
        signature = params.text("signature")
        digest = self._keyed[key].copy()
        digest.update(signed_text(query, body).encode("utf-8", "surrogateescape"))
        if not hmac.compare_digest(digest.hexdigest().encode(), signature.lower().encode()):
            raise VenueError(-1022, "Signature for this request is not valid.")
        if timestamp >= now + AHEAD_MAX_MS:
            raise VenueError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
        if now - timestamp > window:
            raise VenueError(-1021, "Timestamp for this request is outside of the recvWindow.")
