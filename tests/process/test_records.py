"""The records' writer and the private Postgres as real processes: killed, doubled, started under `pms up`."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
import redis

from pms import exits
from pms.child import free_port
from pms.datadir import DataDir, runs
from pms.embedded import EmbeddedRedis
from pms.records import cluster, postgres
from pms.records.postgres import EmbeddedPostgres, url_of
from schemas.keys import STREAM_FIELD, Keys
from tests.contract.records import flood
from tests.process.stack import ROOT
from tests.process.typed import STILL, Up, environment, until_gone
from tests.waiting import until

KEYS = Keys()
LIMIT_S = 20
RATE = 600  # events a second
STEP = 40  # whole orders at a time
MOST_A_KILL = 6_000  # events until a writer must have come further, also on a busy machine
CATCH_UP_S = 120  # a minute's events at a third of the pace of a quiet machine


# A daemon in miniature: starts the private Postgres, says its pid, waits to be killed.
PARENT = """
import sys, time
from pathlib import Path
from pms.records.postgres import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
server.launch()
print(server.pid, flush=True)
time.sleep(60)
"""


def ask(url: str, statement: str) -> list[tuple[object, ...]]:
    """The rows of one statement."""

    async def asked() -> list[tuple[object, ...]]:
        connection = await asyncpg.connect(url)
        try:
            return [tuple(row) for row in await connection.fetch(statement)]
        finally:
            await connection.close()

    return asyncio.run(asked())


def answers(data: Path) -> bool:
    try:
        return bool(url_of(data)) and ask(url_of(data), "SELECT 1") == [(1,)]
    except (OSError, asyncpg.PostgresError):
        return False


def until_answers(server: EmbeddedPostgres, data: Path) -> None:
    until(lambda: server.ended() or answers(data), LIMIT_S, "Postgres answers")
    assert not server.ended(), server.log.path.read_text()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def server(data: Path) -> Iterator[EmbeddedPostgres]:
    started = EmbeddedPostgres(data)
    started.launch()
    yield started
    started.stop()


@pytest.fixture
def streams(data: Path) -> Iterator[redis.Redis]:
    """A private Redis, with its address in the data directory."""
    with DataDir(data) as held:
        private = EmbeddedRedis(held, KEYS, port=0, fsync="no")
        with redis.Redis.from_url(private.start().url_unix) as client:
            yield client
        private.stop()


class RecordsWriter:
    """`pms records` beside a Postgres that runs."""

    def __init__(self, data: Path) -> None:
        self.log = data / "records.log"
        with self.log.open("ab") as told:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pms", "records", "--no-postgres"],
                cwd=ROOT,
                env=environment(data),
                stdout=told,
                stderr=told,
            )

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(LIMIT_S)


@pytest.fixture
def writers(data: Path) -> Iterator[Callable[[], RecordsWriter]]:
    """Starts writers; what still runs at the end is ended."""
    started: list[RecordsWriter] = []

    def start() -> RecordsWriter:
        started.append(RecordsWriter(data))
        return started[-1]

    yield start
    for writer in started:
        if writer.process.poll() is None:
            writer.end(signal.SIGKILL)


def seq_in(streams: redis.Redis) -> int:
    raw = streams.get(KEYS.records)
    return 0 if raw is None else json.loads(raw)["seq"]


def digest(bodies: list[str]) -> tuple[int, str]:
    """How many events, and the hash of all that they say in a form of its own."""
    told = [json.dumps(json.loads(body, parse_float=str, parse_int=str), sort_keys=True) for body in bodies]
    return len(told), hashlib.sha256("\n".join(told).encode()).hexdigest()


def publish(streams: redis.Redis, events: list[bytes], first: int) -> None:
    pipe = streams.pipeline(transaction=False)
    for number, body in enumerate(events, first):
        pipe.xadd(KEYS.event_stream, {STREAM_FIELD: body}, id=f"{number}-0")
    pipe.execute()


class _Pace:
    """A time to keep, by Redis' clock."""

    def __init__(self, streams: redis.Redis) -> None:
        self._streams = streams
        self._began = streams.time()

    def wait(self, seconds: float) -> None:
        until(lambda: self._since() >= seconds, 5, "the pace")

    def _since(self) -> float:
        now = self._streams.time()
        return now[0] - self._began[0] + (now[1] - self._began[1]) / 1e6


