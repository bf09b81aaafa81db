"""The order wire's bench: an order placed and answered over REST on loopback, beside the loop that does no more.

`python -m tests.bench.order_wire` prints one JSON row as tests/bench/feed.py does. The reference signs with a pre-keyed
HMAC, writes one pre-shaped text on a raw protocol and looks for the answer's status; it pools, supervises, judges and
decodes nothing. Both talk to the same server, in turns; times are wall time of one request.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from decimal import Decimal
from typing import cast

import msgspec
import uvloop
from pms.binance.sockets import AioSockets

from pms.binance.gateway import BinanceVenue
from pms.binance.http import HttpClient
from pms.binance.signing import Credentials
from pms.clock import SystemClock
from pms.governor import Governor
from pms.tasks import Tasks
from pms.venue import Done, Place
from schemas.market import Side
from tests.bench.rows import Row, row

REQUESTS, WARM = 4_000, 400
BUDGET = 3.5  # perf.md: frame to order request against the hand-written loop, of which this is the largest part
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


class Answering(asyncio.Protocol):
    """The server: one answer for each piece that arrives, which on loopback is one request."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(ANSWER)


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


async def rows() -> list[Row]:
    """One row: the adapter's round trip beside the reference's, in microseconds."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answering, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    tasks, clock = Tasks(), SystemClock()
    client = HttpClient(f"http://127.0.0.1:{port}")
    sockets = AioSockets(tasks)
    governor = Governor(clock, clock.now_ms)
    venue = BinanceVenue(
        client, sockets, "ws://127.0.0.1", Credentials(KEY, SECRET), clock, tasks, lambda: 0.5, governor
    )
    _, reference = await loop.create_connection(Loop, "127.0.0.1", port)
    ours, theirs = [], []
    for _ in range(REQUESTS):
        start = time.perf_counter_ns()
        outcome = await venue.place(ORDER)
        between = time.perf_counter_ns()
        answered = await reference.place()
        theirs.append((time.perf_counter_ns() - between) / 1000)
        ours.append((between - start) / 1000)
        assert answered
        assert isinstance(outcome, Done)
    reference.transport.close()
    await venue.close()
    await sockets.close()
    await tasks.close()
    server.close()
    return [row("order placed over REST, round trip", "µs", ours[WARM:], theirs[WARM:], BUDGET, "ratio")]


def main() -> None:
    for measured in uvloop.run(rows()):
        print(msgspec.json.encode(measured).decode())


if __name__ == "__main__":
    main()
