"""Commands that start, change and end algos; parameters, defaults and bounds are the tables of algos.md."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta, field

from schemas.chase import ChaseParams, LimitAction, StalkMode, StopAction
from schemas.commands_orders import Leg
from schemas.errors import ErrorCode, Invalid
from schemas.fields import (
    LEGS_MAX,
    CallbackPct,
    Command,
    DistancePct,
    HoldMs,
    Interval,
    JitterPct,
    Leverage,
    Lots,
    Minutes,
    Multiple,
    ObjectId,
    OffsetPct,
    Price,
    Seconds,
    Size,
    SlippageBps,
    SomeTicks,
    Symbol,
    Text,
    Ticks,
    at_most_one,
    exactly_one,
    something,
)
from schemas.market import ZERO, PositionSide, Side

JITTER_WHEN_TRUE = Decimal(30)  # what `jitter: true` means


class Chase(Command, frozen=True, kw_only=True, tag="chase"):
    """One limit order that follows the top of the book. `on_stop` left out: leave where reduce-only, else cancel."""

    symbol: Symbol
    side: Side
    quantity: Size | None = None
    size_usdt: Size | None = None
    leverage: Leverage = 1
    reduce_only: bool = False
    stalk_mode: StalkMode = "maintain"
    stalk_offset_pct: OffsetPct = ZERO
    stalk_offset_ticks: Ticks = 0
    aggressive: bool = False
    post_only: bool = True
    max_distance_pct: DistancePct = ZERO
    on_limit: LimitAction = "cancel"
    deadline_seconds: Seconds = ZERO
    on_deadline: LimitAction = "cancel"
    reprice_min_ms: HoldMs = 250
    reprice_min_ticks: SomeTicks = 1
    on_stop: StopAction | None = None
    max_slippage_bps: SlippageBps = 50
    stop_loss: Price | None = None
    take_profit: Price | None = None

    def __post_init__(self) -> None:
        exactly_one(quantity=self.quantity, sizeUsdt=self.size_usdt)
        if self.aggressive and (self.stalk_offset_pct or self.stalk_offset_ticks):
            message = "aggressive improves the touch, an offset stays behind it; send one of them."
            raise Invalid(ErrorCode.INVALID_FIELD, message, path="aggressive")

    def params(self, quantity: Decimal) -> ChaseParams:
        """The algo's parameters for a quantity that is on the grid and, where asked by `size_usdt`, converted."""
        told = {name: getattr(self, name) for name in _CHASE_PARAMS} | {"quantity": quantity}
        told["on_stop"] = self.on_stop or ("leave" if self.reduce_only else "cancel")
        return ChaseParams(**told)


_CHASE_PARAMS = tuple(name for name in ChaseParams.__struct_fields__ if name in Chase.__struct_fields__)


class ChaseAmend(Command, frozen=True, kw_only=True, tag="chase_amend"):
    """Change a running chase; what is left out stays. `quantity` is the new total, not below what is filled."""

    chase_id: ObjectId
    quantity: Size | None = None
    stalk_mode: StalkMode | None = None
    stalk_offset_pct: OffsetPct | None = None
    stalk_offset_ticks: Ticks | None = None
    max_distance_pct: DistancePct | None = None

    def __post_init__(self) -> None:
        something(
            quantity=self.quantity,
            stalkMode=self.stalk_mode,
            stalkOffsetPct=self.stalk_offset_pct,
            stalkOffsetTicks=self.stalk_offset_ticks,
            maxDistancePct=self.max_distance_pct,
        )


