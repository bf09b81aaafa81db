"""One test's bus: its Redis under a namespace of its own, and the links, leases and stores built on it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import fakeredis
import pytest
import redis.asyncio

from pms.bus.batch import Gone
from pms.bus.caller import Caller
from pms.bus.fence import Notice
from pms.bus.lease import Lease
from pms.bus.link import ClientLink, Command, Link, Reply, WireLink
from pms.bus.outbox import MEMORY_BATCHES, Outbox
from pms.bus.store import Store
from pms.clock import SystemClock
from pms.embedded import Endpoint
from pms.tasks import Tasks
from schemas.keys import Keys
from schemas.records import Holder
from tests.conftest import REDIS_BINARIES

_namespaces = itertools.count()
REAL = pytest.mark.parametrize("place", REDIS_BINARIES, indirect=True, ids=lambda found: f"{found.version[0]}")
ME = Holder(host="here", boot_id="b", pid_namespace="p", pid=1, started=1)


class FaultyLink:
    """A link that loses answers: `lose(n)` has the n-th command from now executed, and cuts before it is told."""

    def __init__(self, inner: Link) -> None:
        self.inner = inner
        self.sent: list[Command] = []
        self._left: int | None = None
        self._away = False
        self._on_lost: Callable[[str], None] | None = None

    def leave(self) -> None:
        """Redis is away until `come_back`."""
        self._away = True
        self.inner.close()
        if self._on_lost is not None:
            self._on_lost("away by the test")

    def come_back(self) -> None:
        self._away = False

    def lose(self, nth: int = 1) -> None:
        self._left = nth

    async def open(
        self, preamble: Sequence[Command], on_reply: Callable[[Reply], None], on_lost: Callable[[str], None]
    ) -> None:
        if self._away:
            raise Gone("away by the test")
        self._on_lost = on_lost

        def told(reply: Reply) -> None:
            if self._left is not None:
                self._left -= 1
                if self._left == 0:
                    self._left = None
                    self.inner.close()
                    on_lost("cut by the test")
                    return
            on_reply(reply)

        await self.inner.open(preamble, told, on_lost)

    def send(self, command: Command) -> None:
        self.sent.append(command)
        self.inner.send(command)

    def close(self) -> None:
        self.inner.close()


class Bed:
    """One test's Redis, under a namespace of its own, and what is built on it."""

    def __init__(self, endpoint: Endpoint | None) -> None:
        self.endpoint = endpoint
        self.keys = Keys(f"t{next(_namespaces)}")
        self.clock = SystemClock()
        self.tasks = Tasks()
        self.notices: list[Notice] = []
        self._heard = asyncio.Event()
        self.fake = fakeredis.FakeServer() if endpoint is None else None
        self._links: list[Link] = []
        self._clients: list[Any] = []
        self.redis: Any = self._client()

    def _client(self) -> Any:
        if self.endpoint is None:
            made = fakeredis.FakeAsyncRedis(server=self.fake)
        else:
            made = redis.asyncio.Redis.from_url(self.endpoint.url_unix)
        self._clients.append(made)
        return made

    def link(self) -> Link:
        made = ClientLink(self._client(), self.tasks) if self.endpoint is None else WireLink(self.endpoint.url_unix)
        self._links.append(made)
        return made

    def caller(self) -> Caller:
        return Caller(self.link())

    def lease(self, holder: Holder = ME, folder: Path | None = None) -> Lease:
        return Lease(self.caller(), self.keys, self.clock, self.tasks, holder, folder, self.tell)

    async def store(
        self,
        link: Link | None = None,
        folder: Path | None = None,
        lease: Lease | None = None,
        limit: int = MEMORY_BATCHES,
    ) -> Store:
        """A started store; takes the lease unless one is given that is taken."""
        lease = lease or self.lease(folder=folder)
        taken = await lease.take()
        outbox = Outbox(folder, limit)
        store = Store(link or self.link(), self.keys, lease, self.clock, self.tasks, outbox, self.tell)
        await store.start(taken)
        return store

    def tell(self, notice: Notice) -> None:
        self.notices.append(notice)
        self._heard.set()

    async def hears(self, kind: type[Notice]) -> Notice:
        """The first notice of a kind, waited for."""
        async with asyncio.timeout(10):
            while not (found := [notice for notice in self.notices if isinstance(notice, kind)]):
                self._heard.clear()
                await self._heard.wait()
        return found[0]

    async def eventually(self, holds: Callable[[], Awaitable[object]]) -> None:
        """Look again until it holds: for what another connection sees of Redis, which nobody tells us."""
        async with asyncio.timeout(8):
            while not await holds():  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.005)

    async def stream(self) -> list[bytes]:
        """The bytes of all events in the stream."""
        entries = await self.redis.xrange(self.keys.event_stream)
        return [fields[b"event"] for _, fields in entries]

    async def close(self) -> None:
        await self.tasks.close()
        for link in self._links:
            link.close()
        for client in self._clients:
            await client.aclose()
        await asyncio.sleep(0)  # a transport that was aborted ends in the loop's next turn
