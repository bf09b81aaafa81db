"""A private real Postgres for the session, and an empty database in it for each test."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from pms.datadir import DataDir
from pms.embedded import EmbeddedRedis
from pms.records import address
from pms.records.postgres import EmbeddedPostgres, url_of
from tests.conftest import REDIS_BINARIES
from tests.contract.records.desk import KEYS, RecordsDesk
from tests.waiting import until
from tests.world import diary
from tests.world.diary import Diary

_numbers = itertools.count()


async def statement(url: str, text: str) -> list[asyncpg.Record]:
    """One statement on a connection of its own."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(text)
    finally:
        await connection.close()


def _answers(url: str) -> bool:
    try:
        asyncio.run(statement(url, "SELECT 1"))
    except (OSError, asyncpg.PostgresError):
        return False
    return True


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a private Postgres is reached."""
    folder: Path = tmp_path_factory.mktemp("pg")
    server = EmbeddedPostgres(folder)
    server.launch()
    try:
        until(lambda: server.ended() or (url_of(folder) and _answers(url_of(folder))), 30, "Postgres answers")
        assert not server.ended(), server.log.path.read_text()
        yield url_of(folder)
    finally:
        server.stop()


@pytest.fixture
def database_url(postgres_server: str) -> Iterator[str]:
    """An empty database of the test's own."""
    name = f"t{next(_numbers)}"
    asyncio.run(statement(postgres_server, f"CREATE DATABASE {name}"))
    yield postgres_server.replace("/postgres?", f"/{name}?")
    asyncio.run(statement(postgres_server, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def where(database_url: str) -> address.Address:
    """The same as the writer's settings have it."""
    return address.read(database_url)


@pytest.fixture(scope="session")
def diary_of_a_day(tmp_path_factory: pytest.TempPathFactory) -> Diary:
    """The streams of a whole run of the daemon."""
    return diary.write(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A private Redis of the newest version there is."""
    newest = max(REDIS_BINARIES, key=lambda binary: binary.version)
    with DataDir(tmp_path_factory.mktemp("redis")) as data:
        server = EmbeddedRedis(data, KEYS, binary=newest.path, port=0, fsync="no")
        yield server.start().url_unix
        server.stop()


@pytest.fixture
async def desk(where: address.Address, redis_url: str, tmp_path: Path) -> AsyncIterator[RecordsDesk]:
    """Empty streams and an empty database."""
    made = RecordsDesk(where, redis_url, tmp_path)
    await made.redis.flushall()
    yield made
    await made.close()
