"""Sub-accounts: who exists, what each began with, and the tag that stands in its order ids (contract.md; execution.md
11, 13).

Invariant: the balances of all, `external`'s too, are the wallet. So a new sub-account's opening balance always comes
from somebody: in paper from `external`, which holds the rest of the wallet, in live from `main`, which gets the wallet
at first contact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from pms.books import MONEY
from pms.ledger import Ledger
from pms.unit import Unit
from schemas.errors import ErrorCode, Invalid
from schemas.ids import tag_of
from schemas.market import ZERO
from schemas.records import EXTERNAL, MAIN, Limits, SubAccount

_replace = msgspec.structs.replace


def other_assets(wallet: Mapping[str, Decimal]) -> str:
    """Why an account with this wallet can't be served; empty where it can (execution.md 17)."""
    others = sorted(asset for asset, balance in wallet.items() if balance and asset != MONEY)
    if not others:
        return ""
    return (
        f"The futures wallet holds {', '.join(others)} beside {MONEY}; books are kept of {MONEY} only, and the rest "
        "is not booked. Convert it or transfer it to the spot wallet, and switch off paying fees in BNB (POST "
        "/fapi/v1/feeBurn, feeBurn=false). A daemon does not start before that."
    )


class Accounts:
    """`main` and `external` exist from the start; paper creates others on first use, live answers SUBACCOUNT_UNKNOWN.

    `limits` are a new one's. `on_transfer` hears of money that left a sub-account (negative) without being lost.
    """

    def __init__(
        self,
        ledger: Ledger,
        opening_balance: Decimal,
        create_on_use: bool,
        limits: Limits,
        on_transfer: Callable[[str, Decimal], None],
    ) -> None:
        self._limits = limits
        self._on_transfer = on_transfer
        self._ledger = ledger
        self._opening_balance = opening_balance
        self._create_on_use = create_on_use

    def ensure_reserved(self, wallet: Decimal, now: int) -> None:
        """Create what must exist, at first contact out of the wallet as the venue has it. Called once the ledger is
        restored."""
        accounts = self._ledger.sub_accounts
        unit = Unit(self._ledger, now)
        if EXTERNAL not in accounts or not self._ledger.watermark.since:
            named = [account.balance for name, account in accounts.items() if name != EXTERNAL]
            unit.sub_account(self._new(EXTERNAL, EXTERNAL, wallet - sum(named, ZERO), now))
        if not self._ledger.watermark.since:
            unit.watermark(_replace(self._ledger.watermark, since=now, income_time=now))
        if MAIN not in accounts:
            amount = self._opening_balance if self._create_on_use else accounts[EXTERNAL].balance
            self._open(unit, self._new(MAIN, MAIN, amount, now), EXTERNAL)
        if not unit.empty:
            unit.commit()

    def knows(self, name: str) -> bool:
        """Whether the sub-account is there already."""
        return name in self._ledger.sub_accounts

    def named(self, name: str, now: int) -> SubAccount:
        """The sub-account of a command. Raises Invalid (SUBACCOUNT_UNKNOWN, SUBACCOUNT_TAG_TAKEN)."""
        account = self._ledger.sub_accounts.get(name)
        if account is None:
            if not self._create_on_use:
                message = f"there is no sub-account '{name}'. Create it with subaccount_put first."
                raise Invalid(ErrorCode.SUBACCOUNT_UNKNOWN, message)
            account = self.put(name, None, None, now)
        return account

    def put(self, name: str, label: str | None, balance: Decimal | None, now: int) -> SubAccount:
        """Create a sub-account, or change its label. Raises Invalid (SUBACCOUNT_TAG_TAKEN, INSUFFICIENT_MARGIN,
        INVALID_FIELD)."""
        unit = Unit(self._ledger, now)
        account = self._ledger.sub_accounts.get(name)
        if account is None:
            amount = balance if balance is not None else self._opening_balance if self._create_on_use else ZERO
            account = self._new(name, label or name, amount, now)
            self._open(unit, account, EXTERNAL if self._create_on_use else MAIN)
        else:
            if balance is not None and balance != account.initial_balance:
                message = f"'{name}' exists and began with {account.initial_balance}; that can't be changed any more."
                raise Invalid(ErrorCode.INVALID_FIELD, message, path="initialBalance")
            account = _replace(account, name=label or account.name)
            unit.sub_account(account)
        unit.commit()
        return account

    def limit(self, name: str, changes: Mapping[str, Any], now: int) -> SubAccount:
        """Change some of a sub-account's limits. Raises Invalid (SUBACCOUNT_UNKNOWN)."""
        account = self._ledger.sub_accounts.get(name)
        if account is None:
            raise Invalid(ErrorCode.SUBACCOUNT_UNKNOWN, f"there is no sub-account '{name}'; nothing was changed.")
        unit = Unit(self._ledger, now)
        account = _replace(account, limits=_replace(account.limits, **changes))
        unit.sub_account(account)
        unit.commit()
        return account

    def _open(self, unit: Unit, account: SubAccount, giver: str) -> None:
        """Begin a sub-account with what its giver has to spare."""
        source = self._ledger.sub_accounts[giver]
        if giver == MAIN and account.balance > source.balance:
            message = f"'{MAIN}' has {source.balance} {MONEY}; {account.balance} can't come out of it."
            raise Invalid(ErrorCode.INSUFFICIENT_MARGIN, message, path="initialBalance")
        unit.sub_account(account)
        unit.sub_account(_replace(source, balance=source.balance - account.balance))
        self._on_transfer(giver, -account.balance)

    def _new(self, name: str, label: str, balance: Decimal, now: int) -> SubAccount:
        tag = tag_of(name)
        for other in self._ledger.sub_accounts.values():
            if other.tag == tag and other.id != name:
                message = f"'{name}' and '{other.id}' would share the order tag {tag}. Choose another name."
                raise Invalid(ErrorCode.SUBACCOUNT_TAG_TAKEN, message)
        return SubAccount(
            id=name,
            name=label,
            tag=tag,
            initial_balance=balance,
            balance=balance,
            limits=Limits() if name == EXTERNAL else self._limits,
            created_at=now,
        )
