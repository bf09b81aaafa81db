"""Orders that are wanted gone: a cancel is remembered until its order has ended, and sent as soon as that may be.

Owns when a wanted cancel leaves, and leaves again where it failed. Refuses to know who wants it and why. Invariants:
the wish stands in the order's record, so a restart does not lose it; one request in flight per order (execution.md 3).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from algos.step import Failure
from pms.clock import Clock
from pms.core import orders
from pms.ledger import Ledger
from pms.order_entry import OrderEntry
from pms.tasks import Tasks
from schemas.orders import Order, OrderState

AGAIN_MS = 250  # least pause before a cancel that failed is sent again


class Withdrawals:
    """See the module. `step(request_id)` is the desk's atomic step; `now` is venue-corrected ms."""

    def __init__(
        self,
        step: Callable[[str], Any],
        entry: OrderEntry,
        ledger: Ledger,
        clock: Clock,
        now: Callable[[], int],
        tasks: Tasks,
    ) -> None:
        self._step = step
        self._entry = entry
        self._ledger = ledger
        self._clock = clock
        self._now = now
        self._tasks = tasks

    def want(self, order: Order, request_id: str = "") -> None:
        """Have an order leave the market: at once where it rests, else as soon as what is in flight allows. A placing
        that has not left yet never leaves."""
        with self._step(request_id) as unit:
            wanted = orders.cancel_wanted(order, self._now(), request_id).order
            if wanted.state is OrderState.ACTIVE:
                self._entry.cancel(unit, wanted)
            elif wanted is not order:
                unit.order(wanted)

    def go_on(self, order: Order, failure: Failure | None) -> None:
        """A resting order that is wanted gone, after some request for it has ended. A cancel that failed is sent again
        after a moment: it is never given up."""
        if failure is None or failure.action != "cancel":
            self.want(order)
            return
        pause_ms = max(failure.retry_at - self._now(), AGAIN_MS)
        self._tasks.spawn(self._again(order.client_order_id, pause_ms), f"cancel {order.client_order_id}")

    def resume(self) -> None:
        """Go on where a former life stopped."""
        for order in tuple(self._ledger.orders.values()):
            if order.cancel_wanted and order.state is OrderState.ACTIVE:
                self.want(order)

    async def _again(self, client_id: str, pause_ms: int) -> None:
        await self._clock.sleep(pause_ms / 1000)
        order = self._ledger.orders.get(client_id)
        if order is not None and order.state is OrderState.ACTIVE:
            self.want(order)
