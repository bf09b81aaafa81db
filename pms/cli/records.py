"""`pms records`: the one program that writes SQL, beside the daemon; and the tables as a Prisma schema.

Owns how the two servers are found, and the words. Refuses to know what is written (pms/records).
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import uvloop

from pms import config, exits, log
from pms.bus.batch import Gone
from pms.bus.caller import Caller
from pms.bus.link import Command, Reply, WireLink
from pms.cli import wire
from pms.clock import Clock, SystemClock
from pms.config import Reach
from pms.log_files import FOLDER
from pms.records import address, postgres, prisma_check
from pms.records.database import Held
from pms.records.journal import Journal
from pms.records.postgres import EmbeddedPostgres
from pms.records.schema import NewerTables
from pms.records.source import Source
from pms.records.writer import Writer
from pms.tasks import Tasks
from schemas.codec import Newer
from schemas.keys import Keys

LOOK_S = 0.2
MIND_S = 1.0  # between looks at how large the log of our Postgres is


class FoundLink:
    """A connection to the daemon's Redis, wherever that says it is by the time it is opened."""

    def __init__(self) -> None:
        self._inner: WireLink | None = None

    async def open(
        self, preamble: Sequence[Command], on_reply: Callable[[Reply], None], on_lost: Callable[[str], None]
    ) -> None:
        self.close()
        try:
            url, _ = wire.find()
        except wire.Unreachable as error:
            raise Gone(str(error)) from error
        self._inner = WireLink(url)
        await self._inner.open(preamble, on_reply, on_lost)

    def send(self, command: Command) -> None:
        assert self._inner is not None, "opened before"
        self._inner.send(command)

    def close(self) -> None:
        if self._inner is not None:
            self._inner.close()
            self._inner = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `pms records`."""
    add = parser.add_argument
    add("what", nargs="?", choices=["check"], help="check FILE: hold a schema.prisma against the tables, write nothing")
    add("file", nargs="?", type=Path, metavar="FILE", help="of `check`")
    add("--no-postgres", action="store_true", help="wait for the private Postgres that another process starts")


def main(args: argparse.Namespace) -> int:
    """Write until a signal, or check a file; returns the exit code."""
    if args.what == "check":
        return _check(args.file)
    try:
        reach = config.reach()
        log.configure(config.log_format())
        if reach.database_url:
            address.read(reach.database_url.reveal())
    except config.ConfigError as error:
        return _refused(str(error), exits.CONFIG)
    server = None
    if not reach.database_url and not args.no_postgres:
        if not postgres.available():
            return _refused(f"No records are kept: {postgres.NOT_FOUND}.", exits.UNAVAILABLE)
        reach.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        server = EmbeddedPostgres(reach.data_dir, reach.postgres_port)
        server.launch()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_write(reach, SystemClock(), server))
    finally:
        if server is not None:
            server.stop()


def _check(file: Path | None) -> int:
    """What does not fit, line by line; the exit code says whether anything does not."""
    if file is None:
        return _refused("Which file? pms records check FILE.", exits.USAGE)
    try:
        found = prisma_check.differences(file.read_text())
    except (OSError, UnicodeDecodeError) as error:
        return _refused(f"{file} can't be read: {error}.", exits.USAGE)
    for line in found:
        print(line)
    print(f"{len(found)} differences." if found else f"{file} fits the tables that pms keeps.")
    return exits.NO if found else exits.OK


def _refused(message: str, code: int) -> int:
    print(f"{message} (exit code {code})", file=sys.stderr)
    return code


async def _write(reach: Reach, clock: Clock, server: EmbeddedPostgres | None) -> int:
    """The writer from start to stop; the exit code."""
    tasks, told = Tasks(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    try:
        signalled = tasks.spawn(told.wait(), "signal")
        writing = tasks.spawn(_until_refused(reach, clock), "records")
        if server is not None:
            tasks.spawn(_mind(server, clock), "postgres log")
        await asyncio.wait((signalled, writing), return_when=asyncio.FIRST_COMPLETED)
        return writing.result() if writing.done() else exits.OK
    finally:
        await tasks.close()


async def _mind(server: EmbeddedPostgres, clock: Clock) -> None:
    while True:
        await clock.sleep(MIND_S)
        server.log.look()


async def _until_refused(reach: Reach, clock: Clock) -> int:
    """Write as long as it may be; what stands against it is told, and is the exit code."""

    async def find() -> address.Address:
        while not (url := reach.database_url.reveal() or postgres.url_of(reach.data_dir)):
            await clock.sleep(LOOK_S)
        return address.read(url)

    try:
        source = Source(Caller(FoundLink()), Keys(reach.namespace), reach.data_dir)
        journal = Journal(reach.data_dir / FOLDER)
        try:
            await Writer(source, find, clock, reach.namespace, reach.keep_days, journal).run()
        finally:
            journal.close()
    except Held as error:
        return _refused(f"Nothing was written: {error}.", exits.LEASE_HELD)
    except (NewerTables, Newer) as error:
        return _refused(f"Nothing was written: {error}", exits.NEWER_DATA)
    return exits.BROKEN
