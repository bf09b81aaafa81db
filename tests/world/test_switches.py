"""Switches of the daemon that show on the wire."""

from __future__ import annotations

from decimal import Decimal

from tests.world.world import World, in_world

D = Decimal


@in_world()
async def test_without_best_bids_and_asks_the_touch_is_that_of_the_depth(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start(PMS_BOOK_TICKER="off")
    await world.chase()
    (order,) = world.resting()
    seen = [stream for session in world.sim.venue.sessions for stream in getattr(session, "_names", ())]
    assert "btcusdt@depth@100ms" in seen
    assert not any("bookTicker" in stream for stream in seen)
    world.market.quote("61801.0", "61805.0")
    await world.until(lambda: order.price == D("61801.0"), 2)
