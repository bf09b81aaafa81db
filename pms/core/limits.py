"""What a sub-account may do: the part of the risk gate that looks at accounts (`pms.core.risk` looks at the market).

Pure: the order and the account's numbers come in, a refusal with its code, the limit and the value comes out. It is
asked for what adds risk only: an order that merely reduces, and an order that makes nothing larger than it is, is
refused by none of these. Limits: contract.md, `limits_put`. Amounts are in USDT.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from schemas.errors import ErrorCode
from schemas.market import Side
from schemas.records import Limits

TAKER_FEE = Decimal("0.0005")  # the venue's highest ordinary rate: the fee of an order counts as spent
HUNDRED = Decimal(100)

# What a new sub-account may do until somebody says otherwise. `max_position` is one symbol's value, not its quantity.
PAPER = Limits(
    max_order_notional=Decimal(1_000_000),
    max_total_notional=Decimal(5_000_000),
    max_position=Decimal(2_000_000),
    max_open_orders=1000,
    max_leverage=50,
    max_daily_loss=Decimal(5_000),
    max_drawdown_pct=Decimal(50),
    max_orders_per_minute=1200,
    price_collar_pct=Decimal(5),
)
LIVE = Limits(
    max_order_notional=Decimal(5_000),
    max_total_notional=Decimal(25_000),
    max_position=Decimal(10_000),
    max_open_orders=50,
    max_leverage=5,
    max_daily_loss=Decimal(500),
    max_drawdown_pct=Decimal(20),
    max_orders_per_minute=120,
    price_collar_pct=Decimal(2),
)


class Intent(msgspec.Struct, frozen=True):
    """What an order would add: its price, 0 at the market; the quantity by which it is larger than what rests already
    (an amend that does not grow adds none). `new` is False for an amend, `beside` then what the order had before;
    an algo paces itself when it is refused (law 7)."""

    symbol: str
    side: Side
    price: Decimal
    quantity: Decimal
    leverage: int
    new: bool = True
    by_algo: bool = False
    beside: Decimal = Decimal(0)


class Account(msgspec.Struct, frozen=True):
    """A sub-account's numbers as the gate needs them, this order not in them. `stopped` says why nothing that adds may
    leave (its code, its words), `mid` and `reference` are the symbol's prices (0: unknown), quantities are the
    symbol's, notional and margin are of all the other symbols."""

    limits: Limits
    stopped: tuple[ErrorCode, str] | None
    equity: Decimal
    mid: Decimal
    reference: Decimal
    held: Decimal
    bids: Decimal
    asks: Decimal
    leverage: int
    other_notional: Decimal
    other_margin: Decimal
    open_orders: int
    placed_last_minute: int
    opposed: bool = False


class Refusal(msgspec.Struct, frozen=True):
    """Why not, with the numbers."""

    code: ErrorCode
    message: str
    limit: str
    value: str


class Bill(msgspec.Struct, frozen=True):
    """What an order would come to: its value, the symbol's position at worst, the whole exposure, and the margin that
    all of it takes, against the equity there is."""

    notional: Decimal
    position: Decimal
    exposure: Decimal
    margin: Decimal
    equity: Decimal

    @property
    def available(self) -> Decimal:
        return self.equity - self.margin


class Weight(msgspec.Struct, frozen=True):
    """What somebody needs to know of an order before it is sent, in the gate's own numbers: its value, the margin that
    it takes beside all that is there and the margin that is free for it, the exposure with it. The gate refuses where
    more is required than available."""

    notional: Decimal
    required: Decimal
    available: Decimal
    exposure: Decimal
    equity: Decimal


def weigh(intent: Intent, account: Account) -> Weight:
    """The weight of an order that adds."""
    before, after = _standing(account), bill(intent, account)
    return Weight(after.notional, after.margin - before.margin, before.available, after.exposure, after.equity)


def weigh_exit(notional: Decimal, account: Account) -> Weight:
    """The weight of an order that only reduces: it takes nothing."""
    before = _standing(account)
    return Weight(notional, Decimal(0), before.available, before.exposure, before.equity)


def together(weights: Sequence[Weight]) -> Weight:
    """Of several orders, each weighed with those before it in place: required is the most that it comes to."""
    first, last = weights[0], weights[-1]
    notional = sum((weight.notional for weight in weights), Decimal(0))
    required = max(weight.required + first.available - weight.available for weight in weights)
    return Weight(notional, required, first.available, last.exposure, first.equity)


