"""What a scalper does with its layers: open, close what was opened, fill again, end (algos.md, scalper)."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from algos import step
from algos.children import ChildDone
from algos.registry import CHASE, SCALPER
from algos.scalper_told import event_scalper
from schemas.chase import AlgoStatus
from schemas.events_algos import ScalperEvent, ScalperFilled
from schemas.orders import Cause, OrderState
from schemas.reports import VenueStatus
from tests.pure.algos.ladder import BUY, LONG, SELL, SHORT, Ladder
from tests.pure.algos.stage import rules

D = Decimal
_replace = msgspec.structs.replace


# --- the legs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("start_side, opens, closes", [(LONG, BUY, SELL), (SHORT, SELL, BUY)])
def test_only_the_opening_leg_stands_until_it_has_filled(start_side, opens, closes) -> None:
    ladder = Ladder(start_side=start_side, child_count=2)
    assert [order.reduce_only for order in ladder.resting()] == [False, False]
    assert {order.side for order in ladder.resting()} == {opens}
    assert ladder.reasons(closes) == ["not_armed", "not_armed"]
    assert not ladder.state.armed


def test_layers_stand_behind_the_touch_and_follow_it() -> None:
    ladder = Ladder(child_count=2)
    assert ladder.prices(BUY) == [D("99.8"), D("99.7")]
    ladder.move(1004, 1006)
    assert ladder.prices(BUY) == [D("100.3"), D("100.2")]
    assert len(ladder.started) == 2
    assert {spawn.params.post_only for spawn in ladder.started} == {True}


def test_in_neutral_mode_both_legs_open_from_the_start() -> None:
    ladder = Ladder(neutral_mode=True, child_count=2)
    assert [(order.side, order.reduce_only) for order in ladder.resting()].count((SELL, False)) == 2
    assert [(order.side, order.reduce_only) for order in ladder.resting()].count((BUY, False)) == 2


@pytest.mark.parametrize("start_side, opens, closes", [(LONG, BUY, SELL), (SHORT, SELL, BUY)])
def test_a_partial_fill_is_inventory_at_once_and_the_closing_leg_stands_for_it(start_side, opens, closes) -> None:
    ladder = Ladder(start_side=start_side, child_count=2)
    ladder.fill(ladder.resting(opens)[0], "0.2")
    (closing,) = ladder.resting(closes)
    assert (closing.reduce_only, closing.remaining) == (True, D("0.2"))
    assert ladder.state.inventory == opens.sign * D("0.2")
    assert ladder.reasons(closes) == ["", "no_inventory"]


def test_closing_legs_grow_with_the_inventory_to_their_own_size_inner_layers_first() -> None:
    ladder = Ladder(child_count=2)
    first = ladder.resting(BUY)[0]
    ladder.fill(first, "0.2")
    ladder.run(1000)
    ladder.fill(first, "0.3")
    ladder.run(1000)
    assert [order.remaining for order in ladder.resting(SELL)] == [D("0.5")]
    ladder.fill(ladder.resting(BUY)[-1], "0.3")
    assert [order.remaining for order in ladder.resting(SELL)] == [D("0.5"), D("0.3")]
    assert len(ladder.started) == 4, "two opening legs and two closing ones: these grow by an amend"


def test_a_closing_leg_that_fills_gives_the_inventory_back_and_realises_its_gain() -> None:
    ladder = Ladder()
    ladder.fill(ladder.resting(BUY)[0])
    ladder.fill(ladder.resting(SELL)[0], "0.4", "100.2")
    state = ladder.state
    assert (state.inventory, state.entry_price) == (D("0.6"), D("99.8"))
    assert state.realized_pnl == D("0.16")
    ladder.fill(ladder.resting(SELL)[0], "0.6", "99.7")
    assert (ladder.state.inventory, ladder.state.entry_price) == (0, 0)
    assert ladder.state.realized_pnl == D("0.10")
    assert ladder.state.fees == {"USDT": D("0.003")}
    assert ladder.reasons(SELL) == ["no_inventory"]


def test_the_entry_is_the_average_of_what_is_still_held() -> None:
    ladder = Ladder(child_count=2)
    inner, outer = ladder.resting(BUY)
    ladder.fill(inner, "0.1", "99.8")
    ladder.fill(outer, "0.3", "99.4")
    assert ladder.state.entry_price == D("99.5")


def test_in_neutral_mode_a_fill_may_turn_the_inventory_over() -> None:
    ladder = Ladder(neutral_mode=True, allow_loss=True, long_size_usd="50", short_size_usd="100")
    ladder.fill(ladder.resting(BUY)[0], "0.4")
    ladder.fill(ladder.resting(SELL)[0], "1", "100.2")
    assert ladder.state.inventory == D("-0.6")
    assert ladder.state.entry_price == D("100.2")
    assert ladder.state.realized_pnl == D("0.16")


def test_a_filled_slot_stands_again_with_its_own_size() -> None:
    ladder = Ladder(max_position_usd="1000")
    for times in range(1, 4):
        ladder.fill(ladder.resting(BUY)[0])
        (order,) = ladder.resting(BUY)
        assert order.quantity == D("1")
        assert ladder.slot(BUY).fill_count == times
    assert ladder.state.inventory == 3
    assert [order.quantity for order in ladder.resting(SELL)] == [D("1")]


def test_only_the_inventory_left_is_closed_by_the_last_leg() -> None:
    ladder = Ladder(short_size_usd="60")
    ladder.fill(ladder.resting(BUY)[0])
    ladder.fill(ladder.resting(SELL)[0])
    assert [order.quantity for order in ladder.resting(SELL)] == [D("0.4")]


def test_a_number_of_a_child_is_never_used_again() -> None:
    ladder = Ladder(max_position_usd="1000")
    for _ in range(5):
        ladder.fill(ladder.resting(BUY)[0])
        ladder.restart()
    names = [spawn.child_id for spawn in ladder.started]
    assert len(set(names)) == len(names) == ladder.state.child_number


# --- the cap ------------------------------------------------------------------------------------------


def test_the_leg_that_would_exceed_the_cap_pauses_and_returns_when_there_is_room() -> None:
    ladder = Ladder(child_count=2, max_position_usd="100")
    ladder.fill(ladder.resting(BUY)[0])
    assert ladder.reasons(BUY) == ["position_cap", ""]
    ladder.fill(ladder.resting(SELL)[0])
    assert ladder.reasons(BUY) == ["", ""]


def test_without_a_cap_of_its_own_the_larger_side_is_the_cap() -> None:
    assert Ladder(long_size_usd="50", short_size_usd="120").state.cap_quantity == D("1.2")


def test_dust_that_no_order_can_close_does_not_hold_the_opening_leg() -> None:
    ladder = Ladder(instrument=rules(min_qty="0.005"))
    ladder.fill(ladder.resting(BUY)[0])
    ladder.fill(ladder.resting(SELL)[0], "0.997")
    order = ladder.resting(SELL)[0]
    ladder.end(order, VenueStatus.CANCELLED)
    ladder.run(3_000)
    assert ladder.state.inventory == D("0.003")
    assert ladder.reasons(SELL) == ["no_inventory"]
    assert [order.quantity for order in ladder.resting(BUY)] == [D("1")]


@pytest.mark.parametrize("left, standing", [("1.004", ["", "no_inventory"]), ("1.006", ["", ""])])
def test_a_closing_child_whose_share_no_order_could_close_leaves(left: str, standing: list[str]) -> None:
    """The outer layer gives way first; under minQty nothing of it may stand."""
    ladder = Ladder(child_count=2, long_size_usd="200", instrument=rules(min_qty="0.005"))
    for order in ladder.resting(BUY):
        ladder.fill(order)
    assert ladder.reasons(SELL) == ["", ""]
    ladder.by_hand = ladder.position - D(left)
    ladder.position = D(left)
    ladder.give(step.PositionReduced(ladder.now, D(0), ladder.touch, D(left)))
    assert ladder.reasons(SELL) == standing
    assert sum(order.remaining for order in ladder.resting(SELL)) == (D(1) if "no_inventory" in standing else D(left))


def test_in_neutral_mode_the_cap_counts_each_direction() -> None:
    ladder = Ladder(neutral_mode=True, allow_loss=True, child_count=2, max_position_usd="100")
    ladder.fill(ladder.resting(BUY)[0])
    assert ladder.reasons(BUY) == ["position_cap", ""]
    assert len(ladder.resting(SELL)) == 2, "these reduce"


def test_a_leg_that_came_to_exceed_the_cap_leaves_the_outer_one_first() -> None:
    """Short inventory makes room for buying; somebody else closes it, and the room is gone."""
    ladder = Ladder(neutral_mode=True, child_count=2, max_position_usd="60")
    assert ladder.reasons(BUY) == ladder.reasons(SELL) == ["", "position_cap"]
    ladder.fill(ladder.resting(SELL)[0])
    assert len(ladder.resting(BUY)) == 2
    ladder.slow = True
    ladder.capped = False  # until the outer leg is gone
    ladder.reduce_by_hand("0.5")
    assert [order.state for order in ladder.resting(BUY)] == [OrderState.ACTIVE, OrderState.CANCELLING]
    ladder.answer_all()
    ladder.capped = True
    assert ladder.reasons(BUY) == ["", "position_cap"]


# --- closed elsewhere ---------------------------------------------------------------------------------


def test_a_position_closed_by_somebody_else_takes_the_closing_leg_and_the_inventory_along() -> None:
    ladder = Ladder()
    ladder.fill(ladder.resting(BUY)[0])
    ladder.reduce_by_hand("1")
    assert (ladder.state.inventory, ladder.state.closed_elsewhere) == (0, 1)
    assert ladder.resting(SELL) == []
    assert [order.quantity for order in ladder.resting(BUY)] == [D("1")]


def test_a_position_reduced_by_somebody_else_shrinks_the_closing_legs_outer_ones_first() -> None:
    ladder = Ladder(child_count=2, max_position_usd="200")
    for order in ladder.resting(BUY):
        ladder.fill(order)
    assert [order.remaining for order in ladder.resting(SELL)] == [D("0.5"), D("0.5")]
    ladder.run(1_000)
    ladder.reduce_by_hand("0.3")
    ladder.run(1_000)
    assert [order.remaining for order in ladder.resting(SELL)] == [D("0.5"), D("0.2")]
    assert [slot.child.asked for slot in ladder.state.short.slots] == [D("0.5"), D("0.2")], "and the record knows"
    ladder.reduce_by_hand("0.2")
    ladder.run(1_000)
    assert [order.remaining for order in ladder.resting(SELL)] == [D("0.5")]
    assert ladder.state.inventory == D("0.5")


def test_a_position_that_still_holds_the_inventory_or_is_others_own_changes_nothing() -> None:
    ladder = Ladder()
    ladder.fill(ladder.resting(BUY)[0], "0.3")
    before = ladder.state
    assert ladder.give(step.PositionReduced(ladder.now, D(0), None, D("-0.2"))) == ()
    assert ladder.give(step.PositionReduced(ladder.now, D(0), None, D("0.3"))) == ()
    assert ladder.give(step.PositionReduced(ladder.now, D(0), None, None)) == ()
    assert ladder.state is before


# --- failures -----------------------------------------------------------------------------------------


def test_a_refused_leg_waits_longer_each_time() -> None:
    ladder = Ladder(long_offset_pct="0")
    ladder.refusing = (Cause.FILTER, True)
    ladder.give(step.PauseRequest(ladder.now, "p"))
    ladder.give(step.ResumeRequest(ladder.now, ladder.touch))
    ladder.run(3_600_000)
    failed = [stop for stop in ladder.stopped if stop.reason == "refused -1111"]
    assert 12 <= len(failed) <= 24, "2 + 4 + … + 300 + 300 s within an hour"
    assert ladder.slot(BUY).reason == "refused -1111"
    assert 0 < ladder.slot(BUY).retry_at - ladder.now <= 300_000
    assert (ladder.state.status, ladder.state.reason) == (AlgoStatus.BLOCKED, "refused -1111")
    ladder.refusing = None
    ladder.run(300_000)
    assert len(ladder.resting(BUY)) == 1
    assert ladder.state.status is AlgoStatus.ACTIVE
    ladder.fill(ladder.resting(BUY)[0])
    assert ladder.slot(BUY).failures == 0


def test_what_was_cancelled_by_a_person_returns_after_the_back_off_only() -> None:
    ladder = Ladder()
    ladder.end(ladder.resting(BUY)[0], VenueStatus.CANCELLED)
    assert ladder.reasons(BUY) == ["child_cancelled_externally"]
    assert ladder.slot(BUY).retry_at == ladder.now + 2_000
    ladder.run(1_999)
    assert ladder.resting(BUY) == []
    ladder.run(1)
    assert len(ladder.resting(BUY)) == 1
    ladder.end(ladder.resting(BUY)[0], VenueStatus.CANCELLED)
    assert ladder.slot(BUY).retry_at == ladder.now + 4_000


def test_a_failure_long_after_the_last_one_counts_as_the_first() -> None:
    ladder = Ladder()
    ladder.end(ladder.resting(BUY)[0], VenueStatus.CANCELLED)
    ladder.run(2_000)
    ladder.run(300_000)
    ladder.end(ladder.resting(BUY)[0], VenueStatus.CANCELLED)
    assert ladder.slot(BUY).retry_at == ladder.now + 2_000


def test_a_closing_leg_that_finds_nothing_to_close_is_not_tried_for_ever() -> None:
    """Others' closers stand for the whole position: the gate says no until they leave."""
    ladder = Ladder()
    ladder.refusing = (Cause.REDUCE_ONLY, True)
    ladder.fill(ladder.resting(BUY)[0])
    assert ladder.reasons(SELL) == ["nothing_to_reduce"]
    ladder.run(60_000)
    closing = [spawn for spawn in ladder.started if spawn.params.reduce_only]
    assert len(closing) == 5, "at once, and after 2, 4, 8 and 16 s"
    ladder.refusing = None
    ladder.run(64_000)
    assert len(ladder.resting(SELL)) == 1


