"""The one atomic function through the store: what stands, what is published, what a lost answer does."""

from __future__ import annotations

import asyncio
import json
import random

import pytest

from pms.bus.batch import (
    Batch,
    Claim,
    Committed,
    Conflict,
    Delete,
    Duplicate,
    Event,
    Fenced,
    Index,
    Put,
    Record,
)
from pms.bus.fence import Down, Lost, Restored
from tests.contract.bus.bed import REAL, Bed, FaultyLink


def event(n: int, account: str = "main", kind: str = "chase_progress") -> Event:
    return Event(account, kind, json.dumps({"type": kind, "v": 1, "n": n}).encode())


def record(bed: Bed, rev: int, expected: int | None, name: str = "a", **more: object) -> Record:
    body = json.dumps({"id": name, "at": rev}).encode()
    return Record(key=bed.keys.algo("chase", name), body=body, rev=rev, expected_rev=expected, **more)


async def numbers(bed: Bed) -> list[int]:
    """What the events of the stream carry as `n`, after a check that numbering has no hole and chains are right."""
    entries = await bed.redis.xrange(bed.keys.event_stream)
    found, last, by_account = [], None, {}
    for entry_id, fields in entries:
        told = json.loads(fields[b"event"])
        assert entry_id.decode() == f"{told['seq']}-0"
        assert last is None or told["seq"] == last + 1
        account = told.get("subAccountId", told.get("acct", "main"))
        assert told["prevSeq"] == by_account.get(account, 0)
        by_account[account] = last = told["seq"]
        if "n" in told:
            found.append(told["n"])
    assert int(await bed.redis.get(bed.keys.seq)) == last
    return found


async def test_a_record_its_row_and_its_event_stand_together_and_carry_one_number(bed) -> None:
    store = await bed.store()
    row = Index(bed.keys.active("chase", "main"), "a")
    done = await store.commit(Batch(records=(record(bed, 1, 0, event=0, index=row),), events=(event(1),)))
    assert done == Committed((store.seq,))
    text = await bed.redis.get(bed.keys.algo("chase", "a"))
    head = f'{{"v":1,"epoch":{store.epoch},"rev":1,"seq":{store.seq},"id": "a", "at": 1}}'
    assert text.decode() == head
    assert await bed.redis.hget(row.key, "a") == text
    assert await bed.redis.pttl(bed.keys.algo("chase", "a")) == -1
    assert await numbers(bed) == [1]


async def test_a_terminal_record_expires_after_its_time_and_leaves_the_index(bed) -> None:
    store = await bed.store()
    row = Index(bed.keys.active("chase", "main"), "a")
    await store.commit(Batch(records=(record(bed, 1, 0, index=row),)))
    gone = Index(row.key, "a", keep=False)
    await store.commit(Batch(records=(record(bed, 2, 1, index=gone, ttl_ms=86_400_000),)))
    assert not await bed.redis.hexists(row.key, "a")
    assert 86_390_000 < await bed.redis.pttl(bed.keys.algo("chase", "a")) <= 86_400_000


async def test_a_row_of_a_hash_is_versioned_like_a_key(bed) -> None:
    store = await bed.store()
    key = bed.keys.position("main")
    await store.commit(Batch(records=(Record(key=key, field="BTCUSDT", body=b'{"q":1}', rev=1, expected_rev=0),)))
    with pytest.raises(Conflict):
        await store.commit(Batch(records=(Record(key=key, field="BTCUSDT", body=b'{"q":2}', rev=3, expected_rev=2),)))
    assert json.loads(await bed.redis.hget(key, "BTCUSDT"))["q"] == 1


