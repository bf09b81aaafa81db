"""cancel and cancel_all: orders leave the market, and the algos that live by them end (contract.md).

Owns the sweeping of a scope, for whoever stops something. Cancels are never refused for risk. Invariant: a sweep is
complete when nothing that it covers rests or may still arrive.
"""

from __future__ import annotations

import msgspec

from algos import step
from algos.registry import PROTECTION
from pms.bus.executor import Context
from pms.bus.outcomes import Reply
from pms.clock import Clock
from pms.commands.algos import Algos
from pms.commands.scope import Scope
from pms.commands.table import Row
from pms.desk import Desk
from pms.family import view_of
from pms.runner import Runner
from schemas.commands_orders import Cancel, CancelAll
from schemas.errors import ErrorCode, Invalid
from schemas.fields import Command
from schemas.orders import Order, OrderState
from schemas.replies import CancelAllReply, Success

ANSWER_S = 2.8  # a reply is due within 3 s (contract.md)


class Swept(msgspec.Struct, frozen=True):
    """What a sweep took: orders, algos, and the client ids of orders whose end is not proven yet."""

    cancelled: int
    stopped: tuple[str, ...]
    waiting: tuple[str, ...]


class Cancels:
    """See the module."""

    def __init__(self, desk: Desk, algos: Algos, clock: Clock) -> None:
        self._desk = desk
        self._algos = algos
        self._clock = clock

    def rows(self) -> dict[type[Command], Row]:
        return {Cancel: Row(self._cancel), CancelAll: Row(self._cancel_all)}

    async def _cancel(self, command: Cancel, context: Context) -> Reply:
        """An algo's only child: its algo ends (contract.md)."""
        order = self._order(command.client_order_id, context.sub_account)
        runner = self._desk.runners.get(order.parent_id)
        if runner is not None:
            runner = self._desk.family.root(runner)
            if self._one_of_several(runner):
                message = f"the order is one of several of {view_of(runner).algo_id}; cancel that."
                raise Invalid(ErrorCode.OWNED_BY_ALGO, message)
            return await self._algos.cancel(runner, "child_cancelled_by_command", context.request_id)
        self._desk.cancel(order, context.request_id)
        if await self.gone([order.client_order_id], ANSWER_S):
            return Success(details={"state": OrderState.CANCELLING})  # it is remembered until the order is gone
        ended = self._desk.ledger.orders[order.client_order_id].state
        return Success(details=msgspec.UNSET if ended is OrderState.CANCELLED else {"state": ended})

    def _order(self, client_id: str, sub_account_id: str) -> Order:
        order = self._desk.ledger.orders.get(client_id)
        if order is None or order.state.terminal:
            raise Invalid(ErrorCode.ORDER_NOT_FOUND, f"no live order {client_id}.", path="clientOrderId")
        if sub_account_id and order.sub_account_id != sub_account_id:
            raise Invalid(ErrorCode.NOT_OWNER, "the order belongs to another sub-account.", path="subAccountId")
        return order

    def _one_of_several(self, runner: Runner) -> bool:
        """Whether an algo stands by more than one order. Those of one leg of a protection are one that moves."""
        if runner.kind is PROTECTION:
            return sum(bool(leg.orders) for leg in runner.state.legs) > 1
        return len(self._desk.family.orders(view_of(runner).algo_id)) > 1

    async def _cancel_all(self, command: CancelAll, context: Context) -> Reply:
        """Entry algos of the scope end; protection (reduce-only) stays unless asked for."""
        scope = Scope(context.sub_account, command.symbol)
        swept = await self.sweep(scope, command.include_protection, "cancel_all", context.request_id, ANSWER_S)
        details = {"waitingFor": list(swept.waiting)} if swept.waiting else msgspec.UNSET
        return CancelAllReply(cancelled_count=swept.cancelled, stopped_algos=swept.stopped, details=details)

    async def sweep(self, scope: Scope, protection: bool, reason: str, request_id: str, wait_s: float) -> Swept:
        """End the algos of a scope and cancel its orders, what only reduces with them where `protection` is meant too;
        wait until all of it is proven gone. A placing that has not left never leaves; one of unknown fate is cancelled
        as soon as it is known. An exit under way is none of it."""
        desk = self._desk
        ending = scope.runners(desk, protection)
        views = [view_of(runner) for runner in ending]
        ids = {view.algo_id for view in views}
        stopped = tuple(view.algo_id for view in views if view.parent_id not in ids)  # children end with their parent
        names = [name for view in views for name in view.live_children]
        loose = [
            order
            for order in scope.orders(desk)
            if order.parent_id not in desk.runners
            and (protection or not order.reduce_only)
            and not (order.reduce_only and order.immediate)
        ]
        with desk.step(request_id):
            for runner in ending:
                desk.offer(runner, step.CancelRequest(desk.now(), reason))
            for order in (*loose, *(desk.ledger.orders[name] for name in names)):
                desk.cancel(order, request_id)
        waiting = await self.gone([*names, *(order.client_order_id for order in loose)], wait_s)
        return Swept(len(names) + len(loose), stopped, waiting)

    async def gone(self, names: list[str], wait_s: float) -> tuple[str, ...]:
        """Wait until these orders have ended; those that have not."""
        orders = self._desk.ledger.orders

        def alive() -> tuple[str, ...]:
            return tuple(name for name in names if not orders[name].state.terminal)

        with self._desk.fates.follow(names) as fate:
            await fate.until(lambda: not alive(), wait_s)
        return alive()
