"""Daemon, simulator and a fake Redis in one process on a virtual clock: everything later is proven in here.

All chance comes from one seed and all time from the loop, so a run repeats exactly. `kill` is a SIGKILL: nothing of the daemon gets another turn.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Coroutine
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest import mock

import fakeredis
import msgspec
from fakeredis.commands_mixins.streams_mixin import StreamsCommandsMixin

from pms import config
from pms.bus.host import Holder
from pms.bus.lease import LeaseHeld
from pms.bus.link import ClientLink, Link
from pms.clock import LoopClock
from pms.assembly import Parts
from pms.daemon import Daemon
from pms.sim.assembly import Options, Simulator
from pms.sim.journal import Journal
from pms.tasks import Tasks
from tests.virtual import VirtualLoop
from tests.world.memory import MemoryHttp, MemorySockets

_read_group = StreamsCommandsMixin._xreadgroup


def _reading_blocks(self: Any, *given: Any) -> Any:
    """The fake's XREADGROUP with BLOCK and COUNT answers an empty map at once where Redis waits: None makes it wait."""
    return _read_group(self, *given) or None


START_MS = 1_790_000_000_000  # 2026-09-21: virtual time begins here


class World:
    """See the module. Made inside a running `VirtualLoop`."""

    def __init__(self, folder: Path | None = None, **options: Any) -> None:
        loop = asyncio.get_running_loop()
        self.clock = LoopClock(loop, START_MS)
        self._time = mock.patch.object(time, "time", lambda: self.clock.now_ms() / 1000)
        self._time.start()
        self._reading = mock.patch.object(StreamsCommandsMixin, "_xreadgroup", _reading_blocks)
        self._reading.start()
        self.server = fakeredis.FakeServer(version=(7,))
        self.redis = self.client()
        self.tasks = Tasks()
        self._folder = folder
        options.setdefault("symbols", ("BTCUSDT",))
        options.setdefault("profile", "still")
        seed = options.setdefault("seed", 1)
        self.options = Options(api_keys={config.PAPER_KEY: config.PAPER_SECRET}, **options)
        self._chance = random.Random(seed)
        self._journal: Journal | None = None
        self.sim = Simulator(self.options, self.clock, self.tasks)
        self.sim.start()
        self.daemon: Daemon | None = None
        self._lives = 0
        self._requests = 0

    def client(self) -> Any:
        return fakeredis.FakeAsyncRedis(server=self.server, protocol=2)

    # --- the daemon's life ----------------------------------------------------------------------------

    async def start(self, **environment: str) -> Daemon:
        """A new life of the daemon; waits out a dead one's lease."""
        while True:
            daemon = self._compose(environment)
            try:
                await daemon.start()
                return daemon
            except LeaseHeld:
                await daemon.tasks.close()
                await self.clock.sleep(1)

    def _compose(self, environment: dict[str, str]) -> Daemon:
        self._lives += 1
        self.http = MemoryHttp(self.sim.gate)
        self.sockets = MemorySockets(self.sim.gate)
        self._link_tasks = Tasks()
        settings = config.load({"PMS_REST_URL": "http://venue", "PMS_STREAM_URL": "ws://venue", **environment})
        parts = Parts(
            http=self.http,
            sockets=self.sockets,
            link=self._link,
            clock=self.clock,
            chance=self._chance.random,
            folder=self._folder,
            holder=Holder("world", "boot", "ns", self._lives, self._lives),
        )
        self.daemon = Daemon(settings, parts)
        return self.daemon

    def _link(self) -> Link:
        return ClientLink(self.client(), self._link_tasks)

    async def stop(self) -> None:
        """SIGTERM."""
        assert self.daemon is not None
        await self.daemon.stop()
        await self._link_tasks.close()
        self.daemon = None

    async def kill(self) -> None:
        """SIGKILL: sockets and tasks are gone at once, nothing is said to anybody."""
        assert self.daemon is not None
        self.http.down = self.sockets.down = True
        self.sockets.die()
        for runner in self.daemon.desk.runners.values():
            runner.close()
        await self._link_tasks.close()
        await self.daemon.tasks.close()
        self.daemon = None

    async def close(self) -> None:
        if self.daemon is not None:
            await self.kill()
        await self.tasks.close()
        self._reading.stop()
        self._time.stop()

    # --- Redis ----------------------------------------------------------------------------------------

    def redis_goes(self) -> None:
        self.server.connected = False

    def redis_comes(self) -> None:
        self.server.connected = True

    # --- as a frontend --------------------------------------------------------------------------------

    async def command(self, kind: str, door: str = "list", wait_s: float = 4, **body: Any) -> dict[str, Any]:
        """Send a command and wait for its reply."""
        body = {"subAccountId": "main"} | body
        if "requestId" not in body:
            self._requests += 1
            body["requestId"] = f"r-{self._requests}"
        text = json.dumps(body)
        await self.redis.delete(f"pms:result:{body['requestId']}")
        if door == "list":
            await self.redis.lpush(f"pms:cmd:{kind}", text)
        else:
            await self.redis.xadd("pms:commands", {"type": kind, "body": text})
        return await self.reply(body["requestId"], wait_s)

    async def reply(self, request_id: str, wait_s: float = 4) -> dict[str, Any]:
        give_up = self.clock.monotonic() + wait_s
        while (raw := await self.redis.get(f"pms:result:{request_id}")) is None:
            assert self.clock.monotonic() < give_up, f"no reply to {request_id} within {wait_s} s"
            await self.clock.sleep(0.005)
        return json.loads(raw, parse_float=Decimal)

    async def events(self, *types: str) -> list[dict[str, Any]]:
        """The event stream, of some types or all."""
        rows = await self.redis.xrange("pms:stream:events")
        told = [json.loads(fields[b"event"], parse_float=Decimal) for _, fields in rows]
        return [event for event in told if not types or event["type"] in types]

    async def record(self, key: str) -> dict[str, Any]:
        raw = await self.redis.get(f"pms:{key}")
        assert raw is not None, f"no record pms:{key}"
        return json.loads(raw, parse_float=Decimal)

    async def until(self, holds: Callable[[], Any], within_s: float = 10, step_s: float = 0.005) -> None:
        """Let time pass until a condition (plain or awaitable) holds."""
        give_up = self.clock.monotonic() + within_s
        while True:
            told = holds()
            if asyncio.iscoroutine(told):
                told = await told
            if told:
                return
            assert self.clock.monotonic() < give_up, f"did not come true within {within_s} s"
            await self.clock.sleep(step_s)

    async def run(self, seconds: float) -> None:
        await self.clock.sleep(seconds)

    # --- at the venue ---------------------------------------------------------------------------------

    @property
    def exchange(self) -> Any:
        return self.sim.venue.exchange

    def resting(self, symbol: str = "BTCUSDT") -> list[Any]:
        """Our open orders at the venue."""
        return list(self.exchange.open_orders(self.account, symbol))

    @property
    def account(self) -> str:
        return config.PAPER_KEY


def in_world(**options: Any) -> Callable[[Callable[..., Coroutine[Any, Any, None]]], Callable[..., None]]:
    """Run an async test in a world of its own on a virtual clock."""

    def wrap(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
        def run(tmp_path: Path) -> None:
            async def live() -> None:
                world = World(tmp_path, **options)
                try:
                    await test(world)
                finally:
                    await world.close()

            with asyncio.Runner(loop_factory=VirtualLoop) as runner:
                runner.run(live())

        run.__name__ = test.__name__
        run.__doc__ = test.__doc__
        run.__module__ = test.__module__
        return run

    return wrap


def as_decimals(payload: bytes) -> Any:
    return msgspec.json.decode(payload, type=dict[str, Any])
