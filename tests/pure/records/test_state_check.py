"""Which facts of a state key an event settles, and which may differ without being wrong."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from pms.records.columns import instant
from pms.records.replay import Difference
from pms.records.state_check import Replayed, State, differences
from schemas.keys import Keys

D = Decimal
T0 = 1_790_000_000_000
KEYS = Keys()
ORDER = {"subAccountId": "main", "symbol": "BTCUSDT", "side": "BUY", "quantity": D("0.1"), "price": D(100)}
ORDER |= {"filledQty": D(0), "state": "active", "createdAt": T0 + 5}
ROW = {"sub_account_id": "main", "symbol": "BTCUSDT", "side": "BUY", "quantity": D("0.10"), "price": D(100)}
ROW |= {"filled_qty": D(0), "state": "active", "ended_at": None}
HELD = {"positionId": "main:BTCUSDT:1", "side": "LONG", "quantity": D(1), "entryPrice": D(100), "openedAt": T0 + 1}
OPEN = {"position_id": "main:BTCUSDT:1", "sub_account_id": "main", "symbol": "BTCUSDT", "side": "LONG"}
OPEN |= {"quantity": D(1), "entry_price": D(100), "closed_at": None}
CHASE = {"status": "active", "filledQuantity": D(0), "startedAt": T0 + 1}
RUN = {"kind": "chase", "status": "active", "filled_quantity": D(0), "ended_at": None}


def state(**other: Any) -> State:
    told: dict[str, Any] = {
        "orders": {"o1": ORDER},
        "open_orders": {"o1"},
        "positions": {("main", "BTCUSDT"): HELD},
        "algos": {"c1": CHASE},
        "active": {"c1"},
    }
    return State(**(told | other))


LOG = Replayed({"o1": ROW}, {"main:BTCUSDT:1": OPEN}, {"c1": RUN}, instant(T0))


def found(held: State, log: Replayed = LOG) -> list[Difference]:
    return differences(KEYS, held, log)


def changed(record: dict[str, Any], **values: Any) -> dict[str, Any]:
    return record | values


def test_what_was_told_agrees_whatever_its_trailing_zeros() -> None:
    assert found(state()) == []


def test_a_request_in_flight_is_no_difference_and_an_end_that_nobody_told_is() -> None:
    assert found(state(orders={"o1": changed(ORDER, state="cancelling")})) == []
    (one,) = found(state(orders={"o1": changed(ORDER, state="cancelled")}))
    assert (one.where, one.column, one.stands, one.replayed) == (KEYS.order("o1"), "state", "cancelled", "active")


def test_another_price_or_fill_is_told_with_both_values() -> None:
    (one,) = found(state(orders={"o1": changed(ORDER, filledQty=D("0.05"))}))
    assert (one.column, one.stands, one.replayed) == ("filledQty", "0.05", "0")


def test_a_live_order_must_stand_and_be_listed_and_an_ended_one_must_not_be() -> None:
    gone = found(state(orders={}, open_orders=set()))
    assert [(one.where, one.stands) for one in gone] == [(KEYS.order("o1"), None), (KEYS.open_orders("*"), False)]
    ended = msgspec.structs.replace(LOG, orders={"o1": changed(ROW, state="filled", ended_at=instant(T0 + 9))})
    assert found(state(orders={}, open_orders=set()), ended) == []  # it has run out
    listed = found(state(orders={}), ended)
    told = [(one.where, one.key, one.stands, one.replayed) for one in listed]
    assert told == [(KEYS.open_orders("*"), "o1", True, False)]


def test_an_order_that_nobody_told_of_is_a_difference_unless_it_is_older_than_the_log() -> None:
    nobody = msgspec.structs.replace(LOG, orders={})
    assert [one.where for one in found(state(), nobody)] == [KEYS.order("o1"), KEYS.open_orders("*")]
    assert found(state(orders={"o1": changed(ORDER, createdAt=T0 - 1)}), nobody) == []


def test_positions_are_held_as_told_and_a_flat_one_needs_no_record() -> None:
    (one,) = found(state(positions={("main", "BTCUSDT"): changed(HELD, quantity=D(2))}))
    assert (one.where, one.column) == (f"{KEYS.position('main')} BTCUSDT", "quantity")
    (gone,) = found(state(positions={}))
    assert gone.stands is None
    flat = state(positions={("main", "BTCUSDT"): changed(HELD, quantity=D(0))})
    assert found(flat, msgspec.structs.replace(LOG, positions={})) == []


def test_an_algos_status_is_what_it_told_and_live_ones_are_listed() -> None:
    (one,) = found(state(algos={"c1": changed(CHASE, status="paused")}))
    assert (one.where, one.column) == (KEYS.algo("chase", "c1"), "status")
    (listed,) = found(state(active=set()))
    assert (listed.key, listed.stands, listed.replayed) == ("c1", False, True)


def test_what_moved_while_it_was_read_is_not_judged() -> None:
    moved = state(
        orders={}, open_orders=set(), positions={}, algos={}, active=set(), moved={"o1", "main:BTCUSDT:1", "c1"}
    )
    assert found(moved) == []


def test_a_stop_is_no_run_of_its_own_and_its_orders_are_judged() -> None:
    stop = {"protectionId": "g1", "status": "active", "filledQuantity": D(0), "startedAt": T0 + 1}
    held = state(algos={"c1": CHASE, "g1": stop}, active={"c1", "g1"})
    assert found(held) == []
    (listed,) = found(state(active={"c1", "g1"}))
    assert (listed.where, listed.key) == ("index of live algos", "g1"), "without a record it is one too many"
