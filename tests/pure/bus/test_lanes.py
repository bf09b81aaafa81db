"""Lanes: order within one, independence between them."""

from __future__ import annotations

import asyncio

from pms.bus.lanes import LANE_MAX, Lanes
from pms.tasks import Tasks


async def test_a_lane_keeps_order_a_slow_one_holds_up_nobody_and_an_empty_one_costs_nothing() -> None:
    tasks, gate, ended, done = Tasks(), asyncio.Event(), asyncio.Event(), []

    async def work(job: tuple[str, int]) -> None:
        if job[0] == "slow":
            await gate.wait()
        done.append(job)
        if job == ("slow", 1):
            ended.set()

    lanes: Lanes[tuple[str, int]] = Lanes(tasks, work)
    for n in range(3):
        for name in ("slow", "quick"):
            assert lanes.put(name, (name, n))
    await asyncio.sleep(0)
    assert done == [("quick", 0), ("quick", 1), ("quick", 2)]
    assert lanes.take(lambda job: job[1] == 2) == [("slow", 2)]
    gate.set()
    await ended.wait()
    assert done[3:] == [("slow", 0), ("slow", 1)]
    assert len(lanes) == 0
    await tasks.close()


async def test_a_full_lane_takes_no_more_and_says_so() -> None:
    tasks, gate = Tasks(), asyncio.Event()

    async def work(_: int) -> None:
        await gate.wait()

    lanes: Lanes[int] = Lanes(tasks, work)
    lanes.put("a", 0)
    await asyncio.sleep(0)
    assert all(lanes.put("a", n) for n in range(LANE_MAX))
    assert not lanes.put("a", -1)
    assert lanes.put("b", 0)
    await tasks.close()


async def test_work_that_raises_is_logged_and_the_next_of_its_lane_begins() -> None:
    tasks, done, ended = Tasks(), [], asyncio.Event()

    async def work(job: int) -> None:
        if not job:
            raise ValueError("a bug of ours")
        done.append(job)
        ended.set()

    lanes: Lanes[int] = Lanes(tasks, work)
    assert lanes.put("a", 0)
    assert lanes.put("a", 1)
    await ended.wait()
    assert done == [1]
    assert tasks.failures == 1
    await tasks.close()
