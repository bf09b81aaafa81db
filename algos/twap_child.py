"""twap, the booking half: what became of its orders and its child chases. Fills, endings, refused requests (laws 2, 3,
4 and 7 of algos.md)."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from algos import step, tally, twap_plan
from algos.children import ChildChanged, ChildDone, ChildReport
from algos.step import Failure, OrderUpdate
from schemas.chase import AlgoStatus, Child
from schemas.market import ZERO
from schemas.orders import Order, OrderState
from schemas.twap import TwapState, Worker

PAST_KEPT = 16  # workers that ended and may still tell of late fills: more than a minute's worth of the shortest slots

_replace = msgspec.structs.replace


def booked(state: TwapState, quantity: Decimal, quote: Decimal, fees: tally.Fees, now: int) -> TwapState:
    """Add to the sums, whatever the state: a cancelled TWAP still books late fills (law 4)."""
    filled, paid = state.filled_quantity + quantity, state.quote_filled + quote
    return _replace(
        state,
        filled_quantity=filled,
        quote_filled=paid,
        avg_price=tally.average(paid, filled),
        fees=tally.added(state.fees, fees),
        filled_lots=twap_plan.plan(state.params, state.seed).lots_in(filled),
        residual=max(state.quantity - filled, ZERO) or ZERO if state.status.terminal else ZERO,
        updated_at=now,
    )


# --- own orders -------------------------------------------------------------------------------------


def book_fill(state: TwapState, update: OrderUpdate) -> TwapState:
    """A fill of an order of ours, of any attempt."""
    fill = update.fill
    if fill is None:
        return state
    child = state.child
    if child is not None and child.client_order_id == update.order.client_order_id:
        state = _replace(state, child=_replace(child, filled=child.filled + fill.quantity))
    return booked(state, fill.quantity, fill.quantity * fill.price, tally.with_fee({}, fill), update.now)


def on_order(state: TwapState, update: OrderUpdate) -> TwapState:
    """What an order's record says now."""
    state = book_fill(state, update)
    child, order = state.child, update.order
    if update.adopt and child is None and not order.state.terminal:
        return _replace(state, child=_adopted(state, order))
    if child is None or child.client_order_id != order.client_order_id:
        return state
    if order.state.terminal:
        return _ended(_replace(state, child=None), child, update)
    return state if child.state is order.state else _replace(state, child=_replace(child, state=order.state))


def _adopted(state: TwapState, order: Order) -> Child:
    """A live order of ours that the record does not know, taken as the child (execution.md 23)."""
    return Child(
        client_order_id=order.client_order_id,
        attempt=state.attempt,
        state=order.state,
        price=order.price,
        ticks=state.instrument.limit_ticks(state.side, order.price),
        quantity=order.quantity,
        time_in_force=order.time_in_force,
        filled=order.filled_qty,
    )


def _ended(state: TwapState, child: Child, update: OrderUpdate) -> TwapState:
    """The order is proven terminal. Only a filled part of a lot above maxQty is followed by another in its slot; what
    any other leaves is carried."""
    if update.order.state is OrderState.FAILED:
        assert update.failure is not None, "an order fails for a named reason"
        return _not_placed(state, child, update.failure, update.now)
    if state.rejection:
        state = _replace(state, rejection="", rejections=0, reason="")
    return state if update.order.state is OrderState.FILLED else _carried(state)


def _carried(state: TwapState) -> TwapState:
    """The slot is over; what it did not fill is owed by later ones."""
    return _replace(state, slot_left=ZERO, falling_back=False)


def _not_placed(state: TwapState, child: Child, failure: Failure, now: int) -> TwapState:
    """The order was not placed: for a passing reason it is tried again in its slot, a refused one is carried, and the
    same refusal again and again backs off (law 7)."""
    retry_at = max(failure.retry_at, now + step.RETRY_MIN_MS)
    if failure.throttled or not failure.refused:
        left = ZERO if state.executing else state.slot_left + child.quantity
        state = _replace(state, slot_left=left, take_count=max(state.take_count - 1, 0))
        if failure.throttled:
            return _replace(state, throttle="queued")
        return _replace(state, reason=failure.message, retry_at=retry_at)
    rejection = f"{failure.action}:{failure.code}"
    rejections = state.rejections + 1 if rejection == state.rejection else 1
    retry_at = max(retry_at, now + step.back_off_ms(rejections))
    refused = _replace(state, rejection=rejection, rejections=rejections, reason=failure.message, retry_at=retry_at)
    return _carried(refused)


# --- child chases -----------------------------------------------------------------------------------


def on_child(state: TwapState, given: ChildChanged | ChildDone) -> TwapState:
    """How a child chase stands: the difference to what it told before is booked, so that the same twice adds none."""
    report = given.child
    worker = state.worker
    if worker is None or worker.child_id != report.child_id:
        return _told_late(state, report, given.now)
    known = _knowing(worker, report)
    if known != worker:
        state = _replace(_difference_booked(state, worker, report, given.now), worker=known)
        if AlgoStatus.BLOCKED in (known.status, worker.status):
            state = _replace(state, reason=known.reason if known.status is AlgoStatus.BLOCKED else "")
    return _worker_ended(state, known) if isinstance(given, ChildDone) else state


def _told_late(state: TwapState, report: ChildReport, now: int) -> TwapState:
    for index, worker in enumerate(state.past):
        known = _knowing(worker, report)
        if worker.child_id == report.child_id and known != worker:
            past = (*state.past[:index], known, *state.past[index + 1 :])
            return _replace(_difference_booked(state, worker, report, now), past=past)
    return state


def _knowing(worker: Worker, report: ChildReport) -> Worker:
    """A worker with the sums of a report. Sums never shrink: a report without a record says nothing of them."""
    if report.filled_quantity < worker.filled:
        return _replace(worker, status=report.status, reason=report.reason, order_id="", price=ZERO)
    return _replace(
        worker,
        status=report.status,
        reason=report.reason,
        filled=report.filled_quantity,
        quote_filled=report.quote_filled,
        fees=report.fees,
        order_id=report.order_id,
        price=report.price,
    )


def _difference_booked(state: TwapState, worker: Worker, report: ChildReport, now: int) -> TwapState:
    more = report.filled_quantity - worker.filled
    if more <= 0:
        return state
    fees = {asset: amount - worker.fees.get(asset, ZERO) for asset, amount in report.fees.items()}
    return booked(state, more, report.quote_filled - worker.quote_filled, fees, now)


def _worker_ended(state: TwapState, worker: Worker) -> TwapState:
    """A child chase is over. One that failed at its lot hands the rest to the market where that is asked for
    (onChildFail); one that somebody ended carries it."""
    past = (*state.past, worker)[-PAST_KEPT:]
    state = _replace(state, worker=None, past=past)
    left = worker.quantity - worker.filled
    failed = worker.status is AlgoStatus.FAILED or worker.reason == "deadline"
    if left <= 0 or worker.stopping or not failed or state.params.on_child_fail == "carry":
        return _carried(state)
    return _replace(state, slot_left=left, falling_back=True)
