"""What stands between an entry and its protection: how far the entry has come is told to what protects it, in the same
step (algos.md, Protection).

Owns the bond of an algo's or a manual order's id with its protection. Refuses to decide what is placed, which is the
algo's, and how much of it may stand at the venue (pms.covers).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from algos import protecting
from algos.registry import PROTECTION
from algos.step import CancelRequest
from pms.runner import Runner
from schemas.ids import OrderId, parse
from schemas.market import ZERO
from schemas.orders import Fill, Order
from schemas.protection import ProtectionState

if TYPE_CHECKING:
    from pms.desk import Desk


class Guards:
    """See the module."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._runners: dict[str, Runner] = {}
        self._by_entry: dict[str, str] = {}
        self._told: dict[str, tuple[Decimal, bool]] = {}  # by entry: what it has filled, and whether it goes on

    def add(self, runner: Runner) -> None:
        """A protection begins, or came back from Redis."""
        if runner.kind is not PROTECTION:
            return
        state: ProtectionState = runner.state
        self._runners[state.protection_id] = runner
        if state.entry_id:
            self._by_entry[state.entry_id] = state.protection_id
            self._told[state.entry_id] = (state.entry_filled, True)

    def discard(self, algo_id: str, state: Any) -> None:
        """An algo has ended: a protection, or an entry, which has filled all that it will."""
        if self._runners.pop(algo_id, None) is not None:
            self._by_entry.pop(state.entry_id, None)
            self._told.pop(state.entry_id, None)
        elif algo_id in self._by_entry:
            self._tell(algo_id, state.filled_quantity, False)

    def guarded(self, order: Order) -> bool:
        """Whether an order is an entry's that has a protection."""
        return bool(self._entry_of(order))

    # --- the entry ------------------------------------------------------------------------------------

    def changed(self, order: Order, unheard: Fill | None) -> None:
        """An order's record has changed; `unheard` is a fill that no algo has heard of."""
        if not self._by_entry:
            return
        entry = self._entry_of(order)
        if not entry:
            return
        runner = self._desk.runners.get(entry)
        if runner is not None:
            self._tell(entry, runner.state.filled_quantity, True)
        elif not order.parent_id:
            self._tell(entry, *self._of_orders(entry))
        elif unheard is not None:  # of an algo that has ended
            self._tell(entry, self._told[entry][0] + unheard.quantity, False)

    def reunite(self, runner: Runner, ended: Mapping[str, Any]) -> None:
        """After a restart, before it goes on, a protection hears how it may stand, and its entry."""
        if runner.kind is not PROTECTION:
            return
        self._desk.covers.fit(runner, runner.state.rest)
        entry = runner.state.entry_id
        if not entry:
            return
        algo = self._desk.runners.get(entry)
        state = ended.get(entry) if algo is None else algo.state
        if state is not None:
            self._tell(entry, state.filled_quantity, algo is not None)
        else:
            self._tell(entry, *self._of_orders(entry))

    def stop(self, entry: str, reason: str) -> None:
        """What an entry has not filled yet is not wanted any more."""
        runner = self._desk.runners.get(entry)
        if runner is not None:
            self._desk.offer(runner, CancelRequest(self._desk.now(), reason))
            return
        for order in self._orders(entry):
            if not order.state.terminal:
                self._desk.cancel(order)

    def withdraw(self) -> None:
        """Cancel the manual orders that have a protection: it could not follow what they fill once we are gone."""
        for entry in tuple(self._by_entry):
            if entry not in self._desk.runners:
                self.stop(entry, "stopping")

    def _entry_of(self, order: Order) -> str:
        """The entry with a protection that an order belongs to; empty where there is none."""
        if order.reduce_only:
            return ""
        if order.parent_id:
            return next((name for name in (order.parent_id, order.root_id) if name in self._by_entry), "")
        owner = _owner(order)
        return owner if owner in self._by_entry else ""

    def _orders(self, entry: str) -> list[Order]:
        return [one for one in self._desk.ledger.orders.values() if not one.parent_id and _owner(one) == entry]

    def _of_orders(self, entry: str) -> tuple[Decimal, bool]:
        orders = self._orders(entry)
        return sum((one.filled_qty for one in orders), ZERO), any(not one.state.terminal for one in orders)

    def _tell(self, entry: str, filled: Decimal, live: bool) -> None:
        runner = self._runners[self._by_entry[entry]]
        if self._told[entry] == (filled, live) and runner.state.entry_live is live:
            return
        self._told[entry] = (filled, live)
        state: ProtectionState = runner.state
        desk = self._desk
        held = desk.ledger.position(state.sub_account_id, state.symbol)
        more = max(filled - state.entry_filled, ZERO)
        desk.covers.fit(runner, min(state.rest + more, held.quantity))
        position, now = held.signed_quantity, desk.now()
        name = held.position_id if position else ""
        desk.offer(runner, protecting.EntryChanged(now, filled, live, position, name, desk.quote_of(runner)))


def _owner(order: Order) -> str:
    """The owner in an order's id, empty where it is not one of ours."""
    whose = parse(order.client_order_id)
    return whose.owner if isinstance(whose, OrderId) else ""
