"""What a start makes of a long absence, of an older Redis, of many symbols, and of records that are not its own
(execution.md 11, 26, 32; contract.md, versions)."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal

import pytest

from pms.bus.lease import LeaseHeld
from pms.recover import QUOTE_WAIT_S
from schemas.codec import Newer
from tests.world.world import World, in_world

D = Decimal
DAY_S = 86_400
pytestmark = pytest.mark.crash


# --- days, weeks, months ------------------------------------------------------------------------------


async def days_go_by(world: World, days: int) -> None:
    """At once: the venue's funding of all the time follows, nothing else that nobody would look at."""
    world.clock._epoch_ms += days * DAY_S * 1000
    await world.run(1)


@pytest.mark.parametrize("days, many", [(8, 1_100), (80, 10)])
@in_world(books=False)  # which reads 1 000 trades
async def test_all_that_traded_in_a_long_absence_is_booked_once_with_its_time(
    world: World, days: int, many: int
) -> None:
    """userTrades answers at most 1 000 rows of at most seven days, oldest first; more than that may be of one
    millisecond."""
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase(quantity="2.000", leverage=20)
    (order,) = world.resting()
    await world.kill()
    await days_go_by(world, 1)
    for _ in range(many):  # all of one millisecond
        world.market.hit(order, "0.001")
    first = world.clock.now_ms()
    await days_go_by(world, days - 2)
    world.market.hit(order, "0.100")
    await days_go_by(world, 1)
    await world.start()
    state = await world.state(chase)
    wanted = D("0.001") * many + D("0.100")
    assert (state["filledQuantity"], world.held()) == (wanted, wanted)
    run = await world.record("recovery:last")
    assert sum(step["action"] == "book" for step in run["steps"]) == many + 1
    row = json.loads(await world.redis.hget("pms:position:main", "BTCUSDT"))
    assert row["openedAt"] == first
    asked = [path for _, path in world.http.requests if path == "/fapi/v1/userTrades"]
    assert days // 7 <= len(asked) <= days // 7 + 6, "a window a week"
    again = await world.daemon.recovery.run("again")
    assert again.verdicts == ()
    await world.run(65)  # two audits: funding is booked, and nothing differs
    accounts = [await world.record(key.decode()[4:]) for key in await world.redis.keys("pms:subaccount:*")]
    assert sum(account["balance"] for account in accounts) == world.wallet()
    assert await world.redis.hkeys("pms:alarms") == [f"algo_paused:{chase}".encode()]


# --- many symbols -------------------------------------------------------------------------------------

SEVERAL = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT", "1000PEPEUSDT")


async def _one_on_each(world: World) -> list[str]:
    await world.unlimited()
    started = []
    for symbol, market in world.markets.items():
        quantity = str((D(400) / market.bid).quantize(world.sim.venue.rules[symbol].step))
        started.append(await world.chase(symbol=symbol, quantity=quantity))
    return started


@in_world(symbols=SEVERAL)
async def test_the_books_of_all_algos_are_joined_at_once_at_a_start(world: World) -> None:
    """Each waits for the next frame of its own stream, half a second away: five of them no longer than one."""
    await world.start()
    chases = await _one_on_each(world)
    await world.kill()
    began = world.clock.monotonic()
    await world.start()
    assert world.clock.monotonic() - began < 1
    for chase in chases:
        assert (await world.state(chase))["status"] == "active"


@in_world(symbols=SEVERAL)
async def test_a_start_waits_for_missing_prices_once_and_not_for_each_algo(world: World) -> None:
    await world.start()
    chases = await _one_on_each(world)
    await world.kill()
    world.socket_fault("/public*", refuse=503, count=0)
    began = world.clock.monotonic()
    await world.start()
    assert world.clock.monotonic() - began < QUOTE_WAIT_S + 1
    for chase in chases:
        assert (await world.state(chase))["status"] == "active"


@pytest.mark.parametrize("asked, why", [(200, "price_moved_too_far"), (503, "price_unknown")])
@in_world()
async def test_a_price_that_moved_too_far_pauses_although_no_book_tells_it(world: World, asked: int, why: str) -> None:
    """By the mark, or where that can't be read either, by caution: with the book's return the algo would follow."""
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase()
    await world.run(3)
    await world.kill()
    world.market.quote("62800.0", "62805.0")
    await world.run(20)
    world.socket_fault("/public*", refuse=503, count=0)
    if asked != 200:
        world.fault("GET", "/fapi/v1/premiumIndex", status=asked, count=0)
    await world.start()
    await world.until(lambda: not world.resting(), 5)
    world.heal()
    await world.run(40)
    assert world.daemon is not None
    assert world.daemon.market.health("BTCUSDT") == (True, "")
    state = await world.state(chase)
    assert (state["status"], state["paused"], world.resting()) == ("paused", why, [])


# --- an older Redis -----------------------------------------------------------------------------------


