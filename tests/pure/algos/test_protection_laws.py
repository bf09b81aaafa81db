"""What the laws' own check of a protection sees (algos.md)."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from algos import step
from algos.children import Exit, StopChild
from algos.laws import LawBroken
from algos.protection_laws import check_protection
from algos.step import CancelChild, PlaceChild
from schemas.chase import AlgoStatus
from schemas.market import Side
from schemas.orders import Cause
from tests.pure.algos.protection_stage import ProtectionStage

D = Decimal


def armed() -> ProtectionStage:
    stage = ProtectionStage()
    stage.accept()
    return stage


_replace = msgspec.structs.replace


def _place(stage: ProtectionStage, **changes: object) -> PlaceChild:
    return _replace(stage.asked(PlaceChild)[0], **changes)


BROKEN = {
    "a foreign action": (lambda s: (s.state, (StopChild("c", ""),)), "law 1"),
    "an order that the record misses": (lambda s: (s.state, (_place(s, client_order_id="x"),)), "law 1"),
    "an order placed twice": (lambda s: (s.state, (_place(s),)), "law 1"),
    "an order left without evidence": (lambda s: (_replace(s.state, legs=()), ()), "law 3"),
    "an ending with an order": (lambda s: (_replace(s.state, status=AlgoStatus.COMPLETED), ()), "law 3"),
    "fills taken back": (lambda s: (_replace(s.state, filled_quantity=D(-1)), ()), "law 2"),
    "an exit untold": (lambda s: (s.state, (Exit("BTCUSDT", Side.SELL, D(1)),)), "law 5"),
    "an exit too large": (
        lambda s: (_replace(s.state, triggered_at=1, exiting=True), (Exit("BTCUSDT", Side.SELL, D(2)),)),
        "law 2",
    ),
    "an exit that opens": (
        lambda s: (_replace(s.state, triggered_at=1, exiting=True), (Exit("BTCUSDT", Side.BUY, D(1)),)),
        "law 2",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_step_that_breaks_a_law_is_seen(name) -> None:
    stage = armed()
    make, law = BROKEN[name]
    after, actions = make(stage)
    with pytest.raises(LawBroken, match=law):
        check_protection(stage.state, step.Timer(stage.now, None), after, actions)


ORDERS = {
    "beside a triggered one": ({"triggered_at": 1}, {}, "law 1"),
    "while recovering": ({"hold": "recovering"}, {}, "law 5"),
    "that opens": ({}, {"side": Side.BUY}, "law 2"),
    "that is not reduce-only": ({}, {"reduce_only": False}, "law 2"),
    "outside its group": ({}, {"alternatives": ""}, "law 2"),
    "for too much": ({}, {"quantity": D(2)}, "law 2"),
    "with a trigger off the grid": ({}, {"trigger_price": D("90.01")}, "law 6"),
    "with a price off the grid": ({}, {"price": D("90.01")}, "law 6"),
    "with a quantity off the grid": ({}, {"quantity": D("0.0015")}, "law 6"),
    "too small": ({}, {"quantity": D("0.000")}, "law 2"),
    "without the flag beside another": ({"bare": True, "quantity": D("0.5")}, {"quantity": D("0.5")}, "law 2"),
}


@pytest.mark.parametrize("name", ORDERS)
def test_an_order_that_breaks_a_law_is_seen(name) -> None:
    stage = ProtectionStage()
    changed, order, law = ORDERS[name]
    with pytest.raises(LawBroken, match=law):
        check_protection(None, None, _replace(stage.state, **changed), (_place(stage, **order),))


def test_ways_back_are_seen() -> None:
    stage = ProtectionStage()
    stage.refuse(stage.names()[0], Cause.TRIGGERED)
    timer = step.Timer(stage.now, None)
    with pytest.raises(LawBroken, match="law 3"):
        check_protection(stage.state, timer, _replace(stage.state, exiting=False), ())
    with pytest.raises(LawBroken, match="law 4"):
        check_protection(stage.state, timer, _replace(stage.state, triggered_at=0), ())
    stage.exit_done()
    with pytest.raises(LawBroken, match="law 4"):
        check_protection(stage.state, timer, stage.state, (CancelChild("x", "BTCUSDT"),))
