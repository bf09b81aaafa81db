"""cancel and cancel_all: orders leave the market, and the algos that live by them end (contract.md).

Cancels are never refused for risk.
"""

from __future__ import annotations

from algos.step import View
from pms.bus.executor import Context
from pms.bus.outcomes import Reply
from pms.commands.algos import Algos
from pms.commands.table import Row
from pms.desk import Desk
from schemas.commands_orders import Cancel, CancelAll
from schemas.errors import ErrorCode, Invalid
from schemas.fields import Command
from schemas.orders import Order, OrderState
from schemas.replies import CancelAllReply, Success


class Cancels:
    """See the module."""

    def __init__(self, desk: Desk, algos: Algos) -> None:
        self._desk = desk
        self._algos = algos

    def rows(self) -> dict[type[Command], Row]:
        return {Cancel: Row(self._cancel), CancelAll: Row(self._cancel_all)}

    async def _cancel(self, command: Cancel, context: Context) -> Reply:
        """An algo's only child: its algo ends (contract.md)."""
        order = self._order(command.client_order_id, context.sub_account)
        runner = self._desk.runners.get(order.parent_id)
        if runner is not None:
            if len(runner.kind.view(runner.state).live_children) > 1:
                message = f"the order is one of several of {order.parent_id}; cancel that."
                raise Invalid(ErrorCode.OWNED_BY_ALGO, message)
            return await self._algos.cancel(runner, "child_cancelled_by_command", context.request_id)
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

    async def _cancel_all(self, command: CancelAll, context: Context) -> Reply:
        """Entry algos of the scope end; protection (reduce-only) stays unless asked for."""
        account, symbol, protection = context.sub_account, command.symbol, command.include_protection
        views = {runner: runner.kind.view(runner.state) for runner in self._desk.runners.values()}
        ending = {runner: view for runner, view in views.items() if _in_scope(view, account, symbol, protection)}
        for runner in ending:
            await self._algos.cancel(runner, "cancel_all", context.request_id)
        loose = [
            order
            for order in self._desk.ledger.orders.values()
            if order.sub_account_id == account
            and (symbol is None or order.symbol == symbol)
            and order.state is OrderState.ACTIVE
            and order.parent_id not in self._desk.runners
            and (protection or not order.reduce_only)
        ]
        for order in loose:
            self._desk.cancel(order)
        resting = sum(len(view.live_children) for view in ending.values())
        stopped = tuple(view.algo_id for view in ending.values())
        return CancelAllReply(cancelled_count=resting + len(loose), stopped_algos=stopped)


def _in_scope(view: View, account: str, symbol: str | None, protection: bool) -> bool:
    return (
        view.sub_account_id == account
        and (symbol is None or view.symbol == symbol)
        and (protection or not view.reduce_only)
    )