def test_a_child_whose_record_was_lost_is_replaced() -> None:
    ladder = Ladder()
    (name,) = SCALPER.view(ladder.state).child_algos
    gone = ladder.resting(BUY)[0]
    ladder.orders[gone.client_order_id] = _replace(gone, state=OrderState.CANCELLED)
    ladder.restart(lost=name)
    assert (ladder.reasons(BUY), ladder.slot(BUY).retry_at) == (["record_lost"], ladder.now + 2_000)
    ladder.run(2_000)
    assert len(ladder.resting(BUY)) == 1


def test_a_late_fill_of_an_ended_child_is_booked() -> None:
    ladder = Ladder()
    name = ladder.started[0].child_id
    order = ladder.resting(BUY)[0]
    ladder.give(step.PauseRequest(ladder.now, "p"))
    assert ladder.resting(BUY) == []
    ladder.position += D("0.25")
    late = _replace(
        ladder.told[name], filled_quantity=D("0.25"), quote_filled=D("0.25") * order.price, fees={"BNB": D("0.1")}
    )
    ladder.give(ChildDone(ladder.now, late, ladder.touch))
    assert ladder.state.inventory == D("0.25")
    assert ladder.state.fees == {"BNB": D("0.1")}
    before = ladder.state
    ladder.give(ChildDone(ladder.now, late, ladder.touch))
    assert ladder.state is before, "the same report twice says nothing new"


