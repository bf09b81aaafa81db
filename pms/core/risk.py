"""The gate before every request: what may be sent is an `Approved`, and only this module makes one.

Pure: it sees the instrument, the quote, the account's open orders, the sub-account's numbers (`pms.core.limits`) and
the order, and answers `Approved` or `Denied` with a code and the numbers. Cancels are never denied. Grids and minima:
algos.md law 6; caps: execution.md 10; stale prices: law 5.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from pms.core import limits
from pms.core.exits import Form
from pms.core.limits import Account, Intent
from pms.venue import Amend, Cancel, Place
from schemas.errors import ErrorCode
from schemas.market import ZERO, Instrument, Quote, Side
from schemas.orders import Cause, Order

EXIT_RESERVE = 20  # of the venue's open orders a symbol, kept for exits (execution.md 10)


class _Seal:
    """What only this module has one of: a request that carries it passed here, to the type checker and at run time."""


_SEAL = _Seal()


class Approved(msgspec.Struct, frozen=True):
    """A request that passed the gate. `exit` requests only reduce risk: they do not wait for Redis (design.md rule
    3)."""

    request: Place | Amend | Cancel
    exit: bool
    seal: _Seal

    def __post_init__(self) -> None:
        if self.seal is not _SEAL:
            raise AssertionError("an order that did not pass the risk gate")


class Denied(msgspec.Struct, frozen=True):
    """Why a request may not be sent. `cause` tells an algo how to react."""

    code: ErrorCode
    message: str
    limit: str
    value: str
    cause: Cause = Cause.OTHER


class Market(msgspec.Struct, frozen=True):
    """What the gate knows of a symbol: its rules, the newest quote (None: stale), the reference price, all open
    orders of the account, and our own best resting prices in ticks (0: none)."""

    instrument: Instrument
    quote: Quote | None
    mark: Decimal
    open_orders: int
    own_bid: int = 0
    own_ask: int = 0


def market(instrument: Instrument, quote: Quote | None, mark: Decimal, orders: Iterable[Order], but: str) -> Market:
    """A symbol as the gate sees it, with our `orders` on it `but` the one that moves, each where it rests and where
    it may be moving to."""
    resting, bid, ask = 0, ZERO, ZERO
    for order in orders:
        if order.client_order_id == but or order.waiting:
            continue
        resting += 1
        for price in (order.price, order.next_price):
            if not price:  # no amend in flight; or an order at the market, which never rests
                continue
            if order.side is Side.BUY:
                bid = max(bid, price)
            else:
                ask = min(ask or price, price)
    own_bid = instrument.ticks_down(bid) if bid else 0
    own_ask = instrument.ticks_up(ask) if ask else 0
    return Market(instrument, quote, mark, resting, own_bid, own_ask)


class Closing(msgspec.Struct, frozen=True):
    """What the gate knows of an order that only reduces for its sub-account: the quantity that it may still close by
    the exit ledger, and in which form it leaves (execution.md 14)."""

    closable: Decimal
    form: Form


class Adding(msgspec.Struct, frozen=True):
    """What the gate knows of an order that adds to its sub-account's risk: what it adds, beside what is there."""

    intent: Intent
    account: Account


def approve_cancel(cancel: Cancel) -> Approved:
    """Cancels are never refused."""
    return Approved(cancel, True, _SEAL)


def approve_place(place: Place, market: Market, role: Closing | Adding) -> Approved | Denied:
    """A new order: `Closing` where it only reduces for its sub-account, whether or not under the venue's flag."""
    price = place.price or place.trigger_price or market.mark
    waits = place.conditional
    closes = isinstance(role, Closing)
    denied = (
        # First of all: what may not trade is told so, whatever else is wrong with its order.
        (stopped(role.account) if isinstance(role, Adding) else None)
        or _grid(place.quantity, price if waits else place.price, place.order_type == "MARKET", market.instrument)
        or (_covered(place, role) if isinstance(role, Closing) else None)
        or _size(place.quantity, price, place.reduce_only, _most(place, market.instrument), market.instrument)
        or _state(place, closes, market)
        or _band(place.side, place.price, waits or place.order_type == "MARKET", market)
        or (
            None
            if waits or _leaves_at_once(place, closes)
            else _own_touch(place.side, place.price, place.order_type == "MARKET", market)
        )
        or (_allowed(role) if isinstance(role, Adding) else None)
    )
    return denied or Approved(place, closes, _SEAL)


def _leaves_at_once(place: Place, closes: bool) -> bool:
    """An immediate exit does not wait for what rests in its way: the venue then ends that, which steps back
    (execution.md 8)."""
    return closes and place.time_in_force in ("IOC", "FOK")


def stopped(account: Account) -> Denied | None:
    """What stands against anything that adds to a sub-account's risk on a symbol: a halt, a freeze, losses."""
    return None if account.stopped is None else Denied(*account.stopped, "trading", "stopped")


def _allowed(adding: Adding) -> Denied | None:
    """Last of all: what the market's rules let pass stays within its sub-account's limits."""
    refused = limits.refusal(adding.intent, adding.account)
    if refused is None:
        return None
    cause = Cause.MARGIN if refused.code is ErrorCode.INSUFFICIENT_MARGIN else Cause.OTHER
    return Denied(refused.code, refused.message, refused.limit, refused.value, cause)


