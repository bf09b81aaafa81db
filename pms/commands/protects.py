"""stop and take_profit: a conditional order at the venue for a position, and its way elsewhere (contract.md; algos.md,
Protection).

Owns what the two commands, and stopLoss and takeProfit of an entry, may ask for. Starting and ending are what all kinds
share (pms.commands.starting, pms.commands.algos).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from algos.registry import PROTECTION
from pms.bus.executor import Context
from pms.bus.outcomes import Reply
from pms.clock import Clock
from pms.commands.held import held_position
from pms.commands.needs import Needs, Planned
from pms.commands.starting import Starts
from pms.commands.table import Row, Tell
from pms.commands.terms import Terms
from pms.commands.triggers import check_ahead, check_price, check_room, price_of
from pms.core import exits
from pms.desk import Desk
from schemas.books import Position
from schemas.commands_orders import Stop, TakeProfit
from schemas.fields import Command
from schemas.market import ZERO, Instrument, Quote
from schemas.orders import OrderState
from schemas.protection import Leg, LegParams, LegWord, ProtectionParams, ProtectionState
from schemas.records import Request
from schemas.replies import ConditionalReply, Success, ValidateReply

ANSWER_S = 2.5  # a reply is due within 3 s (contract.md)
HELD = "held"
_ARRIVING = (OrderState.PLACING, OrderState.UNKNOWN)


class ProtectDoor:
    """A `starting.Door` for one of the two commands. It needs no price: the venue watches it."""

    kind = PROTECTION
    id_name = "algoId"

    def __init__(self, desk: Desk, terms: Terms, command: type[Command], word: LegWord) -> None:
        self._desk = desk
        self._terms = terms
        self.command = command
        self._word: LegWord = word

    def needs(self, command: Stop | TakeProfit, sub_account: str) -> Sequence[Needs]:
        """Raises Invalid (POSITION_NOT_FOUND, NOT_OWNER, POSITION_SIDE_MISMATCH, UNKNOWN_SYMBOL)."""
        held = held_position(self._desk, command, sub_account)
        return (Needs(held.symbol, leverage=0, reduce_only=True, priced=False),)

    def params(self, command: Stop | TakeProfit, sub_account: str, quotes: Mapping[str, Quote]) -> ProtectionParams:
        """Raises Invalid (as `needs`; PRICE_OFF_GRID, QUANTITY_OFF_GRID, BELOW_MINIMUM, INVALID_FIELD)."""
        held = held_position(self._desk, command, sub_account)
        instrument = self._desk.instruments[held.symbol]
        side = exits.closing_side(held.signed_quantity)
        check_price(instrument, command.trigger_price, "triggerPrice")
        check_price(instrument, command.limit_price, "limitPrice")
        check_ahead(side, self._word, command.trigger_price, price_of(self._desk, held.symbol), "triggerPrice")
        check_room(self._desk)
        quantity = self._quantity(command, held, instrument)
        bare, most = self._desk.covers.form(sub_account, held.symbol, side, quantity)
        asked = LegParams(
            trigger_price=command.trigger_price,
            limit_price=command.limit_price or ZERO,
            working_type=command.working_type,
        )
        return ProtectionParams(
            symbol=held.symbol,
            side=side,
            position_id=held.position_id,
            quantity=quantity,
            bare=bare,
            most=most,
            stop=asked if self._word == "stop" else None,
            take_profit=asked if self._word == "take_profit" else None,
        )

    def _quantity(self, command: Stop | TakeProfit, held: Position, instrument: Instrument) -> Decimal:
        """The position or so much of it; never more, and at least what the venue takes as one order."""
        quantity = held.quantity
        if command.quantity is not None and command.quantity < held.quantity:
            quantity = self._terms.quantity(instrument, command.quantity, None, ZERO)
        self._terms.sendable(instrument, quantity, held.entry_price, reduce_only=True)
        return quantity

    def planned(self, params: ProtectionParams, quotes: Mapping[str, Quote]) -> Sequence[Planned]:
        """Nothing is traded before its trigger."""
        return ()

    def reply(self, state: ProtectionState) -> Success:
        leg = state.legs[0]
        name = leg.orders[-1].client_order_id if leg.orders else ""
        return ConditionalReply(
            client_algo_id=name, algo_id=state.protection_id, state=_word_of(state, leg), quantity=state.rest
        )


def _word_of(state: ProtectionState, leg: Leg) -> str:
    """How a protection stands: the state of its newest order, `held` where it has none and we watch its price."""
    if state.status.terminal:
        return state.status.value
    if state.triggered_at:
        return "triggered"
    return leg.orders[-1].state.value if leg.orders else HELD


class Protects:
    """The two commands: started like any algo, and answered once the venue has told what it makes of the order."""

    def __init__(self, desk: Desk, terms: Terms, starts: Starts, clock: Clock) -> None:
        self._desk = desk
        self._starts = starts
        self._clock = clock
        self._doors = {
            Stop: ProtectDoor(desk, terms, Stop, "stop"),
            TakeProfit: ProtectDoor(desk, terms, TakeProfit, "take_profit"),
        }

    def rows(self) -> dict[type[Command], Row]:
        row = Row(self._place, was_started=self._was_started, preview=self._preview)
        return {Stop: row, TakeProfit: row}

    async def _place(self, command: Stop | TakeProfit, context: Context) -> Reply:
        """Raises Invalid, with nothing done."""
        answer_by = self._clock.monotonic() + ANSWER_S
        door = self._doors[type(command)]
        reply = await self._starts.start(door, command, context)
        if not isinstance(reply, ConditionalReply) or not reply.client_algo_id:
            return reply
        orders, name = self._desk.ledger.orders, reply.client_algo_id
        with self._desk.fates.follow((name,)) as fate:
            await fate.until(lambda: orders[name].state not in _ARRIVING, answer_by - self._clock.monotonic())
        runner = self._desk.runners.get(reply.algo_id)
        now = door.reply(runner.state) if runner is not None else reply
        assert isinstance(now, ConditionalReply), "of the same door"
        return ConditionalReply(
            client_algo_id=now.client_algo_id or name, algo_id=reply.algo_id, state=now.state, quantity=reply.quantity
        )

    async def _was_started(self, command: Stop | TakeProfit, request: Request, tell: Tell) -> Reply | None:
        return await self._starts.was_started(self._doors[type(command)], command, request, tell)

    async def _preview(self, command: Stop | TakeProfit, sub_account: str) -> ValidateReply:
        return await self._starts.preview(self._doors[type(command)], command, sub_account)
