"""The simulator's instruments: `exchangeInfo` rows and the filters read from them (binance.md 3.2).

Owns the table. BTCUSDT has the values of 2026-10-07; the others have realistic ones. The filters that orders
are checked against are read from the very row that a client gets, so the two cannot differ. Only tick and step decide
what a legal price or quantity is; the precisions are how many decimals the venue writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from pms.sim.model import Rules

# symbol, base, tick, lowest price, highest price, step, most, most at market, min notional, price and quantity decimals
_TABLE = (
    ("BTCUSDT", "BTC", "0.10", "556.80", "4529764", "0.001", "1000", "120", "50", 2, 3),
    ("ETHUSDT", "ETH", "0.01", "39.86", "306177", "0.001", "10000", "2000", "20", 2, 3),
    ("SOLUSDT", "SOL", "0.0100", "0.4200", "6857", "0.01", "1000000", "5000", "5", 4, 2),
    ("DOGEUSDT", "DOGE", "0.000010", "0.002440", "30", "1", "50000000", "30000000", "5", 6, 0),
    ("1000PEPEUSDT", "1000PEPE", "0.0000001", "0.0000100", "200", "1", "1000000000", "25000000", "5", 7, 0),
)
SYMBOLS = tuple(row[0] for row in _TABLE)
MAX_OPEN_ORDERS = 200
_DELIVERY = 4133404800000  # perpetual: a date that never comes
_ONBOARD = 1567965300000


def _row(symbol: str, base: str, tick: str, low: str, high: str, step: str, most: str, at_market: str,
         notional: str, price_places: int, quantity_places: int) -> dict[str, Any]:  # fmt: skip
    return {
        "symbol": symbol,
        "pair": symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": _DELIVERY,
        "onboardDate": _ONBOARD,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": base,
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "pricePrecision": price_places,
        "quantityPrecision": quantity_places,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["PoW"],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10000,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": low, "maxPrice": high, "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": step, "maxQty": most, "stepSize": step},
            {"filterType": "MARKET_LOT_SIZE", "minQty": step, "maxQty": at_market, "stepSize": step},
            {"filterType": "MAX_NUM_ORDERS", "limit": MAX_OPEN_ORDERS},
            {"filterType": "MIN_NOTIONAL", "notional": notional},
            {"filterType": "PERCENT_PRICE", "multiplierUp": "1.0500", "multiplierDown": "0.9500",
             "multiplierDecimal": "4"},
            {"filterType": "POSITION_RISK_CONTROL", "positionControlSide": "NONE"},
        ],
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET",
                       "TRAILING_STOP_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
        "permissionSets": ["GRID", "COPY"],
    }  # fmt: skip


def rows(symbols: Iterable[str] = SYMBOLS) -> list[dict[str, Any]]:
    """The `exchangeInfo` rows of `symbols`, in the table's order. Raises `KeyError` naming one that the table lacks."""
    wanted = set(symbols)
    if unknown := wanted - set(SYMBOLS):
        raise KeyError(f"the simulator has no symbol {', '.join(sorted(unknown))}; it has {', '.join(SYMBOLS)}")
    return [_row(*entry) for entry in _TABLE if entry[0] in wanted]


_CHANGING = {  # what may change, and where it stands in a row: filter and name
    "tick": ("PRICE_FILTER", "tickSize"),
    "step": ("LOT_SIZE", "stepSize"),
    "min_qty": ("LOT_SIZE", "minQty"),
    "max_qty": ("LOT_SIZE", "maxQty"),
    "min_notional": ("MIN_NOTIONAL", "notional"),
}


def changed(row: Mapping[str, Any], status: str = "", **values: str) -> dict[str, Any]:
    """A row with another `status`, `tick`, `step`, `min_qty`, `max_qty` or `min_notional`; empty ones stay. Raises
    `KeyError`."""
    filters = [dict(entry) for entry in row["filters"]]
    found = {entry["filterType"]: entry for entry in filters}
    for name, value in values.items():
        kind, key = _CHANGING[name]
        if value:
            found[kind][key] = value
    return {**row, "status": status or row["status"], "filters": filters}


def rules_of(row: Mapping[str, Any]) -> Rules:
    """The filters of one `exchangeInfo` row."""
    found = {entry["filterType"]: entry for entry in row["filters"]}
    price, lot, market = found["PRICE_FILTER"], found["LOT_SIZE"], found["MARKET_LOT_SIZE"]
    return Rules(
        symbol=row["symbol"],
        base=row["baseAsset"],
        quote=row["quoteAsset"],
        tick=Decimal(price["tickSize"]),
        min_price=Decimal(price["minPrice"]),
        max_price=Decimal(price["maxPrice"]),
        step=Decimal(lot["stepSize"]),
        min_qty=Decimal(lot["minQty"]),
        max_qty=Decimal(lot["maxQty"]),
        market_min_qty=Decimal(market["minQty"]),
        market_max_qty=Decimal(market["maxQty"]),
        market_step=Decimal(market["stepSize"]),
        min_notional=Decimal(found["MIN_NOTIONAL"]["notional"]),
        multiplier_up=Decimal(found["PERCENT_PRICE"]["multiplierUp"]),
        multiplier_down=Decimal(found["PERCENT_PRICE"]["multiplierDown"]),
        market_take_bound=Decimal(row["marketTakeBound"]),
        max_orders=found["MAX_NUM_ORDERS"]["limit"],
        price_precision=row["pricePrecision"],
        quantity_precision=row["quantityPrecision"],
        status=row["status"],
    )


def rules(symbols: Iterable[str] = SYMBOLS) -> dict[str, Rules]:
    """The filters of `symbols` by name."""
    return rules_by_name(rows(symbols))


def rules_by_name(listings: Iterable[Mapping[str, Any]]) -> dict[str, Rules]:
    """The filters of these rows by their symbol."""
    return {row["symbol"]: rules_of(row) for row in listings}
