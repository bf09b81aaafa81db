"""Public routes: time, instruments, book, candles, trades, prices (binance.md 3.2).

Owns what each route reads and which parameters it takes. Refuses to know HTTP and signatures.
"""

from __future__ import annotations

from collections.abc import Mapping

from pms.sim import candles, frames, rows
from pms.sim.limits import Limits
from pms.sim.model import Mark, VenueError
from pms.sim.names import KLINE_INTERVALS
from pms.sim.numbers import padded
from pms.sim.params import asked_rows, combination
from pms.sim.rest import Call, Route, by_symbol

YEAR_MS = 366 * 86_400_000
DEPTH_WEIGHTS = {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1000: 20}
DEPTH_DEFAULT = 500
KLINES_DEFAULT = 500
KLINES_MAX = 1_500
AGG_TRADES_MAX = 1_000
AGG_WINDOW_MS = 3_600_000


def _depth_weight(values: Mapping[str, str]) -> int:
    return DEPTH_WEIGHTS.get(asked_rows(values, 0), 1)  # left out: measured 1 (binance.md 3.1)


def _klines_weight(values: Mapping[str, str]) -> int:
    limit = asked_rows(values, KLINES_DEFAULT)
    return 1 if limit < 100 else 2 if limit < 500 else 5 if limit <= 1_000 else 10


def ping(call: Call) -> object:
    """An empty object."""
    return {}


def time(call: Call) -> object:
    """The venue's clock."""
    return {"serverTime": call.now + call.skew_ms}


