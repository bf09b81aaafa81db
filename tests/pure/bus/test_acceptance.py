"""The rules of acceptance as pure functions: identity, age, doors, and what a sweep answers for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pms.bus import acceptance
from pms.bus.acceptance import ADDING, Arrival, Item
from schemas.commands import COMMANDS, PRIVILEGED, REDUCING, decode_command
from schemas.errors import ErrorCode, Invalid

NOW = 1_800_000_000_000
CHASE: dict[str, Any] = {"subAccountId": "main", "symbol": "BTCUSDT", "side": "BUY", "quantity": 1}


def item(
    kind: str = "chase", entry: str = "", key: str = "k", early: bool = False, owner: str = "", **body: Any
) -> Item:
    given = {"requestId": "r", **(CHASE if kind == "chase" else {}), **body}
    text = json.dumps({name: value for name, value in given.items() if value is not None}).encode()
    arrival = Arrival(key=key, type=kind, body=text, entry_id=entry, early=early)
    return acceptance.identify(arrival, decode_command(kind, text, True), owner)


def refused(check: Any, *given: Any) -> ErrorCode | None:
    try:
        check(*given)
    except Invalid as error:
        return error.code
    return None


@pytest.mark.parametrize(
    "body, entry, redis_ahead, code",
    [
        ({"issuedAt": NOW - 30_000}, "", 0, None),
        ({"issuedAt": NOW - 30_001}, "", 0, ErrorCode.STALE_COMMAND),
        ({"issuedAt": NOW + 5_000}, "", 0, None),
        ({"issuedAt": NOW + 5_001}, "", 0, ErrorCode.STALE_COMMAND),
        ({"issuedAt": NOW - 900, "maxAgeMs": 1_000}, "", 0, None),
        ({"issuedAt": NOW - 1_001, "maxAgeMs": 1_000}, "", 0, ErrorCode.STALE_COMMAND),
        ({}, f"{NOW - 30_000}-0", 0, None),
        ({}, f"{NOW - 30_001}-5", 0, ErrorCode.STALE_COMMAND),
        ({}, f"{NOW + 60_000}-0", 60_000, None),
        ({"issuedAt": NOW}, f"{NOW - 99_000}-0", 0, None),
        ({}, "", 0, None),
    ],
)
def test_a_command_is_neither_too_old_nor_from_the_future(body, entry, redis_ahead, code) -> None:
    assert refused(acceptance.check_age, item(entry=entry, **body), lambda: NOW, lambda: NOW + redis_ahead) == code


@pytest.mark.parametrize("kind, code", [("chase", ErrorCode.STALE_COMMAND), ("cancel_all", None), ("close_all", None)])
def test_an_early_list_entry_of_no_known_age_is_refused_unless_it_reduces_risk(kind, code) -> None:
    assert refused(acceptance.check_age, item(kind, early=True, subAccountId="main"), lambda: NOW, lambda: NOW) == code


def test_a_request_id_may_be_missing_only_where_risk_is_reduced_or_the_entry_names_itself() -> None:
    assert item("cancel_all", requestId=None, subAccountId="main").request_id == ""
    assert item(entry="17-3", requestId=None).request_id == "17-3"
    with pytest.raises(Invalid, match="requestId"):
        item(requestId=None)


def test_who_is_meant_is_said_or_follows_from_an_id_or_is_the_system() -> None:
    assert item(subAccountId="a", owner="b").sub_account == "a"
    assert item("chase_cancel", chaseId="c", owner="b").sub_account == "b"
    assert item("chase_cancel", chaseId="c").sub_account == "system"


def test_two_bodies_are_the_same_command_when_only_their_envelopes_differ() -> None:
    assert item(issuedAt=NOW).digest == item(issuedAt=NOW + 9, requestId="other").digest
    assert item().digest == item(quantity="1").digest
    assert item().digest != item(quantity=2).digest
    assert item().digest != item(subAccountId="other").digest


def test_privileged_commands_pass_the_admin_door_always_and_the_ordinary_one_where_allowed() -> None:
    resume = item("resume", scope="all")
    assert refused(acceptance.check_door, resume) is ErrorCode.NOT_ALLOWED
    assert refused(acceptance.check_door, item()) is None


def test_the_sets_of_commands_do_not_contradict_each_other() -> None:
    assert set(COMMANDS) >= ADDING
    assert not ADDING & REDUCING
    assert {"resume", "unfreeze"} == ADDING & PRIVILEGED


@pytest.mark.parametrize(
    "waiting, sweep, answered",
    [
        ({}, {}, True),
        ({"reduceOnly": True}, {}, False),
        ({"kind": "chase_cancel", "chaseId": "c"}, {}, False),
        ({"subAccountId": "other"}, {}, False),
        ({"subAccountId": "other"}, {"kind": "halt", "scope": "all"}, True),
        ({}, {"symbol": "BTCUSDT"}, True),
        ({}, {"symbol": "ETHUSDT"}, False),
        ({"issuedAt": NOW}, {"issuedAt": NOW}, True),
        ({"issuedAt": NOW + 1}, {"issuedAt": NOW}, False),
        ({"issuedAt": NOW - 1}, {"issuedAt": NOW}, True),
        ({"entry": "5-1"}, {"entry": "5-0"}, False),
        ({"entry": "5-0"}, {"entry": "5-1"}, True),
        ({"entry": "10-0"}, {"entry": "9-5"}, False),
        ({"entry": "9-5", "key": "a"}, {"entry": "9-0", "key": "b"}, True),
        ({"entry": "10-0", "key": "a"}, {"entry": "9-0", "key": "b"}, False),
        ({}, {"entry": "9-0"}, True),
    ],
)
def test_a_sweep_answers_for_what_adds_risk_in_its_scope_and_is_not_shown_to_be_later(waiting, sweep, answered) -> None:
    sweeping = {"kind": "cancel_all", "subAccountId": "main", **sweep}
    assert acceptance.superseded(item(**waiting), item(**sweeping)) is answered
