"""Commands about single orders, positions and baskets (contract.md, "Commands in")."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from schemas.fields import (
    LEGS_MAX,
    LEVELS_MAX,
    ClientOrderId,
    Command,
    Leverage,
    ObjectId,
    Part,
    Price,
    Size,
    SlippageBps,
    Symbol,
    exactly_one,
    something,
)
from schemas.market import PositionSide, Side
from schemas.orders import TimeInForce

WorkingType = Literal["MARK_PRICE", "CONTRACT_PRICE"]


class Trade(Command, frozen=True, kw_only=True, tag="trade"):
    """Buy or sell at the market, as an IOC limit within `max_slippage_bps` of mid (execution.md 10)."""

    symbol: Symbol
    side: Side
    quantity: Size | None = None
    size_usdt: Size | None = None
    leverage: Leverage = 1
    reduce_only: bool = False
    max_slippage_bps: SlippageBps = 50
    stop_loss: Price | None = None
    take_profit: Price | None = None

    def __post_init__(self) -> None:
        exactly_one(quantity=self.quantity, sizeUsdt=self.size_usdt)


class Limit(Command, frozen=True, kw_only=True, tag="limit"):
    """One limit order."""

    symbol: Symbol
    side: Side
    quantity: Size | None = None
    size_usdt: Size | None = None
    price: Price
    time_in_force: TimeInForce = "GTC"
    leverage: Leverage = 1
    reduce_only: bool = False
    stop_loss: Price | None = None
    take_profit: Price | None = None

    def __post_init__(self) -> None:
        exactly_one(quantity=self.quantity, sizeUsdt=self.size_usdt)


class Level(Part, frozen=True, kw_only=True):
    """One order of a scale."""

    price: Price
    quantity: Size


class Scale(Command, frozen=True, kw_only=True, tag="scale"):
    """Several limit orders at once; a rejected one is a failure, the others stand."""

    symbol: Symbol
    side: Side
    levels: Annotated[tuple[Level, ...], Meta(min_length=1, max_length=LEVELS_MAX)]
    leverage: Leverage = 1
    reduce_only: bool = False


class Amend(Command, frozen=True, kw_only=True, tag="amend"):
    """Change price or total quantity of a manual order."""

    client_order_id: ClientOrderId
    price: Price | None = None
    quantity: Size | None = None

    def __post_init__(self) -> None:
        something(price=self.price, quantity=self.quantity)


class _Protection(Command, frozen=True, kw_only=True):
    position_id: ObjectId | None = None
    symbol: Symbol | None = None
    position_side: PositionSide | None = None
    trigger_price: Price
    limit_price: Price | None = None
    working_type: WorkingType = "MARK_PRICE"
    quantity: Size | None = None

    def __post_init__(self) -> None:
        exactly_one(positionId=self.position_id, symbol=self.symbol)
        if self.symbol is not None:
            exactly_one(positionSide=self.position_side)


class Stop(_Protection, frozen=True, kw_only=True, tag="stop"):
    """A stop-loss at the venue for a position, all of it unless `quantity` is given."""


class TakeProfit(_Protection, frozen=True, kw_only=True, tag="take_profit"):
    """A take-profit at the venue for a position, all of it unless `quantity` is given."""


class Close(Command, frozen=True, kw_only=True, tag="close"):
    """Close a position, all of it unless `quantity` is given. `side` is the closing side: SELL closes a long one."""

    position_id: ObjectId | None = None
    symbol: Symbol | None = None
    side: Side | None = None
    quantity: Size | None = None

    def __post_init__(self) -> None:
        exactly_one(positionId=self.position_id, symbol=self.symbol)
        if self.symbol is not None:
            exactly_one(side=self.side)


class CloseAll(Command, frozen=True, kw_only=True, tag="close_all"):
    """End the algos of the sub-account, prove their children terminal, close every position."""


class Cancel(Command, frozen=True, kw_only=True, tag="cancel"):
    """Cancel one order; the only child of an algo ends the algo."""

    client_order_id: ClientOrderId


class CancelAll(Command, frozen=True, kw_only=True, tag="cancel_all"):
    """End the entry algos and cancel the orders of the sub-account, of one symbol where given."""

    symbol: Symbol | None = None
    include_protection: bool = False


class Leg(Part, frozen=True, kw_only=True):
    """One leg of a basket."""

    symbol: Symbol
    side: Side
    quantity: Size | None = None
    size_usdt: Size | None = None
    leverage: Leverage = 1

    def __post_init__(self) -> None:
        exactly_one(quantity=self.quantity, sizeUsdt=self.size_usdt)


class Basket(Command, frozen=True, kw_only=True, tag="basket"):
    """Several trades at once: all legs are validated before the first is sent."""

    ALIASES: ClassVar[dict[str, str]] = {"items": "legs"}

    legs: Annotated[tuple[Leg, ...], Meta(min_length=1, max_length=LEGS_MAX)]
