"""What the shell and people read of a TWAP's record and of its basket's: views, reports to a parent, events.

Pure; refuses to decide anything.
"""

from __future__ import annotations

from bisect import bisect_right
from decimal import Decimal

from algos import tally, twap_plan
from algos.children import ChildReport
from algos.view import View
from schemas.chase import AlgoStatus
from schemas.events_algos import BasketLeg, TwapBasketEvent, TwapEvent
from schemas.market import ZERO
from schemas.twap import TwapBasketState, TwapLeg, TwapParams, TwapState

# --- twap -------------------------------------------------------------------------------------------


def view_twap(state: TwapState) -> View:
    """See `algos.view.View`."""
    child, worker = state.child, state.worker
    return View(
        algo_id=state.twap_id,
        root_id=state.root_id,
        sub_account_id=state.sub_account_id,
        symbol=state.symbol,
        status=state.status,
        wake_at=state.wake_at,
        reduce_only=state.params.reduce_only,
        live_children=() if child is None else (child.client_order_id,),
        updated_at=state.updated_at,
        news=(
            state.status,
            state.slot,
            state.filled_quantity,
            child and child.client_order_id,
            worker and worker.child_id,
        ),
        tag=state.tag,
        epoch=state.id_epoch,
        parent_id=state.parent_id,
        child_algos=() if worker is None else (worker.child_id,),
        instrument=state.instrument,
        mid=(state.bid + state.ask) / 2,
    )


def report_twap(state: TwapState) -> ChildReport:
    """What its basket hears of it."""
    child, worker = state.child, state.worker
    return ChildReport(
        child_id=state.twap_id,
        slot=state.parent_slot,
        status=state.status,
        reason=_reason(state),
        filled_quantity=state.filled_quantity,
        quote_filled=state.quote_filled,
        fees=state.fees,
        order_id=child.client_order_id if child is not None else "" if worker is None else worker.order_id,
        price=child.price if child is not None else ZERO if worker is None else worker.price,
        arrival_mid=state.arrival_mid,
    )


def event_twap(kind: str, state: TwapState, ts: int) -> TwapEvent:
    """The event `kind` of a TWAP as its record stands."""
    return TwapEvent(
        type=kind,  # type: ignore[arg-type]
        ts=ts,
        sub_account_id=state.sub_account_id,
        twap_id=state.twap_id,
        symbol=state.symbol,
        side=state.side,
        filled_lots=state.filled_lots,
        total_lots=state.params.lots,
        filled_quantity=state.filled_quantity,
        total_quantity=state.quantity,
        avg_price=state.avg_price,
        next_lot_at=state.next_lot_at,
        fees=state.fees,
        arrival_mid=state.arrival_mid,
        slippage_bps=tally.slippage_bps(state.side, state.avg_price, state.arrival_mid),
        residual=state.residual,
        status=state.status,
        reason=_reason(state),
    )


def _reason(state: TwapState) -> str:
    """Why it stands as it does: a paused one says what paused it."""
    return state.paused if state.status is AlgoStatus.PAUSED else state.reason


# --- twap_basket ------------------------------------------------------------------------------------


def view_basket(state: TwapBasketState) -> View:
    """See `algos.view.View`. It adds risk unless every leg only reduces."""
    return View(
        algo_id=state.twap_basket_id,
        root_id=state.root_id,
        sub_account_id=state.sub_account_id,
        symbol="",
        status=state.status,
        wake_at=0,
        reduce_only=all(leg.reduce_only for leg in state.params.legs),
        live_children=(),
        updated_at=state.updated_at,
        news=(state.status, tuple((leg.status, leg.filled_quantity) for leg in state.legs)),
        tag=state.tag,
        epoch=state.id_epoch,
        child_algos=tuple(leg.twap_id for leg in state.legs if not leg.status.terminal),
    )


def event_basket(kind: str, state: TwapBasketState, ts: int) -> TwapBasketEvent:
    """The event `kind` of a basket as its record stands."""
    rows = tuple(_leg(leg, params) for leg, params in zip(state.legs, state.params.legs, strict=True))
    paid = sum((leg.quote_filled for leg in state.legs), ZERO)
    cost = sum((row.slippage_bps * leg.quote_filled for row, leg in zip(rows, state.legs, strict=True)), ZERO)
    return TwapBasketEvent(
        type=kind,  # type: ignore[arg-type]
        ts=ts,
        sub_account_id=state.sub_account_id,
        twap_basket_id=state.twap_basket_id,
        basket_name=state.params.basket_name,
        legs=rows,
        filled_lots=sum(row.filled_lots for row in rows),
        total_lots=sum(row.total_lots for row in rows),
        next_lot_at=_next_lot_at(state, ts),
        fees=tally.added(*(leg.fees for leg in state.legs)),
        slippage_bps=(cost / paid).quantize(Decimal("0.01")) if paid else ZERO,
        status=state.status,
        reason=state.reason,
    )


def _leg(leg: TwapLeg, params: TwapParams) -> BasketLeg:
    average = tally.average(leg.quote_filled, leg.filled_quantity)
    return BasketLeg(
        twap_id=leg.twap_id,
        symbol=params.symbol,
        side=params.side,
        filled_lots=twap_plan.plan(params, twap_plan.seed_of(leg.twap_id)).lots_in(leg.filled_quantity),
        total_lots=params.lots,
        filled_quantity=leg.filled_quantity,
        total_quantity=params.quantity,
        avg_price=average,
        fees=leg.fees,
        arrival_mid=leg.arrival_mid,
        slippage_bps=tally.slippage_bps(params.side, average, leg.arrival_mid),
        status=leg.status,
        reason=leg.reason,
    )


def _next_lot_at(state: TwapBasketState, now: int) -> int:
    """When the next lot of any live leg is due, 0 where none is to come."""
    coming = []
    for leg, params in zip(state.legs, state.params.legs, strict=True):
        due = twap_plan.plan(params, twap_plan.seed_of(leg.twap_id)).due
        after = bisect_right(due, now - state.started_at)
        if not leg.status.terminal and leg.filled_quantity < params.quantity and after < len(due):
            coming.append(state.started_at + due[after])
    return min(coming, default=0)