async def test_what_is_published_is_the_same_bytes_as_the_stream_holds(bed) -> None:
    store = await bed.store()
    async with bed.redis.pubsub() as heard:
        await heard.psubscribe(bed.keys.event_channels)
        await heard.get_message(timeout=2)
        await store.commit(Batch(events=(event(1), event(2, kind="alarm"))))
        told = [await heard.get_message(timeout=2) for _ in range(2)]
    assert [message["data"] for message in told] == (await bed.stream())[-2:]
    assert [message["channel"].decode() for message in told] == [
        bed.keys.event_channel("chase_progress"),
        bed.keys.event_channel("alarm"),
    ]


async def test_each_sub_account_finds_its_holes_by_the_chain_of_prev_seq(bed) -> None:
    store = await bed.store()
    accounts = [random.Random(7).choice("abc") for _ in range(40)]
    for n, account in enumerate(accounts):
        body = json.dumps({"type": "alarm", "v": 1, "subAccountId": account, "n": n}).encode()
        store.commit(Batch(events=(Event(account, "alarm", body),)))
    await store.flushed()
    assert await numbers(bed) == list(range(40))


async def test_puts_and_deletes_are_part_of_the_step(bed) -> None:
    store = await bed.store()
    alarms = bed.keys.alarms
    await store.commit(
        Batch(
            puts=(
                Put(key=bed.keys.result("r"), value=b"{}", ttl_ms=300_000),
                Put(key=alarms, field="x:y", value=b"{}"),
            )
        )
    )
    assert 290_000 < await bed.redis.pttl(bed.keys.result("r")) <= 300_000
    await store.commit(Batch(deletes=(Delete(bed.keys.result("r")), Delete(alarms, "x:y"))))
    assert await bed.redis.exists(bed.keys.result("r"), alarms) == 0


async def test_a_conflict_changes_nothing_at_all(bed) -> None:
    store = await bed.store()
    await store.commit(Batch(records=(record(bed, 1, 0),), events=(event(1),)))
    seq = store.seq
    with pytest.raises(Conflict):
        await store.commit(
            Batch(
                records=(record(bed, 1, 0, "b"), record(bed, 3, 2)),
                events=(event(2),),
                puts=(Put(key=bed.keys.result("r"), value=b"{}"),),
            )
        )
    assert await bed.redis.exists(bed.keys.algo("chase", "b"), bed.keys.result("r")) == 0
    await store.commit(Batch(events=(event(3),)))
    assert store.seq == seq + 1
    assert await numbers(bed) == [1, 3]


async def test_what_is_no_record_of_ours_is_a_conflict_and_not_overwritten(bed) -> None:
    store = await bed.store()
    await bed.redis.set(bed.keys.algo("chase", "a"), '{"v":1}')
    await bed.redis.lpush(bed.keys.algo("chase", "b"), "x")
    await bed.redis.set(bed.keys.active("chase", "main"), "no hash")
    row = Index(bed.keys.active("chase", "main"), "c")
    for batch in (
        Batch(records=(record(bed, 1, 0, "a"),), events=(event(1),)),
        Batch(records=(record(bed, 1, 0, "b"),), events=(event(1),)),
        Batch(records=(record(bed, 1, 0, "c", index=row),), events=(event(1),)),
    ):
        with pytest.raises(Conflict):
            await store.commit(batch)
    assert await numbers(bed) == []


async def test_the_same_batch_committed_again_answers_the_same_numbers(bed) -> None:
    store = await bed.store()
    batch = Batch(records=(record(bed, 1, 0, event=1),), events=(event(1), event(2)))
    first = await store.commit(batch)
    assert await store.commit(batch) == first
    assert await numbers(bed) == [1, 2]


@pytest.mark.parametrize("second", [b'{"n":2}', b'{"n":1}'], ids=["another", "the same to the letter"])
async def test_a_claim_is_taken_once_and_the_second_gets_what_stands(bed, second) -> None:
    store = await bed.store()
    key = bed.keys.request("main", "r-1")
    await store.commit(Batch(claim=Claim(key, b'{"n":1}'), events=(event(1),)))
    again = store.commit(Batch(claim=Claim(key, second), events=(event(2),), records=(record(bed, 1, 0),)))
    after = store.commit(Batch(events=(event(3),)))
    assert await again == Duplicate(b'{"n":1}')
    assert await after == Committed((store.seq,))
    assert not await bed.redis.exists(bed.keys.algo("chase", "a"))
    assert 604_700_000 < await bed.redis.pttl(key) <= 604_800_000
    assert await numbers(bed) == [1, 3]


