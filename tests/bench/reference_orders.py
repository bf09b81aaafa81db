"""The hand-written loops that the order path is measured against: raw protocols on uvloop, and nothing kept.

`Orders` signs and writes one pre-shaped request, `SocketOrders` does so over a WebSocket; `Followed` does so when a
depth frame moves the bid; `Popped` and `Streamed` when a command comes out of Redis; `Published` counts, keeps and
publishes a user event in one EVALSHA, and no more. None of them has a record, a check, an id of its own or an answer
for a failure.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Callable
from typing import Any, cast

import hiredis
import msgspec

from tests.bench.reference_feed import DepthLoop, Levels, RawSocket

KEY, SECRET = "k" * 64, "s" * 64
NAME = "pms-abcd-0123456789-abcdef-000-001-x"
SCRIPT = """
local n = redis.call('INCR', KEYS[1])
redis.call('XADD', KEYS[2], n .. '-0', 'event', ARGV[1])
redis.call('PUBLISH', 'reference:events', ARGV[1])
return n
"""
GROUP, CONSUMER = "g", "c"
LIST, STREAM = "reference:cmd:chase", "reference:commands"


class Orders(asyncio.Protocol):
    """An HTTP connection that never reads what it is told."""

    def __init__(self) -> None:
        self._keyed = hmac.new(SECRET.encode(), digestmod="sha256")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._write = cast(asyncio.Transport, transport).write

    def data_received(self, data: bytes) -> None:
        return

    def send(self, method: str, fields: str) -> None:
        query = f"{fields}&recvWindow=1000&timestamp={time.time_ns() // 1_000_000}"
        mac = self._keyed.copy()
        mac.update(query.encode())
        self._write(
            f"{method} /reference/order?{query}&signature={mac.hexdigest()} HTTP/1.1\r\nHost: venue\r\n"
            f"X-MBX-APIKEY: {KEY}\r\nContent-Length: 0\r\n\r\n".encode()
        )

    def amend(self, price: str) -> None:
        self.send("PUT", f"symbol=BTCUSDT&side=BUY&quantity=0.002&price={price}&origClientOrderId={NAME}")


class SocketOrders(RawSocket):
    """The same over the WebSocket API: one masked frame (the mask is zero) for each request, parameters by name."""

    def __init__(self) -> None:
        super().__init__("/reference/ws-fapi/v1", lambda payload: None)
        self._keyed = hmac.new(SECRET.encode(), digestmod="sha256")
        self._ids = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._write = cast(asyncio.Transport, transport).write

    def amend(self, price: str) -> None:
        self._ids += 1
        stamp = time.time_ns() // 1_000_000
        mac = self._keyed.copy()
        mac.update(
            f"apiKey={KEY}&origClientOrderId={NAME}&price={price}&quantity=0.002&recvWindow=1000&side=BUY"
            f"&symbol=BTCUSDT&timestamp={stamp}".encode()
        )
        payload = (
            f'{{"id":{self._ids},"method":"order.modify","params":{{"apiKey":"{KEY}","origClientOrderId":"{NAME}",'
            f'"price":"{price}","quantity":"0.002","recvWindow":1000,"side":"BUY","symbol":"BTCUSDT",'
            f'"timestamp":{stamp},"signature":"{mac.hexdigest()}"}}}}'
        ).encode()
        self._write(b"\x81\xfe" + len(payload).to_bytes(2, "big") + b"\0\0\0\0" + payload)


class Followed(DepthLoop):
    """Calls `moved` with the best bid whenever that is another: an amend of one order."""

    def __init__(self, bids: Levels, asks: Levels, last_id: int, moved: Callable[[str], None]) -> None:
        super().__init__(bids, asks, last_id, lambda: None)
        self._moved = moved
        self._at = 0.0

    def on_payload(self, payload: bytes) -> None:
        super().on_payload(payload)
        bid = self.touch[0]
        if bid != self._at:
            self._at = bid
            self._moved(f"{bid:.1f}")


class Command(msgspec.Struct, rename="camel"):
    symbol: str
    side: str
    quantity: str
    request_id: str


_command = msgspec.json.Decoder(Command).decode


class Link(asyncio.Protocol):
    """A connection to Redis whose replies go to one call."""

    def __init__(self, told: Callable[[Any], None]) -> None:
        self._told = told
        self._reader = hiredis.Reader()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._write = cast(asyncio.Transport, transport).write

    def send(self, *words: str | bytes | int) -> None:
        self._write(hiredis.pack_command(words))

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            self._told(reply)


class Popped:
    """BRPOP, order, BRPOP again."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self.link = Link(self._told)

    def read(self) -> None:
        self.link.send("BRPOP", LIST, 0)

    def _told(self, reply: Any) -> None:
        if isinstance(reply, list):
            place(self._orders, reply[1])
            self.read()


