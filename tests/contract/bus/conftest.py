"""A bus on each Redis there is: the fake, and every real version found. The same cases run on all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from pms.bus import doors
from pms.datadir import DataDir
from pms.embedded import EmbeddedRedis, Endpoint
from schemas.keys import Keys
from tests.conftest import REDIS_BINARIES
from tests.contract.bus.bed import Bed
from tests.contract.bus.office import Office


@pytest.fixture(
    scope="session",
    params=[None, *REDIS_BINARIES],
    ids=lambda found: "fake" if found is None else f"{found.version[0]}",
)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint | None]:
    if request.param is None:
        yield None
        return
    with DataDir(tmp_path_factory.mktemp("redis")) as data:
        server = EmbeddedRedis(data, Keys(), binary=request.param.path, port=0, fsync="no")
        yield server.start()
        server.stop()


@pytest.fixture
async def bed(place: Endpoint | None) -> AsyncIterator[Bed]:
    made = Bed(place)
    yield made
    await made.close()


@pytest.fixture
async def office(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    monkeypatch.setattr(doors, "BLOCK_MS", 20)  # closing waits for the readers: once per test
    monkeypatch.setattr(doors, "_BLOCK", "0.02")
    made = Office(bed)
    yield made
    if made.inbox is not None:
        await made.inbox.close()
