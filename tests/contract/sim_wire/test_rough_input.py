"""Whatever is sent, the venue answers: no input makes it raise."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from pms.binance.transport import Response
from pms.sim.model import VenueError
from pms.sim.params import Request
from pms.sim.wire import ROUTES
from tests.contract.sim_wire.client import KEYS, START, Desk

DESK = Desk()
NAMES = sorted(
    "symbol side type timeInForce quantity price limit interval orderId origClientOrderId newClientOrderId fromId"
    " startTime endTime leverage batchOrders orderIdList origClientOrderIdList recvWindow priceMatch reduceOnly".split()
)
ROUGH = some.one_of(
    some.sampled_from(  # ordinary values, and what breaks parsers
        ["BTCUSDT", "BUY", "LIMIT", "MARKET", "GTC", "1", "0.010", "84000.0", "-1", "9" * 5_000, "1e9", "٣", "%ff",
         "%00", "[]", "[1]", "[{}]", '["%ff"]', "%5B%22%ff%22%5D", "1m", "true", "", "+", "%", "%%%", "\udcff"]
    ),
    some.text(max_size=8).map(lambda text: text.replace("&", "").replace("?", "")),
)  # fmt: skip


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    some.sampled_from(ROUTES),
    some.lists(some.tuples(some.sampled_from(NAMES), ROUGH), max_size=6),
    some.binary(max_size=20),
    some.booleans(),
)
def test_any_request_gets_an_answer_of_the_venue(route, params, body, in_query) -> None:
    text = "&".join(f"{name}={value}" for name, value in params)
    text = f"{text}&timestamp={START}"
    form = b"" if in_query else text.encode("utf-8", "surrogateescape")
    query = text if in_query else ""
    signature = sign_any(query, form)
    target = f"{route.path}?{query}&signature={signature}"
    DESK.now = START
    answer = DESK.venue.handle(Request(route.method, target, {"x-mbx-apikey": "alice"}, form))
    rough = DESK.venue.handle(Request(route.method, target, {"x-mbx-apikey": "alice"}, body))
    for one in (answer, rough):
        assert isinstance(one, Response)
        assert one.status in (200, 400, 401, 418, 429)
        json.loads(one.body)


def sign_any(query: str, form: bytes) -> str:
    """A right signature over any bytes."""
    text = query.encode("utf-8", "surrogateescape") + form
    return hmac.new(KEYS["alice"].encode(), text, hashlib.sha256).hexdigest()


@settings(max_examples=300, deadline=None)
@given(some.one_of(some.binary(max_size=40), some.text(max_size=40)))
def test_any_message_gets_an_answer_or_an_end(message) -> None:
    wire = DESK.stream("/public/ws")
    wire.session.on_text(message, 0)
    assert wire.frames or wire.closed
    wire.session.on_close()
    DESK.now += 1_000_000  # leave the connection budget behind


@pytest.mark.parametrize("depth", [10, 1_000, 100_000])
def test_deeply_nested_messages_are_refused(depth) -> None:
    wire = Desk().stream("/public/ws")
    wire.session.on_text('{"method":"SUBSCRIBE","params":' + "[" * depth, 0)
    wire.session.on_text('{"method":"SUBSCRIBE","params":["x"],"more":' + "[" * depth + "]" * depth + "}", 0)
    assert len(wire.frames) == 2


@pytest.mark.parametrize("target", ["/public//ws", "/public/ws/%ff/%", "/private/ws?listenKey=", "/ws/\udcff"])
def test_a_rough_stream_address_opens(target) -> None:
    desk = Desk()
    desk.stream(target)
    assert len(desk.venue.sessions) == 1


@pytest.mark.parametrize("target", ["", "/", "//", "/%70ublic", "?", "/ws%00"])
def test_a_stream_address_of_no_route_is_not_found(target) -> None:
    desk = Desk()
    with pytest.raises(VenueError) as refused:
        desk.stream(target)
    assert refused.value.status == 404
    assert not desk.venue.sessions
