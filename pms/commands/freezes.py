"""freeze and unfreeze: a sub-account that may only reduce, until somebody takes it back (contract.md).

Owns the sub-account's status. Refuses to know algos: they hear of it as of a halt (`Watch.tell`). Protection stays.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from pms.bus.executor import Context
from pms.bus.outcomes import Reply
from pms.commands.scope import Scope
from pms.commands.table import Row
from pms.desk import Desk
from pms.losses import LOSSES
from schemas.commands_control import Freeze, Unfreeze
from schemas.errors import ErrorCode, Invalid
from schemas.fields import Command
from schemas.replies import Success

GONE_S = 2.8  # a reply is due within 3 s (contract.md)


class Freezes:
    """See the module. `tell` lets every algo hear how things stand; `forgive` lets losses count anew."""

    def __init__(self, desk: Desk, tell: Callable[[], None], forgive: Callable[[str, int], None]) -> None:
        self._forgive = forgive
        self._desk = desk
        self._tell = tell

    def rows(self) -> dict[type[Command], Row]:
        return {Freeze: Row(self._freeze), Unfreeze: Row(self._unfreeze)}

    async def _freeze(self, command: Freeze, context: Context) -> Reply:
        """Complete when the entry children have left the market."""
        self._put(context, frozen=True)
        desk = self._desk
        runners = Scope(context.sub_account).runners(desk, protection=False)
        names = [name for runner in runners for name in runner.kind.view(runner.state).live_children]
        orders = desk.ledger.orders
        with desk.fates.follow(names) as fate:
            gone = await fate.until(lambda: all(orders[name].state.terminal for name in names), GONE_S)
        waiting = [name for name in names if not orders[name].state.terminal]
        return Success() if gone else Success(details={"waitingFor": waiting})

    async def _unfreeze(self, command: Unfreeze, context: Context) -> Reply:
        self._put(context, frozen=False)
        return Success()

    def _put(self, context: Context, frozen: bool) -> None:
        """Raises Invalid (SUBACCOUNT_UNKNOWN)."""
        account = self._desk.ledger.sub_accounts.get(context.sub_account)
        if account is None:
            message = f"there is no sub-account '{context.sub_account}'; nothing was changed."
            raise Invalid(ErrorCode.SUBACCOUNT_UNKNOWN, message, path="subAccountId")
        status = "frozen" if frozen else "active"
        if account.status != status:
            with self._desk.step(context.request_id) as unit:
                unit.sub_account(msgspec.structs.replace(account, status=status, cause=""))
            if account.status == "reduce" and account.cause in LOSSES and not frozen:
                self._forgive(account.id, self._desk.now())
        self._tell()
