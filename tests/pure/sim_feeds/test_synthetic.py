"""The synthetic market: its seed decides everything, and its book is always a sane one."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice, takewhile

import pytest

from pms.sim.captures import apply_levels
from pms.sim.model import DepthDiff, DepthSnapshot, FeedEvent, Mark, Print, Touch
from pms.sim.profiles import BUSY, PROFILES, SHARES, quantile
from pms.sim.synthetic import BAND, Listing, SyntheticMarket

D = Decimal
BTC = Listing("BTCUSDT", D("0.10"), D("0.001"), D("61800.00"))
COARSE = Listing("COARSEUSDT", D("0.01"), D("0.1"), D("0.40"))
DOGE = Listing("DOGEUSDT", D("0.00001"), D(1), D("0.12345"))


def events(listing: Listing, profile: str, seed: int) -> Iterator[FeedEvent]:
    return SyntheticMarket(listing, PROFILES[profile], random.Random(seed)).events()


def seconds(listing: Listing, profile: str, seed: int, length: int) -> Iterator[FeedEvent]:
    return takewhile(lambda event: event.time < 1000 * length, events(listing, profile, seed))


def test_the_same_seed_gives_the_same_market_and_another_seed_another() -> None:
    one, same, other = (list(islice(events(BTC, "busy", seed), 5000)) for seed in (7, 7, 8))
    assert one == same
    assert one != other


def test_it_opens_with_the_whole_book_its_touch_and_a_mark_at_time_zero() -> None:
    book, mark, touch = islice(events(BTC, "quiet", 1), 3)
    assert isinstance(book, DepthSnapshot)
    assert isinstance(mark, Mark)
    assert isinstance(touch, Touch)
    assert book.time == mark.time == touch.time == 0
    assert book.bids[-1] == (D("61800.0"), touch.bid_qty)
    assert book.asks[0] == (D("61800.1"), touch.ask_qty)
    assert mark.mark == D("61800.05")
    assert 800 < len(book.bids) < 1200
    assert 800 < len(book.asks) < 1200


@pytest.mark.parametrize("listing", [BTC, DOGE, COARSE], ids=lambda listing: listing.symbol)
@pytest.mark.parametrize("profile", PROFILES)
def test_the_book_is_never_crossed_and_touch_and_diffs_agree_on_both_grids(listing: Listing, profile: str) -> None:
    bids: dict[Decimal, Decimal] = {}
    asks: dict[Decimal, Decimal] = {}
    last = 0
    touch: Touch | None = None
    checked = 0
    for event in seconds(listing, profile, 3, 40):
        assert event.time >= last
        last = event.time
        match event:
            case DepthDiff() | DepthSnapshot():
                apply_levels(bids, event.bids)
                apply_levels(asks, event.asks)
                for side in (event.bids, event.asks):
                    assert list(side) == sorted(side)
                    assert all(p > 0 and p % listing.tick == 0 and q >= 0 and q % listing.step == 0 for p, q in side)
                if touch is not None:
                    checked += 1
                    assert (max(bids), bids[max(bids)]) == (touch.bid, touch.bid_qty)
                    assert (min(asks), asks[min(asks)]) == (touch.ask, touch.ask_qty)
            case Touch():
                touch = event
                assert 0 < event.bid < event.ask
                assert min(event.bid_qty, event.ask_qty) >= listing.step
            case Print():
                assert event.price % listing.tick == 0
                assert event.quantity >= listing.step
                assert event.quantity % listing.step == 0
    assert checked > 700


def test_a_trade_is_never_better_for_its_taker_than_the_touch_before_it() -> None:
    touch: Touch | None = None
    checked = 0
    for event in seconds(BTC, "busy", 5, 60):
        if isinstance(event, Touch):
            touch = event
        elif isinstance(event, Print) and touch is not None:
            checked += 1
            assert event.price <= touch.bid if event.buyer_is_maker else event.price >= touch.ask
    assert checked > 1000


def test_every_push_window_has_two_diffs_and_ids_are_left_to_the_exchange() -> None:
    windows: dict[int, int] = {}
    for event in seconds(BTC, "quiet", 2, 30):
        if isinstance(event, DepthDiff):
            windows[event.time // 100] = windows.get(event.time // 100, 0) + 1
            assert (event.first_id, event.last_id, event.prev_id) == (0, 0, 0)
            assert event.bids or event.asks
    assert windows == dict.fromkeys(range(300), 2)


def test_prices_move_and_stay_within_the_band_even_where_moves_are_large() -> None:
    listing = Listing("COINUSDT", D("0.01"), D("0.1"), D("50.00"))
    touches = [event for event in seconds(listing, "busy", 11, 120) if isinstance(event, Touch)]
    band = listing.price / BAND + 2 * listing.tick
    assert all(abs(touch.bid - listing.price) <= band for touch in touches)
    assert len({touch.bid for touch in touches}) > 20


def test_a_mark_comes_every_second_and_follows_the_price_slowly() -> None:
    marks = [event for event in seconds(BTC, "busy", 4, 20) if isinstance(event, Mark)]
    assert [mark.time // 1000 for mark in marks] == list(range(20))


def test_the_trades_of_one_second_may_come_in_one_burst() -> None:
    per_window: dict[int, int] = {}
    for event in seconds(BTC, "busy", 1, 50):
        if isinstance(event, Print):
            per_window[event.time // 100] = per_window.get(event.time // 100, 0) + 1
    ranked = sorted(per_window.values())
    assert ranked[-1] > 20 * ranked[len(ranked) // 2]


def test_quantiles_are_read_exactly_at_the_shares_and_between_them_in_between() -> None:
    for share, value in zip(SHARES, BUSY.levels, strict=True):
        assert round(quantile(BUSY.levels, share), 6) == value
    assert 28 < quantile(BUSY.levels, 0.2) < 41


def test_every_table_has_a_rising_value_for_every_share() -> None:
    for profile in PROFILES.values():
        for table in (profile.trades_per_s, profile.levels, profile.moves):
            assert len(table) == len(SHARES)
            assert list(table) == sorted(table)
