"""The feed's bench: frames from a socket to the touch, and one quote to many algos, beside the loop that does no more.

`python -m tests.bench.feed [RECORDING]` prints one JSON row per path: {name, unit, p50, p99, reference, ratio,
budget, ok}; the budgets are perf.md's. Product and reference take turns on the same frames in one run; times of
frames are our own processor time of a batch over its count, so that p50 and p99 are those of batches.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import structlog
import uvloop

from algos import chase, step
from algos.registry import CHASE
from pms.binance import frames
from pms.binance.market_stream import MarketStream
from pms.binance.ws import WebSockets
from pms.clock import SystemClock
from pms.core.backoff import ConnectBudget
from pms.core.book import Book
from pms.core.own import OwnOrders
from pms.fanout import Fanout
from pms.market import Market
from pms.market_data import Snapshot
from pms.runner import Runner
from pms.tasks import Tasks
from schemas.chase import ChaseParams
from schemas.market import Instrument, Quote, Side
from schemas.orders import OrderState
from tests.bench.recorded_frames import Frames, load
from tests.bench.reference_feed import DepthLoop, RawSocket, TickerLoop
from tests.bench.rows import Row, row

DEPTH_BATCH, TICKER_BATCH, WARM = 60, 1_000, 2
ALGOS, QUOTES = 10_000, 60
STEP = Decimal("0.001")
LIMIT = Decimal(10**7)
DEPTH_NAME = "depth frame from the socket to touch"


class Waiter:
    """Resolves when the last frame of a batch has become the touch."""

    def __init__(self) -> None:
        self.target = 0
        self._done: asyncio.Future[None] | None = None

    def expect(self, target: int) -> asyncio.Future[None]:
        self.target = target
        self._done = asyncio.get_running_loop().create_future()
        return self._done

    def done(self) -> None:
        assert self._done is not None
        self._done.set_result(None)

    def on_quote(self, quote: Quote) -> None:
        if quote.update_id == self.target:
            self.done()


class Served:
    """What the product asks of REST: the prepared snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    async def read(self, request: object, decode: object) -> Snapshot:
        return self._snapshot


def batches(
    prepared: list[bytes], size: int, book: Book, take: Callable[[Book, bytes], int]
) -> list[tuple[int, int, int]]:
    """(first, count, last id) of batches of about `size` frames, each ending with one that changes the touch."""
    found, first, before = [], 0, None
    own = OwnOrders()
    for index, frame in enumerate(prepared):
        last = take(book, frame)
        quote = book.quote(own, lambda: 0)
        if index - first + 1 >= size and quote is not before and quote is not None:
            found.append((first, index - first + 1, last))
            first = index + 1
        before = quote
    return found


def _take_depth(book: Book, frame: bytes) -> int:
    value = frames.depth(frame)
    book.offer(value)
    return value.last_id


def _take_ticker(book: Book, frame: bytes) -> int:
    value = frames.touch(frame)
    book.ticker(value)
    return value.update_id


def instrument(tick: Decimal) -> Instrument:
    return Instrument("BTCUSDT", tick, STEP, STEP, LIMIT, Decimal(50), tick, LIMIT, Decimal(2), Decimal("0.5"))


def _snapshot(prepared: Frames, last_id: int) -> Snapshot:
    sides = msgspec.convert([prepared.bids, prepared.asks], list[list[tuple[float, float]]], strict=False)
    return Snapshot(last_id, sides[0], sides[1], 0)