class _Schedule(Command, frozen=True, kw_only=True):
    """What a TWAP and a basket of them share."""

    lots: Lots = 10
    duration_minutes: Minutes | None = None
    interval_seconds: Interval | None = None
    jitter_pct: JitterPct = ZERO
    irregular: bool = False
    style: Literal["market", "chase"] = "market"
    child_timeout_seconds: Interval | None = None
    on_child_fail: Literal["market", "carry"] = "market"
    catch_up_max: Multiple = Decimal(3)
    reduce_only: bool = False

    def __post_init__(self) -> None:
        at_most_one(durationMinutes=self.duration_minutes, intervalSeconds=self.interval_seconds)

    @classmethod
    def adapt(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Aliases, and `jitter: true` for 30 %."""
        if "jitter" in given:
            wanted = given.pop("jitter")
            if not isinstance(wanted, bool) or "jitterPct" in given:
                raise Invalid(
                    ErrorCode.INVALID_FIELD, "jitter is true or false; jitterPct says how much.", path="jitter"
                )
            given["jitterPct"] = JITTER_WHEN_TRUE if wanted else ZERO
        return super().adapt(given)


class Twap(_Schedule, frozen=True, kw_only=True, tag="twap"):
    """Equal slices on an absolute schedule. Neither duration nor interval given: one lot a minute."""

    ALIASES: ClassVar[dict[str, str]] = {"totalSize": "sizeUsdt", "numLots": "lots"}

    symbol: Symbol
    side: Side
    quantity: Size | None = None
    size_usdt: Size | None = None
    leverage: Leverage = 1
    price_limit: Price | None = None
    on_limit: Literal["skip", "pause", "end", "execute"] = "skip"
    stop_loss: Price | None = None
    take_profit: Price | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        exactly_one(quantity=self.quantity, sizeUsdt=self.size_usdt)


class TwapBasket(_Schedule, frozen=True, kw_only=True, tag="twap_basket"):
    """TWAPs of several symbols, started together or not at all."""

    ALIASES: ClassVar[dict[str, str]] = {"numLots": "lots", "items": "legs"}

    basket_name: Text
    legs: Annotated[tuple[Leg, ...], Meta(min_length=1, max_length=LEGS_MAX)]


class TrailStop(Command, frozen=True, kw_only=True, tag="trail_stop"):
    """Protect a position by following its best price. No distance given: 1 %."""

    ALIASES: ClassVar[dict[str, str]] = {"trailPct": "callbackPct"}

    position_id: ObjectId | None = None
    symbol: Symbol | None = None
    position_side: PositionSide | None = None
    quantity: Size | None = None
    callback_pct: CallbackPct | None = None
    callback_abs: Price | None = None
    callback_ticks: SomeTicks | None = None
    activation_price: Price | None = None
    trigger: Literal["mid", "mark", "touch"] = "mid"
    exit: Literal["market", "chase"] = "market"
    exit_deadline_seconds: Interval = Decimal(5)
    backstop_pct: DistancePct | None = None
    on_blind: Literal["hold", "close"] = "hold"

    def __post_init__(self) -> None:
        exactly_one(positionId=self.position_id, symbol=self.symbol)
        if self.symbol is not None:
            exactly_one(positionSide=self.position_side)
        at_most_one(callbackPct=self.callback_pct, callbackAbs=self.callback_abs, callbackTicks=self.callback_ticks)


class ChaseCancel(Command, frozen=True, kw_only=True, tag="chase_cancel"):
    """End a chase: its child is cancelled, and proven terminal before the chase is."""

    chase_id: ObjectId
    close_positions: bool = False


class TwapCancel(Command, frozen=True, kw_only=True, tag="twap_cancel"):
    """End a TWAP."""

    twap_id: ObjectId
    close_positions: bool = False


class TwapBasketCancel(Command, frozen=True, kw_only=True, tag="twap_basket_cancel"):
    """End all TWAPs of a basket."""

    twap_basket_id: ObjectId
    close_positions: bool = False


class TrailStopCancel(Command, frozen=True, kw_only=True, tag="trail_stop_cancel"):
    """Take a trailing stop and its backstop away."""

    trail_stop_id: ObjectId
    close_positions: bool = False


class TwapPause(Command, frozen=True, kw_only=True, tag="twap_pause"):
    """Send no further lots until resumed."""

    twap_id: ObjectId


class TwapResume(Command, frozen=True, kw_only=True, tag="twap_resume"):
    """Go on with a paused TWAP."""

    twap_id: ObjectId


class _AnyAlgo(Command, frozen=True, kw_only=True):
    """Names an algo of any kind; the kinds' own names for the id are taken too."""

    ALIASES: ClassVar[dict[str, str]] = {
        f"{kind}Id": "algoId" for kind in ("chase", "twap", "twapBasket", "trailStop", "scalper")
    }

    algo_id: ObjectId


class AlgoPause(_AnyAlgo, frozen=True, kw_only=True, tag="algo_pause"):
    """Withdraw the algo's entry children and place none until resumed."""


class AlgoResume(_AnyAlgo, frozen=True, kw_only=True, tag="algo_resume"):
    """Go on with a paused algo."""


class AlgoStart(Command, frozen=True, kw_only=True, tag="algo_start"):
    """Start an approved algo of a plug-in; the plug-in checks `params`."""

    algo: Text
    params: dict[str, Any] = field(default_factory=dict)


class AlgoCancel(Command, frozen=True, kw_only=True, tag="algo_cancel"):
    """End an algo of a plug-in."""

    algo_id: ObjectId
