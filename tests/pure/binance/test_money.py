"""Answers about money, as the venue writes them."""

from __future__ import annotations

from decimal import Decimal

from pms.binance import money
from pms.core.margin import Bracket
from schemas.reports import FundingRate, Income, IncomeKind

D = Decimal


def test_income_rows_tell_what_the_books_know_already_from_what_they_do_not() -> None:
    row = (
        b'{"symbol":"BTCUSDT","incomeType":"%s","income":"-0.42","asset":"USDT","info":"1","time":5,"tranId":7,'
        b'"tradeId":"1190331610"}'
    )
    words = (b"COMMISSION", b"REALIZED_PNL", b"FUNDING_FEE", b"INSURANCE_CLEAR")
    rows = money.income(b"[" + b",".join(row % word for word in words) + b"]")
    kinds = (IncomeKind.TRADE, IncomeKind.TRADE, IncomeKind.FUNDING, IncomeKind.OTHER)
    assert [one.kind for one in rows] == list(kinds)
    assert rows[2] == Income("BTCUSDT", IncomeKind.FUNDING, D("-0.42"), "USDT", 5, 7, "FUNDING_FEE")


def test_a_transfer_has_no_symbol() -> None:
    (row,) = money.income(b'[{"symbol":"","incomeType":"TRANSFER","income":"5","asset":"USDT","time":1,"tranId":2}]')
    assert (row.symbol, row.kind, row.about) == ("", IncomeKind.OTHER, "TRANSFER")


def test_a_funding_without_a_mark_is_left_out() -> None:
    body = (
        b'[{"symbol":"A","fundingRate":"0.0001","fundingTime":3,"markPrice":""},'
        b'{"symbol":"A","fundingRate":"-0.0001","fundingTime":4,"markPrice":"84000.5"}]'
    )
    assert money.funding(body) == [FundingRate("A", 4, D("-0.0001"), D("84000.5"))]


def test_brackets_are_read_from_json_numbers_smallest_first() -> None:
    row = b'{"bracket":%d,"initialLeverage":%d,"notionalCap":%d,"notionalFloor":%d,"maintMarginRatio":%s,"cum":%s}'
    rows = row % (2, 100, 600000, 50000, b"0.005", b"50.0") + b"," + row % (1, 125, 50000, 0, b"0.004", b"0.0")
    table = money.brackets(b'[{"symbol":"A","notionalCoef":1.0,"brackets":[' + rows + b"]}]")
    assert table == {
        "A": (
            Bracket(D(0), D(50000), 125, D("0.004"), D(0)),
            Bracket(D(50000), D(600000), 100, D("0.005"), D(50)),
        )
    }


def test_the_mark_price_is_exact() -> None:
    assert money.mark(b'{"symbol":"A","markPrice":"84551.10762319","indexPrice":"1"}') == D("84551.10762319")
