"""Parameters and state records of the TWAP algo and of its basket (algos.md, twap).

A record holds everything needed to go on after a crash and to explain what was done. Times are venue-corrected Unix
milliseconds, quantities exact decimals on the step grid.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from schemas.chase import AlgoStatus, Child, Throttle
from schemas.market import ZERO, Instrument, Side

TwapStyle = Literal["market", "chase"]
TwapOnLimit = Literal["skip", "pause", "end", "execute"]
OnChildFail = Literal["market", "carry"]

SLIPPAGE_BPS = 50  # how far beyond own touch a lot may take: what `trade` may, unless told otherwise


class TwapParams(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What was asked, in the words of algos.md, already checked and on the grid.

    `duration_ms` is the whole schedule, interval times lots. `lot_step` and `lot_least` are the grid and the smallest
    lot when the plan was made: the plan follows from these parameters and the seed alone. `price_limit` 0: none.
    `child_timeout_ms` is how long a child chase may work on its lot.
    """

    symbol: str
    side: Side
    quantity: Decimal
    lots: int
    duration_ms: int
    lot_step: Decimal
    lot_least: Decimal
    leverage: int = 1
    reduce_only: bool = False
    jitter_pct: Decimal = ZERO
    irregular: bool = False
    price_limit: Decimal = ZERO
    on_limit: TwapOnLimit = "skip"
    style: TwapStyle = "market"
    child_timeout_ms: int = 0
    on_child_fail: OnChildFail = "market"
    catch_up_max: Decimal = Decimal(3)
    max_slippage_bps: int = SLIPPAGE_BPS


class Worker(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A child chase that works, or worked, on a lot. `quantity` is what it was asked for; the sums are the newest that
    it told; `stopping`: it was told to end."""

    child_id: str
    quantity: Decimal
    status: AlgoStatus = AlgoStatus.STARTING
    reason: str = ""
    filled: Decimal = ZERO
    quote_filled: Decimal = ZERO
    fees: dict[str, Decimal] = {}
    order_id: str = ""
    price: Decimal = ZERO
    stopping: bool = False


class TwapState(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The record `pms:twap:{id}`.

    `slot` is the newest slot that was opened, -1 before the first; from `params.lots` on it lies in the extension.
    `slot_left` is what it may still send, `falling_back` that this goes at the market after its chase failed. At most
    one of `child` (an IOC order) and `worker` (a child chase) is there; `past` are the newest workers that ended, whose
    late fills may still come, `spawned` how many there were. `executing` names the limit that has the rest sent now.
    `waiting`: a lot is due and only fresh prices are missing. `hold`, `blocked`, `paused`, `ending` and `throttle` are
    as in a chase. `limit_mid2` is twice the price limit in whole ticks, `seen_mid2` twice the mid of `bid` and `ask`.
    The plan is not kept: it follows from `params` and `seed`.
    """

    twap_id: str
    sub_account_id: str
    tag: str
    symbol: str
    side: Side
    quantity: Decimal
    params: TwapParams
    instrument: Instrument
    id_epoch: int
    started_at: int
    updated_at: int
    seed: str
    request_id: str = ""
    root_id: str = ""
    parent_id: str = ""
    parent_slot: int = 0
    attempt: int = 0
    spawned: int = 0
    status: AlgoStatus = AlgoStatus.STARTING
    reason: str = ""
    slot: int = -1
    slot_left: Decimal = ZERO
    falling_back: bool = False
    child: Child | None = None
    worker: Worker | None = None
    past: tuple[Worker, ...] = ()
    filled_lots: int = 0
    next_lot_at: int = 0
    filled_quantity: Decimal = ZERO
    quote_filled: Decimal = ZERO
    avg_price: Decimal = ZERO
    fees: dict[str, Decimal] = {}
    residual: Decimal = ZERO
    arrival_mid: Decimal = ZERO
    bid: Decimal = ZERO
    ask: Decimal = ZERO
    limit_mid2: int = 0
    seen_mid2: int = 0
    hold: str = ""
    blocked: str = ""
    paused: str = ""
    waiting: bool = False
    ending: AlgoStatus | None = None
    ending_reason: str = ""
    executing: str = ""
    take_count: int = 0
    take_since: int = 0
    retry_at: int = 0
    wake_at: int = 0
    rejection: str = ""
    rejections: int = 0
    stopped_at: int = 0
    throttle: Throttle = ""

    @property
    def rest(self) -> Decimal:
        """What is not yet filled; never below zero."""
        return max(self.quantity - self.filled_quantity, ZERO)

    @property
    def open_quantity(self) -> Decimal:
        """What its live child may still fill, fate unknown or not (law 2)."""
        if self.child is not None:
            return self.child.open_quantity
        return ZERO if self.worker is None else max(self.worker.quantity - self.worker.filled, ZERO)


class TwapBasketParams(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What was asked: the name, and each leg as a TWAP."""

    basket_name: str
    legs: tuple[TwapParams, ...]


class TwapLeg(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A leg as its basket knows it: sums are the newest that it told. `stopping`: it was told to end."""

    twap_id: str
    status: AlgoStatus = AlgoStatus.STARTING
    reason: str = ""
    filled_quantity: Decimal = ZERO
    quote_filled: Decimal = ZERO
    fees: dict[str, Decimal] = {}
    arrival_mid: Decimal = ZERO
    stopping: bool = False


class TwapBasketState(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The record `pms:twap_basket:{id}`. `legs` stand in the order of `params.legs`."""

    twap_basket_id: str
    sub_account_id: str
    tag: str
    params: TwapBasketParams
    id_epoch: int
    started_at: int
    updated_at: int
    legs: tuple[TwapLeg, ...] = ()
    request_id: str = ""
    root_id: str = ""
    status: AlgoStatus = AlgoStatus.STARTING
    reason: str = ""
    ending: AlgoStatus | None = None
    ending_reason: str = ""
