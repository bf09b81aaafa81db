"""How events and tables read."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pms.cli import lines

HEAD = {"seq": 7, "prevSeq": 6, "epoch": 1, "v": 1, "ts": 1_790_000_000_123, "subAccountId": "main", "requestId": ""}
ORDER = {
    **HEAD,
    "type": "order_partial",
    "symbol": "BTCUSDT",
    "side": "BUY",
    "price": Decimal("61800.50"),
    "quantity": Decimal("0.200"),
    "filledQty": Decimal("0.150"),
    "avgFillPrice": Decimal("61800.5"),
    "clientOrderId": "pms-a",
    "reason": "",
}


@pytest.mark.parametrize(
    "given, shown", [("0.010", "0.01"), ("100", "100"), ("1E-7", "0.0000001"), (0, "0"), ("-1.50", "-1.5")]
)
def test_a_number_has_plain_digits_and_no_idle_zeros(given, shown) -> None:
    assert lines.number(given) == shown


def test_an_order_reads_as_one_line_with_its_number_and_its_fill() -> None:
    told = lines.event(ORDER)
    assert told.split()[:4] == ["14:13:20.123", "7", "order_partial", "main"]
    assert told.endswith("BTCUSDT BUY  @ 61800.5 filled 0.15/0.2 avg 61800.5 pms-a")
    assert lines.event({**ORDER, "reason": "refused"}).endswith("pms-a (refused)")


def test_an_event_of_another_family_shows_every_field_that_says_something() -> None:
    told = lines.event({**HEAD, "type": "alarm", "code": "x", "since": 5, "empty": "", "parts": {"a": Decimal("1.0")}})
    assert told.endswith("alarm              main     code=x since=5 parts=a:1")


def test_a_table_is_as_wide_as_its_cells_and_an_empty_one_says_so() -> None:
    assert lines.table(("a", "bb"), [("long", "x")]) == "a     bb\nlong  x"
    assert lines.table(("a", "bb"), []) == "None."
