"""Order entry over the WebSocket API on a virtual clock: the adapter, the simulator and nothing between but a gate that
spoils what it is told to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any

import pytest

from pms.binance import queries, ws_api
from pms.binance.gateway import BinanceVenue
from pms.binance.signing import KeyType
from pms.binance.ws_api import ANSWER_S, LOOK_UP_S, PATH, PROBE_S, RENEW_S, WsApi
from pms.clock import LoopClock
from pms.core.backoff import ConnectBudget
from pms.governor import Governor
from pms.sim.assembly import STILL, Options, Simulator
from pms.sim.limits import Limits
from pms.sim.model import DepthSnapshot, Mark
from pms.sim.script import OnRequest, OnSocket
from pms.sim.ws_api import ApiSession
from pms.tasks import Tasks
from pms.venue import Amend, Cancel, Done, NotDone, Outcome, Place, Refused, Unknown
from schemas.market import Side
from schemas.orders import Cause
from tests.contract.binance.fakes import Notes
from tests.key_pairs import KEY, KINDS, pair
from tests.virtual import VirtualLoop
from tests.world.memory import MemoryHttp, MemorySockets

START_MS = 1_790_000_000_000
SYMBOL = "BTCUSDT"
ORDER = "/fapi/v1/order"
D = Decimal


class Stage:
    """A simulator with a book, and an adapter whose orders leave over the order socket."""

    def __init__(self, kind: KeyType, **options: Any) -> None:
        self.clock = LoopClock(asyncio.get_running_loop(), START_MS)
        self.tasks = Tasks()
        made = pair(kind)
        self.simulator = Simulator(Options({KEY: made.known}, (SYMBOL,), STILL, **options), self.clock, self.tasks)
        self.simulator.feed.stop()
        self.simulator.start()
        self.gate = self.simulator.gate
        self.http, self.sockets = MemoryHttp(self.gate), MemorySockets(self.gate)
        self.governor = Governor(self.clock, self.clock.now_ms)
        self.venue = BinanceVenue(
            self.http,
            self.sockets,
            "ws://venue",
            made.credentials,
            self.clock,
            self.tasks,
            ConnectBudget(lambda: 0.5, self.clock.monotonic),
            self.governor,
            f"ws://venue{PATH}",
        )
        assert self.venue.rest.socket is not None
        self.socket: WsApi = self.venue.rest.socket
        self.said: list[dict[str, Any]] = []  # what left over the order socket

    async def open(self) -> Stage:
        now = self.clock.now_ms()
        self.simulator.venue.apply(DepthSnapshot(SYMBOL, now, ((D("84000.0"), D(1)),), ((D("84000.1"), D(1)),)))
        self.simulator.venue.apply(Mark(SYMBOL, now, D(84000), D(84000)))
        await self.venue.start(Notes())
        await self.until(lambda: self.socket.up)
        return self

    async def until(self, holds: Callable[[], bool], within_s: float = 60) -> None:
        give_up = self.clock.monotonic() + within_s
        while not holds():
            assert self.clock.monotonic() < give_up, "it did not come true"
            await self.clock.sleep(0.01)

    async def close(self) -> None:
        await self.venue.close()
        await self.tasks.close()
        assert self.tasks.failures == 0

    def fault(self, **what: Any) -> None:
        self.gate.script.add(OnRequest(path=ORDER, **what))

    @property
    def lines(self) -> list[Any]:
        """The order sockets that are open at the venue."""
        return [line for line in self.gate.lines if isinstance(line.session, ApiSession) and not line.ended]

    def over_ws(self, method: str) -> int:
        return self.sockets.requests.count((method, ORDER))

    def over_rest(self, method: str) -> int:
        return self.http.requests.count((method, ORDER))

    @property
    def placed(self) -> list[str]:
        return [order.client_id for order in self.simulator.venue.exchange.all_orders(KEY, SYMBOL, limit=1000)]

    async def place(self, name: str, price: str = "83990") -> Outcome:
        return await self.venue.place(Place(SYMBOL, name, Side.BUY, "LIMIT", "GTX", D("0.010"), D(price), False))

    async def amend(self, name: str, price: str) -> Outcome:
        return await self.venue.amend(Amend(SYMBOL, name, Side.BUY, D("0.010"), D(price)))

    async def cancel(self, name: str) -> Outcome:
        return await self.venue.cancel(Cancel(SYMBOL, name))


def staged(kind: KeyType = "hmac", **options: Any) -> Callable[[Callable[..., Coroutine[Any, Any, None]]], Any]:
    """Run a test on a stage of its own."""

    def wrap(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[[], None]:
        async def live() -> None:
            stage = await Stage(kind, **options).open()
            try:
                await test(stage)
            finally:
                await stage.close()

        def run() -> None:
            with asyncio.Runner(loop_factory=VirtualLoop) as runner:
                runner.run(live())

        run.__name__, run.__doc__ = test.__name__, test.__doc__
        return run

    return wrap


# --- the fast way -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_an_order_lives_over_the_socket_with_a_key_of_each_type(kind: KeyType) -> None:
    @staged(kind)
    async def live(stage: Stage) -> None:
        outcomes = [await stage.place("a"), await stage.amend("a", "83995"), await stage.cancel("a")]
        assert all(isinstance(outcome, Done) for outcome in outcomes), outcomes
        found = await stage.venue.look_up(SYMBOL, "a")
        assert found is not None
        assert found.price == D(83995)
        assert [stage.over_ws(method) for method in ("POST", "PUT", "DELETE", "GET")] == [1, 1, 1, 1]
        assert [stage.over_rest(method) for method in ("POST", "PUT", "DELETE", "GET")] == [0, 0, 0, 0]

    live()


@staged("ed25519")
async def test_after_its_logon_a_session_sends_neither_key_nor_signature(stage: Stage) -> None:
    framed = stage.socket.call(queries.place(Place(SYMBOL, "a", Side.BUY, "LIMIT", "GTX", D(1), D(1), False)))
    assert framed is not None
    assert stage.lines[0].session.account == KEY
    assert not {"apiKey", "signature"} & set(json.loads(framed.call.text(1, START_MS))["params"])
    assert isinstance(await stage.place("a"), Done)


@staged("ed25519")
async def test_a_refused_logon_leaves_each_request_to_its_own_signature(stage: Stage) -> None:
    stage.gate.script.add(OnRequest(path=f"{PATH}/session.logon", status=400, code=-1000, msg="no"))
    stage.lines[0].cut(1006)
    await stage.until(lambda: not stage.socket.up)
    await stage.until(lambda: stage.socket.up)
    assert stage.lines[0].session.account == ""
    assert isinstance(await stage.place("a"), Done)
    assert stage.over_ws("POST") == 1


@staged()
async def test_refusals_have_the_causes_that_algos_react_to(stage: Stage) -> None:
    await stage.place("a")
    outcomes = [await stage.place("a"), await stage.place("b", "84000.1"), await stage.amend("a", "83990"),
                await stage.cancel("never")]  # fmt: skip
    causes = [outcome.cause for outcome in outcomes if isinstance(outcome, Refused)]
    assert causes == [Cause.DUPLICATE_ID, Cause.POST_ONLY, Cause.NO_CHANGE, Cause.NOT_FOUND]
    assert await stage.venue.look_up(SYMBOL, "never") is None


@staged()
async def test_answers_in_another_order_go_to_their_own_requests(stage: Stage) -> None:
    stage.fault(method="POST", delay_after_ms=500)
    slow = stage.tasks.spawn(stage.place("a"), "a")
    await stage.clock.sleep(0.1)
    quick = await stage.place("b")
    assert not slow.done()
    assert isinstance(quick, Done)
    assert quick.report.client_id == "b"
    late = await slow
    assert isinstance(late, Done)
    assert late.report.client_id == "a"


@staged(limits=Limits(weight_1m=1_000))
async def test_what_leaves_over_the_socket_is_counted(stage: Stage) -> None:
    before = stage.governor.used()
    await stage.place("a")
    await stage.cancel("a")
    used = stage.governor.used()
    assert [used[name] - before[name] for name in ("orders10s", "orders1m", "weight1m")] == [1, 1, 1]
    assert used["weight1m"] == stage.simulator.venue.meter.used("127.0.0.1", stage.clock.now_ms())


# --- the slow way -------------------------------------------------------------------------------------


@staged()
async def test_while_no_socket_is_open_orders_leave_over_rest(stage: Stage) -> None:
    stage.gate.script.add(OnSocket(path=PATH, refuse=503, count=3))
    stage.lines[0].cut(1006)
    await stage.until(lambda: not stage.socket.up)
    assert isinstance(await stage.place("a"), Done)
    assert (stage.over_ws("POST"), stage.over_rest("POST")) == (0, 1)
    await stage.until(lambda: stage.socket.up)
    assert isinstance(await stage.place("b"), Done)
    assert (stage.over_ws("POST"), stage.over_rest("POST")) == (1, 1)


@staged("ed25519")
async def test_what_was_made_ready_for_a_socket_that_ended_leaves_over_rest(stage: Stage) -> None:
    order = Place(SYMBOL, "a", Side.BUY, "LIMIT", "GTX", D("0.010"), D(83990), False)
    send = stage.venue.prepare(order, False, lambda: "")
    stage.lines[0].cut(1006)
    await stage.until(lambda: not stage.socket.up)
    await stage.until(lambda: stage.socket.up)
    assert isinstance(await send(), Done)
    assert (stage.over_ws("POST"), stage.over_rest("POST")) == (0, 1)


@staged()
async def test_a_value_that_needs_quoting_leaves_over_rest(stage: Stage) -> None:
    outcome = await stage.venue.cancel(Cancel("币安USDT", "a"))
    assert isinstance(outcome, Refused)
    assert (stage.over_ws("DELETE"), stage.over_rest("DELETE")) == (0, 1)


# --- answers that do not come ---------------------------------------------------------------------------


@pytest.mark.ambiguity
@pytest.mark.parametrize("lose, there", [("before", []), ("after", ["a"])])
def test_a_socket_that_ends_under_a_request_leaves_its_fate_unknown_and_nothing_is_sent_again(
    lose: str, there: list[str]
) -> None:
    @staged()
    async def live(stage: Stage) -> None:
        stage.fault(method="POST", lose=lose)
        assert isinstance(await stage.place("a"), Unknown)
        await stage.clock.sleep(30)
        assert stage.placed == there
        assert (stage.over_ws("POST"), stage.over_rest("POST")) == (1, 0)
        found = await stage.venue.look_up(SYMBOL, "a")
        assert (found is not None) is bool(there)

    live()


@pytest.mark.ambiguity
@staged()
async def test_a_request_without_an_answer_is_unknown_in_time_and_a_silent_socket_is_replaced(stage: Stage) -> None:
    first = stage.lines[0]
    first.mute()
    began = stage.clock.monotonic()
    assert isinstance(await stage.place("a"), Unknown)
    assert stage.clock.monotonic() - began == pytest.approx(ANSWER_S)
    await stage.until(lambda: stage.socket.up)
    assert stage.lines != [first]
    assert isinstance(await stage.place("b"), Done)


@pytest.mark.ambiguity
@staged()
async def test_one_lost_answer_does_not_end_a_socket_that_answers_others(stage: Stage) -> None:
    stage.fault(method="POST", delay_after_ms=60_000)
    slow = stage.tasks.spawn(stage.place("a"), "a")
    await stage.clock.sleep(1)
    assert isinstance(await stage.place("b"), Done)
    assert isinstance(await slow, Unknown)
    assert stage.socket.up
    assert len(stage.lines) == 1
    await stage.clock.sleep(60)  # its late answer is nobody's
    assert isinstance(await stage.place("c"), Done)
    assert stage.placed == ["a", "b", "c"]


@pytest.mark.ambiguity
@staged()
async def test_a_frame_that_cannot_be_read_leaves_all_in_flight_unknown(stage: Stage) -> None:
    stage.fault(method="POST", delay_after_ms=300, count=2)
    stage.fault(method="POST", delay_after_ms=100, status=200, body="<html>welcome</html>")
    waiting = [stage.tasks.spawn(stage.place(name), name) for name in ("a", "b", "c")]
    outcomes = [await task for task in waiting]
    assert [type(outcome) for outcome in outcomes] == [Unknown] * 3
    await stage.until(lambda: stage.socket.up)
    assert stage.placed == ["a", "b"]


@pytest.mark.ambiguity
@staged()
async def test_a_look_up_that_is_left_unanswered_is_made_over_rest(stage: Stage) -> None:
    await stage.place("a")
    stage.fault(method="GET", transport="ws", delay_before_ms=60_000)
    began = stage.clock.monotonic()
    found = await stage.venue.look_up(SYMBOL, "a")
    assert found is not None
    assert stage.clock.monotonic() - began == pytest.approx(LOOK_UP_S)
    assert (stage.over_ws("GET"), stage.over_rest("GET")) == (1, 1)
    assert stage.socket.up


# --- the socket's life ----------------------------------------------------------------------------------


@pytest.mark.faults
@staged()
async def test_a_socket_that_fell_silent_is_found_out_before_an_order_needs_it(stage: Stage) -> None:
    first = stage.lines[0]
    first.mute()
    await stage.clock.sleep(2 * PROBE_S + ANSWER_S)
    assert first.ended
    await stage.until(lambda: stage.socket.up)
    assert isinstance(await stage.place("a"), Done)


@pytest.mark.faults
@staged()
async def test_a_socket_that_never_answers_is_not_used(stage: Stage) -> None:
    stage.gate.script.add(OnRequest(path="/fapi/v1/listenKey", transport="ws", delay_before_ms=60_000, count=2))
    stage.lines[0].cut(1006)
    await stage.clock.sleep(1)
    assert not stage.socket.up
    assert isinstance(await stage.place("a"), Done)
    assert stage.over_rest("POST") == 1
    await stage.until(lambda: stage.socket.up)


@pytest.mark.faults
@staged()
async def test_another_socket_takes_over_before_the_venue_goes_away(stage: Stage) -> None:
    first = stage.lines[0]
    stage.fault(method="POST", delay_after_ms=2_000)
    slow = stage.tasks.spawn(stage.place("a"), "a")
    await stage.clock.sleep(0.1)
    stage.simulator.venue.shut_down(10_000)
    gap = 0
    for _ in range(100):
        gap += not stage.socket.up
        await stage.clock.sleep(0.01)
    assert gap == 0, "one of both was always there"
    assert len(stage.lines) == 2
    assert isinstance(await stage.place("b"), Done)
    assert isinstance(await slow, Done), "what was in flight on the old one is answered there"
    await stage.clock.sleep(1)
    assert stage.lines != [first]
    assert len(stage.lines) == 1


@pytest.mark.faults
def test_a_socket_is_renewed_before_its_day_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    assert RENEW_S < 24 * 3600 - 600
    monkeypatch.setattr(ws_api, "RENEW_S", 300.0)  # a day of the simulator's timers takes a minute

    @staged()
    async def live(stage: Stage) -> None:
        first = stage.lines[0]
        await stage.clock.sleep(300 - PROBE_S)
        assert stage.lines == [first]
        await stage.clock.sleep(3 * PROBE_S)
        assert first.ended
        assert stage.socket.up
        assert isinstance(await stage.place("a"), Done)

    live()


@pytest.mark.faults
@staged()
async def test_a_venue_that_closes_every_socket_is_not_flooded_with_connects(stage: Stage) -> None:
    stage.gate.script.add(OnSocket(path=PATH, cut_after_ms=10, count=0))
    stage.lines[0].cut(1006)
    opened = len(stage.sockets.open)
    await stage.clock.sleep(300)
    assert len(stage.sockets.open) - opened <= 60
    assert isinstance(await stage.place("a"), Done)


# --- limits ---------------------------------------------------------------------------------------------


@pytest.mark.faults
@staged()
async def test_a_ban_heard_over_the_socket_silences_rest_too(stage: Stage) -> None:
    stage.fault(method="POST", status=418, code=-1003, msg="banned", headers={"Retry-After": "60"})
    banned = await stage.place("a")
    assert isinstance(banned, NotDone)
    assert 60_000 <= banned.retry_ms <= 61_000
    requests = stage.gate.requests
    assert isinstance(await stage.cancel("a"), NotDone)
    await stage.clock.sleep(50)
    assert stage.gate.requests == requests, "not even a probe"
    await stage.clock.sleep(12)
    assert isinstance(await stage.place("b"), Done)


@pytest.mark.faults
@staged(limits=Limits(orders_10s=2))
async def test_too_many_orders_close_the_way_for_orders_alone(stage: Stage) -> None:
    stage.simulator.venue.meter.count_orders(KEY, 1, 1, stage.clock.now_ms())
    assert isinstance(await stage.place("a"), Done)
    refused = await stage.place("b")
    assert isinstance(refused, NotDone)
    assert refused.code == -1015
    held = await stage.amend("a", "83995")
    assert isinstance(held, NotDone)
    assert stage.over_ws("PUT") == 0
    assert isinstance(await stage.cancel("a"), Done)


@staged()
async def test_requests_beyond_the_most_in_flight_leave_over_rest(stage: Stage) -> None:
    framed = stage.socket.call(queries.look_up(SYMBOL, "a"))
    assert framed is not None
    nobody: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    framed.link.waiting.update(dict.fromkeys(range(10_000, 10_256), nobody))
    assert isinstance(await stage.place("a"), Done)
    assert (stage.over_ws("POST"), stage.over_rest("POST")) == (0, 1)
    framed.link.waiting.clear()
