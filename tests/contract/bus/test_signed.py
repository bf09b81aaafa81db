"""Signed commands at both doors: who may, once, and no trace of who may not (contract.md, "Authentication")."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pms.bus import auth
from pms.bus.auth import CommandKey
from tests.contract.bus.office import CHASE, Office

DOORS = pytest.mark.parametrize("door", ["stream", "list"])
SECRET = "a secret of some length"
UI = CommandKey(key_id="ui", secret=SECRET, sub_accounts=frozenset(("main",)), roles=frozenset(("trade",)))


def body_of(office: Office, request_id: str, nonce: str = "n-1", **changes: Any) -> bytes:
    told = {"requestId": request_id, "subAccountId": "main", "keyId": "ui", "timestamp": office.now(), "nonce": nonce}
    return json.dumps(told | CHASE | changes).encode()


def signed(office: Office, request_id: str, nonce: str = "n-1", **changes: Any) -> str:
    return auth.sign(SECRET, "chase", body_of(office, request_id, nonce, **changes)).decode()


async def code(office: Office, door: str, request_id: str, raw: str) -> str:
    await office.send("chase", door, raw=raw)
    reply = await office.answer(request_id)
    return str(reply.get("errorCode", ""))


@DOORS
async def test_a_signed_command_is_carried_out_once_and_its_repeat_answered(office: Office, door: str) -> None:
    await office.start(signed_by=(UI,))
    raw = signed(office, "r-1")
    assert await code(office, door, "r-1", raw) == ""
    await office.bed.redis.delete(office.bed.keys.result("r-1"))
    assert await code(office, door, "r-1", raw) == ""
    assert office.desk.began == ["r-1"]


@DOORS
async def test_a_retry_under_a_new_nonce_gets_the_stored_outcome(office: Office, door: str) -> None:
    await office.start(signed_by=(UI,))
    assert await code(office, door, "r-1", signed(office, "r-1")) == ""
    await office.bed.redis.delete(office.bed.keys.result("r-1"))
    assert await code(office, door, "r-1", signed(office, "r-1", "n-2")) == ""
    assert office.desk.began == ["r-1"]


@DOORS
async def test_a_nonce_serves_one_request(office: Office, door: str) -> None:
    await office.start(signed_by=(UI,))
    assert await code(office, door, "r-1", signed(office, "r-1")) == ""
    assert await code(office, door, "r-2", signed(office, "r-2")) == "AUTH_REPLAYED"
    assert office.desk.began == ["r-1"]


@DOORS
async def test_unsigned_wrong_and_late_ones_are_refused_and_their_id_stays_free(office: Office, door: str) -> None:
    await office.start(signed_by=(UI,))
    for raw, expected in (
        (body_of(office, "r-1").decode(), "AUTH_FAILED"),
        (signed(office, "r-1").replace('"BTCUSDT"', '"ETHUSDT"'), "AUTH_FAILED"),
        (signed(office, "r-1", keyId="nobody"), "AUTH_FAILED"),
        (signed(office, "r-1", timestamp=office.now() - auth.WINDOW_MS - 60_000), "AUTH_EXPIRED"),
        (signed(office, "r-1", subAccountId="other"), "NOT_ALLOWED"),
    ):
        assert await code(office, door, "r-1", raw) == expected
        await office.bed.redis.delete(office.bed.keys.result("r-1"))
    assert office.desk.began == []
    assert await code(office, door, "r-1", signed(office, "r-1")) == ""


@DOORS
async def test_a_denial_never_overwrites_a_reply(office: Office, door: str) -> None:
    """Somebody without a key must not make a done command look undone: its sender would do it again."""
    await office.start(signed_by=(UI,))
    assert await code(office, door, "r-1", signed(office, "r-1")) == ""
    await office.send("chase", door, raw=body_of(office, "r-1").decode())
    await office.settled(2)
    assert (await office.answer("r-1"))["success"] is True
    denied = (await office.events())[-1]
    assert (denied["errorCode"], denied["requestId"]) == ("AUTH_FAILED", "r-1")
