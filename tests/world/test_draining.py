"""Draining: nothing new begins, what runs may finish, and then it is over."""

from __future__ import annotations

from tests.world.world import World, in_world


@in_world()
async def test_while_it_drains_nothing_new_begins_and_it_is_over_when_the_last_algo_has_ended(world: World) -> None:
    daemon = await world.start()
    chase_id = await world.chase(quantity="0.010")
    over = daemon.tasks.spawn(daemon.draining.finished(), "drained")
    daemon.draining.begin()
    refused = await world.command("chase", symbol="BTCUSDT", side="BUY", quantity="0.010")
    assert refused["errorCode"] == "NOT_READY"
    assert "drains" in refused["error"]
    by_hand = await world.command("limit", symbol="BTCUSDT", side="BUY", quantity="0.010", price=60000)
    assert by_hand["errorCode"] == "NOT_READY"
    await world.run(5)
    assert not over.done()
    health = daemon.read_health()
    assert (health.status, "drains" in health.reason) == ("gated", True)
    (order,) = world.resting()
    world.market.hit(order, "0.010")
    ended = await world.ends(chase_id)
    assert ended["status"] == "filled"
    await world.until(over.done, 1)


@in_world()
async def test_an_exit_leaves_while_it_drains(world: World) -> None:
    daemon = await world.start()
    await world.command("trade", symbol="BTCUSDT", side="BUY", quantity="0.010")
    daemon.draining.begin()
    reply = await world.command("close_all")
    assert reply["closedCount"] == 1
    assert not world.held()
