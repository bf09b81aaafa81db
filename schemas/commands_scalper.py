"""Commands that start and end a scalper; parameters, defaults and bounds are the table of algos.md."""

from __future__ import annotations

from decimal import Decimal

from schemas.chase import StopAction
from schemas.fields import (
    Amount,
    Command,
    Count,
    HoldMs,
    Layers,
    Leverage,
    ObjectId,
    OffsetPct,
    Price,
    Size,
    Skew,
    SlippageBps,
    Symbol,
)
from schemas.market import ZERO, PositionSide
from schemas.scalper import ScalperParams


class Scalper(Command, frozen=True, kw_only=True, tag="scalper"):
    """A two-sided ladder of child chases. What is left out for the short side is as for the long one; `on_stop` left
    out: what adds risk is cancelled, what only reduces stays."""

    symbol: Symbol
    start_side: PositionSide = PositionSide.LONG
    leverage: Leverage = 1
    neutral_mode: bool = False
    child_count: Layers = 1
    long_offset_pct: OffsetPct = Decimal("0.1")
    short_offset_pct: OffsetPct | None = None
    long_size_usd: Size
    short_size_usd: Size | None = None
    skew: Skew = ZERO
    long_max_price: Price | None = None
    short_min_price: Price | None = None
    pin_long_to_entry: bool = False
    pin_short_to_entry: bool = False
    allow_loss: bool | None = None
    min_fill_spread_pct: OffsetPct = ZERO
    fill_decay_half_life_ms: HoldMs = 30_000
    min_refill_delay_ms: HoldMs = 0
    max_fills_per_minute: Count = 0
    max_loss_per_close_bps: SlippageBps = 0
    max_position_usd: Amount | None = None
    on_stop: StopAction | None = None

    def params(self) -> ScalperParams:
        """The algo's parameters, with everything that follows from what is left out."""
        told = {name: getattr(self, name) for name in _SCALPER_PARAMS}
        alike = {"short_offset_pct": self.long_offset_pct, "short_size_usd": self.long_size_usd}
        free = {"long_max_price": ZERO, "short_min_price": ZERO, "max_position_usd": ZERO}
        left_out = alike | free | {"allow_loss": not self.neutral_mode}
        return ScalperParams(**told | {name: value for name, value in left_out.items() if told[name] is None})


_SCALPER_PARAMS = tuple(name for name in ScalperParams.__struct_fields__ if name in Scalper.__struct_fields__)


class ScalperCancel(Command, frozen=True, kw_only=True, tag="scalper_cancel"):
    """End a scalper: children are cancelled and proven terminal."""

    scalper_id: ObjectId
    close_positions: bool = False
