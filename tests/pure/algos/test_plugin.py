"""What all plug-ins' algos share, on the worked example: pieces, pauses, refusals, endings, restarts (algos.md)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from algos import plugin as surface
from algos import step
from algos.plugin import NOTHING, Decided, Plan, Plugin
from algos.plugin_kind import record_of, revived
from algos.plugin_step import LOOK_MIN_MS
from algos.step import AmendChild, CancelChild, PlaceChild
from schemas import codec
from schemas.chase import AlgoStatus
from schemas.errors import Invalid
from schemas.ids import ATTEMPT_MAX
from schemas.market import Side
from schemas.orders import Cause, Origin
from schemas.plugin import ParkedState, PluginState
from schemas.reports import VenueStatus
from tests.data.iceberg.pms_iceberg import ICEBERG
from tests.pure.algos.plugin_stage import (
    LINE,
    LOOK_MS,
    MAKER,
    WHO,
    PluginStage,
    iceberg_params,
    quoting,
    reducing,
    resting,
)
from tests.pure.algos.stage import T0, quote, rules

D = Decimal
_replace = msgspec.structs.replace


# --- pieces -------------------------------------------------------------------------------------------


def test_one_piece_rests_at_a_time_and_the_last_fill_completes_it() -> None:
    stage = resting()
    assert stage.asks() == [("BUY", D(100), D("0.5"))]
    for _ in range(3):
        assert stage.state.status is AlgoStatus.ACTIVE
        stage.fill("0.5")
        if stage.state.orders:
            stage.accept()
    assert (stage.state.status, stage.state.reason, len(stage.asked(PlaceChild))) == (AlgoStatus.COMPLETED, "", 3)


def test_what_could_not_be_sent_alone_goes_with_the_piece_before() -> None:
    stage = PluginStage(asked=iceberg_params(quantity=D("1.04")))
    stage.accept()
    stage.fill("0.5")
    assert stage.asks() == [("BUY", D(100), D("0.54"))], "0.04 at 100 is under the least notional"


def test_a_rest_that_cannot_be_sent_ends_it_by_name() -> None:
    stage = resting(quantity=D("0.52"), display_quantity=D("0.5"))
    assert stage.asks() == [("BUY", D(100), D("0.52"))]
    stage.fill("0.49")
    stage.give(step.PauseRequest(stage.now, "asked"))
    stage.accept()
    stage.give(step.ResumeRequest(stage.now, stage.touch))
    assert (stage.state.status, stage.state.reason) == (AlgoStatus.COMPLETED, "below_minimum")
    assert stage.state.legs[0].rest == D("0.03")


def test_the_record_tells_costs_and_what_rests() -> None:
    stage = resting()
    stage.fill("0.2")
    event = stage.kind.event("iceberg_progress", stage.state, stage.now)
    assert (event.type, event.algo_id, event.algo, event.symbol) == ("algo_progress", WHO.algo_id, "iceberg", "BTCUSDT")
    (leg,) = event.state["legs"]
    assert (leg["filledQuantity"], leg["avgPrice"], leg["slippageBps"]) == (D("0.2"), D(100), D("-49.75"))
    assert event.state["orders"][0]["filledQty"] == D("0.2")
    assert codec.encode(event)
    stage.give(step.CancelRequest(stage.now, "asked"))
    stage.accept()
    ended = _replace(stage.state, status=AlgoStatus.FILLED)
    assert stage.kind.event("iceberg_filled", ended, stage.now).type == "algo_completed"
    assert stage.kind.event("iceberg_cancelled", stage.state, stage.now).type == "algo_cancelled"


def test_the_shell_reads_a_record_without_the_plug_ins_code() -> None:
    stage = resting()
    view = stage.kind.view(stage.state)
    assert (view.algo_id, view.root_id, view.symbol, view.tag) == (WHO.algo_id, WHO.algo_id, "BTCUSDT", "main")
    assert view.live_children == (stage.child.client_order_id,)
    before = view.news
    stage.fill("0.1")
    assert stage.kind.view(stage.state).news != before
    assert (stage.kind.origin, stage.kind.plugin, stage.kind.report) == (Origin.ALGO, True, None)


# --- two sides, amends, its own part ------------------------------------------------------------------


def test_a_plug_in_may_stand_on_both_sides_and_amend() -> None:
    stage = quoting()
    assert stage.asks() == [("BUY", D(100), D(1)), ("SELL", D(101), D(1))]
    stage.move(1001, 1010)
    (moved,) = stage.asked(AmendChild)
    assert (moved.side, moved.price, moved.quantity) == (Side.BUY, D("100.1"), D(1))
    assert stage.move(1002, 1010) == (), "one request in flight"
    stage.accept()
    stage.move(1002, 1010)
    assert [one.price for one in stage.asked(AmendChild)] == [D("100.1"), D("100.2")]
    assert stage.state.own.moves == 2


def test_its_own_time_rings_and_ends_it_when_its_orders_are_gone() -> None:
    stage = quoting(minutes=2)
    assert stage.state.wake_at == T0 + 2 * LOOK_MS
    stage.run(3 * LOOK_MS)
    assert len(stage.asked(CancelChild)) == 2
    assert stage.state.status is AlgoStatus.ACTIVE
    stage.accept()
    stage.slot = 1
    stage.accept()
    assert (stage.state.status, stage.state.reason) == (AlgoStatus.COMPLETED, "time_is_up")


@pytest.mark.parametrize("ahead_ms", [0, -5000])
def test_a_look_at_once_is_a_look_in_a_moment(ahead_ms: int) -> None:
    def decide(state: PluginState, now: int, touch: Any) -> Decided:
        return _replace(state, wake_at=now + ahead_ms), NOTHING

    stage = PluginStage(_replace(ICEBERG, decide=decide), iceberg_params())
    assert stage.state.wake_at == stage.now + LOOK_MIN_MS


def test_what_a_side_may_fill_is_bound_at_the_start() -> None:
    stage = quoting()
    stage.fill("1")
    assert stage.asks() == [("SELL", D(101), D(1))], "the other side goes on"
    assert (stage.state.room(Side.BUY), stage.state.room(Side.SELL)) == (D(0), D(0))
    stage.slot = 1
    stage.fill("1")
    assert stage.state.status is AlgoStatus.COMPLETED


def test_amend_and_cancel_ask_nothing_of_what_does_not_rest() -> None:
    stage = PluginStage()
    assert surface.amend(stage.state, 0, D(99), D(1)) == (stage.state, NOTHING)
    assert surface.cancel(stage.state, 0) == (stage.state, NOTHING)
    assert surface.amend(stage.state, 7, D(99), D(1)) == (stage.state, NOTHING)
    assert surface.cancel(stage.state, 7) == (stage.state, NOTHING)


def test_used_up_attempts_end_it() -> None:
    stage = resting()
    stage.state = _replace(stage.state, attempt=ATTEMPT_MAX)
    stage.fill("0.5")
    assert (stage.state.status, stage.state.reason) == (AlgoStatus.FAILED, "attempts_exhausted")


def test_an_ending_together_with_requests_waits_for_them() -> None:
    def decide(state: PluginState, now: int, touch: Any) -> Decided:
        if not state.orders:
            state, first = surface.place(state, 0, Side.BUY, D(99), D("0.5"))
            state, second = surface.place(state, 1, Side.BUY, D(98), D("0.5"))
            return state, first + second
        state, gone = surface.cancel(state, 0)
        return (surface.end(state, AlgoStatus.COMPLETED, "enough"), gone) if gone else (state, NOTHING)

    twice = Plugin(name="twice", params=type(iceberg_params()), plan=ICEBERG.plan, decide=decide)
    stage = PluginStage(twice, iceberg_params())
    stage.slot = 1
    stage.accept()
    stage.slot = 0
    stage.accept()
    assert len(stage.asked(CancelChild)) == 1
    stage.accept()
    assert len(stage.asked(CancelChild)) == 2, "what it left standing goes too"
    stage.slot = 1
    stage.accept()
    assert (stage.state.status, stage.state.reason) == (AlgoStatus.COMPLETED, "enough")


# --- holds, pauses, stops -----------------------------------------------------------------------------


def test_stale_data_means_hold_and_the_resting_order_stays() -> None:
    stage = resting()
    assert stage.health("redis") == ()
    assert stage.fill("0.5") == (), "whatever prices there are"
    stage.health("")
    stage.accept()
    stage.touch = None
    assert stage.health("book") == ()
    assert stage.state.status is AlgoStatus.THROTTLED
    assert stage.fill("0.5") == ()
    assert stage.state.orders == ()
    stage.touch = quote(1000, 1010)
    (placed,) = stage.health("")
    assert isinstance(placed, PlaceChild)


@pytest.mark.parametrize(
    "stop, go, status",
    [
        (step.PauseRequest(T0, "asked"), step.ResumeRequest(T0, quote(1000, 1010)), AlgoStatus.PAUSED),
        (
            step.StreamHealth(T0, "", blocked="frozen", quote=quote(1000, 1010)),
            step.StreamHealth(T0, "", quote=quote(1000, 1010)),
            AlgoStatus.BLOCKED,
        ),
        (
            step.StreamHealth(T0, "redis", withdraw=True),
            step.StreamHealth(T0, "", quote=quote(1000, 1010)),
            AlgoStatus.THROTTLED,
        ),
    ],
)
def test_entries_leave_while_they_may_not_stand_and_come_back(stop, go, status) -> None:
    stage = resting()
    (gone,) = stage.give(stop)
    assert isinstance(gone, CancelChild)
    stage.accept()
    stage.give(quote(1001, 1011, stage.now))
    assert (stage.state.status, stage.state.orders) == (status, ())
    (back,) = stage.give(go)
    assert isinstance(back, PlaceChild)
    assert stage.state.status is AlgoStatus.ACTIVE


@pytest.mark.parametrize(
    "stop", [step.PauseRequest(T0, "asked"), step.StopRequest(T0), step.StreamHealth(T0, "redis", True, None, "halted")]
)
def test_what_only_reduces_rests_through_pauses_and_stops(stop) -> None:
    stage = reducing()
    assert stage.give(stop) == ()
    assert len(stage.state.orders) == 1


def test_an_unflagged_closer_does_not_outlive_us() -> None:
    stage = reducing()
    (gone,) = stage.give(step.StopRequest(stage.now, bare=True))
    assert isinstance(gone, CancelChild)


def test_a_smaller_position_is_never_oversold_and_none_ends_it() -> None:
    stage = reducing()
    before = stage.state
    assert stage.give(step.PositionReduced(stage.now, D(2), stage.touch)) == ()
    assert stage.state is before
    assert stage.give(step.PositionReduced(stage.now, D(1), stage.touch)) == ()
    assert stage.state.legs[0].quantity == D(1)
    asked = stage.give(step.PositionReduced(stage.now, D("0.3"), stage.touch))
    assert [type(one) for one in asked] == [CancelChild]
    stage.accept()
    assert stage.asks() == [("SELL", D(100), D("0.3"))]
    stage.accept()
    stage.give(step.PositionReduced(stage.now, D(0), stage.touch))
    stage.accept()
    assert (stage.state.status, stage.state.reason) == (AlgoStatus.CANCELLED, "position_gone")


def test_an_entry_does_not_hear_of_positions_and_a_wrong_form_is_placed_anew() -> None:
    stage = resting()
    assert stage.give(step.PositionReduced(stage.now, D(0), stage.touch)) == ()
    (gone,) = stage.give(step.ReplaceRequest(stage.now, stage.touch))
    assert isinstance(gone, CancelChild)
    assert stage.state.replacing
    stage.accept()
    assert (stage.state.replacing, len(stage.state.orders)) == (False, 1)


def test_a_used_up_rate_budget_waits_for_its_turn() -> None:
    stage = PluginStage()
    stage.refuse(refused=False, throttled=True)
    assert (stage.state.throttle, stage.state.status, stage.state.orders) == ("queued", AlgoStatus.THROTTLED, ())
    assert stage.move(1001, 1010) == ()
    (placed,) = stage.give(step.Budget(stage.now, "", stage.touch))
    assert isinstance(placed, PlaceChild)


def test_changed_rules_are_the_rules_from_now_on() -> None:
    stage = resting()
    stage.give(step.InstrumentChanged(stage.now, rules(max_qty="0.2"), stage.touch))
    stage.fill("0.5")
    assert stage.asks() == [("BUY", D(100), D("0.2"))]


def test_words_that_are_not_for_it_change_nothing() -> None:
    stage = resting()
    before = stage.state
    assert stage.give(step.AmendRequest(stage.now, stage.touch, D(3))) == ()
    assert stage.state is before


# --- refusals -----------------------------------------------------------------------------------------


def test_the_same_refusal_three_times_backs_off_and_blocks_until_it_is_accepted() -> None:
    stage = PluginStage()
    for count in (1, 2, 3):
        stage.refuse(code=-4400)
        assert stage.state.rejections == count
        wait = 250 if count < 3 else 1000
        assert stage.state.wake_at == stage.state.retry_at == stage.now + wait
        if count < 3:
            stage.run(wait)
    assert (stage.state.status, stage.state.reason) == (AlgoStatus.BLOCKED, "refused -4400")
    stage.run(1000)
    stage.accept()
    assert (stage.state.status, stage.state.rejections, stage.state.reason) == (AlgoStatus.ACTIVE, 0, "")


def test_another_refusal_begins_its_own_row_and_a_passing_one_counts_for_none() -> None:
    stage = PluginStage()
    stage.refuse(code=-1)
    stage.run(250)
    stage.refuse(code=-2)
    assert stage.state.rejections == 1
    stage.run(250)
    stage.refuse(code=-3, refused=False, retry_at=stage.now + 5000)
    assert (stage.state.rejections, stage.state.retry_at) == (1, stage.now + 5000)


def test_a_refused_amend_leaves_the_order_and_a_new_order_does_not_excuse_it() -> None:
    stage = quoting()
    stage.move(1001, 1010)
    stage.refuse(code=-9)
    assert (stage.state.rejection, stage.child.price) == ("amend:-9", D(100))
    stage.health("redis", withdraw=True)
    stage.accept()
    stage.run(1000)
    stage.health("")
    stage.accept()
    assert (stage.child.state, stage.state.rejection) == ("active", "amend:-9")


def test_a_refused_cancel_is_sent_again_and_its_row_ends_with_the_order() -> None:
    stage = resting()
    stage.give(step.CancelRequest(stage.now, "asked"))
    for _ in range(3):
        stage.refuse(code=-5)
        assert stage.state.wake_at == stage.state.cancel_at > stage.now
        stage.run(stage.state.cancel_at - stage.now)
    assert len(stage.asked(CancelChild)) == 4
    stage.accept()
    assert (stage.state.status, stage.state.rejection) == (AlgoStatus.CANCELLED, "")


def test_a_cancel_that_was_not_done_is_sent_again_soon() -> None:
    stage = resting()
    stage.give(step.PauseRequest(stage.now, "asked"))
    stage.refuse(code=-6, refused=False)
    stage.run(250)
    assert len(stage.asked(CancelChild)) == 2


def test_nothing_to_reduce_ends_it() -> None:
    stage = PluginStage(asked=iceberg_params(side=Side.SELL, reduce_only=True))
    stage.refuse(Cause.REDUCE_ONLY)
    assert (stage.state.status, stage.state.reason) == (AlgoStatus.CANCELLED, "nothing_to_reduce")


def test_an_unknown_fate_blocks_its_slot_until_it_is_known() -> None:
    stage = PluginStage()
    stage.lose()
    assert stage.move(1001, 1010) == ()
    assert len(stage.asked(PlaceChild)) == 1
    stage.look_up()
    assert stage.child.state == "active"


# --- ended by the venue -------------------------------------------------------------------------------


def test_an_order_that_somebody_cancelled_ends_it() -> None:
    stage = resting()
    stage.end(VenueStatus.CANCELLED)
    assert (stage.state.status, stage.state.reason) == (AlgoStatus.CANCELLED, "child_cancelled_externally")


@pytest.mark.parametrize("while_down", [False, True])
def test_an_order_that_the_dead_man_timer_took_may_stand_again(while_down: bool) -> None:
    stage = resting()
    stage.end(VenueStatus.CANCELLED, cause=Cause.DEAD_MAN, while_down=while_down)
    assert (stage.state.status, stage.state.paused) == (AlgoStatus.ACTIVE, "")


def test_a_cancel_while_down_pauses_an_entry_and_lets_a_closer_go_on() -> None:
    stage = resting()
    stage.end(VenueStatus.CANCELLED, while_down=True)
    assert stage.state.paused == "child_cancelled_while_down"
    closer = reducing()
    closer.end(VenueStatus.CANCELLED, while_down=True)
    assert len(closer.state.orders) == 1


def test_a_gtx_amend_that_would_cross_counts_as_a_refusal() -> None:
    stage = quoting()
    stage.move(1001, 1010)
    stage.end(VenueStatus.CANCELLED)
    assert (stage.state.rejection, stage.state.ending) == ("amend:would_cross", None)


def test_an_expired_order_is_a_refusal_but_not_an_iocs_remainder() -> None:
    stage = resting()
    stage.end(VenueStatus.EXPIRED, Cause.SELF_TRADE)
    assert (stage.state.rejection, stage.state.rejections) == ("rest:expired_self_trade", 1)

    def decide(state: PluginState, now: int, touch: Any) -> Decided:
        if state.orders:
            return state, NOTHING
        return surface.place(state, 0, Side.BUY, D(101), state.room(Side.BUY), "IOC")

    taker = PluginStage(
        Plugin(name="taker", params=type(iceberg_params()), plan=ICEBERG.plan, decide=decide), iceberg_params()
    )
    taker.end(VenueStatus.EXPIRED, Cause.TIME_IN_FORCE)
    assert (taker.state.rejection, len(taker.asked(PlaceChild))) == ("", 2)


# --- endings and late fills ---------------------------------------------------------------------------


def test_a_cancel_waits_for_the_proof_and_late_fills_are_booked() -> None:
    stage = resting()
    order = stage.order
    stage.give(step.CancelRequest(stage.now, "asked"))
    assert (stage.state.status, len(stage.state.orders)) == (AlgoStatus.STOPPING, 1)
    stage.give(step.CancelRequest(stage.now, "again"))
    stage.accept()
    assert (stage.state.status, stage.state.reason) == (AlgoStatus.CANCELLED, "asked")
    ended = stage.state
    assert stage.give(step.Timer(stage.now, stage.touch)) == ()
    assert stage.state is ended
    stage.fill("0.1", order=order)
    assert (stage.state.legs[0].filled, stage.state.status) == (D("0.1"), AlgoStatus.CANCELLED)


def test_filled_while_it_was_to_end_is_completed() -> None:
    stage = resting(quantity=D("0.5"))
    stage.give(step.CancelRequest(stage.now, "asked"))
    stage.fill("0.5")
    assert stage.state.status is AlgoStatus.COMPLETED


def test_an_ending_of_another_kind_is_a_mistake() -> None:
    with pytest.raises(AssertionError, match="no ending of ours"):
        surface.end(resting().state, AlgoStatus.PAUSED)


# --- at its start -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "plans, reduce_only",
    [((), False), ((Side.BUY, Side.BUY), False), ((Side.BUY, Side.SELL), True)],
)
def test_a_plan_names_each_side_once_and_one_where_it_only_reduces(plans, reduce_only) -> None:
    made = tuple(Plan(side, D(1), D(100)) for side in plans)
    odd = _replace(ICEBERG, plan=lambda params, instrument, touch: made)
    with pytest.raises(Invalid, match="has to plan each side"):
        PluginStage(odd, iceberg_params(reduce_only=reduce_only))


def test_a_first_step_that_breaks_a_law_is_a_refusal_and_no_failure() -> None:
    def decide(state: PluginState, now: int, touch: Any) -> Decided:
        return surface.place(state, 0, Side.BUY, D("100.05"), D(1))

    with pytest.raises(Invalid, match=r"would break law 6: price 100\.05 off the grid"):
        PluginStage(_replace(ICEBERG, decide=decide), iceberg_params())


def test_a_record_has_the_plug_ins_own_types() -> None:
    record = record_of(MAKER)
    assert record.__name__ == "MakerState"
    assert record_of(MAKER) is record, "made once"
    stage = quoting(minutes=5)
    assert type(codec.decode(record, codec.encode(stage.state)).own) is MAKER.own
    with pytest.raises(Invalid):
        revived(ICEBERG, LINE, codec.decode(ParkedState, codec.encode(stage.state)))
