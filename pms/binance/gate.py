"""The gate before the venue: while it is closed nothing leaves, and the governor is told what leaves and what the
venue counts.

All requests of the process pass it: REST and depth snapshots alike. After 418, 429 or -1003 nothing is sent until
Retry-After; after -1015 no orders before the next slot, while cancels and look-ups go (design.md). Refuses to know
what is asked. It never waits: the caller is told when to come again.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping

from pms.binance import errors
from pms.binance.errors import Pause, Verdict
from pms.binance.transport import Http, NotSent, Response
from pms.binance.venue_clock import VenueClock
from pms.clock import Clock
from pms.core.limiter import MARGIN_MS, MINUTE_MS, SLOT_MS, Charge, Lane, Usage
from pms.governor import Governor

BAN_MS = 120_000  # the shortest ban; for a 418 that does not tell its end
_NOTHING = Charge()
_COUNTED = ("/order", "/batchOrders", "/algoOrder")  # POST and PUT of these count as orders
_BANNED_UNTIL = re.compile(r"banned until (\d{13})")


class Held(NotSent):
    """The gate is closed: the request was not sent. `retry_ms` says when it opens."""

    def __init__(self, message: str, retry_ms: int) -> None:
        super().__init__(message)
        self.retry_ms = retry_ms


class Gate:
    """See the module."""

    def __init__(self, http: Http, clock: Clock, venue: VenueClock, governor: Governor) -> None:
        self.http = http
        self._clock = clock
        self._venue = venue
        self.governor = governor
        self._shut_until = 0.0  # monotonic seconds, for everything
        self._orders_shut_until = 0.0

    async def passed(
        self, method: str, target: str, send: Callable[[], Awaitable[Response]], charge: Charge, lane: Lane
    ) -> Response:
        """Send by `send`, over `http` or another way, unless the gate is closed: then `Held`. Whether the budget has
        room was asked before."""
        wait = self.wait_ms(method, target) if self._shut_until or self._orders_shut_until else 0
        if wait:
            raise Held(f"nothing was sent: the venue has told us to be silent for {wait} ms more", wait)
        governor = self.governor
        sent_at = governor.sent(charge, lane)
        usage = None
        try:
            response = await send()
            usage = _usage(response.headers)
        except NotSent:
            governor.unsent(charge)
            charge = _NOTHING
            raise
        finally:  # lost, or given up on the way: it may have been counted
            governor.answered(charge, usage, sent_at)
        if response.status >= 400:
            self._refused(response, usage)
        return response

    async def close(self) -> None:
        await self.http.close()

    def wait_ms(self, method: str, target: str) -> int:
        """Milliseconds until such a request may leave; 0: now."""
        until = self._shut_until
        if self._orders_shut_until > until and _counted(method, target):
            until = self._orders_shut_until
        return max(0, round((until - self._clock.monotonic()) * 1000))

    def _refused(self, response: Response, usage: Usage | None) -> None:
        """Close the gate where the refusal is about how much was asked."""
        verdict = errors.read(response)
        if verdict.pause is Pause.ORDERS:
            full_minute = usage is not None and (usage.orders_1m or 0) >= self.governor.limits.orders_1m
            until = self._until(response, verdict, MINUTE_MS if full_minute else SLOT_MS)
            self._orders_shut_until = max(until, self._orders_shut_until)
        elif verdict.pause is Pause.ALL:
            until = self._until(response, verdict, MINUTE_MS)
            self._shut_until = max(until, self._shut_until)

    def _until(self, response: Response, verdict: Verdict, window_ms: int) -> float:
        """When to come again, in monotonic seconds: as told, or at the end of the counting window."""
        now_ms = self._venue.now_ms()
        told = _number(response.headers.get("retry-after"))
        if told is not None:
            wait = told * 1000
        elif response.status == 418:
            banned = _BANNED_UNTIL.search(verdict.message)
            wait = max(0, int(banned[1]) - now_ms) if banned else BAN_MS
        else:
            wait = window_ms - now_ms % window_ms
        return self._clock.monotonic() + (wait + MARGIN_MS) / 1000


def _counted(method: str, target: str) -> bool:
    return method in ("POST", "PUT") and target.partition("?")[0].endswith(_COUNTED)


def _usage(headers: Mapping[str, str]) -> Usage | None:
    weight = headers.get("x-mbx-used-weight-1m")
    if weight is None and "x-mbx-order-count-1m" not in headers:
        return None
    slot, minute = headers.get("x-mbx-order-count-10s"), headers.get("x-mbx-order-count-1m")
    return Usage(_number(weight), _number(slot), _number(minute))


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None
