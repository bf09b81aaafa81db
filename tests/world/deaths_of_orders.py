"""What a daemon dies in when it works for a person or for one chase: placing, amending, cancelling, halting, losing its
user stream, and recovering from a death before."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from schemas.ids import OrderId, make, tag_of
from tests.world.deaths import Facts, Scenario
from tests.world.world import World

D = Decimal
LIMIT: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010", "price": "61000.0"}
LEVELS = [{"price": f"{price}.0", "quantity": "0.010"} for price in (61000, 60900, 60800)]
SCALE: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "levels": LEVELS}
TRADE: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010"}
SETTLE_S = 16  # what was in flight is looked up for the settle window (execution.md 2)


async def push(world: World, kind: str, door: str = "list", **body: Any) -> None:
    """A command whose sender does not wait."""
    text = json.dumps({"subAccountId": "main", "requestId": "k-1", **body})
    if door == "list":
        await world.redis.lpush(f"pms:cmd:{kind}", text)
    else:
        await world.redis.xadd("pms:commands", {"type": kind, "body": text})


async def ready(world: World, facts: Facts) -> None:
    """Up, with leverage set and the symbol watched: a command acts by its own step alone."""
    world.market.quote("61800.0", "61805.0")
    await world.start()
    reply = await world.command("limit", requestId="before", **LIMIT | {"price": "60000.0"})
    await world.command("cancel", clientOrderId=reply["clientOrderId"])
    facts["before"] = len(world.placed())


def taken(world: World, facts: Facts) -> list[str]:
    """What the venue took of the command, each by its own id."""
    names = [order.client_id for order in world.placed()[facts["before"] :]]
    assert len(set(names)) == len(names), "the same order twice"
    return names


# --- a command ----------------------------------------------------------------------------------------


def command(kind: str, body: dict[str, Any], door: str, asks_again: bool) -> Scenario:
    """An order by hand. The sender that had no answer asks again, or does not: both are told by the same evidence."""

    async def act(world: World, facts: Facts) -> None:
        await push(world, kind, door, **body)
        await world.run(1)

    async def end(world: World, facts: Facts) -> str:
        await world.run(SETTLE_S)
        names = taken(world, facts)
        if asks_again:
            await world.command(kind, door, requestId="k-1", wait_s=20, **body)
        told = await world.command(kind, door, requestId="k-1", wait_s=20, **body)
        assert taken(world, facts) == names, "asking again is no order"
        if not told["success"]:
            assert (told["errorCode"], names) == ("NOT_EXECUTED", []), told
            return "not executed"
        rows = told.get("orders", [told])
        standing = [row["clientOrderId"] for row in rows if row.get("state") != "failed"]
        assert sorted(standing) == sorted(names), told
        return f"{len(names)} executed"

    ends = (f"{len(body.get('levels', 'x'))} executed", "0 executed" if asks_again else "not executed")
    return Scenario(ready, act, end, ends, 4)


# --- an order that rests ------------------------------------------------------------------------------


async def resting(world: World, facts: Facts) -> None:
    """One by hand, which nobody trades with unless told so."""
    await ready(world, facts)
    facts["name"] = (await world.command("limit", **LIMIT))["clientOrderId"]
    (facts["order"],) = world.resting()


async def _amend(world: World, facts: Facts) -> None:
    await push(world, "amend", clientOrderId=facts["name"], price="61001.0")
    await world.run(1)


async def _amended(world: World, facts: Facts) -> str:
    await world.run(SETTLE_S)
    record = await world.record(f"order:{facts['name']}")
    assert (record["state"], record["price"]) == ("active", facts["order"].price), record
    told = await world.command("amend", requestId="k-1", clientOrderId=facts["name"], price="61001.0")
    changed = facts["order"].price == D("61001.0")
    assert changed if told["success"] else not changed and told["errorCode"] == "NOT_EXECUTED", told
    return "amended" if changed else "as it was"


async def _cancel(world: World, facts: Facts) -> None:
    """Others trade with it before the cancel and while that is on its way, and a moment later want all that is left.
    A cancel waits for no record: only a death at the fill before it comes in its way."""
    order = facts["order"]
    world.life.meanwhile["before DELETE"] = lambda: world.market.hit(order, "0.004")
    world.market.hit(order, "0.003")
    await world.run(0.1)
    await push(world, "cancel", clientOrderId=facts["name"])
    await world.run(0.2)
    if order.is_open:
        world.market.hit(order, order.remaining)
    await world.run(0.8)


async def _cancelled(world: World, facts: Facts) -> str:
    await world.run(4)
    record, order = await world.record(f"order:{facts['name']}"), facts["order"]
    assert record["filledQty"] == order.filled == world.held(), record
    assert not order.is_open
    assert record["state"] == ("cancelled" if order.remaining else "filled"), record
    return f"{record['state']}, {order.filled} filled"


# --- a chase ------------------------------------------------------------------------------------------


async def chasing(world: World, facts: Facts) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    facts["chase"] = await world.chase()
    (facts["order"],) = world.resting()


async def filled(world: World, facts: Facts) -> str:
    """Others trade with whatever of it rests, until it has ended."""
    for _ in range(40):
        for order in world.resting():
            world.market.hit(order, order.remaining)
        await world.run(0.5)
        state = await world.state(facts["chase"])
        if state["status"] not in ("active", "throttled"):
            break
    assert (state["status"], state["filledQuantity"], world.held()) == ("filled", D("0.010"), D("0.010")), state
    return f"filled by {len(world.placed())} order"


async def _parts(world: World, facts: Facts) -> None:
    for quantity in ("0.004", "0.003"):
        world.market.hit(facts["order"], quantity)
        await world.run(0.4)


async def _reprice(world: World, facts: Facts) -> None:
    world.life.meanwhile["before PUT"] = lambda: world.market.hit(facts["order"], "0.004")
    world.market.quote("61801.0", "61805.0")
    await world.run(1)


async def _rotate(world: World, facts: Facts) -> None:
    world.sim.venue.expire_listen_keys(world.clock.now_ms())
    world.market.hit(facts["order"], "0.004")
    await world.run(3)


async def _to_the_deadline(world: World, facts: Facts) -> None:
    """Every kind of request, with fills between, from the command to the crossing at the deadline."""
    terms = {"deadlineSeconds": 2, "onDeadline": "take", "issuedAt": world.clock.now_ms()}
    await push(world, "chase", "stream", **TRADE | terms)
    for quantity, bid in (("0.001", "61801.0"), ("0.002", "61799.5")):
        await world.run(0.5)
        for order in world.resting():
            world.market.hit(order, min(D(quantity), order.remaining))
        await world.run(0.1)
        world.market.quote(bid, "61805.0")
    await world.run(2)


async def _past_the_deadline(world: World, facts: Facts) -> str:
    for order in world.resting():
        world.market.hit(order, "0.001")
    await world.run(SETTLE_S)
    (key,) = await world.redis.keys("pms:chase:*")
    state = await world.state(key.decode().split(":")[2])
    assert world.held() == state["filledQuantity"], state
    assert world.resting() == []
    if state["status"] == "filled":
        assert world.held() == D("0.010"), state
        return "filled"
    assert state["status"] == "paused" or state["reason"] == "deadline", state
    return "ended, the rest named" if state["status"] == "cancelled" else str(state["status"])


# --- a halt -------------------------------------------------------------------------------------------


async def _halt(world: World, facts: Facts) -> None:
    await push(world, "halt")
    await world.run(1)


async def _halted(world: World, facts: Facts) -> str:
    await world.run(4)
    mode = await world.record("mode")
    assert mode["halts"], mode
    assert world.resting() == []
    refused = await world.command("limit", **LIMIT)
    assert refused["errorCode"] == "HALTED", refused
    return "halted, nothing rests"


async def _two(world: World, facts: Facts) -> None:
    await chasing(world, facts)
    await world.command("limit", **LIMIT)
    assert len(world.resting()) == 2


# --- a recovery ---------------------------------------------------------------------------------------


async def _died_before(world: World, facts: Facts) -> None:
    """In the middle of an amend, with fills, a cancel and an orphan while nobody looked."""
    world.market.quote("61800.0", "61805.0")
    await world.start()
    facts["chase"] = await world.chase(quantity="0.020")
    facts["second"] = await world.chase(subAccountId="second", stalkOffsetTicks=3)
    (order,) = [order for order in world.resting() if facts["chase"] in order.client_id]
    world.market.hit(order, "0.003")
    await world.run(0.5)
    world.life.die_on = "after PUT"
    world.market.quote("61801.0", "61805.0")
    await world.until(lambda: world.daemon is None, 3)
    await world.run(1)
    world.market.hit(order, "0.004")
    orphan = make(OrderId(tag_of("main"), "cnobodyxyz", 1_700_000_000, 0, 1))
    world.exchange.cancel(world.account, "BTCUSDT", client_id=world.resting()[0].client_id)
    world.market.rest(world.account, "BUY", D("61000.0"), "0.010", orphan)


async def _start(world: World, facts: Facts) -> None:
    attempt = world.tasks.spawn(world.start(), "start")
    await world.run(0)  # its life has begun
    await world.until(lambda: attempt.done() or world.life.over, 30)
    if attempt.done():
        await world.run(1)


async def _all_right(world: World, facts: Facts) -> str:
    await world.run(SETTLE_S)
    paused = 0
    for name in (facts["chase"], facts["second"]):
        state = await world.state(name)
        if state["status"] == "paused":
            paused += 1
            await world.command("algo_resume", algoId=name, subAccountId=state["subAccountId"])
    await world.run(3)
    state = await world.state(facts["chase"])
    assert world.held() == state["filledQuantity"] == D("0.007"), state
    rests = {order.client_id.split("-")[2]: order.remaining for order in world.resting()}
    assert rests == {facts["chase"]: D("0.013"), facts["second"]: D("0.010")}, rests
    return f"both rest, {paused} waited for a person"


AGAIN = ("both rest, 0 waited for a person",)
SCENARIOS = {
    "place": command("limit", LIMIT, "list", asks_again=False),
    "place at the market": command("trade", TRADE, "stream", asks_again=False),
    "command retry": command("scale", SCALE, "stream", asks_again=True),
    "amend": Scenario(resting, _amend, _amended, ("amended", "as it was"), 4),
    "cancel race": Scenario(resting, _cancel, _cancelled, ("cancelled, 0.007 filled", "filled, 0.010 filled"), 4),
    "partial": Scenario(chasing, _parts, filled, ("filled by 1 order",), 4),
    "fill while amending": Scenario(chasing, _reprice, filled, ("filled by 1 order",), 5),
    "listen-key rotation": Scenario(chasing, _rotate, filled, ("filled by 1 order",), 4),
    "to a deadline": Scenario(ready, _to_the_deadline, _past_the_deadline, ("filled", "ended, the rest named"), 15),
    "halt": Scenario(_two, _halt, _halted, ("halted, nothing rests",), 5),
    "recovery itself": Scenario(_died_before, _start, _all_right, AGAIN, 8, starts=True),
}
