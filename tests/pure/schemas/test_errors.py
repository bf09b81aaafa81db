"""The closed list of codes is the contract's."""

from __future__ import annotations

import re

import pytest

from schemas import codec
from schemas.errors import RISK_CODES, Category, ErrorCode, Failure, Invalid

COUNTS = {"VALIDATION": 18, "OWNERSHIP": 12, "RISK": 19, "AMBIGUITY": 2, "EXCHANGE": 2, "TIMEOUT": 1, "INFRA": 5}


@pytest.mark.parametrize("category, count", COUNTS.items())
def test_every_category_has_its_codes(category, count) -> None:
    assert sum(code.category is Category(category) for code in ErrorCode) == count


def test_only_infrastructure_refusals_are_worth_repeating() -> None:
    assert {code for code in ErrorCode if code.retryable} == {
        ErrorCode.REDIS_UNAVAILABLE,
        ErrorCode.EXCHANGE_UNAVAILABLE,
        ErrorCode.RATE_LIMITED,
        ErrorCode.NOT_READY,
        ErrorCode.SHUTTING_DOWN,
    }


def test_the_risk_codes_are_those_of_the_gate() -> None:
    assert ErrorCode.MAX_LEVERAGE in RISK_CODES
    assert ErrorCode.OUTCOME_UNKNOWN not in RISK_CODES
    assert len(RISK_CODES) == COUNTS["RISK"]


def test_a_refusal_is_answered_in_the_contracts_words() -> None:
    refusal = Invalid(ErrorCode.INVALID_FIELD, "lots is 0", path="lots")
    assert codec.encode(refusal.failure()) == (
        b'{"success":false,"error":"lots is 0","errorCode":"INVALID_FIELD","errorCategory":"VALIDATION",'
        b'"retryable":false,"details":{"path":"lots"}}'
    )
    assert str(refusal) == "lots is 0"
    assert Failure.of(ErrorCode.RATE_LIMITED, "wait").retryable


def test_the_list_equals_the_contracts_table(shared) -> None:
    text = (shared / "contract.md").read_text()
    rows = dict(re.findall(r"^\| (VALIDATION|OWNERSHIP|RISK|AMBIGUITY|EXCHANGE) \| (.*) \|$", text, re.MULTILINE))
    both = re.search(r"^\| TIMEOUT · INFRA \| (.*) · (.*) \|$", text, re.MULTILINE)
    rows |= {"TIMEOUT": both[1], "INFRA": both[2]}
    told = {
        name: set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b|\bMALFORMED|SUPERSEDED|HALTED|DRAWDOWN\b", row))
        for name, row in rows.items()
    }
    ours = {name: {code.value for code in ErrorCode if code.category.value == name} for name in COUNTS}
    assert told == ours
