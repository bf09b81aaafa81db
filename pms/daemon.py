"""The daemon of one exchange account: the order of starting, running and stopping (design.md, "Start-up").

Owns its states from starting to stopping. Refuses to decide anything about orders; the parts are `pms.assembly`'s.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import NoReturn

import msgspec
import structlog

from algos import step
from pms import exits, planned, restore
from pms.accounts import other_assets
from pms.assembly import Assembly, Parts
from pms.books import MONEY
from pms.bus import server
from pms.bus.batch import Fenced, Gone
from pms.bus.inbox import Inbox
from pms.commands.assembly import groups
from pms.commands.dispatch import Dispatch
from pms.config import Config
from pms.health import health_of, last_alive
from pms.runner import Runner
from pms.venue import AuthFailed, Unavailable, UserStreamState
from schemas.records import DaemonStatus, Health

SPILL_S = 60.0  # what a former life could not write is written before anything is read; 100 000 events take 20 s
SOON_MS, WAIT_MAX_S = 1_000, 60.0  # at a start, of what the venue wants to be left alone for
FLUSH_S = 2.0  # at a stop, for what still waits to be written
STOP_S = 2.0  # at a stop, for cancels of risk-adding children to be proven
# Tasks whose death must not go unnoticed.
VITAL = ("gap ", "user-stream", "bus.store", "bus.lease", "bus.door", "risk-records", "account-guard", "sight")
FORGET_S = 60.0  # terminal orders leave memory a day after their end; looked for this often
FORGET_AFTER_MS = 24 * 3_600_000

_log = structlog.get_logger("pms.daemon")


class Refused(Exception):
    """The daemon does not start or go on; the text says why and what to do. `exit_code` is for the command line."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Daemon(Assembly):
    """See the module. `start` returns with the doors open; `ended` is done when the daemon must stop by itself."""

    def __init__(self, config: Config, parts: Parts) -> None:
        super().__init__(config, parts, self)
        self.status: DaemonStatus = "starting"
        self.ended: asyncio.Future[Refused] = asyncio.get_running_loop().create_future()
        self._restored = asyncio.Event()
        self._live = asyncio.Event()
        self._only_recovers = False
        self.inbox: Inbox | None = None

    # --- starting -------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take the lease, read everything back, recover, resume, open the doors. Raises Refused, LeaseHeld, Gone."""
        await self.plugins.load(self.tasks)
        restored = await self._stand_up()
        runners = await self._recover(restored)
        await self._resume(runners, restored)
        await self._open_doors(restored)

    async def put_right(self) -> None:
        """Recover and no more (`pms recover --apply`): algos stay as they are, the doors stay closed. Whoever asks for
        it agrees to it, so that a live account may then be started (execution.md 24). Raises as `start`."""
        self._only_recovers = True
        restored = await self._stand_up()
        await self._recover(restored)
        now = self.desk.now()
        with self.desk.step() as unit:
            unit.watermark(msgspec.structs.replace(self.ledger.watermark, consent_at=now))

    async def _stand_up(self) -> restore.Restored:
        """Lease, records and venue; a live account that nobody has agreed to is not asked anything."""
        whole = await self._take_over()
        now, revive = self.parts.clock.now_ms(), self.plugins.revive
        restored = await restore.read(self.caller, self.names, self.ledger, now, revive)
        self.alarms.open = restored.alarms
        self.halts.begin()
        if not whole:
            self.halts.reduce("Redis does not hold all that was written before; look at orders and positions first")
        if self.config.live and not (self.ledger.watermark.consent_at or self._only_recovers):
            await self._refuse_first_contact(restored)
        wallet = await self._open_venue()
        self.accounts.ensure_reserved(wallet, self.desk.now())
        return restored

    async def _refuse_first_contact(self, restored: restore.Restored) -> NoReturn:
        """Nobody has agreed to this live account: the plan is shown, nothing is done (execution.md 24)."""
        try:
            plan = planned.in_words(await planned.look(self, restored))
        except Unavailable as error:
            plan = f"  not known, the venue can't be read: {error}"
        message = (
            f"First contact with this account: nothing was sent. A recovery would do:\n{plan}\nLook at it with `pms "
            "recover --dry-run`, carry it out with `pms recover --apply` (both with --live), then start again."
        )
        raise Refused(message, exits.FIRST_CONTACT)

    async def _take_over(self) -> bool:
        """Lease, examination and the writer. Whether Redis holds all that a former life wrote (execution.md 32)."""
        findings = await server.examine(self.caller)
        for finding in findings:
            _log.warning("redis_finding", code=finding.code, message=finding.message)
        if findings and self.config.live:
            raise Refused(" ".join(finding.message for finding in findings), exits.CONFIG)
        taken = await self.lease.take()
        await server.purge_prices(self.caller, self.names)
        whole = await self.store.start(taken, await self.records_watch.committed())
        async with asyncio.timeout(SPILL_S):
            await self.store.flushed()
        return whole

    async def _open_venue(self) -> Decimal:
        """Streams, rules and tables of the venue; what the wallet holds."""
        self.status = "recovering"
        self.market.start()
        self.data.start(self.market)
        try:
            await self.venue.start(self.outcomes)
            self.desk.instruments.update(await self.venue.instruments())
            self.desk.books.brackets.update(await self.venue.brackets())
            wallet = await self.venue.wallet()
        except AuthFailed as error:
            raise Refused(str(error), exits.AUTH) from error
        except Unavailable as error:
            if error.retry_ms > SOON_MS:  # a supervisor starts us again at once, and going on asking is what bans
                _log.warning("venue_asks_to_wait", reason=str(error), milliseconds=error.retry_ms)
                await self.parts.clock.sleep(min(error.retry_ms / 1000, WAIT_MAX_S))
            message = f"the venue can't be read: {error}. Nothing was sent. See that it can be reached; start again"
            raise Refused(message, exits.UNAVAILABLE) from error
        if message := other_assets(wallet):
            raise Refused(message, exits.AUTH)
        return wallet.get(MONEY, Decimal(0))

    async def _recover(self, restored: restore.Restored) -> list[Runner]:
        """What was found is put right; then the kept events are told. Returns the algos, which still hold."""
        runners = self.recovery.register(restored.algos)
        for found in restored.quarantined:
            message = f"{found.key} could not be read ({found.reason}). It was moved to quarantine; look at it there."
            self.alarms.sound("record_quarantined", "critical", found.key, message, self.desk.now())
        self._restored.set()
        await self._live.wait()
        return runners

    async def _resume(self, runners: list[Runner], restored: restore.Restored) -> None:
        """Algos go on."""
        alive = last_alive(self.parts.folder)
        down_ms = self.parts.clock.now_ms() - alive if alive else 0
        await self.recovery.resume(runners, self.lease.epoch, down_ms, restored.ended)
        self.dead_man.inherit()
        self.plugins.tell(self.desk.runners, self.desk.now())
        self.watch.tell()

    def on_user_stream(self, state: UserStreamState) -> None:
        if state.live:
            self._live.set()
        self.watch.on_user_stream(state.live, state.reason, state.taken)
        if state.gap:
            self.tasks.spawn(self._read_gap(state.gap), f"gap {state.gap}")

    async def _read_gap(self, gap: int) -> None:
        """At the start, and whenever events may be missing: what the venue holds is put right, then the kept events
        follow."""
        await self._restored.wait()
        await self.recovery.run("user_stream_gap" if self._live.is_set() else "start")
        self.venue.replay(gap)

    async def _open_doors(self, restored: restore.Restored) -> None:
        dispatch = Dispatch(self.desk, groups(self, restored, self._gate))
        self.inbox = Inbox(
            self.new_caller,
            self.store,
            self.names,
            dispatch,
            self.parts.clock,
            self.tasks,
            self.desk.now,
            self.config.admin_door_only,
            self.keyring,
        )
        await self.inbox.open()
        for halt in self.halts.standing:
            self._on_halt(halt)  # what a former life, or `pms halt --direct`, did not get done
        self.status = "open"
        self.tasks.spawn(self._forget(), "forget")
        self.tasks.spawn(self.halts.run(self.parts.clock), "halts")
        rounds = {"health": self.health.run, "trim": self.trim.run, "tape": self.tape.run, "probe": self.probe.run}
        rounds |= {"instruments": self.instruments.run, "audit": self.audit.run, "records": self.records_watch.run}
        rounds |= {"sight": self.sight.run, "risk-records": self.risk_records.run, "account-guard": self.guard.run}
        rounds |= {"dead-man": self.dead_man.run, "clock": self.clock_watch.run}
        for name, run in rounds.items():
            self.tasks.spawn(run(), name)
        if self.disk is not None:
            self.tasks.spawn(self.disk.run(), "disk")

    def _gate(self) -> str:
        """Why nothing that adds risk is accepted now; empty when all is well."""
        return self.draining.reason or self.watch.user_stream if self.status == "open" else self.status

    def read_health(self) -> Health:
        """What `pms:health` shows."""
        return health_of(self, self.status)

    async def _forget(self) -> None:
        """Memory follows the records' lifetime."""
        while True:
            await self.parts.clock.sleep(FORGET_S)
            self.ledger.forget_ended(self.desk.now() - FORGET_AFTER_MS)

    # --- stopping -------------------------------------------------------------------------------------

    def on_failure(self, task: str, error: BaseException) -> None:
        """Refused credentials end the daemon, wherever they were noticed (design.md rule 7), and so does an error
        in a task without which it would go on blind: the next start recovers."""
        if self.ended.done():
            return
        if isinstance(error, AuthFailed):
            self.ended.set_result(Refused(str(error), exits.AUTH))
        elif task.startswith(VITAL):
            message = (
                f"an error of ours in '{task}': {error!r}. The daemon stops, so that a new start recovers; see the log."
            )
            self.ended.set_result(Refused(message, exits.BROKEN))

    def on_lost(self, reason: str) -> None:
        if not self.ended.done():
            message = f"another daemon holds the account now ({reason}). This one has stopped acting."
            self.ended.set_result(Refused(message, exits.LEASE_LOST))

    async def stop(self) -> None:
        """A checkpoint, within 5 s: doors closed, risk-adding children cancelled, everything written, the lease
        released (law 8).

        The listen key is never deleted (execution.md 21).
        """
        self.status = "stopping"
        if self.inbox is not None:
            await self.inbox.close()
        if self.lease.epoch:  # never taken: nothing is ours to withdraw or to write
            if not self._only_recovers:
                await self._withdraw_children()
            self.health.write()
            await self._flush()
        await self.venue.close()
        await self.data.close()
        if self.lease.epoch:
            await self._release()
        await self.tasks.close()
        self.store.close()
        self.caller.close()

    async def _withdraw_children(self) -> None:
        """Algos keep their states; quoting children leave unless told to stay, and closers without the venue's flag."""
        bare = self.desk.closers.withdraw_bare()
        self.desk.guards.withdraw()
        for algo_id, runner in tuple(self.desk.runners.items()):
            self.desk.offer(runner, step.StopRequest(self.desk.now(), bare=algo_id in bare))
        give_up = self.parts.clock.monotonic() + STOP_S
        while self._leaving() and self.parts.clock.monotonic() < give_up:
            await self.parts.clock.sleep(0.01)
        await self.dead_man.stop()

    def _leaving(self) -> bool:
        execution = self.desk.execution
        assert execution is not None, "composed with the desk"
        return any(execution.busy(client_id) for ids in self.ledger.open_by_symbol.values() for client_id in ids)

    async def _flush(self) -> None:
        try:
            async with asyncio.timeout(FLUSH_S):
                await self.store.flushed()
        except TimeoutError:
            _log.warning(
                "not_all_written", waiting=self.store.waiting, then="kept in the spill file for the next start"
            )

    async def _release(self) -> None:
        try:
            async with asyncio.timeout(FLUSH_S):
                await self.lease.release()
        except (TimeoutError, Gone, Fenced) as error:
            _log.warning("lease_not_released", reason=repr(error), then="it runs out by itself")
