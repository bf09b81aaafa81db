"""The venue's REST answers as values of the venue port (binance.md 3). Pure; `pms.binance.events` reads the stream.

Unknown fields are ignored, and numbers are taken trimmed or padded, as text or as JSON numbers: each channel writes
them its own way. Refuses to know requests and sockets. What does not decode raises `msgspec.MsgspecError`.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from pms.binance.events import STATUS
from pms.binance.modes import HEDGE, MULTI_ASSETS
from pms.notices import Unserved
from schemas.ids import record_name
from schemas.market import ZERO, Instrument, Side
from schemas.orders import Cause, Fill
from schemas.reports import Report, VenuePosition, VenueStatus

MARGIN_ASSET = "USDT"  # others are not supported (execution.md 17)


class _OrderRow(msgspec.Struct, rename="camel"):
    """An order in a REST answer. `avg_price` is missing where the order was placed, amended or cancelled."""

    order_id: int
    symbol: str
    status: str
    client_order_id: str
    side: Side
    price: Decimal
    orig_qty: Decimal
    executed_qty: Decimal
    type: str
    update_time: int
    time_in_force: str = "GTC"
    reduce_only: bool = False
    avg_price: Decimal | None = None
    time: int = 0


class _TradeRow(msgspec.Struct, rename="camel"):
    """A row of userTrades."""

    symbol: str
    id: int
    order_id: int
    side: Side
    price: Decimal
    qty: Decimal
    commission: Decimal
    commission_asset: str
    time: int
    maker: bool
    realized_pnl: Decimal = ZERO


class _PositionRow(msgspec.Struct, rename="camel"):
    symbol: str
    position_amt: Decimal
    entry_price: Decimal
    update_time: int = 0
    position_side: str = "BOTH"
    mark_price: Decimal = ZERO


class _BalanceRow(msgspec.Struct, rename="camel"):
    asset: str
    balance: Decimal


class _Filter(msgspec.Struct, rename="camel"):
    filter_type: str
    tick_size: Decimal = ZERO
    min_price: Decimal = ZERO
    max_price: Decimal = ZERO
    step_size: Decimal = ZERO
    min_qty: Decimal = ZERO
    max_qty: Decimal = ZERO
    notional: Decimal = ZERO
    multiplier_up: Decimal = ZERO
    multiplier_down: Decimal = ZERO
    limit: int = 200


class _SymbolRow(msgspec.Struct, rename="camel"):
    symbol: str
    status: str
    filters: list[_Filter]
    margin_asset: str = ""


class _ExchangeInfo(msgspec.Struct):
    symbols: list[_SymbolRow]


class _Time(msgspec.Struct, rename="camel"):
    server_time: int


class _ListenKey(msgspec.Struct, rename="camel"):
    listen_key: str


class _RenewedKey(msgspec.Struct, rename="camel"):
    listen_key: str = ""


class _AccountConfig(msgspec.Struct, rename="camel"):
    dual_side_position: bool
    multi_assets_margin: bool


class _AccountMargin(msgspec.Struct, rename="camel"):
    total_maint_margin: Decimal
    total_margin_balance: Decimal


_order = msgspec.json.Decoder(_OrderRow).decode
_rows = msgspec.json.Decoder(list[msgspec.Raw]).decode
_orders = msgspec.json.Decoder(list[_OrderRow]).decode
_trades = msgspec.json.Decoder(list[_TradeRow]).decode
_positions = msgspec.json.Decoder(list[_PositionRow]).decode
_balances = msgspec.json.Decoder(list[_BalanceRow]).decode
_exchange_info = msgspec.json.Decoder(_ExchangeInfo).decode
_time = msgspec.json.Decoder(_Time).decode
_listen_key = msgspec.json.Decoder(_ListenKey).decode
_renewed_key = msgspec.json.Decoder(_RenewedKey).decode
_account_config = msgspec.json.Decoder(_AccountConfig).decode
_account_margin = msgspec.json.Decoder(_AccountMargin).decode


def order(body: bytes) -> Report:
    """The answer to placing, amending, cancelling or looking up one order."""
    return _report(_order(body))


def orders(body: bytes) -> list[Report]:
    return [_report(row) for row in _orders(body)]


def rows(body: bytes) -> list[bytes]:
    """The elements of an answer to a batch, each as it would have been answered alone: an order or an error."""
    return [bytes(row) for row in _rows(body)]


def trades(body: bytes) -> list[Fill]:
    return [
        Fill(
            symbol=row.symbol,
            exchange_order_id=row.order_id,
            trade_id=row.id,
            side=row.side,
            price=row.price,
            quantity=row.qty,
            commission=row.commission,
            commission_asset=row.commission_asset,
            maker=row.maker,
            time=row.time,
            realized=row.realized_pnl,
        )
        for row in _trades(body)
    ]


def positions(body: bytes) -> list[VenuePosition]:
    """Net positions. Rows of hedge mode are left out: such an account is refused at start (execution.md 17)."""
    return [
        VenuePosition(row.symbol, row.position_amt, row.entry_price, row.update_time, row.mark_price)
        for row in _positions(body)
        if row.position_side == "BOTH"
    ]


def wallet(body: bytes) -> dict[str, Decimal]:
    return {row.asset: row.balance for row in _balances(body)}


def instruments(body: bytes) -> dict[str, Instrument]:
    """Trading rules by symbol, USDT-margined ones with all their filters (the others could not be traded by them)."""
    read = (_instrument(row) for row in _exchange_info(body).symbols if row.margin_asset in ("", MARGIN_ASSET))
    return {rules.symbol: rules for rules in read if rules is not None}


def server_time(body: bytes) -> int:
    return _time(body).server_time


def listen_key(body: bytes) -> str:
    return _listen_key(body).listen_key


def renewed_key(body: bytes) -> str:
    """The key that a PUT has prolonged; empty where the answer does not name it."""
    return _renewed_key(body).listen_key


def account_margin(body: bytes) -> tuple[Decimal, Decimal]:
    """Maintenance margin and margin balance of `GET account`."""
    row = _account_margin(body)
    return row.total_maint_margin, row.total_margin_balance


def unserved_modes(body: bytes) -> tuple[Unserved, ...]:
    """What of `GET accountConfig` we can't serve."""
    row = _account_config(body)
    switches = ((row.dual_side_position, HEDGE), (row.multi_assets_margin, MULTI_ASSETS))
    return tuple(mode for on, mode in switches if on)


