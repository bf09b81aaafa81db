"""A backup in one file: the state keys and the event stream, every table of the records, and the data directory's own.

Owns what is in it and putting it back. Refuses to overwrite anything: it is put back into a Redis and a database that
hold nothing of ours. The state keys are those of one moment (one transaction of Redis), the tables of one snapshot.
"""

from __future__ import annotations

import base64
import csv
import gzip
import hashlib
import io
import tarfile
from collections.abc import AsyncIterator, Iterable
from datetime import date
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from pms.bus.caller import Caller
from pms.bus.link import Command, Refusal
from pms.records.address import Address
from pms.records.prisma import table_of
from pms.records.schema import PARTITIONED, VERSION_TABLE
from pms.records.state import PAGE, StateKeys
from pms.records.tables import TABLES
from schemas import codec
from schemas.events import Numbered
from schemas.keys import STREAM_FIELD, Keys

MANIFEST, STATE, EVENTS, SQL, FILES = "manifest.json", "redis.jsonl.gz", "events.jsonl.gz", "sql", "files"
KEPT_FILES = ("halt.json", "plugins.txt", "seq", "events/*.gz")  # secrets are made anew, and never copied
LOOKS = 5  # for keys that are made while their names are being read
WITHIN_S = 60.0


class Refused(Exception):
    """Nothing was put back; the text says why."""


class Kept(msgspec.Struct, frozen=True):
    """A state key: Redis' own serialisation of its value, in base64."""

    key: str
    ttl_ms: int
    dump: str


class Manifest(msgspec.Struct, frozen=True, rename="camel"):
    """What a backup holds. `seq` is the last event that the state keys contain; `sha256` is of each member."""

    made_at: int
    namespace: str
    seq: int
    keys: int
    events: int
    rows: dict[str, int]
    sha256: dict[str, str]


# --- making one -------------------------------------------------------------------------------------------


async def make(file: Path, caller: Caller, keys: Keys, where: Address | None, data: Path, now: int) -> Manifest:
    """Write a backup as a whole or not at all. `where` None: the records are not in it. Raises what the callers raise,
    and OSError."""
    state, seq = await _state(caller, keys)
    events = [body async for body in _events(StateKeys(caller, keys), seq)]
    members = {STATE: _packed([msgspec.json.encode(kept) for kept in state]), EVENTS: _packed(events)}
    rows: dict[str, int] = {}
    if where is not None:
        for table, (count, text) in (await _tables(where)).items():
            members[f"{SQL}/{table}.csv.gz"], rows[table] = gzip.compress(text, mtime=0), count
    members |= _own_files(data)
    sums = {name: _sha256(body) for name, body in members.items()}
    manifest = Manifest(now, keys.namespace, seq, len(state), len(events), rows, sums)
    members = {MANIFEST: msgspec.json.format(msgspec.json.encode(manifest)), **members}
    _write(file, members, now)
    return manifest


def _own_files(data: Path) -> dict[str, bytes]:
    found = [path for pattern in KEPT_FILES for path in sorted(data.glob(pattern))]
    return {f"{FILES}/{path.relative_to(data)}": path.read_bytes() for path in found}


def _write(file: Path, members: dict[str, bytes], now: int) -> None:
    """As a whole or not at all, for its owner only."""
    fresh = file.with_name(f"{file.name}.new")
    fresh.touch(mode=0o600)
    with tarfile.open(fresh, "w") as archive:
        for name, body in members.items():
            head = tarfile.TarInfo(name)
            head.size, head.mtime, head.mode = len(body), now // 1000, 0o600
            archive.addfile(head, io.BytesIO(body))
    fresh.replace(file)


async def _state(caller: Caller, keys: Keys) -> tuple[list[Kept], int]:
    """Every key but the streams, all of one moment, and the number of the last event by then."""
    reader, names = StateKeys(caller, keys), set[str]()
    found: list[Any] = [[]]
    streams = {keys.event_stream, keys.market_stream, keys.commands, keys.admin}
    for _ in range(LOOKS):
        fresh = set(await reader.names(f"{keys.namespace}:*")) - streams
        if fresh <= names:
            break
        names |= fresh
        words: list[Command] = [("MULTI",), ("XREVRANGE", keys.event_stream, "+", "-", "COUNT", 1)]
        for name in sorted(names):
            words += [("DUMP", name), ("PTTL", name)]
        answer = (await caller.calls([*words, ("EXEC",)], WITHIN_S))[-1]
        assert isinstance(answer, list), "EXEC answers a list"
        found = answer
    newest, *told = found
    pairs = zip(sorted(names), told[::2], told[1::2], strict=True)
    kept = [Kept(name, max(0, ttl), base64.b64encode(dump).decode()) for name, dump, ttl in pairs if dump is not None]
    return kept, int(newest[0][0].split(b"-")[0]) if newest else 0


async def _events(reader: StateKeys, last: int) -> AsyncIterator[bytes]:
    after = 0
    while page := await reader.events(after, last):
        for body in page:
            yield body
        after = codec.decode(Numbered, page[-1]).seq


