"""What is refused at the doors, and in which words: the table of bad inputs, and that none of them does anything."""

from __future__ import annotations

import json
import re
from typing import Any

from schemas.errors import ErrorCode
from tests.world.bad_inputs import GOOD, ROWS, Bad
from tests.world.world import World, in_world

LEAST = 40
SCAN_S = 6  # lists of unknown names are looked for every 5 s


def text_of(row: Bad, request_id: str) -> str:
    if isinstance(row.body, str):
        return row.body
    body = {"requestId": request_id} | ({} if row.bare else GOOD) | row.body
    return json.dumps({name: value for name, value in body.items() if value is not None})


async def answer(world: World, door: str, row: Bad, request_id: str) -> dict[str, Any]:
    """The reply, or where there is no id to reply under, the dead letter."""
    text = text_of(row, request_id)
    names = [request_id, *re.findall(r'"requestId":"(.*?)"', text)]
    if door == "stream":
        entry = await world.redis.xadd("pms:commands", {"type": row.type, "body": text})
        names.append(entry.decode())
    else:
        await world.redis.lpush(f"pms:cmd:{row.type}", text)
    give_up = world.clock.monotonic() + SCAN_S
    while world.clock.monotonic() < give_up:
        for name in names:
            if await world.redis.exists(f"pms:result:{name}"):
                await world.redis.delete("pms:cmd:dead")
                return await take(world, name)
        if door == "list" and (letter := await world.redis.lpop("pms:cmd:dead")) is not None:
            code, _, sentence = json.loads(letter)["reason"].partition(": ")
            return {"success": False, "errorCode": code, "error": sentence}
        await world.run(0.01)
    raise AssertionError(f"no answer to {row.what} at the {door} door")


async def take(world: World, request_id: str) -> dict[str, Any]:
    reply = await world.reply(request_id)
    await world.redis.delete(f"pms:result:{request_id}")
    return reply


def plain(sentence: str) -> str:
    """Without what differs from run to run: times."""
    return re.sub(r"\d{6,}", "N", sentence)


@in_world()
async def test_each_bad_input_is_answered_with_its_code_and_sentence_at_both_doors(world: World) -> None:
    await world.start()
    assert len(ROWS) >= LEAST
    for door in ("list", "stream"):
        for number, row in enumerate(ROWS):
            reply = await answer(world, door, row, f"{door}-{number}")
            told = (reply["success"], reply["errorCode"], plain(reply["error"]))
            assert told == (False, row.code, row.answer), f"{row.what} at the {door} door"
            if "details" in reply:
                assert reply["details"].get("path", "") == row.path, f"{row.what} at the {door} door"
                assert reply["errorCategory"] == ErrorCode(row.code).category
                assert reply["retryable"] is False
    await world.run(2)
    assert world.order_requests() == []
    assert await world.redis.keys("pms:chase:*") == []
    assert await world.redis.xlen("pms:commands") == 0, "every entry was finished"
    assert world.daemon is not None
    assert world.daemon.tasks.failures == 0


@in_world()
async def test_an_unknown_field_is_refused_at_the_stream_and_named_at_the_list(world: World) -> None:
    await world.start()
    body = GOOD | {"colour": "red"}
    refused = await world.command("chase", door="stream", **body)
    assert (refused["errorCode"], refused["details"]) == ("UNKNOWN_FIELD", {"path": "colour"})
    taken = await world.command("chase", **body)
    assert (taken["success"], taken["details"]) == (True, {"ignored": ["colour"]})
    assert len(world.placed()) == 1


@in_world()
async def test_a_list_entry_without_a_request_id_is_refused_and_kept_as_a_dead_letter(world: World) -> None:
    await world.start()
    await world.redis.lpush("pms:cmd:chase", json.dumps(GOOD))
    await world.run(1)
    (letter,) = [json.loads(row) for row in await world.redis.lrange("pms:cmd:dead", 0, -1)]
    assert letter["reason"].startswith("MISSING_FIELD")
    assert world.placed() == []
