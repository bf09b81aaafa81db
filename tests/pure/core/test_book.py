"""The local book follows the joining rule to the letter and tells the exact touch."""

from __future__ import annotations

import random
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pms.core import book as module
from pms.core.book import Book, Verdict
from pms.core.own import OwnOrders
from pms.market_data import DepthFrame, Snapshot, TouchFrame
from schemas.market import Quote, Side

TICK, STEP = Decimal("0.10"), Decimal("0.001")
NONE = OwnOrders()
AT_0 = lambda: 0  # noqa: E731
Levels = list[tuple[float, float]]


def frame(first: int, last: int, prev: int, bids: Levels = (), asks: Levels = (), time: int = 0) -> DepthFrame:  # type: ignore[assignment]
    return DepthFrame("BTCUSDT", first, last, prev, time or last, list(bids), list(asks))


def snapshot(last: int, bids: Levels, asks: Levels, time: int = 0) -> Snapshot:
    return Snapshot(last, bids, asks, time or last)


def ticker(update_id: int, bid: float, bid_qty: float, ask: float, ask_qty: float, time: int = 0) -> TouchFrame:
    return TouchFrame("BTCUSDT", update_id, bid, bid_qty, ask, ask_qty, time or update_id)


def touch(quote: Quote | None) -> tuple[int, Decimal, int, Decimal] | None:
    return None if quote is None else (quote.bid, quote.bid_qty, quote.ask, quote.ask_qty)


def numbers(bid: int, bid_qty: str, ask: int, ask_qty: str) -> tuple[int, Decimal, int, Decimal]:
    return bid, Decimal(bid_qty), ask, Decimal(ask_qty)


@pytest.fixture
def book() -> Book:
    return Book(TICK, STEP)


@pytest.fixture
def live(book: Book) -> Book:
    """A live book at id 110: bids 100.0 and 99.9, asks 100.1 and 100.2."""
    book.offer(frame(101, 110, 99))
    assert book.anchor(snapshot(105, [(100.0, 1.0), (99.9, 2.0)], [(100.1, 3.0), (100.2, 4.0)]))
    assert book.live
    return book


def test_a_frame_that_comes_again_changes_nothing(live: Book) -> None:
    once = frame(111, 120, 110, bids=[(100.0, 7.0)])
    assert live.offer(once) is Verdict.APPLIED
    assert live.offer(frame(121, 130, 120, bids=[(100.0, 8.0)])) is Verdict.APPLIED
    for again in (frame(121, 130, 120, bids=[(100.0, 8.0)]), once):
        assert live.offer(again) is Verdict.HELD
        assert live.live
        assert live.touch() == (100.0, 8.0, 100.1, 3.0)
    assert live.offer(frame(131, 140, 130)) is Verdict.APPLIED


def test_an_older_id_at_a_later_time_is_a_gap(live: Book) -> None:
    """Ids that begin again are another chain: what was held is worth nothing."""
    assert live.offer(frame(1, 20, 0, time=10_000)) is Verdict.GAP


# --- joining (binance.md 6.3) ---------------------------------------------------------------------------


def test_frames_before_the_snapshot_are_held(book: Book) -> None:
    assert not book.heard
    assert book.offer(frame(1, 2, 0)) is Verdict.HELD
    assert book.heard
    assert book.quote(NONE, AT_0) is None


def test_what_the_snapshot_already_has_is_dropped_and_the_rest_applied(book: Book) -> None:
    book.offer(frame(81, 90, 70, bids=[(100.0, 9.0)]))
    book.offer(frame(101, 110, 90, bids=[(100.0, 5.0)]))
    book.offer(frame(115, 120, 110, asks=[(100.1, 6.0)]))
    assert book.anchor(snapshot(105, [(100.0, 1.0)], [(100.1, 1.0)]))
    assert touch(book.quote(NONE, AT_0)) == numbers(1000, "5", 1001, "6")
    assert book.last_id == 120


