"""Every law that a TWAP's step could break is seen, with the step that breaks it."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from algos import step
from algos.children import ChildDone, Exit, Spawn, StopChild
from algos.laws import LawBroken
from algos.twap_laws import check_twap, check_twap_basket
from schemas.chase import AlgoStatus
from schemas.market import Side
from tests.pure.algos import test_twap_basket
from tests.pure.algos.twap_stage import MINUTE, TwapStage

D = Decimal
_replace = msgspec.structs.replace


def placed(**asked: object):
    """(before, given, after, actions) of the step that sends a second lot."""
    stage = TwapStage(**asked)
    (stage.take if stage.state.child is not None else stage.child_ends)("0.1")
    stage.now += MINUTE
    before, given = stage.state, step.Timer(stage.now, stage.touch)
    actions = stage.give(given)
    return before, given, stage.state, actions


def broken(law: int, *args: object) -> None:
    with pytest.raises(LawBroken, match=f"law {law}:"):
        check_twap(*args)


def test_law_1_two_requests_or_two_children_at_once() -> None:
    before, given, after, actions = placed()
    broken(1, before, given, after, actions * 2)
    broken(1, before, given, after, (Exit("BTCUSDT", Side.BUY, D(1)),))
    chase = placed(style="chase")
    broken(1, before, given, _replace(after, worker=chase[2].worker), actions)


def test_law_1_an_order_or_a_chase_that_the_record_misses_or_had_before() -> None:
    before, given, after, actions = placed()
    broken(1, before, given, _replace(after, child=None), actions)
    broken(1, _replace(before, attempt=after.attempt), given, after, actions)
    before, given, after, actions = placed(style="chase")
    broken(1, before, given, _replace(after, worker=None), actions)
    broken(1, _replace(before, spawned=after.spawned), given, after, actions)


def test_law_2_more_than_is_left_or_than_a_slot_may_send() -> None:
    before, given, after, actions = placed()
    broken(2, before, given, _replace(after, quantity=D("0.15")), actions)
    broken(2, before, given, _replace(after, slot_left=D("0.21")), actions)
    check_twap(before, given, _replace(after, slot_left=D("0.21"), executing="price_limit"), actions)


def test_law_3_a_child_or_a_chase_left_without_evidence() -> None:
    _, _, after, _ = placed()
    gone = _replace(after, child=None)
    broken(3, after, step.Timer(0, None), gone, ())
    broken(
        1,
        after,
        step.Timer(0, None),
        _replace(after, child=_replace(after.child, client_order_id="x")),
        (StopChild("x", "y"),),
    )
    _, _, after, _ = placed(style="chase")
    broken(3, after, step.Timer(0, None), _replace(after, worker=None), ())


def test_law_3_an_ending_with_a_child_alive() -> None:
    before, given, after, _ = placed()
    broken(3, before, given, _replace(after, status=AlgoStatus.CANCELLED, residual=after.rest), ())


def test_law_2_an_ending_that_names_too_little() -> None:
    stage = TwapStage()
    stage.take()
    before = stage.state
    broken(2, before, step.Timer(0, None), _replace(before, status=AlgoStatus.EXPIRED, residual=D("0.1")), ())


def test_law_4_a_terminal_one_that_acts_or_changes_its_ending() -> None:
    before, given, after, actions = placed()
    ended = _replace(before, status=AlgoStatus.CANCELLED)
    broken(4, ended, given, after, actions)
    broken(4, ended, given, _replace(before, status=AlgoStatus.EXPIRED), ())


@pytest.mark.parametrize("style", ["market", "chase"])
def test_law_5_acting_on_stale_data(style) -> None:
    before, given, after, actions = placed(style=style)
    broken(5, before, given, _replace(after, hold="book"), actions)


def test_law_6_off_the_grid() -> None:
    before, given, after, (order,) = placed()
    for wrong in ({"quantity": D("0.1005")}, {"price": D("100.55")}, {"quantity": D("0.04")}):
        broken(6, before, given, after, (_replace(order, **wrong),))
    before, given, after, (spawn,) = placed(style="chase")
    wrong = Spawn(spawn.child_id, "chase", 0, _replace(spawn.params, quantity=D("0.0005")))
    broken(6, before, given, after, (wrong,))


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_law_6_completed_with_what_could_be_sent(side) -> None:
    stage = TwapStage(side=side)
    stage.take()
    before = stage.state
    done = {"status": AlgoStatus.COMPLETED, "residual": before.rest}
    broken(6, before, step.Timer(0, None), _replace(before, **done), ())


def test_a_basket_starts_its_legs_once_and_ends_after_them() -> None:
    stage = test_twap_basket.Stage()
    state, timer = stage.state, step.Timer(0, None)
    with pytest.raises(LawBroken, match="law 1"):
        check_twap_basket(None, None, state, stage.first[:1])
    with pytest.raises(LawBroken, match="law 1"):
        check_twap_basket(None, None, state, (StopChild("x", "y"),))
    with pytest.raises(LawBroken, match="law 1"):
        check_twap_basket(state, timer, state, stage.first)
    with pytest.raises(LawBroken, match="law 3"):
        check_twap_basket(state, timer, _replace(state, status=AlgoStatus.CANCELLED), ())
    ended = _replace(state, legs=tuple(_replace(leg, status=AlgoStatus.FAILED) for leg in state.legs))
    with pytest.raises(LawBroken, match="law 3"):
        check_twap_basket(state, timer, ended, ())
    gone = _replace(ended, status=AlgoStatus.FAILED)
    with pytest.raises(LawBroken, match="law 4"):
        check_twap_basket(gone, timer, gone, (StopChild("x", "y"),))


def test_the_evidence_of_a_chases_end_is_its_own_word() -> None:
    _, _, after, _ = placed(style="chase")
    other = TwapStage(style="chase")
    report = other.children[other.worker]
    broken(3, after, ChildDone(0, _replace(report, child_id="other")), _replace(after, worker=None), ())
