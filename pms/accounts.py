"""Sub-accounts: who exists, and the tag that stands in their order ids (contract.md; execution.md 11)."""

from __future__ import annotations

from decimal import Decimal

from pms.ledger import Ledger
from pms.unit import Unit
from schemas.errors import ErrorCode, Invalid
from schemas.ids import tag_of
from schemas.market import ZERO
from schemas.records import EXTERNAL, MAIN, SubAccount


class Accounts:
    """`main` and `external` exist from the start; paper creates others on first use, live answers
    SUBACCOUNT_UNKNOWN."""

    def __init__(self, ledger: Ledger, opening_balance: Decimal, create_on_use: bool) -> None:
        self._ledger = ledger
        self._opening_balance = opening_balance
        self._create_on_use = create_on_use

    def ensure_reserved(self, now: int) -> None:
        """Create what must exist. Called once the ledger is restored."""
        for name in (MAIN, EXTERNAL):
            if name not in self._ledger.sub_accounts:
                self._create(name, self._opening_balance if name == MAIN else ZERO, now)

    def knows(self, name: str) -> bool:
        """Whether the sub-account is there already."""
        return name in self._ledger.sub_accounts

    def named(self, name: str, now: int) -> SubAccount:
        """The sub-account of a command. Raises Invalid (SUBACCOUNT_UNKNOWN, SUBACCOUNT_TAG_TAKEN,
        SUBACCOUNT_FROZEN)."""
        account = self._ledger.sub_accounts.get(name)
        if account is None:
            if not self._create_on_use:
                message = f"there is no sub-account '{name}'. Create it with subaccount_put first."
                raise Invalid(ErrorCode.SUBACCOUNT_UNKNOWN, message)
            account = self._create(name, self._opening_balance, now)
        if account.status == "frozen":
            raise Invalid(ErrorCode.SUBACCOUNT_FROZEN, f"'{name}' is frozen: nothing that adds risk is sent for it.")
        return account

    def _create(self, name: str, balance: Decimal, now: int) -> SubAccount:
        tag = tag_of(name)
        for other in self._ledger.sub_accounts.values():
            if other.tag == tag:
                message = f"'{name}' and '{other.id}' would share the order tag {tag}. Choose another name."
                raise Invalid(ErrorCode.SUBACCOUNT_TAG_TAKEN, message)
        account = SubAccount(id=name, name=name, tag=tag, initial_balance=balance, balance=balance, created_at=now)
        unit = Unit(self._ledger, now)
        unit.sub_account(account)
        unit.commit()
        return account
