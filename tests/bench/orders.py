"""The order path's rows: the daemon as it runs, with a real Redis and the least of a venue, beside hand-written loops.

Three processes: Redis, the venue (which measures, see tests/bench/venue_driver.py), and this one with daemon and
references on one uvloop, so that both wake from the same idleness and are disturbed by the same neighbours.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec
import uvloop

from pms import config
from pms.assembly import Parts
from pms.binance.http import HttpClient
from pms.binance.ws import WebSockets
from pms.bus.host import Holder
from pms.bus.link import WireLink
from pms.clock import SystemClock
from pms.daemon import Daemon
from pms.datadir import DataDir
from pms.embedded import EmbeddedRedis
from schemas.keys import Keys
from tests.bench import reference_orders
from tests.bench.feed import Row, row
from tests.bench.recorded_frames import made_up
from tests.bench.venue_driver import FRAMES, MOVES, Times

COUNT, WARM = 600, 50
FLOOD = 10_000  # fills
PACE = 1_000  # a second
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
        await process.communicate(b"quit\n")


@asynccontextmanager
async def product(redis_url: str, port: int, folder: Path | None) -> AsyncIterator[Daemon]:
    """The daemon with its doors open."""
    settings = config.load({"PMS_REST_URL": f"http://127.0.0.1:{port}", "PMS_STREAM_URL": f"ws://127.0.0.1:{port}"})
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
    try:
        yield daemon
    finally:
        await daemon.stop()
        await sockets.close()


async def rows() -> list[Row]:
    """All rows of the order path."""
    with private_redis() as redis_url:
        async with venue(redis_url) as measured:
            with tempfile.TemporaryDirectory() as folder:
                async with product(redis_url, measured.port, Path(folder)):
                    where = urlsplit(redis_url)
                    start = made_up(1, MOVES, 0)
                    levels = msgspec.convert([start.bids, start.asks], list[list[tuple[float, float]]], strict=False)
                    await reference_orders.open_all(
                        unquote(where.path), unquote(where.password or ""), measured.port, *levels, start.first_id
                    )
                    return await _measure(measured)


async def _measure(measured: VenueProcess) -> list[Row]:
    frames = await measured.run("frames", COUNT)
    found = [
        _against("frame to order request, durable", frames, 3.5),
        row("the hand-written loop over the echo floor", "us", *_warm(frames, "reference", "echo"), REFERENCE_LIMIT, "ratio"),
    ]
    found.append(_against("command in a list to order request", await measured.run("lists", COUNT), 3.0))
    found.append(_against("command in the stream to order request", await measured.run("stream", COUNT), 3.0))
    found.append(_against("user event to subscriber", await measured.run("events", COUNT), 1.6))
    return found


def _warm(times: Times, mine: str, theirs: str) -> tuple[list[float], list[float]]:
    return times[mine][WARM:], times[theirs][WARM:]


def _against(name: str, times: Times, budget: float) -> Row:
    return row(name, "us", *_warm(times, "product", "reference"), budget, "ratio")


def main() -> None:
    for found in uvloop.run(rows()):
        print(msgspec.json.encode(found).decode())


if __name__ == "__main__":
    main()
