"""stop, take_profit and the stopLoss of an entry on the whole stack: what stands at the venue, and what it closes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.world.stops import ended, opened, position, ready
from tests.world.world import World, in_world

D = Decimal


async def protected(world: World, kind: str = "stop", **body: Any) -> str:
    """Protect a position; the protection's id."""
    reply = await world.command(kind, **body)
    assert reply["success"], reply
    return str(reply["algoId"])


async def record(world: World, name: str) -> dict[str, Any]:
    return await world.record(f"algo:protection:{name}")


async def over(world: World, name: str, within_s: float = 10) -> dict[str, Any]:
    """Wait for its ending; its record."""
    return await ended(world, f"algo:protection:{name}", within_s)


def standing(world: World) -> list[tuple[str, Decimal, Decimal]]:
    """(side, trigger, quantity) of what waits at the venue."""
    return sorted((str(one.new.side), one.new.trigger, one.new.quantity) for one in world.waiting())


@in_world()
async def test_a_stop_and_a_take_profit_stand_at_the_venue_and_the_stop_closes(world: World) -> None:
    await ready(world)
    held = await opened(world)
    reply = await world.command("stop", positionId=held, triggerPrice=61000)
    assert (reply["success"], reply["state"], reply["quantity"]) == (True, "active", D("0.010")), reply
    stop = reply["algoId"]
    take = await protected(world, "take_profit", positionId=held, triggerPrice=63000)
    assert standing(world) == [("SELL", D(61000), D("0.010")), ("SELL", D(63000), D("0.010"))]
    world.market.move(-9000)
    state = await over(world, stop)
    assert (state["status"], state["reason"], state["filledQuantity"]) == ("completed", "stop", D("0.010"))
    assert (await over(world, take))["reason"] == "position_closed"
    assert world.held() == 0
    assert not world.waiting()
    told = [event["type"] for event in await world.events() if event["type"].startswith("protection_")]
    assert told.count("protection_placed") == 2
    assert told.count("protection_triggered") == 1
    assert told.count("protection_removed") == 2
    assert (await position(world))["quantity"] == 0
    assert await world.redis.hgetall("pms:active_algo:main") == {}


@in_world()
async def test_an_entry_s_stop_loss_is_armed_by_its_first_fill(world: World) -> None:
    await ready(world)
    reply = await world.command(
        "trade", symbol="BTCUSDT", side="BUY", quantity="0.010", subAccountId="main", stopLoss=61000, takeProfit=63000
    )
    assert reply["success"], reply
    await world.until(lambda: len(world.waiting()) == 2)
    assert standing(world) == [("SELL", D(61000), D("0.010")), ("SELL", D(63000), D("0.010"))]
    world.market.move(15000)
    await world.until(lambda: not world.waiting())
    await world.until(lambda: world.held() == 0)
    assert await world.redis.hgetall("pms:active_algo:main") == {}


@in_world()
async def test_every_entry_arms_what_it_is_asked_to(world: World) -> None:
    """limit, chase and twap: sized to what is filled, never more, never less; an entry's end without a fill is one."""
    await ready(world)
    common = {"symbol": "BTCUSDT", "side": "BUY", "subAccountId": "main", "stopLoss": 61000}
    reply = await world.command("limit", quantity="0.010", price="61790.0", **common)
    assert reply["success"], reply
    await world.run(0.5)
    assert not world.waiting()
    (resting,) = world.resting()
    world.market.hit(resting, "0.004")
    await world.until(lambda: standing(world) == [("SELL", D(61000), D("0.004"))])
    world.market.hit(resting, "0.006")
    await world.until(lambda: standing(world) == [("SELL", D(61000), D("0.010"))])
    chase = await world.command("chase", quantity="0.010", **common)
    assert chase["success"], chase
    await world.until(lambda: bool(world.resting()))
    world.market.hit(world.resting()[0], "0.003")
    await world.until(lambda: ("SELL", D(61000), D("0.003")) in standing(world))
    assert (await world.command("chase_cancel", chaseId=chase["chaseId"]))["success"]
    twap = await world.command("twap", quantity="0.010", lots=2, intervalSeconds=5, **common)
    assert twap["success"], twap
    await world.until(lambda: ("SELL", D(61000), D("0.005")) in standing(world))
    await world.until(lambda: standing(world).count(("SELL", D(61000), D("0.010"))) == 2)
    assert sum(quantity for _, _, quantity in standing(world)) == D("0.023") == world.held()
    reply = await world.command("limit", quantity="0.010", price="61700.0", **common)
    assert (await world.command("cancel", clientOrderId=reply["clientOrderId"]))["success"]
    await world.run(1)
    told = [event for event in await world.events("protection_removed") if event["reason"] == "entry_not_filled"]
    assert len(told) == 1
    world.market.move(-9000)
    await world.until(lambda: world.held() == 0)
    await world.until(lambda: not world.waiting())
    assert await world.redis.hgetall("pms:active_algo:main") == {}


