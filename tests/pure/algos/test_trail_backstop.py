"""The backstop of a trailing stop: where it stands, how it moves, and what its triggering means (algos.md, trail_stop;
execution.md 14, 29)."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from algos import step, trail_backstop, trail_price, trail_told
from algos.children import Exit
from algos.laws import LawBroken
from algos.step import CancelChild, PlaceChild
from algos.trail_backstop import MOVE_MS, UNPROVEN_MS
from algos.trail_laws import check_trail_stop
from schemas.chase import AlgoStatus
from schemas.ids import ATTEMPT_MAX, OrderId, parse
from schemas.orders import Cause, OrderState
from schemas.trail_stop import Backstop
from tests.pure.algos.stage import EPOCH, T0, rules
from tests.pure.algos.trail_stage import LONG, SHORT, TrailStage, params

D = Decimal
ACTIVE, FILLED, CANCELLED = OrderState.ACTIVE, OrderState.FILLED, OrderState.CANCELLED
WHOLE = Exit("BTCUSDT", LONG, D(1))


def backed(**asked: object) -> TrailStage:
    """A stop of a whole coin at 100 with its backstop at rest, the position its account's whole net."""
    stage = TrailStage(**asked)
    stage.cover("1")
    stage.backstop()
    stage.now += MOVE_MS
    return stage


def shared(**asked: object) -> TrailStage:
    """The same beside another sub-account's whole coin."""
    stage = TrailStage(**asked)
    stage.cover("1", "2")
    stage.backstop()
    stage.now += MOVE_MS
    return stage


def stands(stage: TrailStage) -> list[tuple[Decimal, Decimal]]:
    return [(one.price, one.quantity) for one in stage.state.backstops]


# --- where it stands --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "asked, price",
    [
        ({}, "98"),
        ({"side": SHORT}, "102"),
        ({"callback_pct": "0.07"}, "99.8"),
        ({"callback_abs": "2.53"}, "94.9"),
        ({"callback_ticks": 7}, "98.6"),
        ({"callback_ticks": 7, "side": SHORT}, "101.4"),
        ({"backstop_pct": D(5)}, "95"),
        ({"backstop_pct": D(5), "side": SHORT}, "105"),
        ({"callback_pct": "50"}, "0.1"),
        ({"callback_pct": "50", "side": SHORT}, "200"),
    ],
)
def test_it_stands_twice_the_callback_behind_the_extreme_or_as_asked(asked, price) -> None:
    """On the grid, never nearer than asked; as far away as prices go where twice the callback is farther."""
    stage = TrailStage(**asked)
    (order,) = stage.cover("1")
    assert (order.trigger_price, order.quantity, order.price) == (D(price), D(1), 0)
    assert (order.order_type, order.reduce_only, order.side) == ("STOP_MARKET", True, stage.state.side)
    assert order.alternatives == stage.state.trail_stop_id
    whose = parse(order.client_order_id)
    assert isinstance(whose, OrderId)
    assert (whose.owner, whose.epoch, whose.slot, whose.attempt) == (stage.state.trail_stop_id, EPOCH, 0, 0)


@pytest.mark.parametrize("side", [LONG, SHORT])
def test_a_backstop_in_front_of_the_trigger_is_known_for_one(side) -> None:
    for asked, behind in (("1", False), ("1.1", True), ("0.9", False)):
        asked_for = params(side=side, backstop_pct=D(asked))
        assert trail_price.stands_behind(asked_for, rules(), D(100)) is behind
    assert trail_price.stands_behind(params(side=side), rules(), D(100))


def test_a_symbol_with_a_highest_price_bounds_it() -> None:
    stage = TrailStage(instrument=rules(max_price="150.05"), side=SHORT, callback_pct="40")
    (order,) = stage.cover("1")
    assert order.trigger_price == 150


