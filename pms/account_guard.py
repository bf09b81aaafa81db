"""The venue's own view of the whole account's margin: warned of, then held to reducing, then reduced, before it
liquidates. The ladder of the books sees each sub-account alone; the venue sees their net.

Owns the pace of asking and where the account stands. Refuses to know brackets: the venue's own ratio decides, and an
old answer decides nothing. With `notify` nothing is closed.
"""

from __future__ import annotations

import structlog

from pms.clock import Clock
from pms.commands.scope import Scope
from pms.core import guard
from pms.core.guard import Holding, Level
from pms.core.ladder import Action
from pms.core.margin import ratio
from pms.desk import Desk
from pms.exit_goals import Exit
from pms.halts import Halts
from pms.margin_exits import MarginExits
from pms.venue import Reads, Unavailable
from schemas.market import ZERO
from schemas.records import EXTERNAL, Severity

ACCOUNT = "account"  # the subject of its alarms
SLOW_S, FAST_S = 10.0, 2.0  # 5 of 2 400 weight each; near the first mark a fast market needs seconds
NEAR = guard.WARN * 4 / 5
BLIND_S = 60.0  # so long without an answer: a person is told

_log = structlog.get_logger("pms.account_guard")


class AccountGuard:
    """See the module."""

    def __init__(
        self, venue: Reads, desk: Desk, halts: Halts, clock: Clock, closing: MarginExits, action: Action
    ) -> None:
        self._venue = venue
        self._desk = desk
        self._halts = halts
        self._clock = clock
        self._closing = closing
        self._action = action
        self._under_way: Exit | None = None
        self._level = Level.CALM
        self._heard = clock.monotonic()
        self.ratio = ZERO

    async def run(self) -> None:
        if f"account_margin:{ACCOUNT}" in self._desk.alarms.open:  # of a former life
            self._level = Level.WARNED
        while True:
            await self.look()
            await self._clock.sleep(FAST_S if self.ratio >= NEAR else SLOW_S)

    async def look(self) -> None:
        """Ask once, and do what the answer demands. Nothing is held: nothing is asked."""
        if not any(position.signed_quantity for position in self._desk.ledger.positions.values()):
            self._answered()
            self.ratio = ZERO
        else:
            try:
                maintained, balance = await self._venue.account_margin()
            except Unavailable as error:
                self._unanswered(error)
                return
            self._answered()
            self.ratio = ratio(balance, maintained)
        self._judge()

    def _answered(self) -> None:
        self._heard = self._clock.monotonic()
        self._desk.alarms.clear("account_margin_unknown", ACCOUNT, self._desk.now())

    def _unanswered(self, error: Unavailable) -> None:
        _log.info("account_margin_not_read", reason=str(error))
        if self._clock.monotonic() - self._heard >= BLIND_S:
            message = (
                f"the account's margin ratio has not been read for {BLIND_S:.0f} s: {error}. Nothing is decided by the "
                "old one; look at it at the venue."
            )
            self._desk.alarms.sound("account_margin_unknown", "warning", ACCOUNT, message, self._desk.now())

    def _judge(self) -> None:
        before, self._level = self._level, guard.judge(self._level, self.ratio)
        if self._level is not before:
            self._tell()
        if self._level >= Level.REDUCE_ONLY:
            self._halts.reduce(f"the account's margin ratio is {self.ratio:.0%}")
            Scope().withdraw_entries(self._desk)  # what no algo takes away
        if self._level is Level.REDUCING and self._action != "notify":
            self._reduce_largest()

    def _tell(self) -> None:
        now = self._desk.now()
        self._desk.alarms.clear("account_margin", ACCOUNT, now)  # each level is told anew
        if self._level is Level.CALM:
            return
        message = (
            f"the account's maintenance margin is {self.ratio:.0%} of its margin balance; at 100 % the venue "
            "liquidates. Add money or reduce"
        )
        message += "." if self._level is Level.WARNED else "; nothing is added until resume."
        severity: Severity = "warning" if self._level is Level.WARNED else "critical"
        self._desk.alarms.sound("account_margin", severity, ACCOUNT, message, now)

    def _reduce_largest(self) -> None:
        """A part of the largest position, whosever it is, once the exit before has ended."""
        if self._under_way is not None and not (self._under_way.done.done() or self._under_way.stuck):
            return
        desk = self._desk
        held = [
            Holding(name, symbol, position.signed_quantity, desk.mark(symbol) or position.mark_price)
            for (name, symbol), position in desk.ledger.positions.items()
            if position.signed_quantity
        ]
        names = {one.sub_account_id for one in held} - {EXTERNAL}
        barred = {(name, symbol) for name in names for symbol in self._closing.barred(name)}
        found = guard.portion(held, desk.instruments, barred)
        if found is None or found.symbol in self._closing.locked(found.sub_account_id):
            return  # its exit brings what is wanted here
        quantity = abs(found.quantity)
        _log.warning("account_reduced", sub_account=found.sub_account_id, symbol=found.symbol, quantity=str(quantity))
        self._under_way = self._closing.begin(found.sub_account_id, found.symbol, quantity)
