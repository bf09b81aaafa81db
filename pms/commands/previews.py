"""validate of orders: the real path's checks, and the numbers that a person decides by (contract.md)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from pms.commands import answers
from pms.commands.asks import Ask
from pms.commands.manual import Manual, Wants
from pms.core import equity
from pms.desk import Desk
from schemas.market import ZERO
from schemas.replies import ValidateReply


class Previews:
    """See the module."""

    def __init__(self, manual: Manual, desk: Desk) -> None:
        self._manual = manual
        self._desk = desk

    async def of(self, sub_account: str, wants: Wants) -> ValidateReply:
        """Raises Invalid as the command itself would."""
        asks, denied = await self._manual.preview(sub_account, wants)
        errors = tuple(answers.denial(path, denial) for path, denial in denied)
        return ValidateReply(valid=not errors, errors=errors, computed_values=self.computed(sub_account, asks))

    def computed(self, sub_account: str, asks: Sequence[Ask]) -> dict[str, Any]:
        """Of the orders together: quantity, average price, notional, the margin they need, and how the sub-account
        stands."""
        quantity = sum((ask.quantity for ask in asks), ZERO)
        notional = sum((ask.quantity * ask.price for ask in asks), ZERO)
        adding = [ask for ask in asks if not ask.reduce_only]
        required = sum((ask.quantity * ask.price / ask.leverage for ask in adding), ZERO)
        added = sum((ask.quantity * ask.price for ask in adding), ZERO)
        one_symbol = len({ask.instrument.symbol for ask in asks}) == 1
        values: dict[str, Any] = {"price": notional / quantity, "quantity": quantity} if one_symbol else {}
        return values | {"notional": notional, "requiredMargin": required} | standing(self._desk, sub_account, added)


def standing(desk: Desk, sub_account: str, adds: Decimal) -> dict[str, Decimal]:
    """How a sub-account stands before an order that adds so much notional: `exposure` is the gross notional of its
    positions with it."""
    ledger, books = desk.ledger, desk.books
    positions = books.of(sub_account)
    stakes = equity.stakes(positions, desk.mark, books.brackets)
    live = tuple(
        order
        for ids in ledger.open_by_symbol.values()
        for order in map(ledger.orders.__getitem__, ids)
        if order.sub_account_id == sub_account
    )
    risk = equity.snapshot(ledger.sub_accounts[sub_account], positions, live, stakes, desk.now())
    gross = sum((stake.notional for stake in stakes.values()), adds)
    return {"availableMargin": risk.available_margin, "equity": risk.equity, "exposure": gross}