@pytest.mark.parametrize(
    "trigger, working", [("mark", "MARK_PRICE"), ("mid", "CONTRACT_PRICE"), ("touch", "CONTRACT_PRICE")]
)
def test_the_venue_looks_at_the_mark_where_the_stop_does(trigger, working) -> None:
    stage = TrailStage(trigger=trigger)
    stage.mark("100", 0)
    (order,) = stage.cover("1")
    assert order.working_type == working


@pytest.mark.parametrize(
    "asked, most",
    [
        ({"backstop_pct": D(0)}, "1"),
        ({"activation_price": "105"}, "1"),
        ({}, "0"),
        ({}, "0.0004"),
        ({"callback_pct": "50", "instrument": rules(min_price="60")}, "1"),
    ],
)
def test_it_stands_nowhere_without_need_or_room(asked, most) -> None:
    """Off; not active yet; nothing of the net is left to it; too little to be an order; no price behind the trigger."""
    stage = TrailStage(**asked)
    assert stage.cover(most) == ()
    assert not stage.asked(PlaceChild)


def test_it_asks_for_its_part_once_it_is_active() -> None:
    stage = TrailStage(activation_price="105")
    stage.cover("1")
    assert trail_told.view_trail_stop(stage.state).backstop == 0
    (order,) = stage.move(1050)
    assert order.trigger_price == D("102.9")
    assert trail_told.view_trail_stop(stage.state).backstop == 1


@pytest.mark.parametrize("most, market_max, quantity", [("0.4004", "0", "0.4"), ("1", "0.3", "0.3"), ("7", "0", "1")])
def test_it_is_no_larger_than_the_stop_its_part_of_the_net_and_one_order(most, market_max, quantity) -> None:
    stage = TrailStage(instrument=rules(market_max_qty=market_max))
    (order,) = stage.cover(most)
    assert order.quantity == D(quantity)


# --- how it moves -----------------------------------------------------------------------------------


def test_it_moves_when_the_trigger_has_moved_a_quarter_of_the_distance_new_before_old() -> None:
    stage = backed(callback_ticks=40)  # extreme 100, trigger 96, backstop 92
    assert stage.move(1009) == ()
    asked = stage.move(1010)
    assert [type(action) for action in asked] == [PlaceChild]
    (new,) = asked
    assert (new.trigger_price, new.quantity) == (D(93), D(1))
    assert parse(new.client_order_id).attempt == 1  # type: ignore[union-attr]
    assert stage.move(1200) == (), "one thing at a time"
    old = stage.state.backstops[0].client_order_id
    assert stage.backstop() == (CancelChild(old, "BTCUSDT"),)
    assert stage.move(1300) == ()
    (newer,) = stage.run(10_000) + list(stage.backstop(CANCELLED, 0))
    assert (newer.trigger_price, stands(stage)) == (D(122), [(D(93), D(1)), (D(122), D(1))])


def test_beside_others_positions_the_old_one_goes_first() -> None:
    """Both together could close what is others'."""
    stage = shared(callback_ticks=40)
    old = stage.state.backstops[0].client_order_id
    assert stage.move(1010) == (CancelChild(old, "BTCUSDT"),)
    (new,) = stage.backstop(CANCELLED)
    assert (new.trigger_price, stands(stage)) == (D(93), [(D(93), D(1))])


def test_it_moves_at_most_every_two_seconds_and_then_by_itself() -> None:
    stage = TrailStage(callback_ticks=40)
    stage.cover("1")
    stage.backstop()
    assert stage.move(1020, after_ms=500) == ()
    asked = stage.run(MOVE_MS)
    assert len(asked) == 1
    (new,) = asked
    assert (new.trigger_price, stage.state.updated_at) == (D(94), T0 + MOVE_MS)


@pytest.mark.parametrize("held", ["0.4", "1"])
def test_it_follows_the_position_and_the_net(held) -> None:
    stage = backed()
    (new,) = stage.cover("0.4")
    assert stage.hold(held) == ()
    assert new.quantity == D("0.4")


def test_with_no_part_of_the_net_it_goes() -> None:
    stage = backed()
    assert stage.cover("0", "0") == (CancelChild(stage.state.backstops[0].client_order_id, "BTCUSDT"),)
    assert stage.backstop(CANCELLED) == ()
    assert stage.state.status is AlgoStatus.ACTIVE
    assert len(stage.cover("1")) == 1


