"""What a trailing stop does once it is triggered, resized, ended or restarted (algos.md, trail_stop; execution.md 14,
28)."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from algos import step
from algos.children import ChildDone, ChildReport, Exit, Spawn, StopChild
from algos.laws import LawBroken
from algos.step import CancelChild, OrderUpdate
from algos.trail_laws import check_trail_stop
from schemas.chase import AlgoStatus, ChaseParams
from schemas.ids import child_id
from schemas.orders import OrderState
from tests.pure.algos.stage import EPOCH, T0, rules
from tests.pure.algos.trail_stage import LONG, SHORT, WHO, TrailStage

D = Decimal
NAME = child_id(WHO.algo_id, "c", 1)


def fired(**asked: object) -> TrailStage:
    """A stop that has just been triggered at 99."""
    stage = TrailStage(**asked)
    assert len(stage.move(990)) == 1
    return stage


# --- the position -----------------------------------------------------------------------------------


@pytest.mark.parametrize("side, sign", [(LONG, 1), (SHORT, -1)])
def test_the_quantity_shrinks_with_the_position_and_never_grows(side, sign) -> None:
    stage = TrailStage(side=side)
    for held, left in (("2", "1"), ("0.6", "0.6"), ("0.9", "0.6"), ("0.2", "0.2")):
        assert stage.hold(str(sign * D(held))) == ()
        assert stage.state.quantity == D(left)
    (exit_,) = stage.move(990 if side is LONG else 1010)
    assert exit_.quantity == D("0.2")


@pytest.mark.parametrize("position", ["0", "-0.5"])
def test_a_position_closed_or_flipped_elsewhere_ends_it_without_an_order(position) -> None:
    stage = TrailStage()
    assert stage.hold(position) == ()
    state = stage.state
    assert (state.status, state.reason, state.residual) == (AlgoStatus.COMPLETED, "position_closed", 1)
    assert not stage.sent
    assert stage.move(1) == (), "it has ended"


def test_a_share_of_nothing_is_no_position_that_is_gone() -> None:
    """Another stop's exit has all of it under way, which may fail."""
    stage = TrailStage()
    before = stage.state
    stage.hold("1", share="0")
    assert stage.state is before
    stage.give(step.PositionReduced(stage.now, D(0)))
    assert stage.state.status is AlgoStatus.COMPLETED, "where only the share is told, it is all there is"


# --- the exit ---------------------------------------------------------------------------------------


def test_an_exit_at_the_market_ends_it_once_it_is_proven() -> None:
    stage = fired()
    stage.fill("0.4", "99")
    assert (stage.state.filled_quantity, stage.state.status) == (D("0.4"), AlgoStatus.ACTIVE)
    stage.fill("0.6", "98")
    assert stage.hold("0") == (), "the exit itself has the last word"
    assert not stage.state.status.terminal
    stage.exit_done()
    state = stage.state
    assert (state.status, state.reason, state.residual) == (AlgoStatus.COMPLETED, "", 0)
    assert (state.avg_price, state.fees, state.quote_filled) == (D("98.4"), {"USDT": D("0.02")}, D("98.4"))
    assert stage.asked() == [Exit("BTCUSDT", LONG, D(1))]


def test_an_order_that_fills_nothing_is_no_news() -> None:
    stage = fired()
    stage.fill("0.4")
    order = msgspec.structs.replace(stage.order, state=OrderState.EXPIRED)
    before = stage.state
    stage.give(OrderUpdate(stage.now, order, quote=stage.touch))
    assert stage.state is before


def test_what_somebody_else_closed_meanwhile_is_named() -> None:
    stage = fired()
    stage.fill("0.4")
    stage.exit_done()
    assert (stage.state.status, stage.state.reason, stage.state.residual) == (
        AlgoStatus.COMPLETED,
        "position_closed",
        D("0.6"),
    )


def test_a_stop_of_a_part_ends_with_its_part() -> None:
    stage = fired(quantity="0.4")
    stage.fill("0.4")
    stage.exit_done()
    assert (stage.state.status, stage.state.reason) == (AlgoStatus.COMPLETED, "")


