"""amend: a manual order's new price or total quantity (contract.md; execution.md 3, 7).

Invariants: one request in flight per order; the quantity is the total, executed part included; an algo's child is that
algo's alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from algos.step import AmendChild
from pms.bus.batch import Duplicate
from pms.bus.executor import Context
from pms.bus.outcomes import Reply
from pms.clock import Clock
from pms.commands import answers
from pms.commands.denials import invalid
from pms.commands.identity import Taken, taken
from pms.commands.moves import Moves
from pms.commands.previews import numbers
from pms.commands.table import Row, Tell
from pms.commands.terms import PRICE_POLL_S, Terms
from pms.core import orders
from pms.core.risk import Denied
from pms.desk import ALGO_ORIGINS, Desk
from pms.fates import Fate
from schemas.commands_orders import Amend
from schemas.errors import ErrorCode, Failure, Invalid
from schemas.fields import Command
from schemas.orders import Cause, Order, OrderState
from schemas.records import Request
from schemas.replies import OrderReply, ValidateReply

PRICE_S = 1.0  # for the first price of a symbol that nobody watched: a snapshot is there sooner
TURN_S = 1.5  # for what is in flight to be answered before the amend may leave
ANSWER_S = 2.8  # from the command's turn on: a reply is due within 3 s (contract.md)
FATE_S = 30.0  # what a former life left in flight is looked up for twice the settle window (execution.md 2)
_IN_FLIGHT = (OrderState.PLACING, OrderState.AMENDING, OrderState.UNKNOWN)


class Amends:
    """See the module."""

    def __init__(self, desk: Desk, terms: Terms, clock: Clock) -> None:
        self._desk = desk
        self._terms = terms
        self._clock = clock
        self._moves = Moves(desk, terms, clock)

    def rows(self) -> dict[type[Command], Row]:
        return {Amend: Row(self._amend, was_started=self._found, preview=self._preview)}

    async def _amend(self, command: Amend, context: Context) -> Reply:
        answer_by = self._clock.monotonic() + ANSWER_S
        name = command.client_order_id
        order = self._live(name)
        if self._moves.takes(order):
            return await self._moves.move(command, order, context)
        self._check_owner(order, context.sub_account)
        async with self._watched(order):
            return await self._carry_out(command, context, answer_by)

    async def _carry_out(self, command: Amend, context: Context, answer_by: float) -> Reply:
        name = command.client_order_id
        with self._desk.fates.follow((name,)) as fate:
            await fate.until(lambda: self._order(name).state not in _IN_FLIGHT, TURN_S)
            action = self._action(command)
            if action is None:
                return OrderReply(client_order_id=name, state=self._order(name).state)
            try:
                await self._send(action, context)
            except Taken:
                return taken(context)
            await fate.until(lambda: self._order(name).state not in _IN_FLIGHT, answer_by - self._clock.monotonic())
            return self._reply(action, fate)

    # --- checking -------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _watched(self, order: Order) -> AsyncIterator[None]:
        """Have a book of the order's symbol, which nobody need have looked at since it was placed. What adds risk waits
        for its price a moment; without one the gate refuses (law 5)."""
        market, give_up = self._desk.market, self._clock.monotonic() + PRICE_S
        await market.watch(self._terms.instrument(order.symbol, reduce_only=True))
        try:
            while not (order.reduce_only or market.quote(order.symbol)) and self._clock.monotonic() < give_up:
                await self._clock.sleep(PRICE_POLL_S)
            yield
        finally:
            await market.release(order.symbol)

    def _order(self, name: str) -> Order:
        return self._desk.ledger.orders[name]

    def _live(self, name: str) -> Order:
        """Raises Invalid (ORDER_NOT_FOUND)."""
        order = self._desk.ledger.orders.get(name)
        if order is None or order.state.terminal:
            ended = "" if order is None else f" (it is {order.state})"
            raise Invalid(ErrorCode.ORDER_NOT_FOUND, f"no live order {name}{ended}.", path="clientOrderId")
        return order

    def _check_owner(self, order: Order, sub_account: str) -> None:
        """Raises Invalid (NOT_OWNER, OWNED_BY_ALGO)."""
        if sub_account and order.sub_account_id != sub_account:
            raise Invalid(ErrorCode.NOT_OWNER, "the order belongs to another sub-account.", path="subAccountId")
        if order.parent_id in self._desk.runners or order.origin in ALGO_ORIGINS:
            raise Invalid(ErrorCode.OWNED_BY_ALGO, f"the order belongs to {order.parent_id}; amend that.")

    def _action(self, command: Amend) -> AmendChild | None:
        """What is to be asked of the venue; None where the order is so already. Raises Invalid."""
        order = self._live(command.client_order_id)
        if order.cancel_wanted or order.state is OrderState.CANCELLING:
            raise Invalid(ErrorCode.SUPERSEDED, "the order is being cancelled; nothing was done.")
        if order.state in _IN_FLIGHT:
            message = f"the order is {order.state}: an earlier request for it is not settled yet. Nothing was done."
            raise Invalid(ErrorCode.NOT_READY, f"{message} Send it again when it is.")
        price, quantity = command.price or order.price, command.quantity or order.quantity
        filled = max(order.filled_qty, order.venue_filled)
        if quantity <= filled:
            message = f"{filled} is filled already; the new total must be more. To end the order, cancel it."
            raise Invalid(ErrorCode.INVALID_FIELD, message, path="quantity", filled=filled)
        if (price, quantity) == (order.price, order.quantity):
            return None
        return AmendChild(order.client_order_id, order.symbol, order.side, price, quantity, order.reduce_only)

    async def _preview(self, command: Amend, sub_account: str) -> ValidateReply:
        live = self._live(command.client_order_id)
        if self._moves.takes(live):
            return self._moves.preview(command, live, sub_account)
        self._check_owner(live, sub_account)
        async with self._watched(live):
            return self._judged(command)

    def _judged(self, command: Amend) -> ValidateReply:
        """Raises Invalid."""
        action = self._action(command)
        if action is not None and isinstance(denied := self._desk.entry.check_amend(action), Denied):
            raise invalid(denied)
        order = self._order(command.client_order_id)
        if action is None:  # as it stands
            action = AmendChild(
                order.client_order_id, order.symbol, order.side, order.price, order.quantity, order.reduce_only
            )
        values = {"price": action.price, "quantity": action.quantity}
        return ValidateReply(valid=True, computed_values=values | numbers(self._desk.entry.weigh_amend(action)))

    # --- sending --------------------------------------------------------------------------------------

    async def _send(self, action: AmendChild, context: Context) -> None:
        """Record, claim and send. Raises Invalid (nothing was done) and Taken."""
        claim = context.claim(clientOrderId=action.client_order_id)
        with self._desk.step(context.request_id, claim) as unit:
            _, denied = self._desk.entry.amend(unit, action, context.request_id)
        assert unit.durable is not None, "a step with an event is committed"
        outcome = await unit.durable
        if denied is not None:
            raise invalid(denied)
        if isinstance(outcome, Duplicate):
            order = self._order(action.client_order_id)
            self._desk.changed(orders.request_failed(order, order.reason, self._desk.now()))
            raise Taken

    def _reply(self, action: AmendChild, fate: Fate) -> Reply:
        """What became of it; not settled yet is success with a state that says so."""
        order = self._order(action.client_order_id)
        failed = fate.failures.get(order.client_order_id)
        if order.state.terminal and order.state is not OrderState.FILLED and not order.cancel_wanted:
            return _ended(order)
        if failed is None or failed.action != "amend" or failed.cause is Cause.NO_CHANGE:
            return OrderReply(client_order_id=order.client_order_id, state=order.state)
        return answers.refusal(failed, order.client_order_id)

    async def _found(self, command: Amend, request: Request, tell: Tell) -> Reply | None:
        """An amend of a former life was done if the order is now as it was asked to be; else it was not."""
        name = command.client_order_id
        order = self._desk.ledger.orders.get(name)
        if order is None:
            return None
        with self._desk.fates.follow((name,)) as fate:
            if order.state in _IN_FLIGHT:
                await tell(OrderReply(client_order_id=name, state=order.state))
                await fate.until(lambda: self._order(name).state not in _IN_FLIGHT, FATE_S)
        order = self._order(name)
        asked = (command.price or order.price, command.quantity or order.quantity)
        done = (order.price, order.quantity) == asked or order.state in _IN_FLIGHT
        return OrderReply(client_order_id=name, state=order.state) if done else None


def _ended(order: Order) -> Failure:
    """The order ended instead of moving, as a post-only one does whose amend would cross (execution.md 8)."""
    code = ErrorCode.POST_ONLY_REJECTED if order.time_in_force == "GTX" else ErrorCode.EXCHANGE_REJECTED
    message = f"the order ended instead of moving: it is {order.state}, {order.filled_qty} filled."
    return Failure.of(code, message, clientOrderId=order.client_order_id, state=order.state, filledQty=order.filled_qty)
