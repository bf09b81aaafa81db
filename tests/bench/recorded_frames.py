"""Frames for the feed's bench: 100 ms depth frames and bookTickers in today's form, recorded or made up.

With a recording (the captures' format) its windows are merged as binance.md 10 says; without one, frames are drawn
whose count of levels has the recorded median and tail (binance.md 9: 55 levels, 1.5 kB; p95 420, p99 900).
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

WINDOW_MS = 100
MOVES = (-3, -1, 0, 0, 1, 3)
TOUCH_LEAST = 0.1  # more than the bench's own orders, whose quantity is not in these frames
LEVELS = ((0.05, 12), (0.5, 55), (0.75, 120), (0.95, 420), (0.99, 900), (1.0, 1600))  # share of frames: levels at most


class Frames(NamedTuple):
    """`first_id` is the id that the snapshot stands for and the first depth frame chains to."""

    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]
    first_id: int
    depth: list[bytes]
    tickers: list[bytes]


def load(recording: Path | None) -> Frames:
    return _recorded(recording) if recording is not None else made_up(1_500)


def last_id(frame: bytes) -> int:
    return int(msgspec.json.decode(frame)["u"])


def _depth(frame: dict[str, Any], prev: int) -> bytes:
    ordered = {name: frame[name] for name in ("e", "E", "T", "s")} | {
        "ps": frame["s"],
        "U": frame["U"],
        "u": frame["u"],
    }
    sides = {side: sorted(frame[side].items(), key=lambda level: float(level[0])) for side in ("b", "a")}
    return msgspec.json.encode(ordered | {"pu": prev} | sides | {"st": 1})


def _ticker(frame: dict[str, Any]) -> bytes:
    ordered = {"e": "bookTicker", "u": frame["u"], "s": frame["s"], "ps": frame["s"]}
    return msgspec.json.encode(ordered | {name: frame[name] for name in ("b", "B", "a", "A", "T", "E")} | {"st": 1})


def _recorded(path: Path) -> Frames:
    depth: list[bytes] = []
    tickers: list[bytes] = []
    snapshot: dict[str, Any] = {}
    window: dict[str, Any] = {}
    prev = 0
    for row in _rows(path):
        data = row.get("data", row)
        if "lastUpdateId" in data:
            snapshot = data
        elif data["e"] == "bookTicker":
            tickers.append(_ticker(data))
        elif data["e"] == "depthUpdate" and snapshot and data["u"] >= snapshot["lastUpdateId"]:
            prev = prev or snapshot["lastUpdateId"]
            if window and window["E"] // WINDOW_MS != data["E"] // WINDOW_MS:
                depth.append(_depth(window, prev))
                prev, window = window["u"], {}
            sides = {side: {**window.get(side, {}), **dict(data[side])} for side in ("b", "a")}
            window = {**data, **sides, "U": window.get("U", data["U"])}
    return Frames(snapshot["bids"], snapshot["asks"], snapshot["lastUpdateId"], depth, tickers)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rb") as lines:
        for line in lines:
            yield msgspec.json.decode(line.partition(b" ")[2])


def made_up(count: int, moves: tuple[int, ...] = MOVES, ticker_count: int = 20_000, seed: int = 11) -> Frames:
    """Drawn frames: `moves` are the steps of the mid, in ticks, that each frame picks from."""
    chance = random.Random(seed)
    mid, last, depth, tickers = 845_510, 1_000_000, [], []
    bids = [(f"{(mid - n) / 10:.2f}", "1.000") for n in range(1, 1001)]
    asks = [(f"{(mid + n) / 10:.2f}", "1.000") for n in range(1, 1001)]
    for turn in range(count):
        mid += chance.choice(moves)
        levels = _count(chance)
        sides: dict[str, dict[str, str]] = {"b": {f"{(mid - 1) / 10:.2f}": _size(chance, TOUCH_LEAST)}, "a": {}}
        sides["a"][f"{(mid + 1) / 10:.2f}"] = _size(chance, TOUCH_LEAST)
        for side, sign in (("b", -1), ("a", 1)):
            for gone in range(3, -1, -1):  # what the move has left behind on the wrong side
                sides[side].setdefault(f"{(mid - sign * gone) / 10:.2f}", "0.000")
            for _ in range(levels // 2):
                distance = 2 + int(chance.expovariate(1 / 400))
                zero = chance.random() < 0.4
                sides[side].setdefault(f"{(mid + sign * distance) / 10:.2f}", "0.000" if zero else _size(chance))
        time, first = 1_790_526_539_000 + turn * 100, last + 400
        frame = {"e": "depthUpdate", "E": time, "T": time - 2, "s": "BTCUSDT", "U": first, "u": first + 5_000, **sides}
        depth.append(_depth(frame, last))
        last = first + 5_000
    for turn in range(ticker_count):
        best = {"b": f"{(mid - 1) / 10:.2f}", "B": _size(chance), "a": f"{(mid + 1) / 10:.2f}", "A": _size(chance)}
        time = 1_790_526_539_000 + turn * 5
        tickers.append(_ticker({"u": 2_000_000_000 + turn * 77, "s": "BTCUSDT", "T": time, "E": time, **best}))
    return Frames(bids, asks, 1_000_000, depth, tickers)


def _count(chance: random.Random) -> int:
    share, low_share, low = chance.random(), 0.0, 4
    for high_share, high in LEVELS:
        if share <= high_share:
            return low + int((high - low) * (share - low_share) / (high_share - low_share))
        low_share, low = high_share, high
    return low


def _size(chance: random.Random, least: float = 0.001) -> str:
    return f"{chance.lognormvariate(-2, 1.8) + least:.3f}"
