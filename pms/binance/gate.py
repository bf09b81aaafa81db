"""The gate before the venue: while it is closed nothing leaves, and what the venue counts against us is told on.

An `Http` around another, so that all requests of the process pass it: REST and depth snapshots alike. After 418, 429
or -1003 nothing is sent until Retry-After; after -1015 no orders before the next slot, while cancels and look-ups go
(design.md). Refuses to know what is asked. It never waits: the caller is told when to come again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import msgspec

from pms.binance import errors
from pms.binance.errors import Pause, Verdict
from pms.binance.transport import Http, NotSent, Response
from pms.binance.venue_clock import VenueClock
from pms.clock import Clock

SLOT_MS = 10_000  # order counters: 10-second slots of the venue's clock (binance.md 3.1)
MINUTE_MS = 60_000  # weight, and the longer order counter
ORDERS_PER_MINUTE = 1200
BAN_MS = 120_000  # the shortest ban; for a 418 that does not tell its end
MARGIN_MS = 20  # past the edge of a window, for the error of our venue time
_COUNTED = ("/order", "/batchOrders", "/algoOrder")  # POST and PUT of these count as orders
_BANNED_UNTIL = re.compile(r"banned until (\d{13})")


class Held(NotSent):
    """The gate is closed: the request was not sent. `retry_ms` says when it opens."""

    def __init__(self, message: str, retry_ms: int) -> None:
        super().__init__(message)
        self.retry_ms = retry_ms


class Usage(msgspec.Struct, frozen=True):
    """What the venue has counted, from one answer's headers; None where it was silent.

    Weight is counted per IP, orders per account, both for all programs together.
    """

    weight_1m: int | None = None
    orders_10s: int | None = None
    orders_1m: int | None = None


class Gate(Http):
    """Implements `transport.Http`. `on_usage` is told each answer's counts."""

    def __init__(self, http: Http, clock: Clock, venue: VenueClock, on_usage: Callable[[Usage], None]) -> None:
        self._http = http
        self._clock = clock
        self._venue = venue
        self._on_usage = on_usage
        self._shut_until = 0.0  # monotonic seconds, for everything
        self._orders_shut_until = 0.0

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Response:
        """Send, unless the gate is closed: then `Held`."""
        wait = self.wait_ms(method, target)
        if wait:
            raise Held(f"nothing was sent: the venue has told us to be silent for {wait} ms more", wait)
        response = await self._http.request(method, target, headers, body)
        usage = _usage(response.headers)
        if usage is not None:
            self._on_usage(usage)
        if response.status >= 400:
            self._refused(response, usage)
        return response

    async def close(self) -> None:
        await self._http.close()

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
            full_minute = usage is not None and (usage.orders_1m or 0) >= ORDERS_PER_MINUTE
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
