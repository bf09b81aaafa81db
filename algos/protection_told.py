"""protection, as others see it: what the shell reads of a record, and its events (contract.md)."""

from __future__ import annotations

from algos import protection_legs as legs
from algos import tally
from algos.view import View
from schemas.events_orders import ProtectionEvent, ProtectionEventType
from schemas.protection import ProtectionState


def view_protection(state: ProtectionState) -> View:
    """What the shell needs of it."""
    watched = [leg.working_type for leg in state.legs if state.watch and legs.watched(state, leg)]
    follows = None if not watched else "mark" if "MARK_PRICE" in watched else "mid"
    return View(
        algo_id=state.protection_id,
        root_id=state.root_id,
        sub_account_id=state.sub_account_id,
        symbol=state.symbol,
        status=state.status,
        wake_at=state.wake_at,
        reduce_only=True,
        live_children=tuple(order.client_order_id for order in state.orders),
        updated_at=state.updated_at,
        news=(state.word, state.count, state.status),
        tag=state.tag,
        epoch=state.id_epoch,
        parent_id=state.parent_id,
        instrument=state.instrument,
        mid=state.mid,
        follows=None if state.status.terminal else follows,  # type: ignore[arg-type]
        guards=state.entry_id,
        unserved=next((f"{leg.word}: {leg.refusal}" for leg in state.legs if leg.held), ""),
    )


def event_protection(_: str, state: ProtectionState, ts: int) -> ProtectionEvent | None:
    """What has happened to a leg, or that all of it is gone; None where nothing has yet."""
    if state.status.terminal:
        return _event("protection_removed", state, ts, state.reason)
    if not state.word:
        return None
    return _event(f"protection_{state.word}", state, ts, "")  # type: ignore[arg-type]


def event_blind(state: ProtectionState, ts: int) -> ProtectionEvent:
    """The event of one that watches a price itself and sees none."""
    return _event("protection_blind", state, ts, "no_price")


def _event(kind: ProtectionEventType, state: ProtectionState, ts: int, reason: str) -> ProtectionEvent:
    leg = state.leg(state.word_leg) or state.legs[0]
    return ProtectionEvent(
        type=kind,
        ts=ts,
        sub_account_id=state.sub_account_id,
        request_id=state.request_id,
        protection_id=state.protection_id,
        client_algo_id=leg.orders[-1].client_order_id if leg.orders else "",
        origin=legs.ORIGINS[leg.word],
        position_id=state.position_id,
        symbol=state.symbol,
        side=state.side,
        quantity=state.rest,
        trigger_price=leg.trigger_price,
        triggered_price=state.triggered_price,
        status=state.status.value,
        reason=reason or leg.refusal,
        filled_quantity=state.filled_quantity,
        avg_price=state.avg_price,
        fees=state.fees,
        arrival_mid=state.arrival_mid,
        slippage_bps=tally.slippage_bps(state.side, state.avg_price, state.arrival_mid),
    )
