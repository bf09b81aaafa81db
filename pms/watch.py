"""What is missing right now, and what follows for the algos (design.md, "When a part is gone").

Owns the states of Redis, the user stream and each symbol's book, and tells runners what to hold for. Refuses to mend
any of it. `Permits` for requests is read here too: lease and Redis, right before each send (execution.md 19, 20).
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import structlog

from algos import step
from pms.bus.fence import Down, Lost, Notice, Restored
from pms.clock import Alarm, Clock
from pms.desk import Desk
from pms.halts import Halts
from pms.runner import Runner
from pms.unresolved import Unresolved
from schemas.events_system import SystemStatus

UNRESOLVED = "unresolved"  # what an algo holds for while recovery could not tell what became of an order
LEFT_ALONE_S = 600.0  # who ends our listen key does it again soon: a client that starts, or one that stops
TAKEN = (
    "Somebody else with our API key has ended the user stream's listen key. The stream was opened again and its gap is "
    "read; no entries leave meanwhile. One key serves all programs of an account: stop the other one, or its stream."
)
WITHDRAW_S = 10.0  # Redis gone so long: risk-adding children leave the market (design.md)

_log = structlog.get_logger("pms.watch")


class Watch:
    """See the module."""

    def __init__(self, clock: Clock, on_lost: Callable[[str], None]) -> None:
        self._clock = clock
        self.lease_deadline: Callable[[], float] = lambda: -inf  # without a lease nothing may leave
        self._on_lost = on_lost
        self._desk: Desk | None = None
        self._halts: Halts | None = None
        self._unresolved: Unresolved | None = None
        self._unwritable: dict[str, str] = {}  # redis, disk: why nothing is kept there now
        self.user_stream = "user stream is not live yet"
        self._books: dict[str, str] = {}
        self._clock_off = ""
        self._withdrawing = False
        self._timer: Alarm | None = None
        self._quiet: Alarm | None = None
        self._fenced = ""
        self.resume: Callable[[], None] = lambda: None

    def wire(self, desk: Desk, halts: Halts, unresolved: Unresolved) -> None:
        """Runners to tell, from now on, the mode to tell of, and what recovery has left open."""
        self._desk = desk
        self._halts = halts
        self._unresolved = unresolved

    # --- what requests ask ----------------------------------------------------------------------------

    def refusal(self, exiting: bool) -> str:
        if self._fenced:
            return f"fenced: {self._fenced}"
        if exiting:
            return ""
        if self._unwritable:
            return f"{next(iter(self._unwritable))}_unavailable"
        if self._clock_off:
            return "clock_off"
        return "lease_not_renewed" if self._clock.monotonic() > self.lease_deadline() else ""

    def past_deadline(self) -> bool:
        """Whether the lease was not renewed in time."""
        return self._clock.monotonic() > self.lease_deadline()

    @property
    def degraded(self) -> tuple[str, ...]:
        """The parts that are missing, for people."""
        parts = [f"{part}: {reason}" for part, reason in self._unwritable.items()]
        if self.user_stream:
            parts.append(f"user stream: {self.user_stream}")
        if self._clock_off:
            parts.append(f"clock: {self._clock_off}")
        parts += [f"{symbol}: {reason}" for symbol, reason in sorted(self._books.items())]
        return tuple(parts)

    # --- what changes ---------------------------------------------------------------------------------

    def on_store(self, notice: Notice) -> None:
        match notice:
            case Down(reason=reason, since=since):
                self._cannot_write("redis", reason, since)
            case Restored(continuous=continuous):
                self._can_write("redis")
                if not continuous and self._desk is not None:
                    self._desk.rewrite()
                    self.tell()
            case Lost(reason=reason):
                self._fenced = reason
                self._on_lost(reason)

    def on_disk(self, reason: str) -> None:
        """A disk so full that soon nothing can be kept counts as Redis gone (execution.md 33); empty: there is room."""
        if reason:
            self._cannot_write("disk", reason, self._clock.monotonic())
        else:
            self._can_write("disk")

    def _cannot_write(self, part: str, reason: str, since: float) -> None:
        if part in self._unwritable:
            return
        _log.warning("cannot_write", part=part, reason=reason)
        if not self._unwritable:
            gone_s = self._clock.monotonic() - since
            self._timer = self._clock.call_later(max(0, WITHDRAW_S - gone_s), self._withdraw)
        self._unwritable[part] = reason
        self.tell()

    def _withdraw(self) -> None:
        _log.warning("cannot_write_long", seconds=WITHDRAW_S, then="risk-adding children leave the market")
        self._timer = None
        self._withdrawing = True
        self.tell()

    def _can_write(self, part: str) -> None:
        if self._unwritable.pop(part, None) is None:
            return
        _log.info("can_write", part=part)
        if not self._unwritable:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._withdrawing = False
        self.tell()

    def on_user_stream(self, live: bool, reason: str, taken: bool = False) -> None:
        """The stream is live or not; `taken`: somebody else with our API key has ended it."""
        now = "" if live else (reason or "reconnecting")
        if now != self.user_stream:
            self.user_stream = now
            self.tell()
        if self._desk is not None and (taken or live):
            self._taken(self._desk, taken)

    def _taken(self, desk: Desk, again: bool) -> None:
        """Sound it, and clear it once the stream was left alone for a while."""
        if again:
            desk.alarms.sound("listen_key_taken", "critical", "user stream", TAKEN, desk.now())
        if self._quiet is not None and again:
            self._quiet.cancel()
            self._quiet = None
        if self._quiet is None and any(alarm.code == "listen_key_taken" for alarm in desk.alarms.open.values()):
            self._quiet = self._clock.call_later(LEFT_ALONE_S, self._left_alone)

    def _left_alone(self) -> None:
        self._quiet = None
        if self._desk is not None:
            self._desk.alarms.clear("listen_key_taken", "user stream", self._desk.now())

    def on_clock(self, reason: str) -> None:
        """Why the host's clock lets no entry leave; empty: it is right again."""
        self._clock_off = reason
        self.tell()

    def on_book(self, symbol: str, fresh: bool, reason: str) -> None:
        if fresh:
            self._books.pop(symbol, None)
        else:
            self._books[symbol] = reason
        self.tell(symbol)

    def on_fenced(self, epoch: int) -> None:
        """A higher epoch than ours acts on the account (execution.md 12)."""
        self._fenced = f"epoch {epoch} acts on this account"
        self._on_lost(self._fenced)

    # --- telling --------------------------------------------------------------------------------------

    def hold_of(self, symbol: str, reduce_only: bool) -> str:
        """What an algo on a symbol must hold for; empty when all is well. What only reduces risk goes on without Redis
        and without the user stream (law 5; design.md, "When a part is gone")."""
        if reduce_only:
            return "book" if symbol in self._books else ""
        if self._unwritable:
            return next(iter(self._unwritable))
        if self.user_stream:
            return "user_stream"
        if self._clock_off:
            return "clock"
        return "book" if symbol in self._books else ""

    def health_of(self, runner: Runner) -> step.StreamHealth:
        """The input that tells a runner how things stand."""
        assert self._desk is not None, "runners exist only on a wired desk"
        view = runner.kind.view(runner.state)
        hold = self.hold_of(view.symbol, view.reduce_only) or self._open_of(view)
        blocked = "" if view.reduce_only else self.block_of(view.sub_account_id, view.symbol)
        return step.StreamHealth(self._desk.now(), hold, self._withdrawing, self._desk.quote_of(runner), blocked)

    def _open_of(self, view: step.View) -> str:
        """What recovery could not resolve holds what adds risk on the same symbol for the same sub-account."""
        assert self._unresolved is not None, "wired together"
        open_ = not view.reduce_only and self._unresolved.reason(view.sub_account_id, view.symbol)
        return UNRESOLVED if open_ else ""

    def block_of(self, sub_account: str, symbol: str) -> str:
        """Why nothing that adds risk is done for them now, by somebody's decision: a halt, mode REDUCE, a freeze, a
        symbol that the venue does not trade; empty where nothing stands against it. Whoever changes one of these calls
        `tell` then."""
        assert self._desk is not None, "asked of a wired desk only"
        assert self._halts is not None, "wired together"
        account = self._desk.ledger.sub_accounts.get(sub_account)
        if account is not None and account.status != "active":
            return account.cause.lower() or account.status
        instrument = self._desk.instruments.get(symbol)
        gone = instrument is not None and not instrument.trading
        return self._halts.refusal(sub_account, symbol) or ("symbol_not_trading" if gone else "")

    def status(self) -> SystemStatus:
        """How things stand, for people."""
        assert self._desk is not None, "told of a wired desk only"
        assert self._halts is not None, "wired together"
        streams = {"redis": self._unwritable.get("redis", "up"), "user": self.user_stream or "live"}
        streams |= {name: self._books.get(name, "live") for name in self._desk.market.symbols()}
        return SystemStatus(
            ts=self._desk.now(),
            mode=self._halts.mode,
            cause=self._halts.cause,
            streams=streams,
            degraded=self.degraded,
        )

    def tell(self, symbol: str | None = None) -> None:
        """Say how things stand: to people by event, and to the runners (of a symbol)."""
        desk = self._desk
        if desk is None:
            return
        with desk.step() as unit:
            unit.event(self.status())
        for runner in tuple(desk.runners.values()):
            view = runner.kind.view(runner.state)
            if (symbol is None or view.symbol == symbol) and desk.follows(view.algo_id):
                desk.offer(runner, self.health_of(runner))