class Streamed:
    """XREADGROUP, order, XREADGROUP again; nothing is acknowledged."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self.link = Link(self._told)

    def read(self) -> None:
        self.link.send("XREADGROUP", "GROUP", GROUP, CONSUMER, "COUNT", 1, "BLOCK", 0, "NOACK", "STREAMS", STREAM, ">")

    def _told(self, reply: Any) -> None:
        if isinstance(reply, list):
            place(self._orders, reply[0][1][0][1][3])
            self.read()


def place(orders: Orders, body: bytes) -> None:
    asked = _command(body)
    orders.send(
        "POST",
        f"symbol={asked.symbol}&side={asked.side}&type=LIMIT&quantity={asked.quantity}&timeInForce=GTX&price=84000.1"
        f"&newClientOrderId={asked.request_id}&newOrderRespType=RESULT",
    )


class _Trade(msgspec.Struct):
    s: str
    c: str
    S: str
    X: str
    i: int
    t: int
    T: int
    q: str
    p: str
    l: str  # noqa: E741 - the venue's own name
    L: str
    z: str
    n: str


class _Update(msgspec.Struct):
    o: _Trade


class _Event(msgspec.Struct, rename="camel"):
    type: str
    symbol: str
    client_order_id: str
    side: str
    state: str
    exchange_order_id: int
    trade_id: int
    ts: int
    quantity: str
    price: str
    last_fill_qty: str
    last_fill_price: str
    filled_qty: str
    commission: str


_update = msgspec.json.Decoder(_Update).decode
_encode = msgspec.json.Encoder().encode


class Published:
    """One EVALSHA for each frame: the frame read, told in the words of an event, and nothing kept of it."""

    def __init__(self) -> None:
        self.link = Link(self._told)
        self.sha = ""

    def _told(self, reply: Any) -> None:
        if isinstance(reply, bytes) and len(reply) == 40:
            self.sha = reply.decode()

    def read(self, payload: bytes) -> bytes:
        """A user event's frame in the words of an event."""
        o = _update(payload).o
        return _encode(_Event("order_partial", o.s, o.c, o.S, o.X, o.i, o.t, o.T, o.q, o.p, o.l, o.L, o.z, o.n))

    def on_payload(self, payload: bytes) -> None:
        self.link.send("EVALSHA", self.sha, 2, "reference:seq", "reference:stream", self.read(payload))


class Echo(RawSocket):
    """A frame for a frame: the floor under everything that crosses the wire twice."""

    def __init__(self, path: str) -> None:
        super().__init__(path, self._echo)

    _FRAME = b"\x81\x81\x00\x00\x00\x00x"  # one byte of text under a mask of nothing

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._write = cast(asyncio.Transport, transport).write

    def _echo(self, payload: bytes) -> None:
        self._write(self._FRAME)


async def senders(port: int) -> tuple[Orders, SocketOrders]:
    """Both ways of orders, connected."""
    loop = asyncio.get_running_loop()
    orders, over_socket = Orders(), SocketOrders()
    await loop.create_connection(lambda: orders, "127.0.0.1", port)
    await loop.create_connection(lambda: over_socket, "127.0.0.1", port)
    await over_socket.open
    return orders, over_socket


async def connect(link: Link, redis_path: str, password: str) -> None:
    """A connection to Redis."""
    await asyncio.get_running_loop().create_unix_connection(lambda: link, redis_path)
    link.send("AUTH", password)


async def hear(port: int, sockets: list[RawSocket]) -> None:
    """Open streams."""
    for socket in sockets:
        await asyncio.get_running_loop().create_connection(lambda socket=socket: socket, "127.0.0.1", port)  # type: ignore[misc]
        await socket.open


async def open_all(
    redis_path: str, password: str, port: int, bids: Levels, asks: Levels, last_id: int, over_ws: bool = False
) -> None:
    """Connect every reference loop; they live as long as the running loop."""
    orders, over_socket = await senders(port)
    followed, published = Followed(bids, asks, last_id, (over_socket if over_ws else orders).amend), Published()
    popped, streamed = Popped(orders), Streamed(orders)
    for link in (popped.link, streamed.link, published.link):
        await connect(link, redis_path, password)
    published.link.send("SCRIPT", "LOAD", SCRIPT)
    streamed.link.send("XGROUP", "CREATE", STREAM, GROUP, "0", "MKSTREAM")
    popped.read()
    streamed.read()
    streams = [
        RawSocket("/reference/depth", followed.on_payload),
        RawSocket("/reference/private", published.on_payload),
    ]
    await hear(port, [*streams, Echo("/echo")])
