"""The dead-man switch: while algos quote on a symbol, the venue cancels all that rests there unless it hears from us
(algos.md, Protection; execution.md 29).

Owns which symbols stand under the venue's timer, and when the venue last confirmed it. Refuses to know what algos do.
The timer takes every ordinary order of a symbol, so that by itself it never runs where somebody else's rests.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Literal

import structlog

from pms.alarms import Alarms
from pms.clock import Clock
from pms.desk import Desk
from pms.venue import Venue
from schemas.orders import Order

TIMER_MS = 60_000
REFRESH_MS = 20_000
LATE_MS = 40_000  # confirmed so long ago: people hear of it, while the timer still has a third of its time
LOOK_S = 1.0
SLACK_MS = 5_000  # between our asking and the venue's clock starting, and of the last sign of life
STOP_S = 1.0  # of the five that a stop may take

Setting = Literal["auto", "on", "off"]

_log = structlog.get_logger("pms.dead_man")


class DeadMan:
    """See the module. `alive` is when a former life last gave a sign, 0 where there was none; `confirmed` is when the
    venue last confirmed the timer, by symbol. Both in our venue-corrected ms."""

    def __init__(self, venue: Venue, desk: Desk, alarms: Alarms, clock: Clock, setting: Setting, alive: int) -> None:
        self._venue = venue
        self._desk = desk
        self._alarms = alarms
        self._clock = clock
        self._setting = setting
        self._alive = alive
        self._asked: dict[str, int] = {}
        self._wanted_since: dict[str, int] = {}
        self.confirmed: dict[str, int] = {}

    def inherit(self) -> None:
        """A timer of a former life may still run: it is refreshed where it is wanted, and stopped where it is not."""
        if self._desk.now() - self._alive < TIMER_MS and self._setting != "off":
            self.confirmed |= dict.fromkeys(self._desk.ledger.open_by_symbol, 0)

    async def run(self) -> None:
        while True:
            await self.look()
            await self._clock.sleep(LOOK_S)

    async def look(self) -> None:
        """Arm, refresh and stop what is due."""
        now = self._desk.now()
        wanted = self._wanted()
        self._wanted_since = {symbol: self._wanted_since.get(symbol, now) for symbol in wanted}
        for symbol in wanted:
            if now - self.confirmed.get(symbol, 0) >= REFRESH_MS:
                await self._set(symbol, TIMER_MS)
            self._judge(symbol)
        for symbol in [symbol for symbol in self.confirmed if symbol not in wanted]:
            await self._set(symbol, 0)

    async def stop(self) -> None:
        """The process ends and something was left on purpose: no timer takes it away (law 8). Where the venue does not
        answer in time, it does after all."""
        self._setting = "off"
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                for symbol in [symbol for symbol in self.confirmed if self._rests(symbol)]:
                    await self._set(symbol, 0)

    def took(self, symbol: str, cancelled_at: int) -> bool:
        """Whether a cancel that nobody here asked for fell when the timer, of this life or of a former one, ran out. A
        former life that quoted confirmed it last within REFRESH_MS of its last sign. `cancelled_at` is the venue's."""
        if self._setting == "off":
            return False
        confirmed = self.confirmed.get(symbol, 0)
        first, last = (confirmed, self._asked[symbol]) if confirmed else (self._alive - REFRESH_MS, self._alive)
        return bool(first) and first + TIMER_MS - SLACK_MS <= cancelled_at <= last + TIMER_MS + SLACK_MS

    # --- which symbols --------------------------------------------------------------------------------

    def _wanted(self) -> list[str]:
        if self._setting == "off":
            return []
        symbols = [symbol for symbol, names in self._desk.ledger.open_by_symbol.items() if names]
        return [symbol for symbol in symbols if self._quotes(symbol)]

    def _rests(self, symbol: str) -> list[Order]:
        """What the timer would take: ordinary orders that rest, or are about to."""
        return [order for order in self._desk.ledger.open_orders(symbol) if not (order.immediate or order.waiting)]

    def _quotes(self, symbol: str) -> bool:
        """Whether an algo of ours rests there; with `auto`, and nobody else does: no foreign order, none by hand, none
        that was triggered, none whose algo has ended."""
        resting = self._rests(symbol)
        ours = [order for order in resting if self._ours(order)]
        return bool(ours) and (self._setting == "on" or len(ours) == len(resting))

    def _ours(self, order: Order) -> bool:
        """Whether an order is an algo's, or an entry's that can't be protected while we are dead."""
        ours = order.parent_id in self._desk.runners or self._desk.guards.guarded(order)
        return ours and not order.triggered_at

    # --- the timer ------------------------------------------------------------------------------------

    async def _set(self, symbol: str, countdown_ms: int) -> None:
        """Tell the venue. An outcome that is not known counts as not confirmed, and the next look asks again."""
        asked_at = self._asked[symbol] = self._desk.now()
        refused = await self._venue.countdown(symbol, countdown_ms)
        if refused is not None:
            _log.warning("dead_man_not_set", symbol=symbol, countdown_ms=countdown_ms, reason=refused.message)
        elif countdown_ms:
            self.confirmed[symbol] = asked_at
        else:
            self.confirmed.pop(symbol, None)
            self._alarms.clear("dead_man", symbol, self._desk.now())

    def _judge(self, symbol: str) -> None:
        now = self._desk.now()
        since = max(self.confirmed.get(symbol, 0), self._wanted_since[symbol])
        if now - since < LATE_MS:
            self._alarms.clear("dead_man", symbol, now)
            return
        message = (
            f"the venue has not confirmed the dead-man timer of {symbol} for {(now - since) // 1000} s: if the daemon "
            "dies now, its orders there may stay. Look whether the venue answers."
        )
        self._alarms.sound("dead_man", "warning", symbol, message, now)
