"""subaccount_put and limits_put: sub-accounts are made, named and bounded (contract.md).

Both set what they say, so that a repeat changes nothing. Refuses to judge limits: that is the risk gate's.
"""

from __future__ import annotations

import msgspec

from pms.accounts import Accounts
from pms.bus.executor import Context
from pms.bus.outcomes import Reply
from pms.commands.table import Row
from pms.desk import Desk
from schemas.commands_control import LimitsPut, SubAccountPut
from schemas.errors import ErrorCode, Invalid
from schemas.fields import Command
from schemas.records import RESERVED
from schemas.replies import SubAccountReply


class AccountCommands:
    """See the module."""

    def __init__(self, desk: Desk, accounts: Accounts) -> None:
        self._desk = desk
        self._accounts = accounts

    def rows(self) -> dict[type[Command], Row]:
        return {SubAccountPut: Row(self._put), LimitsPut: Row(self._limits)}

    async def _put(self, command: SubAccountPut, context: Context) -> Reply:
        """Create one or change its name. Raises Invalid as `Accounts.put`, and NOT_ALLOWED for a reserved name."""
        if command.id in RESERVED:
            raise Invalid(ErrorCode.NOT_ALLOWED, f"'{command.id}' is reserved; choose another id.", path="id")
        account = self._accounts.put(command.id, command.name, command.initial_balance, self._desk.now())
        return SubAccountReply(sub_account=account)

    async def _limits(self, command: LimitsPut, context: Context) -> Reply:
        """Set some limits of a sub-account; one left out stays, null takes it away. Raises Invalid
        (SUBACCOUNT_UNKNOWN)."""
        named = msgspec.structs.asdict(command.limits).items()
        given = {name: value for name, value in named if value is not msgspec.UNSET}
        account = self._accounts.limit(context.sub_account, given, self._desk.now())
        return SubAccountReply(sub_account=account)
