"""The form of parameters: what is read, and which code each bad form gets."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pms.sim.model import VenueError
from pms.sim.params import Params, pairs_of


def test_a_query_is_decoded_but_only_where_something_is_encoded() -> None:
    assert pairs_of("symbol=BTCUSDT&newClientOrderId=a%2Fb&note=a+b&&flag=") == {
        "symbol": "BTCUSDT",
        "newClientOrderId": "a/b",
        "note": "a b",
        "flag": "",
    }


def test_a_symbol_of_other_letters_arrives_whole() -> None:
    assert pairs_of("symbol=%E7%89%9B%E6%9D%A5USDT") == {"symbol": "牛来USDT"}


def test_a_name_sent_twice_is_refused() -> None:
    with pytest.raises(VenueError) as refused:
        pairs_of("price=1&price=2")
    assert refused.value.code == -1101


def test_values_are_read_as_what_they_are() -> None:
    params = Params(
        {"quantity": "0.010", "orderId": "7", "reduceOnly": "TRUE", "limit": "5", "origClientOrderId": "a:b/c"}
    )
    assert params.needed_decimal("quantity") == Decimal("0.010")
    assert params.needed_integer("orderId") == 7
    assert params.flag("reduceOnly") is True
    assert params.limit(500, 1000) == 5
    assert params.client_id("origClientOrderId") == "a:b/c"
    assert params.decimal("price") is None
    assert params.flag("closePosition") is None
    assert "quantity" in params


def test_a_negative_number_has_legal_form_as_the_filters_have_the_code_for_it() -> None:
    assert Params({"price": "-1"}).decimal("price") == -1


CASES = [
    ("missing compulsory text", {}, lambda p: p.text("symbol"), -1102),
    ("empty compulsory text", {"symbol": ""}, lambda p: p.text("symbol"), -1102),
    ("missing compulsory integer", {}, lambda p: p.needed_integer("timestamp"), -1102),
    ("missing compulsory decimal", {}, lambda p: p.needed_decimal("quantity"), -1102),
    ("empty optional text", {"priceMatch": ""}, lambda p: p.get("priceMatch"), -1105),
    ("letters in an integer", {"orderId": "7x"}, lambda p: p.integer("orderId"), -1100),
    ("a fraction for an integer", {"orderId": "7.0"}, lambda p: p.integer("orderId"), -1100),
    ("an exponent in a decimal", {"price": "1e3"}, lambda p: p.decimal("price"), -1100),
    ("not a number", {"price": "NaN"}, lambda p: p.decimal("price"), -1100),
    ("digits of another script", {"price": "١"}, lambda p: p.decimal("price"), -1100),
    ("a flag that is neither", {"reduceOnly": "yes"}, lambda p: p.flag("reduceOnly"), -1130),
    ("an illegal character in an id", {"newClientOrderId": "a b"}, lambda p: p.client_id("newClientOrderId"), -1100),
    ("an id of 37 characters", {"newClientOrderId": "a" * 37}, lambda p: p.client_id("newClientOrderId"), -4015),
    ("a limit of nothing", {"limit": "0"}, lambda p: p.limit(500, 1000), -1130),
    ("a limit over the highest", {"limit": "1001"}, lambda p: p.limit(500, 1000), -1130),
    ("a window the wrong way round", {"startTime": "2", "endTime": "1"}, lambda p: p.window(10), -1023),
    ("a window too long", {"startTime": "1", "endTime": "12"}, lambda p: p.window(10), -4166),
]


@pytest.mark.parametrize("values, read, code", [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_each_bad_form_has_its_code(values, read, code) -> None:
    with pytest.raises(VenueError) as refused:
        read(Params(values))
    assert refused.value.code == code
    assert refused.value.status == 400


def test_an_id_of_36_characters_is_legal() -> None:
    assert Params({"newClientOrderId": "a" * 36}).client_id("newClientOrderId") == "a" * 36


def test_names_that_were_not_sent_are_known_as_such() -> None:
    params = Params({"fromId": "1"})
    assert params.without(("startTime", "endTime"))
    assert not params.without(("startTime", "fromId"))
