"""The scalper's own check at run time: each broken law is named, whatever the algo's code meant (algos.md, laws)."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from algos import laws, step
from algos.children import AmendAlgo, ChildChanged, ChildDone, Exit, Spawn, StopChild
from algos.registry import KINDS, SCALPER
from algos.scalper_laws import check_scalper
from schemas.chase import AlgoStatus
from schemas.orders import Origin
from schemas.scalper import ScalperState
from tests.pure.algos.ladder import BUY, SELL, Ladder

D = Decimal
_replace = msgspec.structs.replace


def broken(number: int):
    return pytest.raises(laws.LawBroken, match=f"law {number}:")


def timer(ladder: Ladder) -> step.Timer:
    return step.Timer(ladder.now, ladder.touch)


def changed(state: ScalperState, number: int = 0, **changes: object) -> ScalperState:
    """The record with another child in a slot of the long side."""
    slot = state.long.slots[number]
    slots = (*state.long.slots[:number], _replace(slot, **changes), *state.long.slots[number + 1 :])
    return _replace(state, long=_replace(state.long, slots=slots))


def spawning(ladder: Ladder) -> tuple[ScalperState, ScalperState, Spawn]:
    """A record with a free slot, the one after it was armed, and the action."""
    free = changed(ladder.state, child=None)
    return free, ladder.state, ladder.started[0]


def test_a_lawful_step_passes() -> None:
    ladder = Ladder(child_count=2)
    before, after, action = spawning(ladder)
    check_scalper(before, timer(ladder), after, (action,))
    check_scalper(after, timer(ladder), after, (StopChild(action.child_id, "asked"),))


def test_law_1_orders_of_its_own_and_exits() -> None:
    ladder = Ladder()
    for action in (Exit("BTCUSDT", SELL, D(1)), step.CancelChild("name", "BTCUSDT")):
        with broken(1):
            check_scalper(ladder.state, None, ladder.state, (action,))


def test_law_1_a_child_that_left_without_evidence() -> None:
    ladder = Ladder()
    before, after = ladder.state, changed(ladder.state, child=None)
    report = ladder.told[ladder.started[0].child_id]
    for given in (
        timer(ladder),
        ChildChanged(ladder.now, report),
        ChildDone(ladder.now, _replace(report, child_id="c")),
    ):
        with broken(1):
            check_scalper(before, given, after, ())
    check_scalper(before, ChildDone(ladder.now, report), after, ())


def test_law_1_a_child_that_replaces_a_live_one() -> None:
    ladder = Ladder(child_count=2)
    other = changed(ladder.state, child=ladder.state.long.slots[1].child)
    with broken(1):
        check_scalper(ladder.state, timer(ladder), other, ())


def test_law_1_a_child_that_the_record_misses_or_has_elsewhere() -> None:
    ladder = Ladder()
    before, after, action = spawning(ladder)
    for wrong in ({"child_id": "c999999999"}, {"slot": 3}, {"kind": "twap"}):
        with broken(1):
            check_scalper(before, None, after, (_replace(action, **wrong),))


def test_law_1_the_same_child_started_twice() -> None:
    ladder = Ladder()
    with broken(1):
        check_scalper(ladder.state, timer(ladder), ladder.state, (ladder.started[0],))


def test_law_2_a_child_of_another_size_kind_or_worst_price() -> None:
    ladder = Ladder(long_max_price="99.9")
    before, after, action = spawning(ladder)
    check_scalper(before, None, after, (action,))
    for wrong in ({"quantity": D("0.9")}, {"reduce_only": True}, {"limit_price": D(0)}):
        with broken(2):
            check_scalper(before, None, after, (_replace(action, params=_replace(action.params, **wrong)),))


def test_law_2_opening_legs_beyond_the_cap() -> None:
    ladder = Ladder()
    before, after, action = spawning(ladder)
    for wrong in ({"inventory": D("0.5")}, {"cap_quantity": D("0.9")}):
        with broken(2):
            check_scalper(_replace(before, **wrong), None, _replace(after, **wrong), (action,))


def test_law_2_closing_legs_beyond_the_inventory() -> None:
    ladder = Ladder()
    ladder.fill(ladder.resting(BUY)[0], "0.4")
    child = ladder.slot(SELL).child
    before = _replace(
        ladder.state, short=_replace(ladder.state.short, slots=(_replace(ladder.slot(SELL), child=None),))
    )
    spawn = next(spawn for spawn in ladder.started if spawn.child_id == child.child_id)
    check_scalper(before, None, ladder.state, (spawn,))
    with broken(2):
        check_scalper(before, None, _replace(ladder.state, inventory=D("0.3")), (spawn,))
    grown = _replace(ladder.slot(SELL), child=_replace(child, asked=D("0.5")))
    after = _replace(ladder.state, short=_replace(ladder.state.short, slots=(grown,)))
    amend = AmendAlgo(child.child_id, step.AmendRequest(ladder.now, None, quantity=D("0.5")))
    with broken(2):
        check_scalper(ladder.state, None, after, (amend,))
    check_scalper(ladder.state, None, _replace(after, inventory=D("0.5")), (amend,))


def test_law_3_an_ending_with_children_still_there() -> None:
    ladder = Ladder()
    with broken(3):
        check_scalper(ladder.state, None, _replace(ladder.state, status=AlgoStatus.CANCELLED), ())


def test_law_4_an_ended_scalper_that_acts_or_comes_back() -> None:
    ladder = Ladder()
    ladder.give(step.CancelRequest(ladder.now, "asked"))
    ended = ladder.state
    check_scalper(ended, None, _replace(ended, bought=D(1)), ())
    with broken(4):
        check_scalper(ended, None, ended, (StopChild("c123456789", "asked"),))
    with broken(4):
        check_scalper(ended, None, _replace(ended, status=AlgoStatus.ACTIVE), ())


def test_law_5_starting_on_stale_data() -> None:
    ladder = Ladder()
    before, after, action = spawning(ladder)
    with broken(5):
        check_scalper(before, None, _replace(after, hold="book"), (action,))


@pytest.mark.parametrize("quantity", ["0.9995", "0"])
def test_law_6_a_size_off_the_grid(quantity: str) -> None:
    ladder = Ladder()
    before, after, action = spawning(ladder)
    wrong = _replace(action, params=_replace(action.params, quantity=D(quantity)))
    known = changed(after, child=_replace(after.long.slots[0].child, asked=D(quantity)))
    with broken(6):
        check_scalper(before, None, known, (wrong,))


def test_the_registry_knows_the_scalper_by_its_name() -> None:
    assert KINDS["scalper"] is SCALPER
    assert (SCALPER.letter, SCALPER.origin, SCALPER.report) == ("l", Origin.SCALPER, None)
    assert len({kind.letter for kind in KINDS.values()}) == len(KINDS)
