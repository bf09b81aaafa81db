"""What a report is made from: a parent order with its orders and fills, and the market around it. Pure.

A parent is what somebody asked for, on one symbol: a run of an algo with all its children, or an order by hand. Times
are Unix ms, prices and quantities exact.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from schemas.market import Side

Level = tuple[Decimal, Decimal]


class Fill(msgspec.Struct, frozen=True):
    """One execution. `commission` is None where the records do not know it."""

    ts: int
    side: Side
    price: Decimal
    quantity: Decimal
    commission: Decimal | None
    asset: str
    maker: bool

    @property
    def notional(self) -> Decimal:
        return self.price * self.quantity


class Step(msgspec.Struct, frozen=True):
    """An order of the parent stands at a price from `ts` on; None: it has left the market."""

    ts: int
    order_id: str
    price: Decimal | None


class Lot(msgspec.Struct, frozen=True, rename="camel"):
    """One slot of a schedule."""

    due_at: int
    quantity: Decimal


class Depth(msgspec.Struct, frozen=True):
    """The book at the parent's arrival, best first."""

    ts: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]

    @property
    def mid(self) -> Decimal | None:
        return (self.bids[0][0] + self.asks[0][0]) / 2 if self.bids and self.asks else None


class Second(msgspec.Struct, frozen=True):
    """The second that ends at `ts`: the mid at its end (None: no touch), and what was traded in it."""

    ts: int
    mid: Decimal | None
    quantity: Decimal
    notional: Decimal


class Tape:
    """A symbol's seconds in order of time."""

    def __init__(self, seconds: Sequence[Second]) -> None:
        self.seconds = list(seconds)
        self._ends = [second.ts for second in self.seconds]

    def within(self, after: int, until: int) -> list[Second]:
        """The seconds that end after one time, up to another."""
        return self.seconds[bisect.bisect_right(self._ends, after) : bisect.bisect_right(self._ends, until)]

    def before(self, ts: int, patience_ms: int) -> Decimal | None:
        """The last mid known at `ts`, no older than the patience."""
        known = (second.mid for second in reversed(self.within(ts - patience_ms, ts)) if second.mid is not None)
        return next(known, None)

    def after(self, ts: int, patience_ms: int) -> Decimal | None:
        """The first mid at `ts` or later, no later than the patience."""
        known = (second.mid for second in self.within(ts - 1, ts + patience_ms) if second.mid is not None)
        return next(known, None)


class Parent(msgspec.Struct, frozen=True, kw_only=True):
    """See the module. `quantity` 0: none is told (a scalper's); `arrival` is the mid where no depth was kept; `placed`
    orders were sent, `rejects` refused by the gate or the venue, `refusals` are the gate's of them by code, `reprices`
    are amends."""

    id: str
    kind: str
    sub_account_id: str
    symbol: str
    started_at: int
    ended_at: int
    status: str
    quantity: Decimal
    placed: int
    reprices: int
    rejects: int
    arrival: Decimal | None
    depth: Depth | None
    fills: tuple[Fill, ...]
    steps: tuple[Step, ...] = ()
    plan: tuple[Lot, ...] = ()
    refusals: dict[str, int] = msgspec.field(default_factory=dict)


class Refusal(msgspec.Struct, frozen=True):
    """What the gate refused where no parent came of it, an order by hand or a whole start: `count` times by one code on
    one day (UTC), first at `ts`."""

    ts: int
    code: str
    count: int


class Facts(msgspec.Struct, frozen=True):
    """All of a report's facts: parents oldest first, each with its symbol's tape, equity curves by sub-account, and
    what was refused before it was an order."""

    parents: list[tuple[Parent, Tape]]
    equity: dict[str, list[tuple[int, Decimal]]]
    taker_bps: Decimal
    refused: list[Refusal] = msgspec.field(default_factory=list)
