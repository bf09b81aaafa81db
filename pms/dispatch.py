"""Which command goes where: the inbox's `Executor` (contract.md, "Commands in").

Refuses to know doors, replies' bytes and how anything is done. A type without a row here is of later work and never
comes this far (`schemas.commands.LATER`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from algos import step
from pms.bus.executor import Context
from pms.bus.outcomes import Reply
from pms.chases import Chases, Taken
from pms.desk import Desk
from pms.runner import Runner
from schemas import commands, commands_algos, commands_orders
from schemas.chase import ChaseState
from schemas.errors import ErrorCode, Failure, Invalid
from schemas.fields import Command
from schemas.orders import Order, OrderState
from schemas.records import Request
from schemas.replies import CancelAllReply, ChaseReply, Success, ValidateReply

Handle = Callable[[Any, Context], Awaitable[Reply]]


class Dispatch:
    """See the module. `gate` says why nothing is accepted now, empty when the doors are open for trading."""

    def __init__(self, desk: Desk, chases: Chases, gate: Callable[[], str], ended: dict[str, Any]) -> None:
        self._ended = ended
        self._desk = desk
        self._chases = chases
        self._gate = gate
        self._handles: dict[type[Command], Handle] = {
            commands_algos.Chase: self._chase,
            commands_algos.ChaseCancel: self._chase_cancel,
            commands_algos.ChaseAmend: self._chase_amend,
            commands_algos.AlgoPause: self._pause,
            commands_algos.AlgoResume: self._resume,
            commands_orders.Cancel: self._cancel,
            commands_orders.CancelAll: self._cancel_all,
            commands.Validate: self._validate,
        }

    async def handle(self, command: Command, context: Context) -> Reply:
        """The outcome of one command."""
        try:
            return await self._handles[type(command)](command, context)
        except Invalid as refusal:
            return refusal.failure()

    def claims_first(self, command: Command, sub_account: str) -> bool:
        """A chase acts by its first step alone, unless it makes its sub-account or sets leverage."""
        return isinstance(command, commands_algos.Chase) and self._chases.prepared(command, sub_account)

    def owner(self, command: Command) -> str:
        """The sub-account of what an id in the command names; empty where nothing is named or known."""
        algo_id = getattr(command, "chase_id", None) or getattr(command, "algo_id", None)
        if algo_id is not None:
            runner = self._desk.runners.get(algo_id)
            return "" if runner is None else str(runner.state.sub_account_id)
        client_id = getattr(command, "client_order_id", None)
        order = self._desk.ledger.orders.get(client_id) if client_id else None
        return "" if order is None else order.sub_account_id

    async def was_started(self, command: Command, request: Request) -> Reply | None:
        """A chase whose record stands was started; everything else had not left (NOT_EXECUTED)."""
        chase_id = request.ids.get("chaseId", "")
        runner = self._desk.runners.get(chase_id)
        state = self._ended.get(chase_id) if runner is None else runner.state
        return None if state is None else _chase_reply(state)

    # --- chase ----------------------------------------------------------------------------------------

    async def _chase(self, command: commands_algos.Chase, context: Context) -> Reply:
        if reason := self._gate():
            raise Invalid(ErrorCode.NOT_READY, f"trading is not open: {reason}. Nothing was done; send it again.")
        try:
            runner = await self._chases.start(command, context.sub_account, context.request_id, context.claim)
        except Taken:
            context.claimed = None  # the inbox finds the first one's outcome by its own claim
            return Failure.of(ErrorCode.REQUEST_ID_REUSED, "the request was accepted before.")
        return _chase_reply(runner.state)

    async def _chase_cancel(self, command: commands_algos.ChaseCancel, context: Context) -> Reply:
        runner = self._chases.find(command.chase_id, _asked(context))
        return await self._chases.cancel(runner, "cancelled_by_command", context.request_id)

    async def _chase_amend(self, command: commands_algos.ChaseAmend, context: Context) -> Reply:
        runner = self._chases.find(command.chase_id, _asked(context))
        return self._chases.amend(runner, command, context.request_id)

    async def _pause(self, command: commands_algos.AlgoPause, context: Context) -> Reply:
        runner = self._chases.find(command.algo_id, _asked(context))
        request = step.PauseRequest(self._desk.now(), "paused_by_command")
        self._desk.offer(runner, request, context.request_id)
        return Success()

    async def _resume(self, command: commands_algos.AlgoResume, context: Context) -> Reply:
        runner = self._chases.find(command.algo_id, _asked(context))
        self._desk.alarms.clear("algo_paused", command.algo_id, self._desk.now())
        request = step.ResumeRequest(self._desk.now(), self._desk.quote_of(runner))
        self._desk.offer(runner, request, context.request_id)
        return Success()

    # --- orders ---------------------------------------------------------------------------------------

    async def _cancel(self, command: commands_orders.Cancel, context: Context) -> Reply:
        """An algo's only child: its algo ends (contract.md)."""
        order = self._order(command.client_order_id, _asked(context))
        runner = self._desk.runners.get(order.parent_id)
        if runner is not None:
            if len(runner.kind.view(runner.state).live_children) > 1:
                raise Invalid(
                    ErrorCode.OWNED_BY_ALGO, f"the order is one of several of {order.parent_id}; cancel that."
                )
            return await self._chases.cancel(runner, "child_cancelled_by_command", context.request_id)
        if order.state is OrderState.ACTIVE:
            self._desk.cancel(order)
        return Success()

    def _order(self, client_id: str, sub_account_id: str) -> Order:
        order = self._desk.ledger.orders.get(client_id)
        if order is None or order.state.terminal:
            raise Invalid(ErrorCode.ORDER_NOT_FOUND, f"no live order {client_id}.", path="clientOrderId")
        if sub_account_id and order.sub_account_id != sub_account_id:
            raise Invalid(ErrorCode.NOT_OWNER, "the order belongs to another sub-account.", path="subAccountId")
        return order

    async def _cancel_all(self, command: commands_orders.CancelAll, context: Context) -> Reply:
        """Entry algos of the scope end; protection (reduce-only) stays unless asked for."""
        account, symbol = context.sub_account, command.symbol
        ending = [
            runner
            for runner in tuple(self._desk.runners.values())
            if self._in_scope(runner, account, symbol, command.include_protection)
        ]
        resting = sum(len(runner.kind.view(runner.state).live_children) for runner in ending)
        for runner in ending:
            await self._chases.cancel(runner, "cancel_all", context.request_id)
        loose = [
            order
            for order in self._desk.ledger.orders.values()
            if order.sub_account_id == account
            and (symbol is None or order.symbol == symbol)
            and order.state is OrderState.ACTIVE
            and order.parent_id not in self._desk.runners
            and (command.include_protection or not order.reduce_only)
        ]
        for order in loose:
            self._desk.cancel(order)
        stopped = tuple(runner.kind.view(runner.state).algo_id for runner in ending)
        return CancelAllReply(cancelled_count=resting + len(loose), stopped_algos=stopped)

    @staticmethod
    def _in_scope(runner: Runner, account: str, symbol: str | None, protection: bool) -> bool:
        view = runner.kind.view(runner.state)
        return (
            view.sub_account_id == account
            and (symbol is None or view.symbol == symbol)
            and (protection or not view.reduce_only)
        )

    # --- validate -------------------------------------------------------------------------------------

    async def _validate(self, command: commands.Validate, context: Context) -> Reply:
        """The real path's checks, nothing sent."""
        inner = command.command
        if not isinstance(inner, commands_algos.Chase):
            raise Invalid(ErrorCode.NOT_AVAILABLE, f"validate of {inner.type} is not available yet.")
        try:
            params, price = await self._chases.preview(inner, context.sub_account)
        except Invalid as error:
            return ValidateReply(valid=False, errors=(error.failure(),))
        computed = {
            "price": price,
            "quantity": params.quantity,
            "notional": params.quantity * price,
            "requiredMargin": params.quantity * price / params.leverage,
        }
        return ValidateReply(valid=True, computed_values=computed)


def _asked(context: Context) -> str:
    return context.sub_account


def _chase_reply(state: ChaseState) -> ChaseReply:
    return ChaseReply(
        chase_id=state.chase_id,
        current_order_price=state.current_order_price,
        symbol=state.symbol,
        side=state.side,
        quantity=state.quantity,
    )
