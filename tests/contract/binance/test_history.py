"""Histories against a venue that cuts as Binance does: the oldest trades of a window, its newest orders."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pms.binance import history
from pms.binance.gate import Gate
from pms.binance.rest import Rest
from pms.binance.signing import Credentials
from pms.binance.transport import Lost, Response
from pms.binance.venue_clock import VenueClock
from pms.governor import Governor
from pms.tasks import Tasks
from pms.venue import Unavailable
from tests.contract.binance.fakes import EPOCH_MS, Asked, FakeHttp, ManualClock, ok

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS


def trade(number: int, time: int, order_id: int = 1) -> dict[str, object]:
    return {
        "symbol": "A",
        "id": number,
        "orderId": order_id,
        "side": "BUY",
        "price": "1",
        "qty": "1",
        "commission": "0",
        "commissionAsset": "USDT",
        "time": time,
        "maker": True,
    }


def order(number: int, time: int) -> dict[str, object]:
    return {
        "orderId": number,
        "symbol": "A",
        "status": "CANCELED",
        "clientOrderId": str(number),
        "side": "BUY",
        "price": "1",
        "origQty": "1",
        "executedQty": "0",
        "type": "LIMIT",
        "updateTime": time + 1,
        "time": time,
    }


def paid(number: int, time: int) -> dict[str, object]:
    return {"symbol": "A", "incomeType": "FUNDING_FEE", "income": "1", "asset": "USDT", "time": time, "tranId": number}


class Venue:
    """Answers userTrades, income and allOrders with Binance's windows, limits and cuts."""

    def __init__(self, rows: list[dict[str, object]], cut: int) -> None:
        self.rows = rows
        self.cut = cut
        self.clock = ManualClock()
        self.http = FakeHttp(self.answer)
        venue_clock = VenueClock(self.clock)
        gate = Gate(self.http, self.clock, venue_clock, Governor(self.clock, self.clock.now_ms))
        self.rest = Rest(gate, venue_clock, Tasks(), Credentials("k", "s"))

    def answer(self, asked: Asked) -> Response:
        params = {name: int(value) for name, value in asked.params.items() if name not in ("symbol", "signature")}
        assert params["limit"] == history.ROWS_MAX
        rows = [row for row in self.rows if params.get("orderId") in (None, row.get("orderId"))]
        if "fromId" in params:
            assert "startTime" not in params
            rows = [row for row in rows if row["id"] >= params["fromId"]]
        else:
            assert 0 <= params["endTime"] - params["startTime"] < WEEK_MS
            rows = [row for row in rows if params["startTime"] <= row["time"] <= params["endTime"]]
        return ok(rows[-self.cut :] if asked.path.endswith("allOrders") else rows[: self.cut])


def made(offsets: list[int]) -> list[int]:
    """Times up to now, `offsets` ms apart, newest last."""
    times = [EPOCH_MS]
    for offset in offsets:
        times.insert(0, times[0] - offset)
    return times


# Gaps between neighbours: none (bursts in one ms), short ones, and ones longer than a window.
GAPS = st.lists(st.sampled_from([0, 0, 0, 1, 5, 1000, DAY_MS, WEEK_MS - 1, WEEK_MS, 9 * DAY_MS]), max_size=25)


@settings(max_examples=150, deadline=None)
@given(GAPS, st.integers(2, 6), st.integers(0, 40 * DAY_MS))
async def test_every_trade_since_a_time_comes_once_and_in_order(gaps: list[int], cut: int, back: int) -> None:
    times = made(gaps)
    rows = [trade(number, time) for number, time in enumerate(times, 1)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "ROWS_MAX", cut)
        found = await history.trades(Venue(rows, cut).rest, "A", EPOCH_MS - back, EPOCH_MS)
    known = max(EPOCH_MS - back, EPOCH_MS - history.KEPT_MS)
    assert [fill.trade_id for fill in found] == [number for number, time in enumerate(times, 1) if time >= known]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([1, 5, 1000, DAY_MS, WEEK_MS, 9 * DAY_MS]), max_size=12), st.integers(3, 6))
async def test_every_order_since_a_time_comes_once_and_in_order(gaps: list[int], cut: int) -> None:
    times = [time for time in made(gaps) for _ in range(2)]  # two in each ms, so that pages part them
    rows = [order(number, time) for number, time in enumerate(times, 1)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "ROWS_MAX", cut)
        found = await history.orders(Venue(rows, cut).rest, "A", 0, EPOCH_MS)
    known = EPOCH_MS - history.KEPT_MS
    assert [report.order_id for report in found] == [number for number, time in enumerate(times, 1) if time >= known]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([1, 5, 1000, DAY_MS, WEEK_MS, 9 * DAY_MS]), max_size=12), st.integers(3, 6))
