"""What is known of an exit, and proof that the books are right after the venue refused one (execution.md 5, 14).

Owns the waiting and the reads. Refuses to send anything.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

import structlog

from pms import fates
from pms.clock import Clock
from pms.core import exits, orders
from pms.desk import Desk
from pms.venue import Reads, Unavailable
from schemas.market import ZERO
from schemas.orders import Order, OrderState
from schemas.records import Applied

LOOK_S = 0.25  # execution.md 5: order and position are looked up so often
SURE_S = 1.0  # after this the next attempt may leave under the flag
LANDED_S = 3.0  # recvWindow of a place + 1 s: after this it can't arrive any more
NOT_FOUND_LEAST = 2

_log = structlog.get_logger("pms.exit_evidence")


class Fate(Enum):
    """What an attempt's waiting came to."""

    KNOWN = "known"  # it has ended
    FLAGGED_NEXT = "flagged_next"  # unknown: the next may leave under the venue's flag, which stops both together
    NEXT = "next"  # unknown, and too late to arrive


class Evidence:
    """See the module."""

    def __init__(self, desk: Desk, venue: Reads, clock: Clock) -> None:
        self._desk = desk
        self._venue = venue
        self._clock = clock

    async def of(self, client_id: str, heard: fates.Fate) -> Fate:
        """Wait until an attempt has ended, or until the next one may leave beside it."""
        since: float | None = None
        while True:
            unknown = since is not None
            await heard.until(lambda: self._order(client_id).state.terminal, LOOK_S)
            order = self._order(client_id)
            if order.state.terminal:
                return Fate.KNOWN
            if order.state is not OrderState.UNKNOWN:
                since = None
                continue
            if not unknown:
                since = self._clock.monotonic() - LOOK_S
            assert since is not None, "set where it was not"
            if (found := await self._next_allowed(order, self._clock.monotonic() - since)) is not None:
                return found

    def _order(self, client_id: str) -> Order:
        return self._desk.ledger.orders[client_id]

    async def _next_allowed(self, order: Order, unknown_s: float) -> Fate | None:
        """Execution.md 5. The position must be as our books have it, own known fills included."""
        if unknown_s < SURE_S:
            return None
        execution = self._desk.execution
        assert execution is not None, "composed with the desk"
        if execution.not_found(order.client_order_id) < NOT_FOUND_LEAST:
            return None
        net = await self._net(order.symbol)
        if net is None or net != self._desk.books.net(order.symbol) or not self._is_unknown(order):
            return None
        if unknown_s >= LANDED_S:
            return Fate.NEXT
        covered = exits.coverable(order.side, self._desk.books.held(order.symbol), ZERO)
        return Fate.FLAGGED_NEXT if ZERO < covered <= order.quantity else None

    def _is_unknown(self, order: Order) -> bool:
        return self._order(order.client_order_id).state is OrderState.UNKNOWN

    async def _net(self, symbol: str) -> Decimal | None:
        try:
            held = await self._venue.positions()
        except Unavailable as error:
            _log.warning("position_unavailable", symbol=symbol, reason=str(error))
            return None
        return sum((position.quantity for position in held if position.symbol == symbol), ZERO)

    async def read_back(self, symbol: str) -> bool:
        """Read trades and position anew, book what is missing; whether the books then add up to the venue's position,
        so that an exit may leave without the flag. Called after the refusal (execution.md 14)."""
        since = self._desk.ledger.watermark.symbols.get(symbol, Applied()).trade_time
        try:
            fills = await self._venue.trades(symbol, since)
        except Unavailable as error:
            _log.warning("trades_unavailable", symbol=symbol, reason=str(error))
            return False
        for fill in fills:
            order = self._desk.ledger.by_exchange_id(symbol, fill.exchange_order_id)
            if order is None:
                _log.warning("trade_of_nobody", symbol=symbol, trade_id=fill.trade_id)  # the audit's to allocate
                return False
            self._desk.changed(orders.booked(order, fill, self._desk.now()))
        if await self._net(symbol) != self._desk.books.net(symbol):
            return False
        self._desk.exits.trust(symbol)
        return True
