"""Stream connections: addresses, the subscription protocol, and the venue's silent traps."""

from __future__ import annotations

import json

import pytest

from pms.sim.hub import Filter, Hub
from pms.sim.model import VenueError
from pms.sim.names import Stream, delivers, parse
from pms.sim.session import LIFE_MS, STREAMS_MAX, Session, address_of


class Wire:
    """A client's end: what was sent to it and how it was closed."""

    def __init__(self, hub: Hub, target: str) -> None:
        self.raw: list[bytes] = []
        self.closed: list[tuple[int, str]] = []
        self.session = Session(hub, address_of(target), 0, self.raw.append, lambda *end: self.closed.append(end))

    @property
    def frames(self) -> list[dict]:
        return [json.loads(frame) for frame in self.raw]

    def say(self, now: int = 0, **message: object) -> dict:
        self.session.on_text(json.dumps(message), now)
        return self.frames[-1]


DEPTH = "btcusdt@depth@100ms"


@pytest.mark.parametrize(
    "name, expected",
    [
        ("btcusdt@depth", ("depth", "BTCUSDT", 250, 0, "")),
        ("btcusdt@depth@0ms", ("depth", "BTCUSDT", 0, 0, "")),
        (DEPTH, ("depth", "BTCUSDT", 100, 0, "")),
        ("btcusdt@depth@500ms", ("depth", "BTCUSDT", 500, 0, "")),
        ("btcusdt@depth5@100ms", ("partial", "BTCUSDT", 100, 5, "")),
        ("1000pepeusdt@depth20", ("partial", "1000PEPEUSDT", 250, 20, "")),
        ("btcusdt@bookTicker", ("bookTicker", "BTCUSDT", 0, 0, "")),
        ("!bookTicker", ("bookTicker", "", 0, 0, "")),
        ("btcusdt@aggTrade", ("aggTrade", "BTCUSDT", 0, 0, "")),
        ("btcusdt@trade", ("trade", "BTCUSDT", 0, 0, "")),
        ("btcusdt@markPrice", ("markPrice", "BTCUSDT", 3_000, 0, "")),
        ("btcusdt@markPrice@1s", ("markPrice", "BTCUSDT", 1_000, 0, "")),
        ("!markPrice@arr", ("markPrice", "", 3_000, 0, "")),
        ("!markPrice@arr@1s", ("markPrice", "", 1_000, 0, "")),
        ("btcusdt@kline_5m", ("kline", "BTCUSDT", 0, 0, "5m")),
    ],
)
def test_a_stream_name_is_read(name, expected) -> None:
    assert parse(name) == Stream(name, *expected)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "btcusdt",
        "BTCUSDT@depth",
        "btcusdt@depth@50ms",
        "btcusdt@depth7",
        "btcusdt@kline_7m",
        "@depth",
        "!x",
        "f" * 64,
    ],
)
def test_what_is_not_a_stream_name_is_nothing(name) -> None:
    assert parse(name) is None


def test_each_kind_delivers_on_its_own_route_and_an_unrouted_socket_gets_the_public_ones() -> None:
    public, market = ("depth", "partial", "bookTicker", "trade"), ("aggTrade", "markPrice", "kline")
    for kind in public:
        assert [route for route in ("public", "market", "private", "legacy") if delivers(route, kind)] == [
            "public",
            "legacy",
        ]
    for kind in market:
        assert [route for route in ("public", "market", "private", "legacy") if delivers(route, kind)] == ["market"]


@pytest.mark.parametrize(
    "target, route, combined, streams, keys",
    [
        (f"/public/ws/{DEPTH}/btcusdt@bookTicker", "public", False, (DEPTH, "btcusdt@bookTicker"), ()),
        ("/market/stream?streams=a@aggTrade/b@aggTrade", "market", True, ("a@aggTrade", "b@aggTrade"), ()),
        ("/public/ws", "public", False, (), ()),
        ("/private/stream", "private", True, (), ()),
        ("/private/ws/KEY", "private", False, ("KEY",), ()),
        ("/ws/KEY", "legacy", False, ("KEY",), ()),
        ("/stream?streams=x", "legacy", True, ("x",), ()),
        ("/private/ws?listenKey=k", "private", False, (), (("k", Filter(by_event=True)),)),
        (
            "/private/stream?listenKey=k&events=A/B&listenKey=m",
            "private",
            True,
            (),
            (("k", Filter(frozenset("AB"), True)), ("m", Filter(by_event=True))),
        ),
    ],
)
def test_an_address_is_read(target, route, combined, streams, keys) -> None:
    found = address_of(target)
    assert (found.route, found.combined, found.streams, found.keys) == (route, combined, streams, keys)


@pytest.mark.parametrize("target", ["/", "/public", "/public/other", "/ws-fapi/v1"])
def test_another_path_is_not_found(target) -> None:
    with pytest.raises(VenueError) as refused:
        address_of(target)
    assert refused.value.status == 404


