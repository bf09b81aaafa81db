"""The fault script: which rule a request or a socket meets, and how often."""

from __future__ import annotations

from pms.sim.params import Request
from pms.sim.script import OnFrame, OnRequest, OnSocket, Script

ORDER = "/fapi/v1/order"


class Dice:
    """Chance that gives the numbers it was told."""

    def __init__(self, *numbers: float) -> None:
        self._numbers = list(numbers)

    def random(self) -> float:
        return self._numbers.pop(0)


def _post(query: str = "", body: bytes = b"") -> Request:
    return Request("POST", f"{ORDER}?{query}", body=body)


def test_a_rule_matches_by_method_path_and_parameters() -> None:
    rule = OnRequest(method="POST", path=ORDER, params={"symbol": "BTCUSDT", "type": "LIMIT"}, count=0)
    script = Script([rule], Dice())
    assert script.for_request(_post("symbol=BTCUSDT&type=LIMIT")) is rule
    assert script.for_request(_post("symbol=BTCUSDT", b"type=LIMIT")) is rule
    assert script.for_request(_post("symbol=BTCUSDT&type=MARKET")) is None
    assert script.for_request(_post("symbol=BTCUSDT")) is None
    assert script.for_request(_post("symbol=BTCUSDT&type=LIMIT&type=LIMIT")) is None
    assert script.for_request(Request("DELETE", f"{ORDER}?symbol=BTCUSDT&type=LIMIT")) is None
    assert script.for_request(Request("POST", "/fapi/v1/orders?symbol=BTCUSDT&type=LIMIT")) is None


def test_a_path_ending_in_a_star_is_a_prefix_and_an_empty_one_is_every_path() -> None:
    prefix, every = Script([OnRequest(path="/fapi/v1/*", count=0)], Dice()), Script([OnRequest(count=0)], Dice())
    assert prefix.for_request(_post()) is not None
    assert prefix.for_request(Request("GET", "/fapi/v2/account")) is None
    assert every.for_request(Request("GET", "/anything")) is not None


def test_a_rule_lets_the_first_pass_and_then_acts_so_often() -> None:
    script = Script([OnRequest(skip=2, count=2)], Dice())
    assert [script.for_request(_post()) is not None for _ in range(6)] == [False, False, True, True, False, False]


def test_chance_decides_where_a_rule_is_not_certain() -> None:
    script = Script([OnRequest(count=0, probability=0.5)], Dice(0.49, 0.5, 0.0))
    assert [script.for_request(_post()) is not None for _ in range(3)] == [True, False, True]


def test_the_first_rule_that_matches_decides() -> None:
    script = Script(
        [OnRequest(method="GET", count=0), OnRequest(code=-1, count=1), OnRequest(code=-2, count=0)], Dice()
    )
    assert [script.for_request(_post()).code for _ in range(3)] == [-1, -2, -2]


def test_sockets_have_rules_of_their_own() -> None:
    rule = OnSocket(path="/private/*", refuse=503)
    script = Script([OnRequest(count=0), rule], Dice())
    assert script.for_socket("/public/ws") is None
    assert script.for_socket("/private/ws/k?x=1") is rule
    assert script.for_socket("/private/ws/k") is None


def test_rules_can_be_added_and_cleared_while_running() -> None:
    script = Script([], Dice())
    assert script.for_request(_post()) is None
    script.add(OnRequest(status=503))
    assert script.for_request(_post()) is not None
    script.add(OnRequest(status=500))
    script.clear()
    assert script.for_request(_post()) is None


def test_what_struck_is_counted_by_name_and_what_is_spent_stands_no_more() -> None:
    kept = OnRequest(name="kept", method="GET", count=0)
    script = Script([OnRequest(name="once", skip=1), kept], Dice())
    for _ in range(3):
        script.for_request(_post())
    assert script.fired == {"once": 1}
    assert script.standing == [kept]
    script.remove(kept)
    script.remove(kept)
    assert script.standing == []


def test_a_frame_meets_the_rule_that_means_it() -> None:
    rule = OnFrame(path="/private/*", events=("TRADE_LITE", "ACCOUNT_UPDATE"), symbol="BTCUSDT", count=0)
    script = Script([rule], Dice())
    hit = b'{"e":"TRADE_LITE","s":"BTCUSDT"}'
    assert script.for_frame("/private/ws/k", hit) is rule
    assert script.for_frame("/public/ws", hit) is None
    assert script.for_frame("/private/ws/k", hit.replace(b"BTC", b"ETH")) is None
    assert script.for_frame("/private/ws/k", hit.replace(b"TRADE_LITE", b"MARGIN_CALL")) is None
    every = Script([OnFrame()], Dice())
    assert every.for_frame("/public/ws", b'{"result":null,"id":1}') is None
    assert every.for_frame("/public/ws", hit) is not None


def test_only_rules_of_frames_cost_frames_a_look() -> None:
    script = Script([OnRequest(), OnSocket()], Dice())
    assert not script.frames
    script.add(OnFrame())
    assert script.frames
    script.clear()
    assert not script.frames
