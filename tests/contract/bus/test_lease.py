"""Who owns the account: taking, renewing, losing and giving up the lease."""

from __future__ import annotations

import asyncio
import json

import msgspec
import pytest

from pms.bus import host
from pms.bus import lease as leases
from pms.bus.batch import Batch, Fenced
from pms.bus.fence import Lost
from pms.bus.lease import LeaseHeld
from pms.bus.outbox import Outbox
from pms.bus.store import Store
from schemas import catalogue, records
from tests.contract.bus.bed import ME
from tests.contract.bus.test_store import event, numbers

OTHER = msgspec.structs.replace(ME, host="there", pid=77)


class PatientClock:
    """A clock whose sleeps are noted and take no time; renewing stands still unless it is wanted."""

    def __init__(self, now_ms: int = 1_800_000_000_000, renewing: bool = False) -> None:
        self.ms = now_ms
        self.renewing = renewing
        self.slept: list[float] = []

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000

    async def sleep(self, seconds: float) -> None:
        if not self.renewing and asyncio.current_task().get_name() == "bus.lease":
            await asyncio.Event().wait()
        self.slept.append(seconds)
        self.ms += int(seconds * 1000)
        await asyncio.sleep(0)


def described(bed, kind, stored: dict[str, object]) -> None:
    """What stands is what the vocabulary publishes under this key: no field less, none more."""
    (row,) = [row for row in catalogue.key_table(bed.keys.namespace) if row.key == bed.keys.lease]
    assert kind in row.forms
    assert msgspec.to_builtins(msgspec.convert(stored, kind)) == stored


async def test_the_second_daemon_is_told_who_holds_the_account(bed) -> None:
    first = bed.lease()
    await first.take()
    with pytest.raises(LeaseHeld, match="pid 1 on here") as refused:
        await bed.lease(OTHER).take()
    assert refused.value.holder.pid == ME.pid
    assert int(await bed.redis.get(bed.keys.epoch)) == first.epoch


async def test_a_lease_nobody_can_read_is_somebodys_all_the_same(bed) -> None:
    await bed.redis.set(bed.keys.lease, "mine")
    with pytest.raises(LeaseHeld, match="mine"):
        await bed.lease().take()


async def test_the_epoch_is_the_time_in_seconds_and_always_higher_than_the_last(bed) -> None:
    bed.clock = PatientClock()
    first = bed.lease()
    taken = await first.take()
    assert (taken.epoch, taken.previous_epoch) == (1_800_000_000, 0)
    await first.release()
    second = await bed.lease(OTHER).take()
    assert (second.epoch, second.previous_epoch) == (1_800_000_001, 1_800_000_000)


async def test_after_a_clean_release_nobody_waits_and_after_an_expired_lease_three_seconds(bed) -> None:
    bed.clock = PatientClock()
    first = bed.lease()
    await first.take()
    await first.release()
    second = bed.lease(OTHER)
    await second.take()
    assert bed.clock.slept == []
    await bed.redis.delete(bed.keys.lease)
    await bed.lease(ME).take()
    assert bed.clock.slept == [leases.SETTLE_S] == [3.0]


async def test_the_holder_stands_in_the_lease_for_ten_seconds(bed) -> None:
    lease = bed.lease()
    taken = await lease.take()
    held = json.loads(await bed.redis.get(bed.keys.lease))
    assert held == {
        "epoch": taken.epoch,
        "host": "here",
        "bootId": "b",
        "pidNamespace": "p",
        "pid": 1,
        "started": 1,
    }
    described(bed, records.Lease, held)
    assert 9_000 < await bed.redis.pttl(bed.keys.lease) <= 10_000


async def test_after_a_release_the_lease_says_so_and_stays(bed) -> None:
    lease = bed.lease()
    taken = await lease.take()
    await lease.release()
    left = json.loads(await bed.redis.get(bed.keys.lease))
    assert left == {"epoch": taken.epoch, "released": True}
    described(bed, records.LeaseReleased, left)
    assert await bed.redis.pttl(bed.keys.lease) == -1


async def test_the_deadline_is_seven_seconds_after_the_last_renewal_was_sent(bed) -> None:
    lease = bed.lease()
    before = bed.clock.monotonic()
    await lease.take()
    assert before + 7 <= lease.deadline() <= bed.clock.monotonic() + 7
    await bed.redis.pexpire(bed.keys.lease, 50_000)
    first = lease.deadline()
    await lease.confirm()
    assert lease.deadline() > first
    assert await bed.redis.pttl(bed.keys.lease) <= 10_000


async def test_a_lease_that_ran_out_and_nobody_took_is_renewed(bed) -> None:
    lease = bed.lease()
    await lease.take()
    await bed.redis.delete(bed.keys.lease)
    await lease.confirm()
    assert json.loads(await bed.redis.get(bed.keys.lease))["epoch"] == lease.epoch


async def test_a_lease_that_another_took_is_lost_for_good(bed) -> None:
    first = bed.lease()
    await first.take()
    await bed.redis.delete(bed.keys.lease)
    bed.clock = PatientClock(bed.clock.now_ms())
    second = bed.lease(OTHER)
    await second.take()
    with pytest.raises(Fenced):
        await first.confirm()
    await second.release()
    with pytest.raises(Fenced):
        await first.confirm()


