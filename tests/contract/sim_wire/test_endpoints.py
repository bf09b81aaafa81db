"""Every row of the endpoint table, and what holds for every route."""

from __future__ import annotations

import json

import pytest

from pms.sim import fault_kinds
from pms.sim.limits import Limits
from pms.sim.wire import ROUTES
from pms.sim.ws_api import METHODS
from tests.contract.sim_wire import table
from tests.contract.sim_wire.cases import CASES, LIMIT
from tests.contract.sim_wire.client import NAMES, START, Desk, sign, signed

SIGNED = [route for route in ROUTES if route.security == "SIGNED"]
KEYED = [route for route in ROUTES if route.security != "NONE"]
OVER_WS = [case for case in CASES if (case.method, case.path) in NAMES]
ORDER = "/fapi/v1/order"


def _name(route) -> str:
    return f"{route.method} {route.path}"


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_request_gets_its_status_and_code(case) -> None:
    desk = Desk()
    for method, path, params in case.given:
        desk.ok(method, path, **params)
    answer = desk.call(case.method, case.path, **case.params)
    body = json.loads(answer.body)
    code = body.get("code") if isinstance(body, dict) and answer.status != 200 else None
    assert (answer.status, code) == (case.status, case.code), answer.body
    if case.code is not None:
        assert body["msg"]


@pytest.mark.parametrize("case", OVER_WS, ids=[case.name for case in OVER_WS])
def test_the_request_gets_the_same_over_the_web_socket_api(case) -> None:
    desk = Desk()
    for method, path, params in case.given:
        desk.ok(method, path, **params)
    answer = desk.api().call(NAMES[case.method, case.path], **case.params)
    assert (answer["status"], answer.get("error", {}).get("code")) == (case.status, case.code), answer
    assert ("result" in answer) is (case.code is None)


def test_each_method_of_the_web_socket_api_has_cases_that_succeed_and_its_route() -> None:
    fine = {(case.method, case.path) for case in OVER_WS if case.code is None}
    assert fine == set(METHODS.values())
    assert fine <= {(route.method, route.path) for route in ROUTES}


def test_every_route_has_a_case_that_succeeds() -> None:
    covered = {(case.method, case.path) for case in CASES if case.code is None}
    assert {(route.method, route.path) for route in ROUTES} == covered


def test_the_documents_faults_are_faults() -> None:
    assert len(fault_kinds.decode(table.FAULTS.encode())) == 6


def test_no_two_cases_have_the_same_name() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


def test_the_committed_table_is_what_the_cases_say() -> None:
    assert table.PATH.read_text() == table.render(), "run: python -m tests.contract.sim_wire.table"


@pytest.mark.parametrize(
    "method, path",
    [
        ("GET", "/"),
        ("GET", "/fapi/v1/nonsense"),
        ("PATCH", ORDER),
        ("POST", "/fapi/v1/depth"),
        ("GET", "/fapi/v1/order/"),
    ],
)
def test_a_route_without_a_row_answers_404(method, path) -> None:
    answer = Desk().call(method, path)
    assert answer.status == 404
    assert answer.body.startswith(b"<html>")


@pytest.mark.parametrize("route", KEYED, ids=_name)
def test_a_keyed_route_refuses_a_missing_and_an_unknown_key(route) -> None:
    desk = Desk()
    for key, code in ((None, -2014), ("nobody", -2015)):
        answer = desk.raw(route.method, route.path, signed({}, "alice", START), key)
        assert (answer.status, json.loads(answer.body)["code"]) == (401, code)


@pytest.mark.parametrize("route", SIGNED, ids=_name)
def test_a_signed_route_refuses_what_is_badly_signed(route) -> None:
    desk = Desk()
    old, ahead = f"timestamp={START - 5_001}", f"timestamp={START + 1_000}"
    for query, code in (
        ("", -1102),
        (f"timestamp={START}", -1102),
        (f"timestamp={START}&signature={'0' * 64}", -1022),
        ("timestamp=soon&signature=0", -1100),
        (f"{old}&signature={sign(old, 's3cret')}", -1021),
        (f"{ahead}&signature={sign(ahead, 's3cret')}", -1021),
        (f"timestamp={START}&recvWindow=60001&signature=0", -1130),
        (f"timestamp={START}&timestamp={START}&signature=0", -1101),
    ):
        answer = desk.raw(route.method, route.path, query)
        assert (answer.status, json.loads(answer.body)["code"]) == (400, code)


@pytest.mark.parametrize("route", ROUTES, ids=_name)
def test_every_answer_carries_the_used_weight_and_a_refusal_costs_it_too(route) -> None:
    desk = Desk()
    weight = route.weight if isinstance(route.weight, int) else route.weight({})
    answer = desk.raw(route.method, route.path, key=None)
    assert answer.headers["x-mbx-used-weight-1m"] == str(weight)
    assert answer.headers["content-type"].startswith("application/json")


