"""chase follows the top of the book with one order, by amending it (algos.md, chase)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from algos import chase, step
from algos.step import AmendChild, CancelChild, PlaceChild
from schemas.chase import AlgoStatus
from schemas.ids import ATTEMPT_MAX, OrderId, parse
from schemas.market import Side
from schemas.orders import OrderState
from schemas.reports import VenueStatus
from tests.pure.algos.stage import EPOCH, T0, WHO, Stage, params, quote, rules

D = Decimal
BUY, SELL = Side.BUY, Side.SELL


def prices(stage: Stage) -> list[Decimal]:
    """Every price asked for, in order."""
    return [action.price for _, action in stage.sent if not isinstance(action, CancelChild)]


# --- the first order ----------------------------------------------------------------------------------


def test_it_starts_with_one_order_for_all_of_it_whose_id_names_the_chase() -> None:
    stage = Stage(leverage=3)
    (place,) = stage.asked(PlaceChild)
    assert (place.price, place.quantity, place.side) == (D(100), D(1), BUY)
    assert (place.time_in_force, place.reduce_only, place.leverage) == ("GTX", False, 3)
    assert parse(place.client_order_id) == OrderId("main", WHO.algo_id, EPOCH, 0, 1)
    state = stage.state
    assert (state.status, state.child.state, state.child.request) == (AlgoStatus.ACTIVE, OrderState.PLACING, "place")
    assert (state.arrival_mid, state.initial_price, state.root_id) == (D("100.5"), D(100), WHO.algo_id)
    assert (state.request_id, state.started_at, state.id_epoch) == ("request-1", T0, EPOCH)


def test_a_chase_below_the_minimum_fails_without_an_order() -> None:
    stage = Stage(quantity="0.049")
    assert stage.state.status is AlgoStatus.FAILED
    assert (stage.state.reason, stage.state.residual) == ("below_minimum", D("0.049"))
    assert not stage.sent


def test_reduce_only_is_exempt_from_the_least_notional() -> None:
    (place,) = Stage(quantity="0.049", reduce_only=True).asked(PlaceChild)
    assert (place.quantity, place.reduce_only) == (D("0.049"), True)


def test_a_price_that_is_none_fails_the_chase() -> None:
    assert Stage(bid=5, ask=6, stalk_offset_ticks=5, reduce_only=True).state.status is AlgoStatus.FAILED


def test_an_order_that_need_not_be_passive_is_gtc() -> None:
    (place,) = Stage(post_only=False).asked(PlaceChild)
    assert place.time_in_force == "GTC"


@pytest.mark.parametrize(
    "asked, price",
    [
        ({}, "100.0"),
        ({"side": SELL}, "101.0"),
        ({"aggressive": True}, "100.1"),
        ({"side": SELL, "aggressive": True}, "100.9"),
        ({"stalk_offset_ticks": 3}, "99.7"),
        ({"side": SELL, "stalk_offset_pct": "1"}, "102.1"),
    ],
)
def test_the_first_price_is_the_one_it_follows(asked, price) -> None:
    assert prices(Stage(**asked)) == [D(price)]


# --- following ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "side, mode, stands",
    [
        (BUY, "maintain", ["100.0", "100.5", "99.5", "100.2"]),
        (SELL, "maintain", ["101.0", "101.5", "100.5", "101.2"]),
        (BUY, "trail", ["100.0", "99.5"]),
        (SELL, "trail", ["101.0", "101.5"]),
        (BUY, "none", ["100.0"]),
        (SELL, "none", ["101.0"]),
    ],
)
def test_a_mode_says_which_way_the_order_moves(side, mode, stands) -> None:
    stage = Stage(side=side, stalk_mode=mode)
    stage.accept()
    for bid, ask in ((1005, 1015), (995, 1005), (1002, 1012)):
        if stage.move(bid, ask):
            stage.accept()
    assert prices(stage) == [D(price) for price in stands]
    assert len(stage.asked(PlaceChild)) == 1
    assert stage.state.reprice_count == len(stands) - 1
    assert stage.state.current_order_price == D(stands[-1])


def test_an_amend_carries_price_and_the_childs_unchanged_total() -> None:
    stage = Stage()
    stage.accept()
    stage.fill("0.4")
    stage.move(1005, 1015)
    (amend,) = stage.asked(AmendChild)
    assert (amend.price, amend.quantity) == (D("100.5"), D(1))
    stage.accept()
    stage.fill("0.6")
    assert (stage.state.status, stage.state.residual) == (AlgoStatus.FILLED, D(0))
    assert stage.state.fill_price == (D("0.4") * 100 + D("0.6") * D("100.5")) / 1


def test_a_move_smaller_than_the_least_is_not_followed() -> None:
    stage = Stage(reprice_min_ticks=3)
    stage.accept()
    assert stage.move(1002, 1010) == stage.move(998, 1010) == ()
    assert len(stage.move(1003, 1010)) == 1


def test_a_move_seen_in_the_throttle_is_acted_on_at_its_end_without_another_quote() -> None:
    stage = Stage(reprice_min_ms=400)
    stage.accept()
    assert stage.move(1005, 1015, after_ms=100) == ()
    assert stage.state.wake_at == T0 + 400
    assert stage.run(299) == []
    (amend,) = stage.run(1)
    assert (stage.now, amend.price) == (T0 + 400, D("100.5"))


def test_a_move_taken_back_within_the_throttle_is_not_followed() -> None:
    stage = Stage(reprice_min_ms=400)
    stage.accept()
    stage.move(1005, 1015, after_ms=100)
    stage.move(1000, 1010, after_ms=100)
    assert stage.run(1000) == []
    assert stage.state.wake_at == 0


def test_the_throttle_counts_from_the_amend_before() -> None:
    stage = Stage(reprice_min_ms=250)
    stage.accept()
    stage.move(1005, 1015)
    stage.accept()
    stage.move(1001, 1011, after_ms=100)
    stage.run(1000)
    first, second = (at for at, action in stage.sent if isinstance(action, AmendChild))
    assert second - first == 250


def test_while_a_request_is_in_flight_no_other_leaves() -> None:
    stage = Stage()
    assert stage.move(1005, 1015) == ()
    (amend,) = stage.accept()
    assert amend.price == D("100.5")
    assert stage.move(1007, 1017, after_ms=100) == ()
    assert stage.accept() == ()
    (amend,) = stage.run(150)
    assert amend.price == D("100.7")


def test_on_a_still_market_nothing_happens_at_all() -> None:
    """Laws 9 and 10: the very same object comes back."""
    stage = Stage(aggressive=True)
    stage.accept()
    before = stage.state
    for _ in range(50):
        assert stage.move(1000, 1010) == ()
        assert stage.state is before


def test_a_slice_at_the_maximum_is_followed_by_the_rest() -> None:
    stage = Stage(quantity="150")
    stage.accept()
    stage.fill("60")
    assert stage.move(1001, 1011) == (
        AmendChild(stage.child.client_order_id, "BTCUSDT", BUY, D("100.1"), D(100), False),
    )
    stage.accept()
    stage.fill("40")
    assert [place.quantity for place in stage.asked(PlaceChild)] == [D(100), D(50)]
    stage.accept()
    stage.fill("50")
    assert (stage.state.status, stage.state.filled_quantity) == (AlgoStatus.FILLED, D(150))


def test_dust_at_the_end_is_named_as_residual() -> None:
    stage = Stage(quantity="1.0004")
    stage.accept()
    stage.fill("1")
    state = stage.state
    assert (state.status, state.residual, state.reason) == (AlgoStatus.FILLED, D("0.0004"), "below_minimum")


def test_attempts_that_run_out_fail_the_chase() -> None:
    stage = Stage()
    stage.state = chase._replace(stage.state, attempt=ATTEMPT_MAX)
    stage.refuse()
    stage.run(1000)
    assert (stage.state.status, stage.state.reason) == (AlgoStatus.FAILED, "attempts_exhausted")


# --- fills --------------------------------------------------------------------------------------------


def test_a_fill_moves_sum_average_and_child_once() -> None:
    stage = Stage()
    stage.accept()
    stage.fill("0.3")
    stage.fill("0.2", "99.9")
    state = stage.state
    assert (state.filled_quantity, state.child.filled, state.rest) == (D("0.5"), D("0.5"), D("0.5"))
    assert (state.quote_filled, state.fill_price) == (D("49.98"), D("99.96"))
    assert state.residual == 0


def test_a_fill_before_the_answer_counts() -> None:
    stage = Stage()
    stage.fill("0.3")
    assert (stage.state.filled_quantity, stage.child.state) == (D("0.3"), OrderState.ACTIVE)
    stage.fill("0.7")
    assert stage.state.status is AlgoStatus.FILLED


def test_a_new_order_never_asks_for_the_original_size_again() -> None:
    stage = Stage()
    stage.accept()
    stage.fill("0.4")
    stage.give(step.PauseRequest(stage.now, "looking"))
    stage.accept()
    stage.give(step.ResumeRequest(stage.now, stage.touch))
    assert stage.asked(PlaceChild)[-1].quantity == D("0.6")


def test_a_late_fill_of_an_older_child_counts_but_is_not_the_childs() -> None:
    stage = Stage()
    stage.accept()
    old = stage.order
    stage.give(step.PauseRequest(stage.now, "looking"))
    stage.accept()
    stage.give(step.ResumeRequest(stage.now, stage.touch))
    stage.fill("0.1", order=stage.orders[old.client_order_id])
    assert (stage.state.filled_quantity, stage.child.filled) == (D("0.1"), D(0))


# --- limits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side, quiet, loud", [(BUY, (1010, 1020), (1011, 1020)), (SELL, (990, 1000), (990, 999))])
def test_past_the_adverse_distance_the_chase_ends_and_its_child_is_proven_gone_first(side, quiet, loud) -> None:
    stage = Stage(side=side, max_distance_pct="1", stalk_mode="none")
    stage.accept()
    assert stage.move(*quiet) == ()
    (cancel,) = stage.move(*loud)
    assert isinstance(cancel, CancelChild)
    assert stage.state.status is AlgoStatus.STOPPING
    stage.accept()
    assert (stage.state.status, stage.state.reason) == (AlgoStatus.CANCELLED, "max_distance")
    assert stage.state.residual == D(1)


@pytest.mark.parametrize("side, away", [(BUY, (900, 910)), (SELL, (1100, 1110))])
def test_a_move_in_favour_is_no_limit(side, away) -> None:
    stage = Stage(side=side, max_distance_pct="1", stalk_mode="none")
    stage.accept()
    assert stage.move(*away) == ()


def test_at_the_limit_rest_leaves_the_order_where_it_is() -> None:
    stage = Stage(max_distance_pct="1", on_limit="rest", reprice_min_ticks=100)
    stage.accept()
    assert stage.move(1020, 1030) == ()
    assert (stage.state.resting, stage.state.reason) == (True, "max_distance")
    assert stage.move(1200, 1210) == stage.move(800, 810) == ()
    stage.fill("1")
    assert stage.state.status is AlgoStatus.FILLED


def test_a_deadline_rings_without_a_quote() -> None:
    stage = Stage(deadline_seconds="30")
    stage.accept()
    assert stage.state.wake_at == T0 + 30_000
    (cancel,) = stage.run(30_000)
    assert isinstance(cancel, CancelChild)
    stage.accept()
    assert (stage.state.status, stage.state.reason) == (AlgoStatus.CANCELLED, "deadline")


def test_a_deadline_counts_while_the_order_is_not_yet_there() -> None:
    stage = Stage(deadline_seconds="1")
    stage.run(1000)
    assert stage.state.status is AlgoStatus.STOPPING
    (cancel,) = stage.accept()
    assert isinstance(cancel, CancelChild)


def test_a_deadline_that_rests_stops_following() -> None:
    stage = Stage(deadline_seconds="1", on_deadline="rest")
    stage.accept()
    stage.run(1000)
    assert stage.move(1005, 1015) == ()
    assert stage.state.status is AlgoStatus.ACTIVE


def taking(**asked: object) -> Stage:
    """A stage whose deadline has made it cross: the resting child is gone, the first IOC is out."""
    stage = Stage(deadline_seconds="1", on_deadline="take", **asked)
    stage.accept()
    stage.fill("0.4")
    (cancel,) = stage.run(1000)
    assert isinstance(cancel, CancelChild)
    (place,) = stage.accept()
    assert (place.time_in_force, place.quantity) == ("IOC", D("0.6"))
    return stage


def test_take_crosses_with_what_is_left_within_its_slippage() -> None:
    stage = taking(max_slippage_bps=100)
    assert stage.order.price == D("101.5")  # mid 100.5 + 1 % = 101.505, rounded towards mid
    stage.fill("0.6", "101")
    assert stage.state.status is AlgoStatus.FILLED


def test_take_crosses_at_most_three_times_and_names_the_rest() -> None:
    stage = taking()
    for part in ("0.1", "0.1"):
        stage.fill(part)
        (place,) = stage.end(VenueStatus.EXPIRED)
        assert place.time_in_force == "IOC"
    assert stage.end(VenueStatus.EXPIRED) == ()
    state = stage.state
    assert (state.status, state.reason, state.residual) == (AlgoStatus.CANCELLED, "deadline", D("0.4"))
    assert [place.quantity for place in stage.asked(PlaceChild)] == [D(1), D("0.6"), D("0.5"), D("0.4")]


def test_take_crosses_within_two_seconds_of_its_first_order() -> None:
    stage = taking()
    stage.run(2001)
    assert stage.end(VenueStatus.EXPIRED) == ()
    assert stage.state.status is AlgoStatus.CANCELLED


def test_a_slow_cancel_of_the_resting_child_costs_no_try_to_take() -> None:
    stage = Stage(deadline_seconds="1", on_deadline="take")
    stage.accept()
    stage.run(1000)
    stage.run(5000)
    (place,) = stage.accept()
    assert place.time_in_force == "IOC"


def test_take_is_not_followed_by_amends() -> None:
    stage = taking()
    stage.accept()
    assert stage.move(1020, 1030, after_ms=500) == ()


def test_the_first_limit_stands() -> None:
    stage = Stage(deadline_seconds="1", on_deadline="take", max_distance_pct="1")
    stage.accept()
    stage.run(1000)
    stage.accept()
    stage.move(1100, 1110, after_ms=10)
    assert stage.state.taking == "deadline"
    assert stage.state.ending is None


# --- amended by its owner -----------------------------------------------------------------------------


def amend(stage: Stage, **changes: object) -> tuple[step.Action, ...]:
    return stage.give(step.AmendRequest(stage.now, stage.touch, **changes))


@pytest.mark.parametrize("quantity, total", [("2", "2"), ("0.7", "0.7")])
def test_a_changed_quantity_amends_the_childs_total(quantity, total) -> None:
    stage = Stage()
    stage.accept()
    stage.fill("0.4")
    stage.run(1000)
    (asked,) = amend(stage, quantity=D(quantity))
    assert (asked.quantity, asked.price) == (D(total), D(100))
    stage.accept()
    stage.fill(str(D(total) - D("0.4")))
    assert stage.state.status is AlgoStatus.FILLED


def test_fills_that_overtake_an_amend_to_less_count_as_asked_for() -> None:
    """The record never shows more filled than asked for: what is done can't be asked for any less."""
    stage = Stage()
    stage.accept()
    stage.fill("0.4")
    stage.run(1000)
    (asked,) = amend(stage, quantity=D("0.6"))
    assert asked.quantity == D("0.6")
    stage.fill("0.3")
    assert (stage.state.quantity, stage.state.filled_quantity, stage.state.rest) == (D("0.7"), D("0.7"), D(0))
    stage.fill("0.3")
    assert (stage.state.status, stage.state.quantity, stage.state.residual) == (AlgoStatus.FILLED, D(1), D(0))


