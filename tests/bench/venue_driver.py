"""The process that measures latency: it is the venue, it is a client of Redis, and so it holds both ends of each path.

`python -m tests.bench.venue_driver REDIS_SOCKET PASSWORD`: prints its port, then answers each line `NAME COUNT` on
stdin with one line of JSON, the times of that path in microseconds by candidate. Candidates take turns, with pauses
as on a real market, so that what is measured is a process that has just woken (perf.md: cold costs 3–5 × hot). The
last core is this process' own: a venue is never woken on its client's core.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import hiredis
import msgspec
import uvloop

from tests.bench.frame_server import framed
from tests.bench.recorded_frames import made_up
from tests.bench.subscriber import PATTERNS
from tests.bench.venue import FOLLOWED, Client, Market, Venue
from tests.bench.venue import MEASURED as SYMBOL

MOVES = (-3, -1, 1, 3)  # every frame moves the touch, so every frame asks for an order
FRAMES = 6_000
OTHERS, OTHER_FRAMES, ALGOS_EACH = 50, 80, 4
OTHER_REPRICE_MS = 10_000  # 200 algos that amend every 10 s: the 1 200 a minute that the venue takes
PAUSE_S = 0.004
TOGETHER = 10  # symbols that are subscribed to at once: the daemon paces subscriptions, and a command waits 2.5 s
FILLS = 20  # of one order
BURST = 100  # fills of one order where many come fast
PLACED, AMENDED = "POST /fapi/v1/order", "PUT /fapi/v1/order"
RAW_PLACED, RAW_AMENDED = "POST /reference/order", "PUT /reference/order"

Times = dict[str, list[float]]


class Redis(asyncio.Protocol):
    """One connection without a client library: replies and pushes go to `told` with the time their bytes came."""

    def __init__(self, told: Callable[[int, Any], None]) -> None:
        self._told = told
        self._reader = hiredis.Reader()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def send(self, *words: str | bytes | int) -> None:
        self._transport.write(hiredis.pack_command(words))

    def data_received(self, data: bytes) -> None:
        stamp = time.perf_counter_ns()
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            self._told(stamp, reply)


async def connect(path: str, password: str, told: Callable[[int, Any], None]) -> Redis:
    _, link = await asyncio.get_running_loop().create_unix_connection(lambda: Redis(told), path)
    link.send("AUTH", password)
    return link


class Driver:
    """Runs the paths, one at a time."""

    def __init__(self, venue: Venue, pusher: Redis) -> None:
        self._venue = venue
        self._push = pusher.send
        self._requests = 0
        self._account = ""
        self._heard: dict[str, asyncio.Future[int]] = {}
        self.published = 0
        self.latest = 0
        self.due: dict[int, int] = {}  # trade id -> when its frame left
        self.late: list[float] = []

    def on_event(self, stamp: int, channel: str, trade: int) -> None:
        """What the subscriber has heard."""
        self.published += 1
        self.latest = stamp
        if channel in ("pms:events:order_partial", "pms:events:order_filled"):
            sent = self.due.pop(trade, None)
            if sent is not None:
                self.late.append((stamp - sent) / 1000)
        heard = self._heard.pop("reference" if channel.startswith("reference") else channel, None)
        if heard is not None:
            heard.set_result(stamp)

    def _hears(self, channel: str) -> asyncio.Future[int]:
        future = self._heard[channel] = asyncio.get_running_loop().create_future()
        return future

    async def _rounds(self, count: int, paths: dict[str, Callable[[int], Awaitable[float]]]) -> Times:
        """`count` times each path, in an order that is drawn anew each time."""
        times: Times = {name: [] for name in paths}
        names, chance = list(paths), random.Random(5)
        for number in range(count):
            chance.shuffle(names)
            for name in names:
                await asyncio.sleep(PAUSE_S)
                async with asyncio.timeout(5):
                    times[name].append(await paths[name](number))
        return times

    async def run(self, name: str, count: int) -> Times:
        """A path by its name, in a sub-account of its own: what one has placed in a minute is not the next one's."""
        self._account = name
        times: Times = await getattr(self, name)(count)
        return times

    # --- paths ----------------------------------------------------------------------------------------

    async def frames(self, count: int) -> Times:
        """Depth frame to order request; `echo` is the floor: a frame, and a frame back."""
        await self._chase(quantity="0.002", repriceMinMs=0)
        self._venue.still = False
        prepared: list[tuple[bytes, str]] = []
        payload = framed(b"x" * 1500)

        async def echo(_: int) -> float:
            return await self._echo(payload)

        async def frame(path: str, socket: str, number: int) -> float:
            if len(prepared) <= number:
                prepared.append(self._venue.markets[SYMBOL].step())
            data, bid = prepared[number]
            arrival = self._venue.arrival(path)
            start = time.perf_counter_ns()
            self._venue.sockets[socket].send(data)
            stamp, query = await arrival
            assert float(query["price"]) == float(bid), f"an order at {query['price']}, and the bid is {bid}"
            return (stamp - start) / 1000

        times = await self._rounds(
            count,
            {
                "echo": echo,
                "reference": lambda number: frame(RAW_AMENDED, "/reference/depth", number),
                "floor": lambda number: frame(RAW_AMENDED, "/reference/floor/depth", number),
                "product": lambda number: frame(AMENDED, "/public/ws", number),
            },
        )
        self._venue.still = True
        return times

    async def frames_over_ws(self, count: int) -> Times:
        """The same where both send over the WebSocket API."""
        before = self._venue.over_ws
        times = await self.frames(count)
        assert self._venue.over_ws >= before + 2 * count, "requests left another way"
        return times

    async def _echo(self, payload: bytes) -> float:
        arrival = self._venue.arrival("/echo")
        start = time.perf_counter_ns()
        self._venue.sockets["/echo"].send(payload)
        stamp, _ = await arrival
        return (stamp - start) / 1000

    async def lists(self, count: int) -> Times:
        """Command pushed to a list, to order request."""
        return await self._commands(count, self._push_list, floor=True)

    async def stream(self, count: int) -> Times:
        """Command added to the stream, to order request."""
        return await self._commands(count, self._push_stream)

    async def _commands(self, count: int, push: Callable[[str, bytes], None], floor: bool = False) -> Times:
        async def command(number: int) -> float:
            body = self._body(quantity="0.002", repriceMinMs=10_000)
            arrival = self._venue.arrival(PLACED)
            start = time.perf_counter_ns()
            push("pms", body)
            stamp, query = await arrival
            await asyncio.sleep(PAUSE_S)
            self._venue.private().send(self._venue.fill(query["newClientOrderId"], 2))
            return (stamp - start) / 1000

        async def raw(namespace: str, number: int) -> float:
            body = self._body(quantity="0.002", repriceMinMs=10_000)
            arrival = self._venue.arrival(RAW_PLACED)
            start = time.perf_counter_ns()
            push(namespace, body)
            stamp, _ = await arrival
            return (stamp - start) / 1000

        paths = {"reference": partial(raw, "reference"), "product": command}
        return await self._rounds(count, paths | ({"floor": partial(raw, "reference:floor")} if floor else {}))

    async def events(self, count: int) -> Times:
        """A fill on the user stream, to its event at a subscriber."""
        left: list[str] = []

        async def product(number: int) -> float:
            if not left:
                left.extend([await self._chase(quantity="0.020", repriceMinMs=10_000)] * FILLS)
                await asyncio.sleep(PAUSE_S)
            name = left.pop()
            frame = self._venue.fill(name, 1)
            heard = self._hears(f"pms:events:order_{'partial' if left else 'filled'}")
            start = time.perf_counter_ns()
            self._venue.private().send(frame)
            return (await heard - start) / 1000

        async def raw(socket: str, _: int) -> float:
            frame = self._venue.spare_fill()
            heard = self._hears("reference")
            start = time.perf_counter_ns()
            self._venue.sockets[socket].send(frame)
            return (await heard - start) / 1000

        return await self._rounds(
            count,
            {
                "reference": partial(raw, "/reference/private"),
                "floor": partial(raw, "/reference/floor/private"),
                "product": product,
            },
        )

    async def paced(self, per_second: int) -> Times:
        """Fills at a pace for two seconds, over many orders: how late each event is."""
        total = 2 * per_second
        orders = [await self._chase(quantity="0.100", repriceMinMs=10_000) for _ in range(-(-total // BURST))]
        await asyncio.sleep(0.1)
        self.late = []
        begin = time.perf_counter()
        for number in range(total):
            wait = begin + number / per_second - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            frame = self._venue.fill(orders[number % len(orders)], 1)
            self.due[self._venue.trades] = time.perf_counter_ns()
            self._venue.private().send(frame)
        await _until(lambda: not self.due)
        return {"product": self.late}

    async def flood(self, total: int) -> Times:
        """Fills as fast as they are taken; `rate` is published events a second, first frame to last event."""
        orders = [await self._chase(quantity="0.100", repriceMinMs=10_000) for _ in range(-(-total // BURST))]
        await asyncio.sleep(0.2)
        frames = [self._venue.fill(orders[number % len(orders)], 1) for number in range(total)]
        self.late, before, begin = [], self.published, time.perf_counter_ns()
        self.due = dict.fromkeys(range(self._venue.trades - total + 1, self._venue.trades + 1), begin)
        for first in range(0, total, 100):
            self._venue.private().send(b"".join(frames[first : first + 100]))
            await asyncio.sleep(0)
        await _until(lambda: not self.due)
        seconds = (self.latest - begin) / 1e9
        return {"rate": [(self.published - before) / seconds], "fills": [total / seconds]}

    async def load(self, count: int) -> Times:
        """Depth frame to order request while 50 symbols move every 100 ms under 200 live algos."""
        others = [market for market in self._venue.markets.values() if market.symbol != SYMBOL]
        for first in range(0, len(others), TOGETHER):
            await self._populate([market.symbol for market in others[first : first + TOGETHER]])
        await self._chase(quantity="0.002", repriceMinMs=0)
        steps = {market.symbol: [market.step() for _ in range(OTHER_FRAMES)] for market in others}
        self._venue.still = False
        done = asyncio.Event()
        moving = [asyncio.ensure_future(self._move(at, steps[m.symbol], done)) for at, m in enumerate(others)]
        times: Times = {"product": []}
        for _ in range(count):
            await asyncio.sleep(0.02)
            frame, bid = self._venue.markets[SYMBOL].step()
            await asyncio.sleep(0.001)
            arrival = self._venue.arrival(AMENDED)
            start = time.perf_counter_ns()
            self._venue.sockets["/public/ws"].send(frame)
            stamp, query = await arrival
            while float(query["price"]) != float(bid):
                stamp, query = await asyncio.wait_for(self._venue.arrival(AMENDED), 5)
            times["product"].append((stamp - start) / 1000)
            for path in FOLLOWED:
                self._venue.sockets[path].send(frame)  # whose chain must hold for what follows
        done.set()
        await asyncio.gather(*moving)
        self._venue.still = True
        return times

    async def _populate(self, symbols: list[str]) -> None:
        """Algos on new symbols, each symbol's in a sub-account of its own, so that they do not wait for each other."""
        placed = self._venue.placed
        for symbol in symbols * ALGOS_EACH:
            body = self._body(
                symbol=symbol, subAccountId=symbol.lower(), quantity="0.002", repriceMinMs=OTHER_REPRICE_MS
            )
            self._push_list("pms", body)
        await _until(lambda: self._venue.placed >= placed + len(symbols) * ALGOS_EACH)

    async def _move(self, at: int, steps: list[tuple[bytes, str]], done: asyncio.Event) -> None:
        await asyncio.sleep(at * 0.002)
        for frame, _ in steps:
            if done.is_set():
                return
            self._venue.sockets["/public/ws"].send(frame)
            await asyncio.sleep(0.1)

    async def algos(self, count: int) -> Times:
        """Start so many chases, off the touch: they idle."""
        for _ in range(count):
            await self._chase(quantity="0.002", stalkOffsetTicks=100)
        return {}

    # --- commands -------------------------------------------------------------------------------------

    def _body(self, **fields: Any) -> bytes:
        self._requests += 1
        body = {
            "symbol": SYMBOL,
            "side": "BUY",
            "subAccountId": self._account,
            "requestId": f"b-{self._requests}",
            **fields,
        }
        return msgspec.json.encode(body)

    async def _chase(self, namespace: str = "pms", **fields: Any) -> str:
        """Start one by the list door; its order's client id."""
        arrival = self._venue.arrival(PLACED)
        self._push_list(namespace, self._body(**fields))
        async with asyncio.timeout(10):
            _, query = await arrival
        await asyncio.sleep(0.002)
        return query["newClientOrderId"]

    def _push_list(self, namespace: str, body: bytes) -> None:
        self._push("LPUSH", f"{namespace}:cmd:chase", body)

    def _push_stream(self, namespace: str, body: bytes) -> None:
        self._push("XADD", f"{namespace}:commands", "*", "type", "chase", "body", body)


async def _until(holds: Callable[[], bool], within_s: float = 30) -> None:
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110 - it waits for what another process does
            await asyncio.sleep(0.01)


async def _hear(subscriber: asyncio.subprocess.Process, driver: Driver) -> None:
    assert subscriber.stdout is not None
    while line := await subscriber.stdout.readline():
        driver.on_event(*msgspec.json.decode(line, type=tuple[int, str, int]))


async def serve(redis_path: str, password: str) -> None:
    markets = [Market(SYMBOL, made_up(FRAMES, MOVES, 0))]
    markets += [Market(f"S{n:02}USDT", made_up(OTHER_FRAMES, MOVES, 0, n)) for n in range(OTHERS)]
    venue = Venue(markets)
    loop = asyncio.get_running_loop()
    door = await loop.create_server(lambda: Client(venue), "127.0.0.1", 0)
    pusher = await connect(redis_path, password, lambda stamp, reply: None)
    driver = Driver(venue, pusher)
    subscriber = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.bench.subscriber",
        redis_path,
        password,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert subscriber.stdout is not None
    for _ in PATTERNS:
        await subscriber.stdout.readline()
    hearing = asyncio.ensure_future(_hear(subscriber, driver))
    marks = asyncio.ensure_future(venue.beat())
    lines: asyncio.Queue[str] = asyncio.Queue()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line.strip())
        loop.call_soon_threadsafe(lines.put_nowait, "quit")

    threading.Thread(target=read, daemon=True).start()
    print(door.sockets[0].getsockname()[1], flush=True)
    while (line := await lines.get()) != "quit":
        name, count = line.split()
        print(msgspec.json.encode(await driver.run(name, int(count))).decode(), flush=True)
    marks.cancel()
    subscriber.terminate()
    await hearing


def main() -> None:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[-1:])
    uvloop.run(serve(sys.argv[1], sys.argv[2]))


if __name__ == "__main__":
    main()
