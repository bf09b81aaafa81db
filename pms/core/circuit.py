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
        self._refused: OrderedDict[Same, tuple[int, int]] = OrderedDict()  # times, and when the last one came
        self.opened = 0  # circuits opened so far

    def refused(self, same: Same, now: int) -> None:
        """The venue has refused it."""
        times, last = self._refused.pop(same, (0, now))
        times = times + 1 if now - last <= WITHIN_MS else 1
        self.opened += times == TIMES
        self._refused[same] = (times, now)
        if len(self._refused) > KEPT:
            self._refused.popitem(last=False)

    def taken(self, same: Same) -> None:
        """The venue has taken it."""
        self._refused.pop(same, None)

    def wait_ms(self, same: Same, now: int) -> int:
        """How long it is refused still; 0: it may be tried."""
        times, last = self._refused.get(same, (0, 0))
        return max(0, last + OPEN_MS - now) if times >= TIMES else 0