@in_world()
async def test_partial_fills_are_protected_within_a_round_trip(world: World) -> None:
    """The longest time for which less than what is filled stood at the venue, over bursts of partial fills."""
    await ready(world)
    common = {"symbol": "BTCUSDT", "side": "BUY", "subAccountId": "main", "stopLoss": 61000}
    await world.command("limit", quantity="0.100", price="61790.0", **common)
    (resting,) = world.resting()
    longest, since = 0.0, 0.0
    clock = world.clock
    for number in range(400):
        if number % 20 < 10 and resting.filled < D("0.100"):
            world.market.hit(resting, "0.001")
        await world.run(0.005)
        covered = max((quantity for _, _, quantity in standing(world)), default=D(0))
        if covered >= world.held():
            since = 0.0
        elif not since:
            since = clock.monotonic()
        longest = max(longest, clock.monotonic() - since if since else 0.0)
    print(f"longest gap {longest * 1000:.0f} ms over {resting.filled / D('0.001')} partial fills")
    assert longest <= ROUND_TRIP_S + 0.050, longest
    await world.until(lambda: standing(world) == [("SELL", D(61000), world.held())])


ROUND_TRIP_S = 0.05


@in_world()
async def test_the_stop_follows_a_position_that_others_reduce_flip_or_close(world: World) -> None:
    await ready(world)
    held = await opened(world)
    stop = await protected(world, positionId=held, triggerPrice=61000)
    await world.command("close", positionId=held, quantity="0.004")
    await world.until(lambda: standing(world) == [("SELL", D(61000), D("0.006"))])
    assert (await record(world, stop))["status"] == "active"
    await world.command("trade", symbol="BTCUSDT", side="SELL", quantity="0.010", subAccountId="main")
    await world.until(lambda: world.held() == D("-0.004"))
    assert (await over(world, stop))["reason"] == "position_closed"
    await world.until(lambda: not world.waiting())
    short = (await position(world))["positionId"]
    stop = await protected(world, positionId=short, triggerPrice=62500)
    await world.command("close", positionId=short)
    assert (await over(world, stop))["reason"] == "position_closed"
    world.market.move(20000)
    await world.run(2)
    assert world.held() == 0


@in_world()
async def test_two_sub_accounts_opposite_close_each_its_own(world: World) -> None:
    """The account's net covers neither: only the stops stand at the venue, without its flag."""
    await ready(world)
    await world.limited()
    long = await opened(world, "BUY", "0.010")
    first = await protected(world, positionId=long, triggerPrice=61000)
    short = await opened(world, "SELL", "0.010", "other")
    second = await protected(world, subAccountId="other", positionId=short, triggerPrice=62500)
    taken = await protected(world, "take_profit", subAccountId="other", positionId=short, triggerPrice=60000)
    await world.until(lambda: standing(world) == [("BUY", D(62500), D("0.010")), ("SELL", D(61000), D("0.010"))])
    await world.until(lambda: not any(one.new.reduce_only for one in world.waiting()))
    world.market.move(-9000)
    assert (await over(world, first))["filledQuantity"] == D("0.010")
    await world.until(lambda: world.held() == D("-0.010"))
    assert (await position(world))["quantity"] == 0
    assert (await position(world, "other"))["signedQuantity"] == D("-0.010")
    await world.until(lambda: len(standing(world)) == 2)
    assert all(one.new.reduce_only for one in world.waiting()), "nothing opposes it any more"
    world.market.move(20000)
    assert (await over(world, second))["filledQuantity"] == D("0.010")
    await over(world, taken)
    assert world.held() == 0
    assert not world.waiting()


