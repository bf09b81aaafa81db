"""Key pairs for tests, made once per run: the private key as PEM for the adapter, the public one for the simulator."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from pms.binance.signing import Credentials, KeyType

KEY = "k"
PASSPHRASE = "open sesame"
KINDS: tuple[KeyType, ...] = ("hmac", "ed25519", "rsa")


class Pair(NamedTuple):
    """What the adapter signs with, and what the venue knows of it."""

    credentials: Credentials
    known: str


@cache
def pair(kind: KeyType, passphrase: str = "") -> Pair:
    """An HMAC secret is both at once."""
    if kind == "hmac":
        return Pair(Credentials(KEY, "s"), "s")
    made = ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else rsa.generate_private_key(65_537, 2_048)
    cipher = serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    private = made.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, cipher)
    public = made.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return Pair(Credentials(KEY, private.decode(), kind, passphrase), public.decode())
