"""An order's record: reports in any order, twice or late come to the same end with exact sums (law 3)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pms.core import orders
from pms.core.orders import Change, IllegalTransition
from schemas.market import Side
from schemas.orders import TRANSITIONS, Cause, Fill, Order, OrderState, Origin
from schemas.reports import Report, VenueStatus

D = Decimal
S = OrderState
_replace = msgspec.structs.replace
OPEN, FILLED, CANCELLED, EXPIRED = VenueStatus.OPEN, VenueStatus.FILLED, VenueStatus.CANCELLED, VenueStatus.EXPIRED

ORDER = Order(
    client_order_id="o",
    sub_account_id="main",
    symbol="BTCUSDT",
    side=Side.BUY,
    order_type="LIMIT",
    time_in_force="GTX",
    quantity=D(10),
    price=D(100),
    reduce_only=False,
    state=S.PLACING,
    origin=Origin.CHASE,
    parent_id="c",
    root_id="c",
    created_at=0,
    updated_at=0,
)


def trade(number: int, quantity: int, price: str = "100", time: int = 0) -> Fill:
    return Fill("BTCUSDT", 7, number, Side.BUY, D(price), D(quantity), D("0.01"), "USDT", True, time)


def report(status: VenueStatus = OPEN, filled: int = 0, time: int = 1, **changes: Any) -> Report:
    said = Report("o", 7, "BTCUSDT", Side.BUY, status, "LIMIT", "GTX", D(100), D(10), D(filled), False, time)
    return _replace(said, **changes)


def told(order: Order, *reports: Report, **more: Any) -> Change:
    change = Change(order)
    for one in reports:
        change = orders.reported(change.order, one, one.time, **more)
    return change


def resting(state: OrderState = S.ACTIVE) -> Order:
    order = told(ORDER, report()).order
    assert order.state is S.ACTIVE
    match state:
        case S.AMENDING:
            return orders.amending(order, D(101), D(12), 2).order
        case S.CANCELLING:
            return orders.cancelling(order, 2).order
        case S.UNKNOWN:
            return orders.unknown(orders.cancelling(order, 2).order, "timeout", 2).order
        case _:
            return order


# --- any order, twice, late ---------------------------------------------------------------------------


def lives() -> list[tuple[str, OrderState, list[Report], int]]:
    """Whole lives as the venue tells them: ack, partial fills, an amend, an end; and a look-up of that end."""
    start = [
        report(),
        report(filled=3, time=2, fill=trade(1, 3)),
        report(filled=3, time=3, price=D(101), quantity=D(12), amended=True),
        report(filled=5, time=4, price=D(101), quantity=D(12), fill=trade(2, 2, "101")),
    ]
    now = {"price": D(101), "quantity": D(12)}
    return [
        ("filled", S.FILLED, [*start, report(FILLED, 12, 5, fill=trade(3, 7, "101"), **now)], 12),
        ("cancelled", S.CANCELLED, [*start, report(CANCELLED, 5, 5, **now)], 5),
        ("expired", S.EXPIRED, [*start, report(EXPIRED, 5, 5, cause=Cause.SELF_TRADE, **now)], 5),
    ]


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(lives()), st.randoms(use_true_random=False), st.sampled_from([S.PLACING, S.UNKNOWN, S.AMENDING]))
def test_any_order_and_repetition_of_reports_comes_to_the_same_end(life, chance, begins) -> None:
    _, ends, reports, filled = life
    looked_up = _replace(reports[-1], fill=None)
    stream = [*reports, *chance.choices(reports, k=3), looked_up]
    chance.shuffle(stream)
    order = ORDER if begins is S.PLACING else orders.unknown(ORDER, "timeout", 0).order
    if begins is S.AMENDING:
        order = resting(S.AMENDING)
    booked: list[Fill] = []
    concluded: list[str] = []
    for one in stream:
        was = order.state
        change = orders.reported(order, one, 9)
        assert was is change.order.state or change.order.state in TRANSITIONS[was]
        order = change.order
        booked += [change.fill] if change.fill else []
        concluded += [event for event in change.events if event in orders._EVENT_OF_END.values()]
    assert order.state is ends
    assert concluded == [orders._EVENT_OF_END[ends]], "one end, told once"
    assert (order.filled_qty, order.venue_filled, order.quantity, order.price) == (filled, filled, 12, 101)
    assert sorted(order.trade_ids) == sorted(fill.trade_id for fill in booked)
    assert order.quote_filled == sum(fill.price * fill.quantity for fill in booked)
    assert order.avg_fill_price == order.quote_filled / filled
    assert order.commission == D("0.01") * len(booked)
    assert (order.next_price, order.next_quantity, order.venue_end) == (None, None, None)


@settings(max_examples=200, deadline=None)
@given(st.permutations([trade(1, 3), trade(2, 2), trade(3, 5), trade(2, 2), trade(1, 3)]), st.booleans())
def test_trades_that_were_looked_up_count_once_each_and_before_any_end(fills, early) -> None:
    order = told(ORDER, report(FILLED, 10)).order if early else told(ORDER, report()).order
    events: list[str] = []
    for fill in fills:
        assert not order.state.terminal or order.filled_qty == 10
        change = orders.booked(order, fill, 9)
        order = change.order
        events += change.events
    assert (order.state, order.filled_qty, order.quote_filled) == (S.FILLED, 10, 1000)
    assert events == ["order_partial", "order_partial", "order_filled"]


def test_no_terminal_state_comes_before_its_fills() -> None:
    """Law 3: the venue says 10, two trades are still to be read."""
    order = told(ORDER, report(), report(FILLED, 10, 2, fill=trade(2, 4))).order
    assert (order.state, order.venue_end, orders.lacks_trades(order)) == (S.ACTIVE, S.FILLED, True)
    change = orders.booked(order, trade(1, 6), 3)
    assert (change.order.state, change.events, change.fill) == (S.FILLED, ("order_filled",), trade(1, 6))
    assert not orders.lacks_trades(change.order)


def test_a_report_that_says_nothing_new_gives_the_same_record_back() -> None:
    order = resting()
    change = orders.reported(order, report(), 99)
    assert change.order is order
    assert (change.events, change.fill) == ((), None)
    change = orders.booked(told(order, report(filled=3, time=2, fill=trade(1, 3))).order, trade(1, 3), 99)
    assert change.fill is None


def test_an_older_word_does_not_bring_back_the_old_price_but_its_fill_counts() -> None:
    order = told(resting(), report(time=5, price=D(101), quantity=D(12), amended=True)).order
    late = told(order, report(filled=3, time=2, fill=trade(1, 3))).order
    assert (late.price, late.quantity, late.filled_qty) == (101, 12, 3)


def test_a_report_without_price_or_total_leaves_them() -> None:
    order = told(resting(), report(time=2, price=D(0), quantity=D(0), order_id=0)).order
    assert (order.price, order.quantity, order.exchange_order_id) == (100, 10, 7)


def test_the_last_fill_of_a_cancelled_order_is_told_with_its_end() -> None:
    order = told(resting(), report(CANCELLED, 4, 3)).order
    change = orders.booked(order, trade(1, 4), 4)
    assert change.events == ("order_partial", "order_cancelled")


def test_an_end_keeps_its_cause_as_the_reason() -> None:
    assert told(resting(), report(EXPIRED, cause=Cause.SELF_TRADE)).order.reason == "self_trade"
    assert told(_replace(resting(), reason="kept"), report(CANCELLED)).order.reason == "kept"


@pytest.mark.parametrize("cause", [Cause.SELF_TRADE, Cause.REDUCE_ONLY, Cause.DEAD_MAN])
def test_an_end_that_waited_for_its_fills_comes_with_its_cause(cause) -> None:
    """The trades that complete it name none, and its owner would take it for somebody's wish."""
    ended = told(resting(), report(EXPIRED, 4, 3, cause=cause)).order
    change = orders.booked(ended, trade(1, 4), 4)
    assert (change.order.state, change.cause) == (S.EXPIRED, cause)
    assert orders.booked(resting(), trade(1, 4), 4).cause is Cause.NONE
    assert orders.booked(_replace(ended, reason="kept"), trade(1, 4), 4).cause is Cause.NONE


