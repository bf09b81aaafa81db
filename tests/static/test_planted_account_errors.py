"""What sends orders, and what the venue tells of its account: one error planted in each rule turns its test red."""

from __future__ import annotations

import pytest

from tests.static.test_planted_errors import Planted, run
from tests.static.test_planted_errors import tree as tree  # noqa: PLC0414 - a fixture

SENDERS = "tests/static/test_tidy.py::test_the_tree_obeys_the_rule[order_requests]"

ERRORS = {
    "an order leaves beside the gate": Planted(
        7,
        "pms/probe.py",
        "self._venue.suspect(f",
        "self._venue.cancel(f",
        SENDERS,
    ),
    "a second hand approves": Planted(
        7,
        "pms/execution.py",
        "request = approved.request\n        action",
        "request = Approved(approved.request, True, approved.seal).request\n        action",
        SENDERS,
    ),
    "anything seals an approval": Planted(
        7,
        "pms/core/risk.py",
        "if self.seal is not _SEAL:",
        "if self.seal is None:",
        "tests/pure/core/test_risk.py::test_only_the_gate_makes_an_approval",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_a_planted_error_turns_its_test_red(name: str, tree) -> None:
    error = ERRORS[name]
    source = (tree / error.path).read_text()
    assert source.count(error.right) == 1, f"the error has no place in {error.path} any more"
    (tree / error.path).write_text(source.replace(error.right, error.wrong))
    result = run(tree, error.test)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "AssertionError" in result.stdout + result.stderr or "Failed:" in result.stdout


def test_without_the_errors_the_same_tests_are_green(tree) -> None:
    result = run(tree, *dict.fromkeys(error.test for error in ERRORS.values()))
    assert result.returncode == 0, result.stdout + result.stderr