async def test_order_holds_when_one_of_many_on_the_wire_does_not_count(bed) -> None:
    store = await bed.store()
    await store.commit(Batch(records=(record(bed, 1, 0),)))
    futures = []
    for n in range(60):
        wrong = n % 20 == 5
        rev = 2 + n - (n + 14) // 20
        expected = 99 if wrong else rev - 1
        futures.append(store.commit(Batch(records=(record(bed, rev, expected),), events=(event(n),))))
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    assert [n for n, outcome in enumerate(outcomes) if isinstance(outcome, Conflict)] == [5, 25, 45]
    assert await numbers(bed) == [n for n in range(60) if n % 20 != 5]


@pytest.mark.ambiguity
@pytest.mark.parametrize("what", ["events", "records", "claim", "puts"])
async def test_a_write_whose_answer_was_lost_is_not_applied_twice(bed, what) -> None:
    link = FaultyLink(bed.link())
    store = await bed.store(link)
    batch = {
        "events": Batch(events=(event(1), event(2))),
        "records": Batch(records=(record(bed, 1, 0),)),
        "claim": Batch(claim=Claim(bed.keys.request("main", "r"), b'{"a":1}'), events=(event(1),)),
        "puts": Batch(puts=(Put(key=bed.keys.result("r"), value=b"{}"),)),
    }[what]
    link.lose()
    first = store.commit(batch)
    second = store.commit(Batch(records=(record(bed, 1, 0, "z"),), events=(event(9),)))
    assert isinstance(await first, Committed)
    assert isinstance(await second, Committed)
    assert await numbers(bed) == [json.loads(e.body)["n"] for e in batch.events] + [9]
    assert [type(notice) for notice in bed.notices] == [Down, Restored]
    assert bed.notices[-1] == Restored(continuous=True)
    assert store.down_since is None


@pytest.mark.ambiguity
@pytest.mark.parametrize("seed", range(6))
async def test_random_batches_with_random_lost_answers_leave_no_hole_and_nothing_twice(bed, seed, cases) -> None:
    chance = random.Random(seed)
    link = FaultyLink(bed.link())
    store = await bed.store(link)
    revs: dict[str, int] = {}
    sent: list[int] = []
    outcomes = []
    cases(300)
    for n in range(300):
        if chance.random() < 0.06:
            link.lose(chance.randint(1, 12))
        name = chance.choice("abcd")
        records = ()
        if chance.random() < 0.7:
            records = (record(bed, revs.get(name, 0) + 1, revs.get(name, 0), name),)
            revs[name] = revs.get(name, 0) + 1
        events = tuple(event(1000 * n + k) for k in range(chance.choice((0, 1, 1, 2))))
        claim = Claim(bed.keys.request("main", str(n)), str(n).encode()) if chance.random() < 0.2 else None
        sent += [json.loads(told.body)["n"] for told in events]
        outcomes.append(store.commit(Batch(records=records, events=events, claim=claim)))
        if chance.random() < 0.3:
            await asyncio.sleep(0)
    done = await asyncio.gather(*outcomes)
    assert all(isinstance(outcome, Committed) for outcome in done)
    assert await numbers(bed) == sent
    for name, rev in revs.items():
        assert json.loads(await bed.redis.get(bed.keys.algo("chase", name)))["rev"] == rev
    assert any(isinstance(notice, Down) for notice in bed.notices)


