"""When to try again: full jitter, and one budget of connects that holds even when every connect succeeds and is closed.

Owns the arithmetic. Refuses to wait, and to know what is tried. Invariants: no more than `CONNECTS_MAX` connects of all
sockets together within any `CONNECTS_WINDOW_S`, whatever was reported between them (binance.md 6.1: the venue counts
300 connects per 5 minutes and IP); `USER_STREAMS` of them are there for the user stream, however often others connect;
with those that opened no socket no more than `ATTEMPTS_MAX`.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator

CONNECTS_MAX = 60  # a fifth of the venue's budget per IP: a neighbour and a second daemon may each use theirs
CONNECTS_WINDOW_S = 300.0
USER_STREAMS = 20  # of them: by its own jitter it asks for one each 15 s in the mean
ATTEMPTS_MAX = 200  # a venue that can't be reached counts nothing, one that refuses may
CONNECT_BASE_S = 0.5
CONNECT_CAP_S = 30.0
LASTING_S = 10.0  # a socket that gave data for so long was a good one: its end is no reason to wait


def full_jitter(base_s: float, cap_s: float, chance: Callable[[], float]) -> Iterator[float]:
    """Endless delays in seconds: the n-th is uniform in [0, min(cap, base × 2^n)]. `chance` gives [0, 1)."""
    ceiling = base_s
    while True:
        yield min(ceiling, cap_s) * chance()
        ceiling = min(ceiling * 2, cap_s)


class Window:
    """Moments of which no more than `most` lie within `CONNECTS_WINDOW_S`, those to come among them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._turns: list[float] = []

    def room(self, at: float) -> float:
        """The first moment from `at` on at which one more fits."""
        for first, last in zip(self._turns, self._turns[self._most - 1 :], strict=False):
            over = first + CONNECTS_WINDOW_S
            if last < over and at < over and last < at + CONNECTS_WINDOW_S:
                at = over
        return at

    def give_back(self, at: float) -> None:
        """A moment that was taken was none."""
        if at in self._turns:
            self._turns.remove(at)

    def take(self, at: float, now: float) -> None:
        """Count a moment, and forget those that no window holds any more."""
        insort(self._turns, at)
        del self._turns[: bisect_left(self._turns, now - CONNECTS_WINDOW_S)]


class ConnectBudget:
    """The connects of this process, whichever socket's: made once, handed to whatever opens sockets. `chance` and
    `monotonic` are the ports of chance and time."""

    def __init__(self, chance: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self.chance = chance
        self.monotonic = monotonic
        self._all = Window(CONNECTS_MAX)
        self._others = Window(CONNECTS_MAX - USER_STREAMS)
        self._attempts = Window(ATTEMPTS_MAX)

    def pace(self, user_stream: bool = False) -> Connects:
        """The pace of one more socket."""
        return Connects(self, user_stream)

    def take(self, at: float, user_stream: bool) -> float:
        """The first moment from `at` on that is left for such a socket, which is counted as used."""
        windows = (*self._counting(user_stream), self._attempts)
        while (later := max(window.room(at) for window in windows)) != at:
            at = later
        now = self.monotonic()
        for window in windows:
            window.take(at, now)
        return at

    def give_back(self, at: float, user_stream: bool) -> None:
        """No socket was opened at that moment: it is no connect, and stays an attempt."""
        for window in self._counting(user_stream):
            window.give_back(at)

    def _counting(self, user_stream: bool) -> tuple[Window, ...]:
        return (self._all,) if user_stream else (self._all, self._others)


class Connects:
    """Paces the connects of one socket within the budget of all. Made by `ConnectBudget.pace`."""

    def __init__(self, budget: ConnectBudget, user_stream: bool) -> None:
        self._budget = budget
        self._user_stream = user_stream
        self._last = 0.0  # the moment of the newest turn
        self._jitter: Iterator[float] | None = None  # None: the next connect need not wait
        self._proven = False

    def delay(self) -> float:
        """Seconds to wait before the next connect, which is counted as made then."""
        now = self._budget.monotonic()
        if self._proven and now - self._last >= LASTING_S:
            self._jitter = None
        self._proven = False
        wait = 0.0
        if self._jitter is None:
            self._jitter = full_jitter(CONNECT_BASE_S, CONNECT_CAP_S, self._budget.chance)
        else:
            wait = next(self._jitter)
        self._last = self._budget.take(now + wait, self._user_stream)
        return self._last - now

    def not_opened(self) -> None:
        """The last turn opened no socket."""
        self._budget.give_back(self._last, self._user_stream)

    def proven(self) -> None:
        """Data came through the socket of the last turn. An accepted connect alone proves nothing (binance.md 0.5)."""
        self._proven = True