def test_an_amend_to_less_than_is_filled_by_now_asks_for_what_is_filled() -> None:
    stage = Stage()
    stage.accept()
    stage.fill("0.4")
    amend(stage, quantity=D("0.3"))
    stage.accept()
    assert (stage.state.status, stage.state.quantity, stage.state.residual) == (AlgoStatus.FILLED, D("0.4"), D(0))


def test_a_quantity_of_what_is_filled_ends_the_chase() -> None:
    stage = Stage()
    stage.accept()
    stage.fill("0.4")
    (cancel,) = amend(stage, quantity=D("0.4"))
    assert isinstance(cancel, CancelChild)
    stage.accept()
    assert (stage.state.status, stage.state.residual) == (AlgoStatus.FILLED, D(0))


def test_a_quantity_just_above_what_is_filled_never_amends_to_the_filled_part() -> None:
    """A total of the executed part would make the venue cancel (execution.md 7); so the child is cancelled."""
    stage = Stage()
    stage.accept()
    stage.fill("0.4")
    (cancel,) = amend(stage, quantity=D("0.4004"))
    assert isinstance(cancel, CancelChild)
    stage.accept()
    assert (stage.state.status, stage.state.residual) == (AlgoStatus.FILLED, D("0.0004"))


def test_a_total_that_cannot_be_sent_is_cancelled_instead_of_amended() -> None:
    stage = Stage()
    stage.accept()
    stage.run(1000)
    (cancel,) = amend(stage, quantity=D("0.01"))
    assert isinstance(cancel, CancelChild)
    stage.accept()
    assert stage.state.reason == "below_minimum"


