"""What the venue lets us send: three counters in windows aligned to its clock, and how much of them whom is left
(execution.md 18, binance.md 3.1). Pure.

Owns the counts: the venue's last word of each, which has the neighbours in it (weight is counted per IP, orders per
account), and what of ours is on the wire. Refuses to know requests, waiting and who asks. Invariants: what is in
flight counts as used, in whichever window it may land; a window turns `MARGIN_MS` late, for the error of our venue
time, and what was answered around its edge counts in both; nobody but exits, cancels and recovery gets the reserve.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

MINUTE_MS = 60_000
SLOT_MS = 10_000  # the short order counter (binance.md 3.1)
MARGIN_MS = 20  # past the edge of a window, for the error of our venue time
EASY_PCT = 60  # up to here nobody is asked anything; beyond, entries become choosy before they starve
RECOVERY_READS_PCT = 40  # of the weight, for all reads of a recovery together (design.md, "When a part is gone")


class Lane(IntEnum):
    """Who is served first when it is short (execution.md 18)."""

    EXIT = 0  # cancels, exits, and what keeps us alive at the venue
    RECOVERY = 1  # look-ups of unknown outcomes, the account's state
    NEAR = 2  # entries near the touch
    FAR = 3
    READ = 4  # what else is read


# Percent of each limit that a lane may bring a counter to: 20 % are kept for exits, cancels and recovery, and of these
# the last half for exits and cancels alone, since a recovery's reads would have no end.
_CEILING_PCT = {Lane.EXIT: 100, Lane.RECOVERY: 90, Lane.NEAR: 80, Lane.FAR: 80, Lane.READ: 80}


class Charge(msgspec.Struct, frozen=True):
    """What one request costs."""

    weight: int = 0
    orders_10s: int = 0
    orders_1m: int = 0

    @property
    def parts(self) -> tuple[int, int, int]:
        return self.weight, self.orders_10s, self.orders_1m


class Usage(msgspec.Struct, frozen=True):
    """What the venue has counted, from one answer's headers; None where it was silent."""

    weight_1m: int | None = None
    orders_10s: int | None = None
    orders_1m: int | None = None


class Limits(msgspec.Struct, frozen=True):
    """The venue's limits; the defaults are `exchangeInfo.rateLimits` of 2026-10 (binance.md 3.1). 0: not told."""

    weight_1m: int = 2_400
    orders_10s: int = 300
    orders_1m: int = 1_200

    def over(self, other: Limits) -> Limits:
        """These, and the other's where these say nothing."""
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
        return Limits(*(mine or theirs for mine, theirs in pairs))

    def within(self, other: Limits) -> Limits:
        """The smaller of both, part by part; 0 says nothing."""
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
        return Limits(*(min(filter(None, pair), default=0) for pair in pairs))


