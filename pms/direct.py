"""The kill switch with keys alone: no Redis, no daemon (execution.md 32, `pms halt --direct`).

Owns cancelling every order of ours and, if asked, closing every position, straight at the venue, until the venue itself
shows nothing more. Refuses to know books and records: a daemon that starts later finds halt.json first and books what
happened here as fills of a foreign order. Never sends an order again: each attempt has an id of its own and follows a
look at what is left.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

import msgspec
import structlog

from pms.adapter import adapter
from pms.binance.gateway import BinanceVenue
from pms.binance.http import HttpClient
from pms.binance.ws import WebSockets
from pms.clock import Clock
from pms.config import Config
from pms.core.backoff import ConnectBudget
from pms.governor import Governor
from pms.tasks import Tasks
from pms.venue import Cancel, Done, NotDone, Outcome, Place, Refused, Unavailable, Unknown, Venue
from schemas.ids import Damaged, OrderId, parse
from schemas.market import ZERO, Instrument, Side
from schemas.reports import Report, VenuePosition

LIMIT_S = 150.0  # the shortest ban of the venue is 120 s; a halt waits it out
AT_ONCE = 32  # cancels in flight: a wire full of them delays each
PAUSE_S = 0.05  # before the venue is looked at again: its own answers settle within milliseconds
SETTLE_S = 3.0  # an order of unknown fate may still arrive: recvWindow and a second
PREFIX = "direct-"  # not an id of ours: no sub-account's book may take the closing for its own

_log = structlog.get_logger("pms.direct")


class Halted(msgspec.Struct, frozen=True, rename="camel"):
    """What was done, and what the venue still shows: ids of orders of ours, symbols with a position."""

    cancelled: int
    closed: int
    orders_left: tuple[str, ...] = ()
    positions_left: tuple[str, ...] = ()


@asynccontextmanager
async def reached(config: Config, clock: Clock) -> AsyncIterator[BinanceVenue]:
    """The venue by its REST address, without streams."""
    tasks = Tasks()
    venue = adapter(
        config,
        HttpClient(config.rest_url),
        WebSockets(clock, random.random),
        clock,
        tasks,
        ConnectBudget(random.random, clock.monotonic),
        Governor(clock, clock.now_ms),
    )
    try:
        await venue.rest.measure_clock()
        yield venue
    finally:
        await venue.gate.close()
        await tasks.close()


async def halt(venue: Venue, clock: Clock, tasks: Tasks, flatten: bool) -> Halted:
    """Cancel all of ours, and close all positions if asked. Raises `Unavailable` where the venue can't even be read
    within `LIMIT_S`, `AuthFailed`."""
    give_up = clock.monotonic() + LIMIT_S
    work = _Halting(venue, clock, tasks, give_up)
    left = await work.cancel_all()
    positions = await work.close_all() if flatten else []
    if flatten:
        left = await work.cancel_all()
    return Halted(
        cancelled=len(work.cancelled),
        closed=len(work.closed),
        orders_left=tuple(report.client_id for report in left),
        positions_left=tuple(held.symbol for held in positions),
    )


class _Halting:
    def __init__(self, venue: Venue, clock: Clock, tasks: Tasks, give_up: float) -> None:
        self._venue = venue
        self._clock = clock
        self._tasks = tasks
        self._give_up = give_up
        self.cancelled: set[str] = set()
        self.closed: set[str] = set()

    @property
    def _late(self) -> bool:
        return self._clock.monotonic() >= self._give_up

    def _spawn(self, request: Coroutine[None, None, int]) -> asyncio.Task[int]:
        return self._tasks.spawn(request, "halt")

    async def _wait(self, retry_ms: int) -> None:
        await self._clock.sleep(max(PAUSE_S, retry_ms / 1000))

    # --- orders ---------------------------------------------------------------------------------------

    async def cancel_all(self) -> list[Report]:
        """Until the venue shows none of ours; returns what it still shows when time is up."""
        while True:
            resting = [report for report in await self._open_orders() if _ours(report)]
            if not resting or self._late:
                return resting
            waits = 0
            for at in range(0, len(resting), AT_ONCE):
                cancels = [self._spawn(self._cancel(report)) for report in resting[at : at + AT_ONCE]]
                waits = max(waits, *await asyncio.gather(*cancels))
            await self._wait(waits)

    async def _open_orders(self) -> list[Report]:
        while True:
            try:
                return await self._venue.open_orders()
            except Unavailable as error:
                if self._late:
                    raise
                _log.warning("halt_waits", reason=str(error))
                await self._wait(error.retry_ms)

    async def _cancel(self, report: Report) -> int:
        """Milliseconds to wait before the next look, 0 where nothing stands against it."""
        outcome = await self._venue.cancel(Cancel(report.symbol, report.client_id))
        match outcome:
            case Done():
                self.cancelled.add(report.client_id)
            case NotDone(retry_ms=retry_ms):
                return retry_ms
            case Refused() | Unknown():
                _log.info("cancel_not_confirmed", client_order_id=report.client_id, outcome=repr(outcome))
        return 0

    # --- positions ------------------------------------------------------------------------------------

    async def close_all(self) -> list[VenuePosition]:
        """At the market, reduce-only, until the account is flat; returns what it still holds when time is up."""
        rules = await self._instruments()
        while True:
            held = [position for position in await self._positions() if position.quantity]
            if not held or self._late:
                return held
            closing = [self._spawn(self._close(position, rules.get(position.symbol))) for position in held]
            waits = await asyncio.gather(*closing)
            await self._wait(max(waits))

    async def _instruments(self) -> dict[str, Instrument]:
        while True:
            try:
                return await self._venue.instruments()
            except Unavailable as error:
                if self._late:
                    raise
                await self._wait(error.retry_ms)

    async def _positions(self) -> list[VenuePosition]:
        while True:
            try:
                return await self._venue.positions()
            except Unavailable as error:
                if self._late:
                    raise
                await self._wait(error.retry_ms)

    async def _close(self, held: VenuePosition, rules: Instrument | None) -> int:
        """One order, as large as one may be; the next look sends the next. Milliseconds to wait before it."""
        most = (rules.market_max_qty or rules.max_qty) if rules is not None else abs(held.quantity)
        order = Place(
            symbol=held.symbol,
            client_id=PREFIX + secrets.token_hex(8),
            side=Side.SELL if held.quantity > 0 else Side.BUY,
            order_type="MARKET",
            time_in_force="GTC",
            quantity=min(abs(held.quantity), most),
            price=ZERO,
            reduce_only=True,
        )
        outcome: Outcome = await self._venue.place(order)
        match outcome:
            case Done():
                self.closed.add(held.symbol)
                return 0
            case NotDone(retry_ms=retry_ms):
                return retry_ms
            case Refused(message=message):
                _log.warning("close_refused", symbol=held.symbol, reason=message)
                return 1000
            case Unknown(message=message):
                _log.warning("close_unknown", symbol=held.symbol, reason=message)
                return round(SETTLE_S * 1000)


def _ours(report: Report) -> bool:
    return isinstance(parse(report.client_id), OrderId | Damaged)