def _covered(request: Place | Amend, closing: Closing) -> Denied | None:
    """What only reduces never asks for more than is left to close (execution.md 14)."""
    if closing.form is Form.FORBIDDEN:
        message = "a foreign position stands opposite on the symbol: an exit could open one; use position_assign first"
        return Denied(ErrorCode.POSITION_DRIFT, message, "no opposite external position", str(request.quantity))
    if request.quantity > closing.closable:
        message = "more than is left to close beside other orders that close"
        limit, value = str(closing.closable), str(request.quantity)
        return Denied(ErrorCode.REDUCE_ONLY_EXCEEDS, message, limit, value, Cause.REDUCE_ONLY)
    return None


def approve_amend(amend: Amend, market: Market, role: Closing | Adding | None) -> Approved | Denied:
    """A resting order's new price and total; None where it only reduces and grows no larger. What may be closed counts
    from the order's beginning, as its total does."""
    reduce_only = not isinstance(role, Adding)
    denied = (
        (stopped(role.account) if isinstance(role, Adding) else None)
        or _grid(amend.quantity, amend.price, False, market.instrument)
        or (_covered(amend, role) if isinstance(role, Closing) else None)
        or _size(amend.quantity, amend.price, reduce_only, market.instrument.max_qty, market.instrument)
        or _band(amend.side, amend.price, False, market)
        or _own_touch(amend.side, amend.price, False, market)
        or _fresh(reduce_only, market)
        or (_allowed(role) if isinstance(role, Adding) else None)
    )
    return denied or Approved(amend, reduce_only, _SEAL)


def _grid(quantity: Decimal, price: Decimal, at_market: bool, rules: Instrument) -> Denied | None:
    if not rules.on_quantity_grid(quantity):
        return Denied(
            ErrorCode.QUANTITY_OFF_GRID, f"{quantity} is no multiple of the step", str(rules.step), str(quantity)
        )
    if at_market:
        return None
    if not (price > 0 and rules.on_price_grid(price)):
        return Denied(ErrorCode.PRICE_OFF_GRID, f"{price} is no multiple of the tick", str(rules.tick), str(price))
    if price < rules.min_price or (
        rules.max_price and price > rules.max_price
    ):  # a maximum of 0 is none (PRICE_FILTER)
        limit = f"{rules.min_price} to {rules.max_price}"
        return Denied(ErrorCode.PRICE_OFF_GRID, f"{price} is outside the symbol's prices", limit, str(price))
    return None


def _most(place: Place, rules: Instrument) -> Decimal:
    return (rules.market_max_qty or rules.max_qty) if place.order_type == "MARKET" else rules.max_qty


def _size(quantity: Decimal, price: Decimal, reduce_only: bool, most: Decimal, rules: Instrument) -> Denied | None:
    """An order's total between the venue's minima and maximum (law 6)."""
    if quantity > most:
        return Denied(ErrorCode.ABOVE_MAXIMUM, f"{quantity} is more than one order may have", str(most), str(quantity))
    if rules.sendable(quantity, price, reduce_only):
        return None
    least = f"minQty {rules.min_qty}, minNotional {rules.min_notional}"
    value = f"{quantity} x {price} = {quantity * price}"
    return Denied(ErrorCode.BELOW_MINIMUM, "less than the venue takes as one order", least, value)


def _state(place: Place, closes: bool, market: Market) -> Denied | None:
    rules = market.instrument
    if not rules.trading and not closes:
        return Denied(
            ErrorCode.SYMBOL_NOT_TRADING, f"{rules.symbol} is not trading", "TRADING", "other", Cause.NOT_TRADING
        )
    most = rules.max_orders if closes else rules.max_orders - EXIT_RESERVE
    if market.open_orders >= most:
        return Denied(
            ErrorCode.MAX_OPEN_ORDERS, "too many open orders on the symbol", str(most), str(market.open_orders)
        )
    return _fresh(closes, market)


def _fresh(reduce_only: bool, market: Market) -> Denied | None:
    """Law 5: stale data means hold; reduce-only goes."""
    if market.quote is None and not reduce_only:
        return Denied(ErrorCode.STALE_BOOK, "no fresh book: nothing that adds risk is sent", "fresh", "stale")
    return None


def _band(side: Side, price: Decimal, at_market: bool, market: Market) -> Denied | None:
    """PERCENT_PRICE is one-sided: a far-away passive price is legal (binance.md 3.2)."""
    if at_market or market.mark <= 0:
        return None
    rules = market.instrument
    bound = market.mark * (rules.multiplier_up if side is Side.BUY else rules.multiplier_down)
    if (side is Side.BUY and price > bound) or (side is Side.SELL and price < bound):
        return Denied(
            ErrorCode.PERCENT_PRICE, f"{price} is too far from mark", str(bound), str(price), Cause.PRICE_BAND
        )
    return None


def _own_touch(side: Side, price: Decimal, at_market: bool, market: Market) -> Denied | None:
    """No order of ours may meet another of ours: the venue would end the resting one (binance.md 0, fact 11)."""
    rules = market.instrument
    if side is Side.BUY and market.own_ask and (at_market or price >= rules.price(market.own_ask)):
        limit = rules.price(market.own_ask)
    elif side is Side.SELL and market.own_bid and (at_market or price <= rules.price(market.own_bid)):
        limit = rules.price(market.own_bid)
    else:
        return None
    return Denied(
        ErrorCode.EXCHANGE_REJECTED, "would trade with an order of our own", str(limit), str(price), Cause.SELF_TRADE
    )