def test_word_of_a_child_that_nobody_remembers_changes_nothing() -> None:
    ladder = Ladder()
    before = ladder.state
    stranger = _replace(ladder.told[ladder.started[0].child_id], child_id="c999999999", filled_quantity=D(1))
    ladder.give(ChildDone(ladder.now, stranger, ladder.touch))
    assert ladder.state is before


# --- the end ------------------------------------------------------------------------------------------


def test_a_cancel_ends_the_scalper_when_all_children_are_proven_gone() -> None:
    ladder = Ladder(child_count=2)
    ladder.fill(ladder.resting(BUY)[0], "0.2")
    ladder.slow = True
    ladder.give(step.CancelRequest(ladder.now, "asked"))
    assert (ladder.state.status, len(ladder.state.children)) == (AlgoStatus.STOPPING, 3)
    ladder.answer()
    ladder.answer()
    assert ladder.state.status is AlgoStatus.STOPPING
    ladder.give(step.CancelRequest(ladder.now, "asked again"))
    ladder.fill(ladder.resting(SELL)[0], "0.1")
    ladder.answer_all()
    assert (ladder.state.status, ladder.state.reason) == (AlgoStatus.CANCELLED, "asked")
    assert ladder.state.inventory == D("0.1")
    assert ladder.resting() == []


