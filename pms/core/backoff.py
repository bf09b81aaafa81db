"""When to try again: full jitter, and a budget of connects that holds even when every connect succeeds and is closed.

Owns the arithmetic. Refuses to wait, and to know what is tried. Invariant: no more than `CONNECTS_MAX` turns within
any `CONNECTS_WINDOW_S`, whatever was reported between them (binance.md 6.1: 300 connects per 5 minutes and IP).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

CONNECTS_MAX = 60  # a fifth of the venue's budget per IP: three sockets and a neighbour may each use theirs
CONNECTS_WINDOW_S = 300.0
CONNECT_BASE_S = 0.5
CONNECT_CAP_S = 30.0
LASTING_S = 10.0  # a socket that gave data for so long was a good one: its end is no reason to wait


def full_jitter(base_s: float, cap_s: float, chance: Callable[[], float]) -> Iterator[float]:
    """Endless delays in seconds: the n-th is uniform in [0, min(cap, base × 2^n)]. `chance` gives [0, 1)."""
    ceiling = base_s
    while True:
        yield min(ceiling, cap_s) * chance()
        ceiling = min(ceiling * 2, cap_s)


class Connects:
    """Paces the connects of one socket. `chance` and `monotonic` are the ports of chance and time."""

    def __init__(self, chance: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._chance = chance
        self._monotonic = monotonic
        self._turns: deque[float] = deque(maxlen=CONNECTS_MAX)
        self._jitter: Iterator[float] | None = None  # None: the next connect need not wait
        self._proven = False

    def delay(self) -> float:
        """Seconds to wait before the next connect, which is counted as made then."""
        now = self._monotonic()
        if self._proven and now - self._turns[-1] >= LASTING_S:
            self._jitter = None
        self._proven = False
        wait = 0.0
        if self._jitter is None:
            self._jitter = full_jitter(CONNECT_BASE_S, CONNECT_CAP_S, self._chance)
        else:
            wait = next(self._jitter)
        if len(self._turns) == CONNECTS_MAX:
            wait = max(wait, self._turns[0] + CONNECTS_WINDOW_S - now)
        self._turns.append(now + wait)
        return wait

    def proven(self) -> None:
        """Data came through the socket of the last turn. An accepted connect alone proves nothing (binance.md 0.5)."""
        self._proven = True
