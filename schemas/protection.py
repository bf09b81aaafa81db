"""Parameters and state record of a protection: a stop and a take-profit that live at the venue (algos.md, Protection).

Times are venue-corrected Unix milliseconds; quantities and prices are exact.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from schemas.chase import AlgoStatus
from schemas.market import ZERO, Instrument, Side
from schemas.orders import OrderState, WorkingType

LegWord = Literal["stop", "take_profit"]
ProtectionWord = Literal["", "placed", "moved", "triggered", "blind"]


class LegParams(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Where a leg triggers, by which price; `limit_price` 0: it then closes at the market."""

    trigger_price: Decimal
    limit_price: Decimal = ZERO
    working_type: WorkingType = "MARK_PRICE"


class ProtectionParams(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What was asked. `side` is the exit's: SELL protects a long. `entry_id` names the algo or the manual order that
    is protected from its first fill on; without one, `quantity` of the position `position_id` is. `bare`: as things
    stand at the start, what closes it can't have the venue's reduce-only flag. Only `most` of it may stand there; 0
    without `bare`: all of it."""

    symbol: str
    side: Side
    quantity: Decimal = ZERO
    position_id: str = ""
    entry_id: str = ""
    stop: LegParams | None = None
    take_profit: LegParams | None = None
    bare: bool = False
    most: Decimal = ZERO


class LegOrder(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A leg's live order, as the protection knows it. `bare`: it stands without the venue's reduce-only flag, known
    once the venue has it. `cancelling`: its end was asked for; not again before `again_at`."""

    client_order_id: str
    quantity: Decimal
    trigger_price: Decimal
    limit_price: Decimal
    sent_at: int
    state: OrderState = OrderState.PLACING
    filled: Decimal = ZERO
    bare: bool = False
    triggered: bool = False
    cancelling: bool = False
    again_at: int = 0

    @property
    def open_quantity(self) -> Decimal:
        """What it may still fill, fate unknown or not (law 2)."""
        return self.quantity - self.filled

    @property
    def arriving(self) -> bool:
        """Whether the venue has not told yet that it has it."""
        return self.state in (OrderState.PLACING, OrderState.UNKNOWN)


class Leg(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One side of the protection, `orders` oldest first. `held`: the venue has refused it so often that the daemon
    watches its price itself, and asks the venue again at `retry_at`. `stood`: an order of it has stood at the venue.
    `dropped`: somebody took its order away at the venue, and nothing is put there again."""

    word: LegWord
    trigger_price: Decimal
    limit_price: Decimal = ZERO
    working_type: WorkingType = "MARK_PRICE"
    attempt: int = 0
    orders: tuple[LegOrder, ...] = ()
    stood: bool = False
    held: bool = False
    dropped: bool = False
    refusals: int = 0
    refusal: str = ""
    retry_at: int = 0

    @property
    def standing(self) -> tuple[LegOrder, ...]:
        """Its orders that nobody has asked to go."""
        return tuple(order for order in self.orders if not order.cancelling)


class ProtectionState(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The record `pms:algo:protection:{id}`.

    `quantity` counts what was closed by it (`filled_quantity`) and what is still protected (`rest`); it grows with
    the entry's fills and shrinks with the position. `entry_live`: the entry may still fill; `entry_stopped`: its
    end was asked for. `bare`: an order that closes it would have to stand without the venue's flag (execution.md
    14). `most` is how much may stand beside what else protects the position; 0 without `bare`: all of it. `watch`:
    a leg's price is watched here, since nothing of it stands at the venue. `word` is what was told last, of the leg
    `word_leg`, the `count`th time.
    """

    protection_id: str
    sub_account_id: str
    tag: str
    symbol: str
    side: Side
    params: ProtectionParams
    instrument: Instrument
    id_epoch: int
    started_at: int
    updated_at: int
    quantity: Decimal = ZERO
    legs: tuple[Leg, ...] = ()
    position_id: str = ""
    request_id: str = ""
    root_id: str = ""
    parent_id: str = ""
    parent_slot: int = 0
    status: AlgoStatus = AlgoStatus.STARTING
    reason: str = ""
    entry_id: str = ""
    entry_filled: Decimal = ZERO
    entry_live: bool = False
    entry_stopped: bool = False
    bare: bool = False
    most: Decimal = ZERO
    watch: bool = False
    mid: Decimal = ZERO
    triggered_at: int = 0
    triggered_by: LegWord | Literal[""] = ""
    triggered_price: Decimal = ZERO
    arrival_mid: Decimal = ZERO
    exiting: bool = False
    exit_failures: int = 0
    retry_at: int = 0
    filled_quantity: Decimal = ZERO
    quote_filled: Decimal = ZERO
    avg_price: Decimal = ZERO
    fees: dict[str, Decimal] = {}
    residual: Decimal = ZERO
    hold: str = ""
    blind: bool = False
    ending: AlgoStatus | None = None
    ending_reason: str = ""
    word: ProtectionWord = ""
    word_leg: LegWord = "stop"
    count: int = 0
    wake_at: int = 0
    stopped_at: int = 0

    @property
    def rest(self) -> Decimal:
        """What is still protected; never below zero."""
        return max(self.quantity - self.filled_quantity, ZERO)

    @property
    def bounded(self) -> bool:
        """Whether the venue's flag does not bound it: it is missing, or the account's net is not this position's."""
        return self.bare or self.most > 0

    @property
    def allowed(self) -> Decimal:
        """How much of the rest may stand at the venue."""
        return min(self.rest, self.most) if self.bounded else self.rest

    @property
    def target(self) -> Decimal:
        """How much of that one order at the venue is to close: 0 where it is too little for one."""
        rules = self.instrument
        most = min(rules.max_qty, rules.market_max_qty or rules.max_qty)
        whole = rules.quantity_down(min(self.allowed, most))
        return whole if whole >= rules.min_qty else ZERO

    @property
    def orders(self) -> tuple[LegOrder, ...]:
        """All live orders of its legs."""
        return tuple(order for leg in self.legs for order in leg.orders)

    def leg(self, word: LegWord) -> Leg | None:
        return next((leg for leg in self.legs if leg.word == word), None)