@pytest.mark.parametrize("word", [OrderState.PLACING, OrderState.UNKNOWN])
def test_while_the_fate_of_one_is_not_known_no_other_leaves(word) -> None:
    stage = backed(callback_ticks=40)
    stage.move(1010)
    assert stage.backstop(word) == ()
    assert stage.move(1100) == ()
    assert stage.cover("0.5") == ()
    assert len(stage.asked(PlaceChild)) == 2


def test_a_paused_stop_keeps_and_moves_it_and_a_stopping_daemon_leaves_it() -> None:
    stage = backed(callback_ticks=40)
    stage.give(step.PauseRequest(stage.now, "p"))
    assert len(stage.move(1010)) == 1
    stage = backed(callback_ticks=40)
    stage.give(step.StopRequest(stage.now))
    assert stage.move(1010) == ()
    assert len(stage.state.backstops) == 1


def test_its_ids_go_on_in_the_next_slot() -> None:
    stage = backed(callback_ticks=40)
    stage.state = msgspec.structs.replace(stage.state, backstops_asked=ATTEMPT_MAX + 1)
    (new,) = stage.move(1010)
    whose = parse(new.client_order_id)
    assert isinstance(whose, OrderId)
    assert (whose.slot, whose.attempt) == (1, 0)


# --- refused ----------------------------------------------------------------------------------------


def test_refused_it_is_tried_again_and_the_third_time_it_is_told() -> None:
    stage = TrailStage()
    stage.cover("1")
    pauses = []
    for number in range(8):
        asked_at = stage.now
        assert stage.refused() == ()
        exposed = trail_told.view_trail_stop(stage.state).exposed
        assert exposed == ("no" if number >= 2 else "")
        assert len(stage.run(120_000)) == 1
        pauses.append(stage.state.updated_at - asked_at)
    assert pauses == [2000, 2000, 2000, 2000, 4000, 8000, 16000, 32000]
    stage.backstop()
    assert trail_told.view_trail_stop(stage.state).exposed == ""
    assert stage.state.status is AlgoStatus.ACTIVE


def test_one_that_still_stands_is_protection() -> None:
    stage = backed(callback_ticks=40)
    stage.move(1010)
    for _ in range(4):
        stage.refused()
        stage.run(60_000)
    assert trail_told.view_trail_stop(stage.state).exposed == ""
    assert stands(stage)[0] == (D(92), D(1))


def test_what_never_left_for_a_passing_reason_is_no_refusal() -> None:
    stage = TrailStage()
    stage.cover("1")
    for _ in range(5):
        stage.refused(Cause.NONE, refused=False, retry_at=stage.now + 7_000)
        assert stage.run(6_999) == []
        assert len(stage.run(1)) == 1
    assert trail_told.view_trail_stop(stage.state).exposed == ""


@pytest.mark.parametrize("trigger", ["mid", "mark"])
def test_a_trigger_that_has_passed_closes_at_once(trigger) -> None:
    """-2021: the mark price is the venue's own word, and without a quote nothing is known that speaks against it."""
    stage = TrailStage(trigger=trigger)
    stage.mark("100", 0)
    stage.cover("1")
    if trigger == "mid":
        stage.touch = None
    assert stage.refused(Cause.TRIGGERED) == (WHOLE,)
    assert (stage.state.triggered_by, stage.state.triggered_price) == ("backstop", D(98))


def test_a_last_trade_that_is_older_than_the_book_closes_nothing() -> None:
    stage = TrailStage()
    stage.cover("1")
    assert stage.refused(Cause.TRIGGERED) == ()
    assert not stage.state.triggered_at
    assert len(stage.run(MOVE_MS)) == 1
    below = TrailStage()
    below.cover("1")
    below.give(step.PauseRequest(below.now, "p"))
    below.move(980)
    assert below.refused(Cause.TRIGGERED) == (WHOLE,)


