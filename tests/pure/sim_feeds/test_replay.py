"""Recordings as feeds: order, start at the snapshot, ids, joints between passes, several symbols."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from itertools import islice, pairwise
from pathlib import Path

import pytest

from pms.sim.captures import CaptureError, apply_levels
from pms.sim.model import DepthDiff, DepthSnapshot, FeedEvent, Mark, Print, Touch
from pms.sim.replay import SNAPSHOT_WITHIN, replay
from tests.pure.sim_feeds import recording

D = Decimal
START = 1_000_000


@pytest.fixture
def btc(tmp_path: Path) -> Path:
    return recording.write(tmp_path / "btc.gz", recording.market(START))


def book_ids(events: Iterable[FeedEvent]) -> list[int]:
    ids = []
    for event in events:
        if isinstance(event, DepthDiff | DepthSnapshot):
            ids.append(event.last_id)
        elif isinstance(event, Touch):
            ids.append(event.update_id)
    return ids


def test_a_replay_starts_with_the_snapshot_as_of_its_engine_time_and_drops_what_is_older(btc: Path) -> None:
    first, mark, following = islice(replay([btc]), 3)
    assert first == DepthSnapshot(
        "BTCUSDT", START, ((D(100), D(1)), (D(99), D(2))), ((D(101), D(1)), (D(102), D(2))), 100
    )
    assert isinstance(mark, Mark)
    assert mark.mark == D("100.5")
    assert isinstance(following, Touch)
    assert following.update_id == 104


def test_events_come_by_time_then_by_update_id_with_the_recorded_ids(btc: Path) -> None:
    events = [event for event in replay([btc]) if not isinstance(event, Mark)]
    assert [event.time - START for event in events] == [0, 2, 2, 20, 20, 40, 60, 90, 130]
    assert book_ids(events) == [100, 104, 104, 108, 108, 114, 116, 120]
    diffs = [event for event in events if isinstance(event, DepthDiff)]
    assert [(diff.first_id, diff.last_id, diff.prev_id) for diff in diffs] == [
        (95, 104, 90),
        (106, 108, 104),
        (111, 116, 108),
        (117, 120, 116),
    ]


def test_a_trade_is_a_print_with_its_recorded_number_and_older_trades_are_left_out(btc: Path) -> None:
    prints = [event for event in replay([btc]) if isinstance(event, Print)]
    assert prints == [Print("BTCUSDT", START + 20, D(101), D(1), True, 102)]


def test_a_snapshot_may_be_the_first_line_and_a_second_one_is_ignored(tmp_path: Path, btc: Path) -> None:
    lines = recording.market(START)
    lines.insert(0, lines.pop(3))
    lines.insert(1, recording.snapshot(START + 500, 130, [], []))
    assert list(replay([recording.write(tmp_path / "x.gz", lines)])) == list(replay([btc]))


def test_a_depth_frame_that_ends_with_the_snapshots_id_is_inside_the_snapshot(tmp_path: Path) -> None:
    lines = recording.market(START)
    lines[3] = recording.snapshot(START, 104, [("100", "3")], [("101", "1")])
    events = list(islice(replay([recording.write(tmp_path / "x.gz", lines)], loop=True), 20))
    assert [event.last_id for event in events if isinstance(event, DepthDiff)][:3] == [108, 116, 120]
    chain = [event for event in events if isinstance(event, DepthDiff)]
    assert all(later.prev_id == earlier.last_id for earlier, later in pairwise(chain))


def test_touches_without_any_depth_frame_behind_the_snapshot_are_replayed(tmp_path: Path) -> None:
    path = recording.write(tmp_path / "x.gz", recording.market(START)[:5])
    assert book_ids(replay([path])) == [100, 104]


def test_a_loop_keeps_ids_and_times_rising_and_the_chain_unbroken(btc: Path) -> None:
    events = list(islice(replay([btc], loop=True), 60))
    ids, times = book_ids(events), [event.time for event in events]
    assert times == sorted(times)
    assert ids == sorted(ids)
    diffs = [event for event in events if isinstance(event, DepthDiff)]
    assert sum(isinstance(event, DepthSnapshot) for event in events) == 1
    assert len(diffs) > 12
    for earlier, later in pairwise(diffs):
        assert later.prev_id == earlier.last_id
        assert later.prev_id < later.first_id <= later.last_id
    numbers = [event.trade_id for event in events if isinstance(event, Print)]
    assert numbers == list(range(102, 102 + len(numbers)))
    assert len(numbers) > 2


def test_the_joint_of_two_passes_leads_the_book_back_to_the_snapshot(btc: Path) -> None:
    bids: dict[Decimal, Decimal] = {}
    asks: dict[Decimal, Decimal] = {}
    books = []
    for event in islice(replay([btc], loop=True), 40):
        if isinstance(event, DepthDiff | DepthSnapshot):
            apply_levels(bids, event.bids)
            apply_levels(asks, event.asks)
            books.append((dict(bids), dict(asks)))
    opening = ({D(100): D(1), D(99): D(2)}, {D(101): D(1), D(102): D(2)})
    assert books[0] == opening
    assert books[5] == opening
    assert books[4] == ({D(101): D(4), D(100): D(3), D(99): D(2)}, {D(102): D(5)})
    assert books[9] == books[4]


def test_symbols_are_merged_by_time_and_recordings_of_other_days_start_together(tmp_path: Path, btc: Path) -> None:
    day = 86_400_000
    other = recording.market(START + day + 37, symbol="ETHUSDT", first_id=9_000)
    events = list(replay([btc, recording.write(tmp_path / "eth.gz", other)]))
    times = [event.time for event in events]
    assert times == sorted(times)
    assert {event.symbol for event in events} == {"BTCUSDT", "ETHUSDT"}
    eth = next(event for event in events if event.symbol == "ETHUSDT")
    assert eth.time == START + 37


def test_two_recordings_of_one_symbol_follow_each_other(tmp_path: Path, btc: Path) -> None:
    later = recording.write(tmp_path / "later.gz", recording.market(START + 90_000_000, first_id=4_000))
    events = list(replay([btc, later]))
    ids = book_ids(events)
    assert ids == sorted(ids)
    assert ids[-1] == 4_020
    assert sum(isinstance(event, DepthSnapshot) for event in events) == 1
    assert events[-1].time - START < 2_000


def test_a_mark_comes_with_the_first_touch_and_then_once_a_second(tmp_path: Path) -> None:
    lines = recording.market(START)
    lines += [recording.touch(START + 100 * n, 200 + n, ("130", "1"), ("132", "1")) for n in range(2, 40)]
    marks = [event for event in replay([recording.write(tmp_path / "x.gz", lines)]) if isinstance(event, Mark)]
    assert [mark.time - START for mark in marks] == [0, 1000, 2000, 3000]
    assert [mark.mark for mark in marks][:2] == [D("100.5"), D("101.51666667")]
    assert all(mark.next_funding == 28_800_000 for mark in marks)


def test_a_recording_without_a_snapshot_is_refused_before_anything_is_replayed(tmp_path: Path) -> None:
    lines = [line for line in recording.market() if "lastUpdateId" not in str(line)]
    late = lines * (SNAPSHOT_WITHIN // len(lines) + 1) + recording.market()
    for number, content in enumerate((lines, late)):
        with pytest.raises(CaptureError, match="no REST depth snapshot"):
            replay([recording.write(tmp_path / f"{number}.gz", content)])
