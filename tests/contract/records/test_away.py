"""SQL away until the stream's cap, the numbers jumping meanwhile: what was archived and what stands make it whole."""

from __future__ import annotations

import hashlib
import json

import pytest

from pms.bus.caller import Caller
from pms.bus.link import WireLink
from pms.bus.trim import FOLDER, Limits, Trim
from pms.clock import SystemClock
from tests.contract.bus.test_trim import Heard
from tests.contract.records import flood
from tests.contract.records.desk import KEYS, RecordsDesk
from tests.contract.records.test_rebuild import compared

LIMITS = Limits(keep=100, cap=400, step=50)
PIECE = 100
ORDERS = 300


def jumped(events: list[bytes], at: int) -> list[bytes]:
    """The same, with the numbers going on from a jump after so many."""
    last, to = at, 1_900_000_000_000
    told = b'{"seq":%d,"prevSeq":0,"epoch":4,"type":"seq_jump","v":1,"ts":%d,"subAccountId":"system","from":%d,"to":%d}'
    jump = told % (to, flood.START_MS, last, to)
    later = [
        b'{"seq":%d,"prevSeq":0' % (to + n) + body[body.index(b',"epoch"') :] for n, body in enumerate(events[at:], 1)
    ]
    return [*events[:at], jump, *later]


def digest(bodies: list[str]) -> tuple[int, str]:
    told = [json.dumps(json.loads(body, parse_float=str, parse_int=str), sort_keys=True) for body in bodies]
    return len(told), hashlib.sha256("\n".join(told).encode()).hexdigest()


@pytest.mark.faults
async def test_until_the_cap_and_over_a_jump_the_tables_are_the_event_log(desk: RecordsDesk) -> None:
    events = jumped(flood.orders(ORDERS), 700)
    await desk.write_until(await desk.publish(events[:200]))
    alarms = Heard()
    trim = Trim(caller := Caller(WireLink(desk.redis_url)), KEYS, SystemClock(), desk.data, alarms, LIMITS)
    last = 0
    for start in range(200, len(events), PIECE):  # nobody writes: the stream fills, and the cap sheds its oldest
        last = await desk.publish(events[start : start + PIECE])
        await trim.trim()
        assert await desk.redis.xlen(KEYS.event_stream) <= LIMITS.cap
    caller.close()
    archived = list((desk.data / FOLDER).glob("*.gz"))
    assert len(archived) >= 10
    assert alarms.open != {}, "half full is told"
    await desk.write_until(last)
    logged = [str(row[0]) for row in await desk.sql("SELECT payload::text FROM events ORDER BY seq")]
    assert digest(logged) == digest([body.decode() for body in events])
    ((orders,),) = await desk.sql("SELECT count(*) FROM orders WHERE state = 'filled'")
    ((fills, paid),) = await desk.sql("SELECT count(*), sum(commission) FROM fills")
    assert (orders, fills, paid) == (ORDERS, 2 * ORDERS, 2 * ORDERS * flood.FEE)
    assert await desk.sql("SELECT * FROM gaps") == []
    assert (await compared(desk)).differences == []
