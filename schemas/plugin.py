"""Parameters and state record of an algo from a plug-in: what all of them have, whatever they decide (contract.md,
`algo_start`, `pms:algo:{kind}:{id}`).

The record holds everything needed to go on after a crash and to explain what was done, and all of it but `own` is kept
by us, so that fills are booked and orders are minded even while the plug-in itself is missing. Times are
venue-corrected Unix ms.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

import msgspec

from schemas.chase import AlgoStatus, Throttle
from schemas.fields import Leverage, Part, Symbol
from schemas.market import ZERO, Instrument, Side
from schemas.orders import OrderState, TimeInForce


class PluginParams(Part, frozen=True, kw_only=True):
    """What every plug-in is asked; each adds fields of its own, made of the types of schemas.fields. What only reduces
    (`reduce_only`) trades on one side."""

    symbol: Symbol
    leverage: Leverage = 1
    reduce_only: bool = False


class PluginLeg(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One side of what the algo trades: the most that it may ever fill there, and what is filled."""

    side: Side
    quantity: Decimal
    price: Decimal  # what it would have asked first, at its start
    filled: Decimal = ZERO
    quote_filled: Decimal = ZERO

    @property
    def rest(self) -> Decimal:
        """What is not yet filled; never below zero."""
        return max(self.quantity - self.filled, ZERO)


class PluginOrder(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The one live order of a slot, as the algo knows it. `quantity` is its total, executed part included; `request`
    the one not yet known to have taken effect."""

    slot: int
    client_order_id: str
    side: Side
    price: Decimal
    quantity: Decimal
    time_in_force: TimeInForce
    state: OrderState = OrderState.PLACING
    filled: Decimal = ZERO
    request: Literal["", "place", "amend", "cancel"] = ""

    @property
    def open_quantity(self) -> Decimal:
        """What it may still fill, fate unknown or not (law 2)."""
        return self.quantity - self.filled


class PluginState(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The record `pms:algo:{algo}:{id}`.

    `own` is what the plug-in itself keeps; everything else is ours, and `params` never change. `hold` names what is
    missing while prices, the user stream or Redis are gone; `withdraw`: entries leave the market meanwhile; `blocked`
    is why nothing that adds risk may be done now. `ending`/`ending_reason` are set when the algo is to end and its
    orders are still to be proven gone. `made_by` is the approved package whose code moves it.
    """

    algo_id: str
    algo: str
    made_by: str
    sub_account_id: str
    tag: str
    symbol: str
    instrument: Instrument
    id_epoch: int
    started_at: int
    updated_at: int
    params: Any
    own: Any
    legs: tuple[PluginLeg, ...]
    leverage: int
    reduce_only: bool
    request_id: str = ""
    root_id: str = ""
    status: AlgoStatus = AlgoStatus.STARTING
    reason: str = ""
    orders: tuple[PluginOrder, ...] = ()
    attempt: int = 0
    fees: dict[str, Decimal] = {}
    arrival_mid: Decimal = ZERO
    mid: Decimal = ZERO
    wake_at: int = 0
    hold: str = ""
    withdraw: bool = False
    blocked: str = ""
    paused: str = ""
    stopped_at: int = 0
    throttle: Throttle = ""
    replacing: bool = False
    ending: AlgoStatus | None = None
    ending_reason: str = ""
    retry_at: int = 0
    cancel_at: int = 0
    rejection: str = ""
    rejections: int = 0

    def order(self, slot: int) -> PluginOrder | None:
        """The live order of a slot."""
        return next((order for order in self.orders if order.slot == slot), None)

    def leg(self, side: Side) -> PluginLeg | None:
        return next((leg for leg in self.legs if leg.side is side), None)

    def room(self, side: Side) -> Decimal:
        """What a new order may ask for on a side: what is neither filled nor asked for by a live order, one of unknown
        fate too (law 2)."""
        leg = self.leg(side)
        asked = sum((order.open_quantity for order in self.orders if order.side is side), ZERO)
        return ZERO if leg is None else max(leg.quantity - leg.filled - asked, ZERO)


class ParkedState(PluginState, frozen=True, rename="camel", kw_only=True):
    """The same record where its plug-in is missing: what is the plug-in's own goes back as it came, byte by byte."""

    params: msgspec.Raw
    own: msgspec.Raw
