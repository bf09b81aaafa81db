"""Parameter strings and their signature: HMAC-SHA256, Ed25519 or RSA (binance.md 2). Pure: the time to sign comes from
the caller.

Owns the form of a signed query. Percent-encode first, then sign exactly the text that is sent; `signature` goes last,
percent-encoded itself. Refuses to read key files: a private key is given as PEM text.
"""

from __future__ import annotations

import hmac
import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import Literal, Protocol
from urllib.parse import quote

import msgspec

KeyType = Literal["hmac", "ed25519", "rsa"]
# In a query, in JSON, and in JSON that is quoted in JSON.
_SENT = re.compile(r"""((?:signature|listenKey)\\*"?\s*[:=]\s*\\*"?)[^&\s"'\\]+""", re.IGNORECASE)
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch  # RFC 3986 unreserved: what quoting leaves as it is


def encode(params: Sequence[tuple[str, str]]) -> str:
    """`a=1&b=2` with percent-encoded UTF-8 values, in the given order. Names are ours and need no encoding."""
    if not is_plain(params):
        params = [(name, quote(value, safe="")) for name, value in params]
    return "&".join([f"{name}={value}" for name, value in params])


def is_plain(params: Sequence[tuple[str, str]]) -> bool:
    """Whether no value needs quoting, in a URL or in JSON."""
    return _PLAIN("".join([value for _, value in params])) is not None


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


class _MacPart:
    """By HMAC: the beginning is hashed already."""

    __slots__ = ("_mac",)

    def __init__(self, mac: hmac.HMAC) -> None:
        self._mac = mac

    def sign(self, tail: str) -> str:
        self._mac.update(tail.encode("ascii"))
        return self._mac.hexdigest()


class _KeyPart:
    """By a private key, which signs a whole text."""

    __slots__ = ("_head", "_sign")

    def __init__(self, sign: Callable[[bytes], bytes], head: str) -> None:
        self._sign = sign
        self._head = head

    def sign(self, tail: str) -> str:
        return b64encode(self._sign((self._head + tail).encode("ascii"))).decode("ascii")


class Signer:
    """An API secret ready to sign. An HMAC secret is keyed once and copied per request, which saves hashing the key
    each time. Raises ValueError, with nothing of the secret in it. See `Credentials`.
    """

    def __init__(self, secret: str, kind: KeyType = "hmac", passphrase: str = "") -> None:
        self.kind = kind
        self._keyed = hmac.new(secret.encode() if kind == "hmac" else b"", digestmod="sha256")
        self._private = None if kind == "hmac" else _private(secret, kind, passphrase)

    def sign(self, query: str, timestamp_ms: int, window_ms: int) -> str:
        """`query` completed by recvWindow, timestamp and signature: to be sent as it is, now."""
        return self.begin(query, window_ms).at(timestamp_ms)

    def begin(self, query: str, window_ms: int) -> Signing:
        """All of a signed query but its timestamp, ahead of the moment of sending."""
        text = f"{query}&recvWindow={window_ms}&timestamp=".removeprefix("&")
        return Signing(self.part(text), text, quoted=self._private is not None)

    def part(self, head: str) -> Part:
        """The beginning of a text to sign, ahead of the moment of sending."""
        if self._private is not None:
            return _KeyPart(self._private, head)
        mac = self._keyed.copy()
        mac.update(head.encode("ascii"))
        return _MacPart(mac)


class Signing:
    """One query, signed up to its timestamp."""

    __slots__ = ("_part", "_quoted", "_text")

    def __init__(self, part: Part, text: str, quoted: bool) -> None:
        self._part = part
        self._text = text
        self._quoted = quoted

    def at(self, timestamp_ms: int) -> str:
        """The query completed by timestamp and signature: to be sent as it is, now. To be asked once."""
        stamp = str(timestamp_ms)
        signature = self._part.sign(stamp)
        if self._quoted:
            signature = quote(signature, safe="")
        return f"{self._text}{stamp}&signature={signature}"


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
