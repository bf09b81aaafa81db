"""The daemon keeps its event stream bounded while it trades."""

from __future__ import annotations

from pms.bus.trim import PACE_S, Limits
from schemas import codec
from schemas.records import Commit
from tests.world.world import World, in_world


@in_world(books=False)  # they want every event still in the stream
async def test_every_minute_the_daemon_trims_what_sql_holds_and_trading_goes_on(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    world.daemon.trim._limits = Limits(keep=2, step=1)
    chase = await world.chase()
    (order,) = world.resting()
    seq = world.daemon.store.seq
    assert await world.redis.xlen(world.daemon.names.event_stream) > 2
    await world.redis.set(world.daemon.names.records, codec.encode(Commit(epoch=1, seq=seq, ts=1)))
    await world.run(PACE_S + 1)
    entries = await world.redis.xrange(world.daemon.names.event_stream)
    assert len(entries) == 2
    world.market.hit(order, order.quantity)
    assert (await world.ends(chase))["status"] == "filled"
    assert await world.redis.xlen(world.daemon.names.event_stream) > 2