def test_a_subscription_is_acknowledged_with_its_id_and_delivers() -> None:
    hub = Hub()
    wire = Wire(hub, "/public/ws")
    assert wire.say(method="SUBSCRIBE", params=[DEPTH], id=1) == {"result": None, "id": 1}
    hub.publish(DEPTH, b'{"e":"depthUpdate"}')
    assert wire.frames[-1] == {"e": "depthUpdate"}


@pytest.mark.parametrize("ident", [7, "4f1c-text", None])
def test_an_id_of_any_kind_is_echoed(ident) -> None:
    assert Wire(Hub(), "/public/ws").say(method="SUBSCRIBE", params=["x"], id=ident) == {"result": None, "id": ident}


@pytest.mark.parametrize(
    "target, name",
    [
        ("/market/ws", DEPTH),
        ("/public/ws", "btcusdt@aggTrade"),
        ("/ws", "btcusdt@aggTrade"),
        ("/private/ws", DEPTH),
        ("/public/ws", "BTCUSDT@depth@100ms"),
        ("/public/ws", "btcusdt@nonsense"),
    ],
)
def test_a_stream_on_the_wrong_route_or_of_no_kind_is_acknowledged_and_silent(target, name) -> None:
    hub = Hub()
    wire = Wire(hub, target)
    assert wire.say(method="SUBSCRIBE", params=[name], id=1) == {"result": None, "id": 1}
    assert wire.say(method="LIST_SUBSCRIPTIONS", id=2) == {"result": [name], "id": 2}
    hub.publish(name, b"{}")
    assert len(wire.raw) == 2
    assert not hub.heard(name)


def test_an_unrouted_socket_delivers_public_streams() -> None:
    hub = Hub()
    wire = Wire(hub, f"/ws/{DEPTH}")
    hub.publish(DEPTH, b"{}")
    assert wire.raw == [b"{}"]


def test_a_combined_socket_wraps_and_the_property_switches() -> None:
    hub = Hub()
    wire = Wire(hub, f"/public/stream?streams={DEPTH}")
    hub.publish(DEPTH, b'{"u":1}')
    assert wire.frames[-1] == {"stream": DEPTH, "data": {"u": 1}}
    assert wire.say(method="GET_PROPERTY", params=["combined"], id=2) == {"result": True, "id": 2}
    assert wire.say(method="SET_PROPERTY", params=["combined", False], id=3) == {"result": None, "id": 3}
    hub.publish(DEPTH, b'{"u":2}')
    assert wire.frames[-1] == {"u": 2}


def test_unsubscribing_ends_the_stream_and_closing_leaves_no_trace() -> None:
    hub = Hub()
    one, two = Wire(hub, f"/public/ws/{DEPTH}"), Wire(hub, f"/public/ws/{DEPTH}")
    assert one.say(method="UNSUBSCRIBE", params=[DEPTH, "never@was"], id=4) == {"result": None, "id": 4}
    hub.publish(DEPTH, b"{}")
    assert (len(one.raw), len(two.raw)) == (1, 1)
    assert hub.wanted("depth", "BTCUSDT") == (parse(DEPTH),)
    fast = Wire(hub, "/public/ws/btcusdt@depth@0ms")
    two.session.on_close()
    assert [stream.period_ms for stream in hub.wanted("depth", "BTCUSDT")] == [0]
    fast.session.on_close()
    assert hub.wanted("depth", "BTCUSDT") == ()
    assert hub.all_wanted("depth") == []
    hub.publish(DEPTH, b"{}")
    assert len(two.raw) == 1


def test_a_frame_is_wrapped_once_for_all_combined_sockets() -> None:
    hub = Hub()
    wires = [Wire(hub, f"/public/stream?streams={DEPTH}") for _ in range(3)]
    hub.publish(DEPTH, b"{}")
    assert wires[0].raw[0] is wires[1].raw[0] is wires[2].raw[0]


@pytest.mark.parametrize(
    "target, label",
    [
        ("/private/ws/k1", None),
        ("/private/ws?listenKey=k1", None),
        ("/private/stream?listenKey=k1", "ACCOUNT_UPDATE"),
        ("/private/stream?streams=k1", "k1"),
    ],
)
def test_user_events_arrive_in_every_private_form(target, label) -> None:
    hub = Hub()
    wire = Wire(hub, target)
    hub.tell("k1", "ACCOUNT_UPDATE", b'{"e":"ACCOUNT_UPDATE"}')
    hub.tell("k2", "ACCOUNT_UPDATE", b'{"e":"ACCOUNT_UPDATE"}')
    event = {"e": "ACCOUNT_UPDATE"}
    assert wire.frames == [event if label is None else {"stream": label, "data": event}]


