"""State keys are what the events told: the log of a run replayed into empty rows, and the keys held against them.

What `pms rebuild --check` does with Postgres in between, here after scenarios with kills and faults.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from pms.records import rows, state_check
from pms.records.columns import Row
from pms.records.draft import Draft
from pms.records.state_check import Replayed, State
from pms.records.tables import AlgoRun, Event, Order, Position
from schemas.keys import STREAM_FIELD, Keys

if TYPE_CHECKING:
    from tests.world.world import World

_record = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
_ALGOS = ("chase", "twap", "trailstop", "scalper", "twap_basket", "algo:*")


async def check_retold(world: World) -> None:
    """Every state key of the run is what its events say."""
    keys = Keys()
    draft = Draft()
    for _, entry in await world.redis.xrange(keys.event_stream):
        rows.apply(draft, rows.read(entry[STREAM_FIELD.encode()]))
    begins = min((row["ts"] for row in draft.added[Event].values()), default=None)
    told = Replayed(_rows(draft, Order), _rows(draft, Position), _rows(draft, AlgoRun), begins)
    assert state_check.differences(keys, await _state(world, keys), told) == []


def _rows(draft: Draft, table: type[Row]) -> dict[str, dict[str, Any]]:
    return {key[0]: row for key, row in draft.changed.get(table, {}).items()}


async def _state(world: World, keys: Keys) -> State:
    algos = {name: found for kind in _ALGOS for name, found in (await _texts(world, f"pms:{kind}:*")).items()}
    return State(
        orders=await _texts(world, keys.order("*")),
        open_orders={field for _, field in await _hashes(world, keys.open_orders("*"))},
        positions=await _hashes(world, keys.position("*")),
        algos=algos,
        active={field for _, field in await _hashes(world, "pms:active_*")},
    )


async def _texts(world: World, pattern: str) -> dict[str, dict[str, Any]]:
    names = sorted(await world.redis.keys(pattern))
    bodies = await world.redis.mget(names) if names else []
    return {name.decode().rpartition(":")[2]: _record.decode(body) for name, body in zip(names, bodies, strict=True)}


async def _hashes(world: World, pattern: str) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (name.decode().rpartition(":")[2], field.decode()): _record.decode(body)
        for name in sorted(await world.redis.keys(pattern))
        for field, body in (await world.redis.hgetall(name)).items()
    }
