"""Parameter strings and their signature: HMAC-SHA256, Ed25519 or RSA (binance.md 2). Pure: the time to sign comes from
the caller.

Owns the form of a signed query. Percent-encode first, then sign exactly the text that is sent; `signature` goes last,
percent-encoded itself. Refuses to read key files: a private key is given as PEM text.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import Literal, Protocol
from urllib.parse import quote

import msgspec

_BLOCK = 64  # of SHA-256, bytes
KeyType = Literal["hmac", "ed25519", "rsa"]
# In a query, in JSON, and in JSON that is quoted in JSON.
_SENT = re.compile(r"""((?:signature|listenKey)\\*"?\s*[:=]\s*\\*"?)[^&\s"'\\]+""", re.IGNORECASE)
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch  # RFC 3986 unreserved: what quoting leaves as it is


def encode(params: Sequence[tuple[str, str]]) -> str:
    """`a=1&b=2` with percent-encoded UTF-8 values, in the given order. Names are ours and need no encoding."""
    query = values = ""
    for name, value in params:
        values += value
        query += f"&{name}={value}"
    if _PLAIN(values) is None:
        return "&".join([f"{name}={quote(value, safe='')}" for name, value in params])
    return query[1:]


def is_plain(params: Sequence[tuple[str, str]]) -> bool:
    """Whether no value needs quoting, in a URL or in JSON."""
    values = ""
    for _, value in params:
        values += value
    return _PLAIN(values) is not None


def unsaid(text: str, key: str) -> str:
    """What a peer said, without what it may repeat of ours: the API key, signatures, listen keys."""
    return _SENT.sub(r"\1…", text.replace(key, "…") if key else text)


class Credentials(msgspec.Struct, frozen=True):
    """An API key with its HMAC secret, or with its private key as PEM, which `passphrase` opens if it is encrypted;
    never printed."""

    key: str
    secret: str
    kind: KeyType = "hmac"
    passphrase: str = ""

    def signer(self) -> Signer:
        """Raises ValueError, with nothing of the secret in it, where this key signs nothing."""
        return Signer(self.secret, self.kind, self.passphrase)

    def __repr__(self) -> str:
        return "Credentials(...)"


class Part(Protocol):
    """A text whose beginning is known ahead of the moment of signing."""

    def sign(self, tail: str) -> str:
        """The signature of the beginning and `tail`, as the venue wants it in JSON. To be asked once."""
        ...


class _MacPart(msgspec.Struct):
    """By HMAC: the beginning is hashed already."""

    inner: hashlib._Hash
    outer: hashlib._Hash

    def sign(self, tail: str) -> str:
        self.inner.update(tail.encode("ascii"))
        mac = self.outer.copy()
        mac.update(self.inner.digest())
        return mac.hexdigest()


class _KeyPart(msgspec.Struct):
    """By a private key, which signs a whole text."""

    key: Callable[[bytes], bytes]
    head: str

    def sign(self, tail: str) -> str:
        return b64encode(self.key((self.head + tail).encode("ascii"))).decode("ascii")


class Signer:
    """An API secret ready to sign. An HMAC secret is keyed once and copied per request, which saves hashing the key
    each time; the two hashes of RFC 2104 are kept here, since `hmac` takes three times as long for a copy of them.
    Raises ValueError, with nothing of the secret in it. See `Credentials`.
    """

    def __init__(self, secret: str, kind: KeyType = "hmac", passphrase: str = "") -> None:
        self.kind = kind
        key = secret.encode() if kind == "hmac" else b""
        key = (key if len(key) <= _BLOCK else hashlib.sha256(key).digest()).ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in key))
        self._private = None if kind == "hmac" else _private(secret, kind, passphrase)

    def sign(self, query: str, timestamp_ms: int, window_ms: int) -> str:
        """`query` completed by recvWindow, timestamp and signature: to be sent as it is, now."""
        return self.begin(query, window_ms).at(timestamp_ms)

    def begin(self, query: str, window_ms: int) -> Signing:
        """All of a signed query but its timestamp, ahead of the moment of sending."""
        text = f"{query}&recvWindow={window_ms}&timestamp=".removeprefix("&")
        return Signing(self.part(text), text, self._private is not None)

    def part(self, head: str) -> Part:
        """The beginning of a text to sign, ahead of the moment of sending."""
        if self._private is not None:
            return _KeyPart(self._private, head)
        inner = self._inner.copy()
        inner.update(head.encode("ascii"))
        return _MacPart(inner, self._outer)


class Signing(msgspec.Struct):
    """One query, signed up to its timestamp."""

    part: Part
    text: str
    quoted: bool

    def at(self, timestamp_ms: int) -> str:
        """The query completed by timestamp and signature: to be sent as it is, now. To be asked once."""
        stamp = str(timestamp_ms)
        signature = self.part.sign(stamp)
        if self.quoted:
            signature = quote(signature, safe="")
        return f"{self.text}{stamp}&signature={signature}"


def _private(pem: str, kind: KeyType, passphrase: str) -> Callable[[bytes], bytes]:
    """What signs with a private key."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

    try:
        key = serialization.load_pem_private_key(pem.encode(), passphrase.encode() or None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("it is no private key in PEM, or its passphrase is wrong") from None
    if kind == "ed25519" and isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign
    if kind == "rsa" and isinstance(key, rsa.RSAPrivateKey):
        scheme, digest = padding.PKCS1v15(), hashes.SHA256()
        return lambda text: key.sign(text, scheme, digest)
    raise ValueError(f"it is no key of type {kind}")
