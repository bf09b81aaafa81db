"""The HTTP client against a scripted raw server: what was sent how often, and how far a failed request came.

Each script plays one connection. The server counts every request it reads, which proves that nothing is sent twice.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import pytest
import uvloop

from pms.binance import http
from pms.binance.http import HttpClient
from pms.binance.transport import Lost, NotSent, Response
from pms.tasks import Tasks

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
Script = Callable[["Peer"], Awaitable[None]]


class Peer:
    """The server's end of one connection."""

    def __init__(self, server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self.reader = reader
        self.writer = writer

    async def read(self) -> bytes:
        """One request's head; the test's requests have no bodies."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.server.requests.append(head.split(b" HTTP/1.1", 1)[0].decode())
        return head

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class RawServer:
    """Plays `scripts` in order, one per connection; the last one again and again."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.connections = 0
        self.scripts: list[Script] = []
        self._server: asyncio.Server | None = None
        self._peers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._on_connection, "127.0.0.1", 0)

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self.scripts[min(self.connections, len(self.scripts) - 1)]
        self.connections += 1
        self._peers.add(writer)
        try:
            await script(Peer(self, reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.transport.abort()  # the client left
        finally:
            writer.close()

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._peers:
            writer.transport.abort()
        await self._server.wait_closed()


async def answering(peer: Peer) -> None:
    while True:
        await peer.read()
        await peer.write(OK)


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    server = RawServer()
    server.scripts = [answering]
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def client(server: RawServer) -> AsyncIterator[HttpClient]:
    client = HttpClient(f"http://127.0.0.1:{server.port}", answer_s=0.3, connect_s=1.0)
    yield client
    await client.close()


async def ask(client: HttpClient, target: str = "/a", method: str = "PUT") -> Response:
    return await client.request(method, target, {"X-MBX-APIKEY": "k"})


async def until_idle_ends(client: HttpClient) -> None:
    """Wait until the client has heard that its idle connection, if it kept any, is over."""
    async with asyncio.timeout(5):
        if client._idle:
            await asyncio.shield(client._idle[0].ended)


async def test_requests_share_one_kept_alive_connection(server: RawServer, client: HttpClient) -> None:
    for number in range(5):
        assert (await ask(client, f"/{number}")).body == b"{}"
    assert server.connections == 1
    assert server.requests == [f"PUT /{number}" for number in range(5)]


async def test_requests_at_the_same_time_have_a_connection_each(server: RawServer, client: HttpClient) -> None:
    answers = await asyncio.gather(*(ask(client, f"/{number}") for number in range(5)))
    assert [answer.status for answer in answers] == [200] * 5
    assert server.connections == 5
    await ask(client)
    assert server.connections == 5


async def test_a_chunked_answer_in_pieces_is_read_whole(server: RawServer, client: HttpClient) -> None:
    async def chunks(peer: Peer) -> None:
        await peer.read()
        await peer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab")
        await asyncio.sleep(0)
        await peer.write(b"c\r\n2\r\nde\r\n0\r\n\r\n")
        await answering(peer)

    server.scripts = [chunks]
    assert (await ask(client)).body == b"abcde"
    assert (await ask(client)).body == b"{}"
    assert server.connections == 1


async def test_an_answer_that_ends_with_its_connection_is_whole(server: RawServer, client: HttpClient) -> None:
    async def until_the_end(peer: Peer) -> None:
        await peer.read()
        await peer.write(b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>")

    server.scripts = [until_the_end, answering]
    answer = await ask(client)
    assert (answer.status, answer.body) == (502, b"<html>")
    assert (await ask(client)).status == 200
    assert server.connections == 2


async def nothing(peer: Peer) -> None:
    await peer.read()
    peer.reset()


async def half_a_head(peer: Peer) -> None:
    await peer.read()
    await peer.write(OK[:20])
    peer.reset()


async def half_a_body(peer: Peer) -> None:
    await peer.read()
    await peer.write(OK[:-1])
    peer.writer.close()


async def half_the_chunks(peer: Peer) -> None:
    await peer.read()
    await peer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n")
    peer.writer.close()


async def a_polite_end(peer: Peer) -> None:
    await peer.read()
    peer.writer.close()


async def silence(peer: Peer) -> None:
    await peer.read()
    await peer.reader.read()


async def a_slow_body(peer: Peer) -> None:
    await peer.read()
    await peer.write(OK[:-1])
    await peer.reader.read()


async def no_http(peer: Peer) -> None:
    await peer.read()
    await peer.write(b"220 smtp ready\r\n\r\n")
    await peer.reader.read()


LOSSES = [nothing, half_a_head, half_a_body, half_the_chunks, a_polite_end, silence, a_slow_body, no_http]


@pytest.mark.ambiguity
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "GET"])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda script: script.__name__)
async def test_a_request_that_was_written_is_lost_and_never_sent_again(
    server: RawServer, client: HttpClient, loss: Script, method: str
) -> None:
    server.scripts = [loss, answering]
    with pytest.raises(Lost):
        await ask(client, "/order", method)
    assert server.requests == [f"{method} /order"]
    assert (await ask(client, "/next")).status == 200
    assert server.requests == [f"{method} /order", "PUT /next"]


