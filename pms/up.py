"""The whole stack as one process tree: a Redis of our own, the simulated venue, and the daemon in this process.

Owns what is started, in which order it ends, and bringing a child back that died. Refuses to decide anything else: what
the settings name (PMS_REDIS_URL, PMS_REST_URL) is used and not started. Redis ends last, so that all is written.
"""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Callable
from contextlib import ExitStack

import msgspec
import structlog
import uvloop

from pms import datadir, exits
from pms.assembly import Parts
from pms.binance.http import HttpClient
from pms.binance.ws import WebSockets
from pms.bus import host
from pms.bus.batch import Gone
from pms.bus.lease import LeaseHeld
from pms.bus.link import WireLink
from pms.clock import Clock
from pms.config import PAPER_KEY, PAPER_SECRET, Config, ConfigError, Secret
from pms.daemon import Daemon, Refused
from pms.embedded import EmbeddedRedis, Endpoint
from pms.paper import Listening, PaperVenue
from pms.tasks import Tasks
from schemas.codec import Newer
from schemas.keys import Keys
from schemas.records import RecoveryRun

MIND_S = 1.0  # a dead child is back within this time: well inside the 10 s after which resting children leave
STOP_S = 4.5  # a supervisor kills 5 s after SIGTERM; Redis and the simulator need the rest

_log = structlog.get_logger("pms.up")


class Started(msgspec.Struct, frozen=True):
    """What stands once the doors are open. `redis` and `venue` are None where the settings named them."""

    config: Config
    redis: Endpoint | None
    venue: Listening | None
    epoch: int
    recovery: RecoveryRun | None


class Children(msgspec.Struct, frozen=True):
    """What we started ourselves, of which each may be missing."""

    redis: EmbeddedRedis | None
    venue: PaperVenue | None

    def revive(self) -> None:
        """Bring back what has ended by itself."""
        for name, child in (("redis", self.redis), ("venue", self.venue)):
            if child is not None and child.ended():
                _log.error("child_ended", child=name, then="started again at its address")
                child.revive()


def run(config: Config, market: list[str], clock: Clock, announce: Callable[[Started], None]) -> int:
    """Start all, announce it with the doors open, and run until a signal. Returns the exit code.

    `market` are the simulator's arguments. Raises `datadir.DataDirInUse`, `ConfigError`, and `EmbeddedFailed` or
    `VenueFailed` where a child did not start; `Refused` where the daemon did not start or had to stop.
    """
    if not config.simulated and not (config.rest_url and config.stream_url):
        raise ConfigError(f"PMS_MODE={config.mode} needs PMS_REST_URL and PMS_STREAM_URL. Nothing was started.")
    with datadir.take(config.data_dir) as data, ExitStack() as ending:
        endpoint, redis = None, None
        if not config.redis_url:
            redis = EmbeddedRedis(data, Keys(config.namespace), fsync=config.redis_fsync)
        venue = PaperVenue(data, market) if config.simulated else None
        if venue is not None:
            venue.launch()  # first: it takes longest, and needs nothing of us
            ending.callback(venue.stop)
        if redis is not None:
            ending.callback(redis.stop)
            endpoint = redis.start()
        listening = venue.ready() if venue is not None else None
        settled = _settled(config, endpoint, listening)

        def announced(daemon: Daemon) -> None:
            announce(Started(settled, endpoint, listening, daemon.lease.epoch, daemon.recovery.last))

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_live(settled, clock, Children(redis, venue), announced))


def _settled(config: Config, redis: Endpoint | None, venue: Listening | None) -> Config:
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
        )
    return config


def compose(config: Config, clock: Clock, sockets: WebSockets) -> Daemon:
    """A daemon over TCP. The sockets stay their maker's to close."""
    parts = Parts(
        http=HttpClient(config.rest_url),
        sockets=sockets,
        link=lambda: WireLink(config.redis_url),
        clock=clock,
        chance=random.random,
        folder=config.data_dir,
        holder=host.this_process(),
    )
    return Daemon(config, parts)


async def _live(config: Config, clock: Clock, children: Children, announced: Callable[[Daemon], None]) -> int:
    """The daemon from start to stop. Raises Refused."""
    tasks = Tasks()
    sockets = WebSockets(clock, random.random)
    daemon = compose(config, clock, sockets)
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    signalled = tasks.spawn(told.wait(), "signal")
    tasks.spawn(_mind(children, clock), "children")
    starting = tasks.spawn(_start(daemon), "start")
    try:
        await asyncio.wait((starting, signalled, daemon.ended), return_when=asyncio.FIRST_COMPLETED)
        if starting.done() and (refused := starting.result()) is not None:
            raise refused
        if starting.done():
            announced(daemon)
            await asyncio.wait((signalled, daemon.ended), return_when=asyncio.FIRST_COMPLETED)
        if daemon.ended.done():
            raise daemon.ended.result()
        return exits.OK
    finally:
        starting.cancel()
        await _stop(daemon)
        await sockets.close()
        await tasks.close()


async def _start(daemon: Daemon) -> Refused | None:
    """Start; what stands against it is the result."""
    try:
        await daemon.start()
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


async def _stop(daemon: Daemon) -> None:
    try:
        async with asyncio.timeout(STOP_S):
            await daemon.stop()
    except TimeoutError:
        _log.warning("stop_took_too_long", seconds=STOP_S, then="ended; the next start recovers")


async def _mind(children: Children, clock: Clock) -> None:
    while True:
        await clock.sleep(MIND_S)
        children.revive()
