"""One outcome per request id, whatever is repeated where and when; order, age and overtaking (contract.md, "Commands
in")."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.world.world import World, in_world

D = Decimal
BODY = {"subAccountId": "main", "symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010", "requestId": "same"}
DOORS = ["list", "stream"]


async def send(world: World, door: str, kind: str, body: dict[str, Any]) -> None:
    text = json.dumps(body)
    if door == "list":
        await world.redis.lpush(f"pms:cmd:{kind}", text)
    else:
        await world.redis.xadd("pms:commands", {"type": kind, "body": text})


@pytest.mark.parametrize("first", DOORS)
@pytest.mark.parametrize("second", DOORS)
@in_world()
async def test_the_same_request_twice_is_one_order_and_the_same_answer(world: World, first: str, second: str) -> None:
    await world.start()
    one = await world.command("chase", door=first, **BODY)
    two = await world.command("chase", door=second, **BODY)
    assert one == two
    assert one["success"]
    await world.run(5)
    assert len(world.placed()) == 1
    assert len(await world.events("command_result")) == 1, "one event per outcome"


@pytest.mark.parametrize("first", DOORS)
@pytest.mark.parametrize("second", DOORS)
@in_world()
async def test_a_repeat_in_flight_waits_for_the_first_ones_outcome(world: World, first: str, second: str) -> None:
    await world.start()
    world.fault("POST", path="/fapi/v1/leverage", delay_before_ms=500)
    await send(world, first, "chase", BODY)
    await send(world, second, "chase", BODY)
    reply = await world.reply("same")
    await world.run(5)
    assert len(world.placed()) == 1
    (key,) = await world.redis.keys("pms:chase:*")
    assert key.decode().endswith(reply["chaseId"])


@pytest.mark.crash
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("end", ["kill", "stop"])
@in_world()
async def test_the_same_request_after_a_restart_is_the_same_answer(world: World, door: str, end: str) -> None:
    await world.start()
    one = await world.command("chase", door=door, **BODY)
    await world.run(1)
    await (world.kill() if end == "kill" else world.stop())
    await world.start()
    two = await world.command("chase", door=door, **BODY)
    assert two == one
    await world.run(5)
    assert len(world.resting()) == 1
    assert len(await world.redis.keys("pms:chase:*")) == 1


@pytest.mark.crash
@in_world()
async def test_a_stream_entry_that_nobody_finished_is_taken_over_by_the_next_daemon_once(world: World) -> None:
    await world.start()
    world.life.die_on = "after claim"
    await send(world, "stream", "chase", BODY)
    await world.run(1)
    assert world.daemon is None
    assert await world.redis.xlen("pms:commands") == 1
    await world.start()
    reply = await world.reply("same")
    assert reply["success"], reply
    await world.run(15)
    assert len(world.resting()) == 1
    assert await world.redis.xlen("pms:commands") == 0


@pytest.mark.crash
@in_world()
async def test_a_stream_entry_sent_while_nobody_listened_is_carried_out(world: World) -> None:
    await world.start()
    await world.stop()
    await send(world, "stream", "chase", BODY)
    await world.run(5)
    await world.start()
    assert (await world.reply("same"))["success"]
    assert len(world.resting()) == 1


@pytest.mark.crash
@in_world()
async def test_a_list_entry_that_lay_there_at_the_start_is_refused_unless_it_says_when(world: World) -> None:
    await world.start()
    await world.stop()
    await send(world, "list", "chase", BODY)
    await send(world, "list", "chase", BODY | {"requestId": "dated", "issuedAt": world.clock.now_ms()})
    await send(world, "list", "chase", BODY | {"requestId": "old", "issuedAt": world.clock.now_ms() - 40_000})
    await world.run(5)
    await world.start()
    assert (await world.reply("same"))["errorCode"] == "STALE_COMMAND"
    assert (await world.reply("dated"))["success"]
    assert (await world.reply("old"))["errorCode"] == "STALE_COMMAND"
    await world.run(1)
    assert len(world.placed()) == 1


@pytest.mark.parametrize("first", DOORS)
@pytest.mark.parametrize("second", DOORS)
@in_world()
async def test_another_body_under_the_same_id_is_refused_and_not_carried_out(
    world: World, first: str, second: str
) -> None:
    await world.start()
    await world.command("chase", door=first, **BODY)
    reply = await world.command("chase", door=second, **BODY | {"quantity": "0.020"})
    assert reply["errorCode"] == "REQUEST_ID_REUSED"
    other = await world.command("chase_cancel", door=second, chaseId="cnosuchone", requestId="same")
    assert other["errorCode"] == "REQUEST_ID_REUSED"
    assert len(world.placed()) == 1


@in_world()
async def test_another_body_while_the_first_is_in_flight_is_refused(world: World) -> None:
    await world.start()
    world.fault("POST", path="/fapi/v1/leverage", delay_before_ms=500)
    await send(world, "list", "chase", BODY)
    await send(world, "list", "chase", BODY | {"quantity": "0.020"})
    await world.run(3)
    codes = [event.get("errorCode", "") for event in await world.events("command_result")]
    assert sorted(codes) == ["", "REQUEST_ID_REUSED"]
    assert [order.quantity for order in world.placed()] == [D("0.010")]


@in_world()
async def test_the_id_of_another_sub_account_is_refused(world: World) -> None:
    await world.start()
    await world.command("chase", **BODY)
    await send(world, "list", "chase", BODY | {"subAccountId": "second"})
    await world.run(2)
    refused = [event for event in await world.events("command_result") if event["subAccountId"] == "second"]
    assert [event["errorCode"] for event in refused] == ["REQUEST_ID_REUSED"]
    assert json.loads(await world.redis.get("pms:result:same"))["success"], "the first one's answer stands"
    assert len(world.placed()) == 1


@in_world()
async def test_what_was_certainly_not_done_may_be_sent_again_under_its_id(world: World) -> None:
    await world.start()
    world.fault("POST", path="/fapi/v1/leverage", lose="before")
    first = await world.command("chase", **BODY)
    assert (first["errorCode"], first["retryable"]) == ("EXCHANGE_UNAVAILABLE", True)
    assert world.placed() == []
    second = await world.command("chase", **BODY)
    assert second["success"], second
    assert len(world.placed()) == 1


@in_world()
async def test_a_refusal_is_told_again_and_not_judged_again(world: World) -> None:
    await world.start()
    bad = BODY | {"symbol": "NOSUCHUSDT"}
    one, two = await world.command("chase", **bad), await world.command("chase", **bad)
    assert one == two
    assert one["errorCode"] == "UNKNOWN_SYMBOL"
    assert len(await world.events("command_result")) == 1


@in_world()
async def test_commands_of_a_sub_account_keep_their_order_and_hold_up_nobody_else(world: World) -> None:
    await world.start()
    await world.chase(subAccountId="fast")  # leverage is set, the symbol is watched
    for number in range(3):
        body = BODY | {"subAccountId": "slow", "requestId": f"s-{number}", "leverage": 2, "stalkOffsetTicks": number}
        await send(world, "list", "chase", body)
    world.fault("POST", path="/fapi/v1/leverage", delay_before_ms=2000)
    fast = await world.chase(subAccountId="fast", stalkOffsetTicks=9)
    assert fast
    for number in range(3):
        assert (await world.reply(f"s-{number}"))["success"]
    started = [event for event in await world.events("chase_started") if event["subAccountId"] == "slow"]
    assert [event["stalkOffsetTicks"] for event in started] == [0, 1, 2]


@in_world()
async def test_cancel_all_overtakes_what_waits_and_answers_it_superseded(world: World) -> None:
    await world.start()
    running = await world.chase(side="SELL")
    world.fault("POST", path="/fapi/v1/leverage", delay_before_ms=1500)
    issued = world.clock.now_ms()
    await send(world, "list", "chase", BODY | {"symbol": "BTCUSDT", "requestId": "w-0", "issuedAt": issued})
    for number in range(1, 4):
        await send(world, "list", "chase", BODY | {"requestId": f"w-{number}", "issuedAt": issued})
    later = {"subAccountId": "main", "requestId": "all", "issuedAt": issued + 1}
    await send(world, "list", "cancel_all", later)
    reply = await world.reply("all")
    assert reply["success"], reply
    await world.run(4)
    codes = [(await world.reply(f"w-{number}")).get("errorCode", "") for number in range(4)]
    assert set(codes[1:]) <= {"SUPERSEDED", ""}
    assert (await world.state(running))["status"] == "cancelled"
    assert world.resting() == [], "complete only when what was in flight has a known fate"


@in_world()
async def test_events_carry_the_request_that_caused_them(world: World) -> None:
    await world.start()
    reply = await world.command("chase", **BODY)
    caused = {event["type"] for event in await world.events() if event.get("requestId") == "same"}
    assert caused >= {"chase_started", "order_placed", "command_result"}
    assert (await world.state(reply["chaseId"]))["requestId"] == "same"


@in_world()
async def test_a_client_that_follows_the_contract_has_no_hole(world: World) -> None:
    """Records carry the seq that changed them last: record, then later events, give the state."""
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    shown = await world.state(chase)
    for price in ("61801.0", "61802.0"):
        world.market.quote(price, "61805.0")
        await world.run(1)
    later = [event for event in await world.events("chase_progress") if event["seq"] > shown["seq"]]
    assert later[-1]["currentOrderPrice"] == (await world.state(chase))["currentOrderPrice"] == D("61802.0")
    assert (await world.state(chase))["seq"] >= later[-1]["seq"]
