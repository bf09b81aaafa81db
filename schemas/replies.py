"""The answers to commands (contract.md, "Commands in"): what `pms:result:{requestId}` and the event `command_result`
tell.

A refusal is `errors.Failure`. What is not final within 3 s is answered success with state `placing` or `unknown`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

import msgspec

from schemas.errors import Details, Failure
from schemas.market import ZERO, PositionSide, Side
from schemas.orders import OrderState
from schemas.records import SubAccount
from schemas.scalper import ScalperLayer


class Success(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Done, with nothing to tell. `details.ignored` names unknown fields of the list door; left out where there are
    none."""

    success: Literal[True] = True
    details: Details | msgspec.UnsetType = msgspec.UNSET


class OrderReply(Success, frozen=True, kw_only=True):
    """One order: trade, limit, amend."""

    client_order_id: str
    state: OrderState


class ConditionalReply(Success, frozen=True, kw_only=True):
    """stop, take_profit: the order at the venue and the protection that keeps it there. `state` is the order's,
    `triggered`, or `held` where no order may stand at the venue and the daemon watches the price; `client_algo_id` is
    then empty."""

    client_algo_id: str
    algo_id: str
    state: str
    quantity: Decimal


class CloseReply(Success, frozen=True, kw_only=True):
    """close, admin_close: the closing order, or that there was nothing left to close."""

    client_order_id: str | msgspec.UnsetType = msgspec.UNSET
    stale_cleanup: Literal[True] | msgspec.UnsetType = msgspec.UNSET


class PlacedOrder(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One order of several."""

    client_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal = ZERO
    state: OrderState


class ScaleReply(Success, frozen=True, kw_only=True):
    """scale: a rejected order is a failure among `errors`, the others stand."""

    placed: int
    failed: int
    total: int
    orders: tuple[PlacedOrder, ...]
    errors: tuple[Failure, ...] = ()


class BasketReply(Success, frozen=True, kw_only=True):
    """basket."""

    orders: tuple[PlacedOrder, ...]


class CloseAllReply(Success, frozen=True, kw_only=True):
    """close_all."""

    closed_count: int
    cancelled_count: int
    errors: tuple[Failure, ...] = ()


class CancelAllReply(Success, frozen=True, kw_only=True):
    """cancel_all: orders cancelled, and the ids of the algos that ended."""

    cancelled_count: int
    stopped_algos: tuple[str, ...] = ()


class HaltReply(Success, frozen=True, kw_only=True):
    """halt, resume."""

    cancelled_count: int = 0
    closed_count: int = 0
    stopped_algos: tuple[str, ...] = ()


class ChaseReply(Success, frozen=True, kw_only=True):
    """chase. `current_order_price` is 0 where nothing rests yet."""

    chase_id: str
    current_order_price: Decimal = ZERO
    symbol: str
    side: Side
    quantity: Decimal


class PlannedLot(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One slot of a TWAP's plan: its size and when it is due (Unix ms)."""

    quantity: Decimal
    due_at: int


class TwapReply(Success, frozen=True, kw_only=True):
    """twap."""

    twap_id: str
    plan: tuple[PlannedLot, ...]
    symbol: str
    side: Side
    quantity: Decimal


class TwapBasketReply(Success, frozen=True, kw_only=True):
    """twap_basket."""

    twap_basket_id: str
    twap_ids: tuple[str, ...]


class TrailStopReply(Success, frozen=True, kw_only=True):
    """trail_stop. Prices are 0 until the first one is known. `backstop_…` are of the order that stands at the venue
    should we die, 0 where none can or is to."""

    trail_stop_id: str
    extreme_price: Decimal = ZERO
    trigger_price: Decimal = ZERO
    activated: bool
    symbol: str
    side: Side
    quantity: Decimal
    backstop_price: Decimal = ZERO
    backstop_quantity: Decimal = ZERO


class ScalperReply(Success, frozen=True, kw_only=True):
    """scalper: the layers of each side, with those that were merged into them because they were under the minimum;
    `side` and `quantity` are the opening leg's, and its sum."""

    scalper_id: str
    long_layers: tuple[ScalperLayer, ...]
    short_layers: tuple[ScalperLayer, ...]
    symbol: str
    start_side: PositionSide
    side: Side
    quantity: Decimal


class AlgoReply(Success, frozen=True, kw_only=True):
    """algo_start."""

    algo_id: str


class ValidateReply(Success, frozen=True, kw_only=True):
    """validate. `success` says that the question was answered, `valid` what the answer is."""

    valid: bool
    errors: tuple[Failure, ...] = ()
    computed_values: dict[str, Any] = msgspec.field(default_factory=dict)


class SubAccountReply(Success, frozen=True, kw_only=True):
    """subaccount_put, limits_put: the stored record."""

    sub_account: SubAccount


class PositionsReply(Success, frozen=True, kw_only=True):
    """position_assign, drift_accept: the position ids that moved."""

    position_ids: tuple[str, ...] = ()


REPLIES: dict[str, type[Success]] = {
    "trade": OrderReply,
    "limit": OrderReply,
    "amend": OrderReply,
    "stop": ConditionalReply,
    "take_profit": ConditionalReply,
    "close": CloseReply,
    "admin_close": CloseReply,
    "scale": ScaleReply,
    "basket": BasketReply,
    "close_all": CloseAllReply,
    "cancel_all": CancelAllReply,
    "halt": HaltReply,
    "resume": HaltReply,
    "chase": ChaseReply,
    "twap": TwapReply,
    "twap_basket": TwapBasketReply,
    "trail_stop": TrailStopReply,
    "scalper": ScalperReply,
    "algo_start": AlgoReply,
    "validate": ValidateReply,
    "subaccount_put": SubAccountReply,
    "limits_put": SubAccountReply,
    "position_assign": PositionsReply,
    "drift_accept": PositionsReply,
}


def reply_of(command_type: str) -> type[Success]:
    """The shape of a command's success; `Success` itself for those that have nothing to tell."""
    return REPLIES.get(command_type, Success)
