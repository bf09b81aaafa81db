"""The order path's rows: the daemon as it runs, with a real Redis and the least of a venue, beside hand-written loops.

Three processes: Redis, the venue (which measures, see tests/bench/venue_driver.py), and this one with daemon and
references on one uvloop, so that both wake from the same idleness and are disturbed by the same neighbours.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from pms import collector, config
from pms.assembly import Parts
from pms.binance.http import HttpClient
from pms.binance.ws import WebSockets
from pms.bus.link import WireLink
from pms.clock import SystemClock
from pms.daemon import Daemon
from pms.datadir import DataDir
from pms.embedded import EmbeddedRedis
from schemas.keys import Keys
from schemas.records import Holder
from tests.bench import floors, reference_orders
from tests.bench.recorded_frames import made_up
from tests.bench.rows import Row, row
from tests.bench.venue_driver import MOVES, Times

COUNT, WARM = 600, 50
FLOOD = 10_000  # fills
PACE = 1_000  # a second
LOADED = 350
REFERENCE_LIMIT = 1.5 * 119 / 28  # reference ÷ echo floor: 1.5 × perf.md's ratio


@contextmanager
def private_redis() -> Iterator[str]:
    """The URL of a private server's socket."""
    with tempfile.TemporaryDirectory() as folder, DataDir(Path(folder)) as data:
        server = EmbeddedRedis(data, Keys("pms"), port=0)
        try:
            yield server.start().url_unix
        finally:
            server.stop()


class VenueProcess:
    """The venue, and who measures."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self.port = port

    async def run(self, name: str, count: int) -> Times:
        """The times of a path of tests/bench/venue_driver.py, by candidate."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{name} {count}\n".encode())
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the venue's process has ended during {name}; what it said is above")
        return msgspec.json.decode(line, type=Times)


@asynccontextmanager
async def venue(redis_url: str) -> AsyncIterator[VenueProcess]:
    where = urlsplit(redis_url)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.bench.venue_driver", unquote(where.path), unquote(where.password or "")),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 26,
    )
    assert process.stdout is not None
    try:
        yield VenueProcess(process, int(await process.stdout.readline()))
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@asynccontextmanager
async def product(redis_url: str, port: int, folder: Path | None, entry: str = "rest") -> AsyncIterator[Daemon]:
    """The daemon with its doors open; `entry` is its way of orders."""
    settings = config.load(
        {
            "PMS_REST_URL": f"http://127.0.0.1:{port}",
            "PMS_STREAM_URL": f"ws://127.0.0.1:{port}",
            "PMS_ORDER_ENTRY": entry,
            "PMS_SUBACCOUNT_BALANCE": "1000000000",  # hundreds of fills are held at once
        }
    )
    clock = SystemClock()
    sockets = WebSockets(clock, random.random)
    parts = Parts(
        http=HttpClient(settings.rest_url),
        sockets=sockets,
        link=lambda: WireLink(redis_url),
        clock=clock,
        chance=random.random,
        folder=folder,
        holder=Holder("bench", "boot", "ns", 1, 1),
    )
    daemon = Daemon(settings, parts)
    await daemon.start()
    collector.settle()  # as `pms run` does
    try:
        yield daemon
    finally:
        await daemon.stop()
        await sockets.close()


async def rows(redis_url: str, measured: VenueProcess) -> list[Row]:
    """All rows of the order path over REST."""
    async with _both(redis_url, measured, "rest"):
        return await _measure(measured)


async def rows_over_ws(redis_url: str, measured: VenueProcess) -> list[Row]:
    """The row that the way of the request decides, over the WebSocket API."""
    async with _both(redis_url, measured, "ws"):
        times = await measured.run("frames_over_ws", COUNT)
        return _against("frame to order request over the WebSocket API", times, 2.5)


@asynccontextmanager
async def _both(redis_url: str, measured: VenueProcess, entry: str) -> AsyncIterator[None]:
    """Daemon and references, their orders leaving the same way."""
    with tempfile.TemporaryDirectory() as folder, _apart():
        async with product(redis_url, measured.port, Path(folder), entry):
            where, start = urlsplit(redis_url), made_up(1, MOVES, 0)
            levels = msgspec.convert([start.bids, start.asks], list[list[tuple[float, float]]], strict=False)
            for loops in (reference_orders, floors):
                await loops.open_all(
                    unquote(where.path),
                    unquote(where.password or ""),
                    measured.port,
                    *levels,
                    start.first_id,
                    entry == "ws",
                )
            yield


@contextmanager
def _apart() -> Iterator[None]:
    """Keep this process off the core on which the venue measures. Redis, started before, may use both."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(cores)[:-1] or cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


async def _measure(measured: VenueProcess) -> list[Row]:
    frames = await measured.run("frames", COUNT)
    floor = frames["reference"][WARM:], frames["echo"][WARM:]
    found = [
        *_against("frame to order request, durable", frames, 3.5),
        row("its reference over the echo floor", "us", *floor, REFERENCE_LIMIT, "ratio"),
        *_against("command in a list to order request", await measured.run("lists", COUNT), 3.0),
        *_against("command in the stream to order request", await measured.run("stream", COUNT), 3.0),
        *_against("user event to subscriber", await measured.run("events", COUNT), 1.6),
    ]
    paced = [late / 1000 for late in (await measured.run("paced", PACE))["product"]]
    found.append(row("user event to subscriber, 1 000 a second", "ms", paced, [], 5.0, "p99"))
    flood = await measured.run("flood", FLOOD)
    found.append(row("events published, sustained", "/s", flood["rate"], [], 5_000, "least"))
    load = [late / 1000 for late in (await measured.run("load", LOADED))["product"]]
    found.append(row("frame to order request, 50 symbols, 200 algos", "ms", load, [], 5.0, "p99"))
    return found


def _against(name: str, times: Times, budget: float) -> list[Row]:
    """The path, and the floor under it where there is one."""
    reference = times["reference"][WARM:]
    found = [row(name, "us", times["product"][WARM:], reference, budget, "ratio")]
    if "floor" in times:
        found.append(
            row("  its atomic step, and nothing decided", "us", times["floor"][WARM:], reference, budget, "told")
        )
    return found
