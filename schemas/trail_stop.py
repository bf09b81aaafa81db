"""Parameters and state record of the trailing stop (algos.md, trail_stop).

Prices that are compared on the hot path are whole half ticks (`…2`, twice the price in ticks): a mid is exact there.
Times are venue-corrected Unix milliseconds.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from schemas.chase import AlgoStatus
from schemas.market import ZERO, Instrument, Side
from schemas.orders import OrderState

TriggerSource = Literal["mid", "mark", "touch"]
ExitStyle = Literal["market", "chase"]
BlindAction = Literal["hold", "close"]
TriggerReason = Literal["", "price", "blind", "backstop"]


class TrailStopParams(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What was asked, in the words of algos.md. `side` is the exit's: SELL protects a long. Exactly one of the three
    distances is not 0; `quantity` is at most the position as it stood. `backstop_pct` is the distance from the extreme
    of what stands at the venue: 0 for none, None for twice the callback."""

    symbol: str
    side: Side
    position_id: str
    quantity: Decimal
    callback_pct: Decimal = ZERO
    callback_abs: Decimal = ZERO
    callback_ticks: int = 0
    activation_price: Decimal = ZERO
    trigger: TriggerSource = "mid"
    exit: ExitStyle = "market"
    exit_deadline_seconds: Decimal = Decimal(5)
    on_blind: BlindAction = "hold"
    backstop_pct: Decimal | None = None


class ExitChase(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The chase that closes, as its parent knows it: sums over its whole life. `stopping`: its end was asked for."""

    child_id: str
    live: bool = True
    stopping: bool = False
    filled_quantity: Decimal = ZERO
    quote_filled: Decimal = ZERO
    fees: dict[str, Decimal] = {}


class Backstop(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A conditional order of the stop's, from intent to its proven end: `price` is its own trigger, `trigger2` the
    stop's when it was asked for. `leaving`: its end was asked for, and is not before `again_at` where that failed.
    `fired`: its price was reached, and it closes."""

    client_order_id: str
    quantity: Decimal
    price: Decimal
    trigger2: int
    state: OrderState = OrderState.PLACING
    leaving: bool = False
    fired: bool = False
    again_at: int = 0


class TrailStopState(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The record `pms:trailstop:{id}`.

    `quantity` shrinks with the position and never grows. `extreme2` and `trigger2` are 0 until the first price, and
    until `activated`; a long's extreme is the highest price, a short's the lowest. Between `calm_low2` and
    `calm_high2`, both exclusive, a quote changes nothing. `unwritten`: the extreme has moved and is written at
    `wake_at` (never true in a stored record). `exiting`: an exit was asked for in this life of the daemon; `chase` is
    the child that closes where `exit` is `chase`; `exit_…` are the sums of the exit's own orders, `filled_quantity`,
    `quote_filled` and `fees` those of both. `gone`: the position is closed or flipped. `blind`: no source has told a
    price for a while. `missed_since`: nobody has looked at prices from then on, 0 while somebody does.

    `backstops` are what stands at the venue, the newest last; two only while one is moved. `cover` is what they may
    close of the account's net position, which is `net` in the direction of the stop; None: not told yet. After
    `backstop_failures` in a row the next is not tried before `backstop_at`. Their fills count among the exit's own.
    """

    trail_stop_id: str
    sub_account_id: str
    tag: str
    symbol: str
    side: Side
    position_id: str
    quantity: Decimal
    params: TrailStopParams
    instrument: Instrument
    id_epoch: int
    started_at: int
    updated_at: int
    request_id: str = ""
    root_id: str = ""
    parent_id: str = ""
    parent_slot: int = 0
    status: AlgoStatus = AlgoStatus.ACTIVE
    reason: str = ""
    activated: bool = False
    activated_at: int = 0
    extreme_price: Decimal = ZERO
    trigger_price: Decimal = ZERO
    extreme2: int = 0
    trigger2: int = 0
    calm_low2: int = 0
    calm_high2: int = 0
    written_at: int = 0
    unwritten: bool = False
    triggered_at: int = 0
    triggered_price: Decimal = ZERO
    triggered_by: TriggerReason = ""
    arrival_mid: Decimal = ZERO
    exiting: bool = False
    exit_failures: int = 0
    retry_at: int = 0
    chase: ExitChase | None = None
    exit_filled: Decimal = ZERO
    exit_quote: Decimal = ZERO
    exit_fees: dict[str, Decimal] = {}
    filled_quantity: Decimal = ZERO
    quote_filled: Decimal = ZERO
    avg_price: Decimal = ZERO
    fees: dict[str, Decimal] = {}
    residual: Decimal = ZERO
    gone: bool = False
    hold: str = ""
    missed_since: int = 0
    blind: bool = False
    paused: str = ""
    ending: AlgoStatus | None = None
    ending_reason: str = ""
    wake_at: int = 0
    stopped_at: int = 0
    backstops: tuple[Backstop, ...] = ()
    backstops_asked: int = 0
    backstop_at: int = 0
    backstop_failures: int = 0
    backstop_reason: str = ""
    cover: Decimal | None = None
    net: Decimal = ZERO

    @property
    def alone(self) -> bool:
        """Whether the venue's flag keeps all that this stop has there, together, from closing what is others'."""
        return self.net <= self.rest

    @property
    def bound(self) -> bool:
        """Whether it keeps an exit as well: that has the flag only where the account's net is no less than the rest, so
        not while others stand opposite (execution.md 14)."""
        return self.net == self.rest

    @property
    def rest(self) -> Decimal:
        """What is still to be closed; never below zero."""
        return max(self.quantity - self.filled_quantity, ZERO)
