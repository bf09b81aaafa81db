"""Daemon, simulator and a fake Redis in one process on a virtual clock: everything later is proven in here.

All chance comes from one seed and all time from the loop, so a run repeats exactly. `kill` is a SIGKILL: nothing of the
daemon gets another turn, while the venue and Redis live on. The still market moves by `market` only.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import random
import time
from collections.abc import Callable, Coroutine
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec

from pms import config
from pms.assembly import Parts
from pms.bus.doors import BLOCK_MS
from pms.bus.lease import LeaseHeld
from pms.bus.link import ClientLink
from pms.clock import LoopClock
from pms.daemon import Daemon
from pms.sim import fault_kinds
from pms.sim.assembly import STILL, Options, Simulator
from pms.sim.conditional_model import Conditional
from pms.sim.model import Order as VenueOrder
from pms.tasks import Tasks
from schemas.records import Holder, Limits
from tests.virtual import VirtualLoop
from tests.world.books import check_books
from tests.world.fast_redis import FastClient, FastServer
from tests.world.market import Market
from tests.world.memory import MemoryHttp
from tests.world.mortal import Life, MortalClient, MortalClock, MortalHttp, MortalSockets

SETTINGS = {"PMS_REST_URL": "http://venue", "PMS_STREAM_URL": "ws://venue", "PMS_RECORDS": "off"}  # nobody keeps any
START_MS = 1_790_000_000_000  # 2026-09-21: virtual time begins here


class World:
    """See the module. Made inside a running `VirtualLoop`."""

    def __init__(self, folder: Path | None = None, start_ms: int = START_MS, **options: Any) -> None:
        loop = asyncio.get_running_loop()
        self.clock = LoopClock(loop, start_ms)
        self._time = mock.patch.object(time, "time", self._seconds)
        self._time.start()
        self.server = FastServer()
        self.redis = self.client()
        self.tasks = Tasks()
        self._folder = folder
        options.setdefault("symbols", ("BTCUSDT",))
        options.setdefault("profile", STILL)
        seed = options.setdefault("seed", 1)
        self.options = Options(api_keys={config.PAPER_KEY: config.PAPER_SECRET}, **options)
        self._chance = random.Random(seed)
        self.sim = Simulator(self.options, self.clock, self.tasks)
        self.markets: dict[str, Market] = {}
        if self.options.profile == STILL:
            self.sim.feed.stop()  # the market moves by our calls
            self.markets = {symbol: Market(self.sim.venue, symbol, self.clock) for symbol in self.options.symbols}
            for market in self.markets.values():
                self.tasks.spawn(market.run(), f"market {market.symbol}")
        self.sim.start()
        self.daemon: Daemon | None = None
        self.life = Life()
        self.boot = "boot"  # another one: the host has booted since
        self.elsewhere = False  # the next life runs on another host, without our data directory
        self.next_death = 0  # the effect at which the next life ends (`Life.die_at`)
        self._lives = 0
        self._requests = 0

    def _seconds(self) -> float:
        """What the fake Redis takes for the time."""
        return self.clock.now_ms() / 1000

    def client(self) -> Any:
        return FastClient(self.server)

    @property
    def market(self) -> Market:
        return self.markets["BTCUSDT"]

    # --- the daemon's life ----------------------------------------------------------------------------

    async def start(self, within_s: float = 60, **environment: str) -> Daemon:
        """A new life of the daemon; waits out a dead one's lease."""
        async with asyncio.timeout(within_s):
            while True:
                daemon = self._compose(environment, "elsewhere" if self.elsewhere else "world")
                try:
                    await self.life.tasks.spawn(daemon.start(), "start")
                    return daemon
                except LeaseHeld:
                    await self._end(daemon)
                    await self.clock.sleep(1)

    async def second(self) -> None:
        """Another daemon on another host tries to start beside ours. Raises what its start raises."""
        daemon, life = self.daemon, self.life
        other = self._compose({}, "elsewhere")
        try:
            await other.start()
        finally:
            await self._end(other)
            self.daemon, self.life = daemon, life

    def _compose(self, environment: dict[str, str], host: str) -> Daemon:
        self._lives += 1
        life = self.life = Life()
        life.die_at, self.next_death = self.next_death, 0
        self.tasks.spawn(self._reap(life), "reap")
        self.http = MemoryHttp(self.sim.gate)
        self.sockets = MortalSockets(self.sim.gate, life)
        life.sockets = self.sockets
        settings = config.load({**SETTINGS, **environment})
        parts = Parts(
            http=MortalHttp(self.http, life),
            sockets=self.sockets,
            link=lambda: ClientLink(MortalClient(self.client(), life), life.tasks),
            clock=MortalClock(self.clock, life),
            chance=self._chance.random,
            folder=self._folder if host == "world" else None,
            holder=Holder(host, self.boot, "ns", self._lives, self._lives),
        )
        self.daemon = Daemon(settings, parts)
        return self.daemon

    async def stop(self) -> None:
        """SIGTERM."""
        assert self.daemon is not None
        await self.daemon.stop()
        await self._end(self.daemon)
        self.daemon = None

    async def kill(self) -> None:
        """SIGKILL: sockets and tasks are gone at once, nothing is said to anybody."""
        assert self.daemon is not None
        daemon, self.daemon = self.daemon, None
        await self._end(daemon)

    async def _reap(self, life: Life) -> None:
        """A life that froze at one of its effects ends there and then."""
        await life.frozen.wait()
        if life is self.life and self.daemon is not None and not life.over:
            await self.kill()

    async def _end(self, daemon: Daemon) -> None:
        self.life.die()
        await self.life.tasks.close()
        await daemon.tasks.close()
        daemon.store._outbox.close()  # as the system does with a dead process' files
        await self.clock.sleep(BLOCK_MS / 1000)  # the fake lets a dead client's BRPOP pop until its time is over

    async def close(self) -> None:
        if self.daemon is not None:
            await self.kill()
        await self.tasks.close()
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

    async def limited(self, sub_account: str = "main", **limits: Any) -> None:
        """Let a sub-account have these limits and no others."""
        every = {field.encode_name: None for field in msgspec.structs.fields(Limits)}
        reply = await self.command("limits_put", subAccountId=sub_account, limits=every | limits)
        assert reply["success"], reply

    async def unlimited(self, sub_account: str = "main") -> None:
        """Set a sub-account's limits so high that none is in the way."""
        limits = {
            "maxOrderNotional": 1_000_000_000,
            "maxTotalNotional": 1_000_000_000,
            "maxPosition": 1_000_000_000,
            "maxOpenOrders": 1_000,
            "maxLeverage": 125,
            "maxOrdersPerMinute": 10_000,
            "priceCollarPct": 100,
        }
        reply = await self.command("limits_put", subAccountId=sub_account, limits=limits)
        assert reply["success"], reply

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

    async def nobody_looks(self, seconds: float) -> None:
        """Time passes without the beat of the markets, while no daemon lives: what stands still need not say so."""
        assert self.daemon is None
        for market in self.markets.values():
            market.frozen = True
        await self.clock.sleep(seconds)
        for market in self.markets.values():
            market.frozen = False

    # --- at the venue ---------------------------------------------------------------------------------

    @property
    def exchange(self) -> Any:
        return self.sim.venue.exchange

    @property
    def account(self) -> str:
        return config.PAPER_KEY

    def resting(self, symbol: str = "BTCUSDT") -> list[VenueOrder]:
        """Our open orders at the venue."""
        return list(self.exchange.open_orders(self.account, symbol))

    def waiting(self) -> list[Conditional]:
        """Our conditional orders at the venue that wait for their price."""
        return list(self.exchange.conditionals.open(self.account))

    def placed(self, symbol: str = "BTCUSDT") -> list[VenueOrder]:
        """Every order of ours that the venue ever took."""
        return list(self.exchange.all_orders(self.account, symbol, limit=1000))

    def held(self, symbol: str = "BTCUSDT") -> Decimal:
        """Our position at the venue, signed."""
        (view,) = self.exchange.positions(self.account, symbol)
        return Decimal(view.amount)

    def wallet(self) -> Decimal:
        """Our wallet at the venue."""
        return Decimal(self.exchange.account(self.account).wallet)

    def order_requests(self) -> list[str]:
        """Methods of the order requests that this life of the daemon has sent, whichever way."""
        sent = (*self.http.requests, *self.sockets.requests)
        return [method for method, path in sent if path == "/fapi/v1/order" and method != "GET"]

    async def start_over_ws(self, **environment: str) -> Daemon:
        """A new life whose orders leave over the WebSocket API, with its socket open."""
        daemon = await self.start(PMS_ORDER_ENTRY="ws", **environment)
        await self.order_socket()
        return daemon

    async def order_socket(self) -> None:
        """Wait until the order socket is open."""
        assert self.daemon is not None
        socket = self.daemon.venue.rest.socket
        assert socket is not None
        await self.until(lambda: socket.up, 60)

    # --- faults ---------------------------------------------------------------------------------------

    def strike(self, fault: str, **what: Any) -> None:
        """A fault by its name in the table of kinds (docs/simulator.md), now or at its time."""
        self.sim.faults.inject(*fault_kinds.decode(json.dumps([{"fault": fault, **what}]).encode()))

    def fault(self, method: str, path: str = "/fapi/v1/order", **what: Any) -> None:
        """The next matching request meets this (`pms.sim.script.OnRequest`)."""
        self.strike("request", method=method, path=path, **what)

    def socket_fault(self, path: str, **what: Any) -> None:
        self.strike("socket", path=path, **what)

    def heal(self) -> None:
        self.sim.faults.heal()

    def mute(self, route: str) -> None:
        """The sockets of a route (`/private`, `/public`, `/market`) stay open and say nothing any more."""
        self.strike("disconnect", route=route.strip("/"), how="half_open")

    def cut(self, route: str) -> None:
        self.strike("disconnect", route=route.strip("/"), how="reset")

    # --- chases ---------------------------------------------------------------------------------------

    async def chase(self, **body: Any) -> str:
        """Start a chase, by default a BUY of 0.010, that has to be accepted. Returns its id."""
        reply = await self.command("chase", **{"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010"} | body)
        assert reply["success"], reply
        return str(reply["chaseId"])

    async def state(self, chase_id: str) -> dict[str, Any]:
        return await self.record(f"chase:{chase_id}")

    async def ends(self, chase_id: str, within_s: float = 10) -> dict[str, Any]:
        """Wait for a chase's ending; its record."""

        async def ended() -> bool:
            return (await self.state(chase_id))["status"] in ("filled", "cancelled", "failed")

        await self.until(ended, within_s)
        return await self.state(chase_id)


def in_world(**options: Any) -> Callable[[Callable[..., Coroutine[Any, Any, None]]], Callable[..., None]]:
    """Run an async test in a world of its own on a virtual clock. The world is its first parameter; others are
    pytest's. At the end the books must agree (`tests.world.books`) unless `books=False`."""
    books = options.pop("books", True)

    def wrap(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
        def run(tmp_path: Path, **parameters: Any) -> None:
            async def live() -> None:
                world = World(tmp_path, **options)
                try:
                    await test(world, **parameters)
                    if books:
                        await check_books(world)
                finally:
                    await world.close()

            with asyncio.Runner(loop_factory=VirtualLoop) as runner:
                runner.run(live())

        run.__name__ = test.__name__
        run.__doc__ = test.__doc__
        run.__module__ = test.__module__
        own = list(inspect.signature(test).parameters.values())[1:]
        folder = inspect.Parameter("tmp_path", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        run.__signature__ = inspect.Signature([folder, *own])  # type: ignore[attr-defined]
        return run

    return wrap
