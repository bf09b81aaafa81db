"""What a sub-account holds: its virtual book and its risk record (contract.md, "State keys").

Refuses to know how they change. Times are Unix ms; amounts are in USDT unless the name says otherwise.
"""

from __future__ import annotations

from decimal import Decimal

from schemas.market import ZERO, PositionSide
from schemas.orders import Order
from schemas.records import Part, Record


class Held(Part, frozen=True):
    """A signed quantity held just before a whole hour, and as which position; "" where that is not known."""

    time: int
    quantity: Decimal
    position_id: str = ""


class Position(Record, frozen=True, kw_only=True):
    """One symbol in a sub-account's virtual book: `pms:position:{acct}`, field = symbol.

    `quantity` is positive, `signed_quantity` carries the direction, `number` counts the openings of this symbol
    (execution.md 11) and outlives a flat position, as `realized_pnl` and `fees`, the sums of this opening, do until
    the next. Flat: quantity 0. `hours`: what it held at the whole hours it crossed whose funding is not booked yet
    (pms.core.funding).
    """

    position_id: str
    sub_account_id: str
    symbol: str
    side: PositionSide
    entry_price: Decimal
    quantity: Decimal
    signed_quantity: Decimal
    number: int
    notional: Decimal = ZERO
    margin: Decimal = ZERO
    leverage: int = 1
    liquidation_price: Decimal = ZERO
    unrealized_pnl: Decimal = ZERO
    pnl_percent: Decimal = ZERO
    mark_price: Decimal = ZERO
    realized_pnl: Decimal = ZERO
    fees: Decimal = ZERO
    opened_at: int = 0
    updated_at: int = 0
    hours: tuple[Held, ...] = ()


class RiskPosition(Part, frozen=True, kw_only=True):
    """A position as the risk record shows it."""

    id: str
    symbol: str
    side: PositionSide
    entry_price: Decimal
    quantity: Decimal
    notional: Decimal
    margin: Decimal
    leverage: int
    liquidation_price: Decimal
    unrealized_pnl: Decimal
    pnl_percent: Decimal
    mark_price: Decimal
    opened_at: int


class Risk(Record, frozen=True, kw_only=True):
    """`pms:risk:{acct}`. `day` is the Unix ms at which the UTC day began, `day_equity` what the sub-account was worth
    then, `peak_equity` the most it was ever worth: daily loss and drawdown are measured from them."""

    balance: Decimal
    equity: Decimal
    margin_used: Decimal
    available_margin: Decimal
    day: int = 0
    day_equity: Decimal = ZERO
    peak_equity: Decimal = ZERO
    positions: tuple[RiskPosition, ...] = ()
    open_orders: tuple[Order, ...] = ()
    timestamp: int
