"""The one connection over which the store writes: commands leave in order, replies come back in order, by plain calls.

Owns the port and its two forms: a raw connection (the daemon's: a commit costs one write and one read), and one over a
client shaped like redis-py (tests and the in-process world, where Redis is a fake). Refuses to know what is sent.
Nothing is ever sent twice here.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast
from urllib.parse import unquote, urlsplit

import hiredis
from redis.exceptions import ConnectionError as ClientConnectionError
from redis.exceptions import NoScriptError, ResponseError
from redis.exceptions import TimeoutError as ClientTimeoutError

from pms.bus.batch import Gone
from pms.tasks import Tasks

OPEN_TIMEOUT_S = 2.0  # connect, AUTH and SCRIPT LOAD together; a local server needs milliseconds
_DEFAULT_PORT = 6379

Word = str | bytes | int
Command = Sequence[Word]


class Refusal(Exception):
    """An error reply. Its text begins with Redis' own word (NOSCRIPT, OOM, WRONGTYPE …)."""


Reply = bytes | int | None | list[Any] | Refusal


class Link(Protocol):
    """One ordered connection; opened again after each loss."""

    async def open(
        self, preamble: Sequence[Command], on_reply: Callable[[Reply], None], on_lost: Callable[[str], None]
    ) -> None:
        """Connect and run the preamble.

        Raises Gone. `on_lost` is told once, after which no reply of this opening comes.
        """
        ...

    def send(self, command: Command) -> None:
        """Put one command on the wire. Its reply, or the loss, is told later, never from within this call."""
        ...

    def close(self) -> None:
        """Drop the connection; nothing is told any more."""
        ...


