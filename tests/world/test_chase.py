"""chase on the whole stack in one process."""

from __future__ import annotations

from decimal import Decimal

from tests.world.world import World, in_world


@in_world()
async def test_a_chase_places_one_order_at_the_touch_and_answers_with_it(world: World) -> None:
    await world.start()
    reply = await world.command("chase", symbol="BTCUSDT", side="BUY", quantity="0.010")
    assert reply["success"], reply
    (order,) = world.resting()
    assert order.price == reply["currentOrderPrice"]
    assert order.remaining == Decimal("0.010")


@in_world()
async def test_on_a_still_market_a_lone_aggressive_chase_amends_nothing(world: World) -> None:
    await world.start()
    reply = await world.command("chase", symbol="BTCUSDT", side="BUY", quantity="0.010", aggressive=True)
    assert reply["success"], reply
    await world.run(60)
    (order,) = world.resting()
    assert order.amendments == 0
    assert order.price == reply["currentOrderPrice"]