@pytest.mark.ambiguity
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda script: script.__name__)
async def test_a_request_lost_on_a_kept_alive_connection_is_not_sent_on_another(
    server: RawServer, client: HttpClient, loss: Script, method: str
) -> None:
    async def once_well(peer: Peer) -> None:
        await peer.read()
        await peer.write(OK)
        await loss(peer)

    server.scripts = [once_well, answering]
    await ask(client, "/first")
    with pytest.raises(Lost):
        await ask(client, "/order", method)
    assert server.requests == ["PUT /first", f"{method} /order"]
    assert server.connections == 1


async def test_a_connection_that_closed_while_idle_is_not_written_to(server: RawServer, client: HttpClient) -> None:
    async def one_answer(peer: Peer) -> None:
        await peer.read()
        await peer.write(OK)

    server.scripts = [one_answer, answering]
    await ask(client, "/first")
    await until_idle_ends(client)
    assert (await ask(client, "/second")).status == 200
    assert server.requests == ["PUT /first", "PUT /second"]
    assert server.connections == 2


@pytest.mark.ambiguity
async def test_a_kept_alive_connection_reset_unseen_loses_the_request(server: RawServer, client: HttpClient) -> None:
    """The peer has reset before our write, but nobody has told us yet: nothing proves that the request was unread."""
    peers: list[Peer] = []

    async def one_answer(peer: Peer) -> None:
        peers.append(peer)
        await peer.read()
        await peer.write(OK)
        await peer.reader.read()

    server.scripts = [one_answer, answering]
    await ask(client, "/first")
    peers[0].reset()  # and no turn of the loop until the write
    with pytest.raises(Lost):
        await ask(client, "/second")
    assert server.requests == ["PUT /first"]
    assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [OK.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"), OK.replace(b"1.1", b"1.0"), OK + b"HTTP/1.1 200"],
)
async def test_a_connection_that_may_not_go_on_is_not_used_again(
    server: RawServer, client: HttpClient, answer: bytes
) -> None:
    async def one(peer: Peer) -> None:
        await peer.read()
        await peer.write(answer)
        await peer.reader.read()

    server.scripts = [one, answering]
    await ask(client)
    await ask(client)
    assert server.connections == 2


