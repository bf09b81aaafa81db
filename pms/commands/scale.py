"""scale: several limit orders at once; a rejected one is a failure, the others stand (contract.md)."""

from __future__ import annotations

from pms.bus.executor import Context
from pms.bus.outcomes import Reply
from pms.commands import answers
from pms.commands.asks import Asks
from pms.commands.identity import Taken, taken
from pms.commands.manual import Batch, Manual, Wants
from pms.commands.orders import found
from pms.commands.previews import Previews
from pms.commands.table import Row, Tell
from schemas.commands_orders import Scale
from schemas.fields import Command
from schemas.orders import Origin
from schemas.records import Request
from schemas.replies import ScaleReply, ValidateReply


class Scales:
    """See the module."""

    def __init__(self, manual: Manual, asks: Asks, previews: Previews) -> None:
        self._manual = manual
        self._asks = asks
        self._previews = previews

    def rows(self) -> dict[type[Command], Row]:
        return {Scale: Row(self._scale, was_started=self._found, preview=self._preview)}

    async def _scale(self, command: Scale, context: Context) -> Reply:
        try:
            return reply(await self._manual.place(context, Origin.MANUAL, self._wants(command)))
        except Taken:
            return taken(context)

    def _wants(self, command: Scale) -> Wants:
        return Wants(
            (command.symbol,),
            lambda: [
                self._asks.level(command, level, f"levels[{number}]") for number, level in enumerate(command.levels)
            ],
            command.reduce_only,
            priced=not command.reduce_only,
            some=True,
        )

    async def _found(self, command: Scale, request: Request, tell: Tell) -> Reply | None:
        return await found(self._manual, request, tell, reply)

    async def _preview(self, command: Scale, sub_account: str) -> ValidateReply:
        return await self._previews.of(sub_account, self._wants(command))


def reply(batch: Batch) -> ScaleReply:
    errors = [answers.denial(path, denied) for path, denied in batch.denied]
    standing = []
    for order in batch.orders:
        why = answers.failure(order, batch)
        if why is None:
            standing.append(answers.placed(order))
        else:
            errors.append(why)
    return ScaleReply(
        placed=len(standing),
        failed=len(errors),
        total=len(standing) + len(errors),
        orders=tuple(standing),
        errors=tuple(errors),
    )