# --- terminal states absorb ---------------------------------------------------------------------------


@pytest.mark.parametrize("state", [S.FILLED, S.CANCELLED, S.EXPIRED, S.FAILED])
def test_a_terminal_record_books_late_fills_and_absorbs_all_else(state) -> None:
    order = _replace(resting(), state=state, filled_qty=D(4), venue_filled=D(4), quote_filled=D(400), trade_ids=(1,))
    for one in (report(), report(FILLED, 4), report(CANCELLED, 4), report(EXPIRED, 4)):
        assert orders.reported(order, one, 9).order is order
    late = orders.reported(order, report(filled=6, time=9, fill=trade(2, 2, "99")), 9)
    assert (late.order.state, late.order.filled_qty, late.order.avg_fill_price) == (state, 6, D(598) / 6)
    assert (late.events, late.fill) == ((), trade(2, 2, "99"))
    looked_up = orders.booked(order, trade(2, 2), 9)
    assert (looked_up.order.state, looked_up.order.filled_qty, looked_up.events) == (state, 6, ())
    assert orders.unknown(order, "x", 9).order is order
    assert orders.not_placed(order, "x", 9).order is order
    assert orders.request_failed(order, "x", 9).order is order


@pytest.mark.parametrize("state", [S.FILLED, S.CANCELLED, S.EXPIRED, S.FAILED])
def test_nothing_more_is_asked_of_a_terminal_order(state) -> None:
    order = _replace(resting(), state=state)
    with pytest.raises(IllegalTransition):
        orders.amending(order, D(101), D(10), 2)
    with pytest.raises(IllegalTransition):
        orders.cancelling(order, 2)


