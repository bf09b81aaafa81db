"""What the venue refuses and ends, what is not known, and what a chase makes of it (laws 1, 3, 4 and 7 of algos.md)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from algos import step
from algos.chase import step_chase
from algos.step import AmendChild, CancelChild, OrderUpdate, PlaceChild
from pms.core import orders
from schemas.chase import AlgoStatus
from schemas.market import Side
from schemas.orders import Cause, OrderState
from schemas.reports import VenueStatus
from tests.pure.algos.stage import Stage, rules

D = Decimal
CANCELLED, EXPIRED = VenueStatus.CANCELLED, VenueStatus.EXPIRED
S = 1000


def resting(**asked: object) -> Stage:
    """A chase whose first order rests since a second ago."""
    stage = Stage(**asked)
    stage.accept()
    stage.run(S)
    return stage


def amending(**asked: object) -> Stage:
    """A chase with an amend in flight."""
    stage = resting(**asked)
    (amend,) = stage.move(1005, 1015, after_ms=0)
    assert isinstance(amend, AmendChild)
    return stage


def cancelling(**asked: object) -> Stage:
    """A chase that is cancelled, with the cancel in flight."""
    stage = resting(**asked)
    (cancel,) = stage.give(step.CancelRequest(stage.now, "asked"))
    assert isinstance(cancel, CancelChild)
    return stage


# --- cancelled and failed -----------------------------------------------------------------------------


def test_a_cancelled_chase_ends_when_its_child_is_proven_gone() -> None:
    stage = cancelling()
    assert stage.state.status is AlgoStatus.STOPPING
    stage.fill("0.3")
    stage.accept()
    state = stage.state
    assert (state.status, state.reason, state.residual) == (AlgoStatus.CANCELLED, "asked", D("0.7"))


def test_a_cancel_before_the_answer_waits_for_it() -> None:
    stage = Stage()
    assert stage.give(step.CancelRequest(stage.now, "asked")) == ()
    (cancel,) = stage.accept()
    assert isinstance(cancel, CancelChild)


def test_a_cancel_while_the_outcome_is_unknown_waits_for_evidence() -> None:
    """Law 3: a timeout is none."""
    stage = Stage()
    stage.lose()
    assert stage.give(step.CancelRequest(stage.now, "asked")) == ()
    stage.run(60 * S)
    assert (stage.state.status, stage.child.state) == (AlgoStatus.STOPPING, OrderState.UNKNOWN)
    stage.refuse(Cause.NONE, 0, refused=False)  # proven: it never arrived
    assert stage.state.status is AlgoStatus.CANCELLED


def test_a_child_that_is_found_resting_after_its_cancel_is_cancelled_again() -> None:
    """The venue knew it not when it was to be cancelled, and knows it now: the request is another, the record the
    same."""
    stage = cancelling()
    before = stage.state
    (cancel,) = stage.tell(orders.reported(stage.order, stage.report(stage.order), stage.now, answers=True))
    assert isinstance(cancel, CancelChild)
    assert stage.state is not before
    assert stage.child.state is OrderState.CANCELLING


def test_a_cancel_without_a_child_ends_at_once() -> None:
    stage = Stage()
    stage.refuse()
    stage.give(step.CancelRequest(stage.now, "asked"))
    assert stage.state.status is AlgoStatus.CANCELLED


def test_what_fills_while_it_is_cancelled_makes_it_filled() -> None:
    stage = cancelling()
    stage.fill("1")
    assert (stage.state.status, stage.state.residual) == (AlgoStatus.FILLED, D(0))


def test_the_first_ending_stands() -> None:
    stage = cancelling()
    stage.give(step.CancelRequest(stage.now, "again"))
    stage.accept()
    assert stage.state.reason == "asked"


def test_a_chase_that_ended_books_late_fills_and_absorbs_all_else() -> None:
    """Law 4."""
    stage = cancelling()
    order = stage.order
    stage.accept()
    stage.fill("0.3", order=stage.orders[order.client_order_id])
    state = stage.state
    assert (state.status, state.filled_quantity, state.residual) == (AlgoStatus.CANCELLED, D("0.3"), D("0.7"))
    now = stage.now + S
    for given in (
        stage.touch,
        step.Timer(now, stage.touch),
        step.CancelRequest(now, "again"),
        step.ResumeRequest(now, stage.touch),
        step.AmendRequest(now, stage.touch, quantity=D(5)),
        step.StreamHealth(now, "book", True, stage.touch),
        step.Recovered(now, 9, stage.touch),
        step.StopRequest(now),
        OrderUpdate(now, stage.orders[order.client_order_id], quote=stage.touch, adopt=True),
    ):
        assert step_chase(state, given) == (state, ())
        assert step_chase(state, given)[0] is state


def test_an_order_cancelled_by_somebody_ends_the_chase() -> None:
    stage = resting()
    stage.end(CANCELLED)
    assert (stage.state.status, stage.state.reason) == (AlgoStatus.CANCELLED, "child_cancelled_externally")


@pytest.mark.parametrize("while_down", [False, True])
def test_an_order_that_the_dead_man_timer_took_stands_again(while_down: bool) -> None:
    stage = resting()
    taken = stage.order.client_order_id
    stage.end(CANCELLED, cause=Cause.DEAD_MAN, while_down=while_down)
    assert (stage.state.status, stage.state.paused) == (AlgoStatus.ACTIVE, "")
    stage.move(1000, 1010)
    assert stage.order.client_order_id != taken


def test_words_about_an_order_that_is_not_the_child_change_nothing_but_the_sums() -> None:
    stage = resting()
    other = stage.order
    stage.give(step.PauseRequest(stage.now, "looking"))
    stage.accept()
    stage.give(step.ResumeRequest(stage.now, stage.touch))
    before = stage.state
    stage.give(OrderUpdate(stage.now, stage.orders[other.client_order_id], quote=stage.touch))
    assert stage.state is before


# --- post-only and self-trade -------------------------------------------------------------------------


@pytest.mark.parametrize("cause", [Cause.POST_ONLY, Cause.SELF_TRADE])
@pytest.mark.parametrize("side, second, third", [(Side.BUY, "99.9", "99.8"), (Side.SELL, "101.1", "101.2")])
def test_each_post_only_refusal_steps_one_tick_further_back(cause, side, second, third) -> None:
    stage = Stage(side=side)
    for price in (second, third):
        assert stage.refuse(cause, -5022) == ()
        (place,) = stage.run(250)
        assert place.price == D(price)
    stage.accept()
    assert stage.state.back_ticks == 0
    (amend,) = stage.run(S)
    assert amend.price == (D(100) if side is Side.BUY else D(101))


def test_post_only_refusals_have_a_budget_of_thirty_a_minute() -> None:
    stage = Stage()
    start = stage.now
    while stage.state.post_only_count <= step.POST_ONLY_BUDGET:
        stage.refuse(Cause.POST_ONLY, -5022)
        if stage.state.post_only_count <= step.POST_ONLY_BUDGET:
            assert stage.run(250)
    assert len(stage.asked(PlaceChild)) == 1 + step.POST_ONLY_BUDGET
    assert stage.state.status is AlgoStatus.THROTTLED
    assert stage.run(start + 60 * S - stage.now - 1) == []
    assert len(stage.run(1)) == 1
    stage.accept()
    assert stage.state.status is AlgoStatus.ACTIVE


def test_a_budget_begins_anew_after_a_minute() -> None:
    stage = Stage()
    stage.refuse(Cause.POST_ONLY, -5022)
    stage.run(61 * S)
    stage.refuse(Cause.POST_ONLY, -5022)
    assert stage.state.post_only_count == 1


@pytest.mark.parametrize("status, cause", [(CANCELLED, Cause.NONE), (EXPIRED, Cause.NONE), (EXPIRED, Cause.SELF_TRADE)])
def test_an_amend_that_crossed_ends_the_child_and_the_rest_stands_one_tick_back(status, cause) -> None:
    """execution.md 8: book what it filled, then as a post-only refusal."""
    stage = amending()
    stage.fill("0.2")
    assert stage.end(status, cause) == ()
    assert stage.state.back_ticks == 1
    (place,) = stage.run(250)
    assert (place.price, place.quantity) == (D("100.4"), D("0.8"))


def test_an_amend_of_unknown_fate_that_crossed_is_no_strangers_cancel() -> None:
    stage = amending()
    stage.lose()
    stage.end(CANCELLED)
    assert (stage.state.ending, stage.state.back_ticks) == (None, 1)


def test_a_gtc_child_that_vanishes_in_an_amend_was_cancelled_by_somebody() -> None:
    stage = amending(post_only=False)
    stage.end(CANCELLED)
    assert stage.state.status is AlgoStatus.CANCELLED


def test_self_trade_prevention_of_a_resting_child_steps_back() -> None:
    stage = resting(post_only=False)
    stage.end(EXPIRED, Cause.SELF_TRADE)
    (place,) = stage.run(250)
    assert place.price == D("99.9")


@pytest.mark.parametrize("cause", [Cause.LIQUIDATION, Cause.NOT_TRADING])
def test_what_else_the_venue_ends_ends_the_chase(cause) -> None:
    stage = resting()
    stage.end(EXPIRED, cause)
    assert (stage.state.status, stage.state.reason) == (AlgoStatus.CANCELLED, f"venue_expired_{cause.value}")


# --- unknown outcomes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("then", [{"paused": "looking"}, {"ending": AlgoStatus.CANCELLED}])
def test_a_cancel_of_unknown_fate_that_was_done_is_ours(then) -> None:
    stage = resting()
    if "paused" in then:
        stage.give(step.PauseRequest(stage.now, "looking"))
    else:
        stage.give(step.CancelRequest(stage.now, "asked"))
    stage.lose()
    stage.end(CANCELLED)
    assert stage.state.status is (AlgoStatus.PAUSED if "paused" in then else AlgoStatus.CANCELLED)
    assert stage.state.reason != "child_cancelled_externally"


def test_a_cancel_of_unknown_fate_that_was_not_done_is_asked_again() -> None:
    stage = cancelling()
    stage.lose()
    stage.run(5 * S)
    (again,) = stage.look_up()
    assert isinstance(again, CancelChild)


def test_an_amend_that_left_the_order_as_it_was_is_no_success() -> None:
    stage = amending()
    stage.refuse(Cause.FILTER)
    stage.run(S)
    stage.lose()
    (again,) = stage.look_up()
    assert isinstance(again, AmendChild)
    assert stage.state.rejections == 1


def test_a_placing_of_unknown_fate_blocks_any_other_until_it_is_known() -> None:
    """Law 1, and law 2: its whole size counts as spoken for."""
    stage = Stage()
    stage.lose()
    assert stage.move(1010, 1020) == ()
    assert stage.run(60 * S) == []
    stage.look_up()
    assert stage.child.state in (OrderState.ACTIVE, OrderState.AMENDING)
    assert len(stage.asked(PlaceChild)) == 1


def test_an_order_that_never_arrived_is_placed_again_under_another_id() -> None:
    stage = Stage()
    stage.lose()
    stage.run(12 * S)
    stage.refuse(Cause.NONE, 0, refused=False)
    (again,) = stage.run(250)
    first, second = stage.asked(PlaceChild)
    assert (again.quantity, second.client_order_id == first.client_order_id) == (D(1), False)


# --- refusals -----------------------------------------------------------------------------------------


def times_refused(stage: Stage, count: int, **refusal: object) -> list[int]:
    """Refuse each attempt; the waits between them in ms."""
    waits = []
    for _ in range(count):
        stage.refuse(**refusal)
        asked_at = stage.now
        while not stage.run(250):
            assert stage.now - asked_at < 61 * S
        waits.append(stage.sent[-1][0] - asked_at)
    return waits


def test_the_same_refusal_three_times_backs_off_to_a_minute() -> None:
    stage = Stage()
    assert times_refused(stage, 2, code=-2019) == [250, 250]
    assert stage.state.status is AlgoStatus.ACTIVE
    waits = times_refused(stage, 9, code=-2019)
    assert waits == [1 * S, 2 * S, 4 * S, 8 * S, 16 * S, 32 * S, 60 * S, 60 * S, 60 * S]
    assert (stage.state.status, stage.state.reason) == (AlgoStatus.BLOCKED, "refused -2019")
    stage.accept()
    assert (stage.state.status, stage.state.reason, stage.state.rejections) == (AlgoStatus.ACTIVE, "", 0)


def test_another_code_begins_another_row() -> None:
    stage = Stage()
    times_refused(stage, 2, code=-2019)
    times_refused(stage, 2, code=-1111)
    assert stage.state.status is AlgoStatus.ACTIVE


def test_resuming_by_hand_tries_at_once() -> None:
    stage = Stage()
    times_refused(stage, 5, code=-2019)
    stage.refuse(code=-2019)
    (place,) = stage.give(step.ResumeRequest(stage.now, stage.touch))
    assert isinstance(place, PlaceChild)
    assert stage.state.status is AlgoStatus.ACTIVE


@pytest.mark.parametrize("refused", [True, False])
def test_a_throttle_of_nothing_does_not_make_a_storm(refused) -> None:
    stage = Stage(reprice_min_ms=0)
    for _ in range(4):
        assert stage.refuse(Cause.MARGIN, -2019, refused=refused) == ()
        assert stage.run(249) == []
        assert stage.run(60 * S)


def test_what_was_not_done_is_tried_again_when_the_venue_says() -> None:
    stage = Stage()
    stage.refuse(Cause.NONE, -1003, refused=False, retry_at=stage.now + 5 * S)
    assert stage.run(5 * S - 1) == []
    assert len(stage.run(1)) == 1
    assert stage.state.rejections == 0


@pytest.mark.parametrize("cause", [Cause.NOT_AMENDABLE, Cause.OTHER])
def test_where_an_amend_is_refused_the_order_is_replaced(cause) -> None:
    stage = amending()
    stage.fill("0.4")
    (cancel,) = stage.refuse(cause, -5026)
    assert isinstance(cancel, CancelChild)
    assert stage.accept() == ()
    (place,) = stage.run(250)
    assert (place.price, place.quantity) == (D("100.5"), D("0.6"))


@pytest.mark.parametrize("cause", [Cause.FILTER, Cause.PRICE_BAND, Cause.MARGIN, Cause.NO_CHANGE])
def test_other_refusals_of_an_amend_leave_the_order_in_place(cause) -> None:
    stage = amending()
    assert stage.refuse(cause) == ()
    (again,) = stage.run(250)
    assert isinstance(again, AmendChild)
    stage.refuse(cause)
    stage.run(250)
    stage.refuse(cause)
    assert stage.state.status is AlgoStatus.BLOCKED
    assert stage.run(S - 1) == []


def test_a_rest_under_the_minimum_is_not_cancelled_for_a_reprice() -> None:
    """execution.md 9: its replacement would be refused."""
    stage = amending()
    stage.fill("0.96")
    stage.refuse(Cause.NOT_AMENDABLE, -5026)
    stage.run(S)
    assert not stage.asked(CancelChild)


def test_refused_and_replaced_again_and_again_is_a_loop_too() -> None:
    """Law 7: from the third on the child rests through the back-off before it is replaced."""
    stage = amending()
    bid = 1005
    for _ in range(2):
        (cancel,) = stage.refuse(Cause.NOT_AMENDABLE, -5026)
        stage.accept()
        stage.run(250)
        stage.accept()
        bid += 5
        stage.move(bid, bid + 10)
    assert stage.refuse(Cause.NOT_AMENDABLE, -5026) == ()
    assert stage.state.status is AlgoStatus.BLOCKED
    assert stage.run(S - 1) == []
    (cancel,) = stage.run(1)
    assert isinstance(cancel, CancelChild)
    stage.accept()
    stage.accept()
    bid += 5
    stage.move(bid, bid + 10)
    stage.accept()
    assert stage.state.status is AlgoStatus.ACTIVE


def test_a_refused_cancel_backs_off_as_well() -> None:
    stage = resting()
    stage.give(step.PauseRequest(stage.now, "looking"))
    waits = times_refused(stage, 5, code=-1)
    assert waits == [250, 250, S, 2 * S, 4 * S]
    stage.accept()
    assert (stage.state.status, stage.state.rejections) == (AlgoStatus.PAUSED, 0)


def test_a_cancel_by_hand_does_not_wait_for_the_back_off() -> None:
    stage = resting()
    stage.give(step.PauseRequest(stage.now, "looking"))
    times_refused(stage, 5, code=-1)
    stage.refuse(code=-1)
    (cancel,) = stage.give(step.CancelRequest(stage.now, "asked"))
    assert isinstance(cancel, CancelChild)


def test_a_cancel_that_was_not_done_is_asked_again_though_a_deadline_has_passed() -> None:
    stage = resting(deadline_seconds="2")
    stage.give(step.CancelRequest(stage.now, "asked"))
    stage.refuse(Cause.NONE, 0, refused=False, retry_at=stage.now + 5 * S)
    (again,) = stage.run(6 * S)
    assert isinstance(again, CancelChild)


@pytest.mark.parametrize("request_in_flight", ["place", "amend"])
def test_nothing_to_reduce_ends_the_chase(request_in_flight) -> None:
    stage = Stage(reduce_only=True) if request_in_flight == "place" else amending(reduce_only=True)
    stage.refuse(Cause.REDUCE_ONLY, -2022)
    if stage.state.child is not None:
        stage.accept()
    assert (stage.state.status, stage.state.reason) == (AlgoStatus.CANCELLED, "nothing_to_reduce")


def test_a_passing_trouble_in_an_amend_is_tried_again() -> None:
    stage = amending()
    assert stage.refuse(Cause.NONE, -1008, refused=False) == ()
    (again,) = stage.run(250)
    assert isinstance(again, AmendChild)


def test_a_refused_order_to_take_is_tried_within_its_bounds() -> None:
    stage = Stage(deadline_seconds="1", on_deadline="take")
    stage.accept()
    stage.run(S)
    stage.accept()
    for _ in range(2):
        stage.refuse(Cause.OTHER, -1111)
        assert stage.run(250)
    stage.refuse(Cause.OTHER, -1111)
    stage.run(S)
    assert (stage.state.status, stage.state.residual) == (AlgoStatus.CANCELLED, D(1))


def test_an_order_to_take_that_the_venue_ends_for_its_own_reason_ends_the_chase() -> None:
    stage = Stage(deadline_seconds="1", on_deadline="take")
    stage.accept()
    stage.run(S)
    stage.accept()
    stage.end(EXPIRED, Cause.NOT_TRADING)
    assert stage.state.reason == "venue_expired_not_trading"


def test_an_update_without_a_reason_for_its_failure_is_our_own_bug() -> None:
    stage = Stage()
    order = orders.not_placed(stage.order, "?", stage.now).order
    with pytest.raises(AssertionError, match="named reason"):
        step_chase(stage.state, OrderUpdate(stage.now, order))


@pytest.mark.parametrize(
    "wait, count", [(0, 0), (0, 2), (1 * S, 3), (2 * S, 4), (32 * S, 8), (60 * S, 9), (60 * S, 99)]
)
def test_the_back_off_doubles_from_the_third_equal_refusal_to_a_minute(wait, count) -> None:
    assert step.back_off_ms(count) == wait


def test_a_chase_whose_halves_cannot_be_sent_ends_with_its_rest_named() -> None:
    stage = Stage(instrument=rules(min_notional="5000"), quantity="60")
    stage.accept()
    stage.fill("30")
    stage.give(step.PauseRequest(stage.now, "looking"))
    stage.accept()
    stage.give(step.ResumeRequest(stage.now, stage.touch))
    state = stage.state
    assert (state.status, state.residual, state.reason) == (AlgoStatus.FILLED, D(30), "below_minimum")
