"""Recovery on the running daemon: at start, and after every gap of the user stream (design.md, "Recovery policy").

Owns the run: its events, its record, what stays blocked, and how algos go on after it. Refuses to judge (recovery.plan)
and to keep records (hands).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

import structlog

from algos import step
from algos.registry import Kind
from algos.view import View
from pms.bus.batch import Fenced, Gone, Put
from pms.clock import Clock
from pms.config_modes import ForeignPolicy
from pms.desk import Desk
from pms.family import view_of
from pms.hands import DeskHands
from pms.missed import Missed
from pms.runner import Runner
from pms.unit import Unit
from pms.venue import Reads, Unavailable
from recovery import reconcile
from recovery.plan import Plan, Verdict, newest_epoch
from schemas import codec
from schemas.events_system import RecoveryAction, RecoveryCompleted, RecoveryStarted
from schemas.market import ZERO, Quote
from schemas.records import RecoveryRun, RecoveryStep

QUOTE_WAIT_S = 3.0  # for all together; after this an algo resumes without a price and holds until one comes
QUOTE_POLL_S = 0.02
REDIS_RETRY_S = 0.5
START = "start"  # the cause of the run before anything of ours was sent

_log = structlog.get_logger("pms.recover")


class Epochs(Protocol):
    """What the recovery needs of the lease (pms.bus.lease)."""

    @property
    def epoch(self) -> int: ...

    async def raise_epoch(self, to: int) -> None:
        """Raises Gone, Fenced."""
        ...


class _Away(NamedTuple):
    """What all algos of one start have in common: how long nobody was there, what they missed, until when prices are
    waited for (monotonic), and the marks asked for where none came."""

    epoch: int
    down_ms: int
    missed: Missed
    give_up: float
    marks: dict[str, Decimal]


class Recovery:
    """See the module. `resume_max_age_ms` and `resume_max_move_pct` are execution.md 25's bounds."""

    def __init__(
        self,
        desk: Desk,
        hands: DeskHands,
        venue: Reads,
        clock: Clock,
        policy: ForeignPolicy,
        resume_max_age_ms: int,
        resume_max_move_pct: int,
        epochs: Epochs,
        on_fenced: Callable[[int], None],
    ) -> None:
        self._desk = desk
        self._hands = hands
        self._venue = venue
        self._clock = clock
        self._policy = policy
        self._max_age_ms = resume_max_age_ms
        self._max_move_pct = resume_max_move_pct
        self._epochs = epochs
        self._on_fenced = on_fenced
        self.last: RecoveryRun | None = None
        self._one_at_a_time = asyncio.Lock()

    async def run(self, cause: str, foreign: ForeignPolicy | None = None) -> Plan:
        """Gather, plan, apply, once. Asks again while the venue can't be read: nothing is judged on half a picture."""
        async with self._one_at_a_time:
            return await self._run(cause, foreign or self._policy)

    async def _run(self, cause: str, policy: ForeignPolicy) -> Plan:
        started = self._desk.now()
        while True:
            try:
                found, made = await reconcile.examine(self._venue, self._hands, policy, self._clock.sleep)
                if not await self._leads(cause, newest_epoch(found)):
                    return made
                break
            except Unavailable as error:
                _log.warning("recovery_waits", reason=str(error))
                await self._clock.sleep(error.retry_ms / 1000)
            except Gone as error:
                _log.warning("recovery_waits", reason=str(error))
                await self._clock.sleep(REDIS_RETRY_S)
        self._hands.begin(made)
        self._publish(RecoveryStarted(ts=started, cause=cause, counts=made.counts()))
        outcomes = await reconcile.apply(made, found, self._hands, self._clock.sleep)
        self._conclude(cause, started, made, outcomes)
        return made

    async def _leads(self, cause: str, found: int) -> bool:
        """Whether we may act, `found` being the highest epoch at the venue. At a start we go beyond it (execution.md
        19); later somebody else acts under it, and we are fenced (12). Raises Gone."""
        if cause == START and found >= self._epochs.epoch:
            _log.warning("epoch_raised", ours=self._epochs.epoch, found=found)
            try:
                await self._epochs.raise_epoch(found + 1)
            except Fenced:
                self._on_fenced(found)
                return False
        elif found > self._epochs.epoch:
            self._on_fenced(found)
            return False
        return True

    def _conclude(self, cause: str, started: int, made: Plan, outcomes: list[str]) -> None:
        now = self._desk.now()
        steps = tuple(described(verdict, outcome) for verdict, outcome in zip(made.verdicts, outcomes, strict=True))
        unresolved = tuple(dict.fromkeys((*made.unresolved, *self._hands.unresolved.subjects)))
        run = RecoveryRun(cause=cause, started_at=started, finished_at=now, steps=steps, unresolved=unresolved)
        with self._desk.step() as unit:
            for done in steps:
                action = RecoveryAction(
                    ts=now, action=done.action, subject=done.subject, evidence=done.evidence, outcome=done.outcome
                )
                unit.event(action)
            completed = RecoveryCompleted(
                ts=now, cause=cause, counts=made.counts(), unresolved=unresolved, took_ms=now - started
            )
            unit.event(completed)
        self.last = run
        names = self._desk.ledger.names
        Unit(self._desk.ledger, now).commit(puts=(Put(key=names.recovery_last, value=codec.encode(run)),))
        _log.info("recovery_completed", cause=cause, counts=made.counts(), unresolved=unresolved)

    def _publish(self, event: Any) -> None:
        with self._desk.step() as unit:
            unit.event(event)

    # --- algos ----------------------------------------------------------------------------------------

    def register(self, algos: list[tuple[Kind, Any]]) -> list[Runner]:
        """Runners for what came back from Redis: they hear of their orders, and hold until resumed."""
        runners = []
        for kind, state in algos:
            runner = self._desk.begin(kind, state)
            self._desk.register(runner)
            self._desk.offer(runner, step.StreamHealth(self._desk.now(), "recovering"))
            runners.append(runner)
        return runners

    async def resume(self, runners: list[Runner], epoch: int, down_ms: int, ended: Mapping[str, Any]) -> None:
        """Give each live algo its symbol back and let it go on, children before their parents, or pause it with the
        reason (execution.md 25)."""
        await self._expect(runners)
        missed = Missed(self._desk, self._venue, self._clock, runners)
        away = _Away(epoch, down_ms, missed, self._clock.monotonic() + QUOTE_WAIT_S, {})
        for runner in sorted(runners, key=self._depth, reverse=True):
            self._desk.family.reunite(runner, ended)
            self._desk.guards.reunite(runner, ended)
            if not runner.ended:
                await self._resume(runner, away)
        self._desk.withdrawals.resume()

    async def _expect(self, runners: list[Runner]) -> None:
        """Have all books joined at once: each waits for a frame of its own, and one after the other that adds up."""
        for symbol in dict.fromkeys(view_of(runner).symbol for runner in runners if not runner.ended):
            instrument = self._desk.instruments.get(symbol)
            if instrument is not None:
                await self._desk.market.expect(instrument)

    def _depth(self, runner: Runner) -> int:
        """How many algos stand above it."""
        parent = self._desk.runners.get(view_of(runner).parent_id)
        return 0 if parent is None else 1 + self._depth(parent)

    async def _resume(self, runner: Runner, away: _Away) -> None:
        desk, view, quote = self._desk, view_of(runner), None
        if view.symbol:
            instrument = desk.instruments.get(view.symbol)
            if instrument is None:
                desk.offer(runner, step.CancelRequest(desk.now(), "symbol_gone"))
                return
            await desk.market.watch(instrument)
            if instrument != view.instrument:
                desk.offer(runner, step.InstrumentChanged(desk.now(), instrument))
            await away.missed.tell(runner)
            protects = runner.kind.blind is not None  # then no price is waited for: the first one there is will do
            quote = desk.market.quote(view.symbol) if protects else await self._quote(view.symbol, away.give_up)
        if pause := await self._reason_to_pause(view, quote, away):
            if not view.parent_id:  # what its parent does with that is told of the parent
                message = f"{view.algo_id} stays paused: {pause}. Resume or cancel it."
                desk.alarms.sound("algo_paused", "warning", view.algo_id, message, desk.now())
        desk.follow(runner)
        desk.offer(runner, step.Recovered(desk.now(), away.epoch, quote, pause))

    async def _reason_to_pause(self, view: View, quote: Quote | None, away: _Away) -> str:
        if view.reduce_only:
            return ""
        if away.down_ms > self._max_age_ms:
            return "down_too_long"
        if view.instrument is None or view.mid <= 0:
            return ""
        now = await self._marked(view.symbol, away) if quote is None else quote.mid2 * view.instrument.tick / 2
        if now <= 0:
            return "price_unknown"
        return "price_moved_too_far" if abs(now - view.mid) * 100 > view.mid * self._max_move_pct else ""

    async def _quote(self, symbol: str, give_up: float) -> Quote | None:
        while (quote := self._desk.market.quote(symbol)) is None and self._clock.monotonic() < give_up:
            await self._clock.sleep(QUOTE_POLL_S)
        return quote

    async def _marked(self, symbol: str, away: _Away) -> Decimal:
        """The venue's mark, by which a move is judged while there is no book: once there is, the algo acts on it. 0
        where that can't be read either. Asked once for all algos of the symbol."""
        if symbol not in away.marks:
            try:
                away.marks[symbol] = await self._venue.mark(symbol)
            except Unavailable as error:
                _log.warning("mark_unavailable", symbol=symbol, reason=str(error))
                away.marks[symbol] = ZERO
        return away.marks[symbol]


def described(verdict: Verdict, outcome: str) -> RecoveryStep:
    """A verdict in the words of the record and the event."""
    action = type(verdict).__name__.lower()
    report = getattr(verdict, "report", None)
    subject = report.client_id if report is not None else ""
    subject = (
        subject
        or getattr(verdict, "client_id", "")
        or getattr(verdict, "subject", "")
        or getattr(verdict, "symbol", "")
    )
    fill = getattr(verdict, "fill", None)
    if fill is not None and not subject:
        subject = f"{fill.symbol} order {fill.exchange_order_id}"
    return RecoveryStep(action=action, subject=subject, evidence=verdict.evidence, outcome=outcome)
