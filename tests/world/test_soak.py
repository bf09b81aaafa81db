"""The soak (issue D): whatever struck, at the end venue, Redis and events agree."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pms.sim import fault_kinds
from tests.virtual import VirtualLoop
from tests.world.soak import LIMITS, MAKERS, SYMBOLS, Soak
from tests.world.world import World

pytestmark = [pytest.mark.soak, pytest.mark.faults]
MINUTES, SLOW_MINUTES = 5, 30


def soak(folder: Path, seed: int, minutes: int) -> None:
    async def live() -> None:
        world = World(folder, symbols=SYMBOLS, seed=seed, limits=LIMITS)
        try:
            run = Soak(world, seed, minutes * 60)
            await run.run()
            print(f"seed {seed}:", ", ".join(f"{kind} {times}" for kind, times in run.counts.items()))
            assert min(run.counts.values()) >= 3, run.counts
        finally:
            await world.close()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(live())


def test_the_soak_leaves_no_kind_of_fault_out() -> None:
    assert set(MAKERS) == set(fault_kinds.KINDS)


@pytest.mark.parametrize("seed", range(3))
def test_after_minutes_of_faults_venue_redis_and_events_agree(tmp_path: Path, seed: int) -> None:
    soak(tmp_path, seed, MINUTES)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 150))
def test_after_half_an_hour_of_faults_venue_redis_and_events_agree(tmp_path: Path, seed: int) -> None:
    soak(tmp_path, seed, SLOW_MINUTES)
