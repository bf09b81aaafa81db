"""position_assign and drift_accept: what a person puts right between the books and the venue (execution.md 13).

Neither sends anything to the venue. Every refusal is an `Invalid` with a code of the closed list, and then nothing was
done.
"""

from __future__ import annotations

from collections.abc import Callable

from pms.bus.executor import Context
from pms.bus.outcomes import Reply
from pms.commands.table import Row, Tell
from pms.desk import Desk
from pms.hands import DeskHands
from pms.venue import Reads, Unavailable
from schemas.commands_control import DriftAccept, PositionAssign
from schemas.errors import ErrorCode, Invalid
from schemas.events_system import PositionDrift
from schemas.fields import Command
from schemas.market import ZERO
from schemas.orders import OrderState
from schemas.records import EXTERNAL, Request
from schemas.replies import PositionsReply


class Positions:
    """See the module. `look` has the audit compare soon: what was accepted by mistake is found at once."""

    def __init__(self, desk: Desk, hands: DeskHands, venue: Reads, look: Callable[[], None]) -> None:
        self._desk = desk
        self._hands = hands
        self._venue = venue
        self._look = look

    def rows(self) -> dict[type[Command], Row]:
        return {
            PositionAssign: Row(self._assign, was_started=_answered),
            DriftAccept: Row(self._accept, was_started=_answered),
        }

    async def _assign(self, command: PositionAssign, context: Context) -> Reply:
        """Move quantity from one book to another as a trade between them. Raises Invalid (SUBACCOUNT_UNKNOWN,
        INVALID_FIELD, POSITION_NOT_FOUND, ABOVE_MAXIMUM, QUANTITY_OFF_GRID)."""
        symbol, giver, taker = command.symbol, command.giver, command.taker
        self._check(command)
        ledger = self._desk.ledger
        gave = ledger.position(giver, symbol).position_id
        signed = command.quantity if ledger.position(giver, symbol).signed_quantity > 0 else -command.quantity
        books = self._desk.books
        claim = context.claim(giver=gave, taker=books.id_after(taker, symbol, signed))
        with self._desk.step(context.request_id, claim) as unit:
            reduced = books.assign(unit, symbol, giver, taker, command.quantity, command.price)
            self._desk.positions_reduced(symbol, reduced)
        return PositionsReply(position_ids=(gave, ledger.position(taker, symbol).position_id))

    def _check(self, command: PositionAssign) -> None:
        ledger = self._desk.ledger
        for name, path in ((command.giver, "from"), (command.taker, "to")):
            if name not in ledger.sub_accounts:
                raise Invalid(ErrorCode.SUBACCOUNT_UNKNOWN, f"there is no sub-account '{name}'.", path=path)
        if command.giver == command.taker:
            raise Invalid(ErrorCode.INVALID_FIELD, "from and to are the same sub-account.", path="to")
        held = ledger.position(command.giver, command.symbol)
        if not held.quantity:
            message = f"'{command.giver}' holds nothing of {command.symbol}."
            raise Invalid(ErrorCode.POSITION_NOT_FOUND, message, path="from")
        if command.quantity > held.quantity:
            message = f"'{command.giver}' holds {held.quantity} of {command.symbol}; {command.quantity} can't be taken."
            raise Invalid(ErrorCode.ABOVE_MAXIMUM, message, path="quantity", held=held.quantity)
        instrument = self._desk.instruments.get(command.symbol)
        if instrument and command.quantity != held.quantity and not instrument.on_quantity_grid(command.quantity):
            message = f"{command.quantity} is no multiple of {command.symbol}'s step {instrument.step}."
            raise Invalid(ErrorCode.QUANTITY_OFF_GRID, message, path="quantity", step=instrument.step)

    async def _accept(self, command: DriftAccept, context: Context) -> Reply:
        """Book the difference between the venue and the books on `external` at mark, and let the symbol trade again.
        Raises Invalid (UNKNOWN_SYMBOL, NOT_READY, EXCHANGE_UNAVAILABLE)."""
        symbol = command.symbol
        if symbol not in self._desk.instruments:
            raise Invalid(ErrorCode.UNKNOWN_SYMBOL, f"the venue has no symbol {symbol}.", path="symbol")
        books = self._desk.books
        before = books.net(symbol)
        try:
            held = {position.symbol: position.quantity for position in await self._venue.positions()}
            mark = await self._venue.mark(symbol)
        except Unavailable as error:
            message = f"the venue can't be read ({error}); nothing was changed. Send it again."
            raise Invalid(ErrorCode.EXCHANGE_UNAVAILABLE, message) from error
        flying = [order for order in self._desk.ledger.open_orders(symbol) if order.state is not OrderState.ACTIVE]
        if flying or books.net(symbol) != before:
            message = (
                f"{symbol} is trading right now, so no difference can be told; nothing was changed. Send it again."
            )
            raise Invalid(ErrorCode.NOT_READY, message)
        difference = held.get(symbol, ZERO) - before
        moved = books.id_after(EXTERNAL, symbol, difference) if difference else ""
        claim = context.claim(**({"external": moved} if moved else {}))
        with self._desk.step(context.request_id, claim) as unit:
            if difference:
                books.accept(unit, symbol, difference, mark)
                event = PositionDrift(
                    ts=self._desk.now(),
                    symbol=symbol,
                    venue_quantity=held.get(symbol, ZERO),
                    books_quantity=before,
                    action="accepted",
                )
                unit.event(event)
        self._hands.lift(symbol)
        self._look()
        return PositionsReply(position_ids=(moved,) if moved else ())


async def _answered(command: Command, request: Request, tell: Tell) -> Reply | None:
    """It was done in the step that claimed it."""
    return PositionsReply(position_ids=tuple(request.ids.values()))
