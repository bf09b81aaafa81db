"""twap, style `chase`, and the price limit in both styles."""

from __future__ import annotations

from decimal import Decimal

import pytest

from algos import step
from algos.children import ChildDone, ChildReport, StopChild
from algos.step import PlaceChild
from algos.twap_told import report_twap, view_twap
from schemas.chase import AlgoStatus
from tests.pure.algos.stage import BUY, SELL, T0, quote, rules
from tests.pure.algos.twap_stage import MINUTE, TwapStage

D = Decimal


def chasing(**asked: object) -> TwapStage:
    return TwapStage(style="chase", **asked)


# --- child chases -----------------------------------------------------------------------------------


def test_each_slot_has_a_chase_with_its_lot_and_its_time() -> None:
    stage = chasing(lots=2, leverage=4, child_timeout_ms=48_000)
    (asked,) = stage.spawned
    assert (asked.symbol, asked.side, asked.quantity, asked.leverage) == ("BTCUSDT", BUY, D("0.5"), 4)
    assert (asked.deadline_seconds, asked.on_deadline, asked.reduce_only, asked.on_stop) == (
        48,
        "cancel",
        False,
        "cancel",
    )
    first = stage.worker
    stage.child_ends("0.5")
    assert (stage.state.worker, stage.state.filled_lots) == (None, 1)
    stage.run(MINUTE)
    assert stage.worker != first
    stage.child_ends("0.5")
    assert (stage.state.status, stage.state.avg_price) == ("completed", 100)
    assert stage.state.fees == {"USDT": D("0.020")}
    assert stage.at() == [(0, D("0.5")), (60, D("0.5"))]


def test_a_reduce_only_chase_stays_over_a_stop() -> None:
    (asked,) = chasing(reduce_only=True, side=SELL).spawned
    assert (asked.reduce_only, asked.on_stop) == (True, "leave")


def test_the_same_report_twice_adds_nothing() -> None:
    stage = chasing()
    stage.child_tells("0.04")
    told = stage.state
    assert stage.child_tells("0.04") == ()
    assert stage.state is told
    stage.child_tells("0.07", order_id="o-1", price="101")
    assert (stage.state.filled_quantity, stage.state.quote_filled) == (D("0.07"), D("7.07"))
    assert stage.state.fees == {"USDT": D("0.0014")}


def test_a_chase_out_of_time_hands_its_rest_to_the_market() -> None:
    stage = chasing(on_child_fail="market")
    stage.run(48_000)
    stage.child_ends("0.03", "deadline")
    assert stage.placed == [D("0.07")]
    stage.take("0.05")
    assert stage.state.rest == D("0.92")
    stage.run(12_000)
    assert stage.spawned[-1].quantity == D("0.12"), "and the next slot has a chase again"


def test_a_chase_out_of_time_carries_its_rest_where_that_is_asked_for() -> None:
    stage = chasing(on_child_fail="carry")
    stage.child_ends("0.03", "deadline")
    assert stage.placed == []
    stage.run(MINUTE)
    assert stage.spawned[-1].quantity == D("0.17")


@pytest.mark.parametrize("status", [AlgoStatus.FAILED, AlgoStatus.CANCELLED])
def test_a_failed_chase_hands_over_and_one_that_somebody_ended_carries(status) -> None:
    stage = chasing()
    stage.child_ends("0.03", "child_cancelled_externally", status=status)
    assert stage.placed == ([D("0.07")] if status is AlgoStatus.FAILED else [])
    stage.run(MINUTE)
    if status is AlgoStatus.CANCELLED:
        assert stage.spawned[-1].quantity == D("0.17")


def test_what_a_chase_leaves_below_the_minimum_is_carried() -> None:
    stage = chasing()
    stage.child_ends("0.08", "deadline")
    assert stage.placed == []
    stage.run(MINUTE)
    assert stage.spawned[-1].quantity == D("0.12")


def test_a_chase_that_still_works_when_the_next_slot_is_due_is_waited_for() -> None:
    stage = chasing(child_timeout_ms=90_000)
    assert stage.run(90_000) == []
    stage.child_ends("0.04", "deadline")
    assert stage.placed == []
    assert stage.spawned[-1].quantity == D("0.16"), "the slot that waited takes the rest along, by its own chase"
    assert stage.state.slot == 1


