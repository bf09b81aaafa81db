"""The server we stand on: what is found wrong with it, and what the start removes."""

from __future__ import annotations

import asyncio
import json

import pytest

from pms.bus import server
from pms.bus.batch import Batch
from schemas.records import Health
from tests.contract.bus.bed import REAL
from tests.contract.bus.test_inbox import CHASE, Office
from tests.contract.bus.test_store import event


@REAL
async def test_a_server_set_up_as_ours_is_without_findings(bed) -> None:
    assert await server.examine(bed.caller()) == ()


@REAL
async def test_an_evicting_server_without_a_log_is_named_with_the_remedy(bed) -> None:
    await bed.redis.config_set("maxmemory-policy", "allkeys-lru")
    await bed.redis.config_set("appendonly", "no")
    try:
        found = await server.examine(bed.caller())
    finally:
        await bed.redis.config_set("maxmemory-policy", "noeviction")
        await bed.redis.config_set("appendonly", "yes")
    assert [finding.code for finding in found] == ["no_aof", "maxmemory_policy"]
    assert "allkeys-lru" in found[1].message
    assert "CONFIG SET maxmemory-policy noeviction" in found[1].message


async def test_the_purge_removes_prices_of_its_namespace_and_nothing_else(bed) -> None:
    keys = bed.keys
    prices = [keys.price(f"S{n}USDT") for n in range(1500)]
    others = [keys.order("o-1"), keys.algo("chase", "c"), f"other-{keys.prices}", "price:BTCUSDT"]
    for name in (*prices, *others):
        await bed.redis.set(name, "x")
    assert await server.purge_prices(bed.caller(), keys) == 1500
    assert await bed.redis.exists(*others) == len(others)
    assert await server.purge_prices(bed.caller(), keys) == 0
    await bed.redis.delete(*others)


async def test_health_is_gone_fifteen_seconds_after_the_last(bed) -> None:
    store = await bed.store()
    record = Health(mode="NORMAL", status="open", seq=store.seq, epoch=store.epoch, ts=1, version="0.1.0")
    await store.commit(Batch(puts=(server.health(bed.keys, record),)))
    assert json.loads(await bed.redis.get(bed.keys.health))["status"] == "open"
    assert 14_000 < await bed.redis.pttl(bed.keys.health) <= 15_000


@REAL
async def test_a_whole_life_of_the_bus_uses_no_keys_and_no_flush(bed) -> None:
    seen: set[str] = set()
    async with bed.redis.monitor() as monitor:
        office = Office(bed)
        await office.start()
        await server.purge_prices(bed.caller(), bed.keys)
        await office.ask("chase", "list", **CHASE)
        await office.ask("chase", "stream", **CHASE)
        await office.ask("cancel_all", "list")
        await office.desk.store.commit(Batch(events=(event(1),)))
        await office.inbox.close()
        await office.lease.release()
        await bed.redis.echo("the end")
        async with asyncio.timeout(5):
            while "ECHO" not in seen:
                seen.add((await monitor.next_command())["command"].split()[0].upper())
    assert {"EVALSHA", "XREADGROUP", "BRPOP", "SCAN"} <= seen
    assert not {word for word in seen if word in ("KEYS", "FLUSHALL", "FLUSHDB")}


@REAL
@pytest.mark.faults
async def test_doors_whose_connections_are_cut_go_on_and_lose_nothing(bed) -> None:
    office = Office(bed)
    await office.start()
    for _ in range(3):
        await bed.redis.client_kill_filter(_type="normal", skipme=True)
        for door in ("stream", "list"):
            assert (await office.ask("chase", door, **CHASE))["success"] is True
    assert len(office.desk.done) == 6
    await office.inbox.close()
