"""Every row of "When a part is gone" (design.md) by the faults' names: what stops, what goes on, and what comes back.

Several faults share a world, one after the other; at its end venue, Redis and events agree (`tests.world.books`).
Redis, disk and SQL have files of their own: test_redis_away, test_disk, test_records_watch.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from pms import watch
from pms.binance import user_stream
from pms.daemon import Refused
from tests.world.world import World, in_world

D = Decimal
pytestmark = pytest.mark.faults
Cases = Callable[[int], None]


async def begin(world: World, **body: Any) -> tuple[str, Any]:
    """A chase at 61800 that rests."""
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase(**{"quantity": "0.100", "stalkMode": "none"} | body)
    (order,) = world.resting()
    return chase, order


async def healthy(world: World, within_s: float = 60) -> float:
    """Wait until nothing is missing; how many seconds it took."""
    assert world.daemon is not None
    daemon, since = world.daemon, world.clock.monotonic()
    await world.until(lambda: not daemon.watch.degraded, within_s)
    return world.clock.monotonic() - since


async def filled(world: World, chase: str, quantity: str, within_s: float = 10) -> None:
    async def booked() -> bool:
        return bool((await world.state(chase))["filledQuantity"] == D(quantity))

    await world.until(booked, within_s)


async def alarms(world: World) -> list[tuple[str, bool]]:
    return [(event["code"], event["cleared"]) for event in await world.events("alarm")]


# --- user stream --------------------------------------------------------------------------------------

KEY_GONE = (
    {"fault": "listen_key_expired"},
    {"fault": "listen_key_deleted"},
    {"fault": "listen_key_deleted", "renewed": True},
)


@pytest.mark.parametrize("fault", KEY_GONE, ids=["expired", "deleted", "deleted and renewed"])
@in_world()
async def test_a_key_that_ends_in_mid_fill_is_live_again_within_3_s_and_no_fill_is_lost(
    world: World, fault: dict[str, Any], cases: Cases
) -> None:
    chase, order = await begin(world)
    assert world.daemon is not None
    for round_ in range(1, 6):
        await world.run(11.3 + 0.3 * round_)  # the key ends at another moment of the daemon's looking each time
        world.market.hit(order, "0.004")
        gaps = len(await world.events("recovery_completed"))
        world.strike(**fault)
        world.market.hit(order, "0.006")  # nobody hears of it
        since = world.clock.monotonic()
        gap = world.daemon.venue._stream._gaps
        await world.until(lambda gap=gap: world.daemon.venue._stream._gaps > gap, 3, 0.01)  # type: ignore[union-attr]
        await healthy(world, 3)
        assert world.clock.monotonic() - since <= 3
        await filled(world, chase, str(D("0.010") * round_), 1)
        assert len(await world.events("recovery_completed")) == gaps + 1
    expired = fault["fault"] == "listen_key_expired"
    assert await alarms(world) == ([] if expired else [("listen_key_taken", False)])
    cases(5)


@in_world()
async def test_the_alarm_of_a_taken_key_ends_when_the_stream_was_left_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "LEFT_ALONE_S", 20.0)
    await begin(world)
    for _ in range(2):
        world.strike("listen_key_deleted")
        await world.run(12)
    assert await alarms(world) == [("listen_key_taken", False)]
    await world.kill()
    await world.start()
    await world.run(21)
    assert await alarms(world) == [("listen_key_taken", False), ("listen_key_taken", True)]


@in_world()
async def test_a_bogus_key_that_is_accepted_and_a_silent_route_are_found_out(world: World, cases: Cases) -> None:
    chase, order = await begin(world)
    world.strike("listen_key_bogus")
    world.strike("disconnect", route="private", how="clean")
    world.market.hit(order, "0.010")
    await world.run(0.1)
    await healthy(world)  # the gap is read, whatever the socket is worth
    await world.run(0.5)
    world.market.hit(order, "0.010")  # into a deaf socket
    await filled(world, chase, "0.020", 5)
    await world.run(11)
    world.strike("wrong_route", route="private", for_ms=20_000)
    world.strike("disconnect", route="private")
    await world.run(3)
    world.market.hit(order, "0.010")
    await filled(world, chase, "0.030", 45)  # only the orders themselves can tell (Probe)
    await world.run(20)
    await healthy(world)
    cases(2)


@in_world()
async def test_the_hand_over_before_24_hours_loses_and_doubles_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_stream, "HAND_OVER_S", 30.0)
    chase, order = await begin(world)
    assert world.daemon is not None
    opened = world.sim.gate.live("private")
    for step in range(60):  # a fill each second, before, while and after both are open
        world.market.hit(order, "0.001")
        if step == 50:
            world.strike("day_over", route="private")
        await world.run(1)
        if step == 49:
            assert world.sim.gate.live("private") != opened
            causes = [event["cause"] for event in await world.events("recovery_completed")]
            assert causes == ["start"]  # nothing had to be read
    await healthy(world)
    await filled(world, chase, "0.060")
    fills = [event["tradeId"] for event in await world.events("order_partial", "order_filled")]
    assert len(fills) == len(set(fills)) == 60


USER_EVENTS = (
    {"fault": "user_event_twice"},
    {"fault": "user_event_twice", "events": []},
    {"fault": "user_event_swapped"},
    {"fault": "user_event_swapped", "events": ["TRADE_LITE"]},
    {"fault": "user_event_swapped", "events": ["ACCOUNT_UPDATE"]},
    {"fault": "user_event_late", "ms": 2_000},
    {"fault": "user_event_lost"},
    {"fault": "user_event_garbage"},
    {"fault": "user_stream_silent", "for_ms": 3_000},
    {"fault": "disconnect", "route": "private", "how": "clean"},
    {"fault": "disconnect", "route": "private", "how": "reset"},
    {"fault": "disconnect", "route": "private", "how": "half_open"},
    {"fault": "day_over", "route": "private"},
)


@in_world()
async def test_whatever_happens_to_user_events_each_fill_is_booked_once(world: World, cases: Cases) -> None:
    chase, order = await begin(world)
    for number, fault in enumerate(USER_EVENTS, start=1):
        world.strike(**fault)
        world.market.hit(order, "0.003")
        world.market.hit(order, "0.002")
        await filled(world, chase, str(D("0.005") * number), 45)
        world.heal()
        await healthy(world)
        await world.run(3)
    fills = [event["tradeId"] for event in await world.events("order_partial")]
    assert len(fills) == len(set(fills)) == 2 * len(USER_EVENTS)
    cases(len(USER_EVENTS))


# --- depth --------------------------------------------------------------------------------------------

DEPTH = (
    {"fault": "depth_gap"},
    {"fault": "depth_twice"},
    {"fault": "depth_swapped"},
    {"fault": "book_crossed"},
    {"fault": "market_garbage", "count": 3},
    {"fault": "wrong_route", "route": "public", "for_ms": 6_000},
    {"fault": "disconnect", "route": "public", "how": "clean"},
    {"fault": "disconnect", "route": "public", "how": "reset"},
    {"fault": "disconnect", "route": "public", "how": "half_open"},
    {"fault": "day_over", "route": "public"},
)


@in_world()
async def test_after_any_fault_of_the_depth_the_chase_follows_the_right_book_again(world: World, cases: Cases) -> None:
    await begin(world, stalkMode="maintain")
    for fault in DEPTH:
        world.strike(**fault)
        await world.run(1.2)
        world.market.move(1)
        await world.until(lambda: [order.price for order in world.resting()] == [world.market.bid], 40)
        world.heal()
        await healthy(world)
        await world.run(1)
    world.strike("snapshot_stale", symbol="BTCUSDT", count=3)
    await world.run(1)
    world.strike("depth_gap")
    world.market.move(3)
    await world.until(lambda: [order.price for order in world.resting()] == [world.market.bid], 40)
    await world.until(lambda: world.sim.faults.fired["snapshot_stale"] == 3)
    await healthy(world)
    world.market.move(1)
    await world.until(lambda: [order.price for order in world.resting()] == [world.market.bid], 5)
    for kind in {fault["fault"] for fault in DEPTH}:
        assert any(name.startswith(str(kind)) for name in world.sim.faults.fired), kind
    cases(len(DEPTH) + 1)


@in_world()
async def test_while_the_book_is_stale_nothing_follows_it(world: World) -> None:
    chase, order = await begin(world, stalkMode="maintain")
    world.strike("wrong_route", route="public", for_ms=8_000)
    await world.run(3.5)  # silence of 3 s is a stale book
    world.market.move(1)
    await world.run(1)
    assert (await world.state(chase))["hold"] == "book"
    assert order.price == D("61800.0")
    await world.until(lambda: order.price == D("61800.1"), 30)


@in_world()
async def test_a_book_that_goes_while_leverage_is_set_costs_the_command_and_nothing_more(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    await world.chase()
    world.strike("request_slow", method="POST", path="/fapi/v1/leverage", ms=600)
    world.strike("wrong_route", route="public", at_ms=300, for_ms=10_000)
    world.strike("disconnect", route="public", at_ms=300)
    body = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010", "leverage": 7}
    assert (await world.command("chase", wait_s=12, **body))["errorCode"] == "NO_PRICE"
    await healthy(world)
    assert (await world.command("chase", **body))["success"]


# --- rate limits --------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 418])
@in_world()
async def test_after_429_and_418_nothing_at_all_is_sent_before_the_venue_allows_it(world: World, status: int) -> None:
    await begin(world, stalkMode="maintain")
    world.strike("rate_limited", status=status, retry_after_s=7, method="PUT", path="/fapi/v1/order")
    world.market.move(1)
    await world.until(lambda: world.sim.faults.fired["rate_limited"] == 1)
    sent = world.sim.gate.requests
    world.market.move(1)
    await world.run(6.8)
    assert world.sim.gate.requests == sent
    await world.until(lambda: [order.price for order in world.resting()] == [world.market.bid], 3)


@in_world()
async def test_after_1015_no_order_is_sent_before_the_next_slot_and_cancels_go(world: World) -> None:
    chase, order = await begin(world, stalkMode="maintain")
    await world.run((10_000 - world.clock.now_ms() % 10_000) / 1000 + 1)
    world.strike("orders_limited", method="PUT", path="/fapi/v1/order")
    world.market.move(1)
    await world.until(lambda: world.sim.faults.fired["orders_limited"] == 1)
    sent = world.order_requests()
    world.market.move(1)
    await world.run(3)
    assert world.order_requests() == sent
    assert (await world.command("chase_cancel", chaseId=chase))["success"]
    await world.until(lambda: not order.is_open, 0.5)


@in_world()
async def test_a_start_into_a_full_counter_waits_before_it_gives_up(world: World) -> None:
    """A supervisor starts us again at once: going on asking after 429 is what gets us banned."""
    world.strike("neighbour", weight_pct=100)
    since, sent = world.clock.monotonic(), world.sim.gate.requests
    left_s = 60 - world.clock.now_ms() % 60_000 / 1000
    with pytest.raises(Refused, match="Too many requests"):
        await world.start()
    assert world.clock.monotonic() - since >= min(left_s, 50)
    assert world.sim.gate.requests == sent + 1
    await world.kill()
    await world.run(10)
    await world.start()


# --- the venue away -----------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["maintenance", "not_reached"])
@in_world()
async def test_a_venue_that_is_away_for_half_a_minute_is_taken_up_again(world: World, fault: str) -> None:
    chase, order = await begin(world, stalkMode="maintain")
    world.market.hit(order, "0.004")
    world.strike(fault, for_ms=30_000)
    await world.run(5)
    world.market.hit(order, "0.006")
    world.market.move(1)
    assert world.daemon is not None
    assert len(world.daemon.watch.degraded) == 2  # user stream and book
    await world.run(25)
    assert await healthy(world) <= 60
    await world.until(lambda: [one.price for one in world.resting()] == [world.market.bid], 30)
    assert (await world.state(chase))["filledQuantity"] == D("0.010")
    assert len(world.placed()) == 1


# --- rules and accounts -------------------------------------------------------------------------------


@in_world()
async def test_a_halted_symbol_stops_its_algos_with_the_reason_until_it_trades_again(world: World) -> None:
    chase, order = await begin(world, stalkMode="maintain")
    world.strike("symbol_halted", symbol="BTCUSDT", for_ms=20_000)
    world.market.move(1)
    await world.until(lambda: not order.is_open, 15)
    state = await world.state(chase)
    assert (state["status"], state["reason"], state["blocked"]) == (
        "blocked",
        "symbol_not_trading",
        "symbol_not_trading",
    )
    assert ("symbol_halted", False) in await alarms(world)
    refused = await world.command("chase", symbol="BTCUSDT", side="BUY", quantity="0.010")
    assert refused["errorCode"] == "SYMBOL_NOT_TRADING"
    await world.until(lambda: [one.price for one in world.resting()] == [world.market.bid], 60)
    assert ("symbol_halted", True) in await alarms(world)


@in_world()
async def test_a_filter_that_changes_is_read_and_obeyed(world: World) -> None:
    await begin(world, stalkMode="maintain")
    world.market.quote("61801.3", "61805.0")
    await world.until(lambda: [one.price for one in world.resting()] == [D("61801.3")])
    world.strike("filters_changed", symbol="BTCUSDT", tick="0.20")
    world.market.quote("61802.3", "61805.0")
    await world.until(lambda: [one.price for one in world.resting()] == [D("61802.2")], 20)


@in_world()
async def test_deleveraging_and_liquidation_are_booked_as_they_come(world: World) -> None:
    chase, order = await begin(world)
    world.market.hit(order, "0.050")
    await filled(world, chase, "0.050")
    for left in ("0.035", "0.030"):  # every one of them has the same name at the venue
        world.strike("adl", symbol="BTCUSDT", quantity="0.015" if left == "0.035" else "0.005")
        await world.run(3)
        assert world.held() == D(left)
    names = {event["clientOrderId"] for event in await world.events("order_filled") if event["origin"] == "LIQUIDATION"}
    assert len(names) == 2
    world.strike("liquidation")
    await world.run(60)  # the audit books what the venue took for it
    assert world.held() == 0


# --- the clock ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("skew_ms", [6_000, -6_000])
@pytest.mark.parametrize("whose", ["venue", "host"])
@in_world()
async def test_a_clock_six_seconds_off_stops_entries_and_nothing_else(world: World, whose: str, skew_ms: int) -> None:
    chase, order = await begin(world, stalkMode="maintain")

    async def told(*wanted: tuple[str, bool]) -> None:
        async def holds() -> bool:
            return [alarm for alarm in await alarms(world) if alarm[0] == "clock_off"] == list(wanted)

        await world.until(holds, 30)

    def set_clock(milliseconds: int) -> None:
        if whose == "venue":
            world.strike("clock_skew", ms=milliseconds)
        else:
            world.life.clock_off_ms = milliseconds

    set_clock(skew_ms // 3)  # two seconds: told, and no more
    await told(("clock_off", False))
    world.market.move(1)
    await world.until(lambda: order.price == world.market.bid, 5)
    set_clock(skew_ms)
    assert world.daemon is not None
    await world.until(lambda: any("clock" in part for part in world.daemon.watch.degraded), 30)  # type: ignore[union-attr]
    before = order.price
    world.market.move(1)
    await world.run(2)
    assert (order.price, (await world.state(chase))["hold"]) == (before, "clock")
    other = await world.command("limit", symbol="BTCUSDT", side="BUY", quantity="0.010", price="61000")
    assert not other["success"]
    assert (await world.command("chase_cancel", chaseId=chase))["success"]  # a cancel goes
    await world.until(lambda: not order.is_open, 1)
    set_clock(0)
    await told(("clock_off", False), ("clock_off", True))
    await world.chase(quantity="0.010")
