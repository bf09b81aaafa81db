"""Shadow: the daemon trades with play money at our simulator, whose market is another venue's, followed."""

from __future__ import annotations

from decimal import Decimal

from pms.sim.assembly import Simulator
from pms.sim.follow import Follower
from pms.sim.model import Print
from tests.world.memory import MemoryHttp, MemorySockets
from tests.world.world import World, in_world

D = Decimal
PUBLIC = {"/fapi/v1/depth"}


class Shadow:
    """A world whose daemon trades at a simulator of its own; `real` is what that one follows."""

    def __init__(self, world: World) -> None:
        self.real, self.http = world.sim, MemoryHttp(world.sim.gate)
        self.sockets = MemorySockets(self.real.gate)
        symbols = world.options.symbols
        source = Follower(self.http, self.sockets, "ws://real", symbols, world.clock, lambda: 0.5)
        world.sim = Simulator(world.options, world.clock, world.tasks, source=source)
        world.sim.start()

    def touch(self, sim: Simulator) -> tuple[D, D]:
        book = sim.venue.exchange._market("BTCUSDT").book
        return max(book.bids.external), min(book.asks.external)


@in_world()
async def test_an_order_follows_the_other_venues_market_and_is_never_there(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    shadow = Shadow(world)
    await world.run(3)
    await world.start()
    chase = await world.chase(stalkMode="maintain")
    await world.until(lambda: [order.price for order in world.resting()] == [D("61800.0")], 5)
    world.market.quote("61801.0", "61805.0")
    await world.until(lambda: [order.price for order in world.resting()] == [D("61801.0")], 2)
    world.market._apply([Print("BTCUSDT", world.clock.now_ms(), D("61800.9"), D(5), True)])  # somebody sells through it
    await world.until(lambda: world.held() == D("0.010"), 2)
    assert (await world.state(chase))["status"] == "filled"
    assert shadow.real.venue.exchange._market("BTCUSDT").book.has_own is False
    assert {path for method, path in shadow.http.requests if method != "GET"} == set()
    assert {path for _, path in shadow.http.requests} == PUBLIC, (
        "the other venue is asked for its book and nothing else"
    )


@in_world()
async def test_a_market_that_is_cut_off_is_stale_and_comes_back_right(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    shadow = Shadow(world)
    await world.run(3)
    await world.start()
    chase = await world.chase(stalkMode="maintain")
    await world.until(world.resting, 5)
    shadow.http.down = shadow.sockets.down = True
    shadow.sockets.die()
    world.market.quote("61810.0", "61815.0")
    await world.run(8)
    assert (await world.state(chase))["hold"], "it waits"
    assert [order.price for order in world.resting()] == [D("61800.0")], "nothing follows what can't be seen"
    shadow.http.down = shadow.sockets.down = False
    await world.until(lambda: [order.price for order in world.resting()] == [D("61810.0")], 60)
    assert shadow.touch(world.sim) == shadow.touch(shadow.real)
