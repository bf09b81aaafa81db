"""The laws' own check at run time: each broken law is named, whatever the algo's code meant (algos.md, laws)."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from algos import laws, step
from algos.children import StopChild
from algos.registry import CHASE, KINDS
from algos.step import AmendChild, CancelChild, OrderUpdate, PlaceChild
from schemas.chase import AlgoStatus
from schemas.market import Side
from schemas.orders import Origin
from tests.pure.algos.stage import RULES, Stage, rules

D = Decimal
_replace = msgspec.structs.replace


def resting() -> Stage:
    stage = Stage()
    stage.accept()
    stage.run(1000)
    return stage


def broken(number: int):
    return pytest.raises(laws.LawBroken, match=f"law {number}:")


def amend(stage: Stage, **changes: object) -> AmendChild:
    lawful = AmendChild(stage.child.client_order_id, "BTCUSDT", Side.BUY, D(100), D(1), False)
    return _replace(lawful, **changes)


def check(stage: Stage, *actions: step.Action) -> None:
    laws.check_chase(stage.state, step.Timer(stage.now, stage.touch), stage.state, actions)


def test_a_lawful_step_passes() -> None:
    stage = resting()
    check(stage)
    check(stage, amend(stage))
    check(stage, CancelChild(stage.child.client_order_id, "BTCUSDT"))


def test_law_1_two_requests_at_once() -> None:
    stage = resting()
    with broken(1):
        check(stage, amend(stage), amend(stage))


def test_law_1_a_child_that_is_no_order() -> None:
    stage = resting()
    with broken(1):
        check(stage, StopChild("another", "asked"))


def test_law_1_an_order_that_the_record_does_not_name() -> None:
    stage = resting()
    with broken(1):
        check(stage, amend(stage, client_order_id="another"))
    childless = _replace(stage.state, child=None)
    with broken(1):
        laws.check_chase(childless, None, childless, (amend(stage),))


def place(stage: Stage) -> PlaceChild:
    return stage.asked(PlaceChild)[0]


def test_law_1_a_replacement_before_the_old_child_is_proven_gone() -> None:
    stage = resting()
    second = _replace(stage.child, client_order_id="second")
    after = _replace(stage.state, child=second)
    action = _replace(place(stage), client_order_id="second")
    with broken(1):
        laws.check_chase(stage.state, step.Timer(stage.now, stage.touch), after, (action,))
    unproven = OrderUpdate(stage.now, stage.order)
    with broken(1):
        laws.check_chase(stage.state, unproven, after, (action,))


def test_law_1_the_same_child_placed_twice() -> None:
    stage = resting()
    with broken(1):
        check(stage, place(stage))


def test_law_2_more_than_the_rest() -> None:
    stage = Stage()
    after = _replace(stage.state, filled_quantity=D("0.4"))
    with broken(2):
        laws.check_chase(None, None, after, (place(stage),))
    laws.check_chase(None, None, after, (_replace(place(stage), quantity=D("0.6")),))


@pytest.mark.parametrize("total, lawful", [("1.001", False), ("1", True), ("0.401", True), ("0.4", False)])
def test_law_2_an_amend_between_the_filled_part_and_all_of_it(total, lawful) -> None:
    stage = resting()
    stage.fill("0.4")
    if lawful:
        check(stage, amend(stage, quantity=D(total)))
        return
    with broken(2):
        check(stage, amend(stage, quantity=D(total)))


def test_law_3_a_child_let_go_without_evidence() -> None:
    stage = resting()
    after = _replace(stage.state, child=None)
    timeout = step.Timer(stage.now, stage.touch)
    stranger = OrderUpdate(stage.now, _replace(stage.order, client_order_id="another"))
    for given in (timeout, stranger, OrderUpdate(stage.now, stage.order), None):
        with broken(3):
            laws.check_chase(stage.state, given, after, ())


def test_law_3_an_ending_with_a_child_still_there() -> None:
    stage = resting()
    with broken(3):
        laws.check_chase(stage.state, None, _replace(stage.state, status=AlgoStatus.CANCELLED), ())


def test_law_4_an_ended_chase_that_acts_or_comes_back() -> None:
    stage = resting()
    ended = _replace(stage.state, status=AlgoStatus.CANCELLED, child=None)
    laws.check_chase(ended, None, _replace(ended, filled_quantity=D("0.1")), ())
    with broken(4):
        laws.check_chase(ended, None, ended, (place(stage),))
    with broken(4):
        laws.check_chase(ended, None, _replace(ended, status=AlgoStatus.ACTIVE), ())


def test_law_5_acting_on_stale_data() -> None:
    stage = resting()
    held = _replace(stage.state, hold="book")
    with broken(5):
        laws.check_chase(stage.state, None, held, (amend(stage),))
    laws.check_chase(stage.state, None, held, (CancelChild(stage.child.client_order_id, "BTCUSDT"),))


@pytest.mark.parametrize(
    "changes, asks",
    [
        ({}, {"price": D("100.05")}),
        ({}, {"price": D(0)}),
        ({}, {"price": D("-0.1")}),
        ({}, {"quantity": D("0.9995")}),
        ({"max_qty": "0.5"}, {}),
        ({"min_qty": "2"}, {}),
        ({"min_notional": "100.1"}, {}),
    ],
)
def test_law_6_numbers_off_the_grid(changes, asks) -> None:
    stage = resting()
    stage.state = _replace(stage.state, instrument=rules(**changes))
    with broken(6):
        check(stage, amend(stage, **asks))


def test_the_registry_knows_chase_by_its_name_and_reads_its_record() -> None:
    assert KINDS["chase"] is CHASE
    assert all(kind.name == name for name, kind in KINDS.items())
    assert len({kind.letter for kind in KINDS.values()}) == len(KINDS), "a letter tells the kind of an id"
    assert CHASE.origin is Origin.CHASE
    stage = resting()
    view = CHASE.view(stage.state)
    assert (view.algo_id, view.root_id, view.symbol) == (stage.state.chase_id, stage.state.root_id, RULES.symbol)
    assert view.live_children == (stage.child.client_order_id,)
    before = view.news
    stage.fill("0.1")
    assert CHASE.view(stage.state).news != before
    stage.give(step.CancelRequest(stage.now, "asked"))
    stage.accept()
    assert CHASE.view(stage.state).live_children == ()
