"""The laws' own check on a plug-in's step: each broken law is named, whatever the plug-in's code meant (algos.md)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from algos import laws, step
from algos.children import Exit
from algos.plugin import NOTHING
from algos.plugin_laws import ORDERS_MAX, RECORD_MAX_BYTES, check_plugin
from algos.step import Action, AmendChild, CancelChild, Input, OrderUpdate, PlaceChild
from schemas.chase import AlgoStatus
from schemas.ids import OrderId, make
from schemas.market import Side
from schemas.orders import OrderState
from schemas.plugin import PluginOrder, PluginState
from tests.pure.algos.plugin_stage import PluginStage, quoting, resting
from tests.pure.algos.stage import EPOCH, rules

D = Decimal
_replace = msgspec.structs.replace


def broken(number: int, what: str = ""):
    return pytest.raises(laws.LawBroken, match=f"law {number}: .*{what}")


def check(
    stage: PluginStage, *actions: Action, given: Input | None = None, before: PluginState | None = None, **changes: Any
) -> None:
    """A step of the resting algo that changed so much and asks this."""
    after = _replace(stage.state, **changes)
    check_plugin(before or stage.state, given or step.Timer(stage.now, stage.touch), after, actions)


def order_in(slot: int, attempt: int = 2, **changes: Any) -> PluginOrder:
    name = make(OrderId("main", "p123456789", changes.pop("epoch", EPOCH), changes.pop("named", slot), attempt))
    lawful: dict[str, Any] = {
        "slot": slot,
        "client_order_id": name,
        "side": Side.BUY,
        "price": D(100),
        "quantity": D("0.5"),
        "time_in_force": "GTC",
    }
    return PluginOrder(**lawful | changes)


def placing(order: PluginOrder, **changes: Any) -> PlaceChild:
    lawful = PlaceChild(
        order.client_order_id, "BTCUSDT", order.side, "GTC", order.price, order.quantity, reduce_only=False, leverage=1
    )
    return _replace(lawful, **changes)


def place(stage: PluginStage, order: PluginOrder, attempt: int = 2, asks: dict[str, Any] | None = None, **changes: Any):
    check(stage, placing(order, **asks or {}), orders=(*stage.state.orders, order), attempt=attempt, **changes)


def amending(stage: PluginStage, **changes: Any) -> AmendChild:
    return _replace(AmendChild(stage.child.client_order_id, "BTCUSDT", Side.BUY, D(99), D("0.5"), False), **changes)


def test_lawful_steps_pass() -> None:
    stage = resting()
    check(stage)
    check(stage, amending(stage))
    check(stage, CancelChild(stage.child.client_order_id, "BTCUSDT"))
    place(stage, order_in(1))


def test_law_1_two_orders_in_a_slot_or_too_many() -> None:
    stage = resting()
    with broken(1, "two live orders in one slot"):
        place(stage, order_in(0))
    many = tuple(order_in(slot) for slot in range(ORDERS_MAX + 1))
    with broken(1, f"over {ORDERS_MAX}"):
        check(stage, before=_replace(stage.state, orders=many), orders=many)


def test_law_1_only_orders_of_its_own_that_the_record_names() -> None:
    stage = resting()
    with broken(1, "orders only"):
        check(stage, Exit("BTCUSDT", Side.SELL, D(1)))
    with broken(1, "two requests at once"):
        check(stage, amending(stage), amending(stage))
    with broken(1, "the record misses"):
        check(stage, placing(order_in(1)))
    with broken(1, "not its own symbol"):
        check(stage, amending(stage, symbol="ETHUSDT"))
    fresh = order_in(1)
    with broken(1, "not there yet"):
        check(stage, CancelChild(fresh.client_order_id, "BTCUSDT"), orders=(stage.child, fresh))
    with broken(1, "not there yet"):
        check_plugin(None, None, stage.state, (amending(stage),))


@pytest.mark.parametrize(
    "order",
    [
        order_in(1, client_order_id="mine"),
        order_in(1, epoch=EPOCH + 1),
        order_in(1, named=2),
        order_in(1, client_order_id=make(OrderId("othr", "p123456789", EPOCH, 1, 2))),
        order_in(1, client_order_id=make(OrderId("main", "p123456780", EPOCH, 1, 2))),
    ],
)
def test_law_1_an_id_is_its_own_and_of_its_slot(order) -> None:
    with broken(1, "id"):
        place(resting(), order)


@pytest.mark.parametrize("attempt", [0, 1, 3])
def test_law_1_attempts_only_rise(attempt) -> None:
    with broken(1, f"attempt {attempt} was used before"):
        place(resting(), order_in(1, attempt))


def test_attempts_begin_anew_with_an_epoch_and_at_the_start() -> None:
    stage = resting()
    order = order_in(1, 1, epoch=EPOCH + 1)
    after = _replace(stage.state, orders=(stage.child, order), attempt=1, id_epoch=EPOCH + 1)
    recovered = step.Recovered(stage.now, EPOCH + 1, stage.touch)
    check_plugin(stage.state, recovered, after, (placing(order),))
    start = PluginStage().state
    (first,) = start.orders
    check_plugin(None, None, start, (placing(first),))


def test_law_2_never_more_than_what_is_left_beside_its_other_orders() -> None:
    stage = resting()
    place(stage, order_in(1, quantity=D(1)))
    with broken(2, "asks 1.001 where 1.0 is left"):
        place(stage, order_in(1, quantity=D("1.001")))
    with broken(2, "asks"):
        check(stage, amending(stage, quantity=D("1.501")))
    unknown = _replace(stage.child, state=OrderState.UNKNOWN)
    with broken(2, "asks"):
        place_beside = order_in(1, quantity=D("1.001"))
        check(stage, placing(place_beside), orders=(unknown, place_beside), attempt=2)


def test_law_2_only_sides_that_were_planned_and_in_the_form_that_was_asked_for() -> None:
    stage = resting()
    with broken(2, "SELL was not planned"):
        place(stage, order_in(1, side=Side.SELL))
    with broken(2, "another kind of order"):
        place(stage, order_in(1), asks={"side": Side.SELL})
    with broken(2, "another kind of order"):
        place(stage, order_in(1), asks={"reduce_only": True})
    with broken(2, "another leverage"):
        place(stage, order_in(1), asks={"leverage": 5})
    part = _replace(stage.child, filled=D("0.3"))
    with broken(2, "below the executed part"):
        check(stage, amending(stage, quantity=D("0.3")), before=_replace(stage.state, orders=(part,)), orders=(part,))


def test_law_2_fills_and_quantities_are_not_the_plug_ins() -> None:
    stage = resting()
    (leg,) = stage.state.legs
    with broken(2, "without a fill"):
        check(stage, legs=(_replace(leg, filled=D("0.1")),))
    with broken(2, "more is to be traded"):
        check(stage, legs=(_replace(leg, quantity=D(2)),))
    with broken(2, "without a fill"):
        check(stage, legs=())


def test_law_3_an_order_leaves_the_record_by_evidence_only() -> None:
    stage = resting()
    order = stage.order
    with broken(3, "left without evidence"):
        check(stage, orders=())
    with broken(3, "left without evidence"):
        check(stage, orders=(), given=OrderUpdate(stage.now, order))
    gone = _replace(order, state=OrderState.CANCELLED)
    check(stage, orders=(), given=OrderUpdate(stage.now, gone))
    with broken(3, "left without evidence"):
        check(stage, orders=(), given=OrderUpdate(stage.now, _replace(gone, client_order_id="another")))
    with broken(3, "before its orders are proven gone"):
        check(stage, status=AlgoStatus.COMPLETED)


def test_law_4_an_ended_algo_does_nothing_more() -> None:
    stage = resting()
    ended = _replace(stage.state, status=AlgoStatus.CANCELLED, orders=())
    with broken(4):
        check(stage, placing(order_in(1)), before=ended, status=AlgoStatus.CANCELLED, orders=(order_in(1),))
    with broken(4):
        check(stage, before=ended, status=AlgoStatus.ACTIVE, orders=())


def test_law_5_nothing_is_asked_on_stale_data() -> None:
    stage = resting()
    with broken(5, "stale data"):
        place(stage, order_in(1), hold="book")
    with broken(5, "stale data"):
        check(stage, amending(stage), hold="book")
    check(stage, CancelChild(stage.child.client_order_id, "BTCUSDT"), hold="book")


@pytest.mark.parametrize(
    "changes, asks",
    [
        ({}, {"price": D("100.05")}),
        ({}, {"quantity": D("0.4995")}),
        ({"max_qty": "0.3"}, {}),
        ({"min_qty": "2"}, {}),
        ({"min_notional": "50.1"}, {}),
    ],
)
def test_law_6_numbers_off_the_grid(changes, asks) -> None:
    stage = resting()
    with broken(6):
        place(stage, order_in(1, **asks), instrument=rules(**changes))


@pytest.mark.parametrize(
    "waiting",
    [
        {"paused": "asked"},
        {"blocked": "frozen"},
        {"withdraw": True},
        {"stopped_at": 1},
        {"ending": AlgoStatus.CANCELLED},
    ],
)
def test_law_8_nothing_is_placed_while_it_is_to_leave_the_market(waiting) -> None:
    with broken(8):
        place(resting(), order_in(1), **waiting)


@pytest.mark.parametrize(
    "name, value",
    [
        ("algo_id", "p000000000"),
        ("sub_account_id", "other"),
        ("symbol", "ETHUSDT"),
        ("tag", "othr"),
        ("leverage", 20),
        ("reduce_only", True),
        ("id_epoch", EPOCH + 1),
    ],
)
def test_law_10_what_is_ours_is_not_the_plug_ins_to_change(name, value) -> None:
    with broken(10, f"{name} was changed"):
        check(resting(), **{name: value})


class Odd(msgspec.Struct):
    """Not equal to itself once it was read back."""

    at: float = 0.5


@pytest.mark.parametrize("own", [{1j}, {"price": D("NaN")}, object(), Odd()], ids=["complex", "nan", "object", "other"])
def test_law_10_a_record_reads_back_as_it_is(own) -> None:
    with broken(10, "record"):
        check(resting(), own=own)


def test_law_10_a_record_does_not_grow_without_end() -> None:
    stage = quoting()
    grown = _replace(stage.state, reason="x" * RECORD_MAX_BYTES)
    with broken(10, f"over {RECORD_MAX_BYTES}"):
        check_plugin(stage.state, step.Timer(stage.now, stage.touch), grown, NOTHING)


def test_a_maker_may_stand_on_both_sides() -> None:
    stage = quoting()
    check_plugin(stage.state, step.Timer(stage.now, stage.touch), stage.state, NOTHING)
