"""The account's half of the risk gate: each code is reached, and nothing passes outside its limits."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pms.core import limits, risk
from pms.core.circuit import OPEN_MS, TIMES, WITHIN_MS, Circuit
from pms.core.limits import TAKER_FEE, Account, Intent
from schemas.errors import RISK_CODES, ErrorCode
from schemas.market import Side
from schemas.records import Limits

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
ACCOUNT = Account(
    limits=Limits(),
    stopped=None,
    equity=D(10_000),
    mid=D(100),
    reference=D(100),
    held=D(0),
    bids=D(0),
    asks=D(0),
    leverage=1,
    other_notional=D(0),
    other_margin=D(0),
    open_orders=0,
    placed_last_minute=0,
)
INTENT = Intent("BTCUSDT", BUY, D(100), D(1), 1)
_replace = msgspec.structs.replace


def code(intent: Intent = INTENT, limit: Limits | None = None, **account: Any) -> str:
    seen = _replace(ACCOUNT, **account)
    seen = seen if limit is None else _replace(seen, limits=limit)
    refusal = risk.stopped(seen) or limits.refusal(intent, seen)
    if refusal is None:
        return ""
    assert refusal.message
    assert refusal.limit
    assert refusal.value
    return refusal.code.value


@pytest.mark.parametrize(
    ("expected", "intent", "limit", "account"),
    [
        ("", {}, {}, {}),
        ("HALTED", {}, {}, {"stopped": (ErrorCode.HALTED, "halted")}),
        ("HALTED", {"quantity": D(0), "new": False}, {}, {"stopped": (ErrorCode.HALTED, "halted")}),
        ("MAX_ORDER_NOTIONAL", {}, {"max_order_notional": D("99.99")}, {}),
        ("", {}, {"max_order_notional": D(100)}, {}),
        ("MAX_ORDER_NOTIONAL", {"price": D(0)}, {"max_order_notional": D("99.99")}, {}),
        ("MAX_POSITION", {}, {"max_position": D(199)}, {"held": D(1)}),
        ("MAX_POSITION", {}, {"max_position": D(199)}, {"bids": D(1)}),
        ("", {}, {"max_position": D(200)}, {"held": D("0.5"), "bids": D("0.5")}),
        ("MAX_POSITION", {"side": SELL}, {"max_position": D(199)}, {"held": D(-1)}),
        ("", {"side": SELL}, {"max_position": D(10)}, {"held": D(1)}),
        ("MAX_TOTAL_NOTIONAL", {}, {"max_total_notional": D(199)}, {"other_notional": D(100)}),
        ("", {}, {"max_total_notional": D(200)}, {"other_notional": D(100)}),
        ("INSUFFICIENT_MARGIN", {"quantity": D(100)}, {}, {}),
        ("", {"quantity": D(100), "leverage": 2}, {}, {}),
        ("INSUFFICIENT_MARGIN", {"quantity": D(60)}, {}, {"other_margin": D(4_000)}),
        ("INSUFFICIENT_MARGIN", {"quantity": D(60), "leverage": 5}, {}, {"held": D(60), "leverage": 1}),
        ("", {"side": SELL, "quantity": D(100)}, {}, {"held": D(100), "equity": D(-1)}),
        ("MAX_LEVERAGE", {"leverage": 6}, {"max_leverage": 5}, {}),
        ("", {"leverage": 5}, {"max_leverage": 5}, {}),
        ("MAX_OPEN_ORDERS", {}, {"max_open_orders": 3}, {"open_orders": 3}),
        ("", {}, {"max_open_orders": 3}, {"open_orders": 2}),
        ("", {"new": False, "quantity": D(0)}, {"max_open_orders": 3}, {"open_orders": 3}),
        ("ORDER_RATE", {}, {"max_orders_per_minute": 10}, {"placed_last_minute": 10}),
        ("", {"new": False}, {"max_orders_per_minute": 10}, {"placed_last_minute": 10}),
        ("PRICE_COLLAR", {"price": D("105.01")}, {"price_collar_pct": D(5)}, {}),
        ("", {"price": D(105)}, {"price_collar_pct": D(5)}, {}),
        ("", {"price": D(1)}, {"price_collar_pct": D(5)}, {}),
        ("PRICE_COLLAR", {"side": SELL, "price": D("94.99")}, {"price_collar_pct": D(5)}, {}),
        ("", {"side": SELL, "price": D(1000), "quantity": D("0.1")}, {"price_collar_pct": D(5)}, {}),
        ("PRICE_COLLAR", {"price": D(106), "quantity": D(0), "new": False}, {"price_collar_pct": D(5)}, {}),
        ("", {"price": D(106)}, {"price_collar_pct": D(5)}, {"mid": D(0)}),
        ("OPPOSING_REFUSED", {}, {}, {"opposed": True}),
        ("MAX_ORDER_NOTIONAL", {"new": False, "beside": D(1)}, {"max_order_notional": D("199.99")}, {}),
        ("", {"new": False, "beside": D(1)}, {"max_order_notional": D(200)}, {}),
    ],
)
def test_each_limit_has_its_code(
    expected: str, intent: dict[str, Any], limit: dict[str, Any], account: dict[str, Any]
) -> None:
    assert code(_replace(INTENT, **intent), Limits(**limit), **account) == expected


amounts = st.decimals(min_value=0, max_value=1000, places=3)
signed = st.decimals(min_value=-1000, max_value=1000, places=3)
maybe = st.none() | st.decimals(min_value=0, max_value=200_000, places=2)


@st.composite
def accounts(draw: st.DrawFn) -> Account:
    return Account(
        limits=Limits(
            max_order_notional=draw(maybe),
            max_total_notional=draw(maybe),
            max_position=draw(maybe),
            max_leverage=draw(st.none() | st.integers(1, 125)),
            price_collar_pct=draw(st.none() | st.decimals(min_value=0, max_value=10, places=2)),
        ),
        stopped=None,
        equity=draw(signed) * 100,
        mid=draw(st.sampled_from((D(0), D(100)))),
        reference=D(100),
        held=draw(signed),
        bids=draw(amounts),
        asks=draw(amounts),
        leverage=draw(st.integers(1, 20)),
        other_notional=draw(amounts) * 10,
        other_margin=draw(amounts),
        open_orders=0,
        placed_last_minute=0,
    )


intents = st.builds(
    Intent,
    symbol=st.just("BTCUSDT"),
    side=st.sampled_from((BUY, SELL)),
    price=st.decimals(min_value=1, max_value=200, places=1),
    quantity=st.decimals(min_value="0.001", max_value=2000, places=3),
    leverage=st.integers(1, 125),
)


@given(account=accounts(), intent=intents)
@settings(max_examples=400)
def test_nothing_is_approved_outside_its_limits(account: Account, intent: Intent) -> None:
    """Against a recount of its own: play out both extremes of what may fill."""
    if limits.refusal(intent, account) is not None:
        return
    bids = account.bids + (intent.quantity if intent.side is BUY else 0)
    asks = account.asks + (intent.quantity if intent.side is SELL else 0)
    ends = [account.held + bids, account.held - asks]
    before = max(abs(account.held + account.bids), abs(account.held - account.asks))
    largest = max(abs(end) for end in ends)
    held = account.limits
    if held.max_order_notional is not None:
        assert intent.quantity * intent.price <= held.max_order_notional
    if held.max_leverage is not None:
        assert intent.leverage <= held.max_leverage
    if held.price_collar_pct is not None and account.mid:
        beyond = (intent.price - account.mid) * intent.side.sign / account.mid * 100
        assert beyond <= held.price_collar_pct
    if largest <= before:
        return
    if held.max_position is not None:
        assert largest * 100 <= held.max_position
    if held.max_total_notional is not None:
        assert largest * 100 + account.other_notional <= held.max_total_notional
    margin = largest * 100 / intent.leverage + account.other_margin + intent.quantity * intent.price * TAKER_FEE
    assert margin <= account.equity


@given(account=accounts(), intent=intents)
@settings(max_examples=300)
def test_an_order_that_grows_is_refused_for_margin_where_it_requires_more_than_is_available(
    account: Account, intent: Intent
) -> None:
    account = _replace(account, limits=Limits())
    weight, bill = limits.weigh(intent, account), limits.bill(intent, account)
    assert (weight.notional, weight.exposure) == (bill.notional, bill.exposure)
    worst = max(account.held + account.bids, account.asks - account.held)
    if bill.position <= worst * account.reference:
        return
    refusal = limits.refusal(intent, account)
    assert (refusal is not None) == (weight.required > weight.available)


@given(account=accounts(), live=st.integers(0, 5), recent=st.integers(0, 5), most=st.integers(0, 5), intent=intents)
def test_no_order_is_approved_beyond_its_count_and_its_rate(
    account: Account, live: int, recent: int, most: int, intent: Intent
) -> None:
    counted = Limits(max_open_orders=most, max_orders_per_minute=most)
    account = _replace(account, limits=counted, open_orders=live, placed_last_minute=recent)
    if limits.refusal(intent, account) is None:
        assert max(live, recent) < most


@given(account=accounts(), intent=intents, share=st.decimals(min_value="0.01", max_value=1, places=2))
@settings(max_examples=300)
def test_a_smaller_order_of_the_same_kind_passes_where_the_larger_does(
    account: Account, intent: Intent, share: Decimal
) -> None:
    if limits.refusal(intent, account) is None:
        assert limits.refusal(_replace(intent, quantity=intent.quantity * share), account) is None


@given(account=accounts(), quantity=amounts)
@settings(max_examples=200)
def test_what_makes_nothing_larger_needs_no_margin(account: Account, quantity: Decimal) -> None:
    long = _replace(account, held=abs(account.held), asks=D(0), limits=Limits())
    selling = Intent("BTCUSDT", SELL, D(100), min(quantity, long.held), 1)
    assert limits.refusal(selling, long) is None


def test_the_bill_of_an_order_tells_what_it_comes_to() -> None:
    told = limits.bill(_replace(INTENT, quantity=D(2), leverage=5), _replace(ACCOUNT, other_notional=D(50)))
    assert (told.notional, told.position, told.exposure) == (D(200), D(200), D(250))
    assert told.margin == D(40) + D("0.1")
    assert told.available == D(10_000) - told.margin


def test_the_shipped_limits_name_every_limit() -> None:
    for shipped in (limits.PAPER, limits.LIVE):
        assert all(getattr(shipped, field) is not None for field in Limits.__struct_fields__)


def test_every_code_of_this_module_is_a_risk_code() -> None:
    assert {"MAX_POSITION", "PRICE_COLLAR", "OPPOSING_REFUSED"} <= {code.value for code in RISK_CODES}


# --- the circuit ----------------------------------------------------------------------------------------

SAME = ("main", "BTCUSDT", BUY, D(100), D(1))


def refused(circuit: Circuit, times: int, now: int = 0) -> None:
    for _ in range(times):
        circuit.refused(SAME, now, "no margin")


def test_the_circuit_opens_at_the_last_of_so_many_refusals_in_a_row_and_closes_by_itself() -> None:
    circuit = Circuit()
    refused(circuit, TIMES - 1)
    assert circuit.open(SAME, 0) == (0, "")
    refused(circuit, 1)
    assert circuit.open(SAME, 0) == (OPEN_MS, "no margin")
    assert circuit.open(SAME, OPEN_MS - 1)[0] == 1
    assert circuit.open(SAME, OPEN_MS)[0] == 0
    assert circuit.opened == 1


def test_another_price_is_another_order() -> None:
    circuit = Circuit()
    refused(circuit, TIMES)
    assert circuit.open((*SAME[:3], D(101), D(1)), 0)[0] == 0


def test_an_order_that_is_taken_begins_anew_and_so_does_one_refused_long_ago() -> None:
    circuit = Circuit()
    refused(circuit, TIMES - 1)
    circuit.taken(SAME)
    refused(circuit, TIMES - 1)
    assert circuit.open(SAME, 0) == (0, "")
    refused(circuit, TIMES - 1, WITHIN_MS + 1)
    assert circuit.open(SAME, WITHIN_MS + 1)[0] == 0