def test_a_fallback_on_stale_prices_waits_and_is_carried_once_the_next_slot_is_due() -> None:
    stage = chasing()
    stage.health("book")
    stage.child_ends("0", "deadline")
    assert (stage.placed, stage.state.falling_back) == ([], True)
    stage.run(MINUTE)
    stage.health("")
    assert stage.placed == []
    assert stage.spawned[-1].quantity == D("0.2")


def test_a_pause_stops_the_chase_and_carries_its_rest() -> None:
    stage = chasing()
    stage.give(step.PauseRequest(stage.now, "paused_by_command"))
    assert stage.asked(StopChild) == [StopChild(stage.worker, "paused_by_command")]
    stage.child_tells("0.02")
    assert len(stage.asked(StopChild)) == 1, "told once"
    stage.child_ends("0.02", "paused_by_command")
    assert (stage.state.status, stage.placed) == ("paused", [])
    stage.give(step.ResumeRequest(stage.now, stage.touch))
    assert stage.idle
    stage.run(MINUTE)
    assert stage.spawned[-1].quantity == D("0.18")


def test_a_cancel_waits_for_the_chase_to_be_gone() -> None:
    stage = chasing()
    stage.give(step.CancelRequest(stage.now, "asked"))
    assert stage.state.status == "stopping"
    stage.child_ends("0.1")
    state = stage.state
    assert (state.status, state.filled_quantity, state.residual) == ("cancelled", D("0.1"), D("0.9"))


def test_a_cancel_that_meets_the_last_fill_is_completed() -> None:
    stage = chasing(lots=1)
    stage.give(step.CancelRequest(stage.now, "asked"))
    stage.child_ends("1")
    assert (stage.state.status, stage.state.residual) == ("completed", 0)


def test_a_late_fill_of_an_ended_chase_is_booked_also_after_the_end() -> None:
    stage = chasing()
    first = stage.worker
    stage.child_ends("0.03", "deadline")
    stage.take()
    stage.child_ends("0.04", "deadline", child=first)
    assert stage.state.filled_quantity == D("0.11")
    assert stage.child_ends("0.04", "deadline", child=first) == ()
    stage.give(step.CancelRequest(stage.now, "asked"))
    stage.child_ends("0.05", "deadline", child=first)
    assert (stage.state.filled_quantity, stage.state.residual) == (D("0.12"), D("0.88"))
    stranger = ChildReport("c-nobody", 0, AlgoStatus.FILLED, filled_quantity=D(5))
    assert stage.give(ChildDone(stage.now, stranger)) == ()


def test_a_chase_whose_record_is_lost_takes_back_nothing_that_it_told() -> None:
    stage = chasing()
    stage.child_tells("0.06")
    stage.child_ends("0.01", "record_lost", status=AlgoStatus.FAILED)
    assert stage.state.filled_quantity == D("0.06")


def test_only_the_newest_workers_are_remembered() -> None:
    stage = chasing(lots=20, quantity="2")
    for _ in range(20):
        if stage.state.worker is not None:
            stage.child_ends("0.1")
        stage.run(MINUTE)
    assert stage.state.status == "completed"
    assert len(stage.state.past) == 16


def test_a_blocked_chase_blocks_its_parent_with_its_reason() -> None:
    stage = chasing()
    stage.child_tells(status=AlgoStatus.BLOCKED, reason="refused -1111")
    assert (stage.state.status, stage.state.reason) == ("blocked", "refused -1111")
    stage.child_tells(status=AlgoStatus.ACTIVE)
    assert (stage.state.status, stage.state.reason) == ("active", "")


def test_after_a_crash_the_chase_goes_on_or_is_stopped_again() -> None:
    stage = chasing()
    stage.child_tells("0.02")
    stage.restart()
    assert stage.asked(StopChild) == []
    stage.give(step.CancelRequest(stage.now, "asked"))
    stage.restart(epoch=1_700_000_009)
    assert [action.reason for action in stage.asked(StopChild)] == ["asked", "asked"]
    stage.child_ends("0.02", "asked")
    assert stage.state.status == "cancelled"