@pytest.mark.crash
@pytest.mark.parametrize("wanted", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_killed_again_and_again_under_a_flood_the_tables_are_the_event_log(
    wanted: int, data: Path, server: EmbeddedPostgres, streams: redis.Redis, writers: Callable[[], RecordsWriter]
) -> None:
    events = flood.orders(wanted * MOST_A_KILL // 4)
    until_answers(server, data)
    writer = writers()
    kills, written, told = 0, 0, 0
    while kills < wanted or told < wanted * RATE:
        pace = _Pace(streams)
        publish(streams, events[told : told + STEP], told + 1)
        told += STEP
        assert told < len(events), f"the writer came no further than {written}: {writer.log.read_text()[-2000:]}"
        if kills < wanted and seq_in(streams) > written + STEP:
            writer.end(signal.SIGKILL)
            written = seq_in(streams)
            writer = writers()
            kills += 1
        pace.wait(STEP / RATE)
    events = events[:told]
    until(lambda: seq_in(streams) == told, CATCH_UP_S, f"all is written: {writer.log.read_text()[-2000:]}")
    whole(url_of(data), events)
    assert writer.end() == exits.OK


def whole(url: str, events: list[bytes]) -> None:
    """The tables are the flood: counted and hashed."""
    logged = [str(row[0]) for row in ask(url, "SELECT payload::text FROM events ORDER BY seq")]
    assert digest(logged) == digest([body.decode() for body in events])
    ((orders, filled),) = ask(url, "SELECT count(*), sum(filled_qty) FROM orders WHERE state = 'filled'")
    ((fills, quantity, paid),) = ask(url, "SELECT count(*), sum(quantity), sum(commission) FROM fills")
    count = len(events)
    assert (orders, filled) == (count // 4, count // 4 * flood.QUANTITY)
    assert (fills, quantity, paid) == (count // 2, filled, count // 2 * flood.FEE)
    assert ask(url, "SELECT * FROM gaps") == []


@pytest.mark.faults
@pytest.mark.slow
def test_a_database_that_is_stopped_for_a_minute_under_a_flood_is_caught_up_with(
    data: Path, server: EmbeddedPostgres, streams: redis.Redis, writers: Callable[[], RecordsWriter]
) -> None:
    stopped_s = 60
    events = flood.orders(stopped_s * RATE // 4)
    until_answers(server, data)
    writer = writers()
    publish(streams, events[:100], 1)
    until(lambda: seq_in(streams) == 100, LIMIT_S, "the first are written")
    os.kill(server.pid, signal.SIGKILL)
    until(server.ended, 5, "Postgres is gone")
    for start in range(100, len(events), RATE):
        pace = _Pace(streams)
        publish(streams, events[start : start + RATE], start + 1)
        pace.wait(1)
    assert seq_in(streams) == 100
    server.launch()
    until(lambda: seq_in(streams) == len(events), CATCH_UP_S, "it has caught up")
    whole(url_of(data), events)
    assert writer.end() == exits.OK


@pytest.mark.faults
def test_a_database_that_was_away_is_caught_up_with_and_a_second_writer_is_refused(
    data: Path, server: EmbeddedPostgres, streams: redis.Redis, writers: Callable[[], RecordsWriter]
) -> None:
    events = flood.orders(500)
    until_answers(server, data)
    first = writers()
    publish(streams, events[:100], 1)
    until(lambda: seq_in(streams) == 100, LIMIT_S, "the first are written")
    second = writers()
    assert second.process.wait(LIMIT_S) == exits.LEASE_HELD
    assert "another writer" in second.log.read_text()
    os.kill(server.pid, signal.SIGKILL)
    until(server.ended, 5, "Postgres is gone")
    publish(streams, events[100:], 101)
    until(lambda: "records_wait" in first.log.read_text(), LIMIT_S, "it waits")
    assert seq_in(streams) == 100
    server.launch()
    until(lambda: seq_in(streams) == len(events), LIMIT_S, "it has caught up")
    logged = [str(row[0]) for row in ask(url_of(data), "SELECT payload::text FROM events ORDER BY seq")]
    assert digest(logged) == digest([body.decode() for body in events])
    assert first.end() == exits.OK


def test_up_keeps_records_of_what_its_daemon_does(tmp_path: Path) -> None:
    stack = Up(tmp_path / "data", *STILL, PMS_RECORDS="on")
    children = stack.children()
    assert len(children) == 4
    assert "private PostgreSQL" in stack.told["records"]
    chase = json.loads(stack.pms("chase", "BTCUSDT", "BUY", "0.010", "--json").stdout)
    run = f"SELECT kind, status FROM algo_runs WHERE algo_id = '{chase['chaseId']}'"

    def known() -> object:
        try:
            return ask(url_of(stack.data), run)
        except (OSError, asyncpg.PostgresError):
            return None

    until(known, LIMIT_S, f"the chase is in SQL: {(stack.data / 'records.log').read_text()[-2000:]}")
    assert ask(url_of(stack.data), run) == [("chase", "active")]
    assert stack.end(signal.SIGTERM) == exits.OK
    until_gone(children)


@pytest.mark.crash
def test_the_private_postgres_ends_with_its_killed_parent_and_the_next_one_sees_its_rows(data: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, data], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        until(lambda: answers(data), LIMIT_S, "Postgres answers")
        ask(url_of(data), "CREATE TABLE kept AS SELECT 1 AS one")
        parent.kill()
        parent.wait()
    server = EmbeddedPostgres(data)
    server.launch()  # waits for the other's end by itself
    try:
        until_answers(server, data)
        assert not runs(pid)
        assert ask(url_of(data), "SELECT one FROM kept") == [(1,)]
        assert oct(data.joinpath("records").stat().st_mode)[-3:] == "700"
    finally:
        server.stop()
    assert not answers(data)


def test_by_tcp_it_takes_its_password_only(data: Path) -> None:
    port = free_port()
    server = EmbeddedPostgres(data, port)
    server.launch()
    try:
        until_answers(server, data)
        note = data / postgres.FOLDER / cluster.TCP_URL_FILE
        assert ask(note.read_text().strip(), "SELECT 1") == [(1,)]
        with pytest.raises(asyncpg.InvalidPasswordError):
            ask(f"postgresql://pms:wrong@127.0.0.1:{port}/postgres", "SELECT 1")
    finally:
        server.stop()


def test_root_without_namespaces_runs_it_under_another_account(monkeypatch: pytest.MonkeyPatch) -> None:
    if os.getuid():
        pytest.skip("only root can give its programs to another account")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        (root / "data").mkdir(mode=0o700)
        with DataDir(root / "data" / "records") as held:
            where = cluster.other_account(held, root)
            programs = cluster.reachable(where, cluster.choose(where.folder))
            told = subprocess.run(
                [*where.before, programs / "postgres", "--version"], capture_output=True, text=True, check=True
            ).stdout
            assert "PostgreSQL" in told
            cluster._make(where, programs, held, "secret")
        assert (where.folder / "PG_VERSION").exists()
        assert where.folder.stat().st_uid != 0
        assert (root / "data").stat().st_mode & 0o777 == 0o700
