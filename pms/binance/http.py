"""Our own keep-alive HTTP/1.1 client: each request goes on the wire at most once.

A client that re-sends by itself is a blind retry under our feet (execution.md 4), so this one never does. It owns a
pool of connections with one request in flight on each, and tells how far a failed request came: `NotSent` before its
first byte was handed to the socket, `Lost` from then on. Refuses to know what it carries, and proxies, redirects,
cookies and compression.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import cast
from urllib.parse import urlsplit

from pms.binance import http1, trust
from pms.binance.transport import Http, Lost, NotSent, Response

CONNECT_S = 5.0  # DNS, TCP and TLS together; a healthy venue takes 10-300 ms
ANSWER_S = 5.0  # the venue answers in < 1 s or is in trouble; then a look-up tells more than waiting does
IDLE_S = 30.0  # a connection unused for longer may be closed by the peer at the very moment we write: take a new one
CONNECTIONS_MAX = 64  # far above what the rate limits let be in flight; a leak shows here


class HttpClient(Http):
    """Implements `transport.Http` over TCP or TLS. `base_url` is `http(s)://host[:port]`; settings decide it.

    `tls` says whose certificates are good; without it, this host's authorities do.
    """

    def __init__(
        self,
        base_url: str,
        answer_s: float = ANSWER_S,
        connect_s: float = CONNECT_S,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"'{base_url}' is not a base URL: http(s)://host[:port] is")
        self._tls = (tls or ssl.create_default_context()) if parts.scheme == "https" else None
        self._address = parts.hostname
        self._port = parts.port or (443 if self._tls else 80)
        self._host = parts.netloc.rpartition("@")[2]
        self._answer_s = answer_s
        self._connect_s = connect_s
        self._idle: list[_Connection] = []
        self._open: set[_Connection] = set()
        self._connecting = 0
        self._closed = False

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Response:
        """Send once and wait for the whole answer. Raises `NotSent` or `Lost`.

        A caller that is cancelled meanwhile takes its connection with it, so that no later request gets its answer.
        """
        data = http1.request(method, target, self._host, headers, body)
        connection = self._take() or await self._connect()
        try:
            return await connection.exchange(data, self._answer_s)
        finally:
            self._give_back(connection)

    async def close(self) -> None:
        """Drop every connection; requests in flight end as `Lost`."""
        self._closed = True
        self._idle.clear()
        ending = [connection.ended for connection in self._open]
        for connection in tuple(self._open):
            connection.abort()
        if ending:
            await asyncio.wait(ending)

    def _take(self) -> _Connection | None:
        """The most recently used idle connection that is surely still open as far as we were told."""
        oldest = asyncio.get_running_loop().time() - IDLE_S
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and connection.idle_since >= oldest:
                return connection
            connection.abort()
        return None

    def _give_back(self, connection: _Connection) -> None:
        if connection.usable and not self._closed:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
        else:
            connection.abort()

    async def _connect(self) -> _Connection:
        self._check_open()
        if len(self._open) + self._connecting >= CONNECTIONS_MAX:
            raise NotSent(f"all {CONNECTIONS_MAX} connections to {self._host} are in use")
        loop = asyncio.get_running_loop()
        self._connecting += 1
        try:
            async with asyncio.timeout(self._connect_s):
                _, connection = await loop.create_connection(
                    lambda: _Connection(loop), self._address, self._port, ssl=self._tls
                )
        except OSError as error:
            raise NotSent(f"no connection to {self._host}: {trust.reason(error)}") from error
        finally:
            self._connecting -= 1
        self._open.add(connection)
        connection.ended.add_done_callback(lambda _: self._open.discard(connection))
        self._check_open()
        return connection

    def _check_open(self) -> None:
        if self._closed:
            raise NotSent("the client is closed")


class _Connection(asyncio.Protocol):
    """One connection; at most one request in flight."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Response] | None = None
        self._answer = http1.Answer()
        self._clean = True  # nothing unread, nothing unanswered
        self.ended: asyncio.Future[None] = loop.create_future()
        self.idle_since = 0.0

    @property
    def usable(self) -> bool:
        """Whether another request may be written: open both ways, and all that was asked is answered."""
        return self._clean and self._transport is not None and not self._transport.is_closing()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def exchange(self, data: bytes, answer_s: float) -> Response:
        """Write a request, wait for its answer. Raises `NotSent` where the connection had ended before, or `Lost`."""
        if not self.usable or self._transport is None:
            raise NotSent("the connection was closed before the request")
        self._clean = False
        self._transport.write(data)
        self._answer = http1.Answer()
        self._waiter = self._loop.create_future()
        late = self._loop.call_later(answer_s, self._fail, f"no answer within {answer_s} s")
        try:
            return await self._waiter
        finally:
            late.cancel()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass of it

    def data_received(self, data: bytes) -> None:
        if self._waiter is None or self._waiter.done():
            self.abort()  # bytes that nobody asked for would be taken for the next answer
            return
        try:
            response = self._answer.feed(data)
        except http1.Malformed as error:
            self._fail(f"the answer is no HTTP: {error}")
            self.abort()
            return
        if response is not None:
            self._clean = self._answer.reusable
            self._waiter.set_result(response)

    def eof_received(self) -> None:
        self._clean = False
        self._end_of_stream()

    def connection_lost(self, error: Exception | None) -> None:
        self._end_of_stream()
        self._fail(f"the connection ended before the whole answer: {error or 'closed by the peer'}")
        self.ended.set_result(None)

    def _end_of_stream(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            response = self._answer.end()
            if response is not None:
                self._waiter.set_result(response)

    def _fail(self, reason: str) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(Lost(reason))
