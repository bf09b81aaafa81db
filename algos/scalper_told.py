"""What is shown of a scalper: to the shell its view, to people its events (contract.md, "Events out")."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from algos.view import View
from schemas.events_algos import ScalperEvent, ScalperEventType, ScalperFilled, ScalperSlot
from schemas.market import ZERO, Side
from schemas.scalper import LayerSlot, ScalperState

_BPS = Decimal(10_000)
_SHOWN = Decimal("0.01")


def view_scalper(state: ScalperState) -> View:
    """What the shell reads of the record."""
    slots = (*state.long.slots, *state.short.slots)
    return View(
        algo_id=state.scalper_id,
        root_id=state.root_id,
        sub_account_id=state.sub_account_id,
        symbol=state.symbol,
        status=state.status,
        wake_at=state.wake_at,
        reduce_only=False,
        live_children=(),
        updated_at=state.updated_at,
        news=(state.status, state.bought, state.sold, state.total_fill_count, tuple(map(_news, slots))),
        tag=state.tag,
        epoch=state.id_epoch,
        parent_id=state.parent_id,
        child_algos=tuple(child.child_id for child in state.children),
        instrument=state.instrument,
        mid=(state.bid + state.ask) / 2,
        holds=bool(state.inventory),
    )


def _news(slot: LayerSlot) -> tuple[object, ...]:
    child = slot.child
    return (slot.reason,) if child is None else (child.child_id, child.order_id, child.status, child.stopping)


def event_scalper(word: ScalperEventType, state: ScalperState, ts: int) -> ScalperEvent | ScalperFilled:
    """The event of a step; progress in which a layer filled is told as that fill."""
    buys, sells = average_prices(state)
    told: dict[str, Any] = {name: getattr(state, name) for name in _OF_STATE} | {
        "ts": ts,
        "start_side": state.params.start_side,
        "neutral_mode": state.params.neutral_mode,
        "long_slots": tuple(map(ScalperSlot.of, state.long.slots)),
        "short_slots": tuple(map(ScalperSlot.of, state.short.slots)),
        "filled_quantity": state.bought + state.sold,
        "avg_buy_price": buys,
        "avg_sell_price": sells,
        "slippage_bps": slippage_bps(state),
    }
    fill = state.just_filled
    if word != "scalper_progress" or fill is None:
        return ScalperEvent(type=word, **told)
    return ScalperFilled(
        side=fill.side, layer_idx=fill.layer_idx, fill_price=fill.fill_price, fill_qty=fill.fill_qty, **told
    )


_OF_STATE = tuple(name for name in ScalperEvent.__struct_fields__ if name in ScalperState.__struct_fields__)


def average_prices(state: ScalperState) -> tuple[Decimal, Decimal]:
    """The average price of all buys and of all sells, 0 where there were none."""
    bought = state.bought_quote / state.bought if state.bought else ZERO
    return bought, state.sold_quote / state.sold if state.sold else ZERO


def slippage_bps(state: ScalperState) -> Decimal:
    """How much worse than the mid at arrival all fills together are, in basis points to the hundredth; what was earned
    on the spread is negative."""
    traded = state.bought + state.sold
    if not traded or not state.arrival_mid:
        return ZERO
    paid = (state.bought_quote - state.bought * state.arrival_mid) * Side.BUY.sign
    paid += (state.sold_quote - state.sold * state.arrival_mid) * Side.SELL.sign
    return (paid / (traded * state.arrival_mid) * _BPS).quantize(_SHOWN)
