"""Small recordings for tests: frames as the recorder writes them, with ids and times that tests can read."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

Levels = Iterable[tuple[str, str]]


def depth(
    time: int, ids: tuple[int, int, int], bids: Levels = (), asks: Levels = (), symbol: str = "BTCUSDT"
) -> object:
    """A depth frame; `ids` are (U, u, pu)."""
    first, last, previous = ids
    data = {"e": "depthUpdate", "E": time, "T": time, "s": symbol, "U": first, "u": last, "pu": previous}
    return {"stream": f"{symbol.lower()}@depth@0ms", "data": data | {"b": list(bids), "a": list(asks)}}


def touch(time: int, update_id: int, bid: tuple[str, str], ask: tuple[str, str], symbol: str = "BTCUSDT") -> object:
    data = {"e": "bookTicker", "u": update_id, "s": symbol, "b": bid[0], "B": bid[1], "a": ask[0], "A": ask[1]}
    return {"stream": f"{symbol.lower()}@bookTicker", "data": data | {"T": time, "E": time}}


def trade(time: int, number: int, price: str, quantity: str, symbol: str = "BTCUSDT") -> object:
    data = {"e": "trade", "E": time, "T": time, "s": symbol, "t": number, "p": price, "q": quantity}
    return {"stream": f"{symbol.lower()}@trade", "data": data | {"X": "MARKET", "m": True}}


def snapshot(time: int, last_id: int, bids: Levels, asks: Levels) -> object:
    return {"lastUpdateId": last_id, "E": time + 5, "T": time, "bids": list(bids), "asks": list(asks)}


def write(path: Path, lines: Iterable[object]) -> Path:
    """Write `lines` as a recording; the receive time is one that a replay must not use."""
    text = b"".join(b"%d %s\n" % (number, msgspec.json.encode(line)) for number, line in enumerate(lines))
    path.write_bytes(gzip.compress(text))
    return path


def market(start: int = 1_000_000, symbol: str = "BTCUSDT", first_id: int = 100) -> list[object]:
    """A short recording: the snapshot's id lies inside the second depth frame, whose `E` is before the snapshot's."""
    i = first_id
    s: Mapping[str, str] = {"symbol": symbol}
    return [
        depth(start - 50, (i - 20, i - 10, i - 30), [("99", "7")], **s),
        touch(start - 40, i - 9, ("100", "1"), ("101", "1"), **s),
        trade(start - 30, i + 1, "101", "0.5", **s),
        snapshot(start, i, [("100", "1"), ("99", "2")], [("101", "1"), ("102", "2")]),
        touch(start + 2, i + 4, ("100", "3"), ("101", "1"), **s),
        depth(start + 2, (i - 5, i + 4, i - 10), [("100", "3")], **s),
        trade(start + 20, i + 2, "101", "1", **s),
        touch(start + 20, i + 8, ("100", "3"), ("102", "2"), **s),
        touch(start + 60, i + 14, ("101", "4"), ("102", "2"), **s),
        depth(start + 40, (i + 6, i + 8, i + 4), [], [("101", "0")], **s),
        depth(start + 90, (i + 11, i + 16, i + 8), [("101", "4"), ("98", "1")], **s),
        depth(start + 130, (i + 17, i + 20, i + 16), [("98", "0")], [("102", "5")], **s),
    ]