# --- our own words ------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [S.PLACING, S.AMENDING, S.CANCELLING, S.UNKNOWN])
def test_an_order_with_a_request_in_flight_is_not_amended(state) -> None:
    """execution.md 3."""
    order = ORDER if state is S.PLACING else resting(state)
    with pytest.raises(IllegalTransition, match=f"amend while {state}"):
        orders.amending(order, D(102), D(10), 3)


def test_a_cancel_asked_twice_is_one_cancel() -> None:
    order = orders.cancelling(resting(S.CANCELLING), 3).order
    assert (order.state, order.updated_at) == (S.CANCELLING, 3)


def test_while_an_amend_is_in_flight_the_old_price_and_total_stand() -> None:
    order = resting(S.AMENDING)
    assert (order.price, order.quantity, order.next_price, order.next_quantity) == (100, 10, 101, 12)
    change = told(order, report(time=3, price=D(101), quantity=D(12), amended=True))
    assert (change.order.state, change.events) == (S.ACTIVE, ("order_amended",))
    assert (change.order.price, change.order.quantity, change.order.next_price) == (101, 12, None)


def test_the_late_event_of_the_amend_before_does_not_confirm_the_one_in_flight() -> None:
    first = told(resting(S.AMENDING), report(time=3, price=D(101), quantity=D(12)), answers=True).order
    second = orders.amending(first, D(102), D(12), 4).order
    change = told(second, report(time=3, price=D(101), quantity=D(12), amended=True))
    assert (change.order.state, change.order.next_price) == (S.AMENDING, 102)


def test_a_fill_at_the_old_price_does_not_settle_an_amend() -> None:
    change = told(resting(S.AMENDING), report(filled=3, time=3, fill=trade(1, 3)))
    assert (change.order.state, change.events) == (S.AMENDING, ("order_partial",))


@pytest.mark.parametrize("state", [S.AMENDING, S.CANCELLING, S.UNKNOWN])
def test_an_answer_that_the_order_rests_unchanged_settles_the_request(state) -> None:
    order = resting(state)
    assert told(order, report(time=3)).order.state is state
    change = told(order, report(time=3), answers=True)
    assert (change.order.state, change.order.next_price, change.events) == (S.ACTIVE, None, ())


@pytest.mark.parametrize("state", [S.AMENDING, S.CANCELLING])
def test_a_refused_amend_or_cancel_leaves_the_order_as_it_was(state) -> None:
    change = orders.request_failed(resting(state), "no", 3)
    assert (change.order.state, change.order.price, change.order.next_price) == (S.ACTIVE, 100, None)
    assert change.order.reason == "no"


@pytest.mark.parametrize("state", [S.ACTIVE, S.UNKNOWN])
def test_a_failure_without_a_request_in_flight_says_nothing(state) -> None:
    order = resting(state)
    assert orders.request_failed(order, "no", 3).order is order


def test_presence_settles_a_placing_of_unknown_fate_once() -> None:
    lost = orders.unknown(ORDER, "timeout", 1)
    assert (lost.order.state, lost.order.reason, lost.events) == (S.UNKNOWN, "timeout", ("order_unknown",))
    assert orders.unknown(lost.order, "again", 2).order is lost.order
    change = told(lost.order, report())
    assert (change.order.state, change.events) == (S.ACTIVE, ("order_active",))


def test_a_fill_settles_a_placing_too() -> None:
    change = told(ORDER, report(filled=3, fill=trade(1, 3)))
    assert (change.order.state, change.events) == (S.ACTIVE, ("order_active", "order_partial"))


@pytest.mark.parametrize("state", [S.PLACING, S.UNKNOWN])
def test_an_order_fails_only_where_it_never_was_at_the_venue(state) -> None:
    order = ORDER if state is S.PLACING else orders.unknown(ORDER, "timeout", 1).order
    change = orders.not_placed(order, "refused", 2)
    assert (change.order.state, change.order.reason, change.events) == (S.FAILED, "refused", ("order_failed",))


@pytest.mark.parametrize("order", [resting(), _replace(ORDER, filled_qty=D(1))])
def test_an_order_that_was_seen_at_the_venue_never_fails(order) -> None:
    with pytest.raises(IllegalTransition, match="seen at the venue"):
        orders.not_placed(order, "refused", 2)


@pytest.mark.parametrize("state", [S.ACTIVE, S.AMENDING, S.CANCELLING])
def test_what_the_table_does_not_have_raises_and_changes_nothing(state) -> None:
    order = _replace(ORDER, state=state)
    with pytest.raises(IllegalTransition, match=f"{state} -> failed"):
        orders.not_placed(order, "refused", 2)
    assert order.state is state
