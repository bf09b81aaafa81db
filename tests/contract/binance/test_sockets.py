"""The WebSocket client against a real server of another library: frames both ways, and every kind of end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve

from pms.binance import sockets
from pms.binance.sockets import AioSockets
from pms.binance.transport import NotSent, Socket
from pms.tasks import Tasks

Script = Callable[[ServerConnection], Awaitable[None]]


class Ear:
    """Hears one socket."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[bytes] = asyncio.Queue()
        self.closed: asyncio.Queue[str] = asyncio.Queue()


class World:
    """A server that plays one script for each socket, and the client."""

    def __init__(self) -> None:
        self.tasks = Tasks()
        self.sockets = AioSockets(self.tasks)
        self.ear = Ear()
        self.paths: list[str] = []
        self._server: Server | None = None

    async def serve(self, script: Script) -> None:
        async def play(connection: ServerConnection) -> None:
            assert connection.request is not None
            self.paths.append(connection.request.path)
            await script(connection)

        self._server = await serve(play, "127.0.0.1", 0)

    @property
    def url(self) -> str:
        assert self._server is not None
        port = next(iter(self._server.sockets)).getsockname()[1]
        return f"ws://127.0.0.1:{port}/private/ws/%E5%B8%81"

    async def connect(self) -> Socket:
        return await self.sockets.connect(self.url, self.ear.frames.put_nowait, self.ear.closed.put_nowait)

    async def stop(self) -> None:
        await self.sockets.close()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        await self.tasks.close()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    async with asyncio.timeout(10):
        await world.stop()


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def test_frames_go_both_ways_as_bytes_and_in_order(world: World) -> None:
    await world.serve(echo)
    socket = await world.connect()
    for number in range(50):
        socket.send(f'{{"id":{number}}}')
    heard = [await world.ear.frames.get() for _ in range(50)]
    assert heard == [b'{"id":%d}' % number for number in range(50)]


async def test_the_url_reaches_the_venue_as_it_was_encoded(world: World) -> None:
    await world.serve(echo)
    await world.connect()
    assert world.paths == ["/private/ws/%E5%B8%81"]


async def test_a_frame_that_follows_the_handshake_at_once_is_heard(world: World) -> None:
    async def eager(connection: ServerConnection) -> None:
        await connection.send("first")
        await connection.wait_closed()

    await world.serve(eager)
    await world.connect()
    assert await world.ear.frames.get() == b"first"


async def test_the_venues_close_is_told_with_its_code_and_reason(world: World) -> None:
    async def refuse(connection: ServerConnection) -> None:
        await connection.close(1008, "Too many requests")

    await world.serve(refuse)
    await world.connect()
    assert await world.ear.closed.get() == "closed by the venue: 1008 Too many requests"


async def test_a_dropped_connection_is_told(world: World) -> None:
    async def drop(connection: ServerConnection) -> None:
        connection.transport.abort()

    await world.serve(drop)
    await world.connect()
    assert (await world.ear.closed.get()).startswith(("closed", "broken"))


async def test_our_own_close_is_told_once_and_sending_after_it_does_nothing(world: World) -> None:
    await world.serve(echo)
    socket = await world.connect()
    await socket.close()
    assert (await world.ear.closed.get()).startswith("closed")
    socket.send("late")
    await socket.close()
    await world.stop()
    assert world.ear.closed.empty()
    assert world.ear.frames.empty()


async def test_sending_on_a_connection_that_just_broke_is_the_readers_to_tell(world: World) -> None:
    await world.serve(echo)
    socket = await world.connect()
    assert socket._wire._response.connection is not None  # type: ignore[attr-defined]
    socket._wire._response.connection.transport.abort()  # type: ignore[attr-defined]
    socket.send("into the void")
    assert await world.ear.closed.get()
    assert world.tasks.failures == 0


async def test_closing_all_ends_each_socket(world: World) -> None:
    await world.serve(echo)
    await world.connect()
    await world.connect()
    await world.sockets.close()
    assert len([await world.ear.closed.get() for _ in range(2)]) == 2


async def test_a_frame_beyond_the_limit_ends_the_socket(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def flood(connection: ServerConnection) -> None:
        await connection.send("x" * 2000)
        await connection.wait_closed()

    monkeypatch.setattr(sockets, "FRAME_MAX", 1000)
    await world.serve(flood)
    await world.connect()
    assert await world.ear.closed.get()
    assert world.ear.frames.empty()


async def test_a_peer_that_answers_no_ping_is_dropped(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    over = asyncio.Event()

    async def deaf(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await over.wait()
        connection.transport.abort()

    monkeypatch.setattr(sockets, "HEARTBEAT_S", 0.1)
    await world.serve(deaf)
    await world.connect()
    async with asyncio.timeout(5):
        assert (await world.ear.closed.get()).startswith("broken")
    over.set()


async def test_a_refused_handshake_and_a_refused_connect_open_nothing(world: World) -> None:
    await world.serve(echo)
    with pytest.raises(NotSent, match="no socket to"):
        await world.sockets.connect(
            world.url.replace("ws://", "wss://"), world.ear.frames.put_nowait, world.ear.closed.put_nowait
        )
    url = world.url
    await world.stop()
    others = AioSockets(world.tasks)
    with pytest.raises(NotSent):
        await others.connect(url, world.ear.frames.put_nowait, world.ear.closed.put_nowait)
    await others.close()
    assert world.ear.closed.empty()


async def test_nothing_is_opened_after_the_close(world: World) -> None:
    await world.serve(echo)
    await world.sockets.close()
    with pytest.raises(NotSent, match="closed"):
        await world.connect()
    assert world.paths == []
