"""The daemon of one exchange account: the composition root, and the order of starting and stopping (design.md, "Start-up").

The one place that knows the concrete classes. Refuses to decide anything about orders. What it stands on comes in as `Parts`, so that the same daemon runs over TCP and
in one process with simulator and a fake Redis.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec
import structlog

from algos import step
from pms import restore
from pms.accounts import Accounts
from pms.alarms import Alarms
from pms.binance.gateway import BinanceVenue, Credentials
from pms.binance.market_stream import MarketStream
from pms.binance.transport import Http, Sockets
from pms.bus import host, server
from pms.bus.batch import Gone
from pms.bus.caller import Caller
from pms.bus.inbox import Inbox
from pms.bus.lease import Lease
from pms.bus.link import Link
from pms.bus.outbox import Outbox
from pms.bus.store import Store
from pms.chases import Chases
from pms.clock import Clock
from pms.config import Config
from pms.core.backoff import Connects
from pms.desk import Desk
from pms.dispatch import Dispatch
from pms.execution import Execution
from pms.hands import DeskHands
from pms.health import HealthWriter, last_alive
from pms.ledger import Ledger
from pms.market import Market
from pms.outcomes import Outcomes
from pms.recover import Recovery
from pms.tasks import Tasks
from pms.venue import AuthFailed, UserStreamState
from pms.watch import Watch
from schemas.keys import Keys
from schemas.records import DaemonStatus, Health

VERSION = "0.1.0"
SPILL_S = 60.0  # what a former life could not write is written before anything is read; 100 000 events take 20 s
FLUSH_S = 2.0  # at a stop, for what still waits to be written
STOP_S = 2.0  # at a stop, for cancels of risk-adding children to be proven
FORGET_S = 60.0  # terminal orders leave memory a day after their end; looked for this often
FORGET_AFTER_MS = 24 * 3_600_000

_log = structlog.get_logger("pms.daemon")


class Refused(Exception):
    """The daemon does not start or go on; the text says why and what to do. `exit_code` is for the command line."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


EXIT_CONFIG = 78  # sysexits EX_CONFIG: restarting can't help
EXIT_AUTH = 77
EXIT_LEASE_HELD = 75
EXIT_LEASE_LOST = 76
EXIT_FIRST_CONTACT = 79


class Parts(msgspec.Struct, frozen=True):
    """What a daemon stands on. `caller` and `link` open connections to Redis, `chance` gives [0, 1)."""

    http: Http
    sockets: Sockets
    link: Callable[[], Link]
    clock: Clock
    chance: Callable[[], float]
    folder: Path | None
    holder: host.Holder


