"""The whole stack as one process tree: a Redis of our own, the simulated venue, and the daemon in this process.

Owns what is started, in which order it ends, and bringing a child back that died. Refuses to decide anything else: what
the settings name (PMS_REDIS_URL, PMS_REST_URL) is used and not started. Redis ends last, so that all is written.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import TypeVar

import msgspec
import structlog
import uvloop

from pms import collector, datadir, exits, log
from pms.assembly import Parts
from pms.binance.http import HttpClient
from pms.binance.ws import WebSockets
from pms.bus import host
from pms.bus.batch import Gone
from pms.bus.lease import LeaseHeld
from pms.bus.link import WireLink
from pms.clock import Clock
from pms.config import PAPER_KEY, PAPER_SECRET, Config, ConfigError, Secret, notify, reach
from pms.daemon import Daemon, Refused
from pms.datadir import DataDir
from pms.embedded import EmbeddedRedis, Endpoint
from pms.log_files import FOLDER, RotatedFile
from pms.paper import Listening, PaperVenue
from pms.records.beside import KeptRecords
from pms.service_manager import ServiceManager
from pms.tasks import Tasks
from schemas.codec import Newer
from schemas.keys import Keys
from schemas.records import RecoveryRun

MIND_S = 1.0  # a dead child is back within this time: well inside the 10 s after which resting children leave
STOP_S = 4.5  # a supervisor kills 5 s after SIGTERM; Redis and the simulator need the rest

_log = structlog.get_logger("pms.up")
T = TypeVar("T")


class Started(msgspec.Struct, frozen=True):
    """What stands once the doors are open. `redis` and `venue` are None where the settings named them; `records` says
    where they are kept, "" where nobody was asked to keep any; `algos` of a former life go on."""

    config: Config
    redis: Endpoint | None
    venue: Listening | None
    epoch: int
    recovery: RecoveryRun | None
    records: str = ""
    algos: int = 0


class Children(msgspec.Struct, frozen=True):
    """What we started ourselves, of which each may be missing."""

    redis: EmbeddedRedis | None
    venue: PaperVenue | None
    records: KeptRecords | None = None

    def revive(self) -> None:
        """Bring back what has ended by itself, and keep the logs of all bounded."""
        for name, child in (("redis", self.redis), ("venue", self.venue)):
            if child is None:
                continue
            child.log.look()
            if child.ended():
                _log.error("child_ended", child=name, then="started again at its address")
                child.revive()
        if self.records is not None:
            self.records.revive()


class Stack(msgspec.Struct, frozen=True):
    """What a daemon stands on: the settings with the addresses in them, and what of it we started."""

    config: Config
    endpoint: Endpoint | None
    listening: Listening | None
    children: Children


@contextmanager
def stack(config: Config, market: list[str], records: bool = False) -> Iterator[Stack]:
    """Hold the data directory and run what the settings do not name. `market` are the simulator's arguments.
    `records`: the writer of SQL may be started, too; it is once the doors are open.

    Raises `datadir.DataDirInUse`, `ConfigError`, and `EmbeddedFailed` or `VenueFailed` where a child did not start.
    """
    if not config.simulated and not (config.rest_url and config.stream_url):
        raise ConfigError(f"PMS_MODE={config.mode} needs PMS_REST_URL and PMS_STREAM_URL. Nothing was started.")
    os.umask(0o077)  # whatever this process writes is for its owner only
    with _held(config) as data, ExitStack() as ending:
        endpoint, redis = None, None
        if not config.redis_url:
            redis = EmbeddedRedis(data, Keys(config.namespace), fsync=config.redis_fsync)
        venue = PaperVenue(data, _followed(config) + market) if config.simulated else None
        if venue is not None:
            venue.launch()  # first: it takes longest, and needs nothing of us
            ending.callback(venue.stop)
        if redis is not None:
            ending.callback(redis.stop)
            endpoint = redis.start()
        listening = venue.ready() if venue is not None else None
        config = settled(config, endpoint, listening)
        kept = KeptRecords(config, reach()) if records and config.records == "on" else None
        if kept is not None:
            ending.callback(kept.stop)
        yield Stack(config, endpoint, listening, Children(redis, venue, kept))


def _followed(config: Config) -> list[str]:
    """The simulator's arguments for a market that is somewhere else."""
    return ["--follow", *config.followed] if config.followed else []


def _held(config: Config) -> DataDir:
    try:
        return datadir.take(config.data_dir)
    except OSError as error:
        message = f"PMS_DATA_DIR {config.data_dir} can't be used: {error.strerror}. Nothing was started."
        raise ConfigError(message) from error