def test_a_scalper_without_children_ends_at_once() -> None:
    ladder = Ladder()
    ladder.give(step.PauseRequest(ladder.now, "p"))
    ladder.give(step.CancelRequest(ladder.now, "asked"))
    assert ladder.state.status is AlgoStatus.CANCELLED


def test_an_ended_scalper_only_books_late_fills() -> None:
    """Law 4."""
    ladder = Ladder()
    name = ladder.started[0].child_id
    ladder.give(step.CancelRequest(ladder.now, "asked"))
    ended = ladder.state
    ladder.move(1100, 1110)
    ladder.give(step.Timer(ladder.now, ladder.touch))
    ladder.give(step.ResumeRequest(ladder.now, ladder.touch))
    assert ladder.state is ended
    ladder.position += 1
    late = _replace(ladder.told[name], filled_quantity=D(1), quote_filled=D("99.8"))
    ladder.give(ChildDone(ladder.now, late, ladder.touch))
    assert (ladder.state.status, ladder.state.inventory) == (AlgoStatus.CANCELLED, 1)
    ended = ladder.state
    ladder.run(5_000)
    ladder.give(ChildDone(ladder.now, late, ladder.touch))
    assert ladder.state is ended


# --- what is told -------------------------------------------------------------------------------------


def test_a_filled_layer_is_told_once_with_its_side_layer_price_and_quantity() -> None:
    ladder = Ladder(child_count=2)
    ladder.fill(ladder.resting(BUY)[1], "0.2", "99.7")
    assert type(event_scalper("scalper_progress", ladder.state, ladder.now)) is ScalperEvent
    told = []
    give = ladder._step

    def listening(given):
        before = ladder.state
        actions = give(given)
        if ladder.state is not before:
            told.append(event_scalper("scalper_progress", ladder.state, ladder.now))
        return actions

    ladder._step = listening
    ladder.fill(ladder.orders[ladder.resting(BUY)[1].client_order_id], "all", "99.6")
    (filled,) = [event for event in told if type(event) is ScalperFilled]
    assert (filled.side, filled.layer_idx, filled.fill_qty) == (BUY, 1, D("0.5"))
    assert filled.fill_price == D("99.64")
    assert filled.total_fill_count == 1
    assert filled.inventory == D("0.5")