def _standing(account: Account) -> Bill:
    """The bill of what is there."""
    position = max(account.held + account.bids, account.asks - account.held) * account.reference
    margin = account.other_margin + position / account.leverage
    return Bill(Decimal(0), position, account.other_notional + position, margin, account.equity)


def bill(intent: Intent, account: Account) -> Bill:
    """The numbers of an order that is placed beside all that is there."""
    return _bill(intent, account, _worst(intent, account))


def _bill(intent: Intent, account: Account, worst: Decimal) -> Bill:
    price = account.reference or intent.price
    notional = (intent.beside + intent.quantity) * (intent.price or price)
    position = worst * price
    leverage = min(intent.leverage, account.leverage) if account.held else intent.leverage
    margin = account.other_margin + position / leverage + notional * TAKER_FEE
    return Bill(notional, position, account.other_notional + position, margin, account.equity)


def _worst(intent: Intent, account: Account) -> Decimal:
    if intent.side is Side.BUY:
        return max(account.held + account.bids + intent.quantity, account.asks - account.held)
    return max(account.asks - account.held + intent.quantity, account.held + account.bids)


def refusal(intent: Intent, account: Account) -> Refusal | None:
    """Which limit an order that adds risk would break; None where it breaks none."""
    if (found := _collar(intent, account)) is not None:
        return found
    if not intent.new and not intent.quantity:
        return None
    return _of_order(intent, account) or _of_account(intent, account)


def _collar(intent: Intent, account: Account) -> Refusal | None:
    """A price that would take far beyond mid is a mistake; a passive one far away is none."""
    percent = account.limits.price_collar_pct
    if percent is None or not account.mid or not intent.price:
        return None
    bound = account.mid * (1 + intent.side.sign * percent / HUNDRED)
    if (intent.price - bound) * intent.side.sign <= 0:
        return None
    message = f"the price is more than {percent} % beyond mid"
    return Refusal(ErrorCode.PRICE_COLLAR, message, str(bound), str(intent.price))


def _of_order(intent: Intent, account: Account) -> Refusal | None:
    limits = account.limits
    if account.opposed:
        message = "another sub-account stands on the other side of the symbol, and PMS_OPPOSING refuses that"
        return Refusal(ErrorCode.OPPOSING_REFUSED, message, "one side", intent.side.value)
    if limits.max_leverage is not None and intent.leverage > limits.max_leverage:
        message = "a higher leverage than the sub-account may use"
        return Refusal(ErrorCode.MAX_LEVERAGE, message, str(limits.max_leverage), str(intent.leverage))
    if not intent.new:
        return None
    if limits.max_open_orders is not None and account.open_orders >= limits.max_open_orders:
        message = "the sub-account has as many live orders as it may have"
        return Refusal(ErrorCode.MAX_OPEN_ORDERS, message, str(limits.max_open_orders), str(account.open_orders))
    if limits.max_orders_per_minute is not None and account.placed_last_minute >= limits.max_orders_per_minute:
        limit, value = str(limits.max_orders_per_minute), str(account.placed_last_minute)
        return Refusal(
            ErrorCode.ORDER_RATE, "the sub-account has placed as many orders as a minute may have", limit, value
        )
    return None


def _of_account(intent: Intent, account: Account) -> Refusal | None:
    limits, worst = account.limits, _worst(intent, account)
    after = _bill(intent, account, worst)
    if limits.max_order_notional is not None and after.notional > limits.max_order_notional:
        message = "the order is worth more than one may be"
        return Refusal(ErrorCode.MAX_ORDER_NOTIONAL, message, str(limits.max_order_notional), str(after.notional))
    if worst <= max(account.held + account.bids, account.asks - account.held):
        return None  # whatever fills, nothing becomes larger than it may become already
    if limits.max_position is not None and after.position > limits.max_position:
        message = "the position could become larger than it may be"
        return Refusal(ErrorCode.MAX_POSITION, message, str(limits.max_position), str(after.position))
    if limits.max_total_notional is not None and after.exposure > limits.max_total_notional:
        message = "all positions together could become larger than they may be"
        return Refusal(ErrorCode.MAX_TOTAL_NOTIONAL, message, str(limits.max_total_notional), str(after.exposure))
    if after.margin > after.equity:
        message = f"it needs {after.margin:f} USDT of margin in all, the sub-account is worth {after.equity:f}"
        return Refusal(ErrorCode.INSUFFICIENT_MARGIN, message, str(after.equity), str(after.margin))
    return None
