"""What is told of commands, risk, recovery and the daemon itself (contract.md, "Events out")."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from schemas.books import RiskPosition
from schemas.errors import Category, ErrorCode
from schemas.events_orders import Event
from schemas.market import ZERO, PositionSide, Side
from schemas.orders import Order, OrderType, TimeInForce
from schemas.records import Severity, TradingMode


class RiskEvent(Event, frozen=True, kw_only=True):
    """The risk snapshot of a sub-account, as in its record."""

    type: Literal["margin_update", "pnl_update"]
    balance: Decimal
    equity: Decimal
    margin_used: Decimal
    available_margin: Decimal
    positions: tuple[RiskPosition, ...] = ()
    open_orders: tuple[Order, ...] = ()
    timestamp: int


class MarginWarning(Event, frozen=True, kw_only=True):
    """A sub-account's margin ratio crossed a tier, and what is done about it."""

    type: Literal["margin_warning"] = "margin_warning"
    ratio: Decimal
    tier: str
    action: str


class Allocation(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What of a fill that nobody ordered fell to one sub-account (execution.md 13)."""

    sub_account_id: str
    position_id: str
    quantity: Decimal


class LiquidationEvent(Event, frozen=True, kw_only=True):
    """The venue closed a position by itself. `side` is the position's."""

    type: Literal["adl_triggered", "full_liquidation"]
    symbol: str
    side: PositionSide
    quantity: Decimal
    price: Decimal
    action: str
    allocation: tuple[Allocation, ...]


class PositionDrift(Event, frozen=True, kw_only=True):
    """The venue's position is not the sum of ours; new risk on the symbol is blocked. Both quantities are signed."""

    type: Literal["position_drift"] = "position_drift"
    symbol: str
    venue_quantity: Decimal
    books_quantity: Decimal
    action: str
    allocation: tuple[Allocation, ...] = ()


class CommandResult(Event, frozen=True, kw_only=True):
    """The outcome of a command, once. On success the fields of the answer (replies.py) follow in the same object.

    Encoded by `events.command_result`, which joins the reply's own bytes.
    """

    type: Literal["command_result"] = "command_result"
    command_type: str
    success: bool
    error: str | msgspec.UnsetType = msgspec.UNSET
    error_code: ErrorCode | msgspec.UnsetType = msgspec.UNSET
    error_category: Category | msgspec.UnsetType = msgspec.UNSET
    retryable: bool | msgspec.UnsetType = msgspec.UNSET


class RefusedOrder(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The order that was to be placed."""

    symbol: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal
    price: Decimal
    reduce_only: bool
    parent_id: str = ""


class RiskRejected(Event, frozen=True, kw_only=True):
    """The gate refused an order. `limit` is what is allowed and `value` what it would have been; 0 where neither is a
    number."""

    type: Literal["risk_rejected"] = "risk_rejected"
    reason_code: ErrorCode
    layer: str
    limit: Decimal = ZERO
    value: Decimal = ZERO
    order: RefusedOrder


class RecoveryStarted(Event, frozen=True, kw_only=True):
    """A recovery run has its plan: how many actions of each kind it holds."""

    type: Literal["recovery_started"] = "recovery_started"
    cause: str
    counts: dict[str, int]


class RecoveryAction(Event, frozen=True, kw_only=True):
    """One action of a plan, and the evidence for it. `subject` is an order id, an algo id or a key."""

    type: Literal["recovery_action"] = "recovery_action"
    action: str
    subject: str
    symbol: str = ""
    evidence: str
    outcome: str = ""


class RecoveryCompleted(Event, frozen=True, kw_only=True):
    """A recovery run ended. `unresolved` names what is still blocked; empty: trading goes on."""

    type: Literal["recovery_completed"] = "recovery_completed"
    cause: str
    counts: dict[str, int]
    unresolved: tuple[str, ...] = ()
    took_ms: int


class AlarmEvent(Event, frozen=True, kw_only=True):
    """An alarm was raised, or cleared."""

    type: Literal["alarm"] = "alarm"
    code: str
    severity: Severity
    subject: str
    message: str
    since: int
    cleared: bool = False


class SystemStatus(Event, frozen=True, kw_only=True):
    """The trading mode, the state of each stream by name, and the parts that are degraded."""

    type: Literal["system_status"] = "system_status"
    mode: TradingMode
    cause: str
    streams: dict[str, str] = msgspec.field(default_factory=dict)
    degraded: tuple[str, ...] = ()


class SeqJump(Event, frozen=True, kw_only=True):
    """The numbering goes on at `to` without continuity: read the state keys again."""

    type: Literal["seq_jump"] = "seq_jump"
    from_seq: int = msgspec.field(name="from")
    to_seq: int = msgspec.field(name="to")