def run(
    config: Config, market: list[str], clock: Clock, announce: Callable[[Started], None], records: bool = False
) -> int:
    """Start all, announce it with the doors open, and run until a signal. Returns the exit code.

    Raises as `stack` does, and `Refused` where the daemon did not start or had to stop.
    """
    with stack(config, market, records) as stands, _logged(config):
        kept = stands.children.records

        def announced(daemon: Daemon) -> None:
            where = "" if kept is None else kept.launch()
            epoch, recovery = daemon.lease.epoch, daemon.recovery.last
            algos = len(daemon.desk.runners)
            announce(Started(stands.config, stands.endpoint, stands.listening, epoch, recovery, where, algos))

        return on_loop(_live(stands.config, clock, stands.children, announced))


@contextmanager
def _logged(config: Config) -> Iterator[None]:
    """Keep the log in the data directory, too, once that is ours."""
    log.keep(RotatedFile(config.data_dir / FOLDER, log.SYSTEM))
    try:
        yield
    finally:
        log.keep(None)


def on_loop(work: Coroutine[None, None, T]) -> T:
    """Run `work` on the loop that the daemon is measured on."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def settled(config: Config, redis: Endpoint | None, venue: Listening | None) -> Config:
    """The settings with the addresses of what we started. Real keys never meet the simulator."""
    if redis is not None:
        config = msgspec.structs.replace(config, redis_url=redis.url_unix)
    if venue is not None:
        config = msgspec.structs.replace(
            config,
            rest_url=venue.rest,
            stream_url=venue.streams,
            api_key=Secret(PAPER_KEY),
            api_secret=Secret(PAPER_SECRET),
            key_type="hmac",
            ws_api_url="",
        )
    return config


@asynccontextmanager
async def composed(config: Config, clock: Clock) -> AsyncIterator[Daemon]:
    """A daemon over TCP, not started yet; stopped at the end."""
    sockets = WebSockets(clock, random.random)
    parts = Parts(
        http=HttpClient(config.rest_url),
        sockets=sockets,
        link=lambda: WireLink(config.redis_url),
        clock=clock,
        chance=random.random,
        folder=config.data_dir,
        holder=host.this_process(),
    )
    daemon = Daemon(config, parts)
    try:
        yield daemon
    finally:
        try:
            async with asyncio.timeout(STOP_S):
                await daemon.stop()
        except TimeoutError:
            _log.warning("stop_took_too_long", seconds=STOP_S, then="ended; the next start recovers")
        await sockets.close()


async def _live(config: Config, clock: Clock, children: Children, announced: Callable[[Daemon], None]) -> int:
    """The daemon from start to stop. Raises Refused."""
    tasks, told, manager = Tasks(), asyncio.Event(), ServiceManager(notify())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    try:
        async with composed(config, clock) as daemon:
            signalled = tasks.spawn(told.wait(), "signal")
            tasks.spawn(_mind(children, clock), "children")
            asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, daemon.draining.begin)
            drained = tasks.spawn(daemon.draining.finished(), "drain")
            starting = tasks.spawn(attempt(daemon.start()), "start")
            await asyncio.wait((starting, signalled, daemon.ended), return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                if (refused := starting.result()) is not None:
                    raise refused
                collector.settle()
                announced(daemon)
                manager.ready()
                tasks.spawn(manager.watch(clock), "watchdog")
                await asyncio.wait((signalled, drained, daemon.ended), return_when=asyncio.FIRST_COMPLETED)
            manager.stopping()
            starting.cancel()
            if daemon.ended.done():
                raise daemon.ended.result()
            return exits.OK
    finally:
        await tasks.close()
        manager.close()


async def attempt(start: Coroutine[None, None, None]) -> Refused | None:
    """Start a daemon; what stands against it is the result."""
    try:
        await start
    except Refused as refused:
        return refused
    except LeaseHeld as held:
        return Refused(str(held), exits.LEASE_HELD)
    except Newer as newer:
        return Refused(str(newer), exits.NEWER_DATA)
    except Gone as gone:
        message = (
            f"Redis can't be used ({gone}). Nothing was sent. See that it runs at PMS_REDIS_URL; then start again."
        )
        return Refused(message, exits.UNAVAILABLE)
    return None


async def _mind(children: Children, clock: Clock) -> None:
    while True:
        await clock.sleep(MIND_S)
        children.revive()
