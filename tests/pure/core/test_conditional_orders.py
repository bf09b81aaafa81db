"""A conditional order's record: it waits, becomes an ordinary order under the same id, ends once (binance.md 3.4)."""

from __future__ import annotations

import itertools
from decimal import Decimal

import msgspec
import pytest

from pms.core import orders
from pms.core.orders import IllegalTransition
from schemas.market import Side
from schemas.orders import Cause, Order, OrderState
from schemas.reports import Report
from tests.pure.core.test_orders import CANCELLED, EXPIRED, FILLED, OPEN, ORDER, report, told, trade

D = Decimal
S = OrderState
_replace = msgspec.structs.replace
STOP = _replace(ORDER, order_type="STOP_MARKET", time_in_force="GTC", price=D(0), trigger_price=D(90), reduce_only=True)


def of_waiting(status=OPEN, time: int = 1, **changes: object) -> Report:
    said = Report("o", 0, "BTCUSDT", Side.BUY, status, "STOP_MARKET", "GTC", D(0), D(10), D(0), True, time)
    return _replace(said, trigger_price=D(90), algo_id=4_000, **changes)


def became(status=OPEN, filled: int = 0, time: int = 2, **changes: object) -> Report:
    said = report(status, filled, time, order_type="MARKET", time_in_force="GTC", price=D(0))
    return _replace(said, **changes)


def test_it_waits_as_an_active_order_that_rests_nowhere() -> None:
    change = told(STOP, of_waiting())
    assert change.events == ("order_active",)
    assert (change.order.state, change.order.algo_id, change.order.exchange_order_id) == (S.ACTIVE, 4_000, 0)
    assert change.order.waiting
    assert not change.order.immediate


def test_when_its_price_is_reached_it_is_the_order_that_it_became() -> None:
    order = told(STOP, of_waiting(), became(time=5)).order
    assert (order.waiting, order.triggered_at, order.order_type, order.exchange_order_id) == (False, 5, "MARKET", 7)
    done = told(order, became(FILLED, 10, 6, fill=trade(1, 10)))
    assert (done.order.state, done.order.filled_qty, done.events) == (S.FILLED, D(10), ("order_filled",))


def test_one_with_a_limit_becomes_a_limit_order() -> None:
    stop = _replace(STOP, order_type="STOP", price=D(89))
    order = told(stop, of_waiting(price=D(89)), became(price=D(89), order_type="LIMIT")).order
    assert (order.order_type, order.price, order.triggered_at) == ("LIMIT", D(89), 2)


@pytest.mark.parametrize("status, state", [(CANCELLED, S.CANCELLED), (EXPIRED, S.EXPIRED)])
def test_it_ends_by_the_word_about_its_waiting(status, state) -> None:
    change = told(STOP, of_waiting(), of_waiting(status, 3, cause=Cause.NONE))
    assert change.order.state is state


def test_the_reason_of_a_refusal_at_its_price_is_kept() -> None:
    order = told(STOP, of_waiting(), of_waiting(EXPIRED, 3, cause=Cause.REDUCE_ONLY)).order
    assert (order.state, order.reason) == (S.EXPIRED, Cause.REDUCE_ONLY.value)


def test_in_any_order_twice_and_late_its_words_come_to_the_same_end() -> None:
    words = (
        of_waiting(),
        became(time=2),
        became(FILLED, 10, 3, fill=trade(1, 10)),
        of_waiting(time=4),  # TRIGGERED or FINISHED: its waiting is over
    )
    ends = set()
    for some in itertools.permutations(words):
        order: Order = told(STOP, *some, *some).order
        ends.add((order.state, order.filled_qty, order.quote_filled, order.order_type, order.algo_id > 0))
    assert {end[:4] for end in ends} == {(S.FILLED, D(10), D(1000), "MARKET")}


def test_one_that_was_seen_waiting_never_failed() -> None:
    with pytest.raises(IllegalTransition):
        orders.not_placed(told(STOP, of_waiting()).order, "never arrived", 9)
