"""Records that nobody writes are missed after five minutes, and nothing else happens (pms/records_watch.py)."""

from __future__ import annotations

from pms.records_watch import BEHIND, LOOK_S, PATIENCE_MS
from schemas import codec
from schemas.keys import Keys
from schemas.records import Commit
from tests.world.world import World, in_world

PATIENCE_S = PATIENCE_MS / 1000


async def raised(world: World) -> list[tuple[str, bool]]:
    """What alarms told of the records, and whether it is over."""
    return [(alarm["code"], alarm["cleared"]) for alarm in await world.events("alarm") if alarm["code"] == BEHIND]


async def commit(world: World, seq: int) -> None:
    told = Commit(epoch=1, seq=seq, ts=world.clock.now_ms())
    await world.redis.set(Keys().records, codec.encode(told))


async def last(world: World) -> int:
    return int(await world.redis.get(Keys().seq))


@in_world()
async def test_a_writer_that_never_comes_is_an_alarm_after_five_minutes_that_its_coming_ends(world: World) -> None:
    await world.start(PMS_RECORDS="on")
    await world.run(PATIENCE_S - 1)
    assert await raised(world) == []
    await world.run(2 * LOOK_S)
    assert await raised(world) == [(BEHIND, False)]
    assert (await world.command("limit", symbol="BTCUSDT", side="BUY", quantity="0.010", price="61000.0"))["success"]
    await commit(world, await last(world))
    await world.run(2 * LOOK_S)
    assert (await raised(world))[-1] == (BEHIND, True)


@in_world()
async def test_a_writer_that_moves_is_never_missed_however_far_behind(world: World) -> None:
    await world.start(PMS_RECORDS="on")
    for step in range(2 * int(PATIENCE_S / LOOK_S)):
        await commit(world, 1 + step)
        await world.run(LOOK_S)
    assert await raised(world) == []
    await world.run(PATIENCE_S + 2 * LOOK_S)
    assert await raised(world) == [(BEHIND, False)]


@in_world()
async def test_nobody_is_missed_where_no_records_are_wanted(world: World) -> None:
    await world.start(PMS_RECORDS="off")
    await world.run(2 * PATIENCE_S)
    assert await raised(world) == []
