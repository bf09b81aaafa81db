"""Requests of the WebSocket API as the venue reads them, and its answers as REST's."""

from __future__ import annotations

import json
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pms.binance import errors, queries, ws_calls
from pms.binance.errors import Fate, Pause
from pms.binance.signing import KeyType, Signer
from pms.binance.transport import Response
from pms.binance.ws_calls import Call
from pms.sim.auth import Keys
from pms.sim.params import Params
from pms.sim.ws_api import METHODS, signed_text
from pms.venue import Amend, Cancel, Place
from schemas.market import Side
from tests.key_pairs import KEY, KINDS, pair

NOW = 1_790_526_539_000
D = Decimal
ORDERS = [
    Place("BTCUSDT", "pms-1", Side.BUY, "LIMIT", "GTX", D("0.010"), D("84000.10"), False),
    Place("BTCUSDT", "pms-1", Side.SELL, "LIMIT", "IOC", D("0.010"), D("84000.10"), True),
    Place("BTCUSDT", "pms-1", Side.BUY, "MARKET", "GTC", D("0.010"), D(0), True),
    Amend("BTCUSDT", "pms-1", Side.BUY, D("0.010"), D("84000.20")),
    Cancel("BTCUSDT", "pms-1"),
]


def values(text: str) -> dict[str, str]:
    """The parameters of a frame as the venue takes them."""
    return {name: str(value) for name, value in json.loads(text)["params"].items()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", ORDERS, ids=lambda order: type(order).__name__.lower())
def test_the_venue_verifies_what_was_signed_by_a_key_of_each_type(order: Place | Amend | Cancel, kind: KeyType) -> None:
    request, made = queries.order(order), pair(kind)
    text = Call(request.call, request.params, request.window_ms, KEY, made.credentials.signer()).text(7, NOW)
    told = values(text)
    Keys({KEY: made.known}).verify_text(KEY, signed_text(told), Params(told), NOW)
    assert {name: told[name] for name, _ in request.params} == dict(request.params)
    frame = json.loads(text)
    assert (frame["id"], METHODS[frame["method"]]) == (7, (request.method, request.path))
    assert (frame["params"]["timestamp"], frame["params"]["recvWindow"]) == (NOW, request.window_ms)


def test_a_session_needs_neither_key_nor_signature() -> None:
    request = queries.order(ORDERS[0])
    text = Call(request.call, request.params, request.window_ms, KEY, None).text(1, NOW)
    assert values(text) == dict(request.params) | {"recvWindow": "2000", "timestamp": str(NOW)}
    assert KEY not in values(text).values()


@given(st.lists(st.tuples(st.sampled_from(("abc", "timeInForce", "type", "zeta", "symbol")), st.text("aZ09._~-")),
                unique_by=lambda pair: pair[0]))  # fmt: skip
def test_whatever_the_parameters_the_signed_text_is_the_venues(params: list[tuple[str, str]]) -> None:
    told = values(Call("x", params, 1_000, "key", Signer("secret")).text(1, NOW))
    Keys({"key": "secret"}).verify_text("key", signed_text(told), Params(told), NOW)


@pytest.mark.parametrize(
    "value, may", [("BTCUSDT", True), ("0.010", True), ("币安USDT", False), ('a"b', False), ("a b", False)]
)
def test_what_needs_quoting_goes_the_other_way(value: str, may: bool) -> None:
    assert ws_calls.callable_with([("symbol", value)]) is may


def answered(**frame: object) -> Response:
    return ws_calls.response(ws_calls.decode(json.dumps(frame).encode()), NOW)


def test_a_success_has_its_result_as_body_and_the_order_counters_as_headers() -> None:
    rows = [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400, "count": 9},
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300, "count": 3},
        {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200, "count": 4},
        {"rateLimitType": "NEWS", "interval": "DAY"},
    ]
    told = answered(id=1, status=200, result={"orderId": 1}, rateLimits=rows, extra=1)
    assert (told.status, json.loads(told.body)) == (200, {"orderId": 1})
    assert told.headers == {"x-mbx-order-count-10s": "3", "x-mbx-order-count-1m": "4"}


@pytest.mark.parametrize(
    "status, code, fate, pause",
    [
        (400, -5022, Fate.REFUSED, Pause.NONE),
        (400, -1007, Fate.UNKNOWN, Pause.NONE),
        (408, -1007, Fate.UNKNOWN, Pause.NONE),
        (503, -1008, Fate.NOT_DONE, Pause.BRIEF),
        (429, -1015, Fate.NOT_DONE, Pause.ORDERS),
        (418, -1003, Fate.NOT_DONE, Pause.ALL),
        (401, -2015, Fate.AUTH, Pause.NONE),
    ],
)
def test_a_refusal_is_read_by_the_table_of_rest(status: int, code: int, fate: Fate, pause: Pause) -> None:
    verdict = errors.read(answered(id=1, status=status, error={"code": code, "msg": "no"}))
    assert (verdict.fate, verdict.pause, verdict.code) == (fate, pause, code)


@pytest.mark.parametrize(
    "data, seconds",
    [
        ({"serverTime": NOW, "retryAfter": NOW + 5_000}, "5"),
        ({"serverTime": NOW, "retryAfter": NOW + 5_001}, "6"),
        ({"serverTime": NOW, "retryAfter": NOW - 1}, "1"),
        ({"retryAfter": NOW + 2_000}, "2"),
        ({"serverTime": NOW}, None),
        ("soon", None),
        (None, None),
    ],
)
def test_the_moment_to_come_again_is_told_in_whole_seconds(data: object, seconds: str | None) -> None:
    told = answered(id=1, status=429, error={"code": -1003, "msg": "", "data": data})
    assert told.headers.get("retry-after") == seconds


@pytest.mark.parametrize("frame", [{"id": 1}, {"id": 1, "status": 200}, {"id": 1, "status": 0, "error": None}])
def test_an_answer_without_its_parts_is_no_proof_of_anything(frame: dict[str, object]) -> None:
    told = answered(**frame)
    assert errors.read(Response(told.status or 500, told.headers, told.body)).fate is Fate.UNKNOWN


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"<html>", b'{"id":1,"status":"x"}', b"\xff"])
def test_what_is_no_frame_is_an_error(raw: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        ws_calls.decode(raw)
