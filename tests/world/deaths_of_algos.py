"""What a daemon dies in when algos work: a TWAP at a slot's edge, a stop at its trigger, a scalper that refills."""

from __future__ import annotations

from decimal import Decimal

from tests.world import scalping, stops, twaps
from tests.world.deaths import Facts, Scenario
from tests.world.deaths_of_orders import SETTLE_S
from tests.world.world import World

D = Decimal


# --- a TWAP -------------------------------------------------------------------------------------------


def twap(style: str) -> Scenario:
    """Two lots; as a chase, the first runs out of time and hands its rest to the market."""

    async def begun(world: World, facts: Facts) -> None:
        world.market.quote("61800.0", "61800.1")
        await world.start()
        terms = {"lots": 2, "quantity": "0.020", "intervalSeconds": 3, "style": style}
        if style == "chase":
            terms["childTimeoutSeconds"] = 1
        facts["twap"] = await twaps.begun(world, **terms)
        if style == "market":
            await world.until(lambda: world.held() == D("0.010"), 2)
            await world.run(0.5)

    async def slot(world: World, facts: Facts) -> None:
        await world.run(3.2 if style == "market" else 2)

    async def over(world: World, facts: Facts) -> str:
        for _ in range(80):
            state = await twaps.record(world, facts["twap"])
            if state["status"] == "paused":
                assert (await world.command("twap_resume", twapId=facts["twap"]["twapId"]))["success"]
            if state["status"] in twaps.ENDED:
                break
            await world.run(0.5)
            for order in world.resting():
                world.market.hit(order, min(order.remaining, D("0.004")))
        assert world.resting() == []
        assert world.held() == state["filledQuantity"] == D("0.020") - state["residual"], state
        return f"{state['status']}, {world.held()} bought"

    # Twice the schedule may be over before the next life knows what became of the order before (algos.md, twap).
    ends = ("completed, 0.020 bought", "expired, 0.010 bought" if style == "market" else "expired, 0 bought")
    return Scenario(begun, slot, over, ends, 4)


# --- a trailing stop ----------------------------------------------------------------------------------


def stop(exit_: str) -> Scenario:
    """A fall through the trigger, and the exit."""

    async def following(world: World, facts: Facts) -> None:
        await stops.ready(world)
        held = await stops.opened(world)
        terms = {"positionId": held, "callbackTicks": 1000, "exit": exit_, "exitDeadlineSeconds": 1}
        facts["stop"] = await stops.stopped(world, **terms)
        world.market.move(500)
        await world.run(0.6)

    async def falls(world: World, facts: Facts) -> None:
        world.market.move(-1000)
        await world.run(0.5)
        for order in world.resting():
            world.market.hit(order, "0.003")
        await world.run(2)

    async def closed(world: World, facts: Facts) -> str:
        world.market.move(-1000)
        state = await stops.ends(world, facts["stop"], 40)
        sold = sum((order.filled for order in stops.exits(world)), D(0))
        assert (state["status"], sold, state["filledQuantity"]) == ("completed", D("0.010"), D("0.010")), state
        assert (await stops.position(world))["quantity"] == world.held() == 0
        assert world.resting() == []
        told = [event["type"] for event in await world.events() if event["type"].startswith("trail_stop_")]
        assert told.count("trail_stop_triggered") == told.count("trail_stop_completed") == 1, told
        return "closed once"

    return Scenario(following, falls, closed, ("closed once",), 6)


# --- a scalper ----------------------------------------------------------------------------------------


async def _standing(world: World, facts: Facts) -> None:
    await scalping.begin(world)
    facts["scalper"] = await scalping.scalper(world, childCount=2, longSizeUsd=1300)
    await scalping.stand(world, 2, 0)


async def _refill(world: World, facts: Facts) -> None:
    """Fills on both sides, each of which has legs change."""
    for side, quantity in (("BUY", "0.004"), ("BUY", "0.010"), ("SELL", "0.003"), ("SELL", "0.010")):
        for order in scalping.legs(world, side)[:1]:
            world.market.hit(order, min(D(quantity), order.remaining))
        await world.run(0.7)


async def _stands(world: World, facts: Facts) -> str:
    await world.run(SETTLE_S)
    scalper = facts["scalper"]
    state = await scalping.record(world, scalper)
    assert state["status"] == "active", state
    await scalping.true_to_the_venue(world, scalper)
    slots = (*state["long"]["slots"], *state["short"]["slots"])
    children = {slot["child"]["orderId"] for slot in slots if slot["child"]}
    assert {order.client_id for order in world.resting()} == children, "one order a slot"
    assert len(world.resting()) >= 2
    assert (await world.command("scalper_cancel", scalperId=scalper, closePositions=True))["success"]
    await world.run(2)
    assert (world.resting(), world.held()) == ([], 0)
    return "stands with what it holds"


SCENARIOS = {
    "TWAP slot edge": twap("market"),
    "TWAP child chase": twap("chase"),
    "trailing trigger": stop("market"),
    "trailing trigger, exit by a chase": stop("chase"),
    "scalper refill": Scenario(_standing, _refill, _stands, ("stands with what it holds",), 20),
}