def test_a_move_that_cannot_be_sent_leaves_the_order_where_it_is() -> None:
    stage = Stage(quantity="0.05", reprice_min_ms=0)
    stage.accept()
    assert stage.move(999, 1009) == ()
    assert len(stage.move(1001, 1011)) == 1


def test_a_larger_quantity_after_the_child_is_full_places_the_difference() -> None:
    stage = Stage()
    stage.accept()
    stage.move(1005, 1015)
    stage.state = chase._replace(stage.state, quantity=D("1.5"))
    stage.fill("1")
    assert stage.asked(PlaceChild)[-1].quantity == D("0.5")


def test_a_changed_offset_and_mode_move_the_order() -> None:
    stage = Stage(stalk_mode="trail")
    stage.accept()
    stage.run(1000)
    (lower,) = amend(stage, stalk_offset_ticks=5)
    assert lower.price == D("99.5")
    stage.accept()
    stage.run(1000)
    assert amend(stage, stalk_offset_ticks=0, stalk_offset_pct=D("0.1")) == ()  # trail never moves back up
    (higher,) = amend(stage, stalk_mode="maintain")
    assert higher.price == D("99.9")


def test_a_changed_distance_counts_from_the_first_mid() -> None:
    stage = Stage(stalk_mode="none")
    stage.accept()
    assert stage.move(1012, 1020) == ()
    (cancel,) = amend(stage, max_distance_pct=D(1))
    assert isinstance(cancel, CancelChild)


