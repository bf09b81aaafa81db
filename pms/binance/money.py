"""REST answers about money and prices as values of the venue port: income, funding, leverage brackets, mark price,
candles (binance.md 3.2, 3.5). Pure.

Refuses to know requests. What does not decode raises `msgspec.MsgspecError`.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from pms.core.margin import Bracket, Brackets
from schemas.market import Candle
from schemas.reports import FundingRate, Income, IncomeKind

_KINDS = {
    "REALIZED_PNL": IncomeKind.TRADE,
    "COMMISSION": IncomeKind.TRADE,
    "FUNDING_FEE": IncomeKind.FUNDING,
}  # everything else moves the wallet by itself


class _IncomeRow(msgspec.Struct, rename="camel"):
    income_type: str
    income: Decimal
    asset: str
    time: int
    tran_id: int
    symbol: str = ""


class _FundingRow(msgspec.Struct, rename="camel"):
    symbol: str
    funding_rate: Decimal
    funding_time: int
    mark_price: str = ""


class _BracketRow(msgspec.Struct, rename="camel"):
    initial_leverage: int
    notional_cap: Decimal
    notional_floor: Decimal
    maint_margin_ratio: Decimal
    cum: Decimal


class _SymbolBrackets(msgspec.Struct):
    symbol: str
    brackets: list[_BracketRow]


class _SymbolConfig(msgspec.Struct):
    leverage: int


class _Premium(msgspec.Struct, rename="camel"):
    mark_price: Decimal


class _CandleRow(msgspec.Struct, array_like=True):
    open_time: int
    open: Decimal
    high: Decimal
    low: Decimal


_income = msgspec.json.Decoder(list[_IncomeRow]).decode
_funding = msgspec.json.Decoder(list[_FundingRow]).decode
_brackets = msgspec.json.Decoder(list[_SymbolBrackets]).decode
_symbol_config = msgspec.json.Decoder(list[_SymbolConfig]).decode
_premium = msgspec.json.Decoder(_Premium).decode
_candles = msgspec.json.Decoder(list[_CandleRow]).decode


def income(body: bytes) -> list[Income]:
    return [
        Income(
            symbol=row.symbol,
            kind=_KINDS.get(row.income_type, IncomeKind.OTHER),
            amount=row.income,
            asset=row.asset,
            time=row.time,
            number=row.tran_id,
            about=row.income_type,
        )
        for row in _income(body)
    ]


def funding(body: bytes) -> list[FundingRate]:
    """Rows without a mark price (years old) can't be reckoned with and are left out."""
    return [
        FundingRate(row.symbol, row.funding_time, row.funding_rate, Decimal(row.mark_price))
        for row in _funding(body)
        if row.mark_price
    ]


def brackets(body: bytes) -> dict[str, Brackets]:
    """Every symbol's table, smallest notional first."""
    return {
        table.symbol: tuple(
            Bracket(row.notional_floor, row.notional_cap, row.initial_leverage, row.maint_margin_ratio, row.cum)
            for row in sorted(table.brackets, key=lambda row: row.notional_cap)
        )
        for table in _brackets(body)
    }


def leverage(body: bytes) -> int:
    """Of the one symbol that was asked for."""
    (row,) = _symbol_config(body)
    return row.leverage


def mark(body: bytes) -> Decimal:
    return _premium(body).mark_price


def candles(body: bytes) -> list[Candle]:
    return [Candle(row.open_time, row.high, row.low) for row in _candles(body)]