@in_world()
async def test_without_the_flag_stops_never_sum_above_the_position(world: World) -> None:
    """Two stops for all of it are two under the venue's flag; without it the older stands, the newer is watched."""
    await ready(world)
    await world.limited()
    long = await opened(world, "BUY", "0.010")
    older = await protected(world, positionId=long, triggerPrice=61000)
    newer = await protected(world, positionId=long, triggerPrice=61500)
    assert len(standing(world)) == 2
    await opened(world, "SELL", "0.010", "other")
    await world.until(lambda: standing(world) == [("SELL", D(61000), D("0.010"))])
    world.market.move(-4000)
    assert (await over(world, newer))["filledQuantity"] == D("0.010")
    assert (await over(world, older))["reason"] == "position_closed"
    assert world.held() == D("-0.010")


@in_world()
async def test_a_trigger_is_moved_by_amend_and_taken_away_by_cancel(world: World) -> None:
    await ready(world)
    held = await opened(world)
    reply = await world.command("stop", positionId=held, triggerPrice=61000)
    moved = await world.command("amend", clientOrderId=reply["clientAlgoId"], price=61500, quantity="0.006")
    assert moved["success"], moved
    await world.until(lambda: standing(world) == [("SELL", D(61500), D("0.006"))])
    for changes, code in (
        ({"price": 62500}, "INVALID_FIELD"),
        ({"price": "61500.05"}, "PRICE_OFF_GRID"),
        ({"quantity": "0.020"}, "REDUCE_ONLY_EXCEEDS"),
        ({"quantity": "0.0015"}, "QUANTITY_OFF_GRID"),
        ({"price": 61400, "subAccountId": "other"}, "NOT_OWNER"),
    ):
        refused = await world.command("amend", clientOrderId=moved["clientOrderId"], **changes)
        assert refused.get("errorCode") == code, (changes, refused)
    looked = await world.command(
        "validate", command={"type": "amend", "clientOrderId": moved["clientOrderId"], "price": 61400}
    )
    assert looked["computedValues"] == {"triggerPrice": D(61400), "quantity": D("0.006")}
    gone = await world.command("amend", clientOrderId=reply["clientAlgoId"], price=61400)
    assert gone["errorCode"] == "ORDER_NOT_FOUND"
    assert (await world.command("cancel", clientOrderId=moved["clientOrderId"]))["success"]
    await world.until(lambda: not world.waiting())
    assert (await over(world, reply["algoId"]))["status"] == "cancelled"
    other = await protected(world, positionId=held, triggerPrice=61000)
    assert (await world.command("algo_cancel", algoId=other))["success"]
    assert (await over(world, other))["reason"] == "cancelled_by_command"


@in_world()
async def test_what_can_not_be_asked_for_is_refused_with_its_code(world: World) -> None:
    await ready(world)
    held = await opened(world)
    base = {"positionId": held, "triggerPrice": 61000}
    for kind, changes, code in (
        ("stop", {"positionId": "main:BTCUSDT:9"}, "POSITION_NOT_FOUND"),
        ("stop", {"positionSide": "SHORT"}, "POSITION_SIDE_MISMATCH"),
        ("stop", {"subAccountId": "other"}, "NOT_OWNER"),
        ("stop", {"triggerPrice": "61000.05"}, "PRICE_OFF_GRID"),
        ("stop", {"limitPrice": "61000.05"}, "PRICE_OFF_GRID"),
        ("stop", {"quantity": "0.0015"}, "QUANTITY_OFF_GRID"),
        ("stop", {"triggerPrice": 62000}, "INVALID_FIELD"),
        ("take_profit", {"triggerPrice": 61000}, "INVALID_FIELD"),
        ("stop", {"workingType": "LAST"}, "INVALID_FIELD"),
    ):
        reply = await world.command(kind, **base | changes)
        assert reply.get("errorCode") == code, (kind, changes, reply)
        if "subAccountId" not in changes:
            asked = await world.command("validate", command={"type": kind} | base | changes)
            told = [error["errorCode"] for error in asked.get("errors", ())] or [asked.get("errorCode")]
            assert told == [code], (kind, changes, asked)
    entry = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010", "subAccountId": "main"}
    for kind, changes, code in (
        ("trade", {"stopLoss": 62000}, "INVALID_FIELD"),
        ("trade", {"takeProfit": 61000}, "INVALID_FIELD"),
        ("trade", {"stopLoss": "61000.05"}, "PRICE_OFF_GRID"),
        ("limit", {"price": 61000, "stopLoss": 61100}, "INVALID_FIELD"),
        ("chase", {"stopLoss": 62000}, "INVALID_FIELD"),
        ("twap", {"takeProfit": 61000}, "INVALID_FIELD"),
        ("trade", {"side": "SELL", "reduceOnly": True, "stopLoss": 63000}, "INVALID_FIELD"),
    ):
        reply = await world.command(kind, **entry | changes)
        assert reply.get("errorCode") == code, (kind, changes, reply)
        asked = await world.command("validate", subAccountId="main", command={"type": kind} | entry | changes)
        assert not asked.get("valid"), (kind, changes, asked)
    assert not world.waiting()
    assert await world.redis.hgetall("pms:active_algo:main") == {}


