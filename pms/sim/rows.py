"""The JSON rows of REST answers: exchange values in, the venue's keys and padded numbers out (binance.md 3.3, 3.5).

Owns the shapes. Refuses to know requests. Since 2026-06 the answers of placing, amending and cancelling have no
`avgPrice` and no `cumQuote`; those of looking up have both and no `cumQty`.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from pms.sim.model import Order, PositionSide, Rules, Touch, Trade
from pms.sim.numbers import padded, trimmed
from pms.sim.views import AccountView, Bracket, Income, Kline, PositionView

Row = dict[str, object]
MONEY = 8  # decimals of account money
ALIAS = "SimA"


def answer(order: Order, rules: Rules, acknowledged: bool = False) -> Row:
    """The answer of POST, PUT and DELETE order. `acknowledged`: newOrderRespType ACK, the state before matching."""
    filled = padded(Decimal(0) if acknowledged else order.filled, rules.quantity_precision)
    return {
        "orderId": order.order_id,
        "symbol": order.symbol,
        "status": "NEW" if acknowledged else order.status,
        "clientOrderId": order.client_id,
        "price": padded(order.price, rules.price_precision),
        "origQty": padded(order.quantity, rules.quantity_precision),
        "executedQty": filled,
        "cumQty": filled,
        **_flags(order, rules),
        "updateTime": order.updated_at,
    }


def found(order: Order, rules: Rules) -> Row:
    """The row of GET order, openOrders and allOrders."""
    places = rules.price_precision + rules.quantity_precision  # as many as a fill's notional can have
    return {
        "orderId": order.order_id,
        "symbol": order.symbol,
        "status": order.status,
        "clientOrderId": order.client_id,
        "price": padded(order.price, rules.price_precision),
        "avgPrice": padded(order.average, places),
        "origQty": padded(order.quantity, rules.quantity_precision),
        "executedQty": padded(order.filled, rules.quantity_precision),
        "cumQuote": padded(order.quote_filled, places),
        **_flags(order, rules),
        "time": order.created_at,
        "updateTime": order.updated_at,
    }


def historic(order: Order, rules: Rules) -> Row:
    """The row of GET allOrders."""
    return {**found(order, rules), "cumBase": "0", "pair": order.symbol}


def _flags(order: Order, rules: Rules) -> Row:
    return {
        "timeInForce": order.time_in_force,
        "type": order.type,
        "reduceOnly": order.reduce_only,
        "closePosition": False,
        "side": order.side,
        "positionSide": "BOTH",
        "stopPrice": padded(Decimal(0), rules.price_precision),
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": order.type,
        "priceMatch": order.price_match,
        "selfTradePreventionMode": order.stp,
        "goodTillDate": order.good_till,
    }


def trade(fill: Trade, rules: Rules) -> Row:
    """A userTrades row; `id` equals `t` of the stream."""
    return {
        "symbol": fill.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "pair": fill.symbol,
        "side": fill.side,
        "price": padded(fill.price, rules.price_precision),
        "qty": padded(fill.quantity, rules.quantity_precision),
        "realizedPnl": padded(fill.realized, MONEY),
        "quoteQty": padded(fill.price * fill.quantity, rules.price_precision + rules.quantity_precision),
        "commission": padded(fill.commission, MONEY),
        "commissionAsset": fill.commission_asset,
        "time": fill.time,
        "buyer": fill.side == "BUY",
        "maker": fill.maker,
        "positionSide": "BOTH",
        "baseQty": "0",
        "marginAsset": rules.quote,
    }


def position(view: PositionView, rules: Rules, side: PositionSide = "BOTH") -> Row:
    """A positionRisk v3 row."""
    return {
        "symbol": view.symbol,
        "positionSide": side,
        "positionAmt": padded(view.amount, rules.quantity_precision),
        "entryPrice": trimmed(view.entry_price),
        "breakEvenPrice": trimmed(view.break_even_price),
        "markPrice": padded(view.mark_price, MONEY),
        "unRealizedProfit": padded(view.unrealized, MONEY),
        "liquidationPrice": trimmed(view.liquidation_price),
        "isolatedMargin": trimmed(
            view.isolated_wallet + view.unrealized if view.margin_type == "isolated" else Decimal(0)
        ),
        "notional": padded(view.notional, MONEY),
        "marginAsset": rules.quote,
        "isolatedWallet": trimmed(view.isolated_wallet),
        "initialMargin": padded(view.initial_margin, MONEY),
        "maintMargin": padded(view.maint_margin, MONEY),
        "positionInitialMargin": padded(view.position_initial_margin, MONEY),
        "openOrderInitialMargin": padded(view.open_order_initial_margin, MONEY),
        "adl": _adl(view),
        "bidNotional": trimmed(view.bid_notional),
        "askNotional": trimmed(view.ask_notional),
        "updateTime": view.update_time,
    }


def _adl(view: PositionView) -> int:
    """The place in the queue for deleveraging, 0 to 4. Nobody is ranked here: a script names who it meets."""
    return 2 if view.amount else 0


def adl_quantile(view: PositionView, dual: bool) -> Row:
    """An adlQuantile row; in hedge mode with cross margin HEDGE stands in place of BOTH, as a sign only."""
    if dual and view.margin_type == "cross":
        return {"symbol": view.symbol, "adlQuantile": {"LONG": _adl(view), "SHORT": _adl(view), "HEDGE": 0}}
    return {"symbol": view.symbol, "adlQuantile": {"LONG": 0, "SHORT": 0, "BOTH": _adl(view)}}


def position_v2(view: PositionView, rules: Rules, side: PositionSide = "BOTH") -> Row:
    """A positionRisk v2 row: with leverage and margin type, `isAutoAddMargin` a text."""
    return {
        **position(view, rules, side),
        "leverage": str(view.leverage),
        "marginType": view.margin_type,
        "maxNotionalValue": trimmed(view.max_notional),
        "isAutoAddMargin": "false",
    }


def account_position(view: PositionView, rules: Rules, side: PositionSide = "BOTH") -> Row:
    """A row of `positions` in GET account."""
    risk = position(view, rules, side)
    kept = ("symbol", "positionSide", "positionAmt", "isolatedMargin", "notional", "isolatedWallet", "initialMargin")
    row = {name: risk[name] for name in kept}
    return {
        **row,
        "unrealizedProfit": risk["unRealizedProfit"],
        "maintMargin": risk["maintMargin"],
        "updateTime": view.update_time,
    }


def account(view: AccountView) -> Row:
    """The totals of GET account v3."""
    return {
        "totalInitialMargin": padded(view.initial_margin, MONEY),
        "totalMaintMargin": padded(view.maint_margin, MONEY),
        "totalWalletBalance": padded(view.wallet, MONEY),
        "totalUnrealizedProfit": padded(view.unrealized, MONEY),
        "totalMarginBalance": padded(view.margin_balance, MONEY),
        "totalPositionInitialMargin": padded(view.position_initial_margin, MONEY),
        "totalOpenOrderInitialMargin": padded(view.open_order_initial_margin, MONEY),
        "totalCrossWalletBalance": padded(view.cross_wallet, MONEY),
        "totalCrossUnPnl": padded(view.cross_unrealized, MONEY),
        "availableBalance": padded(view.available, MONEY),
        "maxWithdrawAmount": padded(view.available, MONEY),
        "assets": [_asset(view)],
    }


def _asset(view: AccountView) -> Row:
    return {
        "asset": view.asset,
        "walletBalance": padded(view.wallet, MONEY),
        "unrealizedProfit": padded(view.unrealized, MONEY),
        "marginBalance": padded(view.margin_balance, MONEY),
        "maintMargin": padded(view.maint_margin, MONEY),
        "initialMargin": padded(view.initial_margin, MONEY),
        "positionInitialMargin": padded(view.position_initial_margin, MONEY),
        "openOrderInitialMargin": padded(view.open_order_initial_margin, MONEY),
        "crossWalletBalance": padded(view.cross_wallet, MONEY),
        "crossUnPnl": padded(view.cross_unrealized, MONEY),
        "availableBalance": padded(view.available, MONEY),
        "maxWithdrawAmount": padded(view.available, MONEY),
        "updateTime": view.update_time,
    }


def balance(view: AccountView) -> Row:
    """A balance row, the same in v2 and v3."""
    return {
        "accountAlias": ALIAS,
        "asset": view.asset,
        "balance": padded(view.wallet, MONEY),
        "crossWalletBalance": padded(view.cross_wallet, MONEY),
        "crossUnPnl": padded(view.cross_unrealized, MONEY),
        "availableBalance": padded(view.available, MONEY),
        "maxWithdrawAmount": padded(view.available, MONEY),
        "marginAvailable": True,
        "updateTime": view.update_time,
    }


def bracket(row: Bracket) -> Row:
    """One leverage bracket: real JSON numbers here, written from the exact decimals."""
    return {
        "bracket": row.bracket,
        "initialLeverage": row.initial_leverage,
        "notionalCap": _number(row.notional_cap),
        "notionalFloor": _number(row.notional_floor),
        "maintMarginRatio": _number(row.maint_ratio),
        "cum": _number(row.cum),
    }


def _number(value: Decimal) -> msgspec.Raw:
    return msgspec.Raw(trimmed(value).encode())


def income(row: Income) -> Row:
    """An income row."""
    return {
        "symbol": row.symbol,
        "incomeType": row.income_type,
        "income": padded(row.income, MONEY),
        "asset": row.asset,
        "info": str(row.trade_id),
        "time": row.time,
        "tranId": row.tran_id,
        "tradeId": str(row.trade_id),
    }


def kline(candle: Kline, rules: Rules) -> list[object]:
    """A klines row."""
    places, money = rules.price_precision, rules.price_precision + rules.quantity_precision
    return [
        candle.open_time,
        padded(candle.open, places),
        padded(candle.high, places),
        padded(candle.low, places),
        padded(candle.close, places),
        padded(candle.volume, rules.quantity_precision),
        candle.close_time,
        padded(candle.quote_volume, money),
        candle.trades,
        padded(candle.taker_base, rules.quantity_precision),
        padded(candle.taker_quote, money),
        "0",
    ]


def book_ticker(touch: Touch, rules: Rules) -> Row:
    """A ticker/bookTicker row."""
    return {
        "symbol": touch.symbol,
        "bidPrice": padded(touch.bid, rules.price_precision),
        "bidQty": padded(touch.bid_qty, rules.quantity_precision),
        "askPrice": padded(touch.ask, rules.price_precision),
        "askQty": padded(touch.ask_qty, rules.quantity_precision),
        "time": touch.time,
        "lastUpdateId": touch.update_id,
    }
