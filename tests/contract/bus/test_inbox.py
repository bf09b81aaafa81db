"""Both doors to the stored outcome: acceptance, order, repeats, sweeps, and what a dead daemon left."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from pms.bus import acceptance
from pms.bus.acceptance import Arrival
from pms.bus.batch import Batch
from pms.bus.outcomes import Asked, Outcomes
from schemas.commands import decode_command
from schemas.errors import ErrorCode, Failure, Invalid
from schemas.replies import Success
from tests.contract.bus.office import CHASE, Office

DOORS = pytest.mark.parametrize("door", ["stream", "list"])
NOW = "now"

# what is sent, over which door ("both"), and the code of the refusal ("" where it is carried out)
TABLE: list[tuple[str, str, dict[str, Any], str]] = [
    ("chase", "both", CHASE, ""),
    ("chase", "both", {**CHASE, "quantity": "1.5"}, ""),
    ("chase", "both", {**CHASE, "side": "long", "symbol": "btc/usdt:usdt"}, ""),
    ("chase_cancel", "both", {"chaseId": "c1"}, ""),
    ("chase", "both", {**CHASE, "issuedAt": NOW}, ""),
    ("chase", "both", {**CHASE, "issuedAt": (NOW, -29_000)}, ""),
    ("chase", "both", {**CHASE, "issuedAt": (NOW, -31_000)}, "STALE_COMMAND"),
    ("chase", "both", {**CHASE, "issuedAt": (NOW, -2_000), "maxAgeMs": 1_000}, "STALE_COMMAND"),
    ("chase", "both", {**CHASE, "issuedAt": (NOW, 4_000)}, ""),
    ("chase", "both", {**CHASE, "issuedAt": (NOW, 6_000)}, "STALE_COMMAND"),
    ("chase_cancel", "both", {"chaseId": "c1", "issuedAt": (NOW, -31_000)}, "STALE_COMMAND"),
    ("chase", "both", {**CHASE, "quantity": 0}, "INVALID_FIELD"),
    ("chase", "both", {**CHASE, "quantity": -1}, "INVALID_FIELD"),
    ("chase", "both", {**CHASE, "quantity": "1e5"}, "INVALID_FIELD"),
    ("chase", "both", {**CHASE, "reduceOnly": "false"}, "INVALID_FIELD"),
    ("chase", "both", {**CHASE, "side": "UP"}, "INVALID_FIELD"),
    ("chase", "both", {"symbol": "BTCUSDT", "side": "BUY"}, "MISSING_FIELD"),
    ("chase", "stream", {**CHASE, "colour": "red"}, "UNKNOWN_FIELD"),
    ("chase", "list", {**CHASE, "colour": "red"}, ""),
    ("chase", "both", {"raw": '{"requestId":"%s","side":'}, "dead"),
    ("chase", "both", {"raw": "[1,2]"}, "dead"),
    ("stop", "both", {"positionId": "main:BTCUSDT:1", "triggerPrice": 60000}, ""),
    ("halt", "both", {"scope": "all"}, ""),
    ("unfreeze", "both", {}, ""),
    ("no_such", "stream", CHASE, "UNKNOWN_COMMAND"),
]
CASES = [
    (kind, door, body, code)
    for kind, doors, body, code in TABLE
    for door in ("stream", "list")
    if doors in ("both", door)
]


@pytest.mark.parametrize("kind, door, body, code", CASES)
async def test_the_rules_of_acceptance(office, kind, door, body, code) -> None:
    await office.start()
    body = dict(body)
    if "issuedAt" in body:
        issued = body["issuedAt"]
        body["issuedAt"] = office.now() + (issued[1] if isinstance(issued, tuple) else 0)
    if code == "dead":
        await office.send(kind, door, **body)
        await office.settled(1)
        letter = json.loads(await office.bed.redis.lindex(office.bed.keys.dead, 0))
        assert letter["reason"].startswith("MALFORMED")
        assert letter["body"] == body["raw"]
        assert office.desk.done == []
        return
    told = await office.ask(kind, door, **body)
    assert told.get("errorCode", "") == code
    assert told["success"] == (code == "")
    assert len(office.desk.done) == (code == "")
    if code == "" and "colour" in body:
        assert told["details"]["ignored"] == ["colour"]


async def test_issued_at_is_judged_by_the_venues_clock_and_entries_by_redis_clock(office) -> None:
    await office.start()
    office.venue_ms = 40_000
    assert (await office.ask("chase", "stream", **CHASE))["success"] is True
    told = await office.ask("chase", "stream", **CHASE, issuedAt=office.bed.clock.now_ms())
    assert told["errorCode"] == "STALE_COMMAND"
    assert (await office.ask("chase", "stream", **CHASE, issuedAt=office.now()))["success"] is True


async def test_privileged_commands_are_kept_to_their_door_where_it_is_asked(office) -> None:
    await office.start(admin_only=True)
    for door in ("stream", "list"):
        assert (await office.ask("unfreeze", door))["errorCode"] == "NOT_ALLOWED"
        assert (await office.ask("unfreeze", door, admin=True))["success"] is True


async def test_a_request_id_is_needed_on_the_list_door_but_not_to_reduce_risk(office) -> None:
    await office.start()
    await office.send("chase", "list", **CHASE)
    await office.settled(1)
    assert (await office.events())[0]["errorCode"] == "MISSING_FIELD"
    assert await office.bed.redis.llen(office.bed.keys.dead) == 1
    await office.send("chase_cancel", "list", chaseId="c1")
    await office.settled(2)
    assert [kind for _, kind, _ in office.desk.done] == ["chase_cancel"]


async def test_on_the_stream_the_entry_id_stands_in_for_a_missing_request_id(office) -> None:
    await office.start()
    entry = await office.send("chase", "stream", **CHASE)
    assert (await office.answer(entry))["success"] is True
    assert await office.bed.redis.exists(office.bed.keys.request("main", entry)) == 1


async def test_lists_of_unknown_names_are_found_and_answered(office) -> None:
    await office.send("grow", "list", requestId="r-x", **CHASE)
    await office.start()
    assert (await office.answer("r-x"))["errorCode"] == "UNKNOWN_COMMAND"
    assert await office.bed.redis.exists(office.bed.keys.command_list("grow")) == 0


@DOORS
async def test_a_repeat_gets_the_stored_outcome_and_executes_nothing(office, door) -> None:
    await office.start()
    first = await office.ask("chase", door, requestId="same", **CHASE)
    await office.bed.redis.delete(office.bed.keys.result("same"))
    again = await office.ask("chase", "list" if door == "stream" else "stream", requestId="same", **CHASE)
    assert again == first
    assert len(office.desk.done) == 1
    assert len(await office.events()) == 1
    assert 290_000 < await office.bed.redis.pttl(office.bed.keys.result("same")) <= 300_000


async def test_a_repeat_that_says_a_new_issued_at_is_the_same_command(office) -> None:
    await office.start()
    for ago in (2_000, 1_000):
        await office.ask("chase", "list", requestId="same", issuedAt=office.now() - ago, **CHASE)
    assert len(office.desk.done) == 1


async def test_a_repeat_while_the_first_runs_waits_for_its_outcome(office) -> None:
    await office.start()
    office.desk.gates["main"] = asyncio.Event()
    for door in ("stream", "list", "stream"):
        await office.send("chase", door, requestId="same", **CHASE)
    await office.begun("same")
    office.desk.gates["main"].set()
    assert (await office.answer("same"))["success"] is True
    await office.desk.store.flushed()
    assert office.desk.began == ["same"]
    assert len(await office.events()) == 1


async def test_the_same_id_with_another_body_is_refused(office) -> None:
    await office.start()
    await office.ask("chase", "stream", requestId="same", **CHASE)
    await office.send("chase", "stream", requestId="same", **{**CHASE, "quantity": 2})
    await office.settled(2)
    assert (await office.answer("same"))["errorCode"] == "REQUEST_ID_REUSED"
    assert len(office.desk.done) == 1


async def test_a_command_that_claims_first_is_not_looked_up_and_a_repeat_is_found_by_its_claim(office) -> None:
    await office.start()
    office.desk.first = True
    first = await office.ask("chase", "list", requestId="same", **CHASE)
    office.inbox._recent.clear()  # as after a restart
    await office.bed.redis.delete(office.bed.keys.result("same"))
    assert await office.ask("chase", "list", requestId="same", **CHASE) == first
    assert len(office.desk.done) == 1
    assert len(await office.events("chase_started")) == 1


async def test_a_repeat_that_would_now_be_refused_for_a_while_gets_what_was_answered_first(office) -> None:
    await office.start()
    office.desk.first = True
    first = await office.ask("chase", "list", requestId="same", **CHASE)
    office.inbox._recent.clear()
    await office.bed.redis.delete(office.bed.keys.result("same"))
    office.desk.reply = Invalid(ErrorCode.NOT_READY, "not now")
    assert await office.ask("chase", "list", requestId="same", **CHASE) == first


async def test_a_claim_under_another_sub_accounts_result_does_nothing(office) -> None:
    await office.start()
    office.desk.first = True
    first = await office.ask("chase", "list", requestId="same", **CHASE)
    await office.send("chase", "list", requestId="same", **{**CHASE, "subAccountId": "other"})
    await office.settled(2)
    assert (await office.events())[-1]["errorCode"] == "REQUEST_ID_REUSED"
    assert len(await office.events("chase_started")) == 1
    assert await office.answer("same") == first


async def test_another_sub_accounts_result_under_the_same_id_refuses_and_is_left_alone(office) -> None:
    await office.start()
    first = await office.ask("chase", "stream", requestId="same", **CHASE)
    await office.send("chase", "stream", requestId="same", **{**CHASE, "subAccountId": "other"})
    await office.settled(2)
    assert (await office.events())[-1]["errorCode"] == "REQUEST_ID_REUSED"
    assert await office.answer("same") == first
    assert len(office.desk.done) == 1


async def test_what_was_certainly_not_done_is_answered_but_not_stored(office) -> None:
    await office.start()
    office.desk.reply = Failure.of(ErrorCode.RATE_LIMITED, "no budget now.")
    told = await office.ask("chase", "stream", requestId="same", **CHASE)
    assert (told["errorCode"], told["retryable"]) == ("RATE_LIMITED", True)
    assert await office.bed.redis.exists(office.bed.keys.request("main", "same")) == 0
    office.desk.reply = Success()
    await office.bed.redis.delete(office.bed.keys.result("same"))
    assert (await office.ask("chase", "stream", requestId="same", **CHASE))["success"] is True


async def test_a_command_that_did_not_use_its_claim_is_claimed_with_its_outcome(office) -> None:
    await office.start()
    office.desk.claims = False
    await office.ask("chase", "stream", requestId="same", **CHASE)
    stored = json.loads(await office.bed.redis.get(office.bed.keys.request("main", "same")))
    assert stored["outcome"] == {"success": True}
    assert stored["commandType"] == "chase"


@pytest.mark.parametrize(
    "raised, code",
    [(Invalid(ErrorCode.ALGO_NOT_FOUND, "none."), "ALGO_NOT_FOUND"), (KeyError("ours"), "OUTCOME_UNKNOWN")],
)
async def test_what_the_executor_raises_is_answered(office, raised, code) -> None:
    await office.start()
    office.desk.reply = raised
    assert (await office.ask("chase", "list", **CHASE))["errorCode"] == code


@pytest.mark.crash
@DOORS
async def test_a_request_accepted_by_a_dead_daemon_is_told_what_became_of_it(office, door) -> None:
    await office.start()
    office.desk.gates["main"] = asyncio.Event()
    for request_id, chase in (("lost", "c0"), ("begun", "c1")):
        body = json.dumps({"subAccountId": "main", "requestId": request_id, **CHASE}).encode()
        await _accepted_by_the_dead(office, request_id, chase, body)
    office.desk.started_before["c1"] = Success()
    assert (await office.ask("chase", door, requestId="lost", **CHASE))["errorCode"] == "NOT_EXECUTED"
    assert (await office.ask("chase", door, requestId="begun", **CHASE))["success"] is True
    assert office.desk.began == []
    stored = json.loads(await office.bed.redis.get(office.bed.keys.request("main", "lost")))
    assert stored["outcome"]["errorCode"] == "NOT_EXECUTED"
    assert stored["ids"] == {"chase": "c0"}


@pytest.mark.parametrize("door", ["stream", "list"])
async def test_what_takes_long_to_be_found_out_after_a_restart_is_answered_twice(office, door) -> None:
    await office.start()
    body = json.dumps({"subAccountId": "main", "requestId": "begun", **CHASE}).encode()
    await _accepted_by_the_dead(office, "begun", "c1", body)
    office.desk.gates["c1"] = asyncio.Event()
    office.desk.meanwhile["c1"] = Success(details={"state": "unknown"})
    office.desk.started_before["c1"] = Failure.of(ErrorCode.NOT_EXECUTED, "never arrived")
    first = await office.ask("chase", door, requestId="begun", **CHASE)
    assert (first["success"], first["details"]) == (True, {"state": "unknown"})
    stored = json.loads(await office.bed.redis.get(office.bed.keys.request("main", "begun")))
    assert not stored["outcome"], "not final yet"
    await office.bed.redis.delete(office.bed.keys.result("begun"))
    office.desk.gates["c1"].set()
    assert (await office.answer("begun"))["errorCode"] == "NOT_EXECUTED"


async def _accepted_by_the_dead(office: Office, request_id: str, chase: str, body: bytes) -> None:
    """A claim as a daemon leaves it that dies right after."""
    item = acceptance.identify(Arrival(key="k", type="chase", body=body), decode_command("chase", body, True), "")
    asked = Asked(command_type="chase", request_id=request_id, sub_account="main", digest=item.digest, at=1)
    claim = Outcomes(office.bed.keys).claim(asked, {"chase": chase})
    await office.desk.store.commit(Batch(claim=claim))


@pytest.mark.crash
async def test_what_a_dead_daemon_had_read_and_not_finished_is_done_by_the_next(office) -> None:
    keys, redis = office.bed.keys, office.bed.redis
    await redis.xgroup_create(keys.commands, "daemon", id="0", mkstream=True)
    for n in range(3):
        await office.send("chase", "stream", requestId=f"p-{n}", **CHASE)
    await redis.xreadgroup("daemon", "the dead one", {keys.commands: ">"}, count=2)
    await office.start()
    await office.settled(3)
    assert [request_id for _, _, request_id in office.desk.done] == ["p-0", "p-1", "p-2"]
    await office.all_acknowledged()
    assert (await redis.xpending(keys.commands, "daemon"))["pending"] == 0


async def test_a_lost_group_is_made_again_and_nothing_in_the_stream_is_lost(office) -> None:
    await office.start()
    await office.ask("chase", "stream", **CHASE)
    await office.bed.redis.xgroup_destroy(office.bed.keys.commands, "daemon")
    assert (await office.ask("chase", "stream", **CHASE))["success"] is True


async def test_an_entry_is_acknowledged_only_after_its_outcome_is_stored(office) -> None:
    await office.start()
    office.desk.gates["main"] = asyncio.Event()
    await office.send("chase", "stream", requestId="r", **CHASE)
    await office.begun("r")
    pending = await office.bed.redis.xpending(office.bed.keys.commands, "daemon")
    assert pending["pending"] == 1
    office.desk.gates["main"].set()
    await office.answer("r")
    await office.all_acknowledged()


@DOORS
async def test_a_sub_accounts_commands_run_in_arrival_order_and_hold_up_nobody_else(office, door) -> None:
    await office.start()
    office.desk.gates["slow"] = asyncio.Event()
    for n in range(50):
        for account in ("slow", "quick", "brisk"):
            await office.send("chase", door, requestId=f"{account}-{n}", **{**CHASE, "subAccountId": account})
    await office.settled(100)
    assert office.desk.began.count("slow-0") == 1
    assert not any(account == "slow" for account, _, _ in office.desk.done)
    office.desk.gates["slow"].set()
    await office.settled(150)
    for account in ("slow", "quick", "brisk"):
        ran = [request_id for name, _, request_id in office.desk.done if name == account]
        assert ran == [f"{account}-{n}" for n in range(50)]


@DOORS
async def test_a_cancel_overtakes_what_waits(office, door) -> None:
    await office.start()
    office.desk.gates["main"] = asyncio.Event()
    for n in range(3):
        await office.send("chase", door, requestId=f"c-{n}", **CHASE)
    await office.send("chase_cancel", door, requestId="x", chaseId="c1", subAccountId="main")
    await office.begun("x")
    assert office.desk.began == ["c-0", "x"]
    office.desk.gates["main"].set()
    await office.settled(4)


@DOORS
async def test_cancel_all_answers_what_still_waits_in_its_scope_superseded(office, door) -> None:
    await office.start()
    office.desk.gates["main"] = asyncio.Event()
    for n in range(4):
        await office.send("chase", door, requestId=f"c-{n}", **CHASE)
    await office.send("chase", door, requestId="eth", **{**CHASE, "symbol": "ETHUSDT"})
    await office.send("chase", door, requestId="exit", **CHASE, reduceOnly=True)
    await office.send("chase", door, requestId="other", **{**CHASE, "subAccountId": "other"})
    await office.send("cancel_all", door, requestId="sweep", symbol="BTCUSDT")
    for n in (1, 2, 3):
        assert (await office.answer(f"c-{n}"))["errorCode"] == "SUPERSEDED"
    assert (await office.answer("other"))["success"] is True
    office.desk.gates["main"].set()
    told = await office.answer("c-0")
    assert told["errorCode"] == "SUPERSEDED", "it was being carried out and had not come to its first step"
    for name in ("eth", "exit", "sweep"):
        assert (await office.answer(name))["success"] is True


async def test_a_later_entry_of_the_same_stream_survives_a_sweep_and_one_that_cannot_be_shown_later_does_not(
    office,
) -> None:
    keys = office.bed.keys
    sweep = json.dumps({"requestId": "sweep", "subAccountId": "main"})
    after = json.dumps({"requestId": "after", "subAccountId": "main", **CHASE})
    doubtful = json.dumps({"requestId": "doubtful", "subAccountId": "main", **CHASE})
    async with office.bed.redis.pipeline() as together:
        together.xadd(keys.commands, {"type": "cancel_all", "body": sweep})
        together.xadd(keys.commands, {"type": "chase", "body": after})
        await together.execute()
    await office.start()
    assert (await office.answer("after"))["success"] is True
    await office.answer("sweep")
    office.desk.gates["main"] = asyncio.Event()
    await office.send("chase", "stream", requestId="first", **CHASE)
    await office.begun("first")
    await office.bed.redis.lpush(keys.command_list("chase"), doubtful)
    await office.all_read()
    await office.send("cancel_all", "stream", requestId="sweep-2")
    assert (await office.answer("doubtful"))["errorCode"] == "SUPERSEDED"
    office.desk.gates["main"].set()
    await office.answer("first")


async def test_what_lay_in_a_list_at_the_start_without_an_age_is_refused_unless_it_reduces_risk(office) -> None:
    await office.send("chase", "list", requestId="old", **CHASE)
    await office.send("chase", "list", requestId="dated", issuedAt=office.now(), **CHASE)
    await office.send("chase_cancel", "list", requestId="cancel", chaseId="c1")
    await office.start()
    assert (await office.answer("old"))["errorCode"] == "STALE_COMMAND"
    assert (await office.answer("dated"))["success"] is True
    assert (await office.answer("cancel"))["success"] is True
    assert (await office.ask("chase", "list", **CHASE))["success"] is True


async def test_a_slow_outcome_is_answered_meanwhile_and_then_truly(office, monkeypatch) -> None:
    monkeypatch.setattr("pms.bus.inbox.REPLY_S", 0.05)
    await office.start()
    office.desk.gates["main"] = asyncio.Event()
    told = await office.ask("chase", "list", requestId="r", **CHASE)
    assert told["errorCode"] == "REPLY_TIMEOUT"
    assert await office.events() == []
    await office.bed.redis.delete(office.bed.keys.result("r"))
    office.desk.gates["main"].set()
    assert (await office.answer("r"))["success"] is True
    assert len(await office.events()) == 1


async def test_before_open_and_after_close_nothing_is_read(office) -> None:
    await office.send("chase", "stream", requestId="a", **CHASE)
    await office.start()
    await office.answer("a")
    await office.inbox.close()
    await office.send("chase", "list", requestId="b", **CHASE)
    await office.send("chase", "stream", requestId="c", **CHASE)
    for _ in range(20):  # a reader that still ran would have had its turn
        await office.bed.redis.ping()
    assert await office.bed.redis.llen(office.bed.keys.command_list("chase")) == 1
    assert (await office.bed.redis.xinfo_groups(office.bed.keys.commands))[0]["pending"] == 0
    assert len(office.desk.done) == 1


async def test_what_waits_at_closing_is_told_that_the_daemon_stops(office) -> None:
    await office.start()
    office.desk.gates["main"] = asyncio.Event()
    for n in range(3):
        await office.send("chase", "list", requestId=f"l-{n}", **CHASE)
    await office.all_read()
    await office.inbox.close()
    for n in (1, 2):
        assert (await office.answer(f"l-{n}"))["errorCode"] == "SHUTTING_DOWN"
    office.desk.gates["main"].set()
    assert (await office.answer("l-0"))["success"] is True


async def test_the_reply_says_whose_it_is_and_the_event_carries_the_same_fields(office) -> None:
    await office.start()
    told = await office.ask("chase", "stream", requestId="r", **{**CHASE, "quantity": 0})
    (event,) = await office.events()
    assert told.pop("subAccountId") == "main"
    assert {name: event[name] for name in told} == told
    assert (event["commandType"], event["requestId"], event["subAccountId"]) == ("chase", "r", "main")


async def test_a_sweep_empties_both_doors_and_lets_go_its_way_what_it_does_not_answer_for(office) -> None:
    keys = office.bed.keys
    await office.start(reading=False)
    for stream in (keys.commands, keys.admin):
        await office.bed.redis.xgroup_create(stream, "daemon", id="0", mkstream=True)
    for door in ("stream", "list"):
        await office.send("chase", door, requestId=f"{door}-risk", **CHASE)
        await office.send("chase", door, requestId=f"{door}-exit", reduceOnly=True, **CHASE)
        await office.send("chase", door, requestId=f"{door}-bad", **{**CHASE, "quantity": 0})
        await office.send("chase", door, requestId=f"{door}-other", **{**CHASE, "subAccountId": "other"})
    sweep = json.dumps({"requestId": "sweep", "subAccountId": "main"}).encode()
    office.inbox.take(Arrival(key=keys.command_list("cancel_all"), type="cancel_all", body=sweep))
    for door in ("stream", "list"):
        assert (await office.answer(f"{door}-risk"))["errorCode"] == "SUPERSEDED"
        assert (await office.answer(f"{door}-bad"))["errorCode"] == "INVALID_FIELD"
        assert (await office.answer(f"{door}-exit"))["success"] is True
        assert (await office.answer(f"{door}-other"))["success"] is True
    assert (await office.answer("sweep"))["success"] is True
    await office.all_acknowledged()


async def test_a_sweep_goes_on_where_the_doors_cannot_be_emptied(office) -> None:
    await office.start(reading=False)  # there is no group yet: the streams can't be read
    sweep = json.dumps({"requestId": "sweep", "subAccountId": "main"}).encode()
    office.inbox.take(Arrival(key="k", type="cancel_all", body=sweep))
    assert (await office.answer("sweep"))["success"] is True


@DOORS
async def test_a_refused_input_is_refused_the_same_way_again_and_another_body_under_its_id_too(office, door) -> None:
    await office.start()
    wrong = {**CHASE, "quantity": 0}
    first = await office.ask("chase", door, requestId="same", **wrong)
    await office.bed.redis.delete(office.bed.keys.result("same"))
    assert await office.ask("chase", door, requestId="same", **wrong) == first
    assert len(await office.events()) == 1
    await office.bed.redis.delete(office.bed.keys.result("same"))
    assert (await office.ask("chase", door, requestId="same", **{**CHASE, "quantity": -1}))[
        "errorCode"
    ] == "REQUEST_ID_REUSED"
    await office.bed.redis.delete(office.bed.keys.result("same"))
    assert (await office.ask("chase", door, requestId="same", **CHASE))["errorCode"] == "REQUEST_ID_REUSED"
    assert office.desk.done == []


@pytest.mark.crash
async def test_a_superseded_command_that_was_answered_before_keeps_its_outcome(office) -> None:
    await office.start()
    first = await office.ask("chase", "stream", requestId="same", **CHASE)
    office.inbox._recent.clear()  # as after a restart
    office.desk.gates["main"] = asyncio.Event()
    await office.send("chase", "list", requestId="ahead", **CHASE)
    await office.begun("ahead")
    await office.bed.redis.delete(office.bed.keys.result("same"))
    await office.send("chase", "list", requestId="same", **CHASE)
    await office.all_read()
    await office.send("cancel_all", "list", requestId="sweep")
    assert await office.answer("same") == first
    office.desk.gates["main"].set()
    await office.answer("ahead")
