"""One symbol's tape: trade ids, last price, recent prints, aggregate trades and one-minute candles.

Owns what follows from prints alone. Ids rise by at least one per print; a recorded id is kept when it is higher.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import TypeVar

from pms.sim.model import Print
from pms.sim.views import AggTrade, Kline

AGGREGATION_MS = 100  # fills of one taker at one price within 100 ms (binance.md 6.2)
MINUTE_MS = 60_000
RECENT_PRINTS = 1_000  # what GET /trades may ask for
RECENT_AGGREGATES = 20_000  # some minutes of a busy market; the venue keeps 48 h, memory does not
RECENT_KLINES = 1_500  # what GET /klines may ask for

Row = TypeVar("Row")


def window(
    rows: list[Row], key: Callable[[Row], int], start: int | None, end: int | None, limit: int | None, oldest: bool
) -> list[Row]:
    """Rows sorted by `key` with start <= key <= end: the oldest or newest `limit` of them (None: all), ascending."""
    low = 0 if start is None else bisect_left(rows, start, key=key)
    high = len(rows) if end is None else bisect_left(rows, end + 1, key=key)
    if limit is not None and high - low > limit:
        low, high = (low, low + limit) if oldest else (high - limit, high)
    return rows[low:high]


class Tape:
    """Prints in, everything derived from them out."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.last_price = Decimal(0)
        self.trade_id = 0
        self.agg_id = 0
        self.prints: deque[Print] = deque(maxlen=RECENT_PRINTS)
        self.aggregates: deque[AggTrade] = deque(maxlen=RECENT_AGGREGATES)
        self.klines: deque[Kline] = deque(maxlen=RECENT_KLINES)
        self.open: AggTrade | None = None

    def add(
        self, price: Decimal, quantity: Decimal, buyer_is_maker: bool, time: int, recorded_id: int = 0
    ) -> tuple[Print, AggTrade | None]:
        """Number and keep one trade. The aggregate that it closes, if any, comes with it."""
        self.trade_id = max(self.trade_id + 1, recorded_id)
        self.last_price = price
        trade = Print(self.symbol, time, price, quantity, buyer_is_maker, self.trade_id)
        self.prints.append(trade)
        self._candle(trade)
        return trade, self._aggregate(trade)

    def close_aggregate(self, now: int) -> AggTrade | None:
        """The open aggregate, if its 100 ms are over."""
        if self.open is None or now < self.open.time + AGGREGATION_MS:
            return None
        return self._close()

    def _close(self) -> AggTrade | None:
        closed, self.open = self.open, None
        if closed is not None:
            self.aggregates.append(closed)
        return closed

    def _aggregate(self, trade: Print) -> AggTrade | None:
        now = self.open
        if (
            now is not None
            and now.price == trade.price
            and now.buyer_is_maker == trade.buyer_is_maker
            and trade.time < now.time + AGGREGATION_MS
        ):
            quantity = now.quantity + trade.quantity
            self.open = AggTrade(
                now.agg_id, self.symbol, now.price, quantity, now.first_id, trade.trade_id, now.time, now.buyer_is_maker
            )
            return None
        closed = self._close()
        self.agg_id += 1
        self.open = AggTrade(
            self.agg_id,
            self.symbol,
            trade.price,
            trade.quantity,
            trade.trade_id,
            trade.trade_id,
            trade.time,
            trade.buyer_is_maker,
        )
        return closed

    def _candle(self, trade: Print) -> None:
        opened = trade.time - trade.time % MINUTE_MS
        price, quantity = trade.price, trade.quantity
        quote = price * quantity
        taker = Decimal(0) if trade.buyer_is_maker else quantity
        if self.klines and self.klines[-1].open_time >= opened:
            last = self.klines[-1]
            self.klines[-1] = Kline(
                last.open_time,
                last.open,
                max(last.high, price),
                min(last.low, price),
                price,
                last.volume + quantity,
                last.close_time,
                last.quote_volume + quote,
                last.trades + 1,
                last.taker_base + taker,
                last.taker_quote + taker * price,
                last.first_id,
                trade.trade_id,
            )
            return
        closes = opened + MINUTE_MS - 1
        self.klines.append(
            Kline(
                opened, price, price, price, price, quantity, closes, quote, 1, taker, taker * price,
                trade.trade_id, trade.trade_id,
            )
        )  # fmt: skip
