"""What algos tell (contract.md, "Events out"). One family per kind: the type says what happened, the fields how it
stands now.

A status that changes is published at once, progress at most once a second unless children or fills changed.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from schemas.chase import AlgoStatus, ChaseState, StalkMode
from schemas.errors import Details
from schemas.events_orders import Event
from schemas.market import ZERO, PositionSide, Side
from schemas.scalper import LayerSlot
from schemas.trail_stop import TriggerReason

ChaseEventType = Literal["chase_started", "chase_progress", "chase_filled", "chase_cancelled", "chase_failed"]


class ChaseEvent(Event, frozen=True, kw_only=True):
    """A chase. `fill_price` is the average of what is filled, 0 before the first fill; prices not known yet are 0.
    `slippage_bps` is how much worse that is than `arrival_mid`, the mid at its start; `fees` are amounts by asset."""

    type: ChaseEventType
    chase_id: str
    symbol: str
    side: Side
    quantity: Decimal
    filled_quantity: Decimal
    reprice_count: int
    status: AlgoStatus
    initial_price: Decimal
    current_order_price: Decimal
    bid: Decimal
    ask: Decimal
    stalk_mode: StalkMode
    stalk_offset_pct: Decimal
    stalk_offset_ticks: int
    fill_price: Decimal
    reason: str
    fees: dict[str, Decimal] = msgspec.field(default_factory=dict)
    arrival_mid: Decimal = ZERO
    slippage_bps: Decimal = ZERO

    @classmethod
    def of(cls, kind: ChaseEventType, state: ChaseState, ts: int, slippage_bps: Decimal = ZERO) -> ChaseEvent:
        """The event `kind` of a chase as its record stands; a paused one says what paused it."""
        params = state.params
        return cls(
            type=kind,
            ts=ts,
            sub_account_id=state.sub_account_id,
            request_id=state.request_id,
            chase_id=state.chase_id,
            symbol=state.symbol,
            side=state.side,
            quantity=state.quantity,
            filled_quantity=state.filled_quantity,
            reprice_count=state.reprice_count,
            status=state.status,
            initial_price=state.initial_price,
            current_order_price=state.current_order_price,
            bid=state.bid,
            ask=state.ask,
            stalk_mode=params.stalk_mode,
            stalk_offset_pct=params.stalk_offset_pct,
            stalk_offset_ticks=params.stalk_offset_ticks,
            fill_price=state.fill_price,
            reason=state.paused if state.status is AlgoStatus.PAUSED else state.reason,
            fees=state.fees,
            arrival_mid=state.arrival_mid,
            slippage_bps=slippage_bps,
        )


class TwapEvent(Event, frozen=True, kw_only=True):
    """A TWAP. `next_lot_at` is Unix ms, 0 when none is to come; `fees` are amounts by asset; `slippage_bps` is how much
    worse `avg_price` is than `arrival_mid`, the mid at its start; `residual` is what an ended one left unfilled."""

    type: Literal["twap_started", "twap_progress", "twap_completed", "twap_expired", "twap_cancelled", "twap_failed"]
    twap_id: str
    symbol: str
    side: Side
    filled_lots: int
    total_lots: int
    filled_quantity: Decimal
    total_quantity: Decimal
    avg_price: Decimal = ZERO
    next_lot_at: int = 0
    fees: dict[str, Decimal] = msgspec.field(default_factory=dict)
    arrival_mid: Decimal = ZERO
    slippage_bps: Decimal = ZERO
    residual: Decimal = ZERO
    status: AlgoStatus
    reason: str = ""


class BasketLeg(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One leg of a TWAP basket as its events show it."""

    twap_id: str
    symbol: str
    side: Side
    filled_lots: int
    total_lots: int
    filled_quantity: Decimal
    total_quantity: Decimal
    avg_price: Decimal = ZERO
    fees: dict[str, Decimal] = msgspec.field(default_factory=dict)
    arrival_mid: Decimal = ZERO
    slippage_bps: Decimal = ZERO
    status: AlgoStatus
    reason: str = ""


class TwapBasketEvent(Event, frozen=True, kw_only=True):
    """A TWAP basket: progress over its legs. `slippage_bps` is the mean of its legs', weighted by what each paid."""

    type: Literal[
        "twap_basket_started",
        "twap_basket_progress",
        "twap_basket_completed",
        "twap_basket_expired",
        "twap_basket_cancelled",
        "twap_basket_failed",
    ]
    twap_basket_id: str
    basket_name: str
    legs: tuple[BasketLeg, ...]
    filled_lots: int
    total_lots: int
    next_lot_at: int = 0
    fees: dict[str, Decimal] = msgspec.field(default_factory=dict)
    slippage_bps: Decimal = ZERO
    status: AlgoStatus
    reason: str = ""