async def test_a_connection_idle_for_long_is_not_trusted(
    server: RawServer, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ask(client)
    monkeypatch.setattr(http, "IDLE_S", -1.0)
    await ask(client)
    assert server.connections == 2
    assert len(server.requests) == 2


async def test_bytes_nobody_asked_for_end_the_connection(server: RawServer, client: HttpClient) -> None:
    answered = asyncio.Event()

    async def chatter(peer: Peer) -> None:
        await peer.read()
        await peer.write(OK)
        await answered.wait()
        await peer.write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        await peer.reader.read()

    server.scripts = [chatter, answering]
    await ask(client)
    answered.set()
    await until_idle_ends(client)
    assert (await ask(client)).status == 200
    assert server.connections == 2


async def test_a_refused_connect_was_not_sent(server: RawServer) -> None:
    port = server.port
    await server.stop()
    client = HttpClient(f"http://127.0.0.1:{port}")
    with pytest.raises(NotSent, match="no connection"):
        await ask(client)
    await client.close()
    await server.start()


async def test_a_failed_tls_handshake_was_not_sent(server: RawServer) -> None:
    async def no_tls(peer: Peer) -> None:
        await peer.write(b"HTTP/1.1 400 plain text\r\n\r\n")

    server.scripts = [no_tls]
    client = HttpClient(f"https://127.0.0.1:{server.port}")
    with pytest.raises(NotSent):
        await ask(client)
    assert server.requests == []
    await client.close()


async def test_an_unresolvable_host_was_not_sent() -> None:
    client = HttpClient("http://venue.invalid")
    with pytest.raises(NotSent):
        await ask(client)
    await client.close()


async def test_more_connections_than_allowed_are_refused_unsent(
    server: RawServer, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "CONNECTIONS_MAX", 2)
    server.scripts = [silence]
    results = await asyncio.gather(*(ask(client, f"/{n}") for n in range(3)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["Lost", "Lost", "NotSent"]
    assert len(server.requests) == 2


async def test_a_cancelled_request_takes_its_connection_along(server: RawServer, client: HttpClient) -> None:
    tasks = Tasks()
    read = asyncio.Event()

    async def late(peer: Peer) -> None:
        await peer.read()
        read.set()
        await peer.reader.read()

    server.scripts = [late, answering]
    asking = tasks.spawn(ask(client, "/first"), "ask")
    await read.wait()
    asking.cancel()
    assert (await ask(client, "/second")).body == b"{}"
    assert server.requests == ["PUT /first", "PUT /second"]
    assert server.connections == 2
    await tasks.close()


async def test_close_ends_what_is_in_flight_and_sends_nothing_more(server: RawServer, client: HttpClient) -> None:
    tasks = Tasks()
    read = asyncio.Event()

    async def late(peer: Peer) -> None:
        await peer.read()
        read.set()
        await peer.reader.read()

    server.scripts = [late]
    asking = tasks.spawn(ask(client), "ask")
    await read.wait()
    await client.close()
    with pytest.raises(Lost):
        await asking
    with pytest.raises(NotSent, match="closed"):
        await ask(client)
    assert len(server.requests) == 1


ON_UVLOOP = [
    test_requests_share_one_kept_alive_connection,
    test_requests_at_the_same_time_have_a_connection_each,
    test_a_chunked_answer_in_pieces_is_read_whole,
    test_an_answer_that_ends_with_its_connection_is_whole,
    test_a_connection_that_closed_while_idle_is_not_written_to,
    test_a_kept_alive_connection_reset_unseen_loses_the_request,
    test_bytes_nobody_asked_for_end_the_connection,
    test_a_cancelled_request_takes_its_connection_along,
    test_close_ends_what_is_in_flight_and_sends_nothing_more,
    *(
        partial(test_a_request_that_was_written_is_lost_and_never_sent_again, loss=loss, method="PUT")
        for loss in LOSSES
    ),
]


@pytest.mark.parametrize("scenario", ON_UVLOOP)
def test_the_same_holds_on_the_loop_that_the_daemon_runs_on(scenario: Callable[..., Awaitable[None]]) -> None:
    async def play() -> None:
        server = RawServer()
        server.scripts = [answering]
        await server.start()
        client = HttpClient(f"http://127.0.0.1:{server.port}", answer_s=0.3, connect_s=1.0)
        try:
            await scenario(server, client)
        finally:
            await client.close()
            await server.stop()

    uvloop.run(play())


@pytest.mark.parametrize("url", ["ftp://host", "host:80", "http://", "fapi.binance.com"])
def test_a_base_url_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="base URL"):
        HttpClient(url)