def test_one_that_somebody_took_away_comes_back() -> None:
    stage = backed()
    assert stage.backstop(CANCELLED) == ()
    assert stage.state.backstop_reason == "it was cancelled at the venue"
    (new,) = stage.run(MOVE_MS)
    assert new.trigger_price == 98


def test_a_cancel_that_failed_is_sent_again() -> None:
    stage = shared(callback_ticks=40)
    stage.move(1010)
    assert stage.refused(action="cancel") == ()
    (again,) = stage.run(MOVE_MS)
    assert again == CancelChild(stage.state.backstops[0].client_order_id, "BTCUSDT")
    assert stage.state.updated_at == T0 + 2 * MOVE_MS + 1000


# --- triggered --------------------------------------------------------------------------------------


def test_its_fill_ends_the_stop_with_the_evidence() -> None:
    stage = backed()
    event = trail_told.event_trail_stop("trail_stop_progress", stage.state, stage.now)
    (one,) = stage.state.backstops
    told = (event.backstop_order_id, event.backstop_price, event.backstop_quantity)
    assert told == (one.client_order_id, D(98), D(1))
    assert stage.backstop(triggered_at=stage.now) == ()
    assert (stage.state.triggered_by, stage.state.triggered_price) == ("backstop", D(98))
    assert stage.move(900) == (), "it closes already"
    assert stage.backstop(FILLED, fill="1", triggered_at=T0) == ()
    state = stage.state
    assert (state.status, state.reason, state.residual) == (AlgoStatus.COMPLETED, "backstop", 0)
    assert (state.filled_quantity, state.avg_price, state.fees) == (1, 98, {"USDT": D("0.01")})
    event = trail_told.event_trail_stop("trail_stop_completed", state, stage.now)
    assert (event.triggered_by, event.backstop_order_id) == ("backstop", "")


def test_what_it_leaves_is_closed_at_once() -> None:
    stage = backed()
    stage.backstop(triggered_at=stage.now)
    stage.backstop(fill="0.4", triggered_at=T0)
    assert stage.backstop(OrderState.EXPIRED, triggered_at=T0) == (Exit("BTCUSDT", LONG, D("0.6")),)


def test_one_that_found_nothing_to_reduce_lets_the_exit_see() -> None:
    """The venue's word of its position against our books': an exit reads back (execution.md 14)."""
    stage = backed()
    assert stage.backstop(OrderState.EXPIRED, reason="reduce_only") == (WHOLE,)
    assert stage.state.triggered_by == "backstop"


def test_triggered_amid_a_move_the_other_leaves() -> None:
    stage = backed(callback_ticks=40)
    stage.move(1010)
    stage.backstop()
    stage.backstop(at=0, triggered_at=stage.now)
    (cancel,) = stage.sent[-1:]
    assert cancel == CancelChild(stage.state.backstops[1].client_order_id, "BTCUSDT")
    stage = backed(callback_ticks=40)
    stage.move(1010)
    assert stage.backstop(at=0, triggered_at=stage.now) == (), "in flight: as soon as it is known"
    assert stage.backstop() == (CancelChild(stage.state.backstops[1].client_order_id, "BTCUSDT"),)


def test_when_the_stop_has_exited_it_is_cancelled_before_the_end() -> None:
    stage = backed()
    assert stage.move(990) == (WHOLE,), "alone on the account, the exit does not wait for it"
    stage.fill("1")
    stage.hold("0")
    name = stage.state.backstops[0].client_order_id
    assert stage.exit_done() == (CancelChild(name, "BTCUSDT"),)
    assert stage.state.status is AlgoStatus.STOPPING
    assert stage.backstop(CANCELLED) == ()
    assert (stage.state.status, stage.state.reason) == (AlgoStatus.COMPLETED, "")


