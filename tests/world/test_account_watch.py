"""What is set for the whole account while we trade on it: position mode, asset mode, leverage; and margin calls
(execution.md 15, 17; binance.md 7.5)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from pms import exits
from pms.daemon import Refused
from pms.sim.exchange import Settings
from pms.sim.faults import Latency
from tests.world.test_audit import alarms
from tests.world.test_leverage import LIMIT, TRADE, leverage, settings
from tests.world.test_sub_accounts import QUOTE, by_hand
from tests.world.world import World, in_world

D = Decimal
HEDGE, MULTI = "account_mode:hedge_mode", "account_mode:multi_assets_mode"
CHANGED, CALLED = "leverage_changed:BTCUSDT", "margin_call:account"


def in_the_app(world: World, act: Callable[..., Any], *given: Any) -> None:
    """Somebody changes a setting in the venue's own app."""
    act(world.account, *given)
    world.sim.venue.streams.flush(world.clock.now_ms())


async def stands(world: World, alarm: str, within_s: float) -> None:
    async def sounded() -> bool:
        return alarm in await alarms(world)

    await world.until(sounded, within_s)


async def over(world: World, alarm: str, within_s: float) -> None:
    async def cleared() -> bool:
        return alarm not in await alarms(world)

    await world.until(cleared, within_s)


async def mode(world: World) -> str:
    return str((await world.record("mode"))["mode"])


# --- modes that we can't serve -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "switch, way", [("set_dual_side", "dualSidePosition=false"), ("set_multi_assets", "multiAssetsMargin=false")]
)
@in_world()
async def test_a_start_in_a_mode_that_is_not_served_is_refused_with_the_way_out(
    world: World, switch: str, way: str
) -> None:
    turn = getattr(world.exchange, switch)
    turn(world.account, True)
    with pytest.raises(Refused, match=way) as refused:
        await world.start()
    assert refused.value.exit_code == exits.AUTH
    assert "No order was sent" in str(refused.value)
    assert world.order_requests() == []
    await world.kill()
    turn(world.account, False)
    await world.start()
    assert (await world.command("trade", **TRADE))["success"]


@in_world()
async def test_hedge_mode_that_is_switched_on_while_we_run_is_found_and_ends_all_entries(world: World) -> None:
    await world.start()
    in_the_app(world, world.exchange.set_dual_side, True)
    await stands(world, HEDGE, 31)
    assert await mode(world) == "REDUCE"
    for kind in ("trade", "chase"):
        assert (await world.command(kind, **TRADE)).get("errorCode") == "REDUCE_ONLY_MODE"
    assert world.order_requests() == []
    await world.command("resume", scope="all")
    assert await mode(world) == "REDUCE", "not while the mode stands"
    in_the_app(world, world.exchange.set_dual_side, False)
    await over(world, HEDGE, 31)
    assert await mode(world) == "REDUCE", "somebody has to say so"
    await world.command("resume", scope="all")
    assert (await world.command("trade", **TRADE))["success"]
    assert len(await world.events("alarm")) == 2


@in_world()
async def test_an_order_that_meets_hedge_mode_has_it_found_at_once(world: World) -> None:
    await world.start()
    in_the_app(world, world.exchange.set_dual_side, True)
    reply = await world.command("trade", **TRADE)
    assert (reply["errorCode"], reply["details"]["code"]) == ("EXCHANGE_REJECTED", -4061), reply
    await stands(world, HEDGE, 1)
    assert await mode(world) == "REDUCE"


@in_world()
async def test_multi_assets_mode_is_told_and_ends_all_entries_until_it_is_off_and_resumed(world: World) -> None:
    await world.start()
    in_the_app(world, world.exchange.set_multi_assets, True)
    await stands(world, MULTI, 0.5)
    assert (await world.command("trade", **TRADE)).get("errorCode") == "REDUCE_ONLY_MODE"
    in_the_app(world, world.exchange.set_multi_assets, False)
    await over(world, MULTI, 0.5)
    await world.command("resume", scope="all")
    assert (await world.command("trade", **TRADE))["success"]


@in_world()
async def test_a_switch_that_no_event_told_of_is_found_by_the_audit(world: World) -> None:
    await world.start()
    world.exchange.set_multi_assets(world.account, True)
    world.cut("/private")
    await stands(world, MULTI, 60)
    assert await mode(world) == "REDUCE"


@in_world()
async def test_an_alarm_of_a_former_life_ends_with_the_mode(world: World) -> None:
    await world.start()
    in_the_app(world, world.exchange.set_multi_assets, True)
    await stands(world, MULTI, 0.5)
    await world.stop()
    world.exchange.set_multi_assets(world.account, False)
    await world.start()
    assert await mode(world) == "REDUCE"
    await over(world, MULTI, 31)


# --- leverage ------------------------------------------------------------------------------------------


