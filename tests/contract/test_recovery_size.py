"""A start after much has happened: 100 algos on ten symbols, 1 000 open orders, 10 000 trades in the gap, on a real
Redis and a venue that answers at once. What it takes is printed at the end of the run.

Bounds: 5 s, 200 requests, a weight of 1 200 (half of what the venue allows in a minute). The 5 s are the clock's, less
what we were ready to run and others ran instead (the scheduler tells that): waits of ours count, other programs' work
does not. What the venue does in the same process is counted as well.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis

from pms import config, up
from pms.assembly import Parts
from pms.bus.link import WireLink
from pms.clock import SystemClock
from pms.daemon import Daemon
from pms.datadir import DataDir
from pms.embedded import EmbeddedRedis, Endpoint
from pms.sim import assembly, symbols
from pms.sim.assembly import STILL, Options, Simulator
from pms.sim.limits import UNLIMITED
from pms.tasks import Tasks
from schemas.keys import Keys
from schemas.records import Holder, Limits
from tests.world.market import Market
from tests.world.memory import MemoryHttp, MemorySockets

D = Decimal
KEYS = Keys()
NAMES = tuple(f"ETH{letter}USDT" for letter in "ABCDEFGHIJ")
ALGOS, ORDERS, TRADES = 10, 100, 10  # on each symbol; for each order
TOOK_S, REQUESTS, WEIGHT = 5.0, 200, 1_200
LOTS, FIRST = "0.020", "2.000"
HURRY = {"PMS_RATE_ORDERS_10S": "100000", "PMS_RATE_ORDERS_1M": "1000000"}  # of the life that is not measured
SETTINGS = {
    "PMS_REST_URL": "http://venue",
    "PMS_STREAM_URL": "ws://venue",
    "PMS_RECORDS": "off",
    "PMS_SUBACCOUNT_BALANCE": "900000",
}


class Bed:
    """Simulator and lives of a daemon on one real Redis, by the real clock."""

    def __init__(self, endpoint: Endpoint, folder: Path) -> None:
        self.clock, self.tasks, self.folder = SystemClock(), Tasks(), folder
        self.url = endpoint.url_unix
        keys = {config.PAPER_KEY: config.PAPER_SECRET}
        options = Options(api_keys=keys, symbols=NAMES, profile=STILL, limits=UNLIMITED)
        self.sim = Simulator(options, self.clock, self.tasks)
        self.sim.feed.stop()
        self.markets = {name: Market(self.sim.venue, name, self.clock) for name in NAMES}
        for market in self.markets.values():
            self.tasks.spawn(market.run(), f"market {market.symbol}")
        self.sim.start()
        self.redis = redis.Redis.from_url(self.url)
        self.links: list[WireLink] = []
        self.living: Daemon | None = None
        self.lives = 0
        self.sent = 0

    def daemon(self, **environment: str) -> Daemon:
        self.lives += 1
        self.http, self.sockets = MemoryHttp(self.sim.gate), MemorySockets(self.sim.gate)
        parts = Parts(
            http=self.http,
            sockets=self.sockets,
            link=self._link,
            clock=self.clock,
            chance=lambda: 0.5,
            folder=self.folder,
            holder=Holder("bed", "boot", "ns", self.lives, self.lives),
        )
        self.living = Daemon(config.load({**SETTINGS, **environment}), parts)
        return self.living

    def _link(self) -> WireLink:
        self.links.append(WireLink(self.url))
        return self.links[-1]

    async def kill(self, daemon: Daemon) -> None:
        """Nothing of it gets another turn."""
        self.sockets.down = True
        self.sockets.die()
        await daemon.tasks.close()
        daemon.store._outbox.close()
        while self.links:
            self.links.pop().close()
        self.living = None

    async def close(self) -> None:
        """All of it ends."""
        if self.living is not None:
            await self.kill(self.living)
        await self.tasks.close()
        self.redis.close()

    async def command(self, kind: str, **body: Any) -> dict[str, Any]:
        self.sent += 1
        request = f"r-{self.sent}"
        self.redis.lpush(KEYS.command_list(kind), json.dumps({"subAccountId": "main", "requestId": request} | body))
        give_up = time.monotonic() + 30
        while (raw := self.redis.get(KEYS.result(request))) is None:
            assert time.monotonic() < give_up, f"no reply to {kind}"
            await asyncio.sleep(0.002)
        told = json.loads(raw)
        assert told["success"], told
        return dict(told)

    async def fill_up(self) -> None:
        """Ten chases and ninety orders by hand on each symbol."""
        limits = dict.fromkeys(Limits.__struct_encode_fields__)
        await self.command("limits_put", limits=limits)
        for name in NAMES:
            for step in range(ALGOS):
                body = {"symbol": name, "side": "BUY", "quantity": LOTS if step else FIRST, "stalkOffsetTicks": step}
                await self.command("chase", **body)
            levels = [{"price": f"{3400 - step}", "quantity": LOTS} for step in range(ORDERS - ALGOS)]
            await self.command("scale", symbol=name, side="BUY", levels=levels)
        async with asyncio.timeout(30):
            while len(self.resting()) < len(NAMES) * ORDERS:  # noqa: ASYNC110 - the venue rings no bell
                await asyncio.sleep(0.05)

    def resting(self) -> list[Any]:
        return [order for name in NAMES for order in self.sim.venue.exchange.open_orders(config.PAPER_KEY, name)]

    def trade(self) -> None:
        """Others trade with the first of each symbol, again and again; all go on resting."""
        for name in NAMES:
            first = max(self.sim.venue.exchange.open_orders(config.PAPER_KEY, name), key=lambda order: order.price)
            for _ in range(ORDERS * TRADES):
                self.markets[name].hit(first, "0.001")


def _weighed(bed: Bed) -> list[int]:
    """The weight of each request from now on, by the simulator's own count."""
    weights: list[int] = []
    charge = bed.sim.venue.meter.charge

    def noted(ip: str, weight: int, now: int) -> int:
        weights.append(weight)
        return charge(ip, weight, now)

    bed.sim.venue.meter.charge = noted  # type: ignore[method-assign]
    return weights


