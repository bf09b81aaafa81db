"""After minutes of faults `pms rebuild --check`, as one types it, finds nothing; and one wrong row in any table."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pms import exits
from pms.records.replay import REPLAYED
from tests.contract.records.desk import KEYS, RecordsDesk
from tests.contract.records.test_rebuild import typed
from tests.virtual import VirtualLoop
from tests.world import diary
from tests.world.diary import Diary
from tests.world.soak import LIMITS, SYMBOLS, Soak
from tests.world.world import World

pytestmark = [pytest.mark.soak, pytest.mark.faults]
BEGINS_MS = diary.BEGINS_MS - 45_000  # a minute before a funding
PIECES = 4  # of the log, each written by a writer of its own


def _lived(folder: Path, seed: int, seconds: int) -> Diary:
    """The streams and state keys that a soak leaves behind."""

    async def live() -> Diary:
        world = World(folder, start_ms=BEGINS_MS, symbols=SYMBOLS, seed=seed, limits=LIMITS)
        try:
            run = Soak(world, seed, seconds)
            await run.run()
            assert min(run.counts.values()) >= 3, run.counts
            return await diary.read(world)
        finally:
            await world.close()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(live())


@pytest.mark.parametrize(
    ("seed", "seconds"), [(0, 120), *(pytest.param(seed, 300, marks=pytest.mark.slow) for seed in range(2, 5))]
)
async def test_after_a_soak_of_faults_the_command_finds_nothing_and_then_each_row_that_is_spoilt(
    desk: RecordsDesk, tmp_path: Path, seed: int, seconds: int
) -> None:
    lived = await asyncio.to_thread(_lived, tmp_path / "world", seed, seconds)
    piece = -(-len(lived.events) // PIECES)
    for start in range(0, len(lived.events), piece):
        await desk.write_until(await desk.publish(lived.events[start : start + piece]))
    await desk.restore({key: value for key, value in lived.state.items() if key != KEYS.records})
    code, lines = await typed(desk, "--check")
    assert (code, lines[:-1]) == (exits.OK, [])
    assert lines[-1].startswith(f"{len(lived.events)} events (")
    assert lines[-1].endswith("tables and state keys are what the log says.")

    last = "DELETE FROM {0} WHERE seq = (SELECT max(seq) FROM {0}) RETURNING seq"
    names = [table.__tablename__ for table in REPLAYED]
    spoilt = [name for name in names if await desk.sql(last.format(name))]
    code, lines = await typed(desk, "--check")
    assert code == exits.NO
    assert [line.split()[0] for line in lines[:-1]] == spoilt
    assert {"orders", "fills", "positions", "algo_runs", "commands", "recovery_actions"} <= set(spoilt)
    assert lines[-1].endswith(f"{len(spoilt)} differences.")