async def test_every_change_of_the_wallet_since_a_time_comes_once_and_in_order(gaps: list[int], cut: int) -> None:
    times = [time for time in made(gaps) for _ in range(2)]  # two in each ms, so that pages part them
    rows = [paid(number, time) for number, time in enumerate(times, 1)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "ROWS_MAX", cut)
        found = await history.income(Venue(rows, cut).rest, 0, EPOCH_MS)
    known = EPOCH_MS - history.KEPT_MS
    assert [row.number for row in found] == [number for number, time in enumerate(times, 1) if time >= known]


async def test_trades_of_one_order_are_asked_for_by_its_id() -> None:
    venue = Venue([trade(1, EPOCH_MS, 7), trade(2, EPOCH_MS, 8)], history.ROWS_MAX)
    found = await history.trades(venue.rest, "A", EPOCH_MS - 1, EPOCH_MS, 8)
    assert [fill.trade_id for fill in found] == [2]
    assert venue.http.asked[0].params["orderId"] == "8"


async def test_more_than_a_page_in_one_millisecond_is_read_on_by_id() -> None:
    venue = Venue([trade(number, EPOCH_MS - 5) for number in range(1, 2501)], history.ROWS_MAX)
    found = await history.trades(venue.rest, "A", EPOCH_MS - 5, EPOCH_MS)
    assert [fill.trade_id for fill in found] == list(range(1, 2501))
    assert [asked.params.get("fromId") for asked in venue.http.asked[:3]] == [None, "1001", "2001"]


@pytest.mark.parametrize("offset", [-1, 0, 1, 2])
async def test_no_millisecond_is_lost_between_two_windows(offset: int) -> None:
    start = EPOCH_MS - 2 * WEEK_MS
    time = start + history.WINDOW_MS + offset
    found = await history.trades(Venue([trade(1, time)], history.ROWS_MAX).rest, "A", start, EPOCH_MS)
    assert [fill.time for fill in found] == [time]
    reports = await history.orders(Venue([order(1, time)], history.ROWS_MAX).rest, "A", start, EPOCH_MS)
    assert [report.created_at for report in reports] == [time]


async def test_a_trade_a_little_ahead_of_our_clock_is_found() -> None:
    venue = Venue([trade(1, EPOCH_MS + 40)], history.ROWS_MAX)
    assert len(await history.trades(venue.rest, "A", EPOCH_MS - 1, EPOCH_MS)) == 1


async def test_half_a_history_is_none() -> None:
    venue = Venue([], history.ROWS_MAX)
    answers = iter([ok([]), Lost("reset")])
    venue.http.answer = lambda _: next(answers)
    with pytest.raises(Unavailable):
        await history.trades(venue.rest, "A", EPOCH_MS - 2 * WEEK_MS, EPOCH_MS)


MINUTE_MS = 60_000


class Candles(Venue):
    """Answers klines with the oldest of what was asked for; minutes without a trade have no row."""

    def answer(self, asked: Asked) -> Response:
        start, limit = int(asked.params["startTime"]), int(asked.params["limit"])
        assert (asked.params["interval"], start % MINUTE_MS) == ("1m", 0)
        assert 1 <= limit <= history.CANDLES_MAX
        rows = [row["row"] for row in self.rows if start <= row["time"] < start + limit * MINUTE_MS]
        return ok(rows[:limit])


def candle(number: int) -> dict[str, object]:
    opened = EPOCH_MS // MINUTE_MS * MINUTE_MS - number * MINUTE_MS
    return {"time": opened, "row": [opened, "1", f"{number + 1}.5", "0.5", "1", "0", opened + 59_999, "0", 0, "0"]}


@pytest.mark.parametrize("marks, path", [(False, "/fapi/v1/klines"), (True, "/fapi/v1/markPriceKlines")])
@pytest.mark.parametrize("back, pages", [(0, 1), (1, 1), (1499, 1), (1500, 2), (4000, 3)])
async def test_every_minute_since_a_time_has_its_candle(back: int, pages: int, marks: bool, path: str) -> None:
    venue = Candles([candle(number) for number in range(5000, -1, -1)], 0)
    found = await history.candles(venue.rest, "A", EPOCH_MS - back * MINUTE_MS, EPOCH_MS, marks)
    newest = EPOCH_MS // MINUTE_MS * MINUTE_MS
    assert [row.time for row in found] == [newest - number * MINUTE_MS for number in range(back, -1, -1)]
    assert (found[0].high, found[0].low) == (Decimal(f"{back + 1}.5"), Decimal("0.5"))
    assert [asked.path for asked in venue.http.asked] == [path] * pages


async def test_a_market_that_did_not_trade_has_no_candles() -> None:
    venue = Candles([candle(3)], 0)
    assert len(await history.candles(venue.rest, "A", EPOCH_MS - 10 * MINUTE_MS, EPOCH_MS, False)) == 1
    assert len(venue.http.asked) == 1