@pytest.mark.parametrize("last_id", [101, 105, 110])
def test_a_frame_joins_where_it_spans_the_snapshot(book: Book, last_id: int) -> None:
    book.offer(frame(101, 110, 99))
    assert book.anchor(snapshot(last_id, [(100.0, 1.0)], [(100.1, 1.0)]))
    assert book.live


def test_a_snapshot_older_than_all_held_frames_asks_for_another(book: Book) -> None:
    book.offer(frame(101, 110, 99))
    assert not book.anchor(snapshot(100, [(100.0, 1.0)], [(100.1, 1.0)]))
    assert not book.live
    assert book.anchor(snapshot(104, [(100.0, 1.0)], [(100.1, 1.0)]))
    assert book.live


def test_a_snapshot_newer_than_all_frames_waits_for_the_one_that_spans_it(book: Book) -> None:
    book.offer(frame(101, 110, 99))
    assert book.anchor(snapshot(115, [(100.0, 1.0)], [(100.1, 1.0)]))
    assert not book.live
    assert book.quote(NONE, AT_0) is None
    assert book.offer(frame(111, 114, 110)) is Verdict.HELD
    assert book.offer(frame(115, 120, 114)) is Verdict.APPLIED
    assert touch(book.quote(NONE, AT_0)) == numbers(1000, "1", 1001, "1")


def test_the_frame_right_after_the_snapshot_joins_too(book: Book) -> None:
    assert book.anchor(snapshot(115, [(100.0, 1.0)], [(100.1, 1.0)]))
    assert book.offer(frame(118, 120, 115)) is Verdict.APPLIED


def test_a_frame_that_starts_beyond_the_snapshot_is_a_gap(book: Book) -> None:
    assert book.anchor(snapshot(115, [(100.0, 1.0)], [(100.1, 1.0)]))
    assert book.offer(frame(117, 120, 116)) is Verdict.GAP
    assert book.heard
    assert book.anchor(snapshot(118, [(100.0, 1.0)], [(100.1, 1.0)]))
    assert book.live


def test_a_second_snapshot_at_the_same_id_proves_a_still_market(book: Book) -> None:
    for _ in range(2):
        assert not book.live
        assert book.anchor(snapshot(115, [(100.0, 1.0)], [(100.1, 1.0)]))
    assert book.live


def test_a_snapshot_at_another_id_proves_that_frames_are_missing(live: Book) -> None:
    assert live.anchor(snapshot(200, [(99.0, 1.0)], [(99.1, 1.0)]))
    assert not live.live
    assert live.offer(frame(190, 201, 110)) is Verdict.APPLIED
    assert touch(live.quote(NONE, AT_0)) == numbers(990, "1", 991, "1")


def test_a_snapshot_that_frames_have_overtaken_changes_nothing(live: Book) -> None:
    before = live.quote(NONE, AT_0)
    assert live.anchor(snapshot(108, [(98.0, 1.0)], [(98.1, 1.0)]))
    assert live.live
    assert live.quote(NONE, AT_0) is before


# --- the chain ------------------------------------------------------------------------------------------


def test_only_prev_id_makes_the_chain(live: Book) -> None:
    assert live.offer(frame(500, 510, 110)) is Verdict.APPLIED  # U far beyond pu + 1 is normal
    assert live.offer(frame(511, 520, 509)) is Verdict.GAP
    assert live.quote(NONE, AT_0) is None


def test_the_frame_that_shows_the_gap_is_kept_for_the_next_snapshot(live: Book) -> None:
    assert live.offer(frame(121, 130, 120)) is Verdict.GAP
    assert live.offer(frame(131, 140, 130)) is Verdict.HELD
    assert live.anchor(snapshot(125, [(99.0, 1.0)], [(99.1, 1.0)]))
    assert live.last_id == 140


def test_a_gap_among_held_frames_asks_for_another_snapshot(book: Book) -> None:
    book.offer(frame(101, 110, 99))
    book.offer(frame(121, 130, 120))
    assert not book.anchor(snapshot(105, [(100.0, 1.0)], [(100.1, 1.0)]))
    assert book.anchor(snapshot(125, [(100.0, 1.0)], [(100.1, 1.0)]))
    assert book.live