@pytest.mark.parametrize(
    "path, params, weight",
    [
        ("depth", {}, 1),
        ("depth", {"limit": "50"}, 2),
        ("depth", {"limit": "100"}, 5),
        ("depth", {"limit": "500"}, 10),
        ("depth", {"limit": "1000"}, 20),
        ("depth", {"limit": "x"}, 1),
        ("klines", {"limit": "99"}, 1),
        ("klines", {"limit": "499"}, 2),
        ("klines", {}, 5),
        ("klines", {"limit": "1000"}, 5),
        ("klines", {"limit": "1500"}, 10),
        ("premiumIndex", {}, 10),
        ("premiumIndex", {"symbol": "BTCUSDT"}, 1),
        ("ticker/bookTicker", {}, 5),
        ("ticker/bookTicker", {"symbol": "BTCUSDT"}, 2),
        ("openOrders", {}, 40),
        ("openOrders", {"symbol": "BTCUSDT"}, 1),
    ],
)
def test_some_weights_depend_on_what_is_asked(path, params, weight) -> None:
    answer = Desk().call("GET", f"/fapi/v1/{path}", **params)
    assert answer.headers["x-mbx-used-weight-1m"] == str(weight)


def test_order_answers_carry_both_counters_and_refused_orders_count_too() -> None:
    desk = Desk()
    first = desk.call("POST", ORDER, **LIMIT)
    assert (first.headers["x-mbx-order-count-10s"], first.headers["x-mbx-order-count-1m"]) == ("1", "1")
    refused = desk.call("POST", ORDER, **{**LIMIT, "price": "1"})
    assert refused.status == 400
    assert "x-mbx-order-count-10s" not in refused.headers
    batch = desk.call("POST", "/fapi/v1/batchOrders", batchOrders=json.dumps([LIMIT]))
    assert (batch.headers["x-mbx-order-count-10s"], batch.headers["x-mbx-order-count-1m"]) == ("7", "3")
    assert "x-mbx-order-count-10s" not in desk.call("GET", "/fapi/v1/openOrders").headers


def test_too_many_orders_are_refused_with_their_wait_while_cancels_go_through() -> None:
    desk = Desk(Limits(orders_10s=2))
    for number in range(2):
        desk.order(newClientOrderId=f"o{number}")
    desk.now += 4_000
    refused = desk.call("POST", ORDER, **LIMIT)
    assert (refused.status, json.loads(refused.body)["code"], refused.headers["retry-after"]) == (429, -1015, "6")
    assert desk.call("DELETE", ORDER, symbol="BTCUSDT", origClientOrderId="o0").status == 200
    assert len(desk.ok("GET", "/fapi/v1/openOrders")) == 1
    desk.order("bob")
    desk.now += 6_000
    desk.order(newClientOrderId="later")


def test_too_much_weight_is_429_then_418_and_the_order_is_not_placed() -> None:
    desk = Desk(Limits(weight_1m=10, refusals_before_ban=1))
    assert desk.raw("GET", "/fapi/v1/premiumIndex", key=None).status == 200
    first, second = desk.raw("GET", "/fapi/v1/time", key=None), desk.call("POST", ORDER, **LIMIT)
    assert (first.status, first.headers["retry-after"]) == (429, "60")
    assert (second.status, second.headers["retry-after"]) == (418, "120")
    assert f"banned until {START + 120_000}" in json.loads(second.body)["msg"]
    desk.now += 120_000
    assert desk.ok("GET", "/fapi/v1/openOrders", symbol="BTCUSDT") == []


def test_parameters_may_stand_in_the_body_and_the_query_wins() -> None:
    desk = Desk()
    body = "&".join(f"{name}={value}" for name, value in {**LIMIT, "price": "1"}.items())
    query = f"price=84000.00&timestamp={START}"
    signature = sign(query + body, "s3cret")
    answer = desk.raw("POST", ORDER, f"{query}&signature={signature}", body=body)
    assert json.loads(answer.body)["price"] == "84000.00"


def test_accounts_are_apart() -> None:
    desk = Desk()
    desk.order("alice", newClientOrderId="same")
    desk.order("bob", newClientOrderId="same")
    assert [len(desk.ok("GET", "/fapi/v1/openOrders", key)) for key in ("alice", "bob")] == [1, 1]
    desk.ok("DELETE", "/fapi/v1/allOpenOrders", "alice", symbol="BTCUSDT")
    assert [len(desk.ok("GET", "/fapi/v1/openOrders", key)) for key in ("alice", "bob")] == [0, 1]