def test_an_exit_that_ends_undone_is_tried_again_for_ever() -> None:
    """Execution.md 28: 0.25 s up to 2 s; from the third on it is told as blocked, with the reason."""
    stage, pauses = fired(), []
    for number in range(12):
        asked_at = stage.now
        assert stage.exit_done("the venue is away") == ()
        assert stage.state.status is (AlgoStatus.BLOCKED if number >= 2 else AlgoStatus.ACTIVE)
        stage.move(900, after_ms=1)
        assert stage.run(5000) == [Exit("BTCUSDT", LONG, D(1))], "the price does not hurry it"
        pauses.append(stage.state.updated_at - asked_at)
    assert stage.state.reason == "the venue is away"
    assert pauses == [250, 500, 1000] + [2000] * 9
    stage.fill("0.1")
    assert (stage.state.status, stage.state.reason) == (AlgoStatus.ACTIVE, "")
    stage.exit_done("again")
    assert stage.run(250) == [Exit("BTCUSDT", LONG, D("0.9"))]


def test_resumed_by_hand_it_tries_at_once() -> None:
    stage = fired()
    stage.exit_done("no")
    assert stage.give(step.ResumeRequest(stage.now, stage.touch)) == (Exit("BTCUSDT", LONG, D(1)),)


def test_while_an_exit_is_under_way_it_asks_for_no_other() -> None:
    stage = fired()
    for bid in (980, 1200, 900):
        assert stage.move(bid) == ()
    assert stage.mark("80") == ()
    assert stage.give(step.Sight(stage.now, True)) == ()
    assert stage.state.triggered_price == 99
    assert len(stage.sent) == 1


# --- by a chase -------------------------------------------------------------------------------------


def test_an_exit_by_chase_rests_until_its_deadline_and_the_rest_goes_at_the_market() -> None:
    stage = fired(exit="chase", quantity="1.0004", exit_deadline_seconds="3")
    asked = ChaseParams(
        symbol="BTCUSDT", side=LONG, quantity=D(1), reduce_only=True, deadline_seconds=D(3), on_stop="leave"
    )
    assert stage.sent == [Spawn(NAME, "chase", 0, asked)]
    stage.chase("0")
    stage.chase("0.3", price="99.5")
    assert (stage.state.filled_quantity, stage.state.avg_price) == (D("0.3"), D("99.5"))
    before = stage.state
    stage.chase("0.3", price="99.5")
    assert stage.state is before, "sums, not sum upon sum"
    assert stage.chase("0.4", AlgoStatus.CANCELLED, price="99.5") == (Exit("BTCUSDT", LONG, D("0.6004")),)
    stage.fill("0.6004", "99")
    stage.exit_done()
    assert (stage.state.status, stage.state.reason) == (AlgoStatus.COMPLETED, "")
    assert stage.state.fees == {"USDT": D("0.03")}
    assert stage.state.quote_filled == D("0.4") * D("99.5") + D("0.6004") * D(99)


def test_a_chase_that_fills_it_all_ends_it() -> None:
    stage = fired(exit="chase")
    stage.chase("1", AlgoStatus.FILLED)
    assert (stage.state.status, stage.state.reason) == (AlgoStatus.COMPLETED, "")
    assert not stage.asked()


@pytest.mark.parametrize("how", ["no price", "too small", "stopping"])
def test_where_a_chase_can_not_be_it_goes_at_the_market(how) -> None:
    stage = TrailStage(exit="chase", quantity="0.0004" if how == "too small" else "1")
    if how == "stopping":
        stage.give(step.StopRequest(stage.now))
    if how == "no price":
        stage.touch = None
        stage.mark("99")
    else:
        stage.move(990)
    (exit_,) = stage.sent
    assert isinstance(exit_, Exit)


def test_a_chase_that_could_not_start_is_followed_by_the_market() -> None:
    stage = fired(exit="chase")
    assert stage.chase("0", AlgoStatus.FAILED) == (Exit("BTCUSDT", LONG, D(1)),)


