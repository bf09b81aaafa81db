"""The fault gate: a script's answers, delays and losses, latency, and what can be done to a live socket."""

from __future__ import annotations

import asyncio
import json
import random

import pytest

from pms.binance.transport import Lost, Response
from pms.sim.faults import Gate, Latency
from pms.sim.model import VenueError
from pms.sim.params import Request
from pms.sim.script import OnRequest, OnSocket, Rule, Script
from pms.tasks import Tasks
from tests.contract.sim_wire.cases import LIMIT
from tests.contract.sim_wire.client import Desk, signed
from tests.contract.sim_wire.hand_clock import HandClock, settle

ORDER = "/fapi/v1/order"


class Bench:
    """A desk behind a gate."""

    def __init__(self, *rules: Rule, latency: Latency | None = None) -> None:
        self.desk = Desk()
        self.clock = HandClock(self.desk)
        self.tasks = Tasks()
        chance = random.Random(1)
        self.gate = Gate(self.desk.venue, self.clock, Script(rules, chance), chance, latency or Latency(), self.tasks)

    def place(self, name: str = "a", **changes: str) -> Request:
        params = {**LIMIT, "newClientOrderId": name, **changes}
        return self.request("POST", ORDER, **params)

    def request(self, method: str, path: str, **params: str) -> Request:
        query = signed(params, "alice", self.desk.now)
        return Request(method, f"{path}?{query}", {"x-mbx-apikey": "alice"})

    @property
    def open(self) -> list[str]:
        return [order["clientOrderId"] for order in self.desk.ok("GET", "/fapi/v1/openOrders", symbol="BTCUSDT")]

    def line(self, target: str) -> tuple[list[bytes], list[tuple[int, str]]]:
        got: list[bytes] = []
        closed: list[tuple[int, str]] = []
        self.gate.open(target, "127.0.0.1", got.append, lambda *end: closed.append(end))
        return got, closed


@pytest.fixture
async def bench():
    """Builds benches and ends their tasks."""
    made: list[Bench] = []

    def build(*rules: Rule, latency: Latency | None = None) -> Bench:
        made.append(Bench(*rules, latency=latency))
        return made[-1]

    yield build
    for one in made:
        assert one.tasks.failures == 0
        await one.tasks.close()


async def test_without_rules_a_request_is_answered_at_once(bench) -> None:
    one = bench()
    answer = await one.gate.serve(one.place())
    assert answer.status == 200
    assert len(one.tasks) == 0


@pytest.mark.faults
async def test_a_scripted_answer_comes_instead_and_nothing_is_executed(bench) -> None:
    rule = OnRequest(method="POST", path=ORDER, status=503, code=-1008, msg="Request throttled", headers={"x": "y"})
    one = bench(rule)
    answer = await one.gate.serve(one.place())
    assert (answer.status, json.loads(answer.body)) == (503, {"code": -1008, "msg": "Request throttled"})
    assert answer.headers["x"] == "y"
    assert one.open == []
    assert (await one.gate.serve(one.place())).status == 200


@pytest.mark.faults
async def test_a_body_that_is_not_json_is_sent_as_it_is(bench) -> None:
    one = bench(OnRequest(status=403, body="<html>blocked</html>"))
    assert await one.gate.serve(one.place()) == Response(
        403, {"content-type": "application/json"}, b"<html>blocked</html>"
    )


@pytest.mark.ambiguity
@pytest.mark.parametrize("lose, placed", [("before", []), ("after", ["a"])])
async def test_a_lost_request_was_executed_or_not_as_the_script_says(bench, lose, placed) -> None:
    one = bench(OnRequest(method="POST", lose=lose))
    with pytest.raises(Lost):
        await one.gate.serve(one.place())
    assert one.open == placed


@pytest.mark.ambiguity
@pytest.mark.parametrize("execute, placed", [(False, []), (True, ["a"])])
async def test_an_unknown_503_may_stand_for_an_order_that_was_placed(bench, execute, placed) -> None:
    text = "Unknown error, please check your request or try again later."
    one = bench(OnRequest(method="POST", status=503, code=-1000, msg=text, execute=execute))
    answer = await one.gate.serve(one.place())
    assert (answer.status, json.loads(answer.body)["msg"]) == (503, text)
    assert one.open == placed


@pytest.mark.ambiguity
async def test_a_delayed_answer_comes_long_after_the_order_was_placed(bench) -> None:
    one = bench(OnRequest(method="POST", delay_after_ms=50))
    waiting = asyncio.ensure_future(one.gate.serve(one.place()))
    await one.clock.advance(49)
    assert one.open == ["a"]
    assert not waiting.done()
    await one.clock.advance(1)
    assert (await waiting).status == 200


