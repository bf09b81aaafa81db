"""The recording format: decoding, the window merge, the strict rule of a book."""

from __future__ import annotations

import gzip
import itertools
from decimal import Decimal
from pathlib import Path

import pytest

from pms.sim import captures
from pms.sim.captures import Agreement, CaptureError, DepthFrame, SnapshotFrame, TouchFrame, TradeFrame
from tests.pure.sim_feeds import recording

D = Decimal


def frame(time: int, ids: tuple[int, int, int], bids: dict[str, str], asks: dict[str, str] | None = None) -> DepthFrame:
    levels = [tuple((D(price), D(quantity)) for price, quantity in side.items()) for side in (bids, asks or {})]
    return DepthFrame(E=time, T=time, s="BTCUSDT", U=ids[0], u=ids[1], pu=ids[2], b=levels[0], a=levels[1])


def test_every_kind_of_frame_is_read_as_recorded(tmp_path: Path) -> None:
    read = list(captures.frames(recording.write(tmp_path / "x.gz", recording.market())))
    kinds = [type(item) for item in read]
    assert kinds[:4] == [DepthFrame, TouchFrame, TradeFrame, SnapshotFrame]
    assert read[1] == TouchFrame(91, "BTCUSDT", D(100), D(1), D(101), D(1), 999_960, 999_960)
    assert isinstance(read[3], SnapshotFrame)
    assert (read[3].last_update_id, read[3].E, read[3].T) == (100, 1_000_005, 1_000_000)


def test_a_broken_line_is_named_with_file_and_number(tmp_path: Path) -> None:
    path = tmp_path / "broken.gz"
    good = recording.write(tmp_path / "good.gz", recording.market())
    path.write_bytes(gzip.compress(gzip.decompress(good.read_bytes()) + b"12 {not json\n"))
    with pytest.raises(CaptureError, match=r"broken\.gz: line 13 is no recorded frame"):
        list(captures.frames(path))


def test_a_file_that_is_not_gzip_or_cut_off_or_missing_is_refused(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(b"hello")
    cut = tmp_path / "cut.gz"
    cut.write_bytes(recording.write(tmp_path / "whole.gz", recording.market()).read_bytes()[:-12])
    for path in (plain, cut, tmp_path / "missing"):
        with pytest.raises(CaptureError, match="can't be read"):
            list(captures.frames(path))


def test_a_window_keeps_first_and_last_ids_and_the_last_quantity_of_a_level_in_ascending_order() -> None:
    merged = list(
        captures.merge_windows(
            [
                frame(1000, (1, 4, 0), {"9": "1", "8": "1"}, {"11": "2", "10": "1"}),
                frame(1099, (6, 9, 4), {"9": "0", "7": "3"}, {"10": "5"}),
                frame(1100, (11, 12, 9), {"6": "1"}),
            ]
        )
    )
    assert merged == [
        frame(1099, (1, 9, 0), {"7": "3", "8": "1", "9": "0"}, {"10": "5", "11": "2"}),
        frame(1100, (11, 12, 9), {"6": "1"}),
    ]


def test_a_merge_leaves_the_book_of_every_window_end_as_it_was() -> None:
    raw = [frame(10 * n, (3 * n, 3 * n + 2, 3 * n - 1), {str(n % 7): str(n % 3), str(n % 5): "1"}) for n in range(100)]
    ends: dict[int, dict[Decimal, Decimal]] = {}
    book: dict[Decimal, Decimal] = {}
    for item in raw:
        captures.apply_levels(book, item.b)
        ends[item.u] = dict(book)
    book.clear()
    merged = list(captures.merge_windows(raw))
    assert len(merged) == 10
    for item in merged:
        captures.apply_levels(book, item.b)
        assert book == ends[item.u]
    assert all(later.pu == earlier.u for earlier, later in itertools.pairwise(merged))


def test_no_frames_are_no_windows() -> None:
    assert list(captures.merge_windows([])) == []


def test_frames_older_than_the_snapshot_are_dropped_and_the_one_that_holds_its_id_is_first() -> None:
    book = SnapshotFrame(last_update_id=10, E=0, T=0, bids=(), asks=())
    source = [frame(1, (1, 9, 0), {}), frame(2, (9, 10, 9), {}), frame(3, (12, 14, 10), {})]
    assert [item.u for item in captures.follow(book, source)] == [10, 14]


def test_a_snapshot_older_than_every_frame_is_refused() -> None:
    book = SnapshotFrame(last_update_id=10, E=0, T=0, bids=(), asks=())
    with pytest.raises(CaptureError, match="older than the first frame 11"):
        list(captures.follow(book, [frame(1, (11, 12, 10), {})]))


def test_a_gap_in_the_chain_is_refused() -> None:
    book = SnapshotFrame(last_update_id=10, E=0, T=0, bids=(), asks=())
    with pytest.raises(CaptureError, match="14 follows 11, not 12"):
        list(captures.follow(book, [frame(1, (9, 12, 8), {}), frame(2, (13, 14, 11), {})]))


def test_the_rebuild_counts_frames_whose_id_a_book_ticker_has_and_compares_price_and_size(tmp_path: Path) -> None:
    lines = recording.market()
    path = recording.write(tmp_path / "x.gz", lines)
    assert captures.rebuild(path) == captures.Rebuilt("BTCUSDT", Agreement(2, 2), Agreement(0, 0))
    wide = captures.rebuild(path, width_ms=50)
    assert wide.merged == Agreement(1, 1)
    lines[7] = recording.touch(1_000_020, 108, ("100", "3"), ("102", "9"))
    assert captures.rebuild(recording.write(path, lines)).raw == Agreement(2, 1)


def test_a_recording_without_a_snapshot_cannot_be_rebuilt(tmp_path: Path) -> None:
    path = recording.write(tmp_path / "x.gz", [recording.depth(1, (1, 2, 0))])
    with pytest.raises(CaptureError, match="no REST snapshot"):
        captures.rebuild(path)