async def _saved(world: World) -> dict[bytes, bytes]:
    return {key: await world.redis.dump(key) for key in await world.redis.keys("*")}


async def _put_back(world: World, saved: dict[bytes, bytes]) -> None:
    await world.redis.flushall()
    for key, body in saved.items():
        await world.redis.restore(key, 0, body)


@in_world(books=False)  # the events of a minute are gone
async def test_a_redis_of_a_minute_ago_is_noticed_and_the_venue_is_believed(world: World) -> None:
    """What was started since is an orphan now: it leaves, what it filled is its sub-account's, nothing adds risk before
    somebody looked."""
    world.market.quote("61800.0", "61805.0")
    await world.start()
    old = await world.chase(stalkOffsetTicks=5)
    await world.run(2)
    saved = await _saved(world)
    since = await world.chase()
    (order,) = [order for order in world.resting() if since in order.client_id]
    world.market.hit(order, "0.004")
    await world.run(60)
    last = (await world.events())[-1]["seq"]
    await world.kill()
    await _put_back(world, saved)
    await world.start()
    await world.run(2)
    jumps = await world.events("seq_jump")
    assert jumps[-1]["seq"] > last, "no number is given twice"
    assert not order.is_open
    row = await world.redis.hget("pms:position:main", "BTCUSDT")
    assert row is not None, "whose tag its order carries"
    assert D(json.loads(row, parse_float=D)["signedQuantity"]) == world.held() == D("0.004")
    refused = await world.command("chase", symbol="BTCUSDT", side="BUY", quantity="0.010")
    assert refused["errorCode"] == "REDUCE_ONLY_MODE", refused
    resumed = await world.command("resume", scope="all")
    assert resumed["success"], resumed
    await world.until(lambda: [order.client_id.split("-")[2] for order in world.resting()] == [old], 10)
    assert world.resting()[0].remaining == D("0.010")


@pytest.mark.parametrize("how", ["kill", "stop"])
@in_world(books=False)  # numbering jumps
async def test_after_a_host_lost_power_a_redis_beside_us_can_not_be_shown_to_be_whole(world: World, how: str) -> None:
    """Its append-only file may lack the last second; what ended cleanly before has all of it."""
    await world.start()
    await world.chase()
    await world.run(2)
    last = (await world.events())[-1]["seq"]
    await getattr(world, how)()
    world.boot = "the next one"
    await world.start()
    _, *jumps = await world.events("seq_jump")  # the first is of a new Redis
    assert [jump["from"] >= last for jump in jumps] == ([True] if how == "kill" else [])
    told = await world.command("limit", symbol="BTCUSDT", side="BUY", quantity="0.010", price="61000.0")
    assert told.get("errorCode") == ("REDUCE_ONLY_MODE" if how == "kill" else None), told


# --- other versions -----------------------------------------------------------------------------------


@in_world()
async def test_a_downgrade_beside_a_live_algo_is_refused_untouched_and_the_newer_one_goes_on(world: World) -> None:
    await world.start()
    chase = await world.chase()
    (order,) = world.resting()
    await world.kill()
    body = await world.redis.get(f"pms:chase:{chase}")
    newer = body.replace(b'"v":', b'"v":9', 1)
    await world.redis.set(f"pms:chase:{chase}", newer)
    with pytest.raises(Newer):
        await world.start()
    assert world.order_requests() == []
    await world.kill()
    assert await world.redis.get(f"pms:chase:{chase}") == newer
    assert order.is_open
    await world.redis.set(f"pms:chase:{chase}", body)
    await world.start()
    await world.run(1)
    assert (await world.state(chase))["status"] == "active"
    assert world.resting() == [order]


@in_world()
async def test_a_record_of_an_older_version_without_later_fields_goes_on(world: World) -> None:
    """What a field means that is not there is its default (contract.md): nothing has to be rewritten for an upgrade."""
    await world.start()
    chase = await world.chase()
    (order,) = world.resting()
    await world.kill()
    for key in (f"pms:chase:{chase}", f"pms:order:{order.client_id}"):
        raw = json.loads(await world.redis.get(key))
        plain = {name: value for name, value in raw.items() if value not in ("", 0, None, False, [])}
        assert len(plain) < len(raw)
        await world.redis.set(key, json.dumps(plain))
    await world.start()
    await world.run(1)
    world.market.hit(order, "0.010")
    assert (await world.ends(chase))["status"] == "filled"


# --- two at once --------------------------------------------------------------------------------------


@in_world()
async def test_of_two_starts_at_once_one_gets_the_account_and_the_other_touches_nothing(world: World) -> None:
    first = world.tasks.spawn(world.start(), "first")
    await world.run(0)
    beside = world.tasks.spawn(world.second(), "second")
    done, _ = await asyncio.wait({first, beside}, timeout=30)
    assert first in done
    assert isinstance(beside.exception(), LeaseHeld)
    chase = await world.chase()
    assert len(world.resting()) == 1
    assert (await world.state(chase))["status"] == "active"