def test_a_word_of_another_child_is_none() -> None:
    stage = fired(exit="chase")
    before = stage.state
    stranger = ChildReport("c000000000", 0, AlgoStatus.FILLED, "", D(1), D(99))
    stage.give(ChildDone(stage.now, stranger))
    assert stage.state is before
    stage = fired()
    stage.give(ChildDone(stage.now, stranger))
    assert stage.state.filled_quantity == 0


def test_a_position_gone_while_the_chase_rests_ends_with_the_chase() -> None:
    stage = fired(exit="chase")
    stage.hold("0")
    assert not stage.state.status.terminal
    stage.chase("0", AlgoStatus.CANCELLED)
    assert (stage.state.status, stage.state.reason) == (AlgoStatus.COMPLETED, "position_closed")
    assert not stage.asked()


# --- endings ----------------------------------------------------------------------------------------


def test_cancelled_before_its_trigger_it_just_ends() -> None:
    stage = TrailStage()
    stage.give(step.CancelRequest(stage.now, "asked"))
    assert (stage.state.status, stage.state.reason) == (AlgoStatus.CANCELLED, "asked")
    assert not stage.sent


def test_cancelled_while_its_chase_rests_it_ends_with_the_chase() -> None:
    stage = fired(exit="chase")
    assert stage.give(step.CancelRequest(stage.now, "asked")) == (StopChild(NAME, "asked"),)
    assert stage.state.status is AlgoStatus.STOPPING
    assert stage.give(step.CancelRequest(stage.now, "again")) == ()
    assert stage.move(900) == ()
    stage.chase("0.2")
    stage.chase("0.2", AlgoStatus.CANCELLED)
    assert (stage.state.status, stage.state.reason, stage.state.residual) == (AlgoStatus.CANCELLED, "asked", D("0.8"))
    assert not stage.asked()


@pytest.mark.parametrize("undone, status", [("", AlgoStatus.COMPLETED), ("no", AlgoStatus.CANCELLED)])
def test_cancelled_while_it_exits_it_waits_for_what_is_under_way(undone, status) -> None:
    stage = fired()
    stage.give(step.CancelRequest(stage.now, "asked"))
    assert stage.state.status is AlgoStatus.STOPPING
    stage.exit_done(undone)
    assert stage.state.status is status
    assert len(stage.sent) == 1


def test_late_fills_are_booked_and_nothing_else_happens() -> None:
    """Law 4."""
    stage = fired(exit="chase")
    stage.give(step.CancelRequest(stage.now, "asked"))
    stage.chase("0.2", AlgoStatus.CANCELLED)
    stage.chase("0.3", AlgoStatus.CANCELLED)
    stage.fill("0.1")
    assert (stage.state.filled_quantity, stage.state.residual) == (D("0.4"), D("0.6"))
    before = stage.state
    for given in (step.Timer(stage.now, stage.touch), step.Recovered(stage.now, EPOCH + 1, stage.touch)):
        assert stage.give(given) == ()
    assert stage.move(1) == ()
    assert stage.state is before


# --- a new life -------------------------------------------------------------------------------------


def test_after_a_restart_it_asks_again_for_what_is_left() -> None:
    stage = fired()
    stage.fill("0.3")
    stage.wake()
    stage.fill("0.2")
    assert stage.sent[1:] == [], "not before all is booked"
    assert stage.give(step.Recovered(stage.now, EPOCH + 1, None)) == (Exit("BTCUSDT", LONG, D("0.5")),)


def test_a_restart_between_the_trigger_and_its_exit_asks_for_it() -> None:
    stage = fired()
    assert stage.restart() == (Exit("BTCUSDT", LONG, D(1)),)


def test_a_restart_with_a_resting_chase_goes_on_with_it() -> None:
    stage = fired(exit="chase")
    assert stage.restart() == ()
    assert stage.chase("0.5", AlgoStatus.CANCELLED) == (Exit("BTCUSDT", LONG, D("0.5")),)
    stage = fired(exit="chase")
    stage.wake()
    assert stage.chase("0.1", AlgoStatus.FAILED) == (), "record_lost: told before the recovery is over"
    assert stage.give(step.Recovered(stage.now, EPOCH + 1, stage.touch)) == (Exit("BTCUSDT", LONG, D("0.9")),)


