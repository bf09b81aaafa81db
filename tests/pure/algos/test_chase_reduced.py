"""A chase that only reduces never asks for more than there is to close (execution.md 13, 14)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from algos import step
from algos.step import AmendChild, CancelChild, PlaceChild
from schemas.chase import AlgoStatus
from schemas.orders import Cause
from schemas.reports import VenueStatus
from tests.pure.algos.stage import BUY, SELL, Stage

D = Decimal


def reducing(**asked: object) -> Stage:
    """A resting order that closes one coin of a long position."""
    stage = Stage(side=SELL, reduce_only=True, **asked)
    stage.accept()
    return stage


def shrink(stage: Stage, held: str) -> tuple[step.Action, ...]:
    return stage.give(step.PositionReduced(stage.now, D(held), stage.touch))


@pytest.mark.parametrize("held", ["0", "-1"])
def test_a_reduce_only_chase_ends_when_somebody_else_has_closed_its_position(held: str) -> None:
    """Flat or turned over: what it would do now is open."""
    stage = reducing()
    assert [type(action) for action in shrink(stage, held)] == [CancelChild]
    stage.accept()
    assert (stage.state.status, stage.state.reason) == (AlgoStatus.CANCELLED, "position_gone")


def test_a_reduce_only_chase_closes_what_is_left_of_its_position() -> None:
    stage = reducing(reprice_min_ms=0)
    stage.fill("0.4")
    (amend,) = [*shrink(stage, "0.1"), *stage.run(250)]
    assert isinstance(amend, AmendChild)
    assert (amend.quantity, stage.state.quantity) == (D("0.5"), D("0.5"))


@pytest.mark.parametrize("held", ["1", "7"])
def test_a_position_that_still_covers_it_changes_nothing(held: str) -> None:
    stage = reducing()
    before = stage.state
    assert shrink(stage, held) == ()
    assert stage.state is before


def test_a_short_position_is_closed_by_a_buy() -> None:
    stage = Stage(side=BUY, reduce_only=True)
    stage.accept()
    before = stage.state
    assert shrink(stage, "-1") == ()
    assert stage.state is before
    assert shrink(stage, "1"), "turned over"


def test_the_venues_end_of_a_flagged_order_is_not_the_end_of_a_chase_that_still_has_something_to_close() -> None:
    """The account's net no longer holds it: another sub-account has come to stand opposite (execution.md 14)."""
    stage = reducing()
    stage.fill("0.4")
    assert stage.end(VenueStatus.EXPIRED, Cause.REDUCE_ONLY) == ()
    assert stage.run(249) == []
    (place,) = stage.run(1)
    assert isinstance(place, PlaceChild)
    assert (place.quantity, place.reduce_only, stage.state.status) == (D("0.6"), True, AlgoStatus.ACTIVE)


def test_what_must_stand_as_another_order_is_cancelled_first_and_then_asks_for_its_rest() -> None:
    """execution.md 14: a closer changes its flag. Law 1: its successor waits for the proof."""
    stage = reducing()
    stage.fill("0.4")
    assert [type(action) for action in stage.give(step.ReplaceRequest(stage.now, stage.touch))] == [CancelChild]
    assert stage.run(5_000) == []
    (place,) = stage.accept()
    assert isinstance(place, PlaceChild)
    assert (place.quantity, stage.state.replacing) == (D("0.6"), False)


def test_without_an_order_there_is_nothing_to_replace() -> None:
    stage = reducing()
    stage.give(step.PauseRequest(stage.now, "p"))
    stage.accept()
    before = stage.state
    assert stage.give(step.ReplaceRequest(stage.now, stage.touch)) == ()
    assert stage.state is before
