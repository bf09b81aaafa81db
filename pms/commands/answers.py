"""What a command about orders answers, from the orders as they stand (contract.md: "Reply" and the table of codes).

Pure words. Invariants: only what certainly did not happen is answered as a failure, and what may have happened is told
as `placing` or `unknown`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from algos.step import Failure as Failed
from pms.commands.denials import invalid
from pms.commands.manual import Batch
from pms.core.risk import Denied
from pms.outcomes import CANCELLED_FIRST
from schemas.errors import ErrorCode, Failure
from schemas.orders import Cause, Order, OrderState
from schemas.replies import OrderReply, PlacedOrder

_RATE = frozenset(("429", "418", "-1003", "-1015"))
# How the reasons for which nothing left begin (pms.watch, pms.halts, pms.execution, pms.outcomes), and their codes.
_STOPPED = {
    CANCELLED_FIRST: ErrorCode.SUPERSEDED,
    "redis_unavailable": ErrorCode.REDIS_UNAVAILABLE,
    "not_recorded": ErrorCode.REDIS_UNAVAILABLE,
    "lease_not_renewed": ErrorCode.NOT_READY,
    "fenced": ErrorCode.SHUTTING_DOWN,
    "halted": ErrorCode.HALTED,
    "reduce only": ErrorCode.REDUCE_ONLY_MODE,
}
_FIRST = (OrderState.UNKNOWN, OrderState.PLACING, OrderState.ACTIVE)  # what is least settled speaks for several
_ENDED_POST_ONLY = (OrderState.EXPIRED, OrderState.CANCELLED)


def of_one(batch: Batch) -> OrderReply | Failure:
    """The reply to a command for one order, which may have been split (execution.md 10)."""
    failures = [why for order in batch.orders if (why := failure(order, batch)) is not None]
    if len(failures) == len(batch.orders):
        return failures[0]
    details: dict[str, Any] = {}
    if len(batch.orders) > 1:
        details["orders"] = [placed(order) for order in batch.orders]
    if failures:
        details["errors"] = failures
    return OrderReply(
        client_order_id=batch.orders[0].client_order_id,
        state=_state(batch.orders),
        details=details or msgspec.UNSET,
    )


def placed(order: Order) -> PlacedOrder:
    return PlacedOrder(
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        side=order.side,
        quantity=order.quantity,
        price=order.price,
        state=order.state,
    )


def denial(path: str, denied: Denied) -> Failure:
    """One of several that the gate did not let through."""
    return invalid(denied, path).failure()


def failure(order: Order, batch: Batch) -> Failure | None:
    """Why an order certainly did not come to be; None where it did, or may have."""
    name = order.client_order_id
    if order.state in _ENDED_POST_ONLY and not order.filled_qty and order.reason == Cause.POST_ONLY.value:
        return Failure.of(ErrorCode.POST_ONLY_REJECTED, "it would have taken liquidity.", clientOrderId=name)
    if order.state is not OrderState.FAILED:
        return None
    failed = batch.failures.get(name)
    if failed is not None:
        return refusal(failed, name)
    if order.reason.startswith("place refused"):  # of a former life, whose codes are gone with it
        return Failure.of(ErrorCode.EXCHANGE_REJECTED, order.reason, clientOrderId=name)
    return _not_executed(order.reason, name)


def refusal(failed: Failed, name: str) -> Failure:
    """A request that certainly did not take effect, in the contract's codes."""
    message, code = failed.message, failed.code
    if failed.refused:
        word = ErrorCode.POST_ONLY_REJECTED if failed.cause is Cause.POST_ONLY else ErrorCode.EXCHANGE_REJECTED
        return Failure.of(word, f"the venue refused it: {message}", code=int(code), msg=message, clientOrderId=name)
    if failed.code == "never_arrived":
        return _not_executed(message, name)
    return Failure.of(_why_not(failed), f"{message}; nothing was done.", clientOrderId=name)


def _why_not(failed: Failed) -> ErrorCode:
    if failed.code in _RATE:
        return ErrorCode.RATE_LIMITED
    told = (code for begins, code in _STOPPED.items() if failed.message.startswith(begins))
    return next(told, ErrorCode.EXCHANGE_UNAVAILABLE)


def _not_executed(reason: str, name: str) -> Failure:
    message = f"it was accepted and never came to the venue ({reason}); it will not be sent. Send a new one."
    return Failure.of(ErrorCode.NOT_EXECUTED, message, clientOrderId=name)


def _state(orders: Sequence[Order]) -> OrderState:
    states = [order.state for order in orders if order.state is not OrderState.FAILED]
    return next((state for state in _FIRST if state in states), states[0])
