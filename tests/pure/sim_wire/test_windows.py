"""Depth windows: the merge, the chain of ids, the alignment to the clock, and partial books."""

from __future__ import annotations

import itertools
import json
from decimal import Decimal

import pytest

from pms.sim import symbols
from pms.sim.hub import Hub
from pms.sim.model import DepthDiff
from pms.sim.session import Session, address_of
from pms.sim.views import Depth
from pms.sim.windows import Windows

D = Decimal


class Market:
    """Windows under one subscriber per stream name, driven by hand."""

    def __init__(self, *names: str) -> None:
        self.hub = Hub()
        self.got: dict[str, list[dict]] = {name: [] for name in names}
        self.sessions = {name: self._listen(name) for name in names}
        self.windows = Windows(self.hub, symbols.rules(["BTCUSDT"]), self._book)
        self.last = 100

    def _listen(self, name: str) -> Session:
        keep = self.got[name]
        return Session(self.hub, address_of(f"/public/ws/{name}"), 0, lambda raw: keep.append(json.loads(raw)), print)

    def _book(self, symbol: str, levels: int) -> Depth:
        return Depth(symbol, self.last, 0, 0, ((D("9.9"), D(1)), (D("9.8"), D(2))), ((D(10), D(3)),))

    def change(self, time: int, bids=(), asks=(), ids: int = 3) -> None:
        first, self.last = self.last + 2, self.last + 1 + ids
        previous = first - 2
        self.windows.changed(DepthDiff("BTCUSDT", time, tuple(bids), tuple(asks), first, self.last, previous), time)
        self.windows.flush(time)


def test_a_window_merges_what_its_time_holds() -> None:
    market = Market("btcusdt@depth@100ms")
    market.change(1_010, bids=[(D("9.9"), D(5)), (D("9.5"), D(1))], asks=[(D("10.2"), D(1))])
    market.change(1_090, bids=[(D("9.9"), D(0)), (D("9.7"), D(2))], asks=[(D("10.1"), D("0.004"))])
    assert market.got["btcusdt@depth@100ms"] == []
    market.windows.flush(1_100)
    assert market.got["btcusdt@depth@100ms"] == [
        {
            "e": "depthUpdate",
            "E": 1_100,
            "T": 1_090,
            "s": "BTCUSDT",
            "ps": "BTCUSDT",
            "U": 102,
            "u": 108,
            "pu": 100,
            "b": [["9.50", "1.000"], ["9.70", "2.000"], ["9.90", "0.000"]],
            "a": [["10.10", "0.004"], ["10.20", "1.000"]],
            "st": 1,
        }
    ]


def test_keys_stand_in_the_venues_order() -> None:
    market = Market("btcusdt@depth@100ms")
    market.change(1_000, bids=[(D(9), D(1))])
    market.windows.flush(1_100)
    assert list(market.got["btcusdt@depth@100ms"][0]) == ["e", "E", "T", "s", "ps", "U", "u", "pu", "b", "a", "st"]


def test_pu_chains_frames_and_U_is_not_pu_plus_one() -> None:  # noqa: N802  # U is the field's name
    market = Market("btcusdt@depth@100ms")
    for time in (1_000, 1_150, 1_260, 1_270, 1_500):
        market.change(time, bids=[(D(9), D(time))])
    market.windows.flush(1_600)
    frames = market.got["btcusdt@depth@100ms"]
    assert [frame["E"] for frame in frames] == [1_150, 1_260, 1_500, 1_600]
    for before, after in itertools.pairwise(frames):
        assert after["pu"] == before["u"]
        assert after["U"] > after["pu"] + 1


def test_a_change_of_a_later_window_lets_the_older_one_leave_first() -> None:
    market = Market("btcusdt@depth@100ms")
    market.change(1_000, bids=[(D(9), D(1))])
    market.change(1_100, bids=[(D(9), D(2))])
    assert [frame["b"] for frame in market.got["btcusdt@depth@100ms"]] == [[["9.00", "1.000"]]]


def test_a_stream_without_window_pushes_every_change() -> None:
    market = Market("btcusdt@depth@0ms")
    market.change(1_000, bids=[(D(9), D(1))])
    market.change(1_000, bids=[(D(9), D(2))])
    assert [frame["b"] for frame in market.got["btcusdt@depth@0ms"]] == [[["9.00", "1.000"]], [["9.00", "2.000"]]]


def test_slow_and_fast_windows_tell_the_same_book() -> None:
    names = [f"btcusdt@depth@{period}ms" for period in (0, 100, 250, 500)]
    market = Market(*names)
    for step in range(40):
        market.change(1_000 + step * 37, bids=[(D(step % 7 + 1), D(step))], asks=[(D(step % 5 + 10), D(step))])
        market.windows.flush(1_000 + step * 37)
    market.windows.flush(3_000)
    books = []
    for name in names:
        book: dict[str, str] = {}
        for frame in market.got[name]:
            assert frame["b"] == sorted(frame["b"], key=lambda level: D(level[0]))
            book.update(frame["b"])
            book.update(frame["a"])
        books.append(book)
        assert market.got[name][-1]["u"] == market.last
    assert books[0] == books[1] == books[2] == books[3]


def test_a_partial_book_comes_whole_with_the_windows_ids() -> None:
    market = Market("btcusdt@depth5@100ms")
    market.change(1_000, bids=[(D(9), D(1))])
    market.windows.flush(1_100)
    (frame,) = market.got["btcusdt@depth5@100ms"]
    assert (frame["U"], frame["u"], frame["pu"]) == (102, 104, 100)
    assert frame["b"] == [["9.80", "2.000"], ["9.90", "1.000"]]
    assert frame["a"] == [["10.00", "3.000"]]


def test_nothing_is_sent_for_a_window_without_changes() -> None:
    market = Market("btcusdt@depth@100ms")
    market.windows.flush(5_000)
    assert market.got["btcusdt@depth@100ms"] == []


def test_a_stream_left_and_joined_again_in_one_window_misses_nothing() -> None:
    name = "btcusdt@depth@100ms"
    market = Market(name)
    market.change(1_000, bids=[(D(1), D(1))])
    market.sessions[name].on_close()
    market.change(1_010, bids=[(D(2), D(1))])
    market.sessions[name] = market._listen(name)
    market.change(1_020, bids=[(D(3), D(1))])
    market.windows.flush(1_100)
    assert [level[0] for level in market.got[name][0]["b"]] == ["1.00", "2.00", "3.00"]


def test_a_window_that_nobody_listens_to_is_forgotten() -> None:
    name = "btcusdt@depth@100ms"
    market = Market(name)
    market.change(1_000, bids=[(D(1), D(1))])
    market.sessions[name].on_close()
    market.windows.flush(1_100)
    assert market.got[name] == []
    assert market.windows.next_due(1_100) is None


@pytest.mark.parametrize("now, due", [(1_000, 1_100), (1_099, 1_100), (1_100, 1_200), (1_240, 1_250)])
def test_the_next_push_time_is_aligned_to_the_clock(now, due) -> None:
    market = Market("btcusdt@depth@100ms", "btcusdt@depth")
    market.change(900, bids=[(D(1), D(1))])
    assert market.windows.next_due(now) == due
