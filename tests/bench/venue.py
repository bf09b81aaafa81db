"""The least of a venue that the daemon trades on: what it asks at the start, streams, orders answered at once.

Raw asyncio protocols, so that little of what is measured is the venue's. It keeps the books it streams, the open
orders, and what their fills made of position and wallet; it sends the user events and answers look-ups truthfully, for
the daemon compares. Refuses to match, to check and to count. Who measures asks `arrival`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import parse_qsl

import msgspec

from pms.sim.ws_api import METHODS
from tests.bench.frame_server import framed
from tests.bench.recorded_frames import Frames

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_ORDER = "/fapi/v1/order"
_OPEN = ("NEW", "PARTIALLY_FILLED")
ORDER_ENTRY = {
    "/ws-fapi/v1": "/fapi/v1",
    "/reference/ws-fapi/v1": "/reference",
}  # sockets, and the paths they stand for
START_BALANCE = 10**12  # cents; each fill costs one
BEAT_S = 0.25
MEASURED = "BTCUSDT"  # the symbol that the references follow too
FOLLOWED = ("/reference/depth", "/reference/floor/depth")
# What is measured is the way of one request; how many the venue takes is another matter.
UNLIMITED = [
    {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": 10**9}
    for kind, interval, number in (("REQUEST_WEIGHT", "MINUTE", 1), ("ORDERS", "SECOND", 10), ("ORDERS", "MINUTE", 1))
]
RULES = [
    {"filterType": "PRICE_FILTER", "tickSize": "0.10", "minPrice": "0.10", "maxPrice": "10000000"},
    {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.001", "maxQty": "1000"},
    {"filterType": "PERCENT_PRICE", "multiplierUp": "2", "multiplierDown": "0.5"},
    {"filterType": "MIN_NOTIONAL", "notional": "50"},
    {"filterType": "MAX_NUM_ORDERS", "limit": 100000},
]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Market:
    """One symbol's prepared frames, and the book they have made so far."""

    def __init__(self, symbol: str, prepared: Frames) -> None:
        self.symbol = symbol
        self.last_id = prepared.first_id
        self.bid = 0.0
        self._texts = prepared.depth
        self._sides = (dict(prepared.bids), dict(prepared.asks))
        self._next = 0

    def step(self) -> tuple[bytes, str]:
        """The next frame, framed, and the best bid that it leaves; the book moves with it."""
        frame = msgspec.json.decode(self._texts[self._next])
        self._next += 1
        for side, levels in zip(self._sides, (frame["b"], frame["a"]), strict=True):
            for price, quantity in levels:
                if float(quantity):
                    side[price] = quantity
                else:
                    side.pop(price, None)
        self.bid = max(map(float, self._sides[0]))
        return self._chained(frame), f"{self.bid:.1f}"

    def still(self) -> bytes:
        """A frame that changes nothing."""
        return self._chained({"e": "depthUpdate", "b": [], "a": []})

    def _chained(self, frame: dict[str, Any]) -> bytes:
        """The frame as the next of its stream: fields in the venue's order, time now."""
        now, prev = now_ms(), self.last_id
        self.last_id = prev + 5_400
        head = {"e": "depthUpdate", "E": now, "T": now, "s": self.symbol, "ps": self.symbol, "U": prev + 400}
        return framed(msgspec.json.encode(head | {"u": self.last_id, "pu": prev, "b": frame["b"], "a": frame["a"]}))

    def snapshot(self) -> dict[str, Any]:
        bids, asks = (sorted(side.items(), key=lambda level: float(level[0])) for side in self._sides)
        return {"lastUpdateId": self.last_id, "T": now_ms(), "bids": bids[:-1001:-1], "asks": asks[:1000]}


