"""halt and resume: trading stops in a scope, and goes on only when somebody says so (execution.md 32).

A halt is on the disk before anything is cancelled. Entry algos of the scope are blocked and their children leave; other
orders that add risk are cancelled. Protection and exits stay, unless positions are to be closed: then every algo of the
scope ends, and all of it is closed. Refuses to keep halts (`pms.halts`).
"""

from __future__ import annotations

import msgspec

from pms.bus.executor import Context
from pms.bus.outcomes import Reply
from pms.clock import Clock
from pms.commands.cancels import ANSWER_S, Cancels
from pms.commands.closing import Closing
from pms.commands.scope import Scope
from pms.commands.table import Row
from pms.desk import Desk
from pms.halts import Halts
from schemas.commands_control import Halt, Resume
from schemas.errors import ErrorCode, Failure, Invalid
from schemas.fields import Command
from schemas.records import Halt as Standing
from schemas.replies import HaltReply

CAUSE = "by command"


class Halting:
    """See the module."""

    def __init__(self, desk: Desk, halts: Halts, cancels: Cancels, closing: Closing, clock: Clock) -> None:
        self._desk = desk
        self._halts = halts
        self._cancels = cancels
        self._closing = closing
        self._clock = clock

    def rows(self) -> dict[type[Command], Row]:
        return {Halt: Row(self._halt), Resume: Row(self._resume)}

    async def _halt(self, command: Halt, context: Context) -> Reply:
        """Complete when what was to leave is gone and what was to be closed is closed, or when the reply is due."""
        give_up = self._clock.monotonic() + ANSWER_S
        halt = Standing(
            scope=command.scope,
            subject=_subject(command, context),
            since=self._desk.now(),
            cause=CAUSE,
            keep_orders=not command.cancel_orders,
        )
        scope = Scope.of_halt(halt)
        leaving = self._leaving(scope, command.cancel_orders)
        self._put(halt, context)
        if command.cancel_orders:
            scope.withdraw_entries(self._desk, context.request_id)  # where it was halted before, too
        if command.close_positions:
            return await self._flatten(scope, context, give_up)
        waiting = await self._cancels.gone(leaving, give_up - self._clock.monotonic())
        return _reply(len(leaving), 0, (), waiting, ())

    def _put(self, halt: Standing, context: Context) -> None:
        try:
            self._halts.put(halt, context.request_id)
        except OSError as error:
            message = f"the halt is in force and could not be written to the disk ({error.strerror}): make room."
            self._desk.alarms.sound("halt_not_written", "critical", halt.subject or "all", message, self._desk.now())

    def _leaving(self, scope: Scope, loose: bool) -> list[str]:
        """The orders that a halt takes away: children of entry algos, and the others that add risk."""
        runners = scope.runners(self._desk, protection=False)
        names = [name for runner in runners for name in runner.kind.view(runner.state).live_children]
        orders = scope.orders(self._desk) if loose else []
        mine = [one for one in orders if not one.reduce_only and one.parent_id not in self._desk.runners]
        return [*names, *(order.client_order_id for order in mine)]

    async def _flatten(self, scope: Scope, context: Context, give_up: float) -> Reply:
        swept = await self._cancels.sweep(scope, True, "halt", context.request_id, give_up - self._clock.monotonic())
        left_s = give_up - self._clock.monotonic()
        closed, errors = await self._closing.close_scope(scope, context.request_id, left_s)
        return _reply(swept.cancelled, closed, swept.stopped, swept.waiting, errors)

    async def _resume(self, command: Resume, context: Context) -> Reply:
        """Lift the halt of exactly this scope. Raises Invalid (INVALID_FIELD) where none stands."""
        subject = _subject(command, context)
        if not self._halts.lift(command.scope, subject, context.request_id):
            standing = ", ".join(f"{halt.scope} {halt.subject}".strip() for halt in self._halts.standing)
            message = f"no halt of {subject or 'all'} stands; in force: {standing or 'none'}."
            raise Invalid(ErrorCode.INVALID_FIELD, message, path="scope")
        return HaltReply()


def _subject(command: Halt | Resume, context: Context) -> str:
    if command.scope == "symbol":
        return command.symbol or ""
    return context.sub_account if command.scope == "subAccountId" else ""


def _reply(
    cancelled: int, closed: int, stopped: tuple[str, ...], waiting: tuple[str, ...], errors: tuple[Failure, ...]
) -> HaltReply:
    details: dict[str, object] = {"waitingFor": list(waiting)} if waiting else {}
    if errors:
        details["errors"] = [error.error for error in errors]
    return HaltReply(
        cancelled_count=cancelled,
        closed_count=closed,
        stopped_algos=stopped,
        details=details or msgspec.UNSET,
    )
