"""Our own resting quantity per price over time, so that the touch an algo follows is the others' (algos.md law 9).

Owns, per symbol, what the venue said of each of our orders with the engine time from which it held, and what is in
flight. Refuses to know order states and who places. Invariants: an order counts at a price once; while a request is
in flight both its old and new price count at full rest; what ended is forgotten once the book is past it, or after
`KEEP_MS`. What changed after the time that a price was asked for last does not change that answer.

An order rests in [since, until): where a frame and the event that changed the order carry the same millisecond, the
frame is taken to have the change. If it has not, a later frame must come, since the change itself changes the book;
taken the other way a still market would keep the error for ever.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal

import msgspec

from schemas.market import ZERO, Side

KEEP_MS = 10_000  # a depth frame later than this is no frame but a stale stream
FOREVER = 2**62


class _Rest(msgspec.Struct, gc=False, eq=False):
    """One order at one price from `since` until `until` (engine time)."""

    client_id: str
    place: tuple[Side, int]
    quantity: Decimal
    since: int
    until: int = FOREVER


class OwnOrders:
    """All of the account's own orders in one symbol, of every sub-account. `places` is empty while there are none;
    `version` is another after each change; `ended` is what ended and is not forgotten yet."""

    def __init__(self) -> None:
        self.places: dict[tuple[Side, int], dict[_Rest, None]] = {}
        self.version = 0
        self._answers: dict[tuple[Side, int], tuple[int, Decimal]] = {}  # the newest time asked for, and what was said
        self._standing: dict[str, _Rest] = {}
        self._flying: dict[str, _Rest] = {}
        self.ended: deque[_Rest] = deque()

    def in_flight(self, client_id: str, side: Side, ticks: int, quantity: Decimal) -> None:
        """A placing or an amend to `ticks` with `quantity` still to fill is about to leave."""
        self.settled(client_id)
        flying = _Rest(client_id, (side, ticks), quantity, 0)
        self._flying[client_id] = flying
        self._add(flying)

    def settled(self, client_id: str) -> None:
        """The fate of the request in flight is known, and `resting` or `gone` has said what became of the order."""
        flying = self._flying.pop(client_id, None)
        if flying is not None:
            self._changed(flying.place, flying.since)
            self._drop(flying)

    def resting(self, client_id: str, side: Side, ticks: int, quantity: Decimal, since_ms: int) -> None:
        """The venue says: since `since_ms` the order rests at `ticks` with `quantity` to fill. Ignores older words."""
        old = self._standing.get(client_id)
        if old is not None:
            if since_ms < old.since or (old.place == (side, ticks) and old.quantity == quantity):
                return
            if old.place != (side, ticks):  # the same place changes below
                self._changed(old.place, since_ms)
            self._end(old, since_ms)
        standing = _Rest(client_id, (side, ticks), quantity, since_ms)
        self._standing[client_id] = standing
        self._add(standing)

    def gone(self, client_id: str, at_ms: int) -> None:
        """The order ended at `at_ms`, or never was."""
        self.settled(client_id)
        old = self._standing.pop(client_id, None)
        if old is not None:
            self._changed(old.place, at_ms)
            self._end(old, at_ms)

    def quantity_at(self, side: Side, ticks: int, time: int) -> Decimal:
        """How much of what a frame of engine time `time` shows at a price is ours."""
        place = (side, ticks)
        rests = self.places.get(place)
        if rests is None:
            return ZERO
        answer = self._answers.get(place)
        if answer is not None and answer[0] == time:
            return answer[1]
        most: dict[str, Decimal] = {}
        for rest in rests:
            if rest.since <= time < rest.until:
                most[rest.client_id] = max(most.get(rest.client_id, ZERO), rest.quantity)
        total = sum(most.values(), ZERO)
        self._answers[place] = time, total
        return total

    def forget(self, time: int) -> None:
        """No frame older than this engine time will be asked about any more: drop what ended before, which changes no
        answer from then on."""
        while self.ended and self.ended[0].until <= time:
            self._drop(self.ended.popleft())

    def _add(self, rest: _Rest) -> None:
        self._changed(rest.place, rest.since)
        self.places.setdefault(rest.place, {})[rest] = None

    def _end(self, rest: _Rest, at_ms: int) -> None:
        rest.until = at_ms
        self.ended.append(rest)
        if self.ended[0].until <= at_ms - KEEP_MS:
            self.forget(at_ms - KEEP_MS)

    def _drop(self, rest: _Rest) -> None:
        rests = self.places[rest.place]
        del rests[rest]
        if not rests:
            del self.places[rest.place]
            self._answers.pop(rest.place, None)

    def _changed(self, place: tuple[Side, int], since_ms: int) -> None:
        """What rests at a place is another from this time on."""
        self.version += 1
        answer = self._answers.get(place)
        if answer is not None and answer[0] >= since_ms:
            del self._answers[place]
