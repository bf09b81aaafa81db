"""The user-stream payloads, key by key as captured (binance.md 7.2-7.5).

Pure functions from the exchange's values to JSON-ready dicts; numbers are trimmed as streams send them. `now` is both
E and T, since events of one fill carry one millisecond.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Literal

from pms.sim.accounts import Account, Position
from pms.sim.conditional_model import Conditional
from pms.sim.margin import ASSET, maintenance
from pms.sim.model import Order, Rules, Trade
from pms.sim.numbers import money, padded, trimmed

Execution = Literal["NEW", "CANCELED", "EXPIRED", "TRADE", "AMENDMENT", "CALCULATED"]
_IN_ORDER: dict[str, object] = dict.fromkeys(
    "s c S o f q p ap sp x X i l z L n N T t b a m R wt ot ps cp rp pP si ss V pm gtd er".split()
)
"""The keys of an order event as captured; what is filled in keeps its place."""
NO_REASON = "0"
SELF_TRADE = "1"
IOC_REMAINDER = "2"
IOC_AND_SELF_TRADE = "3"
REDUCE_ONLY_KNOCKED_OUT = "4"
LIQUIDATED = "5"
NO_COUNTERPARTY = "9"


def trade_lite(order: Order, trade: Trade, rules: Rules) -> dict[str, object]:
    """The early hint of a fill: padded numbers, no status, commission or position."""
    return {
        "e": "TRADE_LITE",
        "E": trade.time,
        "T": trade.time,
        "s": order.symbol,
        "q": padded(order.quantity, rules.quantity_precision),
        "p": padded(order.price, rules.price_precision),
        "m": trade.maker,
        "c": order.client_id,
        "S": order.side,
        "L": padded(trade.price, rules.price_precision),
        "l": padded(trade.quantity, rules.quantity_precision),
        "t": trade.trade_id,
        "i": order.order_id,
    }


def order_update(
    order: Order,
    execution: Execution,
    now: int,
    open_notionals: tuple[Decimal, Decimal],
    trade: Trade | None = None,
    reason: str = NO_REASON,
    modify_id: str | None = None,
    status: str = "",
) -> dict[str, object]:
    """ORDER_TRADE_UPDATE in the order's present state; `trade` only with TRADE or CALCULATED, `modify_id` only with
    AMENDMENT. `status` is shown in place of the order's own."""
    body: dict[str, object] = {
        **_IN_ORDER,
        "s": order.symbol,
        "c": order.client_id,
        "S": order.side,
        "o": order.type,
        "f": order.time_in_force,
        "q": trimmed(order.quantity),
        "p": trimmed(order.price),
        "ap": trimmed(money(order.average)),
        "sp": "0",
        "x": execution,
        "X": status or order.status,
        "i": order.order_id,
        "z": trimmed(order.filled),
        "T": now,
        "b": trimmed(open_notionals[0]),
        "a": trimmed(open_notionals[1]),
        "R": order.reduce_only,
        "wt": "CONTRACT_PRICE",
        "ot": order.type,
        "ps": "BOTH",
        "cp": False,
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": order.stp,
        "pm": order.price_match,
        "gtd": order.good_till,
        "er": reason,
        **_of_trade(trade),
    }
    if modify_id is not None:
        body["M"] = modify_id
    return {"e": "ORDER_TRADE_UPDATE", "T": now, "E": now, "o": body}


def _of_trade(trade: Trade | None) -> dict[str, object]:
    if trade is None:
        return {"l": "0", "L": "0", "n": "0", "N": ASSET, "t": 0, "m": False, "rp": "0"}
    return {
        "l": trimmed(trade.quantity),
        "L": trimmed(trade.price),
        "n": trimmed(trade.commission),
        "N": trade.commission_asset,
        "t": trade.trade_id,
        "m": trade.maker,
        "rp": trimmed(trade.realized),
    }


