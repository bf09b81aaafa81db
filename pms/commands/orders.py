"""trade and limit: one order, or as many as the venue's largest size makes of it (contract.md; execution.md 10)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pms.bus.executor import Context
from pms.bus.outcomes import Reply
from pms.commands import answers, entry_guards
from pms.commands.asks import Ask, Asks
from pms.commands.identity import Taken, taken
from pms.commands.manual import Batch, Manual, Wants
from pms.commands.previews import Previews
from pms.commands.table import Row, Tell
from schemas.commands_orders import Limit, Trade
from schemas.fields import Command
from schemas.market import ZERO
from schemas.orders import Origin
from schemas.records import Request
from schemas.replies import ValidateReply

Order = Trade | Limit


class Orders:
    """See the module."""

    def __init__(self, manual: Manual, asks: Asks, previews: Previews) -> None:
        self._manual = manual
        self._asks = asks
        self._previews = previews

    def rows(self) -> dict[type[Command], Row]:
        row = Row(self._place, self._prepared, self._found, self._preview)
        return {Trade: row, Limit: row}

    async def _place(self, command: Order, context: Context) -> Reply:
        try:
            return answers.of_one(await self._manual.place(context, Origin.MANUAL, self._wants(command)))
        except Taken:
            return taken(context)

    def _wants(self, command: Order) -> Wants:
        priced = isinstance(command, Trade) or not command.reduce_only
        return Wants((command.symbol,), lambda: self._asked(command), command.reduce_only, priced, guard=command)

    def _asked(self, command: Order) -> list[Ask]:
        """Raises Invalid."""
        asked = self._asks.trade(command) if isinstance(command, Trade) else self._asks.limit(command)
        if entry_guards.wanted(command):
            price = None if isinstance(command, Trade) else command.price
            entry_guards.check_order(self._manual.desk, command, price)
        return asked

    def _prepared(self, command: Order, sub_account: str) -> bool:
        """It acts by its own step alone, unless it makes its sub-account or sets leverage."""
        adds = command.size_usdt or ZERO
        if isinstance(command, Limit) and command.quantity is not None:
            adds = command.quantity * command.price
        return self._manual.prepared(sub_account, command.symbol, command.leverage, adds)

    async def _found(self, command: Order, request: Request, tell: Tell) -> Reply | None:
        return await found(self._manual, request, tell, answers.of_one)

    async def _preview(self, command: Order, sub_account: str) -> ValidateReply:
        return await self._previews.of(sub_account, self._wants(command))


async def found(manual: Manual, request: Request, tell: Tell, words: Callable[[Batch], Reply]) -> Reply | None:
    """The reply to a request of a former life, in the command's own words."""

    def meanwhile(batch: Batch) -> Awaitable[None]:
        return tell(words(batch))

    batch = await manual.found(request, meanwhile)
    return None if batch is None else words(batch)
