"""What a chase does while something is missing, when it is paused, stopped and resumed (laws 5 and 8)."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from algos import step
from algos.registry import CHASE
from algos.step import AmendChild, CancelChild, OrderUpdate, PlaceChild
from schemas.chase import AlgoStatus
from schemas.ids import OrderId, make, parse
from schemas.market import Side
from schemas.orders import Cause, Order, OrderState, Origin
from schemas.reports import VenueStatus
from tests.pure.algos.stage import EPOCH, WHO, Stage, rules

D = Decimal
CANCELLED = VenueStatus.CANCELLED
S = 1000


def resting(**asked: object) -> Stage:
    stage = Stage(**asked)
    stage.accept()
    stage.run(S)
    return stage


# --- law 5 --------------------------------------------------------------------------------------------


def test_stale_data_means_hold_and_the_resting_child_stays() -> None:
    stage = resting()
    assert stage.health("book") == ()
    assert (stage.state.status, stage.state.hold) == (AlgoStatus.THROTTLED, "book")
    assert stage.move(1005, 1015) == ()
    (amend,) = stage.health("")
    assert isinstance(amend, AmendChild)
    assert stage.state.status is AlgoStatus.ACTIVE


def test_nothing_is_placed_while_it_holds() -> None:
    stage = Stage()
    stage.refuse()
    stage.health("user_stream")
    assert stage.move(1005, 1015) == ()
    (place,) = stage.health("")
    assert isinstance(place, PlaceChild)


def test_cancels_go_while_it_holds() -> None:
    stage = resting()
    stage.health("book")
    (cancel,) = stage.give(step.CancelRequest(stage.now, "asked"))
    assert isinstance(cancel, CancelChild)


def test_without_a_price_an_alarm_changes_nothing() -> None:
    stage = resting(reprice_min_ms=2000)
    stage.move(1005, 1015, after_ms=0)
    stage.touch = None
    assert stage.run(5 * S) == []
    (amend,) = stage.move(1006, 1016)
    assert amend.price == D("100.6")


def test_a_limit_is_not_judged_on_stale_prices() -> None:
    stage = resting(max_distance_pct="1", stalk_mode="none")
    stage.health("book")
    assert stage.move(1100, 1110) == ()
    (cancel,) = stage.health("")
    assert isinstance(cancel, CancelChild)


def test_a_deadline_is_kept_while_it_holds() -> None:
    stage = resting(deadline_seconds="5")
    stage.health("book")
    (cancel,) = stage.run(5 * S)
    assert isinstance(cancel, CancelChild)


def test_a_limit_reached_while_it_holds_is_taken_when_the_hold_ends() -> None:
    stage = resting(deadline_seconds="5", on_deadline="take")
    stage.health("book")
    stage.run(4 * S)
    assert stage.accept() == ()
    stage.run(20 * S)
    (place,) = stage.health("")
    assert place.time_in_force == "IOC"


@pytest.mark.parametrize("reduce_only, leaves", [(False, True), (True, False)])
def test_a_risk_adding_child_leaves_the_market_when_the_hold_is_long(reduce_only, leaves) -> None:
    stage = resting(reduce_only=reduce_only)
    stage.health("redis")
    actions = stage.health("redis", withdraw=True)
    assert bool(actions) is leaves
    if leaves:
        assert stage.accept() == ()
        assert stage.move(1001, 1011) == ()
        (place,) = stage.health("")
        assert isinstance(place, PlaceChild)


# --- paused -------------------------------------------------------------------------------------------


def test_a_paused_chase_takes_its_child_away_and_comes_back_for_the_rest() -> None:
    stage = resting()
    stage.fill("0.4")
    (cancel,) = stage.give(step.PauseRequest(stage.now, "looking"))
    assert isinstance(cancel, CancelChild)
    assert stage.accept() == ()
    assert (stage.state.status, stage.state.paused) == (AlgoStatus.PAUSED, "looking")
    told = CHASE.event("chase_progress", stage.state, stage.now)
    assert (told.reason, told.arrival_mid, told.slippage_bps) == ("looking", D("100.5"), D("-49.75"))
    assert stage.move(1005, 1015) == ()
    (place,) = stage.give(step.ResumeRequest(stage.now, stage.touch))
    assert place.quantity == D("0.6")
    assert stage.state.status is AlgoStatus.ACTIVE


def test_what_fills_while_it_is_paused_ends_it() -> None:
    stage = resting()
    stage.give(step.PauseRequest(stage.now, "looking"))
    stage.fill("1")
    stage.give(step.ResumeRequest(stage.now, stage.touch))
    assert stage.state.status is AlgoStatus.FILLED


# --- law 8: a stop is a checkpoint --------------------------------------------------------------------


def test_a_stop_cancels_the_child_and_the_next_life_goes_on_with_the_rest() -> None:
    stage = resting()
    stage.fill("0.4")
    (cancel,) = stage.give(step.StopRequest(stage.now))
    assert isinstance(cancel, CancelChild)
    assert stage.accept() == ()
    assert not stage.state.status.terminal
    assert stage.move(1005, 1015) == ()
    (place,) = stage.restart()
    assert place.quantity == D("0.6")
    assert parse(place.client_order_id) == OrderId("main", WHO.algo_id, EPOCH + 1, 0, 1)


def test_a_stop_leaves_the_child_where_asked_and_the_next_life_takes_it_over() -> None:
    stage = resting(on_stop="leave")
    assert stage.give(step.StopRequest(stage.now)) == ()
    stage.restart()
    assert len(stage.asked(PlaceChild)) == 1
    (amend,) = stage.move(1005, 1015)
    assert amend.quantity == D(1)


def test_a_stop_without_a_child_places_none() -> None:
    stage = Stage(on_stop="leave")
    stage.refuse()
    stage.give(step.StopRequest(stage.now))
    assert stage.run(60 * S) == []


def test_a_stop_during_a_placing_cancels_what_comes_to_rest() -> None:
    stage = Stage()
    assert stage.give(step.StopRequest(stage.now)) == ()
    (cancel,) = stage.accept()
    assert isinstance(cancel, CancelChild)


# --- resumed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduce_only, status", [(False, AlgoStatus.PAUSED), (True, AlgoStatus.ACTIVE)])
def test_after_a_long_absence_risk_adding_comes_back_paused(reduce_only, status) -> None:
    """execution.md 25."""
    stage = resting(reduce_only=reduce_only)
    stage.restart(pause="down_too_long")
    assert stage.state.status is status
    assert bool(stage.asked(CancelChild)) is not reduce_only


def test_a_pause_by_hand_outlives_a_restart() -> None:
    stage = resting()
    stage.give(step.PauseRequest(stage.now, "looking"))
    stage.accept()
    assert stage.restart() == ()
    assert stage.state.paused == "looking"


def test_an_ending_under_way_outlives_a_restart() -> None:
    stage = resting()
    stage.give(step.CancelRequest(stage.now, "asked"))
    stage.restart()
    stage.end(CANCELLED, while_down=True)
    assert (stage.state.status, stage.state.reason) == (AlgoStatus.CANCELLED, "asked")


@pytest.mark.parametrize("reduce_only", [False, True])
def test_a_child_cancelled_by_nobody_knows_whom_while_down_pauses_what_adds_risk(reduce_only) -> None:
    stage = resting(reduce_only=reduce_only)
    stage.health("recovering")
    stage.end(CANCELLED, while_down=True)
    stage.restart()
    if reduce_only:
        assert len(stage.asked(PlaceChild)) == 2
    else:
        assert (stage.state.status, stage.state.paused) == (AlgoStatus.PAUSED, "child_cancelled_while_down")


def test_a_cancel_of_ours_that_was_done_while_down_does_not_pause() -> None:
    stage = resting()
    stage.give(step.StopRequest(stage.now))
    stage.health("recovering")
    stage.end(CANCELLED, while_down=True)
    (place,) = stage.restart()
    assert isinstance(place, PlaceChild)


def test_a_child_that_filled_while_down_ends_the_chase() -> None:
    stage = resting()
    stage.health("recovering")
    stage.fill("1")
    assert stage.state.status is AlgoStatus.FILLED


def adopted(stage: Stage, quantity: str, filled: str = "0", epoch: int = EPOCH - 1) -> Order:
    """A resting order of the chase that its record does not know."""
    return Order(
        client_order_id=make(OrderId("main", WHO.algo_id, epoch, 0, 7)),
        sub_account_id="main",
        symbol="BTCUSDT",
        side=Side.BUY,
        order_type="LIMIT",
        time_in_force="GTX",
        quantity=D(quantity),
        price=D("99.5"),
        reduce_only=False,
        state=OrderState.ACTIVE,
        origin=Origin.RECOVERED,
        parent_id=WHO.algo_id,
        root_id="",
        created_at=stage.now,
        updated_at=stage.now,
        exchange_order_id=77,
        filled_qty=D(filled),
    )


def adopt(stage: Stage, order: Order) -> None:
    stage.orders[order.client_order_id] = order
    stage.give(OrderUpdate(stage.now, order, quote=stage.touch, while_down=True, adopt=True))


def test_a_resting_order_of_ours_is_adopted_as_the_child() -> None:
    """execution.md 23: price, filled and exchange id are taken over, the rest is counted anew."""
    stage = Stage()
    stage.refuse()
    stage.health("recovering")
    stage.run(S)
    order = adopted(stage, "1")
    adopt(stage, order)
    child = stage.child
    assert (child.client_order_id, child.price, child.ticks) == (order.client_order_id, D("99.5"), 995)
    (amend,) = stage.restart()
    assert (amend.price, amend.quantity) == (D(100), D(1))


def test_an_adopted_order_that_asks_too_much_is_amended_down() -> None:
    """Law 2 is counted anew after all fills are booked."""
    stage = resting()
    stage.fill("0.4")
    stage.give(step.PauseRequest(stage.now, "looking"))
    stage.accept()
    stage.give(step.ResumeRequest(stage.now, None))
    stage.health("recovering")
    adopt(stage, adopted(stage, "1"))
    (amend,) = stage.restart()
    assert amend.quantity == D("0.6")


def test_an_order_is_not_adopted_over_a_child_nor_once_it_ended() -> None:
    stage = resting()
    before = stage.state
    adopt(stage, adopted(stage, "1"))
    assert stage.state is before
    other = Stage()
    other.refuse()
    ended = msgspec.structs.replace(adopted(other, "1"), state=OrderState.CANCELLED)
    adopt(other, ended)
    assert other.state.child is None


def test_a_written_and_restored_record_is_the_same() -> None:
    stage = resting(deadline_seconds="60", max_distance_pct="1")
    stage.fill("0.4")
    stage.move(1005, 1015)
    body = msgspec.json.encode(stage.state)
    assert msgspec.json.decode(body, type=type(stage.state)) == stage.state


# --- filters change -----------------------------------------------------------------------------------


def test_a_new_grid_counts_everything_kept_in_ticks_anew() -> None:
    """Law 6: filters can change while an algo lives."""
    stage = resting(max_distance_pct="1")
    fine = rules(tick="0.01")
    assert stage.give(step.InstrumentChanged(stage.now, fine)) == ()
    state = stage.state
    assert (state.child.ticks, state.anchor_ticks, state.arrival_mid2) == (10_000, 10_000, 20_100)
    assert state.limit_mid2 == 20_301
    assert stage.move(10_000, 10_100) == ()
    (amend,) = stage.move(10_003, 10_100)
    assert amend.price == D("100.03")


@pytest.mark.parametrize("side, anchor", [(Side.BUY, 40), (Side.SELL, 41)])
def test_a_ratchet_outlives_a_new_grid(side, anchor) -> None:
    stage = Stage(side=side, stalk_mode="trail")
    stage.refuse(Cause.MARGIN)
    stage.give(step.InstrumentChanged(stage.now, rules(tick="2.5")))
    assert stage.state.anchor_ticks == anchor
    assert stage.move(50, 51, 0) == stage.move(30, 31, 0) == ()  # the throttle still runs
    stage.run(S)
    (place,) = stage.asked(PlaceChild)[1:]
    assert place.price == (D(75) if side is Side.BUY else D("102.5"))


# --- the rate budget (execution.md 18) ------------------------------------------------------------------


def test_while_the_budget_is_scarce_only_large_moves_reprice_and_the_record_says_so() -> None:
    stage = resting()
    stage.give(step.Budget(stage.now, "scarce", stage.touch))
    assert stage.state.status is AlgoStatus.THROTTLED
    assert stage.move(1003, 1013) == ()
    (amend,) = stage.move(1004, 1014)
    assert amend.price == D("100.4")
    stage.accept()
    (amend,) = stage.move(1005, 1015) or stage.give(step.Budget(stage.now, "", stage.touch))
    assert amend.price == D("100.5")
    assert stage.state.status is AlgoStatus.ACTIVE


def test_a_request_that_was_taken_back_leaves_at_its_turn_as_the_market_is_then() -> None:
    stage = resting()
    stage.move(1005, 1015)
    stage.refuse(refused=False, throttled=True)
    assert (stage.state.status, stage.state.reprice_count) == (AlgoStatus.THROTTLED, 0)
    assert stage.order.state is OrderState.ACTIVE
    assert stage.move(1006, 1016) == ()
    assert stage.move(1020, 1030) == ()
    (amend,) = stage.give(step.Budget(stage.now, "scarce", stage.touch))
    assert amend.price == D("102.0")


def test_a_placing_that_was_taken_back_is_made_anew_at_its_turn() -> None:
    stage = Stage()
    stage.refuse(refused=False, throttled=True)
    assert stage.move(1020, 1030) == ()
    (place,) = stage.give(step.Budget(stage.now, "scarce", stage.touch))
    assert isinstance(place, PlaceChild)
    assert place.price == D("102.0")


def test_a_chase_that_waits_for_its_turn_can_be_cancelled() -> None:
    stage = resting()
    stage.move(1005, 1015)
    stage.refuse(refused=False, throttled=True)
    (cancel,) = stage.give(step.CancelRequest(stage.now, "asked"))
    assert isinstance(cancel, CancelChild)


def test_a_restart_forgets_whose_turn_it_was() -> None:
    stage = resting()
    stage.move(1005, 1015)
    stage.refuse(refused=False, throttled=True)
    stage.run(S)
    (amend,) = stage.restart()
    assert isinstance(amend, AmendChild)
    assert stage.state.throttle == ""
