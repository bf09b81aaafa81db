"""The rate governor: one for all that the process sends (execution.md 18).

Owns the counters (`pms.core.limiter`), who waits (`pms.core.turns`) and when they are looked at again. Refuses to know
the venue's words, orders and algos. Invariants: while the budget is ample a request passes by one plain call; what was
granted is held until it leaves, within the same turn of the loop; nobody waits longer than its patience.

It conflates. An algo's request that finds the budget short is taken back before it leaves (`Short`, with `called`), so
that its order is free for a cancel and no price counts as ours where nothing rests (algos.md law 9). Its owner stands
in line instead, once, and is called when its turn has come: it then decides on the newest price, and the slot is kept
for it meanwhile. All it would have sent in between has become that one request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import msgspec
import structlog

from pms.clock import Alarm, Clock
from pms.core.limiter import Charge, Lane, Limiter, Limits, Usage
from pms.core.turns import Turns, Waiting
from pms.venue import Amend, Cancel, Place

CALLED_S = 2.0  # how long a slot is kept for an owner that was called: its new state has to reach Redis first
LINE_MAX = 20_000  # twice the algos of the largest account we know of
STARVED_MS = 15_000  # entries wait longer than one window of the short counter
FOREVER_S = 86_400.0  # a cancel is never given up

NO_CAP = Limits(0, 0, 0)
_NONE_KEPT: tuple[None, None] = (None, None)

_log = structlog.get_logger("pms.governor")


class Short(Exception):
    """Not sent: the budget is used up. `called`: its owner will be called when its turn has come; else `retry_ms` says
    when it may ask again."""

    def __init__(self, message: str, retry_ms: int, called: bool = False) -> None:
        super().__init__(message)
        self.retry_ms = retry_ms
        self.called = called


class Errand(msgspec.Struct, frozen=True):
    """Who sends what, as far as it matters while it is short. `owner` is called where it is named, after `patience_s`
    in line; `account` is what service is fair between."""

    lane: Lane
    account: str = ""
    owner: str = ""
    patience_s: float = FOREVER_S


class Heard(Protocol):
    """Whom the governor tells, and asks who sends."""

    def errand(self, order: Place | Amend | Cancel, exits: bool) -> Errand:
        """Asked only while it is short."""
        ...

    def on_scarce(self, owner: str) -> None:
        """Its request leaves, but soon none will: be choosy."""
        ...

    def on_turn(self, owner: str) -> None:
        """Decide anew and send: a slot is kept for `CALLED_S`."""
        ...

    def on_ample(self, owner: str) -> None:
        """The window has turned: no need to be choosy any more."""
        ...

    def on_starving(self, waiting: int, limits: str) -> None:
        """Entries wait for more than `STARVED_MS`; 0: no longer."""
        ...


class Deaf(Heard):
    """Nobody to tell: for programs without algos."""

    def errand(self, order: Place | Amend | Cancel, exits: bool) -> Errand:
        return Errand(Lane.EXIT if exits else Lane.NEAR)

    def on_scarce(self, owner: str) -> None:
        """Nobody hears it."""

    def on_turn(self, owner: str) -> None:
        """Nobody hears it."""

    def on_ample(self, owner: str) -> None:
        """Nobody hears it."""

    def on_starving(self, waiting: int, limits: str) -> None:
        """Nobody hears it."""


class Governor:
    """See the module. `now` is venue-corrected ms; `most` caps the venue's limits, part by part (0: no cap)."""

    def __init__(self, clock: Clock, now: Callable[[], int], heard: Heard | None = None, most: Limits = NO_CAP) -> None:
        self._clock = clock
        self._now = now
        self._heard = heard or Deaf()
        self._most = most
        self.limits = Limits().within(most)
        self._limiter = Limiter(self.limits)
        self._turns = Turns()
        self._kept: dict[str, tuple[Charge, Alarm]] = {}  # slots of owners that were called
        self._choosy: set[str] = set()
        self._alarm: Alarm | None = None
        self._starving = False
        self.conflated = 0

    def limit(self, limits: Limits) -> None:
        """What the venue says its limits are."""
        self.limits = limits.over(Limits()).within(self._most)
        self._limiter.limit(self.limits)

    def errand(self, order: Place | Amend | Cancel, exits: bool) -> Errand:
        """Who sends an order, and where it stands in line."""
        return self._heard.errand(order, exits)

    # --- asking ---------------------------------------------------------------------------------------

    def ample(self, charge: Charge) -> bool:
        """Whether it may be sent at once and nobody need be asked: then send it in this very turn of the loop."""
        return not self._turns.count and not self._kept and self._limiter.easy(charge, self._now())

    async def turn(self, charge: Charge, errand: Errand) -> None:
        """Return when it may be sent, which has to follow in the same turn of the loop. Raises `Short`."""
        if self._take_kept(errand.owner) == charge:
            return
        told: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        one = Waiting("", errand.account, errand.lane, charge, self._now(), lambda served: _tell(told, served))
        self._turns.join(one)
        self._serve()
        if not told.done():
            await self._wait(one, told, errand.patience_s)
        if not told.result():
            raise self._short(charge, errand)
        self._limiter.release(charge)  # held while its task was on the way; what is sent is counted anew
        if errand.owner and errand.lane > Lane.RECOVERY and not self._limiter.easy(charge, self._now()):
            self._be_choosy(errand.owner)

    async def _wait(self, one: Waiting, told: asyncio.Future[bool], patience_s: float) -> None:
        if not patience_s:
            self._late(one)
            return
        late = self._clock.call_later(patience_s, lambda: self._late(one))
        try:
            await told
        except asyncio.CancelledError:
            self._turns.leave(one)
            if told.done() and not told.cancelled() and told.result():
                self._limiter.release(one.charge)
            raise
        finally:
            late.cancel()

    def _late(self, one: Waiting) -> None:
        self._turns.leave(one)
        one.settle(False)

    def _short(self, charge: Charge, errand: Errand) -> Short:
        """Not within its patience: an owner stands in line to be called, anybody else comes again."""
        wait_ms = max(1, self._limiter.turns_in_ms(self._now()))
        text = "nothing was sent: the venue's rate limit is used up"
        if not errand.owner or self._turns.count >= LINE_MAX:
            return Short(f"{text} for {wait_ms} ms more", wait_ms)
        self._stand(charge, errand)
        return Short(f"{text}; it leaves as soon as it can, as the market is then", wait_ms, called=True)

    def _stand(self, charge: Charge, errand: Errand) -> None:
        owner = errand.owner
        one = Waiting(
            owner, errand.account, errand.lane, charge, self._now(), lambda _: self._call(owner, charge), called=True
        )
        self._turns.join(one)
        self._choosy.discard(owner)
        self._arm()

    # --- what is sent ---------------------------------------------------------------------------------

    def sent(self, charge: Charge, lane: Lane) -> int:
        """It is on the wire from now on. Returns when, for `answered`."""
        now = self._now()
        self._limiter.sent(charge, lane, now)
        return now

    def unsent(self, charge: Charge) -> None:
        """What was said to be sent certainly was not."""
        self._limiter.release(charge)
        if self._turns.count:
            self._serve()

    def answered(self, charge: Charge, usage: Usage | None, sent_at: int) -> None:
        """The venue's answer, or None for one that never came."""
        self._limiter.answered(charge, usage, sent_at, self._now())

    # --- serving --------------------------------------------------------------------------------------

    def _serve(self) -> None:
        for one in self._turns.serve(self._grant):
            one.settle(True)
        self._judge()
        self._arm()

    def _grant(self, charge: Charge, lane: Lane) -> bool:
        if not self._limiter.fits(charge, lane, self._now()):
            return False
        self._limiter.hold(charge)
        return True

    def _call(self, owner: str, charge: Charge) -> None:
        """An owner's turn: keep its slot until it asks, and let it decide."""
        self.conflated += 1
        alarm = self._clock.call_later(CALLED_S, lambda: self._not_wanted(owner))
        self._kept[owner] = (charge, alarm)
        self._choosy.add(owner)
        self._heard.on_turn(owner)

    def _be_choosy(self, owner: str) -> None:
        if owner not in self._choosy:
            self._choosy.add(owner)
            self._heard.on_scarce(owner)

    def _take_kept(self, owner: str) -> Charge | None:
        """Give the slot that was kept for an owner free; the request that comes for it takes it in the same turn."""
        charge, alarm = self._kept.pop(owner, _NONE_KEPT)
        if charge is None or alarm is None:
            return None
        alarm.cancel()
        self._limiter.release(charge)
        return charge

    def _not_wanted(self, owner: str) -> None:
        """It was called and asked for nothing: the market has come back to where its order rests."""
        self._take_kept(owner)
        self._serve()

    def _arm(self) -> None:
        if self._alarm is None and (self._turns.count or self._choosy or self._starving):
            self._alarm = self._clock.call_later(self._limiter.turns_in_ms(self._now()) / 1000, self._window)

    def _window(self) -> None:
        """A window has turned."""
        self._alarm = None
        self._serve()
        if not self._turns.count and self._limiter.easy(Charge(), self._now()):
            choosy, self._choosy = self._choosy, set()
            for owner in choosy:
                self._heard.on_ample(owner)

    def _judge(self) -> None:
        """Tell people where entries starve, once, and when it is over."""
        since = self._turns.entries_since()
        starving = since is not None and (self._starving or self._now() - since >= STARVED_MS)
        if starving != self._starving:
            self._starving = starving
            self._heard.on_starving(self._turns.count if starving else 0, str(self.used()))

    def used(self) -> dict[str, int]:
        """`rateBudget` of `pms:health`."""
        counts = {"waiting": self._turns.count, "choosy": len(self._choosy), "conflated": self.conflated}
        return self._limiter.used(self._now()) | counts


def _tell(told: asyncio.Future[bool], served: bool) -> None:
    if not told.done():
        told.set_result(served)
