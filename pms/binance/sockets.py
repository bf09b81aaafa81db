"""Frame sockets over TCP: aiohttp's WebSocket client behind `transport.Sockets`.

Owns opening, reading and closing; pings are answered and a peer that is gone is noticed by our own. Refuses to know
what frames mean, and to reconnect: its user decides when (binance.md 6.1). Environment proxies are not used.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Literal

import aiohttp
from yarl import URL

from pms.binance.transport import NotSent, Socket, Sockets
from pms.tasks import Tasks

CONNECT_S = 10.0  # DNS, TCP, TLS and the upgrade together
CLOSE_S = 1.0  # a peer that does not answer a close frame is dropped
HEARTBEAT_S = 20.0  # ping after this silence, drop 10 s later: the venue allows five pings a second
FRAME_MAX = 4 * 1024 * 1024  # the largest frame seen has 70 kB; array streams some 100 kB


class AioSockets(Sockets):
    """Implements `transport.Sockets`. `tasks` runs one reader per socket."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def connect(self, url: str, on_frame: Callable[[bytes], None], on_close: Callable[[str], None]) -> AioSocket:
        """Open a socket. Raises `NotSent`; `on_close` is told once, whoever closed."""
        if self._closed:
            raise NotSent("the sockets are closed")
        if self._session is None:
            # DNS is asked anew each time: a cached address that died is what we reconnect away from
            connector = aiohttp.TCPConnector(limit=0, use_dns_cache=False)
            self._session = aiohttp.ClientSession(connector=connector, trust_env=False)
        try:
            async with asyncio.timeout(CONNECT_S):
                wire = await self._session.ws_connect(
                    URL(url, encoded=True),
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_S),
                    heartbeat=HEARTBEAT_S,
                    max_msg_size=FRAME_MAX,
                    decode_text=False,
                    proxy=None,
                )
        except (aiohttp.ClientError, OSError) as error:
            raise NotSent(f"no socket to {URL(url).host}: {str(error) or 'timed out'}") from error
        socket = AioSocket(wire, self._tasks)
        self._tasks.spawn(socket.read(on_frame, on_close), "socket-read")
        return socket

    async def close(self) -> None:
        """Close what all sockets share, and so the sockets too; no other is opened."""
        self._closed = True
        if self._session is not None:
            await self._session.close()


class AioSocket(Socket):
    """Implements `transport.Socket`."""

    def __init__(self, wire: aiohttp.ClientWebSocketResponse[Literal[False]], tasks: Tasks) -> None:
        self._wire = wire
        self._tasks = tasks
        self._outbox: deque[str] = deque()

    def send(self, text: str) -> None:
        """Queue one text frame; frames leave in order."""
        if self._wire.closed:
            return
        self._outbox.append(text)
        if len(self._outbox) == 1:
            self._tasks.spawn(self._flush(), "socket-send")

    async def close(self) -> None:
        await self._wire.close()

    async def _flush(self) -> None:
        while self._outbox:
            try:
                await self._wire.send_str(self._outbox[0])
            except (aiohttp.ClientError, OSError):
                self._outbox.clear()  # the reader tells why
                return
            self._outbox.popleft()

    async def read(self, on_frame: Callable[[bytes], None], on_close: Callable[[str], None]) -> None:
        """Hand on frames until the socket ends, then tell why. Run once, by `AioSockets`."""
        reason = "the reader stopped"
        try:
            while True:
                message = await self._wire.receive()
                if message.type is aiohttp.WSMsgType.TEXT or message.type is aiohttp.WSMsgType.BINARY:
                    on_frame(message.data)
                else:
                    reason = self._reason(message)
                    return
        finally:
            on_close(reason)

    def _reason(self, message: aiohttp.http_websocket.WSMessageNoDecodeText) -> str:
        if message.type is aiohttp.WSMsgType.CLOSE:
            return f"closed by the venue: {message.data} {message.extra or ''}".strip()
        if message.type is aiohttp.WSMsgType.ERROR:
            return f"broken: {message.data}"
        return f"closed: {self._wire.close_code or 'by us'}"
