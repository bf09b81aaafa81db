"""A disk that fills up: told of in time, then as Redis gone (execution.md 33)."""

from __future__ import annotations

from pathlib import Path

from pms.disk import FULL_BYTES, LOOK_S, LOW_BYTES, free_bytes
from tests.world.world import World, in_world


def free_of(world: World) -> list[int]:
    """What the daemon's disk has free from now on."""
    daemon = world.daemon
    assert daemon is not None
    assert daemon.disk is not None
    free = [LOW_BYTES]
    daemon.disk.free = lambda: free[0]
    return free


def alarms(world: World) -> set[str]:
    assert world.daemon is not None
    return {alarm.code for alarm in world.daemon.alarms.open.values()}


@in_world()
async def test_low_is_an_alarm_and_full_takes_entries_away_after_ten_seconds(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    free = free_of(world)
    await world.run(LOOK_S)
    assert alarms(world) == set()
    free[0] = LOW_BYTES - 1
    await world.run(LOOK_S)
    assert alarms(world) == {"disk_low"}
    assert len(world.resting()) == 1
    free[0] = FULL_BYTES - 1
    await world.run(LOOK_S + 9)
    assert alarms(world) == {"disk_low", "disk_full"}
    assert len(world.resting()) == 1
    await world.run(3)
    assert world.resting() == []
    assert (await world.state(chase))["status"] == "throttled"
    world.market.quote("61801.0", "61805.0")
    await world.run(5)
    assert world.resting() == []
    free[0] = LOW_BYTES
    await world.until(lambda: len(world.resting()) == 1, LOOK_S + 2)
    assert alarms(world) == set()


@in_world()
async def test_redis_back_does_not_make_room_on_the_disk(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    daemon = await world.start()
    daemon.watch.on_disk("1 MiB is free")
    daemon.watch.on_disk("1 MiB is free")
    assert daemon.watch.refusal(exiting=False) == "disk_unavailable"
    assert daemon.watch.refusal(exiting=True) == ""
    assert daemon.watch.degraded == ("disk: 1 MiB is free",)
    daemon.watch.on_disk("")
    assert daemon.watch.refusal(exiting=False) == ""


def test_the_free_bytes_are_those_of_the_folder_s_disk(tmp_path: Path) -> None:
    assert 0 < free_bytes(tmp_path) < 1 << 60
