"""The venue's filters: which orders are refused, with which code and words (binance.md 3.2, 5.3, 5.4).

Owns the checks that need no more than the symbol's rules, a price and a mark. Refuses to know accounts and books.
All messages are what people read in their logs, so they are the venue's own.
"""

from __future__ import annotations

from decimal import Decimal

from pms.sim.model import NewOrder, Rules, Side, VenueError
from pms.sim.numbers import trimmed

_ZERO = Decimal(0)
GOOD_TILL_LEAST_MS = 600_000  # a GTD order stands longer than ten minutes
GOOD_TILL_MOST_MS = 253_402_300_799_000  # the end of the year 9999


def unknown_symbol() -> VenueError:
    return VenueError(-1121, "Invalid symbol.")


def unknown_order() -> VenueError:
    return VenueError(-2013, "Order does not exist.")


def unknown_cancel() -> VenueError:
    return VenueError(-2011, "Unknown order sent.")


def reduce_only_rejected() -> VenueError:
    return VenueError(-2022, "ReduceOnly Order is rejected.")


def would_take() -> VenueError:
    return VenueError(
        -5022,
        "Due to the order could not be executed as maker, the Post Only order will be rejected. "
        "The order will not be recorded in the order history",
    )


def not_fillable() -> VenueError:
    return VenueError(
        -5021,
        "Due to the order could not be filled immediately, the FOK order has been rejected. "
        "The order will not be recorded in the order history",
    )


def check_new(rules: Rules, new: NewOrder, mark: Decimal) -> None:
    """Refuse an order that breaks a filter. `mark` 0 means unknown: then checks that need it are skipped."""
    if rules.status != "TRADING":
        raise VenueError(-4140, "Invalid symbol status for opening position.")
    market = new.type == "MARKET"
    check_quantity(rules, new.quantity, market)
    if not market:
        check_price(rules, new.price, new.side, mark)
    check_notional(rules, new.price or mark, new.quantity, new.reduce_only, -4164)


def check_good_till(new: NewOrder, now: int) -> None:
    """When a GTD order may end (binance.md 4)."""
    if new.time_in_force == "GTD" and not now + GOOD_TILL_LEAST_MS < new.good_till < GOOD_TILL_MOST_MS:
        raise VenueError(
            -5040,
            "The goodTillDate timestamp must be greater than the current time plus "
            f"{GOOD_TILL_LEAST_MS // 1000} seconds and smaller than {GOOD_TILL_MOST_MS}.",
        )


def check_position_side(new: NewOrder, dual: bool) -> None:
    """One-way mode takes BOTH or nothing, hedge mode LONG or SHORT. What hedge mode would do with them is not built:
    the daemon refuses such an account, so its orders are refused here in words of the venue's own."""
    if dual == (new.position_side == "BOTH"):
        raise VenueError(-4061, "Order's position side does not match user's setting.")
    if dual and new.reduce_only:
        raise VenueError(-1106, "Parameter 'reduceonly' sent when not required.")
    if dual:
        raise VenueError(-4084, "Method is not allowed currently. Upcoming soon.")


def check_price(rules: Rules, price: Decimal, side: Side, mark: Decimal) -> None:
    """PRICE_FILTER, precision and PERCENT_PRICE, which is one-sided: a far-away passive price is legal."""
    if price <= 0:
        raise VenueError(-4001, "Price less than 0.")
    if _decimals(price) > rules.price_precision:
        raise _too_precise()
    if price > rules.max_price:
        raise VenueError(-4002, "Price greater than max price.")
    if price < rules.min_price:
        raise VenueError(-4013, "Price less than min price.")
    if (price - rules.min_price) % rules.tick:
        raise VenueError(-4014, "Price not increased by tick size.")
    if not mark:
        return
    if side == "BUY" and price > (highest := mark * rules.multiplier_up):
        raise VenueError(-4016, f"Limit price can't be higher than {_rounded(rules, highest)}.")
    if side == "SELL" and price < (lowest := mark * rules.multiplier_down):
        raise VenueError(-4024, f"Limit price can't be lower than {_rounded(rules, lowest)}.")


def check_quantity(rules: Rules, quantity: Decimal, market: bool) -> None:
    """LOT_SIZE, or MARKET_LOT_SIZE for market orders, and precision."""
    least, most, step = (
        (rules.market_min_qty, rules.market_max_qty, rules.market_step)
        if market
        else (rules.min_qty, rules.max_qty, rules.step)
    )
    if quantity <= 0:
        raise VenueError(-4003, "Quantity less than zero.")
    if _decimals(quantity) > rules.quantity_precision:
        raise _too_precise()
    if quantity < least:
        raise VenueError(-4004, "Quantity less than min quantity.")
    if quantity > most:
        raise VenueError(-4005, "Quantity greater than max quantity.")
    if (quantity - least) % step:
        raise VenueError(-4023, "Quantity not increased by step size.")


def check_notional(rules: Rules, price: Decimal, quantity: Decimal, reduce_only: bool, code: int) -> None:
    """MIN_NOTIONAL; reduce-only orders are free of it. `code`: -4164 for a new order, -5029 for an amendment."""
    if not reduce_only and price and price * quantity < rules.min_notional:
        least = trimmed(rules.min_notional)
        raise VenueError(code, f"Order's notional must be no smaller than {least} (unless you choose reduce only).")


def check_counterparty(rules: Rules, side: Side, best: Decimal | None, mark: Decimal) -> None:
    """A MARKET order is refused when the first price that it would meet lies outside PERCENT_PRICE."""
    if best is None or not mark:
        return
    too_high = side == "BUY" and best > mark * rules.multiplier_up
    if too_high or (side == "SELL" and best < mark * rules.multiplier_down):
        raise VenueError(-4131, "The counterparty's best price does not meet the PERCENT_PRICE filter limit.")


def market_bound(rules: Rules, side: Side, mark: Decimal) -> Decimal | None:
    """The last price that a MARKET order may reach; None while no mark is known."""
    if not mark:
        return None
    return mark * (1 + rules.market_take_bound if side == "BUY" else 1 - rules.market_take_bound)


def _decimals(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or exponent >= 0:
        return 0
    text = trimmed(number)
    return len(text) - text.index(".") - 1 if "." in text else 0


def _too_precise() -> VenueError:
    return VenueError(-1111, "Precision is over the maximum defined for this asset.")


def _rounded(rules: Rules, price: Decimal) -> str:
    return trimmed(round(price, rules.price_precision))