class Window:
    """One counter. Times are venue-corrected ms."""

    __slots__ = ("carried", "ends", "flying", "length_ms", "limit", "silent", "told", "told_at")

    def __init__(self, length_ms: int, limit: int) -> None:
        self.length_ms = length_ms
        self.limit = limit
        self.told = 0  # the venue's newest word
        self.silent = 0  # answered without a word: in `told` only once something sent later has brought one
        self.told_at = 0
        self.flying = 0  # sent and not answered, or promised: may land in this window
        self.carried = 0  # answered around the coming edge: may have been counted beyond it
        self.ends = 0

    def used(self, now: int) -> int:
        if not self.ends - self.length_ms <= now < self.ends:
            self._turn(now)
        return self.told + self.silent + self.flying

    def _turn(self, now: int) -> None:
        """Another window; after a step back of the clock nothing is forgotten."""
        if now >= self.ends:
            self.told, self.silent = 0, self.carried if now < self.ends + self.length_ms else 0
            self.told_at = now
            self.carried = 0
        self.ends = ((now - MARGIN_MS) // self.length_ms + 1) * self.length_ms + MARGIN_MS

    def answered(self, cost: int, counted: int | None, sent_at: int, now: int) -> None:
        """A request that had been `flying` was answered; `counted` is the venue's sum, None where it told none."""
        self.flying -= cost
        self.used(now)  # the window that it is now
        if self.ends - now <= 2 * MARGIN_MS:
            self.carried += cost
        if counted is None or sent_at < self.ends - self.length_ms:  # silent, or maybe of the window before
            self.silent += cost
        elif sent_at > self.told_at:  # asked after all we know: it has it all in it, and may put it right
            self.told, self.silent = counted, 0
        elif counted > self.told:
            self.told = counted
        self.told_at = now


class Limiter:
    """All counters of one IP and account."""

    def __init__(self, limits: Limits) -> None:
        self._weight = Window(MINUTE_MS, limits.weight_1m)
        self._slot = Window(SLOT_MS, limits.orders_10s)
        self._minute = Window(MINUTE_MS, limits.orders_1m)
        self._windows = (self._weight, self._slot, self._minute)
        self._reads = Window(MINUTE_MS, 0)
        self.limit(limits)

    def limit(self, limits: Limits) -> None:
        """The limits are these from now on."""
        self._weight.limit, self._slot.limit, self._minute.limit = msgspec.structs.astuple(limits)
        easy = Limits(*(limit * EASY_PCT // 100 for limit in msgspec.structs.astuple(limits)))
        self._easy = easy.weight_1m, easy.orders_10s, easy.orders_1m
        self._reads.limit = limits.weight_1m * RECOVERY_READS_PCT // 100

    def easy(self, charge: Charge, now: int) -> bool:
        """Whether there is so much left that nobody need be asked. The hot path: each request passes here."""
        weight, slot, minute = self._windows
        if not (
            weight.ends - MINUTE_MS <= now < weight.ends
            and slot.ends - SLOT_MS <= now < slot.ends
            and minute.ends - MINUTE_MS <= now < minute.ends
        ):
            self.turns_in_ms(now)  # each window is the one that it is now
        most_weight, most_10s, most_1m = self._easy
        return (
            weight.told + weight.silent + weight.flying + charge.weight <= most_weight
            and slot.told + slot.silent + slot.flying + charge.orders_10s <= most_10s
            and minute.told + minute.silent + minute.flying + charge.orders_1m <= most_1m
        )

    def fits(self, charge: Charge, lane: Lane, now: int) -> bool:
        """Whether a request of a lane may be sent without bringing any counter that it uses beyond the lane's part of
        it. The weight is every request's: beyond it the venue refuses also what weighs nothing."""
        pct = _CEILING_PCT[lane]
        if lane is Lane.RECOVERY and self._reads.used(now) + charge.weight > self._reads.limit:
            return False
        return all(
            (window.used(now) + cost) * 100 <= window.limit * pct
            for window, cost in zip(self._windows, charge.parts, strict=True)
            if cost or window is self._weight
        )

    def hold(self, charge: Charge) -> None:
        """It is used from now on: promised, or sent."""
        self._weight.flying += charge.weight
        self._slot.flying += charge.orders_10s
        self._minute.flying += charge.orders_1m

    def release(self, charge: Charge) -> None:
        """What was held was certainly not sent."""
        self._weight.flying -= charge.weight
        self._slot.flying -= charge.orders_10s
        self._minute.flying -= charge.orders_1m

    def sent(self, charge: Charge, lane: Lane, now: int) -> None:
        self._weight.flying += charge.weight  # as `hold`, spelled out: each request passes here
        self._slot.flying += charge.orders_10s
        self._minute.flying += charge.orders_1m
        if lane is Lane.RECOVERY:
            self._reads.used(now)
            self._reads.told += charge.weight  # our own word

    def answered(self, charge: Charge, usage: Usage | None, sent_at: int, now: int) -> None:
        """What was sent at `sent_at` was answered, or its answer is lost (None)."""
        counted = (None, None, None) if usage is None else (usage.weight_1m, usage.orders_10s, usage.orders_1m)
        for window, cost, told in zip(self._windows, charge.parts, counted, strict=True):
            if cost or told is not None:
                window.answered(cost, told, sent_at, now)

    def turns_in_ms(self, now: int) -> int:
        """Until the next window of any counter begins."""
        for window in self._windows:
            window.used(now)
        return min(window.ends for window in self._windows) - now

    def used(self, now: int) -> dict[str, int]:
        """What is used of what, for people."""
        names = ("weight1m", "orders10s", "orders1m")
        told = {name: window.used(now) for name, window in zip(names, self._windows, strict=True)}
        return told | {f"{name}Limit": window.limit for name, window in zip(names, self._windows, strict=True)}
