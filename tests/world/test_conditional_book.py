"""Recovery and audit know the conditional book: orphans of ours leave, what is others' stays (execution.md 24)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pms.audit import WAITING_EVERY
from pms.sim.conditional_model import Conditional, NewConditional
from schemas.ids import OrderId, make
from tests.world.stops import ends, exits, opened, ready, stop, stopped
from tests.world.world import World, in_world

D = Decimal
FOREIGN = "app-stop-1"


def at_venue(world: World, client_id: str, **more: object) -> Conditional:
    """A conditional order that our daemon did not place."""
    asked = {"quantity": D("0.010"), "trigger": D("60000"), "reduce_only": True} | more
    new = NewConditional("BTCUSDT", "SELL", "STOP_MARKET", client_id, **asked)  # type: ignore[arg-type]
    row = world.exchange.place_conditional(world.account, new)
    world.sim.venue.streams.flush(world.clock.now_ms())
    assert isinstance(row, Conditional)
    return row


def orphan(world: World, owner: str = "s000000001") -> str:
    """An id of ours whose owner is nobody."""
    (account,) = [one for one in world.daemon.desk.ledger.sub_accounts.values() if one.id == "main"]
    return make(OrderId(account.tag, owner, world.daemon.lease.epoch - 5, 0, 0))


async def audited(world: World) -> None:
    """The audit that looks at both books of orders."""
    world.daemon.audit._rounds = WAITING_EVERY - 1
    world.daemon.audit.ask()
    await world.run(4)


async def actions(world: World, subject: str) -> list[tuple[str, str]]:
    """What recoveries did about an order, and what came of it."""
    told = await world.events("recovery_action")
    return [(event["action"], event["outcome"]) for event in told if subject in event["subject"]]


@pytest.mark.parametrize("policy", ["cancel", "ours", "report"])
@in_world()
async def test_at_a_start_an_orphan_of_ours_leaves_and_anothers_stays(world: World, policy: str) -> None:
    await ready(world)
    await opened(world)
    name = orphan(world)
    await world.stop()
    foreign = [
        at_venue(world, FOREIGN),
        at_venue(world, "app-whole", quantity=D(0), close_position=True, reduce_only=False),
    ]
    at_venue(world, name)
    await world.start(PMS_FOREIGN_ORDERS=policy)
    assert world.waiting() == foreign
    assert await actions(world, name) == [("cancelorder", "cancelled, filled 0")]
    assert await actions(world, FOREIGN) == [("show", "left alone")]
    await world.kill()


@in_world()
async def test_the_running_audit_takes_an_orphan_away_and_touches_nothing_foreign(world: World) -> None:
    await ready(world)
    held = await opened(world)
    name = await stopped(world, positionId=held, callbackTicks=1000)
    await world.run(1)
    ours = world.waiting()
    foreign, lost = at_venue(world, FOREIGN), at_venue(world, orphan(world))
    await audited(world)
    assert world.waiting() == [*ours, foreign]
    assert await actions(world, lost.client_id) == [("cancelorder", "cancelled, filled 0")]
    await audited(world)
    assert world.waiting() == [*ours, foreign], "and a second time finds nothing"
    assert len(await world.events("recovery_completed")) == 2
    assert (await stop(world, name))["status"] == "active"
    await world.kill()


@in_world()
async def test_the_running_audit_finds_that_a_backstop_is_gone_and_it_comes_back(world: World) -> None:
    """Its end was never told: not even the stream's."""
    await ready(world)
    held = await opened(world)
    await stopped(world, positionId=held, callbackTicks=1000)
    await world.run(3)
    (row,) = world.waiting()
    row.status = "CANCELED"
    await audited(world)
    await world.run(3)
    (again,) = world.waiting()
    assert again.client_id != row.client_id


@pytest.mark.parametrize("how", ["the first", "moved", "beside another"])
@in_world()
async def test_a_backstop_that_was_sent_without_redis_and_never_written_down_is_accounted_for(
    world: World, how: str
) -> None:
    """What only reduces does not wait for Redis: one that stands alone is taken up by its stop, beside another that the
    record knows it leaves, and so does the first of a stop whose record says that it is not active."""
    await ready(world)
    held = await opened(world)
    body = {"activationPrice": 61850} if how == "the first" else {}
    name = await stopped(world, positionId=held, callbackTicks=1000, **body)
    await world.run(3)
    before = [row.client_id for row in world.waiting()]
    if how == "beside another":
        world.fault("DELETE", "/fapi/v1/algoOrder", status=503, code=-1008, msg="throttled", count=0)
    world.redis_goes()
    await world.run(0.5)
    world.market.move(1000)
    world.market.trade(world.market.bid)
    await world.run(1)
    sent = [row.client_id for row in world.waiting() if row.client_id not in before]
    assert (len(sent), len(world.waiting())) == (1, 2 if how == "beside another" else 1)
    await world.kill()
    world.redis_comes()
    world.heal()
    world.elsewhere = True  # without the spill file
    await world.run(15)
    await world.start()
    await world.run(5)
    assert len(world.waiting()) == 1
    (row,) = world.waiting()
    assert [one["clientOrderId"] for one in (await stop(world, name))["backstops"]] == [row.client_id]
    assert [action for action, _ in await actions(world, sent[0])] == ["adopt" if how == "moved" else "cancelorder"]
    world.market.move(-5000)
    world.market.trade(world.market.bid)
    state = await ends(world, name)
    assert (state["status"], world.held(), world.waiting()) == ("completed", 0, [])
    assert sum(order.filled for order in exits(world)) == D("0.010")
