"""A real Prisma client reads what the records' writer wrote, while it writes. Slow: its libraries are 300 MB."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import asyncpg
import pytest
import redis

from pms import child, exits
from pms.datadir import DataDir
from pms.embedded import EmbeddedRedis
from pms.records import cluster, postgres, prisma
from pms.records.postgres import EmbeddedPostgres, url_of
from schemas.keys import STREAM_FIELD, Keys
from tests.contract.records import flood
from tests.js.conftest import NPM_OPTIONS
from tests.process.stack import ROOT
from tests.process.typed import environment
from tests.waiting import until

pytestmark = [pytest.mark.js, pytest.mark.slow]

# As a trader's frontend has it; only the port changes where somebody listens there already.
FRONTENDS = "postgresql://postgres:postgres@localhost:55432/postgres?connection_limit=10&pool_timeout=10"
PORT = 55432
LIMIT_S = 60
INSTALL_LIMIT_S = 180
EVENTS = 2_000
PIECE = 20
KEYS = Keys()
D = Decimal


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the script and a client that was generated from our schema."""
    folder = tmp_path_factory.mktemp("prisma") / "reader"
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not on PATH")
    shutil.copytree(Path(__file__).parent / "prisma", folder)
    shutil.copy(prisma.FILE, folder)
    # Its engine is a download of its own, for migrations only; the client is made without it.
    told = {**os.environ, "PRISMA_SCHEMA_ENGINE_BINARY": "/bin/true"}
    install = [npm, "install", "--ignore-scripts", "--prefer-offline", *NPM_OPTIONS]
    done = subprocess.run(
        install, cwd=folder, capture_output=True, text=True, check=False, timeout=INSTALL_LIMIT_S, env=told
    )
    if done.returncode:
        pytest.skip(f"Prisma could not be installed: {done.stderr[-300:]}")
    generate = [str(folder / "node_modules" / ".bin" / "prisma"), "generate", "--schema", "schema.prisma"]
    subprocess.run(generate, cwd=folder, env=told, check=True, capture_output=True, timeout=LIMIT_S)
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def database(data: Path) -> Iterator[str]:
    """A Postgres at the frontend's address."""
    port = PORT if child.is_free(PORT) else child.free_port()
    server = EmbeddedPostgres(data, port)
    server.launch()
    note = data / postgres.FOLDER / cluster.TCP_URL_FILE
    until(lambda: note.exists() and not child.is_free(port), LIMIT_S, "Postgres listens")
    role = "CREATE ROLE postgres SUPERUSER LOGIN PASSWORD 'postgres'"
    until(lambda: _done(url_of(data), role), LIMIT_S, "the frontend's user")
    yield FRONTENDS.replace(str(PORT), str(port))
    server.stop()


def _done(url: str, statement: str) -> bool:
    async def go() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    try:
        asyncio.run(go())
    except (OSError, asyncpg.CannotConnectNowError):
        return False
    return True


@pytest.fixture
def streams(data: Path) -> Iterator[redis.Redis]:
    with DataDir(data) as held:
        private = EmbeddedRedis(held, KEYS, port=0, fsync="no")
        with redis.Redis.from_url(private.start().url_unix) as client:
            yield client
        private.stop()


def test_a_prisma_client_sees_whole_steps_and_exact_numbers_while_the_writer_writes(
    node: str, reader: Path, data: Path, database: str, streams: redis.Redis
) -> None:
    log = (data / "records.log").open("wb")
    writer = subprocess.Popen(
        [sys.executable, "-m", "pms", "records"],
        cwd=ROOT,
        env=environment(data, PMS_DATABASE_URL=database),
        stdout=log,
        stderr=log,
    )
    try:
        until(lambda: streams.exists(KEYS.records), LIMIT_S, "the writer is there")
        command = [node, "read.mjs", database, str(EVENTS)]
        with subprocess.Popen(command, cwd=reader, stdout=subprocess.PIPE, text=True) as reading:
            events = flood.orders(EVENTS // 4)
            for start in range(0, EVENTS, PIECE):
                pipe = streams.pipeline(transaction=False)
                for number, body in enumerate(events[start : start + PIECE], start + 1):
                    pipe.xadd(KEYS.event_stream, {STREAM_FIELD: body}, id=f"{number}-0")
                pipe.execute()
                until(lambda: int(streams.xlen(KEYS.event_stream)) > 0, 1, "published")
            assert reading.stdout is not None
            told = json.loads(reading.stdout.read())
            assert reading.wait(LIMIT_S) == 0
        assert writer.poll() is None, (data / "records.log").read_text()
    finally:
        writer.terminate()
        assert writer.wait(LIMIT_S) == exits.OK
        log.close()
    for look in told["looks"]:
        assert look["applied"] == look["newest"] == str(look["events"]), "an event of another transaction"
        assert D(look["quantity"]) == D(look["filled"]) == look["fills"] * flood.PART
    assert [look["events"] for look in told["looks"]] == sorted(look["events"] for look in told["looks"])
    order = {"price": "61800.1", "commission": "0.1236002", "state": "filled", "placedAt": flood.START_MS + 28}
    assert (told["order"], told["type"]) == (order, "order_filled")
