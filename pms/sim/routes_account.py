"""Account routes: positions, balances, settings, rates, income and the listen key (binance.md 3.5).

Owns which rows each version of a route shows. Refuses to know HTTP and arithmetic. Hedge mode and multi-assets mode can
be switched on, so that a client meets an account that is in them; nothing can be traded in the former, and the latter
changes nothing, as there is one asset.
"""

from __future__ import annotations

from typing import Literal, cast, get_args

from pms.sim import rows
from pms.sim.model import PositionSide, VenueError
from pms.sim.numbers import trimmed
from pms.sim.params import mandatory, not_valid
from pms.sim.rest import Call, Route
from pms.sim.routes_market import rate_limits
from pms.sim.views import PositionView

DONE = {"code": 200, "msg": "success"}
QUARTER_MS = 92 * 86_400_000  # income is kept three months
INCOME_MAX = 1_000


def _in_use(call: Call, symbol: str | None = None) -> list[PositionView]:
    """The positions that v3 shows: those with an amount or open orders."""
    return [view for view in call.exchange.positions(call.account, symbol) if view.amount or view.open_orders]


def positions_v3(call: Call) -> object:
    """GET positionRisk v3."""
    return [rows.position(view, call.rules[view.symbol]) for view in _in_use(call, call.optional_symbol())]


def positions_v2(call: Call) -> object:
    """GET positionRisk v2: every symbol, with leverage and margin type; in hedge mode each side."""
    views = call.exchange.positions(call.account, call.optional_symbol())
    return [rows.position_v2(view, call.rules[view.symbol], side) for view in views for side in _sides(call)]


def _sides(call: Call) -> tuple[PositionSide, ...]:
    return get_args(PositionSide) if call.exchange.dual_side(call.account) else ("BOTH",)


def account_v3(call: Call) -> object:
    """GET account v3."""
    shown = [rows.account_position(view, call.rules[view.symbol]) for view in _in_use(call)]
    return {**rows.account(call.exchange.account(call.account)), "positions": shown}


def account_v2(call: Call) -> object:
    """GET account v2: every symbol, and the account's settings."""
    view = call.exchange.account(call.account)
    positions = call.exchange.positions(call.account)
    shown = [
        {
            **rows.account_position(one, call.rules[one.symbol], side),
            "entryPrice": trimmed(one.entry_price),
            "leverage": str(one.leverage),
            "isolated": one.margin_type == "isolated",
            "maxNotional": trimmed(one.max_notional),
        }
        for one in positions
        for side in _sides(call)
    ]
    return {**_settings(call, view.update_time), **rows.account(view), "positions": shown}


def _settings(call: Call, update_time: int) -> rows.Row:
    return {
        "feeTier": 0,
        "feeBurn": False,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "updateTime": update_time,
        "multiAssetsMargin": call.exchange.multi_assets(call.account),
        "tradeGroupId": -1,
    }


def account_config(call: Call) -> object:
    """GET accountConfig."""
    settings = _settings(call, call.exchange.account(call.account).update_time)
    del settings["feeBurn"]
    return {**settings, "dualSidePosition": call.exchange.dual_side(call.account)}


def symbol_config(call: Call) -> object:
    """GET symbolConfig."""
    return [
        {
            "symbol": view.symbol,
            "marginType": "ISOLATED" if view.margin_type == "isolated" else "CROSSED",
            "isAutoAddMargin": False,
            "leverage": view.leverage,
            "maxNotionalValue": trimmed(view.max_notional),
        }
        for view in call.exchange.positions(call.account, call.optional_symbol())
    ]


def balance(call: Call) -> object:
    """GET balance, alike in v2 and v3."""
    return [rows.balance(call.exchange.account(call.account))]


def set_leverage(call: Call) -> object:
    """POST leverage."""
    symbol, leverage = call.symbol(), call.params.needed_integer("leverage")
    view = call.exchange.set_leverage(call.account, symbol, leverage)
    return {"leverage": view.leverage, "maxNotionalValue": trimmed(view.max_notional), "symbol": symbol}


def set_margin_type(call: Call) -> object:
    """POST marginType."""
    symbol, kind = call.symbol(), call.params.text("marginType")
    if kind not in ("ISOLATED", "CROSSED"):
        raise not_valid("marginType")
    call.exchange.set_margin_type(call.account, symbol, cast(Literal["ISOLATED", "CROSSED"], kind))
    return DONE


def dual_side(call: Call) -> object:
    """GET positionSide/dual."""
    return {"dualSidePosition": call.exchange.dual_side(call.account)}


def set_dual_side(call: Call) -> object:
    """POST positionSide/dual."""
    wanted = call.params.flag("dualSidePosition")
    if wanted is None:
        raise mandatory("dualSidePosition")
    call.exchange.set_dual_side(call.account, wanted)
    return DONE


def multi_assets(call: Call) -> object:
    """GET multiAssetsMargin."""
    return {"multiAssetsMargin": call.exchange.multi_assets(call.account)}