def test_quantities_are_absolute_zero_deletes_and_unknown_deletions_are_normal(live: Book) -> None:
    live.offer(frame(111, 120, 110, bids=[(100.0, 0.0), (42.0, 0.0)], asks=[(100.1, 7.5)]))
    assert touch(live.quote(NONE, AT_0)) == numbers(999, "2", 1001, "7.5")


def test_the_order_of_levels_in_a_frame_does_not_matter(live: Book) -> None:
    live.offer(frame(111, 120, 110, bids=[(100.0, 0.0), (99.8, 1.0), (99.95, 1.0), (99.9, 3.0)]))
    assert touch(live.quote(NONE, AT_0)) == numbers(999, "1", 1001, "3")  # 99.95 is off the grid: the tick below


# --- the touch ------------------------------------------------------------------------------------------


def test_an_unchanged_touch_is_the_same_object(live: Book) -> None:
    first = live.quote(NONE, lambda: 1)
    live.offer(frame(111, 120, 110, bids=[(90.0, 1.0)]))
    assert live.quote(NONE, lambda: 2) is first
    live.offer(frame(121, 130, 120, bids=[(100.0, 1.5)]))
    changed = live.quote(NONE, lambda: 3)
    assert changed == Quote(1000, 1001, Decimal("1.5"), Decimal(3), 2001, 2001, 130, 3, 130)


def test_a_one_sided_book_has_no_touch(live: Book) -> None:
    live.offer(frame(111, 120, 110, asks=[(100.1, 0.0), (100.2, 0.0)]))
    assert live.quote(NONE, AT_0) is None
    assert not live.crossed
    live.offer(frame(121, 130, 120, asks=[(100.3, 1.0)]))
    assert touch(live.quote(NONE, AT_0)) == numbers(1000, "1", 1003, "1")


def test_a_crossed_book_has_no_touch_and_says_so(live: Book) -> None:
    live.offer(frame(111, 120, 110, bids=[(100.1, 1.0)]))
    assert live.quote(NONE, AT_0) is None
    assert live.crossed
    live.reset()
    assert not live.crossed


# --- tickers between frames -----------------------------------------------------------------------------


def test_a_newer_ticker_moves_the_touch(live: Book) -> None:
    assert live.ticker(ticker(115, 99.9, 0.5, 100.1, 3.0))
    assert live.quote(NONE, lambda: 7) == Quote(999, 1001, Decimal("0.5"), Decimal(3), 2000, 2000, 115, 7, 115)


@pytest.mark.parametrize("update_id", [109, 110])
def test_a_ticker_that_the_book_has_is_ignored(live: Book, update_id: int) -> None:
    assert not live.ticker(ticker(update_id, 99.0, 1.0, 99.1, 1.0))
    assert touch(live.quote(NONE, AT_0)) == numbers(1000, "1", 1001, "3")


def test_a_ticker_older_than_the_last_is_ignored(live: Book) -> None:
    live.ticker(ticker(117, 100.0, 9.0, 100.1, 9.0))
    assert not live.ticker(ticker(116, 99.0, 1.0, 99.1, 1.0))
    assert touch(live.quote(NONE, AT_0)) == numbers(1000, "9", 1001, "9")


def test_a_frame_older_than_the_ticker_leaves_it_and_a_newer_one_takes_over(live: Book) -> None:
    live.ticker(ticker(125, 99.9, 0.5, 100.1, 3.0))
    live.offer(frame(111, 120, 110, bids=[(100.0, 8.0)]))
    assert touch(live.quote(NONE, AT_0)) == numbers(999, "0.5", 1001, "3")
    live.offer(frame(121, 130, 120, bids=[(99.8, 1.0)]))
    assert touch(live.quote(NONE, AT_0)) == numbers(1000, "8", 1001, "3")


def test_a_ticker_is_nothing_before_the_book_is_live(book: Book) -> None:
    assert not book.ticker(ticker(125, 99.9, 0.5, 100.1, 3.0))
    book.offer(frame(101, 110, 99))
    book.anchor(snapshot(105, [(100.0, 1.0)], [(100.1, 3.0)]))
    assert touch(book.quote(NONE, AT_0)) == numbers(1000, "1", 1001, "3")


