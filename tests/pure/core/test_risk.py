"""The gate before every request: each refusal has its code, and nothing is approved outside the limits."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pms.core import risk
from pms.core.exits import Form
from pms.core.limits import Account, Intent
from pms.core.risk import Adding, Approved, Closing, Denied
from pms.venue import Amend, Cancel, Place
from schemas.errors import ErrorCode
from schemas.market import Side
from schemas.orders import Cause, Order
from schemas.records import Limits
from tests.pure.algos.stage import quote, rules
from tests.pure.core.resting import ORDER

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
RULES = rules(max_price="105", market_max_qty="50")
MARKET = risk.Market(instrument=RULES, quote=quote(1000, 1010), mark=D(100), open_orders=0)
PLACE = Place("BTCUSDT", "c", BUY, "LIMIT", "GTX", D(1), D(100), False)
AMEND = Amend("BTCUSDT", "c", BUY, D(1), D(100))
_replace = msgspec.structs.replace


def market(**changes: Any) -> risk.Market:
    ours = {name: changes.pop(name) for name in tuple(changes) if name in risk.Market.__struct_fields__}
    return _replace(MARKET, **({"instrument": _replace(RULES, **changes)} | ours))


STALE = market(quote=None)
NOT_TRADING = market(trading=False)

# code, cause, what changes of the order, the market
REFUSALS = [
    (ErrorCode.QUANTITY_OFF_GRID, Cause.OTHER, {"quantity": "1.0005"}, MARKET),
    (ErrorCode.PRICE_OFF_GRID, Cause.OTHER, {"price": "100.05"}, MARKET),
    (ErrorCode.PRICE_OFF_GRID, Cause.OTHER, {"price": "0"}, MARKET),
    (ErrorCode.PRICE_OFF_GRID, Cause.OTHER, {"price": "-1"}, MARKET),
    (ErrorCode.PRICE_OFF_GRID, Cause.OTHER, {"side": SELL, "price": "105.1"}, MARKET),
    (ErrorCode.PRICE_OFF_GRID, Cause.OTHER, {"price": "89.9"}, market(min_price=D(90))),
    (ErrorCode.ABOVE_MAXIMUM, Cause.OTHER, {"quantity": "100.001"}, MARKET),
    (ErrorCode.BELOW_MINIMUM, Cause.OTHER, {"quantity": "0"}, MARKET),
    (ErrorCode.BELOW_MINIMUM, Cause.OTHER, {"quantity": "0.049"}, MARKET),
    (ErrorCode.BELOW_MINIMUM, Cause.OTHER, {"quantity": "0.049"}, market(min_qty=D("0.05"), min_notional=D(0))),
    (ErrorCode.STALE_BOOK, Cause.OTHER, {}, STALE),
    (ErrorCode.PERCENT_PRICE, Cause.PRICE_BAND, {"price": "104.2"}, market(mark=D(99))),
    (ErrorCode.PERCENT_PRICE, Cause.PRICE_BAND, {"side": SELL, "price": "94.9"}, MARKET),
    (ErrorCode.EXCHANGE_REJECTED, Cause.SELF_TRADE, {"price": "100.1"}, market(own_ask=1001)),
    (ErrorCode.EXCHANGE_REJECTED, Cause.SELF_TRADE, {"side": SELL, "price": "99.9"}, market(own_bid=999)),
]
ONLY_PLACING = [
    (ErrorCode.SYMBOL_NOT_TRADING, Cause.NOT_TRADING, {}, NOT_TRADING),
    (ErrorCode.MAX_OPEN_ORDERS, Cause.OTHER, {}, market(open_orders=180)),
    (ErrorCode.MAX_OPEN_ORDERS, Cause.OTHER, {"reduce_only": True}, market(open_orders=200)),
    (ErrorCode.ABOVE_MAXIMUM, Cause.OTHER, {"order_type": "MARKET", "quantity": "50.001"}, MARKET),
    (ErrorCode.BELOW_MINIMUM, Cause.OTHER, {"order_type": "MARKET", "quantity": "0.049"}, MARKET),
    (ErrorCode.EXCHANGE_REJECTED, Cause.SELF_TRADE, {"order_type": "MARKET"}, market(own_ask=1100)),
    (ErrorCode.EXCHANGE_REJECTED, Cause.SELF_TRADE, {"order_type": "MARKET", "side": SELL}, market(own_bid=900)),
]


def adding(order: Place | Amend) -> Adding:
    """An order that adds, by a sub-account without limits and with money enough."""
    intent = Intent(order.symbol, order.side, order.price, order.quantity, 1)
    zero = D(0)
    account = Account(
        limits=Limits(),
        stopped=None,
        equity=D(10**12),
        mid=zero,
        reference=D(100),
        held=zero,
        bids=zero,
        asks=zero,
        leverage=1,
        other_notional=zero,
        other_margin=zero,
        open_orders=0,
        placed_last_minute=0,
    )
    return Adding(intent, account)


def placed(place: Place, seen: risk.Market) -> Approved | Denied:
    closing = Closing(place.quantity, Form.FLAGGED)
    return risk.approve_place(place, seen, closing if place.reduce_only else adding(place))


def amended(amend: Amend, reduce_only: bool, seen: risk.Market) -> Approved | Denied:
    return risk.approve_amend(amend, seen, None if reduce_only else adding(amend))


def exact(changes: dict[str, Any]) -> dict[str, Any]:
    return {name: D(value) if name in ("quantity", "price") else value for name, value in changes.items()}


def is_denied(verdict: Approved | Denied, code: ErrorCode, cause: Cause) -> None:
    assert isinstance(verdict, Denied)
    assert (verdict.code, verdict.cause) == (code, cause)
    assert verdict.message
    assert verdict.limit
    assert verdict.value


@pytest.mark.parametrize("code, cause, changes, seen", [*REFUSALS, *ONLY_PLACING])
def test_a_new_order_is_refused_with_its_code(code, cause, changes, seen) -> None:
    is_denied(placed(_replace(PLACE, **exact(changes)), seen), code, cause)


@pytest.mark.parametrize("code, cause, changes, seen", REFUSALS)
def test_an_amend_is_refused_with_its_code(code, cause, changes, seen) -> None:
    is_denied(amended(_replace(AMEND, **exact(changes)), False, seen), code, cause)


@pytest.mark.parametrize(
    "changes, seen",
    [
        ({}, MARKET),
        ({"quantity": "100"}, MARKET),
        ({"quantity": "0.05"}, MARKET),
        ({"price": "80"}, MARKET),  # a far passive price is legal: PERCENT_PRICE is one-sided
        ({"side": SELL, "price": "105"}, MARKET),
        ({"price": "105"}, MARKET),
        ({"side": SELL, "price": "95"}, MARKET),
        ({"side": SELL, "price": "200"}, market(max_price=D(0))),  # a maximum of 0 is none
        ({"price": "100"}, market(own_ask=1001)),
        ({"price": "100"}, market(own_bid=1001)),
        ({"side": SELL, "price": "100"}, market(own_bid=999)),
        ({"price": "104"}, market(mark=D(0))),  # no mark yet: the venue judges
        ({"quantity": "0.049", "reduce_only": True}, MARKET),
        ({"reduce_only": True}, STALE),
        ({"reduce_only": True}, NOT_TRADING),
        ({}, market(open_orders=179)),
        ({"reduce_only": True}, market(open_orders=199)),
        ({"order_type": "MARKET", "quantity": "50", "price": "0"}, MARKET),
        ({"order_type": "MARKET", "quantity": "60", "price": "0"}, market(market_max_qty=D(0))),
    ],
)
def test_a_lawful_order_is_approved(changes, seen) -> None:
    verdict = placed(_replace(PLACE, **exact(changes)), seen)
    assert isinstance(verdict, Approved)
    assert verdict.exit is changes.get("reduce_only", False)


@pytest.mark.parametrize("reduce_only, seen", [(False, MARKET), (True, STALE), (True, market(open_orders=500))])
def test_a_lawful_amend_is_approved(reduce_only, seen) -> None:
    verdict = amended(AMEND, reduce_only, seen)
    assert isinstance(verdict, Approved)
    assert (verdict.request, verdict.exit) == (AMEND, reduce_only)


def test_a_cancel_is_never_refused_and_counts_as_an_exit() -> None:
    cancel = Cancel("BTCUSDT", "c")
    assert (risk.approve_cancel(cancel).request, risk.approve_cancel(cancel).exit) == (cancel, True)


def test_what_the_account_may_not_do_is_refused_before_the_market_is_looked_at() -> None:
    halted = _replace(adding(PLACE).account, stopped=(ErrorCode.HALTED, "by hand"))
    is_denied(risk.approve_place(PLACE, STALE, Adding(adding(PLACE).intent, halted)), ErrorCode.HALTED, Cause.OTHER)
    is_denied(risk.approve_amend(AMEND, STALE, Adding(adding(AMEND).intent, halted)), ErrorCode.HALTED, Cause.OTHER)
    poor = _replace(adding(PLACE).account, equity=D(1))
    verdict = risk.approve_place(PLACE, MARKET, Adding(adding(PLACE).intent, poor))
    is_denied(verdict, ErrorCode.INSUFFICIENT_MARGIN, Cause.MARGIN)


def test_the_gate_sees_where_our_orders_rest_and_may_be_moving_to() -> None:
    def ours(name: str, side: Side, price: str, **more: Any) -> Order:
        return _replace(ORDER, client_order_id=name, side=side, price=D(price), **more)

    orders = [
        ours("low", BUY, "99"),
        ours("rising", BUY, "98", next_price=D("99.5")),
        ours("high", SELL, "101"),
        ours("falling", SELL, "102", next_price=D("100.5")),
        ours("at the market", SELL, "0", order_type="MARKET"),
        ours("waits", SELL, "100.1", trigger_price=D(100)),
        ours("moves", BUY, "99.9"),
    ]
    for told in (orders, orders[::-1]):
        seen = risk.market(RULES, None, D(100), told, "moves")
        assert (seen.open_orders, seen.own_bid, seen.own_ask) == (5, 995, 1005)
    assert risk.market(RULES, None, D(100), [], "") == risk.Market(RULES, None, D(100), 0)


def test_an_exit_that_grows_stays_within_what_is_left_to_close() -> None:
    role = risk.Closing(D("0.999"), Form.UNFLAGGED)
    is_denied(risk.approve_amend(AMEND, MARKET, role), ErrorCode.REDUCE_ONLY_EXCEEDS, Cause.REDUCE_ONLY)
    verdict = risk.approve_amend(AMEND, STALE, risk.Closing(D(1), Form.FLAGGED))
    assert isinstance(verdict, Approved)
    assert verdict.exit


def test_only_the_gate_makes_an_approval() -> None:
    with pytest.raises(AssertionError, match="risk gate"):
        Approved(PLACE, False, object())


NUMBERS = st.decimals("-1", "210", places=4)


@given(
    st.sampled_from(Side),
    st.sampled_from(["LIMIT", "MARKET"]),
    st.booleans(),
    st.one_of(NUMBERS, st.integers(0, 200_000).map(lambda steps: steps * D("0.001"))),
    st.one_of(NUMBERS, st.integers(0, 1100).map(lambda ticks: ticks * D("0.1"))),
    st.sampled_from([MARKET, STALE, NOT_TRADING, market(open_orders=185), market(own_ask=1000, own_bid=900)]),
)
def test_nothing_is_approved_outside_the_limits(side, kind, reduce_only, quantity, price, seen) -> None:
    place = Place("BTCUSDT", "c", side, kind, "GTC", quantity, price, reduce_only)
    verdicts = [(placed(place, seen), kind)]
    verdicts.append((amended(Amend("BTCUSDT", "c", side, quantity, price), reduce_only, seen), "amend"))
    for verdict, what in verdicts:
        if isinstance(verdict, Denied):
            continue
        at = seen.mark if what == "MARKET" else price
        assert quantity % RULES.step == 0
        assert RULES.min_qty <= quantity <= (RULES.market_max_qty if what == "MARKET" else RULES.max_qty)
        assert reduce_only or quantity * at >= RULES.min_notional
        assert reduce_only or seen.quote is not None
        assert what == "amend" or reduce_only or (seen.instrument.trading and seen.open_orders < 180)
        if what == "MARKET":
            continue
        assert price % RULES.tick == 0
        assert RULES.min_price <= price <= RULES.max_price
        assert price <= 105 if side is BUY else price >= 95
        assert not (side is BUY and seen.own_ask and price >= seen.own_ask * RULES.tick)
        assert not (side is SELL and seen.own_bid and price <= seen.own_bid * RULES.tick)
