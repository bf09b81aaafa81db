"""The protection's rules, one by one (algos.md, Protection; execution.md 14)."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from algos import protecting, protection_told, step
from algos.children import Exit, StopEntry
from algos.step import CancelChild, PlaceChild
from pms.core import orders
from schemas.chase import AlgoStatus
from schemas.market import Side
from schemas.orders import Cause, Origin
from schemas.reports import VenueStatus
from tests.pure.algos.protection_stage import ENTRY, ProtectionStage, leg

D = Decimal
BOTH = {"stop": leg("90"), "take_profit": leg("110")}


def armed(**asked: object) -> ProtectionStage:
    stage = ProtectionStage(**asked)
    stage.accept()
    return stage


# --- what stands at the venue -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, [("STOP_MARKET", "90", "0", Origin.STOP)]),
        ({"stop": leg("90", "89")}, [("STOP", "90", "89", Origin.STOP)]),
        ({"stop": None, "take_profit": leg("110")}, [("TAKE_PROFIT_MARKET", "110", "0", Origin.TAKE_PROFIT)]),
        ({"stop": None, "take_profit": leg("110", "111")}, [("TAKE_PROFIT", "110", "111", Origin.TAKE_PROFIT)]),
        (BOTH, [("STOP_MARKET", "90", "0", Origin.STOP), ("TAKE_PROFIT_MARKET", "110", "0", Origin.TAKE_PROFIT)]),
    ],
)
def test_legs_leave_at_once_for_a_position(asked, expected) -> None:
    stage = ProtectionStage(**asked)
    placed = stage.asked(PlaceChild)
    assert [(a.order_type, str(a.trigger_price), str(a.price), a.origin) for a in placed] == expected
    assert all(a.quantity == 1 and a.reduce_only and a.alternatives == "g123456789" for a in placed)
    assert stage.state.status is AlgoStatus.ACTIVE
    assert not stage.state.watch


def test_an_entry_is_protected_from_its_first_fill_on_and_for_what_is_filled() -> None:
    stage = ProtectionStage(entry=True)
    assert not stage.sent
    assert stage.state.status is AlgoStatus.STARTING
    stage.entered("0.2")
    assert [a.quantity for a in stage.asked(PlaceChild)] == [D("0.2")]
    stage.run(30)
    stage.entered("0.5")
    assert [a.quantity for a in stage.asked(PlaceChild)] == [D("0.2"), D("0.5")], "not after the first one's answer"
    stage.accept()
    assert stage.standing() == [("90", D("0.5"))]
    assert len(stage.asked(CancelChild)) == 1, "the smaller one goes once the larger one stands"
    assert stage.state.position_id == "main:BTCUSDT:2"


def test_a_burst_of_fills_comes_to_few_orders_within_the_spacing() -> None:
    stage = ProtectionStage(entry=True)
    for number in range(1, 11):
        stage.entered(str(D(number) / 10))
        stage.now += 2
    assert len(stage.asked(PlaceChild)) == 1
    stage.run(25)
    assert [a.quantity for a in stage.asked(PlaceChild)] == [D("0.1"), D("1")]


def test_what_an_entry_only_reduced_of_another_position_is_not_protected() -> None:
    stage = ProtectionStage(entry=True)
    stage.entered("1", position="0.4")
    assert [a.quantity for a in stage.asked(PlaceChild)] == [D("0.4")]
    other = ProtectionStage(entry=True)
    other.entered("1", live=False, position="-3")
    assert other.state.status is AlgoStatus.COMPLETED
    assert not other.sent


def test_an_entry_that_ends_unfilled_leaves_nothing() -> None:
    stage = ProtectionStage(entry=True)
    stage.entered("0", live=False)
    assert (stage.state.status, stage.state.reason) == (AlgoStatus.CANCELLED, "entry_not_filled")


def test_a_position_closed_while_the_entry_rests_is_waited_for() -> None:
    stage = ProtectionStage(entry=True)
    stage.entered("0.2")
    stage.settle()
    stage.hold("0")
    stage.settle()
    assert not stage.names()
    assert stage.state.status is AlgoStatus.STARTING
    stage.entered("0.5")
    stage.settle()
    assert stage.standing() == [("90", D("0.3"))], "what has been filled since"
    stage.entered("0.5", live=False)
    stage.hold("0")
    stage.settle()
    assert stage.state.status is AlgoStatus.COMPLETED


# --- moving -------------------------------------------------------------------------------------------


def test_a_move_is_new_before_old() -> None:
    stage = armed()
    stage.give(protecting.ProtectRequest(stage.now, "stop", D("95"), D("94")))
    stage.run(30)
    assert not stage.asked(CancelChild)
    assert len(stage.names()) == 2
    stage.accept()
    assert len(stage.asked(CancelChild)) == 1
    stage.confirm()
    assert stage.standing() == [("95", D(1))]
    assert stage.state.word == "moved"


def test_a_request_for_a_leg_that_there_is_not_changes_nothing() -> None:
    stage = armed()
    assert stage.give(protecting.ProtectRequest(stage.now, "take_profit", D("95"))) == ()


def test_a_reduced_position_is_followed_within_one_step() -> None:
    stage = armed(**BOTH)
    stage.run(30)
    stage.hold("0.6")
    assert [a.quantity for a in stage.asked(PlaceChild)] == [D(1), D(1), D("0.6"), D("0.6")]
    stage.settle()
    assert stage.standing() == [("90", D("0.6"))]
    assert stage.standing("take_profit") == [("110", D("0.6"))]
    assert stage.hold("0.8") == (), "it never grows with a position that it was not asked for"


@pytest.mark.parametrize("position", ["0", "-0.5"])
def test_a_position_closed_or_flipped_elsewhere_ends_it(position) -> None:
    stage = armed(**BOTH)
    assert len(stage.hold(position)) == 2
    assert not stage.state.status.terminal
    stage.confirm()
    assert (stage.state.status, stage.state.reason) == (AlgoStatus.COMPLETED, "position_closed")
    assert not stage.exits


def test_a_cancel_takes_the_orders_away_and_ends_it_with_evidence() -> None:
    stage = armed(**BOTH)
    stage.give(step.CancelRequest(stage.now, "cancelled_by_command"))
    assert len(stage.asked(CancelChild)) == 2
    assert not stage.state.status.terminal
    stage.give(step.CancelRequest(stage.now, "again"))
    stage.confirm()
    assert (stage.state.status, stage.state.reason) == (AlgoStatus.CANCELLED, "cancelled_by_command")


def test_what_is_on_its_way_is_cancelled_when_the_venue_has_it() -> None:
    stage = ProtectionStage()
    stage.give(step.CancelRequest(stage.now, "cancelled_by_command"))
    assert not stage.asked(CancelChild)
    stage.accept()
    assert len(stage.asked(CancelChild)) == 1
    stage.confirm()
    assert stage.state.status is AlgoStatus.CANCELLED


def test_a_cancel_that_fails_is_asked_again() -> None:
    stage = armed()
    stage.give(step.CancelRequest(stage.now, "cancelled_by_command"))
    (name,) = stage.names()
    stage.tell(
        orders.request_failed(stage.book[name], "busy", stage.now), step.Failure("cancel", Cause.NONE, "0", "busy")
    )
    assert len(stage.asked(CancelChild)) == 1
    stage.run(250)
    assert len(stage.asked(CancelChild)) == 2


# --- triggered ----------------------------------------------------------------------------------------


def test_one_cancels_the_other() -> None:
    stage = armed(**BOTH)
    (stop,), (take,) = stage.names(), stage.names("take_profit")
    stage.fire(stop)
    assert [a.client_order_id for a in stage.asked(CancelChild)] == [take]
    assert stage.state.triggered_by == "stop"
    assert stage.state.word == "triggered"
    stage.fill(stop, "0.4")
    stage.fill(stop, "0.6")
    stage.confirm()
    assert (stage.state.status, stage.state.reason) == (AlgoStatus.COMPLETED, "stop")
    assert stage.closed == 1
    assert not stage.exits
    assert stage.state.avg_price == 90
    assert stage.state.fees == {"USDT": D("0.02")}


def test_both_sides_triggered_are_both_booked_and_the_first_word_stands() -> None:
    stage = armed(**BOTH)
    (stop,), (take,) = stage.names(), stage.names("take_profit")
    stage.fire(stop)
    stage.fire(take)
    stage.fill(take, "0.3")
    stage.fill(stop, "0.7")
    assert stage.state.triggered_by == "stop"
    stage.report(stop, VenueStatus.EXPIRED, order_id=99, algo_id=0, cause=Cause.REDUCE_ONLY, filled=D("0.7"))
    stage.report(take, VenueStatus.EXPIRED, order_id=99, algo_id=0, cause=Cause.REDUCE_ONLY, filled=D("0.3"))
    stage.confirm()
    assert stage.state.status is AlgoStatus.COMPLETED
    assert stage.closed == 1


def test_what_a_triggered_order_leaves_is_closed_by_an_exit() -> None:
    stage = armed()
    (stop,) = stage.names()
    stage.fill(stop, "0.4")
    stage.report(stop, VenueStatus.EXPIRED, order_id=99, algo_id=0, filled=D("0.4"))
    assert stage.exits == [D("0.6")]
    stage.exit_done("refused")
    assert stage.state.reason == "refused"
    stage.run(100)
    assert stage.exits == [D("0.6")], "not before its pause"
    stage.run(200)
    assert stage.exits == [D("0.6"), D("0.6")]
    stage.exit_fill("0.6")
    assert not stage.state.status.terminal, "not before its exit is over"
    stage.exit_done()
    assert stage.state.status is AlgoStatus.COMPLETED


def test_an_exit_that_finds_nothing_ends_it() -> None:
    stage = ProtectionStage()
    stage.refuse(stage.names()[0], Cause.TRIGGERED)
    stage.exit_done()
    assert stage.state.status is AlgoStatus.COMPLETED
    assert stage.state.residual == 0


@pytest.mark.parametrize("word", ["stop", "take_profit"])
def test_a_trigger_that_has_passed_closes_at_once(word) -> None:
    stage = ProtectionStage(**BOTH)
    stage.refuse(stage.names(word)[0], Cause.TRIGGERED)
    assert stage.exits == [D(1)]
    (asked,) = stage.asked(Exit)
    assert asked.origin is (Origin.STOP if word == "stop" else Origin.TAKE_PROFIT)
    assert stage.state.triggered_by == word


def test_a_trigger_ends_the_entry_and_closes_what_it_still_brings() -> None:
    stage = ProtectionStage(entry=True)
    stage.entered("0.5")
    stage.accept()
    (stop,) = stage.names()
    stage.fire(stop)
    assert stage.asked(StopEntry) == [StopEntry(ENTRY, "protection_triggered")]
    stage.fill(stop, "0.5")
    assert not stage.state.status.terminal
    stage.entered("0.7")
    assert stage.exits == [D("0.2")]
    stage.exit_fill("0.2")
    stage.entered("0.7", live=False)
    stage.exit_done()
    assert stage.state.status is AlgoStatus.COMPLETED
    assert stage.closed == D("0.7")


def test_a_triggered_limit_order_rests_and_a_cancel_takes_it_too() -> None:
    stage = armed(stop=leg("90", "89"))
    (stop,) = stage.names()
    stage.fire(stop)
    assert not stage.exits
    stage.give(step.CancelRequest(stage.now, "cancelled_by_command"))
    assert len(stage.asked(CancelChild)) == 1
    stage.confirm()
    assert stage.state.status is AlgoStatus.CANCELLED
    assert stage.state.residual == 1


def test_a_late_fill_is_booked_after_the_end() -> None:
    stage = armed()
    stage.give(step.CancelRequest(stage.now, "cancelled_by_command"))
    stage.confirm()
    stage.exit_fill("0.3")
    assert stage.state.filled_quantity == D("0.3")
    assert stage.state.residual == D("0.7")
    assert stage.give(step.Timer(stage.now, None)) == ()


# --- refused ------------------------------------------------------------------------------------------


def held() -> ProtectionStage:
    stage = ProtectionStage(entry=True)
    stage.entered("0.5")
    for _ in range(3):
        stage.refuse(stage.names()[0])
        stage.run(250)
    return stage


def test_refused_three_times_the_daemon_holds_the_trigger_and_the_entry_goes() -> None:
    stage = held()
    assert len(stage.asked(PlaceChild)) == 3
    assert stage.state.watch
    assert stage.state.word == "blind"
    assert stage.asked(StopEntry) == [StopEntry(ENTRY, "protection_blind")]
    assert protection_told.view_protection(stage.state).unserved == "stop: -1: no"
    assert protection_told.view_protection(stage.state).follows == "mark"
    stage.mark("90.1")
    assert not stage.exits
    stage.mark("90")
    assert stage.exits == [D("0.5")]


def test_a_held_trigger_goes_back_to_the_venue_once_it_takes_it() -> None:
    stage = held()
    stage.run(60_000)
    assert len(stage.asked(PlaceChild)) == 4
    stage.accept()
    assert not stage.state.watch
    assert stage.state.word == "placed"
    assert protection_told.view_protection(stage.state).unserved == ""
    assert stage.mark("80") == ()
    assert not stage.exits


def test_a_refused_move_leaves_the_old_order_and_holds_the_new_price() -> None:
    stage = armed()
    stage.give(protecting.ProtectRequest(stage.now, "stop", D("95")))
    for _ in range(3):
        stage.run(250)
        stage.refuse(stage.names()[-1])
    assert stage.standing() == [("90", D(1))]
    assert stage.state.watch
    stage.mark("95")
    assert stage.exits == [D(1)]
    assert len(stage.asked(CancelChild)) == 1


def test_what_was_not_done_is_no_refusal() -> None:
    stage = ProtectionStage()
    for number in range(5):
        stage.refuse(stage.names()[0], refused=False, retry_at=stage.now + 300)
        assert stage.state.watch, "nothing of it stands: its price is watched"
        stage.run(300)
        assert len(stage.asked(PlaceChild)) == number + 2
    assert not stage.state.legs[0].refusals


def test_the_market_price_is_watched_by_the_mid_and_by_the_mark_where_there_is_no_book() -> None:
    stage = ProtectionStage(stop=leg("90", working_type="CONTRACT_PRICE"))
    assert stage.mark("80") == ()
    stage.refuse(stage.names()[0])
    assert protection_told.view_protection(stage.state).follows == "mid"
    assert stage.mark("80") == (), "a mark is not the market's price"
    assert stage.move("91") == ()
    assert stage.state.mid == 91
    other = ProtectionStage(stop=leg("90", working_type="CONTRACT_PRICE"))
    other.refuse(other.names()[0])
    other.mark("89", quoted=False)
    assert other.exits == [D(1)]
    stage.move("90", "95")
    assert stage.exits == [D(1)], "a low that was conflated away counts"


def test_a_short_is_protected_the_other_way_round() -> None:
    stage = ProtectionStage(side=Side.BUY, stop=leg("110"), take_profit=leg("90"))
    for name in (*stage.names(), *stage.names("take_profit")):
        stage.refuse(name)
    stage.mark("100")
    assert not stage.exits
    stage.mark("110")
    assert stage.exits == [D(1)]
    assert stage.state.triggered_by == "stop"


def test_an_order_that_the_venue_ended_is_put_back() -> None:
    stage = armed()
    stage.report(stage.names()[0], VenueStatus.EXPIRED, cause=Cause.REDUCE_ONLY)
    stage.run(250)
    assert len(stage.asked(PlaceChild)) == 2
    stage.accept()
    assert stage.standing() == [("90", D(1))]


def test_an_order_that_somebody_took_away_ends_its_leg_and_the_last_one_all() -> None:
    stage = armed(**BOTH)
    stage.report(stage.names()[0], VenueStatus.CANCELLED)
    stage.run(60_000)
    assert not stage.names()
    assert stage.standing("take_profit")
    assert not stage.state.status.terminal
    stage.report(stage.names("take_profit")[0], VenueStatus.CANCELLED)
    assert (stage.state.status, stage.state.reason) == (AlgoStatus.CANCELLED, "child_cancelled_externally")


# --- without the venue's flag -------------------------------------------------------------------------


def bare(**asked: object) -> ProtectionStage:
    stage = ProtectionStage(entry=True, **asked)
    stage.opposed()
    return stage


def test_without_the_flag_only_the_stop_is_at_the_venue_and_the_other_price_is_held_here() -> None:
    stage = bare(**BOTH)
    stage.entered("1")
    stage.accept()
    assert stage.standing() == [("90", D(1))]
    assert not stage.names("take_profit")
    assert stage.state.watch
    stage.mark("110")
    assert stage.exits == [D(1)]
    assert stage.state.triggered_by == "take_profit"
    assert len(stage.asked(CancelChild)) == 1


def test_without_the_flag_more_of_it_is_one_order_more() -> None:
    stage = bare()
    for number in range(1, 4):
        stage.entered(str(number))
        stage.run(30)
    assert [a.quantity for a in stage.asked(PlaceChild)] == [D(1), D(1), D(1)]
    stage.accept()
    assert not stage.asked(CancelChild)
    stage.hold("2.5")
    assert (len(stage.asked(CancelChild)), len(stage.asked(PlaceChild))) == (1, 3), "old before new"
    stage.settle()
    assert sum(quantity for _, quantity in stage.standing()) == D("2.5")


def test_without_the_flag_a_move_is_old_before_new() -> None:
    stage = bare()
    stage.entered("1")
    stage.settle()
    stage.give(protecting.ProtectRequest(stage.now, "stop", D("95"), quantity=D("0.5")))
    stage.run(30)
    assert len(stage.asked(CancelChild)) == 1
    assert len(stage.asked(PlaceChild)) == 1
    assert stage.state.watch, "meanwhile its price is held here"
    stage.settle()
    assert stage.standing() == [("95", D("0.5"))]


def test_orders_change_their_form_with_the_account() -> None:
    stage = armed(**BOTH)
    stage.opposed()
    assert len(stage.asked(CancelChild)) == 2
    stage.settle()
    assert stage.standing() == [("90", D(1))]
    assert stage.state.legs[0].orders[0].bare
    stage.opposed(False)
    assert len(stage.asked(PlaceChild)) == 4, "the take-profit at once, the stop after the bare one"
    stage.settle()
    assert not stage.state.legs[0].orders[0].bare
    assert stage.standing("take_profit") == [("110", D(1))]
    assert not stage.state.watch


def test_beside_others_on_its_side_no_more_than_its_part_stands_with_the_flag_either() -> None:
    stage = armed(**BOTH)
    stage.opposed(False, most="0.5")
    stage.settle()
    stage.settle()
    assert stage.standing() == [("90", D("0.5"))]
    assert stage.standing("take_profit") == []
    assert not any(order.bare for order in stage.state.orders)


def test_orders_of_a_leg_are_bounded() -> None:
    stage = bare()
    for number in range(1, 12):
        stage.entered(str(number))
        stage.run(30)
    assert len(stage.names()) == 8
    flagged = ProtectionStage(entry=True)
    for number in range(1, 12):
        flagged.entered(str(number))
        flagged.run(30)
    assert len(flagged.names()) == 8
    flagged.settle()
    assert flagged.standing() == [("90", D(11))]


def test_in_which_form_an_order_came_out_is_newer_than_what_was_told() -> None:
    stage = ProtectionStage()
    stage.book[stage.names()[0]] = msgspec.structs.replace(stage.book[stage.names()[0]], flagged=False)
    stage.accept()
    assert stage.state.bare
    assert not stage.asked(CancelChild)
    stage.opposed(False)
    assert len(stage.asked(CancelChild)) == 1
    assert len(stage.asked(PlaceChild)) == 1
    stage.settle()
    assert stage.standing() == [("90", D(1))]


def test_one_that_comes_out_with_the_flag_after_all_is_bounded_as_before() -> None:
    """It is for less than the account's net; what else waits for the position may be for more."""
    stage = bare()
    stage.opposed(most="0.4")
    stage.entered("1")
    (stop,) = stage.names()
    stage.book[stop] = msgspec.structs.replace(stage.book[stop], flagged=True)
    stage.accept()
    stage.run(1000)
    assert (stage.state.allowed, stage.standing()) == (D("0.4"), [("90", D("0.4"))])
    stage.opposed(most="0")
    stage.settle()
    assert stage.standing() == []


def test_without_the_flag_no_more_stands_than_is_free_and_the_rest_is_closed_by_an_exit() -> None:
    stage = ProtectionStage(entry=True)
    stage.opposed(most="0.4")
    stage.entered("1")
    stage.accept()
    assert stage.standing() == [("90", D("0.4"))]
    (stop,) = stage.names()
    stage.fill(stop, "0.4")
    assert stage.exits == [D("0.6")]
    other = ProtectionStage(entry=True)
    other.opposed(most="0")
    other.entered("1")
    assert not other.names()
    other.mark("90")
    assert other.exits == [D(1)]