def test_a_one_sided_ticker_has_no_touch(live: Book) -> None:
    live.ticker(ticker(115, 100.0, 1.0, 0.0, 0.0))
    assert live.quote(NONE, AT_0) is None
    own = OwnOrders()
    own.resting("a", Side.BUY, 5, Decimal(1), 0)
    assert live.quote(own, AT_0) is None


# --- less our own (law 9) -------------------------------------------------------------------------------


def test_a_level_that_is_only_ours_does_not_exist(live: Book) -> None:
    own = OwnOrders()
    own.resting("a", Side.BUY, 1000, Decimal(1), 100)
    own.resting("b", Side.SELL, 1001, Decimal("2.25"), 100)
    assert touch(live.quote(own, AT_0)) == numbers(999, "2", 1001, "0.75")
    own.gone("a", 110)  # the frame of 110 no longer has it: what it shows at 1000 is somebody else's
    assert touch(live.quote(own, AT_0)) == numbers(1000, "1", 1001, "0.75")


def test_more_of_ours_than_the_level_shows_is_not_negative(live: Book) -> None:
    own = OwnOrders()
    own.resting("a", Side.BUY, 1000, Decimal(50), 100)
    assert touch(live.quote(own, AT_0)) == numbers(999, "2", 1001, "3")


def test_a_ticker_that_shows_only_ours_tells_nothing_until_the_next_frame(live: Book) -> None:
    own = OwnOrders()
    own.resting("a", Side.BUY, 998, Decimal(1), 112)
    live.offer(frame(111, 112, 110, bids=[(99.8, 1.0), (99.7, 4.0)]))
    before = live.quote(own, AT_0)
    assert touch(before) == numbers(1000, "1", 1001, "3")
    live.ticker(ticker(115, 99.8, 1.0, 100.1, 5.0))  # 100.0 and 99.9 are gone, and who knows what else
    assert live.quote(own, AT_0) is before
    live.offer(frame(113, 120, 112, bids=[(100.0, 0.0), (99.9, 0.0), (99.7, 0.0), (99.5, 6.0)]))
    assert touch(live.quote(own, AT_0)) == numbers(995, "6", 1001, "3")


def test_without_an_earlier_touch_the_book_behind_a_ticker_of_ours_is_the_best_guess(live: Book) -> None:
    own = OwnOrders()
    own.resting("a", Side.BUY, 998, Decimal(1), 112)
    live.ticker(ticker(115, 99.8, 1.0, 100.1, 5.0))
    live.offer(frame(111, 112, 110, bids=[(99.8, 1.0), (99.7, 4.0)]))
    assert touch(live.quote(own, AT_0)) == numbers(997, "4", 1001, "5")


def test_the_same_touch_less_our_own_is_the_same_object(live: Book) -> None:
    own = OwnOrders()
    own.resting("a", Side.BUY, 1000, Decimal("0.5"), 100)
    first = live.quote(own, lambda: 1)
    live.offer(frame(111, 120, 110, bids=[(90.0, 1.0)]))
    assert live.quote(own, lambda: 2) is first


def test_a_book_that_is_only_ours_has_no_touch(live: Book) -> None:
    own = OwnOrders()
    own.resting("a", Side.BUY, 1000, Decimal(50), 100)
    own.resting("b", Side.BUY, 999, Decimal(50), 100)
    assert live.quote(own, lambda: 1) is None


# --- against a book kept the slow way -------------------------------------------------------------------

texts = st.tuples(st.integers(990, 1010), st.sampled_from(["0", "0.001", "0.300", "12.5"]))
changes = st.lists(st.tuples(st.lists(texts, max_size=6), st.lists(texts, max_size=6)), min_size=1, max_size=30)
decode = msgspec.json.Decoder(list[tuple[float, float]], strict=False).decode


def wire(levels: list[tuple[int, str]]) -> Levels:
    return decode(msgspec.json.encode([(f"{ticks * TICK:f}", quantity) for ticks, quantity in levels]))


