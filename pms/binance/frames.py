"""Market frames of the wire as values of the venue port (binance.md 6.2). Pure.

The kind is told by the first bytes, since the venue writes `e` first; what is written otherwise takes the slow way.
Decimal texts are decoded to floats here and nowhere else, and only where `pms.core.grid` makes them exact again.
Unknown fields are ignored: the venue adds some without notice. What does not decode raises `msgspec.MsgspecError`.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from pms.market_data import DepthFrame, Snapshot, TouchFrame

DEPTH_HEAD = b'{"e":"depthUpdate"'
TOUCH_HEAD = b'{"e":"bookTicker"'

Levels = list[tuple[float, float]]


class _Depth(
    DepthFrame,
    frozen=True,
    gc=False,
    rename={
        "symbol": "s",
        "first_id": "U",
        "last_id": "u",
        "prev_id": "pu",
        "time": "T",
        "bids": "b",
        "asks": "a",
    },
):
    """The port's frame under the wire's names, so that decoding makes it at once."""

    symbol: str
    first_id: int
    last_id: int
    prev_id: int
    time: int
    bids: Levels
    asks: Levels


class _Touch(
    TouchFrame,
    frozen=True,
    gc=False,
    rename={
        "symbol": "s",
        "update_id": "u",
        "bid": "b",
        "bid_qty": "B",
        "ask": "a",
        "ask_qty": "A",
        "time": "T",
    },
):
    symbol: str
    update_id: int
    bid: float
    bid_qty: float
    ask: float
    ask_qty: float
    time: int


class _Snapshot(Snapshot, frozen=True, rename={"last_id": "lastUpdateId", "time": "T"}):
    last_id: int
    bids: Levels
    asks: Levels
    time: int


class Mark(msgspec.Struct, frozen=True, rename={"symbol": "s", "price": "p", "time": "E"}):
    """`markPriceUpdate`. `T` is the next funding, so the time is the push's."""

    symbol: str
    price: Decimal
    time: int


class Trade(
    msgspec.Struct,
    frozen=True,
    gc=False,
    rename={"symbol": "s", "price": "p", "quantity": "q", "time": "T", "maker_buys": "m"},
):
    """`aggTrade`: what one taker traded at one price."""

    symbol: str
    price: Decimal
    quantity: Decimal
    time: int
    maker_buys: bool


class Reply(msgspec.Struct, frozen=True):
    """An answer to a request of ours: `result`, or a refusal in one of the venue's two shapes."""

    id: int | str | None = None
    result: object = None
    error: object = None
    code: int = 0
    msg: str = ""

    @property
    def refusal(self) -> str:
        """What the venue refused, in its words; empty where it did not."""
        if self.error is not None:
            return str(self.error)
        return f"{self.code} {self.msg}" if self.code else ""


class _Head(msgspec.Struct):
    e: str = ""


depth = msgspec.json.Decoder(_Depth, strict=False).decode
touch = msgspec.json.Decoder(_Touch, strict=False).decode
snapshot = msgspec.json.Decoder(_Snapshot, strict=False).decode
_mark = msgspec.json.Decoder(Mark).decode
_trade = msgspec.json.Decoder(Trade).decode
_reply = msgspec.json.Decoder(Reply).decode
_head = msgspec.json.Decoder(_Head).decode

_OF_EVENT: dict[str, Callable[[bytes], DepthFrame | TouchFrame | Mark | Trade]] = {
    "depthUpdate": depth,
    "bookTicker": touch,
    "markPriceUpdate": _mark,
    "aggTrade": _trade,
}


def read(frame: bytes) -> DepthFrame | TouchFrame | Mark | Trade | Reply | None:
    """A frame of any kind, by decoding its head first; None for an event that we did not ask for."""
    event = _head(frame).e
    if not event:
        return _reply(frame)
    decode = _OF_EVENT.get(event)
    return decode(frame) if decode is not None else None
