"""Parameters and state record of the scalper (algos.md, scalper).

The record holds everything needed to go on after a crash and to explain what was done. Times are venue-corrected Unix
milliseconds.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from schemas.chase import AlgoStatus, StopAction, Throttle
from schemas.market import ZERO, Instrument, PositionSide, Side

LAYERS_MAX = 10  # of a side


class ScalperParams(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What was asked, in the words of algos.md, defaults filled in. Prices that bound nothing are 0; a
    `max_position_usd` of 0 is the larger side's size; without `on_stop`, what adds risk is cancelled and what only
    reduces stays."""

    symbol: str
    start_side: PositionSide = PositionSide.LONG
    leverage: int = 1
    neutral_mode: bool = False
    child_count: int = 1
    long_offset_pct: Decimal = Decimal("0.1")
    short_offset_pct: Decimal = Decimal("0.1")
    long_size_usd: Decimal
    short_size_usd: Decimal
    skew: Decimal = ZERO
    long_max_price: Decimal = ZERO
    short_min_price: Decimal = ZERO
    pin_long_to_entry: bool = False
    pin_short_to_entry: bool = False
    allow_loss: bool = True
    min_fill_spread_pct: Decimal = ZERO
    fill_decay_half_life_ms: int = 30_000
    min_refill_delay_ms: int = 0
    max_fills_per_minute: int = 0
    max_loss_per_close_bps: int = 0
    max_position_usd: Decimal = ZERO
    on_stop: StopAction | None = None

    @property
    def opening_side(self) -> Side:
        """The side of the leg that opens; in neutral mode both do."""
        return Side.BUY if self.start_side is PositionSide.LONG else Side.SELL

    def reduces(self, side: Side) -> bool:
        """Whether legs of a side only reduce."""
        return not self.neutral_mode and side is not self.opening_side


class ScalperLayer(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One layer of a side as it is planned: how far behind the touch it stands and what it asks for. `merged` are the
    layers that were too small to stand alone and whose size it has taken over."""

    layer_idx: int
    offset_pct: Decimal
    offset_ticks: int
    quantity: Decimal
    merged: tuple[int, ...] = ()


class LayerChild(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A layer's child chase as its scalper knows it. `asked` is its total; `filled`, `quote_filled` and `fees` are
    sums over its life, `refusals` how often in a row the venue has said the same no. `stopping` is why it was asked to
    leave, `failing` whether that counts as a failed placement. `limit_price` is the worst price it may stand at, 0 for
    none."""

    child_id: str
    asked: Decimal
    reduce_only: bool
    spawned_at: int
    limit_price: Decimal = ZERO
    filled: Decimal = ZERO
    quote_filled: Decimal = ZERO
    fees: dict[str, Decimal] = {}
    status: AlgoStatus = AlgoStatus.STARTING
    reason: str = ""
    order_id: str = ""
    price: Decimal = ZERO
    refusals: int = 0
    stopping: str = ""
    failing: bool = False

    @property
    def open_quantity(self) -> Decimal:
        """What it may still fill."""
        return max(self.asked - self.filled, ZERO)


class LayerSlot(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One layer at work. `ended` are its last children, for late fills. Without a child, `reason` says which guard
    holds it, until `retry_at` at the earliest (0: until the price or the inventory has changed). `rest_until` and
    `rest_reason`: not armed again before, whatever the other guards say."""

    layer: ScalperLayer
    child: LayerChild | None = None
    ended: tuple[LayerChild, ...] = ()
    fill_count: int = 0
    reason: str = ""
    retry_at: int = 0
    rest_until: int = 0
    rest_reason: str = ""
    failures: int = 0


class FillSecond(msgspec.Struct, frozen=True, rename="camel"):
    """How many fills fell in one second (Unix s)."""

    second: int
    count: int


class ScalperLadder(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One side. `streak` counts its fills since the other side's last one; `fill_price` and `filled_at` are the last
    fill's; `fill_seconds` counts the fills of the last minute by second."""

    slots: tuple[LayerSlot, ...]
    streak: int = 0
    fill_price: Decimal = ZERO
    filled_at: int = 0
    fill_seconds: tuple[FillSecond, ...] = ()


class LayerFill(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A layer whose child has ended with fills: their average price and sum."""

    side: Side
    layer_idx: int
    fill_price: Decimal
    fill_qty: Decimal


class ScalperState(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The record `pms:scalper:{id}`.

    `long` are the legs that buy, `short` those that sell. `inventory` (signed) and `entry_price` are what the scalper's
    own fills have built up, less what others closed of it; `closed_elsewhere` is the sum of that. `cap_quantity` is
    maxPositionUsd at the price of the start. `armed`: an opening leg has filled. `child_number` is that of the newest
    child. `just_filled` is the layer whose fill this very step has booked. `awaits_price`: the next quote is to be
    looked at whatever it says; `guarded`: some guard looks at each. The other fields are as in a chase's record.
    """

    scalper_id: str
    sub_account_id: str
    tag: str
    symbol: str
    params: ScalperParams
    instrument: Instrument
    id_epoch: int
    started_at: int
    updated_at: int
    long: ScalperLadder
    short: ScalperLadder
    cap_quantity: Decimal
    request_id: str = ""
    root_id: str = ""
    parent_id: str = ""
    parent_slot: int = 0
    status: AlgoStatus = AlgoStatus.STARTING
    reason: str = ""
    child_number: int = 0
    armed: bool = False
    inventory: Decimal = ZERO
    entry_price: Decimal = ZERO
    realized_pnl: Decimal = ZERO
    closed_elsewhere: Decimal = ZERO
    bought: Decimal = ZERO
    bought_quote: Decimal = ZERO
    sold: Decimal = ZERO
    sold_quote: Decimal = ZERO
    fees: dict[str, Decimal] = {}
    total_fill_count: int = 0
    just_filled: LayerFill | None = None
    arrival_mid: Decimal = ZERO
    bid: Decimal = ZERO
    ask: Decimal = ZERO
    hold: str = ""
    blocked: str = ""
    paused: str = ""
    throttle: Throttle = ""
    ending: AlgoStatus | None = None
    ending_reason: str = ""
    stopped_at: int = 0
    awaits_price: bool = False
    guarded: bool = False
    wake_at: int = 0

    def ladder(self, side: Side) -> ScalperLadder:
        return self.long if side is Side.BUY else self.short

    @property
    def children(self) -> tuple[LayerChild, ...]:
        """All live ones."""
        slots = (*self.long.slots, *self.short.slots)
        return tuple(slot.child for slot in slots if slot.child is not None)