@in_world()
async def test_refused_three_times_the_daemon_holds_the_trigger_and_the_entry_s_rest_goes(world: World) -> None:
    await ready(world)
    common = {"symbol": "BTCUSDT", "side": "BUY", "subAccountId": "main", "stopLoss": 61000}
    await world.command("limit", quantity="0.010", price="61790.0", **common)
    for _ in range(3):
        world.fault("POST", "/fapi/v1/algoOrder", status=400, code=-4999, msg="not now")
    (resting,) = world.resting()
    world.market.hit(resting, "0.004")
    await world.until(lambda: not world.resting())
    assert not world.waiting()
    alarms = [one for one in await world.events("alarm") if one["code"] == "protection_blind"]
    assert len(alarms) == 1
    assert len(await world.events("protection_blind")) == 1
    world.market.move(-9000)
    await world.until(lambda: world.held() == 0)
    cleared = [one for one in await world.events("alarm") if one["code"] == "protection_blind" and one["cleared"]]
    assert len(cleared) == 1


@in_world()
async def test_a_trigger_that_the_venue_finds_passed_closes_at_once(world: World) -> None:
    await ready(world)
    held = await opened(world)
    world.fault("POST", "/fapi/v1/algoOrder", status=400, code=-2021, msg="would trigger")
    reply = await world.command("stop", positionId=held, triggerPrice=61000)
    assert reply["success"], reply
    assert (await over(world, reply["algoId"]))["filledQuantity"] == D("0.010")
    assert world.held() == 0


@in_world()
async def test_it_survives_everything_but_what_means_it(world: World) -> None:
    """A pause, a freeze, a halt, cancel_all and a change of the book: it stays. cancel_all with includeProtection ends
    it."""
    await ready(world)
    held = await opened(world)
    name = await protected(world, positionId=held, triggerPrice=61000)
    for kind, body in (
        ("algo_pause", {"algoId": name}),
        ("freeze", {"subAccountId": "main"}),
        ("halt", {"scope": "all"}),
        ("cancel_all", {"subAccountId": "main"}),
        ("algo_resume", {"algoId": name}),
    ):
        reply = await world.command(kind, **body)
        assert reply["success"], (kind, reply)
        await world.run(1)
        assert standing(world) == [("SELL", D(61000), D("0.010"))], kind
    taken = await protected(world, "take_profit", positionId=held, triggerPrice=63000)
    assert len(standing(world)) == 2, "what only reduces is taken from who is frozen and halted"
    reply = await world.command("cancel_all", subAccountId="main", includeProtection=True)
    assert set(reply["stoppedAlgos"]) == {name, taken}
    assert (await over(world, name))["reason"] == "cancel_all"
    assert not world.waiting()


@in_world()
async def test_close_all_takes_protection_with_what_it_protects(world: World) -> None:
    await ready(world)
    held = await opened(world)
    name = await protected(world, positionId=held, triggerPrice=61000)
    assert (await world.command("close_all", subAccountId="main"))["success"]
    assert (await over(world, name))["status"] == "cancelled"
    await world.until(lambda: world.held() == 0)
    assert not world.waiting()
