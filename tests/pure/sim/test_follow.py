"""The joint of a followed market: which frames continue which snapshot (binance.md 6.3)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pms.sim.captures import DepthFrame, SnapshotFrame
from pms.sim.follow import Joint
from pms.sim.model import DepthDiff, DepthSnapshot

D = Decimal
NOW = 1_000


def frame(first: int, last: int, before: int) -> DepthFrame:
    return DepthFrame(0, 0, "BTCUSDT", first, last, before, ((D(100), D(last)),), ())


def snapshot(last: int) -> SnapshotFrame:
    return SnapshotFrame(last, 0, 0, ((D(100), D(1)),), ((D(101), D(1)),))


def joined() -> Joint:
    joint = Joint("BTCUSDT")
    joint.frame(frame(5, 10, 4), NOW)
    joint.snapshot(snapshot(10), NOW)
    return joint


def test_nothing_is_told_before_a_snapshot_which_then_is_told_with_what_continues_it() -> None:
    joint = Joint("BTCUSDT")
    assert (joint.stands, joint.lost) == (False, False), "a snapshot is asked for with frames in hand only"
    for frames in (frame(1, 4, 0), frame(5, 10, 4), frame(11, 12, 10)):
        assert joint.frame(frames, NOW) == []
    assert joint.lost
    told = joint.snapshot(snapshot(7), NOW)
    assert [type(event) for event in told] == [DepthSnapshot, DepthDiff, DepthDiff]
    assert [event.last_id for event in told if not isinstance(event, (str, int))] == [7, 10, 12]
    assert (joint.stands, joint.lost) == (True, False)


def test_a_snapshot_older_than_the_frames_is_asked_for_again() -> None:
    joint = Joint("BTCUSDT")
    joint.frame(frame(5, 10, 4), NOW)
    assert joint.snapshot(snapshot(3), NOW) == []
    assert joint.lost


@pytest.mark.parametrize("frames", [(frame(13, 14, 12),), (frame(11, 12, 10), frame(14, 15, 13))])
def test_a_frame_that_does_not_continue_the_book_costs_it(frames: tuple[DepthFrame, ...]) -> None:
    joint = joined()
    for one in frames:
        told = joint.frame(one, NOW)
    assert told == []
    assert joint.lost


def test_a_frame_from_before_the_snapshot_changes_nothing() -> None:
    joint = joined()
    assert joint.frame(frame(1, 4, 0), NOW) == []
    assert joint.stands


def test_what_comes_after_a_cut_waits_for_a_snapshot_of_its_own() -> None:
    joint = joined()
    joint.reset()
    assert joint.frame(frame(11, 12, 10), NOW) == []
    assert joint.lost