def test_after_a_long_absence_the_chase_is_stopped_and_the_rest_waits() -> None:
    stage = chasing()
    stage.restart("down_too_long")
    assert [action.reason for action in stage.asked(StopChild)] == ["down_too_long"]
    stage.child_ends("0", "down_too_long")
    assert stage.run(MINUTE) == []


def test_its_view_and_report_show_the_chases_order() -> None:
    stage = chasing()
    stage.child_tells("0.01", order_id="o-7")
    assert view_twap(stage.state).child_algos == (stage.worker,)
    assert report_twap(stage.state).order_id == "o-7"
    stage.child_ends("0.1")
    assert report_twap(stage.state).order_id == ""
    assert stage.state.next_lot_at == T0 + MINUTE


def test_in_the_extension_no_further_lot_is_announced_while_the_last_is_worked_on() -> None:
    stage = chasing(lots=1)
    assert stage.state.next_lot_at == 0
    stage.child_ends("0.2", "somebody")
    assert stage.state.next_lot_at == T0 + MINUTE


# --- the price limit --------------------------------------------------------------------------------

AWAY = {BUY: (1100, 1110), SELL: (900, 910)}


def at_limit(on_limit: str, side=BUY, style: str = "market", **asked: object) -> TwapStage:
    """The first lot is done; the market then leaves, before the second is due."""
    limit = "105" if side is BUY else "95"
    stage = TwapStage(side=side, style=style, price_limit=limit, on_limit=on_limit, **asked)
    (stage.take if style == "market" else stage.child_ends)("0.1")
    stage.move(*AWAY[side], 1000)
    stage.run(MINUTE)
    return stage


@pytest.mark.parametrize("style", ["market", "chase"])
@pytest.mark.parametrize("side", [BUY, SELL])
def test_skip_carries_the_lot_until_the_price_is_back(side, style) -> None:
    stage = at_limit("skip", side, style)
    assert (len(stage.at()), stage.state.reason, stage.state.slot) == (1, "price_limit", 1)
    stage.run(MINUTE)
    assert len(stage.at()) == 1
    stage.move(1000, 1010, 0)
    assert len(stage.at()) == 1, "lots leave at their times"
    stage.run(MINUTE)
    assert stage.at()[-1] == (180, D("0.3"))
    assert stage.state.reason == ""


def test_a_mid_on_the_limit_is_not_beyond_it() -> None:
    stage = TwapStage(price_limit="100.5")
    assert stage.placed == [D("0.1")]
    assert TwapStage(price_limit="100.4").placed == []
    assert TwapStage(price_limit="100.5", side=SELL).placed == [D("0.1")]
    assert TwapStage(price_limit="100.6", side=SELL).placed == []


@pytest.mark.parametrize("on_limit", ["skip", "execute"])
def test_a_lot_that_is_tried_again_in_its_slot_is_judged_anew(on_limit) -> None:
    stage = TwapStage(price_limit="105", on_limit=on_limit)
    stage.refuse(refused=False, throttled=True)
    stage.move(1100, 1110)
    stage.give(step.Budget(stage.now, "", stage.touch))
    assert stage.placed == ([D("0.1")] if on_limit == "skip" else [D("0.1"), D("1")])
    assert stage.state.slot_left == 0


def test_skipped_to_the_end_it_expires_with_the_limit_as_the_reason() -> None:
    stage = at_limit("skip", lots=10)
    stage.run(20 * MINUTE)
    assert (stage.state.status, stage.state.reason, stage.state.residual) == ("expired", "price_limit", D("0.9"))


def test_pause_waits_for_a_resume() -> None:
    stage = at_limit("pause")
    assert (stage.state.status, stage.state.paused) == ("paused", "price_limit")
    stage.move(1000, 1010)
    assert stage.state.status == "paused"
    stage.give(step.ResumeRequest(stage.now, stage.touch))
    assert stage.state.reason == ""
    stage.run(MINUTE)
    assert stage.placed == [D("0.1"), D("0.2")]


