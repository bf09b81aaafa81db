"""Whose key signed a command, and what that key may do (contract.md, "Authentication, optional").

A command carries keyId, timestamp and nonce, and as the very last
field of its body the signature: HMAC-SHA256, lower-case hex, under the key's secret, over
`{type}\\n{body without the signature field}`. The bytes are signed as they are sent, so that no two programs need to
agree on how JSON is written. Refuses to know Redis: whether a nonce was used before is asked elsewhere.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import Literal

import msgspec

from pms.bus.acceptance import Item
from schemas.commands import PRIVILEGED
from schemas.errors import ErrorCode, Invalid

Role = Literal["trade", "admin", "halt"]

SECRET_MIN_CHARS = 16  # a shorter one can be guessed from one signed command
WINDOW_MS = 5 * 60_000  # a timestamp further away is refused; nonces are kept for twice that
EVERY = "*"  # as a sub-account: all of them, and what concerns no single one
_TAIL = re.compile(rb',\s*"signature"\s*:\s*"([0-9a-f]{64})"\s*\}\s*$')


class Unauthorised(Invalid):
    """A command that nobody with the right to it has sent. It leaves no trace that a rightful one stumbles over."""


class CommandKey(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One key: who may sign, for which sub-accounts, in which roles. Never printed."""

    key_id: str
    secret: str
    sub_accounts: frozenset[str]
    roles: frozenset[Role]

    def __repr__(self) -> str:
        return f"CommandKey({self.key_id})"


def parse(text: str) -> tuple[CommandKey, ...]:
    """The keys of a setting: a JSON list of {keyId, secret, subAccounts, roles}. Raises ValueError, with nothing of the
    text in it."""
    try:
        keys = msgspec.json.decode(text, type=tuple[CommandKey, ...])
    except msgspec.MsgspecError as error:
        where = str(error).partition(" - at ")[2] or "its JSON"
        raise ValueError(f"it can't be read at {where}") from None
    if len({key.key_id for key in keys}) < len(keys):
        raise ValueError("two keys have the same keyId")
    if short := next((key.key_id for key in keys if len(key.secret) < SECRET_MIN_CHARS), None):
        raise ValueError(f"the secret of {short} has less than {SECRET_MIN_CHARS} characters")
    return keys


def signed_part(body: bytes) -> tuple[bytes, str]:
    """What was signed of a body, and the signature; "" as the signature where none stands at its end."""
    found = _TAIL.search(body)
    if found is None:
        return body, ""
    return body[: found.start()] + b"}", found[1].decode()


def sign(secret: str, command_type: str, body: bytes) -> bytes:
    """A body (a JSON object with keyId, timestamp and nonce in it) with its signature, as a client would make it."""
    signature = _signature(secret, command_type, body)
    return body.rstrip().removesuffix(b"}") + b',"signature":"' + signature.encode() + b'"}'


def _signature(secret: str, command_type: str, signed: bytes) -> str:
    return hmac.new(secret.encode(), command_type.encode() + b"\n" + signed, hashlib.sha256).hexdigest()


class Keyring:
    """The keys; without any, none is `in_force`, and every command is taken unsigned."""

    def __init__(self, keys: Iterable[CommandKey]) -> None:
        self._keys = {key.key_id: key for key in keys}
        self.in_force = bool(self._keys)

    def check(self, item: Item, now: int) -> None:
        """Raises `Unauthorised`: AUTH_FAILED (unsigned, unknown key, wrong signature), AUTH_EXPIRED, NOT_ALLOWED (a
        role or a sub-account that the key does not have). `now` is Unix ms."""
        try:
            self._check(item, now)
        except Unauthorised as error:
            error.request_id, error.sub_account_id = item.request_id, item.sub_account
            raise

    def _check(self, item: Item, now: int) -> None:
        envelope, command_type = item.envelope, item.command.type
        key = self._keys.get(envelope.key_id or "")
        signed, signature = signed_part(item.arrival.body)
        if key is None or not signature or envelope.nonce is None or envelope.timestamp is None:
            message = (
                "commands must be signed here: keyId of a known key, timestamp, nonce, and signature as the last field."
            )
            raise Unauthorised(ErrorCode.AUTH_FAILED, f"{message} Nothing was done.")
        if not hmac.compare_digest(signature, _signature(key.secret, command_type, signed)):
            message = "the signature does not fit the body; sign the bytes that are sent. Nothing was done."
            raise Unauthorised(ErrorCode.AUTH_FAILED, message, path="signature")
        age = now - envelope.timestamp
        if abs(age) > WINDOW_MS:
            message = f"the timestamp is {age} ms old, beyond {WINDOW_MS} ms; nothing was done. Set the sender's clock."
            raise Unauthorised(ErrorCode.AUTH_EXPIRED, message, path="timestamp", ageMs=age)
        _check_rights(key, command_type, item.sub_account)


def _check_rights(key: CommandKey, command_type: str, sub_account: str) -> None:
    role: Role = "admin" if command_type in PRIVILEGED else "halt" if command_type == "halt" else "trade"
    if role not in key.roles:
        message = f"key {key.key_id} does not have the role {role}, which {command_type} needs; nothing was done."
        raise Unauthorised(ErrorCode.NOT_ALLOWED, message, path="keyId", role=role)
    if EVERY not in key.sub_accounts and sub_account not in key.sub_accounts:
        message = f"key {key.key_id} may not act for {sub_account}; nothing was done."
        raise Unauthorised(ErrorCode.NOT_ALLOWED, message, path="subAccountId")
