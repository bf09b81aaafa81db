"""What `pms cancel` says of an order that was, or was not, gone when the daemon answered."""

from __future__ import annotations

from fnmatch import fnmatch
from typing import Any

import pytest

from pms.cli import cancel
from schemas.keys import Keys


@pytest.mark.parametrize(
    "reply, says",
    [
        ({"success": True}, "cancelled"),
        ({"success": True, "details": {"state": "cancelling"}}, "cancelling"),
        ({"success": True, "details": {"state": "filled"}}, "filled"),
        ({"success": True, "details": {"ignored": ["x"]}}, "cancelled"),
        (None, "cancelled"),
    ],
)
def test_a_cancel_is_told_by_how_the_order_stands(reply: dict[str, Any] | None, says: str) -> None:
    assert cancel.outcome(reply) == says


class Stored:
    """A Redis that holds these keys and answers what the command asks."""

    def __init__(self, *keys: str) -> None:
        self._keys = keys

    def call(self, word: str, key: str) -> int:
        assert word == "EXISTS"
        return int(key in self._keys)

    def scan(self, pattern: str) -> list[str]:
        return [key for key in self._keys if fnmatch(key, pattern)]


@pytest.mark.parametrize(
    "given, command",
    [
        ("c1", ("chase_cancel", {"chaseId": "c1"})),
        ("b1", ("twap_basket_cancel", {"twapBasketId": "b1"})),
        ("p1", ("algo_cancel", {"algoId": "p1"})),
        ("pms-x", ("cancel", {"clientOrderId": "pms-x"})),
        ("*", ("cancel", {"clientOrderId": "*"})),
    ],
)
def test_an_id_says_by_its_record_what_it_names(given: str, command: tuple[str, dict[str, str]]) -> None:
    redis: Any = Stored("pms:chase:c1", "pms:twap_basket:b1", "pms:algo:iceberg:p1")
    assert cancel.command_for(redis, Keys(), given) == command
