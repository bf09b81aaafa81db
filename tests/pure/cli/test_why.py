"""The chain of events behind an id, as `pms why` tells it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pms.cli import why

_HEAD = {"prevSeq": 0, "epoch": 1, "v": 1, "subAccountId": "main", "requestId": ""}
_ORDER = {
    "clientOrderId": "pms-1",
    "exchangeOrderId": 7,
    "symbol": "BTCUSDT",
    "side": "BUY",
    "timeInForce": "GTX",
    "quantity": Decimal(2),
    "price": Decimal("100.5"),
    "reduceOnly": False,
    "filledQty": Decimal(0),
    "origin": "CHASE",
    "parentId": "c1",
    "rootId": "t1",
    "reason": "",
}
_FILL = {
    "lastFillQty": Decimal(2),
    "lastFillPrice": Decimal("100.5"),
    "maker": True,
    "commission": Decimal("0.04"),
    "commissionAsset": "USDT",
    "tradeId": 9,
}


def _events() -> list[dict[str, Any]]:
    seen = {"bid": Decimal("100.5"), "ask": Decimal(101), "ageMs": 12, "bookSeq": 55}
    rows = [
        ("twap_started", 1_000, {"twapId": "t1", "requestId": "r-1"}),
        ("chase_started", 1_000, {"chaseId": "c1", "requestId": "r-1"}),
        ("order_placed", 1_000, _ORDER | {"decision": seen}),
        ("command_result", 1_003, {"requestId": "r-1", "commandType": "twap", "success": True}),
        ("chase_started", 1_004, {"chaseId": "c2"}),
        ("order_placed", 1_005, _ORDER | {"clientOrderId": "pms-2", "parentId": "c2", "rootId": "c2"}),
        ("order_active", 1_010, _ORDER),
        ("order_filled", 1_050, _ORDER | _FILL),
    ]
    return [_HEAD | {"type": kind, "seq": seq, "ts": ts} | more for seq, (kind, ts, more) in enumerate(rows, 1)]


def _chain(wanted: str) -> list[int]:
    return [event["seq"] for event, _ in why.chain(wanted, [(event, b"") for event in _events()])]


def test_an_algos_chain_has_its_command_its_children_and_their_orders_and_nothing_else() -> None:
    assert _chain("t1") == [1, 2, 3, 4, 7, 8]


def test_an_order_or_a_request_leads_to_the_same_command() -> None:
    assert _chain("pms-1") == [3, 7, 8]
    assert _chain("r-1") == [1, 2, 3, 4, 7, 8]
    assert _chain("nobody") == []


def test_each_step_says_what_was_seen_what_was_done_and_its_number() -> None:
    rows = [event for event in _events() if event["type"].startswith(("order_", "command_")) and event["seq"] != 6]
    told = why.told(rows)
    assert [line.split(maxsplit=4)[3] for line in told] == ["decision", "intent", "command", "ack", "fill"]
    assert "bid 100.5, ask 101, stood 12 ms, book 55" in told[0]
    assert "BUY 2 BTCUSDT at 100.5 GTX, CHASE pms-1" in told[1]
    assert told[2].endswith("twap r-1 accepted  #4")
    assert "active at 100.5, filled 0, venue order 7" in told[3]
    assert "filled 2 at 100.5 (maker, fee 0.04 USDT), trade 9" in told[4]
    assert "+40 ms" in told[4]
