"""The venue over real sockets: raw bytes for the signature, lost answers, frames, handshakes, the program itself."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from pms.clock import SystemClock
from pms.datadir import DataDir
from pms.sim import program, server
from pms.sim.faults import Gate, Latency
from pms.sim.limits import UNLIMITED, Limits
from pms.sim.model import DepthDiff, DepthSnapshot
from pms.sim.script import OnRequest, OnSocket, Rule, Script
from pms.sim.server import Server
from pms.sim.wire import Venue, VenueSettings
from pms.tasks import Tasks
from tests.contract.sim_wire.client import KEYS, sign

D = Decimal
LIMIT = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.010&price=84000.00"
ORDER = "/fapi/v1/order"
PATIENCE_S = 10  # a loopback exchange takes milliseconds; this only bounds a failure


class Site:
    """A served venue with a little book, and a client session."""

    def __init__(self, *rules: Rule, limits: Limits = UNLIMITED) -> None:
        self.clock = SystemClock()
        self.tasks = Tasks()
        self.venue = Venue(VenueSettings(KEYS, ("BTCUSDT",), limits), self.clock.now_ms)
        bids, asks = ((D("84551.0"), D(5)),), ((D("84551.1"), D(5)),)
        self.venue.apply(DepthSnapshot("BTCUSDT", self.clock.now_ms(), bids, asks))
        chance = random.Random(1)
        self.gate = Gate(self.venue, self.clock, Script(rules, chance), chance, Latency(), self.tasks)
        self.server = Server(self.gate, self.tasks)

    async def __aenter__(self) -> Site:
        await self.server.start()
        self.http = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.http.close()
        await self.server.close()
        await self.tasks.close()
        assert self.tasks.failures == 0

    def change(self, size: str) -> None:
        """Let the best bid's size change."""
        self.venue.apply(DepthDiff("BTCUSDT", self.clock.now_ms(), ((D("84551.0"), D(size)),), ()))

    def query(self, text: str) -> str:
        unsigned = f"{text}&timestamp={self.clock.now_ms()}"
        return f"{unsigned}&signature={sign(unsigned, KEYS['alice'])}"

    async def raw(self, request: bytes) -> bytes:
        """Send bytes, read to the end of the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.rest_port)
        try:
            writer.write(request)
            async with asyncio.timeout(PATIENCE_S):
                return await reader.read()
        finally:
            writer.close()

    def stream(self, target: str):
        return connect(f"ws://127.0.0.1:{self.server.stream_port}{target}", proxy=None)


def _post(target: str, body: str = "") -> bytes:
    return (
        f"POST {target} HTTP/1.1\r\nhost: x\r\nX-MBX-APIKEY: alice\r\nconnection: close\r\n"
        f"content-type: application/x-www-form-urlencoded\r\ncontent-length: {len(body)}\r\n\r\n{body}"
    ).encode()


async def _next(socket) -> dict:
    async with asyncio.timeout(PATIENCE_S):
        return json.loads(await socket.recv())


async def test_the_signature_is_checked_over_the_bytes_on_the_wire() -> None:
    async with Site() as site:
        # Both escapes are written in a way no client library would produce: re-encoding them would break the signature.
        query = site.query(f"{LIMIT}&newClientOrderId=%61%2fb")
        answer = await site.raw(_post(f"{ORDER}?{query}"))
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), answer
        assert json.loads(body)["clientOrderId"] == "a/b"
        assert b"x-mbx-used-weight-1m: 0" in head.lower()
        assert b"x-mbx-order-count-10s: 1" in head.lower()


async def test_a_form_body_is_signed_as_received_too() -> None:
    async with Site() as site:
        answer = await site.raw(_post(ORDER, site.query(f"{LIMIT}&newClientOrderId=%61")))
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["clientOrderId"] == "a"


@pytest.mark.ambiguity
@pytest.mark.parametrize("lose, placed", [("before", 0), ("after", 1)])
async def test_a_lost_answer_ends_the_connection_without_a_byte(lose, placed) -> None:
    async with Site(OnRequest(method="POST", lose=lose)) as site:
        assert await site.raw(_post(f"{ORDER}?{site.query(LIMIT)}")) == b""
        assert len(site.venue.exchange.open_orders("alice")) == placed
        assert site.gate.requests == 1


async def test_a_kept_alive_connection_serves_many_requests() -> None:
    async with Site() as site:
        url = f"http://127.0.0.1:{site.server.rest_port}"
        for _ in range(3):
            async with site.http.get(f"{url}/fapi/v1/depth", params={"symbol": "BTCUSDT"}) as answer:
                assert answer.status == 200
                assert (await answer.json())["bids"] == [["84551.00", "5.000"]]
        async with site.http.get(f"{url}/nothing") as answer:
            assert answer.status == 404


async def test_depth_frames_arrive_as_text_on_raw_and_combined_sockets() -> None:
    async with Site() as site:
        name = "btcusdt@depth@0ms"
        async with site.stream(f"/public/ws/{name}") as one, site.stream("/public/stream") as two:
            await two.send(json.dumps({"method": "SUBSCRIBE", "params": [name], "id": 1}))
            assert await _next(two) == {"result": None, "id": 1}
            site.change("7")
            frame = await _next(one)
            assert frame["b"] == [["84551.00", "7.000"]]
            assert await _next(two) == {"stream": name, "data": frame}


async def test_the_private_socket_hears_of_an_order_placed_by_rest() -> None:
    async with Site() as site:
        key = site.venue.listen_keys.issue("alice", site.clock.now_ms())
        async with site.stream(f"/private/ws?listenKey={key}&events=ORDER_TRADE_UPDATE") as socket:
            await site.raw(_post(f"{ORDER}?{site.query(LIMIT)}"))
            assert (await _next(socket))["o"]["x"] == "NEW"


async def test_a_wrong_path_and_a_scripted_refusal_end_the_handshake() -> None:
    async with Site(OnSocket(path="/private/*", refuse=503)) as site:
        for target, status in (("/nowhere", 404), ("/private/ws", 503)):
            with pytest.raises(InvalidStatus) as refused:
                async with site.stream(target):
                    pytest.fail("the handshake was accepted")
            assert refused.value.response.status_code == status


@pytest.mark.faults
@pytest.mark.parametrize("code", [1006, 1012])
async def test_a_cut_socket_ends_with_or_without_a_close_frame(code) -> None:
    async with Site() as site, site.stream("/public/ws/btcusdt@depth@0ms") as socket:
        (line,) = site.gate.lines
        line.cut(code)
        with pytest.raises(ConnectionClosed) as closed:
            await _next(socket)
        assert (closed.value.rcvd.code if closed.value.rcvd else 1006) == code
        assert not site.venue.hub.heard("btcusdt@depth@0ms")


async def test_a_client_that_leaves_is_forgotten() -> None:
    async with Site() as site:
        async with site.stream("/public/ws/btcusdt@depth@0ms"):
            (line,) = site.gate.lines
            left = asyncio.Event()
            told, line.on_close = line.on_close, lambda: (told(), left.set())
        async with asyncio.timeout(PATIENCE_S):
            await left.wait()
        assert line.ended
        assert not site.venue.hub.heard("btcusdt@depth@0ms")


async def test_more_than_ten_messages_a_second_close_with_1008() -> None:
    async def flood(socket) -> None:
        for number in range(21):  # however they fall into seconds, one has eleven
            await socket.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": number}))
        while True:
            await _next(socket)

    async with Site() as site, site.stream("/public/ws") as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await flood(socket)
        assert closed.value.rcvd.code == 1008


async def test_the_connection_limit_refuses_the_handshake_with_its_wait() -> None:
    async with Site(limits=Limits(connects_5m=1)) as site:
        async with site.stream("/public/ws"):
            with pytest.raises(InvalidStatus) as refused:
                async with site.stream("/public/ws"):
                    pytest.fail("the handshake was accepted")
        assert refused.value.response.status_code == 429
        assert 1 <= int(refused.value.response.headers["retry-after"]) <= 300


async def test_a_client_that_does_not_read_is_cut_off(monkeypatch) -> None:
    monkeypatch.setattr(server, "BACKLOG_MAX", -1)  # any backlog, even none, is too much
    async with Site() as site, site.stream("/public/ws/btcusdt@depth@0ms") as socket:
        site.change("7")
        with pytest.raises(ConnectionClosed) as closed:
            await _next(socket)
        assert closed.value.rcvd.code == 1008


async def test_a_port_in_use_is_an_error_and_nothing_listens() -> None:
    async with Site() as site:
        second = Server(site.gate, site.tasks, rest_port=0, stream_port=site.server.stream_port)
        with pytest.raises(OSError, match="address already in use"):
            await second.start()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", second.rest_port)


@pytest.mark.faults
async def test_a_reset_is_one_and_a_half_open_socket_answers_no_ping() -> None:
    async with Site() as site:
        stream, deaf = await site.stream("/public/ws"), await site.stream("/public/ws")
        first, second = site.gate.live("public")
        first.cut(1006)
        async with asyncio.timeout(PATIENCE_S):
            with pytest.raises(ConnectionClosed) as ended:
                await stream.recv()
            assert isinstance(ended.value.__cause__, ConnectionResetError)
            await (await deaf.ping())
        second.freeze()
        pong = await deaf.ping()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await pong
        deaf.transport.abort()


# --- the program ----------------------------------------------------------------------------------


def _arguments(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    program.add_arguments(parser)
    return parser.parse_args(["--rest-port", "0", "--stream-port", "0", *given])


async def _run(tmp_path: Path, *given: str, answer: str = "n") -> tuple[int, str]:
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        if text.startswith("Simulated"):
            asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGTERM)

    code = await program.run(_arguments("--data", str(tmp_path / "venue"), *given), say=say, ask=lambda _: answer)
    return code, "\n".join(said)


async def test_the_program_says_where_it_listens_and_stops_on_a_signal(tmp_path) -> None:
    code, said = await _run(tmp_path, "--profile", "still", "--symbols", "BTCUSDT")
    assert code == 0
    for word in ("http://127.0.0.1:", "ws://127.0.0.1:", "synthetic, still; BTCUSDT", "paper"):
        assert word in said
    assert "paper-secret" not in said


async def test_the_program_takes_faults_while_it_runs(tmp_path) -> None:
    told: list[dict] = []

    async def inject(url: str) -> None:
        async with aiohttp.ClientSession() as http, http.post(f"{url}/faults", data='{"fault": "neighbour"}') as answer:
            told.append(await answer.json())
        signal.raise_signal(signal.SIGTERM)

    tasks = Tasks()

    def say(text: str) -> None:
        if text.startswith("{"):
            tasks.spawn(inject(json.loads(text)["control"]), "inject")

    given = ("--data", str(tmp_path / "venue"), "--profile", "still", "--control-port", "0", "--json")
    assert await program.run(_arguments(*given), say=say) == 0
    assert told == [{"fired": {"neighbour": 1}, "standing": [], "waiting": 0}]
    assert tasks.failures == 0


async def test_a_reset_asks_first_and_no_is_no(tmp_path) -> None:
    await _run(tmp_path, "--profile", "still")
    kept = tmp_path / "venue" / "venue.jsonl"
    kept.write_bytes(b"")
    code, said = await _run(tmp_path, "--profile", "still", "--reset")
    assert code == program.REFUSED
    assert "Nothing was forgotten" in said
    assert kept.exists()
    for given, answer in ((("--reset",), "y"), (("--reset", "--yes"), "n")):
        code, said = await _run(tmp_path, "--profile", "still", *given, answer=answer)
        assert code == 0
        assert "starts empty" in said


def test_the_arguments_choose_the_venues_patience() -> None:
    assert program.options_of(_arguments()).limits == Limits()
    assert program.options_of(_arguments("--unlimited")).limits == UNLIMITED


@pytest.mark.parametrize(
    "given, word",
    [
        (("--symbols", "XYZUSDT"), "XYZUSDT"),
        (("--key", "nosecret"), "KEY:SECRET"),
        (("--latency", "1,2"), "four numbers"),
        (("--faults", "/does/not/exist"), "No such file"),
        (("--replay", "/does/not/exist.gz"), "does/not/exist"),
        (("--faults", "FILE"), "Invalid value 'storm' - at `$[0].fault`; the kinds are"),
        (("--profile", "still", "--faults", "OTHER"), "there is no symbol XYZUSDT"),
    ],
)
async def test_what_cannot_be_is_said_and_nothing_starts(tmp_path, given, word) -> None:
    files = {"FILE": '[{"fault": "storm"}]', "OTHER": '[{"fault": "depth_gap", "symbol": "XYZUSDT"}]'}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    code, said = await _run(tmp_path, *(str(tmp_path / each) if each in files else each for each in given))
    assert code == program.REFUSED
    assert said.startswith("The simulator was not started")
    assert word in said


async def test_two_programs_do_not_share_a_data_directory(tmp_path) -> None:
    with DataDir(tmp_path / "venue"):
        code, said = await _run(tmp_path)
    assert code == program.REFUSED
    assert "in use" in said
