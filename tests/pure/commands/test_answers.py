"""What becomes of an order, in the words and codes of the reply (contract.md)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from algos.step import Failure as Failed
from pms.commands import answers
from pms.commands.manual import Batch
from pms.outcomes import CANCELLED_FIRST
from schemas.market import Side
from schemas.orders import Cause, Order, OrderState, Origin
from schemas.replies import OrderReply

D = Decimal
S = OrderState

ORDER = Order(
    client_order_id="o-0",
    sub_account_id="main",
    symbol="BTCUSDT",
    side=Side.BUY,
    order_type="LIMIT",
    time_in_force="GTC",
    quantity=D(1),
    price=D(100),
    reduce_only=False,
    state=S.ACTIVE,
    origin=Origin.MANUAL,
    parent_id="",
    root_id="",
    created_at=0,
    updated_at=0,
)


def orders(*states: OrderState, **more: Any) -> tuple[Order, ...]:
    return tuple(
        msgspec.structs.replace(ORDER, client_order_id=f"o-{number}", state=state, **more)
        for number, state in enumerate(states)
    )


def not_done(message: str, code: str = "0") -> Failed:
    return Failed("place", Cause.NONE, code, message, refused=False)


@pytest.mark.parametrize(
    "failed, code, retryable",
    [
        (Failed("place", Cause.OTHER, "-2019", "Margin is insufficient."), "EXCHANGE_REJECTED", False),
        (Failed("place", Cause.POST_ONLY, "-5022", "would take"), "POST_ONLY_REJECTED", False),
        (not_done("never arrived", "never_arrived"), "NOT_EXECUTED", False),
        (not_done(CANCELLED_FIRST), "SUPERSEDED", False),
        (not_done("redis_unavailable"), "REDIS_UNAVAILABLE", True),
        (not_done("not_recorded: Fenced"), "REDIS_UNAVAILABLE", True),
        (not_done("lease_not_renewed"), "NOT_READY", True),
        (not_done("fenced: epoch 9 acts on this account"), "SHUTTING_DOWN", True),
        (not_done("halted (all): by hand"), "HALTED", False),
        (not_done("reduce only: margin"), "REDUCE_ONLY_MODE", False),
        (not_done("too many", "-1015"), "RATE_LIMITED", True),
        (not_done("Service Unavailable.", "503"), "EXCHANGE_UNAVAILABLE", True),
    ],
)
def test_each_way_of_not_coming_to_be_has_its_code(failed: Failed, code: str, retryable: bool) -> None:
    reply = answers.of_one(Batch(orders(S.FAILED), {"o-0": failed}))
    assert (reply.success, reply.error_code, reply.retryable) == (False, code, retryable)
    assert reply.details["clientOrderId"] == "o-0"


def test_a_post_only_order_that_the_venue_ended_at_once_was_refused() -> None:
    ended = orders(S.EXPIRED, reason="post_only")
    assert answers.of_one(Batch(ended, {})).error_code == "POST_ONLY_REJECTED"
    filled = orders(S.EXPIRED, reason="post_only", filled_qty=D("0.5"))
    assert answers.of_one(Batch(filled, {})).success is True


@pytest.mark.parametrize(
    "reason, code", [("place refused: no margin", "EXCHANGE_REJECTED"), ("never arrived", "NOT_EXECUTED")]
)
def test_a_failure_of_a_former_life_is_told_by_its_reason(reason: str, code: str) -> None:
    assert answers.of_one(Batch(orders(S.FAILED, reason=reason), {})).error_code == code


@pytest.mark.parametrize(
    "states, told",
    [
        ((S.FILLED, S.FILLED), S.FILLED),
        ((S.FILLED, S.EXPIRED), S.FILLED),
        ((S.FILLED, S.UNKNOWN, S.PLACING), S.UNKNOWN),
        ((S.FILLED, S.PLACING), S.PLACING),
        ((S.FILLED, S.ACTIVE), S.ACTIVE),
        ((S.FAILED, S.FILLED), S.FILLED),
    ],
)
def test_of_several_parts_the_least_settled_speaks(states: tuple[OrderState, ...], told: OrderState) -> None:
    reply = answers.of_one(Batch(orders(*states), {"o-0": not_done("never arrived", "never_arrived")}))
    assert isinstance(reply, OrderReply)
    assert (reply.state, reply.client_order_id) == (told, "o-0")
    assert len(reply.details["orders"]) == len(states)
    assert ("errors" in reply.details) is (S.FAILED in states)
