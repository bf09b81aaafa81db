"""Several orders that wait for one position while others hold the symbol too: the venue sells that position and nobody
else's, and opens nothing (execution.md 13, 14, 29).

The venue's flag bounds the account's net: others on the same side have a part of that, and those on the other side make
it less than the position.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.world.stops import opened, position, ready, stopped
from tests.world.test_protection import protected, standing
from tests.world.world import World, in_world

D = Decimal
SHARED = {(True, D("0.006")), (False, D("0.004"))}
pytestmark = pytest.mark.crash


async def guarded(world: World, held: str, what: str) -> None:
    """Something more that closes the position, 800 to 1 300 below the market."""
    if what == "a stop":
        await protected(world, positionId=held, triggerPrice=61000)
    else:
        await stopped(world, positionId=held, callbackTicks=6500)


@pytest.mark.parametrize("others", ["before", "after"])
@pytest.mark.parametrize(
    "first, second", [("a stop", "a trailing stop"), ("a trailing stop", "a stop"), ("a trailing stop",) * 2]
)
@in_world()
async def test_what_waits_for_one_position_sells_no_more_than_it_while_we_are_dead(
    world: World, first: str, second: str, others: str
) -> None:
    await ready(world)
    ours = await opened(world)
    theirs = await opened(world, "BUY", "0.010", "other") if others == "before" else ""
    await guarded(world, ours, first)
    await guarded(world, ours, second)
    await world.run(1)
    theirs = theirs or await opened(world, "BUY", "0.010", "other")
    await world.run(3)
    assert sum(quantity for _, _, quantity in standing(world)) == D("0.010")
    await world.kill()
    world.market.move(-30_000)
    world.market.trade(world.market.bid)
    await world.run(2)
    assert world.held() == D("0.010"), "ours is closed, theirs stands"
    await world.start()
    await world.run(5)
    assert (await position(world))["quantity"] == 0
    assert ((await position(world, "other"))["positionId"], world.held()) == (theirs, D("0.010"))
    await world.until(lambda: not world.waiting())


@pytest.mark.parametrize("second, beside", [("a stop", "0.004"), ("a trailing stop", "0.006")])
@in_world()
async def test_beside_others_opposite_what_has_no_flag_opens_nothing_after_a_stop_that_has_it(
    world: World, second: str, beside: str
) -> None:
    """The first takes all of the net. A backstop, which has the flag too, then finds nothing to reduce."""
    await ready(world)
    ours = await opened(world)
    theirs = await opened(world, "SELL", "0.004", "other")
    await protected(world, positionId=ours, triggerPrice=61200, quantity="0.006")
    await guarded(world, ours, second)
    await world.run(3)
    forms = sorted((row.new.quantity, row.new.reduce_only) for row in world.waiting())
    assert forms == [(D(beside), second == "a trailing stop"), (D("0.006"), True)], "the net is the first one's"
    await world.kill()
    world.market.move(-30_000)
    world.market.trade(world.market.bid)
    await world.run(2)
    assert D("-0.004") <= world.held() <= 0, "nothing is opened"
    await world.start()
    await world.run(5)
    assert (await position(world))["quantity"] == 0
    assert ((await position(world, "other"))["positionId"], world.held()) == (theirs, D("-0.004"))
    await world.until(lambda: not world.waiting())


@in_world()
async def test_what_a_stop_leaves_of_the_position_is_the_backstops_and_back_again(world: World) -> None:
    await ready(world)
    ours = await opened(world)
    await opened(world, "BUY", "0.010", "other")
    await guarded(world, ours, "a trailing stop")
    await world.until(lambda: [quantity for _, _, quantity in standing(world)] == [D("0.010")], 3)
    stop = await protected(world, positionId=ours, triggerPrice=61000, quantity="0.006")
    await world.until(lambda: {(one[1] == D(61000), one[2]) for one in standing(world)} == SHARED, 5)
    assert (await world.command("algo_cancel", algoId=stop))["success"]
    await world.until(lambda: [quantity for _, _, quantity in standing(world)] == [D("0.010")], 5)


@in_world()
async def test_a_stop_that_grows_beyond_the_net_never_stands_beside_its_smaller_self(world: World) -> None:
    """The smaller one has the flag and the larger can't: together they would sell more than the position. The venue
    takes no cancel for a while."""
    await ready(world)
    ours = await opened(world)
    await opened(world, "SELL", "0.004", "other")
    stop = await world.command("stop", positionId=ours, triggerPrice=61000, quantity="0.006")
    await world.run(1)
    world.fault("DELETE", "/fapi/v1/algoOrder", status=503, code=-1000, msg="no", count=0)
    await world.command("amend", clientOrderId=stop["clientAlgoId"], quantity="0.010")
    await world.run(2)
    assert sorted((row.new.quantity, row.new.reduce_only) for row in world.waiting()) == [
        (D("0.004"), False),
        (D("0.006"), True),
    ]
    world.heal()
    await world.until(lambda: not any(row.new.reduce_only for row in world.waiting()), 20)
    assert sum(quantity for _, _, quantity in standing(world)) == D("0.010"), "all of it is closed, net or not"