class Daemon:
    """See the module. `start` returns with the doors open; `ended` is done when the daemon must stop by itself."""

    def __init__(self, config: Config, parts: Parts) -> None:
        self._config = config
        self._parts = parts
        self.status: DaemonStatus = "starting"
        self.tasks = Tasks()
        self.names = Keys(config.namespace)
        self.ended: asyncio.Future[Refused] = asyncio.get_running_loop().create_future()
        self._restored = asyncio.Event()
        self._live = asyncio.Event()
        self.inbox: Inbox | None = None
        self._compose_bus()
        self._compose_venue()
        self._compose_desk()

    # --- composition ----------------------------------------------------------------------------------

    def _compose_bus(self) -> None:
        parts, clock = self._parts, self._parts.clock
        self.watch = Watch(clock, self._deadline, self._on_lost)
        self._caller = self._new_caller()
        tell = self.watch.on_store
        self.lease = Lease(self._new_caller(), self.names, clock, self.tasks, parts.holder, parts.folder, tell)
        outbox = Outbox(parts.folder)
        self.store = Store(parts.link(), self.names, self.lease, clock, self.tasks, outbox, tell)

    def _new_caller(self) -> Caller:
        return Caller(self._parts.link())

    def _deadline(self) -> float:
        return self.lease.deadline()

    def _compose_venue(self) -> None:
        config, parts = self._config, self._parts
        credentials = Credentials(config.api_key.reveal(), config.api_secret.reveal())
        self.venue = BinanceVenue(
            parts.http,
            parts.sockets,
            config.stream_url,
            credentials,
            parts.clock,
            self.tasks,
            parts.chance,
            lambda usage: None,
        )
        self.data = MarketStream(
            self.venue.rest,
            parts.sockets,
            config.stream_url,
            parts.clock,
            self.tasks,
            Connects(parts.chance, parts.clock.monotonic),
            Connects(parts.chance, parts.clock.monotonic),
            config.depth_speed,
        )

    def _compose_desk(self) -> None:
        parts = self._parts
        self.ledger = Ledger(self.names, self.store)
        self.alarms = Alarms(self.ledger)
        self.health = HealthWriter(
            self.store, self.names, parts.clock, parts.folder, self.read_health, self._redis_down
        )
        self.market = Market(
            self.data, parts.clock, self.tasks, parts.chance, self.watch.on_book, self.health.on_price
        )
        self.desk = Desk(self.ledger, self.market, parts.clock, self.venue.time_ms, self.alarms, {}, self.tasks)
        self.watch.wire(self.desk)
        self.outcomes = Outcomes(
            self.desk, self.watch, lambda: self.lease.epoch, self._on_user_stream, self.watch.on_fenced
        )
        self.desk.execution = Execution(self.venue, parts.clock, self.tasks, self.outcomes)
        self.hands = DeskHands(self.desk, self.outcomes, self.venue)
        config = self._config
        self.recovery = Recovery(
            self.desk,
            self.hands,
            self.venue,
            parts.clock,
            config.foreign_policy or "report",
            config.resume_max_age_s * 1000,
            config.resume_max_move_pct,
        )
        self.accounts = Accounts(self.ledger, Decimal(config.sub_account_balance), not config.live)

    def _redis_down(self) -> bool:
        return self.store.down_since is not None

    # --- starting -------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take the lease, read everything back, recover, resume, open the doors. Raises Refused, LeaseHeld, Gone."""
        first_contact = await self._take_over()
        restored = await restore.read(self._caller, self.names, self.ledger, self._parts.clock.now_ms())
        self.alarms.open = restored.alarms
        await self._open_venue()
        self.accounts.ensure_reserved(self.desk.now())
        if first_contact and self._config.live and not self.ledger.watermark.consent_at:
            raise Refused("first contact with this account. Look at `pms recover`, then apply it.", EXIT_FIRST_CONTACT)
        await self._recover(restored)
        await self._open_doors()

    async def _take_over(self) -> bool:
        """Lease, examination and the writer. Returns whether Redis knew no epoch."""
        findings = await server.examine(self._caller)
        for finding in findings:
            _log.warning("redis_finding", code=finding.code, message=finding.message)
        if findings and self._config.live:
            raise Refused(" ".join(finding.message for finding in findings), EXIT_CONFIG)
        taken = await self.lease.take()
        await server.purge_prices(self._caller, self.names)
        await self.store.start(taken)
        async with asyncio.timeout(SPILL_S):
            await self.store.flushed()
        return taken.previous_epoch == 0

    async def _open_venue(self) -> None:
        self.status = "recovering"
        self.market.start()
        self.data.start(self.market)
        try:
            await self.venue.start(self.outcomes)
        except AuthFailed as error:
            raise Refused(str(error), EXIT_AUTH) from error
        self.desk.instruments.update(await self.venue.instruments())

    async def _recover(self, restored: restore.Restored) -> None:
        """What was found is put right before anything resumes; then the kept events are told, then algos go on."""
        alive = last_alive(self._parts.folder)
        down_ms = self._parts.clock.now_ms() - alive if alive else 0
        runners = self.recovery.register(restored.algos)
        for found in restored.quarantined:
            message = f"{found.key} could not be read ({found.reason}). It was moved to quarantine; look at it there."
            self.alarms.sound("record_quarantined", "critical", found.key, message, self.desk.now())
        self._restored.set()
        await self._live.wait()
        await self.recovery.resume(runners, self.lease.epoch, down_ms)

    def _on_user_stream(self, state: UserStreamState) -> None:
        if state.live:
            self._live.set()
        self.watch.on_user_stream(state.live, state.reason)
        if state.gap:
            self.tasks.spawn(self._read_gap(state.gap), f"gap {state.gap}")

    async def _read_gap(self, gap: int) -> None:
        """At the start, and whenever events may be missing: what the venue holds is put right, then the kept events follow."""
        await self._restored.wait()
        await self.recovery.run("user_stream_gap" if self._live.is_set() else "start")
        self.venue.replay(gap)

    async def _open_doors(self) -> None:
        chases = Chases(
            self.desk, self.accounts, self.venue, self._parts.clock, self.lease.epoch, self.hands.blocked
        )
        dispatch = Dispatch(self.desk, chases, self._gate)
        self.inbox = Inbox(
            self._new_caller,
            self.store,
            self.names,
            dispatch,
            self._parts.clock,
            self.tasks,
            self.desk.now,
            self._config.admin_door_only,
        )
        await self.inbox.open()
        self.status = "open"
        self.tasks.spawn(self.health.run(), "health")
        self.tasks.spawn(self._forget(), "forget")

    def _gate(self) -> str:
        return "" if self.status == "open" else self.status

    def read_health(self) -> Health:
        """What `pms:health` shows."""
        status = self.status
        if status == "open" and self.watch.degraded:
            status = "degraded"
        ages = {symbol: age for symbol in self.market.symbols() if (age := self.market.age_ms(symbol)) is not None}
        return Health(
            mode=self.watch.mode,
            status=status,
            reason="; ".join(self.watch.degraded),
            seq=self.store.seq,
            epoch=self.lease.epoch,
            ts=self._parts.clock.now_ms(),
            stream_ages_ms=ages,
            clock_offset_ms=-self.venue.host_clock_error_ms(),
            counts={
                "algos": len(self.desk.runners),
                "openOrders": sum(map(len, self.ledger.open_by_symbol.values())),
                "alarms": len(self.alarms.open),
                "taskFailures": self.tasks.failures,
            },
            blocked=tuple(self.hands.blocked),
            version=VERSION,
        )

    async def _forget(self) -> None:
        """Memory follows the records' lifetime."""
        while True:
            await self._parts.clock.sleep(FORGET_S)
            self.ledger.forget_ended(self.desk.now() - FORGET_AFTER_MS)

    # --- stopping -------------------------------------------------------------------------------------

    def _on_lost(self, reason: str) -> None:
        if not self.ended.done():
            message = f"another daemon holds the account now ({reason}). This one has stopped acting."
            self.ended.set_result(Refused(message, EXIT_LEASE_LOST))

    async def stop(self) -> None:
        """A checkpoint, within 5 s: doors closed, risk-adding children cancelled, everything written, the lease released (law 8).

        The listen key is never deleted (execution.md 21).
        """
        self.status = "stopping"
        if self.inbox is not None:
            await self.inbox.close()
        await self._withdraw_children()
        self.health.write()
        await self._flush()
        await self.venue.close()
        await self.data.close()
        await self._release()
        await self.tasks.close()
        self.store.close()
        self._caller.close()

    async def _withdraw_children(self) -> None:
        """Algos keep their states; quoting children leave, unless told to stay."""
        for runner in tuple(self.desk.runners.values()):
            self.desk.offer(runner, step.StopRequest(self.desk.now()))
        give_up = self._parts.clock.monotonic() + STOP_S
        while self._leaving() and self._parts.clock.monotonic() < give_up:
            await self._parts.clock.sleep(0.01)

    def _leaving(self) -> bool:
        execution = self.desk.execution
        assert execution is not None, "composed with the desk"
        return any(execution.busy(client_id) for ids in self.ledger.open_by_symbol.values() for client_id in ids)

    async def _flush(self) -> None:
        try:
            async with asyncio.timeout(FLUSH_S):
                await self.store.flushed()
        except TimeoutError:
            _log.warning("not_all_written", waiting=self.store.waiting, then="kept in the spill file for the next start")

    async def _release(self) -> None:
        try:
            async with asyncio.timeout(FLUSH_S):
                await self.lease.release()
        except (TimeoutError, Gone) as error:
            _log.warning("lease_not_released", reason=repr(error), then="it runs out by itself")
