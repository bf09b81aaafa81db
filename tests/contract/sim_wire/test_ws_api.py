"""The WebSocket API of the venue: forms, sessions, counters, and the script's faults on one socket."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from pms.binance.signing import KeyType
from pms.sim.faults import Gate, Latency
from pms.sim.limits import Limits
from pms.sim.model import VenueError
from pms.sim.script import OnRequest, Rule, Script
from pms.sim.ws_api import PATH
from pms.tasks import Tasks
from tests.contract.sim_wire.cases import LIMIT
from tests.contract.sim_wire.client import KEYS, START, Desk, api_params
from tests.contract.sim_wire.hand_clock import HandClock
from tests.key_pairs import KEY, KINDS, pair

PLACE = {**LIMIT, "newClientOrderId": "a"}


def by_key(kind: KeyType, params: dict[str, str], now: int = START) -> dict[str, object]:
    """Parameters signed by a key of a type."""
    sent = {**params, "apiKey": KEY, "timestamp": str(now)}
    text = "&".join(f"{name}={sent[name]}" for name in sorted(sent))
    return {**sent, "timestamp": now, "signature": pair(kind).credentials.signer().part(text).sign("")}


def code(answer: dict[str, Any]) -> int:
    return answer["error"]["code"] if "error" in answer else 0


# --- form ---------------------------------------------------------------------------------------------


def test_an_order_is_placed_amended_looked_up_and_cancelled_over_one_socket() -> None:
    api = Desk().api()
    placed = api.call("order.place", **PLACE)
    amended = api.call("order.modify", symbol="BTCUSDT", side="BUY", quantity="0.020", price="84001",
                       origClientOrderId="a")  # fmt: skip
    found = api.call("order.status", symbol="BTCUSDT", origClientOrderId="a")
    gone = api.call("order.cancel", symbol="BTCUSDT", origClientOrderId="a")
    assert [answer["result"]["status"] for answer in (placed, amended, found, gone)] == ["NEW"] * 3 + ["CANCELED"]
    assert "avgPrice" not in placed["result"]
    assert found["result"]["price"] == "84001.00"
    assert code(api.call("order.cancel", symbol="BTCUSDT", origClientOrderId="a")) == -2011


@pytest.mark.parametrize("ident", [7, "7", "a-b", None])
def test_an_answer_carries_the_id_as_it_came(ident: object) -> None:
    answer = Desk().api().ask("depth", {"symbol": "BTCUSDT", "limit": 5}, ident)
    assert (answer["id"], answer["status"]) == (ident, 200)


def test_answers_tell_what_is_counted_unless_told_not_to() -> None:
    api = Desk().api()
    rows = [
        (row["rateLimitType"], row["interval"], row["count"]) for row in api.call("order.place", **PLACE)["rateLimits"]
    ]
    assert rows == [("REQUEST_WEIGHT", "MINUTE", 5), ("ORDERS", "SECOND", 1), ("ORDERS", "MINUTE", 1)]
    assert "rateLimits" not in api.ask("ticker.book", {"symbol": "BTCUSDT", "returnRateLimits": False})


@pytest.mark.parametrize(
    "text, wrong",
    [
        ("{", -1135),
        ("[]", -1135),
        ('{"id":1}', -1135),
        ('{"id":1,"method":"order.place","params":[]}', -1135),
        ('{"id":1,"method":"order.place","params":{"symbol":["BTCUSDT"]}}', -1130),
        ('{"id":1,"method":"order.replace"}', -1020),
        ('{"id":1,"method":"userDataStream.subscribe"}', -1020),
        ('{"id":1,"method":"order.place"}', -2014),
    ],
)
def test_what_is_no_request_is_refused(text: str, wrong: int) -> None:
    answer = Desk().api().say(text)
    assert (code(answer), answer["status"] >= 400) == (wrong, True)


def test_numbers_and_flags_are_signed_as_they_are_written() -> None:
    desk = Desk()
    sent = api_params({**PLACE, "reduceOnly": "false", "recvWindow": "3000"}, "alice", KEYS["alice"], desk.now)
    answer = desk.api().ask("order.place", {**sent, "reduceOnly": False, "recvWindow": 3000})
    assert answer["status"] == 200


# --- who asks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_signed_by_a_key_of_each_type_is_carried_out(kind: KeyType) -> None:
    desk = Desk(keys={KEY: pair(kind).known})
    api = desk.api()
    sent = by_key(kind, PLACE)
    assert code(api.ask("order.place", {**sent, "price": "84000.01"})) == -1022
    assert api.ask("order.place", sent)["result"]["clientOrderId"] == "a"


def test_after_a_logon_neither_key_nor_signature_is_needed() -> None:
    desk = Desk(keys={KEY: pair("ed25519").known})
    api = desk.api()
    bare = {**PLACE, "timestamp": desk.now}
    assert code(api.ask("order.place", bare)) == -2014
    on = api.ask("session.logon", by_key("ed25519", {}))
    assert (on["result"]["apiKey"], on["result"]["authorizedSince"]) == (KEY, START)
    assert api.ask("order.place", bare)["result"]["status"] == "NEW"
    assert code(api.ask("order.place", {**bare, "timestamp": desk.now - 5_001})) == -1021
    assert len(desk.venue.exchange.open_orders(KEY)) == 1
    assert api.call("order.place", key="bob", **PLACE)["status"] == 200, "a signed request is its own key's"
    assert len(desk.venue.exchange.open_orders("bob")) == 1
    assert api.ask("session.status", {})["result"]["apiKey"] == KEY
    assert api.ask("session.logout", {})["result"]["apiKey"] is None
    assert (
        code(api.ask("order.cancel", {"symbol": "BTCUSDT", "origClientOrderId": "a", "timestamp": desk.now})) == -2014
    )


def test_a_logon_is_of_one_connection() -> None:
    desk = Desk(keys={KEY: pair("ed25519").known})
    desk.api().ask("session.logon", by_key("ed25519", {}))
    assert code(desk.api().ask("order.place", {**PLACE, "timestamp": desk.now})) == -2014


@pytest.mark.parametrize("kind", ["hmac", "rsa"])
def test_only_an_ed25519_key_logs_on(kind: KeyType) -> None:
    api = Desk(keys={KEY: pair(kind).known}).api()
    assert code(api.ask("session.logon", by_key(kind, {}))) == -2015


def test_a_logon_with_a_wrong_signature_or_an_old_time_is_refused() -> None:
    api = Desk(keys={KEY: pair("ed25519").known}).api()
    assert code(api.ask("session.logon", {**by_key("ed25519", {}), "signature": "QUJD"})) == -1022
    assert code(api.ask("session.logon", by_key("ed25519", {}, START - 6_000))) == -1021
    assert api.ask("session.status", {})["result"]["apiKey"] is None


def test_a_listen_key_needs_the_api_key_alone() -> None:
    api = Desk().api()
    made = api.ask("userDataStream.start", {"apiKey": "alice"})["result"]["listenKey"]
    assert api.ask("userDataStream.ping", {"apiKey": "alice"})["result"] == {"listenKey": made}
    assert code(api.ask("userDataStream.start", {})) == -2014


# --- counters -----------------------------------------------------------------------------------------


def test_rest_and_the_socket_fill_the_same_counters() -> None:
    desk = Desk(Limits(orders_10s=2))
    api = desk.api()
    desk.order(newClientOrderId="rest")
    assert api.call("order.place", **PLACE)["status"] == 200
    refused = api.call("order.place", **{**PLACE, "newClientOrderId": "b"})
    assert (refused["status"], code(refused)) == (429, -1015)
    assert refused["error"]["data"] == {"serverTime": START, "retryAfter": START + 10_000}
    assert desk.call("POST", "/fapi/v1/order", **LIMIT).status == 429
    assert api.call("order.cancel", symbol="BTCUSDT", origClientOrderId="a")["status"] == 200


def test_a_handshake_weighs_and_is_refused_when_the_weight_is_used_up() -> None:
    desk = Desk(Limits(weight_1m=10))
    desk.api()
    desk.api()
    with pytest.raises(VenueError) as refused:
        desk.api()
    assert refused.value.status == 429


def test_a_connection_ends_after_a_day_or_when_the_server_goes_away() -> None:
    desk = Desk()
    one, two = desk.api(), desk.api()
    desk.now += 86_400_000 - 1_000
    desk.venue.tick(desk.now)
    assert one.closed == []
    desk.wait(1_000)
    assert [api.closed[0][0] for api in (one, two)] == [1001, 1001]
    three = desk.api()
    desk.venue.shut_down(2_000)
    assert three.frames == [{"event": {"e": "serverShutdown", "E": desk.now}}]
    assert three.call("order.place", **PLACE)["status"] == 200
    desk.wait(2_000)
    assert three.closed[0][0] == 1001


# --- faults -------------------------------------------------------------------------------------------


class Bench:
    """A desk behind a gate, with one socket."""

    def __init__(self, *rules: Rule, latency: Latency | None = None) -> None:
        self.desk = Desk()
        self.clock = HandClock(self.desk)
        self.tasks = Tasks()
        chance = random.Random(1)
        self.gate = Gate(self.desk.venue, self.clock, Script(rules, chance), chance, latency or Latency(), self.tasks)
        self.frames: list[bytes] = []
        self.closed: list[int] = []
        self.line = self.gate.open(PATH, "127.0.0.1", self.frames.append, lambda code, _: self.closed.append(code))

    def ask(self, ident: int = 1, method: str = "order.place", **changes: str) -> None:
        params = api_params({**PLACE, **changes}, "alice", KEYS["alice"], self.desk.now)
        self.line.on_text(json.dumps({"id": ident, "method": method, "params": params}))

    @property
    def open(self) -> list[str]:
        return [order.client_id for order in self.desk.venue.exchange.open_orders("alice")]

    def said(self) -> list[tuple[int, int]]:
        return [(answer["id"], answer["status"]) for answer in map(json.loads, self.frames)]


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


@pytest.mark.faults
async def test_a_rule_for_a_route_binds_the_method_that_stands_for_it(bench) -> None:
    rule = OnRequest(method="POST", path="/fapi/v1/order", params={"newClientOrderId": "b"}, status=503, code=-1008)
    one = bench(rule)
    one.ask(1)
    one.ask(2, newClientOrderId="b")
    await one.clock.advance(1)
    assert one.said() == [(1, 200), (2, 503)]
    assert one.open == ["a"]
    assert one.gate.requests == 2


@pytest.mark.faults
@pytest.mark.parametrize("transport, status", [("rest", 200), ("ws", 500), ("", 500)])
async def test_a_rule_may_bind_one_transport(bench, transport, status) -> None:
    one = bench(OnRequest(transport=transport, status=500))
    one.ask()
    await one.clock.advance(1)
    assert one.said() == [(1, status)]


@pytest.mark.ambiguity
@pytest.mark.parametrize("lose, placed", [("before", []), ("after", ["a"])])
async def test_a_lost_answer_takes_its_socket_along(bench, lose, placed) -> None:
    one = bench(OnRequest(lose=lose))
    one.ask()
    await one.clock.advance(1)
    assert (one.frames, one.closed, one.open) == ([], [1006], placed)


@pytest.mark.ambiguity
@pytest.mark.parametrize("execute, placed", [(False, []), (True, ["a"])])
async def test_what_is_no_json_is_sent_as_it_is(bench, execute, placed) -> None:
    one = bench(OnRequest(status=200, body="<html>welcome</html>", execute=execute))
    one.ask()
    await one.clock.advance(1)
    assert (one.frames, one.open) == ([b"<html>welcome</html>"], placed)


@pytest.mark.faults
async def test_answers_may_overtake_each_other(bench) -> None:
    one = bench(OnRequest(delay_after_ms=50))
    one.ask(1)
    one.ask(2, newClientOrderId="b")
    await one.clock.advance(60)
    assert one.said() == [(2, 200), (1, 200)]


@pytest.mark.faults
async def test_a_muted_socket_takes_nothing(bench) -> None:
    one = bench()
    one.line.mute()
    one.ask()
    await one.clock.advance(1)
    assert (one.frames, one.open) == ([], [])


@pytest.mark.ambiguity
async def test_what_was_taken_is_carried_out_though_its_socket_is_gone(bench) -> None:
    one = bench(OnRequest(delay_before_ms=100))
    one.ask()
    await one.clock.advance(50)
    one.line.cut(1006)
    await one.clock.advance(60)
    assert (one.frames, one.open) == ([], ["a"])


@pytest.mark.faults
async def test_latency_delays_the_answer_once(bench) -> None:
    one = bench(latency=Latency(engine_ms=7, answer_ms=20, stream_ms=500))
    one.ask()
    await one.clock.advance(26)
    assert (one.open, one.frames) == (["a"], [])
    await one.clock.advance(1)
    assert one.said() == [(1, 200)]
