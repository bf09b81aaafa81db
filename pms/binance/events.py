"""User data frames as values of the venue port (binance.md 7). Pure.

Fills are booked from ORDER_TRADE_UPDATE only; TRADE_LITE is a hint. Unknown client ids pass through: liquidations and
the app's orders are the account's business too. Frames may be bare or wrapped as {"stream", "data"}: `e` counts.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from pms.binance import conditional
from pms.binance.errors import EXPIRY_CAUSES
from pms.binance.modes import MULTI_ASSETS
from pms.notices import CalledPosition, LeverageSet, MarginCall, ModeSwitched, Notice
from pms.venue import AccountChange, FillHint
from schemas.ids import record_name
from schemas.market import ZERO, Side
from schemas.orders import Cause, Fill
from schemas.reports import Report, VenuePosition, VenueStatus

_field = msgspec.field

# A status that is in no table is an order that has not ended as far as we understand: an end is never invented.
STATUS = {
    "FILLED": VenueStatus.FILLED,
    "CANCELED": VenueStatus.CANCELLED,
    "EXPIRED": VenueStatus.EXPIRED,
    "EXPIRED_IN_MATCH": VenueStatus.EXPIRED,
    "REJECTED": VenueStatus.EXPIRED,
}


class KeyExpired(msgspec.Struct, frozen=True):
    """The listen key has ended; the socket stays open and silent (binance.md 7.1)."""


UserEvent = Report | AccountChange | FillHint | Notice | KeyExpired


class _Envelope(msgspec.Struct):
    """Any frame, just far enough to tell what it is."""

    event: str = _field(name="e", default="")
    data: msgspec.Raw = msgspec.Raw()


class _Order(msgspec.Struct):
    symbol: str = _field(name="s")
    client_id: str = _field(name="c")
    side: Side = _field(name="S")
    type: str = _field(name="o")
    quantity: Decimal = _field(name="q")
    price: Decimal = _field(name="p")
    execution: str = _field(name="x")
    status: str = _field(name="X")
    order_id: int = _field(name="i")
    filled: Decimal = _field(name="z")
    time: int = _field(name="T")
    time_in_force: str = _field(name="f", default="GTC")
    average: Decimal | None = _field(name="ap", default=None)
    last_quantity: Decimal = _field(name="l", default=ZERO)
    last_price: Decimal = _field(name="L", default=ZERO)
    commission: Decimal | None = _field(name="n", default=None)
    commission_asset: str | None = _field(name="N", default=None)
    trade_id: int = _field(name="t", default=0)
    maker: bool = _field(name="m", default=False)
    reduce_only: bool = _field(name="R", default=False)
    realized: Decimal = _field(name="rp", default=ZERO)
    expiry: str = _field(name="er", default="0")


class _OrderUpdate(msgspec.Struct):
    order: _Order = _field(name="o")


class _Balance(msgspec.Struct):
    asset: str = _field(name="a")
    wallet: Decimal = _field(name="wb")


class _Position(msgspec.Struct):
    symbol: str = _field(name="s")
    amount: Decimal = _field(name="pa")
    entry: Decimal = _field(name="ep")
    side: str = _field(name="ps", default="BOTH")


class _Account(msgspec.Struct):
    reason: str = _field(name="m")
    balances: list[_Balance] = _field(name="B", default_factory=list)
    positions: list[_Position] = _field(name="P", default_factory=list)


class _AccountUpdate(msgspec.Struct):
    time: int = _field(name="T")
    account: _Account = _field(name="a")


class _TradeLite(msgspec.Struct):
    symbol: str = _field(name="s")
    client_id: str = _field(name="c")
    order_id: int = _field(name="i")
    trade_id: int = _field(name="t")


class _Leverage(msgspec.Struct):
    symbol: str = _field(name="s")
    leverage: int = _field(name="l")


class _AssetMode(msgspec.Struct):
    multi_assets: bool = _field(name="j")


class _ConfigUpdate(msgspec.Struct):
    leverage: _Leverage | None = _field(name="ac", default=None)
    asset_mode: _AssetMode | None = _field(name="ai", default=None)


class _Called(msgspec.Struct):
    symbol: str = _field(name="s")
    amount: Decimal = _field(name="pa", default=ZERO)
    margin_type: str = _field(name="mt", default="")  # upper case here, unlike everywhere else
    isolated_wallet: Decimal = _field(name="iw", default=ZERO)
    unrealized: Decimal = _field(name="up", default=ZERO)
    maintenance: Decimal = _field(name="mm", default=ZERO)


class _MarginCall(msgspec.Struct):
    time: int = _field(name="E")
    cross_wallet: Decimal = _field(name="cw", default=ZERO)
    positions: list[_Called] = _field(name="p", default_factory=list)


_envelope = msgspec.json.Decoder(_Envelope).decode
_order_update = msgspec.json.Decoder(_OrderUpdate).decode
_account_update = msgspec.json.Decoder(_AccountUpdate).decode
_trade_lite = msgspec.json.Decoder(_TradeLite).decode
_config_update = msgspec.json.Decoder(_ConfigUpdate).decode
_margin_call = msgspec.json.Decoder(_MarginCall).decode


def decode(frame: bytes) -> UserEvent | None:
    """What a frame of the user stream tells; None for what is not ours (acknowledgements, strategies).

    Raises `msgspec.MsgspecError` where one of our events can't be read: something is missing from then on.
    """
    envelope = _envelope(frame)
    body: bytes | msgspec.Raw = frame
    if not envelope.event and bytes(envelope.data):
        body = envelope.data
        envelope = _envelope(body)
    match envelope.event:
        case "ORDER_TRADE_UPDATE":
            return _report(_order_update(body).order)
        case "ALGO_UPDATE":
            return conditional.told(body)
        case "ACCOUNT_UPDATE":
            return _change(_account_update(body))
        case "TRADE_LITE":
            lite = _trade_lite(body)
            return FillHint(lite.symbol, lite.client_id, lite.order_id, lite.trade_id)
        case "ACCOUNT_CONFIG_UPDATE":
            return _setting(_config_update(body))
        case "MARGIN_CALL":
            return _called(_margin_call(body))
        case "listenKeyExpired":
            return KeyExpired()
        case _:
            return None


def _report(order: _Order) -> Report:
    return Report(
        client_id=record_name(order.client_id, order.order_id),
        order_id=order.order_id,
        symbol=order.symbol,
        side=order.side,
        status=STATUS.get(order.status, VenueStatus.OPEN),
        order_type=order.type,
        time_in_force=order.time_in_force,
        price=order.price,
        quantity=order.quantity,
        filled=order.filled,
        reduce_only=order.reduce_only,
        time=order.time,
        average=order.average if order.filled else None,
        fill=_fill(order),
        amended=order.execution == "AMENDMENT",
        cause=_cause(order),
    )


def _fill(order: _Order) -> Fill | None:
    """The execution in an event: x = TRADE, or CALCULATED for liquidations and ADL (binance.md 7.6)."""
    if order.execution not in ("TRADE", "CALCULATED") or not order.trade_id or not order.last_quantity:
        return None
    return Fill(
        symbol=order.symbol,
        exchange_order_id=order.order_id,
        trade_id=order.trade_id,
        side=order.side,
        price=order.last_price,
        quantity=order.last_quantity,
        commission=order.commission or ZERO,
        commission_asset=order.commission_asset or "",
        maker=order.maker,
        time=order.time,
        realized=order.realized,
    )


def _cause(order: _Order) -> Cause:
    if order.status == "EXPIRED_IN_MATCH":
        return Cause.SELF_TRADE
    cause = EXPIRY_CAUSES.get(order.expiry, Cause.OTHER)
    if cause is Cause.NONE and order.status == "EXPIRED" and order.time_in_force == "GTX":
        return Cause.POST_ONLY  # the way a crossing post-only order was refused before 2022 (binance.md 4)
    return cause


def _change(update: _AccountUpdate) -> AccountChange:
    return AccountChange(
        time=update.time,
        reason=update.account.reason,
        balances={balance.asset: balance.wallet for balance in update.account.balances},
        positions=tuple(
            VenuePosition(position.symbol, position.amount, position.entry, update.time)
            for position in update.account.positions
            if position.side == "BOTH"
        ),
    )


def _setting(update: _ConfigUpdate) -> Notice | None:
    if update.leverage is not None:
        return LeverageSet(update.leverage.symbol, update.leverage.leverage)
    if update.asset_mode is not None:
        return ModeSwitched(MULTI_ASSETS, update.asset_mode.multi_assets)
    return None  # a setting that the venue has added since


def _called(call: _MarginCall) -> MarginCall:
    return MarginCall(
        time=call.time,
        cross_wallet=call.cross_wallet,
        positions=tuple(
            CalledPosition(
                symbol=row.symbol,
                quantity=row.amount,
                unrealized=row.unrealized,
                maintenance=row.maintenance,
                wallet=row.isolated_wallet if row.margin_type.upper() == "ISOLATED" else None,
            )
            for row in call.positions
        ),
    )
