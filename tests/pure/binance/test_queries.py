"""Order requests as the venue wants them: names, windows, plain decimals."""

from __future__ import annotations

from decimal import Decimal
from urllib.parse import parse_qsl

from pms.binance import queries
from pms.venue import Amend, Cancel, Place
from schemas.market import Side

LIMIT = Place("BTCUSDT", "pms-1", Side.BUY, "LIMIT", "GTX", Decimal("0.010"), Decimal("84000.0"), False)


def params(request: queries.Request) -> dict[str, str]:
    return dict(parse_qsl(request.query))


def test_a_limit_order_names_price_and_time_in_force_and_asks_for_its_result() -> None:
    request = queries.place(LIMIT)
    assert (request.method, request.path) == ("POST", "/fapi/v1/order")
    assert params(request) == {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "quantity": "0.010",
        "timeInForce": "GTX",
        "price": "84000.0",
        "newClientOrderId": "pms-1",
        "newOrderRespType": "RESULT",
    }


def test_a_market_order_sends_neither_price_nor_time_in_force() -> None:
    order = Place("BTCUSDT", "pms-1", Side.SELL, "MARKET", "GTC", Decimal(1), Decimal(84000), True)
    sent = params(queries.place(order))
    assert "price" not in sent
    assert "timeInForce" not in sent
    assert sent["reduceOnly"] == "true"


def test_tiny_and_huge_decimals_are_written_without_exponent() -> None:
    order = Place("1000PEPEUSDT", "a", Side.BUY, "LIMIT", "GTC", Decimal("1E+6"), Decimal("1E-7"), False)
    sent = params(queries.place(order))
    assert (sent["quantity"], sent["price"]) == ("1000000", "0.0000001")


def test_windows_are_short_where_acting_late_hurts() -> None:
    amend = queries.amend(Amend("BTCUSDT", "pms-1", Side.BUY, Decimal(1), Decimal(2)))
    cancel = queries.cancel(Cancel("BTCUSDT", "pms-1"))
    assert [queries.place(LIMIT).window_ms, amend.window_ms, cancel.window_ms] == [2000, 1000, 5000]


def test_an_amend_carries_the_total_and_the_clients_id() -> None:
    request = queries.amend(Amend("BTCUSDT", "pms-1", Side.SELL, Decimal(10), Decimal("84000.1")))
    assert (request.method, params(request)) == (
        "PUT",
        {
            "symbol": "BTCUSDT",
            "side": "SELL",
            "quantity": "10",
            "price": "84000.1",
            "origClientOrderId": "pms-1",
        },
    )


def test_only_reads_wait_for_their_turn() -> None:
    cancel = queries.cancel(Cancel("BTCUSDT", "pms-1"))
    assert not queries.place(LIMIT).queued
    assert not cancel.queued
    assert not queries.look_up("BTCUSDT", "pms-1").queued
    assert queries.read("/fapi/v1/openOrders").queued


def test_parameters_that_are_none_are_left_out() -> None:
    assert queries.read("/fapi/v1/userTrades", symbol="A", orderId=None, limit=5).query == "symbol=A&limit=5"
