"""`pms backup`: state, events, records and the data directory's own files into one file, and back again.

Owns the words and which servers are asked. Refuses to overwrite anything that is there.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from pms import config, datadir, exits, log
from pms.bus.batch import Gone
from pms.bus.caller import Caller
from pms.bus.link import Refusal, WireLink
from pms.cli import wire
from pms.clock import Clock, SystemClock
from pms.config import Reach
from pms.datadir import DataDirInUse
from pms.embedded import EmbeddedFailed, EmbeddedRedis
from pms.records import address, backup, postgres, schema
from pms.records.address import Address
from pms.records.backup import Manifest, Refused
from pms.records.columns import instant
from pms.records.database import UNUSABLE, Away, Database, Held, engine_of, open_connection
from pms.records.postgres import EmbeddedPostgres
from schemas.keys import Keys

LIMIT_S, LOOK_S = 30, 0.1
CAUGHT = (Away, Held, Gone, Refusal, Refused, wire.Unreachable, DataDirInUse, EmbeddedFailed, schema.NewerTables)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `pms backup`."""
    add = parser.add_argument
    add("file", nargs="?", type=Path, metavar="FILE", help="default: pms-backup-TIME.tar here")
    add("--restore", action="store_true", help="put FILE back into an empty Redis and database; nothing may run")
    add("--json", action="store_true", help="what it holds as one JSON object")


def main(args: argparse.Namespace) -> int:
    """Make one, or put one back."""
    log.configure(config.log_format())
    reach, clock = config.reach(), SystemClock()
    file = args.file or Path(f"pms-backup-{datetime.fromtimestamp(clock.now_ms() // 1000, UTC):%Y%m%dT%H%M%SZ}.tar")
    try:
        if args.restore:
            manifest = _restored(reach, file, clock)
        else:
            redis_url, keys = wire.find()
            manifest = asyncio.run(_made(reach, redis_url, keys, file, clock))
    except (*CAUGHT, *UNUSABLE) as error:
        done = "Nothing was put back" if args.restore else "No backup was made"
        print(f"{done}: {error} (exit code {exits.UNAVAILABLE})", file=sys.stderr)
        return exits.UNAVAILABLE
    if args.json:
        print(msgspec.json.encode(manifest).decode())
    else:
        rows = sum(manifest.rows.values())
        word = "put back from" if args.restore else "are in"
        print(f"{manifest.keys} state keys, {manifest.events} events and {rows} rows of SQL {word} {file}.")
    return exits.OK


async def _made(reach: Reach, redis_url: str, keys: Keys, file: Path, clock: Clock) -> Manifest:
    url = reach.database_url.reveal() or postgres.url_of(reach.data_dir)
    caller = Caller(WireLink(redis_url))
    try:
        where = address.read(url) if url else None
        return await backup.make(file, caller, keys, where, reach.data_dir, clock.now_ms())
    finally:
        caller.close()


def _restored(reach: Reach, file: Path, clock: Clock) -> Manifest:
    """Into our own servers, started for it, where none are named."""
    manifest, members = backup.read(file)
    keys = Keys(reach.namespace)
    with _redis(reach, keys) as redis_url, _database(reach, bool(manifest.rows)) as url:
        asyncio.run(_put_back(manifest, members, redis_url, keys, url, clock))
    backup.put_files_back(members, reach.data_dir)
    return manifest


@contextmanager
def _redis(reach: Reach, keys: Keys) -> Iterator[str]:
    if reach.redis_url:
        yield reach.redis_url
        return
    with datadir.take(reach.data_dir) as data:
        server = EmbeddedRedis(data, keys, port=0)
        try:
            yield server.start().url_unix
        finally:
            server.stop()


@contextmanager
def _database(reach: Reach, wanted: bool) -> Iterator[str]:
    if reach.database_url or not wanted:
        yield reach.database_url.reveal()
        return
    server = EmbeddedPostgres(reach.data_dir)
    server.launch()
    try:
        yield ""
    finally:
        server.stop()


async def _put_back(
    manifest: Manifest, members: dict[str, bytes], redis_url: str, keys: Keys, url: str, clock: Clock
) -> None:
    caller = Caller(WireLink(redis_url))
    try:
        if manifest.rows:
            where = address.read(url) if url else await _private(clock)
            await _prepared(where, members, keys, clock)
            await backup.put_tables_back(manifest, members, where)
        await backup.put_state_back(manifest, members, caller, keys)
    finally:
        caller.close()


async def _private(clock: Clock) -> Address:
    """Where the Postgres that was just started answers. Raises `Away`."""
    deadline = clock.monotonic() + LIMIT_S
    while clock.monotonic() < deadline:
        if url := postgres.url_of(config.reach().data_dir):
            engine = engine_of(where := address.read(url))
            try:
                await (await open_connection(engine)).close()
            except Away:
                await clock.sleep(LOOK_S)
                continue
            return where
        await clock.sleep(LOOK_S)
    raise Away(f"Postgres did not start within {LIMIT_S} s")


async def _prepared(where: Address, members: dict[str, bytes], keys: Keys, clock: Clock) -> None:
    """Tables of this version, and a partition for each day. Raises `Held` where a writer runs."""
    engine = engine_of(where)
    connection = await open_connection(engine)
    try:
        await Database(connection, where.schema, keys.namespace).open(instant(clock.now_ms()))
        for table, days in backup.days_of(members).items():
            await schema.ensure_days(connection, table, sorted(days))
        await connection.commit()
    finally:
        await connection.close()
        await engine.dispose()
