"""A plug-in's algo over commands, restarts, and times when its plug-in is missing or misbehaves."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from pms import recovery_run
from tests.plugin_site import ICEBERG as ICEBERG_SOURCE
from tests.plugin_site import Site
from tests.world.test_plugins import ICEBERG, again, begin, ends, iceberg, shows, state_of
from tests.world.test_plugins import plugs as plugs  # noqa: PLC0414 - a fixture
from tests.world.world import World, in_world

D = Decimal


async def status(world: World, algo_id: str, wanted: str) -> None:
    async def stands() -> bool:
        return (await state_of(world, algo_id))["status"] == wanted

    await world.until(stands)


async def alarms(world: World) -> set[str]:
    return {name.decode() for name in await world.redis.hkeys("pms:alarms")}


async def filled_to_the_end(world: World, *pieces: str) -> None:
    for shown in pieces:
        world.market.hit(await shows(world, shown), shown)


async def half_done(world: World, plugs: Site) -> str:
    """An iceberg of 0.010 with 0.005 filled: its second piece rests with 0.003 to go."""
    plugs.iceberg()
    plugs.approve()
    await begin(world, plugs)
    algo_id = await iceberg(world)
    await filled_to_the_end(world, "0.004")
    world.market.hit(await shows(world, "0.004"), "0.001")
    await world.run(0.2)
    return algo_id


# --- commands -----------------------------------------------------------------------------------------


@in_world()
async def test_a_pause_takes_the_piece_away_and_a_resume_shows_the_rest(world: World, plugs: Site) -> None:
    algo_id = await half_done(world, plugs)
    assert (await world.command("algo_pause", algoId=algo_id))["success"]
    await world.until(lambda: not world.resting())
    await world.run(5)
    assert (await state_of(world, algo_id))["status"] == "paused"
    assert len(world.placed()) == 2
    assert (await world.command("algo_resume", algoId=algo_id))["success"]
    await filled_to_the_end(world, "0.004", "0.001")
    assert (await ends(world, algo_id))["legs"][0]["filled"] == D("0.010")


@in_world()
async def test_a_cancel_ends_it_when_its_order_is_proven_gone(world: World, plugs: Site) -> None:
    algo_id = await half_done(world, plugs)
    chase = await world.chase()
    refused = await world.command("algo_cancel", algoId=chase)
    assert (refused["errorCode"], "chase_cancel" in refused["error"]) == ("ALGO_NOT_FOUND", True)
    reply = await world.command("algo_cancel", algoId=algo_id)
    assert reply["success"], reply
    state = await state_of(world, algo_id)
    assert (state["status"], state["reason"], state["orders"]) == ("cancelled", "cancelled_by_command", [])
    assert (await world.events("algo_cancelled"))[-1]["state"]["legs"][0]["filledQuantity"] == D("0.005")
    assert [order.client_id[9:19] for order in world.resting()] == [chase]


@in_world()
async def test_an_order_cancelled_by_somebody_else_ends_the_algo(world: World, plugs: Site) -> None:
    algo_id = await half_done(world, plugs)
    (order,) = world.resting()
    world.exchange.cancel(world.account, "BTCUSDT", order_id=order.order_id)
    state = await ends(world, algo_id, "cancelled")
    assert state["reason"] == "child_cancelled_externally"


@in_world()
async def test_a_freeze_and_a_halt_take_its_entries_away(world: World, plugs: Site) -> None:
    algo_id = await half_done(world, plugs)
    for stop, go in ((("freeze", {}), ("unfreeze", {})), (("halt", {"scope": "all"}), ("resume", {"scope": "all"}))):
        assert (await world.command(stop[0], **stop[1]))["success"]
        await world.until(lambda: not world.resting())
        assert (await state_of(world, algo_id))["status"] == "blocked"
        assert (await world.command(go[0], **go[1]))["success"]
        await world.until(lambda: len(world.resting()) == 1)
    assert (await state_of(world, algo_id))["status"] == "active"


@in_world()
async def test_on_stale_prices_the_next_piece_waits(world: World, plugs: Site) -> None:
    algo_id = await half_done(world, plugs)
    (order,) = world.resting()
    world.mute("/public")
    world.market.quote("61801.0", "61805.0")

    async def holds() -> bool:
        return (await state_of(world, algo_id))["hold"] == "book"

    await world.until(holds)
    world.market.hit(order, "0.003")  # the user stream still tells
    await world.run(10)
    assert world.resting() == []
    world.heal()
    await world.until(lambda: len(world.resting()) == 1, 60)
    await filled_to_the_end(world, "0.002")
    await ends(world, algo_id)


# --- restarts -----------------------------------------------------------------------------------------


@pytest.mark.crash
@pytest.mark.parametrize("down_s", [1, 3600])
@pytest.mark.parametrize("ended", ["killed", "stopped"])
def test_it_goes_on_after_a_restart_with_the_exact_rest(ended, down_s, tmp_path: Path, plugs: Site) -> None:
    @in_world()
    async def live(world: World) -> None:
        algo_id = await half_done(world, plugs)
        (order,) = world.resting()
        await (world.kill() if ended == "killed" else world.stop())
        if order.is_open:
            world.market.hit(order, "0.001")
        await world.nobody_looks(down_s)
        await again(world, plugs)
        if down_s > 300:
            await world.until(lambda: not world.resting())
            assert (await state_of(world, algo_id))["paused"] == "down_too_long"
            assert f"algo_paused:{algo_id}" in await alarms(world)
            assert (await world.command("algo_resume", algoId=algo_id))["success"]
        await world.until(lambda: len(world.resting()) == 1)
        if ended == "killed" and down_s == 1:
            assert world.resting() == [order]
        while world.held() < D("0.010"):
            await world.until(lambda: len(world.resting()) == 1)
            (shown,) = world.resting()
            assert shown.quantity <= D("0.004")
            world.market.hit(shown, str(shown.remaining))
            await world.run(0.5)
        state = await ends(world, algo_id)
        assert state["legs"][0]["filled"] == D("0.010") == world.held()

    live(tmp_path)


@pytest.mark.crash
@pytest.mark.parametrize("point", range(1, 7))
def test_killed_at_any_effect_it_never_fills_more_than_asked(point: int, tmp_path: Path, plugs: Site) -> None:
    @in_world()
    async def live(world: World) -> None:
        algo_id = await half_done(world, plugs)
        world.life.die_at = len(world.life.effects) + point
        for _ in range(12):
            for order in world.resting():
                world.market.hit(order, str(min(order.remaining, D("0.001"))))
            await world.run(0.5)
        if world.daemon is not None:
            await world.kill()
        await again(world, plugs)
        for _ in range(40):
            for order in world.resting():
                world.market.hit(order, str(order.remaining))
            await world.run(0.5)
        state = await ends(world, algo_id)
        assert state["legs"][0]["filled"] == D("0.010") == world.held()

    live(tmp_path)


@in_world()
async def test_a_new_approved_version_goes_on_with_the_record_of_the_old_one(world: World, plugs: Site) -> None:
    algo_id = await half_done(world, plugs)
    before = await state_of(world, algo_id)
    await world.stop()
    plugs.iceberg("1.1.0", more="\n# a word more\n")
    plugs.approve()
    await again(world, plugs)
    await filled_to_the_end(world, "0.004", "0.001")
    state = await ends(world, algo_id)
    assert before["madeBy"].startswith("pms-iceberg==1.0.0 ")
    assert state["madeBy"] == plugs.package().line


# --- missing ------------------------------------------------------------------------------------------


@in_world()
async def test_without_its_plug_in_it_is_parked_and_loses_nothing(world: World, plugs: Site) -> None:
    algo_id = await half_done(world, plugs)
    (order,) = world.resting()
    await world.kill()
    world.market.hit(order, "0.001")
    plugs.approve("# nothing")
    await again(world, plugs)
    await world.until(lambda: not world.resting())
    parked = await state_of(world, algo_id)
    assert (parked["status"], parked["paused"], parked["legs"][0]["filled"]) == ("paused", "plugin_missing", D("0.006"))
    assert parked["params"]["displayQuantity"] == D("0.004")
    alarm = json.loads(await world.redis.hget("pms:alarms", f"plugin_missing:{algo_id}"))
    assert plugs.package().line in alarm["message"]
    refused = await world.command("algo_resume", algoId=algo_id)
    assert refused["errorCode"] == "PLUGIN_NOT_APPROVED"
    assert plugs.package().line in refused["error"]
    await world.run(60)
    assert len(world.placed()) == 2, "nothing new while it is missing"
    await world.stop()
    plugs.approve()
    await again(world, plugs)
    assert (await state_of(world, algo_id))["paused"] == "plugin_missing"
    assert f"plugin_missing:{algo_id}" not in await alarms(world)
    assert f"algo_paused:{algo_id}" in await alarms(world)
    assert (await world.command("algo_resume", algoId=algo_id))["success"]
    await filled_to_the_end(world, "0.004")
    assert (await ends(world, algo_id))["legs"][0]["filled"] == D("0.010")


@in_world()
async def test_a_parked_algo_can_be_cancelled_and_its_alarm_goes_with_it(world: World, plugs: Site) -> None:
    algo_id = await half_done(world, plugs)
    await world.stop()
    plugs.approve("# nothing")
    await again(world, plugs)
    assert f"plugin_missing:{algo_id}" in await alarms(world)
    assert (await world.command("algo_cancel", algoId=algo_id))["success"]
    assert (await state_of(world, algo_id))["status"] == "cancelled"
    assert f"plugin_missing:{algo_id}" not in await alarms(world)


@in_world()
async def test_without_its_plug_in_what_only_reduces_rests_on_and_is_booked(world: World, plugs: Site) -> None:
    plugs.iceberg()
    plugs.approve()
    await begin(world, plugs)
    assert (await world.command("trade", symbol="BTCUSDT", side="BUY", quantity="0.010"))["success"]
    algo_id = await iceberg(world, side="SELL", price="61850.0", reduceOnly=True)
    order = await shows(world, "0.004")
    await world.stop()
    assert world.resting() == [order], "law 8"
    plugs.approve("# nothing")
    await again(world, plugs)
    await world.run(10)
    assert world.resting() == [order]
    world.market.hit(order, "0.001")
    await world.until(lambda: world.held() == D("0.009"))
    await world.run(0.5)
    parked = await state_of(world, algo_id)
    assert (parked["paused"], parked["legs"][0]["filled"]) == ("plugin_missing", D("0.001"))
    await world.stop()
    plugs.approve()
    await again(world, plugs)
    assert (await state_of(world, algo_id))["status"] == "active", "what only reduces goes on by itself"
    world.market.hit(order, "0.003")
    await filled_to_the_end(world, "0.004", "0.002")
    await ends(world, algo_id)
    assert world.held() == 0


@in_world()
async def test_a_record_that_the_new_version_cannot_read_is_parked_not_lost(world: World, plugs: Site) -> None:
    algo_id = await half_done(world, plugs)
    await world.stop()
    changed = (
        (plugs.folder / "pms_iceberg.py")
        .read_text()
        .replace("    display_quantity: Size", "    shown: Size\n    display_quantity: Size")
    )
    plugs.install("pms-iceberg", "2.0.0", {"iceberg": "pms_iceberg:ICEBERG"}, {"pms_iceberg.py": changed})
    plugs.approve()
    await again(world, plugs)
    state = await state_of(world, algo_id)
    assert (state["paused"], state["madeBy"].split()[0]) == ("plugin_missing", "pms-iceberg==1.0.0")
    alarm = json.loads(await world.redis.hget("pms:alarms", f"plugin_missing:{algo_id}"))
    assert "can't read what pms-iceberg==1.0.0" in alarm["message"]


@pytest.mark.crash
@in_world()
async def test_a_recovery_by_itself_loads_nothing_and_takes_no_order_for_an_orphan(world: World, plugs: Site) -> None:
    algo_id = await half_done(world, plugs)
    (order,) = world.resting()
    await world.kill()
    world.market.hit(order, "0.001")
    await world.run(11)  # its lease runs out
    planned = world._compose({"PMS_PLUGINS": str(plugs.approved)}, "world")
    await recovery_run.examine(planned)
    assert planned.recovery.last is not None
    assert {step.action for step in planned.recovery.last.steps} == {"settle", "book"}
    await world._end(planned)
    applied = world._compose({"PMS_PLUGINS": str(plugs.approved)}, "world")
    await applied.put_right()
    await world.stop()
    assert (planned.plugins.loaded, applied.plugins.loaded) == ({}, {})
    assert (await state_of(world, algo_id))["legs"][0]["filled"] == D("0.006")
    assert world.resting() == [order], "algos stay as they are"
    await again(world, plugs)
    assert (await state_of(world, algo_id))["status"] == "active", "it was never missing"
    world.market.hit(order, "0.002")
    await filled_to_the_end(world, "0.002")
    await ends(world, algo_id)


# --- misbehaving --------------------------------------------------------------------------------------

BAD = {
    "raises": "raise ValueError('a bug')",
    "asks for more than was planned": "return place(state, 1, params.side, params.price, Decimal('1'))",
    "asks off the grid": "return place(state, 1, params.side, params.price, Decimal('0.0015'))",
    "asks twice in a slot": "return place(state, 0, params.side, params.price, Decimal('0.001'))",
    "forgets its order": "return msgspec.structs.replace(state, orders=()), NOTHING",
    "takes another's name": "return msgspec.structs.replace(state, sub_account_id='x'), NOTHING",
    "keeps what no record can": "return msgspec.structs.replace(state, own={1j}), NOTHING",
}


def spoil(plugs: Site, wrong: str) -> None:
    """Install the example with a mistake: it is made as soon as its order rests."""
    right = "    if state.orders:\n        return state, NOTHING\n"
    text = ICEBERG_SOURCE.read_text()
    assert text.count(right) == 1
    text = text.replace(right, f"    params = state.params\n    if state.orders:\n        {wrong}\n")
    text = text.replace("from decimal import Decimal\n", "from decimal import Decimal\n\nimport msgspec\n")
    plugs.install("pms-iceberg", "1.0.0", {"iceberg": "pms_iceberg:ICEBERG"}, {"pms_iceberg.py": text})
    plugs.approve()


@pytest.mark.parametrize("what", BAD)
def test_a_plug_in_that_misbehaves_fails_itself_and_nothing_else(what: str, tmp_path: Path, plugs: Site) -> None:
    spoil(plugs, BAD[what])

    @in_world()
    async def live(world: World) -> None:
        await begin(world, plugs)
        chase = await world.chase()
        algo_id = await iceberg(world)
        await world.run(1)
        world.market.quote("61800.5", "61805.0")
        state = await ends(world, algo_id, "failed")
        assert "internal error" in state["reason"], state["reason"]
        assert f"algo_failed:{algo_id}" in await alarms(world)
        assert (await world.events("algo_failed"))[-1]["algoId"] == algo_id
        await world.until(lambda: [order.client_id[9:19] for order in world.resting()] == [chase])
        assert sum(order.client_id[9:19] == algo_id for order in world.placed()) == 1
        await world.until(lambda: world.resting()[0].price == D("61800.5"))

    live(tmp_path)


@in_world()
async def test_a_plug_in_that_raises_at_its_start_is_answered_and_leaves_nothing(world: World, plugs: Site) -> None:
    plugs.iceberg(
        more="\n\ndef bad(state, now, quote):\n    raise ValueError('a bug')\n\n\n"
        "ICEBERG = Plugin(name='iceberg', params=IcebergParams, plan=plan, decide=bad)\n"
    )
    plugs.approve()
    await begin(world, plugs)
    reply = await world.command("algo_start", algo="iceberg", params=ICEBERG)
    assert (reply["success"], "ValueError('a bug')" in reply["error"]) == (False, True)
    assert await world.redis.hkeys("pms:active_algo:main") == []
    await world.chase()


@pytest.mark.crash
@in_world()
async def test_killed_right_after_its_acceptance_a_repeat_is_told_of_that_algo(world: World, plugs: Site) -> None:
    plugs.iceberg()
    plugs.approve()
    await begin(world, plugs)
    await world.command("validate", command={"type": "algo_start", "algo": "iceberg", "params": ICEBERG})
    await iceberg(world, quantity="0.004")  # leverage and sub-account are there
    world.life.die_on = "after claim"
    body = {"subAccountId": "main", "requestId": "once", "algo": "iceberg", "params": ICEBERG}
    await world.redis.lpush("pms:cmd:algo_start", json.dumps(body))
    await world.until(lambda: world.daemon is None)
    plugs.approve("# nothing")
    await again(world, plugs)
    reply = await world.command("algo_start", **body)
    assert reply["success"], reply
    state = await state_of(world, reply["algoId"])
    assert (state["requestId"], state["paused"]) == ("once", "plugin_missing")
    assert len(await world.redis.hkeys("pms:active_algo:main")) == 2
    await world.run(15)
    assert world.resting() == [], "what had not left never does"
