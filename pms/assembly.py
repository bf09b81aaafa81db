"""The daemon put together: the one place that knows the concrete classes (design.md rule 11).

Composes and starts nothing. What it stands on comes in as `Parts`, so that the same daemon runs over TCP and in one
process with simulator and a fake Redis.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Protocol

import msgspec

from pms import command_keys
from pms.account_guard import AccountGuard
from pms.account_watch import AccountWatch
from pms.accounts import Accounts
from pms.adapter import adapter
from pms.alarms import Alarms
from pms.allowances import Allowances
from pms.audit import Audit
from pms.binance.market_stream import MarketStream
from pms.binance.transport import Http, Sockets
from pms.binance.venue_clock import VenueClock
from pms.bus.caller import Caller
from pms.bus.lease import Lease
from pms.bus.link import Link
from pms.bus.outbox import Outbox
from pms.bus.store import Store
from pms.bus.trim import Trim
from pms.clock import Clock
from pms.clock_watch import ClockWatch
from pms.commands.identity import OwnerIds
from pms.commands.scope import Scope
from pms.config import Config
from pms.core import limits
from pms.core.backoff import ConnectBudget
from pms.dead_man import DeadMan
from pms.desk import Desk
from pms.disk import Disk, free_bytes
from pms.draining import Draining
from pms.execution import Execution
from pms.exit_evidence import Evidence
from pms.exit_orders import ExitOrders
from pms.exit_price import ExitPrices
from pms.governor import Governor
from pms.halts import HaltFile, Halts
from pms.hands import DeskHands
from pms.health import HealthWriter, last_alive
from pms.income import Incomes
from pms.instruments import Instruments
from pms.ledger import Ledger
from pms.leverage import Leverage
from pms.losses import Losses
from pms.margin_exits import MarginExits
from pms.margin_ladder import MarginLadder
from pms.market import Market
from pms.market_data import TouchFrame
from pms.market_tape import MarketTape, Trades
from pms.outcomes import Outcomes
from pms.plugins import Plugins
from pms.probe import Probe
from pms.records_watch import RecordsWatch
from pms.recover import Recovery
from pms.risk_records import RiskRecords
from pms.sight import Sight
from pms.surplus import Surplus
from pms.tasks import Tasks
from pms.throttle import Throttle
from pms.unresolved import Unresolved
from pms.venue import UserStreamState
from pms.watch import Watch
from schemas.keys import Keys
from schemas.market import Instrument
from schemas.records import Halt, Health, Holder


class Parts(msgspec.Struct, frozen=True):
    """What a daemon stands on. `caller` and `link` open connections to Redis, `chance` gives [0, 1)."""

    http: Http
    sockets: Sockets
    link: Callable[[], Link]
    clock: Clock
    chance: Callable[[], float]
    folder: Path | None
    holder: Holder


class Hears(Protocol):
    """What the parts tell the daemon itself."""

    def on_failure(self, task: str, error: BaseException) -> None:
        """A task of ours ended with an error; it is logged and counted already."""
        ...

    def on_lost(self, reason: str) -> None:
        """Another daemon holds the account."""
        ...

    def on_user_stream(self, state: UserStreamState) -> None: ...

    def read_health(self) -> Health: ...


class Assembly:
    """All parts of one daemon, wired."""

    def __init__(self, config: Config, parts: Parts, hears: Hears) -> None:
        self.config = config
        self.parts = parts
        self.tasks = Tasks(hears.on_failure)
        self.names = Keys(config.namespace)
        self.keyring = command_keys.keyring(config)
        self._compose_bus(hears)
        self._compose_venue()
        self._compose_desk(hears)

    def _compose_bus(self, hears: Hears) -> None:
        parts, clock = self.parts, self.parts.clock
        self.watch = Watch(clock, hears.on_lost)
        self.caller = self.new_caller()
        tell = self.watch.on_store
        self.lease = Lease(self.new_caller(), self.names, clock, self.tasks, parts.holder, parts.folder, tell)
        self.watch.lease_deadline = self.lease.deadline
        outbox = Outbox(parts.folder)
        self.store = Store(parts.link(), self.names, self.lease, clock, self.tasks, outbox, tell)

    def new_caller(self) -> Caller:
        """One more connection to Redis."""
        return Caller(self.parts.link())

    def _compose_venue(self) -> None:
        config, parts = self.config, self.parts
        self.throttle = Throttle(lambda: self.desk)
        venue_clock = VenueClock(parts.clock)
        self.governor = Governor(parts.clock, venue_clock.now_ms, self.throttle, config.rate_limits)
        connects = ConnectBudget(parts.chance, parts.clock.monotonic)
        tail = (parts.clock, self.tasks, connects)
        self.venue = adapter(config, parts.http, parts.sockets, *tail, self.governor, venue_clock)
        wire = (parts.sockets, config.stream_url, *tail)
        shape = (config.depth_speed, config.book_ticker, config.streams_per_socket)
        self.data = MarketStream(self.venue.rest, *wire, *shape)

    def _compose_desk(self, hears: Hears) -> None:
        parts = self.parts
        self.ledger = Ledger(self.names, self.store)
        self.alarms = Alarms(self.ledger)
        self.plugins = Plugins(self.config.plugins, self.alarms)
        self.trim = Trim(self.caller, self.names, parts.clock, parts.folder, self.alarms)
        self.records_watch = RecordsWatch(
            self.caller, self.names, parts.clock, self.alarms, lambda: self.store.seq, self.config.records == "on"
        )
        self.health = HealthWriter(
            self.store, self.names, parts.clock, parts.folder, hears.read_health, self._redis_down
        )
        self._compose_market()
        self.halts = Halts(
            self.ledger, HaltFile(parts.folder), self.venue.time_ms, self.watch.status, self._on_mode, self._on_halt
        )
        self.blocked: dict[str, str] = {}
        self.unresolved = Unresolved(self.alarms, self.venue.time_ms, self.watch.tell)
        self.desk = self._new_desk()
        self.watch.wire(self.desk, self.halts, self.unresolved)
        self.instruments = Instruments(self.venue, self.desk, parts.clock, self.watch.tell)
        self._compose_account()
        self._compose_execution(hears)
        self.draining = Draining(self.desk, parts.clock)
        self.sight = Sight(self.desk, self.venue, parts.clock, self.tasks)
        self.disk = self._disk(parts.folder)
        self.clock_watch = ClockWatch(self.venue, self.watch.on_clock, self.alarms, parts.clock)
        self._compose_books()

    def _compose_execution(self, hears: Hears) -> None:
        """What sends, and hears what became of it."""
        parts = self.parts
        alive = last_alive(parts.folder)
        self.dead_man = DeadMan(self.venue, self.desk, self.alarms, parts.clock, self.config.dead_man, alive)
        self.outcomes = Outcomes(
            self.desk,
            self.watch,
            lambda: self.lease.epoch,
            hears.on_user_stream,
            self.watch.on_fenced,
            self.instruments.ask,
            self.account_watch,
            self.halts.refusal,
            Surplus(self.venue, parts.clock, self.tasks, self.alarms, self.venue.time_ms).look,
            self.dead_man.took,
        )
        self.desk.execution = Execution(self.venue, parts.clock, self.tasks, self.outcomes)
        self.desk.closing = ExitOrders(
            self.desk,
            Evidence(self.desk, self.venue, parts.clock),
            ExitPrices(self.desk, self.venue),
            parts.clock,
            OwnerIds().next,
            lambda: self.lease.epoch,
            self.tape.arrived,
        )
        self.probe = Probe(self.venue, self.desk, self.desk.execution, parts.clock)

    def _compose_market(self) -> None:
        clock, trades = self.parts.clock, Trades()
        told = (self.watch.on_book, self.health.on_price, trades.on_trade, self._on_mark, self._on_ticker)
        self.market = Market(self.data, clock, self.tasks, self.parts.chance, *told)
        self.tape = MarketTape(self.caller, self.names, self.market, trades, clock, self.tasks)

    def _compose_account(self) -> None:
        """What the account is set to at the venue."""
        desk = self.desk
        self.leverage = Leverage(
            self.ledger, self.venue, desk.books.brackets, desk.mark, lambda: self.watch.refusal(False)
        )
        self.account_watch = AccountWatch(self.venue, desk, self.halts, self.leverage, self._look_soon)

    def _on_mark(self, symbol: str, price: Decimal) -> None:
        self.sight.on_mark(symbol, price)

    def _on_ticker(self, instrument: Instrument, frame: TouchFrame) -> None:
        self.sight.on_ticker(instrument, frame)

    def _look_soon(self) -> None:
        self.audit.ask()

    def _on_mode(self) -> None:
        """Something else than before may trade."""
        self.watch.tell()
        self.account_watch.insist()

    def _new_desk(self) -> Desk:
        instruments: dict[str, Instrument] = {}
        now, market, opposing = self.venue.time_ms, self.market, self.config.opposing == "allow"
        allowances = Allowances(self.ledger, market, self.halts, self.blocked, self.unresolved, now, opposing)
        return Desk(self.ledger, market, self.parts.clock, now, self.alarms, instruments, self.tasks, allowances)

    def _compose_books(self) -> None:
        """What keeps the records right against the venue."""
        parts, config = self.parts, self.config
        self.hands = DeskHands(self.desk, self.outcomes, self.venue, self.blocked, self.unresolved)
        self.recovery = Recovery(
            self.desk,
            self.hands,
            self.venue,
            parts.clock,
            config.foreign_policy,
            config.resume_max_age_s * 1000,
            config.resume_max_move_pct,
            self.lease,
            self.watch.on_fenced,
        )
        self.incomes = Incomes(self.venue, self.desk, self.hands)
        self.audit = Audit(
            self.venue,
            self.desk,
            self.hands,
            self.incomes,
            self.recovery,
            parts.clock,
            lambda: self.watch.user_stream,
            self.account_watch,
        )
        self.losses = Losses(self.ledger, self.alarms, lambda name, reason: self.watch.tell())
        closing, action = MarginExits(self.desk), config.margin_action
        ladder = MarginLadder(self.desk, action, closing, self.watch.tell)
        self.risk_records = RiskRecords(self.desk, parts.clock, self.losses, ladder)
        self.guard = AccountGuard(self.venue, self.desk, self.halts, parts.clock, closing, action)
        self.accounts = Accounts(
            self.ledger,
            Decimal(config.sub_account_balance),
            not config.live,
            limits.LIVE if config.live else limits.PAPER,
            self.losses.moved,
        )

    def _on_halt(self, halt: Halt) -> None:
        """One came into force: its scope's entries that no algo takes away leave the market."""
        if not halt.keep_orders:
            Scope.of_halt(halt).withdraw_entries(self.desk)

    def _disk(self, folder: Path | None) -> Disk | None:
        if folder is None:
            return None
        return Disk(lambda: free_bytes(folder), self.parts.clock, self.venue.time_ms, self.alarms, self.watch.on_disk)

    def _redis_down(self) -> bool:
        return self.store.down_since is not None
