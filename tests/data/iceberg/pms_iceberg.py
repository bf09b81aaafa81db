"""iceberg: shows only `displayQuantity` of its quantity at a limit price, and the next piece when one is filled.

This is all that a new algo needs. Records, ids, fills, pauses, stale prices, refusals, restarts and the laws' check are
the framework's.
"""

from __future__ import annotations

from decimal import Decimal

from algos.plugin import NOTHING, Decided, Plan, Plugin, end, place
from schemas.chase import AlgoStatus
from schemas.errors import ErrorCode, Invalid
from schemas.fields import Price, Size
from schemas.market import Instrument, Quote, Side
from schemas.plugin import PluginParams, PluginState


class IcebergParams(PluginParams, frozen=True, kw_only=True):
    """What is asked for. The last piece may be larger by what could not be sent alone."""

    side: Side
    quantity: Size
    display_quantity: Size
    price: Price

    def __post_init__(self) -> None:
        if self.display_quantity > self.quantity:
            message = "displayQuantity is more than the quantity."
            raise Invalid(ErrorCode.INVALID_FIELD, message, path="displayQuantity")


def plan(params: IcebergParams, instrument: Instrument, quote: Quote) -> tuple[Plan, ...]:
    """Raises Invalid where a piece could not stand at the venue."""
    if not instrument.on_price_grid(params.price):
        raise Invalid(ErrorCode.PRICE_OFF_GRID, f"{params.price} is no multiple of {instrument.tick}.", path="price")
    for name, quantity in (("quantity", params.quantity), ("displayQuantity", params.display_quantity)):
        if not instrument.on_quantity_grid(quantity):
            raise Invalid(ErrorCode.QUANTITY_OFF_GRID, f"{quantity} is no multiple of {instrument.step}.", path=name)
    if not instrument.sendable(params.display_quantity, params.price, params.reduce_only):
        message = f"{params.display_quantity} at {params.price} is too small for one order."
        raise Invalid(ErrorCode.BELOW_MINIMUM, message, path="displayQuantity")
    return (Plan(params.side, params.quantity, params.price),)


def piece(state: PluginState) -> Decimal:
    """The next piece: what is left is never less than can be sent."""
    params, rules, left = state.params, state.instrument, state.room(state.params.side)
    shown = min(params.display_quantity, left, rules.max_qty)
    alone = rules.sendable(left - shown, params.price, state.reduce_only)
    return shown if alone or left > rules.max_qty else Decimal(left)


def decide(state: PluginState, now: int, quote: Quote) -> Decided:
    """One piece rests at a time."""
    if state.orders:
        return state, NOTHING
    quantity, params = piece(state), state.params
    if not state.instrument.sendable(quantity, params.price, state.reduce_only):
        return end(state, AlgoStatus.COMPLETED, "below_minimum"), NOTHING
    return place(state, 0, params.side, params.price, quantity)


ICEBERG = Plugin(name="iceberg", params=IcebergParams, plan=plan, decide=decide)
