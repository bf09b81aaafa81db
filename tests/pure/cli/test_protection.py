"""`pms protection`: every position with what closes it, where that lives, and what would be left without a daemon."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from pms.cli import protected
from schemas import codec

D = Decimal
LONG: dict[str, Any] = {
    "subAccountId": "main",
    "symbol": "BTCUSDT",
    "side": "LONG",
    "quantity": D("0.010"),
    "entryPrice": D("61800.10"),
    "positionId": "main:BTCUSDT:1",
}
STOP: dict[str, Any] = {
    "clientOrderId": "pms-stop-1",
    "subAccountId": "main",
    "symbol": "BTCUSDT",
    "side": "SELL",
    "orderType": "STOP_MARKET",
    "origin": "TRAIL_STOP",
    "quantity": D("0.010"),
    "triggerPrice": D("60564.00"),
    "triggeredAt": 0,
    "workingType": "CONTRACT_PRICE",
    "reduceOnly": True,
    "state": "active",
    "alternatives": "s000000001",
}
TRAIL: dict[str, Any] = {
    "trailStopId": "s000000001",
    "subAccountId": "main",
    "symbol": "BTCUSDT",
    "side": "SELL",
    "quantity": D("0.010"),
    "filledQuantity": 0,
    "triggerPrice": D("61182.05"),
    "triggeredAt": 0,
    "activated": True,
    "paused": "",
    "blind": False,
    "params": {"trigger": "mid", "activationPrice": 0},
}
LEG: dict[str, Any] = {
    "word": "stop",
    "triggerPrice": 60000,
    "workingType": "MARK_PRICE",
    "orders": [],
    "refusal": "no",
}
HELD: dict[str, Any] = TRAIL | {"protectionId": "g000000001", "legs": [LEG]}
HEALTH = {"status": "open", "mode": "paper", "ts": 1_012_345, "deadMan": {"ETHUSDT": 1_000_000}}
del HELD["trailStopId"]


def of(*orders: dict[str, Any], position: dict[str, Any] = LONG, algos: tuple[dict[str, Any], ...] = ()) -> Any:
    (one,) = protected.of([position], orders, algos)
    return one


def test_a_trailing_stop_and_its_backstop_as_people_read_them() -> None:
    shown = protected.text(protected.of([LONG], [STOP], [TRAIL]), HEALTH)
    assert shown.splitlines() == [
        "main  BTCUSDT  LONG 0.01 from 61800.1",
        "  lives   what           side  size  trigger   by          id",
        "  venue   backstop       SELL  0.01  60564     last trade  pms-stop-1",
        "  daemon  trailing stop  SELL  0.01  61182.05  mid         s000000001",
        "  If the daemon died now, the venue would close 0.01 at 60564 (last trade): all of it.",
        "",
        "The daemon runs (open, paper).",
        "Dead-man timer on ETHUSDT: confirmed 12 s before; without us, what algos quote there goes after 60 s.",
    ]


def test_without_anything_it_says_so() -> None:
    assert protected.text([], None).splitlines() == [
        "No open position.",
        "",
        "No daemon runs now: what lives in it does not act. What lives at the venue does.",
    ]
    shown = protected.text(protected.of([LONG, LONG | {"quantity": 0}], [], []), HEALTH | {"deadMan": {}})
    assert "  Nothing closes it by price." in shown.splitlines()
    assert "nothing would close it: all of it stands unprotected." in shown
    assert shown.endswith("No dead-man timer: no algo quotes where only ours rests.")


@pytest.mark.parametrize(
    "orders, covered",
    [
        ([STOP], "0.010"),
        ([STOP | {"quantity": D("0.004")}], "0.004"),
        ([STOP | {"quantity": D("7")}], "0.010"),
        ([STOP, STOP | {"clientOrderId": "new", "triggerPrice": D("60600")}], "0.010"),
        ([STOP | {"quantity": D("0.004")}, STOP | {"quantity": D("0.005"), "alternatives": "other"}], "0.009"),
        ([STOP | {"quantity": D("0.004"), "alternatives": "", "clientOrderId": name} for name in "ab"], "0.008"),
        ([STOP | {"state": "placing"}], "0"),
        ([STOP | {"state": "unknown"}], "0"),
        ([STOP | {"triggeredAt": 5}], "0"),
        ([STOP | {"triggerPrice": 0}], "0"),
        ([STOP | {"reduceOnly": False}], "0"),
        ([STOP | {"side": "BUY"}], "0"),
        ([STOP | {"subAccountId": "other"}], "0"),
        ([STOP | {"symbol": "ETHUSDT"}], "0"),
        ([STOP | {"orderType": "TAKE_PROFIT_MARKET", "origin": "TAKE_PROFIT"}], "0"),
    ],
)
def test_only_what_waits_at_the_venue_against_a_loss_covers_and_alternatives_once(orders, covered) -> None:
    one = of(*orders)
    assert (one.covered, one.uncovered) == (D(covered), D("0.010") - D(covered))


def test_an_uncovered_part_is_named_and_the_nearest_price_comes_first() -> None:
    near = STOP | {"quantity": D("0.003"), "triggerPrice": D("61000"), "alternatives": "near", "origin": "STOP"}
    one = of(STOP | {"quantity": D("0.004")}, near)
    assert one.if_we_died == (
        "If the daemon died now, the venue would close 0.003 at 61000 (last trade) and 0.004 at 60564 (last trade); "
        "0.003 of it would stand unprotected."
    )
    assert [guard.what for guard in one.guards] == ["stop", "backstop"]
    short = LONG | {"side": "SHORT"}
    far = STOP | {"side": "BUY", "triggerPrice": D("63000")}
    assert [
        guard.trigger_price
        for guard in of(far, near | {"side": "BUY", "triggerPrice": D("62000")}, position=short).guards
    ] == [
        62000,
        63000,
    ]


@pytest.mark.parametrize(
    "changed, note",
    [
        ({"paused": "paused_by_command"}, "paused (paused_by_command): it does not act"),
        ({"blind": True}, "sees no price"),
        ({"triggeredAt": 5}, "is closing now"),
        ({"activated": False}, "no price yet"),
        ({"activated": False, "params": {"trigger": "mid", "activationPrice": D("63000.0")}}, "follows from 63000 on"),
    ],
)
def test_a_stop_that_does_not_act_as_one_expects_says_why(changed, note) -> None:
    one = of(algos=(TRAIL | changed,))
    assert [guard.note for guard in one.guards] == [note]
    assert note in protected.text([one], None)


def test_a_leg_that_the_daemon_holds_lives_there_and_one_at_the_venue_is_shown_once() -> None:
    one = of(algos=(HELD,))
    (guard,) = one.guards
    assert (guard.lives, guard.what, guard.trigger_price, guard.note) == (
        "daemon",
        "stop",
        60000,
        "the venue refuses it: no",
    )
    profit = LEG | {"word": "take_profit", "refusal": ""}
    (guard,) = of(algos=(HELD | {"legs": [profit, LEG | {"orders": [{}]}, LEG | {"dropped": True}]},)).guards
    assert (guard.what, guard.against_loss, guard.note) == ("take-profit", False, "")
    assert of(algos=({"subAccountId": "main", "symbol": "BTCUSDT", "legs": [{"side": "BUY"}]},)).guards == ()


def test_one_on_its_way_out_says_so() -> None:
    assert "is being cancelled" in protected.text([of(STOP | {"state": "cancelling"})], None)


def test_json_has_all_of_it_in_exact_numbers() -> None:
    (one,) = json.loads(codec.encode(protected.of([LONG], [STOP], [TRAIL])))
    assert (one["positionId"], one["covered"], one["uncovered"]) == ("main:BTCUSDT:1", 0.01, 0)
    assert [(guard["lives"], guard["triggerPrice"]) for guard in one["guards"]] == [
        ("venue", 60564),
        ("daemon", 61182.05),
    ]
    assert one["ifWeDied"].startswith("If the daemon died now")
