"""What closes stays within its position, and in the form that fits the account's net (execution.md 13, 14).

Owns the re-sizing of reduce-only algos and orders when a position changes under them, or an exit takes over what they
had reserved, and the replacement of resting ones whose form would be another now. Refuses to close anything itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from algos import step
from algos.step import AmendChild
from schemas.ids import OrderId, make, parse
from schemas.market import ZERO
from schemas.orders import Cause, Order, OrderState

if TYPE_CHECKING:
    from pms.desk import Desk

REPLACE_S = 30.0  # a cancel is proven within the settle window (12 s), or the order is no longer ours to replace

_ARRIVING = (OrderState.PLACING, OrderState.UNKNOWN)

_replace = msgspec.structs.replace


class Closers:
    """See the module."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lost: dict[str, Decimal] = {}  # what the venue took from a resting closer of no algo
        self._replacing: set[str] = set()

    def moved(self, symbol: str, reduced: Iterable[str], apart_from: tuple[str, ...] = ()) -> None:
        """Books of a symbol changed; `reduced` are the sub-accounts whose position got smaller, by an order of the
        algos `apart_from`, the one that placed it and the topmost."""
        self._desk.covers.tell(symbol)
        for name in reduced:
            self.fit(name, symbol, apart_from=apart_from)
        for misfit in self._desk.exits.misfit(symbol):
            self._change_form(misfit)

    def fit(self, sub_account: str, symbol: str, leaving: Decimal = ZERO, apart_from: tuple[str, ...] = ()) -> None:
        """Re-size what closes a position: to what is left of it beside an immediate exit of `leaving`. What has nothing
        left to close ends: it must never open."""
        desk = self._desk
        given, free = desk.exits.shares(sub_account, symbol, leaving)
        held = desk.ledger.position(sub_account, symbol).signed_quantity
        for runner in tuple(desk.runners.values()):
            if runner.symbol != symbol or runner.sub_account_id != sub_account:
                continue
            view = runner.kind.view(runner.state)
            if not (view.reduce_only or view.holds):
                continue
            share = free + sum((given.get(child, ZERO) for child in desk.family.orders(view.algo_id)), ZERO)
            if {view.algo_id, *view.child_algos}.isdisjoint(apart_from) or not held:
                signed = share if held > 0 else -share
                desk.offer(runner, step.PositionReduced(desk.now(), signed, desk.quote_of(runner), held))
        for client_id, quantity in given.items():
            order = desk.ledger.orders[client_id]
            if order.parent_id not in desk.runners and quantity < order.remaining and not order.immediate:
                self._shrink(order, quantity)

    def _shrink(self, order: Order, quantity: Decimal) -> None:
        """Leave an order of no algo so much to fill; where that can't be done at once it goes."""
        if quantity and order.state is OrderState.ACTIVE:
            total = order.filled_qty + quantity
            amend = AmendChild(order.client_order_id, order.symbol, order.side, order.price, total, True)
            with self._desk.step() as unit:
                _, denied = self._desk.entry.amend(unit, amend)
            if denied is None:
                return
        self._desk.cancel(order)

    def changed(self, before: Order, order: Order, cause: Cause) -> None:
        """A closer's record changed. One that came to rest is looked at anew, since books move while a placing is in
        flight. One that the venue shrank or ended because of the account's net, while its own position still stands,
        is put back as soon as it has ended, in the form that fits now."""
        if order.immediate:
            return
        if order.state is OrderState.ACTIVE and before.state in _ARRIVING and not self._desk.exits.fits(order):
            self._change_form(order)
        if order.parent_id in self._desk.runners:
            return  # it places what it wants by itself
        name = order.client_order_id
        taken = before.quantity - order.quantity if order.quantity != before.next_quantity else ZERO
        if taken > 0:
            self._lost[name] = self._lost.get(name, ZERO) + taken
        if not order.state.terminal or before.state.terminal:
            return
        if order.state is OrderState.EXPIRED and cause is Cause.REDUCE_ONLY and not order.cancel_wanted:
            self._again(order)
        if name not in self._replacing:
            self._lost.pop(name, None)

    def overshot(self, order: Order, filled: Decimal) -> None:
        """A closer's fill is booked: what it opened beyond its position goes at once (execution.md 14)."""
        held = self._desk.ledger.position(order.sub_account_id, order.symbol)
        if held.signed_quantity * order.side.sign > 0:
            assert self._desk.closing is not None, "composed with the desk"
            self._desk.closing.flatten(order, min(held.quantity, filled))

    def withdraw_bare(self) -> set[str]:
        """Cancel resting closers without the venue's flag: nobody could mend what they open once we are gone. Returns
        the algos whose children are among them, which do it themselves."""
        desk = self._desk
        owners = set()
        for order in desk.exits.unflagged():
            if order.parent_id in desk.runners:
                owners.add(order.parent_id)
            else:
                desk.cancel(order)
        return owners

    # --- the form -------------------------------------------------------------------------------------

    def _change_form(self, order: Order) -> None:
        """Replace a resting closer: its algo does it by itself, one of no algo is cancelled and placed anew."""
        runner = self._desk.runners.get(order.parent_id)
        if runner is not None:
            self._desk.offer(runner, step.ReplaceRequest(self._desk.now(), self._desk.quote_of(runner)))
        else:
            self._replacing.add(order.client_order_id)
            self._desk.cancel(order)
            self._desk.tasks.spawn(self._place_anew(order), f"replace {order.client_order_id}")

    async def _place_anew(self, order: Order) -> None:
        """The rest of a cancelled order again, at its place, in the form that fits now."""
        desk, name = self._desk, order.client_order_id
        with desk.fates.follow((name,)) as fate:
            gone = await fate.until(lambda: desk.ledger.orders[name].state.terminal, REPLACE_S)
        ended = desk.ledger.orders[name]
        self._replacing.discard(name)
        if gone and ended.state is OrderState.CANCELLED:
            self._again(ended)

    def _again(self, ended: Order) -> None:
        """What an ended closer had still to fill, with what the venue had taken from it, as far as there is something
        to close. One of an algo that is no more had been taken away: nobody stands for it."""
        desk, whose = self._desk, parse(ended.client_order_id)
        if not isinstance(whose, OrderId) or ended.parent_id:
            return
        now = desk.now()
        fresh = Order(
            client_order_id=make(_replace(whose, attempt=whose.attempt + 1)),
            sub_account_id=ended.sub_account_id,
            symbol=ended.symbol,
            side=ended.side,
            order_type=ended.order_type,
            time_in_force=ended.time_in_force,
            quantity=ended.remaining + self._lost.pop(ended.client_order_id, ZERO),
            price=ended.price,
            reduce_only=True,
            state=OrderState.PLACING,
            origin=ended.origin,
            parent_id=ended.parent_id,
            root_id=ended.root_id,
            created_at=now,
            updated_at=now,
            request_id=ended.request_id,
            leverage=ended.leverage,
            alternatives=ended.alternatives,
        )
        fresh = _replace(fresh, quantity=min(fresh.quantity, desk.exits.closable(fresh)))
        if fresh.quantity:
            with desk.step() as unit:
                desk.entry.submit(unit, fresh)
