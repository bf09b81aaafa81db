"""The records made anew from the event log and held against what is there: tables, the log itself, and the state keys.

Owns the order of it: all of SQL in one snapshot, then the events that came since, then the keys. Refuses to print.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec
from sqlalchemy import text

from pms.bus.caller import Caller
from pms.records import rows, state_check
from pms.records.address import Address
from pms.records.database import UNUSABLE, Away, engine_of, open_connection, take_lock
from pms.records.database import Position as At
from pms.records.replay import Difference, Log, Replay
from pms.records.source import Source
from pms.records.state import StateKeys
from pms.records.state_check import Replayed, State
from pms.records.tables import AlgoRun, Order, Position
from schemas.keys import Keys


class Verdict(msgspec.Struct, frozen=True, rename="camel"):
    """What came of it. `events` were replayed, from `first` to `last`; `moved` records changed while they were read and
    were not judged; `put_right`: the tables were made what the log says."""

    events: int
    first: int
    last: int
    records: int
    moved: int
    differences: list[Difference]
    put_right: bool = False


async def rebuild(where: Address, caller: Caller, source: Source, keys: Keys, repair: bool) -> Verdict:
    """Compare, and with `repair` put the tables right. Raises `Away`, `Held` where a writer runs while repairing, and
    what Redis' callers raise."""
    engine = engine_of(where)
    connection = await open_connection(engine)
    try:
        if repair:
            await take_lock(connection, where.schema)
            await connection.commit()
        await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        replay = Replay(connection, where.schema)
        verdict = await _compare(replay, StateKeys(caller, keys), source, keys, repair)
        await (connection.commit() if repair else connection.rollback())
    except UNUSABLE as error:
        raise Away(f"{type(error).__name__}: {error}") from error
    finally:
        await connection.close()
        await engine.dispose()
    return verdict


async def _compare(replay: Replay, redis: StateKeys, source: Source, keys: Keys, repair: bool) -> Verdict:
    applied = await replay.applied()
    log = await replay.run()
    found = [*await replay.holes(), *await _logged(replay, redis, log), *await replay.differences(log)]
    if log.last != applied:
        found.insert(0, Difference("applied", "seq", "seq", applied, log.last))
    put_right = repair and bool(found)
    if put_right:
        await replay.put_right(log)
    await _catch_up(replay, source, applied, await redis.last_seq())
    state = await redis.read()
    found += state_check.differences(keys, state, await _replayed(replay, state, log))
    held = len(state.orders) + len(state.positions) + len(state.algos)
    return Verdict(log.events, log.first, log.last, held, len(state.moved), found, put_right)


async def _logged(replay: Replay, redis: StateKeys, log: Log) -> list[Difference]:
    """Events of the stream that the log in SQL has not, or has otherwise."""
    found: list[Difference] = []
    after = max(await redis.first_seq(), log.first) - 1
    while after < log.last and (page := await redis.events(after, log.last)):
        told = [rows.read(body) for body in page]
        first, last = told[0].numbered.seq, told[-1].numbered.seq
        logged = await replay.logged(first, last)
        for one in told:
            body = logged.pop(one.numbered.seq, None)
            if body is None or _same.decode(body) != _same.decode(one.body):
                found.append(Difference("events", str(one.numbered.seq), "payload", body, one.body.decode()))
        found += [Difference("events", str(seq), "payload", logged[seq], None) for seq in sorted(logged)]
        after = last
    return found


_same = msgspec.json.Decoder(float_hook=Decimal)


async def _catch_up(replay: Replay, source: Source, applied: int, last: int) -> None:
    """Replay what SQL does not hold yet."""
    at = At(seq=applied)
    while at.seq < last:
        batch = await source.read(at)
        await replay.take(batch.told)
        at = batch.after


async def _replayed(replay: Replay, state: State, log: Log) -> Replayed:
    return Replayed(
        orders=await replay.replayed(Order, "ended_at", state.orders),
        positions=await replay.replayed(Position, "closed_at"),
        algos=await replay.replayed(AlgoRun, "ended_at", state.algos),
        begins=log.begins,
    )