def _report(row: _OrderRow) -> Report:
    return Report(
        client_id=record_name(row.client_order_id, row.order_id),
        order_id=row.order_id,
        symbol=row.symbol,
        side=row.side,
        status=STATUS.get(row.status, VenueStatus.OPEN),
        order_type=row.type,
        time_in_force=row.time_in_force,
        price=row.price,
        quantity=row.orig_qty,
        filled=row.executed_qty,
        reduce_only=row.reduce_only,
        time=row.update_time,
        average=row.avg_price,
        cause=Cause.SELF_TRADE if row.status == "EXPIRED_IN_MATCH" else Cause.NONE,
        created_at=row.time,
    )


def _instrument(row: _SymbolRow) -> Instrument | None:
    """None where a filter is missing that every tradable symbol has."""
    filters = {rule.filter_type: rule for rule in row.filters}
    price, lot, band = (filters.get(name) for name in ("PRICE_FILTER", "LOT_SIZE", "PERCENT_PRICE"))
    if price is None or lot is None or band is None or not price.tick_size or not lot.step_size:
        return None
    least, count, market = (filters.get(name) for name in ("MIN_NOTIONAL", "MAX_NUM_ORDERS", "MARKET_LOT_SIZE"))
    return Instrument(
        symbol=row.symbol,
        tick=price.tick_size,
        step=lot.step_size,
        min_qty=lot.min_qty,
        max_qty=lot.max_qty,
        min_notional=least.notional if least else ZERO,
        min_price=price.min_price,
        max_price=price.max_price,
        multiplier_up=band.multiplier_up,
        multiplier_down=band.multiplier_down,
        max_orders=count.limit if count else 200,
        market_max_qty=market.max_qty if market else lot.max_qty,
        trading=row.status == "TRADING",
    )
