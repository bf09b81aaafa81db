"""basket: several trades at once, all of which pass every check before the first is sent (contract.md)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pms.bus.executor import Context
from pms.bus.outcomes import Reply
from pms.commands import answers
from pms.commands.asks import Ask, Asks
from pms.commands.identity import Taken, taken
from pms.commands.manual import Batch, Manual, Wants
from pms.commands.orders import found
from pms.commands.previews import Previews
from pms.commands.table import Row, Tell
from schemas.commands_orders import Basket
from schemas.fields import Command
from schemas.orders import Origin
from schemas.records import Request
from schemas.replies import BasketReply, ValidateReply


class Baskets:
    """See the module."""

    def __init__(self, manual: Manual, asks: Asks, previews: Previews) -> None:
        self._manual = manual
        self._asks = asks
        self._previews = previews

    def rows(self) -> dict[type[Command], Row]:
        return {Basket: Row(self._basket, was_started=self._found, preview=self._preview)}

    async def _basket(self, command: Basket, context: Context) -> Reply:
        try:
            return reply(await self._manual.place(context, Origin.BASKET, self._wants(command)))
        except Taken:
            return taken(context)

    def _wants(self, command: Basket) -> Wants:
        return Wants(tuple(dict.fromkeys(leg.symbol for leg in command.legs)), lambda: self._legs(command))

    def _legs(self, command: Basket) -> Sequence[Ask]:
        return [ask for number, leg in enumerate(command.legs) for ask in self._asks.leg(leg, f"legs[{number}]")]

    async def _found(self, command: Basket, request: Request, tell: Tell) -> Reply | None:
        return await found(self._manual, request, tell, reply)

    async def _preview(self, command: Basket, sub_account: str) -> ValidateReply:
        return await self._previews.of(sub_account, self._wants(command))


def reply(batch: Batch) -> Reply:
    """A leg that the venue refused stands among the orders as failed, with its reason in the details."""
    failures = [why for order in batch.orders if (why := answers.failure(order, batch)) is not None]
    if len(failures) == len(batch.orders):
        return failures[0]
    details = {"errors": failures} if failures else msgspec.UNSET
    return BasketReply(orders=tuple(map(answers.placed, batch.orders)), details=details)
