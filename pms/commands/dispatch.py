"""Which command goes where: the inbox's `Executor` (contract.md, "Commands in").

Refuses to know doors, replies' bytes and how anything is done. Every type has a row.
"""

from __future__ import annotations

from collections.abc import Iterable

from structlog.contextvars import bind_contextvars, reset_contextvars

from pms.bus.executor import Context
from pms.bus.outcomes import Reply
from pms.commands.table import Group, Row, Tell
from pms.desk import Desk
from schemas.commands import COMMANDS, Validate
from schemas.errors import Invalid
from schemas.fields import Command
from schemas.records import Request
from schemas.replies import ValidateReply

_ALGO_IDS = "chase_id twap_id twap_basket_id trail_stop_id scalper_id algo_id".split()


class Dispatch:
    """See the module."""

    def __init__(self, desk: Desk, groups: Iterable[Group]) -> None:
        self._desk = desk
        self._rows: dict[type[Command], Row] = {Validate: Row(self._validate)}
        for group in groups:
            rows = group.rows()
            assert not rows.keys() & self._rows.keys(), "one way to do a thing"
            self._rows |= rows

    async def handle(self, command: Command, context: Context) -> Reply:
        """The outcome of one command."""
        before = bind_contextvars(requestId=context.request_id)
        try:
            return await self._rows[type(command)].handle(command, context)
        except Invalid as refusal:
            return refusal.failure()
        finally:
            reset_contextvars(**before)

    def may_claim_first(self, command: Command) -> bool:
        row = self._rows.get(type(command))
        return row is not None and row.claims_first is not None

    def claims_first(self, command: Command, sub_account: str) -> bool:
        row = self._rows.get(type(command))
        return row is not None and row.claims_first is not None and row.claims_first(command, sub_account)

    def owner(self, command: Command) -> str:
        """The sub-account of what an id in the command names; empty where nothing is named or known."""
        for name in _ALGO_IDS:
            if (algo_id := getattr(command, name, None)) is not None:
                runner = self._desk.runners.get(algo_id)
                return "" if runner is None else runner.kind.view(runner.state).sub_account_id
        if position_id := getattr(command, "position_id", None):
            return str(position_id).partition(":")[0]
        client_id = getattr(command, "client_order_id", None)
        order = self._desk.ledger.orders.get(client_id) if client_id else None
        return "" if order is None else order.sub_account_id

    async def was_started(self, command: Command, request: Request, tell: Tell) -> Reply | None:
        """What a row makes of the ids allocated; by default it had not left (NOT_EXECUTED)."""
        row = self._rows.get(COMMANDS[request.command_type])
        return None if row is None else await row.was_started(command, request, tell)

    async def _validate(self, command: Validate, context: Context) -> Reply:
        """The real path's checks, nothing sent."""
        inner = command.command
        preview = self._rows[type(inner)].preview
        assert preview is not None, "the door takes what has one only"
        try:
            return await preview(inner, context.sub_account)
        except Invalid as error:
            return ValidateReply(valid=False, errors=(error.failure(),))
