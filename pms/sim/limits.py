"""Request weight per IP, order counts per account, and bans (binance.md 3.1).

Owns the counters. Refuses to know routes: it is told a weight and two order counts.
Invariants: windows are aligned to the venue's clock (minute, 10-second slot); a refused request still costs weight.
"""

from __future__ import annotations

import msgspec

from pms.sim.model import VenueError

MINUTE_MS = 60_000
SLOT_MS = 10_000
CONNECT_WINDOW_MS = 300_000


class Limits(msgspec.Struct, frozen=True):
    """The venue's limits; the defaults are `exchangeInfo.rateLimits` of 2026-10 (binance.md 3.1)."""

    weight_1m: int = 2_400
    orders_10s: int = 300
    orders_1m: int = 1_200
    connects_5m: int = 300
    refusals_before_ban: int = 10  # how much "going on after 429" the venue bears; its figure is not published
    first_ban_ms: int = 120_000  # doubles for repeat offenders
    longest_ban_ms: int = 3 * 86_400_000


UNLIMITED = Limits(weight_1m=2**40, orders_10s=2**40, orders_1m=2**40, connects_5m=2**40)
"""Counters that never refuse: for measuring, where the venue's patience is not what is measured."""


class Limited(VenueError):
    """A refusal by a limit, with the seconds to wait (`Retry-After`)."""

    def __init__(self, code: int, message: str, status: int, retry_after: int) -> None:
        super().__init__(code, message, status)
        self.retry_after = retry_after


class _Window:
    """A count that starts again with each clock-aligned window."""

    def __init__(self, length_ms: int) -> None:
        self.length_ms = length_ms
        self._slot = -1
        self._count = 0

    def add(self, amount: int, now: int) -> int:
        slot = now // self.length_ms
        if slot != self._slot:
            self._slot, self._count = slot, 0
        self._count += amount
        return self._count

    def seconds_left(self, now: int) -> int:
        """Whole seconds until the next window, at least 1."""
        return max(1, -(-(self.length_ms - now % self.length_ms) // 1000))


class _Ip:
    def __init__(self) -> None:
        self.weight = _Window(MINUTE_MS)
        self.refusals = _Window(MINUTE_MS)
        self.connects = _Window(CONNECT_WINDOW_MS)
        self.banned_until = 0
        self.bans = 0


class Meter:
    """Counts what each IP and each account has used and refuses what is over."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._ips: dict[str, _Ip] = {}
        self._orders: dict[str, tuple[_Window, _Window]] = {}

    def charge(self, ip: str, weight: int, now: int) -> int:
        """Add `weight` and return the minute's sum. Over the limit: 429, then 418 with a ban (binance.md 3.1)."""
        used = self._ip(ip)
        if now < used.banned_until:
            raise self._banned(ip, used, now)
        total = used.weight.add(weight, now)
        if total <= self.limits.weight_1m:
            return total
        if used.refusals.add(1, now) > self.limits.refusals_before_ban:
            length = min(self.limits.first_ban_ms << used.bans, self.limits.longest_ban_ms)
            used.bans += 1
            used.banned_until = now + length
            raise self._banned(ip, used, now)
        limit = self.limits.weight_1m
        message = f"Too many requests; current limit of IP({ip}) is {limit} requests per minute."
        raise Limited(-1003, message, 429, used.weight.seconds_left(now))

    def used(self, ip: str, now: int) -> int:
        """The weight used in this minute, for the header of any answer."""
        return self._ip(ip).weight.add(0, now)

    def count_orders(self, account: str, ten_seconds: int, minute: int, now: int) -> tuple[int, int]:
        """Count new orders of an account and return both sums; over a limit: -1015 with HTTP 429."""
        slot, long = self._account(account)
        sums = slot.add(ten_seconds, now), long.add(minute, now)
        if sums[1] > self.limits.orders_1m:
            raise self._too_many_orders(self.limits.orders_1m, "MINUTE", long.seconds_left(now))
        if sums[0] > self.limits.orders_10s:
            raise self._too_many_orders(self.limits.orders_10s, "TEN_SECONDS", slot.seconds_left(now))
        return sums

    def fill(self, ip: str, percent: int, now: int) -> None:
        """Somebody else behind an IP has used this minute's weight up to so much of its limit."""
        window = self._ip(ip).weight
        window.add(max(0, self.limits.weight_1m * percent // 100 - window.add(0, now)), now)

    def fill_orders(self, account: str, percent: int, now: int) -> None:
        """Somebody else on an account has used both order counts up to so much of their limits."""
        limits = (self.limits.orders_10s, self.limits.orders_1m)
        for window, limit in zip(self._account(account), limits, strict=True):
            window.add(max(0, limit * percent // 100 - window.add(0, now)), now)

    def connect(self, ip: str, now: int) -> None:
        """Count a new stream connection; over 300 in 5 minutes: 429 at the handshake (binance.md 6.1)."""
        used = self._ip(ip)
        if used.connects.add(1, now) > self.limits.connects_5m:
            raise Limited(-1003, "Too many connections.", 429, used.connects.seconds_left(now))

    def _ip(self, ip: str) -> _Ip:
        if ip not in self._ips:
            self._ips[ip] = _Ip()
        return self._ips[ip]

    def _account(self, account: str) -> tuple[_Window, _Window]:
        if account not in self._orders:
            self._orders[account] = (_Window(SLOT_MS), _Window(MINUTE_MS))
        return self._orders[account]

    @staticmethod
    def _banned(ip: str, used: _Ip, now: int) -> Limited:
        message = f"Way too many requests; IP({ip}) banned until {used.banned_until}."
        return Limited(-1003, message, 418, max(1, -(-(used.banned_until - now) // 1000)))

    @staticmethod
    def _too_many_orders(limit: int, interval: str, retry_after: int) -> Limited:
        return Limited(-1015, f"Too many new orders; current limit is {limit} orders per {interval}.", 429, retry_after)
