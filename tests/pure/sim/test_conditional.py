"""Conditional orders of the simulator: when they trigger, what they become, and what is told (binance.md 1.4, 3.4)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from pms.sim.conditional_model import Conditional, NewConditional
from pms.sim.journal import MemoryJournal
from pms.sim.model import VenueError
from tests.pure.sim.rig import SYMBOL, Rig

D = Decimal


def usual(**given: Any) -> Rig:
    """`a` is long 2, mark and last are 1000."""
    rig = Rig(**given)
    rig.book([(999.9, 100)], [(1000.1, 100)])
    rig.mark(1000)
    rig.buy(2)
    rig.print(1000, 1, buyer_is_maker=False)
    rig.users.clear()
    return rig


def wait(rig: Rig, **changes: Any) -> Conditional:
    fields: dict[str, Any] = {
        "symbol": SYMBOL,
        "side": "SELL",
        "type": "STOP_MARKET",
        "client_id": "stop",
        "quantity": D(2),
        "trigger": D(990),
    }
    return rig.exchange.place_conditional("a", NewConditional(**(fields | changes)))


def told(rig: Rig) -> list[str]:
    """What the user stream said: an ALGO_UPDATE's status, an order event's execution, or the type."""
    words = []
    for _, event in rig.users:
        body = event.get("o", {})
        words.append(body["X"] if event["e"] == "ALGO_UPDATE" else str(body.get("x", event["e"])))
    return words


@pytest.mark.parametrize(
    "side, kind, before, at",
    [
        ("SELL", "STOP_MARKET", "990.1", "990.0"),
        ("BUY", "STOP_MARKET", "1009.9", "1010.0"),
        ("SELL", "TAKE_PROFIT_MARKET", "1009.9", "1010.0"),
        ("BUY", "TAKE_PROFIT_MARKET", "990.1", "990.0"),
    ],
)
def test_it_triggers_at_its_price_and_not_before(side: str, kind: str, before: str, at: str) -> None:
    rig = usual()
    row = wait(rig, side=side, type=kind, trigger=D(at), working="MARK_PRICE")
    rig.mark(before)
    assert row.status == "NEW"
    rig.mark(at)
    assert row.status == "FINISHED"
    assert row.order is not None
    assert (row.order.side, row.order.client_id, row.order.type, row.order.status) == (side, "stop", "MARKET", "FILLED")


def test_the_working_price_is_the_last_trade_or_the_mark_as_asked() -> None:
    rig = usual()
    by_last = wait(rig, client_id="last", quantity=D(1), reduce_only=True)
    by_mark = wait(rig, client_id="mark", quantity=D(1), working="MARK_PRICE", reduce_only=True)
    rig.print(990, 1, buyer_is_maker=True)
    assert (by_last.status, by_mark.status) == ("FINISHED", "NEW")
    rig.mark(989)
    assert by_mark.status == "FINISHED"


def test_the_events_come_in_order_with_the_order_that_it_became() -> None:
    rig = usual()
    wait(rig, working="MARK_PRICE")
    rig.mark(990)
    assert told(rig)[0] == "NEW"
    assert [word for word in told(rig) if word in ("TRIGGERING", "TRIGGERED", "FINISHED")] == [
        "TRIGGERING",
        "TRIGGERED",
        "FINISHED",
    ]
    body = [event["o"] for _, event in rig.users if event["e"] == "ALGO_UPDATE"][-1]
    order = rig.exchange.order("a", SYMBOL, client_id="stop")
    assert (body["ai"], body["aq"], body["act"], body["caid"]) == (str(order.order_id), "2", "MARKET", "stop")
    assert rig.exchange.positions("a", SYMBOL)[0].amount == 0


def test_one_with_a_price_rests_until_it_is_filled_and_is_finished_then() -> None:
    rig = usual()
    row = wait(rig, type="STOP", price=D("1000.5"), working="MARK_PRICE")
    rig.mark(990)
    assert row.status == "TRIGGERED"
    assert [order.client_id for order in rig.exchange.open_orders("a", SYMBOL)] == ["stop"]
    rig.print("1000.6", 500, buyer_is_maker=False)
    assert row.status == "FINISHED"


def test_what_reduces_nothing_any_more_is_rejected_with_the_reason() -> None:
    rig = usual()
    row = wait(rig, reduce_only=True, working="MARK_PRICE")
    rig.sell(2)
    rig.mark(990)
    assert (row.status, row.reason) == ("REJECTED", "Reduce Only reject")
    assert rig.users[-1][1]["o"]["rm"] == "Reduce Only reject"
    assert rig.exchange.positions("a", SYMBOL)[0].amount == 0


def test_close_position_closes_what_there_is_then() -> None:
    rig = usual()
    row = wait(rig, quantity=D(0), close_position=True, working="MARK_PRICE")
    rig.buy(3)
    rig.mark(990)
    assert row.order is not None
    assert (row.order.quantity, rig.exchange.positions("a", SYMBOL)[0].amount) == (D(5), D(0))


def test_a_trailing_one_follows_from_its_activation_and_fires_behind_its_best_price() -> None:
    rig = usual()
    row = wait(rig, type="TRAILING_STOP_MARKET", trigger=D(0), activate=D(1020), callback=D(1), working="MARK_PRICE")
    rig.mark(990)
    assert (row.status, row.activated) == ("NEW", False)
    rig.mark(1020)
    rig.mark(1050)
    assert row.activated
    rig.mark("1039.6")
    assert row.status == "NEW"
    rig.mark("1039.5")
    assert row.status == "FINISHED"
    news = [event["o"]["ia"] for _, event in rig.users if event["e"] == "ALGO_UPDATE" and event["o"]["X"] == "NEW"]
    assert news == [False, True]


def test_price_protection_ends_one_whose_two_prices_lie_apart() -> None:
    rig = usual()
    row = wait(rig, price_protect=True, working="MARK_PRICE", trigger=D(940))
    rig.mark(940)
    assert (row.status, row.reason) == ("EXPIRED", "Price protect")


def test_ordinary_sweeps_leave_it_and_a_liquidation_takes_it() -> None:
    rig = usual()
    row = wait(rig)
    rig.exchange.cancel_all("a", SYMBOL)
    rig.exchange.countdown("a", SYMBOL, 1)
    rig.time += 10
    rig.exchange.tick(rig.time)
    assert row.status == "NEW"
    rig.exchange.liquidate("a")
    assert row.status == "EXPIRED"


def test_two_hundred_wait_and_no_more_and_a_cancelled_one_makes_room() -> None:
    rig = usual()
    rows = [wait(rig, client_id=f"s{number}") for number in range(200)]
    with pytest.raises(VenueError) as refused:
        wait(rig, client_id="one more")
    assert refused.value.code == -4045
    rig.exchange.cancel_conditional(rows[0])
    assert wait(rig, client_id="one more").status == "NEW"
    with pytest.raises(VenueError) as gone:
        rig.exchange.cancel_conditional(rows[0])
    assert gone.value.code == -2011


def test_they_outlive_a_restart_and_go_on() -> None:
    journal = MemoryJournal()
    first = usual(journal=journal)
    waiting = wait(first, working="MARK_PRICE")
    resting = wait(first, client_id="rests", type="STOP", price=D(1100), trigger=D(995), quantity=D(1))
    first.print(995, 1, buyer_is_maker=True)
    assert resting.status == "TRIGGERED"
    second = Rig(journal=journal)
    second.book([(999.9, 100)], [(1000.1, 100)])
    kept = {row.client_id: row for row in second.exchange.conditionals.all("a", SYMBOL)}
    assert (kept["stop"].status, kept["rests"].status) == ("NEW", "TRIGGERED")
    assert kept["stop"].algo_id == waiting.algo_id
    second.exchange.cancel("a", SYMBOL, client_id="rests")
    assert kept["rests"].status == "FINISHED"
    second.mark(990)
    assert kept["stop"].status == "FINISHED"
    assert wait(second, client_id="new", trigger=D(900)).algo_id > max(waiting.algo_id, resting.algo_id)
