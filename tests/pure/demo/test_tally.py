"""The demo's verdict finds every disagreement that it was made to find."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from pms.demo import tally
from schemas.ids import OrderId, make

CHASE = "cabcdefghi"
CLIENT = make(OrderId("qne3", CHASE, 1, 0, 1))
MINIMA = (1, 0, 0)


def _fill(number: int, quantity: str, kind: str = "order_partial") -> dict[str, Any]:
    return {
        "seq": number,
        "type": kind,
        "parentId": CHASE,
        "side": "BUY",
        "lastFillQty": Decimal(quantity),
        "subAccountId": "main",
    }


def _chase_event(number: int, kind: str, filled: str) -> dict[str, Any]:
    touch = {"bid": Decimal(99), "ask": Decimal(101)}
    return {"seq": number, "type": kind, "chaseId": CHASE, "filledQuantity": Decimal(filled), **touch}


def _seen(**changed: Any) -> tally.Evidence:
    events = [
        _chase_event(1, "chase_started", "0"),
        _fill(2, "0.1"),
        _fill(3, "0.2", "order_filled"),
        _chase_event(4, "chase_filled", "0.3"),
    ]
    seen = tally.Evidence(
        venue_orders=[{"orderId": 5, "clientOrderId": CLIENT}],
        venue_trades=[{"orderId": 5, "qty": "0.1", "price": "98"}, {"orderId": 5, "qty": "0.2", "price": "101"}],
        venue_position=Decimal("0.3"),
        chases={
            CHASE: {
                "chaseId": CHASE,
                "subAccountId": "main",
                "params": {"side": "BUY", "stalkMode": "maintain", "quantity": Decimal("0.3")},
                "filledQuantity": Decimal("0.3"),
                "status": "filled",
            }
        },
        orders={CLIENT: {"parentId": CHASE, "filledQty": Decimal("0.3"), "exchangeOrderId": 5}},
        positions={"main": Decimal("0.3")},
        events=events,
        numbers=[1, 2, 3, 4],
        published=[b"1", b"2"],
        stored=[b"1", b"2"],
        refused=[],
    )
    return msgspec.structs.replace(seen, **changed)


def _reasons(seen: tally.Evidence, minima: tuple[int, int, int] = MINIMA) -> list[str]:
    return tally.judge(seen, "BTCUSDT", 60, minima).reasons


ONE_KIND = ["only 1 of 6 combinations of mode and side were seen"]


def test_where_all_agree_only_the_missing_modes_are_told() -> None:
    verdict = tally.judge(_seen(), "BTCUSDT", 60, MINIMA)
    assert verdict.reasons == ONE_KIND
    assert verdict.filled == tally.Sums(Decimal("0.3"), Decimal("0.3"), Decimal("0.3"))
    assert verdict.avg_price == {"BUY": Decimal(100), "SELL": Decimal(0)}
    assert verdict.touch == {"BUY": Decimal(99), "SELL": Decimal(0)}
    assert (verdict.seq_first, verdict.seq_last, verdict.holes) == (1, 4, 0)


def test_with_every_mode_on_both_sides_and_no_difference_all_is_well() -> None:
    chases, wide = {}, _seen()
    for mode in ("none", "maintain", "trail"):
        for side in ("BUY", "SELL"):
            name = f"c{mode}{side}".lower()
            params = {"side": side, "stalkMode": mode, "quantity": Decimal(1)}
            idle = {"chaseId": name, "subAccountId": "main", "filledQuantity": Decimal(0), "status": "cancelled"}
            chases[name] = {**idle, "params": params}
    seen = msgspec.structs.replace(wide, chases={**wide.chases, **chases})
    assert tally.judge(seen, "BTCUSDT", 60, MINIMA).ok


PLANTED: dict[str, tuple[dict[str, Any], str]] = {
    "a trade that the venue has and we do not": (
        {"venue_trades": [*_seen().venue_trades, {"orderId": 5, "qty": "0.1", "price": "98"}]},
        f"chase {CHASE}: filled venue 0.4, record 0.3, orders 0.3, orderEvents 0.3, chaseEvents 0.3",
    ),
    "a record of the chase that differs": (
        {"chases": {CHASE: {**_seen().chases[CHASE], "filledQuantity": Decimal("0.2")}}},
        f"chase {CHASE}: filled venue 0.3, record 0.2, orders 0.3, orderEvents 0.3, chaseEvents 0.3",
    ),
    "a record of an order that differs": (
        {"orders": {CLIENT: {**_seen().orders[CLIENT], "filledQty": Decimal("0.2")}}},
        f"chase {CHASE}: filled venue 0.3, record 0.3, orders 0.2, orderEvents 0.3, chaseEvents 0.3",
    ),
    "an event that is missing": (
        {"events": [row for row in _seen().events if row["seq"] != 2], "numbers": [1, 3, 4]},
        "the stream has 1 holes",
    ),
    "more filled than asked": (
        {"chases": {CHASE: {**_seen().chases[CHASE], "params": {**_seen().chases[CHASE]["params"], "quantity": 0.2}}}},
        f"chase {CHASE} filled 0.3, more than its 0.2",
    ),
    "a chase that has not ended": (
        {"chases": {CHASE: {**_seen().chases[CHASE], "status": "active"}}},
        f"chase {CHASE} is active at the end",
    ),
    "a book that differs from its trades": (
        {"positions": {"main": Decimal(1)}},
        "position of main: venue 0.3, Redis 1",
    ),
    "a venue that holds something else": (
        {"venue_position": Decimal(0)},
        "the venue holds 0, all books together 0.3",
    ),
    "an order that nobody recorded": (
        {"venue_orders": [*_seen().venue_orders, {"orderId": 6, "clientOrderId": "web_1"}]},
        "orders that only one side knows: web_1",
    ),
    "a publication that was lost": (
        {"published": [b"1"]},
        "1 events were published and 2 stored, or not the same ones",
    ),
    "another order of publications": ({"published": [b"2", b"1"]}, "2 events were published and 2 stored"),
    "a chase that was refused": ({"refused": ["NO_PRICE: none"]}, "a chase was refused: NO_PRICE: none"),
}


@pytest.mark.parametrize("changed, told", PLANTED.values(), ids=PLANTED)
def test_a_planted_difference_is_told(changed, told) -> None:
    assert any(reason.startswith(told) for reason in _reasons(_seen(**changed))), _reasons(_seen(**changed))


def test_minima_that_were_not_reached_are_told() -> None:
    assert _reasons(_seen(), (12, 3, 50)) == [
        "only 1 chases, at least 12 were wanted",
        "only 0 chases with two or more partial fills, at least 3 were wanted",
        "only 0 amends, at least 50 were wanted",
        *ONE_KIND,
    ]
