"""Everything that was ordered, traded and paid since a time, page by page (binance.md 3.3, 3.5; execution.md 26).

Owns the venue's two ways of cutting: userTrades and income answer the *oldest* rows of a window, allOrders the
*newest*. Refuses
to know what the rows are for. Invariant: an answer is complete, or `Unavailable` is raised.
"""

from __future__ import annotations

from pms.binance import codec, money, queries
from pms.binance.rest import Rest
from schemas.market import Candle
from schemas.orders import Fill
from schemas.reports import FundingRate, Income, Report

WINDOW_MS = 7 * 86_400_000 - 1  # both ends count, and the venue takes no more than seven days
KEPT_MS = 89 * 86_400_000  # trades are kept for three months, orders for 90 days; the shortest three months have 89
ROWS_MAX = 1000  # a page of this size was cut
MINUTE_MS = 60_000
CANDLES_MAX = 1500


async def trades(rest: Rest, symbol: str, since_ms: int, now_ms: int, order_id: int | None = None) -> list[Fill]:
    """The account's executions of `symbol`, oldest first, each once. Raises `Unavailable`."""
    found: dict[int, Fill] = {}

    async def page(start: int | None, end: int | None, from_id: int | None = None) -> list[Fill]:
        request = queries.read(
            "/fapi/v1/userTrades",
            symbol=symbol,
            orderId=order_id,
            startTime=start,
            endTime=end,
            fromId=from_id,
            limit=ROWS_MAX,
        )
        rows = sorted(await rest.read(request, codec.trades), key=lambda fill: fill.trade_id)
        found.update((fill.trade_id, fill) for fill in rows)
        return rows

    start = max(since_ms, now_ms - KEPT_MS)
    while start <= now_ms:
        end = start + WINDOW_MS
        rows = await page(start, end)
        if len(rows) < ROWS_MAX:
            start = end + 1
            continue
        millisecond = start
        while len(rows) >= ROWS_MAX and rows[-1].time == millisecond:  # a page within one ms: times can't tell it on
            rows = await page(None, None, rows[-1].trade_id + 1)
        start = max(rows[-1].time if rows else millisecond, millisecond + 1)
    return sorted(found.values(), key=lambda fill: (fill.time, fill.trade_id))


async def orders(rest: Rest, symbol: str, since_ms: int, now_ms: int) -> list[Report]:
    """Every order of `symbol` that was made since a time, any status, oldest first. Raises `Unavailable`."""
    found: dict[int, Report] = {}
    start = max(since_ms, now_ms - KEPT_MS)
    while start <= now_ms:
        end = start + WINDOW_MS
        await _orders_between(rest, symbol, start, end, found)
        start = end + 1
    return sorted(found.values(), key=lambda report: (report.created_at, report.order_id))


async def _orders_between(rest: Rest, symbol: str, start: int, end: int, found: dict[int, Report]) -> None:
    """Fill `found` from the newest page of the window to the oldest."""
    while start <= end:
        request = queries.read("/fapi/v1/allOrders", symbol=symbol, startTime=start, endTime=end, limit=ROWS_MAX)
        rows = await rest.read(request, codec.orders)
        found.update((report.order_id, report) for report in rows)
        if len(rows) < ROWS_MAX:
            return
        oldest = min(report.created_at for report in rows)
        end = min(oldest, end - 1)


async def income(rest: Rest, since_ms: int, now_ms: int) -> list[Income]:
    """Every change of the wallet since a time, oldest first, each once. Raises `Unavailable`."""
    found: dict[tuple[str, str, int], Income] = {}
    start = max(since_ms, now_ms - KEPT_MS)
    while start <= now_ms:
        end = start + WINDOW_MS
        request = queries.read("/fapi/v1/income", startTime=start, endTime=end, limit=ROWS_MAX)
        rows = sorted(await rest.read(request, money.income), key=lambda row: row.time)
        found.update(((row.about, row.symbol, row.number), row) for row in rows)
        if len(rows) < ROWS_MAX:
            start = end + 1
        else:  # no cursor beside the time: a page within one millisecond is taken for that millisecond's all
            start = max(rows[-1].time, start + 1)
    return sorted(found.values(), key=lambda row: (row.time, row.number))


async def funding(rest: Rest, symbol: str, since_ms: int) -> list[FundingRate]:
    """A symbol's fundings since a time, oldest first; at most `ROWS_MAX`, the next call goes on. Raises
    `Unavailable`."""
    request = queries.public("/fapi/v1/fundingRate", symbol=symbol, startTime=since_ms, limit=ROWS_MAX)
    return sorted(await rest.read(request, money.funding), key=lambda row: row.time)


async def candles(rest: Rest, symbol: str, since_ms: int, now_ms: int, marks: bool) -> list[Candle]:
    """One-minute candles from the minute of a time on, oldest first. Raises `Unavailable`."""
    path = "/fapi/v1/markPriceKlines" if marks else "/fapi/v1/klines"
    found: list[Candle] = []
    start = since_ms - since_ms % MINUTE_MS
    while start <= now_ms:
        limit = min((now_ms - start) // MINUTE_MS + 1, CANDLES_MAX)
        request = queries.public(path, symbol=symbol, interval="1m", startTime=start, limit=limit)
        rows = await rest.read(request, money.candles)
        found += rows
        if len(rows) < CANDLES_MAX:
            break
        start = rows[-1].time + MINUTE_MS
    return found
