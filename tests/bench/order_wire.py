"""The order wire's rows: an order placed and answered on loopback, over REST and over the WebSocket API, each beside
the loop that does no more.

`python -m tests.bench.order_wire` prints JSON rows as tests/bench/feed.py does. The references sign with a pre-keyed
HMAC, write one pre-shaped text on a raw protocol and look for the answer's status; they pool, supervise, judge and
decode nothing. All talk to the same server, in turns; times are wall time of one request.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import random
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import cast

import msgspec
import uvloop

from pms.binance.gateway import BinanceVenue
from pms.binance.http import HttpClient
from pms.binance.signing import Credentials
from pms.binance.ws import WebSockets
from pms.binance.ws_api import PATH
from pms.clock import SystemClock
from pms.core.backoff import ConnectBudget
from pms.governor import Governor
from pms.tasks import Tasks
from pms.venue import Done, Place
from schemas.market import Side
from tests.bench.frame_server import framed
from tests.bench.reference_feed import RawSocket
from tests.bench.rows import Row, row

REQUESTS, WARM = 4_000, 400
# perf.md: frame to order request against the hand-written loop, of which this is the largest part
REST_BUDGET, WS_BUDGET = 3.5, 2.5
KEY, SECRET = "k" * 64, "s" * 64
ORDER = Place(
    "BTCUSDT",
    "pms-abcd-0123456789-abcdef-000-001-x",
    Side.BUY,
    "LIMIT",
    "GTX",
    Decimal("0.010"),
    Decimal("84000.10"),
    False,
)
BODY = (
    b'{"orderId":33878894217,"symbol":"BTCUSDT","status":"NEW","clientOrderId":"pms-abcd-0123456789-abcdef-000-001-x",'
    b'"price":"84000.10","origQty":"0.010","executedQty":"0.000","cumQty":"0.000","timeInForce":"GTX","type":"LIMIT",'
    b'"reduceOnly":false,"closePosition":false,"side":"BUY","positionSide":"BOTH","stopPrice":"0.00",'
    b'"workingType":"CONTRACT_PRICE","priceProtect":false,"origType":"LIMIT","priceMatch":"NONE",'
    b'"selfTradePreventionMode":"EXPIRE_MAKER","goodTillDate":0,"updateTime":1}'
)
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-mbx-used-weight-1m: 5\r\nx-mbx-order-count-10s: 1\r\n"
    b"x-mbx-order-count-1m: 3\r\nContent-Length: %d\r\n\r\n" % len(BODY)
) + BODY


_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
LIMITS = (
    b'[{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":2400,"count":5},'
    b'{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":300,"count":1},'
    b'{"rateLimitType":"ORDERS","interval":"MINUTE","intervalNum":1,"limit":1200,"count":3}]'
)


class Answering(asyncio.Protocol):
    """The server: one answer for each piece that arrives, which on loopback is one request."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._framed = False

    def data_received(self, data: bytes) -> None:
        if self._framed:
            self._transport.write(framed(self._answer(data)))
        elif b"Upgrade: websocket" in data:
            key = data.split(b"Sec-WebSocket-Key: ")[1].partition(b"\r\n")[0]
            accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
            head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            self._transport.write(head + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
            self._framed = True
        else:
            self._transport.write(ANSWER)

    @staticmethod
    def _answer(frame: bytes) -> bytes:
        """Each request names its id first: enough of it is unmasked."""
        at = 4 if frame[1] & 127 == 126 else 2
        mask, start = frame[at : at + 4], frame[at + 4 : at + 36]
        text = bytes(byte ^ mask[index & 3] for index, byte in enumerate(start))
        ident = text[len(b'{"id":') :].partition(b",")[0]
        return b'{"id":%b,"status":200,"result":%b,"rateLimits":%b}' % (ident, BODY, LIMITS)


class Loop(asyncio.Protocol):
    """The reference: sign, write, wait."""

    def __init__(self) -> None:
        self._keyed = hmac.new(SECRET.encode(), digestmod="sha256")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._waiter.set_result(data.startswith(b"HTTP/1.1 200"))

    async def place(self) -> bool:
        query = (
            f"symbol={ORDER.symbol}&side=BUY&type=LIMIT&quantity={ORDER.quantity}&timeInForce=GTX&price={ORDER.price}"
            f"&newClientOrderId={ORDER.client_id}&newOrderRespType=RESULT&recvWindow=2000"
            f"&timestamp={time.time_ns() // 1_000_000}"
        )
        mac = self._keyed.copy()
        mac.update(query.encode())
        self._waiter = asyncio.get_running_loop().create_future()
        head = f"POST /fapi/v1/order?{query}&signature={mac.hexdigest()} HTTP/1.1\r\nHost: venue\r\n"
        self.transport.write(f"{head}X-MBX-APIKEY: {KEY}\r\nContent-Length: 0\r\n\r\n".encode())
        return await self._waiter


class SocketLoop(RawSocket):
    """The reference over the WebSocket API; its mask is zero."""

    def __init__(self) -> None:
        super().__init__(PATH, self._told)
        self._keyed = hmac.new(SECRET.encode(), digestmod="sha256")
        self._ids = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport = cast(asyncio.Transport, transport)

    def _told(self, payload: bytes) -> None:
        self._waiter.set_result(b'"status":200' in payload)

    async def place(self) -> bool:
        self._ids += 1
        stamp = time.time_ns() // 1_000_000
        mac = self._keyed.copy()
        mac.update(
            f"apiKey={KEY}&newClientOrderId={ORDER.client_id}&newOrderRespType=RESULT&price={ORDER.price}"
            f"&quantity={ORDER.quantity}&recvWindow=2000&side=BUY&symbol={ORDER.symbol}&timeInForce=GTX"
            f"&timestamp={stamp}&type=LIMIT".encode()
        )
        payload = (
            f'{{"id":{self._ids},"method":"order.place","params":{{"apiKey":"{KEY}","newClientOrderId":'
            f'"{ORDER.client_id}","newOrderRespType":"RESULT","price":"{ORDER.price}","quantity":"{ORDER.quantity}",'
            f'"recvWindow":2000,"side":"BUY","symbol":"{ORDER.symbol}","timeInForce":"GTX","timestamp":{stamp},'
            f'"type":"LIMIT","signature":"{mac.hexdigest()}"}}}}'
        ).encode()
        self._waiter = asyncio.get_running_loop().create_future()
        self.transport.write(b"\x81\xfe" + len(payload).to_bytes(2, "big") + b"\0\0\0\0" + payload)
        return await self._waiter


async def rows() -> list[Row]:
    """The adapter's round trips beside the references', in microseconds."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answering, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    _, reference = await loop.create_connection(Loop, "127.0.0.1", port)
    _, socket = await loop.create_connection(SocketLoop, "127.0.0.1", port)
    await socket.open
    found = [
        await _row("order placed over REST, round trip", port, "", reference.place, REST_BUDGET),
        await _row("order placed over the WebSocket API, round trip", port, PATH, socket.place, WS_BUDGET),
    ]
    reference.transport.close()
    socket.transport.close()
    server.close()
    return found


async def _row(name: str, port: int, path: str, theirs: Callable[[], Awaitable[bool]], budget: float) -> Row:
    """One way of orders; `path` is that of the WebSocket API, or empty."""
    tasks, clock = Tasks(), SystemClock()
    sockets = WebSockets(clock, random.random)
    governor = Governor(clock, clock.now_ms)
    host, credentials = f"127.0.0.1:{port}", Credentials(KEY, SECRET)
    ws_api = f"ws://{host}{path}" if path else ""
    client = HttpClient(f"http://{host}")
    connects = ConnectBudget(random.random, clock.monotonic)
    venue = BinanceVenue(client, sockets, "ws://127.0.0.1", credentials, clock, tasks, connects, governor, ws_api)
    if venue.rest.socket is not None:
        venue.rest.socket.start()
        async with asyncio.timeout(5):
            while not venue.rest.socket.up:
                await clock.sleep(0.01)
    times: tuple[list[float], list[float]] = [], []
    for _ in range(REQUESTS):
        start = time.perf_counter_ns()
        outcome = await venue.place(ORDER)
        between = time.perf_counter_ns()
        answered = await theirs()
        times[1].append((time.perf_counter_ns() - between) / 1000)
        times[0].append((between - start) / 1000)
        assert answered
        assert isinstance(outcome, Done), outcome
    await venue.close()
    await sockets.close()
    await tasks.close()
    return row(name, "us", times[0][WARM:], times[1][WARM:], budget, "ratio")


def main() -> None:
    for measured in uvloop.run(rows()):
        print(msgspec.json.encode(measured).decode())


if __name__ == "__main__":
    main()