def set_multi_assets(call: Call) -> object:
    """POST multiAssetsMargin."""
    wanted = call.params.flag("multiAssetsMargin")
    if wanted is None:
        raise mandatory("multiAssetsMargin")
    call.exchange.set_multi_assets(call.account, wanted)
    return DONE


def adl_quantile(call: Call) -> object:
    """GET adlQuantile: the symbol's row, or those of every symbol in use."""
    symbol = call.optional_symbol()
    views = _in_use(call) if symbol is None else call.exchange.positions(call.account, symbol)
    return [rows.adl_quantile(view, call.exchange.dual_side(call.account)) for view in views]


def brackets(call: Call) -> object:
    """GET leverageBracket: always an array."""
    symbol = call.optional_symbol()
    return [
        {
            "symbol": name,
            "notionalCoef": 1.0,
            "brackets": [rows.bracket(row) for row in call.exchange.brackets(name)],
        }
        for name in ([symbol] if symbol is not None else call.rules)
    ]


def commission_rate(call: Call) -> object:
    """GET commissionRate."""
    symbol = call.symbol()
    maker, taker = call.exchange.commission_rates(call.account, symbol)
    return {
        "symbol": symbol,
        "makerCommissionRate": trimmed(maker),
        "takerCommissionRate": trimmed(taker),
        "rpiCommissionRate": "0.00005",
    }


def income(call: Call) -> object:
    """GET income: the oldest rows of the window when more match than `limit`."""
    symbol, kind = call.optional_symbol(), call.params.get("incomeType")
    start, end = call.params.window(QUARTER_MS)
    if start is None and end is None:
        start = call.now - 7 * 86_400_000
    limit = call.params.limit(100, INCOME_MAX)
    found = [
        row
        for row in call.exchange.income(call.account)
        if symbol in (None, row.symbol)
        and kind in (None, row.income_type)
        and (start is None or row.time >= start)
        and (end is None or row.time <= end)
    ]
    return [rows.income(row) for row in found[:limit]]


def order_limits(call: Call) -> object:
    """GET rateLimit/order."""
    return [limit for limit in reversed(rate_limits(call.limits)) if limit["rateLimitType"] == "ORDERS"]


def listen(call: Call) -> object:
    """POST listenKey: the same key while one is active."""
    return {"listenKey": call.keys.issue(call.account, call.now)}


def keep_alive(call: Call) -> object:
    """PUT listenKey; -1125 after its end."""
    return {"listenKey": call.keys.keep_alive(call.account, call.now)}


def stop_listening(call: Call) -> object:
    """DELETE listenKey: every process of the account goes blind."""
    if call.keys.key_of(call.account) is None:
        raise VenueError(-1125, "This listenKey does not exist.")
    call.keys.close(call.account)
    return {}


ROUTES = (
    Route("GET", "/fapi/v3/positionRisk", "SIGNED", 5, positions_v3),
    Route("GET", "/fapi/v2/positionRisk", "SIGNED", 5, positions_v2),
    Route("GET", "/fapi/v3/account", "SIGNED", 5, account_v3),
    Route("GET", "/fapi/v2/account", "SIGNED", 5, account_v2),
    Route("GET", "/fapi/v3/balance", "SIGNED", 5, balance),
    Route("GET", "/fapi/v2/balance", "SIGNED", 5, balance),
    Route("GET", "/fapi/v1/accountConfig", "SIGNED", 5, account_config),
    Route("GET", "/fapi/v1/symbolConfig", "SIGNED", 5, symbol_config),
    Route("POST", "/fapi/v1/leverage", "SIGNED", 1, set_leverage),
    Route("POST", "/fapi/v1/marginType", "SIGNED", 1, set_margin_type),
    Route("GET", "/fapi/v1/positionSide/dual", "SIGNED", 30, dual_side),
    Route("POST", "/fapi/v1/positionSide/dual", "SIGNED", 1, set_dual_side),
    Route("GET", "/fapi/v1/multiAssetsMargin", "SIGNED", 30, multi_assets),
    Route("POST", "/fapi/v1/multiAssetsMargin", "SIGNED", 1, set_multi_assets),
    Route("GET", "/fapi/v1/adlQuantile", "SIGNED", 5, adl_quantile),
    Route("GET", "/fapi/v1/leverageBracket", "SIGNED", 1, brackets),
    Route("GET", "/fapi/v1/commissionRate", "SIGNED", 20, commission_rate),
    Route("GET", "/fapi/v1/income", "SIGNED", 30, income),
    Route("GET", "/fapi/v1/rateLimit/order", "SIGNED", 1, order_limits),
    Route("POST", "/fapi/v1/listenKey", "KEY", 1, listen),
    Route("PUT", "/fapi/v1/listenKey", "KEY", 1, keep_alive),
    Route("DELETE", "/fapi/v1/listenKey", "KEY", 1, stop_listening),
)
