"""close, close_all and admin_close: positions are closed at the market (contract.md; execution.md 14).

Owns what is closed and when that is told. Refuses to know how an exit leaves (pms.exit_orders). Exits are never refused
for risk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import msgspec

from pms.bus.batch import Claim
from pms.bus.executor import Context
from pms.bus.outcomes import Reply
from pms.clock import Clock
from pms.commands.cancels import ANSWER_S, Cancels
from pms.commands.denials import invalid
from pms.commands.identity import taken
from pms.commands.previews import numbers
from pms.commands.scope import Scope
from pms.commands.table import Row, Tell
from pms.commands.terms import Terms
from pms.core import exits
from pms.desk import Desk
from pms.exit_goals import Exit, Goal, in_flight
from pms.exit_orders import TAKEN, ExitOrders
from schemas.books import Position
from schemas.commands_control import AdminClose
from schemas.commands_orders import Close, CloseAll
from schemas.errors import ErrorCode, Failure, Invalid
from schemas.fields import Command
from schemas.market import ZERO, Side
from schemas.records import Request
from schemas.replies import CloseAllReply, CloseReply, ValidateReply


class Closing:
    """See the module."""

    def __init__(self, desk: Desk, exit_orders: ExitOrders, cancels: Cancels, clock: Clock) -> None:
        self._desk = desk
        self._exits = exit_orders
        self._cancels = cancels
        self._clock = clock

    def rows(self) -> dict[type[Command], Row]:
        return {
            Close: Row(self._close, was_started=_was_started, preview=self._preview),
            AdminClose: Row(self._admin_close, was_started=_was_started),
            CloseAll: Row(self._close_all),
        }

    # --- one position ---------------------------------------------------------------------------------

    async def _close(self, command: Close, context: Context) -> Reply:
        """Raises Invalid as `_asked`."""
        return await self._carry_out(self._asked(command, context.sub_account, context.request_id), context)

    def _asked(self, command: Close, sub_account: str, request_id: str = "") -> Goal:
        """Raises Invalid (POSITION_NOT_FOUND, POSITION_SIDE_MISMATCH, NOT_OWNER, QUANTITY_OFF_GRID)."""
        if command.position_id is not None:
            held = self._named(command.position_id)
            if held.sub_account_id != sub_account:
                message = f"{command.position_id} belongs to another sub-account."
                raise Invalid(ErrorCode.NOT_OWNER, message, path="subAccountId")
            return self._goal_of(held, command, request_id)
        assert command.symbol is not None, "the door wants it where no positionId is"
        assert command.side is not None, "the door wants it with a symbol"
        if command.symbol not in self._desk.instruments:
            raise Invalid(ErrorCode.UNKNOWN_SYMBOL, f"the venue has no symbol {command.symbol}.", path="symbol")
        held = self._desk.ledger.position(sub_account, command.symbol)
        if held.signed_quantity and exits.closing_side(held.signed_quantity) is not command.side:
            message = f"the position in {command.symbol} is {held.side}; a {command.side} would enlarge it."
            raise Invalid(ErrorCode.POSITION_SIDE_MISMATCH, message, path="side")
        return self._goal(sub_account, command.symbol, command.side, command, request_id)

    async def _preview(self, command: Close, sub_account: str) -> ValidateReply:
        """What would leave first, with the gate's numbers; quantity 0 where nothing is held. Of what the gate asks only
        a foreign position opposite stops an exit: what rests makes way. Raises Invalid as `close` would."""
        goal = self._asked(command, sub_account)
        if not self._exits.held(goal):
            return ValidateReply(valid=True, computed_values={"quantity": ZERO})
        order = await self._exits.first(goal)
        values = {"price": order.price, "quantity": order.quantity}
        values |= numbers(self._desk.entry.weigh([order]))
        if self._desk.exits.form(order) is not exits.Form.FORBIDDEN:
            return ValidateReply(valid=True, computed_values=values)
        (denied,) = self._desk.entry.check_orders([order])
        assert denied is not None, "no exit leaves against a foreign position"
        return ValidateReply(valid=False, errors=(invalid(denied).failure(),), computed_values=values)

    async def _admin_close(self, command: AdminClose, context: Context) -> Reply:
        """A position of any sub-account. Raises Invalid (POSITION_NOT_FOUND)."""
        return await self._carry_out(self._goal_of(self._named(command.position_id), None, context.request_id), context)

    def _named(self, position_id: str) -> Position:
        """The position of an id, or its successor where it was closed. Raises Invalid (POSITION_NOT_FOUND)."""
        account, _, rest = position_id.partition(":")
        symbol, _, number = rest.partition(":")
        found = self._desk.ledger.positions.get((account, symbol))
        if found is None or not _opened(number, found) or symbol not in self._desk.instruments:
            raise Invalid(ErrorCode.POSITION_NOT_FOUND, f"there never was a position {position_id}.", path="positionId")
        if found.position_id != position_id:  # closed long since: nothing of it is left
            return msgspec.structs.replace(found, position_id=position_id, signed_quantity=ZERO, quantity=ZERO)
        return found

    def _goal_of(self, held: Position, command: Close | None, request_id: str) -> Goal:
        side = exits.closing_side(held.signed_quantity)
        goal = self._goal(held.sub_account_id, held.symbol, side, command, request_id)
        return msgspec.structs.replace(goal, position_id=held.position_id)

    def _goal(self, account: str, symbol: str, side: Side, command: Close | None, request_id: str) -> Goal:
        quantity = None if command is None else command.quantity
        if quantity is not None:
            Terms.quantity(self._desk.instruments[symbol], quantity, None, ZERO)
        placings = self._placings(Scope(account, symbol))
        return Goal(account, symbol, side, quantity, after=placings, request_id=request_id)

    def _placings(self, scope: Scope) -> tuple[str, ...]:
        """What may still add to the positions of a scope: placings whose fate is not known."""
        orders = scope.orders(self._desk)
        return tuple(order.client_order_id for order in orders if in_flight(order) and not order.reduce_only)

    async def _carry_out(self, goal: Goal, context: Context) -> Reply:
        """Close it, and answer once that is done or the reply is due."""
        give_up = self._clock.monotonic() + ANSWER_S
        if not goal.after and not self._exits.held(goal):
            return self._stale(goal)

        def claim(client_id: str) -> Claim | None:
            return context.claim(clientOrderId=client_id)

        under_way = self._exits.begin(goal, claim)
        await asyncio.wait((under_way.done,), timeout=give_up - self._clock.monotonic())
        if under_way.done.done() and under_way.done.result() == TAKEN:
            return taken(context)
        first = under_way.first.result() if under_way.first.done() else ""
        if first:
            return CloseReply(client_order_id=first)
        if not under_way.done.done():
            return CloseReply(details={"state": "closing"})
        if under_way.denied is not None:
            raise invalid(under_way.denied)
        return self._stale(goal)

    def _stale(self, goal: Goal) -> CloseReply:
        """Nothing is left to close; what still points to it goes."""
        self._desk.positions_reduced(goal.symbol, (goal.sub_account_id,))
        return CloseReply(stale_cleanup=True)

    # --- all of them ----------------------------------------------------------------------------------

    async def _close_all(self, command: CloseAll, context: Context) -> Reply:
        """End the sub-account's algos, prove their children terminal, close every position."""
        give_up = self._clock.monotonic() + ANSWER_S
        scope = Scope(context.sub_account)
        swept = await self._cancels.sweep(scope, True, "close_all", context.request_id, ANSWER_S)
        left_s = give_up - self._clock.monotonic()
        closed, errors = await self.close_scope(scope, context.request_id, left_s)
        return CloseAllReply(closed_count=closed, cancelled_count=swept.cancelled, errors=errors)

    async def close_scope(self, scope: Scope, request_id: str, wait_s: float) -> tuple[int, tuple[Failure, ...]]:
        """Close every position of a scope, those too that placings in flight still make; how many are closed, and
        what is wrong with the others. What is not closed by then goes on being closed."""
        placings = self._placings(scope)
        if placings:
            with self._desk.fates.follow(placings) as fate:
                orders = self._desk.ledger.orders
                await fate.until(lambda: not any(in_flight(orders.get(name)) for name in placings), wait_s)
        begun = [
            self._exits.begin(Goal(account, symbol, side, after=placings, request_id=request_id))
            for account, symbol, side in self._sides(scope, placings)
        ]
        if begun:
            await asyncio.wait([one.done for one in begun], timeout=max(wait_s, 0))
        return sum(map(_closed, begun)), _errors(begun)

    def _sides(self, scope: Scope, placings: tuple[str, ...]) -> list[tuple[str, str, Side]]:
        """(sub-account, symbol, closing side) of what is held, and of what placings of unknown fate may still open."""
        held = [
            (one.sub_account_id, one.symbol, exits.closing_side(one.signed_quantity))
            for one in scope.positions(self._desk)
        ]
        orders = [order for name in placings if in_flight(order := self._desk.ledger.orders[name])]
        coming = [(order.sub_account_id, order.symbol, order.side.opposite) for order in orders]
        return list(dict.fromkeys((*held, *coming)))


def _opened(number: str, held: Position) -> bool:
    """Whether the symbol's opening of that number has been."""
    try:
        return 0 < int(number, 36) <= held.number
    except ValueError:
        return False


def _closed(one: Exit) -> bool:
    return one.done.done() and not one.done.result()


def _errors(begun: Iterable[Exit]) -> tuple[Failure, ...]:
    errors = []
    for one in begun:
        where = f"{one.goal.sub_account_id}'s position in {one.goal.symbol}"
        if not one.done.done():
            message = f"{where} is still being closed; its events tell."
            errors.append(Failure.of(ErrorCode.REPLY_TIMEOUT, message))
        elif reason := one.done.result():
            code = ErrorCode.EXCHANGE_REJECTED if one.denied is None else one.denied.code
            errors.append(Failure.of(code, f"{where} is not closed: {reason}."))
    return tuple(errors)


async def _was_started(command: Close | AdminClose, request: Request, tell: Tell) -> Reply | None:
    """An exit that left before a restart; what it left open, the next close closes."""
    client_id = request.ids.get("clientOrderId")
    return CloseReply(client_order_id=client_id) if client_id else None
