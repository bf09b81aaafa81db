"""What a conditional order is refused for when it is placed (binance.md 3.4, 4, 5.3). Pure.

Margin, position and the book are not looked at before the trigger.
"""

from __future__ import annotations

from decimal import Decimal

from pms.sim import rules as filters
from pms.sim.conditional_model import NewConditional
from pms.sim.model import Rules, VenueError

MOST_OPEN = 200  # of an account, over all symbols
LEAST_CALLBACK, MOST_CALLBACK = Decimal("0.1"), Decimal(20)  # percent; 10 until 2026-10-23


def check(rules: Rules, new: NewConditional, price: Decimal, dual: bool) -> None:
    """Raise VenueError for what breaks a rule. `price` is the working price, 0 where there is none."""
    if dual == (new.position_side == "BOTH"):
        raise VenueError(-4061, "Order's position side does not match user's setting.")
    if dual:
        raise VenueError(-4084, "Method is not allowed currently. Upcoming soon.")
    if rules.status != "TRADING":
        raise VenueError(-4140, "Invalid symbol status for opening position.")
    if new.close_position and new.quantity:
        raise VenueError(-4137, "Quantity must be zero with closePosition equals true.")
    if not new.close_position:
        filters.check_quantity(rules, new.quantity, market=not new.price)
    if new.price:
        filters.check_price(rules, new.price, new.side, Decimal(0))
    if new.is_trailing:
        _check_trailing(rules, new, price)
        return
    _check_trigger(rules, new.trigger, new)
    reference = new.price or new.trigger
    if not new.close_position:
        filters.check_notional(rules, reference, new.quantity, new.reduce_only, -4164)
    if price and triggers(new, price):
        raise VenueError(-2021, "Order would immediately trigger.")


def _check_trailing(rules: Rules, new: NewConditional, price: Decimal) -> None:
    if not LEAST_CALLBACK <= new.callback <= MOST_CALLBACK:
        raise VenueError(-2007, "Invalid callBack rate.")
    if not new.activate:
        return
    _check_trigger(rules, new.activate, new)
    if price and (new.activate > price if new.side == "BUY" else new.activate < price):
        raise VenueError(-2021, "Order would immediately trigger.")


def _check_trigger(rules: Rules, trigger: Decimal, new: NewConditional) -> None:
    if trigger <= 0:
        raise VenueError(-4006, "Stop price less than zero.")
    if trigger > rules.max_price:
        raise VenueError(-4007, "Stop price greater than max price.")
    filters.check_price(rules, trigger, new.side, Decimal(0))


def triggers(new: NewConditional, price: Decimal) -> bool:
    """Whether the working price is at the trigger or beyond it."""
    rising = (new.side == "BUY") == new.type.startswith("STOP")
    return price >= new.trigger if rising else price <= new.trigger