def rate_limits(limits: Limits) -> list[dict[str, object]]:
    """The limits as the venue lists them."""
    return [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": limits.weight_1m},
        {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": limits.orders_1m},
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": limits.orders_10s},
    ]


def exchange_info(call: Call) -> object:
    """Every symbol with its filters."""
    return {
        "timezone": "UTC",
        "serverTime": call.now + call.skew_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": rate_limits(call.limits),
        "exchangeFilters": [],
        "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}],
        **call.info,
    }


def depth(call: Call) -> object:
    """The book, best price first; written straight to bytes as it is the largest answer."""
    symbol = call.symbol()
    limit = call.params.integer("limit")
    if limit is None:
        limit = DEPTH_DEFAULT
    if limit not in DEPTH_WEIGHTS:
        raise VenueError(-4021, f"{limit} is not a valid depth limit.")
    book, rules = call.exchange.depth(symbol, limit), call.rules[symbol]
    bids, asks = frames.levels(book.bids, rules), frames.levels(book.asks, rules)
    text = f'{{"lastUpdateId":{book.last_id},"E":{call.now},"T":{book.engine_time},"bids":{bids},"asks":{asks}}}'
    return text.encode()


def klines(call: Call) -> object:
    """Candles of any interval, built from one-minute candles."""
    return _klines(call, marks=False)


def mark_klines(call: Call) -> object:
    """The same of mark prices."""
    return _klines(call, marks=True)


def _klines(call: Call, marks: bool) -> object:
    symbol = call.symbol()
    interval = call.params.text("interval")
    if interval not in KLINE_INTERVALS:
        raise VenueError(-1120, "Invalid interval.")
    limit = call.params.limit(KLINES_DEFAULT, KLINES_MAX)
    start, end = call.params.window(2**62)
    length = KLINE_INTERVALS[interval]
    newest = start is None
    if start is None:
        last = min(call.now, end if end is not None else call.now)
        start = last - last % length - (limit - 1) * length
    start = -(-start // length) * length  # candles that open at or after startTime
    count = limit * (length // candles.MINUTE_MS)
    minutes = call.exchange.klines(symbol, start=start, end=end, limit=count, marks=marks)
    found = candles.grouped(minutes, length)
    found = found[-limit:] if newest else found[:limit]
    return [rows.kline(candle, call.rules[symbol]) for candle in found]


def agg_trades(call: Call) -> object:
    """Aggregate trades."""
    symbol = call.symbol()
    from_id = call.params.integer("fromId")
    start, end = call.params.window(AGG_WINDOW_MS)
    if from_id is not None and (start is not None or end is not None):
        raise combination()
    limit = call.params.limit(500, AGG_TRADES_MAX)
    places, size_places = call.rules[symbol].price_precision, call.rules[symbol].quantity_precision
    found = call.exchange.agg_trades(symbol, from_id=from_id, start=start, end=end, limit=limit)
    return [
        {
            "a": agg.agg_id,
            "p": padded(agg.price, places),
            "q": padded(agg.quantity, size_places),
            "nq": padded(agg.quantity, size_places),
            "f": agg.first_id,
            "l": agg.last_id,
            "T": agg.time,
            "m": agg.buyer_is_maker,
        }
        for agg in found
    ]


def trades(call: Call) -> object:
    """The newest single prints."""
    symbol = call.symbol()
    rules = call.rules[symbol]
    money = rules.price_precision + rules.quantity_precision
    return [
        {
            "id": tick.trade_id,
            "price": padded(tick.price, rules.price_precision),
            "qty": padded(tick.quantity, rules.quantity_precision),
            "quoteQty": padded(tick.price * tick.quantity, money),
            "time": tick.time,
            "isBuyerMaker": tick.buyer_is_maker,
            "isRPITrade": False,
        }
        for tick in call.exchange.recent_trades(symbol, call.params.limit(500, 1_000))
    ]


def _premium(mark: Mark, now: int) -> rows.Row:
    return {
        "symbol": mark.symbol,
        "markPrice": padded(mark.mark, frames.MARK_PLACES),
        "indexPrice": padded(mark.index, frames.MARK_PLACES),
        "estimatedSettlePrice": padded(mark.index, frames.MARK_PLACES),
        "lastFundingRate": padded(mark.funding_rate, frames.MARK_PLACES),
        "interestRate": "0.00010000",
        "nextFundingTime": mark.next_funding,
        "time": now,
    }


def premium_index(call: Call) -> object:
    """Mark, index and funding of one symbol, or an array of all."""
    symbol = call.optional_symbol()
    if symbol is not None:
        return _premium(call.exchange.mark(symbol), call.now)
    return [_premium(call.exchange.mark(name), call.now) for name in call.rules]


def funding_rate(call: Call) -> object:
    """Past fundings, oldest first: the newest `limit` without times, with them the oldest of the window."""
    symbol = call.optional_symbol()
    start, end = call.params.window(YEAR_MS)
    found = [
        row
        for row in call.exchange.funding.history(symbol)
        if (start is None or row.time >= start) and (end is None or row.time <= end)
    ]
    limit = call.params.limit(100, 1000)
    shown = found[-limit:] if start is None and end is None else found[:limit]
    return [
        {
            "symbol": row.symbol,
            "fundingRate": padded(row.rate, frames.MARK_PLACES),
            "fundingTime": row.time,
            "markPrice": padded(row.mark, frames.MARK_PLACES),
        }
        for row in shown
    ]


def book_ticker(call: Call) -> object:
    """Best bid and ask of one symbol, or an array of all."""
    symbol = call.optional_symbol()
    if symbol is not None:
        return rows.book_ticker(call.exchange.touch(symbol), call.rules[symbol])
    return [rows.book_ticker(call.exchange.touch(name), rules) for name, rules in call.rules.items()]


def _price(call: Call, symbol: str) -> rows.Row:
    price = padded(call.exchange.last_price(symbol), call.rules[symbol].price_precision)
    return {"symbol": symbol, "price": price, "time": call.now}


def price(call: Call) -> object:
    """Last price of one symbol, or an array of all."""
    symbol = call.optional_symbol()
    return [_price(call, name) for name in call.rules] if symbol is None else _price(call, symbol)


ROUTES = (
    Route("GET", "/fapi/v1/ping", "NONE", 1, ping),
    Route("GET", "/fapi/v1/time", "NONE", 1, time),
    Route("GET", "/fapi/v1/exchangeInfo", "NONE", 1, exchange_info),
    Route("GET", "/fapi/v1/depth", "NONE", _depth_weight, depth),
    Route("GET", "/fapi/v1/klines", "NONE", _klines_weight, klines),
    Route("GET", "/fapi/v1/markPriceKlines", "NONE", _klines_weight, mark_klines),
    Route("GET", "/fapi/v1/aggTrades", "NONE", 20, agg_trades),
    Route("GET", "/fapi/v1/trades", "NONE", 5, trades),
    Route("GET", "/fapi/v1/premiumIndex", "NONE", by_symbol(1, 10), premium_index),
    Route("GET", "/fapi/v1/fundingRate", "NONE", 0, funding_rate),
    Route("GET", "/fapi/v1/ticker/bookTicker", "NONE", by_symbol(2, 5), book_ticker),
    Route("GET", "/fapi/v1/ticker/price", "NONE", by_symbol(1, 2), price),
    Route("GET", "/fapi/v2/ticker/price", "NONE", by_symbol(1, 2), price),
)