def _packed(lines: Iterable[bytes]) -> bytes:
    return gzip.compress(b"".join(line + b"\n" for line in lines), mtime=0)


async def _tables(where: Address) -> dict[str, tuple[int, bytes]]:
    """Every table as CSV with its number of rows, all of one snapshot."""
    found: dict[str, tuple[int, bytes]] = {}
    connection = await _connect(where)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            for name in [*(table_of(model).name for model in TABLES), VERSION_TABLE]:
                text = io.BytesIO()
                told = await connection.copy_from_query(f"SELECT * FROM {name}", output=text, format="csv", header=True)
                found[name] = int(told.split()[-1]), text.getvalue()
    finally:
        await connection.close()
    return found


async def _connect(where: Address) -> asyncpg.Connection:
    return await asyncpg.connect(where.dsn, server_settings={"search_path": where.schema, "timezone": "UTC"})


# --- putting it back --------------------------------------------------------------------------------------


def read(file: Path) -> tuple[Manifest, dict[str, bytes]]:
    """A backup's members, each as it was made. Raises `Refused`."""
    try:
        with tarfile.open(file) as archive:
            members = {head.name: stream.read() for head in archive if (stream := archive.extractfile(head))}
        manifest = msgspec.json.decode(members.pop(MANIFEST), type=Manifest)
    except (OSError, tarfile.TarError, KeyError, msgspec.DecodeError) as error:
        raise Refused(f"{file} is no backup that can be read ({error})") from error
    damaged = [name for name, wanted in manifest.sha256.items() if _sha256(members.get(name, b"")) != wanted]
    if damaged:
        raise Refused(f"{file} is damaged: {', '.join(damaged)}")
    return manifest, members


async def put_state_back(manifest: Manifest, members: dict[str, bytes], caller: Caller, keys: Keys) -> None:
    """State keys and events into a Redis that holds nothing of ours. Raises `Refused`, and what the caller raises."""
    if manifest.namespace != keys.namespace:
        raise Refused(f"it is of the namespace {manifest.namespace}, not {keys.namespace}")
    if await StateKeys(caller, keys).names(f"{keys.namespace}:*"):
        raise Refused("Redis holds state already, and a backup is put back into an empty one only")
    words: list[Command] = []
    for line in gzip.decompress(members[STATE]).splitlines():
        kept = msgspec.json.decode(line, type=Kept)
        if kept.key not in (keys.lease, keys.health):  # whoever held it holds it no more
            words.append(("RESTORE", kept.key, kept.ttl_ms, base64.b64decode(kept.dump)))
    words += [
        ("XADD", keys.event_stream, f"{codec.decode(Numbered, body).seq}-0", STREAM_FIELD, body)
        for body in gzip.decompress(members[EVENTS]).splitlines()
    ]
    for start in range(0, len(words), PAGE):
        for reply in await caller.calls(words[start : start + PAGE], WITHIN_S):
            if isinstance(reply, Refusal):
                raise reply


async def put_tables_back(manifest: Manifest, members: dict[str, bytes], where: Address) -> None:
    """The records into a database that holds none; all or nothing. Raises `Refused`."""
    connection = await _connect(where)
    try:
        async with connection.transaction():
            version = await connection.fetchval(f"SELECT version_num FROM {VERSION_TABLE}")
            wanted = gzip.decompress(members[f"{SQL}/{VERSION_TABLE}.csv.gz"]).decode().split()[-1]
            if version != wanted:
                raise Refused(
                    f"its tables are of version {wanted}, these of {version}: start that version of pms first"
                )
            if await connection.fetchval("SELECT max(seq) FROM applied"):
                raise Refused("the database holds records already, and a backup is put back into an empty one only")
            await connection.execute("DELETE FROM applied")
            for name in manifest.rows:
                if name != VERSION_TABLE:
                    text = gzip.decompress(members[f"{SQL}/{name}.csv.gz"])
                    await connection.copy_to_table(name, source=io.BytesIO(text), format="csv", header=True)
    finally:
        await connection.close()


def days_of(members: dict[str, bytes]) -> dict[str, set[date]]:
    """The days whose partitions a backup needs, by table."""
    needed: dict[str, set[date]] = {}
    for name in PARTITIONED:
        text = gzip.decompress(members.get(f"{SQL}/{name}.csv.gz", gzip.compress(b""))).decode()
        needed[name] = {date.fromisoformat(row["ts"][:10]) for row in csv.DictReader(io.StringIO(text))}
    return needed


def put_files_back(members: dict[str, bytes], data: Path) -> list[str]:
    """The data directory's own files, but for those that are there. Returns what was written."""
    written = []
    for name, body in members.items():
        path = data / name.removeprefix(f"{FILES}/")
        if name.startswith(f"{FILES}/") and data in path.resolve().parents and not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_bytes(body)
            written.append(path.name)
    return written


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