def test_triggered_while_the_exit_is_in_flight_nothing_is_asked_for_twice() -> None:
    stage = backed()
    stage.move(990)
    stage.backstop(triggered_at=stage.now)
    assert stage.state.triggered_by == "price", "the first word stands"
    stage.backstop(FILLED, fill="1", triggered_at=T0)
    assert stage.hold("0") == ()
    assert stage.exit_done() == ()
    assert (stage.state.status, stage.state.reason) == (AlgoStatus.COMPLETED, "")
    assert stage.asked() == [WHOLE]


def test_beside_others_positions_the_exit_waits_for_its_end_but_not_for_ever() -> None:
    stage = shared()
    name = stage.state.backstops[0].client_order_id
    assert stage.move(990) == (CancelChild(name, "BTCUSDT"),)
    assert stage.backstop(CANCELLED) == (WHOLE,)
    stage = shared()
    stage.move(990)
    stage.backstop(OrderState.UNKNOWN)
    assert stage.run(UNPROVEN_MS - 1) == []
    assert stage.run(1) == [WHOLE]
    stage = shared()
    stage.move(990)
    assert stage.backstop(triggered_at=stage.now) == ()
    stage.backstop(FILLED, fill="1", triggered_at=T0)
    assert (stage.state.status, stage.asked()) == (AlgoStatus.COMPLETED, [])


def test_with_others_opposite_the_exit_waits_as_well() -> None:
    """It would leave without the venue's flag, and sell its whole rest beside the part that the backstop sells."""
    stage = TrailStage()
    stage.cover("0.4", "0.4")
    stage.backstop()
    name = stage.state.backstops[0].client_order_id
    assert stage.move(990) == (CancelChild(name, "BTCUSDT"),)
    assert stage.backstop(triggered_at=stage.now) == ()
    assert stage.backstop(FILLED, fill="0.4", triggered_at=T0) == (Exit("BTCUSDT", LONG, D("0.6")),)


def test_an_exit_that_is_tried_again_leaves_it_where_it_is() -> None:
    stage = backed()
    stage.move(990)
    assert stage.exit_done("no") == ()
    assert stage.run(250) == [WHOLE]
    assert stands(stage) == [(D(98), D(1))]


@pytest.mark.parametrize("how", ["cancel", "gone"])
def test_it_goes_with_the_stop_and_before_it(how) -> None:
    stage = backed()
    sent = stage.give(step.CancelRequest(stage.now, "asked")) if how == "cancel" else stage.hold("0")
    assert sent == (CancelChild(stage.state.backstops[0].client_order_id, "BTCUSDT"),)
    assert stage.state.status is AlgoStatus.STOPPING
    assert trail_told.view_trail_stop(stage.state).live_children
    stage.backstop(CANCELLED)
    ended = AlgoStatus.CANCELLED if how == "cancel" else AlgoStatus.COMPLETED
    assert (stage.state.status, stage.state.backstops) == (ended, ())
    assert trail_told.view_trail_stop(stage.state).backstop == 0


def test_one_triggered_as_the_stop_was_cancelled_has_the_last_word() -> None:
    stage = backed()
    stage.give(step.CancelRequest(stage.now, "asked"))
    stage.backstop(triggered_at=stage.now)
    stage.backstop(FILLED, fill="1", triggered_at=T0)
    assert (stage.state.status, stage.state.reason) == (AlgoStatus.COMPLETED, "backstop")


# --- another life -----------------------------------------------------------------------------------


def test_it_survives_a_death_and_what_filled_meanwhile_ends_the_stop() -> None:
    stage = backed()
    stage.wake()
    assert stands(stage) == [(D(98), D(1))]
    stage.backstop(FILLED, fill="1", triggered_at=T0)
    stage.missed((0, "120", "90"))
    stage.give(step.Recovered(stage.now, EPOCH + 1, stage.touch))
    assert (stage.state.status, stage.state.reason, stage.asked()) == (AlgoStatus.COMPLETED, "backstop", [])


def test_a_new_life_counts_its_ids_anew_and_keeps_what_stands() -> None:
    stage = backed(callback_ticks=40)
    assert stage.restart() == ()
    (new,) = stage.move(1010)
    whose = parse(new.client_order_id)
    assert isinstance(whose, OrderId)
    assert (whose.epoch, whose.attempt, len(stage.state.backstops)) == (EPOCH + 1, 0, 2)