TrailStopEventType = Literal[
    "trail_stop_started",
    "trail_stop_progress",
    "trail_stop_triggered",
    "trail_stop_completed",
    "trail_stop_cancelled",
    "trail_stop_failed",
]


class TrailStopEvent(Event, frozen=True, kw_only=True):
    """A trailing stop. `side` is the side of its exit; prices are 0 until they are known. `fees` are amounts by asset;
    `slippage_bps` is how much worse `avg_price` is than `arrival_mid`, the mid when it was triggered; `residual` is
    what an ended one did not close. `backstop_…` are of the order that stands at the venue, or is to, empty and 0 for
    none; `triggered_by` says what triggered it."""

    type: TrailStopEventType
    trail_stop_id: str
    symbol: str
    side: Side
    quantity: Decimal
    callback_pct: Decimal
    callback_abs: Decimal = ZERO
    callback_ticks: int = 0
    activated: bool
    extreme_price: Decimal = ZERO
    trigger_price: Decimal = ZERO
    triggered_price: Decimal = ZERO
    position_id: str
    status: AlgoStatus
    reason: str = ""
    filled_quantity: Decimal = ZERO
    avg_price: Decimal = ZERO
    fees: dict[str, Decimal] = msgspec.field(default_factory=dict)
    arrival_mid: Decimal = ZERO
    slippage_bps: Decimal = ZERO
    residual: Decimal = ZERO
    triggered_by: TriggerReason = ""
    backstop_order_id: str = ""
    backstop_price: Decimal = ZERO
    backstop_quantity: Decimal = ZERO


class ScalperSlot(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One layer of a scalper. `paused_reason` says which guard holds it, until `retry_at` (Unix ms) at the earliest, 0
    where that depends on the market."""

    layer_idx: int
    client_order_id: str = ""
    price: Decimal = ZERO
    quantity: Decimal
    filled_quantity: Decimal = ZERO
    fill_count: int = 0
    status: AlgoStatus
    paused_reason: str = ""
    retry_at: int = 0
    chase_id: str = ""
    offset_ticks: int = 0

    @classmethod
    def of(cls, slot: LayerSlot) -> ScalperSlot:
        """A slot as its record stands: active by its child's own word, paused without one."""
        child, layer = slot.child, slot.layer
        told = cls(
            layer_idx=layer.layer_idx,
            quantity=layer.quantity,
            offset_ticks=layer.offset_ticks,
            fill_count=slot.fill_count,
            status=AlgoStatus.PAUSED,
            paused_reason=slot.reason,
            retry_at=slot.retry_at,
        )
        if child is None:
            return told
        return msgspec.structs.replace(
            told,
            client_order_id=child.order_id,
            chase_id=child.child_id,
            price=child.price,
            quantity=child.asked,
            filled_quantity=child.filled,
            status=AlgoStatus.STOPPING if child.stopping else child.status,
            paused_reason=child.stopping or child.reason,
        )


class _ScalperEvent(Event, frozen=True, kw_only=True):
    """The scalper as it is after the event. `inventory` is signed; averages are 0 before the first fill of their side;
    `slippage_bps` is over all fills against the mid at arrival, negative where the spread was earned."""

    scalper_id: str
    symbol: str
    start_side: PositionSide
    status: AlgoStatus
    total_fill_count: int
    neutral_mode: bool
    long_slots: tuple[ScalperSlot, ...]
    short_slots: tuple[ScalperSlot, ...]
    reason: str = ""
    filled_quantity: Decimal = ZERO
    avg_buy_price: Decimal = ZERO
    avg_sell_price: Decimal = ZERO
    inventory: Decimal = ZERO
    entry_price: Decimal = ZERO
    realized_pnl: Decimal = ZERO
    fees: dict[str, Decimal] = msgspec.field(default_factory=dict)
    arrival_mid: Decimal = ZERO
    slippage_bps: Decimal = ZERO


ScalperEventType = Literal["scalper_started", "scalper_progress", "scalper_cancelled", "scalper_failed"]


class ScalperEvent(_ScalperEvent, frozen=True, kw_only=True):
    """A scalper as a whole."""

    type: ScalperEventType


class ScalperFilled(_ScalperEvent, frozen=True, kw_only=True):
    """A layer of a scalper filled: its child has ended with so much, at this average price."""

    type: Literal["scalper_filled"] = "scalper_filled"
    side: Side
    layer_idx: int
    fill_price: Decimal
    fill_qty: Decimal


class AlgoEvent(Event, frozen=True, kw_only=True):
    """An algo from a plug-in; `state` is what the plug-in chooses to show."""

    type: Literal["algo_started", "algo_progress", "algo_completed", "algo_cancelled", "algo_failed"]
    algo_id: str
    algo: str
    symbol: str
    status: AlgoStatus
    state: Details = msgspec.field(default_factory=dict)
    reason: str = ""