class _Wire(asyncio.Protocol):
    """RESP2 over one socket. `tell` and `lost` are exchanged once the preamble is through."""

    def __init__(self, tell: Callable[[Reply], None], lost: Callable[[str], None]) -> None:
        self.tell: Callable[[Reply], None] | None = tell
        self.lost: Callable[[str], None] | None = lost
        self.transport: asyncio.Transport | None = None
        self._descriptor = -1  # where bytes may be written past the transport: not through TLS
        self._reader = hiredis.Reader(protocolError=ConnectionResetError, replyError=Refusal)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        if transport.get_extra_info("sslcontext") is None:
            self._descriptor = transport.get_extra_info("socket").fileno()

    def write(self, data: bytes) -> None:
        """Write now rather than at the end of the loop's turn, as a transport does: Redis works while we go on."""
        assert self.transport is not None
        written = 0
        if self._descriptor >= 0 and not self.transport.get_write_buffer_size() and not self.transport.is_closing():
            try:
                written = os.write(self._descriptor, data)
            except OSError:
                written = 0  # full or broken: the transport waits or tells
        if written < len(data):
            self.transport.write(data[written:])

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while self.tell is not None and (reply := self._reader.gets()) is not False:
            self.tell(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        lost, self.lost, self.tell = self.lost, None, None
        if lost is not None:
            lost(str(exc) if exc else "the server closed the connection")

    def silence(self) -> None:
        self.lost = self.tell = None
        if self.transport is not None:
            self.transport.abort()


class WireLink:
    """A connection of our own: `redis://`, `rediss://` or `unix://`, with user, password and database as redis-py reads
    them.
    """

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        if self._url.scheme not in ("redis", "rediss", "unix"):
            raise ValueError(f"{self._url.scheme}:// is no Redis address; write redis://, rediss:// or unix://")
        self._wire: _Wire | None = None

    def _greeting(self) -> list[Command]:
        user, password = unquote(self._url.username or ""), unquote(self._url.password or "")
        commands: list[Command] = []
        if password:
            commands.append(("AUTH", user, password) if user else ("AUTH", password))
        options = dict(part.split("=", 1) for part in self._url.query.split("&") if "=" in part)
        database = options.get("db", "0") if self._url.scheme == "unix" else self._url.path.strip("/") or "0"
        return [*commands, ("SELECT", database)] if database != "0" else commands

    async def _connect(self, tell: Callable[[Reply], None], lost: Callable[[str], None]) -> _Wire:
        loop = asyncio.get_running_loop()
        if self._url.scheme == "unix":
            _, wire = await loop.create_unix_connection(lambda: _Wire(tell, lost), unquote(self._url.path))
            return wire
        secure = True if self._url.scheme == "rediss" else None
        host, port = self._url.hostname or "localhost", self._url.port or _DEFAULT_PORT
        _, wire = await loop.create_connection(lambda: _Wire(tell, lost), host, port, ssl=secure)
        return wire

    async def open(
        self, preamble: Sequence[Command], on_reply: Callable[[Reply], None], on_lost: Callable[[str], None]
    ) -> None:
        self.close()
        replies: asyncio.Queue[Reply] = asyncio.Queue()
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                wire = await self._connect(
                    replies.put_nowait, lambda reason: replies.put_nowait(Refusal(f"lost: {reason}"))
                )
                self._wire = wire
                for command in (*self._greeting(), *preamble):
                    self.send(command)
                    if isinstance(reply := await replies.get(), Refusal):
                        self.close()
                        raise Gone(str(reply))
        except (OSError, TimeoutError) as error:
            self.close()
            raise Gone(f"no connection: {error!r}") from error
        if wire.tell is None:
            raise Gone("lost while opening")
        wire.tell, wire.lost = on_reply, on_lost

    def send(self, command: Command) -> None:
        assert self._wire is not None
        self._wire.write(hiredis.pack_command(command if type(command) is tuple else tuple(command)))  # type: ignore[arg-type]  # takes any sequence

    def close(self) -> None:
        if self._wire is not None:
            self._wire.silence()
            self._wire = None


class ClientLink:
    """The same over a client shaped like redis-py, which it takes over: one task sends, one command at a time."""

    def __init__(self, client: Any, tasks: Tasks) -> None:
        client.response_callbacks.clear()  # replies as Redis gives them, as on the wire
        self._client = client
        self._tasks = tasks
        self._queue: deque[Command] = deque()
        self._sender: asyncio.Task[None] | None = None
        self._on_reply: Callable[[Reply], None] | None = None
        self._on_lost: Callable[[str], None] | None = None

    async def _execute(self, command: Command) -> Reply:
        try:
            reply: Any = await self._client.execute_command(*command)
        except (ClientConnectionError, ClientTimeoutError, OSError) as error:
            raise Gone(str(error)) from error
        except NoScriptError as error:
            return Refusal(f"NOSCRIPT {error}")
        except ResponseError as error:
            return Refusal(str(error))
        if isinstance(reply, dict):  # a map of the newer protocol: on our wire pairs of a stream read, else a flat list
            pairs = [list(pair) for pair in reply.items()]
            return pairs if str(command[0]).startswith("XREAD") else [part for pair in pairs for part in pair]
        return cast(Reply, reply)

    async def open(
        self, preamble: Sequence[Command], on_reply: Callable[[Reply], None], on_lost: Callable[[str], None]
    ) -> None:
        self.close()
        for command in (("PING",), *preamble):
            if isinstance(reply := await self._execute(command), Refusal):
                raise Gone(str(reply))
        self._on_reply, self._on_lost = on_reply, on_lost

    def send(self, command: Command) -> None:
        self._queue.append(command)
        if self._sender is None:
            self._sender = self._tasks.spawn(self._drain(), "bus.link")

    async def _drain(self) -> None:
        while self._queue:
            try:
                reply = await self._execute(self._queue.popleft())
            except Gone as error:
                if (lost := self._on_lost) is not None:
                    self._forget()
                    lost(str(error))
                return
            if self._on_reply is not None:
                self._on_reply(reply)
        if self._sender is asyncio.current_task():
            self._sender = None

    def _forget(self) -> None:
        self._queue.clear()
        self._sender = self._on_reply = self._on_lost = None

    def close(self) -> None:
        sender = self._sender
        self._forget()
        if sender is not None and sender is not asyncio.current_task():
            sender.cancel()
