"""The wire under the Binance adapter in memory: the simulator's gate called by plain call, frames told a turn
of the loop later."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from pms.binance.transport import Lost, NotSent, Response
from pms.sim.faults import Gate, Line
from pms.sim.model import VenueError
from pms.sim.params import Request
from pms.sim.ws_api import METHODS, PATH


class MemoryHttp:
    """`transport.Http` over a gate. `requests` keeps what was sent, for tests to count."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.down = False
        self.requests: list[tuple[str, str]] = []

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Response:
        if self.down:
            raise NotSent("the venue can't be reached")
        self.requests.append((method, target.partition("?")[0]))
        await asyncio.sleep(0)
        lower = {name.lower(): value for name, value in headers.items()}
        return await self._gate.serve(Request(method, target, lower, body))

    async def close(self) -> None:
        self.down = True


class MemorySocket:
    """`requests` is told what of the WebSocket API was asked, as the requests of REST that it stands for."""

    def __init__(
        self,
        on_frame: Callable[[bytes], None],
        on_close: Callable[[str], None],
        requests: list[tuple[str, str]] | None = None,
    ) -> None:
        self._requests = requests
        self._on_frame = on_frame
        self._on_close = on_close
        self._soon = asyncio.get_running_loop().call_soon
        self.line: Line | None = None
        self._open = True

    def deliver(self, frame: bytes) -> None:
        self._soon(self._tell, frame)

    def _tell(self, frame: bytes) -> None:
        if self._open:
            self._on_frame(frame)

    def ended(self, code: int, reason: str) -> None:
        if self._open:
            self._open = False
            self._soon(self._on_close, f"{code} {reason}".strip())

    def send(self, text: str) -> None:
        if self._open and self.line is not None:
            if self._requests is not None and (route := METHODS.get(json.loads(text)["method"])):
                self._requests.append(route)
            self.line.on_text(text)

    async def close(self) -> None:
        if self._open:
            self._open = False
            if self.line is not None:
                self.line.on_close()
            self._soon(self._on_close, "closed by us")


class MemorySockets:
    """`transport.Sockets` over a gate. `attempts` keeps when which path was connected to."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.down = False
        self.open: list[MemorySocket] = []
        self.requests: list[tuple[str, str]] = []
        self.attempts: list[tuple[float, str]] = []

    async def connect(
        self, url: str, on_frame: Callable[[bytes], None], on_close: Callable[[str], None]
    ) -> MemorySocket:
        if self.down:
            raise NotSent("the venue can't be reached")
        parts = urlsplit(url)
        self.attempts.append((asyncio.get_running_loop().time(), parts.path))
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        socket = MemorySocket(on_frame, on_close, self.requests if parts.path == PATH else None)
        try:
            socket.line = self._gate.open(target, "127.0.0.1", socket.deliver, socket.ended)
        except VenueError as error:
            raise NotSent(str(error)) from error
        self.open.append(socket)
        return socket

    def die(self) -> None:
        """The process is gone: its sockets end without a word to it."""
        for socket in self.open:
            if socket.line is not None:
                socket.line.on_close()
            socket._open = False
        self.open.clear()


__all__ = ["Lost", "MemoryHttp", "MemorySockets"]
