"""A user stream that is open may be deaf: resting orders are compared with the venue now and then (binance.md 0,
fact 5).

Owns the pace and the comparison. Refuses to mend: evidence opens the stream again, and the reading of the gap books
what was missed. Liveness is what was told, not a ping (field-failures.md, user stream).
"""

from __future__ import annotations

import structlog

from pms.clock import Clock
from pms.desk import Desk
from pms.execution import Execution
from pms.venue import Reads, Unavailable
from schemas.orders import OrderState

PROBE_S = 30.0  # one weight a symbol with resting orders
AGAIN_S = 3.0  # an event may be on its way: only what is still missing then counts

_log = structlog.get_logger("pms.probe")


class Probe:
    """See the module."""

    def __init__(self, venue: Reads, desk: Desk, execution: Execution, clock: Clock) -> None:
        self._venue = venue
        self._desk = desk
        self._execution = execution
        self._clock = clock

    async def run(self) -> None:
        while True:
            await self._clock.sleep(PROBE_S)
            for symbol in tuple(self._desk.ledger.open_by_symbol):
                await self._look(symbol)

    async def _look(self, symbol: str) -> None:
        try:
            behind = await self._behind(symbol)
            if not behind:
                return
            await self._clock.sleep(AGAIN_S)
            behind &= await self._behind(symbol)
        except Unavailable as error:
            _log.info("probe_left_out", symbol=symbol, reason=str(error))
            return
        if behind:
            _log.warning("user_stream_deaf", symbol=symbol, orders=sorted(behind))
            self._venue.suspect(f"{len(behind)} orders of {symbol} changed at the venue and no event came")

    async def _behind(self, symbol: str) -> set[str]:
        """Our resting orders of which the venue knows more than we do, with nothing of ours in flight."""
        ledger = self._desk.ledger
        before = {
            order.client_order_id: order
            for order in ledger.open_orders(symbol)
            if order.state is OrderState.ACTIVE and not self._execution.busy(order.client_order_id)
        }
        if not before:
            return set()
        resting = {report.client_id: report for report in await self._venue.open_orders(symbol)}
        behind = set()
        for client_id, order in before.items():
            report = resting.get(client_id)
            unchanged = ledger.orders.get(client_id) is order
            if unchanged and (report is None or report.filled > order.venue_filled):
                behind.add(client_id)
        return behind
