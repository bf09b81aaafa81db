"""Every rule of requests has a row of the table that bites: one error planted turns it red (contract.md, "Commands
in")."""

from __future__ import annotations

import pytest

from tests.static.planting import Planted, assert_found
from tests.world.idempotency import ROWS
from tests.world.test_idempotency import name_of

TEST = "tests/world/test_idempotency.py::test_a_request_is_answered_and_carried_out_as_the_table_says"

# what is wrong: path, right, wrong, the row that finds it
ERRORS = {
    "every body is the same": (
        "pms/bus/acceptance.py",
        "digest=digest(sub_account.encode(), decoded.command.type.encode(), codec.encode(decoded.command))",
        'digest=digest(b"")',
        "another body, list then stream",
    ),
    "another sub-account's result is nobody's": (
        "pms/bus/commit.lua",
        "if begins ~= '' and begins ~= ARGV[13] then",
        "if false then",
        "another sub-account that is at home: found by its claim alone",
    ),
    "what was not done is stored": (
        "pms/bus/requests.py",
        "return not msgspec.json.decode(reply, type=_Retryable).retryable",
        "return True",
        "EXCHANGE_UNAVAILABLE of a limit, then again",
    ),
    "a claim is no claim": (
        "pms/bus/commit.lua",
        "if stored and not (doubt and stored == ARGV[10]) then",
        "if false then",
        "again after a stop, found by its own claim",
    ),
    "what had not left is told as placed": (
        "pms/commands/answers.py",
        'if failed.code == "never_arrived":',
        "if False:",
        "a limit that had not left, stream",
    ),
    "what was answered is carried out again": (
        "pms/bus/requests.py",
        "        if stored.answered:\n            reply = bytes(stored.outcome)",
        "        if False:\n            reply = bytes(stored.outcome)",
        "a refusal again after a restart",
    ),
    "an entry's own time does not count": (
        "pms/bus/acceptance.py",
        "issued_at, now = item.arrival.entry_ms, redis_now",
        "issued_at, now = None, redis_now",
        "old by its entry id",
    ),
    "an old command is carried out": (
        "pms/bus/acceptance.py",
        "if age > envelope.max_age_ms:",
        "if age > 40_000:",
        "old by issuedAt, list",
    ),
    "maxAgeMs is not read": (
        "pms/bus/acceptance.py",
        "if age > envelope.max_age_ms:",
        "if age > 30_000:",
        "old by its own maxAgeMs, stream",
    ),
    "a command of the future is carried out": (
        "pms/bus/acceptance.py",
        "if -age > FUTURE_MS:",
        "if False:",
        "from more than 5 s ahead, stream",
    ),
    "nobody need say who asks": (
        "pms/bus/acceptance.py",
        "if not request_id and decoded.command.type not in REDUCING:",
        "if False:",
        "no requestId at the list door",
    ),
    "a cancel needs a requestId": (
        "pms/bus/acceptance.py",
        "if not request_id and decoded.command.type not in REDUCING:",
        "if not request_id:",
        "a cancel without a requestId",
    ),
    "what lay there at the start is carried out": (
        "pms/bus/acceptance.py",
        "if item.arrival.early and not only_reduces(item.command):",
        "if False:",
        "a chase waiting at the start without issuedAt",
    ),
    "an exit that lay there at the start is refused": (
        "pms/bus/acceptance.py",
        "if item.arrival.early and not only_reduces(item.command):",
        "if item.arrival.early:",
        "a reduce-only trade waiting at the start without issuedAt",
    ),
}


def node(what: str) -> str:
    (row,) = [row for row in ROWS if row.what == what]
    return f"{TEST}[{name_of(row)}]"


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.slow  # test_planting.py holds that each still has its place
def test_a_planted_error_turns_its_row_red(name: str) -> None:
    path, right, wrong, row = ERRORS[name]
    assert_found(Planted(0, path, right, wrong, node(row)))