def _balance(account: Account, change: Decimal = Decimal(0)) -> dict[str, object]:
    set_aside = sum((row.isolated_wallet for row in account.positions.values()), Decimal(0))
    cross = trimmed(account.wallet - set_aside)
    return {"a": ASSET, "wb": trimmed(account.wallet), "cw": cross, "bc": trimmed(change)}


def funding(account: Account, symbol: str, payment: Decimal, now: int) -> dict[str, object]:
    """Funding of a cross position: the balance alone, and whose it is (m = FUNDING_FEE)."""
    told = {"B": [_balance(account, payment)], "P": [], "m": "FUNDING_FEE", "S": symbol}
    return {"e": "ACCOUNT_UPDATE", "T": now, "E": now, "a": told}


def account_update(account: Account, position: Position, mark: Decimal, now: int) -> dict[str, object]:
    """Wallet and position after a fill, in absolute values (m = ORDER)."""
    balance = _balance(account)
    row = {
        "s": position.symbol,
        "pa": trimmed(position.amount),
        "ep": trimmed(position.entry),
        "cr": trimmed(position.realized),
        "up": trimmed(position.unrealized(mark)),
        "mt": "isolated" if position.isolated else "cross",
        "iw": trimmed(position.isolated_wallet),
        "ps": "BOTH",
        "ma": ASSET,
        "bep": trimmed(position.break_even),
    }
    return {"e": "ACCOUNT_UPDATE", "T": now, "E": now, "a": {"B": [balance], "P": [row], "m": "ORDER"}}


def margin_call(
    account: Account, held: Iterable[Position], marks: Callable[[str], Decimal], now: int
) -> dict[str, object]:
    """The margin hardly covers maintenance: a hint, and no more."""
    rows = [
        {
            "s": row.symbol,
            "ps": "BOTH",
            "pa": trimmed(row.amount),
            "mt": "ISOLATED" if row.isolated else "CROSSED",
            "iw": trimmed(row.isolated_wallet),
            "mp": trimmed(marks(row.symbol)),
            "up": trimmed(row.unrealized(marks(row.symbol))),
            "mm": trimmed(maintenance(row, marks(row.symbol))),
        }
        for row in held
    ]
    return {"e": "MARGIN_CALL", "E": now, "cw": _balance(account)["cw"], "p": rows}


def leverage_update(symbol: str, leverage: int, now: int) -> dict[str, object]:
    return {"e": "ACCOUNT_CONFIG_UPDATE", "E": now, "T": now, "ac": {"s": symbol, "l": leverage}}


def asset_mode_update(multi_assets: bool, now: int) -> dict[str, object]:
    return {"e": "ACCOUNT_CONFIG_UPDATE", "E": now, "T": now, "ai": {"j": multi_assets}}


def algo_update(row: Conditional, now: int) -> dict[str, object]:
    """ALGO_UPDATE: a conditional order in its present state; what it became is told once there is such an order."""
    new, order = row.new, row.order
    body: dict[str, object] = {
        "caid": new.client_id,
        "aid": row.algo_id,
        "at": "CONDITIONAL",
        "o": new.type,
        "s": new.symbol,
        "S": new.side,
        "ps": "BOTH",
        "f": new.time_in_force,
        "q": trimmed(new.quantity),
        "X": row.status,
        "ai": "" if order is None else str(order.order_id),
        "tp": trimmed(new.trigger),
        "p": trimmed(new.price),
        "V": new.stp,
        "wt": new.working,
        "pm": new.price_match,
        "cp": new.close_position,
        "pP": new.price_protect,
        "R": new.reduce_only,
        "tt": row.triggered_at,
        "gtd": new.good_till,
        "ia": row.activated,
    }
    if order is not None:
        body |= {"ap": trimmed(money(order.average)), "aq": trimmed(order.filled), "act": order.type}
    if row.reason:
        body["rm"] = row.reason
    if new.is_trailing:
        body |= {"AP": trimmed(new.activate), "cr": trimmed(new.callback)}
    return {"e": "ALGO_UPDATE", "T": row.updated_at, "E": now, "o": body}
