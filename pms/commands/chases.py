"""chase at the door: its parameters in the venue's grid, and the change of a running one (contract.md, algos.md).

Starting, ending and pausing are what all kinds share (pms.commands.starting, pms.commands.algos).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from algos import pricing, step
from algos.registry import CHASE
from algos.step import AmendChild
from pms.bus.executor import Context
from pms.bus.outcomes import Reply
from pms.commands.algos import Algos
from pms.commands.denials import invalid
from pms.commands.needs import Needs, Planned
from pms.commands.previews import numbers
from pms.commands.table import Row
from pms.commands.terms import Terms
from pms.core.risk import Denied
from pms.desk import Desk
from pms.runner import Runner
from schemas.chase import ChaseParams, ChaseState
from schemas.commands_algos import Chase, ChaseAmend
from schemas.errors import ErrorCode, Invalid
from schemas.fields import Command
from schemas.market import ZERO, Instrument, Quote
from schemas.replies import ChaseReply, Success, ValidateReply


class ChaseDoor:
    """A `starting.Door`."""

    kind = CHASE
    command: type[Command] = Chase
    id_name = "chaseId"

    def __init__(self, terms: Terms) -> None:
        self._terms = terms

    def needs(self, command: Chase, sub_account: str) -> Sequence[Needs]:
        return (Needs(command.symbol, command.leverage, command.reduce_only),)

    def params(self, command: Chase, sub_account: str, quotes: Mapping[str, Quote]) -> ChaseParams:
        """Raises Invalid (QUANTITY_OFF_GRID)."""
        instrument = self._terms.instrument(command.symbol, command.reduce_only)
        mid = ZERO if command.size_usdt is None else quotes[command.symbol].mid2 * instrument.tick / 2
        return command.params(self._terms.quantity(instrument, command.quantity, command.size_usdt, mid))

    def planned(self, params: ChaseParams, quotes: Mapping[str, Quote]) -> Sequence[Planned]:
        """Raises Invalid (INVALID_FIELD, BELOW_MINIMUM)."""
        instrument = self._terms.instruments[params.symbol]
        price = _first_price(params, instrument, quotes[params.symbol])
        if price <= 0:
            raise Invalid(ErrorCode.INVALID_FIELD, "the offset is larger than the price.", path="stalkOffsetTicks")
        self._terms.sendable(instrument, params.quantity, price, params.reduce_only)
        return (Planned(params.symbol, params.side, params.quantity, price, params.leverage, params.reduce_only),)

    def reply(self, state: ChaseState) -> Success:
        return ChaseReply(
            chase_id=state.chase_id,
            current_order_price=state.current_order_price,
            symbol=state.symbol,
            side=state.side,
            quantity=state.quantity,
        )


class ChaseAmends:
    """chase_amend."""

    def __init__(self, desk: Desk, terms: Terms, algos: Algos) -> None:
        self._desk = desk
        self._terms = terms
        self._algos = algos

    def rows(self) -> dict[type[Command], Row]:
        return {ChaseAmend: Row(self._amend, preview=self._preview)}

    async def _amend(self, command: ChaseAmend, context: Context) -> Reply:
        """Change parameters. Raises Invalid as `_asked`."""
        runner, request = self._asked(command, context.sub_account)
        self._desk.offer(runner, request, context.request_id)
        return Success()

    def _asked(self, command: ChaseAmend, sub_account: str) -> tuple[Runner, step.AmendRequest]:
        """Raises Invalid where the new quantity is below what is filled or off the grid."""
        runner = self._algos.find(command.chase_id, sub_account, "chase", "chaseId")
        state: ChaseState = runner.state
        if command.quantity is not None:
            if command.quantity < state.filled_quantity:
                message = f"{state.filled_quantity} is filled already; the new quantity can't be less."
                raise Invalid(ErrorCode.INVALID_FIELD, message, path="quantity", filled=state.filled_quantity)
            self._terms.quantity(state.instrument, command.quantity, None, Decimal(0))
        return runner, step.AmendRequest(
            self._desk.now(),
            self._desk.quote_of(runner),
            command.quantity,
            command.stalk_mode,
            command.stalk_offset_pct,
            command.stalk_offset_ticks,
            command.max_distance_pct,
        )

    async def _preview(self, command: ChaseAmend, sub_account: str) -> ValidateReply:
        """What the chase would be then and, where it would move its order, now or when it may again, what the gate
        would say to that."""
        runner, request = self._asked(command, sub_account)
        after, actions = runner.kind.step(runner.state, request)
        if not actions and after.wake_at:
            after, actions = runner.kind.step(after, step.Timer(after.wake_at, request.quote))
        values = {"price": after.current_order_price, "quantity": after.quantity}
        moves = [action for action in actions if isinstance(action, AmendChild)]
        denied = [one for one in map(self._desk.entry.check_amend, moves) if isinstance(one, Denied)]
        for action in moves:
            values |= {"price": action.price} | numbers(self._desk.entry.weigh_amend(action))
        errors = tuple(invalid(one).failure() for one in denied)
        return ValidateReply(valid=not errors, errors=errors, computed_values=values)


def _first_price(params: ChaseParams, instrument: Instrument, quote: Quote) -> Decimal:
    ticks = pricing.follow_ticks(
        params.side,
        quote.bid,
        quote.ask,
        params.stalk_offset_ticks,
        pricing.scaled_pct(params.stalk_offset_pct) if params.stalk_offset_pct else 0,
        params.aggressive,
        0,
    )
    return instrument.price(ticks)