class Venue:
    """`order(query)` of the newest request per path is told to whoever awaits `arrival(request)`."""

    def __init__(self, markets: list[Market]) -> None:
        self.markets = {market.symbol: market for market in markets}
        self.sockets: dict[str, Client] = {}  # by path, the newest
        self.orders: dict[str, dict[str, str]] = {}
        self.streams: list[str] = []
        self.still = True
        self.trades = 0
        self.placed = 0
        self.over_ws = 0  # requests over the WebSocket API
        self._held: dict[str, int] = {}  # thousandths by symbol
        self._awaited: dict[str, asyncio.Future[tuple[int, dict[str, str]]]] = {}
        self._plain: dict[str, Callable[[dict[str, str]], Any]] = {
            "/fapi/v1/time": lambda _: {"serverTime": now_ms()},
            "/fapi/v1/accountConfig": lambda _: {"dualSidePosition": False, "multiAssetsMargin": False},
            "/fapi/v1/listenKey": lambda _: {"listenKey": "key"},
            "/fapi/v1/depth": lambda query: self.markets[query["symbol"]].snapshot(),
            "/fapi/v1/openOrders": lambda query: self._open_orders(query.get("symbol", "")),
            "/fapi/v3/positionRisk": lambda _: self._positions(),
            "/fapi/v3/balance": lambda _: [{"asset": "USDT", "balance": f"{START_BALANCE - self.trades}e-2"}],
            "/fapi/v1/leverage": lambda query: {"symbol": query["symbol"], "leverage": int(query["leverage"])},
            "/fapi/v1/exchangeInfo": lambda _: {
                "rateLimits": UNLIMITED,
                "symbols": [self._rules(symbol) for symbol in self.markets],
            },
        }

    def _rules(self, symbol: str) -> dict[str, Any]:
        return {"symbol": symbol, "status": "TRADING", "marginAsset": "USDT", "filters": RULES}

    def arrival(self, request: str) -> asyncio.Future[tuple[int, dict[str, str]]]:
        """The next request of a kind ("POST /path") for the measured symbol: when its bytes came (perf_counter_ns),
        and its parameters.
        """
        future = self._awaited[request] = asyncio.get_running_loop().create_future()
        return future

    def private(self) -> Client:
        return self.sockets["/private/ws/key"]

    # --- requests -------------------------------------------------------------------------------------

    def answer(self, client: Client | Reply, stamp: int, method: str, target: str) -> None:
        path, _, text = target.partition("?")
        self.serve(client, stamp, method, path, dict(parse_qsl(text)))

    def serve(self, client: Client | Reply, stamp: int, method: str, path: str, query: dict[str, str]) -> None:
        """Answer one request, whichever way it came."""
        if path == _ORDER and method == "GET":
            self._look_up(client, query["origClientOrderId"])
            return
        if not path.endswith("/order") or method == "GET":
            plain = self._plain.get(path)
            client.respond(msgspec.json.encode([] if plain is None else plain(query)))
            return
        awaited = self._awaited.pop(f"{method} {path}", None) if query["symbol"] == MEASURED else None
        if awaited is not None and not awaited.done():
            awaited.set_result((stamp, query))
        if path == _ORDER:
            self._order(client, method, query)
        else:
            client.respond(b"{}")

    def _order(self, client: Client | Reply, method: str, query: dict[str, str]) -> None:
        name = query.get("newClientOrderId") or query["origClientOrderId"]
        if method == "POST":
            self.placed += 1
            self.orders[name] = {"i": str(self.placed), "c": name, "z": "0", **query}
        order = self.orders[name]
        order |= {field: query[field] for field in ("price", "quantity") if method == "PUT"}
        status = "CANCELED" if method == "DELETE" else "NEW"
        client.respond(msgspec.json.encode(_row(order, status)))
        execution = {"POST": "NEW", "PUT": "AMENDMENT", "DELETE": "CANCELED"}[method]
        self.private().write(_event(order, execution, status, {}))
        if status == "CANCELED":
            del self.orders[name]

    def _look_up(self, client: Client | Reply, name: str) -> None:
        order = self.orders.get(name)
        if order is None:
            client.respond(b'{"code":-2013,"msg":"Order does not exist."}', b"400 Bad Request")
        else:
            client.respond(msgspec.json.encode(_row(order, _OPEN[order["z"] != "0"])))

    def _open_orders(self, symbol: str) -> list[dict[str, Any]]:
        orders = [order for order in self.orders.values() if symbol in ("", order["symbol"])]
        return [_row(order, _OPEN[order["z"] != "0"]) for order in orders]

    def _positions(self) -> list[dict[str, Any]]:
        entry = {"entryPrice": "84551.0", "markPrice": "84551.0", "positionSide": "BOTH", "updateTime": now_ms()}
        return [entry | {"symbol": symbol, "positionAmt": f"{held / 1000:.3f}"} for symbol, held in self._held.items()]

    def fill(self, name: str, quantity: int) -> bytes:
        """The frame of a trade of so many thousandths; the last one ends the order."""
        order = self.orders[name]
        self.trades += 1
        filled = round(float(order["z"]) * 1000) + quantity
        signed = quantity if order["side"] == "BUY" else -quantity
        self._held[order["symbol"]] = self._held.get(order["symbol"], 0) + signed
        whole = filled >= round(float(order["quantity"]) * 1000)
        order["z"] = f"{filled / 1000:.3f}"
        trade = {"l": f"{quantity / 1000:.3f}", "L": order["price"], "n": "0.01", "N": "USDT", "m": True, "rp": "0"}
        if whole:
            del self.orders[name]
        return framed(_event(order, "TRADE", "FILLED" if whole else "PARTIALLY_FILLED", {**trade, "t": self.trades}))

    def spare_fill(self) -> bytes:
        """The frame of a trade of an order that nobody has: for a loop that keeps none."""
        order = {"i": "1", "c": "x", "z": "0.001", "symbol": MEASURED, "side": "BUY", "quantity": "0.020"}
        more = {"l": "0.001", "L": "84551.0", "n": "0.01", "N": "USDT", "m": True, "rp": "0", "t": 1}
        return framed(_event(order | {"price": "84551.0"}, "TRADE", "PARTIALLY_FILLED", more))

    # --- streams --------------------------------------------------------------------------------------

    async def beat(self) -> None:
        """Mark prices, and while no path moves the books, frames that prove them."""
        while True:
            await asyncio.sleep(BEAT_S)
            for market in self.markets.values():
                if f"{market.symbol.lower()}@markPrice@1s" in self.streams:
                    mark = {"e": "markPriceUpdate", "E": now_ms(), "s": market.symbol, "p": "84551.00"}
                    self.sockets["/market/ws"].write(msgspec.json.encode(mark))
                if self.still and f"{market.symbol.lower()}@bookTicker" in self.streams:
                    frame = market.still()
                    for path in ("/public/ws", *FOLLOWED):
                        if path in self.sockets and (path == "/public/ws" or market.symbol == MEASURED):
                            self.sockets[path].send(frame)