def test_its_view_tells_the_shell_of_its_children_and_of_what_it_holds() -> None:
    ladder = Ladder(child_count=2)
    view = SCALPER.view(ladder.state)
    assert (view.algo_id, view.symbol, view.live_children, view.reduce_only) == ("l123456789", "BTCUSDT", (), False)
    assert len(view.child_algos) == 2
    assert (view.mid, view.holds) == (D(100), False)
    ladder.fill(ladder.resting(BUY)[0], "0.1")
    after = SCALPER.view(ladder.state)
    assert after.holds
    assert after.news != view.news
    assert CHASE.view(ladder.chases[view.child_algos[0]]).parent_id == view.algo_id


def test_its_event_shows_every_layer_and_what_all_fills_came_to() -> None:
    ladder = Ladder(child_count=2)
    event = event_scalper("scalper_started", ladder.state, ladder.now)
    assert [slot.status for slot in event.long_slots] == [AlgoStatus.ACTIVE] * 2
    assert [(slot.status, slot.paused_reason) for slot in event.short_slots] == [(AlgoStatus.PAUSED, "not_armed")] * 2
    assert (event.slippage_bps, event.avg_buy_price) == (0, 0)
    ladder.fill(ladder.resting(BUY)[0], "0.5", "99.8")
    ladder.fill(ladder.resting(SELL)[0], "0.5", "100.2")
    event = event_scalper("scalper_cancelled", ladder.state, ladder.now)
    assert (event.avg_buy_price, event.avg_sell_price, event.filled_quantity) == (D("99.8"), D("100.2"), 1)
    assert event.slippage_bps == D("-20"), "earned on both sides"