async def test_renewal_tells_that_the_lease_is_lost(bed) -> None:
    bed.clock = PatientClock(renewing=True)
    lease = bed.lease()
    await lease.take()
    await bed.redis.set(bed.keys.lease, '{"epoch":1,"host":"x"}')
    assert isinstance(await bed.hears(Lost), Lost)


async def test_redis_back_empty_is_taken_again_under_the_same_epoch(bed) -> None:
    lease = bed.lease()
    await lease.take()
    epoch = lease.epoch
    await bed.redis.delete(bed.keys.lease, bed.keys.epoch)
    standing = await lease.confirm()
    assert (standing.seq, standing.stream_last) == (0, 0)
    assert int(await bed.redis.get(bed.keys.epoch)) == epoch == lease.epoch


async def test_the_epoch_is_raised_beyond_what_was_found_at_the_venue_and_never_lowered(bed) -> None:
    lease = bed.lease()
    epoch = (await lease.take()).epoch
    await lease.raise_epoch(epoch + 100)
    assert lease.epoch == int(await bed.redis.get(bed.keys.epoch)) == epoch + 100
    assert json.loads(await bed.redis.get(bed.keys.lease))["epoch"] == epoch + 100
    await lease.raise_epoch(epoch)
    assert lease.epoch == epoch + 100


async def test_a_predecessor_proven_dead_on_this_host_costs_no_waiting(bed, tmp_path) -> None:
    bed.clock = PatientClock()
    me = host.this_process()
    dead = msgspec.structs.replace(me, pid=2**22 + 1, started=5)  # no such pid can be
    await bed.lease(dead, folder=tmp_path).take()
    taken = await bed.lease(me, folder=tmp_path).take()  # its lease has not even run out
    await bed.redis.delete(bed.keys.lease)
    assert taken.previous_epoch == taken.epoch - 1
    assert bed.clock.slept == []


@pytest.mark.parametrize("other_folder", [True, False])
async def test_a_predecessor_that_lives_or_ran_elsewhere_is_not_proven_dead(bed, tmp_path, other_folder) -> None:
    me = host.this_process()
    before = msgspec.structs.replace(me, pid=2**22 + 1) if other_folder else me
    await bed.lease(before, folder=tmp_path / ("a" if other_folder else "b")).take()
    successor = msgspec.structs.replace(me, started=me.started + 1)
    with pytest.raises(LeaseHeld):
        await bed.lease(successor, folder=tmp_path / "b").take()


async def test_what_the_old_daemon_still_writes_is_fenced(bed) -> None:
    first = bed.lease()
    old = await bed.store(lease=first)
    await old.commit(Batch(events=(event(1),)))
    await bed.redis.delete(bed.keys.lease)
    bed.clock = PatientClock(bed.clock.now_ms())
    new = await bed.store(lease=bed.lease(OTHER))
    with pytest.raises(Fenced):
        await old.commit(Batch(events=(event(2),)))
    await new.commit(Batch(events=(event(3),)))
    assert await numbers(bed) == [1, 3]


async def test_an_older_redis_than_our_own_file_or_sql_knows_makes_numbering_jump(bed, tmp_path) -> None:
    lease = bed.lease()
    store = await bed.store(lease=lease, folder=tmp_path)
    await store.commit(Batch(events=(event(1),)))
    await lease.release()
    store.close()
    known = int((tmp_path / "seq").read_text())
    assert known == store.seq
    (tmp_path / "seq").write_text(f"{known + 10}\n")
    second = await bed.store(lease=bed.lease(), folder=tmp_path)
    await second.flushed()
    jump = json.loads((await bed.stream())[-1])
    assert (jump["type"], jump["from"]) == ("seq_jump", known + 10)
    assert second.seq == jump["to"] == jump["seq"] > known + 10


@pytest.mark.crash
@pytest.mark.parametrize("released", [False, True])
async def test_after_a_host_lost_power_numbering_jumps_unless_its_daemon_had_ended(bed, tmp_path, released) -> None:
    """What an append-only file synced every second had in memory is gone with it, and no number tells how much."""
    me = host.this_process()
    lease = bed.lease(msgspec.structs.replace(me, boot_id="before"), folder=tmp_path)
    store = await bed.store(lease=lease)
    await store.commit(Batch(events=(event(1),)))
    known = store.seq
    if released:
        await lease.release()
    store.close()
    second = bed.lease(me, folder=tmp_path)
    taken = await second.take()
    assert taken.in_doubt is not released
    again = Store(bed.link(), bed.keys, second, bed.clock, bed.tasks, Outbox(None), bed.tell)
    assert await again.start(taken) is released, "whether Redis holds all that was written"
    await again.commit(Batch(events=(event(2),)))
    told = [json.loads(text) for text in await bed.stream()]
    jumps = [one["from"] for one in told if one["type"] == "seq_jump"]
    assert jumps[1:] == ([] if released else [known])
    assert [one["n"] for one in told if "n" in one] == [1, 2]


def test_a_process_is_dead_when_its_pid_is_nobodys_or_the_host_booted_since() -> None:
    me = host.this_process()
    replace = msgspec.structs.replace
    assert not host.is_dead(me, me)
    assert host.is_dead(replace(me, started=me.started + 1), me)
    assert host.is_dead(replace(me, boot_id="before"), me)
    assert not host.is_dead(replace(me, pid_namespace="a container", pid=2**22 + 1), me)
    assert not host.is_dead(replace(me, boot_id="", pid=0), me)  # a host that tells nothing proves nothing
    assert not host.is_dead(replace(me, host="another", boot_id="before"), me)