def _row(order: dict[str, str], status: str) -> dict[str, Any]:
    """An order as an answer tells it."""
    return {
        "orderId": int(order["i"]),
        "symbol": order["symbol"],
        "status": status,
        "side": order["side"],
        "clientOrderId": order["c"],
        "price": order["price"],
        "origQty": order["quantity"],
        "executedQty": order["z"],
        "type": "LIMIT",
        "timeInForce": "GTX",
        "updateTime": now_ms(),
    }


def _event(order: dict[str, str], execution: str, status: str, more: dict[str, Any]) -> bytes:
    body = {
        "s": order["symbol"],
        "c": order["c"],
        "S": order["side"],
        "o": "LIMIT",
        "f": "GTX",
        "q": order["quantity"],
        "p": order["price"],
        "ap": order["price"],
        "x": execution,
        "X": status,
        "i": int(order["i"]),
        "z": order["z"],
        "T": now_ms(),
        "l": "0",
        "L": "0",
        "t": 0,
        "m": False,
        "R": False,
        "rp": "0",
        **more,
    }
    return msgspec.json.encode({"e": "ORDER_TRADE_UPDATE", "E": now_ms(), "T": now_ms(), "o": body})


class Reply:
    """The answer to one request over the WebSocket API."""

    def __init__(self, client: Client, ident: int) -> None:
        self._client = client
        self._ident = ident

    def respond(self, body: bytes, status: bytes = b"200 OK") -> None:
        code = status[:3]
        field = b"result" if code == b"200" else b"error"
        self._client.write(b'{"id":%d,"status":%b,"%b":%b}' % (self._ident, code, field, body))