def test_one_that_was_sent_and_never_written_down_is_taken_up() -> None:
    stage = TrailStage()
    stage.wake()
    name = "pms-main-s123456789-000001-000-000-x"
    order = stage._order(name, ACTIVE, trigger_price=D(98), quantity=D(1), order_type="STOP_MARKET")
    stage.give(step.OrderUpdate(stage.now, order, adopt=True))
    assert stands(stage) == [(D(98), D(1))]
    stage.cover("1")
    assert stage.give(step.Recovered(stage.now, EPOCH + 1, stage.touch)) == ()
    before = stage.state
    stage.give(step.OrderUpdate(stage.now, msgspec.structs.replace(order, client_order_id="other")))
    stage.give(
        step.OrderUpdate(stage.now, msgspec.structs.replace(order, trigger_price=D(0), client_order_id="o"), adopt=True)
    )
    assert stage.state is before, "no word of its own"


def test_a_word_that_is_no_news_changes_nothing() -> None:
    stage = backed()
    before = stage.state
    stage.backstop()
    stage.cover("1")
    assert stage.state is before


# --- the laws' own check ----------------------------------------------------------------------------


def changed(state: object, **fields: object) -> object:
    return msgspec.structs.replace(state, **fields)


@pytest.mark.parametrize(
    "law, fields, order",
    [
        (1, {"backstops": ()}, {}),
        (1, {"net": D(2)}, {}),
        (2, {}, {"quantity": D("1.001")}),
        (2, {"cover": D("0.5")}, {}),
        (2, {"cover": None}, {}),
        (2, {}, {"side": SHORT}),
        (2, {}, {"reduce_only": False}),
        (2, {}, {"trigger_price": D(100)}),
        (2, {}, {"trigger_price": D(-1)}),
        (4, {"triggered_at": T0}, {}),
        (6, {}, {"quantity": D("0.0001")}),
        (6, {}, {"trigger_price": D("97.01")}),
    ],
)
def test_a_backstop_that_breaks_a_law_is_seen(law, fields, order) -> None:
    stage = backed(callback_ticks=40)
    before = stage.state
    (new,) = stage.move(1010)
    check_trail_stop(before, None, stage.state, (new,))
    with pytest.raises(LawBroken, match=f"law {law}:"):
        check_trail_stop(before, None, changed(stage.state, **fields), (changed(new, **order),))


def test_a_backstop_that_is_placed_twice_forgotten_or_outlives_its_stop_is_seen() -> None:
    stage = backed()
    state = stage.state
    (order,) = stage.asked(PlaceChild)
    with pytest.raises(LawBroken, match="law 1: a backstop placed twice"):
        check_trail_stop(state, None, state, (order,))
    with pytest.raises(LawBroken, match="law 1: a cancel that the record misses"):
        check_trail_stop(state, None, state, (CancelChild(order.client_order_id, "BTCUSDT"),))
    with pytest.raises(LawBroken, match=r"law 3: .* left without evidence"):
        check_trail_stop(state, step.Timer(T0, None), changed(state, backstops=()), ())
    with pytest.raises(LawBroken, match="law 3: an ending before its backstop"):
        check_trail_stop(state, None, changed(state, status=AlgoStatus.COMPLETED), ())
    fired = changed(state, triggered_at=T0, exiting=True, updated_at=T0)
    check_trail_stop(state, None, fired, (WHOLE,))
    with pytest.raises(LawBroken, match="law 1: an exit beside a backstop that the venue"):
        check_trail_stop(state, None, changed(fired, net=D(2)), (WHOLE,))
    (one,) = state.backstops
    with pytest.raises(LawBroken, match="law 1: an exit beside a backstop that closes"):
        check_trail_stop(state, None, changed(fired, backstops=(changed(one, fired=True),)), (WHOLE,))
    assert isinstance(one, Backstop)
    assert trail_backstop.asks(state) == 1
