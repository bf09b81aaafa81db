"""An algo's child algos, and the exit it may ask for: what it asks and what it hears of them (algos.md: one mechanism
for TWAP's style `chase`, the stop's exit and the scalper's layers).

A parent's step and its child's are one atomic step of the desk, so a parent's record never knows less than its
children's.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from schemas.chase import AlgoStatus
from schemas.market import ZERO, Quote, Side
from schemas.orders import Origin

if TYPE_CHECKING:
    from algos.step import AmendRequest

# --- inputs -----------------------------------------------------------------------------------------


class ChildReport(msgspec.Struct, frozen=True):
    """How a child algo stands: sums over its whole life, so that the same report twice says nothing new."""

    child_id: str
    slot: int
    status: AlgoStatus
    reason: str = ""
    filled_quantity: Decimal = ZERO
    quote_filled: Decimal = ZERO
    fees: dict[str, Decimal] = {}  # by asset
    order_id: str = ""  # its resting order, empty where none rests
    price: Decimal = ZERO  # ... and where that stands
    arrival_mid: Decimal = ZERO  # the mid that it met at its start
    refusals: int = 0  # so many times in a row the venue has said the same no


class ChildChanged(msgspec.Struct, frozen=True):
    """A child algo goes on, with other sums or another status than before."""

    now: int
    child: ChildReport
    quote: Quote | None = None


class ChildDone(msgspec.Struct, frozen=True):
    """A child algo has ended, its own children proven gone; a late fill may follow as one more (law 4)."""

    now: int
    child: ChildReport
    quote: Quote | None = None


class ExitDone(msgspec.Struct, frozen=True):
    """What `Exit` asked for is over: `reason` is empty where nothing is left to close, else why it is not closed."""

    now: int
    reason: str
    quote: Quote | None = None


# --- actions ----------------------------------------------------------------------------------------


class Spawn(msgspec.Struct, frozen=True):
    """Start a child algo of a kind in the registry, in the same atomic step. Its id (`schemas.ids.child_id`) stands in
    the state that goes with this action; each `slot` has one live child at most (law 1)."""

    child_id: str
    kind: str
    slot: int
    params: Any


class StopChild(msgspec.Struct, frozen=True):
    """Have a child algo end; `ChildDone` follows when its own children are proven gone."""

    child_id: str
    reason: str


class AmendAlgo(msgspec.Struct, frozen=True):
    """Change a child algo's parameters."""

    child_id: str
    changes: AmendRequest


class Exit(msgspec.Struct, frozen=True):
    """Close so much of the sub-account's position at the market, tried until it is closed or gone (execution.md 5, 14,
    28); its orders' fills come as OrderUpdate, its end as ExitDone. Not remembered over a restart: an algo that still
    wants it asks again."""

    symbol: str
    side: Side
    quantity: Decimal
    origin: Origin | None = None  # of its orders, where it is not the algo's own


class StopEntry(msgspec.Struct, frozen=True):
    """Have the rest of an entry go that can't be protected, or is not wanted any more: an algo's or a manual order's
    id."""

    entry_id: str
    reason: str
