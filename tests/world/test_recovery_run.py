"""A recovery that is only planned: what it asks, and that it leaves no trace."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from pms import exits, recovery_run
from pms.binance.transport import Response
from pms.cli import recover
from pms.cli.feed import read
from pms.daemon import Refused
from pms.sim.params import Request
from schemas import codec
from tests.world.test_kills import stranger
from tests.world.world import World, in_world

D = Decimal


async def _everything(world: World) -> dict[bytes, bytes]:
    keys = await world.redis.keys("*")
    return {key: await world.redis.dump(key) for key in keys}


def _heard_by_the_venue(world: World) -> list[Request]:
    """The simulator's own log of requests, from now on."""
    heard: list[Request] = []
    serve = world.sim.gate.serve

    async def noted(request: Request) -> Response:
        heard.append(request)
        return await serve(request)

    world.sim.gate.serve = noted
    return heard


@pytest.mark.crash
@in_world()
async def test_a_planned_recovery_asks_by_get_only_and_writes_nothing(world: World) -> None:
    await world.start()
    chase_id = await world.chase()
    (order,) = world.resting()
    await world.kill()
    world.exchange.cancel(world.account, "BTCUSDT", order_id=order.order_id)
    await world.run(11)  # its lease runs out
    before = await _everything(world)
    daemon = world._compose({}, "world")
    asked, lines = _heard_by_the_venue(world), list(world.sim.gate.lines)
    await recovery_run.examine(daemon)
    assert daemon.recovery.last is not None
    (step,) = daemon.recovery.last.steps
    assert (step.action, step.subject, step.outcome) == ("settle", order.client_id, "planned")
    assert len(asked) == len(world.http.requests) >= 4
    assert {request.method for request in asked} == {"GET"}
    assert world.sim.gate.lines == lines, "no stream was opened"
    assert await _everything(world) == before
    await world._end(daemon)
    await world.start()
    assert (await world.state(chase_id))["status"] == "paused"


@in_world(books=False)
async def test_a_planned_recovery_names_damaged_records_and_leaves_them_where_they_are(world: World) -> None:
    await world.start()
    await world.stop()
    await world.redis.set("pms:chase:cbroken000", b'{"v":1,"epoch":1,"rev":1,"seq":1,"chaseId":7}')
    await world.redis.hset("pms:position:main", "BTCUSDT", b"no JSON")
    before = await _everything(world)
    daemon = world._compose({}, "world")
    await recovery_run.examine(daemon)
    assert daemon.recovery.last is not None
    planned = {(step.action, step.subject, step.outcome) for step in daemon.recovery.last.steps}
    assert planned == {
        ("quarantine", "pms:chase:cbroken000", "planned"),
        ("quarantine", "pms:position:main:BTCUSDT", "planned"),
    }
    assert all(step.evidence for step in daemon.recovery.last.steps)
    assert await _everything(world) == before
    await world._end(daemon)
    await world.start()
    assert await world.redis.exists("pms:quarantine:pms:position:main:BTCUSDT"), "a start moves them aside"


@in_world()
async def test_a_planned_recovery_is_refused_beside_a_living_daemon(world: World) -> None:
    await world.start()
    running, life = world.daemon, world.life
    beside = world._compose({}, "elsewhere")
    with pytest.raises(Refused, match="another daemon holds this account") as caught:
        await recovery_run.examine(beside)
    assert caught.value.exit_code == exits.LEASE_HELD
    await world._end(beside)
    world.daemon, world.life = running, life


# --- what can't be resolved ---------------------------------------------------------------------------

ORDER = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010", "price": "61000.0"}


async def unresolved(world: World) -> list[str]:
    rows = await world.redis.hkeys("pms:alarms")
    return [row.decode().split(":")[1] for row in rows if row.startswith(b"recovery_unresolved")]


@pytest.mark.crash
@in_world(symbols=("BTCUSDT", "ETHUSDT"))
async def test_an_order_of_unknown_fate_blocks_its_symbol_and_sub_account_only_until_it_is_known(world: World) -> None:
    await world.start()
    await world.command("subaccount_put", subAccountId="second", name="second")
    world.life.die_on = "before POST"
    body = json.dumps(ORDER | {"subAccountId": "main", "requestId": "lost"})
    await world.redis.lpush("pms:cmd:limit", body)
    await world.until(lambda: world.daemon is None, 5)
    await world.run(3)
    daemon = await world.start()
    lost = await unresolved(world)
    assert len(lost) == 1
    assert daemon.recovery.last.unresolved == tuple(lost)
    assert (await world.command("limit", **ORDER))["errorCode"] == "OUTCOME_UNKNOWN"
    assert (await world.command("limit", **ORDER | {"subAccountId": "second"}))["success"]
    assert (await world.command("limit", **ORDER | {"symbol": "ETHUSDT", "price": "3300.0"}))["success"]
    assert (await world.command("chase", **{**ORDER, "price": None}))["errorCode"] == "OUTCOME_UNKNOWN"
    await world.run(15)
    assert await unresolved(world) == []
    assert (await world.command("limit", requestId="lost", **ORDER))["errorCode"] == "NOT_EXECUTED"
    assert (await world.command("limit", **ORDER))["success"]


@pytest.mark.crash
@in_world()
async def test_an_orphan_that_can_not_be_cancelled_is_told_and_taken_away_by_the_audit(world: World) -> None:
    await world.start()
    await world.stop()
    orphan = world.market.rest(world.account, "BUY", D("61000.0"), "0.010", stranger("cnobodyxyz"))
    world.fault("DELETE", status=503, body="Service Unavailable")
    daemon = await world.start()
    assert orphan.is_open
    assert await unresolved(world) == [orphan.client_id]
    assert orphan.client_id in daemon.recovery.last.unresolved
    assert (await world.command("limit", **ORDER))["errorCode"] == "OUTCOME_UNKNOWN"
    await world.run(35)
    assert not orphan.is_open
    assert await unresolved(world) == []
    assert (await world.command("limit", **ORDER))["success"]


@pytest.mark.parametrize("policy, foreign_goes", [("cancel", True), ("ours", False), ("report", False)])
@in_world(books=False)
async def test_a_planned_recovery_judges_foreign_orders_by_the_policy_it_is_given(
    world: World, policy: str, foreign_goes: bool
) -> None:
    await world.start()
    await world.stop()
    world.market.rest(world.account, "BUY", D("61000.0"), "0.010", "web_1")
    daemon = world._compose({"PMS_FOREIGN_ORDERS": policy}, "world")
    await recovery_run.examine(daemon)
    assert daemon.recovery.last is not None
    (step,) = daemon.recovery.last.steps
    assert step.action == ("cancelorder" if foreign_goes else "show")
    assert recover.outcome(read(codec.encode(daemon.recovery.last))) == (exits.ACTED if foreign_goes else exits.OK)
    await world._end(daemon)