def test_end_expires_with_what_is_missing() -> None:
    stage = at_limit("end")
    assert (stage.state.status, stage.state.reason, stage.state.residual) == ("expired", "price_limit", D("0.9"))


def test_execute_sends_the_rest_now_whatever_the_plan_says() -> None:
    stage = at_limit("execute")
    assert stage.at() == [(0, D("0.1")), (60, D("0.9"))]
    assert stage.state.next_lot_at == 0
    stage.take()
    assert (stage.state.status, stage.state.filled_quantity) == ("completed", 1)


def test_execute_tries_three_times_and_names_the_rest() -> None:
    """Execution.md 8."""
    stage = at_limit("execute")
    stage.take("0.3")
    stage.take("0.2")
    stage.miss()
    assert [quantity for _, quantity in stage.at()] == [D("0.1"), D("0.9"), D("0.6"), D("0.4")]
    assert (stage.state.status, stage.state.reason, stage.state.residual) == ("expired", "price_limit", D("0.4"))


def test_execute_gives_up_after_two_seconds_and_paces_refusals() -> None:
    stage = at_limit("execute")
    stage.refuse()
    assert len(stage.placed) == 2
    stage.run(250)
    assert len(stage.placed) == 3
    stage.lose()
    stage.run(2_000)
    stage.miss()
    assert (stage.state.status, stage.state.residual) == ("expired", D("0.9"))


def test_execute_waits_for_prices_and_for_its_turn_and_leaves_dust() -> None:
    stage = at_limit("execute")
    stage.refuse(refused=False, throttled=True)
    stage.run(5000)
    assert len(stage.placed) == 2
    stage.health("book")
    stage.give(step.Budget(stage.now, "", stage.touch))
    assert len(stage.placed) == 2
    stage.health("")
    assert len(stage.placed) == 3
    stage.take("0.87")
    assert (stage.state.status, stage.state.reason, stage.state.residual) == ("completed", "below_minimum", D("0.03"))


def test_execute_of_what_became_too_small_is_expired() -> None:
    stage = TwapStage(lots=1, quantity="0.05", price_limit="80", on_limit="execute", side=SELL)
    stage.miss()
    stage.move(700, 710, 0)
    stage.run(MINUTE)
    assert (stage.state.status, stage.state.residual) == ("expired", D("0.05"))


@pytest.mark.parametrize(
    ("on_limit", "status"), [("skip", "active"), ("pause", "paused"), ("end", "expired"), ("execute", "active")]
)
def test_a_chase_is_stopped_when_the_market_leaves_it_behind(on_limit, status) -> None:
    stage = chasing(price_limit="105", on_limit=on_limit)
    stage.child_tells("0.02")
    stage.run(1000)
    stage.touch = quote(1100, 1110, stage.now)
    stage.give(stage.touch)
    assert stage.asked(StopChild) == [StopChild(stage.worker, "price_limit")]
    stage.give(quote(1101, 1111, stage.now))
    assert len(stage.asked(StopChild)) == 1
    stage.child_ends("0.02", "price_limit")
    assert stage.state.status == status
    assert stage.placed == ([D("0.98")] if on_limit == "execute" else [])


def test_a_chase_skipped_while_prices_are_stale_is_left_alone() -> None:
    stage = chasing(price_limit="105")
    stage.health("book")
    stage.give(quote(1100, 1110, stage.now))
    assert stage.asked(StopChild) == []


def test_execute_of_a_rest_above_max_qty_leaves_in_parts() -> None:
    stage = TwapStage(instrument=rules(max_qty="1"), quantity="5", lots=5, price_limit="105", on_limit="execute")
    stage.take()
    stage.move(1100, 1110, 0)
    stage.run(MINUTE)
    for _ in range(3):
        stage.take()
    assert [action.quantity for action in stage.asked(PlaceChild)] == 4 * [D(1)]
    assert (stage.state.status, stage.state.residual) == ("expired", 1)


def test_a_blocked_execute_ends_with_the_schedule() -> None:
    stage = at_limit("execute")
    stage.give(step.StreamHealth(stage.now, "", False, stage.touch, "halted"))
    stage.miss()
    stage.run(30 * MINUTE)
    assert (stage.state.status, len(stage.placed)) == ("expired", 2)
