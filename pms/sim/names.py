"""Stream names: what a subscription asks for and which route delivers it (binance.md 1.2, 6.1).

Owns the grammar. Refuses to know sockets and frames. A name that is not of the grammar is nothing: the venue
acknowledges it and stays silent, which is the caller's business.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

Route = Literal["public", "market", "private", "legacy"]
Kind = Literal["depth", "partial", "bookTicker", "trade", "aggTrade", "markPrice", "kline"]

DEFAULT_DEPTH_MS = 250  # no suffix (binance.md 6.2)
DEFAULT_MARK_MS = 3_000
KLINE_INTERVALS: dict[str, int] = {
    "1m": 60_000,
    "3m": 180_000,
    "5m": 300_000,
    "15m": 900_000,
    "30m": 1_800_000,
    "1h": 3_600_000,
    "2h": 7_200_000,
    "4h": 14_400_000,
    "6h": 21_600_000,
    "8h": 28_800_000,
    "12h": 43_200_000,
    "1d": 86_400_000,
}
_ROUTE_OF: dict[Kind, Route] = {
    "depth": "public",
    "partial": "public",
    "bookTicker": "public",
    "trade": "public",
    "aggTrade": "market",
    "markPrice": "market",
    "kline": "market",
}
_DEPTH = re.compile(r"depth(5|10|20)?(?:@(0|100|250|500)ms)?")
_MARK = re.compile(r"markPrice(@1s)?")
ALL = ""  # the symbol of an all-market stream


class Stream(msgspec.Struct, frozen=True):
    """A well-formed stream name. `period_ms` is the push period (depth, mark), `levels` of a partial book."""

    name: str
    kind: Kind
    symbol: str
    period_ms: int = 0
    levels: int = 0
    interval: str = ""


def delivers(route: Route, kind: Kind) -> bool:
    """Whether a socket on `route` gets streams of this kind; an unrouted socket gets the public ones only."""
    return _ROUTE_OF[kind] == ("public" if route == "legacy" else route)


def parse(name: str) -> Stream | None:
    """The stream of a name, or None. Symbols are lower case in names; anything else is not a stream."""
    if name.startswith("!"):
        return _all_market(name)
    symbol, _, rest = name.partition("@")
    if not symbol or symbol != symbol.lower():
        return None
    symbol = symbol.upper()
    if rest in ("bookTicker", "trade", "aggTrade"):
        return Stream(name, rest, symbol)  # type: ignore[arg-type]  # the three are kinds
    if found := _DEPTH.fullmatch(rest):
        period = DEFAULT_DEPTH_MS if found[2] is None else int(found[2])
        if found[1] is None:
            return Stream(name, "depth", symbol, period)
        return Stream(name, "partial", symbol, period, int(found[1]))
    if found := _MARK.fullmatch(rest):
        return Stream(name, "markPrice", symbol, 1_000 if found[1] else DEFAULT_MARK_MS)
    kind, _, interval = rest.partition("_")
    if kind == "kline" and interval in KLINE_INTERVALS:
        return Stream(name, "kline", symbol, interval=interval)
    return None


def _all_market(name: str) -> Stream | None:
    if name == "!bookTicker":
        return Stream(name, "bookTicker", ALL)
    if name == "!markPrice@arr":
        return Stream(name, "markPrice", ALL, DEFAULT_MARK_MS)
    if name == "!markPrice@arr@1s":
        return Stream(name, "markPrice", ALL, 1_000)
    return None
