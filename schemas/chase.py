"""Parameters and state record of the chase algo (algos.md, chase).

The record holds everything needed to go on after a crash and to explain what was done. Times are venue-corrected Unix
milliseconds.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Literal

import msgspec

from schemas.market import ZERO, Instrument, Side
from schemas.orders import OrderState, TimeInForce

StalkMode = Literal["none", "maintain", "trail"]
LimitAction = Literal["cancel", "rest", "take"]
StopAction = Literal["cancel", "leave"]
Throttle = Literal["", "scarce", "queued"]


_ENDED = frozenset(("completed", "filled", "cancelled", "expired", "failed"))


class AlgoStatus(StrEnum):
    """Status words of every algo (contract.md)."""

    terminal: bool  # nothing follows

    STARTING = "starting"
    ACTIVE = "active"
    THROTTLED = "throttled"
    PAUSED = "paused"
    BLOCKED = "blocked"
    STOPPING = "stopping"
    COMPLETED = "completed"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    FAILED = "failed"

    def __init__(self, word: str) -> None:
        self.terminal = word in _ENDED


class ChaseParams(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What was asked, in the words of algos.md; `quantity` is on the step grid, already converted from `sizeUsdt`.
    `limit_price` is asked by parents only: a following buy never stands above it, a sell never below; 0 for none."""

    symbol: str
    side: Side
    quantity: Decimal
    leverage: int = 1
    reduce_only: bool = False
    stalk_mode: StalkMode = "maintain"
    stalk_offset_pct: Decimal = ZERO
    stalk_offset_ticks: int = 0
    aggressive: bool = False
    post_only: bool = True
    max_distance_pct: Decimal = ZERO
    on_limit: LimitAction = "cancel"
    deadline_seconds: Decimal = ZERO
    on_deadline: LimitAction = "cancel"
    reprice_min_ms: int = 250
    reprice_min_ticks: int = 1
    on_stop: StopAction = "cancel"
    max_slippage_bps: int = 50
    limit_price: Decimal = ZERO


class Child(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The one live order of a slot, as the algo knows it. `ticks` is `price` in whole ticks; `quantity` is the
    order's total; `request` the one not yet known to have taken effect, which outlives the state `unknown`."""

    client_order_id: str
    attempt: int
    state: OrderState
    price: Decimal
    ticks: int
    quantity: Decimal
    time_in_force: TimeInForce
    filled: Decimal = ZERO
    request: Literal["", "place", "amend", "cancel"] = ""

    @property
    def open_quantity(self) -> Decimal:
        """What the order may still fill, fate unknown or not (law 2)."""
        return self.quantity - self.filled


class ChaseState(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The record `pms:chase:{id}`.

    `hold` names what is missing while prices, the user stream or Redis are gone; `withdraw` says that the child leaves
    the market meanwhile. `blocked` is why nothing that adds risk may be done now (freeze, halt, mode REDUCE).
    `ending`/`ending_reason` are set when the chase is to end and its child is still to be proven gone; `taking` names
    the limit that turned it to crossing. `arrival_mid2`, `limit_mid2` (twice a mid), `anchor_ticks` and `limit_ticks`
    (the limit price) are whole ticks; `offset_e8` is stalkOffsetPct × 10^8. `throttle`: the venue's rate budget is
    scarce (repriceMinTicks is widened), or used up and the next request waits for its turn (execution.md 18).
    `id_epoch` is the epoch that child ids carry, the lease's at the last start (execution.md 19); the head of the
    stored record has its own `epoch`.
    """

    chase_id: str
    sub_account_id: str
    tag: str
    symbol: str
    side: Side
    quantity: Decimal
    params: ChaseParams
    instrument: Instrument
    id_epoch: int
    started_at: int
    updated_at: int
    request_id: str = ""
    root_id: str = ""
    parent_id: str = ""
    parent_slot: int = 0
    attempt: int = 0
    status: AlgoStatus = AlgoStatus.STARTING
    reason: str = ""
    child: Child | None = None
    filled_quantity: Decimal = ZERO
    quote_filled: Decimal = ZERO
    fill_price: Decimal = ZERO
    fees: dict[str, Decimal] = {}
    residual: Decimal = ZERO
    reprice_count: int = 0
    initial_price: Decimal = ZERO
    current_order_price: Decimal = ZERO
    bid: Decimal = ZERO
    ask: Decimal = ZERO
    arrival_mid: Decimal = ZERO
    arrival_mid2: int = 0
    offset_e8: int = 0
    limit_mid2: int = 0
    limit_ticks: int = 0
    anchor_ticks: int = 0
    deadline_at: int = 0
    hold: str = ""
    withdraw: bool = False
    blocked: str = ""
    paused: str = ""
    ending: AlgoStatus | None = None
    ending_reason: str = ""
    replacing: bool = False
    resting: bool = False
    taking: str = ""
    take_count: int = 0
    take_since: int = 0
    retry_at: int = 0
    cancel_at: int = 0
    repriced_at: int = 0
    wake_at: int = 0
    back_ticks: int = 0
    post_only_count: int = 0
    post_only_since: int = 0
    rejection: str = ""
    rejections: int = 0
    stopped_at: int = 0
    throttle: Throttle = ""

    @property
    def rest(self) -> Decimal:
        """What is not yet filled; never below zero."""
        return max(self.quantity - self.filled_quantity, ZERO)
