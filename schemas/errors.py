"""The closed list of error codes, and the shape of a refusal (contract.md, "Commands in").

Owns code → category, which refusals are worth repeating, and `Invalid`, the exception of everything that reads input.
Refuses to know who refuses. Invariant: every code stands in exactly one category.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

import msgspec


class Category(StrEnum):
    """Who has to act on a refusal."""

    VALIDATION = "VALIDATION"
    OWNERSHIP = "OWNERSHIP"
    RISK = "RISK"
    AMBIGUITY = "AMBIGUITY"
    EXCHANGE = "EXCHANGE"
    TIMEOUT = "TIMEOUT"
    INFRA = "INFRA"


class ErrorCode(StrEnum):
    """Why a command was refused or failed. Grouped as in contract.md."""

    MALFORMED = "MALFORMED"
    UNKNOWN_COMMAND = "UNKNOWN_COMMAND"
    UNKNOWN_FIELD = "UNKNOWN_FIELD"
    INVALID_FIELD = "INVALID_FIELD"
    MISSING_FIELD = "MISSING_FIELD"
    UNKNOWN_SYMBOL = "UNKNOWN_SYMBOL"
    SYMBOL_NOT_TRADING = "SYMBOL_NOT_TRADING"
    PRICE_OFF_GRID = "PRICE_OFF_GRID"
    QUANTITY_OFF_GRID = "QUANTITY_OFF_GRID"
    BELOW_MINIMUM = "BELOW_MINIMUM"
    ABOVE_MAXIMUM = "ABOVE_MAXIMUM"
    STALE_COMMAND = "STALE_COMMAND"
    REQUEST_ID_REUSED = "REQUEST_ID_REUSED"
    SUPERSEDED = "SUPERSEDED"
    NOT_AVAILABLE = "NOT_AVAILABLE"
    NO_PRICE = "NO_PRICE"
    VALIDATION_TWAP_LOTS_INVALID = "VALIDATION_TWAP_LOTS_INVALID"
    PLUGIN_NOT_APPROVED = "PLUGIN_NOT_APPROVED"

    NOT_OWNER = "NOT_OWNER"
    SUBACCOUNT_UNKNOWN = "SUBACCOUNT_UNKNOWN"
    SUBACCOUNT_TAG_TAKEN = "SUBACCOUNT_TAG_TAKEN"
    NOT_ALLOWED = "NOT_ALLOWED"
    OWNED_BY_ALGO = "OWNED_BY_ALGO"
    AUTH_FAILED = "AUTH_FAILED"
    AUTH_EXPIRED = "AUTH_EXPIRED"
    AUTH_REPLAYED = "AUTH_REPLAYED"
    ORDER_NOT_FOUND = "ORDER_NOT_FOUND"
    ALGO_NOT_FOUND = "ALGO_NOT_FOUND"
    POSITION_NOT_FOUND = "POSITION_NOT_FOUND"
    POSITION_SIDE_MISMATCH = "POSITION_SIDE_MISMATCH"

    HALTED = "HALTED"
    REDUCE_ONLY_MODE = "REDUCE_ONLY_MODE"
    SUBACCOUNT_FROZEN = "SUBACCOUNT_FROZEN"
    MAX_ORDER_NOTIONAL = "MAX_ORDER_NOTIONAL"
    MAX_TOTAL_NOTIONAL = "MAX_TOTAL_NOTIONAL"
    MAX_POSITION = "MAX_POSITION"
    MAX_OPEN_ORDERS = "MAX_OPEN_ORDERS"
    MAX_LEVERAGE = "MAX_LEVERAGE"
    INSUFFICIENT_MARGIN = "INSUFFICIENT_MARGIN"
    PRICE_COLLAR = "PRICE_COLLAR"
    PERCENT_PRICE = "PERCENT_PRICE"
    REDUCE_ONLY_EXCEEDS = "REDUCE_ONLY_EXCEEDS"
    DAILY_LOSS = "DAILY_LOSS"
    DRAWDOWN = "DRAWDOWN"
    ORDER_RATE = "ORDER_RATE"
    STALE_BOOK = "STALE_BOOK"
    REJECTION_CIRCUIT = "REJECTION_CIRCUIT"
    POSITION_DRIFT = "POSITION_DRIFT"
    OPPOSING_REFUSED = "OPPOSING_REFUSED"

    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    NOT_EXECUTED = "NOT_EXECUTED"

    EXCHANGE_REJECTED = "EXCHANGE_REJECTED"
    POST_ONLY_REJECTED = "POST_ONLY_REJECTED"

    REPLY_TIMEOUT = "REPLY_TIMEOUT"

    REDIS_UNAVAILABLE = "REDIS_UNAVAILABLE"
    EXCHANGE_UNAVAILABLE = "EXCHANGE_UNAVAILABLE"
    RATE_LIMITED = "RATE_LIMITED"
    NOT_READY = "NOT_READY"
    SHUTTING_DOWN = "SHUTTING_DOWN"

    @property
    def category(self) -> Category:
        return _CATEGORY[self]

    @property
    def retryable(self) -> bool:
        """Certainly not done and worth repeating unchanged; answered, never stored (contract.md, idempotency)."""
        return self.category is Category.INFRA


_FIRST_OF = {
    ErrorCode.MALFORMED: Category.VALIDATION,
    ErrorCode.NOT_OWNER: Category.OWNERSHIP,
    ErrorCode.HALTED: Category.RISK,
    ErrorCode.OUTCOME_UNKNOWN: Category.AMBIGUITY,
    ErrorCode.EXCHANGE_REJECTED: Category.EXCHANGE,
    ErrorCode.REPLY_TIMEOUT: Category.TIMEOUT,
    ErrorCode.REDIS_UNAVAILABLE: Category.INFRA,
}


def _categories() -> dict[ErrorCode, Category]:
    """Each code belongs to the group it is declared in; the groups' first members are named above."""
    current = Category.VALIDATION
    categories = {}
    for code in ErrorCode:
        current = _FIRST_OF.get(code, current)
        categories[code] = current
    return categories


_CATEGORY = _categories()

# The reasons the risk gate may give; an event `risk_rejected` names one of them.
RISK_CODES = frozenset(code for code in ErrorCode if code.category is Category.RISK)

Details = dict[str, Any]


class Failure(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The answer to a command that was not, or not certainly, carried out. `error` is a sentence for a person."""

    success: Literal[False] = False
    error: str
    error_code: ErrorCode
    error_category: Category
    retryable: bool
    details: Details = {}

    @classmethod
    def of(cls, code: ErrorCode, error: str, /, **details: Any) -> Failure:
        """A failure with the category and the retry advice that belong to its code."""
        return cls(
            error=error, error_code=code, error_category=code.category, retryable=code.retryable, details=details
        )


class Invalid(Exception):
    """Input that can't be taken: the code says why, `details.path` where. Nothing was done.

    `request_id` and `sub_account_id` are what could be read of them, so that it can be answered ("" where unreadable).
    """

    def __init__(self, code: ErrorCode, message: str, /, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details: Details = details
        self.request_id = ""
        self.sub_account_id = ""

    def failure(self) -> Failure:
        """The answer to who sent it."""
        return Failure.of(self.code, self.message, **self.details)
