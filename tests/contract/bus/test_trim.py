"""The event stream kept bounded: nothing is lost behind SQL's records, at the hard cap, or in a crash in between."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from pms.bus import trim as trims
from pms.bus.batch import Batch, Gone
from pms.bus.caller import Caller
from pms.bus.link import Command
from pms.bus.trim import HALF_FULL, NOT_ARCHIVED, Limits, Trim
from schemas import codec
from schemas.records import Commit
from tests.contract.bus.bed import REAL, Bed, FaultyLink
from tests.contract.bus.test_store import event

LIMITS = Limits(keep=20, cap=100, step=5)  # at the cap: 90 stay


class Killed(FaultyLink):
    """A link that breaks before the n-th XTRIM leaves: the daemon dies between archive and trim."""

    trims_left = -1

    def send(self, command: Command) -> None:
        if command[0] == "XTRIM":
            self.trims_left -= 1
            if self.trims_left == 0:
                self.leave()
                return
        super().send(command)


class Heard:
    """The alarms as they stand."""

    def __init__(self) -> None:
        self.open: dict[str, str] = {}

    def sound(self, code: str, severity: str, subject: str, message: str, now: int) -> None:
        self.open[code] = message

    def clear(self, code: str, subject: str, now: int) -> None:
        self.open.pop(code, None)


def trim_of(
    bed: Bed, folder: Path | None, limits: Limits = LIMITS, alarms: Heard | None = None, caller: Caller | None = None
) -> Trim:
    return Trim(caller or bed.caller(), bed.keys, bed.clock, folder, alarms or Heard(), limits)


async def fill(bed: Bed, first: int, last: int) -> None:
    """Events first..last as the atomic function would write them."""
    pipeline = bed.redis.pipeline(transaction=False)
    for seq in range(first, last + 1):
        pipeline.xadd(bed.keys.event_stream, {"event": json.dumps({"seq": seq, "pad": "x" * 20})}, id=f"{seq}-0")
    await pipeline.execute()


async def commit(bed: Bed, seq: int) -> None:
    """The records writer says how far SQL is."""
    await bed.redis.set(bed.keys.records, codec.encode(Commit(epoch=1, seq=seq, ts=1)))


async def standing(bed: Bed) -> list[int]:
    return [json.loads(body)["seq"] for body in await bed.stream()]


def archived(folder: Path) -> list[int]:
    """What the archive holds, file by file, duplicates included."""
    found = []
    for path in sorted((folder / "events").glob("*.jsonl.gz")):
        held = [json.loads(line)["seq"] for line in gzip.decompress(path.read_bytes()).splitlines()]
        assert path.name == f"{held[0]:020d}-{held[-1]:020d}.jsonl.gz"
        found += held
    return found


async def test_behind_what_sql_holds_the_stream_is_trimmed_and_the_newest_are_kept(bed, tmp_path) -> None:
    await fill(bed, 1, 60)
    await commit(bed, 60)
    await trim_of(bed, tmp_path).trim()
    assert await standing(bed) == list(range(41, 61))
    assert not (tmp_path / "events").exists()


async def test_what_sql_does_not_hold_yet_waits_in_the_stream(bed, tmp_path) -> None:
    await fill(bed, 1, 99)
    await commit(bed, 33)
    await trim_of(bed, tmp_path).trim()
    assert await standing(bed) == list(range(31, 100))  # whole steps of five
    assert not (tmp_path / "events").exists()


async def test_without_a_records_writer_nothing_is_trimmed_below_the_cap(bed, tmp_path) -> None:
    await fill(bed, 1, 99)
    await trim_of(bed, tmp_path).trim()
    assert await standing(bed) == list(range(1, 100))


async def test_at_the_cap_the_oldest_go_into_the_archive_and_then_from_the_stream(bed, tmp_path) -> None:
    await fill(bed, 1, 103)
    before = await bed.stream()
    await trim_of(bed, tmp_path).trim()
    assert archived(tmp_path) == list(range(1, 11))
    assert await standing(bed) == list(range(11, 104))
    first, second = sorted((tmp_path / "events").iterdir())
    assert gzip.decompress(first.read_bytes() + second.read_bytes()).splitlines() == before[:10]
    assert first.stat().st_mode & 0o777 == 0o600
    assert first.read_bytes()[4:8] == bytes(4)  # no time in it: the same events make the same file


async def test_at_the_cap_what_sql_holds_is_not_archived_again(bed, tmp_path) -> None:
    await fill(bed, 1, 120)
    await commit(bed, 15)
    await trim_of(bed, tmp_path).trim()
    assert archived(tmp_path) == list(range(16, 31))
    assert await standing(bed) == list(range(31, 121))


async def test_records_that_nobody_can_read_prove_nothing_to_be_in_sql(bed, tmp_path) -> None:
    await fill(bed, 1, 60)
    await bed.redis.set(bed.keys.records, "60")
    await trim_of(bed, tmp_path).trim()
    assert await standing(bed) == list(range(1, 61))


async def test_numbering_that_jumped_is_trimmed_by_count_and_not_by_number(bed, tmp_path) -> None:
    await fill(bed, 1, 50)
    await fill(bed, 1_700_000_000_001, 1_700_000_000_010)
    await commit(bed, 1_700_000_000_010)
    await trim_of(bed, tmp_path).trim()
    assert await standing(bed) == [*range(41, 51), *range(1_700_000_000_001, 1_700_000_000_011)]


async def test_long_streams_are_read_in_pages(bed, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(trims, "PAGE", 7)
    await fill(bed, 1, 400)
    link = FaultyLink(bed.link())
    await trim_of(bed, tmp_path, Limits(keep=20, cap=300, step=30), caller=Caller(link)).trim()
    assert archived(tmp_path) == list(range(1, 121))
    assert await standing(bed) == list(range(121, 401))
    reads = [command for command in link.sent if command[0] == "XRANGE"]
    assert max(command[-1] for command in reads) == 7
    assert len(reads) == 4 * 5  # pages of 7, 7, 7, 7 and 2


async def test_from_half_of_the_cap_on_an_alarm_stands_until_there_is_room(bed, tmp_path) -> None:
    alarms = Heard()
    trim = trim_of(bed, tmp_path, alarms=alarms)
    await fill(bed, 1, 49)
    await trim.trim()
    assert alarms.open == {}
    await fill(bed, 50, 50)
    await trim.trim()
    assert "holds 50 of at most 100" in alarms.open[HALF_FULL]
    assert "has never run" in alarms.open[HALF_FULL]
    await commit(bed, 5)
    await trim.trim()
    assert HALF_FULL in alarms.open  # 45 left: near enough to come back at once
    await commit(bed, 50)
    await trim.trim()
    assert alarms.open == {}


async def test_without_a_data_directory_only_sql_makes_room(bed) -> None:
    alarms = Heard()
    await fill(bed, 1, 120)
    await trim_of(bed, None, alarms=alarms).trim()
    assert len(await standing(bed)) == 120
    assert "no data directory" in alarms.open[HALF_FULL]
    await commit(bed, 120)
    await trim_of(bed, None, alarms=alarms).trim()
    assert await standing(bed) == list(range(101, 121))


@pytest.mark.faults
async def test_a_disk_that_takes_nothing_keeps_the_events_in_redis_and_alarms(bed, tmp_path) -> None:
    alarms = Heard()
    trim = trim_of(bed, tmp_path, alarms=alarms)
    (tmp_path / "events").write_text("in the way")
    await fill(bed, 1, 100)
    await trim.trim()
    assert await standing(bed) == list(range(1, 101))
    assert "could not be archived" in alarms.open[NOT_ARCHIVED]
    (tmp_path / "events").unlink()
    await trim.trim()
    assert archived(tmp_path) == list(range(1, 11))
    await trim.trim()
    assert NOT_ARCHIVED not in alarms.open


@pytest.mark.crash
async def test_a_crash_between_archive_and_trim_makes_the_same_file_again(bed, tmp_path) -> None:
    await fill(bed, 1, 100)
    link = Killed(bed.link())
    link.trims_left = 2
    with pytest.raises(Gone):
        await trim_of(bed, tmp_path, caller=Caller(link)).trim()
    assert archived(tmp_path) == list(range(1, 11))
    assert await standing(bed) == list(range(6, 101))
    files = {path.name: path.read_bytes() for path in (tmp_path / "events").iterdir()}
    await fill(bed, 101, 105)
    await trim_of(bed, tmp_path).trim()
    assert archived(tmp_path) == list(range(1, 16))  # none twice
    assert await standing(bed) == list(range(16, 106))
    assert files.items() <= {path.name: path.read_bytes() for path in (tmp_path / "events").iterdir()}.items()


@pytest.mark.crash
async def test_a_half_written_file_is_none(bed, tmp_path, monkeypatch) -> None:
    def dies(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    await fill(bed, 1, 100)
    monkeypatch.setattr(os, "fsync", dies)
    await trim_of(bed, tmp_path).trim()
    assert archived(tmp_path) == []
    assert len(await standing(bed)) == 100


@pytest.mark.ambiguity
async def test_a_trim_whose_answer_was_lost_is_not_missed(bed, tmp_path) -> None:
    await fill(bed, 1, 100)
    link = FaultyLink(bed.link())
    trim = trim_of(bed, tmp_path, caller=Caller(link))
    link.lose(6)  # four to look, one to read, and the first XTRIM
    with pytest.raises(Gone):
        await trim.trim()
    assert link.sent[-1][0] == "XTRIM"
    await trim.trim()
    assert archived(tmp_path) == list(range(1, 6))
    assert await standing(bed) == list(range(6, 101))


async def test_a_client_that_pages_from_its_last_event_sees_that_it_was_trimmed_away(bed, tmp_path) -> None:
    """contract.md, events out, step 4: XRANGE from (last; what does not follow on last is the sign to read again."""

    async def follows(last: int) -> bool:
        page = await bed.redis.xrange(bed.keys.event_stream, f"({last}-0", "+", count=10)
        return json.loads(page[0][1][b"event"])["seq"] == last + 1

    await fill(bed, 1, 60)
    assert await follows(12)
    await commit(bed, 60)
    await trim_of(bed, tmp_path).trim()
    assert not await follows(12)
    assert not await follows(39)
    assert await follows(40)  # the first that is left is the next


async def test_the_store_numbers_on_after_a_trim(bed, tmp_path) -> None:
    store = await bed.store()
    for n in range(60):
        store.commit(Batch(events=(event(n),)))
    await store.flushed()
    last = store.seq
    await commit(bed, last)
    await trim_of(bed, tmp_path, Limits(keep=1, cap=100, step=1)).trim()
    assert await standing(bed) == [last]
    store.close()
    again = await bed.store()
    await again.commit(Batch(events=(event(60),)))
    assert await standing(bed) == [last, last + 1]


@pytest.mark.parametrize("seed", range(12))
async def test_archive_and_stream_together_are_every_event_once_and_in_order(bed, tmp_path, seed) -> None:
    chance = random.Random(seed)
    seq, written = 0, []
    for _ in range(25):
        if chance.random() < 0.1:
            seq += chance.randrange(1, 10**6)  # a seq_jump
        count = chance.randrange(40)
        await fill(bed, seq + 1, seq + count)
        written += range(seq + 1, seq + count + 1)
        seq += count
        link = Killed(bed.link())
        if chance.random() < 0.4:
            link.trims_left = chance.randrange(1, 4)
        limits = Limits(keep=20, cap=chance.randrange(80, 120), step=chance.randrange(3, 9))
        try:
            await trim_of(bed, tmp_path, limits, caller=Caller(link)).trim()
        except Gone:
            continue
    stream, kept = await standing(bed), archived(tmp_path)
    assert sorted({*kept, *stream}) == written
    assert stream == written[-len(stream) :]
    assert 60 < len(stream) < 250
    assert kept


@REAL
@pytest.mark.parametrize(("size", "capped"), [(4_000_000, True), (4_000_000_000, False)], ids=["small", "large"])
async def test_a_quarter_of_maxmemory_is_the_cap_where_that_is_less(bed, tmp_path, size, capped) -> None:
    link = FaultyLink(bed.link())
    caller = Caller(link)
    await fill(bed, 1, 20_000)
    used = await bed.redis.memory_usage(bed.keys.event_stream, samples=0)
    room_for = size // 4 * 20_000 // used
    assert (room_for < 20_000) is capped
    try:
        await bed.redis.config_set("maxmemory", size)
        await trim_of(bed, tmp_path, Limits(), caller=caller).trim()
        left = len(await standing(bed))
    finally:
        await bed.redis.config_set("maxmemory", 0)
    assert left == 20_000 if not capped else 0.8 * room_for < left < 1.05 * room_for
    assert len(archived(tmp_path)) == 20_000 - left


async def test_it_goes_on_every_minute_and_an_absent_redis_does_not_end_it(bed, tmp_path) -> None:
    link = FaultyLink(bed.link())
    trim = trim_of(bed, tmp_path, caller=Caller(link))
    steps: list[Callable[[], None]] = [link.leave, link.come_back]
    slept: list[float] = []

    class Paced:
        def now_ms(self) -> int:
            return 1

        async def sleep(self, seconds: float) -> None:
            slept.append(seconds)
            if not steps:
                raise asyncio.CancelledError
            steps.pop(0)()

    trim._clock = Paced()
    await fill(bed, 1, 60)
    await commit(bed, 60)
    with pytest.raises(asyncio.CancelledError):
        await trim.run()
    assert slept == [60.0, 60.0, 60.0]
    assert await standing(bed) == list(range(41, 61))
