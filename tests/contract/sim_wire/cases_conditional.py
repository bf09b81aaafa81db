"""Cases of the routes of conditional orders (binance.md 1.4, 3.4); part of the table in `cases`."""

from __future__ import annotations

from tests.contract.sim_wire.rows import BTC, V1, Base, Case, Step, limit_cases, symbol_cases, window_cases

STOP = {
    **BTC,
    "algoType": "CONDITIONAL",
    "side": "SELL",
    "type": "STOP_MARKET",
    "quantity": "0.010",
    "triggerPrice": "80000.00",
    "clientAlgoId": "stop-1",
}
PATH = f"{V1}/algoOrder"
PLACED: Step = ("POST", PATH, STOP)
GONE: Step = ("DELETE", PATH, {"clientAlgoId": "stop-1"})


def _placing() -> list[Case]:
    base = Base("POST", PATH, STOP)
    cases = [base.fine(), *symbol_cases(base)]
    cases += [base.but("algoType", "unknown", "VP", -1130), base.but("algoType", "missing", None, -1102)]
    cases += [base.but("side", "unknown", "UP", -1117), base.but("type", "ordinary", "LIMIT", -1116)]
    cases += [base.but("quantity", "missing", None, -1102), base.but("quantity", "off the step", "0.0105", -1111)]
    cases += [base.but("triggerPrice", "missing", None, -1102), base.but("triggerPrice", "zero", "0", -4006)]
    cases += [base.but("triggerPrice", "beyond the highest", "99999999.00", -4007)]
    cases += [base.but("triggerPrice", "off the tick", "80000.05", -4014)]
    cases += [base.but("triggerPrice", "reached already", "90000.00", -2021)]
    cases += [base.but("workingType", "unknown", "INDEX", -1130), base.fine("workingType", workingType="MARK_PRICE")]
    cases += [base.but("positionSide", "of hedge mode", "LONG", -4061)]
    cases += [base.but("selfTradePreventionMode", "unknown", "NEVER", -5039)]
    cases += [base.but("price", "too small a notional", None, -4164, quantity="0.001", triggerPrice="1000.00")]
    cases += [base.fine("reduceOnly", "free of the least notional", reduceOnly="true", quantity="0.001")]
    cases += [base.after("the id waits already", PLACED, code=-4116, parameter="clientAlgoId")]
    cases += [base.after("the id is gone", PLACED, GONE, code=None, parameter="clientAlgoId")]
    cases += [base.fine("closePosition", "without a quantity", closePosition="true", quantity=None)]
    cases += [base.but("closePosition", "with a quantity", "true", -4137)]
    cases += [base.but("closePosition", "with reduceOnly", "true", -1106, quantity=None, reduceOnly="true")]
    cases += [base.but("closePosition", "of an order with a price", "true", -4136, type="STOP", quantity=None)]
    plain = Base("POST", PATH, {**STOP, "type": "STOP", "price": "79990.00", "timeInForce": "GTC"})
    cases += [plain.fine("type", "STOP with a price"), plain.but("price", "missing", None, -1102)]
    cases += [plain.but("timeInForce", "unknown", "DAY", -1115)]
    profit = Base("POST", PATH, {**STOP, "type": "TAKE_PROFIT_MARKET", "triggerPrice": "90000.00"})
    cases += [profit.fine("type", "TAKE_PROFIT_MARKET"), profit.but("triggerPrice", "reached", "80000.00", -2021)]
    trailing = {**STOP, "type": "TRAILING_STOP_MARKET", "callbackRate": "1"}
    trail = Base("POST", PATH, {name: value for name, value in trailing.items() if name != "triggerPrice"})
    cases += [trail.fine("callbackRate", "1 percent"), trail.fine("callbackRate", "20, the most", callbackRate="20")]
    cases += [trail.but("callbackRate", "over 20", "20.1", -2007), trail.but("callbackRate", "missing", None, -1102)]
    cases += [trail.fine("activatePrice", "above", activatePrice="90000.00")]
    cases += [trail.but("activatePrice", "reached already", "80000.00", -2021)]
    return cases


def _named() -> list[Case]:
    cases: list[Case] = []
    for method, missing in (("DELETE", -2011), ("GET", -2013)):
        base = Base(method, PATH, {"clientAlgoId": "stop-1"}, given=(PLACED,))
        cases += [base.fine("clientAlgoId"), base.but("clientAlgoId", "missing", None, -1102)]
        cases += [base.but("clientAlgoId", "unknown", "stop-2", missing)]
        cases += [base.but("algoId", "unknown", "7", missing), base.but("algoId", "no number", "x", -1100)]
    gone = Base("DELETE", PATH, {"clientAlgoId": "stop-1"})
    return [*cases, gone.after("cancelled before", PLACED, GONE, code=-2011)]


def _listed() -> list[Case]:
    waiting = Base("GET", f"{V1}/openAlgoOrders", BTC, given=(PLACED,))
    cases = [waiting.fine(), waiting.fine("symbol", "all symbols", symbol=None), *symbol_cases(waiting, False)]
    every = Base("GET", f"{V1}/allAlgoOrders", BTC, given=(PLACED,))
    cases += [every.fine(), *symbol_cases(every), *limit_cases(every, 1000), *window_cases(every, 7 * 86_400_000)]
    away = Base("DELETE", f"{V1}/algoOpenOrders", BTC, given=(PLACED,))
    return [*cases, away.fine(), *symbol_cases(away)]


CONDITIONAL_CASES = (*_placing(), *_named(), *_listed())
