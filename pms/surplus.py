"""Orders that rest at the venue though it had told that it did not take them: they go, at once (execution.md 1).

A refusal is believed, and what it was for may have been placed anew; so an order whose record has failed must not rest.
Owns the cancelling until it is gone. Refuses to book: what it filled meanwhile comes by its own events.
"""

from __future__ import annotations

from collections.abc import Callable

from pms.alarms import Alarms
from pms.clock import Clock
from pms.tasks import Tasks
from pms.venue import Cancel, Done, NotDone, Refused, Venue
from schemas.orders import Cause, Order, OrderState
from schemas.reports import Report, VenueStatus

AGAIN_S = 0.25  # between two cancels


class Surplus:
    """See the module. `now` is venue-corrected ms."""

    def __init__(self, venue: Venue, clock: Clock, tasks: Tasks, alarms: Alarms, now: Callable[[], int]) -> None:
        self._venue = venue
        self._clock = clock
        self._tasks = tasks
        self._alarms = alarms
        self._now = now
        self._going: set[str] = set()

    def look(self, order: Order, report: Report) -> None:
        """What the venue says of an order; nothing where it need not be taken away."""
        name = order.client_order_id
        if order.state is not OrderState.FAILED or report.status is not VenueStatus.OPEN or name in self._going:
            return
        self._going.add(name)
        message = "the venue has taken an order that it had refused. It is being cancelled; look at its fills."
        self._alarms.sound("surplus_order", "critical", name, message, self._now())
        self._tasks.spawn(self._withdraw(Cancel(order.symbol, name)), f"surplus {name}")

    async def _withdraw(self, cancel: Cancel) -> None:
        while True:
            match await self._venue.cancel(cancel):
                case Done() | Refused(cause=Cause.NOT_FOUND):
                    break
                case NotDone(retry_ms=retry_ms):
                    await self._clock.sleep(max(retry_ms / 1000, AGAIN_S))
                case _:
                    await self._clock.sleep(AGAIN_S)
        self._going.discard(cancel.client_id)
        self._alarms.clear("surplus_order", cancel.client_id, self._now())
