"""Both clients against a real TLS server on loopback, on both event loops: whom they trust, and what they say if not.

`tests/data/tls` holds an authority made for this (its key was thrown away) and the certificate with key of a venue at
127.0.0.1, both valid for a hundred years and good under `openssl verify -x509_strict`.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
import uvloop
from websockets.asyncio.server import ServerConnection, serve

from pms.binance.http import HttpClient
from pms.binance.transport import Lost, NotSent
from pms.binance.ws import WebSockets
from pms.clock import SystemClock

FILES = Path(__file__).resolve().parents[2] / "data" / "tls"
VENUE, ELSEWHERE = "127.0.0.1", "localhost"  # the certificate names the first only; both reach the server
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
Play = Callable[[Callable[[], Awaitable[None]]], None]


@pytest.fixture(params=LOOPS)
def play(request: pytest.FixtureRequest) -> Play:
    """Runs a test's body on one of the loops; what a loop reports as unhandled fails it."""

    def run(body: Callable[[], Awaitable[None]]) -> None:
        unhandled: list[object] = []

        async def watched() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
            async with asyncio.timeout(10):
                await body()

        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            runner.run(watched())
        assert unhandled == []

    return run


def trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=FILES / "authority.pem")


def serving() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FILES / "venue.pem")
    return context


class Venue:
    """Counts whole requests, answers them, and lets a test cut the connections."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.answers = True
        self.port = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.requests.append(head.partition(b" HTTP/")[0].decode())
                if not self.answers:
                    writer.transport.abort()
                    return
                writer.write(ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def venue() -> AsyncIterator[Venue]:
    made = Venue()
    running = await asyncio.start_server(made.talk, VENUE, 0, ssl=serving())
    made.port = running.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        running.close()


@asynccontextmanager
async def client(host: str, port: int, tls: ssl.SSLContext | None) -> AsyncIterator[HttpClient]:
    made = HttpClient(f"https://{host}:{port}", answer_s=2.0, connect_s=2.0, tls=tls)
    try:
        yield made
    finally:
        await made.close()


# --- requests -----------------------------------------------------------------------------------------


def test_requests_to_a_trusted_venue_share_one_connection(play: Play) -> None:
    async def body() -> None:
        async with venue() as server, client(VENUE, server.port, trusting()) as http:
            for number in range(3):
                assert (await http.request("POST", f"/order?n={number}", {})).body == b"{}"
            assert len(http._open) == 1
            assert server.requests == ["POST /order?n=0", "POST /order?n=1", "POST /order?n=2"]

    play(body)


REFUSED = [
    pytest.param(ELSEWHERE, True, "certificate was refused (Hostname mismatch", id="another host's certificate"),
    pytest.param(VENUE, False, "certificate was refused (unable to get local issuer", id="an unknown authority"),
]


@pytest.mark.parametrize(("host", "trusted", "says"), REFUSED)
def test_a_request_is_not_sent_under_a_certificate_that_is_not_good(
    play: Play, host: str, trusted: bool, says: str
) -> None:
    async def body() -> None:
        async with venue() as server, client(host, server.port, trusting() if trusted else None) as http:
            with pytest.raises(NotSent) as raised:
                await http.request("POST", "/order", {})
            assert says in str(raised.value)
            assert f"no connection to {host}:{server.port}" in str(raised.value)
            assert "CA certificates" in str(raised.value)
            assert (server.requests, http._open) == ([], set())

    play(body)


class Plain(asyncio.Protocol):
    """A server without TLS, which keeps what it heard."""

    def __init__(self, heard: bytearray) -> None:
        self._heard = heard

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._heard += data
        self._transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_a_request_is_not_sent_to_a_server_without_tls(play: Play) -> None:
    async def body() -> None:
        heard = bytearray()
        plain = await asyncio.get_running_loop().create_server(lambda: Plain(heard), VENUE, 0)
        async with client(VENUE, plain.sockets[0].getsockname()[1], trusting()) as http:
            with pytest.raises(NotSent, match=r"it does not speak TLS as we do \(WRONG_VERSION_NUMBER\)"):
                await http.request("POST", "/order", {"X-MBX-APIKEY": "k"})
        plain.close()
        assert heard
        assert b"/order" not in heard

    play(body)


def test_a_server_that_never_shakes_hands_is_given_up(play: Play) -> None:
    async def body() -> None:
        mute = await asyncio.get_running_loop().create_server(asyncio.Protocol, VENUE, 0)
        http = HttpClient(f"https://{VENUE}:{mute.sockets[0].getsockname()[1]}", connect_s=0.1, tls=trusting())
        with pytest.raises(NotSent, match="timed out"):
            await http.request("POST", "/order", {})
        assert http._open == set()
        await http.close()
        mute.close()

    play(body)


def test_a_connection_that_ends_under_a_written_request_is_lost_and_not_sent_again(play: Play) -> None:
    async def body() -> None:
        async with venue() as server, client(VENUE, server.port, trusting()) as http:
            await http.request("PUT", "/order?n=0", {})
            server.answers = False
            with pytest.raises(Lost, match="ended before the whole answer"):
                await http.request("PUT", "/order?n=1", {})
            assert server.requests == ["PUT /order?n=0", "PUT /order?n=1"]

    play(body)


# --- frame sockets ------------------------------------------------------------------------------------


@asynccontextmanager
async def streams(tls: ssl.SSLContext | None) -> AsyncIterator[tuple[WebSockets, int]]:
    async def echo(socket: ServerConnection) -> None:
        async for message in socket:
            await socket.send(message)

    sockets = WebSockets(SystemClock(), random.Random(3).random, tls)
    async with serve(echo, VENUE, 0, compression=None, ssl=serving()) as server:
        yield sockets, next(iter(server.sockets)).getsockname()[1]
        await sockets.close()


def test_frames_go_both_ways_over_tls_whatever_their_size(play: Play) -> None:
    async def body() -> None:
        frames: asyncio.Queue[bytes] = asyncio.Queue()
        ends: list[str] = []
        async with streams(trusting()) as (sockets, port):
            socket = await sockets.connect(f"wss://{VENUE}:{port}/public/ws", frames.put_nowait, ends.append)
            for size in (0, 125, 65_536, 300_000):
                socket.send("x" * size)
                assert await frames.get() == b"x" * size
            await socket.close()
        assert ends == ["closed by us"]

    play(body)


@pytest.mark.parametrize(("host", "trusted", "says"), REFUSED)
def test_no_socket_opens_under_a_certificate_that_is_not_good(play: Play, host: str, trusted: bool, says: str) -> None:
    async def body() -> None:
        ends: list[str] = []
        async with streams(trusting() if trusted else None) as (sockets, port):
            with pytest.raises(NotSent) as raised:
                await sockets.connect(f"wss://{host}:{port}/private/ws?listenKey=x", ends.append, ends.append)
            assert says in str(raised.value)
            assert f"no socket to {host}" in str(raised.value)
            assert (ends, sockets._open) == ([], set())

    play(body)
