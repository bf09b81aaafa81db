"""validate of orders: the real path's checks, and the numbers that a person decides by (contract.md)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from pms.commands import answers
from pms.commands.asks import Ask
from pms.commands.manual import Manual, Wants
from pms.core.limits import Weight
from schemas.market import ZERO
from schemas.replies import ValidateReply


class Previews:
    """See the module."""

    def __init__(self, manual: Manual) -> None:
        self._manual = manual

    async def of(self, sub_account: str, wants: Wants) -> ValidateReply:
        """Raises Invalid as the command itself would."""
        asks, denied, weight = await self._manual.preview(sub_account, wants)
        errors = tuple(answers.denial(path, denial) for path, denial in denied)
        return ValidateReply(valid=not errors, errors=errors, computed_values=_terms(asks) | numbers(weight))


def _terms(asks: Sequence[Ask]) -> dict[str, Any]:
    """Quantity and average price of orders for one symbol; those of several have none."""
    if len({ask.instrument.symbol for ask in asks}) != 1:
        return {}
    quantity = sum((ask.quantity for ask in asks), ZERO)
    notional = sum((ask.quantity * ask.price for ask in asks), ZERO)
    return {"price": notional / quantity, "quantity": quantity}


def numbers(weight: Weight) -> dict[str, Decimal]:
    """The gate's own numbers of an order, in the contract's words."""
    return {
        "notional": weight.notional,
        "requiredMargin": weight.required,
        "availableMargin": weight.available,
        "exposure": weight.exposure,
        "equity": weight.equity,
    }
