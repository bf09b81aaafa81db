"""The venue on loopback: REST by aiohttp, streams by websockets, both through the fault gate.

Owns the two listeners. Refuses to know what is asked and answered. The raw target and the body
reach the venue as received, so that signatures are checked over the client's own bytes.
Invariants: loopback only; a lost request ends its connection without an answer; a reader too slow is cut off.
"""

from __future__ import annotations

import http
import struct
from socket import SO_LINGER, SOL_SOCKET

from aiohttp import web
from websockets.asyncio.server import Server as StreamServer
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request as Handshake
from websockets.http11 import Response as HandshakeAnswer
from websockets.protocol import State

from pms.binance.transport import Lost
from pms.sim.faults import TOO_SLOW, Gate, Line
from pms.sim.limits import Limited
from pms.sim.model import VenueError
from pms.sim.params import Request
from pms.sim.script import ABNORMAL
from pms.tasks import Tasks

HOST = "127.0.0.1"
BACKLOG_MAX = 16 << 20  # unread bytes of one stream socket: over 200 of the largest recorded frames
PING_SECONDS = 180  # binance.md 6.1
PONG_SECONDS = 600


class Server:
    """Both listeners. `rest_port` and `stream_port` are known after `start`; 0 asks for a free port."""

    def __init__(self, gate: Gate, tasks: Tasks, rest_port: int = 0, stream_port: int = 0) -> None:
        self.host = HOST
        self.rest_port = rest_port
        self.stream_port = stream_port
        self._gate = gate
        self._tasks = tasks
        self._rest: web.ServerRunner | None = None
        self._streams: StreamServer | None = None
        self._lines: dict[ServerConnection, Line] = {}

    async def start(self) -> None:
        """Start to listen. Raises `OSError` when a port is taken; then nothing listens."""
        self._rest = web.ServerRunner(web.Server(self._on_request, access_log=None))
        await self._rest.setup()
        site = web.TCPSite(self._rest, HOST, self.rest_port)
        try:
            await site.start()
            self.rest_port = self._rest.addresses[0][1]
            self._streams = await serve(
                self._on_socket,
                HOST,
                self.stream_port,
                process_request=self._on_handshake,
                compression=None,  # as the venue; and loopback needs none
                ping_interval=PING_SECONDS,
                ping_timeout=PONG_SECONDS,
            )
        except OSError:
            await self.close()
            raise
        self.stream_port = next(iter(self._streams.sockets)).getsockname()[1]

    async def close(self) -> None:
        """Stop listening and end every connection. The timers end with their task's owner."""
        if self._streams is not None:
            for line in self._gate.live(""):
                if line.frozen:  # it would not hear the farewell
                    line.cut(ABNORMAL)
            self._streams.close()
            await self._streams.wait_closed()
        if self._rest is not None:
            await self._rest.cleanup()

    async def _on_request(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = Request(request.method, request.raw_path, headers, await request.read(), request.remote or HOST)
        try:
            answer = await self._gate.serve(asked)
        except Lost:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=http.HTTPStatus.BAD_GATEWAY)  # goes nowhere: the connection is gone
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

    def _on_handshake(self, socket: ServerConnection, asked: Handshake) -> HandshakeAnswer | None:
        """Open the session behind the socket, or refuse the handshake with the venue's status."""

        def send(frame: bytes) -> None:
            if socket.state is State.CLOSED:  # the handshake failed after its session was opened
                line.on_close()
            elif socket.transport.get_write_buffer_size() > BACKLOG_MAX:
                line.cut(TOO_SLOW)
            else:
                broadcast((socket,), frame, text=True)

        def close(code: int, reason: str) -> None:
            if code == ABNORMAL:
                _reset(socket)
            else:
                self._tasks.spawn(socket.close(code, reason), "sim.close")

        ip = socket.remote_address[0] if socket.remote_address else HOST
        try:
            line = self._gate.open(asked.path, ip, send, close, socket.transport.pause_reading)
        except VenueError as error:
            headers = Headers({"content-type": "text/plain", "connection": "close", "content-length": "0"})
            if isinstance(error, Limited):
                headers["retry-after"] = str(error.retry_after)
            return HandshakeAnswer(error.status, http.HTTPStatus(error.status).phrase, headers)
        self._lines[socket] = line
        return None

    async def _on_socket(self, socket: ServerConnection) -> None:
        line = self._lines.pop(socket)
        try:
            async for text in socket:
                line.on_text(text)
        except ConnectionClosed:
            return  # dropped without a close frame: ended all the same
        finally:
            line.on_close()


def _reset(socket: ServerConnection) -> None:
    """End a connection as a crashed peer's host does: RST instead of a farewell."""
    raw = socket.transport.get_extra_info("socket")
    raw.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    socket.transport.abort()
