"""Both Redis users as a JavaScript client logs in with them: what each may do and what it is refused."""

from __future__ import annotations

import json

import pytest

from tests.contract import test_acl
from tests.js.conftest import LIBRARIES

# real processes: not beside those of the process layer
pytestmark = pytest.mark.js

BLOCKING_OR_MODE = ("SUBSCRIBE", "PSUBSCRIBE", "MONITOR")  # a library wants these by calls of its own


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    "user, may, may_not",
    [
        ("read", test_acl.READ_MAY, test_acl.READ_MAY_NOT),
        ("command", test_acl.COMMAND_MAY, test_acl.COMMAND_MAY_NOT),
    ],
)
def test_a_user_may_what_it_needs_and_nothing_else(run, real_redis, cases, library, user, may, may_not) -> None:
    url = real_redis.url_read if user == "read" else real_redis.url_command
    lines = [line for line in (*may, *may_not) if not line.startswith(BLOCKING_OR_MODE)]
    told = json.loads(run("users.mjs", library, url, given=json.dumps([line.split() for line in lines])))
    outcomes = dict(zip(lines, told["outcomes"], strict=True))
    allowed = {line for line, error in outcomes.items() if error is None}
    assert allowed == set(may) & set(lines)
    assert all("NOPERM" in error for error in outcomes.values() if error is not None)
    assert told["listened"] is None if user == "read" else "NOPERM" in told["listened"]
    cases(len(lines) + 1)
