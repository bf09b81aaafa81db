"""trail_stop, as others see it: what the shell reads of a record, and its events (contract.md)."""

from __future__ import annotations

from algos import step, tally, trail_backstop
from algos.view import View
from schemas.chase import AlgoStatus
from schemas.events_algos import TrailStopEvent, TrailStopEventType
from schemas.events_orders import ProtectionEvent
from schemas.market import ZERO
from schemas.orders import OrderState, Origin
from schemas.trail_stop import TrailStopState

_OF_STATE = tuple(name for name in TrailStopEvent.__struct_fields__ if name in TrailStopState.__struct_fields__)
_OF_PARAMS = ("callback_pct", "callback_abs", "callback_ticks")


def unwritten(state: TrailStopState) -> bool:
    """Whether the record waits in memory until its `wake_at`."""
    return state.unwritten


def view_trail_stop(state: TrailStopState) -> View:
    """What the shell needs of it."""
    chase = state.chase
    closing = () if chase is None or not chase.live else (chase.child_id,)
    ended = state.status.terminal
    standing = tuple(one.client_order_id for one in state.backstops)
    at_rest = tuple((one.client_order_id, one.fired) for one in state.backstops if one.state is OrderState.ACTIVE)
    unprotected = state.backstop_failures >= step.REJECTION_LIMIT and not (at_rest or state.triggered_at)
    return View(
        algo_id=state.trail_stop_id,
        root_id=state.root_id,
        sub_account_id=state.sub_account_id,
        symbol=state.symbol,
        status=state.status,
        wake_at=state.wake_at,
        reduce_only=True,
        live_children=standing,
        updated_at=state.updated_at,
        news=(
            state.status,
            state.quantity,
            state.filled_quantity,
            state.activated,
            state.triggered_at,
            closing,
            at_rest,
        ),
        tag=state.tag,
        epoch=state.id_epoch,
        parent_id=state.parent_id,
        child_algos=closing,
        instrument=state.instrument,
        mid=state.extreme_price,
        follows=None if state.triggered_at or ended else state.params.trigger,
        missed_since=0 if state.triggered_at or ended else state.missed_since,
        milestone="triggered" if state.triggered_at else "",
        backstop=ZERO if ended else trail_backstop.asks(state),
        exposed=state.backstop_reason if unprotected else "",
    )


def event_trail_stop(kind: TrailStopEventType, state: TrailStopState, ts: int) -> TrailStopEvent:
    """The event `kind` of a trailing stop as its record stands."""
    told = {name: getattr(state, name) for name in _OF_STATE}
    told |= {name: getattr(state.params, name) for name in _OF_PARAMS}
    told["slippage_bps"] = tally.slippage_bps(state.side, state.avg_price, state.arrival_mid)
    if state.status is AlgoStatus.PAUSED:
        told["reason"] = state.paused
    if state.backstops:
        newest = state.backstops[-1]
        told |= {"backstop_order_id": newest.client_order_id, "backstop_price": newest.price}
        told["backstop_quantity"] = newest.quantity
    return TrailStopEvent(type=kind, ts=ts, **told)


def event_blind(state: TrailStopState, ts: int) -> ProtectionEvent:
    """The event of a stop that sees no price."""
    return ProtectionEvent(
        type="protection_blind",
        ts=ts,
        sub_account_id=state.sub_account_id,
        trail_stop_id=state.trail_stop_id,
        origin=Origin.TRAIL_STOP,
        position_id=state.position_id,
        symbol=state.symbol,
        side=state.side,
        quantity=state.quantity,
        callback_pct=state.params.callback_pct,
        activated=state.activated,
        extreme_price=state.extreme_price,
        trigger_price=state.trigger_price,
        status=state.status.value,
        reason=f"on_blind_{state.params.on_blind}",
    )