async def test_a_forgotten_script_is_loaded_again(bed) -> None:
    store = await bed.store()
    await bed.redis.script_flush()
    await store.commit(Batch(events=(event(1),)))
    assert await numbers(bed) == [1]


async def test_a_higher_epoch_stops_us_for_good(bed) -> None:
    store = await bed.store()
    await bed.redis.set(bed.keys.epoch, store.epoch + 1)
    await bed.redis.set(bed.keys.lease, '{"epoch":9,"host":"there"}')
    with pytest.raises(Fenced):
        await store.commit(Batch(events=(event(1),), records=(record(bed, 1, 0),)))
    late = store.commit(Batch(events=(event(2),)))
    assert isinstance(late.ended, Fenced), "who would act on it is told at once"
    with pytest.raises(Fenced):
        await late
    assert any(isinstance(notice, Lost) for notice in bed.notices)
    assert not await bed.redis.exists(bed.keys.algo("chase", "a"))
    assert await numbers(bed) == []


@pytest.mark.faults
async def test_an_emptied_redis_is_taken_again_numbered_on_and_rewritten(bed) -> None:
    store = await bed.store()
    await store.commit(Batch(records=(record(bed, 1, 0),), events=(event(1),)))
    before = store.seq
    for key in await bed.redis.keys(f"{bed.keys.namespace}:*"):
        await bed.redis.delete(key)
    await store.commit(Batch(records=(record(bed, 2, 1),), events=(event(2),)))
    assert bed.notices[-1] == Restored(continuous=False)
    assert store.seq > before
    first = json.loads((await bed.stream())[0])
    assert (first["type"], first["from"], first["to"]) == ("seq_jump", before, first["seq"])
    assert json.loads(await bed.redis.get(bed.keys.algo("chase", "a")))["rev"] == 2
    assert int(await bed.redis.get(bed.keys.epoch)) == store.epoch
    assert await numbers(bed) == [2]


@pytest.mark.faults
async def test_a_redis_restored_from_an_older_save_is_noticed(bed) -> None:
    store = await bed.store()
    for n in range(5):
        await store.commit(Batch(events=(event(n),)))
    before = store.seq
    await bed.redis.set(bed.keys.seq, before - 3)
    await bed.redis.delete(bed.keys.event_stream)
    await store.commit(Batch(events=(event(9),)))
    told = [json.loads(text) for text in await bed.stream()]
    assert [one["type"] for one in told] == ["seq_jump", "chase_progress"]
    assert told[0]["from"] == before
    assert told[0]["seq"] > before


@REAL
@pytest.mark.faults
async def test_a_server_out_of_memory_counts_as_gone_and_nothing_is_half_done(bed) -> None:
    store = await bed.store()
    await store.commit(Batch(records=(record(bed, 1, 0),), events=(event(1),)))
    await bed.redis.config_set("maxmemory", "1")
    try:
        waiting = store.commit(Batch(records=(record(bed, 2, 1),), events=(event(2),)))
        await bed.hears(Down)
        assert store.down_since is not None
        assert not waiting.done()
    finally:
        await bed.redis.config_set("maxmemory", "0")
    assert isinstance(await waiting, Committed)
    assert await numbers(bed) == [1, 2]


async def test_a_first_start_announces_its_numbering_and_the_next_start_goes_on_without_a_hole(bed) -> None:
    lease = bed.lease()
    store = await bed.store(lease=lease)
    await store.commit(Batch(events=(event(1),)))
    await lease.release()
    store.close()
    second = await bed.store(lease=bed.lease())
    await second.commit(Batch(events=(event(2),)))
    assert [json.loads(text)["type"] for text in await bed.stream()].count("seq_jump") == 1
    assert await numbers(bed) == [1, 2]


async def test_a_body_that_is_no_object_is_our_own_bug(bed) -> None:
    store = await bed.store()
    with pytest.raises(AssertionError):
        store.commit(Batch(events=(Event("main", "alarm", b"[]"),)))
