"""Frame sockets over TCP or TLS for market data: `transport.Sockets` straight on asyncio's protocols.

A frame costs one plain call from the bytes received: no queue, no task, no wake-up (perf.md: bookTicker to touch).
Owns opening, heartbeat and closing. Refuses to know what frames mean, and to reconnect: its user decides when.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

from pms.binance import trust, ws_frames
from pms.binance.transport import NotSent
from pms.binance.ws_frames import CLOSE, PING, PONG, TEXT, ProtocolError, Reader
from pms.clock import Alarm, Clock

CONNECT_S = 10.0  # DNS, TCP, TLS and the upgrade together
CLOSE_S = 1.0  # a peer that does not answer a close frame is dropped
HEARTBEAT_S = 20.0  # ping after such a silence, drop after another: the venue pings every 3 minutes only
_MASKS = 1 << 32
FRAME_MAX = 4 * 1024 * 1024  # the largest frame seen has 70 kB; array streams some 100 kB


class WebSockets:
    """Implements `transport.Sockets`. `chance` gives [0, 1), for keys and masks.

    `tls` says whose certificates are good; without it, this host's authorities do.
    """

    def __init__(self, clock: Clock, chance: Callable[[], float], tls: ssl.SSLContext | None = None) -> None:
        self._clock = clock
        self._chance = chance
        self._tls = tls or ssl.create_default_context()
        self._open: set[WebSocket] = set()

    async def connect(self, url: str, on_frame: Callable[[bytes], None], on_close: Callable[[str], None]) -> WebSocket:
        """Open a socket. Raises `NotSent`; `on_close` is told once, whoever closed."""
        parts = urlsplit(url)
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise ValueError(f"{parts.scheme}: is not a stream URL: ws(s)://host[:port]/path is")  # a path may be a key
        secure = parts.scheme == "wss"
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        socket = WebSocket(target, parts.netloc.rpartition("@")[2], self._clock, self._chance, on_frame, on_close)
        try:
            async with asyncio.timeout(CONNECT_S):
                await asyncio.get_running_loop().create_connection(
                    lambda: socket,
                    parts.hostname,
                    parts.port or (443 if secure else 80),
                    ssl=self._tls if secure else None,
                )
                await socket.opened
        except (OSError, ProtocolError) as error:
            socket.abort()
            raise NotSent(f"no socket to {parts.hostname}: {trust.reason(error)}") from error
        except asyncio.CancelledError:
            socket.abort()
            raise
        self._open.add(socket)
        socket.ended.add_done_callback(lambda _: self._open.discard(socket))
        return socket

    async def close(self) -> None:
        """Close every socket."""
        for socket in tuple(self._open):
            await socket.close()


class WebSocket(asyncio.Protocol):
    """Implements `transport.Socket`."""

    def __init__(
        self,
        target: str,
        host: str,
        clock: Clock,
        chance: Callable[[], float],
        on_frame: Callable[[bytes], None],
        on_close: Callable[[str], None],
    ) -> None:
        loop = asyncio.get_running_loop()
        self._target = target
        self._host = host
        self._clock = clock
        self._chance = chance
        self._on_close = on_close
        self._key = self._bytes_of_chance(16)
        self._head = b""
        self._reader = Reader(on_frame, self._on_control, FRAME_MAX)
        self._transport: asyncio.Transport | None = None
        self._alarm: Alarm | None = None
        self._heard = False
        self._reason = ""
        self._shaking = True
        self.opened: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()

    def send(self, text: str) -> None:
        """Send one text frame; without effect once the end has begun."""
        if not self._reason:
            self._write(TEXT, text.encode())

    async def close(self) -> None:
        """Say good-bye and wait a moment for the answer."""
        if not self.ended.done():
            self._end("closed by us", b"\x03\xe8")
            await asyncio.wait([self.ended], timeout=CLOSE_S)
            self.abort()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio.Protocol -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._transport.write(ws_frames.upgrade(self._target, self._host, self._key))

    def data_received(self, data: bytes) -> None:
        self._heard = True
        try:
            if self._shaking:
                data = self._shake(data)
            self._reader.feed(data)
        except ProtocolError as error:
            if self.opened.done():
                self._end(f"broken: {error}", b"\x03\xea")
            else:
                self.opened.set_exception(error)
            self.abort()

    def connection_lost(self, error: Exception | None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self.ended.set_result(None)
        reason = self._reason or f"the connection was lost{f': {error}' if error else ''}"
        if not self.opened.done():
            self.opened.set_exception(ConnectionResetError(reason))
        elif not self.opened.cancelled() and self.opened.exception() is None:
            self._on_close(reason)

    # --- inside -----------------------------------------------------------------------------------------

    def _shake(self, data: bytes) -> bytes:
        """Read the answer to the handshake; returns what came behind it."""
        self._head += data
        head, blank, rest = self._head.partition(b"\r\n\r\n")
        if not blank:
            if len(head) > ws_frames.HEAD_MAX:
                raise ProtocolError("the answer to the handshake has no end")
            return b""
        ws_frames.check_answer(head, self._key)
        self._shaking, self._head = False, b""
        if not self.opened.done():
            self.opened.set_result(None)
        self._alarm = self._clock.call_later(HEARTBEAT_S, self._beat)
        return rest

    def _on_control(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self._write(PONG, payload)
        elif opcode == CLOSE:
            code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
            words = payload[2:].decode("utf-8", "replace")
            self._end(f"closed by the venue: {code} {words}".strip(), payload[:2])

    def _end(self, reason: str, code: bytes) -> None:
        """Send our close frame, once, and close when it is written."""
        if not self._reason:
            self._reason = reason
            self._write(CLOSE, code)
            if self._transport is not None and reason != "closed by us":
                self._transport.close()

    def _beat(self) -> None:
        """A peer that stays silent through a ping is gone, whatever TCP says."""
        if not self._heard and self._reason == "":
            self._reason = f"nothing heard for {2 * HEARTBEAT_S:.0f} s, not even an answer to a ping"
            self.abort()
            return
        self._heard = False
        self._alarm = self._clock.call_later(HEARTBEAT_S, self._beat)
        self._write(PING, b"")

    def _write(self, opcode: int, payload: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            mask = int(self._chance() * _MASKS).to_bytes(4, "big")
            self._transport.write(ws_frames.frame(opcode, payload, mask))

    def _bytes_of_chance(self, size: int) -> bytes:
        return bytes(int(self._chance() * 256) for _ in range(size))