def test_a_chase_that_sends_nothing_wrong_starts_on_any_grid() -> None:
    stage = Stage(bid=40, ask=41, instrument=rules(tick="2.5", step="1", min_qty="1"), quantity="3")
    assert prices(stage) == [D(100)]
    state, _ = chase.start(WHO, params(), stage.state.instrument, quote(40, 41), T0)
    assert state.arrival_mid == D("101.25")


# --- a parent's limit price ---------------------------------------------------------------------------


@pytest.mark.parametrize("side, limit, beyond, stands", [(BUY, "100.24", 1, "100.2"), (SELL, "100.76", -1, "100.8")])
def test_a_parents_limit_price_is_never_passed(side, limit: str, beyond: int, stands: str) -> None:
    """It follows up to there, on the grid, and stays while the market goes on."""
    stage = Stage(side=side, limit_price=limit)
    stage.accept()
    for step_ in range(1, 6):
        stage.move(1000 + beyond * step_, 1010 + beyond * step_)
        if stage.child.request:
            stage.accept()
    assert stage.child.price == D(stands)
    stage.move(1000 - beyond, 1010 - beyond)
    stage.accept()
    assert stage.child.price == D("100") - D("0.1") * beyond + (1 if side is SELL else 0)


def test_a_limit_price_that_becomes_tighter_moves_the_order_at_once() -> None:
    stage = Stage()
    stage.accept()
    stage.run(1000)
    (amend,) = stage.give(step.AmendRequest(stage.now, stage.touch, limit_price=D("99.5")))
    assert amend.price == D("99.5")
    stage.accept()
    stage.run(1000)
    (amend,) = stage.give(step.AmendRequest(stage.now, stage.touch, limit_price=D(0)))
    assert amend.price == D("100")


def test_a_limit_price_is_counted_anew_in_new_ticks() -> None:
    stage = Stage(limit_price="99.95")
    assert stage.child.price == D("99.9")
    stage.give(step.InstrumentChanged(stage.now, rules(tick="0.05"), stage.touch))
    assert stage.state.limit_ticks == 1999
