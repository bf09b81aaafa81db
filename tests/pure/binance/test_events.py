"""User events: the shapes of binance.md section 7 and of the recorded fill."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pms.binance import events, modes
from pms.notices import CalledPosition, LeverageSet, MarginCall, ModeSwitched
from pms.venue import AccountChange, FillHint
from schemas.market import Side
from schemas.orders import Cause, Fill
from schemas.reports import Report, VenuePosition, VenueStatus

ORDER: dict[str, Any] = {
    "s": "DOTUSDT",
    "c": "pms-1-7",
    "S": "BUY",
    "o": "LIMIT",
    "f": "GTX",
    "q": "4.9",
    "p": "1.1360",
    "ap": "1.1359",
    "sp": "0",
    "x": "TRADE",
    "X": "PARTIALLY_FILLED",
    "i": 33878894217,
    "l": "1.9",
    "z": "2.9",
    "L": "1.1359",
    "n": "0.00000325",
    "N": "BNB",
    "T": 1789837689736,
    "t": 1190331610,
    "b": "0",
    "a": "0",
    "m": True,
    "R": False,
    "wt": "CONTRACT_PRICE",
    "ot": "LIMIT",
    "ps": "BOTH",
    "cp": False,
    "rp": "-0.5",
    "pP": False,
    "si": 0,
    "ss": 0,
    "V": "EXPIRE_MAKER",
    "pm": "NONE",
    "gtd": 0,
    "er": "0",
}


def frame(**changes: object) -> bytes:
    order = {key: value for key, value in {**ORDER, **changes}.items() if value is not ...}
    return json.dumps({"e": "ORDER_TRADE_UPDATE", "T": 1, "E": 2, "o": order}).encode()


def report(**changes: object) -> Report:
    event = events.decode(frame(**changes))
    assert isinstance(event, Report)
    return event


def test_a_trade_tells_the_order_and_its_execution() -> None:
    told = report()
    assert told == Report(
        client_id="pms-1-7",
        order_id=33878894217,
        symbol="DOTUSDT",
        side=Side.BUY,
        status=VenueStatus.OPEN,
        order_type="LIMIT",
        time_in_force="GTX",
        price=Decimal("1.136"),
        quantity=Decimal("4.9"),
        filled=Decimal("2.9"),
        reduce_only=False,
        time=1789837689736,
        average=Decimal("1.1359"),
        fill=Fill(
            symbol="DOTUSDT",
            exchange_order_id=33878894217,
            trade_id=1190331610,
            side=Side.BUY,
            price=Decimal("1.1359"),
            quantity=Decimal("1.9"),
            commission=Decimal("0.00000325"),
            commission_asset="BNB",
            maker=True,
            time=1789837689736,
            realized=Decimal("-0.5"),
        ),
    )


STATUSES = [
    ("NEW", VenueStatus.OPEN),
    ("PARTIALLY_FILLED", VenueStatus.OPEN),
    ("FILLED", VenueStatus.FILLED),
    ("CANCELED", VenueStatus.CANCELLED),
    ("EXPIRED", VenueStatus.EXPIRED),
    ("EXPIRED_IN_MATCH", VenueStatus.EXPIRED),
    ("REJECTED", VenueStatus.EXPIRED),
    ("NEW_INSURANCE", VenueStatus.OPEN),
    ("NEW_ADL", VenueStatus.OPEN),
    ("A_STATUS_OF_NEXT_YEAR", VenueStatus.OPEN),
]


@pytest.mark.parametrize("word, status", STATUSES)
def test_every_status_has_a_meaning_and_an_end_is_never_invented(word: str, status: VenueStatus) -> None:
    assert report(X=word).status is status


CAUSES = [
    ({"x": "EXPIRED", "X": "EXPIRED", "f": "IOC", "er": "2"}, Cause.TIME_IN_FORCE),
    ({"x": "EXPIRED", "X": "EXPIRED_IN_MATCH", "er": "1"}, Cause.SELF_TRADE),
    ({"x": "EXPIRED", "X": "EXPIRED_IN_MATCH", "er": "0"}, Cause.SELF_TRADE),
    ({"x": "EXPIRED", "X": "EXPIRED", "f": "IOC", "er": "3"}, Cause.SELF_TRADE),
    ({"x": "EXPIRED", "X": "EXPIRED", "er": "4"}, Cause.REDUCE_ONLY),
    ({"x": "EXPIRED", "X": "EXPIRED", "er": "5"}, Cause.LIQUIDATION),
    ({"x": "EXPIRED", "X": "EXPIRED", "er": "7"}, Cause.NOT_TRADING),
    ({"x": "EXPIRED", "X": "EXPIRED", "er": "9", "f": "GTC"}, Cause.TIME_IN_FORCE),
    ({"x": "EXPIRED", "X": "EXPIRED", "er": "10"}, Cause.OTHER),
    ({"x": "EXPIRED", "X": "EXPIRED", "er": "0", "f": "GTX"}, Cause.POST_ONLY),
    ({"x": "EXPIRED", "X": "EXPIRED", "er": "0", "f": "GTC"}, Cause.NONE),
    ({"x": "CANCELED", "X": "CANCELED", "er": ...}, Cause.NONE),
]


@pytest.mark.parametrize("changes, cause", CAUSES)
def test_the_reason_of_an_end_becomes_its_cause(changes: dict[str, object], cause: Cause) -> None:
    assert report(**changes).cause is cause


@pytest.mark.parametrize("execution", ["NEW", "CANCELED", "EXPIRED", "AMENDMENT"])
def test_only_executions_carry_a_fill(execution: str) -> None:
    told = report(x=execution, X="NEW", t=0, l="0")
    assert told.fill is None
    assert told.amended == (execution == "AMENDMENT")


def test_an_execution_without_trade_id_is_not_booked() -> None:
    assert report(x="CALCULATED", t=0).fill is None


@pytest.mark.parametrize(
    "name, here",
    [
        ("autoclose-1700000000000", "autoclose-1700000000000-9"),
        ("adl_autoclose", "adl_autoclose-9"),  # every deleveraging is called so
        ("web_AbC", "web_AbC"),
        ("x-broker-1", "x-broker-1"),
    ],
)
def test_foreign_orders_pass_with_their_own_ids_and_the_venues_own_with_their_number(name: str, here: str) -> None:
    told = report(c=name, x="CALCULATED", o="LIQUIDATION", i=9)
    assert told.client_id == here
    assert told.fill is not None


@pytest.mark.parametrize("commission", [{"n": ..., "N": ...}, {"n": None, "N": None}])
def test_a_missing_commission_is_zero(commission: dict[str, object]) -> None:
    told = report(**commission)
    assert told.fill is not None
    assert (told.fill.commission, told.fill.commission_asset) == (Decimal(0), "")


def test_numbers_may_be_padded_trimmed_or_bare() -> None:
    told = report(q=4.9, p="1.13600000", z=2, ap="0.00000")
    assert (told.quantity, told.price, told.filled) == (Decimal("4.9"), Decimal("1.136"), Decimal(2))


def test_before_the_first_fill_there_is_no_average() -> None:
    assert report(x="NEW", X="NEW", z="0", ap="0", t=0).average is None


def test_an_account_update_is_absolute_and_net() -> None:
    update = {
        "e": "ACCOUNT_UPDATE",
        "T": 5,
        "E": 6,
        "a": {
            "m": "ORDER",
            "B": [{"a": "USDT", "wb": "28.05", "cw": "28.05", "bc": "0"}],
            "P": [
                {"s": "DOTUSDT", "pa": "-4.9", "ep": "1.1359", "mt": "cross", "ps": "BOTH", "ma": "USDT"},
                {"s": "DOTUSDT", "pa": "1", "ep": "1", "ps": "LONG"},
            ],
        },
    }
    change = events.decode(json.dumps(update).encode())
    assert change == AccountChange(
        5,
        "ORDER",
        {"USDT": Decimal("28.05")},
        (VenuePosition("DOTUSDT", Decimal("-4.9"), Decimal("1.1359"), 5),),
    )


def test_funding_of_a_cross_position_tells_a_balance_only() -> None:
    change = events.decode(b'{"e":"ACCOUNT_UPDATE","T":5,"a":{"m":"FUNDING_FEE","S":"A","B":[{"a":"USDT","wb":"1"}]}}')
    assert change == AccountChange(5, "FUNDING_FEE", {"USDT": Decimal(1)}, ())


def test_an_early_sign_of_a_fill_is_a_hint_and_no_fill() -> None:
    lite = b'{"e":"TRADE_LITE","E":1,"T":1,"s":"DOTUSDT","q":"4.9","c":"x","S":"BUY","L":"1","l":"4.9","t":7,"i":8}'
    assert events.decode(lite) == FillHint("DOTUSDT", "x", 8, 7)


@pytest.mark.parametrize("stream", ["thelistenkey", "ORDER_TRADE_UPDATE"])
def test_a_wrapped_frame_is_read_by_its_data(stream: str) -> None:
    wrapped = b'{"stream":"%s","data":%s}' % (stream.encode(), frame())
    assert events.decode(wrapped) == events.decode(frame())


def test_the_end_of_the_key_is_told() -> None:
    assert events.decode(b'{"e":"listenKeyExpired","E":1,"listenKey":"k"}') == events.KeyExpired()


@pytest.mark.parametrize(
    "other",
    [
        b'{"result":null,"id":1}',
        b'{"e":"ACCOUNT_CONFIG_UPDATE","E":1,"T":1,"xy":{"z":true}}',
        b'{"e":"STRATEGY_UPDATE"}',
        b'{"stream":"k","data":{"e":"GRID_UPDATE"}}',
        b"{}",
    ],
)
def test_what_is_none_of_ours_is_passed_over(other: bytes) -> None:
    assert events.decode(other) is None


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b'{"e":"ORDER_TRADE_UPDATE"}', frame(z=...), frame(q="many")])
def test_one_of_ours_that_cannot_be_read_is_an_error(broken: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        events.decode(broken)


def test_a_leverage_and_an_asset_mode_are_told() -> None:
    frame = b'{"e":"ACCOUNT_CONFIG_UPDATE","E":1,"T":1,"ac":{"s":"BTCUSDT","l":25}}'
    assert events.decode(frame) == LeverageSet("BTCUSDT", 25)
    for on in (True, False):
        frame = b'{"e":"ACCOUNT_CONFIG_UPDATE","E":1,"T":1,"ai":{"j":%s}}' % str(on).lower().encode()
        assert events.decode(frame) == ModeSwitched(modes.MULTI_ASSETS, on)


CALLED = (
    b'{"e":"MARGIN_CALL","E":1587727187525,"cw":"3.16812045","p":[{"s":"ETHUSDT","ps":"LONG","pa":"1.327",'
    b'"mt":"CROSSED","iw":"0","mp":"187.17127","up":"-1.166074","mm":"1.614445"},'
    b'{"s":"BTCUSDT","ps":"BOTH","pa":"-0.1","mt":"ISOLATED","iw":"5","mp":"9000","up":"-4","mm":"0.9"}]}'
)


def test_a_margin_call_names_its_positions_and_the_margin_of_each() -> None:
    call = events.decode(CALLED)
    assert call == MarginCall(
        1587727187525,
        Decimal("3.16812045"),
        (
            CalledPosition("ETHUSDT", Decimal("1.327"), Decimal("-1.166074"), Decimal("1.614445")),
            CalledPosition("BTCUSDT", Decimal("-0.1"), Decimal(-4), Decimal("0.9"), Decimal(5)),
        ),
    )
    assert events.decode(b'{"e":"MARGIN_CALL","E":1,"p":[]}') == MarginCall(1, Decimal(0), ())


def test_the_recorded_fill_is_told_in_its_captured_order(shared: Path) -> None:
    lines = (shared / "data/shapes/private_market_fill_2026-09-19.jsonl").read_bytes().splitlines()
    told = [events.decode(line) for line in lines if line.strip()]
    hint, new, change, filled = told
    assert isinstance(hint, FillHint)
    assert isinstance(new, Report)
    assert isinstance(change, AccountChange)
    assert isinstance(filled, Report)
    assert filled.fill is not None
    assert (new.status, new.fill) == (VenueStatus.OPEN, None)
    assert (filled.status, filled.filled) == (VenueStatus.FILLED, Decimal("4.9"))
    assert hint.trade_id == filled.fill.trade_id == 1190331610
    assert [(p.symbol, p.quantity) for p in change.positions] == [("DOTUSDT", Decimal("4.9"))]
