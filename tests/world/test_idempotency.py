"""One outcome per request id, whatever comes again, and where and when; and what comes late (contract.md)."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from pms.sim.params import Request
from tests.world.idempotency import LIMIT, ROWS, Dies, Do, Fault, Heard, Row, Send, Step, Told, Wait
from tests.world.world import World, in_world

LEAST = 20
TWO = ("BTCUSDT", "ETHUSDT")
ORDERS = ("/fapi/v1/order", "/fapi/v1/batchOrders", "/fapi/v1/allOpenOrders")


class Story:
    """Plays a row's steps; `saw` counts what reached the venue's door over all lives."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.saw: Counter[str] = Counter()
        self._last: dict[str, Any] = {}
        self._serve = world.sim.gate.serve
        world.sim.gate.serve = self._count  # type: ignore[method-assign]

    async def _count(self, request: Request) -> Any:
        if request.method != "GET" and request.target.partition("?")[0] in ORDERS:
            self.saw[request.method] += 1
        return await self._serve(request)

    async def play(self, step: Step) -> None:
        match step:
            case Send():
                await self._send(step)
            case Told(code=code, request_id=name, again=again):
                reply = await self.world.reply(name, 20)
                assert code_of(reply) == code, reply
                assert not again or reply == self._last, "the stored outcome, word for word"
                self._last = reply
            case Heard(codes=codes):
                told = await self.world.events("command_result")
                assert tuple(event.get("errorCode", "") for event in told) == codes
            case Fault(method=method, path=path, what=what):
                self.world.fault(method, path, **what)
            case Dies(on=on, spared=spared):
                life = self.world.life
                life.die_on, life.spared = on, life.passed[on] + spared
            case Wait(seconds=seconds):
                await self.world.run(seconds)
            case Do(what=what, on=on) if on:
                assert what == "redis goes", "the one thing that happens in between"
                self.world.life.meanwhile[on] = self.world.redis_goes
            case Do(what=what):
                await self._do(what)

    async def _send(self, step: Send) -> None:
        body: dict[str, Any] = {"subAccountId": step.account} | step.body
        if step.request_id:
            body["requestId"] = step.request_id
            if step.account == "main":  # else it is the other one's that must not be answered in its place
                await self.world.redis.delete(f"pms:result:{step.request_id}")
        if step.age_ms is not None:
            body["issuedAt"] = self.world.clock.now_ms() - step.age_ms
        await self._push(step.kind, step.door, body)

    async def _push(self, kind: str, door: str, body: dict[str, Any]) -> None:
        if door == "list":
            await self.world.redis.lpush(f"pms:cmd:{kind}", json.dumps(body))
        else:
            await self.world.redis.xadd("pms:commands", {"type": kind, "body": json.dumps(body)})

    async def _do(self, what: str) -> None:
        world = self.world
        match what:
            case "start":
                await world.start()
            case "stop":
                await world.stop()
            case "kill":
                await world.kill()
            case "dead":
                await world.until(lambda: world.daemon is None, 5)
            case "redis goes":
                world.redis_goes()
            case "redis comes":
                world.redis_comes()
            case "cancel":
                (order,) = world.resting()
                await self._push("cancel", "list", {"clientOrderId": order.client_id})
            case "warm":
                reply = await world.command("limit", requestId="warm", **LIMIT | {"price": 60000})
                await world.command("cancel", requestId="cold", clientOrderId=reply["clientOrderId"])
            case _:
                raise AssertionError(f"no step is called {what}")


def name_of(row: Row) -> str:
    """The row's number and words."""
    return f"{ROWS.index(row) + 1} {row.what}"


def code_of(reply: dict[str, Any]) -> str:
    """The code of a reply; of several orders, the code of those that failed."""
    errors = reply.get("errors") or reply.get("details", {}).get("errors", [])
    codes = {error["errorCode"] for error in errors} | ({reply["errorCode"]} if not reply["success"] else set())
    assert len(codes) <= 1, reply
    standing = any(row["state"] != "failed" for row in reply.get("orders", []))
    return ("partly " if standing and codes else "") + "".join(codes)


def test_the_table_is_long_enough_and_names_each_row_once() -> None:
    assert len({row.what for row in ROWS}) == len(ROWS) >= LEAST


@pytest.mark.crash
@pytest.mark.parametrize("row", ROWS, ids=name_of)
@in_world(symbols=TWO)
async def test_a_request_is_answered_and_carried_out_as_the_table_says(world: World, row: Row) -> None:
    story = Story(world)
    await world.start()
    for step in row.steps:
        await story.play(step)
    await world.run(1)
    took = sum(len(world.placed(symbol)) for symbol in TWO)
    assert (dict(story.saw), took) == (row.saw, row.took), "what reached the venue, and what it took"