class Client(asyncio.Protocol):
    """One connection: HTTP, until it asks for a WebSocket."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._rest = b""
        self._path = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def write(self, payload: bytes) -> None:
        """One text frame."""
        self._transport.write(framed(payload))

    def send(self, frame: bytes) -> None:
        """One frame that is framed already."""
        self._transport.write(frame)

    def respond(self, body: bytes, status: bytes = b"200 OK") -> None:
        self._transport.write(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))

    def data_received(self, data: bytes) -> None:
        stamp = time.perf_counter_ns()
        self._rest += data
        if self._path:
            self._frames(stamp)
            return
        while (end := self._rest.find(b"\r\n\r\n")) >= 0 and not self._path:
            head, self._rest = self._rest[:end], self._rest[end + 4 :]
            method, target, _ = head[: head.index(b"\r\n")].decode().split(" ")
            if b"upgrade: websocket" in head.lower():
                self._upgrade(head, target)
            else:
                self._venue.answer(self, stamp, method, target)

    def _upgrade(self, head: bytes, path: str) -> None:
        pairs = (line.partition(b": ") for line in head.split(b"\r\n")[1:])
        key = next(value for name, _, value in pairs if name.lower() == b"sec-websocket-key")
        accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
        self._transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        self._path = path
        self._venue.sockets[path] = self

    def _frames(self, stamp: int) -> None:
        """Masked frames: an echo ends its round trip, a ping is answered, a request is acknowledged."""
        while len(self._rest) >= 6:
            opcode, size, at = self._rest[0] & 15, self._rest[1] & 127, 2
            if size == 126:
                size, at = int.from_bytes(self._rest[2:4], "big"), 4
            if len(self._rest) < at + 4 + size:
                return
            mask, masked = self._rest[at : at + 4], self._rest[at + 4 : at + 4 + size]
            self._rest = self._rest[at + 4 + size :]
            payload = bytes(byte ^ mask[index & 3] for index, byte in enumerate(masked))
            if opcode == 9:
                self._transport.write(bytes((0x8A, len(payload))) + payload)
            elif opcode == 1 and self._path == "/echo":
                self._venue._awaited.pop("/echo").set_result((stamp, {}))
            elif opcode == 1 and self._path in ORDER_ENTRY:
                self._serve(stamp, msgspec.json.decode(payload))
            elif opcode == 1:
                self._acknowledge(msgspec.json.decode(payload))

    def _serve(self, stamp: int, asked: dict[str, Any]) -> None:
        """A request over the WebSocket API; the reference's socket has paths of its own."""
        self._venue.over_ws += 1
        method, path = METHODS[asked["method"]]
        query = {name: str(value) for name, value in asked["params"].items()}
        self._venue.serve(
            Reply(self, asked["id"]), stamp, method, path.replace("/fapi/v1", ORDER_ENTRY[self._path]), query
        )

    def _acknowledge(self, asked: dict[str, Any]) -> None:
        if asked["method"] == "SUBSCRIBE":
            self._venue.streams += asked["params"]
        result = self._venue.streams if asked["method"] == "LIST_SUBSCRIPTIONS" else None
        self.write(msgspec.json.encode({"result": result, "id": asked["id"]}))
