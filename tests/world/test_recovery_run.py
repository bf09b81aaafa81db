"""A recovery that is only planned: what it asks, and that it leaves no trace."""

from __future__ import annotations

import pytest

from pms import exits, recovery_run
from pms.daemon import Refused
from tests.world.world import World, in_world


async def _everything(world: World) -> dict[bytes, bytes]:
    keys = await world.redis.keys("*")
    return {key: await world.redis.dump(key) for key in keys}


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
    await recovery_run.examine(daemon)
    assert daemon.recovery.last is not None
    (step,) = daemon.recovery.last.steps
    assert (step.action, step.subject, step.outcome) == ("settle", order.client_id, "planned")
    assert {method for method, _ in world.http.requests} == {"GET"}
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
