"""The market's lines on a virtual clock: joining, silence, staleness, and who follows a quote."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from pms.clock import LoopClock
from pms.line import QUIET_MAX_S, TRIES_BEFORE_RESUBSCRIBING
from pms.market import LINGER_S, Market
from pms.market_data import DepthFrame, MarketSink, Snapshot, TouchFrame
from pms.tasks import Tasks
from pms.venue import Unavailable
from schemas.market import Instrument, Quote, Side, Touches
from tests.virtual import virtual

EPOCH = 1_790_526_539_000
INSTRUMENT = Instrument(
    "BTCUSDT",
    tick=Decimal("0.1"),
    step=Decimal("0.001"),
    min_qty=Decimal("0.001"),
    max_qty=Decimal(1000),
    min_notional=Decimal(50),
    min_price=Decimal(1),
    max_price=Decimal(10**6),
    multiplier_up=Decimal("1.05"),
    multiplier_down=Decimal("0.95"),
)


class Exchange:
    """Implements `venue.MarketData` over a book that a test moves; frames reach the sink at once unless muted."""

    def __init__(self) -> None:
        self.sink: MarketSink | None = None
        self.watched: list[str] = []
        self.calls: list[str] = []
        self.bids, self.asks = {100.0: 1.0, 99.9: 2.0}, {100.1: 1.0, 100.2: 2.0}
        self.last_id = 1000
        self.time = EPOCH
        self.muted = False
        self.unavailable = 0
        self.snapshots = 0

    async def watch(self, symbol: str) -> None:
        self.watched.append(symbol)
        self.calls.append("watch")

    async def renew(self, symbol: str) -> None:
        await self.unwatch(symbol)
        await self.watch(symbol)

    async def unwatch(self, symbol: str) -> None:
        self.watched.remove(symbol)
        self.calls.append("unwatch")

    async def snapshot(self, symbol: str) -> Snapshot:
        self.snapshots += 1
        await asyncio.sleep(0.02)
        if self.unavailable:
            self.unavailable -= 1
            raise Unavailable("not now", retry_ms=100)
        return Snapshot(self.last_id, list(self.bids.items()), list(self.asks.items()), self.time)

    def start(self, sink: MarketSink) -> None:
        self.sink = sink

    async def close(self) -> None:
        self.sink = None

    def change(self, bids: dict[float, float] | None = None, asks: dict[float, float] | None = None) -> DepthFrame:
        """Change levels (0 deletes) and tell it, unless muted."""
        assert self.sink is not None
        bids, asks = bids or {}, asks or {}
        for mine, theirs in ((self.bids, bids), (self.asks, asks)):
            mine.update(theirs)
            for price in [price for price, quantity in mine.items() if not quantity]:
                del mine[price]
        prev, self.last_id, self.time = self.last_id, self.last_id + 7, self.time + 100
        frame = DepthFrame("BTCUSDT", prev + 3, self.last_id, prev, self.time, [*bids.items()], [*asks.items()])
        if not self.muted:
            self.sink.on_depth(frame)
        return frame


class Setting:
    """A market on the exchange, with everything it told."""

    def __init__(self) -> None:
        self.exchange = Exchange()
        self.clock = LoopClock(asyncio.get_running_loop(), EPOCH)
        self.tasks = Tasks()
        self.health: list[tuple[str, bool, str]] = []
        self.prices: list[tuple[float, Quote]] = []
        self.marks: list[tuple[str, Decimal]] = []
        self.market = Market(
            self.exchange,
            self.clock,
            self.tasks,
            chance=lambda: 0.5,
            on_health=lambda *told: self.health.append(told),
            on_price=lambda instrument, quote, mark: self.prices.append((self.clock.monotonic(), quote)),
            on_mark=lambda *told: self.marks.append(told),
        )
        self.exchange.start(self.market)
        self.market.start()

    @property
    def quote(self) -> Quote | None:
        return self.market.quote("BTCUSDT")

    async def watched(self) -> None:
        await self.market.watch(INSTRUMENT)
        self.exchange.change({99.0: 1.0})
        await asyncio.sleep(0.5)
        assert self.quote is not None

    async def talking(self, seconds: float) -> None:
        """The market goes on, far from the touch."""
        for turn in range(int(seconds * 10)):
            self.exchange.change({50.0: 1.0 + turn % 2})
            await asyncio.sleep(0.1)


def setting(test: Callable[[Setting], Any]) -> Callable[[], None]:
    async def run() -> None:
        stage = Setting()
        try:
            await test(stage)
        finally:
            await stage.tasks.close()

    run.__name__ = test.__name__
    run.__doc__ = test.__doc__
    return virtual(run)


class Follower:
    def __init__(self) -> None:
        self.quotes: list[Quote] = []

    def on_quote(self, quote: Quote) -> None:
        self.quotes.append(quote)


# --- joining and staleness ------------------------------------------------------------------------------


@setting
async def test_a_watched_symbol_has_a_quote_after_snapshot_and_frame(stage: Setting) -> None:
    await stage.market.watch(INSTRUMENT)
    assert stage.market.health("BTCUSDT") == (False, "no data yet")
    stage.exchange.change({99.0: 1.0})
    await asyncio.sleep(0.1)
    assert stage.quote is not None
    assert (stage.quote.bid, stage.quote.ask, stage.quote.ts) == (1000, 1001, EPOCH + 100)
    assert stage.health == [("BTCUSDT", True, "")]
    assert stage.exchange.snapshots == 1


@setting
async def test_a_gap_is_stale_at_once_and_fresh_after_the_next_snapshot(stage: Setting) -> None:
    await stage.watched()
    stage.exchange.muted = True
    stage.exchange.change({100.0: 5.0})
    stage.exchange.muted = False
    stage.exchange.change({99.0: 3.0})
    assert stage.quote is None
    assert stage.market.health("BTCUSDT") == (False, "an update was missed")
    await asyncio.sleep(0.1)
    assert stage.quote is not None
    assert stage.quote.bid_qty == 5
    assert [fresh for _, fresh, _ in stage.health] == [True, False, True]


@setting
async def test_a_crossed_book_is_stale_and_read_anew(stage: Setting) -> None:
    await stage.watched()
    assert stage.exchange.sink is not None
    stage.exchange.sink.on_depth(DepthFrame("BTCUSDT", 1, 1008, stage.exchange.last_id, EPOCH, [(100.1, 1.0)], []))
    assert stage.market.health("BTCUSDT") == (False, "the book is crossed")
    stage.exchange.last_id = 1008
    stage.exchange.change({99.0: 1.0})
    await asyncio.sleep(1.5)
    assert stage.quote is not None


@setting
async def test_a_one_sided_book_holds_until_the_other_side_is_back(stage: Setting) -> None:
    await stage.watched()
    stage.exchange.change(asks={100.1: 0.0, 100.2: 0.0})
    assert stage.market.health("BTCUSDT") == (False, "the book has one side only")
    stage.exchange.change(asks={100.3: 1.0})
    assert stage.quote is not None
    assert stage.exchange.snapshots == 1


@setting
async def test_a_lost_stream_is_stale_until_a_snapshot_joins(stage: Setting) -> None:
    await stage.watched()
    assert stage.exchange.sink is not None
    stage.exchange.sink.on_stream_lost("BTCUSDT", "closed by the venue: 1006")
    assert stage.market.health("BTCUSDT") == (False, "closed by the venue: 1006")
    stage.exchange.unavailable = 3
    await asyncio.sleep(3)
    assert stage.quote is None
    stage.exchange.change({99.0: 1.0})
    await asyncio.sleep(1)
    assert stage.quote is not None


@setting
async def test_snapshots_that_are_refused_are_asked_for_ever_more_rarely(stage: Setting) -> None:
    await stage.market.watch(INSTRUMENT)
    stage.exchange.unavailable = 10**6
    await stage.talking(60)
    assert 5 <= stage.exchange.snapshots <= 12
    assert "unwatch" not in stage.exchange.calls


@setting
async def test_a_still_market_stays_fresh_by_proof_at_a_falling_pace(stage: Setting) -> None:
    await stage.market.watch(INSTRUMENT)
    await asyncio.sleep(4)
    assert stage.quote is not None
    before = stage.exchange.snapshots
    await asyncio.sleep(600)
    assert [fresh for _, fresh, _ in stage.health] == [True]
    assert stage.exchange.snapshots - before <= 600 / QUIET_MAX_S + 6
    assert stage.exchange.calls == ["watch"]


@setting
async def test_a_mute_stream_is_stale_within_three_seconds_and_subscribed_again(stage: Setting) -> None:
    await stage.watched()
    await stage.talking(1)
    stage.exchange.muted = True
    for _ in range(29):
        stage.exchange.change({100.0: 1.5})
        await asyncio.sleep(0.1)
    assert stage.market.health("BTCUSDT") == (False, "the venue moved on and the stream did not tell")
    for _ in range(50 * TRIES_BEFORE_RESUBSCRIBING):
        stage.exchange.change({100.0: 1.5})
        await asyncio.sleep(0.1)
    assert stage.quote is None
    assert stage.exchange.calls[1:3] == ["unwatch", "watch"]
    stage.exchange.muted = False
    await stage.talking(31)
    assert stage.quote is not None


@setting
async def test_silence_without_any_proof_is_stale_after_three_seconds(stage: Setting) -> None:
    await stage.watched()
    await stage.talking(1)
    stage.exchange.unavailable = 10**6
    await asyncio.sleep(2.8)
    assert stage.quote is not None
    await asyncio.sleep(0.3)
    assert stage.market.health("BTCUSDT") == (False, "the depth stream is silent")
    stage.exchange.change({99.0: 3.0})  # the chain holds: nothing was missed
    assert stage.quote is not None


@setting
async def test_the_pause_at_funding_is_not_stale(stage: Setting) -> None:
    await stage.watched()
    for _ in range(5):
        await asyncio.sleep(1.41)
        stage.exchange.change({99.0: 1.0})
    assert [fresh for _, fresh, _ in stage.health] == [True]
    assert stage.exchange.snapshots == 1


@setting
async def test_another_tick_builds_the_book_anew(stage: Setting) -> None:
    await stage.watched()
    await stage.market.watch(msgspec.structs.replace(INSTRUMENT, tick=Decimal("0.01")))
    assert stage.quote is None
    await stage.talking(1)
    assert stage.quote is not None
    assert stage.quote.bid == 10000


# --- watching -------------------------------------------------------------------------------------------


@setting
async def test_a_stale_symbol_that_is_let_go_is_missed_no_more(stage: Setting) -> None:
    await stage.market.watch(INSTRUMENT)
    await asyncio.sleep(1)
    stage.market.on_stream_lost("BTCUSDT", "cut")
    stage.exchange.muted, stage.exchange.unavailable = True, 10_000
    await stage.market.release("BTCUSDT")
    await asyncio.sleep(LINGER_S - 1)
    assert stage.health[-1][:2] == ("BTCUSDT", False)
    await asyncio.sleep(2)
    assert stage.health[-1] == ("BTCUSDT", True, "")


@setting
async def test_a_symbol_is_watched_until_its_last_release(stage: Setting) -> None:
    await stage.watched()
    await stage.market.watch(INSTRUMENT)
    await stage.market.release("BTCUSDT")
    assert stage.quote is not None
    await stage.market.release("BTCUSDT")
    await asyncio.sleep(LINGER_S - 1)
    assert stage.exchange.watched == ["BTCUSDT"]
    await asyncio.sleep(2)
    assert stage.exchange.watched == []
    assert stage.market.health("BTCUSDT") == (False, "not watched")
    asked = stage.exchange.snapshots
    stage.exchange.change({99.0: 1.0})
    await asyncio.sleep(60)
    assert stage.exchange.snapshots == asked
    assert len(stage.tasks) == 1  # the beat


@setting
async def test_the_age_counts_from_the_last_frame(stage: Setting) -> None:
    assert stage.market.age_ms("BTCUSDT") is None
    await stage.watched()
    await stage.talking(1)
    await asyncio.sleep(0.9)
    assert stage.market.age_ms("BTCUSDT") == pytest.approx(1000, abs=2)


# --- following ------------------------------------------------------------------------------------------


@setting
async def test_a_receiver_gets_the_newest_quote_once_with_high_and_low_between(stage: Setting) -> None:
    await stage.watched()
    follower = Follower()
    stage.market.subscribe("BTCUSDT", follower)
    await asyncio.sleep(0)
    follower.quotes.clear()
    stage.exchange.change({100.0: 0.0})
    stage.exchange.change({99.9: 0.0})
    stage.exchange.change({100.0: 1.0})
    await asyncio.sleep(0)
    assert [(quote.bid, quote.high2, quote.low2) for quote in follower.quotes] == [(1000, 2001, 990 + 1001)]
    stage.exchange.change({100.0: 1.25})
    await asyncio.sleep(0)
    assert (follower.quotes[-1].high2, follower.quotes[-1].low2) == (2001, 2001)


@setting
async def test_a_new_receiver_gets_the_quote_that_is_there(stage: Setting) -> None:
    await stage.watched()
    follower = Follower()
    stage.market.subscribe("BTCUSDT", follower)
    await asyncio.sleep(0)
    assert follower.quotes == [stage.quote]


@setting
async def test_a_quote_that_went_stale_on_its_way_is_not_delivered(stage: Setting) -> None:
    await stage.watched()
    follower = Follower()
    stage.market.subscribe("BTCUSDT", follower)
    await asyncio.sleep(0)
    follower.quotes.clear()
    stage.exchange.change({100.0: 1.25})
    stage.market.on_stream_lost("BTCUSDT", "cut")
    await asyncio.sleep(0)
    assert follower.quotes == []


@setting
async def test_a_receiver_that_raises_does_not_keep_the_quote_from_the_others(stage: Setting) -> None:
    class Broken:
        def on_quote(self, quote: Quote) -> None:
            raise ZeroDivisionError

    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
    await stage.watched()
    first, last = Follower(), Follower()
    for receiver in (first, Broken(), last):
        stage.market.subscribe("BTCUSDT", receiver)
    await asyncio.sleep(0)
    reported.clear()
    stage.exchange.change({100.0: 1.25})
    await asyncio.sleep(0.001)
    assert first.quotes[-1] is last.quotes[-1] is stage.quote
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError]


@setting
async def test_an_unsubscribed_receiver_hears_nothing_more(stage: Setting) -> None:
    await stage.watched()
    follower = Follower()
    stage.market.subscribe("BTCUSDT", follower)
    await asyncio.sleep(0)
    stage.market.unsubscribe("BTCUSDT", follower)
    stage.exchange.change({100.0: 1.25})
    await asyncio.sleep(0)
    assert len(follower.quotes) == 1


@setting
async def test_a_listener_that_sleeps_gets_the_newest_when_it_wakes(stage: Setting) -> None:
    heard: list[tuple[float, Quote]] = []

    async def slow(quote: Quote) -> None:
        heard.append((stage.clock.monotonic(), quote))
        await asyncio.sleep(5)

    await stage.watched()
    listener = stage.market.listen("BTCUSDT", slow)
    follower = Follower()
    stage.market.subscribe("BTCUSDT", follower)
    for turn in range(52):
        stage.exchange.change({100.0: 2.0 + turn})
        await asyncio.sleep(0.1)
    assert len(heard) == 2
    assert heard[1][0] - heard[0][0] == pytest.approx(5, abs=0.01)
    assert heard[1][1].bid_qty >= 50
    assert len(follower.quotes) == 53
    listener.stop()
    await asyncio.sleep(10)
    assert len(heard) == 2


@setting
async def test_a_listener_that_raises_is_counted_and_paused_and_goes_on(stage: Setting) -> None:
    async def broken(quote: Quote) -> None:
        raise ZeroDivisionError

    await stage.watched()
    listener = stage.market.listen("BTCUSDT", broken)
    for turn in range(30):
        stage.exchange.change({100.0: 1.0 + turn})
        await asyncio.sleep(0.1)
    assert listener.failures == stage.tasks.failures == 3
    assert stage.quote is not None
    assert stage.quote.bid_qty == 30


@setting
async def test_our_own_orders_coming_or_going_within_a_burst_leave_no_false_extreme(stage: Setting) -> None:
    own = stage.market.own("BTCUSDT")
    await stage.watched()
    follower = Follower()
    stage.market.subscribe("BTCUSDT", follower)
    await asyncio.sleep(0)
    stage.exchange.change({100.0: 1.25})
    own.in_flight("a", Side.BUY, 1000, Decimal("0.5"))
    stage.exchange.change({100.0: 1.5})
    own.settled("a")
    stage.exchange.change({100.0: 1.75})
    await asyncio.sleep(0)
    assert (follower.quotes[-1].bid_qty, follower.quotes[-1].high2, follower.quotes[-1].low2) == (
        Decimal("1.75"),
        2001,
        2001,
    )


@setting
async def test_a_high_reached_by_tickers_only_is_kept(stage: Setting) -> None:
    await stage.watched()
    follower = Follower()
    stage.market.subscribe("BTCUSDT", follower)
    await asyncio.sleep(0)
    for step, (bid, ask) in enumerate([(100.0, 100.1), (100.4, 100.5), (99.0, 99.2), (100.0, 100.1)], 1):
        update_id = stage.exchange.last_id + step
        stage.market.on_touch(TouchFrame("BTCUSDT", update_id, bid, 1.0, ask, 1.0, EPOCH + 100 + step))
    await asyncio.sleep(0)
    assert (follower.quotes[-1].bid, follower.quotes[-1].high2, follower.quotes[-1].low2) == (1000, 2009, 1982)


@setting
async def test_who_asks_for_touches_hears_how_far_each_side_reached_between_two_quotes(stage: Setting) -> None:
    """By frames and tickers, though the mid may never have moved; and each quote tells of its own time only."""
    await stage.watched()
    follower, other = Follower(), Follower()
    stage.market.subscribe("BTCUSDT", other)
    await asyncio.sleep(0)
    stage.exchange.change({100.0: 1.25})
    await asyncio.sleep(0)
    assert other.quotes[-1].touches is None
    stage.market.subscribe("BTCUSDT", follower, touches=True)
    await asyncio.sleep(0)
    stage.exchange.change({100.0: 0.0}, {100.1: 0.0})
    stage.exchange.change({100.0: 1.0}, {100.1: 1.0})
    stage.market.on_touch(TouchFrame("BTCUSDT", stage.exchange.last_id + 1, 99.8, 1.0, 100.3, 1.0, EPOCH + 1000))
    await asyncio.sleep(0)
    assert follower.quotes[-1].touches == Touches(998, 1000, 1001, 1003)
    assert (follower.quotes[-1].high2, follower.quotes[-1].low2) == (2001, 2001)
    stage.exchange.change({100.0: 3.0})
    await asyncio.sleep(0)
    assert follower.quotes[-1].touches == Touches(1000, 1000, 1001, 1001)
    stage.market.unsubscribe("BTCUSDT", follower)
    stage.exchange.change({100.0: 4.0})
    await asyncio.sleep(0)
    assert other.quotes[-1].touches is None, "nobody asks any more"


@setting
async def test_a_crossed_or_one_sided_ticker_is_no_extreme(stage: Setting) -> None:
    await stage.watched()
    follower = Follower()
    stage.market.subscribe("BTCUSDT", follower)
    await asyncio.sleep(0)
    stage.market.on_touch(TouchFrame("BTCUSDT", stage.exchange.last_id + 1, 100.0, 1.0, 0.0, 0.0, EPOCH + 101))
    assert stage.market.health("BTCUSDT") == (False, "the book has one side only")
    stage.exchange.change({100.0: 1.25})
    await asyncio.sleep(0)
    assert (follower.quotes[-1].high2, follower.quotes[-1].low2) == (2001, 2001)


# --- prices, marks, own orders --------------------------------------------------------------------------


@setting
async def test_prices_are_told_at_most_ten_times_a_second_and_an_old_one_again(stage: Setting) -> None:
    await stage.watched()
    stage.prices.clear()
    for turn in range(100):
        stage.exchange.change({100.0: 1.0 + turn})
        await asyncio.sleep(0.01)
    assert 9 <= len(stage.prices) <= 11
    assert stage.prices[-1][1] is stage.quote or len(stage.prices) < 11
    await asyncio.sleep(0.2)
    stage.prices.clear()
    await stage.talking(25)
    assert len(stage.prices) == 2


@setting
async def test_a_mark_is_kept_with_its_times(stage: Setting) -> None:
    await stage.watched()
    stage.market.on_mark("BTCUSDT", Decimal("84551.10762319"), EPOCH - 5)
    stage.market.on_mark("ETHUSDT", Decimal(1), EPOCH)
    mark = stage.market.mark("BTCUSDT")
    assert mark is not None
    assert (mark.price, mark.ts, mark.received) == (Decimal("84551.10762319"), EPOCH - 5, EPOCH + 500)
    assert stage.market.mark("ETHUSDT") is None
    assert stage.marks == [("BTCUSDT", Decimal("84551.10762319"))], "of watched symbols, each"


@setting
async def test_a_ticker_moves_the_quote_between_frames(stage: Setting) -> None:
    await stage.watched()
    stage.market.on_touch(TouchFrame("BTCUSDT", stage.exchange.last_id + 2, 99.9, 2.0, 100.1, 1.0, EPOCH + 150))
    assert stage.quote is not None
    assert (stage.quote.bid, stage.quote.ts) == (999, EPOCH + 150)


@setting
async def test_the_quote_is_less_our_own_and_follows_a_change_of_ours_without_a_frame(stage: Setting) -> None:
    own = stage.market.own("BTCUSDT")
    own.resting("a", Side.BUY, 1000, Decimal("0.25"), EPOCH)
    await stage.watched()
    assert stage.quote is not None
    assert stage.quote.bid_qty == Decimal("0.75")
    own.in_flight("b", Side.BUY, 1000, Decimal(9))
    stage.market.own_changed("BTCUSDT")
    assert stage.quote.bid == 999
    own.settled("b")
    stage.market.own_changed("BTCUSDT")
    assert (stage.quote.bid, stage.quote.bid_qty) == (1000, Decimal("0.75"))
