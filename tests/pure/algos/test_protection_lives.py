"""What a protection survives, and what it tells (algos.md, Protection)."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from algos import protecting, protection, protection_told, step
from algos.step import CancelChild, PlaceChild
from pms.core import orders
from schemas.chase import AlgoStatus
from schemas.orders import Cause, Origin
from schemas.reports import VenueStatus
from tests.pure.algos.protection_stage import ProtectionStage, leg
from tests.pure.algos.stage import RULES

D = Decimal
BOTH = {"stop": leg("90"), "take_profit": leg("110")}


def armed(**asked: object) -> ProtectionStage:
    stage = ProtectionStage(**asked)
    stage.accept()
    return stage


def test_it_survives_everything_but_its_own_end() -> None:
    stage = armed(**BOTH)
    stage.run(30)
    before = len(stage.sent)
    stage.give(step.PauseRequest(stage.now, "paused_by_command"))
    stage.give(step.StreamHealth(stage.now, "user_stream", withdraw=True, blocked="frozen"))
    stage.give(step.StopRequest(stage.now, bare=True))
    stage.give(step.ResumeRequest(stage.now, stage.touch))
    stage.give(step.Sight(stage.now, True))
    stage.die()
    stage.give(protecting.EntryChanged(stage.now, D(0), False, D(1)))
    stage.resume()
    assert len(stage.sent) == before
    assert stage.standing() == [("90", D(1))]
    stage.hold("0.5")
    assert stage.sent[-1].client_order_id.split("-")[4:6] == ["001", "000"], "attempts begin anew in a new epoch"


def test_what_happened_while_down_is_taken_in_before_anything_is_asked() -> None:
    stage = armed(**BOTH)
    stop = stage.names()[0]
    stage.die()
    assert stage.fire(stop) == ()
    stage.fill(stop, "0.4")
    assert not stage.asked(CancelChild)
    stage.resume()
    assert len(stage.asked(CancelChild)) == 1
    assert not stage.exits, "the triggered order goes on by itself"
    stage.report(stop, VenueStatus.CANCELLED, order_id=99, algo_id=0, filled=D("0.4"))
    assert stage.exits == [D("0.6")]


def test_an_order_taken_away_while_nobody_looked_is_put_back() -> None:
    stage = armed()
    stage.die()
    stage.report(stage.names()[0], VenueStatus.CANCELLED, while_down=True)
    stage.resume()
    assert len(stage.asked(PlaceChild)) == 2


def test_an_exit_under_way_is_asked_for_anew_in_a_new_life() -> None:
    stage = ProtectionStage()
    stage.refuse(stage.names()[0], Cause.TRIGGERED)
    stage.die()
    stage.resume()
    assert stage.exits == [D(1), D(1)]
    stage.give(step.CancelRequest(stage.now, "cancelled_by_command"))
    assert not stage.state.status.terminal
    stage.exit_done("refused")
    assert stage.state.status is AlgoStatus.CANCELLED


@pytest.mark.parametrize("bare", [True, False])
def test_a_triggered_order_that_rests_without_the_flag_does_not_outlive_us(bare: bool) -> None:
    stage = ProtectionStage(entry=True, stop=leg("90", "89"))
    stage.opposed(bare)
    stage.entered("1", live=False)
    stage.accept()
    stage.fire(stage.names()[0])
    assert not stage.asked(CancelChild)
    stage.give(step.StopRequest(stage.now, bare=bare))
    assert len(stage.asked(CancelChild)) == bare
    stage.confirm()
    assert stage.exits == ([D(1)] if bare else []), "what it leaves is closed"


def test_a_symbol_that_is_gone_ends_it_at_once() -> None:
    stage = ProtectionStage(entry=True)
    stage.die()
    stage.give(step.CancelRequest(stage.now, "symbol_gone"))
    assert stage.state.status is AlgoStatus.CANCELLED


def test_an_order_of_unknown_fate_does_not_stop_another_under_the_flag() -> None:
    stage = ProtectionStage()
    (name,) = stage.names()
    stage.run(30)
    stage.tell(orders.unknown(stage.book[name], "no answer", stage.now))
    assert len(stage.asked(PlaceChild)) == 2
    stage.accept(name)
    assert stage.standing() == [("90", D(1))]
    stage.settle()
    assert len(stage.names()) == 1


def test_a_new_grid_moves_the_trigger_to_the_farther_price() -> None:
    stage = armed(stop=leg("90.3"), take_profit=leg("110.3"))
    coarse = msgspec.structs.replace(RULES, tick=D(1))
    stage.give(step.InstrumentChanged(stage.now, coarse))
    stage.settle()
    assert stage.standing() == [("90", D(1))]
    assert stage.standing("take_profit") == [("111", D(1))]


def test_what_is_too_little_for_an_order_is_watched_here() -> None:
    stage = ProtectionStage(entry=True)
    stage.entered("0.0005")
    assert not stage.sent
    assert stage.state.watch
    stage.mark("89")
    assert stage.exits == [D("0.0005")]


def test_more_than_one_order_may_have_is_closed_by_an_exit_when_the_first_has_filled() -> None:
    stage = armed(quantity="150")
    (stop,) = stage.names()
    assert stage.standing() == [("90", D(100))]
    stage.fire(stop)
    assert not stage.exits
    stage.fill(stop, "100")
    assert stage.exits == [D(50)]


# --- told ---------------------------------------------------------------------------------------------


def test_events_tell_what_happens_to_a_leg() -> None:
    stage = ProtectionStage(**BOTH)
    assert protection_told.event_protection("protection_started", stage.state, stage.now) is None
    stage.accept()
    placed = protection_told.event_protection("protection_progress", stage.state, stage.now)
    assert (placed.type, placed.origin, placed.trigger_price) == ("protection_placed", Origin.TAKE_PROFIT, D(110))
    assert placed.client_algo_id == stage.names("take_profit")[0]
    stage.fill(stage.names()[0], "1", "89")
    stage.confirm()
    removed = protection_told.event_protection("protection_completed", stage.state, stage.now)
    assert (removed.type, removed.reason, removed.filled_quantity, removed.avg_price) == (
        "protection_removed",
        "stop",
        D(1),
        D(89),
    )
    assert protection_told.event_blind(stage.state, stage.now).reason == "no_price"
    assert removed.slippage_bps == D(1100)


def test_a_quote_costs_nothing_while_the_venue_watches() -> None:
    stage = armed()
    state = stage.state
    assert protection.step_protection(state, stage.quote("50")) == (state, ())
    assert stage.move("50") == ()
