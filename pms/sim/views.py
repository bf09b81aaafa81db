"""What the exchange answers when asked: the book, candles, account and position numbers, as frozen values.

Owns shapes only; `exchange` fills them and the wire writes them as JSON. Prices, quantities and money are exact
`Decimal`s; times are integer Unix milliseconds.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

PriceLevel = tuple[Decimal, Decimal]  # price, total quantity


class Depth(msgspec.Struct, frozen=True):
    """`GET /fapi/v1/depth`: best price first on both sides, own orders inside. `engine_time` is the last change's."""

    symbol: str
    last_id: int
    time: int
    engine_time: int
    bids: tuple[PriceLevel, ...]
    asks: tuple[PriceLevel, ...]


class Kline(msgspec.Struct, frozen=True):
    """A one-minute candle built from the tape. `first_id` and `last_id` are trade ids."""

    open_time: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    close_time: int
    quote_volume: Decimal
    trades: int
    taker_base: Decimal
    taker_quote: Decimal
    first_id: int
    last_id: int


class AggTrade(msgspec.Struct, frozen=True):
    """Prints of one aggressor side at one price within 100 ms (binance.md 6.2)."""

    agg_id: int
    symbol: str
    price: Decimal
    quantity: Decimal
    first_id: int
    last_id: int
    time: int
    buyer_is_maker: bool


class PositionView(msgspec.Struct, frozen=True):
    """One symbol's one-way position with every number that `positionRisk` and `account` need. Money is in USDT."""

    symbol: str
    amount: Decimal
    entry_price: Decimal
    break_even_price: Decimal
    mark_price: Decimal
    unrealized: Decimal
    liquidation_price: Decimal
    isolated_wallet: Decimal
    notional: Decimal
    initial_margin: Decimal
    maint_margin: Decimal
    position_initial_margin: Decimal
    open_order_initial_margin: Decimal
    bid_notional: Decimal
    ask_notional: Decimal
    leverage: int
    margin_type: Literal["cross", "isolated"]
    max_notional: Decimal
    open_orders: int
    update_time: int


class AccountView(msgspec.Struct, frozen=True):
    """The account's one asset (USDT). Totals of `GET /account` equal these, as there is no second asset."""

    asset: str
    wallet: Decimal
    unrealized: Decimal
    margin_balance: Decimal
    maint_margin: Decimal
    initial_margin: Decimal
    position_initial_margin: Decimal
    open_order_initial_margin: Decimal
    cross_wallet: Decimal
    cross_unrealized: Decimal
    available: Decimal
    update_time: int


class Bracket(msgspec.Struct, frozen=True):
    """One row of `leverageBracket` (binance.md 3.5): notional range, highest leverage, maintenance ratio and offset."""

    bracket: int
    initial_leverage: int
    notional_floor: Decimal
    notional_cap: Decimal
    maint_ratio: Decimal
    cum: Decimal


IncomeType = Literal["REALIZED_PNL", "COMMISSION", "FUNDING_FEE", "TRANSFER", "INSURANCE_CLEAR"]


class Income(msgspec.Struct, frozen=True):
    """One row of `GET /income`. `trade_id` 0: it belongs to no trade."""

    symbol: str
    income_type: IncomeType
    income: Decimal
    asset: str
    trade_id: int
    time: int
    tran_id: int
