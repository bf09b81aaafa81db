"""The hand-written loop that the feed is measured against: raw protocol, typed floats, dict and heaps, nothing else.

It does the same work on a frame as the product (decode, chain of ids, book, best bid and ask with quantities) and
none of what a product needs besides: no snapshot rule, no symbols, no exact numbers, no own orders, no staleness,
no limits.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable
from heapq import heappop, heappush
from typing import cast

import msgspec

Levels = list[tuple[float, float]]


class Depth(msgspec.Struct, gc=False):
    u: int
    pu: int
    T: int
    b: Levels
    a: Levels


class Ticker(msgspec.Struct, gc=False):
    u: int
    T: int
    b: float
    B: float
    a: float
    A: float


class RawSocket(asyncio.Protocol):
    """A WebSocket client that trusts its server: handshake, then unmasked whole text frames handed on as bytes."""

    def __init__(self, path: str, on_payload: Callable[[bytes], None]) -> None:
        self._path = path
        self._on_payload = on_payload
        self._rest = b""
        self.open: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        cast(asyncio.Transport, transport).write(  # uvloop's is none by inheritance
            f"GET {self._path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        if not self.open.done():
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._rest = data
                return
            self.open.set_result(None)
            data = data[end + 4 :]
        at, size = 0, len(data)
        while size - at >= 2:
            length, head = data[at + 1], 2
            if length == 126:
                length, head = int.from_bytes(data[at + 2 : at + 4], "big"), 4
            elif length == 127:
                length, head = int.from_bytes(data[at + 2 : at + 10], "big"), 10
            if size - at < head + length:
                break
            at += head
            self._on_payload(data[at : at + length])
            at += length
        self._rest = data[at:]


class DepthLoop:
    """`done(u)` is called at the frame whose id is `target`."""

    def __init__(self, bids: Levels, asks: Levels, last_id: int, done: Callable[[], None]) -> None:
        self.bids, self.asks = dict(bids), dict(asks)
        self.bid_heap, self.ask_heap = [-price for price, _ in bids], [price for price, _ in asks]
        self.bid_heap.sort()
        self.ask_heap.sort()
        self.last_id = last_id
        self.done = done
        self.target = 0
        self.touch: tuple[float, float, float, float, int] = (0, 0, 0, 0, 0)
        self._decode = msgspec.json.Decoder(Depth, strict=False).decode

    def on_payload(self, payload: bytes) -> None:
        frame = self._decode(payload)
        if frame.pu != self.last_id:
            raise AssertionError("a gap")
        self.last_id = frame.u
        bids, asks, bid_heap, ask_heap = self.bids, self.asks, self.bid_heap, self.ask_heap
        for price, quantity in frame.b:
            if quantity:
                if price not in bids:
                    heappush(bid_heap, -price)
                bids[price] = quantity
            else:
                bids.pop(price, None)
        for price, quantity in frame.a:
            if quantity:
                if price not in asks:
                    heappush(ask_heap, price)
                asks[price] = quantity
            else:
                asks.pop(price, None)
        while -bid_heap[0] not in bids:
            heappop(bid_heap)
        while ask_heap[0] not in asks:
            heappop(ask_heap)
        bid, ask = -bid_heap[0], ask_heap[0]
        self.touch = (bid, bids[bid], ask, asks[ask], frame.T)
        if frame.u == self.target:
            self.done()


class TickerLoop:
    def __init__(self, done: Callable[[], None]) -> None:
        self.last_id = 0
        self.done = done
        self.target = 0
        self.touch: tuple[float, float, float, float, int] = (0, 0, 0, 0, 0)
        self._decode = msgspec.json.Decoder(Ticker, strict=False).decode

    def on_payload(self, payload: bytes) -> None:
        frame = self._decode(payload)
        if frame.u > self.last_id:
            self.last_id = frame.u
            self.touch = (frame.b, frame.B, frame.a, frame.A, frame.T)
        if frame.u == self.target:
            self.done()
