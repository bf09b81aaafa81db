"""What `pms cancel` says of an order that was, or was not, gone when the daemon answered."""

from __future__ import annotations

from typing import Any

import pytest

from pms.cli import cancel


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
