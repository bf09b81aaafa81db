"""Hostile cases against the rules of evidence: nothing is booked twice or lost, no order ends without proof, nobody
acts after somebody with a higher epoch does (execution.md 1-3, 11, 12, 19, 22-24)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from recovery import plan
from schemas.ids import OrderId, make, parse
from tests.world.world import World, in_world

D = Decimal
OWNER = "c000000001"


async def position(world: World, account: str = "main") -> D:
    """What the daemon's books hold."""
    daemon = world.daemon
    assert daemon is not None
    return daemon.ledger.position(account, "BTCUSDT").signed_quantity


async def gap(world: World) -> None:
    """The user stream breaks, and is read again."""
    daemon = world.daemon
    assert daemon is not None
    before = daemon.recovery.last
    world.cut("/private")
    await world.until(lambda: daemon.recovery.last is not before and not daemon.watch.user_stream, 60)


@in_world(books=False)
async def test_a_trade_whose_order_record_ran_out_is_not_booked_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not at the next start, nor at the next gap: it stands in the position."""
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    world.market.hit(world.resting()[0], "0.010")
    await world.ends(chase)
    await world.run(1)
    await world.stop()
    monkeypatch.setattr(plan, "RECORDS_LAST_MS", 60_000)  # the age at which records go, here by hand
    await world.run(61)
    await world.redis.delete(*await world.redis.keys("pms:order:*"))
    await world.start()
    assert await position(world) == world.held() == D("0.010")
    await gap(world)
    assert await position(world) == world.held() == D("0.010")


@in_world()
async def test_a_fill_older_than_the_newest_booked_one_is_found_after_a_mute_stream(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    first = await world.chase()
    (resting,) = world.resting()
    world.mute("/private")
    world.market.hit(resting, "0.010")
    await world.run(100)
    second = await world.chase(stalkMode="none")
    (resting,) = world.resting()
    world.market.hit(resting, "0.004")
    await world.command("chase_cancel", chaseId=second)  # its answer tells of the fill, which is fetched
    await world.until(lambda: world.daemon.ledger.watermark.symbols, 5)
    await world.ends(first, 60)
    assert await position(world) == world.held() == D("0.014")


@pytest.mark.faults
@in_world()
async def test_an_order_that_look_ups_do_not_find_though_it_traded_is_not_taken_for_absent(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    world.mute("/private")
    world.fault("POST", lose="after")
    world.fault("GET", status=400, code=-2013, msg="Order does not exist.", count=0)
    chase = await world.chase(stalkMode="none")
    await world.until(world.resting, 5)
    world.market.hit(world.resting()[0], "0.010")
    await world.run(40)
    world.heal()
    await world.ends(chase, 60)
    assert len(world.placed()) == 1
    assert await position(world) == world.held() == D("0.010")


@in_world(books=False)
async def test_an_order_of_a_higher_epoch_fences_a_recovery_before_it_cancels_anything(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    daemon = await world.start()
    tag = daemon.ledger.sub_accounts["main"].tag
    client_id = make(OrderId(tag, OWNER, daemon.lease.epoch + 1, 0, 1))
    world.cut("/private")
    world.market.rest(world.account, "BUY", D("61700.0"), "0.010", client_id)
    await world.until(daemon.ended.done, 30)
    await world.run(3)
    assert [order.client_id for order in world.resting()] == [client_id]
    assert "DELETE" not in world.order_requests()


@in_world()
async def test_a_start_goes_beyond_an_epoch_that_it_finds_at_the_venue(world: World) -> None:
    """Redis came back older than the venue: what it says of epochs is not the last word (execution.md 19)."""
    daemon = await world.start()
    tag, ahead = daemon.ledger.sub_accounts["main"].tag, daemon.lease.epoch + 100_000
    await world.stop()
    world.market.rest(world.account, "BUY", D("61700.0"), "0.010", make(OrderId(tag, OWNER, ahead, 0, 1)))
    daemon = await world.start()
    assert daemon.lease.epoch == ahead + 1
    assert world.resting() == []
    chase = await world.chase()
    (order,) = world.resting()
    placed = parse(order.client_id)
    assert isinstance(placed, OrderId)
    assert (placed.owner, placed.epoch) == (chase, ahead + 1)


@in_world(books=False)
async def test_trades_of_an_order_that_no_list_names_are_booked_once_each(world: World) -> None:
    """An old order of somebody else trades twice while nobody watches: allOrders since then does not show it."""
    world.market.quote("61800.0", "61805.0")
    daemon = await world.start(PMS_FOREIGN_ORDERS="ours")
    opened = await world.chase()
    world.market.hit(world.resting()[0], "0.010")
    await world.ends(opened)
    foreign = world.market.rest(world.account, "BUY", D("61700.0"), "0.010")
    await world.run(120)
    later = await world.chase()
    (ours,) = [order for order in world.resting() if order is not foreign]
    world.market.hit(ours, "0.010")
    await world.ends(later)
    await world.run(120)
    world.cut("/private")
    world.market.hit(foreign, "0.004")
    world.market.hit(foreign, "0.006")
    await world.until(lambda: not daemon.watch.user_stream, 60)
    await gap(world)
    await gap(world)
    assert await position(world, "external") == D("0.010")
    assert await position(world) + await position(world, "external") == world.held()


@in_world()
async def test_a_resting_order_whose_record_has_ended_is_taken_away(world: World) -> None:
    """The venue says "not done" and has placed it all the same."""
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase(stalkMode="none")
    (order,) = world.resting()
    assert (await world.command("chase_cancel", chaseId=chase))["success"]
    world.market.rest(world.account, "BUY", D("61700.0"), "0.010", order.client_id)
    await gap(world)
    await world.until(lambda: not world.resting(), 10)
