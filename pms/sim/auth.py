"""API keys, signatures and the time window of a signed request (binance.md 2).

Owns the known keys: HMAC secrets, and public keys of type Ed25519 or RSA. Refuses to know routes and accounts'
contents: a key is an account's name. Invariant: a REST signature is checked over the raw query and the raw body as
received, without their `signature` part.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode
from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

from pms.sim.model import VenueError
from pms.sim.params import Params, not_valid

RECV_WINDOW_DEFAULT_MS = 5_000
RECV_WINDOW_MAX_MS = 60_000
AHEAD_MAX_MS = 1_000  # a timestamp this far in the future is refused
_Kind = Literal["hmac", "ed25519", "rsa"]
_Holds = tuple[_Kind, Callable[[bytes, str], bool]]  # whether a signature is one of it
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
    """The venue's API keys, each with its secret, or with its public key as PEM. Raises ValueError for a public key
    that is neither Ed25519 nor RSA."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        # A keyed HMAC is prepared once per key: copying it is cheaper than keying it again for each request.
        self._holds = {key: _held(secret) for key, secret in secrets.items()}
        self.skew_ms = 0  # how far the clock by which timestamps are judged goes before the engine's

    def identify(self, key: str | None) -> str:
        """The account of an API key: -2014 when missing or malformed, -2015 when unknown (both HTTP 401)."""
        if not key or len(key) > _KEY_LENGTH_MAX or not key.isascii() or not key.isprintable():
            raise VenueError(-2014, "API-key format invalid.", 401)
        if key not in self._holds:
            raise not_permitted()
        return key

    def may_log_on(self, key: str) -> bool:
        """Whether a session may stand for the key: Ed25519 only (binance.md 1.3)."""
        return self._holds[key][0] == "ed25519"

    def verify(self, key: str, query: str, body: str, params: Params, now: int) -> None:
        """Check timestamp, signature and window of a REST request, in this order: -1102, -1022, -1021."""
        self.verify_text(key, signed_text(query, body), params, now)

    def verify_text(self, key: str, text: str, params: Params, now: int) -> None:
        """The same for the text that was signed."""
        timestamp, window = params.needed_integer("timestamp"), _window(params)
        signature = params.text("signature")
        if not self._holds[key][1](text.encode("utf-8", "surrogateescape"), signature):
            raise VenueError(-1022, "Signature for this request is not valid.")
        _check_time(timestamp, window, now + self.skew_ms)

    def verify_time(self, params: Params, now: int) -> None:
        """Timestamp and window of a request that need not be signed."""
        _check_time(params.needed_integer("timestamp"), _window(params), now + self.skew_ms)


def not_permitted() -> VenueError:
    """-2015, HTTP 401."""
    return VenueError(-2015, "Invalid API-key, IP, or permissions for action.", 401)


def _window(params: Params) -> int:
    window = params.integer("recvWindow")
    if window is None:
        return RECV_WINDOW_DEFAULT_MS
    if not 1 <= window <= RECV_WINDOW_MAX_MS:
        raise not_valid("recvWindow")
    return window


def _check_time(timestamp: int, window: int, now: int) -> None:
    if timestamp >= now + AHEAD_MAX_MS:
        raise VenueError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if now - timestamp > window:
        raise VenueError(-1021, "Timestamp for this request is outside of the recvWindow.")


def _held(secret: str) -> _Holds:
    return _public(secret) if secret.startswith("-----BEGIN PUBLIC KEY-----") else _keyed(secret)


def _keyed(secret: str) -> _Holds:
    keyed = hmac.new(secret.encode(), digestmod=hashlib.sha256)

    def holds(text: bytes, signature: str) -> bool:
        digest = keyed.copy()
        digest.update(text)
        return hmac.compare_digest(digest.hexdigest().encode(), signature.lower().encode())

    return "hmac", holds


def _public(pem: str) -> _Holds:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

    key = serialization.load_pem_public_key(pem.encode())
    check: Callable[[bytes, bytes], None]
    kind: _Kind
    if isinstance(key, ed25519.Ed25519PublicKey):
        kind, check = "ed25519", key.verify
    elif isinstance(key, rsa.RSAPublicKey):
        kind, check = "rsa", partial(key.verify, padding=padding.PKCS1v15(), algorithm=hashes.SHA256())
    else:
        raise ValueError("a public key has to be of type Ed25519 or RSA")

    def holds(text: bytes, signature: str) -> bool:
        try:
            check(b64decode(signature, validate=True), text)
        except (InvalidSignature, ValueError):  # a wrong one, or no base64
            return False
        return True

    return kind, holds
