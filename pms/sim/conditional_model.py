"""What a conditional order is asked to be, and what it is (binance.md 3.4). Shapes only."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from pms.sim.model import Order, PositionSide, Side, TimeInForce

ConditionalType = Literal["STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"]
WorkingType = Literal["MARK_PRICE", "CONTRACT_PRICE"]
CLOSED = ("CANCELED", "EXPIRED", "REJECTED", "FINISHED")


class NewConditional(msgspec.Struct, frozen=True):
    """A decoded `POST /fapi/v1/algoOrder`. `callback` is in percent; `activate` 0: active at once."""

    symbol: str
    side: Side
    type: ConditionalType
    client_id: str
    quantity: Decimal = Decimal(0)
    trigger: Decimal = Decimal(0)
    price: Decimal = Decimal(0)
    working: WorkingType = "CONTRACT_PRICE"
    time_in_force: TimeInForce = "GTC"
    reduce_only: bool = False
    close_position: bool = False
    price_protect: bool = False
    activate: Decimal = Decimal(0)
    callback: Decimal = Decimal(0)
    stp: Literal["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"] = "EXPIRE_MAKER"
    price_match: str = "NONE"
    position_side: PositionSide = "BOTH"
    good_till: int = 0

    @property
    def is_trailing(self) -> bool:
        return self.type == "TRAILING_STOP_MARKET"


class Conditional(msgspec.Struct):
    """One conditional order of one account. Changed by `Conditionals` only; a closed status never changes."""

    algo_id: int
    account: str
    new: NewConditional
    created_at: int
    updated_at: int
    status: str = "NEW"
    triggered_at: int = 0
    reason: str = ""
    activated: bool = False
    extreme: Decimal = Decimal(0)
    order: Order | None = None  # the ordinary one that it became

    @property
    def symbol(self) -> str:
        return self.new.symbol

    @property
    def client_id(self) -> str:
        return self.new.client_id

    @property
    def is_open(self) -> bool:
        return self.status == "NEW"


class ConditionalRecord(msgspec.Struct, frozen=True, tag="conditional"):
    """The newest state of one conditional order, keyed by its id."""

    row: Conditional