@pytest.mark.ambiguity
async def test_a_delayed_original_outlives_its_client_and_meets_the_time_window(bench) -> None:
    one = bench(OnRequest(method="POST", delay_before_ms=300, count=2))
    first = asyncio.ensure_future(one.gate.serve(one.place("slow")))
    late = asyncio.ensure_future(one.gate.serve(one.place("late", recvWindow="200")))
    await settle()
    first.cancel()
    await one.clock.advance(300)
    assert first.cancelled()
    assert json.loads((await late).body)["code"] == -1021
    assert one.open == ["slow"]


async def test_latency_lets_the_stream_event_come_before_the_answer(bench) -> None:
    one = bench(latency=Latency(engine_ms=7, answer_ms=20, stream_ms=2))
    key = json.loads(one.desk.raw("POST", "/fapi/v1/listenKey").body)["listenKey"]
    got, _ = one.line(f"/private/ws/{key}")
    waiting = asyncio.ensure_future(one.gate.serve(one.place()))
    await one.clock.advance(6)
    assert one.open == []
    await one.clock.advance(2)
    assert one.open == ["a"]
    assert got == []
    await one.clock.advance(1)
    assert len(got) == 1
    assert not waiting.done()
    await one.clock.advance(18)
    assert (await waiting).status == 200


async def test_jitter_is_seeded_and_the_same_again(bench) -> None:
    async def times() -> list[int]:
        one = bench(latency=Latency(engine_ms=5, jitter_ms=20))
        done = []
        for number in range(5):
            waiting = asyncio.ensure_future(one.gate.serve(one.place(f"o{number}")))
            start = one.desk.now
            while not waiting.done():
                await one.clock.advance(1)
            done.append(one.desk.now - start)
        return done

    first, second = await times(), await times()
    assert first == second
    assert len(set(first)) > 1


@pytest.mark.faults
async def test_a_refused_handshake_has_the_scripts_status(bench) -> None:
    one = bench(OnSocket(path="/private/*", refuse=503))
    one.line("/public/ws")
    with pytest.raises(VenueError) as refused:
        one.line("/private/ws")
    assert refused.value.status == 503
    one.line("/private/ws")


@pytest.mark.faults
async def test_delayed_frames_keep_their_order(bench) -> None:
    one = bench(OnSocket(delay_ms=40))
    got, _ = one.line("/public/ws/btcusdt@depth@0ms")
    await one.gate.serve(one.place("a"))
    await one.clock.advance(10)
    await one.gate.serve(one.place("b", price="84001"))
    await one.clock.advance(29)
    assert got == []
    await one.clock.advance(1)
    assert [json.loads(raw)["b"][0][0] for raw in got] == ["84000.00"]
    await one.clock.advance(10)
    assert [json.loads(raw)["b"][0][0] for raw in got] == ["84000.00", "84001.00"]


@pytest.mark.faults
async def test_a_muted_socket_stays_open_and_says_nothing(bench) -> None:
    one = bench(OnSocket(mute_after_ms=100))
    got, closed = one.line("/public/ws/btcusdt@depth@0ms")
    await one.gate.serve(one.place("a"))
    await one.clock.advance(100)
    await one.gate.serve(one.place("b"))
    (line,) = one.gate.lines
    line.on_text('{"method":"LIST_SUBSCRIPTIONS","id":1}')
    assert (len(got), closed) == (1, [])
    line.muted = False
    line.on_text('{"method":"LIST_SUBSCRIPTIONS","id":2}')
    assert json.loads(got[-1])["id"] == 2


@pytest.mark.faults
@pytest.mark.parametrize("code", [1006, 1001, 1012])
async def test_a_cut_socket_ends_with_its_code_and_leaves_the_venue(bench, code) -> None:
    one = bench(OnSocket(cut_after_ms=100, cut_code=code))
    _, closed = one.line("/public/ws/btcusdt@depth@0ms")
    await one.clock.advance(99)
    assert closed == []
    await one.clock.advance(1)
    assert closed == [(code, "")]
    assert not one.desk.venue.hub.heard("btcusdt@depth@0ms")


async def test_a_session_that_the_venue_ends_is_closed_once(bench) -> None:
    one = bench()
    _, closed = one.line("/public/ws")
    (line,) = one.gate.lines
    for _ in range(11):
        line.on_text('{"method":"LIST_SUBSCRIPTIONS","id":1}')
    line.cut(1006)
    line.on_close()
    assert closed == [(1008, "Too many requests")]
    one.line("/public/ws")
    assert len(one.gate.lines) == 1


async def test_requests_are_counted_whatever_becomes_of_them(bench) -> None:
    one = bench(OnRequest(status=500), OnRequest(lose="before"))
    await one.gate.serve(one.place())
    with pytest.raises(Lost):
        await one.gate.serve(one.place())
    await one.gate.serve(one.place())
    assert one.gate.requests == 3
