"""Redis away: what waits, what is shed, what is spilled, and what a killed daemon leaves to the next."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import fakeredis
import pytest

from pms.bus.batch import Batch, Committed, Durable, Event, Index, Record, Shed
from pms.bus.caller import Caller
from pms.bus.fence import Down, Restored
from pms.bus.lease import Lease
from pms.bus.link import ClientLink
from pms.bus.outbox import Entry, Outbox, read_spill
from pms.bus.store import Store
from pms.clock import LoopClock
from pms.tasks import Tasks
from schemas.keys import Keys
from tests.contract.bus.bed import ME, Bed, FaultyLink
from tests.contract.bus.test_store import event, numbers, record
from tests.virtual import virtual

pytestmark = pytest.mark.faults


def step(bed: Bed, n: int, rev: int, name: str = "a", progress: bool = False) -> Batch:
    row = Index(bed.keys.active("chase", "main"), name)
    return Batch(records=(record(bed, rev, rev - 1, name, index=row, event=0),), events=(event(n),), progress=progress)


async def test_what_is_committed_meanwhile_is_written_in_order_once_it_is_back(bed, tmp_path) -> None:
    link = FaultyLink(bed.link())
    store = await bed.store(link, folder=tmp_path)
    await store.commit(step(bed, 0, 1))
    link.leave()
    waiting = [store.commit(step(bed, n, n + 1)) for n in range(1, 40)]
    assert store.down_since is not None
    assert store.waiting == 39
    assert len(read_spill(tmp_path / "spill.jsonl").batches) == 39
    link.come_back()
    done = await asyncio.gather(*waiting)
    assert all(isinstance(outcome, Committed) for outcome in done)
    assert await numbers(bed) == list(range(40))
    assert store.down_since is None
    assert not (tmp_path / "spill.jsonl").exists()
    assert [type(notice) for notice in bed.notices] == [Down, Restored]


async def test_beyond_the_bound_needless_progress_is_shed_and_the_rest_kept_on_file(bed, tmp_path) -> None:
    link = FaultyLink(bed.link())
    store = await bed.store(link, folder=tmp_path, limit=20)
    await store.flushed()
    link.leave()
    waiting = [store.commit(step(bed, n, n, progress=n % 2 == 0)) for n in range(1, 61)]
    link.come_back()
    done = await asyncio.gather(*waiting)
    shed = [n for n, outcome in enumerate(done, 1) if isinstance(outcome, Shed)]
    assert shed[:9] == [2, 4, 6, 8, 10, 12, 14, 16, 18]
    assert all(n % 2 == 0 for n in shed)
    assert await numbers(bed) == [n for n in range(1, 61) if n not in shed]
    assert json.loads(await bed.redis.get(bed.keys.algo("chase", "a")))["rev"] == 60
    assert not (tmp_path / "spill.jsonl").exists()


@pytest.mark.crash
@pytest.mark.parametrize("applied", [0, 1, 3])
async def test_after_a_kill_the_spill_file_is_written_before_anything_else(bed, tmp_path, applied) -> None:
    link = FaultyLink(bed.link())
    lease = bed.lease(folder=tmp_path)
    store = await bed.store(link, lease=lease, folder=tmp_path)
    await store.commit(step(bed, 0, 1))
    if applied:
        link.lose(1)  # the answers to what was on the wire are lost: it is applied and spilled as in doubt
    waiting = [store.commit(step(bed, n, n + 1)) for n in range(1, 1 + applied)]
    await bed.eventually(lambda: _at(bed, applied + 1)) if applied else None
    link.leave()
    waiting += [store.commit(step(bed, n, n + 1)) for n in range(1 + applied, 6)]
    kept = (tmp_path / "spill.jsonl").read_bytes()
    store.close()
    (tmp_path / "spill.jsonl").write_bytes(kept + b'{"records":[{"key"')  # torn by the kill
    await lease.release()
    successor = await bed.store(lease=bed.lease(folder=tmp_path), folder=tmp_path)
    await successor.commit(Batch(events=(event(99),)))
    assert await numbers(bed) == [*range(6), 99]
    assert json.loads(await bed.redis.get(bed.keys.algo("chase", "a")))["rev"] == 6
    assert not (tmp_path / "spill.jsonl").exists()
    for future in waiting:
        future.cancel()


async def _at(bed: Bed, rev: int) -> bool:
    text = await bed.redis.get(bed.keys.algo("chase", "a"))
    return text is not None and json.loads(text)["rev"] == rev


@pytest.mark.crash
async def test_a_spill_file_that_does_not_join_is_kept_and_not_written(bed, tmp_path) -> None:
    link = FaultyLink(bed.link())
    lease = bed.lease(folder=tmp_path)
    store = await bed.store(link, lease=lease, folder=tmp_path)
    await store.flushed()
    link.leave()
    lost = store.commit(step(bed, 1, 1))
    store.close()
    await lease.release()
    between = bed.lease()  # another daemon, with another data directory, wrote meanwhile
    other = await bed.store(lease=between)
    await other.commit(Batch(events=(event(7),)))
    await between.release()
    other.close()
    last = bed.lease(folder=tmp_path)
    outbox = Outbox(tmp_path)
    successor = Store(bed.link(), bed.keys, last, bed.clock, bed.tasks, outbox, bed.tell)
    await successor.start(await last.take())
    assert await numbers(bed) == [7]
    assert outbox.kept is not None
    assert len(read_spill(outbox.kept).batches) == 1
    lost.cancel()


async def test_a_full_disk_costs_the_file_and_no_batch(bed, tmp_path) -> None:
    link = FaultyLink(bed.link())
    store = await bed.store(link, folder=tmp_path, limit=5)
    (tmp_path / "spill.new").mkdir()  # the file can't be made
    link.leave()
    waiting = [store.commit(step(bed, n, n)) for n in range(1, 30)]
    link.come_back()
    assert all(isinstance(outcome, Committed) for outcome in await asyncio.gather(*waiting))
    assert await numbers(bed) == list(range(1, 30))


@virtual
async def test_twenty_seconds_without_redis_leave_no_hole() -> None:
    loop = asyncio.get_running_loop()
    clock, tasks, keys = LoopClock(loop, 1_800_000_000_000), Tasks(), Keys()
    server = fakeredis.FakeServer()
    notices = []

    def link() -> ClientLink:
        return ClientLink(fakeredis.FakeAsyncRedis(server=server), tasks)

    lease = Lease(Caller(link()), keys, clock, tasks, ME, None, notices.append)
    store = Store(link(), keys, lease, clock, tasks, Outbox(None), notices.append)
    await store.start(await lease.take())
    await store.commit(Batch(events=(event(0),)))
    server.connected = False
    began = clock.monotonic()
    waiting = [store.commit(Batch(events=(event(1),)))]
    for n in range(2, 22):
        await clock.sleep(1)
        waiting.append(store.commit(Batch(events=(event(n),))))
    assert store.down_since is not None
    assert store.down_since - began < 0.1
    assert lease.deadline() < clock.monotonic()
    server.connected = True
    back = clock.monotonic()
    await asyncio.gather(*waiting)
    assert clock.monotonic() - back <= 1.0
    assert lease.deadline() > clock.monotonic()
    told = [
        json.loads(fields[b"event"])
        for _, fields in await fakeredis.FakeAsyncRedis(server=server).xrange(keys.event_stream)
    ]
    assert [one["seq"] for one in told] == list(range(told[0]["seq"], told[0]["seq"] + 23))
    assert [one.get("n") for one in told[1:]] == list(range(22))
    assert [type(notice) for notice in notices] == [Down, Restored]
    store.close()
    await tasks.close()


def test_a_spill_file_reads_back_as_it_was_written_but_for_a_torn_end(tmp_path: Path) -> None:
    loop = asyncio.new_event_loop()
    outbox = Outbox(tmp_path)
    outbox.begin(7, 100)
    batches = [Batch(events=(Event("main", "alarm", b'{"n":%d}' % n),)) for n in range(3)]
    for batch in batches:
        outbox.push(Entry(batch, Durable(loop=loop)))
    outbox.close()
    path = tmp_path / "spill.jsonl"
    path.write_bytes(path.read_bytes() + b'{"torn')
    spilled = read_spill(path)
    assert (spilled.epoch, spilled.seq, list(spilled.batches)) == (7, 100, batches)
    assert [spilled.joins(7, seq) for seq in (99, 100, 101, 103, 104)] == [False, True, True, True, False]
    assert not spilled.joins(8, 100)
    loop.close()


def test_a_shed_batch_hands_the_version_it_expected_to_the_next_of_its_record() -> None:
    loop = asyncio.new_event_loop()

    def made(rev: int, progress: bool) -> Entry:
        row = Record(key="k", body=b'{"a":1}', rev=rev, expected_rev=rev - 1)
        return Entry(Batch(records=(row,), progress=progress), Durable(loop=loop))

    outbox = Outbox(None, limit=4)
    for rev in range(1, 6):
        outbox.push(made(rev, progress=rev in (2, 3)))
    assert outbox.shed == 2
    left = [outbox.pop().batch.records[0] for _ in range(len(outbox))]
    assert [(row.expected_rev, row.rev) for row in left] == [(0, 1), (1, 4), (4, 5)]
    loop.close()
