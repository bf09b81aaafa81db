"""Orders and fills: the record kept from intent to terminal, and its life as a transition table.

A record's state tells what *we* know, so in-flight and unknown are states (design.md rule 2). Refuses to know why an
order exists.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Literal, get_args

import msgspec

from schemas.market import ZERO, Side

TimeInForce = Literal["GTC", "IOC", "FOK", "GTX"]
ConditionalType = Literal["STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"]
OrderType = Literal["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"]
WorkingType = Literal["MARK_PRICE", "CONTRACT_PRICE"]
CONDITIONAL: tuple[str, ...] = get_args(ConditionalType)


class Origin(StrEnum):
    """Who made an order."""

    MANUAL = "MANUAL"
    CHASE = "CHASE"
    TWAP = "TWAP"
    SCALPER = "SCALPER"
    TRAIL_STOP = "TRAIL_STOP"
    STOP = "STOP"
    TAKE_PROFIT = "TAKE_PROFIT"
    BASKET = "BASKET"
    ALGO = "ALGO"  # an algo of a plug-in
    LIQUIDATION = "LIQUIDATION"
    RECOVERED = "RECOVERED"
    EXTERNAL = "EXTERNAL"


class Cause(StrEnum):
    """Why the venue refused or ended something, as far as an algo's reaction differs. Everything else is OTHER."""

    NONE = "none"
    POST_ONLY = "post_only"  # would have taken liquidity
    SELF_TRADE = "self_trade"  # ended by self-trade prevention
    REDUCE_ONLY = "reduce_only"  # no or too small a position for a reduce-only order
    NO_CHANGE = "no_change"  # an amend that changes nothing
    NOT_AMENDABLE = "not_amendable"  # this order can't be amended any more: cancel and place
    NOT_FOUND = "not_found"  # the venue does not know the order (now)
    DUPLICATE_ID = "duplicate_id"  # an open order has this client id: proof that the first landed
    FILTER = "filter"  # price or quantity off a rule: reload the instrument
    PRICE_BAND = "price_band"  # outside the allowed distance from mark
    MARGIN = "margin"
    NOT_TRADING = "not_trading"
    TIME_IN_FORCE = "time_in_force"  # an IOC or FOK remainder
    LIQUIDATION = "liquidation"
    TRIGGERED = "triggered"  # a conditional order whose price is reached already: act at once
    ACCOUNT_MODE = "account_mode"  # the account's modes do not fit the order: read them again
    DEAD_MAN = "dead_man"  # the venue cancelled it by the timer that we had set (execution.md 29)
    OTHER = "other"


_ENDED = frozenset(("filled", "cancelled", "expired", "failed"))


class OrderState(StrEnum):
    """What is known of an order. `unknown`: a request's outcome is not known and being looked up."""

    terminal: bool  # it absorbs

    PLACING = "placing"
    ACTIVE = "active"
    AMENDING = "amending"
    CANCELLING = "cancelling"
    UNKNOWN = "unknown"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    FAILED = "failed"

    def __init__(self, word: str) -> None:
        self.terminal = word in _ENDED


_LIVE = (OrderState.ACTIVE, OrderState.AMENDING, OrderState.CANCELLING, OrderState.UNKNOWN)
_ENDS = (OrderState.FILLED, OrderState.CANCELLED, OrderState.EXPIRED)
TERMINAL = frozenset(state for state in OrderState if state.terminal)

# From each state to those that may follow. `failed` means: certainly never at the venue, so only an order that was
# never seen there may fail. A terminal state absorbs. The diagram in the README is drawn from this table.
TRANSITIONS: dict[OrderState, frozenset[OrderState]] = {
    OrderState.PLACING: frozenset((*_LIVE, *_ENDS, OrderState.FAILED)),
    OrderState.ACTIVE: frozenset((OrderState.AMENDING, OrderState.CANCELLING, OrderState.UNKNOWN, *_ENDS)),
    OrderState.AMENDING: frozenset((OrderState.ACTIVE, OrderState.CANCELLING, OrderState.UNKNOWN, *_ENDS)),
    OrderState.CANCELLING: frozenset((OrderState.ACTIVE, OrderState.UNKNOWN, *_ENDS)),
    OrderState.UNKNOWN: frozenset((OrderState.ACTIVE, OrderState.CANCELLING, *_ENDS, OrderState.FAILED)),
    OrderState.FILLED: frozenset(),
    OrderState.CANCELLED: frozenset(),
    OrderState.EXPIRED: frozenset(),
    OrderState.FAILED: frozenset(),
}


class Fill(msgspec.Struct, frozen=True, rename="camel"):
    """One execution. (symbol, orderId, tradeId) names it once and for all (execution.md 11)."""

    symbol: str
    exchange_order_id: int
    trade_id: int
    side: Side
    price: Decimal
    quantity: Decimal
    commission: Decimal
    commission_asset: str
    maker: bool
    time: int
    realized: Decimal = ZERO


class Order(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The record `pms:order:{clientOrderId}`.

    `filled_qty`, `quote_filled` and `commission` are sums over booked trades (`trade_ids`); `venue_filled` is the
    largest cumulative quantity the venue has told. Where the venue says more than is booked, trades are missing: the
    order stays live with `venue_end` set until they are booked, so that no terminal state comes before its fills (law
    3). `next_price`/`next_quantity` are those of an amend in flight. `cancel_wanted`: it is to leave the market as soon
    as its state allows. `request_id` is the command that placed it, `changed_by` the newest one that amended or
    cancelled it. `reduce_only` is what the order is to its sub-account; `flagged`: it stands under the venue's flag of
    that name, which is about the account's net (execution.md 14). Orders of one `alternatives` close the same quantity.

    A conditional order waits at the venue for `trigger_price` (by `working_type`) under the venue's `algo_id`. When
    that is reached it is an ordinary order with the same client id: `triggered_at` is set, its type is what it became.
    """

    client_order_id: str
    sub_account_id: str
    symbol: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal
    price: Decimal
    reduce_only: bool
    state: OrderState
    origin: Origin
    parent_id: str
    root_id: str
    created_at: int
    updated_at: int
    request_id: str = ""
    leverage: int = 1
    exchange_order_id: int = 0
    filled_qty: Decimal = ZERO
    quote_filled: Decimal = ZERO
    avg_fill_price: Decimal = ZERO
    last_fill_qty: Decimal = ZERO
    last_fill_price: Decimal = ZERO
    trade_id: int = 0
    commission: Decimal = ZERO
    commission_asset: str = ""
    maker: bool = False
    reason: str = ""
    venue_filled: Decimal = ZERO
    venue_time: int = 0
    venue_end: OrderState | None = None
    next_price: Decimal | None = None
    next_quantity: Decimal | None = None
    trade_ids: tuple[int, ...] = ()
    cancel_wanted: bool = False
    changed_by: str = ""
    flagged: bool = False
    alternatives: str = ""
    trigger_price: Decimal = ZERO
    working_type: WorkingType = "MARK_PRICE"
    triggered_at: int = 0
    algo_id: int = 0

    @property
    def waiting(self) -> bool:
        """It waits for its price, or is about to: nothing of it stands in a book."""
        return bool(self.trigger_price) and not self.triggered_at and not self.state.terminal

    @property
    def immediate(self) -> bool:
        """It never waits at the venue."""
        return self.order_type == "MARKET" or self.time_in_force in ("IOC", "FOK")

    @property
    def remaining(self) -> Decimal:
        """What the order may still fill, as far as anybody has told."""
        return self.quantity - max(self.filled_qty, self.venue_filled)