@settings(max_examples=200)
@given(changes, st.dictionaries(st.integers(990, 1010), st.sampled_from([Decimal("0.3"), Decimal(13)]), max_size=4))
def test_the_touch_is_that_of_a_book_kept_in_decimals(
    course: list[tuple[list[tuple[int, str]], list[tuple[int, str]]]], ours: dict[int, Decimal]
) -> None:
    book, own = Book(TICK, STEP), OwnOrders()
    for ticks, quantity in ours.items():
        own.resting(str(ticks), Side.BUY, ticks, quantity, 0)
    book.anchor(snapshot(10, [], []))
    kept: tuple[dict[int, Decimal], dict[int, Decimal]] = ({}, {})
    for turn, sides in enumerate(course, 1):
        book.offer(frame(turn * 10 + 5, turn * 10 + 10, turn * 10, wire(sides[0]), wire(sides[1])))
        for levels, side in zip(kept, sides, strict=True):
            levels.update({ticks: Decimal(quantity) for ticks, quantity in side})
        bids = {ticks: left for ticks, all_of in kept[0].items() if (left := all_of - ours.get(ticks, 0)) > 0}
        asks = {ticks: quantity for ticks, quantity in kept[1].items() if quantity}
        expected = None
        if bids and asks and max(bids) < min(asks):
            expected = (max(bids), bids[max(bids)], min(asks), asks[min(asks)])
        assert touch(book.quote(own, AT_0)) == expected


# --- bounds ---------------------------------------------------------------------------------------------


def test_memory_is_bounded_whatever_the_stream_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEVELS_MAX", 100)
    monkeypatch.setattr(module, "LEVELS_KEPT", 50)
    monkeypatch.setattr(module, "HEAP_SLACK", 10)
    chance = random.Random(7)
    book = Book(TICK, STEP)
    book.anchor(snapshot(1, [], []))
    for turn in range(1, 2000):
        bids = [(chance.randrange(1, 10_000) / 10, 1.0) for _ in range(5)] + [(999.9, turn * 1.0)]
        book.offer(frame(turn + 1, turn + 1, turn, bids, [(1000.1, 1.0)]))
        gone = [(chance.choice(list(book._bids.levels)), 0.0)]
        book._bids.apply([level for level in gone if level[0] != 999.9])
    assert len(book._bids.levels) <= 230
    assert len(book._bids._heap) <= 230
    assert touch(book.quote(NONE, AT_0)) == numbers(9999, "1999", 10001, "1")


def test_frames_held_without_a_snapshot_are_bounded(book: Book) -> None:
    for turn in range(2 * module.BUFFER_MAX):
        book.offer(frame(turn, turn, turn - 1))
    assert len(book._held) == module.BUFFER_MAX


# --- depth ----------------------------------------------------------------------------------------------


def test_depth_is_best_first_exact_and_as_far_as_asked_for(live: Book) -> None:
    bids, asks = live.depth(1, Decimal(0))
    assert (bids, asks) == (((Decimal("100.0"), Decimal(1)),), ((Decimal("100.1"), Decimal(3)),))
    assert live.depth(50, Decimal(0))[0] == ((Decimal("100.0"), Decimal(1)), (Decimal("99.9"), Decimal(2)))


def test_depth_goes_on_until_the_quantity_is_covered_or_the_side_ends(live: Book) -> None:
    assert [len(side) for side in live.depth(1, Decimal("1.001"))] == [2, 1]
    assert [len(side) for side in live.depth(1, Decimal("3.001"))] == [2, 2]
    assert [len(side) for side in live.depth(1, Decimal(1000))] == [2, 2]


def test_depth_leaves_out_what_was_deleted(live: Book) -> None:
    live.offer(frame(111, 120, 110, bids=[(100.0, 0.0)], asks=[(100.05, 0.5)]))
    bids, asks = live.depth(50, Decimal(0))
    assert bids == ((Decimal("99.9"), Decimal(2)),)
    assert asks[0] == (Decimal("100.05"), Decimal("0.5"))  # as the venue wrote it, on the grid or not
