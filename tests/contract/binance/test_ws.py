"""Our WebSocket client against another library's server, and against raw bytes where a server would not misbehave."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import cast

import pytest
from websockets.asyncio.server import ServerConnection, serve

from pms.binance import ws
from pms.binance.transport import NotSent
from pms.binance.ws import WebSockets
from pms.clock import SystemClock

Talk = Callable[[ServerConnection], Awaitable[None]]


class User:
    """What a socket told."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[bytes] = asyncio.Queue()
        self.ends: list[str] = []
        self.ended = asyncio.Event()

    def on_close(self, reason: str) -> None:
        self.ends.append(reason)
        self.ended.set()


@pytest.fixture
def user() -> User:
    return User()


@pytest.fixture
async def sockets() -> AsyncIterator[WebSockets]:
    made = WebSockets(SystemClock(), random.Random(3).random)
    yield made
    await made.close()


@asynccontextmanager
async def server(talk: Talk) -> AsyncIterator[str]:
    async with serve(talk, "127.0.0.1", 0, compression=None) as running:
        yield f"ws://127.0.0.1:{next(iter(running.sockets)).getsockname()[1]}/public/ws?a=b"


@asynccontextmanager
async def raw(answer: bytes) -> AsyncIterator[str]:
    """A server that says `answer` to whatever it is told, and then waits for the end."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        while await reader.read(1024):
            continue
        writer.close()

    running = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{running.sockets[0].getsockname()[1]}/"
    finally:
        running.close()
        await running.wait_closed()


async def test_texts_go_both_ways_whatever_their_size(sockets: WebSockets, user: User) -> None:
    async def echo(socket: ServerConnection) -> None:
        assert socket.request is not None
        await socket.send(socket.request.path)
        async for message in socket:
            await socket.send(message)

    async with server(echo) as url:
        socket = await sockets.connect(url, user.frames.put_nowait, user.on_close)
        assert await user.frames.get() == b"/public/ws?a=b"
        for size in (0, 125, 126, 65_535, 65_536, 300_000):
            socket.send("ü" * (size // 2))
            assert await user.frames.get() == ("ü" * (size // 2)).encode()
        await socket.close()
    assert user.ends == ["closed by us"]


async def test_a_burst_arrives_whole_and_in_order(sockets: WebSockets, user: User) -> None:
    async def burst(socket: ServerConnection) -> None:
        for number in range(5_000):
            await socket.send(str(number) * 20)

    async with server(burst) as url:
        await sockets.connect(url, user.frames.put_nowait, user.on_close)
        await user.ended.wait()
    assert [await user.frames.get() for _ in range(5_000)] == [(str(number) * 20).encode() for number in range(5_000)]
    assert user.ends == ["closed by the venue: 1000"]


async def test_a_message_in_parts_and_pings_between(sockets: WebSockets, user: User) -> None:
    async def parts(socket: ServerConnection) -> None:
        await socket.send(["ab", "cd", "ef"])
        await (await socket.ping(b"are you there"))
        await socket.send("pong came")
        await socket.wait_closed()

    async with server(parts) as url:
        await sockets.connect(url, user.frames.put_nowait, user.on_close)
        assert [await user.frames.get(), await user.frames.get()] == [b"abcdef", b"pong came"]
        await sockets.close()


async def test_the_venues_reason_of_an_end_is_told_once(sockets: WebSockets, user: User) -> None:
    async def end(socket: ServerConnection) -> None:
        await socket.close(1008, "Too many requests")

    async with server(end) as url:
        socket = await sockets.connect(url, user.frames.put_nowait, user.on_close)
        await user.ended.wait()
        socket.send("late")
        await socket.close()
    assert user.ends == ["closed by the venue: 1008 Too many requests"]


async def test_a_reset_is_told(sockets: WebSockets, user: User) -> None:
    async def drop(socket: ServerConnection) -> None:
        socket.transport.abort()

    async with server(drop) as url:
        await sockets.connect(url, user.frames.put_nowait, user.on_close)
        await user.ended.wait()
    assert len(user.ends) == 1
    assert user.ends[0].startswith("the connection was lost")


async def test_nobody_there_is_not_sent(sockets: WebSockets, user: User) -> None:
    async with raw(b"") as url:
        gone = url
    with pytest.raises(NotSent, match=r"no socket to 127\.0\.0\.1"):
        await sockets.connect(gone, user.frames.put_nowait, user.on_close)
    assert user.ends == []


@pytest.mark.parametrize("answer", [b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", b"x" * 20_000])
async def test_a_refused_handshake_is_not_sent(sockets: WebSockets, user: User, answer: bytes) -> None:
    async with raw(answer) as url:
        with pytest.raises(NotSent):
            await sockets.connect(url, user.frames.put_nowait, user.on_close)
    assert user.ends == []


async def test_a_handshake_that_never_ends_is_given_up(
    sockets: WebSockets, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ws, "CONNECT_S", 0.05)
    async with raw(b"HTTP/1.1 101 Switch") as url:
        with pytest.raises(NotSent, match="timed out"):
            await sockets.connect(url, user.frames.put_nowait, user.on_close)


async def test_a_url_of_another_kind_is_refused(sockets: WebSockets, user: User) -> None:
    with pytest.raises(ValueError, match="is not a stream URL"):
        await sockets.connect("https://x/y", user.frames.put_nowait, user.on_close)


class Peer(asyncio.Protocol):
    """A server by hand: opens the socket properly, and from then on only does what `talks` says."""

    def __init__(self, talks: Callable[[Peer], None]) -> None:
        self.talks = talks
        self.pings = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.write = cast(asyncio.Transport, transport).write

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"GET"):
            key = next(line for line in data.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key")).split(b": ")[1]
            accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
            self.write(b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        else:
            self.pings += 1
        self.talks(self)


@asynccontextmanager
async def peer(talks: Callable[[Peer], None]) -> AsyncIterator[str]:
    running = await asyncio.get_running_loop().create_server(lambda: Peer(talks), "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{running.sockets[0].getsockname()[1]}/"
    finally:
        running.close()


async def test_a_peer_that_answers_no_ping_is_dropped(
    sockets: WebSockets, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ws, "HEARTBEAT_S", 0.02)
    async with peer(lambda server: None) as url:
        await sockets.connect(url, user.frames.put_nowait, user.on_close)
        await user.ended.wait()
    assert user.ends[0].startswith("nothing heard for")


async def test_a_peer_that_answers_pings_is_kept(
    sockets: WebSockets, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(server: Peer) -> None:
        if server.pings:
            server.write(b"\x8a\x00" if server.pings < 10 else b"\x81\x02ok")

    monkeypatch.setattr(ws, "HEARTBEAT_S", 0.02)
    async with peer(answer) as url:
        await sockets.connect(url, user.frames.put_nowait, user.on_close)
        assert await user.frames.get() == b"ok"
        assert user.ends == []
        await sockets.close()


async def test_a_peer_that_breaks_the_protocol_is_dropped(sockets: WebSockets, user: User) -> None:
    async with peer(lambda server: server.write(b"\x81\x02ok\x81\x81mask?")) as url:
        await sockets.connect(url, user.frames.put_nowait, user.on_close)
        await user.ended.wait()
    assert await user.frames.get() == b"ok"
    assert user.ends == ["broken: a masked frame from the server"]
