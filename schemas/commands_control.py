"""Commands about accounts, halts and positions that a person must put right; most are privileged (contract.md)."""

from __future__ import annotations

import msgspec

from schemas.errors import ErrorCode, Invalid
from schemas.fields import (
    AccountId,
    Amount,
    Command,
    Count,
    DistancePct,
    Leverage,
    ObjectId,
    Part,
    Price,
    Size,
    Symbol,
    Text,
)
from schemas.records import HaltScope


class SubAccountPut(Command, frozen=True, kw_only=True, tag="subaccount_put"):
    """Create a sub-account, or change its name. In live the opening balance comes out of `main` (execution.md 13)."""

    id: AccountId
    name: Text | None = None
    initial_balance: Amount | None = None


class LimitValues(Part, frozen=True, kw_only=True):
    """Limits of a sub-account: one that is left out stays as it is, null takes it away."""

    max_order_notional: Amount | msgspec.UnsetType | None = msgspec.UNSET
    max_total_notional: Amount | msgspec.UnsetType | None = msgspec.UNSET
    max_position: Amount | msgspec.UnsetType | None = msgspec.UNSET
    max_open_orders: Count | msgspec.UnsetType | None = msgspec.UNSET
    max_leverage: Leverage | msgspec.UnsetType | None = msgspec.UNSET
    max_daily_loss: Amount | msgspec.UnsetType | None = msgspec.UNSET
    max_drawdown_pct: DistancePct | msgspec.UnsetType | None = msgspec.UNSET
    max_orders_per_minute: Count | msgspec.UnsetType | None = msgspec.UNSET
    price_collar_pct: DistancePct | msgspec.UnsetType | None = msgspec.UNSET


class LimitsPut(Command, frozen=True, kw_only=True, tag="limits_put"):
    """Set limits of the sub-account the command names; the others stay."""

    limits: LimitValues


class Freeze(Command, frozen=True, kw_only=True, tag="freeze"):
    """Let the sub-account only reduce: entry children are cancelled, their algos blocked."""


class Unfreeze(Command, frozen=True, kw_only=True, tag="unfreeze"):
    """Take a freeze back."""


def _needs_symbol(scope: HaltScope, symbol: str | None) -> None:
    if (scope == "symbol") != (symbol is not None):
        message = "scope symbol and a symbol belong together; send both or neither."
        raise Invalid(ErrorCode.MISSING_FIELD if symbol is None else ErrorCode.INVALID_FIELD, message, path="symbol")


class Halt(Command, frozen=True, kw_only=True, tag="halt"):
    """Stop trading in a scope, everything where none is named."""

    scope: HaltScope = "all"
    symbol: Symbol | None = None
    cancel_orders: bool = True
    close_positions: bool = False

    def __post_init__(self) -> None:
        _needs_symbol(self.scope, self.symbol)


class Resume(Command, frozen=True, kw_only=True, tag="resume"):
    """Take a halt back; its scope has to be named."""

    scope: HaltScope
    symbol: Symbol | None = None

    def __post_init__(self) -> None:
        _needs_symbol(self.scope, self.symbol)


class AdminClose(Command, frozen=True, kw_only=True, tag="admin_close"):
    """Close a position of any sub-account."""

    position_id: ObjectId


class PositionAssign(Command, frozen=True, kw_only=True, tag="position_assign"):
    """Move quantity of a position from one sub-account (or `external`) to another, at a price."""

    symbol: Symbol
    quantity: Size
    giver: AccountId = msgspec.field(name="from")
    taker: AccountId = msgspec.field(name="to")
    price: Price


class DriftAccept(Command, frozen=True, kw_only=True, tag="drift_accept"):
    """Book the difference between the venue and our books on `external`, so that the symbol may trade again."""

    symbol: Symbol