class Took(NamedTuple):
    """Of the start after the gap: seconds by the clock, of them on a processor and ready while others ran, requests
    and their weight."""

    wall: float
    cpu: float
    robbed: float
    requests: int
    weight: int


def _robbed_s() -> float:
    """How long the threads of this process were ready to run, and others ran."""
    waits = (int(path.read_text().split()[1]) for path in Path("/proc/self/task").glob("*/schedstat"))
    return sum(waits) / 1e9


async def _started_again(bed: Bed) -> Took:
    first = bed.daemon(**HURRY)
    await first.start()
    await bed.fill_up()
    await bed.kill(first)
    bed.trade()
    weights = _weighed(bed)
    second = bed.daemon()
    robbed = _robbed_s()
    began = time.perf_counter()
    worked = time.process_time()
    await second.start()
    wall, cpu, robbed = time.perf_counter() - began, time.process_time() - worked, _robbed_s() - robbed
    asked = len(bed.http.requests)
    counts = second.recovery.last
    assert counts is not None
    booked = sum(step.action == "book" for step in counts.steps)
    held = sum((position.signed_quantity for position in second.ledger.positions.values()), D(0))
    total = len(NAMES) * ORDERS * TRADES
    assert (booked, held, len(bed.resting())) == (total, total * D("0.001"), len(NAMES) * ORDERS)
    assert counts.unresolved == ()
    sent = {request for request in bed.http.requests if request[0] != "GET"}
    assert not sent & {("POST", "/fapi/v1/order"), ("DELETE", "/fapi/v1/order")}, "nothing was placed or cancelled"
    again = await second.recovery.run("again")
    assert again.verdicts == ()
    return Took(wall, cpu, robbed, asked, sum(weights[:asked]))


@pytest.mark.crash
def test_a_start_after_much_has_happened_is_soon_over_and_asks_little(
    tmp_path: Path, told: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    like = next(row for row in symbols._TABLE if row[0] == "ETHUSDT")
    monkeypatch.setattr(symbols, "_TABLE", tuple((name, name[:-4], *like[2:]) for name in NAMES))
    monkeypatch.setattr(symbols, "SYMBOLS", NAMES)
    for name in NAMES:
        monkeypatch.setitem(assembly.OPENING, name, D("3425.00"))

    async def live(endpoint: Endpoint) -> Took:
        bed = Bed(endpoint, tmp_path)
        try:
            return await _started_again(bed)
        finally:
            await bed.close()

    with DataDir(tmp_path / "redis") as data:
        server = EmbeddedRedis(data, KEYS, port=0)
        try:
            took = up.on_loop(live(server.start()))
        finally:
            server.stop()
    told(
        f"recovery of {len(NAMES) * ALGOS} algos, {len(NAMES) * ORDERS} orders, {len(NAMES) * ORDERS * TRADES} trades: "
        f"{took.wall:.1f} s, of them {took.cpu:.1f} s on a processor and {took.robbed:.1f} s while others had it (the "
        f"rest at most {TOOK_S:.0f}), {took.requests} requests ({REQUESTS}), weight {took.weight} ({WEIGHT})"
    )
    assert took.wall - took.robbed <= TOOK_S
    assert took.requests <= REQUESTS
    assert took.weight <= WEIGHT
