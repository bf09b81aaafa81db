"""Longer candles out of one-minute candles (binance.md 3.2, klines).

Owns the merge. Refuses to know where candles come from and how they are shown. A candle without a minute inside
does not exist.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from itertools import groupby

from pms.sim.views import Kline

MINUTE_MS = 60_000


def merged(minutes: Iterable[Kline], open_time: int, length_ms: int) -> Kline | None:
    """One candle of `length_ms` out of its minutes; None when there are none."""
    parts = list(minutes)
    if not parts:
        return None
    first, last = parts[0], parts[-1]
    return Kline(
        open_time=open_time,
        open=first.open,
        high=max(part.high for part in parts),
        low=min(part.low for part in parts),
        close=last.close,
        volume=_sum(part.volume for part in parts),
        close_time=open_time + length_ms - 1,
        quote_volume=_sum(part.quote_volume for part in parts),
        trades=sum(part.trades for part in parts),
        taker_base=_sum(part.taker_base for part in parts),
        taker_quote=_sum(part.taker_quote for part in parts),
        first_id=first.first_id,
        last_id=last.last_id,
    )


def grouped(minutes: Iterable[Kline], length_ms: int) -> list[Kline]:
    """Every candle of `length_ms` that the minutes, in rising order, fall into."""
    groups = groupby(minutes, key=lambda minute: minute.open_time - minute.open_time % length_ms)
    candles = (merged(parts, open_time, length_ms) for open_time, parts in groups)
    return [candle for candle in candles if candle is not None]


def _sum(numbers: Iterable[Decimal]) -> Decimal:
    return sum(numbers, Decimal(0))