@asynccontextmanager
async def product(port: int, snapshot: Snapshot, tick: Decimal, waiter: Waiter) -> Any:
    """The daemon's own path: sockets, stream, market, one follower."""
    tasks, clock = Tasks(), SystemClock()
    sockets = WebSockets(clock, random.random)
    connects = ConnectBudget(random.random, clock.monotonic)
    served: Any = Served(snapshot)
    stream = MarketStream(served, sockets, f"ws://127.0.0.1:{port}", clock, tasks, connects)
    market = Market(stream, clock, tasks, random.random)
    stream.start(market)
    market.start()
    await market.watch(instrument(tick))
    market.subscribe("BTCUSDT", waiter)
    book = market._lines["BTCUSDT"].book
    while not book._anchored:
        await clock.sleep(0.05)
    try:
        yield market
    finally:
        await stream.close()
        await sockets.close()
        await tasks.close()


class Server:
    """The frames' process."""

    def __init__(self, prepared: Frames, folder: str) -> None:
        path = Path(folder) / "frames.json"
        path.write_bytes(msgspec.json.encode({"depth": _texts(prepared.depth), "ticker": _texts(prepared.tickers)}))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.frame_server", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def send(self, path: str, kind: str, first: int, count: int) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{path} {kind} {first} {count}\n".encode())
        self._process.stdin.flush()

    def close(self) -> None:
        self._process.communicate(b"quit\n", timeout=10)


def _texts(prepared: list[bytes]) -> list[str]:
    return [frame.decode() for frame in prepared]


async def _timed(server: Server, path: str, kind: str, batch: tuple[int, int, int], waiter: Waiter) -> float:
    """Microseconds of our own processor time a frame: neither the server nor the neighbours count."""
    first, count, last = batch
    done = waiter.expect(last)
    start = time.process_time()
    server.send(path, kind, first, count)
    async with asyncio.timeout(30):
        await done
    return (time.process_time() - start) / count * 1e6


async def _raced(
    server: Server,
    kind: str,
    plan: list[tuple[int, int, int]],
    mine: Waiter,
    theirs: Waiter,
    aim: Callable[[int], None],
) -> tuple[list[float], list[float]]:
    product_us, reference_us = [], []
    for batch in plan:
        aim(batch[2])
        reference_us.append(await _timed(server, "/reference", kind, batch, theirs))
        product_us.append(await _timed(server, "/public/ws", kind, batch, mine))
    return product_us[WARM:], reference_us[WARM:]


async def _sleeper(quote: Quote) -> None:
    await SystemClock().sleep(5)


async def _raiser(quote: Quote) -> None:
    raise ZeroDivisionError


async def depth_row(server: Server, prepared: Frames, tick: Decimal, burden: bool = False) -> Row:
    snapshot = _snapshot(prepared, prepared.first_id)
    book = Book(tick, STEP)
    book.anchor(snapshot)
    plan = batches(prepared.depth, DEPTH_BATCH, book, _take_depth)
    mine, theirs = Waiter(), Waiter()
    loop = DepthLoop(snapshot.bids, snapshot.asks, prepared.first_id, theirs.done)
    raw = RawSocket("/reference", loop.on_payload)
    await asyncio.get_running_loop().create_connection(lambda: raw, "127.0.0.1", server.port)
    await raw.open
    async with product(server.port, snapshot, tick, mine) as market:
        if burden:
            listeners = [market.listen("BTCUSDT", callback) for callback in (_sleeper, _raiser)]
        times = await _raced(server, "depth", plan, mine, theirs, lambda last: setattr(loop, "target", last))
    if burden:
        assert listeners[1].failures
    name = "the same beside a listener that sleeps 5 s and one that raises" if burden else DEPTH_NAME
    return row(name, "us", *times, 1.5, "ratio")


async def burdened_row(server: Server, prepared: Frames, tick: Decimal) -> Row:
    return await depth_row(server, prepared, tick, burden=True)


