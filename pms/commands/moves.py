"""amend of an order that waits at the venue for its price (contract.md; algos.md, Protection).

Refuses to touch what has been triggered: that is on its way.
"""

from __future__ import annotations

from decimal import Decimal

from algos import protecting
from algos.registry import PROTECTION
from pms.bus.executor import Context
from pms.bus.outcomes import Reply
from pms.clock import Clock
from pms.commands.terms import Terms
from pms.commands.triggers import check_ahead, check_price, price_of
from pms.desk import Desk
from schemas.commands_orders import Amend
from schemas.errors import ErrorCode, Invalid
from schemas.market import ZERO, Instrument
from schemas.orders import Order
from schemas.protection import LegWord, ProtectionState
from schemas.replies import OrderReply, ValidateReply

ANSWER_S = 2.5  # a reply is due within 3 s (contract.md)
POLL_S = 0.005


class Moves:
    """amend of an order that waits at the venue: `price` is its new trigger, `quantity` what it is to close."""

    def __init__(self, desk: Desk, terms: Terms, clock: Clock) -> None:
        self._desk = desk
        self._terms = terms
        self._clock = clock

    def takes(self, order: Order) -> bool:
        """Whether an order is a leg of a running protection."""
        runner = self._desk.runners.get(order.parent_id)
        return runner is not None and runner.kind is PROTECTION

    def check(self, command: Amend, order: Order, sub_account: str) -> protecting.ProtectRequest:
        """Raises Invalid (NOT_OWNER, SUPERSEDED, PRICE_OFF_GRID, QUANTITY_OFF_GRID, BELOW_MINIMUM, INVALID_FIELD)."""
        if sub_account and order.sub_account_id != sub_account:
            raise Invalid(ErrorCode.NOT_OWNER, "the order belongs to another sub-account.", path="subAccountId")
        state: ProtectionState = self._desk.runners[order.parent_id].state
        leg = next((one for one in state.legs if any(_is(order, had) for had in one.orders)), None)
        if leg is None or not order.waiting or state.triggered_at or state.ending is not None:
            message = "the order does not wait for its price any more; nothing was done."
            raise Invalid(ErrorCode.SUPERSEDED, message, path="clientOrderId")
        instrument = self._desk.instruments[order.symbol]
        check_price(instrument, command.price, "price")
        if command.price is not None:
            check_ahead(order.side, leg.word, command.price, price_of(self._desk, order.symbol), "price")
        if command.quantity is not None:
            self._check_quantity(command.quantity, instrument, order, state)
        now = self._desk.now()
        return protecting.ProtectRequest(now, leg.word, command.price, None, command.quantity)

    def _check_quantity(self, quantity: Decimal, instrument: Instrument, order: Order, state: ProtectionState) -> None:
        self._terms.quantity(instrument, quantity, None, ZERO)
        self._terms.sendable(instrument, quantity, order.trigger_price, reduce_only=True)
        if state.entry_id:
            message = "it is sized to what its entry fills; only its trigger can be moved."
            raise Invalid(ErrorCode.INVALID_FIELD, message, path="quantity")
        held = self._desk.ledger.position(order.sub_account_id, order.symbol).quantity
        if quantity > held:
            message = f"{quantity} is more than the position of {held}."
            raise Invalid(ErrorCode.REDUCE_ONLY_EXCEEDS, message, path="quantity", limit=held, value=quantity)

    def preview(self, command: Amend, order: Order, sub_account: str) -> ValidateReply:
        """Raises Invalid as `move` does."""
        request = self.check(command, order, sub_account)
        values = {
            "triggerPrice": request.trigger_price or order.trigger_price,
            "quantity": request.quantity or order.quantity,
        }
        return ValidateReply(valid=True, computed_values=values)

    async def move(self, command: Amend, order: Order, context: Context) -> Reply:
        """The new order's id and state: it stands beside the old one, which goes once the new one stands. Raises
        Invalid."""
        request = self.check(command, order, context.sub_account)
        runner, give_up = self._desk.runners[order.parent_id], self._clock.monotonic() + ANSWER_S
        if request.quantity is not None:  # in which form so much may stand is known before it is asked for
            self._desk.covers.fit(runner, request.quantity)
        self._desk.offer(runner, request, context.request_id)
        while not self._stands(runner.state, request.leg) and self._clock.monotonic() < give_up:
            await self._clock.sleep(POLL_S)
        leg = runner.state.leg(request.leg)
        newest = leg.orders[-1].client_order_id if leg is not None and leg.orders else order.client_order_id
        return OrderReply(client_order_id=newest, state=self._desk.ledger.orders[newest].state)

    @staticmethod
    def _stands(state: ProtectionState, word: LegWord) -> bool:
        """Whether the venue has told what it makes of a leg as it is now, or nothing more is to be waited for."""
        leg = state.leg(word)
        if leg is None or state.status.terminal or state.triggered_at or leg.held or not leg.orders:
            return True
        newest = leg.orders[-1]
        return not newest.arriving and newest.trigger_price == leg.trigger_price and len(leg.standing) == 1


def _is(order: Order, had: object) -> bool:
    return getattr(had, "client_order_id", "") == order.client_order_id
