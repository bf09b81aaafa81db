"""The circuit that opens when the venue refuses the same order again and again: other systems repeat it for ever
(field-failures.md, loops and limits). Pure: times come in.

An order is the same by sub-account, symbol, side, price and quantity, whoever sends it and under whatever id. While its
circuit is open it is refused here; one that the venue takes closes it at once.
"""

from __future__ import annotations

from collections import OrderedDict
from decimal import Decimal

from schemas.market import Side

TIMES = 5  # refusals in a row: law 7's own back-off of an algo has set in long before
WITHIN_MS = 60_000
OPEN_MS = 60_000
KEPT = 1_000  # orders remembered: the oldest is forgotten first

Same = tuple[str, str, Side, Decimal, Decimal]


class Circuit:
    """See the module."""

    def __init__(self) -> None:
        self._refused: OrderedDict[Same, tuple[int, int, str]] = OrderedDict()  # times, when last, and why
        self.opened = 0  # circuits opened so far

    def refused(self, same: Same, now: int, reason: str) -> None:
        """The venue has refused it."""
        times, last, _ = self._refused.pop(same, (0, now, ""))
        times = times + 1 if now - last <= WITHIN_MS else 1
        self.opened += times == TIMES
        self._refused[same] = (times, now, reason)
        if len(self._refused) > KEPT:
            self._refused.popitem(last=False)

    def taken(self, same: Same) -> None:
        """The venue has taken it."""
        if self._refused:  # asked after each order: almost always there is none
            self._refused.pop(same, None)

    def open(self, same: Same, now: int) -> tuple[int, str]:
        """How many ms it is refused still, and what the venue said last; 0: it may be tried."""
        times, last, reason = self._refused.get(same, (0, 0, ""))
        return (max(0, last + OPEN_MS - now), reason) if times >= TIMES else (0, "")