@pytest.mark.parametrize("fires", [False, True])
def test_a_position_closed_by_hand_while_down_ends_it_without_an_order(fires) -> None:
    stage = TrailStage()
    if fires:
        stage.move(990)
        stage.sent.clear()
    stage.wake()
    stage.hold("0")
    assert not stage.state.status.terminal, "not before all is booked"
    stage.give(step.Recovered(stage.now, EPOCH + 1, None))
    assert (stage.state.status, stage.state.reason) == (AlgoStatus.COMPLETED, "position_closed")
    assert not stage.sent


def test_cancelled_while_recovering_it_ends() -> None:
    """Its symbol is gone, and nobody resumes it."""
    stage = fired()
    stage.wake()
    stage.give(step.CancelRequest(stage.now, "symbol_gone"))
    assert (stage.state.status, stage.state.reason) == (AlgoStatus.CANCELLED, "symbol_gone")


def test_at_a_stop_the_extreme_is_written() -> None:
    stage = TrailStage()
    stage.move(1001)
    stage.move(1002, after_ms=1)
    stage.give(step.StopRequest(stage.now))
    assert stage.written[-1][1].extreme_price == D("100.2")
    stage.restart()
    assert stage.state.stopped_at == 0


# --- the laws' own check ----------------------------------------------------------------------------

WHOLE = Exit("BTCUSDT", LONG, D(1))
CHASE = Spawn(NAME, "chase", 0, ChaseParams(symbol="BTCUSDT", side=LONG, quantity=D(1), reduce_only=True))


def changed(state: object, **fields: object) -> object:
    return msgspec.structs.replace(state, **fields)


@pytest.mark.parametrize(
    "law, actions, fields",
    [
        (1, (CancelChild("x", "BTCUSDT"),), {}),
        (1, (WHOLE, WHOLE), {}),
        (2, (changed(WHOLE, quantity=D("1.1")),), {}),
        (2, (changed(WHOLE, quantity=D(0)),), {}),
        (2, (changed(WHOLE, side=SHORT),), {}),
        (2, (WHOLE,), {"exiting": False}),
        (5, (WHOLE,), {"triggered_at": 0}),
        (2, (changed(CHASE, params=changed(CHASE.params, reduce_only=False)),), {}),
        (2, (changed(CHASE, params=changed(CHASE.params, quantity=D(2))),), {}),
        (6, (changed(CHASE, params=changed(CHASE.params, quantity=D("0.0001"))),), {}),
        (1, (CHASE,), {}),
        (2, (), {"quantity": D(2)}),
        (2, (), {"filled_quantity": D("-0.1")}),
        (3, (), {"status": AlgoStatus.COMPLETED}),
        (4, (), {"activated": False}),
        (4, (), {"extreme2": 1}),
        (4, (), {"trigger2": 1}),
    ],
)
def test_a_step_that_breaks_a_law_is_seen(law, actions, fields) -> None:
    stage = TrailStage()
    before = stage.state
    after = changed(before, **({"triggered_at": T0, "exiting": True} | fields))
    with pytest.raises(LawBroken, match=f"law {law}:"):
        check_trail_stop(before, None, after, actions)


def test_a_stop_that_acts_twice_or_forgets_is_seen() -> None:
    stage = fired()
    with pytest.raises(LawBroken, match="law 1: a second exit"):
        check_trail_stop(stage.state, None, stage.state, (WHOLE,))
    with pytest.raises(LawBroken, match="law 4: a trigger is taken back"):
        check_trail_stop(stage.state, None, changed(stage.state, triggered_at=0), ())
    with pytest.raises(LawBroken, match="law 3: an exit left"):
        check_trail_stop(stage.state, None, changed(stage.state, exiting=False, status=AlgoStatus.COMPLETED), ())
    stage.fill("1")
    stage.exit_done()
    with pytest.raises(LawBroken, match="law 4: a stop that has ended acts"):
        check_trail_stop(stage.state, None, stage.state, (WHOLE,))
    stage = TrailStage()
    stage.give(step.InstrumentChanged(stage.now, rules(tick="1"), None))
    assert stage.state.extreme2 == 200, "another tick is no law broken"
