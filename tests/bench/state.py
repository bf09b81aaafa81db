"""Rows about what is held: start, memory, reading the records back, and the arithmetic of a reprice."""

from __future__ import annotations

import asyncio
import sys
import time
from decimal import Decimal

import msgspec

from algos import chase, pricing, step
from pms import restore
from pms.bus.batch import Batch, Durable
from pms.bus.caller import Caller
from pms.bus.link import WireLink
from pms.ledger import Ledger
from schemas import codec
from schemas.chase import ChaseParams, ChaseState
from schemas.keys import Keys
from schemas.market import Quote, Side
from tests.bench.feed import instrument
from tests.bench.orders import VenueProcess
from tests.bench.rows import Row, row

ALGOS = 500  # enough that a page more or less does not show
RECORDS, READS = 10_000, 5
DECISIONS, TURNS = 20_000, 15


async def held(redis_url: str, measured: VenueProcess) -> list[Row]:
    """Start and memory, of a daemon in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.bench.lone", redis_url, str(measured.port)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    seconds, megabytes = msgspec.json.decode(await process.stdout.readline(), type=tuple[float, float])
    totals = []
    for count in (1, ALGOS):  # the first one brings what all share
        await measured.run("algos", count)
        process.stdin.write(b"\n")
        totals.append(int(await process.stdout.readline()))
    process.stdin.close()
    await process.wait()
    each = (totals[1] - totals[0]) / ALGOS / 1024
    return [
        row("start to doors open, after imports", "s", [seconds], [], 1.0, "p50"),
        row("memory at start", "MB", [megabytes], [], 120.0, "p50"),
        row("memory of an algo", "kB", [each], [], 6.0, "p50"),
    ]


def _state(number: int) -> ChaseState:
    rules = instrument(Decimal("0.1"))
    quote = Quote(845_510, 845_511, Decimal(1), Decimal(1), 1_691_021, 1_691_021, 0, 0, 0)
    who = step.Identity(f"c{number:09}", "main", "0000", 1)
    params = ChaseParams(symbol="BTCUSDT", side=Side.BUY, quantity=Decimal("0.010"), stalk_offset_pct=Decimal("0.05"))
    state, _ = chase.start(who, params, rules, quote, 0)
    return state


class _Refusing:
    """Takes no batch: a read of the records writes nothing."""

    def commit(self, batch: Batch) -> Durable:
        raise AssertionError(f"{len(batch.records)} records were written by a read")


async def records(redis_url: str) -> Row:
    """10 000 algo records into the ledger as at a start, beside one MGET and a decode of each."""
    names, caller = Keys("bench"), Caller(WireLink(redis_url))
    keys = [names.algo("chase", f"c{number:09}") for number in range(RECORDS)]
    head = b'{"v":1,"epoch":1,"rev":1,"seq":1,'
    await caller.calls([("SET", key, head + codec.encode(_state(n))[1:]) for n, key in enumerate(keys)], 30)
    mine, theirs = [], []
    decode = msgspec.json.Decoder(ChaseState).decode
    for _ in range(READS):
        begin = time.perf_counter()
        found = await restore.read(caller, names, Ledger(names, _Refusing()), 0)
        between = time.perf_counter()
        bodies = await caller.call("MGET", *keys)
        assert isinstance(bodies, list)
        assert len([decode(body) for body in bodies]) == len(found.algos) == RECORDS
        theirs.append((time.perf_counter() - between) * 1e3)
        mine.append((between - begin) * 1e3)
    await caller.call("UNLINK", *keys)
    caller.close()
    return row("reading 10 000 algo records", "ms", mine, theirs, 4.0, "ratio")


def _scaled(bid: int, offset_e8: int, tick: int, at: int) -> bool:
    """The reference: prices × 10^8, offset, down to the tick, compared."""
    price = bid - bid * offset_e8 // 10**10
    price -= price % tick
    return price >= at + tick or price <= at - tick


def decision() -> Row:
    """Where the order should stand and whether it stands there, per quote."""
    offset, tick = pricing.scaled_pct(Decimal("0.05")), 10**7
    mine, theirs = [], []
    follow, side, at = pricing.follow_ticks, Side.BUY, 845_087
    for _ in range(TURNS):
        begin = time.perf_counter_ns()
        for bid in range(845_500, 845_500 + DECISIONS):
            distance = follow(side, bid, bid + 1, 0, offset, False, 0) - at
            _ = distance >= 1 or -distance >= 1
        between = time.perf_counter_ns()
        for bid in range(84_550 * 10**8, 84_550 * 10**8 + DECISIONS * tick, tick):
            _ = _scaled(bid, offset, tick, at * tick)
        theirs.append((time.perf_counter_ns() - between) / DECISIONS)
        mine.append((between - begin) / DECISIONS)
    return row("exact reprice decision", "ns", mine, theirs, 1.5, "ratio")
