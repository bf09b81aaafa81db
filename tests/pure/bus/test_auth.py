"""Who may command (contract.md, "Authentication, optional")."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pms.bus import acceptance, auth
from pms.bus.acceptance import Arrival, Item
from pms.bus.auth import CommandKey, Keyring, Unauthorised
from schemas.commands import decode_command
from schemas.errors import Invalid

NOW = 1_790_000_000_000
SECRET = "a secret of some length"
UI = CommandKey(key_id="ui", secret=SECRET, sub_accounts=frozenset(("main",)), roles=frozenset(("trade",)))
OPS = CommandKey(
    key_id="ops", secret="another secret, longer", sub_accounts=frozenset("*"), roles=frozenset(("admin", "halt"))
)
RING = Keyring((UI, OPS))

TWICE = json.dumps([{"keyId": "a", "secret": "0123456789abcdef", "subAccounts": [], "roles": []}] * 2)


def body_of(key: CommandKey = UI, **changes: Any) -> bytes:
    told = {
        "requestId": "r-1",
        "subAccountId": "main",
        "clientOrderId": "pms-x",
        "keyId": key.key_id,
        "timestamp": NOW,
        "nonce": "n-1",
    }
    return json.dumps({name: value for name, value in (told | changes).items() if value is not None}).encode()


def item_of(kind: str, body: bytes, sub_account: str = "main") -> Item:
    arrival = Arrival(key="pms:commands", type=kind, body=body, entry_id="1-0")
    item = acceptance.identify(arrival, decode_command(kind, body, True), sub_account)
    return msgspec.structs.replace(item, sub_account=sub_account)


def refusal(body: bytes, kind: str = "cancel", sub_account: str = "main", now: int = NOW, ring: Keyring = RING) -> str:
    """The code with which a body is refused, "" where it is taken."""
    if not ring.in_force:
        return ""
    try:
        ring.check(item_of(kind, body, sub_account), now)
    except Unauthorised as error:
        answered = (error.request_id, error.sub_account_id) == ("r-1", sub_account)
        return error.code.value if answered and SECRET not in error.message else f"{error.code}, wrongly told"
    return ""


def test_a_signed_command_is_taken() -> None:
    assert refusal(auth.sign(SECRET, "cancel", body_of())) == ""


def test_without_keys_nothing_needs_a_signature() -> None:
    assert refusal(body_of(keyId=None, nonce=None, timestamp=None), ring=Keyring(())) == ""
    assert not Keyring(()).in_force


@pytest.mark.parametrize("left_out", ["keyId", "timestamp", "nonce"])
def test_a_command_that_lacks_a_part_is_refused(left_out: str) -> None:
    assert refusal(auth.sign(SECRET, "cancel", body_of(**{left_out: None}))) == "AUTH_FAILED"


def test_an_unsigned_command_is_refused() -> None:
    assert refusal(body_of()) == "AUTH_FAILED"


def test_a_signature_of_another_key_another_type_or_another_body_is_refused() -> None:
    assert refusal(auth.sign(OPS.secret, "cancel", body_of())) == "AUTH_FAILED"
    assert refusal(auth.sign(SECRET, "close", body_of())) == "AUTH_FAILED"
    other = auth.sign(SECRET, "cancel", body_of()).replace(b"pms-x", b"pms-y")
    assert refusal(other) == "AUTH_FAILED"
    assert refusal(auth.sign(SECRET, "cancel", body_of(keyId="nobody"))) == "AUTH_FAILED"


def test_a_signature_that_is_not_the_last_field_signs_nothing() -> None:
    signed = auth.sign(SECRET, "cancel", body_of())
    assert refusal(signed[:-1] + b',"maxAgeMs":5}') == "AUTH_FAILED"


@pytest.mark.parametrize("late_ms", [-auth.WINDOW_MS - 1, auth.WINDOW_MS + 1])
def test_a_timestamp_outside_the_window_is_refused(late_ms: int) -> None:
    assert refusal(auth.sign(SECRET, "cancel", body_of()), now=NOW + late_ms) == "AUTH_EXPIRED"
    assert refusal(auth.sign(SECRET, "cancel", body_of()), now=NOW + late_ms // 2) == ""


def test_a_key_acts_for_its_sub_accounts_only() -> None:
    signed = auth.sign(SECRET, "cancel", body_of(subAccountId="other"))
    assert refusal(signed, sub_account="other") == "NOT_ALLOWED"
    assert refusal(signed, sub_account="system") == "NOT_ALLOWED"


@pytest.mark.parametrize(
    ("key", "kind", "fields", "code"),
    [
        (UI, "halt", {"clientOrderId": None}, "NOT_ALLOWED"),
        (UI, "unfreeze", {"clientOrderId": None}, "NOT_ALLOWED"),
        (OPS, "halt", {"clientOrderId": None}, ""),
        (OPS, "unfreeze", {"clientOrderId": None}, ""),
        (OPS, "cancel", {}, "NOT_ALLOWED"),
    ],
)
def test_each_command_needs_its_role(key: CommandKey, kind: str, fields: dict[str, Any], code: str) -> None:
    assert refusal(auth.sign(key.secret, kind, body_of(key, **fields)), kind) == code


@given(at=st.integers(min_value=0), flip=st.integers(min_value=1, max_value=255))
def test_no_changed_byte_goes_through(at: int, flip: int) -> None:
    signed = bytearray(auth.sign(SECRET, "cancel", body_of()))
    signed[at % len(signed)] ^= flip
    try:
        item = item_of("cancel", bytes(signed))
    except Invalid:
        return
    with pytest.raises(Invalid) as refused:
        RING.check(item, NOW)
    assert refused.value.code.value in ("AUTH_FAILED", "AUTH_EXPIRED")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "its JSON"),
        ('[{"keyId":"a"}]', "$[0]"),
        ('[{"keyId":"a","secret":"x","subAccounts":[],"roles":["boss"]}]', "roles"),
        ('[{"keyId":"a","secret":"short","subAccounts":["*"],"roles":["trade"]}]', "secret of a"),
        (
            TWICE,
            "same keyId",
        ),
    ],
)
def test_keys_that_can_not_be_meant_are_refused_without_being_shown(text: str, told: str) -> None:
    with pytest.raises(ValueError) as refused:
        auth.parse(text)
    assert told in str(refused.value)
    assert "0123456789abcdef" not in str(refused.value)


def test_keys_are_read_and_never_printed() -> None:
    (key,) = auth.parse('[{"keyId":"a","secret":"0123456789abcdef","subAccounts":["main"],"roles":["trade","halt"]}]')
    assert key.roles == {"trade", "halt"}
    assert "0123456789abcdef" not in repr(key)