@in_world()
async def test_leverage_that_another_hand_has_set_is_told_and_followed(world: World) -> None:
    await world.start()
    await world.command("trade", leverage=5, **TRADE)
    in_the_app(world, world.exchange.set_leverage, "BTCUSDT", 3)
    await stands(world, CHANGED, 0.5)
    (told,) = await world.events("alarm")
    assert "set to 3" in told["message"]
    assert "it was 5" in told["message"]
    await world.command("trade", leverage=5, **TRADE)
    assert (leverage(world), settings(world)) == (5, 2), "set anew"
    await over(world, CHANGED, 0.5)
    in_the_app(world, world.exchange.set_leverage, "BTCUSDT", 12)
    await stands(world, CHANGED, 0.5)
    await world.command("trade", leverage=5, **TRADE)
    assert (leverage(world), settings(world)) == (12, 2), "never lowered with a position"
    await world.command("trade", leverage=12, **TRADE)
    assert settings(world) == 2, "the memory has followed"
    in_the_app(world, world.exchange.set_leverage, "BTCUSDT", 5)
    in_the_app(world, world.exchange.set_leverage, "BTCUSDT", 12)
    messages = [event["message"] for event in await world.events("alarm") if not event["cleared"]]
    assert "it was 5" in messages[-1]


@in_world(latency=Latency(stream_ms=700))
async def test_our_own_settings_raise_no_alarm_however_late_the_venue_tells_of_them(world: World) -> None:
    await world.start()
    await world.command("limit", leverage=2, **LIMIT)  # which begins to watch the symbol
    await world.run(2)
    began = world.clock.monotonic()
    for wanted in (5, 8, 12):
        await world.command("limit", leverage=wanted, **LIMIT)
    assert (leverage(world), settings(world)) == (12, 4)
    assert world.clock.monotonic() - began < 0.7, "none of the events has come yet"
    await world.run(5)
    await world.command("limit", leverage=12, **LIMIT)
    assert (leverage(world), settings(world)) == (12, 4), "an event of an older one changes nothing"
    assert await world.events("alarm") == []


@in_world(latency=Latency(answer_ms=400))
async def test_a_hand_that_is_faster_than_the_answer_to_our_own_setting_is_the_newer_one(world: World) -> None:
    await world.start()
    trading = world.tasks.spawn(world.command("trade", leverage=5, **TRADE), "trade")
    await world.until(lambda: leverage(world) == 5)
    in_the_app(world, world.exchange.set_leverage, "BTCUSDT", 30)
    await trading
    assert leverage(world) == 30
    assert CHANGED in await alarms(world)
    await world.command("trade", leverage=20, **TRADE)
    assert (leverage(world), settings(world)) == (30, 1), "it is known to stand on 30, with a position"


@in_world()
async def test_leverage_of_a_symbol_that_nobody_uses_is_nobodys_alarm(world: World) -> None:
    await world.start()
    in_the_app(world, world.exchange.set_leverage, "BTCUSDT", 3)
    await world.run(1)
    assert await world.events("alarm") == []
    await world.command("trade", leverage=3, **TRADE)
    assert settings(world) == 0, "but it is remembered"


@pytest.mark.parametrize("away", ["restart", "gap"])
@in_world()
async def test_what_was_set_while_nobody_watched_is_read_again(world: World, away: str) -> None:
    await world.start()
    await world.command("trade", leverage=5, **TRADE)
    if away == "restart":
        await world.stop()
        world.exchange.set_leverage(world.account, "BTCUSDT", 3)
        await world.start()
    else:
        world.mute("/private")
        in_the_app(world, world.exchange.set_leverage, "BTCUSDT", 3)
        world.cut("/private")
        await world.run(5)
    before = settings(world)
    await world.command("trade", leverage=5, **TRADE)
    assert (leverage(world), settings(world) - before) == (5, 1)
    in_the_app(world, world.exchange.set_leverage, "BTCUSDT", 4)
    await stands(world, CHANGED, 0.5)


# --- margin calls --------------------------------------------------------------------------------------


@in_world()
async def test_a_margin_call_is_an_alarm_and_an_event_until_the_venue_reckons_otherwise(world: World) -> None:
    await world.start()
    await world.command("trade", **TRADE)
    in_the_app(world, world.exchange.margin_call)
    await stands(world, CALLED, 0.5)
    (warning,) = [event for event in await world.events("margin_warning") if event["subAccountId"] == "system"]
    assert (warning["tier"], warning["action"]) == ("margin_call", "none")
    assert 0 < warning["ratio"] < D("0.01")
    (alarm,) = await world.events("alarm")
    assert alarm["severity"] == "critical"
    assert "BTCUSDT" in alarm["message"]
    await over(world, CALLED, 31)


@in_world(exchange=Settings(starting_wallet=D(1_000)))
async def test_the_venues_own_call_stands_for_as_long_as_margin_hardly_covers(world: World) -> None:
    """A position of nobody's, so that nothing of ours is in the way."""
    world.market.quote(*QUOTE)
    await world.start(PMS_SUBACCOUNT_BALANCE="100")
    world.exchange.set_leverage(world.account, "BTCUSDT", 50)
    by_hand(world, "BUY", "0.100")
    await world.run(3)
    assert CALLED not in await alarms(world)
    (view,) = world.exchange.positions(world.account, "BTCUSDT")
    near = (view.liquidation_price + 30).quantize(D("0.1"))
    world.market.quote(near, near + 1)
    await stands(world, CALLED, 2)
    await world.run(70)
    assert CALLED in await alarms(world)
    ratios = [event["ratio"] for event in await world.events("margin_warning") if event["subAccountId"] == "system"]
    assert D("0.8") < ratios[0] < 1
    world.market.quote(*QUOTE)
    await over(world, CALLED, 40)