async def ticker_row(server: Server, prepared: Frames, tick: Decimal) -> Row:
    snapshot = _snapshot(prepared, frames.touch(prepared.tickers[0]).update_id - 1)
    book = Book(tick, STEP)
    for _ in range(2):
        book.anchor(snapshot)
    plan = batches(prepared.tickers, TICKER_BATCH, book, _take_ticker)
    mine, theirs = Waiter(), Waiter()
    loop = TickerLoop(theirs.done)
    raw = RawSocket("/reference", loop.on_payload)
    await asyncio.get_running_loop().create_connection(lambda: raw, "127.0.0.1", server.port)
    await raw.open
    async with product(server.port, snapshot, tick, mine) as market:
        while market.quote("BTCUSDT") is None:
            await SystemClock().sleep(0.05)
        times = await _raced(server, "ticker", plan, mine, theirs, lambda last: setattr(loop, "target", last))
    return row("bookTicker frame to touch", "us", *times, 1.5, "ratio")


class Silent:
    """Takes what an algo decided, of which there should be nothing."""

    def on_decided(self, runner: Runner, decided: object) -> None:
        raise AssertionError("an idle algo has decided something")

    def on_broken(self, runner: Runner, error: Exception) -> None:
        raise error


class Bare:
    """The reference follower: a call that compares two numbers."""

    def __init__(self) -> None:
        self.ticks = 1

    def on_quote(self, quote: Quote) -> None:
        if quote.bid == self.ticks:
            raise AssertionError


def _runners(quote: Quote) -> list[Runner]:
    who = step.Identity("0000000001", "main", "0000", 1)
    params = ChaseParams(symbol="BTCUSDT", side=Side.BUY, quantity=Decimal(1))
    state, _ = chase.start(who, params, instrument(Decimal("0.1")), quote, 0)
    assert state.child is not None
    state = msgspec.structs.replace(state, child=msgspec.structs.replace(state.child, state=OrderState.ACTIVE))
    clock: Any = SystemClock()
    return [Runner(CHASE, state, clock, clock.now_ms, Silent()) for _ in range(ALGOS)]


class Last:
    def __init__(self) -> None:
        self.done: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def on_quote(self, quote: Quote) -> None:
        if not self.done.done():
            self.done.set_result(time.perf_counter())


async def fanout_rows() -> list[Row]:
    """One quote through a symbol's pump to all its algos, from the pump to the last algo's step."""

    def quote(turn: int) -> Quote:
        return Quote(1_000, 1_001, Decimal(turn + 1), Decimal(1), 2_001, 2_001, turn, turn, turn)

    async def served(receivers: list[Any]) -> Callable[[int], Awaitable[float]]:
        fanout = Fanout("BTCUSDT", SystemClock(), Tasks())
        for receiver in receivers:
            fanout.add(receiver, None)

        async def turn(number: int) -> float:
            last = Last()
            fanout.add(last, None)
            start = time.perf_counter()
            fanout.serve(quote(number))
            seconds = await last.done - start
            fanout.remove(last)
            return seconds

        return turn

    algos, bare = await served(list(_runners(quote(0)))), await served([Bare() for _ in range(ALGOS)])
    mine, theirs = [], []
    for number in range(QUOTES):
        theirs.append(await bare(number))
        mine.append(await algos(number))
    each = [[seconds / ALGOS * 1e6 for seconds in times[WARM:]] for times in (mine, theirs)]
    whole = [[seconds * 1e3 for seconds in times[WARM:]] for times in (mine, theirs)]
    return [
        row("idle algo, per quote", "us", *each, 0.5, "p50"),
        row("10 000 algos on one symbol, one quote", "ms", *whole, 10.0, "p50"),
    ]


async def rows(recording: Path | None) -> list[Row]:
    """All rows of the feed. The server's process lives as long as this call."""
    prepared = load(recording)
    tick = Decimal("0.1")
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for measure in (depth_row, burdened_row, ticker_row):
            server = Server(prepared, folder)
            try:
                found.append(await measure(server, prepared, tick))
            finally:
                server.close()
    return [*found, *await fanout_rows()]


def main() -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    recording = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    for found in uvloop.run(rows(recording)):
        print(msgspec.json.encode(found).decode())


if __name__ == "__main__":
    main()
