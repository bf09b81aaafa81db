"""The base of all events, and those of orders and positions (contract.md, "Events out")."""

from __future__ import annotations

from decimal import Decimal
from operator import attrgetter
from typing import Literal

import msgspec

from schemas.codec import VERSION
from schemas.market import ZERO, PositionSide, Side
from schemas.orders import Order, OrderState, OrderType, Origin, TimeInForce
from schemas.records import SYSTEM


class Event(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The envelope. `seq`, `prevSeq` and `epoch` are not here: the atomic function splices them into the encoded bytes.

    `ts` is Unix ms; `request_id` is the command that caused the event, "" where none did. `type` comes first on the
    wire.
    """

    type: str
    v: int = VERSION
    ts: int
    sub_account_id: str = SYSTEM
    request_id: str = ""


OrderEventType = Literal[
    "order_placed",
    "order_active",
    "order_amended",
    "order_partial",
    "order_filled",
    "order_cancelled",
    "order_expired",
    "order_failed",
    "order_unknown",
]


class Decision(msgspec.Struct, frozen=True, rename="camel"):
    """What was seen when an order was decided on: the touch less our own orders, how old it was, and the book's update
    id."""

    bid: Decimal
    ask: Decimal
    age_ms: int
    book_seq: int


class OrderEvent(Event, frozen=True, kw_only=True):
    """What happened to one order: the order as it is after it. `decision` comes with `order_placed`, where there was a
    price; the trigger with conditional orders."""

    type: OrderEventType
    client_order_id: str
    exchange_order_id: int
    symbol: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal
    price: Decimal
    reduce_only: bool
    state: OrderState
    filled_qty: Decimal
    avg_fill_price: Decimal
    last_fill_qty: Decimal
    last_fill_price: Decimal
    trade_id: int
    commission: Decimal
    commission_asset: str
    maker: bool
    origin: Origin
    parent_id: str
    root_id: str
    created_at: int
    updated_at: int
    reason: str
    trigger_price: Decimal | msgspec.UnsetType = msgspec.UNSET
    triggered_at: int | msgspec.UnsetType = msgspec.UNSET
    decision: Decision | msgspec.UnsetType = msgspec.UNSET

    @classmethod
    def of(cls, kind: OrderEventType, order: Order, ts: int) -> OrderEvent:
        """The event `kind` of an order, with the command that asked for it."""
        told = dict(zip(_OF_ORDER, _of_order(order), strict=True))
        if order.trigger_price:
            told |= {"trigger_price": order.trigger_price, "triggered_at": order.triggered_at}
        if kind in _ASKED_FOR and order.changed_by:
            told["request_id"] = order.changed_by
        return cls(type=kind, ts=ts, **told)


_ASKED_FOR = ("order_amended", "order_cancelled")  # caused by a later command than the one that placed it
_TRIGGER = ("trigger_price", "triggered_at")  # told of conditional orders only
_OF_ORDER = tuple(
    name for name in OrderEvent.__struct_fields__ if name in Order.__struct_fields__ and name not in _TRIGGER
)
_of_order = attrgetter(*_OF_ORDER)


def placed(order: Order, ts: int, decision: Decision | None) -> OrderEvent:
    """The first event of an order, with what its decision saw."""
    event = OrderEvent.of("order_placed", order, ts)
    return event if decision is None else msgspec.structs.replace(event, decision=decision)


class _PositionEvent(Event, frozen=True, kw_only=True):
    """The position as it is after the event. `quantity` is positive."""

    position_id: str
    symbol: str
    side: PositionSide
    entry_price: Decimal
    quantity: Decimal
    notional: Decimal
    margin: Decimal
    leverage: int
    liquidation_price: Decimal


class PositionUpdated(_PositionEvent, frozen=True, kw_only=True):
    """A position opened or grew, or its leverage or margin changed."""

    type: Literal["position_updated"] = "position_updated"


class PositionReduced(_PositionEvent, frozen=True, kw_only=True):
    """A part, or all, of a position was closed. `closed_qty`, `realized_pnl`, `fee` and `close_price` are this
    closing's."""

    type: Literal["position_reduced", "position_closed"]
    closed_qty: Decimal
    remaining_qty: Decimal
    realized_pnl: Decimal
    fee: Decimal
    close_price: Decimal


class FundingPaid(Event, frozen=True, kw_only=True):
    """A sub-account was paid (or paid: negative) at the funding of `due_at`, Unix ms, on the signed `quantity` that it
    held then (execution.md 16). `external` has what remains of the venue's own row, so that the amounts of one funding
    sum to that. `position_id` is "" where nothing was held, or it is not known any more."""

    type: Literal["funding_paid"] = "funding_paid"
    symbol: str
    position_id: str
    due_at: int
    rate: Decimal
    mark_price: Decimal
    quantity: Decimal
    amount: Decimal


ProtectionEventType = Literal[
    "protection_placed", "protection_moved", "protection_triggered", "protection_removed", "protection_blind"
]


class ProtectionEvent(Event, frozen=True, kw_only=True):
    """A stop, take-profit or backstop at the venue, or held by us where the venue won't (`protection_blind`).
    `quantity` is what is still protected; `fees` are amounts by asset, `slippage_bps` is how much worse `avg_price` is
    than `arrival_mid`, the mid when it was triggered."""

    type: ProtectionEventType
    trail_stop_id: str = ""
    protection_id: str = ""
    client_algo_id: str = ""
    origin: Origin
    position_id: str
    symbol: str
    side: Side
    quantity: Decimal
    callback_pct: Decimal = ZERO
    activated: bool = True
    extreme_price: Decimal = ZERO
    trigger_price: Decimal
    triggered_price: Decimal = ZERO
    status: str
    reason: str = ""
    filled_quantity: Decimal = ZERO
    avg_price: Decimal = ZERO
    fees: dict[str, Decimal] = msgspec.field(default_factory=dict)
    arrival_mid: Decimal = ZERO
    slippage_bps: Decimal = ZERO
