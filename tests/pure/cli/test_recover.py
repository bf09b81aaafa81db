"""How `pms recover` ends: its exit code says how the run came out."""

from __future__ import annotations

from typing import Any

import pytest

from pms import exits
from pms.cli import recover

DONE = {"action": "cancelorder", "subject": "x", "evidence": "y", "outcome": "cancelled"}
NAMED = DONE | {"action": "show", "outcome": "left alone"}


@pytest.mark.parametrize(
    "run, code",
    [
        ({}, exits.OK),
        ({"steps": []}, exits.OK),
        ({"steps": [NAMED]}, exits.OK),
        ({"steps": [NAMED, DONE]}, exits.ACTED),
        ({"steps": [DONE], "unresolved": ["BTCUSDT"]}, exits.UNRESOLVED),
        ({"steps": [DONE], "unresolved": ["BTCUSDT"], "gated": True}, exits.FIRST_CONTACT),
        ({"steps": [], "gated": True}, exits.FIRST_CONTACT),
    ],
)
def test_the_code_tells_the_worst_that_is_left(run: dict[str, Any], code: int) -> None:
    assert recover.outcome(run) == code
