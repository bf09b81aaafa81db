"""trail_stop at the door: which position it protects, and how far behind (contract.md, algos.md).

Starting, ending and pausing are what all kinds share (pms.commands.starting, pms.commands.algos).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from algos import trail_price
from algos.registry import TRAIL_STOP
from pms.commands.held import held_position
from pms.commands.needs import Needs, Planned
from pms.commands.terms import Terms
from pms.core import exits
from pms.desk import Desk
from schemas.books import Position
from schemas.commands_algos import TrailStop
from schemas.errors import ErrorCode, Invalid
from schemas.fields import Command
from schemas.market import ZERO, Instrument, Quote
from schemas.replies import Success, TrailStopReply
from schemas.trail_stop import TrailStopParams, TrailStopState

CALLBACK_PCT = Decimal(1)  # where no distance is given (algos.md)


class TrailStopDoor:
    """A `starting.Door`. It needs no price: a stop works from the first one there is."""

    kind = TRAIL_STOP
    command: type[Command] = TrailStop
    id_name = "trailStopId"

    def __init__(self, desk: Desk, terms: Terms) -> None:
        self._desk = desk
        self._terms = terms

    def needs(self, command: TrailStop, sub_account: str) -> Sequence[Needs]:
        """Raises Invalid (POSITION_NOT_FOUND, NOT_OWNER, POSITION_SIDE_MISMATCH, UNKNOWN_SYMBOL)."""
        held = held_position(self._desk, command, sub_account)
        return (Needs(held.symbol, leverage=0, reduce_only=True, priced=False),)

    def params(self, command: TrailStop, sub_account: str, quotes: Mapping[str, Quote]) -> TrailStopParams:
        """Raises Invalid (as `needs`; QUANTITY_OFF_GRID, BELOW_MINIMUM, INVALID_FIELD)."""
        held = held_position(self._desk, command, sub_account)
        instrument = self._desk.instruments[held.symbol]
        distanceless = not (command.callback_pct or command.callback_abs or command.callback_ticks)
        params = TrailStopParams(
            symbol=held.symbol,
            side=exits.closing_side(held.signed_quantity),
            position_id=held.position_id,
            quantity=self._quantity(command, held, instrument),
            callback_pct=CALLBACK_PCT if distanceless else command.callback_pct or ZERO,
            callback_abs=command.callback_abs or ZERO,
            callback_ticks=command.callback_ticks or 0,
            activation_price=command.activation_price or ZERO,
            trigger=command.trigger,
            exit=command.exit,
            exit_deadline_seconds=command.exit_deadline_seconds,
            on_blind=command.on_blind,
            backstop_pct=command.backstop_pct,
        )
        self._check_distance(params, instrument, held, quotes.get(held.symbol))
        return params

    def _quantity(self, command: TrailStop, held: Position, instrument: Instrument) -> Decimal:
        """The position or so much of it; never more. A part has to be one that can be sent."""
        if command.quantity is None or command.quantity >= held.quantity:
            return held.quantity
        quantity = self._terms.quantity(instrument, command.quantity, None, ZERO)
        self._terms.sendable(instrument, quantity, held.entry_price, reduce_only=True)
        return quantity

    @staticmethod
    def _check_distance(params: TrailStopParams, instrument: Instrument, held: Position, quote: Quote | None) -> None:
        """A distance as large as the price would protect nothing, ever."""
        price = held.entry_price if quote is None else quote.mid2 * instrument.tick / 2
        start = params.activation_price or price
        if not trail_price.protects(params, instrument, start):
            path = "callbackTicks" if params.callback_ticks else "callbackAbs"
            message = f"the distance is not below the price it starts from ({start}): the trigger could not be reached."
            raise Invalid(ErrorCode.INVALID_FIELD, message, path=path)
        if params.backstop_pct and not trail_price.stands_behind(params, instrument, start):
            message = "the backstop must be farther away than the trigger: it is for when nobody acts on that."
            raise Invalid(ErrorCode.INVALID_FIELD, message, path="backstopPct")

    def planned(self, params: TrailStopParams, quotes: Mapping[str, Quote]) -> Sequence[Planned]:
        """Nothing is traded before its trigger."""
        return ()

    def reply(self, state: TrailStopState) -> Success:
        newest = state.backstops[-1] if state.backstops else None
        return TrailStopReply(
            trail_stop_id=state.trail_stop_id,
            extreme_price=state.extreme_price,
            trigger_price=state.trigger_price,
            activated=state.activated,
            symbol=state.symbol,
            side=state.side,
            quantity=state.quantity,
            backstop_price=ZERO if newest is None else newest.price,
            backstop_quantity=ZERO if newest is None else newest.quantity,
        )