def test_a_subscribed_listen_key_labels_its_frames_with_the_key() -> None:
    hub = Hub()
    wire = Wire(hub, "/private/stream")
    assert wire.say(method="SUBSCRIBE", params=["k1"], id=1) == {"result": None, "id": 1}
    hub.tell("k1", "TRADE_LITE", b"{}")
    assert wire.frames[-1] == {"stream": "k1", "data": {}}
    wire.say(method="UNSUBSCRIBE", params=["k1"], id=2)
    hub.tell("k1", "TRADE_LITE", b"{}")
    assert len(wire.raw) == 3


def test_an_event_filter_lets_only_its_events_through() -> None:
    hub = Hub()
    wire = Wire(hub, "/private/ws?listenKey=k1&events=ORDER_TRADE_UPDATE/ACCOUNT_UPDATE")
    hub.tell("k1", "TRADE_LITE", b'{"e":"TRADE_LITE"}')
    hub.tell("k1", "ACCOUNT_UPDATE", b'{"e":"ACCOUNT_UPDATE"}')
    assert wire.frames == [{"e": "ACCOUNT_UPDATE"}]


@pytest.mark.parametrize("target", ["/ws/k1", "/public/ws/k1", "/market/stream?streams=k1", "/public/ws?listenKey=k1"])
def test_a_listen_key_off_the_private_route_is_accepted_and_silent(target) -> None:
    hub = Hub()
    wire = Wire(hub, target)
    hub.tell("k1", "ACCOUNT_UPDATE", b"{}")
    assert wire.raw == []
    assert wire.say(method="LIST_SUBSCRIPTIONS", id=1)["result"] == ["k1"]


def test_two_sockets_on_one_key_both_hear_every_event() -> None:
    hub = Hub()
    wires = Wire(hub, "/private/ws/k1"), Wire(hub, "/private/ws/k1")
    hub.tell("k1", "ACCOUNT_UPDATE", b"{}")
    assert [len(wire.raw) for wire in wires] == [1, 1]
    wires[0].session.on_close()
    hub.tell("k1", "ACCOUNT_UPDATE", b"{}")
    assert [len(wire.raw) for wire in wires] == [1, 2]


def test_the_eleventh_message_in_a_second_closes_with_1008() -> None:
    wire = Wire(Hub(), "/public/ws")
    for number in range(10):
        wire.say(now=5_999, method="LIST_SUBSCRIPTIONS", id=number)
    wire.say(now=6_000, method="LIST_SUBSCRIPTIONS", id=10)
    for number in range(10):
        wire.say(now=6_001, method="LIST_SUBSCRIPTIONS", id=number)
    assert wire.closed == [(1008, "Too many requests")]
    assert len(wire.raw) == 20
    wire.session.on_text("{}", 9_000)
    assert len(wire.raw) == 20


def test_1024_streams_fit_and_the_next_is_refused_with_code_4_and_1008() -> None:
    wire = Wire(Hub(), "/public/ws")
    names = [f"s{number}@depth" for number in range(STREAMS_MAX)]
    assert wire.say(method="SUBSCRIBE", params=names, id=1)["result"] is None
    assert wire.say(method="SUBSCRIBE", params=names, id=2)["result"] is None
    assert wire.say(method="SUBSCRIBE", params=["one@more"], id=3)["error"]["code"] == 4
    assert [code for code, _ in wire.closed] == [1008]


@pytest.mark.parametrize(
    "text, code",
    [
        ("not json", 3),
        ('{"id":1}', 2),
        ('{"method":"SUBSCRIBE","params":"x","id":1}', 2),
        ('{"method":"SUBSCRIBE","id":1}', 2),
        ('{"method":"DANCE","params":["x"],"id":1}', 2),
        ('{"method":"SET_PROPERTY","params":["combined"],"id":1}', 2),
        ("[]", 2),
    ],
)
def test_a_message_that_makes_no_sense_is_told_so(text, code) -> None:
    wire = Wire(Hub(), "/public/ws")
    wire.session.on_text(text, 0)
    assert wire.frames[-1]["error"]["code"] == code
    assert wire.closed == []


def test_ending_a_session_tells_the_transport_once_and_its_life_is_a_day() -> None:
    hub = Hub()
    wire = Wire(hub, f"/public/ws/{DEPTH}")
    assert wire.session.ends_at == LIFE_MS
    wire.session.end(1001, "over")
    wire.session.end(1001, "over")
    assert wire.closed == [(1001, "over")]
    assert not hub.heard(DEPTH)


def test_leaving_what_was_never_joined_changes_nothing() -> None:
    hub = Hub()
    wire = Wire(hub, f"/public/ws/{DEPTH}")
    stranger = Wire(hub, "/public/ws")
    hub.detach(stranger.session, parse("ethusdt@depth"))
    hub.detach(stranger.session, parse(DEPTH))
    hub.unlisten(stranger.session, "k")
    assert hub.heard(DEPTH)
    wire.session.on_close()
    wire.session.end(1001, "late")
    assert wire.closed == []
